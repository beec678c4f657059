"""What a load says of itself in its artifacts, in Chinese: reasons, remarks and verdicts on an SLO."""

# ruff: noqa: E501 (a sentence is one line, however long)

from __future__ import annotations

from functools import cache

from hexgate.report.load_requests_zh import REQUEST_SENTENCES
from hexgate.report.text import Both, clean
from hexgate.report.twins import Twins

__all__ = ["SENTENCES", "chinese", "told"]

SENTENCES: tuple[tuple[str, str], ...] = (
    # load/measures/health.py: the client did not keep up
    (
        "on average {busy} of {slots} slots had a request, fewer than {least} of them: the client took longer between requests than the target took for them; {more*}",
        "平均只有 {busy}/{slots} 个并发名额有请求，低于下限 {least}：客户端在两次请求之间花的时间比目标处理请求还长；{more}",
    ),
    (
        "{count} requests were not sent because this machine could open no more connections; raise its limit on open files (ulimit -n), or send fewer at once",
        "有 {count} 个请求因本机无法再打开连接而未发送；请调高打开文件数上限（ulimit -n），或降低并发",
    ),
    ("this client did not keep up. {said*} Next: {more*}.", "客户端跟不上自己的计划。{said}下一步：{more}。"),
    (
        "this machine was too busy to measure. {said*} Next: {more*}.",
        "本机太忙，无法测量。{said}下一步：{more}。",
    ),
    (
        "Requests were begun up to {most} ms late ({share*} {late} ms; {allowed*}).",
        "请求的发起最多迟了 {most} 毫秒（{share} {late} 毫秒；{allowed}）。",
    ),
    (
        "Worker {worker} handled events up to {most} ms late ({share*} {late} ms; {allowed*}).",
        "工作进程 {worker} 处理事件最多迟了 {most} 毫秒（{share} {late} 毫秒；{allowed}）。",
    ),
    ("at most {most} ms is allowed for {rate} requests/s", "每秒 {rate} 个请求时最多允许 {most} 毫秒"),
    ("at most {most} ms is allowed, a tenth of the {of*}", "最多允许 {most} 毫秒，即{of}的十分之一"),
    (
        "at most {most} ms is allowed where the {of*} is {latency} ms",
        "{of}为 {latency} 毫秒时最多允许 {most} 毫秒",
    ),
    (
        "Requests were begun at {achieved}/s where the plan has {asked}/s; {least} % of that is the least.",
        "请求的实际发起速率为 {achieved}/s，计划为 {asked}/s，至少应达到其 {least}%。",
    ),
    ("It was kept waiting for a processor {share} % of the time.", "它有 {share}% 的时间在等待处理器。"),
    (
        "Worker {worker} was kept waiting for a processor {share} % of the time.",
        "工作进程 {worker} 有 {share}% 的时间在等待处理器。",
    ),
    (
        "close other programs, pin the server to other cores, or use another machine; then measure again",
        "请关闭其他程序、把服务端绑定到其他核，或换一台机器，然后重新测量",
    ),
    (
        "give the client more cores and workers, or ask for a lower rate",
        "请给客户端更多核和工作进程，或降低速率",
    ),
    ("give it more cores and workers, or ask for a lower rate", "请给客户端更多核和工作进程，或降低速率"),
    ("give it more cores and workers", "请给客户端更多核和工作进程"),
    ("median {name*}", "{name}中位数"),
    ("99th percentile {name*}", "{name}的 P99 值"),
    ("median", "中位数"),
    ("99th percentile", "P99"),
    ("TTFT", "首 token 延迟（TTFT）"),
    ("latency", "端到端延迟"),
    (
        "worker {worker} ended before its time ({died*}), and its requests with it; look whether memory ran out",
        "工作进程 {worker} 提前结束（{died}），其请求随之丢失；请检查内存是否耗尽",
    ),
    (
        "in {busy} of {seconds} seconds worker {worker} used {share} of a core or more while up to {bytes} bytes lay unread in a socket; {most} of the seconds is the most; {more*}",
        "在 {seconds} 秒中有 {busy} 秒，工作进程 {worker} 用了 {share} 核或更多，同时套接字中最多积压 {bytes} 字节未读；这样的秒数占比最多为 {most}；{more}",
    ),
    (
        "the client's group of processes was throttled for {throttled} s of {wall} s by its quota of processor time; {most} of the time is the most; raise the quota or the CPU limit",
        "客户端所在的进程组在 {wall} 秒中因 CPU 配额被限流 {throttled} 秒；最多允许 {most} 的时间；请提高配额或 CPU 上限",
    ),
    (
        "worker {worker} used {share} of a core, and {most} is where replies begin to wait for it: more workers leave more room",
        "工作进程 {worker} 用了 {share} 核，达到 {most} 时回复就要等它处理：增加工作进程可留出余量",
    ),
    (
        "{opened} connections were opened for {sent} timed requests: the server, or what is before it, closes them, and most requests waited for a new one; let it keep them alive",
        "{sent} 个计时请求打开了 {opened} 个连接：服务端或其前面的设备会关闭连接，多数请求要等新连接；请让它保持长连接（keep-alive）",
    ),
    (
        "the loop was {lag} ms late at the 99th percentile, and events came every {step} ms: the longest gaps between events are partly the client's",
        "事件循环滞后（P99）为 {lag} 毫秒，而文本事件每 {step} 毫秒来一个：最长的事件间隔有一部分来自客户端",
    ),
    (
        "{repeated} of {timed} timed requests repeat a prompt that was sent before, of {different} different ones: a server that keeps prompts or replies has less to do for them than for new ones; give more data, or ask for fewer requests",
        "{timed} 个计时请求中有 {repeated} 个重复了此前发过的提示词（共 {different} 种）：会缓存提示词或回复的服务端处理它们比处理新提示词省力；请提供更多数据，或减少请求数",
    ),
    (
        "the server took {share} of the prompt tokens from its cache, by its own count: the latencies are those of such prompts, and not of new ones",
        "按服务端自己的计数，提示词 token 有 {share} 取自其缓存：所测延迟属于这类提示词，而不是新提示词",
    ),
    # indicators/load_evidence.py, load_clocks.py, load_shards.py, load_merge.py: how it ended, and shards
    (
        "{unsent} of {due} requests that were due were never sent: {held*}, or ask for a lower rate",
        "{due} 个到期的请求中有 {unsent} 个始终没有发送：{held}，或降低速率",
    ),
    (
        "the cap of {cap} in flight held them back until the drain limit had passed; raise one of them",
        "在途上限 {cap} 使它们一直等到收尾时限已过；请提高其中之一",
    ),
    (
        "they waited for a connection until the drain limit had passed; raise it",
        "它们一直等待连接，直到收尾时限已过；请提高该时限",
    ),
    (
        "worker {worker} stood still for {stall} ms within {second} s of its start; beyond {limit} ms the 99.9th percentile and the longest latency may be made of it",
        "工作进程 {worker} 在启动后 {second} 秒内曾停顿 {stall} 毫秒；超过 {limit} 毫秒时，P99.9 与最长延迟可能由停顿造成",
    ),
    (
        "the client stood still for {stall} ms, and this may be made of it",
        "客户端曾停顿 {stall} 毫秒，此值可能由停顿造成",
    ),
    (
        "the client left no account of itself, so nobody knows whether it kept up",
        "客户端没有留下自身的记录，无法知道它是否跟得上",
    ),
    (
        "{told} of {ran} workers left an account of themselves, so nobody knows whether the rest kept up",
        "{ran} 个工作进程中只有 {told} 个留下自身的记录，无法知道其余的是否跟得上",
    ),
    ("the load did not come to an orderly end", "负载没有正常结束"),
    ("the load did not run to its end", "负载没有运行到结束"),
    ("{failed} of {sent} requests failed, {share} %", "{sent} 个请求中失败 {failed} 个（{share}%）"),
    ("stopped during the warm-up", "在预热期间停止"),
    ("the load was stopped before its end: {why*}", "负载在结束前被停止：{why}"),
    ("interrupted", "被中断"),
    ("unreachable", "目标无法连接"),
    ("asked", "按要求停止"),
    ("errors", "失败的请求过多"),
    ("the load was interrupted", "负载被中断"),
    (
        "{attempts} attempts in a row found no connection to the target, so the load was stopped",
        "连续 {attempts} 次未能连接目标，负载因此停止",
    ),
    (
        "shard {place} began {late} s after the common start, and its slots were empty until then; {most} of the timed window of {window} s is the most",
        "分片 {place} 比共同起点晚 {late} 秒开始，其名额在此之前空着；最多允许计时窗口 {window} 秒的 {most}",
    ),
    ("shard {place}: {reason*}", "分片 {place}：{reason}"),
    ("shard {place} is missing ({reason*})", "分片 {place} 缺失（{reason}）"),
    ("shard {place} is missing", "分片 {place} 缺失"),
    ("shard {place} failed: {reason*}", "分片 {place} 失败：{reason}"),
    ("shard {place} is partial: {reason*}", "分片 {place} 不完整：{reason}"),
    (
        "on average {busy} of the {slots} slots of all shards had a request",
        "全部分片的 {slots} 个并发名额平均只有 {busy} 个有请求",
    ),
    ("the shards ran on hosts of different classes: {classes*}", "各分片运行在不同类别的主机上：{classes}"),
    (
        "the shards' clocks were not held against each other, so nobody knows that they ran together",
        "各分片的时钟没有互相核对，因此无法知道它们是否同时运行",
    ),
    (
        "the shards' clocks may differ by {bound} s; {most} of the timed window of {window} s is the most",
        "各分片的时钟可能相差 {bound} 秒；最多允许计时窗口 {window} 秒的 {most}",
    ),
    (
        "the load is not whole: of its {count} shards, {lacks} did not come whole ({named*})",
        "负载不完整：{count} 个分片中有 {lacks} 个不完整（{named}）",
    ),
    # load/measures/arrivals.py
    (
        "the client took requests up in bursts: {own} at the 99th percentile of windows of {window}, where its plan has {plan}, and {most} times that is the most; {more*}",
        "客户端成批地取出请求：每 {window} 个请求的时间窗内（P99）取出 {own} 个，计划为 {plan} 个，最多允许 {most} 倍；{more}",
    ),
    (
        "{place*} is not the {process} process that was asked for: {told*}",
        "{place}不是所要求的到达过程（{process}）：{told}",
    ),
    ("the plan", "计划"),
    ("what the client took up", "客户端取出的请求"),
    ("what was sent, after waits for slots and connections,", "（等待名额和连接之后）实际发送的请求"),
    ("constant", "等间隔"),
    ("poisson", "泊松"),
    ("gamma", "伽马"),
    ("replay", "按记录回放"),
    (
        "{name*} {value}, expected {expected} +- {tolerance}; {rest*}",
        "{name}为 {value}，应为 {expected} ± {tolerance}；{rest}",
    ),
    (
        "{name*} {value}, expected {expected} +- {tolerance}",
        "{name}为 {value}，应为 {expected} ± {tolerance}",
    ),
    ("mean gap over the planned one", "平均间隔与计划之比"),
    ("variation of the gaps", "间隔变异系数"),
    ("correlation of a gap with the next", "相邻间隔的相关"),
    ("variance over mean of counts", "计数的方差均值比"),
    # load/measures/waits.py
    (
        "{beyond} of {sent} requests waited for a slot for longer than the time-out of {timeout} s, up to {most} s, and were sent all the same: the time-out counts from the slot, the latency from due; allow more in flight, or ask for a lower rate",
        "{sent} 个请求中有 {beyond} 个等待空位的时间超过超时 {timeout} 秒，最长 {most} 秒，但仍被发送：超时自取得空位起算，延迟自应发时刻起算；请提高在途上限，或降低速率",
    ),
    # load/measures/server_times.py
    (
        "{loading} of {replies} replies include the loading of the model by the server's own account, up to {most} ms: they are in every figure; send a warm-up, or let the server keep the model",
        "据服务端所述，{replies} 个回复中有 {loading} 个包含模型加载时间，最长 {most} 毫秒：它们计入全部数值；请先预热，或让服务端常驻模型",
    ),
    (
        "for {shorter} of {told} replies the server says that it took longer than this client waited for them from the send, by {ms} ms and {ratio} of that or more: one of the two clocks is wrong, or the server counts what was before the request",
        "{told} 个回复中有 {shorter} 个，服务端所述用时比客户端自发送起的等待还长，超出至少 {ms} 毫秒且至少 {ratio}：两个时钟之一有误，或服务端把请求之前的时间也算在内",
    ),
    (
        "for {longer} of {told} replies this client waited longer from the send than the server says that it took, by {ms} ms and {ratio} of that or more (median of all {median} ms): that time is the network's, of what stands before the server, or this client's",
        "{told} 个回复中有 {longer} 个，客户端自发送起的等待比服务端所述用时长，超出至少 {ms} 毫秒且至少 {ratio}（全部回复的中位数为 {median} 毫秒）：这段时间属于网络、服务端之前的设备或客户端",
    ),
    # indicators/throughput_rps.py, latency_p99.py, load_statistics.py: what was not measured
    ("no request succeeded", "没有请求成功"),
    ("no request was sent", "没有发送任何请求"),
    (
        "there is no timed window: the run was too short for a rate",
        "没有计时窗口：运行时间太短，无法得出速率",
    ),
    (
        "too few for a rate: {timed} timed requests succeeded, and {inside} ended well inside the timed window of {window} s; at least {least} of both are needed",
        "数量不足以得出速率：成功的计时请求 {timed} 个，其中在 {window} 秒计时窗口内结束 {inside} 个；两者都至少需要 {least} 个",
    ),
    ("no reply was streamed", "没有流式回复"),
    ("no reply streamed an answer", "没有回复流式返回答案"),
    ("no reply was streamed with a token after its first event", "没有流式回复在首个事件之后还有 token"),
    ("no reply was streamed with a second event", "没有流式回复含有第二个事件"),
    ("the times between events were not recorded", "事件间隔没有记录"),
    ("no reply has tokens that can be counted", "没有回复含有可计数的 token"),
    (
        "not every reply has a count of its prompt's tokens and of its own",
        "并非每个回复都有提示词与自身的 token 数",
    ),
    ("a closed loop asks for no rate", "闭环不要求速率"),
    ("a closed loop has no due times", "闭环没有计划时刻"),
    ("a closed loop asks for no arrival process", "闭环不要求到达过程"),
    ("nothing was sent", "没有发送任何请求"),
    ("nothing was due", "没有计划中的请求"),
    ("nothing was sent in the timed window", "计时窗口内没有发送任何请求"),
    ("no reply states the tokens of its prompt", "没有回复给出提示词的 token 数"),
    ("no reply states how many tokens of its prompt were cached", "没有回复给出提示词中来自缓存的 token 数"),
    ("fewer than two requests were sent", "发送的请求不足两个"),
    ("the timed window has fewer than two whole seconds", "计时窗口不足两个完整的秒"),
    ("no request is held to a limit", "没有对请求设限值"),
    ("no reply has what is limited: {names*}", "没有回复含有被限制的量：{names}"),
    ("the process of the arrivals was not judged", "没有判定到达过程"),
    ("no reply has durations by the server", "没有回复给出服务端用时"),
    ("the evidence of this load does not have it", "本次负载的证据中没有此项"),
    ("no timed request was sent", "没有发送计时请求"),
    (
        "not all shards came, and the process is that of all of them together",
        "分片不全，而到达过程属于全部分片的合计",
    ),
    ("it is not known whether the clocks of the shards agree", "不知道各分片的时钟是否一致"),
    # load/measures/slo_judge.py, indicators/load_probe.py: an SLO
    ("{first*}; {term}<={limit}: {rest*}", "{first}；{term}<={limit}：{rest}"),
    ("{first*}; {term}>={limit}: {rest*}", "{first}；{term}>={limit}：{rest}"),
    ("{term}<={limit}: {why*}", "{term}<={limit}：{why}"),
    ("{term}>={limit}: {why*}", "{term}>={limit}：{why}"),
    ("{said*}; ended early", "{said}；提前结束"),
    ("ended early", "提前结束"),
    ("nothing was measured", "没有测得任何内容"),
    ("no reply has a {name}", "没有回复含有 {name}"),
    ("{said*}; fewer than {rank} show the contrary", "{said}；少于 {rank} 个即证明未达到"),
    (
        "{said*}; at least {least} replies are needed to show it",
        "{said}；至少需要 {least} 个回复才能证明达到",
    ),
    ("{said*}; {rank} would show it", "{said}；需要 {rank} 个才能证明达到"),
    ("{said*}; {rank} show it", "{said}；{rank} 个即可证明达到"),
    ("{within} of {n} replies within {limit} ms", "{n} 个回复中有 {within} 个在 {limit} 毫秒以内"),
    ("at least {least} replies are needed to show it", "至少需要 {least} 个回复才能证明达到"),
    ("{rank} would show it", "需要 {rank} 个才能证明达到"),
    ("replies that never came have no bounded mean", "有回复始终没有到达，均值无界"),
    (
        "mean {mean} ms of {n} replies; {least} are the fewest",
        "{n} 个回复的均值为 {mean} 毫秒；至少需要 {least} 个",
    ),
    (
        "mean {mean} ms of {n} replies, bounds {low} and {high}",
        "{n} 个回复的均值为 {mean} 毫秒，置信界为 {low} 与 {high}",
    ),
    (
        "{count} of {n}, {ratio}, bounds {low} and {high}",
        "{n} 个中有 {count} 个，即 {ratio}，置信界为 {low} 与 {high}",
    ),
    *REQUEST_SENTENCES,
)
"""English with gaps and its twin, as `Twins` takes them. Of several that fit, the first is taken."""


@cache
def _twins() -> Twins:
    return Twins(SENTENCES)


def chinese(sentence: str) -> str:
    """A sentence of a load in Chinese; the sentence itself where it is none of ours, such as a server's words."""
    return _twins().chinese(sentence) or sentence


def told(sentence: object, most: int = 600) -> Both:
    """A sentence of a load in both languages, harmless and short."""
    english = sentence if isinstance(sentence, str) else str(sentence)
    return Both(clean(english, most), clean(chinese(english), most))
