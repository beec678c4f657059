"""Another tool's windows, at the instants of a plan. It runs in that tool's own environment.

    python reader.py zeus|codecarbon PLAN.json RESULTS.json

The plan is a list of ``{"case", "board", "start_ns", "end_ns"}``, in nanoseconds after the begin of the waveforms. When
the tool is ready a file READY appears beside the results, and the reader waits for the begin. A window of the results
begins when the call that opens it has returned and ends when the call that closes it is made: what lies between is the
user's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

J_PER_KWH = 3.6e6
SPIN_NS = 2_000_000
LATE_NS = 50_000_000


class Tool(Protocol):
    """What opens and closes windows."""

    def begin(self, board: int, key: str) -> None:
        """Open a window."""

    def end(self, board: int, key: str) -> float | None:
        """Close it; joules of the board, or None where the tool gives none."""


class Zeus:
    """ZeusMonitor, one for each board: two raw reads of the counter a window."""

    def __init__(self, boards: Iterable[int]) -> None:
        from zeus.monitor import ZeusMonitor

        self._monitors = {board: ZeusMonitor(gpu_indices=[board], cpu_indices=[]) for board in boards}

    def begin(self, board: int, key: str) -> None:
        """Read the counter."""
        self._monitors[board].begin_window(key, sync_execution=False)

    def end(self, board: int, key: str) -> float | None:
        """Read it again."""
        measured = self._monitors[board].end_window(key, sync_execution=False)
        return float(measured.gpu_energy[board])


class CodeCarbon:
    """OfflineEmissionsTracker, one task a window; it takes one task at a time."""

    def __init__(self, boards: Iterable[int]) -> None:
        from codecarbon import OfflineEmissionsTracker

        self._trackers = {
            board: OfflineEmissionsTracker(
                country_iso_code="FRA",
                gpu_ids=[board],
                force_cpu_power=10,
                save_to_file=False,
                allow_multiple_runs=True,
                log_level="critical",
            )
            for board in boards
        }
        for tracker in self._trackers.values():
            # It looks for its hardware when its first task starts, for seconds: a user would warm it up too.
            tracker.start_task("warm-up")
            tracker.stop_task("warm-up")

    def begin(self, board: int, key: str) -> None:
        """Start a task."""
        self._trackers[board].start_task(key)

    def end(self, board: int, key: str) -> float | None:
        """End it."""
        return float(self._trackers[board].stop_task(key).gpu_energy) * J_PER_KWH


TOOLS: dict[str, type[Zeus] | type[CodeCarbon]] = {"zeus": Zeus, "codecarbon": CodeCarbon}


def until(at_ns: int) -> None:
    """Wait for an instant; the last two milliseconds without sleeping."""
    rest_ns = at_ns - time.monotonic_ns() - SPIN_NS
    if rest_ns > 0:
        time.sleep(rest_ns / 1e9)
    while time.monotonic_ns() < at_ns:
        pass


def origin_ns() -> int:
    """When the waveforms begin, once that is said."""
    said = Path(os.environ["HEXGATE_NVML_STUB"] + ".start")
    while not said.exists():
        time.sleep(0.01)
    return int(said.read_text(encoding="ascii"))


def measured(tool: Tool, plan: list[dict[str, int]], origin: int) -> list[dict[str, Any]]:
    """Open and close every window of a plan at its instant. One that would open too late is left out."""
    events = sorted(
        [(case["start_ns"], True, place) for place, case in enumerate(plan)]
        + [(case["end_ns"], False, place) for place, case in enumerate(plan)]
    )
    results: dict[int, dict[str, Any]] = {}
    for at_ns, opens, place in events:
        case = plan[place]
        until(origin + at_ns)
        before_ns = time.monotonic_ns()
        if opens and before_ns - origin - at_ns > LATE_NS:
            continue
        if opens:
            tool.begin(case["board"], str(case["case"]))
            after_ns = time.monotonic_ns()
            results[place] = {
                "case": case["case"],
                "start_ns": after_ns,
                "begin_s": (after_ns - before_ns) / 1e9,
            }
        elif place in results:
            energy_j = tool.end(case["board"], str(case["case"]))
            took_s = (time.monotonic_ns() - before_ns) / 1e9
            results[place] |= {"end_ns": before_ns, "end_s": took_s, "energy_j": energy_j}
    return list(results.values())


def main() -> int:
    """Carry out a plan."""
    name, plan_path, results_path = sys.argv[1:]
    plan = json.loads(Path(plan_path).read_text(encoding="utf-8"))
    tool = TOOLS[name](sorted({case["board"] for case in plan}))
    Path(results_path).with_name("READY").touch()
    results = measured(tool, plan, origin_ns())
    Path(results_path).write_text(json.dumps(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
