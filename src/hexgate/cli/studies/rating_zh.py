"""What the rating of a study and its live page refuse, in Chinese: pairs for `Twins`."""

from __future__ import annotations

__all__ = ["STUDY_RATING_ERRORS"]

STUDY_RATING_ERRORS: tuple[tuple[str, str], ...] = (
    # study/rating/spec.py
    ("accepted is not a list with an entry", "accepted 不是非空列表"),
    ("measure is none of its words", "measure 不是可用的取值"),
    ("nothing says from which value on an answer is accepted", "没有说明从哪个值起接受回答"),
    ("a number in the unit of the measure", "以该度量为单位的数"),
    (
        "write the least value; a judge alone has one by the scheme",
        "请写出最低值；只有评判模型在评级方案中有默认值",
    ),
    (
        "a floor needs a least acceptance rate, a least quality or both",
        "floor 需要最低接受率或最低质量（或两者）",
    ),
    ("the floor's {name} is not from 0 to 1", "floor 的 {name} 不在 0 到 1 之间"),
    (
        "declare the least quality for your use, such as floor: {acceptance: 0.7}",
        "请按用途声明最低质量，例如 floor: {acceptance: 0.7}",
    ),
    # study/rating/suite.py
    (
        "nothing says which answers are accepted, and the study has no judge",
        "没有说明接受哪些回答，研究也没有评判模型",
    ),
    (
        "a rule names no measure, and the study has measured none",
        "规则未指明质量度量，研究也没有测过任何度量",
    ),
    (
        "a lower value of this measure is better, so that no least value accepts",
        "该度量越低越好，不能用最低值表示接受",
    ),
    (
        "write in the block rating what accepts an answer, such as accepted: [{measure: exact_match, least: 1}]",
        "请在 rating 一节写明接受条件，例如 accepted: [{measure: exact_match, least: 1}]",
    ),
    ("the total of a judge is not from 0 to 10", "评判总分不在 0 到 10 之间"),
    # study/rating/rated.py
    ("the study does not say how its models are rated", "研究没有说明如何为模型评级"),
    (
        "write a block rating with floor and reference, such as rating: {reference: MODEL, floor: {acceptance: 0.7}}",
        "请写 rating 一节，含 floor 与 reference，例如 rating: {reference: MODEL, floor: {acceptance: 0.7}}",
    ),
    ("the rating names no reference", "rating 没有指明参照模型"),
    ("the study has no such model", "研究中没有该模型"),
    ("the model cannot be a reference: it is not rated itself", "该模型本身未评级，不能作参照模型"),
    (
        "every run made, measured, answered and scored, and the floor kept",
        "全部运行已完成、已测能耗、有回答、有评分，且达到下限",
    ),
    # study/rating/reference.py
    (
        "the reference is neither a model of the study nor a file",
        "reference 既不是研究中的模型，也不是文件",
    ),
    (
        "one of {models*}, or a file that hexgate study rate --freeze wrote",
        "{models} 之一，或由 hexgate study rate --freeze 写出的文件",
    ),
    ("the reference cannot be read ({error*})", "参照模型文件无法读取（{error}）"),
    ("the reference is not JSON ({error*})", "参照模型文件不是 JSON（{error}）"),
    ("not a reference that was frozen", "不是冻结的参照模型"),
    (
        "a file that hexgate study rate --freeze wrote",
        "由 hexgate study rate --freeze 写出的文件",
    ),
    # study/rating/documents.py
    ("the document breaks its schema", "文档不符合其模式"),
    # study/reading.py
    ("the folder holds no study", "目录中没有研究"),
    ("a folder that hexgate study run has written", "由 hexgate study run 写出的目录"),
    ("the file describes another study than the folder holds", "文件描述的不是目录中的研究"),
    # cli/studies/rate.py, cli/studies/watch.py
    ("--freeze and --model belong together", "--freeze 与 --model 须同时给出"),
    ("name the file of the reference and its model, or neither", "同时给出文件与模型，或都不给"),
    ("name a folder for the ratings, or freeze a reference", "请指定评级结果的目录，或冻结一个参照模型"),
    (
        "other machines would reach the page, and nobody is asked for a password",
        "其他机器将能访问该网页，且没有密码保护",
    ),
    ("127.0.0.1, ::1 or localhost", "127.0.0.1、::1 或 localhost"),
    (
        "add --expose if everybody who reaches that address may read the study",
        "如果能访问该地址的人都可以阅读此研究，请加 --expose",
    ),
    ("the server cannot listen ({error*})", "无法监听（{error}）"),
    ("give another --port, or --port 0 for a free one", "换一个 --port，或用 --port 0 任选空闲端口"),
)
"""English with gaps and its twin. Of several that fit, the first is taken."""
