"""Synthetic studies for tests of what reads them: a folder as the runner leaves it, with figures that are made up."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hexgate.contract.canonical import canonical_bytes
from hexgate.study.asking import Asked, Failed, Stamps
from hexgate.study.configuration import Configuration
from hexgate.study.design import Run, make_plan
from hexgate.study.items import read_cells
from hexgate.study.ledger import RUNS, VISITS, Ledger
from hexgate.study.quality.marks import JUDGE, QUALITY_FILE, Measure
from hexgate.study.reading import Reading, read_study
from hexgate.study.record import run_record
from hexgate.study.spec import Cold
from hexgate.study.spec_file import read_spec
from hexgate.wire.base import Usage
from support.studies import write_study

__all__ = ["MODELS", "Made", "Model", "synthetic"]

NO_METER = (
    "no power meter can be read: rapl: /x shows no RAPL zone, "
    "as is normal in virtual machines, in WSL and on Windows"
)
DIMENSIONS = ("factuality", "helpfulness", "structure", "conciseness")


@dataclass(frozen=True)
class Model:
    """One model that is made up."""

    name: str
    """What it is called."""
    billions: float | None = 7.0
    """Its parameters."""
    quantization: str | None = "Q4_K_M"
    """Its quantisation."""
    watts: float = 180.0
    """What it draws."""
    speed: float = 40.0
    """Its tokens a second."""
    skill: float = 0.7
    """How good its answers are, 0 to 1."""
    scope: str = "board"
    """What its meter covers."""


MODELS = (
    Model("tiny-1b", 1.2, "Q8_0", 90.0, 120.0, 0.45),
    Model("small-3b", 3.2, "Q4_K_M", 140.0, 80.0, 0.62),
    Model("middle-7b", 7.6, "Q4_K_M", 210.0, 45.0, 0.74),
    Model("large-14b", 14.8, "Q5_K_M", 260.0, 22.0, 0.81),
)
"""Four that differ as models do."""


@dataclass(frozen=True)
class Made:
    """What was made."""

    spec: Path
    """The study's file."""
    out: Path
    """The study's folder."""

    def reading(self, spec: Path | None = None) -> Reading:
        """It, read."""
        return read_study(self.out, spec)


def synthetic(
    folder: Path,
    *,
    models: Sequence[Model] = MODELS,
    tasks: Sequence[str] = ("writing", "math"),
    levels: Sequence[str] = ("L0", "L1", "L2", "L3", "P"),
    questions: int = 10,
    runs: int = 1,
    energy: bool = True,
    measures: Sequence[str] = (JUDGE,),
    done: float = 1.0,
    failing: float = 0.0,
    name: str = "small",
    **changes: Any,
) -> Made:
    """Make a study's folder.

    Args:
        folder: where.
        models: the models.
        tasks: the names of the tasks, each with `questions` items.
        levels: the names of the loads; each makes prompts longer.
        questions: items of a task.
        runs: repeats.
        energy: whether energy was measured.
        measures: measures of quality; ``judge`` has its parts, any other is a value from 0 to 1.
        done: share of the plan that is over.
        failing: share of these that failed.
        name: name of the study.
        changes: further keys of the study's file.
    """
    items = [
        {
            "id": f"q{place:03d}",
            "kind": task,
            **{level: f"{level}: " + "Tell me more. " * (1 + 6 * rank) for rank, level in enumerate(levels)},
        }
        for task in tasks
        for place in range(questions)
    ]
    path = write_study(
        folder,
        items=[{**item, "id": f"{item['kind']}-{item['id']}"} for item in items],
        name=name,
        models=[{"name": one.name, "target": "http://127.0.0.1:9/v1", "model": "m"} for one in models],
        tasks=[{"name": task, "items": "items.jsonl", "where": {"kind": task}} for task in tasks],
        loads=[{"name": level, "prompt": level} for level in levels],
        runs=runs,
        **changes,
    )
    spec = read_spec(path)
    plan = make_plan(spec, read_cells(spec))
    out = folder / "out"
    with Ledger(out, spec, plan):
        pass
    over = plan.runs[: round(done * len(plan.runs))]
    draw = random.Random(11)
    by_name = {one.name: one for one in models}
    records: list[dict[str, Any]] = []
    nets: dict[str, dict[str, Any]] = {}
    start_ns = 0
    for run in over:
        failed = draw.random() < failing
        record, net = _record(run, by_name[run.model], levels, draw, start_ns, energy=energy, failed=failed)
        start_ns = record["stamps"]["end_ns"] + 1_000_000_000
        records.append(record)
        nets.setdefault(record["visit"], {}).update(net)
    (out / RUNS).write_bytes(b"".join(canonical_bytes(record) + b"\n" for record in records))
    visits = dict.fromkeys((record["visit"], record["block"], record["model"]) for record in records)
    (out / VISITS).write_bytes(
        b"".join(
            canonical_bytes(row) + b"\n"
            for visit, block, model in visits
            for row in _visit(visit, block, by_name[model], nets[visit], energy=energy)
        )
    )
    if measures:
        rows = [row for one in measures for row in _marks(one, records, by_name, draw)]
        (out / QUALITY_FILE).write_bytes(b"".join(canonical_bytes(row) + b"\n" for row in rows))
    return Made(path, out)


def _record(
    run: Run,
    model: Model,
    levels: Sequence[str],
    draw: random.Random,
    start_ns: int,
    *,
    energy: bool,
    failed: bool,
) -> tuple[dict[str, Any], dict[str, Any]]:
    prompt = 20 + 60 * levels.index(run.cell.load) + draw.randrange(10)
    output = round(120 * (1 + 0.15 * levels.index(run.cell.load)) * draw.uniform(0.7, 1.4))
    output_s = output / model.speed * draw.uniform(0.95, 1.05)
    first_s = 0.02 + prompt / (20 * model.speed) * draw.uniform(0.8, 1.3)
    end_s = first_s + output_s
    asked = Asked(
        stamps=Stamps(
            sent_ns=start_ns,
            first_token_ns=start_ns + round(first_s * 1e9),
            first_answer_ns=start_ns + round(first_s * 1e9),
            last_token_ns=start_ns + round((end_s - 0.01) * 1e9),
            end_ns=start_ns + round(end_s * 1e9),
        ),
        text="An answer.",
        thinking="",
        finish_reason="stop",
        token_events=output,
        usage=Usage(prompt_tokens=prompt, output_tokens=output, output_ns=round(output_s * 1e9)),
        failure=Failed("timeout", "no answer within 300 s") if failed else None,
    )
    joules = model.watts * end_s * draw.uniform(0.97, 1.03)
    domain = {
        "id": f"nvml:{model.scope}",
        "scope": model.scope,
        "device": "GPU-1",
        "energy_j": joules,
        "reasons": [],
    }
    names = ("gross_j", "uncertainty_j", "mean_power_w", "edges", "tail_j", "tail_s")
    block: dict[str, Any] = {"basis": "not_measured", **dict.fromkeys(names), "degraded": [], "domains": []}
    if energy:
        block |= {"basis": "measured", "gross_j": joules, "uncertainty_j": 0.03 * joules, "domains": [domain]}
        block |= {"mean_power_w": model.watts, "edges": "quiet", "tail_j": 1.0, "tail_s": 0.7}
    visit = f"{run.block:03d}-{run.model}"
    record = run_record(
        run,
        asked,
        study="small",
        attempt=1,
        visit=visit,
        started_at="2026-01-01T00:00:00Z",
        server="ollama",
        cold=Cold.NONCE,
        nonce="00",
        occupied_seconds=end_s + 1.0,
        system=({}, {}),
        energy=block,
        energy_reason=None if energy else NO_METER,
    )
    net = {
        "net_j": 0.8 * joules,
        "net_uncertainty_j": 0.04 * joules,
        "idle_power_w": 40.0,
        "idle_drift_ratio": 0.01,
    }
    return record, {f"{run.run_id}/1": net if energy else {"reason": NO_METER}}


def _visit(
    visit: str, block: int, model: Model, net: dict[str, Any], *, energy: bool
) -> list[dict[str, Any]]:
    configuration = Configuration(
        server="ollama",
        served_model=model.name,
        server_version="0.12.3",
        digest="sha256:" + "ab" * 32,
        family="llama",
        parameters=None if model.billions is None else model.billions * 1e9,
        quantization=model.quantization,
        context_length=131_072,
        num_ctx=4096,
        size_bytes=4_000_000_000,
        size_vram_bytes=4_000_000_000,
        missing={}
        if model.billions is not None
        else {"parameters": "the API does not tell it; it can be declared"},
    )
    domain = {
        "id": f"nvml:{model.scope}",
        "source": "nvml",
        "device": "GPU-1",
        "label": "Made-up GPU",
        "scope": model.scope,
        "kind": "counter",
        "unit": "J",
    }
    begin = {
        "event": "begin",
        "visit": visit,
        "block": block,
        "model": model.name,
        "started_at": "2026-01-01T00:00:00Z",
        "wall_ns": 1_767_225_600_000_000_000,
        "monotonic_ns": 0,
        "preload_seconds": 2.0,
        "configuration": configuration.to_json(),
        "environment": {
            "host_class": "Made-up GPU",
            "cpu": "Made-up CPU",
            "accelerators": ["Made-up GPU"],
            "driver": "1.0",
            "power_mode": None,
        },
        "domains": [domain] if energy else [],
        "degraded": [],
        "missing": {} if energy else {"domains": NO_METER},
    }
    return [begin, {"event": "end", "visit": visit, "net": net}]


def _marks(
    name: str, records: Sequence[dict[str, Any]], models: dict[str, Model], draw: random.Random
) -> list[dict[str, Any]]:
    measure = Measure(name, {"definition": f"{name}/1", "model": "judge-model"}, higher_is_better=True)
    rows: list[dict[str, Any]] = [
        {
            "event": "measure",
            "measure": name,
            "identity": dict(measure.identity),
            "identity_sha256": measure.sha256,
            "higher_is_better": True,
            "at": "2026-01-02T00:00:00Z",
        }
    ]
    for place, record in enumerate(records):
        skill = models[record["model"]].skill + 0.02 * len(record["load"]) * (record["load"] != "L0")
        value, reason, parts = _mark(name, record, min(skill, 0.95), draw, repeated=place % 10 == 0)
        rows.append(
            {
                "event": "mark",
                "measure": name,
                "identity_sha256": measure.sha256,
                "run_id": record["run_id"],
                "attempt": record["attempt"],
                "value": value,
                "reason": reason,
                "parts": parts,
            }
        )
    return rows


def _mark(
    name: str, record: dict[str, Any], skill: float, draw: random.Random, *, repeated: bool
) -> tuple[float | None, str | None, dict[str, Any]]:
    if record["status"] != "ok":
        return None, "the run failed (timeout)", {}
    if name != JUDGE:
        return min(max(draw.gauss(skill, 0.15), 0.0), 1.0), None, {}
    if draw.random() < 0.01:
        return None, "no reply that can be read in 3: no JSON object", {}
    points = {one: min(max(round(draw.gauss(2.5 * skill, 0.4) * 2) / 2, 0.0), 2.5) for one in DIMENSIONS}
    total = sum(points.values())
    parts: dict[str, Any] = {
        **points,
        "total_without_conciseness": total - points["conciseness"],
        "language": "en",
    }
    parts["rationales"] = dict.fromkeys(DIMENSIONS, "because")
    other = {**points, "structure": 2.5 if points["structure"] == 2.0 else 2.0}
    parts["repeats"] = [points, other, points] if repeated else []
    return total, None, parts
