"""How far a study has come, read from its folder: also while it runs, before its first run, and when it is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from hexgate.study.ledger import CALLS
from hexgate.study.lines import read_lines
from hexgate.study.reading import Reading

__all__ = ["status_of"]


def status_of(reading: Reading) -> dict[str, Any]:
    """Counts, pace, what is under way, and the energy so far.

    Args:
        reading: the study.

    Returns:
        ``state`` is ``not_begun`` (no run is over), ``begun`` or ``over`` (none is left); a study that was killed
        looks as one that goes on, so that the page says when its ledger last grew. ``runs_per_hour`` and
        ``left_seconds`` reckon with the time of all calls so far, with loading and idle. What is not known is None,
        with its reason in ``missing``.
    """
    done, left = len(reading.records), len(reading.left)
    hours = _spent_hours(reading)
    per_hour = done / hours if done and hours else None
    measured = [
        float(record["energy"]["gross_j"])
        for record in reading.records
        if record["energy"]["gross_j"] is not None
    ]
    last = max(reading.records, key=lambda record: (record["timestamp"], record["order"]), default=None)
    missing: dict[str, str] = {}
    if per_hour is None:
        why = "the time of no call is known" if done else "no run is over"
        missing["runs_per_hour"] = missing["left_seconds"] = why
    if not measured:
        missing["energy_j"] = "no energy was measured"
    return {
        "study": reading.spec.name,
        "started_at": reading.head["started_at"],
        "state": "over" if not left else "begun" if done else "not_begun",
        "planned": len(reading.plan.runs),
        "done": done,
        "failed": sum(record["status"] != "ok" for record in reading.records),
        "left": left,
        "runs_per_hour": per_hour,
        "left_seconds": None if per_hour is None else left / per_hour * 3600,
        "visits": _under_way(reading),
        "last_run": None if last is None else _run(last),
        "energy_j": sum(measured) if measured else None,
        "energy_runs": len(measured),
        "missing": missing,
    }


def _spent_hours(reading: Reading) -> float:
    path = reading.folder / CALLS
    calls: dict[int, float] = {}
    if path.exists():
        calls = {int(row["call"]): float(row["seconds"]) for row in read_lines(path)}
    return sum(calls.values()) / 3600


def _under_way(reading: Reading) -> list[dict[str, Any]]:
    """The visits that have begun, have not ended, and have runs left.

    One that was killed stays without an end; a later visit of the same block and model stands in its place.
    """
    newest: dict[tuple[int, str], Mapping[str, Any]] = {
        (visit["block"], visit["model"]): visit for visit in reading.visits.values()
    }
    left = Counter((run.block, run.model) for run in reading.left)
    planned = Counter((run.block, run.model) for run in reading.plan.runs)
    return [
        {
            "visit": visit["visit"],
            "model": visit["model"],
            "block": visit["block"],
            "started_at": visit["started_at"],
            "done": planned[key] - left[key],
            "left": left[key],
        }
        for key, visit in newest.items()
        if visit["end"] is None and left[key]
    ]


def _run(record: Mapping[str, Any]) -> dict[str, Any]:
    names = ("run_id", "model", "task", "load", "item", "run", "status", "timestamp", "latency_seconds")
    return {name: record[name] for name in names} | {"energy_j": record["energy"]["gross_j"]}
