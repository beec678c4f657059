"""`hexgate study run --task`: the runs of one task now, the rest of the same study later."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import ExitCode
from support.command import Ended
from support.served import served
from support.studies import write_study

TASKS = [{"name": name, "items": "items.jsonl"} for name in ("writing", "math")]


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with served() as url:
        yield url


def records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "runs.jsonl").read_text("utf-8").splitlines()]


def test_one_task_now_and_the_rest_later(tmp_path: Path, origin: str, call: Callable[..., Ended]) -> None:
    models = [{"name": "m", "target": f"{origin}/v1", "model": "hexgate-demo-lm"}]
    path = write_study(tmp_path, models=models, tasks=TASKS, loads=[{"name": "L0"}])
    out = tmp_path / "out"
    assert call("study", "run", path, "--out", out, "--task", "math").code == ExitCode.OK
    first = records(out)
    assert [record["task"] for record in first] == ["math"] * 4
    assert call("study", "run", path, "--out", out).code == ExitCode.OK
    assert records(out)[:4] == first
    assert sorted(record["task"] for record in records(out)) == ["math"] * 4 + ["writing"] * 4
    assert len({record["run_id"] for record in records(out)}) == 8


def test_the_plan_of_one_task_has_its_runs_alone(tmp_path: Path, call: Callable[..., Ended]) -> None:
    path = write_study(tmp_path, tasks=TASKS)
    whole = json.loads(call("study", "run", path, "--plan-only").out)
    part = json.loads(call("study", "run", path, "--plan-only", "--task", "math").out)
    assert part["plan_sha256"] == whole["plan_sha256"]
    assert [run for run in whole["runs"] if run["task"] == "math"] == part["runs"]
    assert part["estimate"]["runs"] == len(part["runs"]) == 8


def test_a_task_that_the_study_has_not_is_refused(tmp_path: Path, call: Callable[..., Ended]) -> None:
    ended = call("study", "run", write_study(tmp_path, tasks=TASKS), "--plan-only", "--task", "maths")
    assert ended.code == ExitCode.INPUT
    assert "the study has no such task" in ended.err
    assert "one of writing, math" in ended.err
