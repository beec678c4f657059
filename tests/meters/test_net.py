from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.meters.net import Net, idle_line, net_energy
from hexgate.meters.validity import Validity
from hexgate.meters.windows import Energy, NotMeasured, Window, energy_j
from support.power import COUNTER, S, Steps, polls, seen

WORK = Window(10 * S, 20 * S)


def _energy(begin_s: float, end_s: float, watts: float, **changes: float) -> Energy:
    window = Window(round(begin_s * S), round(end_s * S))
    energy = Energy("board", watts * window.seconds, window.seconds, 100, 0.0, 0.0, 0.0, window=window)
    return replace(energy, **changes)


def _net(found: Net | NotMeasured) -> Net:
    assert isinstance(found, Net), found
    return found


def test_gross_less_idle() -> None:
    net = _net(net_energy(_energy(10, 20, 200), WORK, _energy(5, 10, 60), _energy(20, 25, 60)))
    assert net.energy_j == pytest.approx(1400)
    assert (net.gross_j, net.seconds, net.idle.mean_w, net.idle.drift_ratio) == (2000, 10, 60, 0)
    assert net.uncertainty_j == 0
    assert net.validity is Validity.OK


def test_idle_is_interpolated_in_time() -> None:
    """The middle of the work lies a fifth of the way from the middle of the idle before to that of the idle after."""
    before, after = _energy(8, 10, 60), _energy(38, 40, 61)
    net = _net(net_energy(_energy(10, 20, 200), WORK, before, after))
    assert net.idle.after_share == pytest.approx(0.2)
    assert net.idle.mean_w == pytest.approx(60.2)
    assert net.energy_j == pytest.approx(2000 - 602)
    assert net.drift_j == pytest.approx(10 / math.sqrt(12))


def test_idle_that_drifts_leaves_no_net() -> None:
    gross, before = _energy(10, 20, 200), _energy(5, 10, 60)
    refused = net_energy(gross, WORK, before, _energy(20, 25, 61.9))
    assert isinstance(refused, NotMeasured)
    assert refused.reasons == ("idle before and after differ too much (60 W and 61.9 W)",)
    _net(net_energy(gross, WORK, before, _energy(20, 25, 61.7)))
    _net(net_energy(gross, WORK, before, _energy(20, 25, 80.0), most_drift=0.5))


@pytest.mark.parametrize("silent", [0, 1, 2])
def test_a_sensor_that_states_no_error_leaves_none(silent: int) -> None:
    parts = [_energy(10, 20, 200), _energy(5, 10, 60), _energy(20, 25, 60)]
    parts[silent] = replace(parts[silent], sensor_j=None)
    net = _net(net_energy(parts[0], WORK, *parts[1:]))
    assert net.energy_j == pytest.approx(1400)
    assert (net.sensor_j, net.uncertainty_j, net.reading_j) == (None, None, 0)


def test_below_zero_is_said_and_not_clamped() -> None:
    net = _net(net_energy(_energy(10, 20, 50), WORK, _energy(5, 10, 60), _energy(20, 25, 60)))
    assert net.energy_j == pytest.approx(-100)
    assert net.degraded == ("the work drew 100 J less than idle did: the idle was not one",)
    assert net.validity is Validity.DEGRADED


def test_each_cause_of_uncertainty() -> None:
    gross = _energy(10, 20, 200, edge_j=3.0, sampling_j=4.0, sensor_j=0.05 * 2000)
    before = _energy(5, 10, 60, edge_j=1.0, sensor_j=0.05 * 300)
    after = _energy(20, 25, 61, edge_j=0.6, sampling_j=0.8, sensor_j=0.05 * 305)
    net = _net(net_energy(gross, WORK, before, after))
    assert (net.edge_j, net.sampling_j) == (3.0, 4.0)
    assert net.sensor_j == pytest.approx(0.05 * net.energy_j), "the sensor is wrong at rest as it is at work"
    # One joule in five seconds of each idle, half of each, over ten seconds.
    assert net.idle_j == pytest.approx(10 * math.hypot(0.5 * 0.2, 0.5 * 0.2))
    assert net.drift_j == pytest.approx(10 / math.sqrt(12))
    parts = (net.edge_j, net.sampling_j, net.sensor_j, net.idle_j, net.drift_j)
    assert net.uncertainty_j == pytest.approx(math.hypot(*parts))


def test_what_was_not_measured_leaves_no_net_and_says_all_of_it() -> None:
    lost = NotMeasured("board", ("lost",))
    refused = net_energy(_energy(10, 20, 200), WORK, lost, NotMeasured("board", ("late", "frozen")))
    assert isinstance(refused, NotMeasured)
    assert refused.reasons == ("idle before: lost", "idle after: late", "idle after: frozen")
    gross = net_energy(lost, WORK, _energy(5, 10, 60), _energy(20, 25, 60))
    assert isinstance(gross, NotMeasured)
    assert gross.reasons == ("gross: lost",)


def test_what_is_worse_than_it_should_be_is_said_of_each() -> None:
    before = replace(_energy(5, 10, 60), degraded=("short",))
    net = _net(
        net_energy(replace(_energy(10, 20, 200), degraded=("gap",)), WORK, before, _energy(20, 25, 60))
    )
    assert net.degraded == ("gap", "idle before: short")


def test_mistakes_of_a_caller() -> None:
    gross, before, after = _energy(10, 20, 200), _energy(5, 10, 60), _energy(20, 25, 60)
    with pytest.raises(ValueError, match="10 s, the window has 11 s"):
        net_energy(gross, Window(10 * S, 21 * S), before, after)
    with pytest.raises(ValueError, match="before the window and after it"):
        net_energy(gross, WORK, after, before)
    with pytest.raises(ValueError, match="does not say of which window"):
        idle_line(WORK, replace(before, window=None), after)


@given(
    idle_w=st.floats(5, 100),
    work_w=st.floats(100, 500),
    drift=st.floats(-0.02, 0.02),
    phase_s=st.floats(0, 0.1),
)
def test_net_of_a_latched_counter_is_within_its_uncertainty(
    idle_w: float, work_w: float, drift: float, phase_s: float
) -> None:
    """Idle has another level after the work, which may have begun at any time in it."""
    power = Steps.of((0.0, idle_w), (10.0, work_w), (20.0, idle_w * (1 + drift)))
    trace = seen(polls(30.0, 0.02, begin_s=0.2, seed=1), power.joules, phase_s=phase_s)
    before, work, after = (
        energy_j(trace, COUNTER, window) for window in (Window(5 * S, 9 * S), WORK, Window(21 * S, 25 * S))
    )
    net = _net(net_energy(work, WORK, before, after))
    truth = 10 * (work_w - idle_w * (1 + drift / 2))
    assert abs(net.energy_j - truth) < 4 * net.reading_j + 1e-6
