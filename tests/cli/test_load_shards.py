"""Shards as processes of their own, from one common start, against the reference server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from hexgate.errors import ExitCode
from hexgate.load.work_folder import WorkFolder
from hexgate.reference.endpoint import RunningServer, reference_handler
from hexgate.reference.endpoint_http import Request, Response, Streamed
from support.command import Ended
from support.measuring import array, check

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")

Call = Callable[..., Ended]
ARTIFACTS = ("latency_p99", "throughput_rps")
PATIENCE_S = 60.0
WHOLE = {0, 4}
"""Codes of a shard that came to its end: 4 says that this machine was too busy for its own shards, which may be."""

_PROGRAM = """
import sys
import hexgate.cli.load, hexgate.targets.endpoint, hexgate.load.endpoint_driver, onnxruntime
from hexgate.cli import main
print("ready", flush=True)
at = sys.stdin.readline().strip()
sys.argv[1:] = [*sys.argv[1:], "--start-at", at]
main(sys.argv[1:])
"""
"""A shard that has loaded what it needs, and then waits to be told the start, as jobs of a platform agree on one."""


class Counted:
    """The reference server, with a count of its own of what it was asked."""

    def __init__(self) -> None:
        self.chats = 0
        handle = reference_handler(token_delay_ms=3.0)

        async def counting(request: Request) -> Response | Streamed:
            self.chats += request.path == "/v1/chat/completions"
            return await handle(request)

        self.server = RunningServer(counting, "127.0.0.1", 0)
        self.v1 = f"{self.server.url}/v1"


@pytest.fixture
def counted() -> Iterator[Counted]:
    server = Counted()
    yield server
    server.server.close()


class Shard:
    """One shard as a process."""

    def __init__(self, arguments: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "HEXGATE_LANG": "en"},
        )

    def until_ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def start(self, at: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{at}\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, str]:
        _, err = self.process.communicate(timeout=PATIENCE_S)
        assert "Traceback" not in err
        return self.process.returncode, err


def instant(seconds: float) -> str:
    return f"{datetime.now(timezone.utc) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%fZ}"


@pytest.fixture
def launch(counted: Counted, tmp_path: Path) -> Iterator[Callable[..., list[Shard]]]:
    """Start the shards of a load; each has its own folder ``<index>``."""
    started: list[Shard] = []

    def run(count: int, *flags: str) -> list[Shard]:
        load = ["load", counted.v1, "--data", "demo:", "--max-tokens", "4", *flags, "--quiet"]
        shards = [
            Shard([*load, "--shard", f"{index}/{count}", "--out", str(tmp_path / "shards" / str(index))])
            for index in range(count)
        ]
        started.extend(shards)
        for shard in shards:
            shard.until_ready()
        at = instant(3)
        for shard in shards:
            shard.start(at)
        return shards

    yield run
    for shard in started:
        if shard.process.poll() is None:
            shard.process.kill()
        shard.process.communicate()


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def documents(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(folder.glob("*/load-shard-*-of-?.json"))]


def pass_policy(folder: Path) -> Path:
    rules = [
        {"indicator": "latency_p99", "measure": "p50_ms", "at_most": 30_000},
        {"indicator": "throughput_rps", "measure": "error_ratio", "at_most": 0.1},
    ]
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "name": "test", "rules": rules}), encoding="utf-8")
    return path


@pytest.mark.parametrize("count", [2, 4])
def test_shards_are_merged_to_the_load_that_the_server_saw(
    count: int, launch: Callable[..., list[Shard]], counted: Counted, call: Call, tmp_path: Path
) -> None:
    shards = launch(count, "--concurrency", "8", "--duration", "2", "--warmup", "18")
    ends = [shard.end() for shard in shards]
    assert {code for code, _ in ends} <= WHOLE, ends
    found = documents(tmp_path / "shards")
    assert [one["shard"] for one in found] == [{"index": index, "count": count} for index in range(count)]
    assert [one["status"] for one in found] == ["complete"] * count
    for shared in ("plan_digest", "run_id", "subject", "dataset", "methods"):
        assert len({json.dumps(one[shared], sort_keys=True) for one in found}) == 1, shared
    merged = tmp_path / "merged"
    ended = call("load", "merge", tmp_path / "shards", "--out", merged)
    latency, rate = (check(merged / f"{name}.json") for name in ARTIFACTS)
    records = array(latency, "requests")
    assert len(records) == counted.chats
    assert len(set(records["index"].tolist())) == len(records)
    assert sorted(set((records["index"] % count).tolist())) == list(range(count))
    assert int(records["warmup"].sum()) == 18
    assert rate.data["concurrency"] == 8
    assert latency.data["counts"]["requested"] == counted.chats - 18
    run = latency.evidence().document("run")
    assert len({each["run"]["start_at"] for each in run["shards"]}) == 1
    assert all(each["run"]["late_ns"] >= 0 for each in run["shards"])
    assert (records["sent_ns"] >= 0).all()
    if sys.platform == "linux":
        assert "one machine" in latency.data["method"]["clock"]
        # Their clocks hold; a busy machine may take the tail of the latencies from what can be certified.
        assert set(latency.data["cannot_certify"]) <= {"p999_ms", "max_ms"}
    assert call("recompute", merged).code == 0
    # Only a machine that is too busy for its own shards may say that this load cannot be judged.
    assert ended.code == (0 if latency.data["status"] == "complete" else 4), ended.err
    judged = call("gate", merged, "--policy", pass_policy(tmp_path))
    assert judged.code == ended.code


def test_an_open_loop_is_the_whole_plan(
    launch: Callable[..., list[Shard]], counted: Counted, call: Call, tmp_path: Path
) -> None:
    shards = launch(2, "--rate", "60", "--duration", "2", "--warmup", "7")
    for shard in shards:
        assert shard.end()[0] in WHOLE
    call("load", "merge", tmp_path / "shards", "--out", tmp_path / "merged")
    latency = check(tmp_path / "merged" / "latency_p99.json")
    records, plan = array(latency, "requests"), array(latency, "plan")
    assert counted.chats == len(records) == len(plan)
    assert records["due_ns"].tolist() == plan["due_ns"].tolist()
    assert records["item"].tolist() == plan["item"].tolist()
    assert (records["issued_ns"] >= records["due_ns"]).all()
    assert latency.data["counts"]["skipped"] == 0


def test_a_shard_that_is_killed(
    launch: Callable[..., list[Shard]], counted: Counted, call: Call, tmp_path: Path
) -> None:
    shards = launch(2, "--concurrency", "4", "--requests", "1200", "--warmup", "0")
    until(lambda: counted.chats > 100)
    shards[1].process.kill()
    shards[1].process.wait(PATIENCE_S)
    assert shards[0].end()[0] in WHOLE
    assert [one["status"] for one in documents(tmp_path / "shards")] == ["complete", "failed"]
    merged = tmp_path / "merged"
    ended = call("load", "merge", tmp_path / "shards", "--out", merged)
    assert ended.code == 4
    for name in ARTIFACTS:
        data = check(merged / f"{name}.json").data
        assert data["status"] == "partial"
        assert "shard 1/2 failed: the shard did not run to its end" in data["invalid_reasons"]
        assert data["counts"] == {"requested": 1200, "succeeded": 600, "errored": 0, "skipped": 600}
    judged = call("gate", merged, "--policy", pass_policy(tmp_path))
    assert judged.code == 4
    assert "1/2" in judged.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_shard_that_is_stopped_keeps_what_it_did(
    number: signal.Signals,
    launch: Callable[..., list[Shard]],
    counted: Counted,
    call: Call,
    tmp_path: Path,
) -> None:
    shards = launch(2, "--concurrency", "4", "--requests", "1200", "--warmup", "0")
    until(lambda: counted.chats > 100)
    shards[0].process.send_signal(number)
    assert shards[0].end()[0] == 130
    assert shards[1].end()[0] in WHOLE
    first = documents(tmp_path / "shards")[0]
    assert first["status"] == "partial"
    assert 0 < first["counts"]["succeeded"] < first["counts"]["requested"] == 600
    call("load", "merge", tmp_path / "shards", "--out", tmp_path / "merged")
    data = check(tmp_path / "merged" / "throughput_rps.json").data
    assert data["status"] == "partial"
    assert data["counts"]["succeeded"] == first["counts"]["succeeded"] + 600
    assert any(reason.startswith("shard 0/2 is partial: ") for reason in data["invalid_reasons"])


def test_a_shard_that_is_stopped_before_the_start(
    launch: Callable[..., list[Shard]], counted: Counted, tmp_path: Path
) -> None:
    shards = launch(2, "--requests", "50")
    document = tmp_path / "shards" / "0" / "load-shard-0-of-2.json"
    until(lambda: document.exists() and b"did not run to its end" in document.read_bytes())
    # Inside the wait for the start: it has another second or two to go.
    until((document.parent / "load-shard-0-of-2.plan.npy").exists)
    shards[0].process.send_signal(signal.SIGINT)
    code, _ = shards[0].end()
    data = json.loads(document.read_bytes())
    # It may have begun where this machine is busy.
    assert (code, data["status"]) == (130, "failed" if data["counts"] is None else "partial")


def test_a_late_shard_is_charged_from_when_its_requests_were_due(
    counted: Counted, call: Call, tmp_path: Path
) -> None:
    at = instant(1.5)
    load = ["load", counted.v1, "--data", "demo:", "--max-tokens", "2", "--rate", "30", "--requests", "60"]
    threads = threading.active_count()
    for index in range(2):
        call(
            *load, "--warmup", "0", "--start-at", at, "--shard", f"{index}/2", "--out", tmp_path / str(index)
        )
    assert threading.active_count() <= threads + 1
    late_ns = json.loads((tmp_path / "1" / "load-shard-1-of-2.run.evidence.json").read_bytes())["late_ns"]
    # The second one began when the first was over, which takes its whole two seconds.
    assert late_ns > 1e9
    ended = call("load", "merge", tmp_path / "0", tmp_path / "1", "--out", tmp_path / "merged")
    assert ended.code == 4
    latency = check(tmp_path / "merged" / "latency_p99.json")
    records = array(latency, "requests")
    second = records[records["index"] % 2 == 1]
    assert (second["issued_ns"] >= late_ns).all()
    waited = second["end_ns"] - second["due_ns"]
    assert latency.data["max_ms"] == pytest.approx(float(waited.max()) / 1e6)
    assert latency.data["max_ms"] > late_ns / 1e6 - 1000
    assert latency.data["counts"] == {"requested": 60, "succeeded": 60, "errored": 0, "skipped": 0}
    assert any(
        reason.startswith("shard 1/2: this ") and "Requests were begun up to" in reason
        for reason in latency.data["invalid_reasons"]
    )


def test_the_only_shard_is_the_whole(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "out"
    call("load", "demo:", "--requests", "20", "--warmup", "0", "--shard", "0/1", "--out", out)
    for name in ARTIFACTS:
        assert check(out / f"{name}.json").data["method"]["provider"] == "cpu"
    assert not list(out.glob("load-shard-*"))


def test_a_shard_says_what_it_was_told_and_how_it_asked(
    counted: Counted, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "observed.jsonl"
    record.write_text('{"kind": "host", "at": 1, "governor": {"mine": 2}, "power_mode": null}\n', "utf-8")
    monkeypatch.setenv("HEXGATE_OBSERVED", str(record))
    monkeypatch.setenv("HEXGATE_CLOCK_BOUND_S", "0.25")
    load = ["load", counted.v1, "--data", "demo:", "--requests", "4", "--warmup", "0", "--timeout-s", "77"]
    call(*load, "--shard", "1/2", "--start-at", instant(0.5), "--out", tmp_path / "out")
    document = json.loads((tmp_path / "out" / "load-shard-1-of-2.json").read_bytes())
    assert document["environment"]["observed"]["governor"] == {"mine": 2}
    for name in ARTIFACTS:
        assert document["methods"][name]["timeout_s"] == 77
        assert document["methods"][name]["dialect"] == "openai-chat"
    run = json.loads((tmp_path / "out" / "load-shard-1-of-2.run.evidence.json").read_bytes())
    assert run["clock_bound_s"] == 0.25
    assert (run["boot"] is None) == (sys.platform != "linux")


@pytest.mark.parametrize(
    "flags",
    [
        ["--duration", "1e300"],
        ["--duration", "nan"],
        ["--start-at", "1e300"],
        ["--start-at", "inf"],
        ["--timeout-s", "1e300"],
        ["--timeout-s", "nan"],
        ["--clock-bound-s", "nan"],
        ["--clock-bound-s", "-1"],
        ["--rate", "1e-300", "--requests", "10"],
        ["--rate", "1e-7", "--requests", "10", "--arrival", "constant"],
        ["--windows", "99999999999999"],
        ["--concurrency", "99999999999"],
        ["--model", "a\udcff"],
        ["--host-class", "a\udcff"],
    ],
    ids=lambda flags: " ".join(flags).encode("ascii", "replace").decode(),
)
def test_values_that_no_load_has(flags: list[str], call: Call, tmp_path: Path) -> None:
    ended = call("load", "demo:", *flags, "--out", tmp_path / "out")
    assert ended.code == 2, ended.err
    assert "Traceback" not in ended.err


def test_a_shard_that_is_at_work_is_not_written_over(
    tmp_path: Path, call: Call, request: pytest.FixtureRequest
) -> None:
    held = WorkFolder(tmp_path, "load-shard-0-of-2")
    request.addfinalizer(held.remove)
    document = tmp_path / "load-shard-0-of-2.json"
    document.write_text("of the first", "utf-8")
    at = (datetime.now(timezone.utc) + timedelta(seconds=60)).isoformat()
    argv = ["--requests", "4", "--rate", "9", "--shard", "0/2", "--start-at", at]
    ended = call("load", "demo:", *argv, "--out", tmp_path, "--quiet")
    assert ended.code == ExitCode.INPUT, ended.err
    assert "another load is at work in this folder" in ended.err
    assert document.read_text("utf-8") == "of the first"
