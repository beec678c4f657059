"""The files of prompts: what is written is what a study reads, whatever stands in a prompt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hexgate.errors import InputError
from hexgate.study.items import read_cells
from hexgate.study.prompts.check import check_prompts, read_prompts
from hexgate.study.prompts.levels import LEVELS, Leveled, write_prompts
from hexgate.study.spec_file import read_spec
from support.prompt_tables import long, prompts_of, wide, write_csv
from support.studies import write_study

ODD = (
    'say "hi", then\n\n\tgo',
    "=1+1",
    "'x",
    "a\r\nb",
    "lone\rreturn",
    "  spaces  ",
    "逐行\n阅读",
    "\ufeffmark",
    "a\u2028b",
)


def leveled(question_id: str, category: str, *texts: str, **fields: str) -> Leveled:
    return Leveled(question_id, category, dict(zip(LEVELS, texts, strict=True)), fields)


def study_of(folder: Path, items: str) -> Path:
    return write_study(
        folder,
        tasks=[{"name": "t", "items": items}],
        loads=[{"name": level, "prompt": level} for level in LEVELS],
        runs=1,
    )


@pytest.mark.parametrize("odd", ODD)
def test_a_study_reads_each_prompt_as_it_was_written(tmp_path: Path, odd: str) -> None:
    row = leveled("81", "writing", odd, *prompts_of(1)[1:], reference=odd, tests="def f():\n    pass\n")
    (path,) = write_prompts(tmp_path, [row], {})
    assert path.name == "writing_prompts_hierarchical.csv"
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    cells = read_cells(read_spec(study_of(tmp_path, path.name)))
    assert [cell.prompt for cell in cells] == list(row.levels.values())
    assert {(cell.item, cell.references, cell.fields["tests"]) for cell in cells} == {
        ("81", (odd,), row.fields["tests"])
    }
    # Other levels of the question are no field of the item.
    assert set(cells[0].fields) == {"category", "tests"}
    assert read_prompts(tmp_path).rows[0].levels["L0"] == odd


@pytest.mark.parametrize("bom", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_study_reads_files_of_others(tmp_path: Path, end: str, *, bom: bool) -> None:
    rows = wide([81])
    rows[1][3] = "two\nlines"
    path = write_csv(tmp_path / "own.csv", rows, bom=bom, end=end)
    cells = read_cells(read_spec(study_of(tmp_path, path.name)))
    assert [cell.prompt for cell in cells] == rows[1][2:]
    assert {cell.item for cell in cells} == {"81"}


def test_a_study_reads_one_row_a_prompt(tmp_path: Path) -> None:
    write_csv(tmp_path / "own.csv", long([81, 82]), bom=True)
    spec = read_spec(
        write_study(
            tmp_path,
            tasks=[{"name": "t", "items": "own.csv", "where": {"category": "writing"}}],
            loads=[{"name": level, "where": {"level": level}} for level in LEVELS],
        )
    )
    cells = read_cells(spec)
    assert [(cell.load, cell.item) for cell in cells] == [
        (level, id_) for level in LEVELS for id_ in ("81", "82")
    ]
    assert [cell.prompt for cell in cells if cell.item == "81"] == prompts_of(81)


def test_there_is_a_file_a_category_in_any_script(tmp_path: Path) -> None:
    rows = [
        leveled("1", "诗歌", *prompts_of(1)),
        leveled("1", "a/b", *prompts_of(1)),
        leveled("2", "诗歌", *prompts_of(2)),
    ]
    paths = write_prompts(tmp_path / "deep" / "er", rows, {"made_by": "test"})
    assert [path.name for path in paths] == ["诗歌_prompts_hierarchical.csv", "a-b_prompts_hierarchical.csv"]
    assert json.loads((tmp_path / "deep" / "er" / "prompts.json").read_text("utf-8")) == {"made_by": "test"}
    # What is read of them is what was written, category by category.
    assert sorted(read_prompts(tmp_path / "deep" / "er").rows, key=lambda row: row.category) == [
        rows[1],
        rows[0],
        rows[2],
    ]


def test_two_categories_cannot_share_a_file(tmp_path: Path) -> None:
    rows = [leveled("1", "a/b", *prompts_of(1)), leveled("1", "A-B", *prompts_of(1))]
    with pytest.raises(InputError, match="would share a file"):
        write_prompts(tmp_path, rows, {})
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be written"):
        write_prompts(tmp_path / "file", [leveled("1", "a", *prompts_of(1))], {})


def test_a_folder_without_prompts_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no prompts in this folder"):
        read_prompts(tmp_path)


def test_levels_that_do_not_rise_are_listed() -> None:
    rows = [
        leveled("1", "a", "x", "xx", "xxx", "xxxx", "x"),
        leveled("2", "a", "x", "x", "xxx", "xx", "xxxxx"),
        leveled("3", "b", "x", "xx", "xxx", "xxxx", "xxxxx"),
    ]
    checked = check_prompts(rows)
    assert checked.not_rising == (
        ("a 2", "L1 has 1 characters, L0 has 1"),
        ("a 2", "L3 has 2 characters, L2 has 3"),
    )
    assert [(one.category, one.questions) for one in checked.categories] == [("a", 2), ("b", 1)]
    assert checked.categories[0].median["characters"]["L3"] == 3.0
    assert checked.longest_padded == 2
