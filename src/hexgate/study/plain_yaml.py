"""A study's file as plain data: YAML without its surprises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from hexgate.contract.plain_yaml import PlainLoader, is_too_long, is_unbounded
from hexgate.errors import InputError

__all__ = ["read_plain_yaml"]

_MAX_BYTES = 1024 * 1024


class _Loader(PlainLoader):
    """Refuses the first odd key."""

    what = "a study"

    def odd_key(self, key: yaml.Node, *, twice: bool) -> None:
        """Refuse it."""
        problem = "a key is not a name; put it in quotes"
        if twice:
            problem = f"the key {key.value!r} stands twice, and only one could count"
        raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)


def read_plain_yaml(path: Path) -> Any:
    """The value of a YAML file.

    Raises:
        InputError: if it cannot be read, is not YAML, or holds what is no plain data, with line and column.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"the study cannot be read ({error.strerror})", where=str(path)) from None
    if len(data) > _MAX_BYTES:
        raise InputError(
            "the study is too long",
            where=str(path),
            got=f"{len(data)} bytes",
            expected=f"at most {_MAX_BYTES}",
            hint="items belong into a file of their own",
        )
    try:
        value = yaml.load(data.decode("utf-8-sig"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start}", where=str(path)) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}: line {mark.line + 1}, column {mark.column + 1}" if mark else str(path)
        raise InputError(f"not a study in YAML: {error.problem or error.context}", where=where) from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"not YAML: {' '.join(str(error).split())}", where=str(path)) from None
    except RecursionError:
        raise InputError("nested too deeply", where=str(path)) from None
    _refuse_odd(value, str(path), "")
    return value


def _refuse_odd(value: Any, file: str, path: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_half(str(key), file, path)
            _refuse_odd(item, file, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_odd(item, file, f"{path}[{index}]")
    elif isinstance(value, str):
        _refuse_half(value, file, path)
    elif is_unbounded(value):
        raise InputError("not a finite number", where=f"{file}: {path}", got=str(value))
    elif is_too_long(value):
        raise InputError("an integer beyond 64 bits", where=f"{file}: {path}")


def _refuse_half(text: str, file: str, path: str) -> None:
    """Refuse half a character, such as JSON writes two of for one: it has no UTF-8."""
    if any("\ud800" <= one <= "\udfff" for one in text):
        raise InputError(
            "a text holds half a character",
            where=f"{file}: {path}" if path else file,
            got=ascii(text)[:80],
            hint="write the character itself, and not as two escapes",
        )
