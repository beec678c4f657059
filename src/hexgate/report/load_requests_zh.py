"""What became of requests, what was sent, and the stages of a load, in Chinese."""

from __future__ import annotations

__all__ = ["REQUEST_SENTENCES"]

REQUEST_SENTENCES: tuple[tuple[str, str], ...] = (
    # failures of requests
    ("timeout: {detail*}", "超时（timeout）：{detail}"),
    ("truncated: {detail*}", "不完整（truncated）：{detail}"),
    ("cut: {detail*}", "连接中断（cut）：{detail}"),
    ("empty: {detail*}", "空回复（empty）：{detail}"),
    ("connection: {detail*}", "连接失败（connection）：{detail}"),
    ("protocol: {detail*}", "协议错误（protocol）：{detail}"),
    ("client: {detail*}", "客户端资源不足（client）：{detail}"),
    ("abandoned: {detail*}", "运行结束时未完成（abandoned）：{detail}"),
    ("skipped: {detail*}", "已跳过（skipped）：{detail}"),
    ("not_sent: {detail*}", "未发送（not_sent）：{detail}"),
    ("server: {detail*}", "服务端报错（server）：{detail}"),
    ("http_{status}: {detail*}", "HTTP {status}（http_{status}）：{detail}"),
    ("target: {detail*}", "目标（target）：{detail}"),
    ("no connection within {limit} s", "{limit} 秒内未能建立连接"),
    ("no whole reply within {limit} s", "{limit} 秒内没有完整回复"),
    ("the run was over before the request was sent", "请求发送前运行已结束"),
    ("the run was over before the reply was", "回复完成前运行已结束"),
    ("the run was over", "运行已结束"),
    ("the run was stopped", "运行被停止"),
    ("a turn before it did not succeed", "此前的一轮对话没有成功"),
    ("{host} has no address", "{host} 没有地址"),
    ("the connection was closed before the request was written", "请求写出前连接已被关闭"),
    ("the server switched to another protocol", "服务端切换到了另一种协议"),
    ("not HTTP/1.1 ({error*})", "不是 HTTP/1.1（{error}）"),
    ("the body is larger than {most} bytes", "正文超过 {most} 字节"),
    ("closed by the server", "被服务端关闭"),
    (
        "the connection was lost {size} bytes into the body ({reason*})",
        "正文收到 {size} 字节后连接中断（{reason}）",
    ),
    ("the connection was lost before a reply ({reason*})", "回复到达前连接中断（{reason}）"),
    (
        "redirected ({status}) to {address*}; redirects are not followed, so name that address instead",
        "被重定向（{status}）到 {address}；不跟随重定向，请直接使用该地址",
    ),
    ("an address that it does not name", "未给出的地址"),
    ("an address that is not one", "无效的地址"),
    ("a reply without text, finished as {reason}", "回复没有文本，结束原因为 {reason}"),
    ("a reply without text", "回复没有文本"),
    ("a reply without a vector", "回复没有向量"),
    ("a reply without scores", "回复没有分数"),
    ("{rows} rows of scores where {inputs} were asked for", "返回 {rows} 行分数，要求 {inputs} 行"),
    (
        "rows of {least} and of {most} scores in one reply",
        "同一回复中各行分数的个数不一（{least} 与 {most}）",
    ),
    (
        "{count} scores for an input, which tell no class from another",
        "一个输入只有 {count} 个分数，无法区分类别",
    ),
    (
        "{count} scores for an input where there are {classes} classes",
        "一个输入有 {count} 个分数，而类别有 {classes} 个",
    ),
    ("no message", "没有说明"),
    (
        "the content encoding {name} was not asked for and is not understood",
        "内容编码 {name} 不在请求之列，无法解码",
    ),
    ("the body is not {name} ({error*})", "正文不是 {name}（{error}）"),
    ("the body grows above {most} bytes", "正文解压后超过 {most} 字节"),
    ("the {name} body is cut short", "{name} 正文不完整"),
    # what was sent, and the stages of a load
    ("load", "负载"),
    ("search {number}", "搜索 {number}"),
    ("sweep {number}", "扫描 {number}"),
    ("sweep/finding {number}", "扫描（寻找最大吞吐） {number}"),
    (
        "hexgate's own sentences, {words} words a prompt, seed {seed}",
        "hexgate 自带句子，每个提示词 {words} 词，种子 {seed}",
    ),
    (
        "hexgate's own sentences, {tokens*} tokens a prompt, seed {seed}",
        "hexgate 自带句子，每个提示词 {tokens} 个 token，种子 {seed}",
    ),
    (
        "{name*}, made into prompts of {tokens*} tokens, seed {seed}",
        "{name}，拼成 {tokens} 个 token 的提示词，种子 {seed}",
    ),
    (
        "random inputs, uniform in {least} to {greatest}, seed {seed}",
        "随机输入，{least} 至 {greatest} 均匀分布，种子 {seed}",
    ),
    (
        "{pace*}, {count} warm-up, then {length*}: about {seconds} s",
        "{pace}，预热 {count} 个，随后 {length}：约 {seconds} 秒",
    ),
    ("{pace*}, {count} warm-up, then {length*}", "{pace}，预热 {count} 个，随后 {length}"),
    ("{pace*}, {count} warm-up: about {seconds} s", "{pace}，预热 {count} 个：约 {seconds} 秒"),
    ("{pace*}, {count} warm-up", "{pace}，预热 {count} 个"),
    ("stages {stages} ({thing*}/s:s)", "分段 {stages}（每秒{thing}:秒）"),
    ("ramp {ramp} ({thing*}/s:s)", "渐变 {ramp}（每秒{thing}:秒）"),
    ("requests", "请求数"),
    ("conversations of {turns} turns", "{turns} 轮对话数"),
    ("the trace {name}, {length*}", "轨迹 {name}，{length}"),
    ("the trace {name}", "轨迹 {name}"),
    ("{rate} requests/s, {length*}", "每秒 {rate} 个请求，{length}"),
    ("{rate} requests/s", "每秒 {rate} 个请求"),
    ("{rate} conversations of {turns} turns/s, {length*}", "每秒 {rate} 个 {turns} 轮对话，{length}"),
    ("{rate} conversations of {turns} turns/s", "每秒 {rate} 个 {turns} 轮对话"),
    ("{slots} in flight, {length*}", "保持 {slots} 个在途，{length}"),
    ("{slots} in flight", "保持 {slots} 个在途"),
    ("{seconds} s", "{seconds} 秒"),
    ("{count} requests", "{count} 个请求"),
    ("{count} conversations of {turns} turns", "{count} 个 {turns} 轮对话"),
    (
        "{count} untimed requests find out how the server counts tokens",
        "用 {count} 个不计时的请求了解服务端如何计 token",
    ),
)
"""English with gaps and its twin, as `Twins` takes them."""
