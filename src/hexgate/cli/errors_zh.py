"""The errors of a load in Chinese: what is wrong, what was expected, and the next step."""

from __future__ import annotations

from functools import cache

from hexgate.cli.meter_zh import METER_ERRORS
from hexgate.cli.quality_zh import QUALITY_ERRORS
from hexgate.cli.studies.artifact_zh import STUDY_ARTIFACT_ERRORS
from hexgate.cli.studies.edge_zh import STUDY_EDGE_ERRORS
from hexgate.cli.studies.export_zh import STUDY_EXPORT_ERRORS
from hexgate.cli.studies.prompts_zh import STUDY_PROMPTS_ERRORS
from hexgate.cli.studies.quality_zh import STUDY_QUALITY_ERRORS
from hexgate.cli.studies.rating_zh import STUDY_RATING_ERRORS
from hexgate.cli.studies.report_zh import STUDY_REPORT_ERRORS
from hexgate.cli.studies.zh import STUDY_ERRORS
from hexgate.report.load_sentences import SENTENCES
from hexgate.report.meter_sentences import METER_SENTENCES
from hexgate.report.studies.reasons import STUDY_REASONS
from hexgate.report.twins import Twins

__all__ = ["ERRORS", "error_in_chinese"]

ERRORS: tuple[tuple[str, str], ...] = (
    # cli/load_options.py, cli/load.py
    ("{first} and {second} exclude each other", "{first} 与 {second} 不能同时使用"),
    ("give one of them", "只给其中一个"),
    ("--think-s needs --turns", "--think-s 需要 --turns"),
    ("a request alone has no next turn", "单个请求没有下一轮"),
    ("--max-in-flight is for a load by the clock", "--max-in-flight 只用于按时钟发送的负载"),
    ("in a closed loop --concurrency is the cap", "闭环的上限就是 --concurrency"),
    ("add {flag*}", "请加上 {flag}"),
    ("--{shape} says itself how long it lasts", "--{shape} 自身已规定时长"),
    ("take {flag} out", "去掉 {flag}"),
    ("take it out", "去掉它"),
    (
        "take --shard, --start-at, --plan-only and --metrics-port out",
        "去掉 --shard、--start-at、--plan-only 和 --metrics-port",
    ),
    ("the trace says when", "何时发送由轨迹决定"),
    ("without a rate, the end of one request sends the next", "没有速率时，一个请求结束才发送下一个"),
    ("--arrival needs --rate, --stages or --ramp", "--arrival 需要 --rate、--stages 或 --ramp"),
    ("gamma arrivals and --burstiness need each other", "伽马到达与 --burstiness 必须同时使用"),
    ("such as --arrival gamma --burstiness 0.5", "例如 --arrival gamma --burstiness 0.5"),
    ("{flag} sends at rates of its own", "{flag} 自行决定发送速率"),
    ("{flag} makes loads of its own", "{flag} 自行发起多次负载"),
    ("--search needs --slo", "--search 需要 --slo"),
    ("say what the rate has to keep: --slo {slo}", "说明该速率须满足什么：--slo {slo}"),
    ("--search needs a term that a load as a whole keeps", "--search 需要一项由整个负载满足的条件"),
    (
        "add a percentile or a ratio, such as goodput_ratio>=0.99",
        "请加一个百分位数或比例，例如 goodput_ratio>=0.99",
    ),
    ("{flag} needs {other}", "{flag} 需要 {other}"),
    ("--out is missing", "缺少 --out"),
    ("name a folder for the artifacts, or add --plan-only", "请指定结果目录，或加上 --plan-only"),
    ("a shard needs the instant that all shards count from", "分片需要一个各分片共同的起点"),
    (
        "add the same --start-at to every shard, some seconds ahead",
        "给每个分片加上相同的 --start-at，取几秒之后",
    ),
    ("there is no such process on this machine", "本机没有这个进程"),
    (
        "give the id of the server's process, or take the flag out",
        "请给出服务端进程的编号，或去掉该选项",
    ),
    ("{feature*} needs packages that are not installed", "{feature}需要的软件包未安装"),
    (
        "in the checkout of hexgate: {first*}, or {second*}",
        "在 hexgate 的代码目录中执行 {first}，或 {second}",
    ),
    ("writing Parquet", "写 Parquet"),
    # load/measures/slo.py
    ("such as {example}", "例如 {example}"),
    ("not the terms of an SLO ({error*})", "不是 SLO 的条件（{error}）"),
    ("an SLO bounds nothing, or the same twice", "SLO 没有限制任何量，或同一量限制了两次"),
    (
        "goodput_ratio needs a limit that each request is held to",
        "goodput_ratio 需要一个对每个请求都适用的限值",
    ),
    ("not a term of an SLO", "不是 SLO 的一项条件"),
    ("an SLO knows no measure {name}", "SLO 中没有 {name} 这个量"),
    ("one of {known*}", "以下之一：{known}"),
    ("{measure} is bounded from the other side", "{measure} 应从另一侧限制"),
    ("a ratio is bounded by a share from 0 to 1", "比例的限值应在 0 到 1 之间"),
    ("no statistic of a time", "不是时间的统计量"),
    (
        "p50, p90, p99, p99.9 …, mean, or none for each request",
        "p50、p90、p99、p99.9 等，mean，或不写（对每个请求）",
    ),
    ("a time is bounded by milliseconds above 0", "时间的限值应为大于 0 的毫秒数"),
    # load/plans/pacers.py, load/plans/plan.py, load/plans/plan_head.py
    ("the rate is out of range", "速率超出范围"),
    ("at least {least}, below {most}", "至少 {least}，小于 {most}"),
    ("above {least}, below {most}", "大于 {least}，小于 {most}"),
    ("the length of a stage is out of range", "一段的时长超出范围"),
    ("stage {number} is not one", "第 {number} 段格式有误"),
    (
        "RATE:SECONDS, separated by commas, such as 10:30,100:60,500:60",
        "速率:秒数，以逗号分隔，例如 10:30,100:60,500:60",
    ),
    ("FROM..TO:SECONDS, such as 10..500:120", "起..止:秒数，例如 10..500:120"),
    ("not a ramp", "不是斜坡"),
    ("too many stages", "段数太多"),
    ("nothing is sent: every stage is a pause", "不会发送任何请求：每一段都是停顿"),
    ("a stage with a rate above 0", "至少一段的速率大于 0"),
    ("the stages last too long", "各段总时长太长"),
    ("too many requests in flight", "在途请求太多"),
    ("a closed loop asks for no rate", "闭环不要求速率"),
    ("stages and ramps have their own rates and length", "分段与斜坡有自己的速率和时长"),
    ("no others beside them", "不再另给"),
    ("an open loop needs a rate, stages or a ramp", "开环需要速率、分段或斜坡"),
    ("an open loop takes requests or a duration, not both", "开环只能给请求数或时长之一"),
    ("the plan lasts too long", "计划时长太长"),
    ("the plan is too large", "计划太大"),
    ("a load plan needs a number of requests or a duration", "负载计划需要请求数或时长"),
    (
        "the due times of the load plan are not those of its kind, in order",
        "负载计划的应发时刻与其类型不符，或未按顺序排列",
    ),
    ("the load plan has another number of rows than its head says", "负载计划的行数与其头部所述不同"),
    ("the load plan has items beyond the number in its head", "负载计划中有超出其头部所述数目的数据项"),
    ("the duration is out of range", "时长超出范围"),
    ("the burstiness is out of range", "burstiness 超出范围"),
    ("gamma arrivals, and no others, have a burstiness", "只有伽马到达才有 burstiness"),
    ("the number of turns is out of range", "轮数超出范围"),
    ("the think time is out of range", "思考时间超出范围"),
    ("max_in_flight is out of range", "在途上限超出范围"),
    ("{name} is out of range", "{name} 超出范围"),
    ("at least {least}", "至少 {least}"),
    ("at most {most} s ago", "至多 {most} 秒前"),
    ("at most {most} s", "至多 {most} 秒"),
    ("at most {most}", "至多 {most}"),
    ("below {most} s", "小于 {most} 秒"),
    ("below {most}", "小于 {most}"),
    ("within {most} s", "{most} 秒以内"),
    ("{least} to {most}", "{least} 至 {most}"),
    ("too many windows", "窗口太多"),
    # load/work_folder.py
    ("another load is at work in this folder", "另一次负载正在使用该目录"),
    ("the trace is no regular file, and is read more than once", "轨迹不是普通文件，而它要读多遍"),
    ("write it to a file first", "请先写入文件"),
    ("give another --out, or wait for its end", "请换一个 --out，或等它结束"),
    # load/plans/trace.py
    (
        "a line of a trace has one instant, and all lines the same kind of it",
        "轨迹的每行有一个时刻，且各行的字段相同",
    ),
    ("timestamp (in milliseconds), or due_s (in seconds)", "timestamp（毫秒）或 due_s（秒）"),
    ("{key} is not a number, or too large", "{key} 不是数字，或太大"),
    ("{key} is not a whole number, or too large", "{key} 不是整数，或太大"),
    ("{key} is before that of the line above", "{key} 早于上一行"),
    ("from the start of the run on, at most {most} s after it", "不早于运行开始，至多在其后 {most} 秒"),
    ("the line is too long", "该行太长"),
    ("at most 1 MiB", "至多 1 MiB"),
    ("the trace cannot be read ({error*})", "轨迹文件无法读取（{error}）"),
    ("the line is not JSON ({error*})", "该行不是 JSON（{error}）"),
    ("the line is not a JSON object", "该行不是 JSON 对象"),
    ("the trace lasts too long at this time scale", "按此时间比例，轨迹太长"),
    ("all lines of a trace name an item, or none does", "轨迹要么每行都指明数据项，要么都不指明"),
    ("hash_ids is not a list of whole numbers", "hash_ids 不是整数列表"),
    ("numbers from 0 to {most}", "0 到 {most} 的整数"),
    ("all lines of a trace have an {name}, or none has", "轨迹要么每行都有 {name}，要么都没有"),
    ("{name} is too large", "{name} 太大"),
    ("one, as in the lines above", "有一个，与前面各行一致"),
    ("the trace says how many prompts there are", "提示词的数量由轨迹规定"),
    ("--requests takes fewer of its lines", "用 --requests 取其中较少的行"),
    ("an item, as in the lines above", "与上面各行一样指明数据项"),
    ("none, as in the lines above", "与上面各行一样不指明数据项"),
    ('such as {"due_s": 1.25} or {"timestamp": 27482}', '例如 {"due_s": 1.25} 或 {"timestamp": 27482}'),
    ("there is no such item", "没有这个数据项"),
    ("the time scale is out of range", "时间比例超出范围"),
    ("the timed part of the trace takes no time: it has no rate", "轨迹的计时部分不占时间：没有速率可言"),
    ("{timed} timed lines after {warmup} of warm-up", "预热 {warmup} 行之后有 {timed} 行计时"),
    ("at least two, not all at one instant", "至少两行，且不全在同一时刻"),
    ("lines in the order of time", "按时间先后排列的行"),
    ("the trace is empty", "轨迹是空的"),
    # load/start.py, load/plans/shard.py, indicators/load_shards.py, indicators/load_merge.py
    ("not an instant in UTC", "不是 UTC 时刻"),
    ("RFC 3339 such as {example}", "RFC 3339，例如 {example}"),
    ("the common start has passed", "共同的起点已过"),
    ("start all shards again with a later --start-at", "用更晚的 --start-at 重新启动全部分片"),
    ("the common start is too far ahead", "共同的起点太远"),
    ("check the clock of this machine, and that the instant is in UTC", "请检查本机时钟，并确认时刻为 UTC"),
    ("there is no such shard", "没有这个分片"),
    ("I/N with 0 <= I < N <= {most}, such as 0/2 and 1/2", "I/N，0 <= I < N <= {most}，例如 0/2 和 1/2"),
    ("not a shard", "不是分片"),
    ("I/N, such as 0/2", "I/N，例如 0/2"),
    (
        "{cap} requests in flight cannot be split over {count} shards",
        "{cap} 个在途请求无法分给 {count} 个分片",
    ),
    ("at least one for each shard", "每个分片至少一个"),
    ("raise --concurrency, or use fewer shards", "请调高 --concurrency，或减少分片"),
    ("shard {place} is there twice", "分片 {place} 出现了两次"),
    ("give each shard once", "每个分片只给一次"),
    ("there is no shard of a load{reasons*}", "没有负载的分片{reasons}"),
    ("there is no shard of a load", "没有负载的分片"),
    ("files such as {name}", "文件，例如 {name}"),
    (
        "give the folders that hexgate load --shard wrote, or where they were collected",
        "请给出 hexgate load --shard 写出的目录，或收集到的目录",
    ),
    ("two shards are not of one load: they differ in {what*}", "两个分片不属于同一次负载：不同之处为 {what}"),
    (
        "merge the shards of one run, started with the same options and data",
        "请合并同一次运行、以相同选项和数据启动的分片",
    ),
    ("merge shards that had the same --start-at", "请合并 --start-at 相同的分片"),
    ("give another folder", "换一个目录"),
    ("give another --out", "换一个 --out"),
    # how a load ended
    (
        "check that it is running and reachable from here; what was measured before is kept",
        "请确认目标在运行且从本机可达；此前测得的内容已保留",
    ),
    ("no request succeeded: all {count} failed", "没有请求成功：{count} 个全部失败"),
    ("look at the server's log; every reply is kept in {file}", "请查看服务端日志；每个回复都保存在 {file}"),
    ("look at the server's log", "请查看服务端日志"),
    ("every reply is kept in {file}", "每个回复都保存在 {file}"),
    (
        "give replies longer with --timeout-s, or ask for fewer tokens or a lower rate",
        "请用 --timeout-s 给回复更长时间，或减少 token 数，或降低速率",
    ),
    (
        "check the model's name, --max-tokens and --extra-body",
        "请检查模型名称、--max-tokens 和 --extra-body",
    ),
    (
        "check the API key: --api-key-env names the environment variable that holds it",
        "请检查 API 密钥：--api-key-env 指明存放它的环境变量",
    ),
    (
        "check what the API key may do: --api-key-env names the environment variable that holds it",
        "请检查 API 密钥的权限：--api-key-env 指明存放它的环境变量",
    ),
    (
        "check the model's name (--model) and the path of the address",
        "请检查模型名称（--model）和地址的路径",
    ),
    ("check --dialect and --extra-body", "请检查 --dialect 和 --extra-body"),
    (
        "the server refuses so many requests: ask for a lower rate or --concurrency",
        "服务端拒绝这么多请求：请降低速率或 --concurrency",
    ),
    ("it cannot be written ({error*})", "无法写入（{error}）"),
    ("the artifact cannot be written ({error*})", "结果无法写入（{error}）"),
    ("make room, or give another folder", "请腾出空间，或换一个目录"),
    # indicators/workload.py, text_asks.py, load_run.py
    ("this target does not give {what}", "该目标不提供 {what}"),
    ("choose --mode {mode}, or another target", "请用 --mode {mode}，或换一个目标"),
    ("choose another target", "请换一个目标"),
    ("a model in this process is not reached over the network", "本进程内的模型不经网络访问"),
    ("a model in this process does not take {flag}", "本进程内的模型不支持 {flag}"),
    ("{flag} is for a target that is reached over the network", "{flag} 只用于经网络访问的目标"),
    ("is for targets that take prompts, and scores are asked for", "只用于接受提示词的目标，而所求为分数"),
    ("vectors have no turns and no end", "向量没有轮次，也没有结尾"),
    ("Ollama has no way to go on after the end of a reply", "Ollama 无法在回复结束后继续生成"),
    (
        "the endpoint does not state the shape of its inputs, so none can be made up",
        "该端点没有说明输入的形状，因此无法自动生成输入",
    ),
    ("there are no conversations without data", "没有数据就没有对话"),
    ("lengths are set of single prompts, not of conversations", "长度只能对单个提示词设定，不能对对话设定"),
    ("take --turns or --input-tokens out", "去掉 --turns 或 --input-tokens"),
    ("not JSON ({error*})", "不是 JSON（{error}）"),
    ("not a JSON object", "不是 JSON 对象"),
    ("{key} is set by the load itself", "{key} 由负载自身设定"),
    ("is its context long enough?", "它的上下文够长吗？"),
    (
        "the lengths of prompts cannot be fitted to the counts of this target",
        "无法按该目标的计数配出提示词长度",
    ),
    ("give a tokenizer with --tokenizer FILE", "请用 --tokenizer FILE 给出分词器"),
    ("no definitions of that tool are known", "没有该工具的定义"),
    # meters/recorder.py
    ("no address of server metrics", "不是服务端指标的地址"),
    ("a URL such as {example}", "URL，例如 {example}"),
    ("an address of server metrics holds credentials", "服务端指标的地址中含有凭据"),
    (
        "leave out what stands before the @; the endpoint must be open to this machine",
        "去掉 @ 之前的部分；该端点须对本机开放",
    ),
)
"""English with gaps and its twin, as `Twins` takes them. Of several that fit, the first is taken."""


@cache
def _twins() -> Twins:
    return Twins(
        (
            *ERRORS,
            *STUDY_ERRORS,
            *STUDY_PROMPTS_ERRORS,
            *STUDY_REPORT_ERRORS,
            *STUDY_EDGE_ERRORS,
            *STUDY_ARTIFACT_ERRORS,
            *METER_ERRORS,
            *QUALITY_ERRORS,
            *STUDY_QUALITY_ERRORS,
            *STUDY_EXPORT_ERRORS,
            *STUDY_RATING_ERRORS,
            *METER_SENTENCES,
            *SENTENCES,
            *STUDY_REASONS,
            # Last: a reason that stands behind the meter or the domain that it is of.
            ("{name}: {reason*}", "{name}：{reason}"),
        )
    )


def error_in_chinese(text: str) -> str:
    """A part of an error in Chinese, each of its sentences that is one of ours; else as it is.

    Several reasons against a load are joined by semicolons, which a reason may have itself: the shortest that is known
    is taken each time.
    """
    return _twins().reasons(text)
