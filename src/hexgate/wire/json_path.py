"""Places in a JSON document, such as ``choices[0].delta.content``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hexgate.errors import InputError

__all__ = ["JsonPath"]

_STEP = re.compile(r"""(?:^|\.)(?P<name>[^.\[\]"'\s]+)|\[(?P<index>\d{1,6})\]|\["(?P<quoted>[^"]*)"\]""")


class JsonPath:
    """Names and indices, one inside the other; ``["a.b"]`` for a name that holds a dot. ``$.`` may stand before it.

    Raises:
        InputError: if the text is no path.
    """

    __slots__ = ("_steps",)

    def __init__(self, text: str, where: str) -> None:
        rest = text.removeprefix("$.") if text.startswith("$.") else text.removeprefix("$")
        steps: list[str | int] = []
        at = 0
        while at < len(rest) and (found := _STEP.match(rest, at)) is not None:
            index, quoted = found["index"], found["quoted"]
            steps.append(int(index) if index is not None else found["name"] if quoted is None else quoted)
            at = found.end()
        if not steps or at < len(rest):
            raise InputError(
                "not a path into a JSON document",
                where=where,
                got=repr(text),
                expected="such as choices[0].delta.content",
            )
        self._steps: Sequence[str | int] = steps

    def find(self, document: Any) -> Any:
        """What is there; None where there is nothing."""
        value = document
        for step in self._steps:
            if isinstance(step, str):
                if not isinstance(value, dict):
                    return None
                value = value.get(step)
            else:
                if not isinstance(value, list) or step >= len(value):
                    return None
                value = value[step]
        return value
