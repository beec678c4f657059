"""The head of a plan: everything but its rows, as JSON and back, and the limits that every field is held to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hexgate.errors import EvidenceError, InputError
from hexgate.load.plans.pacers import MOST_RPS, MOST_SPAN_S, Segment, Shape, checked, expected, length_s
from hexgate.load.plans.schedule import Arrival, LoadKind

__all__ = [
    "MOST_REQUESTS",
    "MOST_SLOTS",
    "MOST_THINK_S",
    "MOST_TURNS",
    "PlanHead",
    "amount",
    "at_least",
    "cap_of",
    "head_fields",
    "not_too_many",
    "spacing",
    "think_time_ns",
]

MOST_REQUESTS = 50_000_000
"""In one plan."""
MOST_SLOTS = 100_000
"""Requests in flight in a closed loop."""
MOST_TURNS = 1000
"""Requests in a conversation."""
MOST_THINK_S = 86_400.0
"""Between two turns."""
_LEAST_BURSTINESS = 0.01
_MOST_BURSTINESS = 1e6


@dataclass(frozen=True)
class PlanHead:
    """What a plan is, but for its rows. A unit is a request, or a conversation of `turns` requests."""

    kind: LoadKind
    """Closed or open loop."""
    concurrency: int
    """Units in flight in a closed loop; in an open one the cap on them, 0 where there is none."""
    rate_rps: float | None
    """Units a second in the timed part of an open loop, the mean where the rate changes; None in a closed one."""
    arrival: Arrival
    """How the instants are spaced."""
    shape: Shape
    """The rates of the timed part, from its begin; empty where the rate does not change or nobody asked for one."""
    burstiness: float | None
    """Shape of the gamma distribution; None of other arrivals."""
    units: int
    """How many there are, the warm-up included; of a plan that repeats, in a round."""
    items: int
    """How many data items there are."""
    warmup: int
    """So many units at the front are warm-up and enter no figure."""
    duration_s: float | None
    """Length of the timed window; None where the number of units decides. In a closed loop nothing is sent after
    it; it begins with the first timed request."""
    seed: int
    """Seed of the instants and of the order of items."""
    repeats: bool = False
    """Whether a closed loop starts over with its rows until `duration_s` is over; else the rows are all."""
    turns: int = 1
    """Requests in a unit, one after the other."""
    think_ns: int = 0
    """From the end of a reply to the due time of the next turn of its unit."""

    def head(self) -> dict[str, Any]:
        """Everything but the rows, as JSON."""
        return {
            "kind": self.kind.value,
            "concurrency": self.concurrency,
            "rate_rps": self.rate_rps,
            "arrival": self.arrival.value,
            "shape": [[segment.from_rps, segment.to_rps, segment.seconds] for segment in self.shape],
            "burstiness": self.burstiness,
            "rows": self.units,
            "items": self.items,
            "warmup": self.warmup,
            "duration_s": self.duration_s,
            "seed": self.seed,
            "repeats": self.repeats,
            "turns": self.turns,
            "think_ns": self.think_ns,
        }


def head_fields(head: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a `PlanHead` that a head in evidence describes.

    Raises:
        EvidenceError: if it is no head, or its fields do not go together.
    """
    try:
        fields = {
            "kind": LoadKind(head["kind"]),
            "concurrency": _whole(head, "concurrency", 0, MOST_REQUESTS),
            "rate_rps": _number(head, "rate_rps", MOST_RPS),
            "arrival": Arrival(head["arrival"]),
            "shape": _shape(head["shape"]),
            "burstiness": _number(head, "burstiness", math.inf),
            "units": _whole(head, "rows", 1, MOST_REQUESTS),
            "items": _whole(head, "items", 1, 2**31 - 1),
            "warmup": _whole(head, "warmup", 0, MOST_REQUESTS),
            "duration_s": _number(head, "duration_s", MOST_SPAN_S),
            "seed": _whole(head, "seed", 0, math.inf),
            "repeats": head["repeats"],
            "turns": _whole(head, "turns", 1, MOST_TURNS),
            "think_ns": _whole(head, "think_ns", 0, MOST_THINK_S * 1e9),
        }
        _together(PlanHead(**fields))
    except KeyError as error:
        raise EvidenceError(f"the head of the load plan is not one (it has no {error})") from None
    except (ValueError, TypeError, InputError) as error:
        raise EvidenceError(f"the head of the load plan is not one ({error})") from None
    return fields


def _whole(head: Mapping[str, Any], name: str, least: int, most: float) -> int:
    value = head[name]
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} is {value!r}")
    return value


def _number(head: Mapping[str, Any], name: str, below: float) -> float | None:
    value = head[name]
    if value is None:
        return None
    if type(value) not in (int, float) or not 0.0 < value < below:
        raise ValueError(f"{name} is {value!r}")
    return float(value)


def _shape(segments: Any) -> Shape:
    shape = tuple(Segment(*(_finite(value) for value in segment)) for segment in segments)
    return checked(shape) if shape else ()


def _finite(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"the shape has {value!r} for a number")
    return float(value)


def _together(head: PlanHead) -> None:
    is_open = head.kind is LoadKind.OPEN_LOOP
    rules = {
        "rate_rps": (head.rate_rps is not None) is is_open,
        "arrival": (head.arrival is not Arrival.NONE) is is_open,
        "concurrency": is_open or 1 <= head.concurrency <= MOST_SLOTS,
        "burstiness": (head.burstiness is not None) is (head.arrival is Arrival.GAMMA),
        "repeats": head.repeats is False or (head.repeats is True and not is_open and bool(head.duration_s)),
        "warmup": head.repeats or head.warmup < head.units,
        "turns": head.units * head.turns <= MOST_REQUESTS,
        "shape": not head.shape
        or (
            head.arrival not in (Arrival.NONE, Arrival.REPLAY)
            and head.duration_s == length_s(head.shape)
            and head.rate_rps == expected(head.shape) / length_s(head.shape)
        ),
    }
    for name, keeps in rules.items():
        if not keeps:
            raise ValueError(f"its {name} does not go with the rest of it")


def at_least(least: int, **values: int) -> None:
    """Let whole numbers pass that are large enough.

    Raises:
        InputError: if one is not; its keyword names it.
    """
    for name, value in values.items():
        if value < least:
            raise InputError(f"{name} is out of range", got=str(value), expected=f"at least {least}")


def amount(requests: int | None, duration_s: float | None) -> None:
    """Let a number of timed units, a duration, or both pass.

    Raises:
        InputError: if neither is given, or one is out of range.
    """
    if requests is None and duration_s is None:
        raise InputError("a load plan needs a number of requests or a duration")
    if requests is not None:
        at_least(1, requests=requests)
    if duration_s is not None and not 0.0 < duration_s < MOST_SPAN_S:
        raise InputError(
            "the duration is out of range", got=f"{duration_s:g} s", expected="above 0, below 1e6"
        )


def cap_of(max_in_flight: int | None) -> int:
    """The cap on units in flight; 0 for none.

    Raises:
        InputError: if it is out of range.
    """
    if max_in_flight is None:
        return 0
    if not 1 <= max_in_flight <= MOST_REQUESTS:
        raise InputError(
            "max_in_flight is out of range", got=str(max_in_flight), expected=f"1 to {MOST_REQUESTS}"
        )
    return max_in_flight


def spacing(arrival: Arrival, burstiness: float | None) -> None:
    """Let arrivals pass that a generator can make, gamma ones with a burstiness.

    Raises:
        InputError: if they are others, or the burstiness is out of range.
    """
    if arrival in (Arrival.NONE, Arrival.REPLAY):
        raise InputError("an open loop needs arrivals", expected="constant, poisson or gamma")
    if (arrival is Arrival.GAMMA) is (burstiness is None):
        raise InputError("gamma arrivals, and no others, have a burstiness")
    if burstiness is not None and not _LEAST_BURSTINESS <= burstiness <= _MOST_BURSTINESS:
        raise InputError("the burstiness is out of range", got=f"{burstiness:g}", expected="0.01 to 1e6")


def think_time_ns(turns: int, think_s: float) -> int:
    """The think time of conversations of so many turns, in nanoseconds.

    Raises:
        InputError: if one of them is out of range.
    """
    if not 1 <= turns <= MOST_TURNS:
        raise InputError("the number of turns is out of range", got=str(turns), expected=f"1 to {MOST_TURNS}")
    if not 0.0 <= think_s <= MOST_THINK_S:
        raise InputError(
            "the think time is out of range", got=f"{think_s:g} s", expected=f"0 to {MOST_THINK_S:g}"
        )
    return round(think_s * 1e9)


def not_too_many(rows: float, turns: int) -> None:
    """Let a plan of so many units pass.

    Raises:
        InputError: if it has too many requests.
    """
    if rows * turns > MOST_REQUESTS:
        raise InputError(
            "the plan is too large",
            got=f"{rows * turns:.0f} requests",
            expected=f"at most {MOST_REQUESTS}",
        )
