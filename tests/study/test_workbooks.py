"""The five workbooks, read back by openpyxl: numbers are numbers, empty is not 0, nothing is a formula."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import MissingExtra
from hexgate.study.exports.places import places
from hexgate.study.exports.workbook_file import Column, Sheet, workbook_bytes
from hexgate.study.exports.workbooks import WORKBOOKS, workbooks
from hexgate.study.reading import Reading, read_study
from support import needs
from support.made_studies import (
    LEVELS,
    NET_W,
    QUESTIONS,
    completion_tokens,
    failing,
    latency_s,
    made_study,
    scores_of,
)

STAMP = datetime(2026, 1, 31, tzinfo=timezone.utc)


@pytest.fixture(scope="module", autouse=True)
def _openpyxl() -> None:
    needs.module("openpyxl")


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Reading:
    def change(record: dict[str, Any]) -> dict[str, Any] | None:
        place = record["model"], record["item"], record["load"]
        if place == ("amber", "82", "L1"):
            return failing(record)
        return None if place == ("amber", "83", "P") else record

    return read_study(made_study(tmp_path_factory.mktemp("made"), change=change))


@pytest.fixture(scope="module")
def books(reading: Reading) -> dict[str, Any]:
    from openpyxl import load_workbook

    return {name: load_workbook(io.BytesIO(data)) for name, data in workbooks(reading)}


def table(page: Any) -> list[dict[str, Any]]:
    header, *rows = page.iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_there_are_five_each_with_a_sheet_that_explains_and_one_a_model(books: Mapping[str, Any]) -> None:
    assert tuple(books) == WORKBOOKS
    assert len(books) == 5
    for name, book in books.items():
        assert book.sheetnames[0] == "about"
        assert {"amber", "梅花-1b"} <= set(book.sheetnames), name
        about = {row["name"]: row for row in table(book["about"])}
        assert about["study"]["what it is"] == "levels 一"
        assert about["an empty cell"]["说明"].startswith("无法测得")
        for page in book.worksheets[1:]:
            for cell in page[1]:
                title = str(cell.value).partition(" [")[0].removeprefix("mean ")
                known = title in about or title.startswith(("L0", "L1", "L2", "L3", "P", "low 95", "high 95"))
                assert (
                    known
                    or title in {"model", "figure", "unit", "run_id", "runs planned", "runs ok"}
                    or any(
                        word in title for word in ("change", "best", "score", "energy", "latency", "n with")
                    )
                ), (name, page.title, title)


@pytest.mark.parametrize(
    ("book", "figure", "digits"),
    [
        ("energy_per_run.xlsx", lambda level, number: NET_W * latency_s(level, number), "0.000"),
        ("latency_per_run.xlsx", lambda level, number: 1000 * latency_s(level, number), "0.0"),
        ("output_tokens_per_run.xlsx", completion_tokens, "0"),
    ],
)
def test_a_figure_stands_by_question_and_level_with_means_below(
    books: Mapping[str, Any], book: str, figure: Any, digits: str
) -> None:
    page = books[book]["amber"]
    unit = {"0.000": "J", "0.0": "ms", "0": "tokens"}[digits]
    rows = table(page)
    assert [row["question_id"] for row in rows[:3]] == [81, 82, 83]
    for place, row in enumerate(rows[:3]):
        for level in LEVELS:
            value = row[f"{level} [{unit}]"]
            if (row["question_id"], level) in {(82, "L1"), (83, "P")}:
                assert value is None
                continue
            assert value == figure(level, row["question_id"])
            cell = page.cell(row=place + 2, column=list(row).index(f"{level} [{unit}]") + 1)
            assert (cell.data_type, cell.number_format) == ("n", digits)
    assert rows[1]["reason"] == "L1: the run failed"
    assert rows[2]["reason"] == "P: the run has not been made"
    labels = {row["category"]: row for row in rows[3:]}
    assert list(labels) == ["mean: writing", "mean: 数学", "mean: all", "n", "missing"]
    assert labels["mean: writing"][f"L1 [{unit}]"] == figure("L1", 81)
    known = [figure("P", number) for number in (81, 82)]
    assert labels["mean: all"][f"P [{unit}]"] == pytest.approx(sum(known) / 2)
    assert labels["mean: 数学"][f"P [{unit}]"] is None
    assert (labels["n"][f"P [{unit}]"], labels["missing"][f"P [{unit}]"]) == (2, 1)


def test_headers_stay_in_sight_and_rows_can_be_filtered(books: Mapping[str, Any]) -> None:
    for book in books.values():
        for page in book.worksheets:
            assert page.freeze_panes is not None
            assert page.freeze_panes.endswith("2")
            assert page.auto_filter.ref.startswith("A1:")
            assert page["A1"].font.bold
            assert page.column_dimensions["A"].width > 8
    page = books["energy_per_run.xlsx"]["amber"]
    assert page.auto_filter.ref.endswith("4"), "the means are no rows to sort"


def test_scores_stand_with_their_reasons(books: Mapping[str, Any]) -> None:
    page = books["quality_scores_detailed.xlsx"]["amber"]
    rows = table(page)
    runs = rows[:15]
    assert {(row["question_id"], row["level"]) for row in runs} == {
        (number, level) for number in QUESTIONS for level in LEVELS
    }
    for row in runs:
        key = row["level"], row["question_id"]
        if key == ("L1", 82):
            assert row["total_score [0 to 10]"] is row["factuality [0 to 2.5]"] is None
            assert "the run failed" in row["reason"]
        elif key == ("P", 83):
            assert "the run has not been made" in row["reason"]
        else:
            scores = scores_of(*key)
            assert row["total_score [0 to 10]"] == sum(scores.values())
            assert row["conciseness [0 to 2.5]"] == scores["conciseness"]
            assert row["rationale_structure"] == "=why structure, 因为"
            assert row["reason"] is None
            assert row["text_file"] == f"responses_by_model/amber/{key[0]}_{row['category']}_{key[1]}.txt"
    assert [row["category"] for row in rows[15:]] == ["mean: all", "n", "missing"]
    assert rows[16]["total_score [0 to 10]"] == 13
    texts = [
        cell for line in page.iter_rows(min_row=2, max_row=16) for cell in line if isinstance(cell.value, str)
    ]
    assert {cell.data_type for cell in texts} == {"s"}
    assert all(cell.quotePrefix for cell in texts if cell.value.startswith("=why"))


def test_models_and_levels_are_compared(books: Mapping[str, Any]) -> None:
    book = books["model_comparison.xlsx"]
    assert book.sheetnames == ["about", "comparison", "best level per cost", "amber", "梅花-1b"]
    wide = {(row["model"], row["level"]): row for row in table(book["comparison"])}
    assert len(wide) == 10
    row = wide["梅花:1b", "L2"]
    assert (row["runs planned"], row["runs ok"], row["reason"]) == (3, 3, None)
    assert row["mean total_score [0 to 10]"] == pytest.approx(
        sum(sum(scores_of("L2", number).values()) for number in QUESTIONS) / 3
    )
    joules = [NET_W * latency_s("L2", number) for number in QUESTIONS]
    assert row["mean energy_j [J]"] == pytest.approx(sum(joules) / 3)
    assert row["score per joule [points/J]"] == pytest.approx(
        sum(sum(scores_of("L2", number).values()) for number in QUESTIONS) / sum(joules)
    )
    assert "1 run: the run failed" in wide["amber", "L1"]["reason"]
    long = {(row["level"], row["figure"]): row for row in table(book["梅花-1b"])}
    energy = long["L2", "energy_j"]
    assert (energy["n"], energy["missing"], energy["questions"], energy["unit"]) == (3, 0, 3, "J")
    assert energy["mean"] == pytest.approx(sum(joules) / 3)
    alike = long["L0", "structure"]
    assert (alike["low 95 %"], alike["reason"]) == (None, "all values are alike, which bounds nothing")
    assert ("all", "latency_ms") in long
    best = [row for row in table(book["best level per cost"]) if row["model"] == "amber"]
    assert [row["level"] for row in best] == list(LEVELS)
    assert [row["best per joule"] for row in best].count("best") == 1
    assert "compared with" in best[0]["reason"]


def test_all_runs_stand_in_one_list(books: Mapping[str, Any], reading: Reading) -> None:
    rows = table(books["energy_per_run.xlsx"]["all runs"])
    assert [row["run_id"] for row in rows] == [place.run_id for place in places(reading)]
    by_status = {row["status"]: row for row in rows}
    assert set(by_status) == {"ok", "failed", "not made"}
    assert by_status["not made"]["energy_j [J]"] is None
    assert "the run has not been made" in by_status["not made"]["reason"]
    assert by_status["ok"]["energy_uncertainty_j [J]"] == 0.125


def test_the_same_study_gives_the_same_bytes(reading: Reading) -> None:
    again = read_study(reading.folder)
    assert dict(workbooks(reading)) == dict(workbooks(again))


def test_a_study_without_a_judge_has_empty_scores_and_says_so(tmp_path: Path) -> None:
    from openpyxl import load_workbook

    made = read_study(made_study(tmp_path, models=["about", "all runs"], judge=None))
    books = {name: load_workbook(io.BytesIO(data)) for name, data in workbooks(made)}
    assert books["energy_per_run.xlsx"].sheetnames == ["about", "about~2", "all runs~2", "all runs"]
    rows = table(books["quality_scores_detailed.xlsx"]["about~2"])
    assert all(row["total_score [0 to 10]"] is None and row["reason"] for row in rows[:15])
    assert rows[15]["total_score [0 to 10]"] is None


def test_odd_texts_neither_break_a_workbook_nor_become_formulas() -> None:
    from openpyxl import load_workbook

    odd = ["=1+1", "#N/A", "a\x00b", "x" * 40_000, " lead", "", "<&>", "第一行\n第二行"]
    sheet = Sheet("odd", [Column("text")], [[text] for text in odd])
    page = load_workbook(io.BytesIO(workbook_bytes([sheet], title="odd", stamp=STAMP)))["odd"]
    cells = [page.cell(row=place, column=1) for place in range(2, 2 + len(odd))]
    assert [cell.value for cell in cells[:3]] == ["=1+1", "#N/A", "a\ufffdb"]
    assert len(cells[3].value) == 32_767
    assert [cell.value for cell in cells[4:]] == [" lead", None, "<&>", "第一行\n第二行"]
    assert {cell.data_type for cell in cells if cell.value is not None} == {"s"}


def test_a_long_header_makes_no_column_that_spreadsheets_refuse() -> None:
    from openpyxl import load_workbook

    data = workbook_bytes([Sheet("a", [Column("级" * 400)], [[1]])], title="t", stamp=STAMP)
    assert load_workbook(io.BytesIO(data))["a"].column_dimensions["A"].width <= 255


def test_without_openpyxl_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtra, match="writing workbooks") as raised:
        workbook_bytes([Sheet("a", [Column("a")], [])], title="a", stamp=STAMP)
    assert "[excel]" in str(raised.value)
