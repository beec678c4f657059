"""What is kept: whole lines alone, each run once, of one study alone."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexgate.errors import EvidenceError, InputError
from hexgate.study.design import Plan, make_plan
from hexgate.study.items import read_cells
from hexgate.study.ledger import HEAD, ITEMS, RUNS, Ledger
from hexgate.study.lines import Lines, read_lines
from hexgate.study.spec import Spec
from hexgate.study.spec_file import read_spec
from support.studies import ITEMS as ROWS
from support.studies import write_study


def planned(folder: Path, **changes: Any) -> tuple[Spec, Plan]:
    spec = read_spec(write_study(folder, **changes))
    return spec, make_plan(spec, read_cells(spec))


def record(plan: Plan, place: int, *, attempt: int = 1, failure: str | None = None) -> dict[str, Any]:
    return {
        "run_id": plan.runs[place].run_id,
        "attempt": attempt,
        "error": None if failure is None else {"kind": failure},
        "energy": {"gross_j": 2.5},
        "occupied_seconds": 1.5,
    }


@settings(deadline=None, max_examples=50)
@given(
    rows=st.lists(st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=3), max_size=6),
    cut=st.integers(0, 400),
)
def test_whatever_end_a_writer_meets_whole_lines_stay_and_the_next_one_is_whole(
    rows: list[dict[str, int]], cut: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.jsonl"
        file = Lines(path)
        ends = []
        for row in rows:
            file.append(row)
            ends.append(path.stat().st_size)
        file.close()
        data = path.read_bytes()
        path.write_bytes(data[:cut])
        kept = [row for row, end in zip(rows, ends, strict=True) if end <= cut]
        assert list(read_lines(path)) == kept
        again = Lines(path)
        again.append({"new": 1})
        again.close()
        assert list(read_lines(path)) == [*kept, {"new": 1}]


def test_a_study_is_taken_up_where_it_stopped(tmp_path: Path) -> None:
    spec, plan = planned(tmp_path)
    out = tmp_path / "out"
    with Ledger(out, spec, plan) as ledger:
        assert len(ledger.left(retry_failed=False)) == len(plan.runs)
        ledger.append(record(plan, 0))
        started = ledger.started
    with (out / RUNS).open("ab") as file:
        file.write(b'{"run_id": "cut')
    with Ledger(out, spec, plan) as ledger:
        assert ledger.started == started
        assert [run.order for run in ledger.left(retry_failed=False)] == list(range(1, len(plan.runs)))
        ledger.append(record(plan, 3))
        assert [row["run_id"] for row in ledger.records()] == [plan.runs[0].run_id, plan.runs[3].run_id]
        assert ledger.entries[plan.runs[0].run_id].energy_j == 2.5


def test_the_folder_holds_what_is_asked(tmp_path: Path) -> None:
    spec, plan = planned(tmp_path)
    with Ledger(tmp_path / "out", spec, plan):
        rows = list(read_lines(tmp_path / "out" / ITEMS))
    assert [(row["load"], row["item"], row["prompt"]) for row in rows] == [
        (cell.load, cell.item, cell.prompt) for cell in plan.cells
    ]
    assert rows[1]["references"] == ["It runs.", "On rails."]


def test_a_run_is_kept_once(tmp_path: Path) -> None:
    spec, plan = planned(tmp_path)
    with Ledger(tmp_path / "out", spec, plan) as ledger:
        ledger.append(record(plan, 0))
        with pytest.raises(EvidenceError, match="kept twice"):
            ledger.append(record(plan, 0))
        with pytest.raises(EvidenceError, match="not in the plan"):
            ledger.append({**record(plan, 0), "run_id": "0" * 16})
        assert len(list(ledger.records())) == 1


@pytest.mark.parametrize(
    ("failure", "retry", "again"),
    [
        ("connection", False, True),
        ("timeout", False, False),
        ("timeout", True, True),
        ("http_500", False, False),
        (None, True, False),
    ],
)
def test_which_failures_are_made_again(tmp_path: Path, failure: str | None, retry: bool, again: bool) -> None:
    spec, plan = planned(tmp_path)
    with Ledger(tmp_path / "out", spec, plan) as ledger:
        ledger.append(record(plan, 0, failure=failure))
        assert (plan.runs[0] in ledger.left(retry_failed=retry)) == again
        ledger.append(record(plan, 0, attempt=2))
        assert plan.runs[0] not in ledger.left(retry_failed=True)
        assert [row["attempt"] for row in ledger.records()] == [2]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"runs": 3}, "a difference in runs"),
        ({"request": {"max_tokens": 17, "num_ctx": 2048}}, "a difference in request"),
        ({"items": [{**ROWS[0], "prompt": "Another."}, ROWS[1]]}, "other items"),
    ],
)
def test_another_study_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with Ledger(tmp_path / "out", *planned(tmp_path)):
        pass
    before = (tmp_path / "out" / HEAD).read_bytes()
    with pytest.raises(InputError, match="holds another study") as raised:
        Ledger(tmp_path / "out", *planned(tmp_path, **changes))
    assert said in str(raised.value)
    assert (tmp_path / "out" / HEAD).read_bytes() == before


def test_a_study_goes_on_with_another_budget(tmp_path: Path) -> None:
    with Ledger(tmp_path / "out", *planned(tmp_path)):
        pass
    with Ledger(tmp_path / "out", *planned(tmp_path, budget={"max_hours": 3}, parallel=2)) as ledger:
        assert ledger.entries == {}


def test_a_folder_is_one_process_at_a_time(tmp_path: Path) -> None:
    spec, plan = planned(tmp_path)
    with Ledger(tmp_path / "out", spec, plan), pytest.raises(InputError, match="another process"):
        Ledger(tmp_path / "out", spec, plan)
    with Ledger(tmp_path / "out", spec, plan):
        pass


def test_runs_without_a_study_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / RUNS).write_text("{}\n", encoding="utf-8")
    with pytest.raises(InputError, match="holds runs, but no study"):
        Ledger(tmp_path / "out", *planned(tmp_path))


@pytest.mark.parametrize("content", ["[]", "{", json.dumps({"schema": "hexgate/study/2"})])
def test_a_spoilt_head_is_evidence_that_cannot_be_read(tmp_path: Path, content: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / HEAD).write_text(content, encoding="utf-8")
    with pytest.raises(EvidenceError):
        Ledger(tmp_path / "out", *planned(tmp_path))
