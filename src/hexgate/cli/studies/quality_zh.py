"""What marking a study refuses and notes, in Chinese: pairs for `Twins`."""

from __future__ import annotations

__all__ = ["STUDY_QUALITY_ERRORS"]

STUDY_QUALITY_ERRORS: tuple[tuple[str, str], ...] = (
    # study/quality/spec.py
    ("quality is not a list", "quality 不是列表"),
    ("a list of measures", "度量的列表"),
    ("there is no such measure of quality", "没有这种质量度量"),
    ("the measure {name} stands twice", "度量 {name} 出现了两次"),
    ("each measure once", "每种度量只出现一次"),
    (
        "a run has one mark of a measure: name all of its tasks in one entry",
        "每次运行对同一度量只有一个分数：请在一条中列出它的全部任务",
    ),
    ("the study has no such task", "研究中没有这个任务"),
    ("the price of a million tokens", "每百万 token 的价格"),
    # targets/options.py
    ("the environment variable {name} is not set", "环境变量 {name} 未设置"),
    ("export {name} with the key of the endpoint", "请把端点的密钥放入 {name}"),
    ("what {name} holds cannot stand in an HTTP header", "{name} 的内容不能放入 HTTP 头"),
    # study/quality/marking.py
    ("another process is at work in this folder", "另一个进程正在使用该目录"),
    ("wait for its end", "等它结束"),
    ("the run failed ({kind})", "运行失败（{kind}）"),
    # study/quality/scoring.py
    ("the marking was stopped", "评分已停止"),
    ("a judge is asked by a command of its own", "评判模型由单独的命令调用"),
    ("run hexgate study judge", "请执行 hexgate study judge"),
    ("the study names no measure of quality", "研究没有指定质量度量"),
    (
        "give the study's file with a block quality by --spec, or name a measure with --measure",
        "请用 --spec 给出含 quality 一节的研究描述，或用 --measure 指定度量",
    ),
    ("none of the measures is for these tasks", "没有度量用于这些任务"),
    ("name a measure with --measure", "请用 --measure 指定度量"),
    ("no item has this field of references", "没有题目含有这个参考答案字段"),
    ("its {name} is neither a text nor a list of texts", "其 {name} 既不是文本也不是文本列表"),
    # study/quality/judging.py
    ("--target needs --model", "--target 需要 --model"),
    ("name the judge's model as its server knows it", "请给出评判模型在其服务上的名称"),
    ("--model needs --target", "--model 需要 --target"),
    (
        "give the URL of the judge's server, such as {example}",
        "请给出评判服务的 URL，例如 {example}",
    ),
    ("the study names no judge", "研究没有指定评判模型"),
    (
        "give the study's file with a block judge by --spec, or --target and --model",
        "请用 --spec 给出含 judge 一节的研究描述，或给出 --target 与 --model",
    ),
    ("the budget of the judge is used up, and replies are left", "评判预算已用尽，还有回答未评"),
    (
        "give it more and run the same command again: it goes on where it stopped",
        "增加预算后再次执行同一命令，将从停止处继续",
    ),
)
"""English with gaps and its twin. Of several that fit, the first is taken."""
