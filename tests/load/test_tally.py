from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.load.sending.tally import Tally
from hexgate.stats.histogram import LogHistogram


def both(durations_ns: list[int]) -> tuple[dict[str, object], dict[str, object]]:
    tally, histogram = Tally(), LogHistogram()
    tally.add(durations_ns)
    histogram.record_many(np.array(durations_ns, dtype=np.int64) / 1e6)
    return tally.to_json(), histogram.to_json()


@given(st.lists(st.integers(0, 10**13)))
def test_it_is_the_histogram_of_the_same_values(durations_ns: list[int]) -> None:
    own, other = both(durations_ns)
    # Ours adds nanoseconds, which are whole, and the other one the doubles nearest to their milliseconds.
    exact = sum(durations_ns) / 1e6
    read = LogHistogram.from_json(own)
    assert read.sum == pytest.approx(exact, rel=1e-15)
    assert {key: value for key, value in own.items() if key != "sum_exact"} == {
        key: value for key, value in other.items() if key != "sum_exact"
    }
    assert LogHistogram.from_json(other).sum == pytest.approx(exact, rel=1e-12)


def test_every_power_of_two_and_its_neighbours() -> None:
    edges = [max((1 << power) + step, 0) for power in range(44) for step in (-1, 0, 1)]
    own, other = both(edges)
    assert own["buckets"] == other["buckets"]
    assert own["zeros"] == other["zeros"] == 1


def test_an_empty_one() -> None:
    own, other = both([])
    assert own["count"] == 0
    assert LogHistogram.from_json(own).to_json() == other
