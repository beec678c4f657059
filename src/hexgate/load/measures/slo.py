"""What a load has to keep: the terms of `--slo`, such as ``ttft_ms.p99<=500,error_ratio<=0.01``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

from hexgate.errors import InputError

__all__ = ["RATIOS", "TIMES", "Comparator", "Slo", "Term"]

TIMES = {
    "ttft_ms": "to the first token on any channel",
    "ttfa_ms": "to the first token of the answer",
    "tpot_ms": "for each token after the first event",
    "gap_ms": "between two events with text",
    "e2e_ms": "to the end of the reply",
}
"""Times of one reply, in milliseconds. Those to an instant count from the due time, in a closed loop from the send."""
RATIOS = {
    "error_ratio": "of the requests sent, those without a whole reply",
    "timeout_ratio": "of the requests sent, those that ran out of time",
    "goodput_ratio": "of all requests due, those with a whole reply inside the limits of every request",
}
"""Shares of requests, from 0 to 1."""

_TERM = re.compile(
    r"(?P<measure>[a-z0-9_]+)(?:\.(?P<statistic>[a-z0-9.]+))?\s*(?P<comparator><=|>=)\s*(?P<limit>\S+)"
)
_PERCENTILE = re.compile(r"p(?P<number>[0-9]{1,2}(?:\.[0-9]{1,4})?)")
_EXAMPLE = "such as ttft_ms.p99<=500,tpot_ms.p99<=50,error_ratio<=0.01"


class Comparator(str, Enum):
    """On which side of its limit a term is kept."""

    AT_MOST = "<="
    AT_LEAST = ">="


@dataclass(frozen=True)
class Term:
    """One bound."""

    measure: str
    """A key of `TIMES` or `RATIOS`."""
    statistic: str | None
    """``p50`` to ``p99.99`` or ``mean`` of a time over the run; None for a ratio, and for a time that every request
    is held to."""
    comparator: Comparator
    """``<=``; ``>=`` for the goodput ratio alone."""
    limit: float
    """Milliseconds, or a share."""

    @property
    def share(self) -> float | None:
        """The share of replies that a percentile asks for; None where it is no percentile."""
        found = None if self.statistic is None else _PERCENTILE.fullmatch(self.statistic)
        return None if found is None else float(Decimal(found["number"]) / 100)

    @property
    def of_run(self) -> bool:
        """Whether a run as a whole keeps it or not; else it says only which requests are good."""
        return self.statistic is not None or self.measure in RATIOS

    def __str__(self) -> str:
        statistic = "" if self.statistic is None else f".{self.statistic}"
        return f"{self.measure}{statistic}{self.comparator.value}{self.limit:g}"

    def to_json(self) -> dict[str, Any]:
        """The term as it stands in a block `method`."""
        return {
            "measure": self.measure,
            "statistic": self.statistic,
            "comparator": self.comparator.value,
            "limit": self.limit,
        }


@dataclass(frozen=True)
class Slo:
    """All bounds of a load, in the order in which they were given."""

    terms: tuple[Term, ...]
    """At least one, no two of the same measure and statistic."""

    @classmethod
    def parse(cls, text: str) -> Slo:
        """The terms of a text, separated by commas.

        Raises:
            InputError: if it is none.
        """
        return cls._checked(tuple(_term(part.strip()) for part in text.split(",")), text)

    @classmethod
    def from_json(cls, value: Sequence[Mapping[str, Any]]) -> Slo:
        """The terms that `to_json` wrote.

        Raises:
            InputError: if they are none.
        """
        try:
            terms = tuple(
                _made(
                    one["measure"], one["statistic"], one["comparator"], float(one["limit"]), str(dict(one))
                )
                for one in value
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not the terms of an SLO ({error})") from None
        return cls._checked(terms, str(list(value)))

    @classmethod
    def _checked(cls, terms: tuple[Term, ...], given: str) -> Slo:
        names = [(term.measure, term.statistic) for term in terms]
        if not names or len(set(names)) < len(names):
            raise InputError("an SLO bounds nothing, or the same twice", got=given, expected=_EXAMPLE)
        made = cls(terms)
        if any(term.measure == "goodput_ratio" for term in terms) and not made.request_limits:
            raise InputError(
                "goodput_ratio needs a limit that each request is held to",
                got=given,
                expected="such as ttft_ms<=500,goodput_ratio>=0.99",
            )
        return made

    @property
    def request_limits(self) -> dict[str, float]:
        """The most of each time, in milliseconds, that a request may take and be good.

        The bound that was given without a statistic, else the tightest of the percentiles' bounds. A bound of a
        mean says nothing of one request.
        """
        limits: dict[str, float] = {}
        for term in self.terms:
            if term.share is not None:
                limits[term.measure] = min(limits.get(term.measure, math.inf), term.limit)
        return limits | {
            term.measure: term.limit
            for term in self.terms
            if term.measure in TIMES and term.statistic is None
        }

    @property
    def run_terms(self) -> tuple[Term, ...]:
        """The terms that a run as a whole keeps or not."""
        return tuple(term for term in self.terms if term.of_run)

    def __str__(self) -> str:
        return ",".join(map(str, self.terms))

    def to_json(self) -> list[dict[str, Any]]:
        """The terms as they stand in a block `method`."""
        return [term.to_json() for term in self.terms]


def _term(text: str) -> Term:
    found = _TERM.fullmatch(text)
    try:
        limit = float(found["limit"]) if found else math.nan
    except ValueError:
        found = None
    if found is None:
        strict = re.search(r"[<>](?!=)", text)
        hint = f"{strict[0]} is not read: write {strict[0]}=" if strict else None
        raise InputError("not a term of an SLO", got=text or "nothing", expected=_EXAMPLE, hint=hint)
    return _made(found["measure"], found["statistic"], found["comparator"], limit, text)


def _made(measure: str, statistic: str | None, comparator: str, limit: float, text: str) -> Term:
    if measure not in TIMES and measure not in RATIOS:
        known = ", ".join((*TIMES, *RATIOS))
        raise InputError(f"an SLO knows no measure {measure!r}", got=text, expected=f"one of {known}")
    upwards = measure == "goodput_ratio"
    if (comparator == Comparator.AT_LEAST) != upwards:
        raise InputError(
            f"{measure} is bounded from the other side", got=text, expected=">=" if upwards else "<="
        )
    term = Term(measure, statistic, Comparator(comparator), limit)
    if measure in RATIOS:
        if statistic is not None or not 0.0 <= limit <= 1.0:
            raise InputError(
                "a ratio is bounded by a share from 0 to 1", got=text, expected=f"{measure}{comparator}0.01"
            )
        return term
    if statistic not in (None, "mean") and not 0.0 < (term.share or 0.0) < 1.0:
        raise InputError(
            "no statistic of a time",
            got=text,
            expected="p50, p90, p99, p99.9 …, mean, or none for each request",
        )
    if not 0.0 < limit < math.inf:
        raise InputError("a time is bounded by milliseconds above 0", got=text)
    return term
