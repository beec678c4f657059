"""`hexgate study prompts`: convert, build and check, as commands; and a whole study of their files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hexgate.cli.studies.prompts_zh import STUDY_PROMPTS_ERRORS
from hexgate.errors import ExitCode
from hexgate.study.prompts.check import read_prompts
from hexgate.study.prompts.levels import LEVELS
from support.command import Ended
from support.prompt_tables import long, wide, write_csv, write_workbook
from support.scripted import ScriptedServer
from support.served import served
from support.studies import write_study
from support.twins import check_twin, without_twin

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = ROOT / "examples" / "studies" / "questions.jsonl"
PROMPTS = ROOT / "examples" / "studies" / "prompts"
Call = Callable[..., Ended]


def some_questions(folder: Path, count: int = 2) -> Path:
    path = folder / "q.jsonl"
    path.write_text("\n".join(QUESTIONS.read_text("utf-8").splitlines()[:count]) + "\n", encoding="utf-8")
    return path


def grown(asked: str) -> str:
    return asked[asked.rindex("<prompt>") : -len("\n</prompt>")] + "\nGive your reasons.</prompt>"


def test_a_workbook_becomes_a_file_a_category(tmp_path: Path, call: Call) -> None:
    table = write_workbook(
        tmp_path / "generated_prompts.xlsx",
        {"写作": wide([81, 82], None), "math": wide([111], None), "说明": [["made", "by hand"]]},
    )
    out = tmp_path / "data"
    ended = call("study", "prompts", "convert", table, "--out", out)
    assert ended.code == ExitCode.OK, ended.err
    assert "3 questions at 5 levels in 2 files" in ended.out
    assert "left out: sheet 说明" in ended.err
    assert {path.name for path in out.iterdir()} == {
        "writing_prompts_hierarchical.csv",
        "math_prompts_hierarchical.csv",
        "prompts.json",
    }
    checked = call("study", "prompts", "check", out)
    assert checked.code == ExitCode.OK
    assert re.search(r"^writing +2 +12 +18 +24 +30 +36$", checked.out, re.MULTILINE)
    assert "3 questions x 5 levels = 15 prompts" in checked.out


def test_what_convert_wrote_convert_reads_again_to_the_byte(tmp_path: Path, call: Call) -> None:
    table = PROMPTS / "extraction_prompts_hierarchical.csv"
    ended = call("study", "prompts", "convert", table, "--out", tmp_path)
    assert ended.code == ExitCode.OK, ended.err
    assert (tmp_path / table.name).read_bytes() == table.read_bytes()


def test_with_a_mistake_nothing_is_written(tmp_path: Path, call: Call) -> None:
    rows = wide([1, 2])
    rows[2][4] = ""
    out = tmp_path / "data"
    ended = call("study", "prompts", "convert", write_csv(tmp_path / "a.csv", rows), "--out", out)
    assert ended.code == ExitCode.INPUT
    assert "1 mistake in the prompts:\n  a.csv, row 3: L2 of question 2 (writing) is empty" in ended.err
    assert not out.exists()


def test_levels_that_do_not_rise_are_told_and_checked(tmp_path: Path, call: Call) -> None:
    rows = wide([1, 2])
    rows[2][4] = "short"
    ended = call(
        "study", "prompts", "convert", write_csv(tmp_path / "a.csv", rows), "--out", tmp_path / "data"
    )
    assert ended.code == ExitCode.OK
    assert "levels not longer than the one before: 1" in ended.err
    checked = call("study", "prompts", "check", tmp_path / "data")
    assert checked.code == ExitCode.EVIDENCE
    assert "writing 2: L2 has 5 characters, L1 has 17" in checked.out


def test_what_lies_there_of_another_set_is_named(tmp_path: Path, call: Call) -> None:
    old = write_csv(tmp_path / "stem_prompts_hierarchical.csv", wide([1]))
    ended = call("study", "prompts", "convert", write_csv(tmp_path / "a.csv", long([1])), "--out", tmp_path)
    assert ended.code == ExitCode.OK
    assert f"{old} is not of this set" in ended.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("convert", "none.xlsx", "--out", "x"), "there is no such table"),
        (("check", "none"), "there is no such table"),
        (("check", "."), "no prompts in this folder"),
        (("build", "none.jsonl", "--out", "x"), "no such file of questions"),
        (("build", "q.jsonl", "--template", "none.yaml", "--out", "x"), "no such template"),
        (("build", "q.jsonl", "--template", "t", "--target", "u", "--out", "x"), "exclude each other"),
        (("build", "q.jsonl", "--model", "m", "--out", "x"), "--model needs --target"),
        (("build", "q.jsonl", "--attempts", "2", "--out", "x"), "--attempts needs --target"),
        (
            (
                "build",
                "q.jsonl",
                "--target",
                "http://127.0.0.1:9/v1",
                "--api-key-env",
                "NO_SUCH",
                "--out",
                "x",
            ),
            "NO_SUCH",
        ),
    ],
)
def test_a_mistake_of_use_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    some_questions(tmp_path)
    ended = call("study", "prompts", *arguments)
    assert ended.code == ExitCode.INPUT
    assert words in ended.err
    assert "Traceback" not in ended.err


def test_the_built_in_template_is_taken_with_the_flag_and_without_it(tmp_path: Path, call: Call) -> None:
    questions = some_questions(tmp_path)
    for name, flags in (
        ("a", ["--template"]),
        ("b", []),
        ("c", ["--template", str(QUESTIONS.parent / "prompt_template.yaml")]),
    ):
        ended = call("study", "prompts", "build", questions, *flags, "--out", tmp_path / name, "--quiet")
        assert (ended.code, ended.out) == (ExitCode.OK, "")
    made = [(tmp_path / name / "writing_prompts_hierarchical.csv").read_bytes() for name in "abc"]
    assert made[0] == made[1] == made[2]


def test_a_model_writes_the_levels(
    tmp_path: Path, call: Call, scripted: Callable[..., ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_TEST", "secret-7")
    server = scripted(chat=grown)
    command = (
        "study",
        "prompts",
        "build",
        some_questions(tmp_path),
        "--target",
        server.v1,
        "--model",
        "scripted",
    )
    out = tmp_path / "data"
    ended = call(*command, "--api-key-env", "KEY_OF_TEST", "--out", out)
    assert ended.code == ExitCode.OK, ended.err
    assert server.asked == 6
    assert [row.question_id for row in read_prompts(out).rows] == ["1001", "1002"]
    assert json.loads((out / "prompts.json").read_text("utf-8"))["model"] == "scripted"
    assert not any(b"secret-7" in path.read_bytes() for path in out.iterdir())
    again = call(*command, "--out", out)
    assert again.code == ExitCode.OK
    assert server.asked == 6


def test_what_a_model_does_not_give_is_missing(
    tmp_path: Path, call: Call, scripted: Callable[..., ScriptedServer]
) -> None:
    server = scripted(chat=lambda asked: "no" if "邮递员" in asked else grown(asked))
    out = tmp_path / "data"
    command = ("study", "prompts", "build", some_questions(tmp_path), "--target", server.v1, "--out", out)
    ended = call(*command, "--attempts", "2")
    assert ended.code == ExitCode.EVIDENCE
    assert "writing 1002 L1: the reply does not hold one text" in ended.err
    assert "1 of 2 questions lack a level" in ended.err
    assert server.asked == 3 + 2
    assert [row.question_id for row in read_prompts(out).rows] == ["1001"]
    how = json.loads((out / "prompts.json").read_text("utf-8"))
    assert [(one["question_id"], one["level"]) for one in how["missing"]] == [("1002", "L1")]
    server.chat = grown
    assert call(*command).code == ExitCode.OK
    assert len(read_prompts(out).rows) == 2


def test_without_a_server_nothing_is_made(tmp_path: Path, call: Call) -> None:
    ended = call(
        "study",
        "prompts",
        "build",
        some_questions(tmp_path),
        "--target",
        "http://127.0.0.1:9/v1",
        "--out",
        tmp_path / "x",
    )
    assert ended.code == ExitCode.TARGET
    assert "Traceback" not in ended.err


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ended_while_it_asks_it_goes_on_later(
    tmp_path: Path, call: Call, scripted: Callable[..., ScriptedServer], how: signal.Signals
) -> None:
    reached, going_on = threading.Event(), threading.Event()

    def chat(asked: str) -> str:
        if server.asked == 3:
            reached.set()
            going_on.wait(30)
        return grown(asked)

    server = scripted(chat=chat)
    command = [
        "study",
        "prompts",
        "build",
        str(some_questions(tmp_path)),
        "--target",
        server.v1,
        "--out",
        str(tmp_path / "x"),
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "hexgate", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HEXGATE_LANG": "en"},
    )
    assert reached.wait(60)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    going_on.set()
    if how != signal.SIGKILL:
        assert process.returncode == ExitCode.INTERRUPTED
        assert "run the same command again" in err
    assert "Traceback" not in err
    before = server.asked
    ended = call(*command)
    assert ended.code == ExitCode.OK, ended.err
    assert server.asked == before + 4
    assert len(read_prompts(tmp_path / "x").rows) == 2


def test_the_small_talk_of_the_reference_model_is_no_prompt(tmp_path: Path, call: Call) -> None:
    questions = some_questions(tmp_path, 1)
    with served() as origin:
        for target in (f"{origin}/v1", f"ollama{origin.removeprefix('http')}/hexgate-demo-lm"):
            command = ("build", questions, "--target", target, "--attempts", "1", "--max-tokens", "32")
            ended = call("study", "prompts", *command, "--out", tmp_path / "x")
            assert ended.code == ExitCode.EVIDENCE, ended.err
            assert "writing 1001 L1: " in ended.err
    kept = [json.loads(line) for line in (tmp_path / "x" / "prompts.jsonl").read_text("utf-8").splitlines()]
    assert [row["text"] for row in kept] == [None, None]
    assert all(row["reply"] for row in kept)


def test_a_study_of_these_prompts_runs_at_every_level(tmp_path: Path, call: Call) -> None:
    with served() as origin:
        path = write_study(
            tmp_path,
            models=[{"name": "m", "target": f"{origin}/v1"}],
            tasks=[{"name": "math", "items": str(PROMPTS / "math_prompts_hierarchical.csv")}],
            loads=[{"name": level, "prompt": level} for level in LEVELS],
            runs=1,
            request={"max_tokens": 4},
        )
        ended = call("study", "run", path, "--out", tmp_path / "out", "--quiet")
    assert ended.code == ExitCode.OK, ended.err
    rows = [json.loads(line) for line in (tmp_path / "out" / "runs.jsonl").read_text("utf-8").splitlines()]
    lengths = {(row["item"], row["load"]): row["api_metrics"]["prompt_eval_count"] for row in rows}
    assert len(lengths) == 3 * len(LEVELS)
    for item in ("1008", "1009", "1010"):
        found = [lengths[item, level] for level in LEVELS]
        assert found == sorted(set(found))


@pytest.mark.parametrize("name", ["convert", "build", "check"])
def test_the_help_is_there_in_chinese(
    process: Callable[..., subprocess.CompletedProcess[str]], name: str
) -> None:
    ended = process("-m", "hexgate", "--lang", "zh", "study", "prompts", name, "--help")
    assert ended.returncode == ExitCode.OK
    assert "退出码" in ended.stdout


def test_mistakes_are_told_in_chinese(
    tmp_path: Path, process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    rows = wide([1, 2])
    rows[2][4] = ""
    path = write_csv(tmp_path / "表.csv", rows)
    ended = process("-m", "hexgate", "study", "prompts", "check", path, HEXGATE_LANG="zh")
    assert ended.returncode == ExitCode.INPUT
    assert "提示词中有 1 处错误" in ended.stderr
    assert "表.csv 第 3 行: 题目 2（writing）的 L2 为空" in ended.stderr


@pytest.mark.parametrize(("english", "twin"), STUDY_PROMPTS_ERRORS)
def test_a_twin_names_no_gap_that_its_sentence_lacks(english: str, twin: str) -> None:
    check_twin(english, twin)


@pytest.mark.parametrize(
    "name",
    [
        "hexgate.cli.studies.prompts_build",
        "hexgate.study.prompts.check",
        "hexgate.study.prompts.levels",
        "hexgate.study.prompts.model",
        "hexgate.study.prompts.questions",
        "hexgate.study.prompts.table",
        "hexgate.study.prompts.template",
        "hexgate.study.prompts.workbook",
    ],
)
def test_every_sentence_of_a_refusal_has_a_twin(name: str) -> None:
    assert without_twin(name) == []
