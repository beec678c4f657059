"""Energy of runs: whose domains they are, with and without quiet edges, gross and net."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hexgate.meters.base import Domain, Kind, Scope, Unavailable, Unit
from hexgate.meters.windows import Window
from hexgate.study.energy import (
    Scales,
    energy_of_run,
    idle_energy,
    net_block,
    scales_of,
    too_short_quiet,
)
from hexgate.study.spec import Quiet
from hexgate.study.watching import power_metrics

SECOND = 1_000_000_000
IDLE_W, WORK_W = 20.0, 120.0
REQUEST = Window(10 * SECOND, round(14.2 * SECOND))
"""A request, whose work begins a little after it and ends a little before it."""
GROSS_J = 4 * WORK_W + 0.2 * IDLE_W


def gauge(name: str, scope: Scope = Scope.BOARD) -> Domain:
    return Domain(name, "test", name, name, scope, Kind.GAUGE, Unit.WATT, update_s=0.05)


def trace(busy: tuple[float, float], until_s: float = 30.0, step_s: float = 0.05) -> list[tuple[int, float]]:
    """Idle, but for one span of work."""
    return [
        (round(t * SECOND), WORK_W if busy[0] <= t < busy[1] else IDLE_W)
        for t in (place * step_s for place in range(round(until_s / step_s) + 1))
    ]


def alone(domains: Sequence[Domain]) -> Scales:
    return scales_of(domains, (), (), here=True, shared=lambda _: None)


def test_quiet_edges_give_the_work_and_leave_the_idle_after_it_out() -> None:
    scales = alone([gauge("g")])
    run = energy_of_run({"g": trace((10.1, 14.1))}, scales, REQUEST, Quiet(1.0, 2.0))
    block = run.to_json()
    assert block["edges"] == "quiet"
    assert block["basis"] == "measured"
    assert block["gross_j"] == pytest.approx(GROSS_J, rel=0.02)
    assert block["tail_s"] == 2.0
    assert block["mean_power_w"] == pytest.approx(GROSS_J / 4.2, rel=0.02)
    boards = run.of_boards()
    assert boards is not None
    assert boards.gross_j == pytest.approx(GROSS_J, rel=0.02)


def test_the_mean_power_of_a_gpu_is_that_of_the_request_without_the_cooling_down() -> None:
    counter = Domain("g", "test", "g", "g", Scope.BOARD, Kind.COUNTER, Unit.JOULE, update_s=0.05)
    counted, joules = [], 0.0
    for place in range(240):
        t = 5 + place * 0.05
        counted.append((round(t * SECOND) + 1_000_000, joules))
        # 200 W for the second of the request, 120 W for 0.3 s behind it, and 50 W at rest.
        joules += 0.05 * (200 if 10 <= t + 0.02 < 11 else 120 if 11 <= t + 0.02 < 11.3 else 50)
    run = energy_of_run({"g": counted}, alone([counter]), Window(10 * SECOND, 11 * SECOND), Quiet(0.5, 1.0))
    block, (gpu, missing) = run.to_json(), power_metrics(run, {"g": counted})
    assert block["edges"] == "quiet"
    assert gpu["gpu_power_avg_w"] == block["mean_power_w"] == pytest.approx(200, rel=0.01)
    assert gpu["gpu_energy_j"] == block["gross_j"] == pytest.approx(200 + 0.3 * (120 - 50), rel=0.01)
    assert missing == {"gpu_power_peak_w": "a counter of energy shows no highest power"}


def test_edges_that_are_not_quiet_are_said_to_abut() -> None:
    scales = alone([gauge("g")])
    run = energy_of_run({"g": trace((5.0, 25.0))}, scales, REQUEST, Quiet(1.0, 2.0))
    block = run.to_json()
    if block["edges"] == "abutting":
        assert any("not quiet" in reason for reason in block["degraded"])
    assert block["gross_j"] == pytest.approx(GROSS_J, rel=0.05)


def test_a_request_that_drew_next_to_nothing_has_no_energy_below_zero() -> None:
    counter = Domain("g", "test", "g", "g", Scope.BOARD, Kind.COUNTER, Unit.JOULE, update_s=0.001)
    counted, joules = [], 0.0
    for place in range(1000):
        t = 5 + place * 0.02
        counted.append((round(t * SECOND), joules))
        # Idle was two watts lower just after the request: 0.8 J, and the request itself took 0.4.
        joules += 0.02 * (40 if 10 <= t + 0.01 < 10.4 else 42)
    request = Window(10 * SECOND, round(10.01 * SECOND))
    block = energy_of_run({"g": counted}, alone([counter]), request, Quiet(0.3, 0.5)).to_json()
    assert block["gross_j"] == pytest.approx(0.4, rel=0.1)
    assert block["edges"] == "abutting"
    assert "less than what is unknown of the idle" in block["degraded"][0]


def test_without_quiet_the_window_is_the_request() -> None:
    scales = alone([gauge("g")])
    run = energy_of_run({"g": trace((10.1, 14.1))}, scales, REQUEST, None)
    assert run.to_json()["edges"] == "abutting"
    assert run.gross_j == pytest.approx(GROSS_J, rel=0.05)
    assert any("no quiet was held" in reason for reason in run.to_json()["degraded"])


def test_net_is_what_the_work_drew_above_idle() -> None:
    scales = alone([gauge("g")])
    traces = {"g": trace((10.1, 14.1))}
    before = idle_energy(traces, scales, Window(1 * SECOND, 8 * SECOND))
    after = idle_energy(traces, scales, Window(20 * SECOND, 28 * SECOND))
    for quiet in (Quiet(1.0, 2.0), None):
        run = energy_of_run(traces, scales, REQUEST, quiet)
        net = net_block(run, before, after)
        assert net["net_j"] == pytest.approx(4 * (WORK_W - IDLE_W), rel=0.05)
        assert net["idle_power_w"] == pytest.approx(IDLE_W)


def test_net_without_an_idle_is_a_reason() -> None:
    scales = alone([gauge("g")])
    traces = {"g": trace((10.1, 14.1))}
    run = energy_of_run(traces, scales, REQUEST, None)
    lack = idle_energy(traces, scales, None)
    assert "idle was not measured" in net_block(run, lack, lack)["reason"]


def test_domains_that_hold_each_other_are_not_added() -> None:
    scales = alone([gauge("psys", Scope.PSYS), gauge("package", Scope.PACKAGE), gauge("gpu")])
    assert {domain.id for domain in scales.domains} == {"psys", "gpu"}
    assert [domain.id for domain in scales.boards] == ["gpu"]


@pytest.mark.parametrize(
    ("patterns", "here", "domains", "lack"),
    [
        ((), False, ["nvml:GPU-a"], "another machine"),
        ((), True, [], "rapl: not readable"),
        (("nvml:GPU-z*",), True, ["nvml:GPU-a"], "nvml:GPU-z"),
        ((), True, ["nvml:GPU-b"], "is shared"),
    ],
)
def test_where_there_is_no_energy_there_is_a_reason(
    patterns: tuple[str, ...], here: bool, domains: list[str], lack: str
) -> None:
    scales = scales_of(
        [gauge(name) for name in domains],
        [Unavailable("rapl", "the meter", "not readable"), Unavailable("host", "gpu", "no NVML")],
        patterns,
        here=here,
        shared=lambda name: "it is shared" if name == "nvml:GPU-b" else None,
    )
    assert scales.domains == ()
    assert scales.lack is not None
    assert lack in scales.lack
    assert "NVML" not in scales.lack
    run = energy_of_run({}, scales, Window(0, SECOND), Quiet())
    assert run.gross_j is None
    assert run.reason() == scales.lack
    assert run.to_json()["basis"] == "not_measured"


def test_a_model_has_the_domains_that_it_names() -> None:
    domains = [gauge("nvml:GPU-a"), gauge("nvml:GPU-b")]
    scales = scales_of(domains, (), ("nvml:GPU-a*",), here=True, shared=lambda _: None)
    assert [domain.id for domain in scales.domains] == ["nvml:GPU-a"]


def test_a_slow_sensor_asks_for_longer_quiet() -> None:
    slow = Domain("slow", "test", "s", "s", Scope.BOARD, Kind.GAUGE, Unit.WATT, averaging_s=1.0)
    assert too_short_quiet(alone([slow]), Quiet(0.3, 0.7)) is not None
    assert too_short_quiet(alone([slow]), Quiet(1.0, 1.6)) is None
    assert too_short_quiet(alone([]), Quiet(0.3, 0.7)) is None
