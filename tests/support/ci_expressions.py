"""The part of GitHub's expression language that our workflows use, evaluated."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|([A-Za-z_][\w.-]*(?:\(\))?)|(==|!=|&&|\|\||!|\(|\)))")


def evaluate(text: str, contexts: Mapping[str, Any], functions: Mapping[str, Callable[[], bool]]) -> Any:
    """The value of an expression; a property that there is not is an empty string, as GitHub has it.

    Raises:
        ValueError: for anything that this part of the language does not have.
    """
    reader = _Reader(text, contexts, functions)
    value = reader.either()
    if reader.tokens:
        raise ValueError(f"not understood: {reader.tokens} in {text!r}")
    return value


def interpolate(text: str, contexts: Mapping[str, Any]) -> str:
    """A string with each ``${{ … }}`` in it replaced by its value."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(evaluate(found[1], contexts, {})), text)


class _Reader:
    def __init__(self, text: str, contexts: Mapping[str, Any], functions: Mapping[str, Any]) -> None:
        self.contexts = contexts
        self.functions = functions
        self.tokens: list[str] = []
        position = 0
        text = text.strip()
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise ValueError(f"not understood: {text[position:]!r}")
            self.tokens.append(found[1] or found[2] or found[3])
            position = found.end()

    def _take(self, *wanted: str) -> str | None:
        return self.tokens.pop(0) if self.tokens and self.tokens[0] in wanted else None

    def either(self) -> Any:
        value = self.both()
        while self._take("||"):
            other = self.both()
            value = value or other
        return value

    def both(self) -> Any:
        value = self.compared()
        while self._take("&&"):
            other = self.compared()
            value = value and other
        return value

    def compared(self) -> Any:
        value = self.single()
        operator = self._take("==", "!=")
        if operator is None:
            return value
        same = str(value) == str(self.single())
        return same if operator == "==" else not same

    def single(self) -> Any:
        if self._take("!"):
            return not self.single()
        if self._take("("):
            value = self.either()
            assert self._take(")")
            return value
        token = self.tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token.endswith("()"):
            return self.functions[token[:-2]]()
        value: Any = self.contexts
        for key in token.split("."):
            value = value.get(key, "") if isinstance(value, Mapping) else ""
        return value
