"""Whether everything that a module refuses is told in Chinese too."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from types import ModuleType

from hexgate.cli.errors_zh import error_in_chinese

__all__ = ["check_twin", "without_twin"]

_HAN = re.compile("[\u4e00-\u9fff]")
_FIGURE = "7"
"""Stands in every gap."""

_FIRST = {
    **dict.fromkeys(("InputError", "DataError", "EvidenceError"), 0),
    **dict.fromkeys(("TargetFailed", "TargetUnusable", "Interrupted"), 0),
    **dict.fromkeys(("_refuse", "_failed"), 0),
    **dict.fromkeys(("MissingExtra", "refuse", "_tell"), 1),
}
"""Calls that say what is wrong, and which of their arguments says it."""
_ALL_FROM = {"_nowhere": 0, "violation": 1, "not_applicable": 1}
"""Calls whose arguments from this one on are all told."""


def _sentences(module: ModuleType) -> set[str]:
    """What a module says is wrong, was expected and comes next, with a figure in each gap."""
    found = set[str]()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        for part in _told(node):
            found |= {one for one in _texts(part, module) if re.search("[a-z]{2} [a-z]", one)}
    return found


def without_twin(name: str) -> list[str]:
    """The sentences of a module that have no Chinese twin.

    Raises:
        AssertionError: if the module has no sentence at all: then the wrong place was looked at.
    """
    found = _sentences(importlib.import_module(name))
    assert found, name
    return sorted(one for one in found if not _HAN.search(error_in_chinese(one)))


def check_twin(english: str, twin: str) -> None:
    """Check that a twin names no gap that its sentence lacks, and that it is found.

    Raises:
        AssertionError: if it does, or is not.
    """
    assert set(re.findall(r"\{(\w+)\}", twin)) <= set(re.findall(r"\{(\w+)\*?\}", english))
    filled = re.sub(r"\{\w+\*?\}", _FIGURE, english)
    told = error_in_chinese(filled)
    assert _HAN.search(told) or told == twin != filled


def _told(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Call):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in _ALL_FROM:
            return node.args[_ALL_FROM[name] :]
        if name in _FIRST:
            at = _FIRST[name]
            return [
                *node.args[at : at + 1],
                *(one.value for one in node.keywords if one.arg in {"expected", "hint"}),
            ]
    if isinstance(node, (ast.Return, ast.Yield)):
        if isinstance(node.value, ast.Tuple):
            return node.value.elts
        if isinstance(node.value, ast.JoinedStr):
            return [node.value]
    return []


def _texts(part: ast.expr, module: ModuleType) -> Iterator[str]:
    if isinstance(part, ast.IfExp):
        yield from _texts(part.body, module)
        yield from _texts(part.orelse, module)
    elif isinstance(part, ast.JoinedStr):
        yield "".join(str(one.value) if isinstance(one, ast.Constant) else _FIGURE for one in part.values)
    elif isinstance(part, ast.Constant) and isinstance(part.value, str):
        yield part.value
    elif isinstance(part, ast.Name) and isinstance(known := getattr(module, part.id, None), str):
        yield known
