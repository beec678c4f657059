"""Sandboxes for tests, which skip with the reason where the machine has none."""

from __future__ import annotations

from dataclasses import replace

from hexgate.scorers.sandbox import Ended, Limits, Sandbox, Unavailable
from support.needs import lacking

SMALL = Limits(
    wall_s=60.0,
    cpu_s=30,
    memory_bytes=192 << 20,
    folder_bytes=1 << 20,
    folder_files=64,
    file_bytes=1 << 18,
    open_files=32,
    processes=8,
    output_bytes=1 << 16,
)


def a_sandbox(**limits: object) -> Sandbox:
    """A sandbox with small limits; HEXGATE_REQUIRE_SANDBOX=1 turns the skip into a failure."""
    sandbox = Sandbox(replace(SMALL, **limits))
    state = sandbox.available()
    if isinstance(state, Unavailable):
        lacking(f"no sandbox on this machine: {state.reason} ({state.remedy})", "sandbox")
    return sandbox


def ran(text: str, given: bytes = b"", **limits: object) -> Ended:
    """What became of a program."""
    return a_sandbox(**limits).run({"program.py": text}, ("program.py",), given)
