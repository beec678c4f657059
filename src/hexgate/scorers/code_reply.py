"""The program that a reply holds: its first whole fenced block of the language, as CommonMark fences it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

__all__ = ["Extracted", "program_in"]

_FENCE = re.compile(r"(?P<indent> {0,3})(?P<fence>`{3,}|~{3,})(?P<info>.*)")
_THOUGHT_ENDS = "</think>"


@dataclass(frozen=True)
class Extracted:
    """What was found in a reply."""

    program: str | None
    """The text of the program; None where there is none."""
    reason: str | None
    """Why there is none; None where there is one."""


@dataclass(frozen=True)
class _Block:
    info: str
    text: str
    whole: bool


def program_in(
    reply: str, fences: Collection[str], *, continues: bool = False, names: Collection[str] = ()
) -> Extracted:
    """Find the program in a reply.

    What stands before the end of a thought (``</think>``) is not part of the answer. A block of the language comes
    first, then one that states no language. A reply without any fence is a program as a whole where it continues one,
    or where a line of it defines one of the names.

    Args:
        reply: what a model answered.
        fences: what may stand behind the opening of a block, in lower case.
        continues: whether the model was given the beginning of a program to continue.
        names: functions or classes that tell a program from prose; any where there are none.
    """
    answer = reply.rpartition(_THOUGHT_ENDS)[2]
    blocks = list(_blocks(answer))
    if not blocks:
        wanted = "|".join(map(re.escape, names)) or r"\w+"
        defined = re.search(rf"^(?:async\s+)?(?:def|class)\s+(?:{wanted})\b", answer, re.MULTILINE)
        if defined or (continues and answer.strip()):
            return Extracted(answer, None)
        return Extracted(None, "the reply holds no code block" if answer.strip() else "the reply is empty")
    for languages in (set(fences), {""}):
        for block in blocks:
            if block.info in languages and block.whole and block.text.strip():
                return Extracted(block.text, None)
    if not blocks[-1].whole:
        return Extracted(None, "the code block does not end: the reply was cut off")
    return Extracted(None, "no code block of the reply is of the language and holds anything")


def _blocks(text: str) -> Iterator[_Block]:
    inside: re.Match[str] | None = None
    lines: list[str] = []
    # Not splitlines, which would also break the strings of a program at characters that end no line of it.
    for line in text.replace("\r\n", "\n").split("\n"):
        mark = _FENCE.fullmatch(line)
        if inside is None:
            # Backticks behind backticks are code within a line, no fence.
            if mark and not (mark["fence"][0] == "`" and "`" in mark["info"]):
                inside, lines = mark, []
        elif mark and _closes(mark, inside):
            yield _Block(_language(inside), _joined(lines), whole=True)
            inside = None
        else:
            # A fence that is indented takes as much from the lines of its block.
            indent = min(len(inside["indent"]), len(line) - len(line.lstrip(" ")))
            lines.append(line[indent:])
    if inside is not None:
        yield _Block(_language(inside), _joined(lines), whole=False)


def _closes(mark: re.Match[str], opening: re.Match[str]) -> bool:
    same = mark["fence"][0] == opening["fence"][0] and len(mark["fence"]) >= len(opening["fence"])
    return same and not mark["info"].strip()


def _language(opening: re.Match[str]) -> str:
    words = opening["info"].strip().lower().split()
    return words[0].strip("{}.") if words else ""


def _joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
