"""The page and the lines of a metered command."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hexgate.report.meter_html import render_meter_html
from hexgate.report.meter_rows import rows, shown
from hexgate.report.meter_sentences import METER_SENTENCES, told
from support import needs

HAN = re.compile("[\u4e00-\u9fff]")
POWER = {
    "command": [10.0, 22.0],
    "lines": {"nvml:GPU-a": {"step_s": 0.5, "watts": [60.0] * 20 + [300.0] * 24 + [None, 60.0]}},
}


def block(**changes: Any) -> dict[str, Any]:
    own = {
        "energy_j": 3612.4,
        "uncertainty_j": 181.0,
        "edge_j": 3.1,
        "sampling_j": 0.0,
        "sensor_j": 180.9,
        "readings": 120,
        "mean_power_w": 301.0,
        "degraded": [],
        "max_power_w": 318.2,
        "max_power_over_s": 1.0,
        "net_energy_j": 2891.2,
        "net_uncertainty_j": 190.3,
        "idle_power_w": 60.1,
        "idle_drift_ratio": 0.0071,
        "net_degraded": [],
    }
    return own | changes


def document(**changes: Any) -> dict[str, Any]:
    head = {"id": "nvml:GPU-a", "source": "nvml", "label": "<b>GPU</b>", "scope": "board", "in_total": True}
    window = {"start_ns": 0, "end_ns": 1}
    level = {"mean": 0.5, "max": 1.0, "std": 0.1, "samples": 9}
    made = {
        "run_id": "r",
        "created_at": "2026-01-01T00:00:00Z",
        "command": ["python", "<script>alert(1)</script>"],
        "exit_code": 0,
        "signal": None,
        "duration_s": 12.0,
        "total": {"ids": ["nvml:GPU-a"], **block()},
        "domains": [head | block(degraded=["no reading for 0.500 s, where one is due every 0.100 s"])],
        "estimate": None,
        "process": {
            "user_s": 10.0,
            "system_s": 1.0,
            "cpu_s": 11.0,
            "cpu_cores": 0.9167,
            "largest_rss_bytes": 1_234_000_000,
            "rss_bytes": {"mean": 1e9, "max": 1.3e9, "std": 1e6, "samples": 50},
        },
        "host": {
            "cpu_ratio": level,
            "memory_used_bytes": {"mean": 4e9, "max": 5e9, "std": 1e6, "samples": 50},
            "memory_total_bytes": {"mean": 16e9, "max": 16e9, "std": 0.0, "samples": 50},
            "disk_read_bytes": None,
            "disk_written_bytes": {"bytes": 120.0, "bytes_per_s": 10.0, "span_s": 12.0, "samples": 60},
        },
        "gpus": [{"device": "GPU-a", "label": "GPU", "gpu_util_ratio": level, "gpu_memory_used_bytes": None}],
        "missing": {
            "host.disk_read_bytes": "the system shows no disk counters",
            "gpus.0.gpu_memory_used_bytes": "Not Supported",
        },
        "recorded": {
            "windows": {"command": window, "idle_before": window, "idle_after": window},
            "sampler": {
                "failure": None,
                "unavailable": [
                    {
                        "meter": "rapl",
                        "what": "CPU energy",
                        "reason": "/x shows no RAPL zone, as is normal in virtual machines, in WSL and on Windows",
                        "remedy": "measure on the bare machine; there, load the kernel module intel_rapl_msr",
                    }
                ],
            },
        },
        "environment": {"host_class": "test", "cores": 8},
    }
    return made | changes


def lines(found: dict[str, Any], lang: Any = "en") -> dict[str, str]:
    return {row.label[lang]: row.value[lang] for row in rows(found)}


def test_lines_have_units_in_words_and_the_digits_that_the_uncertainty_leaves() -> None:
    said = lines(document())
    assert said["time"] == "12.000 seconds"
    assert said["energy"] == "3612 ± 181 joules"
    assert said["nvml:GPU-a"].startswith("3612 ± 181 joules; no reading for 0.500 s")
    assert said["nvml:GPU-a"].endswith(", the whole GPU board")
    assert said["net energy"] == "2891 ± 190 joules above rest at 60.1 watts (drift 0.71 percent)"
    assert said["power"] == "mean 301 ± 15 watts, highest 318.2 watts over one second"
    assert said["CPU"] == "11.000 seconds (user 10.000, system 1.000), 0.92 of 8 cores"
    assert said["memory"] == "mean 1 gigabytes, highest 1.3 gigabytes"
    assert said["machine disk"] == "not measured: the system shows no disk counters"
    assert said["GPU 0"] == "use mean 50 percent, highest 100 percent; not measured: Not Supported"


def test_an_uncertainty_that_is_not_whole_is_not_shown_as_one() -> None:
    unknown = block(energy_j=120.4, uncertainty_j=None, sensor_j=None, edge_j=0.3, net_uncertainty_j=None)
    why = "the meter's own error is not stated: imported:plug (--import-uncertainty takes it)"
    missing = document()["missing"] | {"total.uncertainty_j": why, "total.net_uncertainty_j": why}
    found = document(total={"ids": ["imported:plug"], **unknown}, missing=missing)
    assert lines(found)["energy"] == "120.40 joules (± 0.3 and the meter's own error, which is not stated)"
    assert lines(found, "zh")["能量"] == "120.40 焦耳（± 0.3，另有电表自身误差，未声明）"
    assert "±" not in lines(found)["power"] + lines(found)["net energy"]
    assert lines(found)["net energy"].endswith(f"(drift 0.71 percent); {why}")
    said = lines(found, "zh")["净能量"]
    assert said.endswith("；电表自身的误差未声明：imported:plug（可用 --import-uncertainty 给出）")
    assert "± 0.3 and the meter&#39;s own error" in render_meter_html(found, POWER, lang="en")


def test_the_chinese_lines_are_chinese() -> None:
    missing = {"total": "nvml: NVML cannot be used (Driver Not Loaded); rapl: /x shows no RAPL zone, as is normal in "
               "virtual machines, in WSL and on Windows"}  # fmt: skip
    found = document(
        total=None, domains=[], exit_code=143, signal="SIGTERM", missing=document()["missing"] | missing
    )
    said = lines(found, "zh")
    assert said["能量"] == (
        "未测得：nvml：无法使用 NVML（Driver Not Loaded）；rapl：/x 中没有 RAPL 域；在虚拟机、WSL 和 Windows 上通常如此"
    )
    assert said["结束"] == "因 SIGTERM，退出码 143"
    assert said["时间"] == "12.000 秒"


@pytest.mark.parametrize(
    ("value", "spread", "said"),
    [(3612.4, 181.0, "3612 ± 181"), (0.5, None, "0.5"), (1e-3, 2e-5, "0.001000 ± 0.000020")],
)
def test_numbers(value: float, spread: float | None, said: str) -> None:
    assert shown(value, spread) == said


def test_every_sentence_of_the_meters_has_a_chinese_twin() -> None:
    for english, chinese in METER_SENTENCES:
        filled = re.sub(r"\{\w+\*?\}", "7", english)
        assert HAN.search(told(filled).zh), english
        assert set(re.findall(r"\{(\w+)\}", chinese)) <= set(re.findall(r"\{(\w+)\*?\}", english))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_has_both_languages_the_chart_and_nothing_from_outside(lang: Any) -> None:
    page = render_meter_html(document(), POWER, lang=lang)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert page.count("<figure>") == 1
    assert "不计入合计" not in page
    assert "整块 GPU 板卡" in page
    assert "The command ran from 10 s to 22 s." in page
    assert "请在裸机上测量" in page
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    assert f'data-lang="{lang}"' in page


def test_without_power_there_is_no_chart() -> None:
    found = document(total=None, domains=[], missing=document()["missing"] | {"total": "there is none"})
    page = render_meter_html(found, {"command": [0.0, 1.0], "lines": {}}, lang="en")
    assert "<figure>" not in page
    assert "No energy was measured" in page


@pytest.mark.infra
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_browser_shows_the_page_and_runs_our_script(lang: Any, tmp_path: Path) -> None:
    chromium = needs.program("chromium")
    page = tmp_path / "page.html"
    page.write_text(render_meter_html(document(), POWER, lang=lang), encoding="utf-8")
    flags = [
        "--disable-gpu",
        "--disable-quic",
        "--disable-sync",
        "--no-first-run",
        "--disable-component-update",
    ]
    command = [chromium, "--headless", "--no-sandbox", "--disable-background-networking", *flags]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    dom = subprocess.run(command, capture_output=True, timeout=120, check=True).stdout.decode("utf-8")
    assert dom.count("<svg") == 2
    # The buttons are hidden until the script has run: the page's own policy lets it, by its digest.
    assert '<div class="tools" role="group"' in dom
