"""A folder of collected parts, changed after it was collected, or judged with what does not belong to it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hexgate.contract.collected import COLLECTED
from hexgate.gate.evidence import load_evidence
from hexgate.gate.judge import judge
from hexgate.gate.reason_codes import ReasonCode as Code
from hexgate.gate.verdict import GateVerdict, Verdict
from hexgate.platforms.collect import Expected, collect_run
from hexgate.stores.file import FileStore
from support.artifacts import RUN_ID, interval
from support.gate import INDICATORS, NOW, policy, put
from support.parts import publish_part

OTHER = "20261120T000000Z-ffffffff"
WORSE = {"f1": 0.5, "intervals": {"f1": interval(0.45, 0.55)}}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    publish_part(tmp_path / "store")
    collect_run(FileStore(tmp_path / "store"), Expected(RUN_ID, ("main",)), tmp_path / "here")
    return tmp_path / "here"


def judged(*folders: Path) -> GateVerdict:
    return judge(policy(), load_evidence(folders), now=NOW)


def codes(said: GateVerdict) -> set[Code]:
    return {problem.code for problem in said.problems}


def _edit(here: Path) -> None:
    path = here / "main" / "accuracy_f1.samples.jsonl"
    path.write_text('{"id":"b"}\n', encoding="utf-8")


def _better(here: Path) -> None:
    """A whole artifact in the place of another: it keeps its own contract, but is not what came."""
    put(here / "main", "accuracy_f1", f1=0.95, intervals={"f1": interval(0.93, 0.97)})


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file edited": _edit,
    "an artifact replaced": _better,
    "a file removed": lambda here: (here / "main" / "toxicity.json").unlink(),
    "a file added": lambda here: (here / "main" / "notes.txt").write_text("x", encoding="utf-8"),
    "a file added below": lambda here: (
        (here / "main" / "more").mkdir(),
        (here / "main" / "more" / "x.json").write_text("{}", encoding="utf-8"),
    ),
    "the folder renamed": lambda here: (here / "main").rename(here / "main2"),
}


@pytest.mark.parametrize("change", list(CHANGES.values()), ids=list(CHANGES))
def test_what_was_changed_since_is_no_evidence(here: Path, change: Callable[[Path], object]) -> None:
    assert judged(here).verdict is Verdict.PASS

    change(here)

    said = judged(here)
    assert said.verdict is Verdict.INVALID
    assert said.exit_code == 4
    assert codes(said) == {Code.PART_CHANGED}


def test_a_record_that_cannot_be_read_is_no_evidence(here: Path) -> None:
    (here / COLLECTED).write_text("{", encoding="utf-8")

    said = judged(here)

    assert said.verdict is Verdict.INVALID
    assert codes(said) == {Code.FOLDER_UNREADABLE}


@pytest.mark.parametrize("run_id", [RUN_ID, OTHER])
def test_an_artifact_beside_the_parts_is_no_evidence(here: Path, run_id: str) -> None:
    put(here, "accuracy_f1", name="better", run_id=run_id)

    said = judged(here)

    assert said.verdict is Verdict.INVALID
    assert codes(said) == {Code.PART_CHANGED}
    assert len(load_evidence([here]).exhibits) == len(INDICATORS)


def test_a_damaged_artifact_beside_the_parts_is_a_fault(here: Path) -> None:
    (here / "toxicity.json").write_text("{", encoding="utf-8")
    (here / "notes.json").write_text("{}", encoding="utf-8")

    assert codes(judged(here)) == {Code.PART_CHANGED}


@pytest.mark.parametrize("target", ["nowhere", "real.json"])
def test_a_record_that_is_a_link_is_refused(here: Path, target: str) -> None:
    (here / COLLECTED).rename(here / "real.json")
    (here / COLLECTED).symlink_to(target)

    for folder in (here, here / "main"):
        said = judged(folder)
        assert said.verdict is Verdict.INVALID
        assert Code.FOLDER_UNREADABLE in codes(said)


def test_the_folder_of_a_part_is_judged_as_that_part(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here.parent / "link").symlink_to(here / "main")
    monkeypatch.chdir(here)
    folders = (here / "main", here.parent / "link", Path("main"), here / "main" / "..", here)
    for folder in folders:
        assert judged(folder).verdict is Verdict.PASS

    _better(here)

    for folder in folders:
        assert codes(judged(folder)) == {Code.PART_CHANGED}
    assert len(judged(here, here / "main").problems) == len(judged(here).problems)


def test_the_folder_of_a_part_that_is_not_found_does_not_pass(tmp_path: Path) -> None:
    publish_part(tmp_path / "store")
    expected = Expected(RUN_ID, ("main",), until="2026-11-21T02:29:50Z")
    collect_run(FileStore(tmp_path / "store"), expected, tmp_path / "here")
    shutil.copytree(tmp_path / "here" / ".refused" / "main", tmp_path / "here" / "main")

    for folder in (tmp_path / "here" / ".refused" / "main", tmp_path / "here" / "main", tmp_path / "here"):
        said = judged(folder)
        assert said.verdict is Verdict.INVALID
        assert codes(said) == {Code.PART_LATE}


def test_an_artifact_of_another_run_in_another_folder_is_mixed(here: Path, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "toxicity", run_id=OTHER)

    said = judged(here, tmp_path / "elsewhere")

    assert said.verdict is Verdict.INVALID
    assert Code.PART_MIXED in codes(said)


def test_a_part_with_artifacts_of_another_run_is_mixed(tmp_path: Path) -> None:
    publish_part(tmp_path / "store", artifacts={"run_id": OTHER})
    collect_run(FileStore(tmp_path / "store"), Expected(RUN_ID, ("main",)), tmp_path / "here")

    said = judged(tmp_path / "here")

    assert said.verdict is Verdict.INVALID
    assert codes(said) == {Code.PART_MIXED}
    assert len(said.problems) == len(INDICATORS)


def test_the_verdict_beside_the_parts_is_not_evidence(here: Path) -> None:
    (here / "verdict.json").write_text(json.dumps(judged(here).to_json()), encoding="utf-8")

    again = judged(here)

    assert again.verdict is Verdict.PASS
    assert codes(again) == set()


def test_a_model_that_fails_fails_though_a_part_is_missing(tmp_path: Path) -> None:
    publish_part(tmp_path / "store", "accuracy_f1", indicators=["accuracy_f1"], artifacts=WORSE)
    expected = Expected(RUN_ID, ("accuracy_f1", "toxicity"))
    collect_run(FileStore(tmp_path / "store"), expected, tmp_path / "here")

    said = judged(tmp_path / "here")

    assert said.verdict is Verdict.FAIL
    assert Code.PART_MISSING in codes(said)


def test_artifacts_without_a_record_are_judged_as_ever(tmp_path: Path) -> None:
    for indicator in INDICATORS:
        put(tmp_path / "a", indicator, run_id=OTHER if indicator == "toxicity" else RUN_ID)

    assert judged(tmp_path / "a").verdict is Verdict.PASS
