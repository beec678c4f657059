"""A run that is stopped, killed, or whose target or disk fails, as a real process: what it leaves, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.measuring import HELD_OUT, check
from support.scripted import ScriptedServer

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")

STOPS = {"Ctrl-C": signal.SIGINT, "SIGTERM": signal.SIGTERM}
PATIENCE_S = 120.0
Start = Callable[..., "Running"]


class Running:
    """A run that has been started."""

    def __init__(self, arguments: list[str], before: str = "") -> None:
        script = f"{before}\nfrom hexgate.cli import main\nmain({arguments!r})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "HEXGATE_LANG": "en"},
        )
        self.children: list[psutil.Process] = []
        self.err = ""

    def wait_until(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not what():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.children = psutil.Process(self.process.pid).children(recursive=True)

    def end(self, how: signal.Signals | None = None) -> int:
        """Send a signal if there is one, wait for the end, and see that nothing stays behind."""
        if how is not None:
            self.process.send_signal(how)
        out, self.err = self.process.communicate(timeout=PATIENCE_S)
        assert out == ""
        assert "Traceback" not in self.err
        _, alive = psutil.wait_procs(self.children, timeout=PATIENCE_S)
        assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []
        return self.process.returncode


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[Running] = []

    def begin(*arguments: str | Path, before: str = "") -> Running:
        running.append(Running([str(argument) for argument in arguments], before))
        return running[-1]

    yield begin
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def texts(folder: Path, count: int) -> Path:
    path = folder / "texts.jsonl"
    rows = ({"id": f"t{n}", "text": f"text {n}", "label": "xy"[n % 2]} for n in range(count))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def slow(scripted: Callable[..., ScriptedServer]) -> ScriptedServer:
    """Answers 40 requests at once, and then each after two minutes: longer than anybody waits."""
    server = scripted()

    def answer(given: Any) -> Any:
        if server.asked > 40:
            time.sleep(120)
        return "x" if isinstance(given, str) else [[1.0, 0.0] + [0.0] * 8] * len(given)

    server.chat = server.predict = answer
    return server


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize(
    "name", ["accuracy_f1", "toxicity", "latency_p99", "throughput_rps", "power_efficiency"]
)
def test_a_stopped_run_keeps_what_it_measured(
    name: str, stop: str, start: Start, scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    server = slow(scripted)
    out = tmp_path / "out" / f"{name}.json"
    data = texts(tmp_path, 120)
    further = {
        "latency_p99": ["--requests", "100", "--warmup", "5"],
        "throughput_rps": ["--duration-s", "60", "--load-warmup", "5"],
        "power_efficiency": ["--power-duration-s", "60", "--idle-s", "0.1"],
    }.get(name, [])
    run = start("run", "--indicator", name, "--model", server.v1, "--data", data, "--out", out, *further)
    # What hangs is asked, and what was answered before has been taken down.
    run.wait_until(lambda: server.asked > 40)
    time.sleep(0.3)

    assert run.end(STOPS[stop]) == 130

    artifact = check(out)
    found = artifact.data
    assert found["status"] == "partial"
    assert "stopped" in found["invalid_reasons"][0]
    counts = found["counts"]
    assert 20 < counts["succeeded"] <= 40
    if name in {"accuracy_f1", "toxicity", "latency_p99"}:
        assert counts["requested"] == (100 if name == "latency_p99" else 120)
        assert counts["skipped"] > 40
    assert run.err.count("error:") == 1
    assert "kept" in run.err
    assert list(out.parent.glob("*.partial")) == []


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("name", ["latency_p99", "throughput_rps", "power_efficiency"])
def test_a_stopped_run_on_a_model_in_this_process(name: str, stop: str, start: Start, tmp_path: Path) -> None:
    out = tmp_path / f"{name}.json"
    further = {
        "latency_p99": ["--requests", "400000"],
        "throughput_rps": ["--duration-s", "60"],
        "power_efficiency": ["--power-duration-s", "60", "--idle-s", "0.1"],
    }[name]
    run = start("run", "--indicator", name, "--model", "demo:", "--out", out, *further)
    run.wait_until((tmp_path / f"{name}.plan.npy").exists)
    time.sleep(0.7)

    assert run.end(STOPS[stop]) == 130

    found = check(out).data
    assert found["status"] == "partial"
    assert found["counts"]["succeeded"] > 10
    if name == "power_efficiency":
        assert found["missing"]["duration_s"] == "the work did not end"


@pytest.mark.parametrize("name", ["accuracy_f1", "toxicity"])
def test_an_impatient_second_signal_loses_nothing(
    name: str, start: Start, scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    server = slow(scripted)
    out = tmp_path / "out" / f"{name}.json"
    run = start(
        "run", "--indicator", name, "--model", server.v1, "--data", texts(tmp_path, 120), "--out", out
    )
    run.wait_until(lambda: server.asked > 40)
    time.sleep(0.3)
    run.process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    # Once it has ended it may still be on its way out of the interpreter, where a signal acts as everywhere.
    assert run.end(signal.SIGINT) in {130, -signal.SIGINT}
    assert check(out).data["status"] == "partial"


@pytest.mark.parametrize("stop", STOPS)
def test_a_stopped_idle_leaves_nothing_measured(stop: str, start: Start, tmp_path: Path) -> None:
    out = tmp_path / "power.json"
    run = start("run", "--indicator", "power_efficiency", "--model", "demo:", "--out", out, "--idle-s", "60")
    run.wait_until((tmp_path / "power.windows.jsonl.partial").exists)
    time.sleep(0.2)
    assert run.end(STOPS[stop]) == 130
    found = check(out).data
    assert found["status"] == "failed"
    assert "stopped" in found["invalid_reasons"][0]


def test_a_stop_ends_all_six_and_the_older_ones_do_not_look_new(
    start: Start, scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    first = start("run", "--indicator", "toxicity", "--model", "demo:", "--limit", "5", "--out", tmp_path)
    assert first.end() == 0
    assert check(tmp_path / "toxicity.json").data["status"] == "complete"

    server = slow(scripted)
    server.predict = None
    run = start(
        "run", "--indicator", "all", "--model", server.v1, "--data", texts(tmp_path, 120), "--out", tmp_path
    )
    run.wait_until(lambda: server.asked > 40)
    time.sleep(0.2)
    assert run.end(signal.SIGINT) == 130

    assert check(tmp_path / "accuracy_f1.json").data["status"] == "partial"
    for name in ("latency_p99", "throughput_rps", "robustness_adv", "toxicity", "power_efficiency"):
        left = check(tmp_path / f"{name}.json").data
        assert left["status"] == "failed"
        assert left["invalid_reasons"] == ["the measurement did not begin"]


@pytest.mark.parametrize(("name", "file"), [("accuracy_f1", "samples"), ("toxicity", "replies")])
def test_a_killed_run_says_that_it_did_not_end_and_leaves_its_rows(
    name: str, file: str, start: Start, scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    server = slow(scripted)
    data = texts(tmp_path, 120)
    out = tmp_path / "out" / f"{name}.json"
    run = start("run", "--indicator", name, "--model", server.v1, "--data", data, "--out", out)
    run.wait_until(lambda: server.asked > 40)
    time.sleep(0.3)

    assert run.end(signal.SIGKILL) == -signal.SIGKILL

    found = check(out).data
    assert found["status"] == "failed"
    assert found["invalid_reasons"] == ["the measurement did not run to its end"]
    assert found["evidence"] == {}
    lines = (out.parent / f"{name}.{file}.jsonl.partial").read_text("utf-8").splitlines()
    assert 20 < len(lines) <= 40
    assert all(json.loads(line)["error"] is None for line in lines)


def test_a_target_that_dies_half_way(
    start: Start, scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    server = scripted()

    def chat(_: str) -> str:
        if server.asked == 30:
            server.die()
        return "x"

    server.chat = chat
    out = tmp_path / "accuracy_f1.json"
    run = start(
        "run", "--indicator", "accuracy_f1", "--model", server.v1, "--data", texts(tmp_path, 90), "--out", out
    )

    assert run.end() == 5

    found = check(out).data
    assert found["status"] == "partial"
    assert found["counts"] == {"requested": 90, "succeeded": 29, "errored": 20, "skipped": 41}
    assert found["f1"] is not None
    assert "20 items in a row" in run.err


LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"


def test_a_full_disk_keeps_the_rows_that_it_took(start: Start, tmp_path: Path) -> None:
    out = tmp_path / "toxicity.json"
    run = start(
        "run", "--indicator", "toxicity", "--model", "demo:", "--out", out, before=LIMITED.format(60_000)
    )

    assert run.end() == 5

    found = check(out).data
    assert found["status"] == "partial"
    assert 50 < found["total_samples"] < 400
    assert found["counts"]["skipped"] == 1728 - found["total_samples"]
    assert run.err.count("error:") == 1
    assert "File too large" in run.err
    assert "make room" in run.err


@pytest.mark.parametrize(("name", "size"), [("latency_p99", 14_000), ("throughput_rps", 14_000)])
def test_a_disk_too_full_for_the_requests(name: str, size: int, start: Start, tmp_path: Path) -> None:
    out = tmp_path / f"{name}.json"
    quick = ["--duration-s", "1"] if name == "throughput_rps" else []
    run = start(
        "run", "--indicator", name, "--model", "demo:", "--out", out, *quick, before=LIMITED.format(size)
    )
    assert run.end() == 5
    assert check(out).data["status"] == "failed"
    assert run.err.count("error:") == 1
    assert "File too large" in run.err


def test_a_disk_too_full_to_begin(start: Start, tmp_path: Path) -> None:
    out = tmp_path / "accuracy_f1.json"
    run = start(
        "run", "--indicator", "accuracy_f1", "--model", "demo:", "--out", out, before=LIMITED.format(100)
    )
    assert run.end() == 2
    assert not out.exists()
    assert list(tmp_path.iterdir()) == []
    assert "cannot be written" in run.err


def test_an_endpoint_that_is_not_there_is_said_at_once(start: Start, tmp_path: Path) -> None:
    run = start(
        "run",
        "--indicator",
        "all",
        "--model",
        "http://127.0.0.1:9/predict",
        "--data",
        HELD_OUT,
        "--out",
        tmp_path,
    )
    assert run.end() == 5
    assert run.err.count("error:") == 1
    assert len(list(tmp_path.glob("*.json"))) == 6
    assert all(check(path).data["status"] == "failed" for path in tmp_path.glob("*.json"))
