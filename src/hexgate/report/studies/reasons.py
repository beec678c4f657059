"""Why a figure of a study is missing or doubtful, in both languages."""

# ruff: noqa: E501 (a sentence is one line, however long)

from __future__ import annotations

from functools import cache

from hexgate.report.meter_sentences import METER_SENTENCES
from hexgate.report.text import Both, clean
from hexgate.report.twins import Twins

__all__ = ["STUDY_REASONS", "reason_words"]

STUDY_REASONS: tuple[tuple[str, str], ...] = (
    # study/record.py
    ("the run failed", "运行失败"),
    ("the run failed ({kind})", "运行失败（{kind}）"),
    ("the API has no such figure", "该 API 不提供这个数值"),
    ("the server did not state it", "服务没有说明"),
    (
        "the server leaves out what is zero or unknown, so that what is absent says nothing",
        "服务会省略为零或未知的值，因此没有给出的值不说明任何事",
    ),
    ("{name}: the API has no such figure", "{name}：该 API 不提供这个数值"),
    ("{name}: the server did not state it", "{name}：服务没有说明"),
    (
        "{name}: the server leaves out what is zero or unknown, so that what is absent says nothing",
        "{name}：服务会省略为零或未知的值，因此没有给出的值不说明任何事",
    ),
    (
        "the server states more tokens from its cache than the prompt has",
        "服务给出的缓存词元数多于提示词的词元数",
    ),
    ("all text came in one piece, which has one stamp", "全部文本一次到达，只有一个时间戳"),
    ("the reply held no text", "回复中没有文本"),
    ("the reply held no text of an answer", "回复中没有回答的文本"),
    (
        "the count may hold tokens from the cache, which took no time, and the server does not say how many",
        "该计数可能含有不耗时的缓存词元，而服务没有说明有多少",
    ),
    (
        "no prompt token was read anew, or the server does not say in what time",
        "没有重新读取的提示词词元，或服务没有说明用时",
    ),
    ("the server counts thinking into eval_count, and not apart", "服务把思考计入 eval_count，没有单独计数"),
    ("the server does not say what its cache spared it", "服务没有说明缓存省去了多少"),
    ("the server is not Ollama", "服务不是 Ollama"),
    ("the API has no field for it, and nothing was said", "该 API 没有对应字段，因此没有指定"),
    ("no NVIDIA GPU is found on this machine", "本机没有 NVIDIA GPU"),
    (
        "the visit has not come to its end, at which idle is measured again",
        "该轮尚未结束，结束时才会再次测量静息功率",
    ),
    # study/energy.py, study/watching.py, study/runner.py
    (
        "the endpoint runs on another machine, whose energy cannot be read from here",
        "端点在另一台机器上，其能耗无法从本机读取",
    ),
    ("no power meter can be read: {lacks*}", "没有可读的能耗计：{lacks}"),
    ("none was found", "没有找到"),
    ("no domain of energy is like {patterns*}", "没有与 {patterns} 匹配的能耗测量域"),
    (
        "nothing but supply rails is read, which are parts of an unknown whole",
        "只读到各路供电，它们属于一个未知的整体",
    ),
    ("idle was not measured", "没有测量静息功率"),
    ("the edges were not quiet: {reason*}", "请求前后不够安静：{reason}"),
    ("the edges abut other work: no quiet was held", "请求前后紧接其他工作：没有保持静默"),
    (
        "{domain} is also read for the model {model*}, which may run at the same time; name the domains of each model (models[].domains), or run without --parallel",
        "{domain} 同时用于可能并行运行的模型 {model}；请为每个模型指定 domains（models[].domains），或不用 --parallel",
    ),
    # study/configuration.py, study/servers.py
    (
        "the server does not say how much of the model lies on a GPU",
        "服务没有说明模型有多少在 GPU 上",
    ),
    (
        "{failed} of {count} warm-up requests failed ({reason*})",
        "{count} 次预热请求中有 {failed} 次失败（{reason}）",
    ),
    ("the visit was stopped before its end", "该轮在结束前被停止"),
    # study/watching.py, study/servers.py, further reasons
    ("a counter of energy shows no highest power", "能量计数器不显示最高功率"),
    ("the energy of no GPU is read", "没有读取任何 GPU 的能耗"),
    ("there is no GPU to read it of", "没有可读取的 GPU"),
    ("the server's processes were not found on this machine", "本机没有找到服务的进程"),
    ("the API does not tell it; it can be declared", "该 API 不提供；可在研究描述中声明"),
    ("the API does not tell it", "该 API 不提供"),
    ("the server has no call that lets a model go", "服务没有卸载模型的调用"),
    ("the model is not in its list", "模型不在其列表中"),
    ("{path} does not say", "{path} 没有说明"),
    # study/rating/suite.py, study/rating/reference.py, study/rating/rated.py
    (
        "nothing says which answers are accepted, and the study has no judge",
        "没有说明哪些回答被接受，研究也没有评判",
    ),
    ("a rule names no measure, and the study has measured none", "有规则没有指定度量，而研究尚未测量质量"),
    (
        "a lower value of this measure is better, so that no least value accepts",
        "该度量越低越好，因此不能以最小值接受",
    ),
    ("the reference is neither a model of the study nor a file", "参照模型既不是研究中的模型，也不是文件"),
    ("the reference cannot be read ({error*})", "参照模型无法读取（{error}）"),
    ("the reference is not JSON ({error*})", "参照模型不是 JSON（{error}）"),
    ("not a reference that was frozen", "不是冻结的参照模型"),
    ("the rating names no reference", "评级没有指定参照模型"),
    ("the total of a judge is not from 0 to 10", "评判总分不在 0 到 10 之间"),
    # scorers/: the judge, the measures of text, the tests of code
    ("empty answer", "回答为空"),
    ("no question", "没有问题"),
    ("no reply that can be read in {count}: {reason*}", "{count} 次回复都无法读取：{reason}"),
    ("the budget is used up", "预算已用尽"),
    ("empty", "为空"),
    ("no JSON object", "没有 JSON 对象"),
    ("no dimension in the JSON object", "JSON 对象中没有任何维度"),
    ("{name} is missing", "缺少 {name}"),
    ("{name} has no score", "{name} 没有分数"),
    ("{name} has no rationale", "{name} 没有理由"),
    ("{name} has its score before its rationale", "{name} 的分数在理由之前"),
    ("the score of {name} is no half point", "{name} 的分数不是半分的倍数"),
    ("the score of {name} is out of range", "{name} 的分数超出范围"),
    ("the score of {name} is not a number", "{name} 的分数不是数"),
    ("no references", "没有参考答案"),
    ("a reference without words", "参考答案中没有词"),
    ("the reply is empty", "回复为空"),
    ("the reply holds no code block", "回复中没有代码块"),
    ("the code block does not end: the reply was cut off", "代码块没有结束：回复被截断"),
    (
        "no code block of the reply is of the language and holds anything",
        "回复中没有该语言的非空代码块",
    ),
    ("it was not run", "没有运行"),
    ("it could not be run: {reason*}", "无法运行：{reason}"),
    ("programs cannot be run safely here: {reason*}", "本机无法安全地运行程序：{reason}"),
    ("its tests cannot be used: {reason*}", "其测试无法使用：{reason}"),
    # report/studies/figures.py
    ("it has not been scored", "尚未评分"),
    ("no reason is stated", "没有说明原因"),
    ("its runs were made on several devices or meters", "其运行来自多台设备或多种计量范围"),
)
"""English with gaps and its twin, as `Twins` takes them. Of several that fit, the first is taken."""


@cache
def _twins() -> Twins:
    # Last: a reason that stands behind the meter or the domain that it is of.
    return Twins((*STUDY_REASONS, *METER_SENTENCES, ("{name}: {reason*}", "{name}：{reason}")))


def reason_words(reason: str, most: int = 400) -> Both:
    """A reason in both languages, harmless and short; one that is not ours, such as a server's words, as it is."""
    return Both(clean(reason, most), clean(_twins().reasons(reason), most))
