"""A study as CSV, texts and rows of JSON: read back as the programs of others read them."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from hexgate.study.exports.export_files import (
    csv_bytes,
    export_rows,
    responses_csv,
    runs_file,
    runs_jsonl,
    scores_csv,
    write_texts,
)
from hexgate.study.exports.figures import RUN_FIGURES
from hexgate.study.exports.places import places
from hexgate.study.reading import Reading, read_study
from hexgate.study.results import result_row
from support.made_studies import (
    LEVELS,
    NET_W,
    TEXTS,
    completion_tokens,
    failing,
    latency_s,
    made_study,
    prompt_tokens,
    scores_of,
)

NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?")


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Reading:
    def change(record: dict[str, Any]) -> dict[str, Any]:
        amber = record["model"] == "amber"
        return failing(record) if amber and (record["item"], record["load"]) == ("82", "L1") else record

    return read_study(made_study(tmp_path_factory.mktemp("made"), change=change))


def rows_of(data: bytes) -> list[dict[str, str]]:
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_all_responses_hold_every_run_with_what_it_took(reading: Reading) -> None:
    rows = rows_of(responses_csv(reading, places(reading)))
    assert len(rows) == 2 * 3 * 5
    assert [row["model"] for row in rows] == ["amber"] * 15 + ["梅花:1b"] * 15
    assert [row["level"] for row in rows[:5]] == list(LEVELS)
    assert [(row["category"], row["question_id"]) for row in rows[:15:5]] == [
        ("writing", "81"),
        ("writing", "82"),
        ("数学", "83"),
    ]
    for row in rows:
        level, question = row["level"], int(row["question_id"])
        if row["status"] == "failed":
            assert row["response"] == row["latency_ms"] == row["prompt_tokens"] == row["text_file"] == ""
            assert row["error"] == "timeout: +no reply in time"
            assert "the run failed" in row["missing"]
            continue
        assert row["response"].removeprefix("'") == TEXTS[question]
        assert row["prompt"].startswith(f"'@{level} of {question}")
        assert float(row["latency_ms"]) == latency_s(level, question) * 1000
        assert float(row["energy_j"]) == NET_W * latency_s(level, question)
        assert int(row["prompt_tokens"]) == prompt_tokens(level, question)
        assert int(row["completion_tokens"]) == completion_tokens(level, question)
        assert float(row["quality_judge"]) == sum(scores_of(level, question).values())
        assert float(row["quality_judge_factuality"]) == scores_of(level, question)["factuality"]
    assert sum(row["status"] == "failed" for row in rows) == 1


def test_what_has_no_value_is_empty_with_its_reason(reading: Reading) -> None:
    rows = rows_of(responses_csv(reading, places(reading)))
    for row in rows:
        empty = {figure.name for figure in RUN_FIGURES if row[figure.name] == ""}
        named = {word for part in row["missing"].split("; ") for word in part.partition(":")[0].split(", ")}
        assert empty <= named
        assert all(row[name] != "0" for name in empty)


def test_no_cell_of_a_table_is_a_formula(reading: Reading) -> None:
    found = places(reading)
    for data in (responses_csv(reading, found), scores_csv(found)):
        for row in rows_of(data):
            for name, cell in row.items():
                assert not cell.startswith(("=", "+", "@", "\t", "\r")), name
                assert not cell.startswith("-") or NUMBER.fullmatch(cell), name


@pytest.mark.parametrize("kind", ["responses", "scores", "results"])
def test_every_numeric_column_is_numbers_or_empty(reading: Reading, kind: str) -> None:
    if kind == "results":
        text = reading.layout.results.read_text("utf-8")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    else:
        found = places(reading)
        rows = rows_of(responses_csv(reading, found) if kind == "responses" else scores_csv(found))
    numeric = [
        name
        for name in rows[0]
        if name.endswith(
            ("_ms", "_j", "_w", "_s", "_seconds", "_tokens", "_count", "_ns", "_ratio", "_per_sec")
        )
        or name in {"run", "block", "order", "total_score", "conciseness", "quality_judge", "question_id"}
    ]
    assert len(numeric) >= 4
    for row in rows:
        for name in numeric:
            assert row[name] == "" or float(row[name]) == float(row[name]), name


@pytest.mark.parametrize("detail", ["=1+1", " =1+1", "\n\t=1+1", "＝1+1"])
def test_no_error_of_a_server_is_a_formula_in_the_table_of_results(reading: Reading, detail: str) -> None:
    record = next(one for one in reading.records if one["status"] == "failed")
    row = result_row({**record, "error": {**record["error"], "detail": detail}}, "raw.json")
    assert row["error_detail"] == f"'{detail.strip()}"


def test_each_response_is_a_file_of_its_own(reading: Reading, tmp_path: Path) -> None:
    found = places(reading)
    assert write_texts(tmp_path, found) == 29
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.txt"))
    assert len(files) == 29
    assert "responses_by_model/amber/L0_writing_81.txt" in files
    assert "responses_by_model/梅花-1b/P_数学_83.txt" in files
    assert "responses_by_model/amber/L1_writing_82.txt" not in files
    for place in found:
        if place.ok and place.record is not None:
            assert (tmp_path / place.text_file).read_bytes().decode() == place.record["generated_text"]


def test_repeats_and_names_that_clash_have_files_of_their_own(tmp_path: Path) -> None:
    loads = [{"name": "A/b", "prompt": "L0"}, {"name": "a b", "prompt": "L1"}]
    out = made_study(
        tmp_path, models=["m"], loads=loads, runs=2, judge=None, questions={81: "writing"}, change=_level
    )
    names = [place.text_file for place in places(read_study(out))]
    assert len({name.casefold() for name in names}) == len(names) == 4
    assert all(
        re.fullmatch(r"responses_by_model/m/[Aa]-b_writing_81_[12]-[0-9a-f]{8}\.txt", name) for name in names
    )


def _level(record: dict[str, Any]) -> None:
    """No run is needed where names alone are looked at."""


def test_the_commands_of_the_source_find_their_fields(reading: Reading) -> None:
    data = runs_jsonl(places(reading)).decode()
    assert len(re.findall(r'"model_id":"amber"', data)) == 15
    assert len(re.findall(r'"level":"P"', data)) == 6
    rows = [json.loads(line) for line in data.splitlines()]
    assert rows == list(export_rows(places(reading)))
    first = rows[0]
    assert (first["question_id"], first["model"], first["output_text"]) == (81, "amber", TEXTS[81])
    assert (first["latency_ms"], first["energy_j"]) == (1000.0, 6.0)
    failed = next(row for row in rows if row["status"] == "failed")
    assert failed["output_text"] is failed["latency_ms"] is failed["total_score"] is None
    assert failed["missing"]["latency_ms"] == "the run failed"
    scores = [row["total_score"] for row in rows_of(scores_csv(places(reading))) if row["total_score"]]
    assert (len(scores), min(map(float, scores)), max(map(float, scores))) == (29, 5.0, 7.0)


def test_the_file_of_rows_is_called_after_the_study(reading: Reading) -> None:
    assert runs_file(reading) == "runs_levels-一.jsonl"


def test_a_study_before_its_first_run_has_places_and_no_rows(tmp_path: Path) -> None:
    out = made_study(tmp_path, models=["m"], judge=None, change=_level)
    found = places(read_study(out))
    assert {place.question for place in found} == {81, 82, 83}
    assert all(place.record is None for place in found)
    assert runs_jsonl(found) == b""


def test_true_false_and_control_characters_have_their_words() -> None:
    data = csv_bytes(["a", "b", "c", "d"], [{"a": True, "b": None, "c": "x\x00y", "d": " =1"}])
    assert rows_of(data) == [{"a": "true", "b": "", "c": "x\ufffdy", "d": "' =1"}]
