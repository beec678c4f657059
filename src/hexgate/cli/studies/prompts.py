"""`hexgate study prompts`: the prompts of a prompt-length study, five levels of each question."""

from __future__ import annotations

from hexgate.cli.language import text
from hexgate.cli.lazy import LazyGroup

__all__ = ["command"]

_COMMANDS: dict[str, tuple[str, str]] = {
    "convert": (
        "A spreadsheet or table of prompts to one CSV file a category.",
        "把提示词表格转换为每类一个 CSV 文件。",
    ),
    "build": (
        "The five levels of questions, by a template or by a model.",
        "用模板或模型由题目生成五级提示词。",
    ),
    "check": (
        "Whether every question has every level, and longer ones.",
        "检查每题的级别是否齐全、长度是否递增。",
    ),
}

command = LazyGroup(
    _COMMANDS,
    "hexgate.cli.studies.prompts_{}:command".format,
    "prompts",
    help=text(
        "Prompts of a prompt-length study: each question as it is (L0), clarified (L1), guided (L2), with examples "
        "(L3) and padded (P).",
        "提示词长度研究的提示词：每题分为原题（L0）、澄清（L1）、引导（L2）、示例（L3）与冗余（P）五级。",
    ),
)
