"""A machine that draws a known power: a process moves its powercap tree, and writes the file of its plug."""

from __future__ import annotations

import subprocess
import sys
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

_WRITER = """
import os, sys, time
counter, plug, log, busy = sys.argv[1:5]
rest_w, work_w = float(sys.argv[5]), float(sys.argv[6])
wrap_uj = int(sys.argv[7])
energy_j, then, row_due = 0.0, time.monotonic_ns(), 0
first_uj = int(open(counter).read())
with open(log, "w", buffering=1) as truth, open(plug, "w", buffering=1) as rows:
    rows.write("t,power_w\\n")
    while True:
        now = time.monotonic_ns()
        power_w = work_w if os.path.exists(busy) else rest_w
        energy_j += power_w * (now - then) / 1e9
        then = now
        with open(counter + ".new", "w") as new:
            new.write(f"{(first_uj + int(energy_j * 1e6)) % wrap_uj}\\n")
        os.replace(counter + ".new", counter)
        truth.write(f"{now} {energy_j}\\n")
        if now >= row_due:
            rows.write(f"{time.time():.6f},{power_w}\\n")
            if not row_due:
                sys.stdout.write(".")
                sys.stdout.flush()
            row_due = now + 50_000_000
        time.sleep(0.002)
"""


@dataclass(frozen=True)
class Powered:
    """The machine."""

    root: Path
    """Its powercap tree, with ``package-0`` alone."""
    plug: Path
    """What its plug writes: CSV, ``t`` in seconds since 1970 and ``power_w``, twenty rows a second."""
    busy: Path
    """While this file is there it draws its power at work, else that at rest."""
    log: Path
    """The truth: an instant of `time.monotonic_ns` and the joules until then, in each row."""

    def truth_j(self, start_ns: int, end_ns: int) -> float:
        """The joules that were really drawn in a span."""
        rows = [line.split() for line in self.log.read_text("ascii").splitlines()[:-1]]
        times, joules = [int(row[0]) for row in rows], [float(row[1]) for row in rows]

        def at(t_ns: int) -> float:
            place = bisect_right(times, t_ns) - 1
            t0, t1 = times[place], times[place + 1]
            return joules[place] + (t_ns - t0) / (t1 - t0) * (joules[place + 1] - joules[place])

        return at(end_ns) - at(start_ns)

    def held_up_s(self, start_ns: int, end_ns: int) -> float:
        """The longest that it wrote nothing in a span and half a second on either side of it."""
        times = [int(line.split()[0]) for line in self.log.read_text("ascii").splitlines()[:-1]]
        near = [t_ns for t_ns in times if start_ns - 500_000_000 <= t_ns <= end_ns + 500_000_000]
        return max(after - before for before, after in pairwise(near)) / 1e9


@contextmanager
def powered(
    folder: Path, *, rest_w: float = 40.0, work_w: float = 40.0, wraps: bool = False
) -> Iterator[Powered]:
    """A machine that draws so much, for as long as it lasts.

    Args:
        folder: where its files lie.
        rest_w: at rest.
        work_w: while `Powered.busy` is there.
        wraps: whether its counter begins near the end of its range, and wraps within a second.
    """
    root = folder / "powercap"
    zone = root / "intel-rapl:0"
    zone.mkdir(parents=True)
    wrap_uj = 65_532_610_987
    (zone / "name").write_text("package-0\n", "ascii")
    (zone / "max_energy_range_uj").write_text(f"{wrap_uj}\n", "ascii")
    counter = zone / "energy_uj"
    counter.write_text(f"{wrap_uj - 30_000_000 if wraps else 1_000_000}\n", "ascii")
    machine = Powered(root, folder / "plug.csv", folder / "busy", folder / "truth.log")
    files = [str(path) for path in (counter, machine.plug, machine.log, machine.busy)]
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, *files, str(rest_w), str(work_w), str(wrap_uj)],
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"."
        yield machine
    finally:
        process.kill()
        process.communicate()
