"""Goal 3: what sampling costs, and how late it is while something else is busy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from loadbench.results import Check, Figures, Outcome, Skip, interleaved

__all__ = ["cost"]

_ZONES = {
    "intel-rapl:0": "package-0",
    "intel-rapl:0:0": "dram",
    "intel-rapl:1": "package-1",
}
_CPUCLOCK_SCHED = 2
_DRAW = """
import os, sys, time
files = [os.open(path, os.O_WRONLY) for path in sys.argv[1:]]
print("on", flush=True)
while True:
    for file in files:
        os.pwrite(file, b"%012d\\n" % (time.monotonic_ns() * 80 // 1000 % 262143328850), 0)
    time.sleep(0.005)
"""
_BARE = """
import os, sys, time
period, files = 1 / float(sys.argv[1]), [os.open(path, os.O_RDONLY) for path in sys.argv[2:]]
due = time.monotonic()
print("{}", flush=True)
while True:
    for file in files:
        int(os.pread(file, 64, 0))
    due += period
    time.sleep(max(0.0, due - time.monotonic()))
"""


def _tree(root: Path) -> Path:
    """Three counters in the layout of the powercap interface."""
    for zone, name in _ZONES.items():
        folder = root / zone
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "name").write_text(f"{name}\n", "ascii")
        (folder / "max_energy_range_uj").write_text("262143328850\n", "ascii")
        (folder / "energy_uj").write_text("123456789012\n", "ascii")
    return root


def _cpu_s(pid: int) -> float:
    """Processor time of another process, by its own clock: see clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)


@contextmanager
def _started(command: Sequence[str], core: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process on one core, after it has said its first line; killed at the end."""
    whole = ["taskset", "-c", str(core), *command]
    with subprocess.Popen(whole, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None or not process.stdout.readline():
                raise Skip("it said nothing")
            yield process
        finally:
            process.kill()


@contextmanager
def _busy(core: int) -> Iterator[None]:
    with _started([sys.executable, "-c", "print('on', flush=True)\nwhile True: pass"], core):
        yield


def _lateness_ms(path: Path, hz: float, begin_ns: int, end_ns: int) -> tuple[np.ndarray, int]:
    """How late each tick was, and how many were left out.

    Deadlines lie on a grid whose phase the rows do not tell. No tick comes before its own, and most come soon after:
    the grid is put behind the widest gap that is free of ticks.
    """
    rows = (json.loads(line) for line in path.read_bytes().split(b"\n")[:-1])
    stamps = np.array([row["t_ns"] for row in rows if row["domain"] == "rapl:package-0"], dtype=np.int64)
    stamps = stamps[(stamps >= begin_ns) & (stamps <= end_ns)]
    period_ns = round(1e9 / hz)
    phases = np.sort(stamps % period_ns)
    gaps = np.diff(phases, prepend=phases[-1] - period_ns)
    late_ns = (stamps - phases[np.argmax(gaps)]) % period_ns
    due = (stamps - late_ns) // period_ns
    left_out = int(due[-1] - due[0]) + 1 - len(np.unique(due))
    return late_ns / 1e6, left_out


def cost(
    runs: int, seconds: float, scratch: Path, cores: tuple[int, int], say: Callable[[str], None]
) -> Outcome:
    """Goal 3: the real sampler, on three files under a temporary root."""
    ours, others = cores
    tree = _tree(scratch / "powercap")

    def sampler(hz: float, resources_hz: float, *, busy: bool) -> Callable[[int], Figures]:
        def once(number: int) -> Figures:
            stem = f"{hz:g}-{resources_hz:g}-{busy}-{number}"
            task = {"folder": str(scratch), "stem": stem, "parent": os.getpid(), "pid": None}
            task |= {"resources_hz": resources_hz, "power_hz": hz, "meters": ["rapl"], "rapl_root": str(tree)}
            command = [sys.executable, "-m", "hexgate.meters.sampler", json.dumps(task)]
            if not busy:
                return measured(command, stem, hz)
            with _busy(others):
                return measured(command, stem, hz)

        return once

    def measured(command: Sequence[str], stem: str | None, hz: float) -> Figures:
        with _started(command, ours) as process:
            time.sleep(1.0)
            begin_ns, begin_s = time.monotonic_ns(), _cpu_s(process.pid)
            time.sleep(seconds)
            used_s, end_ns = _cpu_s(process.pid) - begin_s, time.monotonic_ns()
        figures = {"% of a core": used_s / ((end_ns - begin_ns) / 1e9) * 100}
        if stem is not None:
            late_ms, left_out = _lateness_ms(scratch / f"{stem}.power.jsonl.partial", hz, begin_ns, end_ns)
            figures |= {
                "late p50 ms": float(np.median(late_ms)),
                "late p99 ms": float(np.quantile(late_ms, 0.99)),
                "late max ms": float(late_ms.max()),
                "ticks left out": float(left_out),
            }
        return figures

    files = [str(tree / zone / "energy_uj") for zone in _ZONES]

    def bare(hz: float) -> Callable[[int], Figures]:
        return lambda _: measured([sys.executable, "-c", _BARE, str(hz), *files], None, hz)

    contenders = {
        "10 Hz": sampler(10, 0.01, busy=False),
        "100 Hz": sampler(100, 0.01, busy=False),
        "100 Hz, a client busy on the other core": sampler(100, 0.01, busy=True),
        "10 Hz, and resources at 5 Hz": sampler(10, 5, busy=False),
        "bare loop, 10 Hz, nothing written": bare(10),
        "bare loop, 100 Hz, nothing written": bare(100),
    }
    with _started([sys.executable, "-c", _DRAW, *files], others):
        rounds = interleaved(contenders, runs, say)
    checks = [
        Check("10 Hz, % of a core", rounds.median("10 Hz", "% of a core"), high=0.3),
        Check("100 Hz, % of a core", rounds.median("100 Hz", "% of a core"), high=1.5),
        Check(
            "100 Hz beside a busy client, late p99 ms",
            rounds.worst("100 Hz, a client busy on the other core", "late p99 ms"),
            high=2.0,
        ),
    ]
    columns = ("% of a core", "late p50 ms", "late p99 ms", "late max ms", "ticks left out")
    title = f"the sampler on three file domains, {runs} rounds of {seconds:g} s"
    return Outcome(3, title, rounds, columns, checks)
