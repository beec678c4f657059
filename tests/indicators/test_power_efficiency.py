"""power_efficiency: exact figures from traces that are known, and null with a reason where there is no meter."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hexgate.contract.evidence import EvidenceReader, EvidenceWriter
from hexgate.indicators import recording
from hexgate.indicators.base import Figures
from hexgate.indicators.power_efficiency import PowerEfficiency
from hexgate.load.plans.plan import closed_loop
from hexgate.load.records import NEVER, RECORD, Outcome
from hexgate.meters.base import Domain, Kind, Scope, Unit
from hexgate.meters.recorder import Recorder as MeterRecorder
from support.jetson_trees import KITS
from support.measuring import check, measured, rows
from support.scripted import ScriptedServer

S = 1_000_000_000
METHOD: dict[str, Any] = {
    "seed": 0, "confidence": 0.95, "in_process": True, "elsewhere": False, "watts_per_core": None, "cells": 10,
    "concurrency": 1,
    "most_idle_drift": 0.03,
}  # fmt: skip
PACKAGE = Domain(
    "rapl:package-0", "rapl", "package-0", "package-0", Scope.PACKAGE, Kind.COUNTER, Unit.JOULE, 1e-6, 0.001,
    wrap_range_j=1e6, max_power_w=500.0, systematic_ratio=0.05,
)  # fmt: skip
SILENT = replace(PACKAGE, systematic_ratio=None)
"""A sensor that states nothing of its own error."""


def figures(
    folder: Path,
    watts: Callable[[float], float] | None,
    *,
    tokens: int = NEVER,
    ok: bool = True,
    package: Domain = PACKAGE,
    run: dict[str, Any] | None = None,
    end_s: int = 12,
    two_at_once: bool = False,
    shown: Callable[[int, float], float | None] = lambda _, joules: joules,
    lacks: Sequence[dict[str, Any]] = (),
    **method: Any,
) -> Figures:
    """Idle from 0 s to 2 s, work of 100 requests from 2 s to 12 s, idle from 12 s to 14 s, at known watts.

    The counter shows what `shown` makes of its joules at each reading, and where that is None what it showed before.
    """
    folder.mkdir(exist_ok=True)
    evidence = EvidenceWriter(folder, "power_efficiency")
    plan = closed_loop(concurrency=1, items=1, duration_s=10.0, seed=0)
    evidence.document("plan_head", plan.head())
    evidence.array("plan", plan.to_array())
    records = np.full(100, NEVER, dtype=np.int8).astype(RECORD)
    records["index"] = np.arange(100)
    records["item"] = records["warmup"] = records["turn"] = records["worker"] = records["bytes"] = 0
    records["sent_ns"] = records["issued_ns"] = records["index"] * np.int64(S // 10)
    records["end_ns"] = records["sent_ns"] + S // 10
    if two_at_once:
        # One stream of requests from 0 s on and one from 1 s on, both until 10 s.
        pair, second = records["index"] // 2, records["index"] % 2 == 1
        each_ns = np.where(second, S * 18 // 100, S // 5)
        records["sent_ns"] = records["issued_ns"] = np.where(second, S, 0) + pair * each_ns
        records["end_ns"] = records["sent_ns"] + each_ns
    records["outcome"] = Outcome.OK if ok else Outcome.ERROR
    records["events"], records["output_tokens"] = 1, tokens
    evidence.array("requests", records)
    if run is not None:
        evidence.document("run", run)
    marks = evidence.rows("windows")
    for name, start, end in (("idle_before", 0, 2), ("work", 2, end_s), ("idle_after", 12, 14)):
        cpu_s = 8.0 if name == "work" else None
        marks.write({"name": name, "start_ns": (100 + start) * S, "end_ns": (100 + end) * S, "cpu_s": cpu_s})
    domains = []
    if watts is not None:
        domains = [package.to_json()]
        trace = evidence.rows("power")
        joules = visible = 7.0
        for step in range(-50, 1450):
            now = shown(step, joules)
            visible = visible if now is None else now
            trace.write({"t_ns": 100 * S + step * S // 100, "domain": PACKAGE.id, "value": visible})
            joules += watts((step + 0.5) / 100) / 100
    none = [] if domains else [{"meter": "rapl", "what": "CPU energy", "reason": "no zone", "remedy": None}]
    evidence.document("meters", {"domains": domains, "unavailable": [*none, *lacks], "failure": None})
    files = evidence.finish()
    reader = EvidenceReader(folder, {name: file.to_json() for name, file in files.items()})
    return PowerEfficiency().figures(METHOD | method, reader)


def steady(t_s: float) -> float:
    return 60.0 if 2 <= t_s < 12 else 20.0


def test_energy_gross_and_net_of_a_known_trace(tmp_path: Path) -> None:
    found = figures(tmp_path, steady, tokens=5)
    assert found.values["measurement"] == "measured"
    assert found.values["meter"] == "rapl"
    assert found.values["energy_j"] == pytest.approx(600.0, rel=1e-3)
    assert found.values["idle_power_w"] == pytest.approx(20.0, rel=5e-3)
    assert found.values["net_energy_j"] == pytest.approx(400.0, rel=5e-3)
    assert found.values["mean_power_w"] == pytest.approx(60.0, rel=1e-3)
    assert found.values["energy_per_request_j"] == pytest.approx(6.0, rel=1e-3)
    assert found.values["net_energy_per_request_j"] == pytest.approx(4.0, rel=5e-3)
    assert found.values["energy_per_token_j"] == pytest.approx(1.2, rel=1e-3)
    assert found.values["requests_per_joule"] == pytest.approx(1 / 6, rel=1e-3)
    interval = found.intervals["energy_per_request_j"]
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low <= found.values["energy_per_request_j"] <= interval.high
    assert found.cannot_certify == {}
    assert found.values["domains"][0]["validity"] == "ok"
    assert len(found.values["power_series"]["power_w"]) == 10


def test_an_idle_that_drifts_refuses_the_net_and_keeps_the_gross(tmp_path: Path) -> None:
    found = figures(tmp_path, lambda t_s: 60.0 if 2 <= t_s < 12 else 20.0 if t_s < 2 else 26.0)
    assert found.values["energy_j"] == pytest.approx(600.0, rel=2e-3)
    assert found.values["idle_drift_ratio"] == pytest.approx(6 / 23, rel=0.05)
    assert found.values["net_energy_j"] is None
    assert found.values["net_energy_per_request_j"] is None
    assert "differ too much" in found.missing["net_energy_j"]
    assert "differ too much" in found.missing["net_energy_per_request_j"]


def test_without_a_meter_there_is_no_number(tmp_path: Path) -> None:
    found = figures(tmp_path, None)
    assert found.values["measurement"] == "not_measured"
    for name in ("energy_j", "energy_per_request_j", "mean_power_w", "requests_per_joule"):
        assert found.values[name] is None
        assert found.missing[name] == "no power meter can be read: rapl: no zone"
    assert found.values["requests"] == 100
    assert found.invalid_reasons == ()
    assert found.intervals == {}


def test_an_estimate_is_labelled_and_certifies_nothing(tmp_path: Path) -> None:
    found = figures(tmp_path, None, watts_per_core=10.0)
    assert found.values["measurement"] == "estimated"
    assert found.values["meter"].startswith("estimate:")
    assert found.values["energy_j"] == 80.0
    assert found.values["energy_per_request_j"] == 0.8
    given = set(found.cannot_certify)
    assert {"energy_j", "energy_per_request_j", "mean_power_w", "requests_per_joule"} <= given
    assert "estimated, not measured" in found.cannot_certify["energy_per_request_j"]
    assert found.values["net_energy_j"] is None
    assert found.intervals == {}


def test_a_meter_comes_before_an_estimate(tmp_path: Path) -> None:
    found = figures(tmp_path, steady, watts_per_core=10.0)
    assert found.values["measurement"] == "measured"
    assert found.cannot_certify == {}


def test_an_estimate_is_of_a_model_in_this_process_alone(tmp_path: Path) -> None:
    found = figures(tmp_path, None, watts_per_core=10.0, in_process=False)
    assert found.values["measurement"] == "not_measured"
    assert found.values["energy_j"] is None


def test_this_machines_meter_says_nothing_of_another_machine(tmp_path: Path) -> None:
    found = figures(tmp_path, steady, in_process=False, elsewhere=True)
    assert found.values["energy_j"] is None
    assert "another machine" in found.missing["energy_j"]
    assert found.values["domains"] == []


def test_work_that_failed_costs_energy_and_has_no_price_a_request(tmp_path: Path) -> None:
    found = figures(tmp_path, steady, ok=False)
    assert found.values["energy_j"] == pytest.approx(600.0, rel=1e-3)
    assert found.values["energy_per_request_j"] is None
    assert found.missing["energy_per_request_j"] == "no request succeeded"
    assert found.invalid_reasons == ("no request succeeded",)


def test_the_sensors_own_error_is_in_the_interval(tmp_path: Path) -> None:
    plain = figures(tmp_path / "plain", steady, package=SILENT).intervals["energy_per_request_j"]
    widened = figures(tmp_path / "widened", steady).intervals["energy_per_request_j"]
    assert plain.upper_bound == pytest.approx(6.0, rel=0.01)
    assert widened.lower_bound == pytest.approx(6.0 * (1 - 1.645 * 0.05), rel=0.01)
    assert widened.upper_bound == pytest.approx(6.0 * (1 + 1.645 * 0.05), rel=0.01)
    assert widened.low == pytest.approx(6.0 * (1 - 1.96 * 0.05), rel=0.01)
    assert widened.high == pytest.approx(6.0 * (1 + 1.96 * 0.05), rel=0.01)
    assert "relative standard uncertainty of 0.05" in widened.method
    assert "relative standard" not in plain.method
    assert plain.method.endswith("without the sensor's standard uncertainty, which is not stated")


def test_a_sensor_that_states_no_error_certifies_nothing(tmp_path: Path) -> None:
    """What is not known is not 0: a bound without it would pass what it should not."""
    found = figures(tmp_path, lambda t_s: 60.0 if 2 <= t_s < 12 else 20.0, package=SILENT)
    why = "the meter's own error is not stated: rapl:package-0"
    assert found.values["energy_j"] == pytest.approx(600.0, rel=1e-3)
    assert found.values["energy_uncertainty_j"] is None
    assert found.missing["energy_uncertainty_j"] == why
    for block in found.values["uncertainty"].values():
        assert (block["sensor_j"], block["total_j"]) == (None, None)
        assert block["edge_j"] > 0
    for measure in ("energy_j", "energy_per_request_j", "net_energy_per_request_j", "mean_power_w"):
        assert found.cannot_certify[measure] == why


def test_no_bound_of_an_energy_is_below_zero(tmp_path: Path) -> None:
    found = figures(
        tmp_path, lambda t_s: 2000.0 if 2 <= t_s < 3 else 20.0, package=replace(PACKAGE, max_power_w=None)
    )
    interval = found.intervals["energy_per_request_j"]
    assert interval.low == 0.0
    assert interval.lower_bound == 0.0


def test_a_stopped_workload_is_invalid(tmp_path: Path) -> None:
    found = figures(tmp_path, steady, run={"stopped": "interrupted", "stopped_ns": 10 * S})
    assert found.invalid_reasons == ("the workload was stopped before its end (interrupted)",)


@pytest.mark.parametrize("stuck_at_s", [4.0, 7.0])
def test_a_counter_that_freezes_is_not_measured(stuck_at_s: float, tmp_path: Path) -> None:
    found = figures(tmp_path, lambda t_s: 60.0 if t_s < stuck_at_s else 0.0)
    assert found.values["measurement"] == "not_measured"
    assert found.values["energy_j"] is None
    assert "stood still" in found.missing["energy_j"]
    assert found.values["domains"][0]["validity"] == "invalid"


@pytest.fixture
def powercap(tmp_path: Path) -> Iterator[Path]:
    """A package that draws 80 W, whatever happens."""
    zone = tmp_path / "powercap" / "intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n", "ascii")
    (zone / "max_energy_range_uj").write_text("262143328850\n", "ascii")
    over = threading.Event()

    def draw() -> None:
        new = zone / "new"
        while True:
            new.write_text(f"{time.monotonic_ns() * 80 // 1000 % 262143328850}\n", "ascii")
            new.replace(zone / "energy_uj")
            if over.wait(0.001):
                return

    thread = threading.Thread(target=draw)
    thread.start()
    yield zone.parent
    over.set()
    thread.join()


def test_a_powercap_tree_is_measured_through_the_whole_run(
    powercap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "Recorder", partial(MeterRecorder, rapl_root=powercap))

    done = measured("power_efficiency", "demo:", tmp_path, duration_s=1.0, idle_s=0.5, concurrency=1)

    assert done.error is None
    artifact = check(tmp_path / "power_efficiency.json")
    found = artifact.data
    assert found["measurement"] == "measured"
    assert found["scope"] == "package"
    # The thread that plays the counter shares this process with the work, and may come late by a good part of the
    # second that is measured: the counter itself is the truth. What is exact is tested on synthetic traces.
    work = next(row for row in rows(artifact, "windows") if row["name"] == "work")
    readings = [(row["t_ns"], row["value"]) for row in rows(artifact, "power")]
    before = [joules for t_ns, joules in readings if t_ns <= work["start_ns"]]
    within = [joules for t_ns, joules in readings if work["start_ns"] <= t_ns <= work["end_ns"]]
    after = [joules for t_ns, joules in readings if t_ns >= work["end_ns"]]
    assert within[-2] - within[1] <= found["energy_j"] <= after[1] - before[-2]
    assert found["energy_per_request_j"] == found["energy_j"] / found["requests"]
    assert found["energy_uncertainty_j"] > 0
    assert found["idle_power_w"] > 0
    assert {row["name"] for row in rows(artifact, "windows")} == {"idle_before", "work", "idle_after"}
    assert artifact.data["evidence"]["power"]["rows"] > 15


def test_idle_and_work_are_apart(tmp_path: Path) -> None:
    """A sensor that is refreshed late shows neither the work in the idle nor the idle in the work."""
    done = measured("power_efficiency", "demo:", tmp_path, duration_s=0.6, idle_s=0.2)
    assert done.artifact is not None
    spans = {row["name"]: (row["start_ns"], row["end_ns"]) for row in rows(done.artifact, "windows")}
    assert spans["work"][0] - spans["idle_before"][1] >= S // 5
    assert spans["idle_after"][0] - spans["work"][1] >= S // 5


def test_without_idle_there_is_no_net(
    powercap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "Recorder", partial(MeterRecorder, rapl_root=powercap))
    measured("power_efficiency", "demo:", tmp_path, duration_s=0.6, idle_s=0.0)
    found = check(tmp_path / "power_efficiency.json").data
    assert found["energy_j"] > 0
    assert found["net_energy_j"] is None
    assert found["missing"]["net_energy_j"] == "idle was not measured before and after"


def test_an_endpoint_on_this_machine_is_measured_with_its_meter(
    powercap: Path, scripted: Callable[..., ScriptedServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "Recorder", partial(MeterRecorder, rapl_root=powercap))
    server = scripted(chat=lambda _: "four words of reply")
    data = tmp_path / "prompts.txt"
    data.write_text("hello\n", "utf-8")
    measured("power_efficiency", server.v1, tmp_path, data=str(data), duration_s=0.6)
    found = check(tmp_path / "power_efficiency.json").data
    assert found["measurement"] == "measured"
    assert found["output_tokens"] == 4 * found["requests"]
    assert found["energy_per_token_j"] == found["energy_j"] / found["output_tokens"]


def test_the_uncertainty_is_split_by_cause(tmp_path: Path) -> None:
    found = figures(tmp_path, lambda t_s: 60.0 if 2 <= t_s < 12 else 20.0 if t_s < 2 else 20.4)
    gross, net = found.values["uncertainty"]["gross"], found.values["uncertainty"]["net"]
    assert gross["total_j"] == found.values["energy_uncertainty_j"]
    assert gross["total_j"] == pytest.approx(np.hypot(gross["edge_j"], gross["sensor_j"]))
    assert gross["sensor_j"] == pytest.approx(30.0, rel=1e-3)
    assert net["sensor_j"] == pytest.approx(0.05 * found.values["net_energy_j"], rel=1e-6)
    assert net["drift_j"] == pytest.approx(0.4 * 10 / 12**0.5, rel=0.05)
    assert net["edge_j"] == gross["edge_j"]
    causes = [net[name] for name in ("edge_j", "sampling_j", "sensor_j", "idle_j", "drift_j")]
    assert net["total_j"] == pytest.approx(float(np.linalg.norm(causes)))
    assert found.values["idle_power_w"] == pytest.approx(20.2, rel=5e-3)


def test_without_a_net_its_uncertainty_is_null(tmp_path: Path) -> None:
    found = figures(tmp_path / "drift", lambda t_s: 60.0 if 2 <= t_s < 12 else 20.0 if t_s < 2 else 26.0)
    assert found.values["uncertainty"]["net"] is None
    assert found.values["uncertainty"]["gross"]["total_j"] > 0
    assert figures(tmp_path / "none", None).values["uncertainty"] is None


def test_net_below_zero_is_published_as_it_is(tmp_path: Path) -> None:
    found = figures(tmp_path, lambda t_s: 15.0 if 2 <= t_s < 12 else 20.0)
    assert found.values["net_energy_j"] == pytest.approx(-50.0, rel=0.02)


def test_idle_that_could_not_be_measured_says_why(tmp_path: Path) -> None:
    found = figures(tmp_path, lambda t_s: 60.0 if 2 <= t_s < 12 else 0.0)
    assert found.values["energy_j"] == pytest.approx(600.0, rel=1e-3)
    assert found.values["net_energy_j"] is None
    assert found.missing["net_energy_j"].startswith("idle was not measured before and after; ")
    assert "did not move" in found.missing["idle_power_w"]


def test_a_slow_counter_is_joined_at_its_updates(tmp_path: Path) -> None:
    """Refreshed every 0.1 s, read every 0.01 s: an edge is as sure as half a reading's period allows."""
    package = replace(PACKAGE, update_s=0.1)
    found = figures(
        tmp_path, steady, package=package, shown=lambda step, joules: joules if step % 10 == 3 else None
    )
    [row] = found.values["domains"]
    assert row["joined"] == "updates"
    assert row["update_s"] == pytest.approx(0.1)
    assert row["validity"] == "ok"
    assert found.values["energy_j"] == pytest.approx(600.0, rel=5e-3)


def test_a_degraded_window_cannot_certify(tmp_path: Path) -> None:
    still = figures(tmp_path, steady, tokens=5, shown=lambda step, j: None if 500 < step < 550 else j)
    assert "showed one value for 0.500 s" in still.cannot_certify["energy_per_request_j"]
    cut = replace(
        PACKAGE, kind=Kind.GAUGE, unit=Unit.WATT, averaging_s=1.0, wrap_range_j=None, max_power_w=None
    )
    blurred = figures(tmp_path / "b", steady, tokens=5, package=cut, shown=lambda s, _: steady(s / 100))
    assert "averages over 1 s" in blurred.cannot_certify["energy_per_request_j"]
    assert "averages over 1 s" in blurred.cannot_certify["net_energy_j"]
    assert all(blurred.values[name] is not None for name in blurred.cannot_certify)


def test_idle_that_drew_more_than_the_work_cannot_certify(tmp_path: Path) -> None:
    found = figures(tmp_path, lambda t_s: 15.0 if 2 <= t_s < 12 else 20.0, tokens=5)
    assert found.values["net_energy_j"] < 0
    assert set(found.cannot_certify) == {"net_energy_j", "net_energy_per_request_j"}
    assert "less than idle did" in found.cannot_certify["net_energy_per_request_j"]


def test_a_part_of_the_machine_that_was_not_read_is_said(tmp_path: Path) -> None:
    lacks = [{"meter": "nvml", "what": "GPU 1", "reason": "it does not answer", "remedy": None}]
    found = figures(tmp_path, steady, tokens=5, lacks=lacks)
    for name in ("energy_j", "energy_per_request_j", "net_energy_j"):
        assert found.cannot_certify[name] == "GPU 1 is not in it (nvml: it does not answer)"


def test_short_work_with_several_at_once_is_degraded(tmp_path: Path) -> None:
    [row] = figures(tmp_path / "long", steady, concurrency=2).values["domains"]
    assert (row["validity"], row["reasons"]) == ("ok", [])
    [row] = figures(tmp_path / "short", steady, concurrency=2, end_s=10).values["domains"]
    assert row["validity"] == "degraded"
    assert row["reasons"] == ["8.000 s are short for 2 requests at once, which take 10 s or more"]
    [row] = figures(tmp_path / "alone", steady, end_s=10).values["domains"]
    assert row["validity"] == "ok"


def test_the_interval_of_several_at_once_is_of_the_steady_state(tmp_path: Path) -> None:
    """The second request is sent 1 s after the first: until then, one alone costs less power."""
    found = figures(
        tmp_path,
        lambda t_s: 20.0 if t_s < 2 or t_s >= 12 else 30.0 if t_s < 3 else 60.0,
        concurrency=2,
        two_at_once=True,
    )
    interval = found.intervals["energy_per_request_j"]
    assert "of the steady state" in interval.method
    assert found.values["energy_per_request_j"] == pytest.approx((9 * 60 + 30) / 100, rel=1e-3)
    never = figures(tmp_path / "never", steady, concurrency=2)
    assert never.intervals == {}


@pytest.mark.parametrize(
    ("kit", "measurement"),
    [
        ("Orin Nano", "measured"),
        ("AGX Orin", "not_measured"),
        ("AGX Xavier", "measured"),
        ("AGX Thor", "measured"),
    ],
)
def test_a_jetson_has_the_energy_of_its_total_and_of_no_rail_twice(
    kit: str, measurement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = KITS[kit].tree(tmp_path / "board").root
    sampled = partial(MeterRecorder, jetson_root=root, rapl_root=tmp_path / "none")
    monkeypatch.setattr(recording, "Recorder", sampled)
    out = tmp_path / "out"
    out.mkdir()
    measured("power_efficiency", "demo:", out, duration_s=1.0, idle_s=0.5, concurrency=1)
    found = check(out / "power_efficiency.json").data
    assert found["measurement"] == measurement
    if measurement == "not_measured":
        assert "which of them make up the whole is not known" in found["missing"]["energy_j"]
        return
    [whole] = [domain for domain in found["domains"] if domain["scope"] != "rail"]
    assert len(found["domains"]) > 1 or kit == "AGX Thor"
    assert found["energy_j"] == pytest.approx(whole["energy_j"])
