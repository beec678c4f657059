"""What a test needs from its machine. Where it is missing the test skips with the reason, or fails where CI insists."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec

import pytest


def program(name: str, *, group: str = "infra") -> str:
    """The path of a program.

    Args:
        name: the program.
        group: ``infra``, ``vendor`` or ``heavy``: the environment variable HEXGATE_REQUIRE_<GROUP>=1 turns the skip
            into a failure.
    """
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if found is None:
        lacking(f"{name} is not installed", group)
        raise AssertionError
    return found


def module(name: str, *, group: str = "vendor") -> None:
    """Go on only if a module can be imported."""
    try:
        there = find_spec(name) is not None
    except ModuleNotFoundError:
        there = False
    if not there:
        lacking(f"the package of {name} is not installed", group)


def lacking(why: str, group: str) -> None:
    """Skip the test for this reason, or fail it where CI insists on the group."""
    if os.environ.get(f"HEXGATE_REQUIRE_{group.upper()}") == "1":
        pytest.fail(f"{why}, and HEXGATE_REQUIRE_{group.upper()} is set")
    pytest.skip(why)
