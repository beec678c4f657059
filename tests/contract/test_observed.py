from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hexgate.contract.observed import REASONS, THROTTLING, VARIABLE, observed_state
from hexgate.resources import shipped
from support.measuring import DIGITS, HELD_OUT, check, measured

SMI = "index,clocks.sm,clocks.mem,utilization.gpu,clocks_event_reasons.active"
SCHEMA = json.loads(shipped("schemas/accuracy_f1.schema.json").read_bytes())
VALID = Draft202012Validator({"$ref": "#/$defs/observed", "$defs": SCHEMA["$defs"]})


def line(at: int, **members: Any) -> dict[str, Any]:
    return {"at": at} | members


def asked(**values: Any) -> dict[str, Any]:
    return line(
        1, kind="asked", **({"governor": None, "gpu_clock_mhz": None, "memory_clock_mhz": None} | values)
    )


def source(name: str = "nvidia-smi", fields: str = SMI) -> dict[str, Any]:
    return line(2, kind="source", name=name, fields=fields)


def sample(row: str, at: int = 10) -> dict[str, Any]:
    return line(at, kind="sample", row=row)


def host(governor: dict[str, int], mode: str | None = None, phase: str = "pinned") -> dict[str, Any]:
    return line(3, kind="host", phase=phase, governor=governor, power_mode=mode)


def lock(what: str, locked: bool | None = True, why: str = "done") -> dict[str, Any]:
    return line(3, kind="locked", what=what, locked=locked, why=why)


def observe(folder: Path, *lines: dict[str, Any], since_s: float = 0.0) -> dict[str, Any]:
    path = folder / "state.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in lines), "utf-8")
    found = observed_state(since_s, {VARIABLE: str(path)})
    assert found is not None
    VALID.validate(found)
    return found


def test_where_nobody_observes_there_is_no_block() -> None:
    assert observed_state(0, {}) is None
    assert observed_state(0, {VARIABLE: ""}) is None


def test_clocks_use_and_reasons_come_from_the_samples_of_this_measurement_alone(tmp_path: Path) -> None:
    found = observe(
        tmp_path,
        asked(),
        source(),
        host({"performance": 8}),
        sample("0, 300, 405, 0, 0x0000000000000001", at=9),
        sample("0, 1980, 2619, 50, 0x0000000000000000", at=10),
        sample("1, 1935, 2619, 100, 0x0000000000000024", at=10),
        sample("0, 1980, 2619, 97, 0x0000000000000004", at=11),
        sample("0, 1965, 2619, 98, 0x0000000000000000", at=12),
        since_s=10.7,
    )
    assert found["samples"] == 4
    assert found["sm_clock_mhz"] == {"min": 1935, "max": 1980}
    assert found["memory_clock_mhz"] == {"min": 2619, "max": 2619}
    assert found["gpu_util_ratio"] == {"min": 0.5, "max": 1.0}
    assert found["throttle_reasons"] == [
        {"reason": "sw_power_cap", "share": 0.5},
        {"reason": "sw_thermal", "share": 0.25},
    ]
    assert found["governor"] == {"performance": 8}
    assert set(found["missing"]) == {"power_mode"}
    assert found["source"] == "nvidia-smi"


def test_the_reasons_are_those_of_nvml() -> None:
    bits = {
        "gpu_idle": pynvml.nvmlClocksEventReasonGpuIdle,
        "application_clocks": pynvml.nvmlClocksEventReasonApplicationsClocksSetting,
        "sw_power_cap": pynvml.nvmlClocksEventReasonSwPowerCap,
        "hw_slowdown": pynvml.nvmlClocksThrottleReasonHwSlowdown,
        "sync_boost": pynvml.nvmlClocksEventReasonSyncBoost,
        "sw_thermal": pynvml.nvmlClocksEventReasonSwThermalSlowdown,
        "hw_thermal": pynvml.nvmlClocksThrottleReasonHwThermalSlowdown,
        "hw_power_brake": pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown,
        "display_clocks": pynvml.nvmlClocksEventReasonDisplayClockSetting,
    }
    assert {name: bit for bit, name in REASONS.items()} == bits
    assert set(REASONS.values()) >= THROTTLING


def test_a_reason_that_nobody_knows_is_kept_as_it_is(tmp_path: Path) -> None:
    found = observe(tmp_path, asked(), source(), sample("0, 1980, 2619, 50, 0x0000000000001004"))
    assert [each["reason"] for each in found["throttle_reasons"]] == ["other_0x1000", "sw_power_cap"]


@pytest.mark.parametrize(
    ("rows", "locked"),
    [
        (["0, 1980, 2619, 50, 0x0"], True),
        (["0, 1980, 2619, 50, 0x0", "0, 345, 405, 0, 0x1"], True),
        (["0, 1980, 2619, 50, 0x0", "0, 1890, 2619, 99, 0x4"], False),
        (["0, 345, 405, 0, 0x1"], None),
        (["0, [N/A], [N/A], 50, 0x0"], None),
        ([], None),
    ],
)
def test_a_lock_is_believed_only_where_a_gpu_at_work_shows_it(
    tmp_path: Path, rows: list[str], locked: bool | None
) -> None:
    found = observe(
        tmp_path,
        asked(gpu_clock_mhz=1980, memory_clock_mhz=2619),
        lock("gpu_clock"),
        lock("memory_clock", locked=False, why="no permission"),
        source(),
        *(sample(row) for row in rows),
    )
    assert found["locked"]["gpu_clock"]["locked"] is locked
    assert found["locked"]["memory_clock"] == {"locked": False, "why": "no permission"}
    if locked is False:
        assert "1890 to 1980 MHz were sampled" in found["locked"]["gpu_clock"]["why"]


def test_the_drivers_own_choice_of_clock_is_known_once_it_is_made(tmp_path: Path) -> None:
    chosen = line(2, kind="asked", gpu_clock_mhz=1830)
    found = observe(tmp_path, asked(gpu_clock_mhz="default"), chosen, lock("gpu_clock"), source())
    assert found["asked"]["gpu_clock_mhz"] == 1830
    assert observe(tmp_path, asked(gpu_clock_mhz="default"))["asked"]["gpu_clock_mhz"] is None


def test_a_governor_that_changed_later_was_not_locked(tmp_path: Path) -> None:
    lines = (asked(governor="performance"), lock("governor"), host({"performance": 8}))
    assert observe(tmp_path, *lines)["locked"]["governor"]["locked"] is True
    changed = observe(tmp_path, *lines, host({"performance": 6, "powersave": 2}, phase="during"))
    assert changed["locked"]["governor"]["locked"] is False
    assert "powersave on 2" in changed["locked"]["governor"]["why"]


@pytest.mark.parametrize(
    ("row", "clock", "util"),
    [
        ("RAM 407/15823MB EMC_FREQ 3%@3199 GR3D_FREQ 88%@1300 VDD_IN 9390mW/8387mW", 1300, 0.88),
        ("RAM 407/15823MB GR3D_FREQ 12%@[1300,1300] VDD 5139mW/5139mW/5139mW", 1300, 0.12),
        ("RAM 407/15823MB GR3D_FREQ 0%@[306] GPU@28C", 306, 0.0),
        ("RAM 407/15823MB GR3D_FREQ 45% POM_5V_IN 1432/1418", None, 0.45),
    ],
)
def test_lines_of_tegrastats_of_every_generation(
    tmp_path: Path, row: str, clock: int | None, util: float
) -> None:
    found = observe(
        tmp_path,
        line(1, kind="asked", governor=None, power_mode=0, jetson_clocks=True),
        source("tegrastats", ""),
        host({"schedutil": 6}, "MAXN"),
        sample(row),
    )
    assert found["gpu_util_ratio"] == {"min": util, "max": util}
    assert found["sm_clock_mhz"] == (None if clock is None else {"min": clock, "max": clock})
    assert found["power_mode"] == "MAXN"
    assert found["asked"] == {"governor": None, "power_mode": "0", "jetson_clocks": True}
    assert found["missing"]["throttle_reasons"] == "tegrastats does not say"


def test_a_machine_without_the_sampler_gives_the_reason(tmp_path: Path) -> None:
    why = "there is no nvidia-smi on this machine"
    found = observe(tmp_path, asked(), line(2, kind="unsampled", why=why))
    assert found["samples"] == 0
    assert found["missing"]["sm_clock_mhz"] == why


def test_a_record_that_cannot_be_read_gives_a_reason_and_no_value(tmp_path: Path) -> None:
    for name, content in {
        "none": None,
        "empty": b"",
        "binary": bytes(range(256)) * 9,
        "folder": None,
    }.items():
        path = tmp_path / name
        if name == "folder":
            path.mkdir()
        elif content is not None:
            path.write_bytes(content)
        found = observed_state(0, {VARIABLE: str(path)})
        assert found is not None
        VALID.validate(found)
        assert (found["samples"], found["asked"], found["locked"]) == (0, {}, {})
        assert len(set(found["missing"].values())) == 1


def test_the_half_line_that_is_being_written_is_left(tmp_path: Path) -> None:
    path = tmp_path / "state.jsonl"
    lines = [asked(), source(), sample("0, 1980, 2619, 50, 0x0")]
    path.write_text("".join(json.dumps(each) + "\n" for each in lines) + '{"at":11,"kind":"samp', "utf-8")
    found = observed_state(0, {VARIABLE: str(path)})
    assert found is not None
    assert (found["samples"], found["unreadable_lines"]) == (1, 0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    "at",
    "kind",
    "what",
    "locked",
    "why",
    "name",
    "fields",
    "row",
    "governor",
    "power_mode",
    "gpu_clock_mhz",
)
KINDS = st.sampled_from(("asked", "locked", "source", "unsampled", "host", "sample"))
LINES = st.fixed_dictionaries(
    {"at": st.integers(0, 99) | JSON, "kind": KINDS | JSON}, optional=dict.fromkeys(KEYS[2:], JSON)
)


@given(st.lists(LINES | JSON, max_size=8), st.binary(max_size=40))
def test_whatever_the_record_holds_the_block_keeps_its_schema(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Any], rubbish: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "rubbish.jsonl"
    good = [asked(gpu_clock_mhz=1980), source(), sample("0, 1980, 2619, 50, 0x0")]
    texts = [json.dumps(each).encode() for each in [*lines, *good]]
    path.write_bytes(b"\n".join([*texts, rubbish, b""]))
    found = observed_state(0, {VARIABLE: str(path)})
    assert found is not None
    VALID.validate(found)
    json.dumps(found, allow_nan=False, ensure_ascii=False).encode("utf-8")
    assert found["samples"] >= 1


def test_an_artifact_says_what_was_observed_while_it_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = int(time.time())
    record = tmp_path / "state.jsonl"
    lines = [asked(), source(), sample("0, 1410, 2619, 7, 0x0", at=now - 100)]
    lines += [sample("0, 1980, 2619, 50, 0x0", at=now + later) for later in range(600)]
    record.write_text("".join(json.dumps(each) + "\n" for each in lines), "utf-8")
    monkeypatch.setenv(VARIABLE, str(record))
    done = measured("accuracy_f1", str(DIGITS), tmp_path / "out", data=str(HELD_OUT), limit=20)
    observed = check(done.artifact.path).data["environment"]["observed"]
    assert observed["sm_clock_mhz"] == {"min": 1980, "max": 1980}
    monkeypatch.delenv(VARIABLE)
    plain = measured("accuracy_f1", str(DIGITS), tmp_path / "plain", data=str(HELD_OUT), limit=20)
    assert "observed" not in plain.artifact.data["environment"]
    monkeypatch.setenv(VARIABLE, str(tmp_path / "not there"))
    blind = measured("accuracy_f1", str(DIGITS), tmp_path / "blind", data=str(HELD_OUT), limit=20)
    assert blind.error is None
    reasons = set(check(blind.artifact.path).data["environment"]["observed"]["missing"].values())
    assert reasons == {"the record cannot be read (No such file or directory)"}


def test_a_text_that_utf_8_cannot_write_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "state.jsonl"
    text = '{"at":1,"kind":"host","governor":{"\\ud800":4},"power_mode":"\\udfff"}\n'
    path.write_text(text + json.dumps(asked()) + "\n", "utf-8")
    found = observed_state(0, {VARIABLE: str(path)})
    assert found is not None
    json.dumps(found, ensure_ascii=False).encode("utf-8")
    assert (found["governor"], found["power_mode"]) == ({"?": 4}, "?")
