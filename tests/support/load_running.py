"""A plan carried out for a test, and what it left."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hexgate.load.engine import Driver, RunInfo, run_plan
from hexgate.load.plans.plan import Plan
from hexgate.load.records import Outcome, Records
from support.command import Ended
from support.measuring import check

T = TypeVar("T")
STEM = "load"
_TURNS = 4


@dataclass
class Left:
    """What a run left in its folder."""

    folder: Path
    info: RunInfo | None = None

    @property
    def records(self) -> Records:
        return Records.open(self.folder / f"{STEM}.requests.npy")

    @property
    def rows(self) -> NDArray[np.void]:
        return self.records.array()

    @property
    def replies(self) -> list[dict[str, Any]]:
        lines = (self.folder / f"{STEM}.replies.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def count(self, outcome: Outcome) -> int:
        """Timed requests that ended so."""
        rows = self.rows
        return int((rows["outcome"][~rows["warmup"]] == outcome).sum())

    @property
    def counts(self) -> tuple[int, ...]:
        return tuple(self.count(outcome) for outcome in Outcome)


def carried_out(plan: Plan, driver: Driver, folder: Path, **options: Any) -> Left:
    """Carry out a plan in a folder."""
    return Left(folder, run_plan(plan, driver, folder, STEM, **options))


@dataclass
class LeftByCommand(Left):
    """What `hexgate load` left in its folder."""

    @property
    def artifacts(self) -> list[dict[str, Any]]:
        return [dict(check(self.folder / f"{name}.json").data) for name in ("latency_p99", "throughput_rps")]

    @property
    def outcomes(self) -> Counter[Outcome]:
        return Counter(Outcome(outcome) for outcome in self.rows["outcome"].tolist())

    @property
    def reasons(self) -> Counter[str | None]:
        return Counter(reply["error"] for reply in self.replies)

    @property
    def workers(self) -> list[dict[str, Any]]:
        """What the workers told of themselves."""
        client = json.loads((self.folder / f"{STEM}.client.evidence.json").read_bytes())
        found: list[dict[str, Any]] = client["workers"]
        return found

    def assert_told(self, status: str) -> list[dict[str, Any]]:
        """Both artifacts hold together and have this status, and the report and the tables are there."""
        artifacts = self.artifacts
        assert [data["status"] for data in artifacts] == [status, status], artifacts[0]["invalid_reasons"]
        assert artifacts[0]["counts"] == artifacts[1]["counts"]
        assert len((self.folder / "requests.csv").read_text("utf-8").splitlines()) > 1
        assert "</html>" in (self.folder / "report.html").read_text(encoding="utf-8")
        assert (self.folder / "statistics.json").is_file()
        assert not list(self.folder.glob("*.work"))
        return artifacts


def until_undisturbed(run: Callable[[Path], T], folder: Path, reasons: Callable[[T], str]) -> tuple[T, Path]:
    """Measure, and again where this machine was too busy for the client: that makes a load invalid, rightly.

    Args:
        run: measures, and leaves its files in the folder that it is given, another one each time.
        folder: where these folders are made.
        reasons: why what it left is no measurement, in words; empty where it is one.

    Returns:
        What the last one gave, and its folder.
    """
    for turn in range(_TURNS):
        out = folder / str(turn)
        given = run(out)
        if "kept waiting for a processor" not in reasons(given):
            break
    return given, out


def undisturbed(load: Callable[[Path], Ended], folder: Path) -> tuple[Ended, LeftByCommand]:
    """The same for a load by the command line: how it ended, and what it left."""
    ended, out = until_undisturbed(load, folder, lambda ended: ended.err if ended.code == 4 else "")
    return ended, LeftByCommand(out)
