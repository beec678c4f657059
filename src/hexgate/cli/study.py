"""`hexgate study`: models compared by what they give and what they cost."""

from __future__ import annotations

from hexgate.cli.language import text
from hexgate.cli.lazy import LazyGroup

__all__ = ["command"]

_COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("Carry a study out, or go on with it.", "执行研究；中断后再次执行即继续。"),
    "watch": ("Serve the page of a study live while it runs.", "以网页实时显示研究的进展。"),
    "score": ("Mark the runs of a study by measures of quality.", "按质量度量为研究的运行评分。"),
    "judge": ("Have the replies of a study judged by a model.", "由模型评判研究中的回答。"),
    "check": ("Check whether a study is complete and holds together.", "检查研究是否完整且前后一致。"),
    "report": (
        "Write the page of a study: one HTML file that opens offline.",
        "生成研究的页面：一个可离线打开的 HTML 文件。",
    ),
    "rate": (
        "Rate the models of a study, A to G, and draw their labels.",
        "为研究中的模型评级（A 至 G）并绘制标签。",
    ),
    "export": ("Write a study as tables, texts and workbooks.", "将研究导出为表格、文本与工作簿。"),
    "artifact": (
        "Make of a model's runs an artifact that the gate judges.",
        "将某个模型的运行做成可供门禁判定的结果。",
    ),
    "prompts": (
        "The prompts of a prompt-length study: convert, build, check.",
        "提示词长度研究的提示词：转换、生成、检查。",
    ),
    "package": ("Pack a study for the device that it is to run on.", "将研究打包，供目标设备运行。"),
}

command = LazyGroup(
    _COMMANDS,
    "hexgate.cli.studies.{}:command".format,
    "study",
    help=text(
        "Studies: models x tasks x loads x repeats, each run kept as it is made.",
        "研究：模型 × 任务 × 负载 × 重复，每次运行即时保存。",
    ),
)
