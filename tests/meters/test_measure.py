"""The figures of one command, from traces that are written out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from hexgate.meters.base import Domain, Kind, Scope, Unit
from hexgate.meters.measure import Recorded, Usage, Windows, figures, power_lines
from hexgate.meters.windows import Window

S = 1_000_000_000
COMMAND = Window(20 * S, 30 * S)
RESTS = Windows(COMMAND, Window(5 * S, 15 * S), Window(35 * S, 45 * S))


def domain(name: str, scope: Scope = Scope.PACKAGE, unit: Unit = Unit.JOULE, **more: Any) -> Domain:
    kind = Kind.COUNTER if unit is Unit.JOULE else Kind.GAUGE
    return Domain(name, name.partition(":")[0], name, name, scope, kind, unit, **more)


def counted(watts: Mapping[int, float], rest_w: float = 10.0) -> list[tuple[int, float]]:
    """A counter read ten times a second from 0 s to 50 s, at so many watts in each second that is named."""
    joules, trace = 0.0, []
    for tenth in range(501):
        trace.append((tenth * S // 10, joules))
        joules += watts.get(tenth // 10, rest_w) / 10
    return trace


def recorded(
    domains: Sequence[Domain],
    traces: Sequence[Sequence[tuple[int, float]]],
    windows: Windows = RESTS,
    **more: Any,
) -> Recorded:
    base = Recorded(
        windows=windows,
        running_ns=windows.command.start_ns,
        usage=Usage(3.0, 1.0, None),
        domains=domains,
        traces=dict(zip((one.id for one in domains), traces, strict=True)),
        resources=[],
        gpus=[],
        lack="rapl: there is none",
    )
    return replace(base, **more)


def test_totals_and_nets_of_packages_side_by_side() -> None:
    busy = dict.fromkeys(range(20, 30), 50.0)
    found = figures(
        recorded([domain("rapl:a"), domain("rapl:b")], [counted(busy), counted(busy, rest_w=20.0)])
    )
    total = found["total"]
    assert total["ids"] == ["rapl:a", "rapl:b"]
    assert total["energy_j"] == pytest.approx(1000.0)
    assert total["mean_power_w"] == pytest.approx(100.0)
    assert total["net_energy_j"] == pytest.approx(700.0)
    assert total["idle_power_w"] == pytest.approx(30.0)
    assert total["idle_drift_ratio"] == pytest.approx(0.0, abs=1e-9)
    assert [one["net_energy_j"] for one in found["domains"]] == pytest.approx([400.0, 300.0])
    assert found["process"]["cpu_cores"] == 0.4
    assert "total.energy_j" not in found["missing"]


def test_the_highest_power_is_a_mean_over_one_second_and_of_all_domains_at_once() -> None:
    # Both have their peak at another time: the whole never drew both peaks together.
    one, other = counted({21: 200.0}), counted({25: 300.0})
    found = figures(recorded([domain("rapl:a"), domain("rapl:b")], [one, other]))
    assert found["domains"][0]["max_power_w"] == pytest.approx(200.0)
    assert found["domains"][1]["max_power_w"] == pytest.approx(300.0)
    assert found["total"]["max_power_w"] == pytest.approx(310.0)
    assert found["total"]["max_power_over_s"] == 1.0


def test_what_is_rarely_refreshed_has_its_highest_power_over_a_longer_time() -> None:
    slow = domain("imported:plug", Scope.HOST, Unit.WATT, update_s=4.0)
    found = figures(recorded([slow], [[(t * S, 60.0) for t in range(0, 52, 4)]]))
    assert found["total"]["max_power_w"] == pytest.approx(60.0)
    assert found["total"]["max_power_over_s"] == 8.0
    short = Windows(Window(20 * S, 24 * S))
    found = figures(recorded([slow], [[(t * S, 60.0) for t in range(0, 52, 4)]], short))
    assert found["total"]["max_power_w"] is None
    assert found["missing"]["total.max_power_w"] == "the command ran for less than 8 s"


def test_what_contains_another_is_taken_alone() -> None:
    wall = domain("imported:plug", Scope.HOST, Unit.WATT)
    gauge = [(tenth * S // 10, 90.0) for tenth in range(501)]
    found = figures(recorded([domain("rapl:a"), wall], [counted({}), gauge]))
    assert found["total"]["ids"] == ["imported:plug"]
    assert found["total"]["energy_j"] == pytest.approx(900.0)
    assert [one["in_total"] for one in found["domains"]] == [False, True]
    assert found["domains"][0]["energy_j"] == pytest.approx(100.0)


def test_a_part_that_could_not_be_read_is_said_of_the_total() -> None:
    lack = {"meter": "nvml", "what": "GPU 1", "reason": "it does not answer", "remedy": None}
    found = figures(recorded([domain("rapl:a")], [counted({})], unavailable=[lack]))
    assert found["total"]["degraded"] == ["GPU 1 is not in it (nvml: it does not answer)"]
    assert found["domains"][0]["degraded"] == []


def test_one_domain_that_fails_leaves_no_total_and_the_others_their_own() -> None:
    found = figures(recorded([domain("rapl:a"), domain("rapl:b")], [counted({}), counted({})[:150]]))
    assert found["total"]["energy_j"] is None
    assert found["missing"]["total.energy_j"].startswith("rapl:b: ")
    assert found["missing"]["total.net_energy_j"]
    assert found["total"]["max_power_w"] is None
    assert found["domains"][0]["energy_j"] == pytest.approx(100.0)
    assert found["domains"][1]["energy_j"] is None


def test_a_device_that_disappears_is_told_with_what_it_answered() -> None:
    whole = counted({})
    lost = [(at, value) for at, value in whole if at < 25 * S]
    failed = {"nvml:b": [(24 * S, "Timeout"), (26 * S, "GPU is lost"), (31 * S, "after the command")]}
    found = figures(recorded([domain("nvml:a"), domain("nvml:b")], [whole, lost], failed=failed))
    why = "the last reading is 5.100 s before the window's end; it could not be read (GPU is lost)"
    assert found["missing"]["domains.1.energy_j"] == why
    assert found["missing"]["total.energy_j"] == why.replace("the last", "nvml:b: the last").replace(
        "it could", "nvml:b: it could"
    )
    assert found["domains"][0]["energy_j"] == pytest.approx(100.0)


def test_without_a_domain_the_reason_is_why_there_is_none() -> None:
    found = figures(recorded([], []))
    assert found["total"] is None
    assert found["missing"]["total"] == "rapl: there is none"
    rails = figures(recorded([domain("jetson:VDD_GPU", Scope.RAIL)], [counted({})]))
    assert rails["total"] is None
    assert "rails" in rails["missing"]["total"]
    assert rails["domains"][0]["energy_j"] == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("windows", "reason"),
    [
        (Windows(COMMAND), "the machine at rest was not measured"),
        (Windows(COMMAND, RESTS.idle_before), "the rest after the command was cut short"),
    ],
)
def test_without_both_rests_there_is_no_net(windows: Windows, reason: str) -> None:
    found = figures(recorded([domain("rapl:a")], [counted({})], windows))
    assert found["total"]["energy_j"] == pytest.approx(100.0)
    assert found["total"]["net_energy_j"] is None
    assert found["missing"]["total.net_energy_j"] == reason
    assert found["missing"]["domains.0.net_energy_j"] == reason


def test_a_counter_that_is_reset_at_the_end_has_no_curve() -> None:
    trace = counted({})
    trace[-1] = (trace[-1][0], 0.0)
    late = Windows(Window(20 * S, 50 * S))
    found = figures(recorded([domain("rapl:a")], [trace], late))
    assert "was reset" in found["missing"]["total.energy_j"]
    assert power_lines(recorded([domain("rapl:a")], [trace], late))["lines"] == {}


def test_an_estimate_stands_apart() -> None:
    found = figures(recorded([], [], watts_per_core=5.0))
    assert found["estimate"] == {"energy_j": 20.0, "cpu_s": 4.0, "watts_per_busy_core": 5.0}
    assert found["total"] is None


def test_power_lines_hold_all_of_the_energy() -> None:
    busy = dict.fromkeys(range(20, 30), 50.0)
    lines = power_lines(recorded([domain("rapl:a")], [counted(busy)]))
    assert lines["command"] == [15.0, 25.0]
    line = lines["lines"]["rapl:a"]
    assert line["step_s"] == pytest.approx(0.3)
    assert sum(line["watts"][:-1]) * 0.3 == pytest.approx(500 + 300 - line["watts"][-1] * 0.1, rel=0.01)
    assert max(line["watts"]) == pytest.approx(50.0)


def test_windows_come_back_from_their_json() -> None:
    for windows in (RESTS, Windows(COMMAND)):
        assert Windows.from_json(windows.to_json()) == windows
    assert RESTS.whole == Window(5 * S, 45 * S)
