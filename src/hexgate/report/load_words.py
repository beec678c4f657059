"""The sentences of a load's report, each in both languages side by side."""

# ruff: noqa: E501 (a sentence is one line, however long)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hexgate.report.text import Both

__all__ = ["WORDS", "word"]

WORDS: Mapping[str, tuple[str, str]] = {
    # the page
    "report": ("Load report", "负载报告"),
    "title": ("Load: {subject}", "负载：{subject}"),
    "skip": ("Skip to the figures", "跳到数值表"),
    "language": ("Language", "语言"),
    "theme": ("Light / dark", "浅色 / 深色"),
    "colon": (": ", "："),
    "none": ("none", "无"),
    "demonstration": (
        "Demonstration data, not a benchmark: the subject is the embedded default.",
        "演示数据，不是基准测试：被测对象是内置示例。",
    ),
    # the head
    "complete": ("Complete", "完整"),
    "partial": ("Partial", "不完整"),
    "invalid": ("Invalid", "无效"),
    "failed": ("Failed", "失败"),
    "complete_means": (
        "The load ran to its end, and this client kept up with its own plan. Whether the figures are good enough is for a policy to say: `hexgate gate`.",
        "负载按计划完成，且本机发送端跟得上自己的计划。数值是否达标由策略判定：`hexgate gate`。",
    ),
    "partial_means": (
        "The load ended before its plan did. What was measured until then is below, and passes no rule.",
        "负载在计划完成之前结束。下面是此前测得的内容，不能使任何规则通过。",
    ),
    "invalid_means": (
        "These figures cannot be judged, for the reasons given.",
        "这些数值不能用于判定，原因如下。",
    ),
    "failed_means": ("Nothing was measured.", "没有测得任何内容。"),
    "why": ("Why", "原因"),
    "asked_open": (
        "Asked: {rate} requests/s ({arrival}); sent: {achieved}.",
        "要求：每秒 {rate} 个请求（{arrival}）；实发：{achieved}。",
    ),
    "asked_closed": ("Asked: {slots} requests in flight.", "要求：保持 {slots} 个在途请求。"),
    "achieved_rps": ("{rate} requests/s", "每秒 {rate} 个"),
    "served": (
        "{rps} replies a second over a timed window of {window} s.",
        "在 {window} 秒的计时窗口内每秒 {rps} 个回复。",
    ),
    "not_known": ("not known", "未知"),
    "arrival_constant": ("evenly spaced", "等间隔"),
    "arrival_poisson": ("Poisson", "泊松到达"),
    "arrival_gamma": ("gamma", "伽马到达"),
    "arrival_replay": ("replayed", "按记录回放"),
    "target": ("Target", "目标"),
    "model": ("Model", "模型"),
    "requests": ("Requests", "请求数"),
    "warmup": ("Warm-up", "预热"),
    "prompts": ("Requests from", "请求内容"),
    "concurrency_cap": ("In flight at most", "在途上限"),
    "in_flight_max": ("Most in flight", "最多在途"),
    "seed": ("Seed", "种子"),
    "workers": ("Workers", "工作进程"),
    "began": ("Began", "开始"),
    "host": ("This client", "发送端"),
    # the tiles
    "glance": ("At a glance", "一览"),
    "tile_rps": ("replies a second", "每秒回复数"),
    "tile_e2e": ("end to end, P99", "端到端 P99"),
    "tile_ttft": ("to first token, P99", "首 token P99"),
    "tile_tokens": ("output tokens a second", "每秒输出 token"),
    "tile_errors": ("requests that failed", "失败的请求"),
    "tile_goodput": ("good replies a second", "每秒达标回复"),
    "from_due": ("from the due time", "从计划时刻起"),
    "from_sent": ("from the send", "从发送时刻起"),
    # tables
    "times": ("Times", "时间"),
    "times_note": (
        "Milliseconds, of timed requests that succeeded. Under a percentile stand its {level} bounds, which hold for every distribution; a bound that so few requests do not give is –.",
        "单位毫秒，只含成功的计时请求。百分位数下方是其 {level} 区间，对任何分布都成立；请求太少而无法给出的一端记为 –。",
    ),
    "rates": ("Rates", "速率"),
    "totals": ("Totals", "总计"),
    "quantity": ("Quantity", "量"),
    "count": ("n", "n"),
    "mean": ("Mean", "均值"),
    "std": ("Std", "标准差"),
    "min": ("Min", "最小"),
    "max": ("Max", "最大"),
    "e2e_due_ms": ("End to end, from due", "端到端（自计划时刻）"),
    "e2e_sent_ms": ("End to end, from send", "端到端（自发送）"),
    "ttft_due_ms": ("TTFT, from due", "TTFT（自计划时刻）"),
    "ttft_sent_ms": ("TTFT, from send", "TTFT（自发送）"),
    "ttfa_due_ms": ("TTFA, from due", "TTFA（自计划时刻）"),
    "ttfa_sent_ms": ("TTFA, from send", "TTFA（自发送）"),
    "tpot_ms": ("TPOT", "TPOT"),
    "gap_ms": ("Gap between events", "事件间隔"),
    "gap_max_ms": ("Longest gap of a reply", "单个回复的最长间隔"),
    "queue_ms": ("Wait for slot and connection", "等待名额和连接"),
    "dispatch_lag_ms": ("Dispatch lag of this client", "发送端调度滞后"),
    "loop_lag_ms": ("Loop lag of this client", "发送端事件循环滞后"),
    "requests_per_s": ("Replies a second", "每秒回复数"),
    "output_tokens_per_s": ("Output tokens a second", "每秒输出 token"),
    "rates_note": (
        "The mean is over the whole timed window. Minimum, maximum and standard deviation are over its whole seconds.",
        "均值取自整个计时窗口；最小值、最大值和标准差取自其中每个完整的一秒。",
    ),
    "outcome_ok": ("succeeded", "成功"),
    "outcome_error": ("errors", "错误"),
    "outcome_timeout": ("time-outs", "超时"),
    "outcome_truncated": ("cut short", "不完整"),
    "outcome_unfinished": ("unfinished", "未完成"),
    "outcome_not_sent": ("not sent", "未发送"),
    "total_timed": ("Timed requests", "计时请求"),
    "total_warmup": ("Warm-up requests, in no figure", "预热请求，不计入任何数值"),
    "error_ratio": ("Error ratio, of those sent", "错误率（占已发送）"),
    "timeout_ratio": ("Time-out ratio, of those sent", "超时率（占已发送）"),
    "prompt_tokens": ("Prompt tokens", "提示词 token"),
    "cached_tokens": ("of these from the server's cache", "其中来自服务端缓存"),
    "output_tokens": ("Output tokens", "输出 token"),
    "reasoning_tokens": ("of these reasoning", "其中推理"),
    "counted_tokens": ("Output tokens by our own tokenizer", "按自有分词器计的输出 token"),
    "events": ("Events with text", "文本事件"),
    "bytes": ("Bytes received", "收到字节"),
    "goodput_rps": ("Good replies a second, of all due", "每秒达标回复（相对全部计划请求）"),
    "goodput_ratio": ("Share of good ones, of all due", "达标比例（占全部计划请求）"),
    "counted_by": ("Tokens counted by", "token 由谁计数"),
    "source_server": ("the server", "服务端"),
    "source_events": ("events with text: a lower bound", "文本事件：下界"),
    "source_mixed": ("the server where it says so, else events with text", "服务端有则用之，否则按文本事件"),
    "source_tokenizer": ("our own tokenizer", "自有分词器"),
    "loading": ("Replies with loading of the model, by the server", "含模型加载的回复（按服务端所述）"),
    "server_times": (
        "Mean time of a reply, by the server and from our send",
        "回复平均用时：服务端所述与自发送",
    ),
    "server_and_client": ("{server} ms; {client} ms", "{server} 毫秒；{client} 毫秒"),
    "missing": ("What was not measured", "未测得的量"),
    "remarks": ("What to know of this load", "关于本次负载的说明"),
    # arrivals
    "arrivals": ("Was it the arrival process that was asked for?", "是否为所要求的到达过程？"),
    "arrivals_note": (
        "Asked for: {process} arrivals. Gaps are over their mean, at the rates of the plan. What is judged stands with what it should be. Planned: the due times. Taken up: this client. Sent: after waits for a slot and for a connection, so that a slow target under a cap is seen here alone.",
        "要求的过程：{process}。间隔以计划速率下的均值为单位。受检的量旁注明应有的值。计划：计划时刻；取出：发送端自身；发送：等待名额和连接之后，受限并发下目标变慢只在此处可见。",
    ),
    "arrivals_planned": ("Planned", "计划"),
    "arrivals_taken_up": ("Taken up", "取出"),
    "arrivals_sent": ("Sent", "发送"),
    "arrivals_n": ("Arrivals", "到达数"),
    "arrivals_rate_rps": ("Arrivals a second", "每秒到达数"),
    "arrivals_gap_cv": ("Variation of the gaps", "间隔变异系数"),
    "arrivals_gap_lag1": ("Correlation of a gap with the next", "相邻间隔的相关"),
    "arrivals_dispersion": ("Variance over mean of counts", "计数的方差均值比"),
    "arrivals_window_p99": ("In one window, 99th percentile", "单个窗口内到达数，P99"),
    "arrivals_judged": ("{value} ({expected} ± {tolerance})", "{value}（{expected} ± {tolerance}）"),
    "arrivals_verdict": ("As asked for", "符合要求"),
    "arrivals_yes": ("yes", "是"),
    "arrivals_no": ("no", "否"),
    "arrivals_unjudged": ("too few to say", "太少，无法判断"),
    # charts
    "charts": ("Over time, and how spread", "随时间的变化与分布"),
    "chart_e2e": ("Latency of replies, end to end", "回复延迟（端到端）"),
    "chart_ttft": ("Time to first token", "首 token 时间"),
    "chart_gap": ("Gaps between events with text", "文本事件间隔"),
    "chart_rate": ("Rate asked and achieved", "要求与实际速率"),
    "chart_outcomes": ("Requests by what became of them", "各结果的请求数"),
    "chart_failures": ("Failures by kind", "各类失败"),
    "chart_tokens": ("Tokens", "token"),
    "chart_latency_time": ("Latency of the replies that ended then", "当时结束的回复的延迟"),
    "chart_ttft_time": (
        "Time to first token of the replies that ended then",
        "当时结束的回复的首 token 时间",
    ),
    "chart_in_flight": ("Requests in flight", "在途请求"),
    "chart_lag": ("This client: how late it was", "发送端：滞后"),
    "chart_client_cpu": ("This client: processor time of its workers", "发送端：工作进程的处理器时间"),
    "chart_cpu": ("Processors", "处理器"),
    "chart_memory": ("Memory", "内存"),
    "chart_gpu": ("GPU use", "GPU 利用率"),
    "chart_gpu_memory": ("GPU memory", "GPU 显存"),
    "chart_power": ("Power", "功率"),
    "chart_server": ("Server: {name}", "服务端：{name}"),
    "charts_cut": (
        "There is no room for {count} more charts, of further hosts and metrics; their values are in statistics.json.",
        "篇幅所限，另有 {count} 张图（其他主机和指标）未画出；其数值见 statistics.json。",
    ),
    "axis_time": ("seconds from the start", "自开始的秒数"),
    "axis_ms": ("milliseconds, logarithmic", "毫秒，对数轴"),
    "axis_requests": ("requests", "请求数"),
    "axis_events": ("gaps", "间隔数"),
    "axis_per_s": ("a second", "每秒"),
    "axis_in_ms": ("milliseconds", "毫秒"),
    "axis_cores": ("cores", "核"),
    "axis_share": ("share", "比例"),
    "axis_gib": ("GiB", "GiB"),
    "axis_w": ("watts", "瓦"),
    "line_said": ("{name}: from {least} to {most}, mean {mean}", "{name}：{least} 至 {most}，均值 {mean}"),
    "line_asked": ("asked", "要求"),
    "line_sent": ("sent", "实发"),
    "line_replies": ("replies", "回复"),
    "line_tokens": ("output tokens, when their reply ended", "输出 token（计在回复结束时）"),
    "line_events": ("events with text, when they came", "文本事件（计在到达时）"),
    "line_in_flight": ("on average", "平均"),
    "line_dispatch": ("longest dispatch lag", "最大调度滞后"),
    "line_loop": ("longest loop lag", "最大循环滞后"),
    "line_cpu": ("worker {worker}", "工作进程 {worker}"),
    "line_host": ("whole host", "整机"),
    "line_process": ("this process", "本进程"),
    "line_server": ("processes of the server", "服务端进程"),
    "line_gpu": ("GPU {gpu}", "GPU {gpu}"),
    "line_server_gpu": ("GPU {gpu}, the server alone", "GPU {gpu}，仅服务端"),
    "server_requests": ("requests running and waiting", "运行与等待的请求"),
    "server_kv_cache": ("KV cache in use", "KV 缓存占用"),
    "server_tokens": ("tokens by its own count", "按其自身计数的 token"),
    "server_preemptions": ("requests preempted", "被抢占的请求"),
    # failures, slow ones, replies
    "failures": ("Failures by reason", "按原因统计的失败"),
    "no_failures": ("No request failed.", "没有失败的请求。"),
    "reason": ("Reason", "原因"),
    "example": ("Example", "示例"),
    "request": ("Request", "请求"),
    "more_reasons": (
        "{count} failures for further reasons are in requests.csv.",
        "另有 {count} 个失败属于其他原因，见 requests.csv。",
    ),
    "slowest": ("The slowest replies", "最慢的回复"),
    "at_s": ("Sent at", "发送于"),
    "replies": ("A sample of replies", "回复抽样"),
    "replies_note": (
        "Spread evenly over the load, so that one can see that the model really answered. All replies are kept, in the file named below.",
        "在整个负载中均匀抽取，用以确认模型确实作答。全部回复均已保存，文件名见下。",
    ),
    "no_replies": ("No reply with text was kept.", "没有保留带文本的回复。"),
    # how it was measured
    "method": ("How it was measured", "测量方法"),
    "how_e2e": (
        "**End to end**: to the last byte of the reply. From due: what a user waits, with every wait in this client. From send: what the server takes.",
        "**端到端**：到回复的最后一个字节。自计划时刻：用户的等待，含发送端内的一切等待；自发送：服务端所用时间。",
    ),
    "how_ttft": (
        "**TTFT**: to the first piece of text on any channel. Events that carry a role only do not count.",
        "**TTFT**：到任意通道的第一段文本。只含角色的事件不算。",
    ),
    "how_ttfa": (
        "**TTFA**: to the first piece of the answer, after any reasoning.",
        "**TTFA**：到答案的第一段文本，在推理内容之后。",
    ),
    "how_tpot": (
        "**TPOT**: (last token − first token) / (tokens − tokens in the first event), one value a reply.",
        "**TPOT**：（末 token − 首 token）/（token 数 − 首个事件的 token 数），每个回复一个值。",
    ),
    "how_gap": (
        "**Gap**: from one event with text to the next. It is a time between tokens only where each event carries one.",
        "**事件间隔**：从一个文本事件到下一个。仅当每个事件只含一个 token 时才是 token 间隔。",
    ),
    "how_percentile": (
        "**Percentile**: the least measured value that at least that share does not exceed; never one between two.",
        "**百分位数**：至少有该比例的值不超过它的最小实测值，不作插值。",
    ),
    "how_rate": (
        "**Replies a second**: those that ended well inside the timed window, over its length. It is never one over the latency.",
        "**每秒回复数**：计时窗口内成功结束的回复除以窗口长度，绝不是延迟的倒数。",
    ),
    "how_tokens": (
        "**Output tokens a second**: of the replies' own tokens, without those of prompts.",
        "**每秒输出 token**：只计回复的 token，不含提示词。",
    ),
    "how_error": (
        "**Error ratio**: errors, time-outs, replies cut short and what was unfinished, of the requests sent. Time-outs stand by themselves too.",
        "**错误率**：错误、超时、不完整回复与未完成请求占已发送请求的比例；其中的超时另行列出。",
    ),
    "how_goodput": (
        "**Goodput**: replies inside every limit of --slo, of all requests due: failures and what was not sent are misses.",
        "**达标**：满足 --slo 全部限值的回复，相对全部计划请求：失败与未发送均算未达标。",
    ),
    "how_warmup": (
        "**Warm-up** is in the charts over time and in no figure.",
        "**预热**出现在随时间的图中，不计入任何数值。",
    ),
    "how_health": (
        "**This client** judges itself by its dispatch lag, its loop lag and the rate that it kept; where it did not keep up the load is invalid.",
        "**发送端**依据调度滞后、循环滞后和实际速率自检；跟不上时负载判为无效。",
    ),
    "files": ("The files beside this report", "本报告旁边的文件"),
    "file_requests": ("every request, one a row", "每个请求一行"),
    "file_resources": ("every sample of resources", "每次资源采样"),
    "file_statistics": ("every figure of this report", "本报告的全部数值"),
    "file_replies": ("every reply, or why there is none", "每个回复，或没有回复的原因"),
    "recompute": ("Every figure can be computed again from the evidence:", "全部数值都可以从证据重新计算："),
    "made_by": (
        "Made by hexgate. This file loads nothing from outside.",
        "由 hexgate 生成。本文件不从外部加载任何内容。",
    ),
}
"""English and Chinese by key."""


def word(key: str, **parts: Any) -> Both:
    """A sentence in both languages; a part that is itself a `Both` is put in in the language of the sentence.

    Raises:
        KeyError: if there is no such sentence, or a part of it is not given.
    """
    english, chinese = WORDS[key]
    in_english = {name: part.en if isinstance(part, Both) else part for name, part in parts.items()}
    in_chinese = {name: part.zh if isinstance(part, Both) else part for name, part in parts.items()}
    return Both(english.format(**in_english), chinese.format(**in_chinese))
