"""What the commands about prompts refuse and note, in Chinese: pairs for `Twins`."""

from __future__ import annotations

__all__ = ["STUDY_PROMPTS_ERRORS"]

STUDY_PROMPTS_ERRORS: tuple[tuple[str, str], ...] = (
    # study/prompts/levels.py, study/prompts/table.py
    ("{count} mistake in the prompts:{lines*}", "提示词中有 {count} 处错误：{lines}"),
    ("{count} mistakes in the prompts:{lines*}", "提示词中有 {count} 处错误：{lines}"),
    ("sheet {sheet*}, row {row}", "工作表 {sheet} 第 {row} 行"),
    ("{file*}, row {row}", "{file} 第 {row} 行"),
    ("sheet {sheet*}", "工作表 {sheet}"),
    ("the categories {one*} and {other*} would share a file", "类别 {one} 与 {other} 会写入同一个文件"),
    ("rename one of them", "请改其中一个的名称"),
    ("the prompts cannot be written ({error*})", "提示词无法写入（{error}）"),
    ("there is no table of prompts in it", "其中没有提示词表格"),
    (
        "columns question_id, category, L0, L1, L2, L3 and P, or question_id, category, level, prompt",
        "列 question_id、category、L0、L1、L2、L3、P，或 question_id、category、level、prompt",
    ),
    (
        "the names of the columns may be Chinese; see docs/studies/prompts.md",
        "列名可以是中文，见 docs/studies/prompts.md",
    ),
    ("no row names the columns of prompts", "没有一行给出提示词的列名"),
    ("no row follows the names of the columns", "列名之后没有数据行"),
    (
        "question {id*} of {category*} stands already in {where*}",
        "类别 {category} 的题目 {id} 已出现在 {where}",
    ),
    ("question {id*} of {category*} has no {level}", "类别 {category} 的题目 {id} 缺少 {level}"),
    (
        "question {id*} of {category*} has another reference in {where*}",
        "类别 {category} 的题目 {id} 在 {where} 的参考答案与此不同",
    ),
    ("{name*} is a second column of {key}", "{name} 是 {key} 的第二列"),
    ("no column holds the ids of questions", "没有题目编号列"),
    (
        "no column holds the categories, and the name of the sheet is none",
        "没有类别列，工作表名称也不是类别",
    ),
    ("no column holds level {level}", "没有级别 {level} 的列"),
    ("no column holds the levels, and the name of the sheet is none", "没有级别列，工作表名称也不是级别"),
    ("the level is {got*}, expected one of {known*}", "级别是 {got}，应为以下之一：{known}"),
    (
        "{level} of question {id*} ({category*}) stands already in {where*}",
        "题目 {id}（{category}）的 {level} 已出现在 {where}",
    ),
    (
        "{level} of question {id*} ({category*}) is {odd*}, expected a text",
        "题目 {id}（{category}）的 {level} 是{odd}，应为文本",
    ),
    (
        "{level} of question {id*} ({category*}) holds a null character",
        "题目 {id}（{category}）的 {level} 含有空字符",
    ),
    ("{level} of question {id*} ({category*}) is empty", "题目 {id}（{category}）的 {level} 为空"),
    ("{what*} is {odd*}, expected a text or a whole number", "{what}是{odd}，应为文本或整数"),
    ("it is empty", "内容为空"),
    ("the id of the question is empty", "题目编号为空"),
    ("the category is empty", "类别为空"),
    ("{what} is empty", "{what} 为空"),
    ("the id of the question", "题目编号"),
    ("the category", "类别"),
    ("a number", "数值"),
    ("a date", "日期"),
    ("a truth value", "逻辑值"),
    ("the error {error}", "错误值 {error}"),
    # study/prompts/workbook.py
    ("there is no such table of prompts", "没有这个提示词表格"),
    ("not a table of prompts", "不是提示词表格"),
    (".xlsx, .csv or .tsv", ".xlsx、.csv 或 .tsv"),
    ("save it as .xlsx, or as CSV in UTF-8", "请另存为 .xlsx，或 UTF-8 编码的 CSV"),
    (
        "prompts are made of questions by: hexgate study prompts build",
        "由题目生成提示词请用：hexgate study prompts build",
    ),
    ("not CSV ({error*})", "不是 CSV（{error}）"),
    ("reading a spreadsheet", "读取电子表格"),
    ("the spreadsheet cannot be read ({error*})", "电子表格无法读取（{error}）"),
    ("the spreadsheet is too large", "电子表格过大"),
    ("not a spreadsheet that can be read", "不是可读取的电子表格"),
    ("an Excel workbook (.xlsx)", "Excel 工作簿（.xlsx）"),
    (
        "open it in a spreadsheet program and save it as .xlsx again",
        "请用表格软件打开并重新另存为 .xlsx",
    ),
    # study/prompts/check.py
    ("there are no prompts in this folder", "该目录中没有提示词"),
    (
        "make them with: hexgate study prompts convert, or build",
        "请用 hexgate study prompts convert 或 build 生成",
    ),
    (
        "{level} has {length} {unit}, {before} has {other}",
        "{level} 的长度为 {length}（{unit}），{before} 为 {other}",
    ),
    ("characters", "字符"),
    ("tokens", "token"),
    ("files named <category>{suffix}", "名为 <类别>{suffix} 的文件"),
    # study/prompts/questions.py, study/prompts/template.py
    ("there is no such file of questions", "没有这个题目文件"),
    ("questions are JSON Lines in the form of MT-Bench", "题目应为 MT-Bench 格式的 JSON Lines"),
    (
        "a table that holds the prompts already is read by: hexgate study prompts convert",
        "已含提示词的表格请用：hexgate study prompts convert",
    ),
    ("there is no such template", "没有这个模板"),
    ("this version of a template is not understood", "不支持该版本的模板"),
    ("the template has no language", "模板中没有任何语言"),
    ("a block en or zh", "en 或 zh 部分"),
    ("the template has no words for the language {lang}", "模板中没有语言 {lang} 的文字"),
    ("the template has no words for the category {category*}", "模板中没有类别 {category} 的文字"),
    ("one of that name, or any", "该名称的部分，或 any"),
    ("a block of that name", "该名称的部分"),
    ("what stands between two sentences", "两句之间的连接文字"),
    (".jsonl or .json", ".jsonl 或 .json"),
    ("a list of sentences", "句子列表"),
    ("a list of texts", "文本列表"),
    # study/prompts/model.py
    ("this target gives no text", "该目标不生成文本"),
    ("the making of prompts was stopped", "提示词的生成已停止"),
    (
        "what was made is kept; run the same command again to go on",
        "已生成的内容仍保留；再次执行同一命令即可继续",
    ),
    ("the endpoint refuses the calls", "端点拒绝请求"),
    ("the endpoint has not answered {count} calls in a row", "端点连续 {count} 次请求没有应答"),
    ("a line of the prompts is none of ours ({error*})", "提示词记录中有一行无法识别（{error}）"),
    ("it holds a null character", "含有空字符"),
    ("it does not hold the question word for word", "没有逐字保留题目"),
    (
        "it has {length} characters, the level before has {other}",
        "共 {length} 个字符，而前一级有 {other} 个",
    ),
    (
        "the reply does not hold one text between <prompt> and </prompt>",
        "回复中没有唯一一段位于 <prompt> 与 </prompt> 之间的文字",
    ),
    ("the reply did not end by itself (finish: {finish*})", "回复没有自行结束（finish：{finish}）"),
    # cli/studies/prompts_build.py
    ("--template and --target exclude each other", "--template 与 --target 不能同时使用"),
    ("{flag} needs --target", "{flag} 需要 --target"),
    ("add --target, or take {flag} out", "加上 --target，或去掉 {flag}"),
)
"""English with gaps and its twin. Of several that fit, the first is taken."""
