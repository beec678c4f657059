"""`hexgate study run` as a process: killed at random and resumed, without a server, with another study, interrupted."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hexgate.cli.studies.zh import STUDY_ERRORS
from hexgate.errors import ExitCode
from hexgate.study.design import make_plan
from hexgate.study.items import read_cells
from hexgate.study.spec_file import read_spec
from support.command import Ended
from support.served import served
from support.studies import ScriptedOllama, said, write_study
from support.twins import check_twin, without_twin

PATIENCE_S = 60.0
MODEL = "hexgate-demo-lm"


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with served() as url:
        yield url


def study_of(folder: Path, origin: str, **changes: Any) -> Path:
    port = origin.rpartition(":")[2]
    models = [
        {"name": "chat", "target": f"{origin}/v1", "model": MODEL},
        {"name": "native", "target": f"ollama://127.0.0.1:{port}/{MODEL}"},
    ]
    return write_study(folder, models=models, **changes)


def start(path: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hexgate", "study", "run", str(path), "--out", str(out), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "HEXGATE_LANG": "en"},
    )


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for_lines(process: subprocess.Popen[str], path: Path, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while lines_in(path) < count and process.poll() is None:
        assert time.monotonic() < deadline, "the study made no progress"
        time.sleep(0.002)


def records_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "runs.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.skipif(os.name == "nt", reason="kills as POSIX has them")
def test_killed_five_times_every_run_is_made_exactly_once(tmp_path: Path, origin: str) -> None:
    path = study_of(tmp_path, origin, runs=8)
    spec = read_spec(path)
    plan = make_plan(spec, read_cells(spec))
    assert len(plan.runs) == 64
    out = tmp_path / "out"
    draw = random.Random(5)
    kills = 0
    while kills < 5:
        process = start(path, out)
        # At least one run more each time, and then any instant, be it inside a write.
        wait_for_lines(process, out / "runs.jsonl", lines_in(out / "runs.jsonl") + draw.randrange(1, 6))
        time.sleep(draw.random() * 0.03)
        assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()
        kills += 1
    before = lines_in(out / "runs.jsonl")
    assert 5 <= before < 64
    last = start(path, out)
    _, err = last.communicate(timeout=PATIENCE_S)
    assert last.returncode == ExitCode.OK, err
    records = records_of(out)
    assert Counter(row["run_id"] for row in records) == Counter(run.run_id for run in plan.runs)
    assert {row["attempt"] for row in records} == {1}
    with next(out.glob("data/summary/*/results.csv")).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run_id"] for row in rows] == [run.run_id for run in plan.runs]
    assert all((out / row["raw_file"]).is_file() for row in rows)
    assert len(list(out.glob("data/texts/*/*/*.txt"))) == 64
    assert not list((out / "data").rglob("*.partial"))


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_says_so_and_goes_on_later(tmp_path: Path, origin: str, how: signal.Signals) -> None:
    path = study_of(tmp_path, origin, runs=10)
    out = tmp_path / "out"
    process = start(path, out)
    wait_for_lines(process, out / "runs.jsonl", 5)
    process.send_signal(how)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in err
    assert "run the same command again" in err
    assert len(records_of(out)) >= 5
    with next(out.glob("data/summary/*/results.csv")).open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(records_of(out))
    rest = start(path, out, "--limit", "2")
    _, err = rest.communicate(timeout=PATIENCE_S)
    assert rest.returncode == ExitCode.OK, err


def test_the_plan_alone_is_printed_without_asking_a_server(
    tmp_path: Path, call: Callable[..., Ended]
) -> None:
    path = write_study(tmp_path, expect={"power_w": 100})
    ended = call("study", "run", path, "--plan-only")
    assert ended.code == ExitCode.OK
    plan = json.loads(ended.out)
    assert len(plan["runs"]) == plan["estimate"]["runs"] == 8
    assert plan["estimate"]["energy_kj"] > 0
    assert not (tmp_path / "out").exists()


def test_without_a_folder_it_asks_for_one(tmp_path: Path, call: Callable[..., Ended]) -> None:
    ended = call("study", "run", write_study(tmp_path))
    assert ended.code == ExitCode.INPUT
    assert "--out is missing" in ended.err


def test_a_mistake_in_the_file_is_told_with_its_path(tmp_path: Path, call: Callable[..., Ended]) -> None:
    ended = call("study", "run", write_study(tmp_path, coold="nonce"), "--out", tmp_path / "out")
    assert ended.code == ExitCode.INPUT
    assert "coold" in ended.err
    assert "did you mean cold?" in ended.err
    assert not (tmp_path / "out").exists()


def test_without_a_server_nothing_is_measured(tmp_path: Path, call: Callable[..., Ended]) -> None:
    ended = call("study", "run", write_study(tmp_path), "--out", tmp_path / "out")
    assert ended.code == ExitCode.TARGET
    assert "Traceback" not in ended.err
    assert records_of(tmp_path / "out") == []


def test_failed_runs_and_a_lost_server_have_their_exit_codes(
    tmp_path: Path, call: Callable[..., Ended]
) -> None:
    replies: list[Any] = [said("Yes"), 500, said("Yes"), said("Yes"), *[None] * 3]
    with ScriptedOllama(lambda _: replies.pop(0) if replies else said("Yes")) as ollama:
        path = write_study(tmp_path, models=[{"name": "tiny", "target": ollama.target}])
        out = tmp_path / "out"
        lost = call("study", "run", path, "--out", out)
        assert lost.code == ExitCode.TARGET
        assert "has not answered 3 runs in a row" in lost.err
        rest = call("study", "run", path, "--out", out)
        assert rest.code == ExitCode.EVIDENCE
        assert "8 of 8 are over, 1 of them failed" in rest.err
        again = call("study", "run", path, "--out", out, "--retry-failed", "--quiet")
        assert again.code == ExitCode.OK
        assert again.err == ""
        other = call("study", "run", write_study(tmp_path, seed=8), "--out", out)
        assert other.code == ExitCode.INPUT
        assert "another study" in other.err


def test_the_help_is_there_in_chinese(process: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    ended = process("-m", "hexgate", "--lang", "zh", "study", "run", "--help")
    assert ended.returncode == ExitCode.OK
    assert "退出码" in ended.stdout


def test_a_refusal_is_told_in_chinese(
    tmp_path: Path, process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    path = write_study(tmp_path, coold="nonce")
    ended = process("-m", "hexgate", "study", "run", path, HEXGATE_LANG="zh")
    assert ended.returncode == ExitCode.INPUT
    assert "没有这个键" in ended.stderr
    assert "是否指 cold？" in ended.stderr


@pytest.mark.parametrize(("english", "twin"), STUDY_ERRORS)
def test_a_twin_names_no_gap_that_its_sentence_lacks(english: str, twin: str) -> None:
    check_twin(english, twin)


@pytest.mark.parametrize(
    "name",
    [
        *("items", "keys", "ledger", "lines", "opening", "plain_yaml", "runner", "spec_file", "visit"),
        *("quality.judging", "quality.marking", "quality.scoring", "quality.spec"),
    ],
)
def test_every_sentence_of_a_refusal_has_a_twin(name: str) -> None:
    assert without_twin(f"hexgate.study.{name}") == []
