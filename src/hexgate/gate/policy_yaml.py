"""Policy files are plain data: YAML without its surprises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from hexgate.contract.plain_yaml import PlainLoader, is_too_long, is_unbounded
from hexgate.errors import PolicyError

__all__ = ["read_yaml"]

_MAX_BYTES = 1024 * 1024


class _Loader(PlainLoader):
    """Keeps the odd keys, so that all of them can be told at once."""

    what = "a policy"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.mistakes: list[str] = []

    def odd_key(self, key: yaml.Node, *, twice: bool) -> None:
        """Keep it."""
        where = f"line {key.start_mark.line + 1}, column {key.start_mark.column + 1}"
        if twice:
            self.mistakes.append(f"{where}: the key {key.value!r} stands twice, and only one could count")
        else:
            self.mistakes.append(f"{where}: got a key that is not a string, expected a name")


def read_yaml(path: Path) -> tuple[Any, list[str], bytes]:
    """The value of a policy file, the mistakes of its form, and its bytes.

    Mistakes that leave something to look at further are returned, so that all of a file can be told at once.

    Raises:
        PolicyError: if the file cannot be read or is not YAML at all.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PolicyError(str(path), [f"the file cannot be read ({error.strerror})"]) from None
    if len(data) > _MAX_BYTES:
        raise PolicyError(str(path), [f"got {len(data)} bytes, expected at most {_MAX_BYTES}"])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PolicyError(str(path), [f"not UTF-8 at byte {error.start}"]) from None
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        value = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise PolicyError(str(path), [f"{where}{error.problem or error.context}"]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise PolicyError(str(path), [f"not YAML: {error}"]) from None
    except RecursionError:
        raise PolicyError(str(path), ["nested too deeply"]) from None
    mistakes = [*loader.mistakes, *_not_finite(value, "$")]
    return value, mistakes, data


def _not_finite(value: Any, path: str) -> list[str]:
    if isinstance(value, dict):
        return [line for key, item in value.items() for line in _not_finite(item, f"{path}.{key}")]
    if isinstance(value, list):
        return [line for index, item in enumerate(value) for line in _not_finite(item, f"{path}[{index}]")]
    if is_unbounded(value):
        return [f"{path}: got {value}, expected a finite number"]
    if is_too_long(value):
        return [f"{path}: got an integer beyond 64 bits, expected a number of ordinary size"]
    return []
