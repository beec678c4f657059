"""`hexgate study score` as people call it: its table and exit codes, both languages, and a kill half way."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hexgate.cli.quality_zh import QUALITY_ERRORS
from hexgate.cli.studies.quality_zh import STUDY_QUALITY_ERRORS
from hexgate.cli.studies.tallies import measures_without_value
from hexgate.errors import ExitCode
from hexgate.study.quality.marking import Tally
from support.command import Ended
from support.finished import FAILED, Finished, finished_study
from support.served import served
from support.studies import write_study
from support.twins import check_twin

QUALITY: list[dict[str, Any]] = [
    {"measure": "token_f1"},
    {"measure": "distinct"},
    {"measure": "repetition", "options": {"n": 2}},
    {"measure": "contains"},
]
MODEL = "hexgate-demo-lm"
TRIES = 20


@pytest.fixture
def done(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished_study(tmp_path_factory.getbasetemp()).copy(tmp_path / "done")


def marks_in(folder: Path) -> int:
    path = folder / "quality.jsonl"
    return path.read_bytes().count(b'"event":"mark"') if path.exists() else 0


def table_in(folder: Path) -> bytes:
    return next(folder.glob("data/summary/*/results.csv")).read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="kills as POSIX has them")
def test_a_study_of_the_reference_endpoint_is_marked_through_a_kill(
    tmp_path: Path, call: Callable[..., Ended]
) -> None:
    with served() as origin:
        native = f"ollama://{origin.partition('://')[2]}/{MODEL}"
        models = [
            {"name": "chat", "target": f"{origin}/v1", "model": MODEL},
            {"name": "native", "target": native},
        ]
        spec = write_study(tmp_path, models=models, runs=3, quality=QUALITY)
        assert call("study", "run", spec, "--out", tmp_path / "made", "--quiet").code == ExitCode.OK
    straight = tmp_path / "straight"
    shutil.copytree(tmp_path / "made", straight)
    ended = call("study", "score", straight)
    assert ended.code == ExitCode.OK, ended.err
    # Two models, two items at two loads, three repeats, four measures.
    assert marks_in(straight) == 2 * 4 * 3 * 4
    half = _half_marked(tmp_path)
    before = marks_in(half)
    again = call("study", "score", half)
    assert again.code == ExitCode.OK, again.err
    assert f"{2 * 4 * 3 * 4 - before} marks given" in again.err
    assert table_in(half) == table_in(straight)
    rows = [json.loads(line) for line in (half / "quality.jsonl").read_text("utf-8").splitlines()]
    given = Counter((row["run_id"], row["measure"]) for row in rows if row["event"] == "mark")
    assert set(given.values()) == {1}
    # The same block, once from the file and once from the folder, is the same measures.
    assert call("study", "score", half, "--spec", spec).err.count("0 marks given") == 1


def _half_marked(tmp_path: Path) -> Path:
    """A copy of the study whose marking was killed when a part of the marks was given."""
    for attempt in range(TRIES):
        folder = tmp_path / f"half-{attempt}"
        shutil.copytree(tmp_path / "made", folder)
        process = subprocess.Popen(
            [sys.executable, "-m", "hexgate", "study", "score", str(folder), "--quiet"],
            env={**os.environ, "HEXGATE_LANG": "en"},
        )
        while process.poll() is None and marks_in(folder) < 10:
            pass
        process.kill()
        process.wait()
        if 0 < marks_in(folder) < 2 * 4 * 3 * 4:
            return folder
    pytest.fail(f"none of {TRIES} kills came half way")


def test_the_table_has_mean_count_and_what_is_missing(done: Finished, call: Callable[..., Ended]) -> None:
    spec = done.spec_with(quality=[{"measure": "token_f1", "tasks": "talk"}])
    ended = call("study", "score", done.out, "--spec", spec)
    assert ended.code == ExitCode.OK
    lines = [re.split(r"  +", line) for line in ended.out.splitlines()]
    assert lines[0] == ["measure", "model", "mean", "n", "without a value"]
    assert lines[1] == ["token_f1", "alpha", "0.5556", "6", f"2 x {FAILED}"]
    assert "16 marks given" in ended.err
    assert str(done.table) in ended.err
    quiet = call("study", "score", done.out, "--spec", spec, "--quiet", "--again")
    assert (quiet.code, quiet.out, quiet.err) == (ExitCode.OK, "", "")


def test_the_table_in_chinese(
    done: Finished, process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    ended = process("-m", "hexgate", "study", "score", done.out, "--measure", "distinct", HEXGATE_LANG="zh")
    assert ended.returncode == ExitCode.OK, ended.stderr
    assert "均值" in ended.stdout
    assert "2 x 少于 2 个词" in ended.stdout
    assert "2 x 运行失败（http_500）" in ended.stdout
    assert "给出 20 个分数" in ended.stderr


def test_what_cannot_be_measured_here_ends_with_its_own_code(
    done: Finished, call: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    spec = done.spec_with(quality=[{"measure": "rouge"}, {"measure": "distinct"}])
    ended = call("study", "score", done.out, "--spec", spec)
    assert ended.code == ExitCode.EVIDENCE
    assert "rouge was not carried out:" in ended.err
    assert "[quality]" in ended.err
    assert marks_in(done.out) == 20
    assert re.search(r"rouge +alpha +- +0 +10 not marked", ended.out)


def test_a_mistake_is_told_and_nothing_is_marked(done: Finished, call: Callable[..., Ended]) -> None:
    for arguments, said in (
        ([], "the study names no measure of quality"),
        (["--measure", "distint"], "did you mean 'distinct'?"),
        (["--measure", "distinct", "--task", "talks"], "did you mean talk?"),
        (["--spec", str(done.folder / "none.yaml")], "the study cannot be read"),
    ):
        ended = call("study", "score", done.out, *arguments)
        assert (ended.code, "Traceback" in ended.err) == (ExitCode.INPUT, False)
        assert said in ended.err
    assert call("study", "score", done.folder / "none").code == ExitCode.INPUT
    assert marks_in(done.out) == 0


def test_refusals_and_help_are_there_in_chinese(
    done: Finished, process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    ended = process("-m", "hexgate", "study", "score", done.out, HEXGATE_LANG="zh")
    assert ended.returncode == ExitCode.INPUT
    assert "研究没有指定质量度量" in ended.stderr
    for name in ("score", "judge"):
        ended = process("-m", "hexgate", "study", name, "--help", HEXGATE_LANG="zh")
        assert ended.returncode == ExitCode.OK
        assert "退出码" in ended.stdout


@pytest.mark.parametrize(("english", "twin"), [*QUALITY_ERRORS, *STUDY_QUALITY_ERRORS])
def test_a_twin_names_no_gap_that_its_sentence_lacks(english: str, twin: str) -> None:
    check_twin(english, twin)


def test_a_measure_that_has_no_value_of_any_run_is_no_success(
    done: Finished, call: Callable[..., Ended]
) -> None:
    spec = done.spec_with(quality=[{"measure": "repetition", "options": {"n": 500}}])
    ended = call("study", "score", done.out, "--spec", spec)
    assert ended.code == ExitCode.EVIDENCE
    assert "repetition has no value of any run" in ended.err


def test_a_measure_whose_tasks_have_no_run_yet_lacks_nothing_beside_others() -> None:
    """One category of a study is over: the measures of the others have nothing to mark."""
    waits = Tally("token_f1", "m", None, 0, {}, 0)
    assert measures_without_value([waits, Tally("distinct", "m", 0.5, 3, {}, 0)]) == []
    assert measures_without_value([waits, Tally("distinct", "m", None, 0, {"no references": 3}, 0)]) == [
        "distinct"
    ]
    assert measures_without_value([waits]) == ["token_f1"]
