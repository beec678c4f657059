"""Studies carried out in this process, and what tests ask of what they leave."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hexgate.errors import ExitCode
from hexgate.study.design import Plan, Run, Visit, make_plan
from hexgate.study.items import read_cells
from hexgate.study.runner import Carrying, Outcome, carry_out
from hexgate.study.spec_file import read_spec

PATIENCE_S = 300.0
_NO_FIGURE = {"error", "system", "nonce", "thinking_text", "generated_text"}
"""Fields whose null says that there is no such thing."""


class Watching:
    """Remembers the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def begin(self, left: Sequence[Run], done: int) -> None:
        """The runs that are left."""

    def visit(self, visit: Visit) -> None:
        """A visit begins."""

    def ran(self, record: Mapping[str, Any], left_s: float) -> None:
        """A run is over."""

    def note(self, text: str) -> None:
        self.notes.append(text)


def plan_of(path: Path) -> Plan:
    spec = read_spec(path)
    return make_plan(spec, read_cells(spec))


def carried_out(path: Path, out: Path, carrying: Carrying | None = None) -> Outcome:
    """The study of a file, carried out into a folder."""
    return carry_out(read_spec(path), plan_of(path), out, carrying or Carrying(), Watching())


def commanded(*words: str | Path, code: int = ExitCode.OK) -> subprocess.CompletedProcess[str]:
    """A command as a process of its own, which is to end with this exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "hexgate", *map(str, words)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "HEXGATE_LANG": "en"},
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def table(out: Path) -> list[dict[str, str]]:
    """The rows of results.csv."""
    with next(out.glob("data/summary/*/results.csv")).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def unexplained(record: Mapping[str, Any]) -> set[str]:
    """Figures of a full record that are null without a reason."""
    nulls = {name for name, value in record.items() if value is None} - _NO_FIGURE
    for block in ("api_metrics", "system_metrics"):
        nulls |= {f"{block}.{name}" for name, value in record[block].items() if value is None}
    for name in ("gross_j", "net_j"):
        if record["energy"][name] is None:
            nulls.add(f"energy.{name}")
    return nulls - set(record["missing"])
