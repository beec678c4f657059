"""The process that samples: ``python -m hexgate.meters.sampler``, started and ended by `recorder.Recorder`.

It appends one JSON line a sample to its files, on absolute deadlines. On standard output it says what it reads
once the first samples are written, and at its end what came of it. It ends a moment after its parent has written
to its standard input, and at once when its parent is gone or on SIGTERM. Interrupts from the keyboard are for the
parent to decide.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hexgate.meters.base import Domain, Kind, MeterOptions, Reading, open_meters
from hexgate.meters.rows import PARTIAL, POWER, RESOURCES, SERVER_METRICS, power_row, resources_row

if TYPE_CHECKING:
    from hexgate.meters.scrape import Scraper

__all__ = ["main", "own_power_hz"]

_POWER_HZ = 10.0
_READS_A_REFRESH = 5
_SLOW_COUNTER_S = 0.05
"""A counter that is refreshed more often than this needs no instants of refresh."""
_LOOK_NS = 500_000_000
"""How long at most until it looks whether its parent still lives."""
_HELD_NS = 100_000_000
"""How long at most readings of power are held, to be written together: it costs a third less than each alone."""
_NAP_NS = 20_000_000
"""A rest as short as this is slept through: to listen to the parent meanwhile costs more than it gains."""
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_MARGIN_PERIODS = 2
"""Periods of power, and updates of its sensors, before the measurement and after it: both edges of its window are to
be seen, by readings and by sensors that are refreshed more rarely than they are read."""
_MOST_MARGIN_S = 0.5
"""No sensor is waited for longer."""


class ParentGone(Exception):
    """Nobody is left to sample for."""


class Leash:
    """The parent, as its child knows it: a pipe, and a process id."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._pipe_ended = False
        self.asked = threading.Event()
        """Set when the parent asks for the end, or its pipe ends."""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            # A descriptor, not a buffered file: a thread in a buffered read can hang the interpreter's end.
            word = os.read(0, 1)
        except OSError:
            word = b""
        self._pipe_ended = not word
        self.asked.set()

    def check(self) -> None:
        """Raise ParentGone if it is. A fork of it may hold the pipe open, so its id is looked at too."""
        if self._pipe_ended or (os.name != "nt" and os.getppid() != self._parent):
            raise ParentGone


class Rows:
    """A file of JSON lines, handed to the system as soon as they are made."""

    def __init__(self, path: Path) -> None:
        self._file = FileIO(str(path), "w")

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one row.

        Raises:
            OSError: if the disk does not take it.
        """
        self.write_lines(_ENCODER.encode(row))

    def write_lines(self, *lines: str) -> None:
        """Append some rows that are lines of JSON already.

        Raises:
            OSError: if the disk does not take them.
        """
        data = "".join(f"{line}\n" for line in lines).encode()
        while data:
            data = data[self._file.write(data) :]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass
class Cadence:
    """Something to do again and again, on absolute deadlines."""

    act: Callable[[], None]
    """What to do."""
    period_ns: int
    """Time between deadlines."""
    due_ns: int
    """The next deadline."""

    def act_now(self) -> None:
        """Act, and go on to the first deadline that is still to come."""
        self.act()
        missed = (time.monotonic_ns() - self.due_ns) // self.period_ns
        self.due_ns += (missed + 1) * self.period_ns


@dataclass(frozen=True)
class Task:
    """What to sample, as the recorder says it in one argument."""

    folder: str
    """Where the files go."""
    stem: str
    """What their names begin with."""
    parent: int
    """The process that asked for it."""
    pid: int | None
    """The measured process."""
    resources_hz: float
    """Samples of resources a second."""
    power_hz: float | None
    """Readings of power a second; None for `own_power_hz`."""
    meters: Sequence[str]
    """The energy meters."""
    rapl_root: str | None = None
    """Root of the powercap tree."""
    jetson_root: str | None = None
    """What stands for `/` on a Jetson."""
    server_pid: int | None = None
    """The server under load."""
    server_url: str | None = None
    """Where it listens."""
    metrics_urls: Sequence[str] = ()
    """Endpoints of a server's own metrics."""
    metrics_hz: float = 1.0
    """Askings of each a second."""

    def path(self, ending: str) -> Path:
        """A file that is written."""
        return Path(self.folder, f"{self.stem}.{ending}{PARTIAL}")


class SharedRows:
    """A file of rows that several threads write, until a write fails."""

    def __init__(self, path: Path) -> None:
        self._rows = Rows(path)
        self._lock = threading.Lock()
        self._fault: OSError | None = None

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one row.

        Raises:
            OSError: if the disk does not take it, or did not take an earlier one.
        """
        with self._lock:
            if self._fault is not None:
                raise self._fault
            try:
                self._rows.write(row)
            except OSError as error:
                self._fault = error
                raise

    def close(self) -> None:
        """Close the file."""
        self._rows.close()


class Sampler:
    """The meters, the files, and the deadlines."""

    def __init__(self, task: Task) -> None:
        self._scrapers: list[Scraper] = []
        self._metrics = SharedRows(task.path(SERVER_METRICS)) if task.metrics_urls else None
        if self._metrics is not None:
            from hexgate.meters.scrape import Scraper

            period_s = 1 / task.metrics_hz
            self._scrapers = [
                Scraper(place, url, period_s, self._metrics.write)
                for place, url in enumerate(task.metrics_urls)
            ]
        options = MeterOptions(
            pid=task.pid,
            rapl_root=None if task.rapl_root is None else Path(task.rapl_root),
            jetson_root=None if task.jetson_root is None else Path(task.jetson_root),
            server_pid=task.server_pid,
            server_url=task.server_url,
        )
        [self._host], _ = open_meters(["host"], options)
        self._meters, self._unavailable = open_meters(task.meters, options)
        self._resources = Rows(task.path(RESOURCES))
        self._power = Rows(task.path(POWER))
        self._missing: dict[str, str] = {}
        now_ns = time.monotonic_ns()
        self._cadences = [Cadence(self._sample_resources, round(1e9 / task.resources_hz), now_ns)]
        self._margin_ns = 0
        self._held: list[Reading] = []
        self._held_ticks = 0
        self._most_ticks = 1
        domains = [domain for meter in self._meters for domain in meter.domains()]
        self._power_hz = task.power_hz or own_power_hz(domains)
        if self._meters:
            period_ns = round(1e9 / self._power_hz)
            self._most_ticks = max(1, _HELD_NS // period_ns)
            self._cadences.append(Cadence(self._sample_power, period_ns, now_ns))
            updates_s = (domain.update_s or 0.0 for domain in domains)
            update_ns = round(min(_MARGIN_PERIODS * max(updates_s, default=0.0), _MOST_MARGIN_S) * 1e9)
            self._margin_ns = max(_MARGIN_PERIODS * period_ns, update_ns)

    def run(self, leash: Leash, say: Callable[[dict[str, Any]], None]) -> None:
        """The whole life of the sampler.

        Raises:
            OSError: if the disk does not take the rows.
            ParentGone: if the parent ended without asking for the end.
        """
        self._sample(leash, time.monotonic_ns() + self._margin_ns)
        self._hand_over()
        say(
            {
                "domains": [domain.to_json() for meter in self._meters for domain in meter.domains()],
                "resources": [domain.to_json() for domain in self._host.domains()],
                "power_hz": self._power_hz,
                "unavailable": [lack.to_json() for lack in (*self._unavailable, *self._host.lacks())],
            }
        )
        self._sample(leash, None)
        for scraper in self._scrapers:
            scraper.ask_to_end()
        self._sample(leash, time.monotonic_ns() + self._margin_ns)
        for cadence in self._cadences:
            cadence.act()
        self._hand_over()
        for scraper in self._scrapers:
            scraper.end()
        told = [scraper.to_json() for scraper in self._scrapers]
        say({"server_metrics": told, "cpu_s": time.process_time()})

    def _sample(self, leash: Leash, until_ns: int | None) -> None:
        """Sample until a moment, or until the parent asks for the end."""
        look_ns = 0
        while True:
            now_ns = time.monotonic_ns()
            if now_ns >= look_ns:
                leash.check()
                look_ns = now_ns + _LOOK_NS
            wake_ns = look_ns if until_ns is None else min(look_ns, until_ns)
            for cadence in self._cadences:
                if now_ns >= cadence.due_ns:
                    cadence.act_now()
                wake_ns = min(wake_ns, cadence.due_ns)
            now_ns = time.monotonic_ns()
            if leash.asked.is_set() if until_ns is None else now_ns >= until_ns:
                return
            rest_ns = max(0, wake_ns - now_ns)
            if until_ns is None and rest_ns > _NAP_NS:
                leash.asked.wait(rest_ns / 1e9)
            else:
                time.sleep(rest_ns / 1e9)

    def close(self) -> None:
        """Close files and meters."""
        for scraper in self._scrapers:
            scraper.end()
        # Nobody may have asked for the end; a disk that takes no more has been told of before.
        with suppress(OSError):
            self._hand_over()
        for rows in (self._resources, self._power, self._metrics):
            if rows is not None:
                rows.close()
        for meter in (self._host, *self._meters):
            meter.close()

    def _sample_resources(self) -> None:
        row = resources_row(self._host.read(), self._host.lacks())
        # A reason stands in the row that has it first, and again only when it changes.
        new = dict(row.pop("missing").items() - self._missing.items())
        if new:
            row["missing"] = new
            self._missing |= new
        self._resources.write(row)

    def _sample_power(self) -> None:
        for meter in self._meters:
            self._held += meter.read()
        self._held_ticks += 1
        if self._held_ticks >= self._most_ticks:
            self._hand_over()

    def _hand_over(self) -> None:
        """Write what was read of power."""
        held, self._held, self._held_ticks = self._held, [], 0
        self._power.write_lines(*map(_power_line, held))


def own_power_hz(domains: Sequence[Domain]) -> float:
    """Readings of power a second that these domains are worth.

    Ten. A counter that its sensor refreshes only now and then (NVML's: every 100 ms) is read five times a refresh, so
    that its instant is found: the error over 10 s is then smaller by a third (``python benchmarks/energy.py``).
    """
    slow_s = [
        domain.update_s
        for domain in domains
        if domain.kind is Kind.COUNTER and domain.update_s is not None and domain.update_s >= _SLOW_COUNTER_S
    ]
    return max([_POWER_HZ, *(_READS_A_REFRESH / update_s for update_s in slow_s)])


def _power_line(reading: Reading) -> str:
    """The line of `power_row`, without the encoder where that can be: it would take longer than all the reading."""
    if reading.value is None or not math.isfinite(reading.value):
        return _ENCODER.encode(power_row(reading))
    return f'{{"domain":{_quoted(reading.domain)},"t_ns":{reading.t_ns},"value":{reading.value!r}}}'


@cache
def _quoted(name: str) -> str:
    return _ENCODER.encode(name)


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main(argv: Sequence[str]) -> int:
    """Sample until told to end; 0 for a proper end, 1 for a failure that was said, 3 with the parent gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    task = Task(**json.loads(argv[0]))
    leash = Leash(task.parent)
    try:
        # Without a parent its files may be those of the sampler that was started after it.
        leash.check()
        sampler = Sampler(task)
        try:
            sampler.run(leash, _say)
        finally:
            sampler.close()
    except ParentGone:
        return 3
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        _say({"failure": f"{error.strerror or error}{where}"})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
