from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.meters.latch import Latches
from support.power import S, Steps, polls, refreshed, seen

STEADY = Steps.of((0.0, 100.0))
MS = S // 1000


def _latches(
    power: Steps, *, end_s: float = 3.0, poll_s: float = 0.02, update_s: float = 0.1, phase_s: float = 0.037
) -> Latches | None:
    trace = seen(polls(end_s, poll_s, begin_s=0.2), power.joules, update_s=update_s, phase_s=phase_s)
    return Latches.of([t for t, _ in trace], [joules - trace[0][1] for _, joules in trace])


def _found(latches: Latches | None) -> Latches:
    assert latches is not None
    return latches


def test_the_refreshes_of_a_counter_are_found_between_its_readings() -> None:
    found = _found(_latches(STEADY))
    assert found.update_s == pytest.approx(0.1, abs=0.021)
    for t_ns, half_ns in list(zip(found.times, found.half_ns, strict=True))[1:-1]:
        late_s = t_ns / S - refreshed(t_ns / S + 0.05, 0.1, 0.037)
        assert abs(late_s) <= half_ns / S
        assert half_ns == pytest.approx(10 * MS, abs=1)


@given(
    poll_s=st.floats(0.005, 0.049),
    phase_s=st.floats(0, 0.1),
    seed=st.integers(0, 1000),
    watts=st.floats(1, 900),
)
def test_every_value_was_true_within_half_a_poll_of_its_instant(
    poll_s: float, phase_s: float, seed: int, watts: float
) -> None:
    at_s = polls(4.0, poll_s, begin_s=0.2, seed=seed)
    trace = seen(at_s, Steps.of((0.0, watts)).joules, phase_s=phase_s)
    found = _found(Latches.of([t for t, _ in trace], [joules - trace[0][1] for _, joules in trace]))
    first_j = watts * refreshed(at_s[0], 0.1, phase_s)
    for t_ns, joules, half_ns in list(zip(found.times, found.joules, found.half_ns, strict=True))[1:-1]:
        true_s = (joules + first_j) / watts
        assert abs(t_ns / S - true_s) <= half_ns / S + 1e-6
        assert half_ns / S <= 0.56 * poll_s


@pytest.mark.parametrize(("poll_s", "update_s"), [(0.1, 0.1), (0.1, 0.001), (0.07, 0.1), (0.01, 0.01)])
def test_readings_that_are_too_rare_tell_nothing(poll_s: float, update_s: float) -> None:
    assert _latches(STEADY, poll_s=poll_s, update_s=update_s) is None


def test_a_few_changes_are_no_period() -> None:
    assert _latches(STEADY, end_s=0.6) is None
    assert _latches(STEADY, end_s=0.9) is not None


def test_after_a_gap_the_value_is_that_of_the_last_refresh_in_it() -> None:
    at_s = [t for t in polls(4.0, 0.02, begin_s=0.2) if not 1.5 < t < 2.305]
    trace = seen(at_s, STEADY.joules, phase_s=0.037)
    found = _found(Latches.of([t for t, _ in trace], [joules for _, joules in trace]))
    after = next(place for place, t in enumerate(found.times) if t > 1.6 * S)
    assert found.times[after] / S == pytest.approx(2.27, abs=0.01)
    assert found.half_ns[after] == pytest.approx(50 * MS, abs=11 * MS)
    assert abs(found.times[after] / S - 2.237) <= found.half_ns[after] / S


def test_before_the_first_change_it_goes_back_one_update() -> None:
    found = _found(_latches(STEADY))
    assert found.times[1] - found.times[0] == pytest.approx(found.update_s * S, abs=1)
    assert found.joules[0] == 0.0
    assert found.times[0] <= 0.2 * S


def test_after_the_last_change_its_power_is_carried_on_for_a_while() -> None:
    found = _found(_latches(STEADY, end_s=3.0))
    assert found.until_ns / S == pytest.approx(2.937, abs=0.011)
    assert found.times[-1] > found.until_ns
    power = (found.joules[-1] - found.joules[-2]) / ((found.times[-1] - found.times[-2]) / S)
    assert power == pytest.approx(100, rel=0.25)
    assert found.half_ns[-1] == found.times[-1] - found.until_ns


def test_a_counter_that_has_stopped_is_carried_nowhere() -> None:
    trace = seen(polls(4.0, 0.02, begin_s=0.2), lambda t: STEADY.joules(min(t, 2.0)), phase_s=0.037)
    found = _found(Latches.of([t for t, _ in trace], [joules for _, joules in trace]))
    assert found.joules[-1] == found.joules[-2] == 200.0
