"""`hexgate load` on one machine: two artifacts of one load, its options, and what it refuses."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hexgate.contract.artifact import read_artifact
from support.command import Ended
from support.load_running import undisturbed
from support.measuring import check, rows
from support.scripted import ScriptedServer

Call = Callable[..., Ended]
Scripted = Callable[..., ScriptedServer]
ARTIFACTS = ("latency_p99", "throughput_rps")


def instant(seconds: float) -> str:
    """So many seconds from now."""
    return f"{datetime.now(timezone.utc) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%fZ}"


def both(folder: Path) -> list[dict[str, Any]]:
    return [dict(check(folder / f"{name}.json").data) for name in ARTIFACTS]


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    rules = [
        {"indicator": "latency_p99", "measure": "p50_ms", "at_most": 30_000},
        {"indicator": "throughput_rps", "measure": "error_ratio", "at_most": 0.2},
    ]
    path.write_text(yaml.safe_dump({"version": 1, "name": "test", "rules": rules}), encoding="utf-8")
    return path


def test_one_load_leaves_both_artifacts_of_the_same_evidence(
    call: Call, scripted: Scripted, policy: Path, tmp_path: Path
) -> None:
    server = scripted(chat=lambda _prompt: "one two three")
    load = ("load", server.v1, "--model", "m", "--prompts", "demo:", "--max-tokens", "5")
    load += ("--concurrency", "3", "--requests", "60", "--warmup", "6")
    ended, left = undisturbed(lambda folder: call(*load, "--out", folder), tmp_path)
    out = left.folder
    assert ended.code == 0, ended.err
    assert ended.out == ""
    assert "Latency" in ended.err
    assert "Throughput" in ended.err
    latency, rate = both(out)
    assert latency["status"] == rate["status"] == "complete"
    assert latency["requests"] == latency["counts"]["requested"] == rate["counts"]["requested"] == 60
    assert latency["run_id"] == rate["run_id"]
    assert server.asked >= 66
    own = {"method"}
    assert {name: latency["evidence"][name] for name in latency["evidence"].keys() - own} == {
        name: rate["evidence"][name] for name in rate["evidence"].keys() - own
    }
    replies = rows(check(out / "latency_p99.json"), "replies")
    assert {row["text"] for row in replies} == {"one two three "}
    assert latency["ttft_p50_ms"] is not None
    assert server.bodies[-1]["model"] == "m"
    judged = call("gate", out, "--policy", policy)
    assert judged.code == 0, judged.err
    assert call("recompute", out).code == 0


def test_replies_with_the_instants_of_their_tokens(call: Call, scripted: Scripted, tmp_path: Path) -> None:
    server = scripted(chat=lambda _prompt: "one two three")
    load = ("load", server.v1, "--model", "m", "--prompts", "demo:", "--requests", "24", "--warmup", "4")
    call(*load, "--token-times", "--out", tmp_path)
    artifact = read_artifact(tmp_path / "latency_p99.json")
    records = np.load(tmp_path / artifact.data["evidence"]["requests"]["path"])
    lines = rows(check(tmp_path / "latency_p99.json"), "replies")
    assert len(lines) == len(records) == 28
    for line, record in zip(lines, records, strict=True):
        times = line["token_ns"]
        assert len(times) == record["events"] == 3
        assert (times[0], times[-1]) == (record["first_token_ns"], record["last_token_ns"])
        assert np.diff(times).max() == record["gap_max_ns"]
    assert call("recompute", tmp_path).code == 0


def test_a_model_in_this_process_has_no_instants_of_tokens(call: Call, tmp_path: Path) -> None:
    ended = call("load", "demo:", "--requests", "10", "--token-times", "--out", tmp_path)
    assert ended.code == 2
    assert "--token-times is for a target that is reached over the network" in ended.err


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (
            ("--rate", "150", "--duration", "0.5"),
            {"kind": "open_loop", "arrival": "poisson", "duration_s": 0.5, "requested": "timed"},
        ),
        (
            ("--rate", "150", "--arrival", "constant", "--requests", "60"),
            {"kind": "open_loop", "arrival": "constant", "duration_s": None, "requested": 60},
        ),
        (
            ("--concurrency", "2", "--duration", "0.5"),
            {"kind": "closed_loop", "concurrency": 2, "duration_s": 0.5, "requested": None},
        ),
        (("--requests", "40"), {"kind": "closed_loop", "concurrency": 4, "requested": 40}),
    ],
    ids=["rate for a time", "rate for a count", "slots for a time", "slots for a count"],
)
def test_every_shape(flags: tuple[str, ...], expected: dict[str, Any], call: Call, tmp_path: Path) -> None:
    call("load", "demo:", *flags, "--warmup", "5", "--mode", "scores", "--out", tmp_path)
    latency, rate = both(tmp_path)
    requested = expected.pop("requested")
    if requested == "timed":
        requested = latency["counts"]["requested"]
        assert requested > 20
    assert latency["method"]["requested"] == requested
    for data in (latency, rate):
        assert expected.items() <= data["method"].items()
        assert data["warmup_requests"] == 5
    # Both count the same requests, whatever the shape.
    assert latency["counts"] == rate["counts"]
    assert latency["method"]["from"] == ("due" if "--rate" in flags else "sent")


def test_a_run_of_the_indicator_and_a_load_have_the_same_plan(call: Call, tmp_path: Path) -> None:
    call("load", "demo:", "--rate", "200", "--requests", "30", "--warmup", "4", "--out", tmp_path / "load")
    call(
        *("run", "--indicator", "latency_p99", "--model", "demo:", "--latency-rate-rps", "200"),
        *("--requests", "30", "--warmup", "4", "--out", tmp_path / "run.json"),
    )
    run = check(tmp_path / "run.json").data
    load = check(tmp_path / "load" / "latency_p99.json").data
    assert run["provenance"]["plan_sha256"] == load["provenance"]["plan_sha256"]
    assert run["method"] == load["method"]


def test_plan_only_sends_nothing_and_is_the_plan(call: Call, scripted: Scripted, tmp_path: Path) -> None:
    server = scripted(chat=lambda _prompt: "x")
    load = ("load", server.v1, "--data", "demo:", "--rate", "200", "--requests", "50", "--warmup", "7")
    shown = call(*load, "--plan-only")
    assert shown.code == 0
    assert shown.err == ""
    before = server.asked
    plan = json.loads(shown.out)
    assert (plan["rows"], plan["timed"], plan["warmup"]) == (57, 50, 7)
    shards = [json.loads(call(*load, "--plan-only", "--shard", f"{index}/3").out) for index in range(3)]
    assert {shard["digest"] for shard in shards} == {plan["digest"]}
    assert [shard["shard"]["rows"] for shard in shards] == [19, 19, 19]
    assert sum(shard["shard"]["timed"] for shard in shards) == 50
    assert server.asked == before
    assert list(tmp_path.iterdir()) == []
    call(*load, "--out", tmp_path)
    run = json.loads((tmp_path / "load.run.evidence.json").read_bytes())
    assert run["plan_digest"] == plan["digest"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--rate", "5", "--concurrency", "2"), "--rate and --concurrency exclude each other"),
        (("--duration", "5", "--requests", "2"), "--duration and --requests exclude each other"),
        (("--arrival", "constant"), "--arrival needs --rate"),
        (("--shard", "2/2", "--start-at", "2026-01-01T00:00:00Z"), "there is no such shard"),
        (("--shard", "x"), "not a shard"),
        (("--shard", "0/2"), "a shard needs the instant that all shards count from"),
        (("--start-at", "noon"), "not an instant in UTC"),
        (("--start-at", "2020-01-01T00:00:00Z"), "the common start has passed"),
        (("--start-at", "2999-01-01T00:00:00Z"), "the common start is too far ahead"),
        (("--rate", "0"), "0"),
        (("--duration", "nan"), "nan"),
    ],
)
def test_what_is_refused_before_anything_is_written(
    flags: tuple[str, ...], said: str, call: Call, tmp_path: Path
) -> None:
    ended = call("load", "demo:", *flags, "--out", tmp_path / "out")
    assert ended.code == 2
    assert said in ended.err
    assert not (tmp_path / "out").exists()


def test_without_out(call: Call) -> None:
    ended = call("load", "demo:")
    assert ended.code == 2
    assert "--out is missing" in ended.err


def test_more_shards_than_slots(call: Call, tmp_path: Path) -> None:
    ended = call(
        *("load", "demo:", "--concurrency", "2", "--shard", "0/3", "--start-at", instant(5)),
        *("--out", tmp_path),
    )
    assert ended.code == 2
    assert "2 requests in flight cannot be split over 3 shards" in ended.err
    document = json.loads((tmp_path / "load-shard-0-of-3.json").read_bytes())
    assert document["status"] == "failed"


def test_the_environment_says_shard_and_start(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = instant(1)
    monkeypatch.setenv("HEXGATE_SHARD", "1/2")
    monkeypatch.setenv("HEXGATE_START_AT", at)
    monkeypatch.setenv("HEXGATE_RUN_ID", "20260131T120000Z-0123abcd")
    call("load", "demo:", "--requests", "30", "--warmup", "2", "--out", tmp_path)
    document = json.loads((tmp_path / "load-shard-1-of-2.json").read_bytes())
    assert document["shard"] == {"index": 1, "count": 2}
    assert document["run_id"] == "20260131T120000Z-0123abcd"
    run = json.loads((tmp_path / "load-shard-1-of-2.run.evidence.json").read_bytes())
    assert run["start_at"] == at
    assert run["host"]
    assert not (tmp_path / "latency_p99.json").exists()


def test_a_target_that_is_not_there_leaves_artifacts_that_say_so(call: Call, tmp_path: Path) -> None:
    call("load", "demo:", "--requests", "20", "--out", tmp_path)
    assert [data["status"] for data in both(tmp_path)] == ["complete", "complete"]
    ended = call("load", "http://127.0.0.1:9/v1", "--data", "demo:", "--out", tmp_path)
    assert ended.code == 5
    assert [data["status"] for data in both(tmp_path)] == ["failed", "failed"]


def test_nothing_of_an_older_load_lies_beside_a_newer_one(call: Call, tmp_path: Path) -> None:
    def left() -> set[str]:
        return {path.name for path in tmp_path.iterdir()}

    beside = {"requests.csv", "resources.csv", "statistics.json", "report.html"}
    quick = ("load", "demo:", "--requests", "20", "--out", tmp_path)
    (tmp_path / "search.json").write_text("{}", encoding="utf-8")
    (tmp_path / "notes.json").write_text("{}", encoding="utf-8")
    call(*quick)
    assert beside - {"resources.csv"} <= left()
    assert "search.json" not in left()
    call(*quick, "--no-exports")
    assert not beside & left()
    call(*quick)
    for flags in ((), ("--sweep", "2"), ("--shard", "0/2", "--start-at", instant(5))):
        (tmp_path / "statistics.json").write_text("{}", encoding="utf-8")
        assert call("load", "http://127.0.0.1:9/v1", "--data", "demo:", *flags, "--out", tmp_path).code == 5
        assert not beside & left()
    assert {"notes.json", "latency_p99.json", "throughput_rps.json"} <= left()


def test_data_that_are_none(call: Call, tmp_path: Path) -> None:
    ended = call("load", "demo:", "--data", tmp_path / "none.jsonl", "--out", tmp_path / "out")
    assert ended.code == 2
    assert [data["status"] for data in both(tmp_path / "out")] == ["failed", "failed"]


def test_a_target_that_dies_under_the_load(call: Call, scripted: Scripted, tmp_path: Path) -> None:
    def chat(_prompt: str) -> str | None:
        if server.asked > 40:
            server.die()
            return None
        return "words"

    server = scripted(chat=chat)
    ended = call(
        *("load", server.v1, "--data", "demo:", "--concurrency", "2", "--requests", "400"),
        *("--warmup", "0", "--out", tmp_path),
    )
    assert ended.code == 5
    assert ended.err.count("error: ") == 1
    for data in both(tmp_path):
        assert data["status"] == "partial"
        assert data["counts"]["requested"] == 400
        assert data["counts"]["skipped"] > 0
        assert data["counts"]["errored"] >= 50


def test_a_start_of_its_own(call: Call, tmp_path: Path) -> None:
    at = instant(0.5)
    assert call("load", "demo:", "--requests", "20", "--start-at", at, "--out", tmp_path).code == 0
    assert time.time() >= datetime.strptime(at, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
    run = json.loads((tmp_path / "load.run.evidence.json").read_bytes())
    assert run["start_at"] == at
    assert run["shard"] is None


def test_help_in_both_languages(call: Call, process: Callable[..., Any]) -> None:
    assert "hexgate load merge DIR... --out OUT" in call("load", "--help").out
    assert "DIR..." in call("load", "merge", "--help").out
    chinese = process("-m", "hexgate", "load", "--help", "--lang", "zh").stdout
    assert "施加一次负载" in chinese
    assert "分片" in process("-m", "hexgate", "load", "merge", "--help", "--lang", "zh").stdout


def test_a_shard_is_no_evidence_for_the_gate(call: Call, policy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    start = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    call("load", "demo:", "--requests", "20", "--shard", "0/2", "--start-at", start, "--out", out)
    for judged in (call("gate", out, "--policy", policy), call("recompute", out)):
        assert judged.code == 4
        assert "merge" in judged.err
    # Nor does it go unseen beside artifacts that pass.
    call("load", "demo:", "--requests", "60", "--out", out)
    judged = call("gate", out, "--policy", policy)
    assert judged.code == 4
