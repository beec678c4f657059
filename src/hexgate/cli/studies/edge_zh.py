"""What GGUF files, llama.cpp and packages refuse, in Chinese: pairs for `Twins`."""

from __future__ import annotations

__all__ = ["STUDY_EDGE_ERRORS"]

STUDY_EDGE_ERRORS: tuple[tuple[str, str], ...] = (
    # study/edge/gguf_file.py, study/edge/gguf_server.py
    ("the model's file cannot be read ({error*})", "模型文件无法读取（{error}）"),
    ("a GGUF file", "GGUF 文件"),
    ("not a GGUF file", "不是 GGUF 文件"),
    ("a file that begins with GGUF", "以 GGUF 开头的文件"),
    ("this version of GGUF is not understood", "不支持该版本的 GGUF"),
    ("2 or 3, little endian", "2 或 3，小端序"),
    ("a tensor of the header is none", "文件头中的张量无效"),
    ("a value of the header has an unknown type", "文件头中的值类型未知"),
    ("a list of the header has an unknown type", "文件头中的列表类型未知"),
    ("a count of the header cannot be", "文件头中的数量不可能"),
    ("the GGUF file is cut off", "GGUF 文件不完整"),
    ("copy or download it again", "请重新复制或下载"),
    ("the whole file", "完整的文件"),
    ("a type of GGUF", "GGUF 的类型"),
    ("numbers or texts", "数字或文本"),
    ("{count} at most", "最多 {count}"),
    # study/edge/gguf_target.py
    ("a file from {folder*} on", "从 {folder} 起的文件路径"),
    ("a GGUF file has no {name}", "GGUF 文件没有 {name}"),
    ("there is no such GGUF file", "没有这个 GGUF 文件"),
    ("several files cannot have one name", "多个文件不能共用一个名称"),
    ("no name: each is called by its file", "不写名称：各以文件名称呼"),
    # study/edge/llama_process.py
    ("there is no such program", "没有这个程序"),
    ("llama.cpp's llama-server", "llama.cpp 的 llama-server"),
    ("a GGUF file, where there is no {program} on the path,", "PATH 中没有 {program} 时，GGUF 文件"),
    ("the endpoint failed: {failure*}", "端点失败：{failure}"),
    # study/edge/package.py, cli/studies/run.py
    ("two models have one file name", "两个模型的文件名相同"),
    ("the package cannot be written ({error*})", "打包文件无法写出（{error}）"),
    ("the key in {name} stands in a file of the study", "{name} 中的密钥出现在研究的文件中"),
    ("what looks like a key stands in a file of the study", "研究的文件中有疑似密钥的内容"),
    ("a path of this machine stands in the study", "研究描述中有本机路径"),
    ("write it from the folder of the study's file", "请写成相对于研究描述文件所在目录的路径"),
    ("a file hexgate-….whl", "名为 hexgate-….whl 的文件"),
    ("not a wheel of hexgate", "不是 hexgate 的 wheel 文件"),
    ("the study has no such task", "研究中没有这个任务"),
)
"""English with gaps and its twin. Of several that fit, the first is taken."""
