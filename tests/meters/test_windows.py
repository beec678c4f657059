from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.errors import InputError
from hexgate.meters.base import Basis, Domain, Kind, Scope, Unit
from hexgate.meters.curve import Joined
from hexgate.meters.rows import traces
from hexgate.meters.validity import Validity
from hexgate.meters.windows import Energy, NotMeasured, Window, energy_j, total
from support import power
from support.power import Steps, polls, seen

S = 1_000_000_000
MS = 1_000_000

GAUGE = Domain("gauge", "test", "board", "Board", Scope.BOARD, Kind.GAUGE, Unit.WATT)
COUNTER = Domain("counter", "test", "board", "Board", Scope.BOARD, Kind.COUNTER, Unit.JOULE)
RAPL = replace(
    COUNTER,
    id="rapl:package-0",
    device="package-0",
    scope=Scope.PACKAGE,
    wrap_range_j=262_143.0,
    max_power_w=2000.0,
)


def _sample(
    function: Callable[[float], float], *, end_s: float, period_s: float = 0.1
) -> list[tuple[int, float]]:
    times = (index * period_s for index in range(round(end_s / period_s) + 1))
    return [(round(t * S), function(t)) for t in times]


def _measured(energy: Energy | NotMeasured) -> Energy:
    assert isinstance(energy, Energy), energy
    return energy


def _refused(energy: Energy | NotMeasured) -> str:
    assert isinstance(energy, NotMeasured), energy
    return "; ".join(energy.reasons)


class TestAgainstTruth:
    def test_constant_power(self) -> None:
        window = Window(1_037 * MS, 4_211 * MS)
        for trace, domain in (
            (_sample(lambda _: 250.0, end_s=6), GAUGE),
            (_sample(lambda t: 1000 + 250 * t, end_s=6), COUNTER),
        ):
            energy = _measured(energy_j(trace, domain, window))
            assert energy.energy_j == pytest.approx(250 * 3.174, rel=1e-12)
            assert energy.mean_power_w == pytest.approx(250, rel=1e-12)
            assert energy.reading_j == pytest.approx(0, abs=1e-6)
            assert energy.degraded == ()
            assert energy.basis is Basis.MEASURED
            assert energy.readings == 32

    def test_rising_power_is_exact_for_the_trapezoid_at_any_edge(self) -> None:
        energy = _measured(
            energy_j(_sample(lambda t: 10 + 30 * t, end_s=6), GAUGE, Window(1_037 * MS, 4_211 * MS))
        )
        assert energy.energy_j == pytest.approx(10 * 3.174 + 15 * (4.211**2 - 1.037**2), rel=1e-12)

    def test_irregular_stamps_are_taken_as_they_are(self) -> None:
        times = np.cumsum(np.random.default_rng(5).uniform(0.02, 0.18, 100))
        trace = [(round(t * S), 10 + 30 * t) for t in times]
        energy = _measured(energy_j(trace, GAUGE, Window(2 * S, 6 * S), period_s=0.1))
        assert energy.energy_j == pytest.approx(10 * 4 + 15 * (36 - 4), rel=1e-6)

    @pytest.mark.parametrize("domain", [GAUGE, COUNTER])
    def test_smooth_power_within_its_uncertainty(self, domain: Domain) -> None:
        def power(t: float) -> float:
            return 200 + 100 * math.sin(2 * math.pi * 0.7 * t)

        def energy(t: float) -> float:
            return 200 * t - 100 / (2 * math.pi * 0.7) * math.cos(2 * math.pi * 0.7 * t)

        trace = _sample(power if domain is GAUGE else energy, end_s=8)
        for start_s in np.linspace(1, 2.3, 27):
            window = Window(round(start_s * S), round((start_s + 3.05) * S))
            got = _measured(energy_j(trace, domain, window))
            truth = energy(start_s + 3.05) - energy(start_s)
            assert abs(got.energy_j - truth) < 2 * got.reading_j
            assert got.energy_j == pytest.approx(truth, rel=5e-3)

    @pytest.mark.parametrize(("seconds", "most_ratio"), [(1.0, 0.07), (3.0, 0.025), (10.0, 0.01)])
    def test_bursts_on_a_latched_counter(self, seconds: float, most_ratio: float) -> None:
        """Idle, prefill, rippling decode; a counter refreshed and polled every 100 ms, at random phases."""
        rng = np.random.default_rng(7)
        domain = replace(COUNTER, update_s=0.1)
        errors, ratios = [], []
        for _ in range(200):
            start_s = 2 + rng.uniform(0, 0.1)
            fine = np.arange(0, seconds + 4, 0.001)
            ripple = 40 * np.sin(2 * np.pi * rng.uniform(9, 17) * fine)
            busy = np.where(fine < start_s + 0.15, 320.0, 210.0 + ripple)
            power = np.where((fine >= start_s) & (fine < start_s + seconds), busy, 65.0)
            joules = np.concatenate([[0.0], np.cumsum(power) * 0.001])
            polls = np.arange(0.05, seconds + 3.9, 0.1)
            polls += rng.uniform(0, 0.002, len(polls))
            latched = np.floor((polls - (phase := rng.uniform(0, 0.1))) / 0.1) * 0.1 + phase
            values = np.interp(latched, np.arange(len(joules)) * 0.001, joules)
            trace = [(round(t * S), float(value)) for t, value in zip(polls, values, strict=True)]
            got = _measured(
                energy_j(trace, domain, Window(round(start_s * S), round((start_s + seconds) * S)))
            )
            truth = np.interp([start_s, start_s + seconds], np.arange(len(joules)) * 0.001, joules)
            error = got.energy_j - (truth[1] - truth[0])
            errors.append(abs(error) / (truth[1] - truth[0]))
            ratios.append(abs(error) / got.reading_j)
        assert np.quantile(errors, 0.95) < most_ratio
        assert np.mean(np.array(ratios) < 2) > 0.9, "twice the standard uncertainty covers the truth"
        assert np.median(ratios) > 0.1, "and is not so large that it says nothing"

    @given(st.integers(1, 6000), st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 2**32))
    def test_parts_add_up_to_the_whole(self, start_ms: int, first_ms: int, second_ms: int, seed: int) -> None:
        powers = np.random.default_rng(seed).uniform(5, 400, 130)
        trace = [(index * 100 * MS, float(power)) for index, power in enumerate(powers)]
        cuts = np.cumsum([start_ms, first_ms, second_ms]) * MS
        parts = [energy_j(trace, GAUGE, Window(int(a), int(b))) for a, b in pairwise(cuts)]
        whole = energy_j(trace, GAUGE, Window(int(cuts[0]), int(cuts[2])))
        if all(isinstance(part, Energy) for part in parts):
            got = math.fsum(_measured(part).energy_j for part in parts)
            assert got == pytest.approx(_measured(whole).energy_j, rel=1e-9)


class TestWrapsAndResets:
    @given(begin=st.floats(0, 262_142), steps=st.lists(st.floats(0, 190), min_size=20, max_size=200))
    def test_wraps_anywhere_are_exact(self, begin: float, steps: list[float]) -> None:
        totals = begin + np.concatenate([[0.0], np.cumsum(steps)]) + 1e-3 * np.arange(len(steps) + 1)
        trace = [(index * 100 * MS, float(value % 262_143.0)) for index, value in enumerate(totals)]
        got = _measured(energy_j(trace, RAPL, Window(0, trace[-1][0])))
        assert got.energy_j == pytest.approx(totals[-1] - totals[0], rel=1e-9, abs=1e-8)

    def test_ten_thousand_wraps(self) -> None:
        """A small range, so that the counter wraps all the time."""
        domain = replace(RAPL, wrap_range_j=100.0)
        steps = np.random.default_rng(3).uniform(10, 99, 20_000)
        totals = np.concatenate([[0.0], np.cumsum(steps)])
        assert totals[-1] / 100 > 10_000
        trace = [(index * 10 * MS, float(value)) for index, value in enumerate(totals % 100.0)]
        got = _measured(energy_j(trace, domain, Window(0, trace[-1][0])))
        assert got.energy_j == pytest.approx(totals[-1], rel=1e-9)

    @given(before=st.floats(1000, 261_000), after=st.floats(0, 100))
    def test_reset_is_not_taken_for_a_wrap(self, before: float, after: float) -> None:
        values = [before, before + 1, before + 2, after, after + 1, after + 2, after + 3]
        trace = [(index * 100 * MS, value) for index, value in enumerate(values)]
        assert "reset" in _refused(energy_j(trace, RAPL, Window(50 * MS, 550 * MS)))

    def test_leap_that_no_device_can_draw_is_not_energy(self) -> None:
        trace = _sample(lambda t: 50 * t if t < 2 else 50 * t + 200_000, end_s=5)
        assert "reset or set" in _refused(energy_j(trace, RAPL, Window(1 * S, 3 * S)))

    def test_counter_without_range_has_resets_only(self) -> None:
        trace = _sample(lambda t: 50 * t if t < 2 else 50 * (t - 2), end_s=5)
        assert "reset" in _refused(energy_j(trace, COUNTER, Window(1 * S, 3 * S)))

    def test_reset_outside_the_window_does_no_harm(self) -> None:
        trace = _sample(lambda t: 50 * t if t < 2 else 50 * (t - 2), end_s=5)
        for window in (Window(S // 2, 3 * S // 2), Window(5 * S // 2, 4 * S)):
            assert _measured(energy_j(trace, COUNTER, window)).mean_power_w == pytest.approx(50)


class TestValidity:
    def test_window_that_the_readings_do_not_cover(self) -> None:
        trace = _sample(lambda _: 100.0, end_s=3)[5:]
        reasons = _refused(energy_j(trace, GAUGE, Window(0, 4 * S)))
        assert "first reading is 0.500 s after" in reasons
        assert "last reading is 1.000 s before" in reasons

    @pytest.mark.parametrize("trace", [[], [(0, 1.0)]])
    def test_too_few_readings(self, trace: list[tuple[int, float]]) -> None:
        assert "too few" in _refused(energy_j(trace, GAUGE, Window(0, S)))

    def test_window_between_two_readings(self) -> None:
        trace = _sample(lambda _: 100.0, end_s=3)
        assert "no reading lies inside" in _refused(energy_j(trace, GAUGE, Window(1_010 * MS, 1_090 * MS)))

    def test_short_window_is_degraded(self) -> None:
        trace = _sample(lambda _: 100.0, end_s=3)
        [reason] = _measured(energy_j(trace, GAUGE, Window(1_010 * MS, 1_290 * MS))).degraded
        assert "only 2 readings" in reason

    def test_gap_degrades_and_a_long_one_undoes(self) -> None:
        def cut(trace: list[tuple[int, float]], seconds: float) -> list[tuple[int, float]]:
            return [row for row in trace if not 2 * S < row[0] < (2 + seconds) * S]

        window = Window(1 * S, 9 * S)
        for trace, domain in (
            (_sample(lambda t: 80 * t, end_s=10), COUNTER),
            (_sample(lambda _: 80.0, end_s=10), GAUGE),
        ):
            short = _measured(energy_j(cut(trace, 0.5), domain, window))
            assert short.energy_j == pytest.approx(640)
            assert "no reading for 0.500 s" in short.degraded[0]
            assert "not read for 2.000 s" in _refused(energy_j(cut(trace, 2), domain, window))

    @pytest.mark.parametrize(("since_s", "until_s"), [(4.85, 5.12), (4.5, 5.4), (14.4, 15.3)])
    def test_a_gap_at_an_edge_is_in_the_uncertainty(self, since_s: float, until_s: float) -> None:
        """65 W, and 310 W from 5 s to 15 s; nobody looked around one of the edges."""

        def joules(t: float) -> float:
            return 65 * t + 245 * (min(max(t, 5), 15) - 5)

        trace = [row for row in _sample(joules, end_s=20) if not since_s < row[0] / S < until_s]
        got = _measured(energy_j(trace, replace(COUNTER, update_s=0.001), Window(5 * S, 15 * S)))
        assert abs(got.energy_j - 3100) < 2 * got.reading_j

    def test_gap_in_which_the_counter_may_have_wrapped_twice(self) -> None:
        trace = [row for row in _sample(lambda t: 80 * t, end_s=200) if not 10 * S < row[0] < 150 * S]
        assert "wrapped more than once" in _refused(energy_j(trace, RAPL, Window(S, 199 * S)))

    def test_silence_is_not_zero_energy(self) -> None:
        assert "did not move" in _refused(
            energy_j(_sample(lambda _: 7.0, end_s=3), COUNTER, Window(S, 2 * S))
        )
        assert "no power" in _refused(energy_j(_sample(lambda _: 0.0, end_s=3), GAUGE, Window(S, 2 * S)))

    def test_averaged_power_needs_a_long_window(self) -> None:
        averaged = replace(GAUGE, averaging_s=1.0)
        trace = _sample(lambda _: 100.0, end_s=40)
        [reason] = _measured(energy_j(trace, averaged, Window(5 * S, 15 * S))).degraded
        assert "averages over 1 s" in reason
        assert _measured(energy_j(trace, averaged, Window(4 * S, 36 * S))).degraded == ()

    def test_trace_that_ends_at_the_window_has_wide_edges(self) -> None:
        trace = _sample(lambda _: 100.0, end_s=3)
        cut = _measured(energy_j(trace, GAUGE, Window(0, 3 * S)))
        within = _measured(energy_j(trace, GAUGE, Window(S, 2 * S)))
        assert cut.edge_j > 2.5 > within.edge_j

    def test_sensor_s_own_uncertainty(self) -> None:
        domain = replace(GAUGE, systematic_ratio=0.05)
        energy = _measured(energy_j(_sample(lambda _: 100.0, end_s=3), domain, Window(S, 2 * S)))
        assert energy.sensor_j == pytest.approx(5.0)
        assert energy.uncertainty_j == pytest.approx(5.0)

    def test_last_digit_of_a_counter(self) -> None:
        domain = replace(COUNTER, resolution=36.0)
        energy = _measured(energy_j(_sample(lambda t: 100 * t, end_s=3), domain, Window(S, 2 * S)))
        assert energy.edge_j == pytest.approx(36 / math.sqrt(6))

    @pytest.mark.parametrize("period_s", [0.1, 0.01])
    def test_reading_a_gauge_more_often_than_it_is_refreshed_tells_no_more(self, period_s: float) -> None:
        levels = np.random.default_rng(2).normal(200, 40, 200)
        trace = _sample(lambda t: float(levels[int(t * 10 + 1e-6)]), end_s=19, period_s=period_s)
        got = _measured(energy_j(trace, replace(GAUGE, update_s=0.1), Window(2 * S, 18 * S)))
        assert got.sampling_j == pytest.approx(40 * 0.1 * math.sqrt(160), rel=0.15)

    def test_a_reading_is_late_by_up_to_an_update_and_never_early(self) -> None:
        """65 W, and 275 W from 5 s to 15 s; read as often as it is refreshed."""
        domain, covered = replace(COUNTER, update_s=0.1), []
        for phase_s in np.linspace(0, 0.099, 100):
            steps = Steps.of((0.0, 65.0), (5.0, 275.0), (15.0, 65.0))
            trace = seen(polls(19.0, 0.1, begin_s=0.25, seed=4), steps.joules, phase_s=float(phase_s))
            got = _measured(energy_j(trace, domain, Window(5 * S, 15 * S)))
            covered.append(abs(got.energy_j - steps.energy_j(5, 15)) < 2 * got.reading_j)
        assert all(covered)

    @pytest.mark.parametrize(("missed", "degraded"), [(2, False), (3, True)])
    def test_missed_refreshes_degrade_a_counter(self, missed: int, degraded: bool) -> None:
        trace = [(t, e) for t, e in _sample(lambda t: 80 * t, end_s=10)]
        for place in range(51, 51 + missed):
            trace[place] = (trace[place][0], trace[50][1])
        got = _measured(energy_j(trace, replace(COUNTER, update_s=0.1), Window(S, 9 * S)))
        assert ("showed one value" in " ".join(got.degraded)) == degraded

    def test_a_leap_without_a_range_is_not_energy_where_the_greatest_power_is_known(self) -> None:
        domain = replace(COUNTER, max_power_w=10_000.0, update_s=0.1)
        trace = _sample(lambda t: 30 * t + (1e9 if t >= 2 else 0), end_s=5)
        assert "reset or set" in _refused(energy_j(trace, domain, Window(S, 3 * S)))

    def test_stamps(self) -> None:
        trace = _sample(lambda _: 100.0, end_s=3)
        assert "do not rise" in _refused(energy_j([*trace, (S, 100.0)][::-1], GAUGE, Window(S, 2 * S)))
        assert _measured(energy_j([*trace, trace[-1]], GAUGE, Window(S, 2 * S))).energy_j == pytest.approx(
            100
        )

    def test_mistakes_of_a_caller(self) -> None:
        with pytest.raises(ValueError, match="ends after it begins"):
            Window(5, 5)
        with pytest.raises(ValueError, match="not J or W"):
            energy_j([], replace(GAUGE, unit=Unit.BYTE), Window(0, 1))
        with pytest.raises(ValueError, match="finite"):
            energy_j([(0, math.nan), (1, 1.0)], GAUGE, Window(0, 1))


class TestTotal:
    WINDOW = Window(S, 2 * S)

    def _energy(self, domain: Domain, power_w: float) -> Energy | NotMeasured:
        return energy_j(_sample(lambda t: power_w * t, end_s=3), domain, self.WINDOW)

    def test_side_by_side(self) -> None:
        domains = [
            replace(RAPL, systematic_ratio=0.05),
            replace(RAPL, id="rapl:package-1", device="package-1", systematic_ratio=0.05),
            replace(
                RAPL,
                id="rapl:package-0-dram",
                device="package-0-dram",
                scope=Scope.DRAM,
                systematic_ratio=0.02,
            ),
        ]
        energies = {domain.id: self._energy(domain, 100) for domain in domains}
        got = _measured(total(domains, energies))
        assert got.energy_j == pytest.approx(300)
        assert got.sensor_j == pytest.approx(12), "the errors of like sensors go the same way"
        assert got.domain == "rapl:package-0+rapl:package-1+rapl:package-0-dram"

    def test_a_sensor_that_states_no_error_leaves_the_sum_without_one(self) -> None:
        stated = replace(RAPL, systematic_ratio=0.05)
        silent = replace(RAPL, id="rapl:package-1", device="package-1")
        energies = {domain.id: self._energy(domain, 100) for domain in (stated, silent)}
        got = _measured(total([stated, silent], energies))
        assert got.energy_j == pytest.approx(200)
        assert (got.sensor_j, got.uncertainty_j) == (None, None), (
            "an error that nobody stated is not one of 0"
        )
        assert got.reading_j == math.hypot(*(_measured(each).reading_j for each in energies.values()))
        assert _measured(energies[stated.id]).sensor_j == pytest.approx(5)

    @pytest.mark.parametrize(
        ("outer", "inner"),
        [(Scope.PSYS, Scope.PACKAGE), (Scope.HOST, Scope.BOARD), (Scope.MODULE, Scope.BOARD)],
    )
    def test_container_and_part_are_refused_in_either_order(self, outer: Scope, inner: Scope) -> None:
        one = replace(COUNTER, id="outer", device="one", scope=outer)
        two = replace(COUNTER, id="inner", device="one", scope=inner)
        for domains in ([one, two], [two, one]):
            with pytest.raises(InputError, match=r"outer .* contains inner"):
                total(domains, {})

    def test_one_device_twice_is_refused(self) -> None:
        with pytest.raises(InputError, match="both of board"):
            total([COUNTER, GAUGE], {})

    def test_one_that_is_lacking_leaves_no_total(self) -> None:
        other = replace(COUNTER, id="other", device="other")
        reasons = _refused(total([COUNTER, other], {COUNTER.id: self._energy(COUNTER, 100)}))
        assert reasons == "other: no reading of it"


def test_rows_of_failed_reads_leave_a_gap() -> None:
    rows = [
        {"t_ns": 1, "domain": "a", "value": 1.5},
        {"t_ns": 2, "domain": "b", "value": None, "reason": "lost"},
        {"t_ns": 3, "domain": "a", "value": 2.5},
    ]
    assert traces(rows) == {"a": [(1, 1.5), (3, 2.5)], "b": []}


class TestStuckCounters:
    """A counter that freezes shows no power, which is not the same as none being drawn."""

    WINDOW = Window(1 * S, 9 * S)

    def _frozen(self, since_s: float, until_s: float = math.inf) -> list[tuple[int, float]]:
        def joules(t: float) -> float:
            return 80 * (min(t, since_s) + max(0.0, t - until_s))

        return _sample(joules, end_s=10)

    @pytest.mark.parametrize(("since_s", "until_s"), [(5, math.inf), (3, 4.5), (7.7, math.inf), (-1, 2.5)])
    def test_a_freeze_is_not_measured(self, since_s: float, until_s: float) -> None:
        domain = replace(RAPL, update_s=0.001)
        assert "stood still" in _refused(energy_j(self._frozen(since_s, until_s), domain, self.WINDOW))

    @pytest.mark.parametrize(("since_s", "until_s"), [(5, 5.8), (9.05, math.inf), (-1, 0.9)])
    def test_a_short_rest_and_one_outside_are_fine(self, since_s: float, until_s: float) -> None:
        domain = replace(RAPL, update_s=0.001)
        _measured(energy_j(self._frozen(since_s, until_s), domain, self.WINDOW))

    def test_a_counter_that_is_refreshed_rarely_is_not_stuck(self) -> None:
        for domain in (replace(COUNTER, update_s=2.0), COUNTER):
            trace = _sample(lambda t: 80.0 * 2 * (t // 2), end_s=30)
            _measured(energy_j(trace, domain, Window(3 * S, 25 * S)))


class TestUpdates:
    """A counter read more often than it is refreshed."""

    POWER = Steps.of((0.0, 65.0), (3.0, 320.0), (3.2, 210.0), (6.0, 65.0))

    @given(phase_s=st.floats(0, 0.1), poll_s=st.floats(0.01, 0.045), seed=st.integers(0, 999))
    def test_error_is_bounded_by_one_update_at_each_edge(
        self, phase_s: float, poll_s: float, seed: int
    ) -> None:
        trace = seen(polls(9.0, poll_s, begin_s=0.2, seed=seed), self.POWER.joules, phase_s=phase_s)
        got = _measured(energy_j(trace, power.COUNTER, Window(3 * S, 6 * S)))
        assert got.joined == Joined.UPDATES
        assert got.update_s == pytest.approx(0.1, rel=0.25)
        # A straight line through a step is off by a quarter of an update at most, a knot by half a poll.
        edges = 0.1 / 4 * (255 + 145) + 0.55 * poll_s * (320 + 210)
        assert abs(got.energy_j - self.POWER.energy_j(3, 6)) < edges
        assert abs(got.energy_j - self.POWER.energy_j(3, 6)) < 3 * got.reading_j

    def test_constant_power_is_as_exact_as_the_polls(self) -> None:
        steady = Steps.of((0.0, 250.0))
        trace = seen(polls(6.0, 0.02, begin_s=0.2), steady.joules, phase_s=0.033)
        got = _measured(energy_j(trace, power.COUNTER, Window(1_037 * MS, 4_211 * MS)))
        assert got.energy_j == pytest.approx(250 * 3.174, rel=1e-8), "each knot is off by as much"
        assert got.edge_j == pytest.approx(math.hypot(2.5, 2.5) / math.sqrt(3), rel=1e-6)
        assert got.validity is Validity.OK
        assert got.window == Window(1_037 * MS, 4_211 * MS)

    def test_readings_as_rare_as_the_refreshes_are_joined_themselves(self) -> None:
        trace = seen(polls(9.0, 0.1, begin_s=0.25), self.POWER.joules, phase_s=0.033)
        got = _measured(energy_j(trace, power.COUNTER, Window(3 * S, 6 * S)))
        assert (got.joined, got.update_s) == (Joined.READINGS, 0.1)
        gauge = [(t, self.POWER.power_w(t / S)) for t, _ in trace]
        assert _measured(energy_j(gauge, power.GAUGE, Window(3 * S, 6 * S))).joined == Joined.POWERS

    def test_finding_the_refreshes_makes_the_tail_of_the_errors_shorter(self) -> None:
        window = Window(3 * S, 6 * S)
        truth = self.POWER.energy_j(3, 6)
        polled, raw = [], []
        for phase_s in np.linspace(0, 0.1, 101):
            trace = seen(polls(9.0, 0.02, begin_s=0.2, seed=3), self.POWER.joules, phase_s=phase_s)
            polled.append(abs(_measured(energy_j(trace, power.COUNTER, window)).energy_j - truth) / truth)
            begin, end = (self.POWER.joules(power.refreshed(t, 0.1, phase_s)) for t in (3.0, 6.0))
            raw.append(abs(end - begin - truth) / truth)
        assert np.quantile(polled, 0.95) < 0.02
        assert np.quantile(polled, 0.95) < np.quantile(raw, 0.95)

    def test_ten_thousand_wraps_at_random_instants_none_missed(self) -> None:
        domain = replace(power.COUNTER, wrap_range_j=100.0, max_power_w=2000.0)
        draw = np.random.default_rng(11)
        steps = draw.uniform(10, 99, 20_000)
        totals = np.concatenate([[0.0], np.cumsum(steps)])
        assert totals[-1] / 100 > 10_000
        # Refreshed every 50 ms, read every 10 ms.
        trace = [
            ((50 * place + 10 * poll + 3) * MS, float(value % 100.0))
            for place, value in enumerate(totals)
            for poll in range(5)
        ]
        window = Window(trace[0][0], (50 * (len(totals) - 1)) * MS)
        got = _measured(energy_j(trace, domain, window))
        assert got.joined == Joined.UPDATES
        assert got.energy_j == pytest.approx(totals[-1], rel=2e-5), (
            "the window's ends lie between two refreshes"
        )

    @given(before=st.floats(0, 99_000), after=st.floats(0, 400))
    def test_without_a_greatest_power_half_a_range_is_a_reset(self, before: float, after: float) -> None:
        domain = replace(COUNTER, wrap_range_j=200_000.0)
        values = [before + 500, before + 501, before + 502, after, after + 1, after + 2]
        trace = [(index * 100 * MS, value) for index, value in enumerate(values)]
        assert "reset" in _refused(energy_j(trace, domain, Window(50 * MS, 450 * MS)))

    def test_window_after_the_last_refresh_says_so(self) -> None:
        steady = Steps.of((0.0, 100.0))
        trace = seen(polls(6.0, 0.02, begin_s=0.2), steady.joules, phase_s=0.05)
        got = _measured(energy_j(trace, power.COUNTER, Window(2 * S, 5_975 * MS)))
        assert got.energy_j == pytest.approx(397.5, rel=0.02)
        assert "last refreshed 0.0" in got.degraded[0]
        assert got.validity is Validity.DEGRADED

    def test_window_between_two_refreshes(self) -> None:
        trace = seen(polls(6.0, 0.02, begin_s=0.2), self.POWER.joules, phase_s=0.05)
        refused = energy_j(trace, power.COUNTER, Window(2_070 * MS, 2_130 * MS))
        assert "no update of the counter lies inside" in _refused(refused)
        assert isinstance(refused, NotMeasured)
        assert refused.validity is Validity.INVALID
        [reason] = _measured(energy_j(trace, power.COUNTER, Window(2_070 * MS, 2_260 * MS))).degraded
        assert "only 2 updates of the counter lie inside" in reason

    def test_a_total_says_of_all_its_parts_how_they_were_made(self) -> None:
        window = Window(3 * S, 6 * S)
        trace = seen(polls(9.0, 0.02, begin_s=0.2), self.POWER.joules, phase_s=0.05)
        rare = seen(polls(9.0, 0.2, begin_s=0.2), self.POWER.joules, phase_s=0.05)
        other = replace(power.COUNTER, id="other", device="other", update_s=0.3)
        parts = {"counter": energy_j(trace, power.COUNTER, window), "other": energy_j(rare, other, window)}
        whole = _measured(total([power.COUNTER, other], parts))
        assert (whole.joined, whole.update_s, whole.window) == ("readings+updates", 0.3, window)
