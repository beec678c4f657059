"""YAML without its surprises: plain data, as policies and studies are written."""

from __future__ import annotations

import math
import re
from typing import Any, ClassVar

import yaml

__all__ = ["PlainLoader", "is_too_long", "is_unbounded"]

_TAG = "tag:yaml.org,2002:"


class PlainLoader(yaml.SafeLoader):
    """Null, true, false, decimal numbers and strings; a key stands once; nothing refers to anything else.

    YAML 1.1 would read ``no`` as false, ``1:30`` as 90, ``010`` as 8 and ``1e-3`` as a string.
    """

    what: ClassVar[str]
    """What the file is: ``a policy``."""
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 as in the base

    def odd_key(self, key: yaml.Node, *, twice: bool) -> None:
        """Take note of a key that is no name or, with `twice`, stands a second time."""
        raise NotImplementedError

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse what refers to another place."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, f"anchors and aliases are not part of {self.what}", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping, each odd key of which was told; an empty one where a key is no scalar."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != f"{_TAG}str":
                self.odd_key(key, twice=False)
            elif key.value in seen:
                self.odd_key(key, twice=True)
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
    PlainLoader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"^(?:{_pattern})$"), _first)


def is_unbounded(value: Any) -> bool:
    """Whether a value is a number that is not finite."""
    return isinstance(value, float) and not math.isfinite(value)


def is_too_long(value: Any) -> bool:
    """Whether a value is an integer beyond 64 bits."""
    return isinstance(value, int) and not -(2**63) <= value < 2**63
