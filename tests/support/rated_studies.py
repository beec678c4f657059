"""Studies that are over, with energies and marks that a test chooses: the files that a run leaves, without a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hexgate.study.asking import Asked, Failed, Stamps
from hexgate.study.design import Plan, Run, make_plan
from hexgate.study.items import read_cells
from hexgate.study.ledger import Ledger
from hexgate.study.quality.marks import JUDGE, MarkLedger, Measure
from hexgate.study.reading import Reading, read_study
from hexgate.study.record import run_record
from hexgate.study.spec import Cold, Spec
from hexgate.study.spec_file import read_spec
from hexgate.wire.base import Usage
from support.studies import write_study

RATING: dict[str, Any] = {
    "accepted": [{"measure": "exact_match", "least": 1}],
    "reference": "big",
    "floor": {"acceptance": 0.5},
}
EXACT = Measure("exact_match", {"definition": "exact_match/1"}, higher_is_better=True)
JUDGED = Measure(
    JUDGE, {"rubric_version": "hexgate-judge/1", "judge": {"model": "judge-model"}}, higher_is_better=True
)
STARTED = "2026-01-31T12:00:00Z"
_SECOND = 1_000_000_000
USUAL: dict[str, Any] = {
    "energy_j": 40.0,
    "net_j": 30.0,
    "exact": 1.0,
    "judge": None,
    "cached": 0,
    "finish": "stop",
    "text": "Yes.",
    "failure": None,
    "device": "Board X",
    "scopes": ("board",),
    "made": True,
}
"""What a run is unless a test says otherwise."""
Given = Callable[[str, int], Mapping[str, Any]]
"""From a model's name and the number of the question to what is otherwise in that run."""


def usual(model: str, number: int) -> Mapping[str, Any]:
    """A reference that takes 40 J for each answer, all of them accepted, and models that take half."""
    return {} if model == "big" else {"energy_j": 20.0, "net_j": 15.0}


def rated_spec(
    folder: Path,
    *,
    models: Sequence[str] = ("big", "small"),
    questions: int = 40,
    rating: Mapping[str, Any] | None = RATING,
    **changes: Any,
) -> Path:
    """The file of such a study."""
    items = [{"id": f"q{n:03d}", "prompt": f"Question {n}?", "reference": "Yes."} for n in range(questions)]
    return write_study(
        folder,
        items=items,
        **{
            "models": [{"name": name, "target": "http://127.0.0.1:9/v1", "model": name} for name in models],
            "loads": [{"name": "usual"}],
            "runs": 1,
            **({} if rating is None else {"rating": rating}),
            **changes,
        },
    )


def made_study(folder: Path, given: Given = usual, *, judged: bool = False, **spec: Any) -> Path:
    """The folder of a study whose runs are over.

    Args:
        folder: where it is made, its file with it.
        given: what its runs are.
        judged: whether a judge has marked it too.
        spec: what its file says.
    """
    described = read_spec(rated_spec(folder, **spec))
    plan = make_plan(described, read_cells(described))
    out = folder / "out"
    # Hundreds of waits for the disk, for files that a test throws away.
    with patch("os.fsync"):
        _make(out, described, plan, given, judged=judged)
    return out


def _make(out: Path, described: Spec, plan: Plan, given: Given, *, judged: bool) -> None:
    kept: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
    with Ledger(out, described, plan) as ledger:
        for place, visit in enumerate(plan.visits()):
            facts = [
                (run, {**USUAL, **given(run.model, int(run.cell.item.removeprefix("q")))})
                for run in visit.runs
            ]
            for device in dict.fromkeys(str(fact["device"]) for _, fact in facts):
                name = f"{place:04d}_{device}"
                ledger.note_visit(_begin(name, visit.block, visit.model, device))
                net: dict[str, Any] = {}
                for run, fact in facts:
                    if fact["device"] == device and fact["made"]:
                        record = _record(run, fact, name)
                        net[f"{run.run_id}/1"] = {"net_j": fact["net_j"], "reason": "idle drifted"}
                        ledger.append(record)
                        kept.append((record, fact))
                ledger.note_visit({"event": "end", "visit": name, "ended_at": STARTED, "net": net})
        ledger.note_call(1, 3600.0)
    with MarkLedger(out) as marks:
        for measure in (EXACT, JUDGED) if judged else (EXACT,):
            marks.begin(measure)
            for record, fact in kept:
                value = fact["exact" if measure is EXACT else "judge"]
                reason = None if value is not None else "nobody scored it"
                marks.mark(record, measure.name, value, reason, {})


def made_reading(folder: Path, given: Given = usual, **more: Any) -> Reading:
    """The same, read."""
    return read_study(made_study(folder, given, **more))


def _begin(name: str, block: int, model: str, device: str) -> dict[str, Any]:
    return {
        "event": "begin",
        "visit": name,
        "block": block,
        "model": model,
        "started_at": STARTED,
        "wall_ns": 1_769_860_800 * _SECOND,
        "monotonic_ns": 0,
        "configuration": {
            "server": "llama.cpp",
            "server_version": "b4321",
            "quantization": "Q4_K_M",
            "digest": "sha256:ab12",
            "num_ctx": 2048,
            "missing": {},
        },
        "environment": {"host_class": device, "power_mode": "30 W", "accelerators": []},
    }


def _record(run: Run, fact: Mapping[str, Any], visit: str) -> dict[str, Any]:
    sent_ns = (2 * run.order if fact.get("sent_s") is None else fact["sent_s"]) * _SECOND
    failure = None if fact["failure"] is None else Failed(fact["failure"], "it failed")
    asked = Asked(
        stamps=Stamps(sent_ns=sent_ns, first_token_ns=sent_ns + 1, end_ns=sent_ns + _SECOND),
        text=fact["text"],
        thinking="",
        finish_reason=fact["finish"],
        token_events=2,
        usage=Usage(prompt_tokens=100, output_tokens=10, cached_tokens=fact["cached"]),
        failure=failure,
    )
    joules = fact["energy_j"]
    domains = [{"id": scope, "scope": scope, "device": scope} for scope in fact["scopes"]]
    energy = {
        "basis": "not_measured" if joules is None else "measured",
        "gross_j": joules,
        "uncertainty_j": None if joules is None else 0.1,
        "mean_power_w": joules,
        "edges": None if joules is None else "quiet",
        "tail_j": None if joules is None else 0.0,
        "tail_s": None if joules is None else 0.7,
        "domains": domains,
        "degraded": [],
    }
    return run_record(
        run,
        asked,
        study="small",
        attempt=1,
        visit=visit,
        started_at=STARTED,
        server="llama.cpp",
        cold=Cold.NONE,
        nonce=None,
        occupied_seconds=1.5,
        system=({}, {}),
        energy=energy,
        energy_reason="no meter" if joules is None else None,
    )
