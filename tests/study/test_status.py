"""How far a study has come: counts, pace, what is under way, and what a kill leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hexgate.study.reading import read_study
from hexgate.study.status import status_of
from support.rated_studies import made_study, usual


def half(model: str, number: int) -> Mapping[str, Any]:
    """The second model has made half of its runs, of which the first two failed."""
    made = model == "big" or number < 20
    failure = "timeout" if model == "small" and number < 2 else None
    return {**usual(model, number), "made": made, "failure": failure}


def change_visits(folder: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    path = folder / "visits.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in change(rows)), "utf-8")


def killed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """No visit came to its end."""
    return [row for row in rows if row["event"] == "begin"]


def taken_up(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """No visit came to its end, and the second model's has begun once more."""
    begins = killed(rows)
    small = next(row for row in begins if row["model"] == "small")
    return [*begins, {**small, "visit": "0009_again"}]


def test_counts_and_pace_of_a_study_that_goes_on(tmp_path: Path) -> None:
    found = status_of(read_study(made_study(tmp_path, half)))
    assert (found["state"], found["planned"], found["done"], found["left"]) == ("begun", 80, 60, 20)
    assert found["failed"] == 2
    # The support's study has taken one hour so far.
    assert found["runs_per_hour"] == pytest.approx(60.0)
    assert found["left_seconds"] == pytest.approx(1200.0)
    assert found["energy_j"] == pytest.approx(40 * 40.0 + 20 * 20.0)
    assert found["energy_runs"] == 60
    assert found["missing"] == {}
    assert found["visits"] == []
    json.dumps(found, allow_nan=False)


def test_what_is_not_known_is_null_with_a_reason(tmp_path: Path) -> None:
    found = status_of(read_study(made_study(tmp_path, lambda _, __: {"made": False})))
    assert (found["state"], found["done"]) == ("not_begun", 0)
    assert found["runs_per_hour"] is found["left_seconds"] is found["energy_j"] is found["last_run"] is None
    assert set(found["missing"]) == {"runs_per_hour", "left_seconds", "energy_j"}


@pytest.mark.parametrize(
    ("given", "change", "expected"),
    [
        (half, killed, ["small"]),
        (half, taken_up, ["small again"]),
        (half, lambda rows: rows, []),
        (usual, killed, []),
    ],
    ids=["under way or killed", "taken up again", "between two visits", "over"],
)
def test_which_visits_are_under_way(tmp_path: Path, given: Any, change: Any, expected: list[str]) -> None:
    folder = made_study(tmp_path, given)
    change_visits(folder, change)
    found = status_of(read_study(folder))["visits"]
    again = {True: " again", False: ""}
    assert [one["model"] + again[one["visit"] == "0009_again"] for one in found] == expected
    assert [(one["done"], one["left"]) for one in found] == [(20, 20)] * len(expected)


def test_a_pace_that_is_not_known_has_the_reason_that_holds(tmp_path: Path) -> None:
    folder = made_study(tmp_path, half)
    (folder / "calls.jsonl").unlink()
    found = status_of(read_study(folder))
    assert found["runs_per_hour"] is found["left_seconds"] is None
    assert (
        found["missing"]["runs_per_hour"]
        == found["missing"]["left_seconds"]
        == "the time of no call is known"
    )
