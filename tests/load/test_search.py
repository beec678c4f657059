"""The search for the highest rate that keeps the limits, against queues whose capacity is known, without a network."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

import numpy as np
import pytest

from hexgate.errors import InputError
from hexgate.load.measures.search import (
    LEAST_RPS,
    Answer,
    Ended,
    Found,
    Probing,
    Verdict,
    saturation,
    search,
    sweep_rates,
)
from hexgate.stats.percentile import minimum_n, percentile_interval

FEWEST = minimum_n(0.99, level=0.95)


class Queue:
    """Servers that take one request each, for the same time, in the order of arrival: it serves servers / service_s."""

    def __init__(self, servers: int, service_s: float, limit_s: float, seed: int) -> None:
        self.servers, self.service_s, self.limit_s = servers, service_s, limit_s
        self.rng = np.random.default_rng(seed)
        self.sent = 0

    def times(self, rate_rps: float, seconds: float) -> tuple[np.ndarray, np.ndarray]:
        """Arrivals of a Poisson process, and the time that each request takes."""
        due = np.sort(self.rng.random(max(self.rng.poisson(rate_rps * seconds), 1))) * seconds
        free = [0.0] * self.servers
        took = np.empty(len(due))
        for place, at in enumerate(due):
            end = max(heapq.heappop(free), at) + self.service_s
            heapq.heappush(free, end)
            took[place] = end - at
        return due, took

    def probe(self, rate_rps: float, seconds: float) -> Answer:
        """A load with a quarter more at its front that is not judged, on `p99 <= limit_s`."""
        warm_s = seconds / 4
        due, took = self.times(rate_rps, seconds + warm_s)
        self.sent += len(due)
        judged = np.sort(took[due >= warm_s])
        served = float(((due + took > warm_s) & (due + took <= warm_s + seconds)).sum() / seconds)
        if not len(judged):
            return Answer(Verdict.UNDECIDED, "nothing", len(due), served)
        bounds = percentile_interval(judged, 0.99)
        verdict = Verdict.UNDECIDED
        if bounds.upper_bound is not None and bounds.upper_bound <= self.limit_s:
            verdict = Verdict.MET
        elif bounds.lower_bound is not None and bounds.lower_bound > self.limit_s:
            verdict = Verdict.MISSED
        return Answer(verdict, "p99", len(due), served)


@pytest.mark.parametrize(
    ("servers", "service_s", "limit_s"), [(16, 0.1, 1.0), (64, 0.2, 1.0), (16, 0.05, 0.5)]
)
@pytest.mark.parametrize("seed", range(4))
def test_it_finds_the_capacity_of_a_queue_with_far_fewer_requests_than_a_sweep(
    servers: int, service_s: float, limit_s: float, seed: int
) -> None:
    capacity = servers / service_s
    queue = Queue(servers, service_s, limit_s, seed)
    probing = Probing(fewest=FEWEST, wait_s=limit_s)
    found = search(queue.probe, probing)
    assert found.ended is Ended.FOUND
    assert found.rate_rps is not None
    assert 0.95 <= found.rate_rps / capacity <= 1.05
    assert found.above_rps is not None
    assert found.above_rps / found.rate_rps <= 1 + probing.width + 1e-6
    assert found.requests == queue.sent
    # A sweep of ten rates up to the capacity, a minute each.
    assert queue.sent <= 0.4 * sum(60 * rate for rate in sweep_rates(capacity, 10))


def step(limit: float, *, near: float = 0.0) -> Callable[[float, float], Answer]:
    """A target that keeps its limits up to a rate, and is undecided close to it."""

    def probe(rate_rps: float, seconds: float) -> Answer:
        if abs(rate_rps - limit) < near * limit:
            return Answer(Verdict.UNDECIDED, "near", 1)
        return Answer(Verdict.MET if rate_rps <= limit else Verdict.MISSED, "far", 1)

    return probe


def run(limit: float, *, near: float = 0.0, start_rps: float = 1.0, most_rps: float = 1e6) -> Found:
    probing = Probing(fewest=10, wait_s=0.1)
    return search(step(limit, near=near), probing, start_rps=start_rps, most_rps=most_rps)


@pytest.mark.parametrize("limit", [0.02, 0.3, 1.0, 37.5, 777.0, 12345.6])
@pytest.mark.parametrize("start_rps", [1.0, 100.0])
def test_it_comes_within_its_width_from_below(limit: float, start_rps: float) -> None:
    found = run(limit, start_rps=start_rps)
    assert found.ended is Ended.FOUND
    assert found.rate_rps is not None
    assert limit / 1.05 - 1e-9 <= found.rate_rps <= limit
    assert found.above_rps is not None
    assert found.above_rps > limit


def test_what_stays_undecided_is_not_called_good() -> None:
    found = run(100.0, near=0.08)
    assert found.rate_rps is not None
    assert found.rate_rps <= 92.0
    assert {probe.answer.verdict for probe in found.probes} == {
        Verdict.MET,
        Verdict.MISSED,
        Verdict.UNDECIDED,
    }


def test_the_last_probes_are_the_long_ones_and_no_rate_is_found_by_a_short_one() -> None:
    probing = Probing(fewest=10, wait_s=1.0)
    found = search(step(100.0), probing)
    shown = [probe.seconds for probe in found.probes if probe.rate_rps == found.rate_rps]
    assert max(shown) == probing.sure_s(100.0)
    assert found.probes[0].seconds == probing.rough_s() < probing.sure_s(100.0)


def test_rates_that_short_probes_took_for_good_are_looked_at_again() -> None:
    """Above 100/s the queue takes so long to grow that short probes see nothing."""

    def probe(rate_rps: float, seconds: float) -> Answer:
        grown = max(rate_rps / 100.0 - 1.0, 0.0) * seconds
        return Answer(Verdict.MISSED if grown > 1.0 else Verdict.MET, "grown", int(rate_rps * seconds))

    found = search(probe, Probing(fewest=10, wait_s=1.0))
    assert found.rate_rps is not None
    assert 95.0 <= found.rate_rps <= 105.0


def test_a_target_that_never_keeps_them() -> None:
    found = run(LEAST_RPS / 2)
    assert (found.ended, found.rate_rps) == (Ended.NEVER, None)
    assert min(probe.rate_rps for probe in found.probes) >= LEAST_RPS


def test_a_target_that_always_keeps_them() -> None:
    found = run(math.inf, most_rps=300.0)
    assert (found.ended, found.rate_rps, found.above_rps) == (Ended.MOST, 300.0, None)


def test_a_client_that_is_too_slow_ends_it_with_what_was_shown() -> None:
    tried = []

    def probe(rate_rps: float, seconds: float) -> Answer:
        tried.append(rate_rps)
        return Answer(Verdict.INVALID if rate_rps > 50 else Verdict.MET, "client", 1)

    found = search(probe, Probing(fewest=10, wait_s=0.1))
    assert (found.ended, found.rate_rps) == (Ended.CLIENT, 32.0)
    # Once may be a disturbance.
    assert tried.count(64.0) == 2


def test_a_client_that_was_disturbed_once_goes_on() -> None:
    faults = iter([True])

    def probe(rate_rps: float, seconds: float) -> Answer:
        if rate_rps > 50 and next(faults, False):
            return Answer(Verdict.INVALID, "client", 1)
        return step(100.0)(rate_rps, seconds)

    assert search(probe, Probing(fewest=10, wait_s=0.1)).ended is Ended.FOUND


def test_an_interrupt_keeps_what_was_found() -> None:
    count = iter(range(100))

    def probe(rate_rps: float, seconds: float) -> Answer:
        if next(count) == 3:
            raise KeyboardInterrupt
        return Answer(Verdict.MET, "fast", 1)

    found = search(probe, Probing(fewest=10, wait_s=0.1))
    assert found.ended is Ended.STOPPED
    assert len(found.probes) == 3


@pytest.mark.parametrize("keys", [{"most_s": 1.0}, {"wait_s": 0.0}, {"width": 0.0}, {"fewest": 0}])
def test_probes_that_could_not_decide(keys: dict[str, float]) -> None:
    with pytest.raises(InputError, match="probes that can decide"):
        Probing(**{"fewest": 10, "wait_s": 1.0, **keys})  # type: ignore[arg-type]


def test_a_first_rate_that_is_out_of_range() -> None:
    with pytest.raises(InputError, match="first rate"):
        search(step(1.0), Probing(fewest=10, wait_s=1.0), start_rps=0.0)


def test_rates_of_a_sweep() -> None:
    assert sweep_rates(100.0, 10) == (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
    for most, points in ((100.0, 1), (0.0, 10), (math.inf, 10)):
        with pytest.raises(InputError):
            sweep_rates(most, points)


def test_what_a_target_serves_at_most() -> None:
    def probe(rate_rps: float) -> Answer:
        return Answer(Verdict.UNDECIDED, "", int(rate_rps * 5), min(rate_rps, 130.0))

    assert saturation(probe) == 130.0
    with pytest.raises(InputError, match="cannot be found from here"):
        saturation(probe, most_rps=100.0)
    with pytest.raises(InputError, match="cannot be found from here"):
        saturation(lambda rate: Answer(Verdict.INVALID, "slow", 5, rate))
    with pytest.raises(InputError, match="cannot be found from here"):
        saturation(lambda _rate: Answer(Verdict.UNDECIDED, "dead", 1000, 0.0))


def test_a_target_that_refuses_connections_is_saturated_however_few_requests_that_took() -> None:
    def probe(rate: float) -> Answer:
        if rate <= 16.0:
            return Answer(Verdict.UNDECIDED, "", int(rate), rate)
        return Answer(Verdict.MISSED, "no connection", 20, 0.0)

    assert saturation(probe) == 16.0
