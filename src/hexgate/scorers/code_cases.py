"""What tests bring besides lines to be run: a program's beginning, cases of unittest. Runs inside the sandbox only."""

from __future__ import annotations

import ast
import sys
import warnings
from types import CodeType
from typing import Any

__all__ = ["Unfit", "names_of", "run_cases"]

_NAME = "tests"
_DOCTEST = frozenset({"DocTestRunner", "run_docstring_examples", "testfile", "testmod"})
"""Names that run tests and tell how they went by a value that tests seldom look at."""


class Unfit(BaseException):
    """The tests cannot decide; not an Exception, so that no test goes on as if nothing were."""


def names_of(prefix: str) -> dict[str, Any]:
    """What the beginning of a program defines, in a namespace in which tests can be run.

    Args:
        prefix: the text that the program continues. A last function may have a head and no body yet.

    Raises:
        Unfit: if it cannot be run.
    """
    names: dict[str, Any] = {"__name__": _NAME}
    try:
        exec(_whole(prefix), names)  # noqa: S102 - this is what the sandbox is for
    except BaseException as why:  # noqa: BLE001 - whatever it is, the task is at fault
        raise Unfit(f"the beginning that the task gives cannot be run: {why!r}") from None
    return names


def run_cases(tree: ast.Module, names: dict[str, Any]) -> None:
    """Run the cases of unittest that the tests define, whatever became of them where the tests ran them themselves.

    Args:
        tree: the tests.
        names: what they have defined.

    Raises:
        Unfit: if there are tests of a kind whose result nobody reads.
        BaseException: the first that a case raises.
    """
    used = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(tree)
        if isinstance(node, (ast.Attribute, ast.Name))
    }
    if "doctest" in sys.modules and used & _DOCTEST:
        raise Unfit("the tests leave their verdict to doctest, whose result nobody reads")
    if "unittest" not in sys.modules:
        return
    # It takes long to import, and few tests use it.
    import unittest

    cases = [
        kind
        for kind in names.values()
        if isinstance(kind, type) and issubclass(kind, unittest.TestCase) and kind.__module__ == _NAME
    ]
    if not cases and any("TestCase" in name for name in used):
        raise Unfit("the tests have cases of unittest that do not stand at their top level")
    load = unittest.defaultTestLoader.loadTestsFromTestCase
    try:
        # Unlike a runner it lets every exception through.
        unittest.TestSuite(map(load, cases)).debug()
    except unittest.SkipTest as why:
        raise Unfit(f"a case of unittest was skipped: {why}") from None


def _whole(prefix: str) -> CodeType:
    """As many of its lines as compile."""
    lines = prefix.splitlines(keepends=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while (code := _compiled("".join(lines))) is None:
            lines.pop()
    return code


def _compiled(text: str) -> CodeType | None:
    try:
        return compile(text, "prefix", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
