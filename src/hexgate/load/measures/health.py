"""Whether the client kept up, and what else makes a run say less than it seems to: judged from evidence alone. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hexgate.errors import EvidenceError
from hexgate.load.measures.spans import Millis, Pace, Rows, busy_ratio, lag_ms, millis
from hexgate.load.plans.plan import Plan
from hexgate.load.records import Outcome, Records
from hexgate.stats.histogram import LogHistogram
from hexgate.stats.percentile import rank_of

__all__ = [
    "LAG_FLOOR_MS",
    "LAG_OF_PUBLISHED",
    "LEAST_BUSY",
    "WAITED_LAG_FLOOR_MS",
    "WAITED_RATIO",
    "ClientHealth",
    "cache_suspicion",
    "client_health",
]

LEAST_BUSY = 0.5
"""The least mean share of the slots of a closed loop that has a request."""
LAG_FLOOR_MS = 3.0
"""A loop lag up to this is no reason."""
WAITED_LAG_FLOOR_MS = 1.5
"""The same where the kernel says that the worker was kept waiting for a processor."""
WAITED_RATIO = 0.005
"""It was, from this share of the time on in which it was ready to run and had none."""
LAG_OF_PUBLISHED = 0.1
"""The most that the loop lag may be of a latency at the same percentile."""

_DISPATCH_FLOOR_MS = 5.0
_DISPATCH_OF_GAP = 0.5
_LEAST_ACHIEVED = 0.98
_LEAST_TICKS = 100
_BUSY_CORE = 0.9
_NEARLY_BUSY_CORE = 0.7
_BUSY_SECONDS = 0.1
_THROTTLED_RATIO = 0.01
_OPENED_RATIO = 0.5
_LEAST_SENT = 100
_REPEATED_RATIO = 0.1
_CACHED_RATIO = 0.05


@dataclass(frozen=True)
class ClientHealth:
    """Whether the client kept up with its own plan and with the target."""

    starved: bool
    """Whether it did not: then the figures say more of the client than of the target."""
    reasons: tuple[str, ...]
    """Why, one cause each: what was measured, the limit, and what to change. Empty where it kept up."""
    advice: tuple[str, ...]
    """What to know or to change though it is no reason, one sentence each."""


def client_health(
    records: Records,
    plan: Plan,
    *,
    client: Mapping[str, Any] | None = None,
    in_process: bool = False,
    slots: int | None = None,
) -> ClientHealth:
    """Whether the client, and not the target, shaped the run.

    From the records and the plan:

    - Open loop: the instants at which the engine took requests up, before they wait for a slot or for a connection. A
      slow target delays what comes after, never these. Starved when their lag behind the due times exceeds, at the
      99th percentile, the larger of 5 ms and half a mean gap, or when they come at less than 0.98 of the planned pace.
    - Closed loop: when fewer than half of the slots had a request on average, because taking a reply down took longer
      than getting it. A run in which the slots were not all taken a second time is not judged by that, and neither is
      one on a model in this process: the time between its calls is ours, and can make a rate too low, never too high.
    - When this machine could not open a connection for want of sockets, ports or memory.

    From the workers' own account, where there is one:

    - Loop lag: how late the event loop is for a tick every 10 ms is how late it is for a reply. At the median and at
      the 99th percentile it may be a tenth of the latency that is published at that percentile (TTFT, or of the
      whole reply where nothing streams, from the send): 10 ms are nothing in 2 s and everything in 6 ms.
      Up to 3 ms is never a reason, or up to 1.5 ms where the kernel says that the worker was ready to run and had
      no processor for more than 0.005 of the time; there the dispatch lag counts as loop lag too, and both are held
      against the median, as the tail may be of the wait's own making. That time alone is no reason: a loop that
      shares its processor with a quick server waits often, for microseconds. The figures that the limits come from
      are in docs/load/health.md. A worker with fewer than 100 ticks is not judged by it.
    - Own processor time: one worker is one thread. Starved when in more than a tenth of the seconds it used 0.9 of a
      core while bytes lay unread in its sockets: then replies waited for it.
    - A quota: starved when the group of processes was throttled for more than 0.01 of the time, from where on the
      99th percentile can be made of nothing else.
    - A worker that ended before its time.

    Args:
        records: the run's records.
        plan: its plan.
        client: the document `client` of the evidence; None where there is none.
        in_process: whether the model runs in this process.
        slots: requests in flight in a closed loop, where the records are those of a shard; None for the plan's.

    Raises:
        EvidenceError: if the document `client` is not one.
    """
    slots = plan.concurrency if slots is None else slots
    seen = _Seen(plan, published=client is not None)
    for chunk in records.chunks():
        seen.add(chunk[~chunk["warmup"]])
    reasons: list[str] = []
    advice: list[str] = []
    try:
        late = _late_reason(client, seen)
        reasons += [] if late is None else [late]
        if client is not None:
            reasons += _own_reasons(client)
            advice += _own_advice(client, seen)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise EvidenceError(f"the account that the client gives of itself is not one ({error!r})") from None
    busy = None if in_process else busy_ratio(records, plan, slots)
    if busy is not None and busy < LEAST_BUSY:
        reasons.append(
            f"on average {busy * slots:.3g} of {slots} slots had a request, fewer than {LEAST_BUSY:g} of them: the "
            "client took longer between requests than the target took for them; give it more cores and workers"
        )
    if seen.unable:
        reasons.append(
            f"{seen.unable} requests were not sent because this machine could open no more connections; raise "
            "its limit on open files (ulimit -n), or send fewer at once"
        )
    return ClientHealth(bool(reasons), tuple(reasons), tuple(advice))


class _Seen:
    """What one reading of the timed requests tells."""

    def __init__(self, plan: Plan, *, published: bool) -> None:
        self._rate_rps = plan.rate_rps
        self._limit_ms = (
            max(_DISPATCH_FLOOR_MS, _DISPATCH_OF_GAP * 1e3 / plan.rate_rps) if plan.rate_rps else 0.0
        )
        self.allowed = f"at most {self._limit_ms:.3g} ms is allowed for {plan.rate_rps or 0.0:g} requests/s"
        """How late requests may be taken up."""
        self._published = published
        self.lag = LogHistogram()
        """Time from due to taken up; empty in a closed loop."""
        self._lagging = 0
        self._due, self._taken = Pace(), Pace()
        self.unable = 0
        """Requests for which this machine could open no connection."""
        self.sent = 0
        """Requests that were sent."""
        self.step = LogHistogram()
        """Mean time between two events of a reply."""
        self._first, self._whole = LogHistogram(), LogHistogram()

    def add(self, rows: Rows) -> None:
        self.unable += int(((rows["outcome"] == Outcome.NOT_SENT) & (rows["end_ns"] >= 0)).sum())
        self.sent += int((rows["sent_ns"] >= 0).sum())
        if self._rate_rps is not None:
            taken = rows[rows["issued_ns"] >= 0]
            late_ms = lag_ms(rows)
            self.lag.record_many(late_ms)
            self._lagging += int((late_ms > self._limit_ms).sum())
            self._due.add(taken["due_ns"])
            self._taken.add(taken["issued_ns"])
        if not self._published:
            return
        ok = rows[rows["outcome"] == Outcome.OK]
        self._whole.record_many(_between(ok, "sent_ns", "end_ns"))
        streamed = ok[ok["first_token_ns"] >= 0]
        self._first.record_many(_between(streamed, "sent_ns", "first_token_ns"))
        several = streamed[streamed["events"] > 1]
        self.step.record_many(_between(several, "first_token_ns", "last_token_ns") / (several["events"] - 1))

    @property
    def latency(self) -> tuple[str, LogHistogram]:
        """The shortest latency that is published, and its name."""
        return ("TTFT", self._first) if self._first.count else ("latency", self._whole)

    @property
    def is_late(self) -> bool:
        """Whether requests were taken up too late: counted, so the 99th percentile of n lags in order is exact."""
        n = self.lag.count
        return self._rate_rps is not None and n > 0 and n - self._lagging < rank_of(n, 0.99)

    @property
    def slow(self) -> str | None:
        """That requests were taken up at too low a rate; None where they were not."""
        asked, achieved = self._due.rps, self._taken.rps
        if asked is None or achieved is None or achieved >= _LEAST_ACHIEVED * asked:
            return None
        behind_ms = 1e3 * (self._taken.count - 1) * (1.0 / achieved - 1.0 / asked)
        if behind_ms <= self._limit_ms:
            return None
        return (
            f"{_BEGUN} at {achieved:.4g}/s where the plan has {asked:.4g}/s; "
            f"{100 * _LEAST_ACHIEVED:g} % of that is the least."
        )


def _between(rows: Rows, begin: str, end: str) -> Millis:
    return millis(np.maximum(rows[end] - rows[begin], 0))


_MORE = "give the client more cores and workers, or ask for a lower rate"
_ALONE = "close other programs, pin the server to other cores, or use another machine; then measure again"
_BEGUN = "Requests were begun"
_TOLD = {0.5: "median", 0.99: "99th percentile"}


def _living(client: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (worker for worker in client["workers"] if worker.get("died") is None)


def _late_reason(client: Mapping[str, Any] | None, seen: _Seen) -> str | None:
    """That the client was late, in all that shows it: one cause is one reason. Of the workers the worst is named."""
    workers = [] if client is None else list(_living(client))
    lagging = [found for worker in workers if (found := _lag(worker, seen)) is not None]
    worst = max(lagging, key=lambda one: one.times, default=None)
    said = [] if worst is None else [worst.words]
    if seen.is_late and not (worst is not None and worst.is_dispatch):
        said.append(_late_words(_BEGUN, seen.lag, 0.99, seen.allowed))
    said += [] if seen.slow is None else [seen.slow]
    if not said:
        return None
    waited, number = max(((_waited(worker) or 0.0, worker["worker"]) for worker in workers), default=(0.0, 0))
    if waited <= WAITED_RATIO:
        return f"this client did not keep up. {' '.join(said)} Next: {_MORE}."
    who = "It" if said[0].startswith(f"Worker {number} ") else f"Worker {number}"
    said.insert(1, f"{who} was kept waiting for a processor {100 * waited:.2g} % of the time.")
    return f"this machine was too busy to measure. {' '.join(said)} Next: {_ALONE}."


def _late_words(who: str, lag: LogHistogram, share: float, allowed: str) -> str:
    most_ms, late_ms = lag.maximum or 0.0, lag.percentile(share)
    return f"{who} up to {most_ms:.3g} ms late ({_TOLD[share]} {late_ms:.3g} ms; {allowed})."


def _own_reasons(client: Mapping[str, Any]) -> Iterator[str]:
    """Reasons from the workers' own account, beside their lag."""
    for worker in client["workers"]:
        if worker.get("died") is not None:
            yield (
                f"worker {worker['worker']} ended before its time ({worker['died']}), and its requests with it; "
                "look whether memory ran out"
            )
    for worker in _living(client):
        seconds = list(_seconds(worker))
        busy = sum(cpu >= _BUSY_CORE and unread > 0 for cpu, unread in seconds)
        if busy > _BUSY_SECONDS * len(seconds):
            yield (
                f"in {busy} of {len(seconds)} seconds worker {worker['worker']} used {_BUSY_CORE:g} of a core or more "
                f"while up to {worker['backlog']['max_bytes']} bytes lay unread in a socket; "
                f"{_BUSY_SECONDS:g} of the seconds is the most; {_MORE}"
            )
    throttled_s = client["throttled_s"]
    wall_s = max((worker["wall_s"] for worker in _living(client)), default=0.0)
    if throttled_s is not None and throttled_s > _THROTTLED_RATIO * wall_s > 0.0:
        yield (
            f"the client's group of processes was throttled for {throttled_s:.3g} s of {wall_s:.3g} s by its quota of "
            f"processor time; {_THROTTLED_RATIO:g} of the time is the most; raise the quota or the CPU limit"
        )


@dataclass(frozen=True)
class _Lag:
    """How late a worker was, where that is too late."""

    times: float
    """How many times the limit."""
    is_dispatch: bool
    """Whether it is the dispatch lag that is told, and not that of the loop."""
    words: str
    """The sentence."""


def _lag(worker: Mapping[str, Any], seen: _Seen) -> _Lag | None:
    """The lag of a worker beyond what is allowed; None where it is within."""
    name, published = seen.latency
    loop = LogHistogram.from_json(worker["lag"])
    if loop.count < _LEAST_TICKS or not published.count:
        return None
    waited = _waited(worker)
    kept_waiting = waited is not None and waited > WAITED_RATIO
    floor_ms = WAITED_LAG_FLOOR_MS if kept_waiting else LAG_FLOOR_MS
    found: list[_Lag] = []
    for share in (0.5, 0.99):
        lag = loop
        if kept_waiting and seen.lag.count and seen.lag.percentile(share) > loop.percentile(share):
            lag = seen.lag
        # A tail that the wait itself has made is no measure of the wait.
        against = 0.5 if kept_waiting else share
        latency_ms = published.percentile(against)
        limit_ms = max(floor_ms, LAG_OF_PUBLISHED * latency_ms)
        of = f"{_TOLD[against]} {name}"
        why = f", a tenth of the {of}" if limit_ms > floor_ms else f" where the {of} is {latency_ms:.3g} ms"
        who = f"Worker {worker['worker']} handled events" if lag is loop else _BEGUN
        words = _late_words(who, lag, share, f"at most {limit_ms:.3g} ms is allowed{why}")
        times = lag.percentile(share) / limit_ms
        found += [_Lag(times, lag is not loop, words)] if times > 1.0 else []
    return max(found, key=lambda one: one.times, default=None)


def _waited(worker: Mapping[str, Any]) -> float | None:
    """The share of the time in which it was ready to run and had no processor; None where nobody counted."""
    delay_s, wall_s = worker["run_delay_s"], worker["wall_s"]
    return None if delay_s is None or wall_s <= 0.0 else float(delay_s / wall_s)


def _seconds(worker: Mapping[str, Any]) -> Iterator[tuple[float, int]]:
    """Of each second, or what was left of one: the share of a core, and the most bytes unread in a socket."""
    begin_s = 0.0
    for end_s, _, cpu_ms, _, unread, *_ in worker["per_second"]:
        if end_s > begin_s:
            yield cpu_ms / 1e3 / (end_s - begin_s), unread
        begin_s = end_s


def _own_advice(client: Mapping[str, Any], seen: _Seen) -> Iterator[str]:
    workers = list(_living(client))
    share, number = max(
        (
            (worker["cpu_s"] / worker["wall_s"], worker["worker"])
            for worker in workers
            if worker["wall_s"] > 0.0
        ),
        default=(0.0, 0),
    )
    if share > _NEARLY_BUSY_CORE:
        yield (
            f"worker {number} used {share:.2g} of a core, and {_BUSY_CORE:g} is where replies begin to wait for it: "
            "more workers leave more room"
        )
    opened = sum(worker["opened"] for worker in workers)
    if seen.sent >= _LEAST_SENT and opened > _OPENED_RATIO * seen.sent:
        yield (
            f"{opened} connections were opened for {seen.sent} timed requests: the server, or what is before it, "
            "closes them, and most requests waited for a new one; let it keep them alive"
        )
    lags = [LogHistogram.from_json(worker["lag"]) for worker in workers]
    lag_ms = max((lag.percentile(0.99) for lag in lags if lag.count >= _LEAST_TICKS), default=0.0)
    if seen.step.count and lag_ms > max(WAITED_LAG_FLOOR_MS, LAG_OF_PUBLISHED * seen.step.percentile(0.5)):
        yield (
            f"the loop was {lag_ms:.3g} ms late at the 99th percentile, and events came every "
            f"{seen.step.percentile(0.5):.3g} ms: the longest gaps between events are partly the client's"
        )


def cache_suspicion(records: Records, plan: Plan) -> tuple[str, ...]:
    """What says that the server may have answered from a cache, one sentence each; no reason against a run.

    Only of replies with text: where no reply has tokens there is no prompt to be kept. First turns alone count, as what
    was said before in a conversation is rightly kept.

    - More than a tenth of the timed requests repeat an item that was sent before, in the warm-up or since. Memory is
      one byte for each item.
    - The server says that it took more than 0.05 of the prompt tokens from its cache, in the replies that say both.

    Raises:
        EvidenceError: if the records have items that the plan does not have.
    """
    before = np.zeros(plan.items, dtype=np.bool_)
    timed = repeated = cached = prompts = 0
    with_text = False
    for chunk in records.chunks():
        rows = chunk[(chunk["turn"] == 0) & (chunk["sent_ns"] >= 0)]
        with_text |= bool(((rows["first_token_ns"] >= 0) | (rows["prompt_tokens"] >= 0)).any())
        items, first = np.unique(rows["item"], return_index=True)
        if len(items) and not 0 <= items[0] <= items[-1] < plan.items:
            raise EvidenceError("the records have items beyond those of the plan")
        again = np.ones(len(rows), dtype=np.bool_)
        again[first] = before[items]
        before[items] = True
        rows, again = rows[~rows["warmup"]], again[~rows["warmup"]]
        timed += len(rows)
        repeated += int(again.sum())
        told = rows[(rows["cached_tokens"] >= 0) & (rows["prompt_tokens"] > 0)]
        cached += int(told["cached_tokens"].sum(dtype=np.int64))
        prompts += int(told["prompt_tokens"].sum(dtype=np.int64))
    found = []
    if with_text and repeated > _REPEATED_RATIO * timed:
        found.append(
            f"{repeated} of {timed} timed requests repeat a prompt that was sent before, of {int(before.sum())} "
            "different ones: a server that keeps prompts or replies has less to do for them than for new ones; "
            "give more data, or ask for fewer requests"
        )
    if prompts and cached > _CACHED_RATIO * prompts:
        found.append(
            f"the server took {cached / prompts:.2g} of the prompt tokens from its cache, by its own count: the "
            "latencies are those of such prompts, and not of new ones"
        )
    return tuple(found)
