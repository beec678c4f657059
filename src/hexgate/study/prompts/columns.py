"""What columns, levels and categories of a table of prompts are called: several spellings, English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hexgate.study.prompts.levels import LEVELS

__all__ = ["Columns", "category_of", "level_of", "read_header", "title_category"]

_WORD = re.compile("[0-9a-z]+|[\u3400-\u4dbf\u4e00-\u9fff]+")
_NUMBERED = re.compile("(?:level|级别|等级|层级)[ _.-]*([0-3])(?![0-9])")
_PLAIN_TITLE = re.compile(r"(?:sheet|table|tabelle|工作表|表格?)?\s*[0-9]*", re.IGNORECASE)

_NAMES: Mapping[str, frozenset[str]] = {
    "question_id": frozenset(
        {"questionid", "questionno", "questionnumber", "qid", "id", "no", "number"}
        | {"题号", "序号", "编号", "问题id", "题目id", "问题编号", "题目编号", "问题序号"}
    ),
    "category": frozenset(
        {"category", "questioncategory", "class"}
        | {"类别", "分类", "类型", "领域", "题目类别", "问题类别", "任务类别"}
    ),
    "level": frozenset(
        {"level", "promptlevel", "levels"} | {"级别", "等级", "层级", "提示级别", "提示词级别", "prompt级别"}
    ),
    "prompt": frozenset(
        {"prompt", "prompttext", "promptcontent", "generatedprompt"}
        | {"提示", "提示词", "提示文本", "提示内容", "提示词内容", "prompt内容"}
    ),
    "question": frozenset(
        {"question", "originalquestion", "questiontext", "问题", "题目", "原始问题", "原题", "问题内容"}
    ),
    "reference": frozenset(
        {"reference", "references", "referenceanswer", "参考答案", "标准答案", "参考", "参考回答"}
    ),
}
"""What a column holds, by its name without spaces and marks."""

_LEVEL_WORDS: Mapping[str, frozenset[str]] = {
    "L0": frozenset({"l0", "base", "basic", "baseline", "original", "基础", "基础版", "原始", "原始版"}),
    "L1": frozenset({"l1", "clarified", "clarify", "clarification", "澄清", "澄清版"}),
    "L2": frozenset({"l2", "guided", "guide", "guidance", "引导", "引导版"}),
    "L3": frozenset({"l3", "example", "examples", "fewshot", "shot", "示例", "示例版", "范例", "范例版"}),
    "P": frozenset({"p", "padded", "padding", "redundant", "redundancy", "冗余", "冗余版", "填充", "填充版"}),
}
_BESIDE = frozenset({"prompt", "prompts", "text", "version", "few", "with", "版", "版本", "级"})
"""Words that may stand beside the name of a level. With any other the column is something else, such as its tokens."""

_CATEGORY_WORDS: Mapping[str, frozenset[str]] = {
    "writing": frozenset({"writing", "写作"}),
    "roleplay": frozenset({"roleplay", "角色扮演"}),
    "reasoning": frozenset({"reasoning", "推理"}),
    "math": frozenset({"math", "maths", "mathematics", "数学"}),
    "coding": frozenset({"coding", "编程", "代码"}),
    "extraction": frozenset({"extraction", "信息提取", "提取", "信息抽取"}),
    "stem": frozenset({"stem", "科学技术", "理工"}),
    "humanities": frozenset({"humanities", "人文"}),
}


@dataclass(frozen=True)
class Columns:
    """Which column of a table holds what, by its number from 0."""

    known: Mapping[str, int]
    """``question_id``, ``category``, ``level``, ``prompt`` and ``reference``, as far as they are there."""
    levels: Mapping[str, int]
    """A column for each level, where the table has one row a question."""
    further: Mapping[str, int] = field(default_factory=dict)
    """Every other column with a name."""
    twice: tuple[tuple[str, str], ...] = ()
    """What two columns hold, and the name of the second one."""

    @property
    def is_wide(self) -> bool:
        """Whether a row is a question, with a column for each level; else a row is one prompt."""
        return bool(self.levels)


def read_header(cells: Sequence[str]) -> Columns | None:
    """The columns that a row names; None where it is no header: fewer than two columns are known."""
    known: dict[str, int] = {}
    levels: dict[str, int] = {}
    further: dict[str, int] = {}
    twice: list[tuple[str, str]] = []
    for place, cell in enumerate(cells):
        name = cell.strip()
        if not name:
            continue
        kind = _kind_of(name)
        level = level_of(name) if kind is None else None
        if level is not None:
            into, key = levels, level
        elif kind is not None:
            into, key = known, kind
        else:
            into, key = further, name
        if key in into:
            twice.append((key, name))
        else:
            into[key] = place
    if len(known) + len(levels) < 2 or not (levels or "prompt" in known):
        return None
    if {"level", "prompt"} <= known.keys():
        # One row a prompt: a column called "example" or "base" is something else there.
        further.update({cells[place].strip(): place for place in levels.values()})
        levels = {}
    if "question" in known:
        place = known.pop("question")
        # The source's L0 is the question itself.
        if levels and "L0" not in levels:
            levels["L0"] = place
        else:
            further["question"] = place
    return Columns(known, levels, further, tuple(twice))


def level_of(text: str, *, bare: bool = False) -> str | None:
    """The level that a text names, such as ``L1``, ``l1``, ``L1（澄清版）``, ``Prompt L1``, ``guided`` or ``级别 2``.

    Args:
        text: the name of a column or sheet, or a cell of a column of levels.
        bare: whether ``1`` alone is one as well.
    """
    lower = text.strip().casefold()
    if bare and lower in {"0", "1", "2", "3"}:
        return f"L{lower}"
    # Chinese has no spaces: 澄清版提示词 is 澄清版 and 提示词.
    words = _WORD.findall(_NUMBERED.sub(r" l\1 ", lower.replace("提示词", " ").replace("提示", " ")))
    found = {level for level in LEVELS for word in words if word in _LEVEL_WORDS[level]}
    named = frozenset().union(*_LEVEL_WORDS.values())
    if len(found) != 1 or any(word not in named and word not in _BESIDE for word in words):
        return None
    return found.pop()


def category_of(text: str) -> str:
    """The category that a text names: one of the eight of MT-Bench in any of its spellings, else the text itself."""
    words = _WORD.findall(text.casefold())
    joined = "".join(words)
    for category, spellings in _CATEGORY_WORDS.items():
        if joined in spellings or (words and all(word in spellings for word in words)):
            return category
    return text.strip()


def title_category(title: str, *, alone: bool) -> str | None:
    """The category that the title of a sheet says; None where it says none.

    Args:
        title: the title, such as ``writing``, ``写作`` or ``Sheet1``.
        alone: whether there is no other sheet; then only a category of MT-Bench is taken for one.
    """
    if _PLAIN_TITLE.fullmatch(title.strip()):
        return None
    category = category_of(title)
    return None if alone and category not in _CATEGORY_WORDS else category


def _kind_of(name: str) -> str | None:
    joined = "".join(_WORD.findall(name.casefold()))
    return next((kind for kind, names in _NAMES.items() if joined in names), None)
