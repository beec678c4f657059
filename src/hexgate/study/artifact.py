"""From a study's folder to an artifact that the gate judges: `power_efficiency` of one model, with its evidence.

The evidence is copied from the ledger: a row for each planned run, one for each visit. The figures are computed from it
alone, as those of any measurement (`hexgate.indicators.power_study`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hexgate.contract.canonical import canonical_bytes, sha256_bytes, sha256_file
from hexgate.contract.evidence import EvidenceWriter
from hexgate.contract.provenance import redacted
from hexgate.errors import EvidenceError, InputError
from hexgate.indicators.power_accepted import MOST_UNMARKED
from hexgate.indicators.power_runs import MOST_LACKING, mixed
from hexgate.indicators.power_study import RESAMPLES, STUDY
from hexgate.indicators.recording import unwritable
from hexgate.indicators.sheet import Measured, Run, Sheet
from hexgate.study.design import Run as Planned
from hexgate.study.layout import file_name
from hexgate.study.ledger import HEAD
from hexgate.study.rating.suite import suite_of
from hexgate.study.reading import Reading

__all__ = ["INDICATOR", "Chosen", "artifact_folder", "write_artifact_of"]

INDICATOR = "power_efficiency"
"""What a study's artifact is of."""
_NO_RATING = "the study's file has no block rating, which says what answers are accepted"
_ENERGY = (
    "basis", "gross_j", "uncertainty_j", "net_j", "net_uncertainty_j", "idle_power_w", "idle_drift_ratio", "edges",
    "degraded", "domains",
)  # fmt: skip
_MISSING = ("energy.gross_j", "energy.net_j", "api_metrics.eval_count", "prompt_state")
_VISIT = ("visit", "block", "started_at", "base_url", "configuration", "environment", "domains", "degraded")
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class Chosen:
    """What of a study an artifact is made of."""

    model: str | None = None
    """Name of the model in the study; None for its only one."""
    tasks: tuple[str, ...] = ()
    """The tasks; none for all."""
    loads: tuple[str, ...] = ()
    """The loads; none for all."""
    confidence: float = 0.95
    """Level of every interval."""


def artifact_folder(reading: Reading, chosen: Chosen) -> Path:
    """Where the artifact goes if nobody says: ``artifacts/<model>`` in the study's folder.

    Raises:
        InputError: if the study has no such model.
    """
    return reading.folder / "artifacts" / file_name(_model(reading, chosen))


def write_artifact_of(reading: Reading, chosen: Chosen, out: Path, command: Sequence[str]) -> Measured:
    """Leave ``power_efficiency.json`` of one model in a folder, its evidence beside it.

    Args:
        reading: the study.
        chosen: what of it.
        out: the folder.
        command: the command line, for the provenance.

    Returns:
        The artifact; where the study is not over, or none of its runs succeeded, with the reason.

    Raises:
        InputError: if the study has no such model, task or load, or `out` cannot be written.
        EvidenceError: if no run of the model is over, if its runs are of several models or machines, or if the ledger
            is none of ours; no artifact is written then.
        TargetFailed: if the disk fails while it is written.
    """
    try:
        taken = _Taken.of(reading, chosen)
        sheet = _sheet(taken, chosen, out / f"{INDICATOR}.json", command)
        method, dataset = _method(taken), _dataset(taken)
    except _UNREADABLE as error:
        raise _unreadable(reading, error) from error
    evidence = sheet.begin("the artifact was not finished")
    try:
        evidence.describe(method=method, dataset=dataset)
        _write(taken, evidence)
        return sheet.conclude(evidence, taken.not_over())
    except OSError as error:
        raise unwritable(error, evidence) from None
    except _UNREADABLE as error:
        fault = _unreadable(reading, error)
        sheet.fail(str(fault), evidence, evidence.finish())
        raise fault from error


def _unreadable(reading: Reading, error: Exception) -> EvidenceError:
    return EvidenceError(
        f"the ledger of the study is not what hexgate study run writes ({type(error).__name__}: {error})",
        where=str(reading.folder),
        hint="a study is never edited; run it again in another folder",
    )


@dataclass(frozen=True)
class _Taken:
    """What is taken of a study."""

    reading: Reading
    model: str
    tasks: tuple[str, ...]
    loads: tuple[str, ...]
    runs: tuple[Planned, ...]
    records: Mapping[str, Mapping[str, Any]]
    visits: tuple[Mapping[str, Any], ...]
    rules: Mapping[str, list[dict[str, Any]]] | None
    no_rule: str

    @classmethod
    def of(cls, reading: Reading, chosen: Chosen) -> _Taken:
        model = _model(reading, chosen)
        tasks = _among("task", chosen.tasks, [task.name for task in reading.spec.tasks])
        loads = _among("load", chosen.loads, [load.name for load in reading.spec.loads])
        runs = tuple(
            run
            for run in reading.plan.runs
            if run.model == model and run.cell.task in tasks and run.cell.load in loads
        )
        planned = {run.run_id for run in runs}
        records = {record["run_id"]: record for record in reading.records if record["run_id"] in planned}
        if not records:
            raise EvidenceError(
                "no run of the model is over",
                where=str(reading.folder),
                got=model,
                hint="carry the study out first: hexgate study run",
            )
        visits = tuple(_visit(reading, name) for name in sorted({one["visit"] for one in records.values()}))
        if several := mixed(visits):
            raise EvidenceError(
                "the runs of the model are not those of one model on one machine",
                where=str(reading.folder),
                got="; ".join(several),
                expected="one configuration, one machine and one set of meters in all visits of a model",
                hint="an artifact says what one model draws; begin the study anew in another folder",
            )
        rules, no_rule = _rules(reading, tasks)
        return cls(reading, model, tasks, loads, runs, records, visits, rules, no_rule)

    def not_over(self) -> EvidenceError | None:
        left = len(self.runs) - len(self.records)
        if not left:
            return None
        return EvidenceError(
            "the study is not over", hint="go on with hexgate study run, then make the artifact again"
        )


def _model(reading: Reading, chosen: Chosen) -> str:
    names = [model.name for model in reading.spec.models]
    if chosen.model is None and len(names) == 1:
        return names[0]
    if chosen.model not in names:
        raise InputError(
            "the study has no such model" if chosen.model is not None else "--model is missing",
            got=chosen.model,
            expected="one of " + ", ".join(names),
        )
    return chosen.model


def _among(what: str, given: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    for name in given:
        if name not in known:
            raise InputError(f"the study has no such {what}", got=name, expected="one of " + ", ".join(known))
    return tuple(name for name in known if not given or name in given)


def _visit(reading: Reading, name: str) -> Mapping[str, Any]:
    visit = reading.visits.get(name)
    if visit is None:
        raise EvidenceError("a run of a visit that is not kept", where=str(reading.folder), got=name)
    return visit


def _rules(reading: Reading, tasks: Sequence[str]) -> tuple[Mapping[str, list[dict[str, Any]]] | None, str]:
    """By task what an answer must pass, each measure with the digest of what it was; or why nothing says it."""
    block = reading.spec.rating
    if block is None:
        return None, _NO_RATING
    try:
        suite = suite_of(reading, block)
    except InputError as error:
        return None, error.what
    measures = reading.marks.measures
    return {
        task: [
            {
                "measure": rule.measure,
                "least": rule.least,
                "identity_sha256": measures[rule.measure].sha256 if rule.measure in measures else None,
            }
            for rule in rules
        ]
        for task, rules in suite.rules.items()
        if task in tasks
    }, ""


def _sheet(taken: _Taken, chosen: Chosen, path: Path, command: Sequence[str]) -> Sheet:
    head, first = taken.reading.head, taken.visits[0]
    configuration = first["configuration"]
    study_sha256 = sha256_file(taken.reading.folder / HEAD)
    begun = re.sub("[-:]", "", str(head["started_at"]))
    ends = [str(visit["end"]["ended_at"]) for visit in taken.visits if visit["end"] is not None]
    return Sheet(
        name=INDICATOR,
        subject={
            "name": configuration["served_model"],
            "kind": "endpoint",
            "uri": first["base_url"],
            "sha256": None,
            "revision": configuration["digest"],
            "components": {},
            "served_model": configuration["served_model"],
            "demonstration": False,
        },
        seed=0,
        confidence=chosen.confidence,
        out=path,
        run=Run(
            run_id=f"{begun}-{study_sha256[:8]}",
            provenance={
                "tool": head["tool"],
                # Nobody kept from which working folder the study was started.
                "git_commit": None,
                "git_dirty": None,
                "command": redacted([one.encode("utf-8", "replace").decode("utf-8") for one in command]),
                "plan_sha256": head["plan_sha256"],
                "platform_job_id": None,
                "parents": [f"sha256:{study_sha256}"],
            },
            environment=first["environment"],
        ),
        since_s=None,
        created_at=max([*ends, *(str(record["timestamp"]) for record in taken.records.values())]),
    )


def _method(taken: _Taken) -> dict[str, Any]:
    """What has to be alike for two artifacts to be compared; which study it was stands in the evidence."""
    spec = taken.reading.head["spec"]
    meters = {f"{one['source']}:{one['scope']}" for visit in taken.visits for one in visit["domains"]}
    return {
        "definition": f"{INDICATOR}_study/1",
        "source": STUDY,
        "tasks": list(taken.tasks),
        "loads": list(taken.loads),
        "repeats": spec["runs"],
        "request": spec["request"],
        "cold": spec["cold"],
        "clean": spec["clean"],
        "quiet": spec["quiet"],
        "meters": sorted(meters),
        "accepted": taken.rules,
        "most_without_energy": MOST_LACKING,
        "most_without_mark": MOST_UNMARKED,
        "resamples": RESAMPLES,
    }


def _dataset(taken: _Taken) -> dict[str, Any]:
    asked = {(run.cell.task, run.cell.load, run.cell.item): run.cell.to_json() for run in taken.runs}
    digest = sha256_bytes(canonical_bytes([asked[place] for place in sorted(asked)]))
    return {
        "name": taken.reading.spec.name,
        "sha256": digest,
        "items": len({(cell.task, cell.item) for cell in taken.reading.plan.cells}),
        "used": len({(task, item) for task, _, item in asked}),
        "limit": None,
        "split": None,
    }


def _write(taken: _Taken, evidence: EvidenceWriter) -> None:
    measures = taken.reading.marks.measures
    evidence.document(
        "study",
        {
            "study": dict(taken.reading.head),
            "study_sha256": sha256_file(taken.reading.folder / HEAD),
            "model": taken.model,
            "no_rule": taken.no_rule,
            "measures": {
                name: {"identity": dict(measure.identity), "sha256": measure.sha256}
                for name, measure in sorted(measures.items())
            },
        },
    )
    visits = evidence.rows("study_visits")
    for visit in taken.visits:
        end = visit["end"] or {}
        watts = {name: end.get(name) for name in ("idle_before_w", "idle_after_w", "ended_at")}
        visits.write({name: visit[name] for name in _VISIT} | watts)
    runs = evidence.rows("study_runs")
    for run in taken.runs:
        runs.write(_row(run, taken.records.get(run.run_id)))


def _row(run: Planned, record: Mapping[str, Any] | None) -> dict[str, Any]:
    head = {
        "run_id": run.run_id,
        "order": run.order,
        "block": run.block,
        "task": run.cell.task,
        "load": run.cell.load,
        "item": run.cell.item,
    }
    if record is None:
        return head | {"status": "left"}
    energy, missing = record["energy"], record["missing"]
    return head | {
        "status": record["status"],
        "attempt": record["attempt"],
        "visit": record["visit"],
        "timestamp": record["timestamp"],
        "error": None if record["error"] is None else record["error"]["kind"],
        "latency_seconds": record["latency_seconds"],
        "output_tokens": record["api_metrics"]["eval_count"],
        "truncated": record["truncated"],
        "prompt_state": record["prompt_state"],
        "degraded": list(record["degraded"]),
        "energy": {name: energy[name] for name in _ENERGY},
        "missing": {name: missing[name] for name in _MISSING if name in missing},
        "quality": {
            name: {"value": mark["value"], "reason": mark["reason"]}
            for name, mark in record["quality"].items()
        },
    }
