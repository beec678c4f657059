"""A plan carried out for a test, and what it left."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.load.engine import Driver, RunInfo, run_plan
from hexgate.load.plan import Plan
from hexgate.load.records import Outcome, Records

STEM = "load"


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
