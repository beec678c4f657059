"""The figures that the meters are to reach, on a waveform that is known and with the real sampler.

    python benchmarks/energy.py --goal 1
    python benchmarks/energy.py --all --out energy-benchmarks.json

See benchmarks/README.md. Exits 1 where a figure is not reached, 2 where nothing could be measured.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np
from energybench.cost import cost
from energybench.errors import abutting, quiet
from loadbench.results import Outcome, show, write

GOALS = (1, 2, 3)


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--goal", type=int, action="append", choices=GOALS, help="this one; repeatable")
    parser.add_argument("--all", action="store_true", help="all three")
    parser.add_argument(
        "--quick", action="store_true", help="few phases, one short round: to see that it works, not to quote"
    )
    parser.add_argument("--phases", type=int, default=200, help="windows of each length (200)")
    parser.add_argument("--runs", type=int, default=3, help="interleaved rounds of goal 3 (3)")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each run of goal 3 (20)")
    parser.add_argument(
        "--out", type=Path, default=Path("energy-benchmarks.json"), help="all figures, as JSON"
    )
    parser.add_argument("--core", type=int, default=0, help="the sampler's core (0)")
    parser.add_argument("--other-core", type=int, default=1, help="the busy client's core (1)")
    chosen = parser.parse_args()
    if not chosen.goal and not chosen.all:
        parser.error("--goal N or --all")
    if missing := {chosen.core, chosen.other_core} - os.sched_getaffinity(0):
        parser.error(f"this process may not use core {missing.pop()}")
    return chosen


def measure(goal: int, chosen: argparse.Namespace) -> Outcome:
    """One goal."""
    phases = 20 if chosen.quick else chosen.phases

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if goal == 1:
        return abutting(phases, say)
    if goal == 2:
        return quiet(phases, say)
    with tempfile.TemporaryDirectory(prefix="hexgate-energy-") as scratch:
        return cost(
            1 if chosen.quick else chosen.runs,
            3.0 if chosen.quick else chosen.seconds,
            Path(scratch),
            (chosen.core, chosen.other_core),
            say,
        )


def main() -> int:
    """Measure, print, keep."""
    chosen = options()
    machine = {"python": platform.python_version(), "system": platform.platform(), "numpy": np.__version__}
    outcomes = []
    for goal in GOALS if chosen.all else dict.fromkeys(chosen.goal):
        outcomes.append(measure(goal, chosen))
        show(outcomes[-1])
        write(chosen.out, machine, outcomes)
    reached = [check.reached for outcome in outcomes for check in outcome.checks]
    if all(value is None for value in reached):
        return 2
    return 0 if all(value is True for value in reached) else 1


if __name__ == "__main__":
    sys.exit(main())
