"""The highest rate at which a target keeps its limits, found with little load. Pure: a probe is a call.

A rate above what a target serves makes a queue that grows: after t seconds at 1 + e of its capacity the wait is about
e * t. So a probe tells rates apart that differ by e only once e * t exceeds the limit of the wait. Rates far from the
capacity are told apart in seconds, and only the last probes are long.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from hexgate.errors import InputError

__all__ = [
    "LEAST_RPS",
    "Answer",
    "Ended",
    "Found",
    "Probe",
    "Probing",
    "Verdict",
    "saturation",
    "search",
    "sweep_rates",
]

_STEP = 2.0
"""From one rate to the next until one is too much."""
_PATIENCE = 1.1
"""So many limits of the wait that a rate at the resolution of a probe has to run up."""
LEAST_RPS = 0.01
"""No rate below it is tried."""
_FEWEST_SURE = 1.5
"""So many times the fewest requests that can decide a rate near the capacity: at the fewest, not one may be late."""
_TRIES = 2
"""A client that did not keep up once may have been disturbed; one that does not twice is too slow."""
_SATURATED = 0.8
"""A target that serves less of what is asked for has too much."""
_FEWEST_TO_COMPARE = 200
_SLACK = 1.0 + 1e-9
"""Of comparisons of numbers that ought to be equal."""
_BELOW = 0.97
"""The limits are missed a little below what a target can serve at most."""


class Verdict(str, Enum):
    """What one probe says of its rate."""

    MET = "met"
    """The limits are kept, at the confidence asked for."""
    MISSED = "missed"
    """They are not, likewise."""
    UNDECIDED = "undecided"
    """Too few requests for either."""
    INVALID = "invalid"
    """The client, and not the target, shaped the probe."""


class Ended(str, Enum):
    """How a search came to its end."""

    FOUND = "found"
    """A rate that keeps the limits, and one hardly higher of which that cannot be said."""
    CLIENT = "client"
    """This machine could not send faster: the target may well keep its limits at more."""
    NEVER = "never"
    """No rate was found that keeps the limits."""
    MOST = "most"
    """The highest rate that was to be tried keeps them."""
    STOPPED = "stopped"
    """The user stopped it."""


@dataclass(frozen=True)
class Answer:
    """What a probe found."""

    verdict: Verdict
    """Of its rate."""
    why: str
    """In a sentence."""
    requests: int = 0
    """How many requests it sent."""
    served_rps: float | None = None
    """Whole replies a second while it sent; None where that is not known."""


@dataclass(frozen=True)
class Probe:
    """One probe that was made."""

    number: int
    """Its place in the search, from 1."""
    rate_rps: float
    """The rate that it asked for."""
    seconds: float
    """How long."""
    answer: Answer
    """What it found."""

    def to_json(self) -> dict[str, Any]:
        """The probe as it stands in ``search.json``."""
        return {
            "number": self.number,
            "rate_rps": self.rate_rps,
            "seconds": self.seconds,
            "requests": self.answer.requests,
            "verdict": self.answer.verdict.value,
            "why": self.answer.why,
        }


@dataclass(frozen=True)
class Found:
    """What a search found."""

    ended: Ended
    """How it ended."""
    rate_rps: float | None
    """The highest rate that keeps the limits; None where none was shown to."""
    above_rps: float | None
    """The lowest rate above it that does not, or of which it could not be shown; None where there is none."""
    probes: tuple[Probe, ...]
    """All probes in their order."""

    @property
    def requests(self) -> int:
        """How many requests all probes sent."""
        return sum(probe.answer.requests for probe in self.probes)


@dataclass(frozen=True)
class Probing:
    """How long to probe."""

    fewest: int
    """The fewest requests that can show that the limits are kept."""
    wait_s: float
    """The longest wait that the limits allow, seconds."""
    least_s: float = 2.0
    """No probe is shorter."""
    most_s: float = 120.0
    """No probe is longer."""
    width: float = 0.05
    """The rates that end the search differ by at most this share."""

    def __post_init__(self) -> None:
        if not (
            self.fewest >= 1 and self.wait_s > 0 and 0 < self.least_s <= self.most_s and 0 < self.width < 1
        ):
            raise InputError(
                "a search needs probes that can decide",
                got=f"{self.least_s:g} to {self.most_s:g} s, width {self.width:g}",
                expected="a longest probe of at least the shortest, a width between 0 and 1",
            )

    def rough_s(self) -> float:
        """Long enough to see that a rate is far too much, and too short to see that it is not."""
        return self._within(_PATIENCE * self.wait_s / (math.sqrt(_STEP) - 1.0))

    def fine_s(self, rate_rps: float, ratio: float) -> float:
        """Long enough to decide a rate in the middle of two whose ratio is `ratio`."""
        resolution = max(math.sqrt(ratio) - 1.0, self.width)
        return self._within(max(_PATIENCE * self.wait_s / resolution, _FEWEST_SURE * self.fewest / rate_rps))

    def sure_s(self, rate_rps: float) -> float:
        """Long enough to call a rate good in the end."""
        return self.fine_s(rate_rps, 1.0)

    def _within(self, seconds: float) -> float:
        return min(max(seconds, self.least_s), self.most_s)


def search(
    probe: Callable[[float, float], Answer],
    probing: Probing,
    *,
    start_rps: float = 1.0,
    most_rps: float = 1e6,
) -> Found:
    """Find the highest rate that keeps the limits.

    From `start_rps` the rate is doubled until one is missed (halved, where the first one is), with short probes that
    need not decide. Then the range is halved on the scale of ratios, with probes that do, until it is narrow enough.
    What stays undecided in a probe twice as long is not kept: no rate is called good for want of evidence.

    Args:
        probe: puts a rate, in requests a second, on the target for so many seconds. KeyboardInterrupt ends the search.
        probing: how long to probe.
        start_rps: the first rate.
        most_rps: no rate above it is tried.

    Raises:
        InputError: if the first rate is out of range.
    """
    if not LEAST_RPS <= start_rps <= most_rps:
        raise InputError(
            "the first rate is out of range",
            got=f"{start_rps:g}/s",
            expected=f"{LEAST_RPS:g} to {most_rps:g}",
        )
    return _Search(probe, probing, most_rps).run(start_rps)


def saturation(probe: Callable[[float], Answer], *, start_rps: float = 1.0, most_rps: float = 1e6) -> float:
    """What a target serves at most: the rate is doubled until much less comes back than is asked for.

    Args:
        probe: puts a rate on the target for a while, and says what it served.
        start_rps: the first rate.
        most_rps: no rate above it is tried.

    Raises:
        InputError: if this machine cannot send as much as the target serves, or the target serves `most_rps`.
    """
    rate, served = start_rps, 0.0
    while rate <= most_rps:
        answer = probe(rate)
        if answer.verdict is Verdict.INVALID:
            break
        served = max(served, answer.served_rps or 0.0)
        too_little = rate * _SATURATED > (answer.served_rps or 0.0) and answer.requests >= _FEWEST_TO_COMPARE
        if too_little or answer.verdict is Verdict.MISSED:
            if served <= 0.0:
                break
            return served
        rate *= _STEP
    raise InputError(
        "what the target serves at most cannot be found from here",
        got=f"{served:.4g}/s of {rate:.4g}/s",
        hint="give the highest rate of the sweep with --rate",
    )


def sweep_rates(most_rps: float, points: int) -> tuple[float, ...]:
    """Rates at equal distances, the last of them `most_rps`.

    Raises:
        InputError: if there are fewer than two, or the rate is not above 0.
    """
    if points < 2 or not 0.0 < most_rps < math.inf:
        raise InputError("a sweep needs two rates", got=f"{points} up to {most_rps:g}/s")
    return tuple(most_rps * (place + 1) / points for place in range(points))


class _TooSlow(Exception):
    """The next rate would be too low to be of use."""


class _ClientLimit(Exception):
    """A probe that this machine could not carry out."""


class _Search:
    """The state of one search."""

    def __init__(self, probe: Callable[[float, float], Answer], probing: Probing, most_rps: float) -> None:
        self._probe = probe
        self._probing = probing
        self._most_rps = most_rps
        self._probes: list[Probe] = []
        self._kept: dict[float, float] = {}
        """Rates that keep the limits, and the longest probe that showed it."""

    def run(self, start_rps: float) -> Found:
        try:
            ended = self._narrow(*self._bracket(start_rps))
        except KeyboardInterrupt:
            ended = Ended.STOPPED
        except _ClientLimit:
            ended = self._below_the_client()
        except _TooSlow:
            ended = Ended.NEVER
        found = self._shown()
        above = [probe.rate_rps for probe in self._probes if found is None or probe.rate_rps > found]
        return Found(ended, found, min(above, default=None), tuple(self._probes))

    def _below_the_client(self) -> Ended:
        """Show at least the highest rate that was not missed, where this machine cannot send more."""
        rates = [
            one.rate_rps for one in self._probes if one.answer.verdict in (Verdict.MET, Verdict.UNDECIDED)
        ]
        if rates and self._shown() is None:
            try:
                self._decide(max(rates), 1.0)
            except (_ClientLimit, KeyboardInterrupt):
                return Ended.CLIENT
        return Ended.CLIENT

    def _shown(self) -> float | None:
        """The highest rate that was shown to keep the limits, and at which no later probe missed them."""
        return max(filter(self._is_sure, self._kept), default=None)

    def _is_sure(self, rate_rps: float) -> bool:
        return self._kept.get(rate_rps, 0.0) * _SLACK >= self._probing.sure_s(rate_rps)

    def _bracket(self, start_rps: float) -> tuple[float, float]:
        """A rate that was not missed, and one that was, or that is not to be exceeded."""
        rate, seconds = start_rps, self._probing.rough_s()
        if self._ask(rate, seconds) is Verdict.MISSED:
            while self._ask(rate := self._lower(rate), seconds) is Verdict.MISSED:
                pass
            return rate, rate * _STEP
        while rate < self._most_rps:
            higher = min(rate * _STEP, self._most_rps)
            if self._ask(higher, seconds) is Verdict.MISSED:
                return rate, higher
            rate = higher
        return rate, rate

    def _narrow(self, low: float, high: float) -> Ended:
        """Draw the range together until its lower end is shown and its upper end is near.

        The first guess is just below what the target served while it had too much. From there guesses go a width at
        a time, then twice and four times as far, until the middle of the range, on the scale of ratios, is nearer.
        """
        guess, power = self._served(low, high), 1.0
        while True:
            middle = math.sqrt(low * high)
            is_narrow = high / low <= (1.0 + self._probing.width) * _SLACK
            if is_narrow and self._is_sure(low):
                return Ended.MOST if low == self._most_rps else Ended.FOUND
            rate = low if is_narrow else guess or middle
            is_kept = self._decide(rate, 1.0 if guess is not None else high / low)
            if guess is not None:
                stride = (1.0 + self._probing.width) ** max(power / 2.0, 1.0)
                power *= 2.0
                guess = rate * stride if is_kept else rate / stride
                guess = guess if (guess < middle if is_kept else guess > middle) else None
            if is_kept:
                low = rate
            elif rate > low:
                high = rate
            else:
                low, high = max((kept for kept in self._kept if kept < low), default=self._lower(low)), low

    def _served(self, low: float, high: float) -> float | None:
        """Just less than what the target served when it had too much; None where that is outside of the range."""
        served = [probe.answer.served_rps for probe in self._probes if probe.rate_rps == high]
        guess = None if not served or served[-1] is None else served[-1] * _BELOW
        return guess if guess is not None and low < guess < high else None

    @staticmethod
    def _lower(rate_rps: float) -> float:
        if rate_rps / _STEP < LEAST_RPS:
            raise _TooSlow
        return rate_rps / _STEP

    def _decide(self, rate_rps: float, ratio: float) -> bool:
        """Whether a rate is shown to keep the limits; a probe that does not decide is made again, twice as long."""
        seconds = self._probing.fine_s(rate_rps, ratio)
        verdict = self._ask(rate_rps, seconds)
        if verdict is Verdict.UNDECIDED and 2.0 * seconds <= self._probing.sure_s(rate_rps):
            verdict = self._ask(rate_rps, 2.0 * seconds)
        if verdict is not Verdict.MET:
            self._kept = {kept: shown for kept, shown in self._kept.items() if kept < rate_rps}
        return verdict is Verdict.MET

    def _ask(self, rate_rps: float, seconds: float) -> Verdict:
        for _ in range(_TRIES):
            answer = self._probe(rate_rps, seconds)
            self._probes.append(Probe(len(self._probes) + 1, rate_rps, seconds, answer))
            if answer.verdict is not Verdict.INVALID:
                break
        else:
            raise _ClientLimit
        if answer.verdict is Verdict.MET:
            self._kept[rate_rps] = max(seconds, self._kept.get(rate_rps, 0.0))
        return answer.verdict
