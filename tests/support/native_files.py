"""Native job files for tests: change one place of one, and see which layers refuse it and where."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import yaml

from hexgate.platforms.base import Layer, Native, Platform

Change = Callable[[Any], object]
"""Changes what a file holds, in place."""


def put(*path: str | int, value: Any) -> Change:
    """Set one place."""

    def change(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


def drop(*path: str | int) -> Change:
    """Take one place away."""

    def change(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


def rename(*path: str | int, to: str) -> Change:
    """Give one key another name."""

    def change(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        content[to] = content.pop(path[-1])

    return change


ODD: tuple[Any, ...] = (None, -1.5, True, "", [1], {"a": [None]})
"""Values that hardly any place takes."""


def places(content: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """Every place below the top of what a file holds."""
    if path:
        yield path
    keyed = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content)
        if isinstance(content, list)
        else ()
    )
    for key, inner in keyed:
        yield from places(inner, *path, key)


def changed(text: str, name: str, change: Change) -> Native:
    """The file after a change. It is written as JSON, which is YAML too."""
    content = copy.deepcopy(_content(text, name))
    change(content)
    return {name: json.dumps(content)}


@cache
def _content(text: str, name: str) -> Any:
    return json.loads(text) if name.endswith(".json") else yaml.safe_load(text)


def refusals(platform: Platform, files: Native) -> dict[Layer, list[str]]:
    """What layers VENDOR and RULES say: ``path: problem`` each."""
    vendor = platform.check(files)
    assert vendor.skipped is None, vendor.skipped
    return {
        Layer.VENDOR: [f"{found.path}: {found.problem}" for found in vendor.findings],
        Layer.RULES: [f"{found.path}: {found.problem}" for found in platform.native_findings(files)],
    }
