"""What spreadsheets take: no formula by accident, names of sheets that Excel accepts, texts that fit a cell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.study.exports.spreadsheet import cell_text, guarded, is_formula, sheet_names


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-x", "@SUM(A1)", "\t=1", "\rx", "\nx", "  =1", "＝1", "－1", "＠a"]
)
def test_a_text_that_would_be_carried_out_is_guarded(text: str) -> None:
    assert is_formula(text)
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=1", "1-2", "答案 = 4", "'=1", " x"])
def test_any_other_text_stays(text: str) -> None:
    assert guarded(text) == text


@given(st.lists(st.text(max_size=50), max_size=12))
def test_names_of_sheets_are_those_that_excel_takes(names: list[str]) -> None:
    made = sheet_names([name.encode("utf-8", "ignore").decode() for name in names], ["about", "All runs"])
    assert len(made) == len(names)
    assert len({name.casefold() for name in [*made, "about", "all runs", "history"]}) == len(names) + 3
    for name in made:
        assert 1 <= units(name) <= 31
        assert not set(name) & set("\\/*?:[]")
        assert not name.startswith("'")
        assert not name.endswith("'")


def test_long_names_keep_their_beginning_and_get_a_number() -> None:
    long = "a-very-long-name-of-a-model-with-quantisation"
    assert sheet_names([long, f"{long}-2", "About"], ["about"]) == [
        "a-very-long-name-of-a-model-wit",
        "a-very-long-name-of-a-model-w~2",
        "About~2",
    ]


def test_a_name_is_not_cut_inside_a_character() -> None:
    assert sheet_names(["😀" * 20]) == ["😀" * 15]


def test_what_xml_does_not_have_is_shown_as_such() -> None:
    assert cell_text("a\x00b\x0bc\ufffed\n\te") == "a\ufffdb\ufffdc\ufffdd\n\te"


@pytest.mark.parametrize("one", ["字", "😀"])
def test_a_text_too_long_for_a_cell_is_cut_and_says_so(one: str) -> None:
    cut = cell_text(one * 40_000)
    assert units(cut) <= 32_767
    assert cut.endswith("(cut)")
    assert cell_text("x" * 32_767) == "x" * 32_767
