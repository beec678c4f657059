"""Records of loads that nobody carried out, for tests of whatever is computed from records."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.load.measures.merge import never_sent
from hexgate.load.plans.plan import Arrival, LoadKind, Plan, closed_loop, open_loop
from hexgate.load.records import NEVER, RECORD, Outcome

PLANS = {
    "open for a count": open_loop(rate_rps=200.0, items=7, requests=300, warmup=13, seed=3),
    "open for a time": open_loop(rate_rps=150.0, items=7, duration_s=2.0, warmup=9, seed=4),
    "constant, capped": open_loop(
        rate_rps=100.0, items=5, arrival=Arrival.CONSTANT, requests=101, warmup=4, max_in_flight=9
    ),
    "closed for a count": closed_loop(concurrency=8, items=7, requests=250, warmup=11, seed=5),
    "closed for a time": closed_loop(concurrency=6, items=3, duration_s=1.5, warmup=10, seed=6),
    "conversations": open_loop(rate_rps=90.0, items=5, requests=100, warmup=4, turns=3, think_s=0.01),
    "conversations for a time": closed_loop(concurrency=5, items=4, duration_s=1.0, turns=2, seed=1),
}
"""A plan of every shape, each with at least four slots or none."""


def made_up(plan: Plan, seed: int = 0, rows: int | None = None) -> NDArray[np.void]:
    """Records of every outcome for a whole plan; for one that repeats, of so many rows."""
    random = np.random.default_rng(seed)
    count = rows or (2500 * plan.turns if plan.repeats else plan.requests)
    made = np.zeros(count, dtype=RECORD)
    made["index"] = np.arange(count)
    unit, made["turn"] = np.divmod(made["index"], plan.turns)
    at = unit % len(plan)
    made["item"], made["warmup"] = plan.item[at], unit < plan.warmup
    is_open = plan.kind is LoadKind.OPEN_LOOP
    # A later turn is due some time after the one before it.
    made["due_ns"] = plan.due_ns[at] + made["turn"].astype(np.int64) * (50_000_000 if is_open else 0)
    begun = made["due_ns"] if is_open else np.sort(random.integers(0, int(2e9), count))
    made["issued_ns"] = begun + random.integers(0, 400_000, count)
    made["sent_ns"] = made["issued_ns"] + random.integers(0, 50_000, count)
    made["headers_ns"] = made["sent_ns"] + random.integers(1_000, 2_000_000, count)
    before = made["headers_ns"]
    for name in ("first_event_ns", "first_token_ns", "first_answer_ns"):
        before = made[name] = before + random.integers(0, 400_000, count)
    made["last_token_ns"] = made["first_answer_ns"] + random.integers(0, 9_000_000, count)
    made["end_ns"] = made["last_token_ns"] + random.integers(0, 900_000, count)
    made["outcome"] = random.choice([*[int(Outcome.OK)] * 20, *range(1, 5)], count)
    made["http_status"] = 200
    made["events"] = random.integers(1, 20, count)
    made["first_event_tokens"] = random.choice([-1, 1, 2], count)
    made["prompt_tokens"] = 5
    made["output_tokens"] = made["events"] + 2
    made["bytes"] = random.integers(100, 10_000, count)
    made["end_ns"][made["outcome"] == Outcome.UNFINISHED] = -1
    for name in ("ready_ns", "counted_tokens", "server_load_ns", "server_total_ns", "reasoning_tokens"):
        made[name] = -1
    made["gap_max_ns"] = np.where(made["events"] > 1, random.integers(1, 4_000_000, count), -1)
    made["cached_tokens"] = random.integers(0, 5, count)
    if is_open or plan.duration_s is None:
        # What a run that was stopped leaves at its end.
        made[-5:] = np.concatenate(list(never_sent(plan.shard(0, 1))))[-5:]
    return made


def split(plan: Plan, records: NDArray[np.void], count: int) -> dict[int, NDArray[np.void]]:
    """The records of each shard, as its generator would have written them."""
    return {index: records[records["index"] // plan.turns % count == index] for index in range(count)}


def by_hand(*fields: dict[str, Any]) -> NDArray[np.void]:
    """Rows with what is given, times in ns; the rest as for what never happened. Taken up when due, or when sent."""
    made = np.zeros(len(fields), dtype=RECORD)
    for name in RECORD.names or ():
        if name not in {"item", "turn", "worker", "warmup", "outcome", "bytes"}:
            made[name] = NEVER
    made["index"], made["events"] = np.arange(len(fields)), 1
    for number, given_fields in enumerate(fields):
        for name, value in given_fields.items():
            made[name][number] = value
        if "issued_ns" not in given_fields:
            made["issued_ns"][number] = max(made["due_ns"][number], made["sent_ns"][number])
    return made


def reply(begin_ns: int, *, ttft_ms: float = 100.0, span_ms: float = 100.0, **more: Any) -> dict[str, Any]:
    """A streamed reply to a request that was due and sent at one instant."""
    first_ns = begin_ns + round(ttft_ms * 1e6)
    last_ns = first_ns + round(span_ms * 1e6)
    return {
        "due_ns": begin_ns,
        "sent_ns": begin_ns,
        "first_token_ns": first_ns,
        "first_answer_ns": first_ns,
        "last_token_ns": last_ns,
        "end_ns": last_ns,
        "events": 11,
    } | more
