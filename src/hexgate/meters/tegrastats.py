"""Power of a Jetson from the lines of NVIDIA's `tegrastats`, where sysfs shows no sensor.

A line is a row of words; a rail is a name followed by its milliwatts now, behind which stand their mean and, in
JetPack 7, their greatest value since the tool was started: only the first is a reading. Lines are stamped when they
arrive; the tool's own clock has whole seconds.
Format: "tegrastats Utility" in NVIDIA's Jetson Linux Developer Guide, and lines of public logs.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import IO, cast

from hexgate.meters.base import Domain, Meter, Reading, Unavailable
from hexgate.meters.jetson_boards import Board
from hexgate.meters.jetson_rails import (
    NAME,
    Rail,
    Total,
    choose_total,
    domain_id,
    domains_of,
    named,
    total_reading,
)

__all__ = ["TegrastatsMeter", "open_tegrastats", "rails_of"]

_INTERVAL_S = 0.1
_SILENT_INTERVALS = 3
_OPENING_LINES = 3
"""Lines without power after which none is expected to have it."""
_OPENING_LIMIT_S = 5.0
_END_LIMIT_S = 2.0
_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_POWER = re.compile(r"(?:(-?\d+)/-?\d+|(-?\d+)mW(?:/-?\d+mW){0,2})")
"""Milliwatts: before JetPack 5 a pair without unit, since then up to three values with it."""
_AS_ROOT = "run hexgate as root: some releases of tegrastats show power to root alone"


def rails_of(line: str) -> dict[str, float]:
    """The momentary power of each rail in a line of tegrastats, in watts, in the order of the line.

    Rails that lead nowhere (``NC``) are left out; of two with one name the second ends in ``#2``.
    """
    found: dict[str, float] = {}
    for name, value in pairwise(line.split()):
        power = _POWER.fullmatch(value)
        if power is not None and _NAME.fullmatch(name) and name != "NC":
            found[named(name, found)] = int(power[1] or power[2]) / 1e3
    return found


class _Feed:
    """The tool as a child, and its lines with the moments at which they came."""

    def __init__(self, program: str) -> None:
        self.lines: deque[tuple[int, str]] = deque()
        self.last_words = ""
        self._ended = False
        self._changed = threading.Event()
        self._process = subprocess.Popen(  # noqa: S603 - the tool of this machine, as found on its path
            [program, "--interval", str(round(_INTERVAL_S * 1e3))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # An interrupt from the keyboard is for whoever measures to decide.
            start_new_session=True,
        )
        self._pipe = cast(IO[bytes], self._process.stdout)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        for line in self._pipe:
            # The last line of a tool that was ended may be cut short.
            if line.endswith(b"\n"):
                text = line.decode("ascii", "replace").strip()
                self.lines.append((time.monotonic_ns(), text))
                self.last_words = text or self.last_words
                self._changed.set()
        self._ended = True
        self._changed.set()

    def wait(self, seconds: float) -> None:
        """Wait for the next line or the end of the tool."""
        self._changed.wait(seconds)
        self._changed.clear()

    def ending(self) -> str | None:
        """How the tool ended; None while it runs."""
        if not self._ended:
            return None
        try:
            code = self._process.wait(_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            return "tegrastats closed its output"
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"tegrastats ended ({how}{': ' + self.last_words[:200] if self.last_words else ''})"

    def close(self) -> None:
        """End the tool."""
        self._process.terminate()
        try:
            self._process.wait(_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join()
        self._pipe.close()


class TegrastatsMeter:
    """The rails that the lines have."""

    name = NAME

    def __init__(
        self, feed: _Feed, rails: Sequence[str], total: Total | None, model: str, lacks: Sequence[Unavailable]
    ) -> None:
        self._feed = feed
        self._rails = tuple(rails)
        self._total = total
        self._domains = domains_of([Rail(name, update_s=_INTERVAL_S) for name in rails], total, model)
        self._lacks = tuple(lacks)
        self._heard_ns = time.monotonic_ns()

    def domains(self) -> tuple[Domain, ...]:
        """The total, where it is known, and the rails."""
        return self._domains

    def lacks(self) -> tuple[Unavailable, ...]:
        """A total that is not known."""
        return self._lacks

    def read(self) -> list[Reading]:
        """The readings of every line since the last call; none with a value where the tool is silent or gone."""
        readings: list[Reading] = []
        while self._feed.lines:
            t_ns, line = self._feed.lines.popleft()
            readings += self._of_line(t_ns, rails_of(line))
        reason = None if readings else self._silence()
        if reason is not None:
            now_ns = time.monotonic_ns()
            readings = [Reading(domain.id, now_ns, None, reason) for domain in self._domains]
        return readings

    def _of_line(self, t_ns: int, watts: dict[str, float]) -> list[Reading]:
        if not watts:
            return []
        self._heard_ns = t_ns
        found = {
            name: Reading(domain_id(name), t_ns, watts[name])
            if name in watts
            else Reading(domain_id(name), t_ns, None, "the line of tegrastats does not have it")
            for name in self._rails
        }
        readings = list(found.values())
        if self._total is not None and len(self._total.rails) > 1:
            readings.insert(0, total_reading(self._total, found))
        return readings

    def _silence(self) -> str | None:
        """Why there is nothing new; None where the next line is only to come."""
        ending = self._feed.ending()
        if ending is not None:
            return ending
        silent_s = (time.monotonic_ns() - self._heard_ns) / 1e9
        if silent_s <= _SILENT_INTERVALS * _INTERVAL_S:
            return None
        return (
            f"tegrastats has told no power for {silent_s:.1f} s, where a line is due every {_INTERVAL_S:g} s"
        )

    def close(self) -> None:
        """End the tool."""
        self._feed.close()


def open_tegrastats(board: Board | None, model: str, asked: Sequence[str]) -> Meter | Unavailable:
    """Start tegrastats and wait for its first line with power.

    Args:
        board: the board; None where it is not in the table.
        model: what a person calls it.
        asked: the rails that the user named as the total; empty where the table is to say.
    """
    program = shutil.which("tegrastats")
    if program is None:
        return _without(
            "sysfs shows no power sensor, and there is no tegrastats on the path",
            "in a container: mount the machine's /sys and /usr/bin/tegrastats; some boards, such as the Jetson "
            "Nano 2GB, have no power sensor",
        )
    try:
        feed = _Feed(program)
    except OSError as error:
        return _without(f"{program} cannot be started ({error.strerror})", None)
    rails = _first_rails(feed)
    if isinstance(rails, str):
        feed.close()
        return _without(rails, _AS_ROOT)
    total = choose_total(board, rails, asked)
    if isinstance(total, Unavailable):
        return TegrastatsMeter(feed, rails, None, model, [total])
    return TegrastatsMeter(feed, rails, total, model, [])


def _first_rails(feed: _Feed) -> list[str] | str:
    """The rails of the first line that has any, or why none comes. The lines stay where they are."""
    deadline = time.monotonic() + _OPENING_LIMIT_S
    while True:
        ending = feed.ending()
        lines = [line for _, line in list(feed.lines) if line]
        found = next((rails for rails in map(rails_of, lines) if rails), None)
        if found is not None:
            return list(found)
        if ending is not None:
            return ending
        if len(lines) >= _OPENING_LINES:
            return "the lines of tegrastats have no power in them"
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return f"tegrastats has printed no power within {_OPENING_LIMIT_S:g} s"
        feed.wait(left_s)


def _without(reason: str, remedy: str | None) -> Unavailable:
    return Unavailable(NAME, "power of a Jetson", reason, remedy)
