"""What measures of quality refuse, in Chinese: pairs for `Twins`."""

from __future__ import annotations

__all__ = ["QUALITY_ERRORS"]

QUALITY_ERRORS: tuple[tuple[str, str], ...] = (
    # scorers/quality.py, scorers/text_quality.py
    ("there is no measure of quality named {name*}", "没有名为 {name} 的质量度量"),
    ("{name} has no option {option*}", "{name} 没有选项 {option}"),
    ("{name} needs the option {option*}", "{name} 需要选项 {option}"),
    ("this cannot be chosen", "不能选择此项"),
    ("an option of a wrong type", "选项类型错误"),
    ("this option counts words", "此选项是词数"),
    ("1 or more", "1 或更大"),
    # scorers/coverage.py
    ("not the name of a language", "不是语言名称"),
    ("{names*}, both with a comma, or {any}", "{names}，两者以逗号分隔，或 {any}"),
    # scorers/checkpoint.py
    ("this measure cannot use such a checkpoint", "此度量不能使用这种检查点"),
    ("no checkpoint", "没有检查点"),
    ("no weights", "没有权重"),
    ("no tokenizer", "没有分词器"),
    ("a file cannot be read", "文件无法读取"),
    ("config.json is not JSON", "config.json 不是 JSON"),
    ("config.json is not an object", "config.json 不是对象"),
    ("weights are missing", "缺少权重"),
    ("the weights hold more than weights", "权重文件中不只有权重"),
    ("have whoever made them save them as safetensors", "请制作者将其保存为 safetensors"),
    ("transformers cannot load {what*}", "transformers 无法加载 {what}"),
    ("torch cannot use this device", "torch 不能使用此设备"),
    (
        "give a folder that transformers can load without the network: config.json, weights and tokenizer files",
        "请给出 transformers 无需网络即可加载的文件夹：config.json、权重和分词器文件",
    ),
    # scorers/bartscore.py, scorers/bertscore.py
    ("a batch has at least one token", "一批至少有一个词元"),
    ("the device has too little memory for a batch", "设备内存不足以容纳一批"),
    (
        "give a batch_tokens below {tokens}, or another device",
        "请给出小于 {tokens} 的 batch_tokens，或换一个设备",
    ),
    ("the checkpoint has no such layer", "检查点没有这一层"),
)
