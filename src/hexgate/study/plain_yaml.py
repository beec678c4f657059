"""A study's file as plain data: YAML without its surprises."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from hexgate.errors import InputError

__all__ = ["read_plain_yaml"]

_MAX_BYTES = 1024 * 1024
_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """Null, true, false, decimal numbers and strings; a key stands once; nothing refers to anything else.

    YAML 1.1 would read ``off`` as false, ``3:30`` as 210 and ``1e-3`` as a string.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 as in the base

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "anchors and aliases are not part of a study", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != f"{_TAG}str":
                problem = "a key is not a name; put it in quotes"
            elif key.value in seen:
                problem = f"the key {key.value!r} stands twice, and only one could count"
            else:
                seen.add(key.value)
                continue
            raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
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
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"^(?:{_pattern})$"), _first)


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
    _refuse_odd_numbers(value, str(path), "")
    return value


def _refuse_odd_numbers(value: Any, file: str, path: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_odd_numbers(item, file, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_odd_numbers(item, file, f"{path}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError("not a finite number", where=f"{file}: {path}", got=str(value))
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InputError("an integer beyond 64 bits", where=f"{file}: {path}")
