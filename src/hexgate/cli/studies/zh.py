"""What studies refuse and note, in Chinese: pairs for `Twins`."""

from __future__ import annotations

__all__ = ["STUDY_ERRORS"]

STUDY_ERRORS: tuple[tuple[str, str], ...] = (
    # study/plain_yaml.py, study/keys.py
    ("the study cannot be read ({error*})", "研究描述无法读取（{error}）"),
    ("the study is too long", "研究描述过长"),
    ("items belong into a file of their own", "题目应放在单独的文件中"),
    ("not a study in YAML: {error*}", "不是 YAML 研究描述：{error}"),
    ("not YAML: {error*}", "不是 YAML：{error}"),
    ("not UTF-8 at byte {byte}", "第 {byte} 字节处不是 UTF-8"),
    ("nested too deeply", "嵌套过深"),
    ("not a finite number", "不是有限的数"),
    ("an integer beyond 64 bits", "整数超出 64 位"),
    ("a text holds half a character", "文本含有半个字符"),
    ("write the character itself, and not as two escapes", "请直接写该字符，不要写成两个转义"),
    ("not a mapping of names to values", "不是名称到值的映射"),
    ("there is no such key", "没有这个键"),
    ("did you mean {name}?", "是否指 {name}？"),
    ("{name} is missing", "缺少 {name}"),
    ("{name} is not a text", "{name} 不是文本"),
    ("{name} is not a list of texts", "{name} 不是文本列表"),
    ("{name} is neither true nor false", "{name} 既不是 true 也不是 false"),
    ("{name} is out of range", "{name} 超出范围"),
    ("{name} is none of its words", "{name} 不是可用的取值"),
    ("{name} is not a mapping", "{name} 不是映射"),
    ("{name} is not a list with an entry", "{name} 不是非空列表"),
    ("names with values", "名称到值的映射"),
    ("true or false", "true 或 false"),
    ("a whole number from {least} to {most}", "{least} 到 {most} 的整数"),
    ("a number above {least}, at most {most}", "大于 {least}、不超过 {most} 的数"),
    ("a number at least {least}, at most {most}", "不小于 {least}、不超过 {most} 的数"),
    ("a text; quotes make it one", "文本；可加引号"),
    ("one of {known*}", "以下之一：{known}"),
    # study/spec_file.py, study/items.py, study/opening.py
    ("this version of a study is not understood", "不支持该版本的研究描述"),
    ("not the address of a server", "不是服务地址"),
    ("a study cannot ask this endpoint", "研究无法使用该端点"),
    (
        "an OpenAI-compatible server (http://host:port/v1), ollama://host:port/NAME or gguf:FILE",
        "OpenAI 兼容服务（http://主机:端口/v1）、ollama://主机:端口/名称 或 gguf:文件",
    ),
    ("the target holds credentials", "目标地址中含有凭据"),
    (
        "take them out, and name the environment variable of the key with api_key_env",
        "请去掉，并用 api_key_env 指定存放密钥的环境变量",
    ),
    ("the model has no name", "模型没有名称"),
    ("there is no such energy meter", "没有这种能耗计"),
    ("not a value to compare with", "不是可比较的值"),
    ("not a way of thinking", "不是可用的思考方式"),
    ("the name {name*} stands twice", "名称 {name} 出现了两次"),
    ("rename one", "请改其中一个"),
    ("there is no such file of items", "没有这个题目文件"),
    ("paths are relative to the folder of the study's file", "路径相对于研究描述文件所在目录"),
    ("the task {task} has no item at the load {load}", "任务 {task} 在负载 {load} 下没有题目"),
    ("the model cannot be unloaded before each run", "无法在每次运行前卸载模型"),
    ("Ollama or a GGUF file, where the study says cold: unload", "cold: unload 只用于 Ollama 与 GGUF 文件"),
    ("take cold: nonce, which needs nothing of the server", "请用 cold: nonce，它对服务没有要求"),
    ("a name for it in the study", "它在研究中的名称"),
    ("true, false or default", "true、false 或 default"),
    # study/ledger.py, study/lines.py
    ("another process is running the study in this folder", "另一个进程正在该目录中执行研究"),
    ("wait for its end, or name another --out", "等它结束，或换一个 --out"),
    ("the folder cannot be written ({error*})", "目录无法写入（{error}）"),
    ("the folder holds another study", "目录中是另一项研究"),
    ("a difference in {names*}", "以下内容不同：{names}"),
    ("other items", "题目不同"),
    (
        "the spec and the items with which it began; budget, parallel, expect, quality, judge and rating may change",
        "开始时的描述与题目；只有 budget、parallel、expect、quality、judge、rating 可以改变",
    ),
    ("name another --out, or take the change back", "换一个 --out，或撤回改动"),
    ("the folder holds runs, but no study", "目录中有运行记录，但没有研究"),
    ("name another --out, or bring study.json back", "换一个 --out，或恢复 study.json"),
    ("a run that is not in the plan", "记录的运行不在计划中"),
    ("a run is kept twice", "同一次运行被记录了两次"),
    ("not a study of this version", "不是该版本的研究"),
    ("keep one line", "只保留一行"),
    ("the file cannot be read ({error*})", "文件无法读取（{error}）"),
    # study/runner.py, study/visit.py, cli/studies/run.py
    ("the study was stopped", "研究已停止"),
    ("run the same command again to go on", "再次执行同一命令即可继续"),
    (
        "the study cannot be written ({error*}); what was written before is kept",
        "研究无法写入（{error}）；已写入的内容仍保留",
    ),
    ("make room and run the same command again", "腾出空间后再次执行同一命令"),
    ("the budget of the study is spent, and runs are left", "研究的预算已用尽，还有运行未完成"),
    (
        "give it more and run the same command again: it goes on where it stopped",
        "增加预算后再次执行同一命令，将从停止处继续",
    ),
    ("the endpoint has not answered {count} runs in a row", "端点连续 {count} 次运行没有应答"),
    (
        "the model or its server is another one than in the model's first visit",
        "模型或其服务与该模型第一轮时不同",
    ),
    ("one configuration in all runs of a model", "同一模型的所有运行使用同一配置"),
    (
        "bring the earlier one back and run the same command again, or begin anew in another --out",
        "恢复原来的配置后再次执行同一命令，或换一个 --out 重新开始",
    ),
    (
        "{model}: {failed} of {count} warm-up requests failed ({reason*})",
        "{model}：{count} 次预热请求中有 {failed} 次失败（{reason}）",
    ),
    (
        "{failed} of {count} warm-up requests failed ({reason*})",
        "{count} 次预热请求中有 {failed} 次失败（{reason}）",
    ),
    (
        (
            "{domain} is also read for the model {name*}, which may run at the same time; name the domains of each "
            "model (models[].domains), or run without --parallel"
        ),
        "{domain} 也用于可能同时运行的模型 {name}；请为每个模型指明 domains（models[].domains），或不用 --parallel",
    ),
    ("less than {most}", "小于 {most}"),
    (
        "start the server and run the same command again: these runs are made again, no other is",
        "启动服务后再次执行同一命令：只重做这些运行",
    ),
    ("the server does not serve {model}", "服务端不提供 {model}"),
    ("the server serves: {names*}", "服务端提供：{names}"),
    (
        "name one of the server's models: the key model of this model in the study's file",
        "请指定服务端的一个模型：研究文件中该模型的 model 键",
    ),
    ("{model}: no energy is measured: {lacks*}", "{model}：不测量能耗：{lacks}"),
    ("name a folder for the study, or add --plan-only", "请指定研究的目录，或加上 --plan-only"),
    ("stopping when the requests in flight have ended", "等在途请求结束后停止"),
    ("the table of results cannot be written ({error*})", "结果表无法写入（{error}）"),
    (
        "the sensors need quiet edges of {before} s and {after} s: before_s and after_s are shorter",
        "传感器需要前 {before} 秒、后 {after} 秒的静默，当前 before_s 与 after_s 更短",
    ),
)
"""English with gaps and its twin. Of several that fit, the first is taken."""
