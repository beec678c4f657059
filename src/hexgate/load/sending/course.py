"""The timed part of a worker: what is sent next and when, what is in flight, when it is over. One event loop.

Everything on the way of a request is a plain call: no task and no future is made for it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from hexgate.load.sending.alarm import Alarm
from hexgate.load.sending.counters import Command, Control, Counters, State
from hexgate.load.sending.exchange import OUTCOME_OF, Fault
from hexgate.load.sending.flight import Flight
from hexgate.load.sending.layout import NEVER, Outcome
from hexgate.load.sending.readback import Reader
from hexgate.load.sending.sender import Sender
from hexgate.load.sending.spool import SpoolWriter
from hexgate.load.sending.talk import Talk
from hexgate.load.sending.watch import Watch
from hexgate.load.sending.work import Bodies, Work, units

__all__ = ["Course"]

_BATCH = 64
"""Most requests that are taken up at one wake before the loop may read sockets again."""
_SLOTS, _SLOTS_APART_NS = 4, 1_000_000
"""So many slots of a closed loop begin at a time, so far apart: streams that begin together bring their tokens and end
together for as long as the run lasts, and the client would measure itself."""
_SLICE_NS = 1_000_000
_WRITE_AT_ONCE_NS = 250_000
"""Flights that are over are written down at once for so long in each slice of time: while they are at hand, that costs
least. Where more end together, the rest waits: what arrives meanwhile goes first."""
_WRITE_LATER_NS = 60_000
_WRITE_MORE_AT = 256
"""What waits is written down for so long at a time; for longer in proportion where more than these wait."""
_SAMPLE_EVERY_NS = 250_000_000
"""Time from one reply that is read while the run goes on to the next: reading holds the loop up, and the stamps of
what arrives meanwhile."""
_SAMPLE_BYTES = 65_536
"""A longer reply is not read while the run goes on: it would hold the loop up."""
_TAIL_BYTES = 64

_UNREACHABLE = frozenset({Fault.CONNECTION, Fault.CLIENT})


class Course:
    """Carries out one worker's part of a plan."""

    def __init__(
        self,
        work: Work,
        make_sender: Callable[[Callable[[Flight], None]], Sender],
        bodies: Bodies,
        reader: Reader,
        talk: Talk | None,
        spool: SpoolWriter,
        control: Control,
        counters: Counters,
        ends_with: bytes | None,
    ) -> None:
        self._work = work
        self._sender = make_sender(self._ended)
        self._bodies = bodies
        self._reader = reader
        self._talk = talk
        self._spool = spool
        self._control = control
        self._counters = counters
        self._ends_with = ends_with
        self._units = units(work)
        self._next: tuple[int, int, int] | None = next(self._units, None)
        self._taken = 0
        self._slots = 0
        """Slots of a closed loop that were filled for the first time."""
        self._open = 0
        """Units that were begun and are not over."""
        self._waiting: deque[Flight] = deque()
        """Taken up under a cap that is reached."""
        self._unwritten: deque[Flight] = deque()
        """Over, and not in the spool yet."""
        self._slice_ns = self._spent_ns = 0
        """When the present slice of time began, and how much of it went into writing down."""
        self._thinking: list[tuple[int, int, Flight, str]] = []
        """A heap of the turns whose reply a user reads: when the next is due, slot, the turn, its reply."""
        self._start_ns = 0
        self._timed_ns: int | None = None
        self._deadline_ns: int | None = None
        self._stopped_ns: int | None = None
        self._stopped: str | None = None
        self._unreachable = 0
        self._last_error = ""
        self._sample_ns = 0
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._alarm = Alarm(self._launch_due if work.open_loop else self._launch_slots)
        self._turn_alarm = Alarm(self._speak_due)
        self._write_alarm = Alarm(self._write_some)

    async def warm(self) -> None:
        """Open the connections that the first requests will use."""
        if self._work.warm:
            await self._sender.warm(self._work.warm)

    async def run(self, start_ns: int) -> dict[str, Any]:
        """Send, from the start on, and return when nothing is in flight: what a worker tells of its run.

        The result has the worker's entry of the document `client`, and how the run ended.
        """
        self._start_ns = start_ns
        watch = Watch(self._sender, self._counters, self._tick)
        watch.begin()
        self._counters.state = State.RUNNING
        if self._next is None:
            self._finish_if_over()
        else:
            self._alarm.set(start_ns + self._next[1] if self._work.open_loop else start_ns)
        await self._over
        ended_ns = time.monotonic_ns()
        self._write_alarm.close()
        while self._unwritten:
            self._spool.add(self._unwritten.popleft())
        self._counters.state = State.DRAINING
        client = watch.end()
        self._alarm.close()
        self._turn_alarm.close()
        await self._sender.close()
        return {
            "worker": self._work.worker,
            **client,
            "ended_ns": ended_ns - start_ns,
            "taken": self._taken,
            "stopped": self._stopped,
            "stopped_ns": self._stopped_ns,
            "unreachable": self._unreachable,
            "last_error": self._last_error,
            "died": None,
        }

    # Taking up.

    def _launch_due(self) -> None:
        """Open loop: take up everything that is due, and set the alarm for what comes next."""
        cap, turns = self._work.slots, self._work.turns
        for _ in range(_BATCH):
            unit = self._next
            if unit is None or self._stopped is not None:
                self._finish_if_over()
                return
            row, due, item = unit
            due_ns = self._start_ns + due
            now = time.monotonic_ns()
            if due_ns > now:
                self._alarm.set(due_ns)
                return
            flight = Flight(self._taken * turns, row * turns, item, 0, due_ns, now)
            self._advance()
            self._counters.issue(now - due_ns)
            if cap and len(self._sender.flying) >= cap:
                self._waiting.append(flight)
            else:
                self._send(flight)
        # Sockets are read in between, and the rest of what is due follows at once.
        self._alarm.set(1)

    def _launch_slots(self) -> None:
        """Closed loop: fill the slots, so many at a time."""
        more = min(self._work.slots - self._slots, _SLOTS)
        self._slots += more
        for _ in range(more):
            self._take()
        if self._slots < self._work.slots:
            self._alarm.set(time.monotonic_ns() + _SLOTS_APART_NS)
        self._finish_if_over()

    def _take(self) -> None:
        """Closed loop: take up the next unit in a slot that is free, if there is one to take."""
        unit = self._next
        if unit is None or self._stopped is not None:
            return
        work = self._work
        now = time.monotonic_ns()
        row, _, item = unit
        if work.duration_ns:
            if self._timed_ns is None:
                if row >= work.warmup:
                    self._timed_ns = now
            elif now - self._timed_ns >= work.duration_ns:
                self._exhaust()
                return
        flight = Flight(self._taken * work.turns, row * work.turns, item, 0, NEVER, now)
        self._advance()
        self._counters.issue(0)
        self._send(flight)

    def _advance(self) -> None:
        self._taken += 1
        self._open += 1
        self._next = next(self._units, None)
        if self._next is None:
            self._exhaust()

    def _exhaust(self) -> None:
        """Nothing more will be taken up, because the plan, or its time, has run out."""
        self._next = None
        self._counters.state = State.DRAINING
        if self._work.drain_limited and self._deadline_ns is None:
            self._deadline_ns = time.monotonic_ns() + self._work.drain_ns

    def _send(self, flight: Flight) -> None:
        if self._talk is not None and flight.turn == 0:
            self._talk.begin(flight)
        if flight.turn == 0:
            flight.request = self._bodies.request(flight.item)
        self._sender.send(flight)

    # What came of it.

    def _ended(self, flight: Flight) -> None:
        flight.request = b""
        self._write(flight)
        outcome = self._seem(flight)
        latency = None
        if outcome is Outcome.OK and flight.index >= self._work.warmup * self._work.turns:
            latency = flight.end_ns - (flight.sent_ns if flight.due_ns < 0 else flight.due_ns)
        self._counters.end(outcome, latency, flight.bytes)
        if flight.fault in _UNREACHABLE:
            self._unreachable += 1
            self._last_error = f"{Fault(flight.fault).name.lower()}: {flight.error}"
            if self._unreachable >= self._work.max_unreachable:
                own = flight.fault == Fault.CLIENT
                self._stop("client" if own else "unreachable", self._work.drain_ns)
        elif flight.fault != Fault.ABANDONED:
            self._unreachable = 0
        if self._talk is not None and self._go_on(self._talk, flight, outcome):
            if self._work.open_loop:
                # A cap is one on requests: while a user thinks, another may have the place.
                self._follow()
            return
        self._open -= 1
        if flight.fault:
            # Not from inside of the transport's call: a server that refuses everything would nest these.
            self._loop.call_soon(self._follow)
        else:
            self._follow()

    def _follow(self) -> None:
        """A slot is free."""
        if self._work.open_loop:
            if self._waiting:
                self._send(self._waiting.popleft())
        else:
            self._take()
        self._finish_if_over()

    def _go_on(self, talk: Talk, flight: Flight, outcome: Outcome) -> bool:
        """Conversations: send the turn that follows, or write down that it cannot be. Whether one was sent."""
        if flight.turn + 1 >= self._work.turns:
            talk.end(flight)
            return False
        reply = self._reader.read(flight) if outcome is Outcome.OK else None
        if self._stopped is None and reply is not None and reply.outcome is Outcome.OK:
            due_ns = flight.end_ns + self._work.think_ns
            heappush(self._thinking, (due_ns, flight.slot, flight, reply.text or ""))
            self._turn_alarm.set(self._thinking[0][0])
            return True
        self._break_off(talk, flight, "a turn before it did not succeed")
        return False

    def _break_off(self, talk: Talk, flight: Flight, why: str) -> None:
        """Write down that the turns after this one are not sent."""
        for turn in range(flight.turn + 1, self._work.turns):
            missed = self._turn_after(flight, turn, NEVER)
            missed.fault, missed.error = Fault.SKIPPED, why
            self._counters.issue(0)
            self._counters.end(Outcome.NOT_SENT, None)
            self._write(missed)
        talk.end(flight)

    def _speak_due(self) -> None:
        """Send the turns that are due, and set the alarm for the next."""
        while self._thinking and self._thinking[0][0] <= time.monotonic_ns():
            due_ns, _, before, reply = heappop(self._thinking)
            if self._talk is not None:
                self._speak(self._talk, before, due_ns, reply)
        if self._thinking:
            self._turn_alarm.set(self._thinking[0][0])

    def _speak(self, talk: Talk, before: Flight, due_ns: int, reply: str) -> None:
        now = time.monotonic_ns()
        flight = self._turn_after(before, before.turn + 1, now)
        if self._work.open_loop:
            flight.due_ns = due_ns
        flight.request = talk.request(flight, reply)
        self._counters.issue(now - due_ns if self._work.open_loop else 0)
        if self._work.open_loop and self._work.slots and len(self._sender.flying) >= self._work.slots:
            self._waiting.append(flight)
        else:
            self._send(flight)

    @staticmethod
    def _turn_after(flight: Flight, turn: int, issued_ns: int) -> Flight:
        step = turn - flight.turn
        return Flight(flight.slot + step, flight.index + step, flight.item, turn, NEVER, issued_ns)

    def _seem(self, flight: Flight) -> Outcome:
        """What became of a flight as far as a glance tells; by reading it where the glance leaves a doubt."""
        if flight.fault:
            unsent = flight.fault == Fault.ABANDONED and flight.sent_ns < 0
            return Outcome.NOT_SENT if unsent else OUTCOME_OF[Fault(flight.fault)]
        if not 200 <= flight.status < 300:
            return Outcome.ERROR
        tail = flight.pieces[-1][-_TAIL_BYTES:] if flight.pieces else b""
        mark = self._ends_with if self._work.streams[flight.item] else b"}"
        doubtful = not tail or (mark is not None and mark not in tail)
        if not doubtful and flight.end_ns < self._sample_ns:
            return Outcome.OK
        if sum(map(len, flight.pieces)) > _SAMPLE_BYTES:
            return Outcome.OK
        found = self._reader.read(flight)
        first = found.first_token_ns
        self._counters.read(found.events, first - found.sent_ns if first >= 0 else None)
        now = time.monotonic_ns()
        self._sample_ns = now + _SAMPLE_EVERY_NS
        return found.outcome

    def _write(self, flight: Flight) -> None:
        """Take down a flight that is over: at once, or a little later where many end together."""
        now = time.monotonic_ns()
        if now - self._slice_ns >= _SLICE_NS:
            self._slice_ns, self._spent_ns = now, 0
        if self._spent_ns < _WRITE_AT_ONCE_NS and not self._unwritten:
            self._spool.add(flight)
            self._spent_ns += time.monotonic_ns() - now
            return
        if not self._unwritten:
            self._write_alarm.set(now + _SLICE_NS)
        self._unwritten.append(flight)

    def _write_some(self) -> None:
        unwritten = self._unwritten
        until = time.monotonic_ns() + _WRITE_LATER_NS * (1 + len(unwritten) // _WRITE_MORE_AT)
        while unwritten:
            self._spool.add(unwritten.popleft())
            now = time.monotonic_ns()
            if now >= until:
                self._write_alarm.set(now + _SLICE_NS)
                return

    # The end.

    def _tick(self, now: int) -> None:
        self._sender.expire(now)
        if self._control.command is Command.STOP and self._stopped is None:
            self._stop("asked", self._control.drain_ns)
        if self._spool.failure is not None and self._stopped is None:
            self._stop("disk", 0)
        if self._timed_ns is not None and now - self._timed_ns >= self._work.duration_ns > 0:
            # The clock alone decides: with every slot stuck in a request, nobody asks for the next one.
            if self._next is not None:
                self._exhaust()
            self._finish_if_over()
        if self._deadline_ns is not None and now >= self._deadline_ns:
            self._deadline_ns = None
            self._leave_waiting()
            self._sender.abandon()
            self._finish_if_over()

    def _stop(self, why: str, drain_ns: int) -> None:
        """Send nothing more. The first reason stands; what is in flight has so long left."""
        now = time.monotonic_ns()
        if self._stopped is None:
            self._stopped, self._stopped_ns = why, now - self._start_ns
            self._counters.stopped_by = why
        self._next = None
        self._counters.state = State.DRAINING
        self._deadline_ns = min(now + drain_ns, self._deadline_ns or now + drain_ns)
        self._leave_waiting()
        self._finish_if_over()

    def _leave_waiting(self) -> None:
        """What waits for a slot is not sent any more."""
        while self._waiting:
            flight = self._waiting.popleft()
            flight.fault, flight.error = Fault.ABANDONED, "the run was over"
            self._ended(flight)
        while self._thinking:
            _, _, flight, _ = self._thinking.pop()
            if self._talk is not None:
                self._break_off(self._talk, flight, "the run was over")
            self._open -= 1

    def _finish_if_over(self) -> None:
        if self._next is None and self._open == 0 and not self._over.done():
            self._over.set_result(None)
