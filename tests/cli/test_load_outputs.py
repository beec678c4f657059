"""What a load leaves beside its artifacts, however it ended, and that the gate takes none of it for an artifact."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hexgate.cli.load_outputs import write_exports, write_load_report
from hexgate.contract.artifact import read_artifact
from hexgate.errors import EvidenceError, HexgateError, InputError, Interrupted
from hexgate.gate.evidence import load_evidence
from hexgate.indicators.load_folder import read_load_folder
from hexgate.indicators.load_statistics import statistics_mistakes
from hexgate.indicators.runner import start_run
from hexgate.indicators.sheet import Sheet
from support.command import Ended
from support.load_folders import measured_folder, plan_of


@pytest.mark.parametrize(
    ("status", "stopped", "all_fail"),
    [
        ("complete", None, False),
        ("partial", Interrupted("it was interrupted by hand"), False),
        ("invalid", None, True),
        ("partial", Interrupted("it was interrupted by hand"), True),
    ],
)
def test_however_a_load_ended_it_leaves_tables_and_a_report(
    tmp_path: Path, status: str, stopped: HexgateError | None, all_fail: bool
) -> None:
    folder = measured_folder(tmp_path / "run", plan_of(200), stopped, all_fail=all_fail)
    written = write_exports(folder)
    assert [path.name for path in written] == ["requests.csv", "resources.csv", "statistics.json"]
    statistics = json.loads((folder / "statistics.json").read_bytes())
    assert statistics_mistakes(statistics) == []
    assert statistics["status"] == {"overall": status, "latency_p99": status, "throughput_rps": status}
    page = write_load_report(folder, lang="zh").read_text("utf-8")
    assert all(
        name in page for name in ("requests.csv", "resources.csv", "statistics.json", "load.replies.jsonl")
    )
    assert ("it was interrupted by hand" in page) == (stopped is not None)


def test_the_statistics_are_the_figures_of_the_artifacts(tmp_path: Path) -> None:
    folder = measured_folder(tmp_path / "run", plan_of(500), failing=0.05)
    write_exports(folder)
    statistics = json.loads((folder / "statistics.json").read_bytes())
    latency = read_artifact(folder / "latency_p99.json").data
    rates = read_artifact(folder / "throughput_rps.json").data
    e2e = statistics["times"]["e2e_due_ms"]
    assert [e2e["percentiles"][key] for key in ("p50", "p99")] == [latency["p50_ms"], latency["p99_ms"]]
    assert [e2e[key] for key in ("mean", "std", "max")] == [
        latency[f"{key}_ms"] for key in ("mean", "std", "max")
    ]
    assert statistics["times"]["ttft_due_ms"]["percentiles"]["p99"] == latency["ttft_p99_ms"]
    assert statistics["times"]["tpot_ms"]["percentiles"]["p99"] == latency["tpot_p99_ms"]
    assert e2e["bounds"]["p99"]["high"] == latency["intervals"]["p99_ms"]["high"]
    assert statistics["achieved"]["rps"] == rates["rps"]
    assert statistics["achieved"]["achieved_rps"] == rates["achieved_rps"]
    assert statistics["rates"]["output_tokens_per_s"]["mean"] == rates["output_tokens_per_s"]
    for name in ("error_ratio", "timeout_ratio"):
        assert statistics[name] == rates[name] == latency[name]
    assert statistics["error_ratio"] > statistics["timeout_ratio"] > 0
    counts = statistics["outcomes"]
    failed = sum(counts[name] for name in ("error", "timeout", "truncated", "unfinished"))
    assert counts["unfinished"] > 0
    assert statistics["error_ratio"] == failed / (failed + counts["ok"])
    for pace in (statistics["times"]["tpot_ms"], latency["times"]["tpot"]):
        assert (pace["undefined"], pace["first_event_unknown"]) == (0, 0)


def test_the_gate_and_recompute_take_none_of_it_for_an_artifact(
    tmp_path: Path, call: Callable[..., Ended]
) -> None:
    folder = measured_folder(tmp_path / "run", plan_of(200))
    write_exports(folder)
    write_load_report(folder)
    found = load_evidence([folder])
    assert {exhibit.indicator for exhibit in found.exhibits} == {"latency_p99", "throughput_rps"}
    assert found.unreadable == ()
    done = call("recompute", folder)
    assert done.code == 0, done.err
    assert "statistics.json" not in done.out + done.err


def test_one_artifact_of_a_load_is_enough(tmp_path: Path) -> None:
    folder = measured_folder(tmp_path / "run", plan_of(100))
    (folder / "throughput_rps.json").unlink()
    assert write_load_report(folder, tmp_path / "below" / "page.html") == tmp_path / "below" / "page.html"
    assert len(write_exports(folder)) == 3


def test_a_load_that_never_began_has_a_report(tmp_path: Path) -> None:
    subject = {
        "name": "tiny",
        "kind": "endpoint",
        "uri": "http://127.0.0.1:1/v1",
        "sha256": None,
        "revision": None,
    }
    subject |= {"components": {}, "served_model": None, "demonstration": False}
    run = start_run(["hexgate", "load"], host_class=None)
    Sheet("latency_p99", subject, 0, 0.95, tmp_path / "latency_p99.json", run).begin(
        "no connection to the target"
    )
    assert [path.name for path in write_exports(tmp_path)] == ["requests.csv", "statistics.json"]
    assert "no connection to the target" in write_load_report(tmp_path).read_text("utf-8")


def test_evidence_that_was_changed_is_refused(tmp_path: Path) -> None:
    folder = measured_folder(tmp_path / "run", plan_of(100))
    with (folder / "load.requests.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x07")
    with pytest.raises(EvidenceError, match="not the file that the artifact was made from"):
        read_load_folder(folder)


def test_a_report_that_cannot_be_written_is_an_error_of_the_user(tmp_path: Path) -> None:
    folder = measured_folder(tmp_path / "run", plan_of(100))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_load_report(folder, tmp_path / "file" / "page.html")
