"""Policy files are plain data: YAML without its surprises."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from hexgate.errors import PolicyError

__all__ = ["read_yaml"]

_MAX_BYTES = 1024 * 1024
_TAG = "tag:yaml.org,2002:"


class _PlainLoader(yaml.SafeLoader):
    """Null, true, false, decimal numbers and strings; a key stands once; nothing refers to anything else.

    YAML 1.1 would read ``no`` as false, ``1:30`` as 90, ``010`` as 8 and ``1e-3`` as a string.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 as in the base

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.mistakes: list[str] = []

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, "anchors and aliases are not part of a policy", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            where = f"line {key.start_mark.line + 1}, column {key.start_mark.column + 1}"
            if not isinstance(key, yaml.ScalarNode) or key.tag != f"{_TAG}str":
                self.mistakes.append(f"{where}: got a key that is not a string, expected a name")
            elif key.value in seen:
                self.mistakes.append(f"{where}: the key {key.value!r} stands twice, and only one could count")
            else:
                seen.add(key.value)
        if any(not isinstance(key, yaml.ScalarNode) for key, _ in node.value):
            return {}
        return super().construct_mapping(node, deep)


for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+0123456789."),
    ),
):
    _PlainLoader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"^(?:{_pattern})$"), _first)


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
    loader: _PlainLoader | None = None
    try:
        loader = _PlainLoader(text)
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
    if isinstance(value, float) and not math.isfinite(value):
        return [f"{path}: got {value}, expected a finite number"]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return [f"{path}: got an integer beyond 64 bits, expected a number of ordinary size"]
    return []
