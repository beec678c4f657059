"""The evidence of a load, read back: of one generator, or of several shards that were merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from hexgate.contract.evidence import EvidenceReader
from hexgate.contract.schema import measures
from hexgate.errors import EvidenceError, InputError
from hexgate.indicators.base import Counts
from hexgate.indicators.load_account import Stall, untold
from hexgate.indicators.load_clocks import UNHELD, Clocks
from hexgate.load.errand import Stopped
from hexgate.load.measures.arrivals import ArrivalTest, arrival_test
from hexgate.load.measures.figures import Outcomes, outcomes
from hexgate.load.measures.health import LEAST_BUSY, ClientHealth, cache_suspicion, client_health
from hexgate.load.measures.merge import of_shard
from hexgate.load.measures.server_times import server_times
from hexgate.load.measures.spans import busy_ratio, timed_window
from hexgate.load.measures.waits import waits_beyond
from hexgate.load.plans.plan import LoadKind, Plan
from hexgate.load.plans.shard import Place
from hexgate.load.records import NEVER, Outcome, Records
from hexgate.stats.histogram import LogHistogram

__all__ = ["STOPPED_EARLY", "WARMING", "LoadEvidence", "ShardRun", "load_evidence", "why_none"]

STOPPED_EARLY = "the load was stopped before its end: "
"""What the reason against a load that was stopped begins with."""
WARMING = "stopped during the warm-up"
"""The reason against a load of which no timed request was sent."""

_CLIENT = "client_"
"""What the accounts of the clients of a merged load are called, before the index of the shard."""
_MOST_LATE_RATIO = 0.05
"""A closed loop of several shards is not the one that was asked for while a shard has not begun."""


@dataclass(frozen=True)
class ShardRun:
    """One shard of a merged load."""

    place: Place
    """Which."""
    run: Mapping[str, Any] | None
    """Its run, as `RunInfo.to_json` has it; None where there is none."""
    lacking: str | None
    """Why it is not a whole shard, as a part of a sentence; None where it is one."""
    host_class: str | None
    """The class of its host; None where there is no shard."""
    observed: Mapping[str, Any] | None = None
    """What was observed of its host while it ran, as the block `environment.observed`; None where nobody observed."""

    def to_json(self) -> dict[str, Any]:
        """The shard as it stands in the evidence `run` of a merged load."""
        return {
            **vars(self.place),
            "run": self.run,
            "lacking": self.lacking,
            "host_class": self.host_class,
            "observed": self.observed,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ShardRun:
        """The shard that `to_json` wrote."""
        place = Place(int(value["index"]), int(value["count"]))
        return cls(place, value["run"], value["lacking"], value["host_class"], value.get("observed"))


@dataclass(frozen=True, eq=False)
class LoadEvidence:
    """The evidence of one load, read back."""

    plan: Plan
    """What was to be sent."""
    records: Records
    """One row for each request."""
    run: Mapping[str, Any]
    """The run, as `RunInfo.to_json` has it, or the runs of several shards; empty where it did not end in an
    orderly way."""
    clients: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """What each client told of itself, by the index of its shard; that of a single generator is 0. Those of a model
    in this process told nothing."""
    stream: Mapping[str, Any] | None = None
    """What is known of the events of all streams together; None where nothing is."""
    _found: dict[tuple[int, bool], ClientHealth] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def outcomes(self) -> Outcomes:
        """What became of the timed requests."""
        return outcomes(self.records)

    @property
    def gaps(self) -> LogHistogram | None:
        """Times between two events with text in timed replies that are whole, ms; None where nobody recorded them."""
        return None if self.stream is None else LogHistogram.from_json(self.stream["gaps_ms"])

    @property
    def shards(self) -> Sequence[ShardRun]:
        """The shards of a merged load; empty for the load of one generator."""
        return [ShardRun.from_json(value) for value in self.run.get("shards", ())]

    @property
    def stopped_ns(self) -> int | None:
        """When the load, or the first of its shards, was stopped before its end; None where none was."""
        runs = [shard.run for shard in self.shards if shard.run] or [self.run]
        return min((run["stopped_ns"] for run in runs if run.get("stopped_ns") is not None), default=None)

    @property
    def clocks(self) -> Clocks | None:
        """What is known of the clocks of the shards that ran; None where fewer than two did."""
        runs = [shard.run for shard in self.shards if shard.run]
        return Clocks.of(runs) if len(runs) > 1 else None

    @cached_property
    def arrivals(self) -> ArrivalTest | None:
        """Whether the requests came by the process that was asked for; None where `no_arrivals` says why."""
        return arrival_test(self.records, self.plan) if self.no_arrivals is None else None

    @property
    def no_arrivals(self) -> str | None:
        """Why nothing can be said of the process of the arrivals; None where something can."""
        if self.plan.kind is LoadKind.CLOSED_LOOP:
            return "a closed loop asks for no arrival process"
        if any(shard.lacking is not None for shard in self.shards):
            return "not all shards came, and the process is that of all of them together"
        clocks = self.clocks
        if clocks is not None and clocks.bound_s is None:
            return "it is not known whether the clocks of the shards agree"
        return None

    def remarks(self, *, in_process: bool, timeout_s: float | None) -> tuple[str, ...]:
        """What a reader should know of this load and is no reason against it, one sentence each."""
        shards = [shard for shard in self.shards if shard.run is not None]
        if self.shards:
            advice = [
                f"shard {shard.place}: {one}"
                for shard in shards
                for one in self._health(shard, in_process=in_process).advice
            ]
        else:
            advice = list(self._health(None, in_process=in_process).advice)
        return (
            *(() if self.arrivals is None else self.arrivals.caveats),
            *cache_suspicion(self.records, self.plan),
            *server_times(self.records).remarks,
            *waits_beyond(self.records, self.plan, timeout_s),
            *advice,
            *(() if self._stall is None else (self._stall.remark,)),
        )

    def uncertified(self, indicator: str, values: Mapping[str, Any]) -> dict[str, str]:
        """The measures that may fail a rule and not pass one, each with the reason; empty where all may.

        What a shard measured alone is a figure of another load: without their clocks, no figure is known to be
        of the load that was asked for. The tail of the latencies may be made of the longest stall of the client.
        """
        clocks = self.clocks
        if clocks is None or clocks.bound_s is not None:
            beyond = {} if self._stall is None else self._stall.beyond
            return {name: why for name, why in beyond.items() if values.get(name) is not None}
        return {name: UNHELD for name in measures(indicator) if values[name] is not None}

    def counts(self, requested: int | None) -> Counts:
        """What became of the timed requests; where the duration decides (None), those that were due."""
        seen = self.outcomes
        total = seen.total if requested is None else requested
        return Counts(total, seen.ok, seen.failed, total - seen.ok - seen.failed)

    def faults(self, *, in_process: bool) -> tuple[str, ...]:
        """Why this load cannot be judged, from its evidence alone; empty where it can.

        Either its plan did not run to its end, or a client did not keep up, or made another arrival process of the
        plan. Of several shards, each is judged by itself, and named, and so are their clocks where a bound on their
        disagreement is known.
        """
        burst = None if self.arrivals is None else self.arrivals.fault
        bursts = () if burst is None else (burst,)
        if not self.run:
            return (
                "the load did not come to an orderly end",
                *self._health(None, in_process=in_process).reasons,
                *bursts,
            )
        shards = self.shards
        if not shards:
            stopped = self.run.get("stopped")
            ended = self._unsent if stopped is None else (f"{STOPPED_EARLY}{self._stopped(stopped)}",)
            return *ended, *self.client_faults(in_process=in_process)
        return (
            *(f"shard {shard.place} {shard.lacking}" for shard in shards if shard.lacking is not None),
            *_unlike_hosts(shards),
            *(fault for shard in shards for fault in self._faults_of(shard, in_process=in_process)),
            *self._apart(),
            *self._empty_slots(in_process=in_process),
            *self._unsent,
            *bursts,
        )

    def client_faults(self, *, in_process: bool) -> tuple[str, ...]:
        """Why the only client, and not the target, shaped this load, or nobody knows that; empty where it did not."""
        burst = None if self.arrivals is None else self.arrivals.fault
        return (
            *self._health(None, in_process=in_process).reasons,
            *(() if in_process else untold(self.clients.get(0), self.run)),
            *(() if burst is None else (burst,)),
        )

    @cached_property
    def _unsent(self) -> tuple[str, ...]:
        """That requests of an open loop were due and never sent; those that no connection was for are told apart."""
        is_whole = self.stopped_ns is None and all(shard.lacking is None for shard in self.shards)
        if self.plan.kind is LoadKind.CLOSED_LOOP or not is_whole:
            return ()
        due = unsent = 0
        for rows in self.records.chunks():
            timed = rows[~rows["warmup"] & (rows["due_ns"] != NEVER)]
            due += len(timed)
            unsent += int(((timed["outcome"] == Outcome.NOT_SENT) & (timed["end_ns"] == NEVER)).sum())
        if not unsent:
            return ()
        held = (
            f"the cap of {self.plan.concurrency} in flight held them back until the drain limit had passed; "
            "raise one of them"
            if self.plan.concurrency
            else "they waited for a connection until the drain limit had passed; raise it"
        )
        return (f"{unsent} of {due} requests that were due were never sent: {held}, or ask for a lower rate",)

    @cached_property
    def _stall(self) -> Stall | None:
        """The longest stall of a client, where it is long enough to make the tail of the latencies."""
        return Stall.of(self.clients.values(), self.records, self.plan)

    @property
    def why_none(self) -> str:
        """Why no timed request succeeded, where none did."""
        seen = self.outcomes
        return why_none(sent=seen.sent, warmup=seen.warmup, stopped_ns=self.stopped_ns)

    def _stopped(self, why: str) -> str:
        """Why the load was stopped; of too many failures, how many."""
        if why != Stopped.ERRORS.value:
            return why
        counts = sum(
            (np.bincount(rows["outcome"], minlength=len(Outcome)) for rows in self.records.chunks()),
            start=np.zeros(len(Outcome), dtype=np.int64),
        )
        sent = int(counts.sum() - counts[Outcome.NOT_SENT])
        failed = sent - int(counts[Outcome.OK])
        return f"{failed} of {sent} requests failed, {100 * failed / sent:.3g} %"

    def _health(self, shard: ShardRun | None, *, in_process: bool) -> ClientHealth:
        """The health of the client of a shard, or of the only one there is."""
        index = 0 if shard is None else shard.place.index
        key = index, in_process
        if key not in self._found:
            records, slots = self.records, self.plan.concurrency
            if shard is not None:
                slots = self.plan.shard(index, shard.place.count).concurrency
                records = of_shard(self.records, shard.place, self.plan.turns)
            self._found[key] = client_health(
                records, self.plan, client=self.clients.get(index), in_process=in_process, slots=slots
            )
        return self._found[key]

    def _faults_of(self, shard: ShardRun, *, in_process: bool) -> Sequence[str]:
        if shard.run is None:
            return []
        reasons = self._health(shard, in_process=in_process).reasons
        silent = () if in_process else untold(self.clients.get(shard.place.index), shard.run)
        found = [f"shard {shard.place}: {reason}" for reason in (*reasons, *silent)]
        late_s = (shard.run["late_ns"] or 0) / 1e9
        window = timed_window(self.records, self.plan, None)
        if self.plan.kind is LoadKind.CLOSED_LOOP and shard.place.count > 1 and window is not None:
            window_s = (window[1] - window[0]) / 1e9
            if late_s > _MOST_LATE_RATIO * window_s:
                found.append(
                    f"shard {shard.place} began {late_s:.3g} s after the common start, and its slots were empty "
                    f"until then; {_MOST_LATE_RATIO:g} of the timed window of {window_s:.3g} s is the most"
                )
        return found

    def _apart(self) -> Sequence[str]:
        clocks, window = self.clocks, timed_window(self.records, self.plan, None)
        fault = None if clocks is None or window is None else clocks.fault((window[1] - window[0]) / 1e9)
        return [] if fault is None else [fault]

    def _empty_slots(self, *, in_process: bool) -> Sequence[str]:
        busy = None if in_process else busy_ratio(self.records, self.plan, self.plan.concurrency)
        if busy is None or busy >= LEAST_BUSY:
            return []
        slots = self.plan.concurrency
        return [f"on average {busy * slots:.3g} of the {slots} slots of all shards had a request"]


def why_none(*, sent: int, warmup: int, stopped_ns: int | None) -> str:
    """Why no timed request succeeded: the load may have been stopped before the first of them was sent."""
    if stopped_ns is not None and warmup and not sent:
        return WARMING
    return "no request succeeded"


def _unlike_hosts(shards: Sequence[ShardRun]) -> Sequence[str]:
    classes = sorted({shard.host_class for shard in shards if shard.host_class is not None})
    return [f"the shards ran on hosts of different classes: {', '.join(classes)}"] if len(classes) > 1 else []


def load_evidence(evidence: EvidenceReader) -> LoadEvidence:
    """Read the evidence of a load.

    Raises:
        EvidenceError: if there is none, or nothing was sent.
    """
    records = Records.open(evidence.path("requests"))
    if not len(records):
        raise EvidenceError("no request was sent")
    plan = Plan.from_evidence(evidence.document("plan_head"), evidence.path("plan"))
    names = evidence.names
    own = {0: "client"} if "client" in names else {}
    told = own | {int(name[len(_CLIENT) :]): name for name in names if name.startswith(_CLIENT)}
    load = LoadEvidence(
        plan,
        records,
        evidence.document("run") if "run" in names else {},
        {index: evidence.document(name) for index, name in told.items()},
        evidence.document("stream") if "stream" in names else None,
    )
    try:
        for shard in load.shards:
            plan.shard(shard.place.index, shard.place.count)
    except InputError as error:
        raise EvidenceError(f"the run names shards that this plan does not have ({error})") from None
    return load
