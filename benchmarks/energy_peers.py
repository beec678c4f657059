"""Energy by hexgate, Zeus and CodeCarbon of one waveform, read by all of them from one library of ours in NVML's place.

    python benchmarks/energy_peers.py
    python benchmarks/energy_peers.py --quick --peers none

Nothing here is measured on a GPU: the waveform is synthetic, and so its energy is known. See benchmarks/README.md.
Exits 1 where a figure is not reached, 2 where nothing could be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from energybench import peers
from energybench.plan import LENGTHS_S, Case, Kind, Plan, made
from loadbench.results import Check, Skip

from hexgate.meters.base import Domain
from hexgate.meters.quiet import quiet_energy_j
from hexgate.meters.recorder import Recorder
from hexgate.meters.rows import traces
from hexgate.meters.windows import Energy, NotMeasured, Window, energy_j
from support.nvml_stub import NS_PER_S, begin, compiled, shown

BEFORE_S, AFTER_S = 0.3, 0.5
"""Idle before and after a request in a window with quiet edges, for every tool the same."""
READY_S = 180.0
"""The longest wait for the peers to import their packages."""
RATES_HZ = (10.0, 100.0)
"""hexgate's own default, and a rate at which the counter's refreshes are seen."""
BEST = f"hexgate at {RATES_HZ[-1]:.0f} Hz"
MOST_RATIO = {Kind.ALONE: 0.75, Kind.BETWEEN: 0.75, Kind.QUIET: 0.5}
"""What p95 may at most be of Zeus', on requests of 1 s and 3 s."""
MOST_P95 = ((Kind.ALONE, 10.0, 0.005), (Kind.QUIET, 1.0, 0.006))
"""What p95 may at most be in itself."""


@dataclass
class Tool:
    """What one tool said of the windows."""

    errors: dict[tuple[Kind, float], list[float]] = field(default_factory=dict)
    """Absolute error over the truth of each window, by kind and length."""
    refused: dict[tuple[Kind, float], list[str]] = field(default_factory=dict)
    """Why there is no figure, likewise."""
    notes: list[str] = field(default_factory=list)

    def take(self, case: Case, energy: float | None, truth_j: float, reason: str = "no figure") -> None:
        """Book one window."""
        key = (case.kind, case.seconds)
        if energy is None:
            self.refused.setdefault(key, []).append(reason)
        else:
            self.errors.setdefault(key, []).append(abs(energy - truth_j) / truth_j)

    def quantile(self, kind: Kind, seconds: float, share: float) -> float | None:
        """A quantile of the errors; None where there are none."""
        errors = self.errors.get((kind, seconds))
        return float(np.quantile(errors, share)) if errors else None


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few windows: does it work; not to quote")
    parser.add_argument(
        "--boards", type=int, default=16, help="boards, half of them with idle between requests (16)"
    )
    parser.add_argument("--repeats", type=int, default=13, help="requests of each length on each board (13)")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--peers", default="all", help="all, none, or some of zeus,codecarbon")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "hexgate-peers")
    parser.add_argument(
        "--scratch", type=Path, help="folder for what the run leaves, kept; else a temporary one"
    )
    parser.add_argument("--out", type=Path, default=Path("energy-peers.json"), help="all figures, as JSON")
    parser.add_argument("--cc", default="cc", help="the C compiler")
    chosen = parser.parse_args()
    if unknown := set(chosen.peers.split(",")) - {"all", "none", *peers.PEERS}:
        parser.error(f"--peers: there is no {unknown.pop()!r}")
    if not 2 <= chosen.boards <= 16 or chosen.boards % 2:
        parser.error("--boards is an even number from 2 to 16")
    if chosen.quick:
        chosen.repeats = 2
    return chosen


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print, keep."""
    chosen = options()
    scratch = (chosen.scratch or Path(tempfile.mkdtemp(prefix="hexgate-energy-"))).resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        tools, facts = measured(chosen, scratch)
    finally:
        if chosen.scratch is None:
            shutil.rmtree(scratch, ignore_errors=True)
    checks = asked_for(tools)
    show(tools, checks)
    chosen.out.write_text(json.dumps(document(tools, checks, facts), indent=1) + "\n", encoding="utf-8")
    reached = [check.reached for check in checks]
    if all(value is None for value in reached):
        return 2
    return 0 if all(value is not False for value in reached) else 1


def measured(chosen: argparse.Namespace, scratch: Path) -> tuple[dict[str, Tool], dict[str, Any]]:
    """Let the waveforms run once, with every tool beside them."""
    half = chosen.boards // 2
    plan = made(chosen.seed, alone=half, chained=half, repeats=chosen.repeats, after_s=AFTER_S)
    tools: dict[str, Tool] = {f"hexgate at {hz:.0f} Hz": Tool() for hz in RATES_HZ}
    wanted = {"all": list(peers.PEERS), "none": []}.get(chosen.peers, chosen.peers.split(","))
    pythons: dict[str, Path] = {}
    for name in wanted:
        tools[name] = Tool()
        try:
            pythons[name] = peers.installed(name, chosen.cache.resolve(), say)
        except Skip as reason:
            tools[name].notes.append(f"left out: {reason}")
    library = compiled(chosen.cc, scratch)
    description = scratch / "boards.txt"
    env = shown(library, description, plan.boards)
    os.environ.update(env)
    say(f"  {len(plan.cases)} windows on {chosen.boards} boards, {plan.end_ns / NS_PER_S:.0f} s")
    running: list[tuple[str, peers.Running]] = []
    recorders = [
        Recorder(scratch, f"at-{hz:.0f}", pid=None, resources_hz=1.0, power_hz=hz, meters=("nvml",))
        for hz in RATES_HZ
    ]
    with recorders[0], recorders[1]:
        for name, python in pythons.items():
            for part, cases in enumerate(shared_out(name, plan)):
                windows = [asked(plan.cases[place], place) for place in cases]
                folder = scratch / f"{name}-{part}"
                running.append((name, peers.started(name, python, windows, folder, env)))
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and any(one.is_waited_for for _, one in running):
            time.sleep(0.1)
        origin_ns = time.monotonic_ns() + NS_PER_S
        begin(description, origin_ns)
        end_ns = origin_ns + plan.end_ns + NS_PER_S
        while time.monotonic_ns() < end_ns:
            time.sleep(0.2)
    for hz, recorder in zip(RATES_HZ, recorders, strict=True):
        take_ours(tools[f"hexgate at {hz:.0f} Hz"], recorder, plan, origin_ns)
    for name, one in running:
        take_theirs(tools[name], one, plan, origin_ns)
    return tools, facts_of(chosen)


def asked(case: Case, place: int) -> dict[str, int]:
    """One window of the plan, for a peer."""
    return {"case": place, "board": case.board, "start_ns": case.start_ns, "end_ns": case.until_ns}


def shared_out(name: str, plan: Plan) -> list[list[int]]:
    """The windows of a peer, by process. CodeCarbon takes one task at a time: it has two boards, and no two at once."""
    if name != "codecarbon":
        return [list(range(len(plan.cases)))]
    first_chained = min(case.board for case in plan.cases if case.kind is Kind.BETWEEN)
    alone = [place for place, case in enumerate(plan.cases) if case.board == 0]
    # Every second request by itself, the others with their quiet edges.
    alone = [place for turn, place in enumerate(alone) if turn % 4 in {0, 3}]
    chained = [place for place, case in enumerate(plan.cases) if case.board == first_chained]
    return [alone, chained[::2]]


def take_ours(tool: Tool, recorder: Recorder, plan: Plan, origin_ns: int) -> None:
    """Hexgate's figures, computed from what its sampler left."""
    if recorder.failure is not None:
        tool.notes.append(recorder.failure)
    lines = recorder.power_path.read_text(encoding="utf-8").splitlines()
    found = traces(json.loads(line) for line in lines)
    domains = {domain.device: domain for domain in recorder.domains}
    cpu_s = recorder.to_json()["sampler_cpu_s"]
    wall_s = (json.loads(lines[-1])["t_ns"] - json.loads(lines[0])["t_ns"]) / NS_PER_S
    if cpu_s is not None:
        tool.notes.append(f"its sampler took {cpu_s / wall_s:.2%} of a core for {len(domains)} boards")
    for case in plan.cases:
        domain = domains[plan.boards[case.board].uuid]
        window = Window(origin_ns + case.start_ns, origin_ns + case.end_ns)
        energy = ours(near(found[domain.id], case, origin_ns), domain, window, case.kind)
        truth_j = plan.truth_j(case, case.start_ns, case.until_ns)
        if isinstance(energy, Energy):
            tool.take(case, energy.energy_j, truth_j)
        else:
            tool.take(case, None, truth_j, energy.reasons[0])


def near(trace: Sequence[tuple[int, float]], case: Case, origin_ns: int) -> list[tuple[int, float]]:
    """The readings of 10 s around a window."""
    edges = (origin_ns + case.start_ns - 10 * NS_PER_S, origin_ns + case.until_ns + 10 * NS_PER_S)
    low, high = (bisect_left(trace, at_ns, key=lambda reading: reading[0]) for at_ns in edges)
    return list(trace[low:high])


def ours(
    trace: Sequence[tuple[int, float]], domain: Domain, window: Window, kind: Kind
) -> Energy | NotMeasured:
    """Energy as hexgate computes it."""
    if kind is Kind.QUIET:
        return quiet_energy_j(trace, domain, window, before_s=BEFORE_S, after_s=AFTER_S)
    return energy_j(trace, domain, window)


def take_theirs(tool: Tool, running: peers.Running, plan: Plan, origin_ns: int) -> None:
    """A peer's figures, each against the truth of the window that it really had."""
    try:
        windows = running.ended(60.0)
    except Skip as reason:
        tool.notes.append(f"failed: {reason}")
        return
    for one in windows:
        case = plan.cases[one["case"]]
        truth_j = plan.truth_j(case, one["start_ns"] - origin_ns, one["end_ns"] - origin_ns)
        tool.take(case, one["energy_j"], truth_j)
    for call in ("begin_s", "end_s"):
        times = [one[call] * 1e3 for one in windows]
        if times:
            tool.notes.append(
                f"{call.removesuffix('_s')} of a window takes {np.median(times):.2f} ms (median)"
            )


def asked_for(tools: Mapping[str, Tool]) -> list[Check]:
    """The figures that are asked for."""
    best, zeus = tools[BEST], tools.get("zeus", Tool())
    checks = [
        Check(f"{kind.value}, {seconds:g} s: p95 over Zeus'", ratio(best, zeus, kind, seconds), high=most)
        for kind, most in MOST_RATIO.items()
        for seconds in (1.0, 3.0)
    ]
    checks += [
        Check(f"{kind.value}, {seconds:g} s: p95", best.quantile(kind, seconds, 0.95), high=most)
        for kind, seconds, most in MOST_P95
    ]
    return checks


def ratio(tool: Tool, other: Tool, kind: Kind, seconds: float) -> float | None:
    """The p95 of one over that of another."""
    above, below = (one.quantile(kind, seconds, 0.95) for one in (tool, other))
    return above / below if above is not None and below else None


def show(tools: Mapping[str, Tool], checks: Iterable[Check]) -> None:
    """Print the tables."""
    for kind in Kind:
        print(f"\n{kind.value}: absolute error in percent, median / p95 (windows, and refused)")
        rows = [["", *tools]]
        rows += [
            [f"{seconds:g} s", *(cell(tool, kind, seconds) for tool in tools.values())]
            for seconds in LENGTHS_S
        ]
        printed(rows)
    print()
    words = {True: "reached", False: "MISSED", None: "not measured"}
    rows = [[BEST, "measured", "asked", ""]]
    for check in checks:
        value = "" if check.value is None else f"{check.value:.4f}"
        rows.append([check.what, value, check.limits(), words[check.reached]])
    printed(rows)
    for name, tool in tools.items():
        for note in dict.fromkeys(tool.notes):
            print(f"  {name}: {note}")
        for reason in dict.fromkeys(reason for reasons in tool.refused.values() for reason in reasons[:1]):
            print(f"  {name}: refused: {reason}")


def cell(tool: Tool, kind: Kind, seconds: float) -> str:
    """One place of a table."""
    middle, high = (tool.quantile(kind, seconds, share) for share in (0.5, 0.95))
    refused = len(tool.refused.get((kind, seconds), ()))
    if middle is None or high is None:
        return f"- ({refused} refused)" if refused else "-"
    count = len(tool.errors[kind, seconds])
    also = f", {refused}" if refused else ""
    return f"{middle * 100:.2f} / {high * 100:.2f} ({count}{also})"


def printed(rows: Sequence[Sequence[str]]) -> None:
    """Print rows as columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first, *rest = (text.rjust(width) for text, width in zip(row, widths, strict=True))
        print("  " + "  ".join([row[0].ljust(len(first)), *rest]).rstrip())


def facts_of(chosen: argparse.Namespace) -> dict[str, Any]:
    """What the figures were measured with."""
    return {
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load_after": os.getloadavg(),
        "boards": chosen.boards,
        "repeats": chosen.repeats,
        "seed": chosen.seed,
        "quick": chosen.quick,
        "peers": {name: peers.version(name, chosen.cache.resolve()) for name in peers.PEERS},
    }


def figures_of(tool: Tool) -> list[dict[str, Any]]:
    """One row for each kind and length."""
    return [
        {
            "kind": kind.value,
            "seconds": seconds,
            "median": tool.quantile(kind, seconds, 0.5),
            "p95": tool.quantile(kind, seconds, 0.95),
            "windows": len(tool.errors.get((kind, seconds), ())),
            "refused": len(tool.refused.get((kind, seconds), ())),
        }
        for kind in Kind
        for seconds in LENGTHS_S
    ]


def document(tools: Mapping[str, Tool], checks: Iterable[Check], facts: Mapping[str, Any]) -> dict[str, Any]:
    """All figures."""
    return {
        "setting": dict(facts),
        "tools": {name: {"figures": figures_of(tool), "notes": tool.notes} for name, tool in tools.items()},
        "checks": [
            {"what": check.what, "value": check.value, "limits": check.limits(), "reached": check.reached}
            for check in checks
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
