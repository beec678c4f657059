from __future__ import annotations

import math
import re
from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.meters.base import Domain, Unit
from hexgate.meters.quiet import quiet_energy_j, quiet_times_s
from hexgate.meters.validity import Validity
from hexgate.meters.windows import Energy, NotMeasured, Window, energy_j, total
from hexgate.report.studies.reasons import reason_words
from support.power import AVERAGED, COUNTER, GAUGE, S, Steps, averaged, polls, seen

MS = S // 1000
IDLE_W = 60.0


def _request(seconds: float = 1.0, *, tail_w: float = 90.0, after_w: float = IDLE_W) -> Steps:
    """Work from 4 s on, and 0.2 s of cooling down."""
    end_s = 4.0 + seconds
    return Steps.of(
        (0.0, IDLE_W), (4.0, 320.0), (4.0 + seconds / 4, 210.0), (end_s, tail_w), (end_s + 0.2, after_w)
    )


def _window(seconds: float = 1.0) -> Window:
    return Window(4 * S, round((4 + seconds) * S))


def _trace(
    power: Steps, domain: Domain, poll_s: float, *, phase_s: float = 0.034, seed: int | None = None
) -> list[tuple[int, float]]:
    shows = power.joules if domain.unit is Unit.JOULE else power.power_w
    if domain.averaging_s:
        shows = averaged(power, domain.averaging_s)
    return seen(polls(power.begins_s[-1] + 4, poll_s, begin_s=0.2, seed=seed), shows, phase_s=phase_s)


def _measured(energy: Energy | NotMeasured) -> Energy:
    assert isinstance(energy, Energy), energy
    return energy


def _refused(energy: Energy | NotMeasured) -> str:
    assert isinstance(energy, NotMeasured), energy
    told = "; ".join(energy.reasons)
    assert re.search("[a-z]{4}", reason_words(f"the edges were not quiet: {told}").zh) is None
    return told


class TestAgainstTruth:
    @given(
        phase_s=st.floats(0, 0.1),
        poll_s=st.floats(0.01, 0.02),
        seconds=st.floats(0.3, 3.0),
        seed=st.integers(0, 999),
    )
    def test_a_counter_is_off_by_half_a_poll_of_idle_at_each_edge(
        self, phase_s: float, poll_s: float, seconds: float, seed: int
    ) -> None:
        power, window = _request(seconds), _window(seconds)
        trace = _trace(power, COUNTER, poll_s, phase_s=phase_s, seed=seed)
        got = _measured(quiet_energy_j(trace, COUNTER, window))
        truth = power.energy_j(4.0, window.end_ns / S + 0.5)
        # Half a poll at either edge, and what the idle slope's own error carries on over one update.
        bound = 0.55 * poll_s * IDLE_W * 2 * (1 + 2 * 0.13 / (0.1 - 1.1 * poll_s)) + 1e-6
        assert abs(got.energy_j - truth) < bound
        assert abs(got.energy_j - truth) < 6 * got.reading_j

    def test_what_is_returned_is_the_request_and_its_tail(self) -> None:
        power = _request()
        got = _measured(quiet_energy_j(_trace(power, COUNTER, 0.01), COUNTER, _window()))
        assert got.window == Window(4 * S, 5_500 * MS)
        assert got.seconds == 1.5
        assert got.energy_j == pytest.approx(power.energy_j(4.0, 5.5), rel=5e-3)
        assert got.validity is Validity.OK
        tail = got.tail
        assert tail is not None
        assert tail.seconds == 0.5
        assert tail.energy_j == pytest.approx(90 * 0.2 + 60 * 0.3, rel=0.12)
        assert (tail.before_w, tail.after_w) == pytest.approx((IDLE_W, IDLE_W), rel=0.11)
        assert tail.above_idle_j == pytest.approx(30 * 0.2, abs=4.0)
        assert tail.above_idle_j == tail.energy_j - (tail.before_w + tail.after_w) / 2 * 0.5

    def test_edges_weigh_little_where_they_are_quiet(self) -> None:
        power = _request(0.3)
        polled = _measured(quiet_energy_j(_trace(power, COUNTER, 0.02), COUNTER, _window(0.3)))
        assert polled.reading_j / polled.energy_j < 0.02

    def test_a_request_of_one_update_is_unbiased_here_and_alone_here(self) -> None:
        """Edges in the work miss a part of it, and state less than they miss: no way out of a wide uncertainty."""
        errors: dict[str, list[float]] = {"quiet": [], "abutting": []}
        for place in range(50):
            begin_s = 5 + place / 50 * 0.1
            power = Steps.of((0.0, 40.0), (begin_s, 140.0), (begin_s + 0.1, 40.0))
            trace = seen(polls(10.0, 0.02, seed=place), power.joules, phase_s=place * 0.037 % 0.1)
            window = Window(round(begin_s * S), round((begin_s + 0.1) * S))
            quiet = _measured(quiet_energy_j(trace, COUNTER, window))
            assert quiet.tail is not None
            work_j = quiet.energy_j - quiet.tail.energy_j + quiet.tail.above_idle_j
            errors["quiet"].append(work_j - 14.0)
            abutting = energy_j(trace, COUNTER, window)
            if isinstance(abutting, Energy):
                errors["abutting"].append(abutting.energy_j - 14.0)
        assert abs(fmean(errors["quiet"])) < 0.2
        assert fmean(errors["abutting"]) < -2.0

    @pytest.mark.parametrize("phase_s", [0.0, 0.02, 0.04, 0.06, 0.08])
    def test_a_counter_read_as_rarely_as_it_is_refreshed(self, phase_s: float) -> None:
        power = _request()
        got = _measured(
            quiet_energy_j(_trace(power, COUNTER, 0.1, phase_s=phase_s, seed=1), COUNTER, _window())
        )
        assert got.energy_j == pytest.approx(power.energy_j(4.0, 5.5), rel=0.05)
        assert abs(got.energy_j - power.energy_j(4.0, 5.5)) < 3 * got.reading_j

    @pytest.mark.parametrize("phase_s", [0.0, 0.02, 0.04, 0.06, 0.08])
    def test_a_momentary_gauge_is_within_its_uncertainty(self, phase_s: float) -> None:
        power = _request(3.0)
        trace = _trace(power, GAUGE, 0.1, phase_s=phase_s, seed=1)
        got = _measured(quiet_energy_j(trace, GAUGE, _window(3.0)))
        truth = power.energy_j(4.0, 7.7)
        assert got.window == Window(4 * S, 7_700 * MS)
        assert got.energy_j == pytest.approx(truth, rel=0.06)
        assert abs(got.energy_j - truth) < 3 * got.reading_j

    @pytest.mark.parametrize("seconds", [0.3, 1.0, 3.0])
    def test_an_average_only_moves_energy_to_a_later_time(self, seconds: float) -> None:
        power = _request(seconds)
        trace = _trace(power, AVERAGED, 0.02)
        got = _measured(quiet_energy_j(trace, AVERAGED, _window(seconds)))
        truth = power.energy_j(4.0, 4.0 + seconds + 1.6)
        assert got.energy_j == pytest.approx(truth, rel=0.01)
        [reason] = got.degraded
        assert "plain mean over 1 s" in reason

    def test_idle_of_two_levels_is_carried_on_by_each_side(self) -> None:
        power = _request(after_w=66.0)
        got = _measured(quiet_energy_j(_trace(power, COUNTER, 0.01), COUNTER, _window()))
        assert got.energy_j == pytest.approx(power.energy_j(4.0, 5.5), rel=5e-3)

    def test_several_domains(self) -> None:
        power = _request()
        other = replace(COUNTER, id="other", device="other")
        parts = {
            domain.id: quiet_energy_j(_trace(power, domain, 0.02), domain, _window())
            for domain in (COUNTER, other)
        }
        whole = _measured(total([COUNTER, other], parts))
        one = _measured(parts["other"])
        assert whole.tail is not None
        assert one.tail is not None
        assert whole.tail.energy_j == 2 * one.tail.energy_j
        assert whole.edge_j == pytest.approx(math.sqrt(2) * one.edge_j)


class TestRefusals:
    def test_work_right_before(self) -> None:
        power = Steps.of((0.0, IDLE_W), (3.0, 210.0), (3.85, IDLE_W), (4.0, 320.0), (5.0, IDLE_W))
        assert "not at rest" in _refused(quiet_energy_j(_trace(power, COUNTER, 0.01), COUNTER, _window()))

    def test_work_right_after(self) -> None:
        power = Steps.of((0.0, IDLE_W), (4.0, 320.0), (5.0, IDLE_W), (5.3, 210.0), (6.0, IDLE_W))
        for domain, poll_s in ((COUNTER, 0.01), (COUNTER, 0.1), (GAUGE, 0.1)):
            refused = _refused(quiet_energy_j(_trace(power, domain, poll_s), domain, _window(), after_s=0.5))
            assert "not at rest" in refused
            assert "hold the idle longer" in refused

    def test_a_device_that_has_not_settled(self) -> None:
        power = _request(tail_w=120.0, after_w=100.0)
        assert "not at rest" in _refused(quiet_energy_j(_trace(power, COUNTER, 0.01), COUNTER, _window()))
        assert isinstance(
            quiet_energy_j(_trace(power, COUNTER, 0.01), COUNTER, _window(), most_change=0.9), Energy
        )

    def test_a_trace_that_ends_too_soon(self) -> None:
        trace = [row for row in _trace(_request(), COUNTER, 0.01) if row[0] < 5_300 * MS]
        refused = _refused(quiet_energy_j(trace, COUNTER, _window()))
        assert refused.startswith("with 0.3 s before the request and 0.5 s after it: the last reading is 0.2")

    def test_idle_shorter_than_two_updates(self) -> None:
        trace = _trace(_request(), COUNTER, 0.01)
        refused = _refused(quiet_energy_j(trace, COUNTER, _window(), before_s=0.1))
        assert "1 updates of the counter lie in the idle before" in refused

    def test_a_reset_in_the_request(self) -> None:
        trace = [
            (t, joules if t < 4_500 * MS else joules - 400) for t, joules in _trace(_request(), COUNTER, 0.01)
        ]
        assert "reset" in _refused(quiet_energy_j(trace, COUNTER, _window()))

    def test_times_that_are_none(self) -> None:
        with pytest.raises(ValueError, match="need time"):
            quiet_energy_j([], COUNTER, _window(), before_s=0.0)


@pytest.mark.parametrize(
    ("domain", "times"),
    [
        (COUNTER, (0.3, 0.5)),
        (replace(COUNTER, update_s=0.001), (0.3, 0.5)),
        (replace(COUNTER, update_s=1.0), (3.0, 5.0)),
        (GAUGE, (0.3, 0.7)),
        (AVERAGED, (1.0, 1.6)),
    ],
)
def test_how_long_to_hold_idle(domain: Domain, times: tuple[float, float]) -> None:
    assert quiet_times_s(domain) == pytest.approx(times)
