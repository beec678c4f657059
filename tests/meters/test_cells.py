from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.meters.cells import Allocation, cells, steady, time_share, token_share, too_short
from hexgate.meters.windows import Energy, NotMeasured, Window, energy_j
from support.power import COUNTER, S, Steps, polls, seen

WINDOW = Window(3 * S, 13 * S)
POWER = Steps.of((0.0, 60.0), (3.0, 300.0), (5.0, 120.0), (9.0, 200.0), (13.0, 60.0))
TRACE = seen(polls(16.0, 0.02, begin_s=0.2), POWER.joules, phase_s=0.013)


class TestCells:
    @given(start=st.integers(0, 10**12), span=st.integers(1000, 10**12), count=st.integers(1, 1000))
    def test_they_tile_the_window_and_are_equal(self, start: int, span: int, count: int) -> None:
        parts = cells(Window(start, start + span), count)
        assert len(parts) == count
        assert (parts[0].start_ns, parts[-1].end_ns) == (start, start + span)
        assert all(one.end_ns == next_one.start_ns for one, next_one in pairwise(parts))
        lengths = {part.end_ns - part.start_ns for part in parts}
        assert max(lengths) - min(lengths) <= 1

    def test_there_has_to_be_one(self) -> None:
        with pytest.raises(ValueError, match="into 0 cells"):
            cells(WINDOW, 0)

    def test_several_requests_at_once_take_ten_seconds(self) -> None:
        assert too_short(Window(0, 2 * S), 1) is None
        assert too_short(Window(0, 10 * S), 8) is None
        assert (
            too_short(Window(0, 9 * S), 8)
            == "9.000 s are short for 8 requests at once, which take 10 s or more"
        )


class TestSteady:
    def test_from_the_first_moment_with_all_in_flight_to_the_last(self) -> None:
        begins = [0, 10, 20, 50, 60, 70, 100]
        ends = [50, 60, 70, 90, 100, 130, 150]
        # Three in flight from 20 to 50, 60, 70 (each followed at once) and so on, until one ends at 90.
        assert steady(begins, ends, 3) == Window(20, 90)
        assert steady(begins, ends, 2) == Window(10, 130)
        assert steady(begins, ends, 1) == Window(0, 150)
        assert steady(begins, ends, 4) is None
        assert steady([], [], 1) is None

    def test_the_order_of_the_requests_does_not_matter(self) -> None:
        assert steady([20, 0, 10], [30, 40, 50], 3) == Window(20, 30)

    def test_a_moment_with_one_fewer_does_not_end_it(self) -> None:
        assert steady([0, 0, 55, 60], [50, 100, 100, 90], 2) == Window(0, 100)


class TestTokenShare:
    @given(energy=st.floats(0, 1e9), tokens=st.lists(st.integers(0, 10**6), max_size=200))
    def test_the_shares_sum_up_to_the_whole(self, energy: float, tokens: list[int]) -> None:
        shared = token_share(energy, tokens)
        assert math.fsum((*shared.joules, shared.unallocated_j)) == pytest.approx(energy, rel=1e-9)
        assert all(joules >= 0 for joules in shared.joules)

    def test_in_proportion(self) -> None:
        assert token_share(100.0, [10, 30, 0]) == Allocation("output tokens", (25.0, 75.0, 0.0), 0.0)

    def test_without_tokens_nobody_is_charged(self) -> None:
        assert token_share(100.0, [0, 0]) == Allocation("output tokens", (0.0, 0.0), 100.0)

    def test_mistakes(self) -> None:
        for energy, tokens in ((math.nan, [1]), (1.0, [-1])):
            with pytest.raises(ValueError, match="shared out by numbers of tokens"):
                token_share(energy, tokens)


def _shared(found: Allocation | NotMeasured) -> Allocation:
    assert isinstance(found, Allocation), found
    return found


class TestTimeShare:
    @given(
        spans=st.lists(
            st.tuples(st.floats(0, 16), st.floats(0, 10)).map(
                lambda one: (round(one[0] * S), round((one[0] + one[1]) * S))
            ),
            max_size=60,
        )
    )
    def test_the_shares_sum_up_to_the_whole(self, spans: list[tuple[int, int]]) -> None:
        shared = _shared(time_share(TRACE, COUNTER, WINDOW, spans))
        whole = energy_j(TRACE, COUNTER, WINDOW)
        assert isinstance(whole, Energy)
        got = math.fsum((*shared.joules, shared.unallocated_j))
        assert got == pytest.approx(whole.energy_j, rel=1e-9)
        assert min(shared.joules, default=0) >= -1e-9
        assert len(shared.joules) == len(spans)

    def test_each_moment_is_shared_by_those_in_flight(self) -> None:
        spans = [(4 * S, 8 * S), (6 * S, 12 * S), (0, 1 * S)]
        shared = _shared(time_share(TRACE, COUNTER, WINDOW, spans))
        assert shared.joules[0] == pytest.approx(300 + 120 + 2 * 120 / 2, rel=0.02)
        assert shared.joules[1] == pytest.approx(2 * 120 / 2 + 120 + 3 * 200, rel=0.02)
        assert shared.joules[2] == 0.0
        assert shared.unallocated_j == pytest.approx(300 + 200, rel=0.03)

    def test_a_window_that_was_not_measured_is_not_shared(self) -> None:
        refused = time_share(TRACE, COUNTER, Window(3 * S, 20 * S), [])
        assert isinstance(refused, NotMeasured)

    def test_a_request_that_ends_before_it_begins(self) -> None:
        with pytest.raises(ValueError, match="ends before it begins"):
            time_share(TRACE, COUNTER, WINDOW, [(2, 1)])
