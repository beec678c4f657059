"""What run.sh observed of the machine, as a reader of the report is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from hexgate.report.caveats import caveats
from hexgate.report.reading import see

Json = dict[str, Any]

OBSERVED: Json = {
    "source": "nvidia-smi",
    "asked": {"gpu_clock_mhz": 1980, "memory_clock_mhz": None, "governor": "performance"},
    "locked": {
        "gpu_clock": {"locked": True, "why": "1980 MHz on GPU 0"},
        "governor": {"locked": True, "why": "performance on 8 CPUs"},
    },
    "samples": 60,
    "sm_clock_mhz": {"min": 1980, "max": 1980},
    "memory_clock_mhz": {"min": 2619, "max": 2619},
    "gpu_util_ratio": {"min": 0.2, "max": 1.0},
    "throttle_reasons": [{"reason": "application_clocks", "share": 1.0}],
    "governor": {"performance": 8},
    "power_mode": None,
    "unreadable_lines": 0,
    "missing": {"power_mode": "the machine says of no power mode"},
}


@pytest.mark.parametrize(
    ("change", "english", "chinese"),
    [
        ({}, None, None),
        (
            {"locked": {"gpu_clock": {"locked": False, "why": "no permission"}}},
            "gpu_clock was to be pinned, and is not known to have been: no permission",
            "要求锁定 gpu_clock",
        ),
        (
            {"locked": {"governor": {"locked": None, "why": "no sample"}}},
            "governor was to be pinned",
            "governor",
        ),
        (
            {
                "throttle_reasons": [
                    {"reason": "sw_thermal", "share": 0.25},
                    {"reason": "gpu_idle", "share": 0.5},
                ]
            },
            "throttled while it was measured (sw_thermal 25% of the samples)",
            "降频（sw_thermal 25%",
        ),
        ({"gpu_util_ratio": {"min": 0.0, "max": 0.0}}, "idle in each of 60 samples", "始终空闲"),
        (
            {"asked": {}, "locked": {}, "missing": {"governor": "the record cannot be read"}},
            "is not known: the record cannot be read",
            "状态未知",
        ),
    ],
    ids=["nothing to say", "not locked", "not known", "throttled", "idle", "no record"],
)
def test_a_reader_is_told_what_was_not_as_asked(
    verdict: Json, artifacts: list[Json], change: dict[str, Any], english: str | None, chinese: str | None
) -> None:
    before = caveats(see(verdict, artifacts))
    artifacts[0]["environment"]["observed"] = OBSERVED | change
    added = [each for each in caveats(see(verdict, artifacts)) if each not in before]
    if english is None:
        assert added == []
        return
    [one] = added
    assert english in one.en
    assert chinese is not None
    assert chinese in one.zh


def test_a_remark_of_one_load_is_told_once(verdict: Json, artifacts: list[Json]) -> None:
    before = caveats(see(verdict, artifacts))
    remark = "595 of 600 timed requests repeat a prompt"
    for artifact in artifacts:
        if artifact["indicator"] in {"latency_p99", "throughput_rps"}:
            artifact["remarks"] = [remark]
    [one] = [each for each in caveats(see(verdict, artifacts)) if each not in before]
    assert (one.en, one.zh) == (f"Latency, Throughput: {remark}", f"延迟、吞吐量：{remark}")
