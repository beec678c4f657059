"""Tables of prompts as people write them: every spelling is found, and every mistake is told with its sheet and row."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import DataError, InputError, MissingExtra
from hexgate.study.prompts.columns import category_of, level_of, read_header
from hexgate.study.prompts.levels import LEVELS, PromptMistakes
from hexgate.study.prompts.table import Table, read_table
from support.prompt_tables import long, prompts_of, wide, write_csv, write_workbook


def read(path: Path) -> Table:
    return read_table([path], path)


def mistakes_of(path: Path) -> list[tuple[str, str]]:
    with pytest.raises(PromptMistakes) as caught:
        read(path)
    assert all(f"{where}: {what}" in str(caught.value) for where, what in caught.value.mistakes)
    return list(caught.value.mistakes)


@pytest.mark.parametrize("rows", [wide([81, 82]), long([81, 82])], ids=["wide", "long"])
def test_both_forms_give_the_same_from_csv_and_from_a_workbook(tmp_path: Path, rows: list[list[Any]]) -> None:
    found = read(write_csv(tmp_path / "prompts.csv", rows)).rows
    assert [(row.question_id, row.category) for row in found] == [("81", "writing"), ("82", "writing")]
    assert [list(row.levels.values()) for row in found] == [prompts_of(81), prompts_of(82)]
    assert [tuple(row.levels) for row in found] == [LEVELS, LEVELS]
    assert read(write_workbook(tmp_path / "prompts.xlsx", {"Sheet1": rows})).rows == found


@pytest.mark.parametrize(
    "header",
    [
        ["Question ID", "CATEGORY", "l0", "Prompt L1", "L2_prompt", "level 3", "P"],
        ["题号", "类别", "L0（基础版）", "L1（澄清版）", "L2（引导版）", "L3（示例版）", "P（冗余版）"],
        ["编号", "分类", "原始问题", "澄清版提示词", "引导版", "示例版", "冗余版"],
        ["qid", "class", "Base", "Clarified", "Guided", "Few-shot", "Padded"],
        ["id", "领域", "问题", "级别1", "级别 2", "Level_3", "填充"],
        ["序号", "Question Category", "question", "L1 version", "L2", "with examples", "redundant prompt"],
    ],
)
def test_columns_are_found_in_their_spellings(header: list[str]) -> None:
    columns = read_header(header)
    assert columns is not None
    assert dict(columns.levels) == dict(zip(LEVELS, range(2, 7), strict=True))
    assert (columns.known["question_id"], columns.known["category"]) == (0, 1)
    assert not columns.further


@pytest.mark.parametrize(
    ("said", "level"),
    [
        ("L1 tokens", None),
        ("L1 L2", None),
        ("price", None),
        ("", None),
        ("p", "P"),
        (" L3 ", "L3"),
        ("2", None),
    ],
)
def test_what_only_resembles_a_level_is_none(said: str, level: str | None) -> None:
    assert level_of(said) == level


def test_a_cell_may_say_the_level_by_its_number_alone() -> None:
    assert [level_of(str(number), bare=True) for number in range(5)] == ["L0", "L1", "L2", "L3", None]


@pytest.mark.parametrize(
    ("said", "category"),
    [
        ("写作", "writing"),
        ("Writing（写作）", "writing"),
        ("Role-play", "roleplay"),
        ("creative writing", "creative writing"),
        (" 诗歌 ", "诗歌"),
    ],
)
def test_categories_have_one_name(said: str, category: str) -> None:
    assert category_of(said) == category


def test_a_sheet_a_category_and_a_sheet_a_level(tmp_path: Path) -> None:
    by_category = {
        "写作": wide([1], None),
        "Math": wide([1], None),
        "说明": [["How this was made"], ["by hand"]],
    }
    table = read(write_workbook(tmp_path / "a.xlsx", by_category))
    assert [(row.category, row.question_id) for row in table.rows] == [("writing", "1"), ("math", "1")]
    assert table.left_out == (("sheet 说明", "no row names the columns of prompts"),)
    head = ["问题编号", "类别", "提示词"]
    by_level = {level: [head, [1, "数学", prompts_of(1)[place]]] for place, level in enumerate(LEVELS)}
    (row,) = read(write_workbook(tmp_path / "b.xlsx", by_level)).rows
    assert (row.category, list(row.levels.values())) == ("math", prompts_of(1))


def test_the_header_may_stand_below_a_title_and_blank_rows(tmp_path: Path) -> None:
    rows = [["Prompts of our study"], [], ["made in spring", None, "for all"], *wide([7])]
    assert len(read(write_workbook(tmp_path / "a.xlsx", {"Sheet1": rows})).rows) == 1


def test_further_columns_and_the_reference_are_kept(tmp_path: Path) -> None:
    head, one = wide([1])
    rows = [[*head, "参考答案", "tests", "L0 tokens", ""], [*one, "42", "def check(f): ...", 3, "beside"]]
    (row,) = read(write_csv(tmp_path / "a.csv", rows)).rows
    assert row.fields == {"reference": "42", "tests": "def check(f): ...", "L0 tokens": "3"}


def test_of_one_row_a_prompt_only_what_all_rows_agree_on_is_kept(tmp_path: Path) -> None:
    head, *rows = long([1])
    told = [[*row, "42", str(len(row[3]))] for row in rows]
    (row,) = read(write_csv(tmp_path / "a.csv", [[*head, "reference", "length"], *told])).rows
    assert row.fields == {"reference": "42"}
    told[2][4] = "43"
    assert mistakes_of(write_csv(tmp_path / "b.csv", [[*head, "reference", "length"], *told])) == [
        ("b.csv, row 4", "question 1 of writing has another reference in b.csv, row 2")
    ]


def test_every_mistake_is_told_at_once_by_sheet_and_row(tmp_path: Path) -> None:
    head, one, two, three, four = wide([1, 2, 3, 4])
    two[4] = None
    three[3] = 12.5
    four[5] = dt.datetime(2026, 1, 1)  # noqa: DTZ001 - as a workbook holds it
    rows = [head, one, two, [], one, three, four, [None, "writing", *prompts_of(5)], [6, " ", *prompts_of(6)]]
    other = [["题号", "L0", "L1", "L2", "L2 prompt", "P"], [1, *"abcde"]]
    path = write_workbook(tmp_path / "a.xlsx", {"all": rows, "Sheet2": other})
    assert mistakes_of(path) == [
        ("sheet all, row 3", "L2 of question 2 (writing) is empty"),
        ("sheet all, row 5", "question 1 of writing stands already in sheet all, row 2"),
        ("sheet all, row 6", "L1 of question 3 (writing) is a number, expected a text"),
        ("sheet all, row 7", "L3 of question 4 (writing) is a date, expected a text"),
        ("sheet all, row 8", "the id of the question is empty"),
        ("sheet all, row 9", "the category is empty"),
        ("sheet Sheet2, row 1", "'L2 prompt' is a second column of L2"),
        ("sheet Sheet2, row 1", "no column holds the categories, and the name of the sheet is none"),
        ("sheet Sheet2, row 1", "no column holds level L3"),
    ]


def test_of_one_row_a_prompt_a_lacking_level_and_an_unknown_one_are_told(tmp_path: Path) -> None:
    head, *rows = long([1])
    rows[1][2] = "L9"
    assert mistakes_of(write_csv(tmp_path / "a.csv", [head, *rows])) == [
        ("a.csv, row 3", "the level is 'L9', expected one of L0, L1, L2, L3, P"),
        ("a.csv, row 2", "question 1 of writing has no L1"),
    ]


def test_formulas_count_as_the_value_that_is_kept_of_them(tmp_path: Path) -> None:
    head, one = wide([1])
    one[2] = "=A1"
    assert mistakes_of(write_workbook(tmp_path / "a.xlsx", {"Sheet1": [head, one]})) == [
        ("sheet Sheet1, row 2", "L0 of question 1 (writing) is empty")
    ]


def test_more_than_twenty_mistakes_are_all_told(tmp_path: Path) -> None:
    head, *rows = wide(range(50))
    assert (
        len(mistakes_of(write_csv(tmp_path / "a.csv", [head, *([*row[:3], "", *row[4:]] for row in rows)])))
        == 50
    )


def test_line_breaks_of_a_spreadsheet_are_line_breaks(tmp_path: Path) -> None:
    head, one = wide([1])
    one[2] = "a_x000D_\nb\nc"
    (row,) = read(write_workbook(tmp_path / "a.xlsx", {"Sheet1": [head, one]})).rows
    assert row.levels["L0"] == "a\nb\nc"


def test_ids_that_a_spreadsheet_keeps_as_numbers_have_no_point(tmp_path: Path) -> None:
    head, one = wide([1])
    one[0] = 81.0
    (row,) = read(write_workbook(tmp_path / "a.xlsx", {"Sheet1": [head, one]})).rows
    assert row.question_id == "81"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.xlsx", b"no workbook", "not a spreadsheet that can be read"),
        ("a.xlsx", b"", "not a spreadsheet that can be read"),
        ("a.xls", b"x", "save it as .xlsx"),
        ("a.jsonl", b"{}", "hexgate study prompts build"),
        ("a", b"x", "not a table of prompts"),
        ("a.csv", b"", "empty"),
        ("a.csv", b"a,b\n1,2\n", "there is no table of prompts"),
        ("a.csv", b'question_id,L0,"', "not CSV"),
        ("a.csv", "题号,类别\n".encode("gb18030"), "GB18030"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    if name == "a.xlsx":
        pytest.importorskip("openpyxl")
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises((InputError, DataError)) as caught:
        read(path)
    assert words in str(caught.value)


def test_a_missing_file_and_a_missing_package_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="there is no such table"):
        read(tmp_path / "none.xlsx")
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"x")
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(MissingExtra, match="excel"):
        read(path)
