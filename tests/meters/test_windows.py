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
from hexgate.meters.rows import traces
from hexgate.meters.windows import Energy, NotMeasured, Window, energy_j, total

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
            assert energy.uncertainty_j == pytest.approx(0, abs=1e-6)
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
            assert abs(got.energy_j - truth) < 2 * got.uncertainty_j
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
            ratios.append(abs(error) / got.uncertainty_j)
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

    def test_gap_degrades_a_counter_and_a_long_one_undoes_a_gauge(self) -> None:
        def cut(trace: list[tuple[int, float]], seconds: float) -> list[tuple[int, float]]:
            return [row for row in trace if not 2 * S < row[0] < (2 + seconds) * S]

        window = Window(1 * S, 9 * S)
        counter = _measured(energy_j(cut(_sample(lambda t: 80 * t, end_s=10), 2), COUNTER, window))
        assert counter.energy_j == pytest.approx(640)
        assert "no reading for 2.000 s" in counter.degraded[0]
        gauge = _sample(lambda _: 80.0, end_s=10)
        assert "no reading for 0.500 s" in _measured(energy_j(cut(gauge, 0.5), GAUGE, window)).degraded[0]
        assert "not read for 2.000 s" in _refused(energy_j(cut(gauge, 2), GAUGE, window))

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
            replace(RAPL, id="rapl:package-0-dram", device="package-0-dram", scope=Scope.DRAM),
        ]
        energies = {domain.id: self._energy(domain, 100) for domain in domains}
        got = _measured(total(domains, energies))
        assert got.energy_j == pytest.approx(300)
        assert got.sensor_j == pytest.approx(10), "the errors of like sensors go the same way"
        assert got.domain == "rapl:package-0+rapl:package-1+rapl:package-0-dram"

    @pytest.mark.parametrize(
        ("outer", "inner"),
        [(Scope.PSYS, Scope.PACKAGE), (Scope.HOST, Scope.BOARD), (Scope.MODULE, Scope.BOARD)],
    )
    def test_container_and_part_are_refused_in_either_order(self, outer: Scope, inner: Scope) -> None:
        one = replace(COUNTER, id="outer", device="outer", scope=outer)
        two = replace(COUNTER, id="inner", device="inner", scope=inner)
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
