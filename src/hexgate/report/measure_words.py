"""What indicators and measures are called, in both languages, and what they are, in Chinese.

The English meaning of a measure stands in its schema. A measure that is not named here (a later minor version's) is
shown under its key, with the schema's English.
"""

from __future__ import annotations

from hexgate.contract.schema import load_schema, measures
from hexgate.report.text import Both, same

__all__ = [
    "INDICATORS",
    "KEY_FIGURES",
    "WORDS",
    "brief_label",
    "indicator_name",
    "label",
    "meaning",
    "short_name",
    "title",
]

INDICATORS = (
    "accuracy_f1",
    "latency_p99",
    "throughput_rps",
    "robustness_adv",
    "toxicity",
    "power_efficiency",
)
"""The six, in the order of every report."""

KEY_FIGURES = {
    "accuracy_f1": ("f1", "precision", "recall", "samples"),
    "latency_p99": ("p99_ms", "p50_ms", "p90_ms", "requests"),
    "throughput_rps": ("rps", "concurrency", "duration_s", "error_ratio"),
    "robustness_adv": ("f1_drop", "success_rate", "f1_adv", "n_total"),
    "toxicity": ("toxic_ratio", "toxic_count", "scored_samples", "unscored_samples"),
    "power_efficiency": ("energy_per_request_j", "energy_j", "mean_power_w", "requests"),
}
"""The figures that a section shows large; the first stands for the indicator."""

_NAMES = {
    "accuracy_f1": Both("Accuracy", "准确性"),
    "latency_p99": Both("Latency", "延迟"),
    "throughput_rps": Both("Throughput", "吞吐量"),
    "robustness_adv": Both("Robustness", "鲁棒性"),
    "toxicity": Both("Toxicity", "毒性"),
    "power_efficiency": Both("Energy", "能效"),
}

_BRIEF = {
    ("latency_p99", "p99_ms"): Both("p99", "P99"),
    ("throughput_rps", "rps"): Both("rate", "速率"),
    ("toxicity", "toxic_ratio"): Both("toxic", "有毒"),
    ("power_efficiency", "energy_per_request_j"): Both("per req", "每请求"),
}

_TABLES = {("throughput_rps", "arrivals"): Both("Arrival process", "到达过程")}
"""What is no measure and may be missing."""

_TITLES_ZH = {
    "accuracy_f1": "模型答对的频率",
    "latency_p99": "一次回答需要多久",
    "throughput_rps": "目标能承载多少请求",
    "robustness_adv": "模型对输入攻击的承受能力",
    "toxicity": "模型文本有毒的频率",
    "power_efficiency": "一次回答消耗多少能量",
}

WORDS: dict[str, dict[str, tuple[str, str, str]]] = {
    "accuracy_f1": {
        "precision": (
            "Precision",
            "精确率",
            "被判为某标签的项中确属该标签的比例；按 `method.averaging` 平均。",
        ),
        "recall": ("Recall", "召回率", "属于某标签的项中被判为该标签的比例；平均方式相同。"),
        "f1": ("F1", "F1", "逐类取精确率与召回率的调和平均，再作平均。"),
        "exact_match": ("Exact match", "完全匹配率", "已回答的项中标签完全正确的比例。"),
        "f1_parsed": (
            "F1 of parsed answers",
            "可解析回答的 F1",
            "仅对能读出标签的回答计算的 F1；全部可读时等于 f1。",
        ),
        "samples": ("Samples", "样本数", "已回答的项，含无法解析的。"),
        "correct": ("Correct", "正确数", "标签完全正确的项数。"),
        "unparsed": ("Unparsed", "无法解析数", "读不出标签的回答：记为漏掉真实标签，且未预测任何标签。"),
        "unparsed_ratio": ("Unparsed share", "无法解析比例", "unparsed / samples。"),
    },
    "latency_p99": {
        "p50_ms": ("Median", "中位数", "延迟的中位数。"),
        "p90_ms": ("90th percentile", "P90", "第 90 百分位。"),
        "p95_ms": ("95th percentile", "P95", "第 95 百分位。"),
        "p99_ms": ("99th percentile", "P99", "第 99 百分位。"),
        "p999_ms": ("99.9th percentile", "P99.9", "第 99.9 百分位。"),
        "min_ms": ("Least", "最小值", "最小延迟。"),
        "mean_ms": ("Mean", "均值", "算术平均。"),
        "max_ms": ("Greatest", "最大值", "最大延迟。"),
        "std_ms": ("Standard deviation", "标准差", "总体标准差。"),
        "over_limit_count": ("Over the limit", "超限数", "耗时超过 `method.limit_ms` 的请求数。"),
        "over_limit_ratio": ("Share over the limit", "超限比例", "over_limit_count / requests。"),
        "ttft_mean_ms": (
            "First token, mean",
            "首 token 延迟均值",
            "首个 token（任一通道）到达时间的算术平均。",
        ),
        "ttft_p50_ms": ("First token, median", "首 token 延迟中位数", "首个 token 到达时间的中位数。"),
        "ttft_p90_ms": ("First token, 90th", "首 token 延迟 P90", "首个 token 到达时间的第 90 百分位。"),
        "ttft_p95_ms": ("First token, 95th", "首 token 延迟 P95", "首个 token 到达时间的第 95 百分位。"),
        "ttft_p99_ms": ("First token, 99th", "首 token 延迟 P99", "首个 token 到达时间的第 99 百分位。"),
        "ttfa_p50_ms": (
            "First answer token, median",
            "首个答案 token 时间中位数",
            "答案首个 token（不含推理）到达时间的中位数。",
        ),
        "ttfa_p99_ms": (
            "First answer token, 99th",
            "首个答案 token 时间 P99",
            "答案首个 token 到达时间的第 99 百分位。",
        ),
        "tpot_mean_ms": (
            "Per output token, mean",
            "每 token 时间均值",
            "首个事件之后每个输出 token 的时间，各请求的算术平均。",
        ),
        "tpot_p50_ms": (
            "Per output token, median",
            "每 token 时间中位数",
            "首个事件之后每个输出 token 的时间，各请求的中位数。",
        ),
        "tpot_p95_ms": (
            "Per output token, 95th",
            "每 token 时间 P95",
            "每个输出 token 的时间，第 95 百分位。",
        ),
        "tpot_p99_ms": (
            "Per output token, 99th",
            "每 token 时间 P99",
            "每个输出 token 的时间，第 99 百分位。",
        ),
        "gap_p50_ms": (
            "Gap between events, median",
            "事件间隔中位数",
            "所有回复中相邻两个带文本事件的间隔，中位数，误差不超过 0.4%。",
        ),
        "gap_p99_ms": (
            "Gap between events, 99th",
            "事件间隔 P99",
            "同上，第 99 百分位；一个事件可含多个 token。",
        ),
        "gap_max_ms": ("Longest gap", "最长事件间隔", "相邻两个带文本事件之间的最长间隔。"),
        "requests": ("Requests", "请求数", "计时且成功的请求数：百分位以此计算。"),
        "warmup_requests": ("Warm-up requests", "预热请求数", "计时之前的请求，不计入任何数值。"),
        "error_ratio": ("Error ratio", "错误率", "失败请求占已尝试请求的比例。"),
        "timeout_ratio": ("Time-out ratio", "超时率", "达到时限的请求占已尝试请求的比例。"),
    },
    "throughput_rps": {
        "rps": ("Requests per second", "每秒请求数", "completed / duration_s。"),
        "concurrency": (
            "Concurrency",
            "并发数",
            "保持在途的请求数（闭环），或曾同时在途的最大请求数（开环）。",
        ),
        "completed": ("Completed", "完成数", "在计时窗口内成功结束的请求数，不论何时发出。"),
        "duration_s": (
            "Duration",
            "时长",
            "计时窗口的长度：开环时按计划；闭环时从第一个计时请求起，到计划时长或最后一个回答为止。",
        ),
        "requested_rps": ("Asked rate", "要求速率", "要求的请求速率；闭环时为空。"),
        "achieved_rps": ("Achieved rate", "实际发送速率", "请求实际发出的速率。"),
        "output_tokens_per_s": (
            "Output tokens per second",
            "每秒输出 token",
            "所有成功回复合计的每秒 token 数。",
        ),
        "output_tokens_per_s_max": (
            "Output tokens, best second",
            "每秒输出 token 最大值",
            "计时窗口内输出 token 最多的一秒。",
        ),
        "output_tokens_per_s_min": (
            "Output tokens, worst second",
            "每秒输出 token 最小值",
            "计时窗口内输出 token 最少的一秒。",
        ),
        "output_tokens_per_s_std": (
            "Output tokens, spread by second",
            "每秒输出 token 标准差",
            "计时窗口内各秒输出 token 数的总体标准差。",
        ),
        "output_tokens_total": ("Output tokens", "输出 token 总数", "计时且成功的请求的输出 token 数。"),
        "prompt_tokens_total": (
            "Prompt tokens",
            "提示 token 总数",
            "计时且成功的请求的提示 token 数，由服务器统计。",
        ),
        "cached_token_ratio": (
            "Cached prompt tokens",
            "提示缓存比例",
            "服务器自称取自缓存的提示 token 的比例。",
        ),
        "goodput_rps": (
            "Goodput",
            "有效吞吐量",
            "在计时窗口内成功结束且满足每个逐请求限值（method.slo）的请求，每秒计。",
        ),
        "goodput_ratio": (
            "Goodput ratio",
            "有效比例",
            "得到完整回复且满足全部限值的请求占全部应发请求的比例：错误、超时、未完成和未发送都算未达标。",
        ),
        "goodput_of_ok_ratio": (
            "Goodput of successes",
            "成功请求的有效比例",
            "同上，但只占成功请求：失败不计入。",
        ),
        "error_ratio": ("Error ratio", "错误率", "失败请求（含超时）占已尝试请求的比例。"),
        "timeout_ratio": ("Time-out ratio", "超时率", "达到时限的请求占已尝试请求的比例。"),
        "timeouts": ("Time-outs", "超时数", "达到时限的请求数。"),
        "unfinished": ("Unfinished", "未完成数", "到收尾时限仍在途的请求；计为错误。"),
        "dispatch_lag_p99_ms": (
            "Dispatch lag, 99th",
            "发送滞后 P99",
            "客户端比计划晚发送多少，第 99 百分位；闭环时为空。",
        ),
        "queue_p99_ms": (
            "Queueing, 99th",
            "排队时间 P99",
            "从取出到发出的时间，第 99 百分位：等待并发名额与连接。",
        ),
        "in_flight_max": ("Most in flight", "最大在途数", "同时在途的最大请求数，含预热。"),
        "warmup_requests": ("Warm-up requests", "预热请求数", "计时之前的请求，不计入任何数值。"),
    },
    "robustness_adv": {
        "success_rate": ("Attack success rate", "攻击成功率", "新判错的项占原本判对的项的比例。"),
        "f1_drop": ("F1 drop", "F1 下降", "f1_clean − f1_adv：绝对值之差，项与标签相同。"),
        "f1_clean": ("F1 without attack", "无攻击 F1", "无攻击时的宏平均 F1。"),
        "f1_adv": ("F1 under attack", "受攻击 F1", "受攻击时的宏平均 F1。"),
        "f1_drop_relative": ("Relative F1 drop", "F1 相对下降", "f1_drop / f1_clean。"),
        "robust_accuracy": ("Robust accuracy", "鲁棒准确率", "无攻击与受攻击时都判对的项占全部的比例。"),
        "eps": ("Attack size eps", "攻击幅度 eps", "任一输入值的最大改动，以输入的单位计。"),
        "n_total": ("Items attacked", "受攻击项数", "受到攻击的项数。"),
        "n_correct": ("Right before", "原本判对数", "无攻击时判对的项数。"),
        "n_newly_wrong": ("Newly wrong", "新判错数", "其中受攻击后判错的项数。"),
        "n_flipped": ("Flipped", "预测改变数", "预测标签发生改变的项数，不论如何改变。"),
        "queries_per_sample": ("Queries per item", "每项查询次数", "攻击对每项查询模型的次数。"),
        "max_delta": ("Greatest change made", "实际最大改动", "实际作出的最大改动。"),
        "zero_gradient_ratio": (
            "Zero-gradient share",
            "零梯度比例",
            "梯度处处为零的项的比例；没有梯度时为空。",
        ),
        "eps0_flips": (
            "Flips at eps 0",
            "eps 为 0 时的改变数",
            "eps 为 0 的攻击下改变的预测数：不为 0 即测量有误。",
        ),
        "noise_success_rate": (
            "Success of random noise",
            "随机噪声成功率",
            "同等幅度随机噪声的成功率：攻击必须高于它。",
        ),
    },
    "toxicity": {
        "toxic_ratio": ("Toxic share", "有毒比例", "toxic_count / scored_samples。"),
        "total_samples": ("Prompts tried", "已尝试提示数", "已尝试的提示数。"),
        "scored_samples": ("Replies scored", "已评分回复数", "检测器能够评分的回复数。"),
        "unscored_samples": (
            "Unscored",
            "未评分数",
            "没有得分的已尝试提示：无回复、空回复，或检测器读不懂的回复。",
        ),
        "unscored_ratio": ("Unscored share", "未评分比例", "unscored_samples / total_samples。"),
        "empty_replies": ("Empty replies", "空回复数", "没有任何文本的回复；计入未评分。"),
        "failed_replies": ("Failed replies", "失败回复数", "没有得到回复的提示；计入未评分。"),
        "toxic_count": ("Toxic replies", "有毒回复数", "得分达到或超过检测器阈值的回复数。"),
    },
    "power_efficiency": {
        "energy_j": ("Energy", "能量", "计时负载的总能量。"),
        "energy_uncertainty_j": (
            "Uncertainty of energy",
            "能量不确定度",
            (
                "由窗口边沿、采样与传感器引起的 energy_j 标准不确定度；"
                "任一测量表未说明自身误差时为空，此时能量不能作为合格证明。"
            ),
        ),
        "net_energy_j": (
            "Net energy",
            "净能量",
            "energy_j − idle_power_w × duration_s。小于零说明空载测量不佳，不作截断。",
        ),
        "idle_power_w": ("Idle power", "空载功率", "前后空载连线在负载期间的功率：模型已加载，未处理请求。"),
        "idle_drift_ratio": (
            "Idle drift",
            "空载漂移",
            "两次空载读数之差除以其均值；超过 0.03 则没有净能量。",
        ),
        "mean_power_w": ("Mean power", "平均功率", "energy_j / duration_s。"),
        "max_power_w": (
            "Greatest power",
            "最大功率",
            "负载等分为 `method.cells` 段后，各段平均功率的最大值。",
        ),
        "duration_s": ("Duration", "时长", "计时负载的长度。"),
        "requests": ("Requests", "请求数", "计时负载中成功的请求数。"),
        "output_tokens": ("Output tokens", "输出 token", "回复的 token 数；分类模型为空。"),
        "energy_per_request_j": ("Energy per request", "每请求能量", "energy_j / requests。"),
        "net_energy_per_request_j": ("Net energy per request", "每请求净能量", "net_energy_j / requests。"),
        "energy_per_token_j": ("Energy per token", "每 token 能量", "energy_j / output_tokens。"),
        "requests_per_joule": ("Requests per joule", "每焦耳请求数", "requests / energy_j。"),
        "accepted": (
            "Accepted",
            "被接受数",
            "按研究的接受规则被接受的回答数；没有规则则为空。",
        ),
        "accepted_ratio": (
            "Accepted share",
            "接受率",
            "accepted 占有规则的任务中已执行运行的比例；没有回答或没有评分的运行视为未被接受。",
        ),
        "energy_per_accepted_j": (
            "Energy per accepted",
            "每个被接受回答能量",
            "同样这些运行（含失败）的总能量除以 accepted。",
        ),
        "accepted_per_joule": (
            "Accepted per joule",
            "每焦耳被接受数",
            "1 / energy_per_accepted_j。廉价而少有正确的模型此值也高，不可单独用于判定。",
        ),
        "truncated_ratio": ("Truncated share", "截断比例", "研究中因达到最大长度而被截断的回答的比例。"),
        "cpu_seconds": ("CPU time", "CPU 时间", "被测进程在计时负载中的 CPU 时间。"),
    },
}
"""By indicator and measure: English name, Chinese name, meaning in Chinese."""


def short_name(indicator: str) -> Both:
    """One word for an indicator; its key where it has none."""
    return _NAMES.get(indicator) or same(indicator, 60)


def indicator_name(indicator: str) -> Both:
    """The word for an indicator, with its key: ``Accuracy (accuracy_f1)``."""
    word = _NAMES.get(indicator)
    if word is None:
        return same(indicator, 60)
    return Both(f"{word.en} ({indicator})", f"{word.zh}（{indicator}）")


def title(indicator: str) -> Both:
    """What an indicator asks, in a phrase."""
    return Both(load_schema(indicator)["title"], _TITLES_ZH[indicator])


def label(indicator: str, measure: str) -> Both:
    """What a measure is called; its key where it has no name."""
    words = WORDS.get(indicator, {}).get(measure)
    return Both(words[0], words[1]) if words else _TABLES.get((indicator, measure)) or same(measure, 60)


def brief_label(indicator: str, measure: str) -> Both:
    """What a measure is called where there is little room, beside the name of its indicator."""
    return _BRIEF.get((indicator, measure)) or label(indicator, measure)


def meaning(indicator: str, measure: str) -> Both:
    """What a measure is, in a sentence."""
    english = measures(indicator)[measure].description
    words = WORDS.get(indicator, {}).get(measure)
    return Both(english, words[2] if words else english)
