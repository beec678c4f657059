"""The calls of a judge: several at a time, paced, tried again, within a budget, each written down as it comes."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType

from hexgate.errors import Interrupted, TargetFailed
from hexgate.scorers.judge_books import Books
from hexgate.scorers.judge_ledger import Came, Ledger, Outcome
from hexgate.scorers.judge_pace import Pace, back_off_s, retry_after_s
from hexgate.scorers.judge_reply import Malformed, Scores, read_reply
from hexgate.scorers.judge_spec import JudgeSpec
from hexgate.scorers.judge_task import PLAIN, SCHEMA, Task
from hexgate.targets.http_client import Failure, HttpClient, authorization
from hexgate.wire.base import Event, EventKind, Usage, WireRequest
from hexgate.wire.openai_chat import OpenAIChat
from hexgate.wire.reply import whole_text

__all__ = ["Calls"]

_BUDGET = "the budget is used up"
_FORMAT_REFUSED = frozenset({400, 422})
_NEVER_BETTER = frozenset({401, 402, 403, 404, 405, 407})
"""The key, the account, the model or the address is wrong: no later call fares better."""
_PASSING = frozenset({408, 409, 425, 429})
_MOST_GIVEN_UP = 5
"""Answers in a row whose calls all failed, after which the server is taken to be out of order."""
_WHOLE = frozenset({None, "stop"})
"""How a reply finishes that was not cut, filtered or given up for a call of a tool; None where the server is silent."""
_KEPT_CHARACTERS = 2000
_MOST_TOKENS = 10**9
_LOOK_EVERY_S = 0.2
"""A wait without end would not hear Ctrl-C on every system."""


class Calls:
    """Settles tasks. One use.

    Args:
        spec: who judges.
        ledger: where every call is written down.
        tasks: what to settle, in this order; what the ledger has settled is not asked for again.
    """

    def __init__(self, spec: JudgeSpec, ledger: Ledger, tasks: Sequence[Task]) -> None:
        self._spec = spec
        self._ledger = ledger
        self._all = len(tasks)
        self._left = deque(task for task in tasks if not self._settled(task))
        self._done = self._all - len(self._left)
        self._stop = threading.Event()
        self._pace = Pace(spec.rpm, self._stop)
        self._books = Books(spec.budget, _spent({task.key for task in tasks}, ledger))
        self._lock = threading.Lock()
        self._working = 0
        self._over = threading.Event()
        self._given_up = 0
        self._stopped: str | None = None
        self._error: BaseException | None = None
        self._plain = False
        self._key = spec.key() if self._left else None
        self._client = HttpClient(
            spec.address.base_url, authorization(self._key, None), spec.timeout_s, self._key
        )
        self.unsettled: dict[str, str] = {}
        """Why tasks were left for a later run, by key."""

    def __enter__(self) -> Calls:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def run(self, progress: Callable[[int, int], None] | None = None) -> str | None:
        """Settle the tasks. Returns why it ended before the last one; None where it did not.

        Raises:
            TargetFailed: if the server is out of order, or refuses key or model.
            InputError: if the ledger cannot be written.
            Interrupted: on Ctrl-C, once the calls under way have come back.
        """
        count = min(self._spec.concurrency, len(self._left))
        threads = [threading.Thread(target=self._work, args=(progress,), daemon=True) for _ in range(count)]
        self._working = count
        for thread in threads:
            thread.start()
        try:
            self._wait()
        except KeyboardInterrupt:
            self._stop.set()
            self._wait()
            raise Interrupted(
                "the judge was stopped",
                got=f"{self._done} of {self._all} judgements",
                hint="the same command goes on from here",
            ) from None
        if self._error is not None:
            raise self._error
        return self._stopped

    def _wait(self) -> None:
        # Not by joining them: Python 3.11 takes a thread whose join was interrupted for ended, and its call is lost.
        while self._working and not self._over.wait(_LOOK_EVERY_S):
            pass

    def _work(self, progress: Callable[[int, int], None] | None) -> None:
        try:
            while not self._stop.is_set():
                try:
                    task = self._left.popleft()
                except IndexError:
                    return
                settled = self._settle(task)
                with self._lock:
                    self._done += settled
                    if progress is not None and settled:
                        progress(self._done, self._all)
        except BaseException as error:  # noqa: BLE001 - the thread that waits raises it
            with self._lock:
                self._error = self._error or error
            self._stop.set()
        finally:
            with self._lock:
                self._working -= 1
                if not self._working:
                    self._over.set()

    def _settled(self, task: Task) -> bool:
        calls = self._ledger.calls(task.key)
        malformed = sum(call.outcome is Outcome.MALFORMED for call in calls)
        return malformed >= self._spec.attempts or any(call.outcome is Outcome.SCORED for call in calls)

    def _settle(self, task: Task) -> bool:
        """Ask until the task is settled, or is left for a later run."""
        failures, form = 0, PLAIN if self._plain else SCHEMA
        while not self._settled(task):
            came, failure = self._call(task, form)
            if came is None:
                return False
            if failure is None:
                # What a schema was refused for may be the answer itself; now it is known to be the schema.
                self._plain = self._plain or form == PLAIN
                self._given_up = 0
            elif form == SCHEMA and failure.status in _FORMAT_REFUSED:
                form = PLAIN
            else:
                failures += 1
                if not self._go_on(failure, failures):
                    self._give_up(task, came.reason or "")
                    return False
        return True

    def _call(self, task: Task, form: str) -> tuple[Came | None, Failure | None]:
        """One call, written down before and after; neither where it may not be sent any more."""
        malformed = sum(call.outcome is Outcome.MALFORMED for call in self._ledger.calls(task.key))
        request = task.request(self._spec, malformed=malformed, form=form)
        prices = self._spec.prices
        at_most = None if prices is None else prices.at_most(len(request.body), self._spec.max_tokens)
        if not self._books.reserve(at_most):
            self._stopped = _BUDGET
            self._stop.set()
            self.unsettled[task.key] = _BUDGET
            return None, None
        if not self._pace.take():
            self._books.settle(at_most, 0.0)
            return None, None
        # Until something is known the call has cost what it may cost.
        booked = at_most
        try:
            attempt = self._ledger.next_attempt(task.key)
            self._ledger.ask(task.key, attempt, at_most)
            came, failure = self._answer(request, Came(task.key, attempt, Outcome.FAILED, form=form), at_most)
            booked = came.cost_at_most
            self._ledger.note(came)
            return came, failure
        finally:
            self._books.settle(at_most, booked or 0.0)

    def _answer(self, request: WireRequest, call: Came, at_most: float | None) -> tuple[Came, Failure | None]:
        """Send one call and read what comes back."""
        try:
            events = self._events(request)
        except Failure as failure:
            # A server that refuses bills nothing; of a call that broke off nobody knows.
            refused = at_most is not None and failure.status is not None
            cost, most = (0.0, 0.0) if refused else (None, at_most)
            return replace(call, reason=self._clean(str(failure)), cost=cost, cost_at_most=most), failure
        text, usage, finish = _content(events)
        cost = self._cost(usage)
        call = replace(
            call,
            prompt_tokens=usage.prompt_tokens,
            output_tokens=usage.output_tokens,
            cost=cost,
            cost_at_most=at_most if cost is None else cost,
        )
        try:
            scores, reasons = _read(text, finish)
        except Malformed as malformed:
            kept = self._clean(text)[:_KEPT_CHARACTERS]
            return replace(
                call, outcome=Outcome.MALFORMED, reason=self._clean(str(malformed)), reply=kept
            ), None
        reasons = {name: self._clean(reason) for name, reason in reasons.items()}
        return replace(call, outcome=Outcome.SCORED, scores=scores, rationales=reasons), None

    def _events(self, request: WireRequest) -> list[Event]:
        """The events of a reply.

        Raises:
            Failure: if there was none, or one that breaks the API's rules.
        """
        events = OpenAIChat().events([self._client.send(request)], stream=False)
        for event in events:
            if event.kind is EventKind.ERROR:
                kind, _, detail = event.text.partition(": ")
                raise Failure(kind, detail)
        return events

    def _cost(self, usage: Usage) -> float | None:
        prices = self._spec.prices
        if prices is None or usage.prompt_tokens is None or usage.output_tokens is None:
            return None
        return prices.cost(usage.prompt_tokens, usage.output_tokens)

    def _go_on(self, failure: Failure, failures: int) -> bool:
        """Wait for the next try after a failure. False where there is to be none in this run.

        Raises:
            TargetFailed: if no call of this run can fare better.
        """
        status = failure.status
        if status in _NEVER_BETTER or failure.kind == "redirect":
            raise self._broken("the judge refuses the calls", failure, "mend the key, the model or the URL")
        passing = status is None or status >= 500 or status in _PASSING
        if not passing or failures >= self._spec.tries:
            return False
        asked_s = retry_after_s(failure.retry_after)
        if asked_s is not None and asked_s > self._spec.most_wait_s:
            raise self._broken(f"the judge asks for a pause of {asked_s:.0f} s", failure, "go on later")
        wait_s = back_off_s(failures) if asked_s is None else asked_s
        if status in {429, 503}:
            self._pace.pause(wait_s)
        else:
            self._stop.wait(wait_s)
        return not self._stop.is_set()

    def _give_up(self, task: Task, why: str) -> None:
        with self._lock:
            self.unsettled[task.key] = why
            if self._stop.is_set():
                return
            self._given_up += 1
            if self._given_up < _MOST_GIVEN_UP:
                return
        raise TargetFailed(
            f"{_MOST_GIVEN_UP} answers in a row could not be judged",
            where=self._spec.address.uri,
            got=why,
            hint="what was judged is kept; the same command goes on from here",
        )

    def _broken(self, what: str, failure: Failure, hint: str) -> TargetFailed:
        hint = f"{hint}; what was judged is kept, and the same command goes on from here"
        return TargetFailed(what, where=self._spec.address.uri, got=self._clean(str(failure)), hint=hint)

    def _clean(self, text: str) -> str:
        """Text of the server, without the key, as text that can be written."""
        return whole_text([text.replace(self._key, "***") if self._key else text])


def _read(text: str, finish: str | None) -> tuple[Scores, dict[str, str]]:
    """The scores of a reply that came to its end.

    Raises:
        Malformed: if it did not, or holds none.
    """
    if finish not in _WHOLE:
        raise Malformed(f"it did not end by itself (finish: {finish})")
    return read_reply(text)


def _content(events: Sequence[Event]) -> tuple[str, Usage, str | None]:
    """Text, counts and reason of the finish of a whole reply."""
    text = whole_text(event.text for event in events if event.kind is EventKind.TEXT)
    stated = next((event.usage for event in reversed(events) if event.usage is not None), Usage())
    usage = Usage(_sane(stated.prompt_tokens), _sane(stated.output_tokens))
    finish = next((event.text for event in events if event.kind is EventKind.FINISH), None)
    return text, usage, finish


def _sane(count: int | None) -> int | None:
    """A count, unless no reply can have so many tokens."""
    return count if count is not None and count < _MOST_TOKENS else None


def _spent(keys: set[str], ledger: Ledger) -> float:
    """What the calls under these keys cost at most."""
    calls = [call.cost_at_most or 0.0 for key in sorted(keys) for call in ledger.calls(key)]
    return math.fsum(calls + [cost or 0.0 for (key, _), cost in ledger.lost().items() if key in keys])
