"""The figures that the load engine is to reach, each beside peers or a limit measured in the same run.

    python benchmarks/load.py --goal 3
    python benchmarks/load.py --all --out load-benchmarks.json
    python benchmarks/load.py --goal 1 --goal 2 --quick --peers none

See benchmarks/README.md. Exits 1 where a figure is not reached, 2 where nothing could be measured.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from loadbench import arrivals, closed, memory, paced, peers, report, stall, start, starved
from loadbench.machine import adopt_orphans
from loadbench.results import Outcome, show, write
from loadbench.server import build
from loadbench.setup import Setup

GOALS: dict[int, Callable[[Setup], Outcome]] = {
    1: closed.small_replies,
    2: closed.streams,
    3: paced.many_streams,
    4: paced.rates,
    5: arrivals.arrivals,
    6: stall.stalled,
    7: starved.starved,
    8: memory.memory,
    9: start.start,
    10: report.report,
}


def options() -> argparse.Namespace:
    """What was asked for."""
    temporary = Path(tempfile.gettempdir())
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--goal", type=int, action="append", choices=list(GOALS), help="this one; repeatable")
    parser.add_argument("--all", action="store_true", help="all ten")
    parser.add_argument(
        "--quick", action="store_true", help="one short round each: to see that it works, not to quote"
    )
    parser.add_argument("--runs", type=int, default=5, help="interleaved rounds (5)")
    parser.add_argument(
        "--out", type=Path, default=Path("load-benchmarks.json"), help="figures of all rounds, as JSON"
    )
    parser.add_argument(
        "--peers", default="all", help="all, none, or some of sglang-rust,vllm,aiperf,guidellm,evalscope"
    )
    parser.add_argument(
        "--cache", type=Path, default=temporary / "hexgate-peers", help="environments of the peers"
    )
    parser.add_argument(
        "--scratch", type=Path, help="folder for what the runs leave, kept; else a temporary one"
    )
    parser.add_argument("--server-core", type=int, default=0, help="the server's core (0)")
    parser.add_argument("--client-core", type=int, default=1, help="the client's core (1)")
    parser.add_argument(
        "--hexgate", default=f"{shlex.quote(sys.executable)} -m hexgate", help="the command to measure"
    )
    chosen = parser.parse_args()
    if not chosen.goal and not chosen.all:
        parser.error("--goal N or --all")
    if missing := {chosen.server_core, chosen.client_core} - os.sched_getaffinity(0):
        parser.error(f"this process may not use core {missing.pop()}")
    if chosen.server_core == chosen.client_core:
        parser.error("the server and the client need a core each")
    return chosen


def main() -> int:
    """Measure, print, keep."""
    chosen = options()
    adopt_orphans()
    os.sched_setaffinity(0, {chosen.server_core})  # what watches must not take the client's core
    scratch = chosen.scratch or Path(tempfile.mkdtemp(prefix="hexgate-bench-"))
    scratch.mkdir(parents=True, exist_ok=True)
    outcomes = []
    try:
        setup = Setup(
            runs=1 if chosen.quick else chosen.runs,
            quick=chosen.quick,
            scratch=scratch.resolve(),
            cache=chosen.cache.resolve(),
            server=build(scratch.resolve()),
            server_core=chosen.server_core,
            client_core=chosen.client_core,
            hexgate=shlex.split(chosen.hexgate),
            peers=None if chosen.peers == "all" else frozenset(chosen.peers.lower().split(",")),
            say=lambda line: print(line, file=sys.stderr, flush=True),
        )
        machine = setup.machine()
        for goal in sorted(GOALS) if chosen.all else dict.fromkeys(chosen.goal):
            outcomes.append(GOALS[goal](setup))
            show(outcomes[-1])
            write(chosen.out, machine | {"peers": peers.versions(setup)}, outcomes)
    finally:
        if chosen.scratch is None:
            shutil.rmtree(scratch, ignore_errors=True)
    reached = [check.reached for outcome in outcomes for check in outcome.checks]
    if all(value is None for value in reached):
        return 2
    return 0 if all(value is True for value in reached) else 1


if __name__ == "__main__":
    sys.exit(main())
