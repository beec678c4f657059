"""`hexgate study report`: a page of a folder, and every way in which there is none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hexgate.cli.errors_zh import error_in_chinese
from hexgate.cli.studies.report_zh import STUDY_REPORT_ERRORS
from hexgate.errors import ExitCode
from support.readings import MODELS, Made, synthetic

HAN = re.compile("[\u4e00-\u9fff]")


def report(*arguments: str | Path, lang: str = "en") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hexgate", "--lang", lang, "study", "report", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return synthetic(tmp_path_factory.mktemp("study"), models=MODELS[:2], questions=1, levels=("L0", "L1"))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_is_written_in_the_language_that_was_asked_for(
    made: Made, tmp_path: Path, lang: str
) -> None:
    out = tmp_path / "new" / "page.html"
    done = report(made.out, "--spec", made.spec, "--out", out, lang=lang)
    assert done.returncode == ExitCode.OK, done.stderr
    assert str(out) in done.stderr
    page = out.read_text("utf-8")
    assert f'data-lang="{lang}"' in page
    assert page.endswith("</html>\n")


def test_every_way_in_which_there_is_no_page(made: Made, tmp_path: Path) -> None:
    other = synthetic(tmp_path / "other", models=MODELS[:1], questions=1)
    empty = tmp_path / "empty"
    empty.mkdir()
    page = tmp_path / "page.html"
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    cases = [
        ((made.out,), ExitCode.INPUT, "--out is missing"),
        ((empty, "--out", page), ExitCode.INPUT, "the folder holds no study"),
        ((tmp_path / "absent", "--out", page), ExitCode.INPUT, "the folder holds no study"),
        ((made.out, "--spec", other.spec, "--out", page), ExitCode.INPUT, "describes another study"),
        ((made.out, "--out", file / "page.html"), ExitCode.INPUT, "it cannot be written"),
    ]
    for arguments, code, said in cases:
        done = report(*arguments)
        assert done.returncode == code, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert not page.exists()


def test_a_ledger_that_is_none_of_ours_is_refused_and_the_old_page_stays(tmp_path: Path) -> None:
    made = synthetic(tmp_path, models=MODELS[:1], questions=1)
    page = tmp_path / "page.html"
    page.write_text("old", encoding="utf-8")
    (made.out / "quality.jsonl").write_text('{"x":1}\n', encoding="utf-8")
    done = report(made.out, "--out", page)
    assert done.returncode == ExitCode.EVIDENCE
    assert "Traceback" not in done.stderr
    assert page.read_text("utf-8") == "old"


def test_what_it_refuses_has_a_chinese_twin() -> None:
    for english, chinese in STUDY_REPORT_ERRORS:
        assert error_in_chinese(english) == chinese
        assert HAN.search(chinese)
