"""`hexgate study`: models compared by what they give and what they cost."""

from __future__ import annotations

from hexgate.cli.language import text
from hexgate.cli.lazy import LazyGroup

__all__ = ["command"]

_COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("Carry a study out, or go on with it.", "执行研究；中断后再次执行即继续。"),
}

command = LazyGroup(
    _COMMANDS,
    "hexgate.cli.study_{}:command".format,
    "study",
    help=text(
        "Studies: models x tasks x loads x repeats, each run kept as it is made.",
        "研究：模型 × 任务 × 负载 × 重复，每次运行即时保存。",
    ),
)
