"""`hexgate study check` and `hexgate study export`: a study from its first request to its files, and refusals."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from hexgate.cli.studies.export_zh import STUDY_EXPORT_ERRORS
from hexgate.errors import ExitCode
from hexgate.reference.endpoint import start_server
from hexgate.study.exports.staging import STAGE, staged
from hexgate.study.exports.workbooks import WORKBOOKS
from support import needs
from support.command import Ended
from support.made_studies import LEVELS, failing, made_study
from support.studies import write_study
from support.study_running import carried_out
from support.twins import check_twin, without_twin

FILES = {
    "all_responses.csv",
    "checks.json",
    "runs_levels-一.jsonl",
    "scores_absolute.csv",
    "summary_report.txt",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_study(tmp_path_factory.mktemp("made"))


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A study with a run that failed, one that was not made, and prompts that do not grow."""

    def change(record: dict[str, Any]) -> dict[str, Any] | None:
        place = record["model"], record["item"], record["load"]
        if place == ("amber", "81", "L0"):
            return None
        if place == ("amber", "82", "L0"):
            return failing(record)
        if place == ("amber", "83", "L3"):
            return {**record, "api_metrics": {**record["api_metrics"], "prompt_eval_count": 100}}
        return record

    return made_study(tmp_path / "made", change=change)


def test_a_whole_study_passes(whole: Path, call: Callable[..., Ended]) -> None:
    ended = call("study", "check", whole)
    assert ended.code == ExitCode.OK, ended.err
    assert ended.out.splitlines()[-1] == "30 runs planned, 30 over, 0 failed; 0 violations"
    assert "amber P, not judged: longer than L3 for 0 of 3 prompts" in ended.out


def test_what_does_not_hold_is_listed_with_its_place(broken: Path, call: Callable[..., Ended]) -> None:
    ended = call("study", "check", broken)
    assert ended.code == ExitCode.EVIDENCE
    assert "amber writing 81 L0 run 1: got no run, expected a run" in ended.out
    assert (
        "amber writing 82 L0 run 1: got failed: timeout: +no reply in time, expected a run that" in ended.out
    )
    assert "amber 数学 83 L3 run 1: got 100 prompt tokens, and 122 at L2" in ended.out
    told = json.loads(call("study", "check", broken, "--json").out)
    assert told["violations"] == 3
    assert {one["check"]: len(one["violations"]) for one in told["checks"] if one["violations"]} == {
        "counts": 1,
        "failed": 1,
        "rising": 1,
    }
    rest = call("study", "check", broken, "--without", "counts,failed, rising")
    assert rest.code == ExitCode.OK


def test_long_lists_are_cut_and_can_be_had_whole(tmp_path: Path, call: Callable[..., Ended]) -> None:
    out = made_study(tmp_path, judge=None, change=lambda _: None)
    short, whole_ = call("study", "check", out).out, call("study", "check", out, "--all").out
    assert short.count("got no run") == 3
    assert "… 27 more (1 different findings in all)" in short
    assert whole_.count("got no run") == 30


def test_all_of_it_is_told_in_chinese(
    broken: Path, process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    ended = process("-m", "hexgate", "--lang", "zh", "study", "check", broken)
    assert ended.returncode == ExitCode.EVIDENCE
    assert "amber writing 81 L0 第 1 次: 得到 没有运行，应为 一次运行" in ended.stdout
    assert "提示词 100 个词元，L2 为 122 个" in ended.stdout
    assert not re.search(r"\b(got|expected|looked|violated)\b", ended.stdout)


def test_an_export_has_every_file(whole: Path, tmp_path: Path, call: Callable[..., Ended]) -> None:
    needs.module("openpyxl")
    out = tmp_path / "exported"
    ended = call("study", "export", whole, "--out", out)
    assert ended.code == ExitCode.OK, ended.err
    assert "30 of 30 runs exported, 30 texts; 0 violations" in ended.err
    assert {path.name for path in out.iterdir()} == FILES | set(WORKBOOKS) | {"responses_by_model"}
    assert len(list(out.glob("responses_by_model/*/*.txt"))) == 30
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    again = call("study", "export", whole, "--out", out, "--quiet")
    assert (again.code, again.err) == (ExitCode.OK, "")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_the_summary_counts_and_says_what_is_missing(
    broken: Path, tmp_path: Path, call: Callable[..., Ended]
) -> None:
    out = tmp_path / "exported"
    ended = call("study", "export", broken, "--out", out, "--no-workbooks")
    assert ended.code == ExitCode.OK
    assert "3 violations (see checks.json)" in ended.err
    assert {path.name for path in out.iterdir()} == FILES | {"responses_by_model"}
    assert json.loads((out / "checks.json").read_text("utf-8"))["violations"] == 3
    text = (out / "summary_report.txt").read_text("utf-8")
    assert "Runs: 30 planned, 29 over, 1 of them failed, 1 left" in text
    assert re.search(r"^amber +1/3 +3/3 +3/3 +3/3 +3/3$", text, re.MULTILINE)
    assert "energy_j: 1 x the run has not been made" in text
    assert "energy_j: 1 x the run failed" in text
    row = next(line for line in text.splitlines() if line.startswith("amber") and " L0 " in line)
    assert "1250.0 (2)" in row


def test_the_summary_is_there_in_chinese(
    whole: Path, tmp_path: Path, process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    out = tmp_path / "exported"
    ended = process("-m", "hexgate", "--lang", "zh", "study", "export", whole, "--out", out, "--no-workbooks")
    assert ended.returncode == ExitCode.OK, ended.stderr
    assert "已导出 30 次运行中的 30 次" in ended.stderr
    text = (out / "summary_report.txt").read_text("utf-8")
    assert "研究：levels 一" in text
    assert "按模型与级别的均值" in text
    assert not re.search(r"\b(Runs|looked|Means|Study)\b", text)


def test_files_of_others_are_not_written_over(
    whole: Path, tmp_path: Path, call: Callable[..., Ended]
) -> None:
    theirs = tmp_path / "exported_responses"
    theirs.mkdir()
    (theirs / "all_responses.csv").write_text("theirs", "utf-8")
    ended = call("study", "export", whole, "--out", theirs, "--no-workbooks")
    assert ended.code == ExitCode.INPUT
    assert "files that are of no export" in ended.err
    assert (theirs / "all_responses.csv").read_text("utf-8") == "theirs"


def test_workbooks_that_are_left_out_do_not_stay_as_they_were(
    whole: Path, tmp_path: Path, call: Callable[..., Ended]
) -> None:
    out = tmp_path / "exported"
    assert call("study", "export", whole, "--out", out, "--no-workbooks").code == ExitCode.OK
    for name in WORKBOOKS:
        (out / name).write_bytes(b"of an earlier export")
    assert call("study", "export", whole, "--out", out, "--no-workbooks").code == ExitCode.OK
    assert not any((out / name).exists() for name in WORKBOOKS)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_export_that_cannot_be_written_leaves_the_one_before(
    whole: Path, broken: Path, tmp_path: Path, call: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "exported"
    assert call("study", "export", broken, "--out", out, "--no-workbooks").code == ExitCode.OK
    before = contents(out)

    def full(*told: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hexgate.cli.studies.export.summary_text", full)
    ended = call("study", "export", whole, "--out", out, "--no-workbooks")
    assert ended.code == ExitCode.INPUT
    assert "cannot be written (No space left on device)" in ended.err
    assert contents(out) == before


def test_an_export_that_was_killed_is_brought_up_to_date_and_told_from_a_whole_one(
    whole: Path, broken: Path, tmp_path: Path, call: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, fresh = tmp_path / "exported", tmp_path / "fresh"
    for folder, into in ((whole, out), (broken, fresh)):
        assert call("study", "export", folder, "--out", into, "--no-workbooks").code == ExitCode.OK
    (out / "notes.txt").write_text("mine", "utf-8")
    moved = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if self.name == "scores_absolute.csv" and self.parent.name == STAGE:
            raise KeyboardInterrupt
        return moved(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    assert call("study", "export", broken, "--out", out, "--no-workbooks").code == ExitCode.INTERRUPTED
    assert not (out / "checks.json").exists()
    monkeypatch.undo()
    # Killed once more, while the files are written: it is still known that those of the folder are of an export.
    monkeypatch.setattr("hexgate.cli.studies.export.scores_csv", lambda _: sys.exit(9))
    call("study", "export", broken, "--out", out, "--no-workbooks")
    monkeypatch.undo()
    assert call("study", "export", broken, "--out", out, "--no-workbooks").code == ExitCode.OK
    assert contents(out) == {**contents(fresh), "notes.txt": b"mine"}


def test_two_exports_into_one_folder_do_not_mix(
    whole: Path, tmp_path: Path, call: Callable[..., Ended]
) -> None:
    out = tmp_path / "out"
    with staged(out, "checks.json") as stage:
        (stage / "half").write_text("of the first", "utf-8")
        ended = call("study", "export", whole, "--out", out, "--no-workbooks")
        assert ended.code == ExitCode.INPUT
        assert "another export is being written into this folder" in ended.err
        assert (stage / "half").read_text("utf-8") == "of the first"


def test_the_export_of_another_study_is_not_written_over(
    whole: Path, tmp_path: Path, call: Callable[..., Ended]
) -> None:
    out = tmp_path / "exported"
    assert call("study", "export", whole, "--out", out, "--no-workbooks").code == ExitCode.OK
    other = made_study(tmp_path / "other", models=["m"], judge=None)
    ended = call("study", "export", other, "--out", out, "--no-workbooks")
    assert ended.code == ExitCode.INPUT
    assert "another study" in ended.err
    into = call("study", "export", other, "--out", other, "--no-workbooks")
    assert into.code == ExitCode.INPUT


def test_without_openpyxl_nothing_is_written(
    whole: Path, tmp_path: Path, call: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "hexgate.cli.studies.export.find_spec", lambda name: None if name == "openpyxl" else find_spec(name)
    )
    ended = call("study", "export", whole, "--out", tmp_path / "out")
    assert ended.code == ExitCode.INPUT
    assert "[excel]" in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [["check"], ["export", "--out", "exported"]])
def test_a_folder_without_a_study_is_refused(
    tmp_path: Path, call: Callable[..., Ended], arguments: list[str]
) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        ended = call("study", *arguments, folder)
        assert ended.code == ExitCode.INPUT
        assert "Traceback" not in ended.err


def test_a_ledger_that_is_not_json_is_told_with_its_line(
    whole: Path, tmp_path: Path, call: Callable[..., Ended]
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "copy"))
    with (out / "runs.jsonl").open("ab") as file:
        file.write(b'{"run_id": NaN}\n')
    ended = call("study", "check", out)
    assert ended.code == ExitCode.EVIDENCE
    assert "runs.jsonl:31" in ended.err


@pytest.mark.parametrize("flags", [["--without", "speed"], ["--rising", "L0,L9"]])
def test_a_name_that_there_is_none_of_is_refused(
    whole: Path, call: Callable[..., Ended], flags: list[str]
) -> None:
    ended = call("study", "check", whole, *flags)
    assert ended.code == ExitCode.INPUT
    assert "no such" in ended.err


def test_a_study_of_the_reference_endpoint_is_checked_and_exported(
    tmp_path: Path, call: Callable[..., Ended]
) -> None:
    words = {"L0": 0, "L1": 15, "L2": 30, "L3": 45, "P": 20}
    items = [
        {"question_id": number, "category": "writing"}
        | {
            level: f"Tell me about garden {number}. {'More words. ' * count}"
            for level, count in words.items()
        }
        for number in (81, 82)
    ]
    with start_server() as server:
        path = write_study(
            tmp_path / "spec",
            items=items,
            models=[{"name": "chat", "target": f"{server.url}/v1", "model": "hexgate-demo-lm"}],
            tasks=[{"name": "writing", "items": "items.jsonl"}],
            loads=[{"name": level, "prompt": level} for level in LEVELS],
            runs=1,
            meters=["rapl"],
            request={"max_tokens": 200},
        )
        assert carried_out(path, tmp_path / "out").stopped is None
    told = json.loads(call("study", "check", tmp_path / "out", "--json", "--without", "energy,truncated").out)
    assert told["passed"], told
    status = {one["check"]: one["status"] for one in told["checks"]}
    assert status["rising"] == status["records"] == status["table"] == status["texts"] == "ok"
    assert (status["scores"], status["energy"]) == ("not_applicable", "left_out")
    ended = call("study", "export", tmp_path / "out", "--out", tmp_path / "exported", "--no-workbooks")
    assert ended.code == ExitCode.OK
    with (tmp_path / "exported" / "all_responses.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["question_id"], row["level"]) for row in rows] == [
        (number, level) for number in ("81", "82") for level in LEVELS
    ]
    assert all(row["response"] and float(row["latency_ms"]) > 0 for row in rows)
    assert all(row["energy_j"] or "energy_j" in row["missing"] for row in rows)


@pytest.mark.parametrize(("english", "twin"), STUDY_EXPORT_ERRORS)
def test_a_twin_names_no_gap_that_its_sentence_lacks(english: str, twin: str) -> None:
    check_twin(english, twin)


@pytest.mark.parametrize(
    "name",
    [
        "hexgate.cli.studies.export",
        "hexgate.study.checks.checks",
        "hexgate.study.checks.records",
        "hexgate.study.checks.folder",
        "hexgate.study.reading",
    ],
)
def test_every_sentence_has_a_twin(name: str) -> None:
    assert without_twin(name) == []


def test_the_commands_start_without_openpyxl() -> None:
    modules = "hexgate.cli.studies.export, hexgate.cli.studies.check"
    script = f"import sys, {modules}; print('openpyxl' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
