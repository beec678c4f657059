"""Distributions that are read in passes, against the same values sorted in memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from hexgate.stats import distribution
from hexgate.stats.distribution import Distribution, distributions
from hexgate.stats.exact import ExactSum
from hexgate.stats.histogram import LogHistogram, display_bins
from hexgate.stats.percentile import interval_of_ranks, interval_ranks, percentile_interval

Values = NDArray[np.float64]
SHARES = (0.5, 0.9, 0.95, 0.99, 0.999)

SHAPES: dict[str, Callable[[np.random.Generator, int], Values]] = {
    "all equal": lambda _, n: np.full(n, 7.25),
    "all zero": lambda _, n: np.zeros(n),
    "negative zeros": lambda _, n: -np.zeros(n),
    "two neighbours": lambda random, n: random.choice([1.0, np.nextafter(1.0, 2.0)], n),
    "heavy tail": lambda random, n: np.abs(random.standard_cauchy(n)),
    "all magnitudes": lambda random, n: random.lognormal(0.0, 30.0, n),
    "whole numbers": lambda random, n: np.round(random.exponential(5.0, n)),
    "half zero": lambda random, n: np.where(random.random(n) < 0.5, 0.0, random.random(n)),
    "the ends of the range": lambda random, n: random.choice([0.0, 5e-324, 1e-310, 1e300], n),
    "close together": lambda random, n: 1e6 + random.random(n) * 1e-6,
    "rising": lambda _, n: np.arange(n, dtype=np.float64),
    "two heaps in one bucket": lambda random, n: random.choice([1.001, 1.002], n) + random.random(n) * 1e-9,
}


def in_chunks(values: Values, size: int) -> Callable[[], Iterator[Values]]:
    return lambda: (values[begin : begin + size] for begin in range(0, len(values), size))


@pytest.fixture(params=[distribution._HELD, 3], ids=["held at once", "narrowed to the last bit"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "_HELD", request.param)


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize(("n", "size"), [(1, 1), (2, 1), (100, 100), (101, 100), (2500, 333)])
def test_every_figure_is_that_of_the_sorted_values(
    shape: Callable[[np.random.Generator, int], Values], n: int, size: int
) -> None:
    random = np.random.default_rng(n)
    values = shape(random, n)
    ordered = np.sort(np.abs(values))
    made = Distribution.of(in_chunks(values, size))
    wanted = sorted({1, n, *random.integers(1, n + 1, 20).tolist()})
    assert made.ranks(wanted) == [ordered[rank - 1] for rank in wanted]
    assert (made.count, made.minimum, made.maximum) == (n, ordered[0], ordered[-1])
    exact = [Fraction(value) for value in values.tolist()]
    assert made.sum == float(sum(exact))
    assert made.mean == float(sum(exact) / n)
    if ordered[-1] < 1e150:
        assert made.std == pytest.approx(float(statistics.pstdev(exact)), rel=1e-15)
    for share in SHARES:
        assert made.percentile(share) == np.quantile(ordered, share, method="inverted_cdf")
        assert made.interval(share) == percentile_interval(ordered, share)
    whole = LogHistogram()
    whole.record_many(values)
    assert made.histogram.to_json() == whole.to_json()
    bins = made.display_bins()
    for chunk in in_chunks(values, size)():
        bins.add(chunk)
    assert bins.to_json() == display_bins(ordered)


def test_no_figure_depends_on_the_order_or_the_chunks() -> None:
    random = np.random.default_rng(0)
    values = random.lognormal(3.0, 1.0, 5000)
    made = [Distribution.of(in_chunks(random.permutation(values), size)) for size in (1 << 20, 4096, 1000, 7)]
    assert len({(one.sum, one.mean, one.std, one.sample_std, one.percentile(0.99)) for one in made}) == 1


def test_both_standard_deviations() -> None:
    made = Distribution.of(in_chunks(np.array([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]), 3))
    assert made.std == 2.0
    assert made.sample_std == pytest.approx(np.sqrt(32.0 / 7.0))
    assert Distribution.of(in_chunks(np.ones(1), 1)).sample_std is None
    # Naive sums of squares in double precision give 0 here, or the root of a negative number.
    close = Distribution.of(in_chunks(np.array([1e9, 1e9 + 1e-6]), 2))
    assert close.std == pytest.approx(0.5e-6, rel=0.1)


def test_of_nothing_there_is_nothing() -> None:
    made = Distribution.of(lambda: iter([np.empty(0)]))
    assert made.count == made.sum == 0
    assert [made.mean, made.std, made.sample_std, made.minimum, made.maximum] == [None] * 5
    assert made.percentile(0.5) is None
    assert made.interval(0.5) is None
    assert made.ranks([]) == []
    assert made.display_bins().to_json() == {"edges": [], "counts": []}


def test_a_rank_that_is_none_and_a_value_that_is_none_are_refused() -> None:
    made = Distribution.of(in_chunks(np.arange(1.0, 6.0), 2))
    for ranks in ([0], [6], [1, 6]):
        with pytest.raises(IndexError, match="of 5 values"):
            made.ranks(ranks)
    for value in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            Distribution.of(in_chunks(np.array([1.0, value]), 1))


def test_several_are_read_together_and_what_will_be_asked_is_found_at_once() -> None:
    random = np.random.default_rng(1)
    columns = {
        "a": random.exponential(9.0, 60_000),
        "b": random.lognormal(0.0, 4.0, 60_000),
        "c": np.empty(0),
    }
    passes = 0

    def chunks() -> Iterator[dict[str, Values]]:
        nonlocal passes
        passes += 1
        for begin in range(0, 60_000, 10_000):
            yield {name: values[begin : begin + 10_000] for name, values in columns.items()}

    made = distributions(chunks, columns, shares=SHARES, level=0.95)
    read = passes
    assert read <= 4
    for name in ("a", "b"):
        for share in SHARES:
            assert made[name].interval(share) == percentile_interval(np.sort(columns[name]), share)
    assert made["c"].count == 0
    assert passes == read
    # What was not asked for costs passes of its own, and is then known too.
    assert made["a"].percentile(0.123) == np.quantile(columns["a"], 0.123, method="inverted_cdf")
    assert passes > read


def test_memory_has_a_bound_whatever_the_number_of_values() -> None:
    asked: list[int] = []

    def chunks() -> Iterator[Values]:
        random = np.random.default_rng(5)
        for _ in range(40):
            yield random.normal(100.0, 1.0, 10_000).clip(0.0)

    made = Distribution.of(chunks)
    search = distribution._Search(made._first, [200_000, 396_000])
    while search.begin():
        for values in chunks():
            search.take(values)
        asked.append(sum(map(len, search._parts)) + len(search._counts))
        search.end()
    assert len(asked) == 2
    assert max(asked) <= distribution._HELD + 2 * 512
    everything = np.sort(np.concatenate(list(chunks())))
    assert made.ranks([200_000, 396_000]) == everything[[199_999, 395_999]].tolist()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_exact_sums_are_those_of_fractions(shape: Callable[[np.random.Generator, int], Values]) -> None:
    values = np.abs(shape(np.random.default_rng(9), 700))
    sums = ExactSum(squares=True)
    for chunk in in_chunks(values, 90)():
        sums.add(chunk)
    assert sums.total == sum(map(Fraction, values.tolist()))
    assert sums.total_of_squares == sum(Fraction(value) ** 2 for value in values.tolist())


@pytest.mark.parametrize("n", [1, 4, 5, 298, 299, 1000, 10_000_000])
def test_the_ranks_of_an_interval_are_those_it_reads(n: int) -> None:
    for share in SHARES:
        interval = interval_of_ranks(n, float, share)
        bounds = (interval.low, interval.high, interval.lower_bound, interval.upper_bound)
        assert sorted(bound for bound in bounds if bound is not None) == sorted(interval_ranks(n, share))
        assert interval.n == n
