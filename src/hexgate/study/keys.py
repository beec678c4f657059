"""The keys of one mapping of a spec, taken one by one with their type and bounds; what is left over is refused."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NoReturn

from hexgate.errors import InputError

__all__ = ["Keys"]


class Keys:
    """One mapping. Null stands for a key that is not there.

    Every method raises InputError with the path of the key for a value that is not what it should be.

    Args:
        value: what stands in the file.
        file: the file, for messages.
        path: the path of the mapping in it; empty for the whole.
    """

    def __init__(self, value: Any, file: str, path: str = "") -> None:
        self._file = file
        self._path = path
        if not isinstance(value, dict):
            raise InputError("not a mapping of names to values", where=self._place(path), got=_shown(value))
        self._left: dict[str, Any] = dict(value)
        self._asked: list[str] = []

    def where(self, name: str) -> str:
        """The file, and the path of a key in it."""
        return self._place(f"{self._path}.{name}" if self._path else name)

    def refuse(self, name: str, what: str, *, got: str, expected: str, hint: str | None = None) -> NoReturn:
        """Refuse the value of a key."""
        raise InputError(what, where=self.where(name), got=got, expected=expected, hint=hint)

    def raw(self, name: str) -> Any:
        """The value as it stands there; None where it does not."""
        self._asked.append(name)
        return self._left.pop(name, None)

    def text(self, name: str) -> str:
        """A text that must be there."""
        found = self.text_or_none(name)
        if found is None:
            self.refuse(name, f"{name} is missing", got="nothing", expected="a text")
        return found

    def text_or_none(self, name: str) -> str | None:
        """A text, if there is one."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            self.refuse(
                name, f"{name} is not a text", got=_shown(value), expected="a text; quotes make it one"
            )
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A text, or a list of texts; none where it is absent."""
        value = self.raw(name)
        if value is None:
            return ()
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) and one for one in values):
            self.refuse(name, f"{name} is not a list of texts", got=_shown(value), expected="texts")
        return tuple(values)

    def flag_or_none(self, name: str) -> bool | None:
        """True or false, if it is there."""
        value = self.raw(name)
        if value is not None and not isinstance(value, bool):
            self.refuse(
                name, f"{name} is neither true nor false", got=_shown(value), expected="true or false"
            )
        return value

    def whole(self, name: str, default: int, *, least: int, most: int = 2**31) -> int:
        """A whole number within bounds."""
        found = self.whole_or_none(name, least=least, most=most)
        return default if found is None else found

    def whole_or_none(self, name: str, *, least: int, most: int = 2**31) -> int | None:
        """A whole number within bounds, if it is there."""
        value = self.raw(name)
        if value is None:
            return None
        if type(value) is not int or not least <= value <= most:
            expected = f"a whole number from {least} to {most}"
            self.refuse(name, f"{name} is out of range", got=_shown(value), expected=expected)
        return int(value)

    def number(
        self, name: str, default: float, *, least: float = 0.0, most: float = 1e9, above: bool = False
    ) -> float:
        """A number within bounds; above the least one where `above` is true."""
        found = self.number_or_none(name, least=least, most=most, above=above)
        return default if found is None else found

    def number_or_none(
        self, name: str, *, least: float = 0.0, most: float = 1e9, above: bool = False
    ) -> float | None:
        """The same, if it is there."""
        value = self.raw(name)
        if value is None:
            return None
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not good or not least <= value <= most or (above and value == least):
            low = f"above {least:g}" if above else f"at least {least:g}"
            expected = f"a number {low}, at most {most:g}"
            self.refuse(name, f"{name} is out of range", got=_shown(value), expected=expected)
        return float(value)

    def choice(self, name: str, known: Mapping[str, Any], default: str) -> str:
        """One of several words."""
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, str) or value not in known:
            close = get_close_matches(str(value), known, n=1)
            hint = f"did you mean {close[0]}?" if close else None
            expected = "one of " + ", ".join(known)
            self.refuse(name, f"{name} is none of its words", got=_shown(value), expected=expected, hint=hint)
        return value

    def plain(self, name: str) -> dict[str, Any]:
        """A mapping whose keys are free; empty where it is absent."""
        value = self.raw(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.refuse(name, f"{name} is not a mapping", got=_shown(value), expected="names with values")
        return dict(value)

    def below(self, name: str) -> Keys:
        """The keys of a mapping inside; none where it is absent."""
        value = self.raw(name)
        return self.inner(name, {} if value is None else value)

    def inner(self, name: str, value: Any) -> Keys:
        """The keys of a mapping that was taken already."""
        return Keys(value, self._file, self._inside(name))

    def each(self, name: str) -> list[Keys]:
        """The keys of each mapping of a list, of which there must be one."""
        value = self.raw(name)
        if not isinstance(value, list) or not value:
            self.refuse(name, f"{name} is not a list with an entry", got=_shown(value), expected="a list")
        return [Keys(one, self._file, f"{self._inside(name)}[{place}]") for place, one in enumerate(value)]

    def end(self) -> None:
        """Refuse what nobody asked for, naming what may have been meant."""
        for name in self._left:
            close = get_close_matches(name, self._asked, n=1)
            raise InputError(
                "there is no such key",
                where=self.where(name),
                expected="one of " + ", ".join(sorted(set(self._asked))),
                hint=f"did you mean {close[0]}?" if close else None,
            )

    def _inside(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _place(self, path: str) -> str:
        return f"{self._file}: {path}" if path else self._file


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)[:80]
