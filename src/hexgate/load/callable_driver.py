"""Load on a model in this process: a plain loop for one caller, threads for more."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from hexgate.errors import InputError, TargetFailed
from hexgate.load.errand import Errand, Ran, Stopped
from hexgate.load.gather import gather
from hexgate.load.plans.plan import LoadKind
from hexgate.load.sending.attempt import Attempt
from hexgate.load.sending.layout import NEVER, Outcome
from hexgate.load.sending.readback import SlotFiles
from hexgate.load.sending.reading import EMPTY
from hexgate.load.session import Session
from hexgate.load.work_folder import WorkFolder

__all__ = ["CallOutcome", "CallableDriver"]

_POLL_S = 0.02
"""How often a run looks whether it is to stop."""


@dataclass(frozen=True)
class CallOutcome:
    """What one call of a model gave."""

    text: str | None = None
    """The answer of a generator, an error where it is empty; None for a predictor."""
    error: str | None = None
    """Why the call failed: a class and, after a colon, a detail; None where it did not."""
    token_ns: Sequence[int] = ()
    """`time.monotonic_ns` of every event with text, where the reply was streamed."""
    prompt_tokens: int | None = None
    """Tokens of the prompt, where the model says."""
    output_tokens: int | None = None
    """Tokens of the reply, where the model says."""
    ended_ns: int | None = None
    """`time.monotonic_ns` when the answer was there, where the call went on to check it; None where it is over
    with the call."""


@dataclass(frozen=True)
class CallableDriver:
    """Calls a model with the index of a data item, from one thread for each request in flight.

    The call runs until it returns: nothing can stop it, and there is no time-out.
    """

    call: Callable[[int], CallOutcome]
    """Takes the index of an item. Raises TargetFailed where the model fails; anything else ends the run."""

    def carry_out(self, errand: Errand, ran: Ran) -> None:
        """Call the model when a request is due, and leave records and replies, however it ends.

        Raises:
            InputError: for an open loop without a cap, which would need a thread for every request; for a plan of
                conversations.
        """
        if errand.shard.concurrency < 1:
            raise InputError(
                "an open loop on a model in this process needs a cap on the requests in flight",
                hint="requests beyond the cap queue, and their wait is charged to them",
            )
        if errand.shard.plan.turns > 1:
            raise InputError("a model in this process takes no conversations", hint="take out --turns")
        work = WorkFolder(errand.folder, errand.stem)
        try:
            with _collector_at_rest(), SlotFiles(work.path, "worker-0", replies=errand.keep_replies) as files:
                session = Session(errand, ran, files)
                try:
                    self._drive(session)
                except KeyboardInterrupt:
                    errand.stop.now(Stopped.INTERRUPTED)
                finally:
                    ran.ended_ns = time.monotonic_ns() - ran.start_ns
                    ran.cpu_s = time.process_time() - ran.cpu_s
                    session.close()
            ran.files = gather(errand, work.path, 1)
        finally:
            work.remove()

    def _drive(self, session: Session) -> None:
        if session.plan.kind is LoadKind.OPEN_LOOP:
            self._by_the_clock(session)
        elif session.shard.concurrency == 1:
            session.begin()
            while (taken := session.take()) is not None:
                self._attempt(session, *taken)
        else:
            self._by_threads(session)

    def _attempt(self, session: Session, index: int, item: int) -> None:
        sent_ns = time.monotonic_ns()
        try:
            outcome = self.call(item)
        except TargetFailed as error:
            outcome = CallOutcome(error=f"target: {error}")
        end_ns = time.monotonic_ns() if outcome.ended_ns is None else outcome.ended_ns
        tokens = outcome.token_ns
        error_text = outcome.error
        if error_text is None and outcome.text == "":
            error_text = f"{EMPTY}a reply without text"
        failed = error_text is not None
        session.note(
            index,
            Attempt(
                outcome=Outcome.ERROR if failed else Outcome.OK,
                sent_ns=sent_ns,
                first_event_ns=tokens[0] if tokens else NEVER,
                first_token_ns=tokens[0] if tokens else NEVER,
                first_answer_ns=tokens[0] if tokens else NEVER,
                last_token_ns=tokens[-1] if tokens else NEVER,
                end_ns=end_ns,
                events=len(tokens) or int(not failed),
                prompt_tokens=NEVER if outcome.prompt_tokens is None else outcome.prompt_tokens,
                output_tokens=NEVER if outcome.output_tokens is None else outcome.output_tokens,
                text=outcome.text,
                error=error_text,
            ),
        )

    def _by_threads(self, session: Session) -> None:
        def work() -> None:
            while (taken := session.take()) is not None:
                self._attempt(session, *taken)

        crew = _Crew(session.shard.concurrency, work)
        session.begin()
        crew.start()
        crew.join(session)

    def _by_the_clock(self, session: Session) -> None:
        # The clock has a thread of its own (this one), so that a busy model does not make it late.
        due: SimpleQueue[tuple[int, int] | None] = SimpleQueue()

        def work() -> None:
            while (taken := due.get()) is not None:
                if session.over:
                    _not_sent(session, taken[0])
                else:
                    self._attempt(session, *taken)

        crew = _Crew(session.shard.concurrency, work)
        crew.start()
        session.begin()
        try:
            while (due_ns := session.next_due_ns) is not None and crew.failure is None:
                if (wait_ns := due_ns - session.now_ns()) > 0:
                    time.sleep(min(wait_ns / 1e9, _POLL_S))
                elif (taken := session.take()) is not None:
                    due.put(taken)
        finally:
            for _ in range(session.shard.concurrency):
                due.put(None)
        try:
            crew.join(session)
        finally:
            _empty(due, session)


def _not_sent(session: Session, index: int) -> None:
    session.note(index, Attempt(Outcome.NOT_SENT, error="not_sent: the run was stopped"))


def _empty(due: SimpleQueue[tuple[int, int] | None], session: Session) -> None:
    """Take down what still waits in the queue, and leave the threads that come back nothing but the end."""
    while True:
        try:
            taken = due.get_nowait()
        except Empty:
            break
        if taken is not None:
            _not_sent(session, taken[0])
    for _ in range(session.shard.concurrency):
        due.put(None)


class _Crew:
    """The threads of a run. They are daemons: one that hangs in a call does not keep the process alive."""

    def __init__(self, size: int, work: Callable[[], None]) -> None:
        self.failure: BaseException | None = None
        """What ended a thread that should not have ended."""
        self._work = work
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(size)]

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self.failure = self.failure or error

    def start(self) -> None:
        """Start every thread."""
        for thread in self._threads:
            thread.start()

    def join(self, session: Session) -> None:
        """Until every thread is over, or the drain limit has passed, or one failed."""
        deadline: float | None = None
        while any(thread.is_alive() for thread in self._threads):
            if self.failure is not None:
                raise self.failure
            if deadline is None and (session.over or session.all_taken) and session.drain_limited:
                deadline = time.monotonic() + session.stop.drain_s
            if deadline is not None and time.monotonic() >= deadline:
                return
            next(thread for thread in self._threads if thread.is_alive()).join(_POLL_S)
        if self.failure is not None:
            raise self.failure


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """No cyclic garbage collection inside: it would show as latency of whatever it interrupts."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
