"""The names of a study's files: as the efficiency study has them, legal everywhere, and never one for two runs."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.study.design import Plan, Run, run_id
from hexgate.study.items import Cell
from hexgate.study.layout import Layout, file_name

STARTED = datetime(2026, 1, 31, 23, 59, tzinfo=timezone.utc)


def layout(folder: Path, *runs: tuple[str, str, str, str, int]) -> tuple[Layout, list[str]]:
    made = [
        Run(run_id(*one), place, one[4], one[0], Cell(one[1], one[2], one[3], "x", None, (), 1))
        for place, one in enumerate(runs)
    ]
    return Layout(folder, Plan(0, (), tuple(made)), STARTED), [run.run_id for run in made]


def test_the_names_are_those_of_the_efficiency_study(tmp_path: Path) -> None:
    place, [one] = layout(tmp_path, ("llama3.2:3b", "knowledge_qa", "short", "i", 2))
    raw = place.raw(one).relative_to(tmp_path).as_posix()
    assert raw == "data/raw/2026-01-31/llama3.2-3b/knowledge_qa_short_2.json"
    text = place.text(one).relative_to(tmp_path).as_posix()
    assert text == "data/texts/2026-01-31/llama3.2-3b/knowledge_qa_short_2.txt"
    assert place.results.relative_to(tmp_path).as_posix() == "data/summary/2026-01-31/results.csv"


def test_several_items_of_a_task_are_told_apart(tmp_path: Path) -> None:
    place, [one, _] = layout(tmp_path, ("m", "qa", "short", "q1", 1), ("m", "qa", "long", "q2", 1))
    assert place.raw(one).name == "qa_short_q1_1.json"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("m", "a", "s", "q/1", 1), ("m", "a", "s", "q:1", 1)),
        (("m", "a", "S", "q", 1), ("m", "a", "s", "q", 1)),
        (("m:1", "a", "s", "q", 1), ("m/1", "a", "s", "q", 1)),
        (("m", "a b", "s", "q", 1), ("m", "a-b", "s", "q", 1)),
    ],
)
def test_two_runs_never_share_a_file(
    tmp_path: Path, one: tuple[str, str, str, str, int], other: tuple[str, str, str, str, int]
) -> None:
    place, ids = layout(tmp_path, one, other)
    names = {str(place.raw(each)).casefold() for each in ids}
    assert len(names) == 2


@given(st.text(max_size=80))
def test_a_name_is_legal_on_every_system(text: str) -> None:
    name = file_name(text)
    assert 0 < len(name.encode()) <= 60
    assert not set(name) & set('/\\:*?"<>|\0\n ')
    assert not name.startswith(".")
    assert not name.endswith((".", " "))
    assert name.partition(".")[0].lower() not in {"con", "nul", "com1"}


@pytest.mark.parametrize(("text", "name"), [("CON", "-CON"), ("../..", "-"), ("你好", "你好"), ("", "-")])
def test_odd_names(text: str, name: str) -> None:
    assert file_name(text) == name


def test_files_are_written_once_and_mended(tmp_path: Path) -> None:
    place, [one] = layout(tmp_path, ("m", "qa", "short", "q1", 1))
    record = {"run_id": one, "generated_text": "It is green.", "latency_seconds": 1.5}
    place.write(record)
    first = place.raw(one).stat()
    place.write(record)
    assert place.raw(one).stat().st_ino == first.st_ino
    assert place.text(one).read_text("utf-8") == "It is green."
    place.raw(one).write_bytes(b"")
    place.write(record)
    assert place.raw(one).stat().st_size == first.st_size
    place.write({**record, "generated_text": None})
    assert not place.text(one).exists()
    assert not list(tmp_path.rglob("*.partial"))
