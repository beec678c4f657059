"""Studies of prompt lengths whose every figure is known: no server is asked; ledger and files are the real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hexgate.study.asking import Asked, Stamps
from hexgate.study.design import Run, make_plan
from hexgate.study.items import read_cells
from hexgate.study.ledger import Ledger
from hexgate.study.quality.marks import JUDGE, MarkLedger, Measure
from hexgate.study.reading import read_study
from hexgate.study.record import run_record
from hexgate.study.results import Results
from hexgate.study.spec import Cold
from hexgate.study.spec_file import read_spec
from hexgate.wire.base import Usage
from support.studies import write_study

LEVELS = ("L0", "L1", "L2", "L3", "P")
QUESTIONS = {81: "writing", 82: "writing", 83: "数学"}
TEXTS = {81: "=HYPERLINK(1)\nsecond line, “quoted”", 82: "- one\n- two", 83: "答案是 4。"}
NET_W, GROSS_W = 6.0, 10.0

Change = Callable[[dict[str, Any]], dict[str, Any] | None]
"""Takes the record of a run before the ledger does, and gives what the ledger is to keep; None for no run."""
Judge = Callable[[dict[str, Any]], tuple[float | None, str | None, dict[str, Any]]]
"""Value, reason and parts that the judge gives a record."""


def latency_s(level: str, question: int, repeat: int = 1) -> float:
    return 1.0 + 0.25 * LEVELS.index(level) + 0.125 * (question - 81) + 0.0625 * (repeat - 1)


def prompt_tokens(level: str, question: int) -> int:
    """Each level says more than the one before it; the padded one lies between L1 and L2."""
    return {"L0": 20, "L1": 60, "L2": 120, "L3": 200, "P": 90}[level] + question - 81


def completion_tokens(level: str, question: int) -> int:
    return 40 + 10 * LEVELS.index(level) + question - 81


def scores_of(level: str, question: int) -> dict[str, float]:
    best = min(2.5, 1.0 + 0.5 * LEVELS.index(level))
    return {
        "factuality": best,
        "helpfulness": 1.5 if question == 82 else 2.0,
        "structure": 2.0,
        "conciseness": 0.5,
    }


def judged(record: dict[str, Any]) -> tuple[float | None, str | None, dict[str, Any]]:
    """A mark as a judge gives it."""
    parts = scores_of(record["load"], int(record["item"]))
    total = sum(parts.values())
    whole: dict[str, Any] = {
        **parts,
        "total_without_conciseness": total - parts["conciseness"],
        "rationales": {name: f"=why {name}, 因为" for name in parts},
        "repeats": [],
        "language": "en",
    }
    return total, None, whole


def failing(record: dict[str, Any]) -> dict[str, Any]:
    """The record of the same run, had it failed."""
    blank = [
        name for name in record if name.endswith(("_seconds", "_per_sec")) and name != "occupied_seconds"
    ]
    missing = [*blank, *(f"api_metrics.{name}" for name in record["api_metrics"])]
    return {
        **record,
        **dict.fromkeys([*blank, "generated_text", "truncated", "finish_reason", "prompt_state"]),
        "api_metrics": dict.fromkeys(record["api_metrics"]),
        "status": "failed",
        "error": {
            "kind": "timeout",
            "detail": "+no reply in time",
            "http_status": None,
            "partial_text": None,
        },
        "missing": {**record["missing"], **dict.fromkeys(missing, "the run failed")},
    }


def made_study(
    folder: Path,
    *,
    models: Sequence[str] = ("amber", "梅花:1b"),
    questions: dict[int, str] | None = None,
    change: Change | None = None,
    judge: Judge | None = judged,
    digest: Callable[[str, int], str | None] | None = None,
    **spec_changes: Any,
) -> Path:
    """A study's folder, carried out but for what `change` takes away, marked where there is a `judge`.

    Args:
        folder: an empty folder.
        models: names of its models.
        questions: category by number of the question.
        change: what is done to each record.
        judge: the judge.
        digest: what the server states as the digest of a model in a block.
        spec_changes: keys of the study's file.
    """
    asked = QUESTIONS if questions is None else questions
    items = [
        {
            "question_id": number,
            "category": category,
            **{level: f"@{level} of {number}: {'word ' * prompt_tokens(level, number)}" for level in LEVELS},
        }
        for number, category in asked.items()
    ]
    given: dict[str, Any] = {
        "name": "levels 一",
        "models": [{"name": name, "target": "http://127.0.0.1:9/v1", "model": name} for name in models],
        "tasks": [
            {"name": category, "items": "items.jsonl", "where": {"category": category}}
            for category in dict.fromkeys(asked.values())
        ],
        "loads": [{"name": level, "prompt": level} for level in LEVELS],
        "runs": 1,
        **spec_changes,
    }
    path = write_study(folder / "spec", items=items, **given)
    spec = read_spec(path)
    plan = make_plan(spec, read_cells(spec))
    levels = {load.name: load.prompt or load.name for load in spec.loads}
    out = folder / "out"
    with Ledger(out, spec, plan) as ledger:
        for number, visit in enumerate(plan.visits()):
            name = f"{number:04d}_visit"
            ledger.note_visit(
                {
                    "event": "begin",
                    "visit": name,
                    "block": visit.block,
                    "model": visit.model,
                    "configuration": {
                        "server": "ollama",
                        "served_model": visit.model,
                        "server_version": "0.12.3",
                        "digest": digest(visit.model, visit.block) if digest else f"sha256:{visit.model}",
                        "quantization": "Q6_K",
                        "num_ctx": 4096,
                    },
                    "environment": {"host_class": "made"},
                }
            )
            net: dict[str, Any] = {}
            for run in visit.runs:
                row = _record(run, levels[run.cell.load], name)
                if change is not None and (row := change(row)) is None:
                    continue
                ledger.append(row)
                if row["energy"].get("gross_j") is not None:
                    seconds = latency_s(levels[run.cell.load], int(run.cell.item), run.block)
                    net[f"{run.run_id}/1"] = {
                        "net_j": NET_W * seconds,
                        "net_uncertainty_j": 0.125,
                        "idle_power_w": GROSS_W - NET_W,
                        "idle_drift_ratio": 0.01,
                    }
            ledger.note_visit({"event": "end", "visit": name, "net": net})
    if judge is not None:
        _mark(out, judge)
    reading = read_study(out)
    table = Results(out, reading.layout, reading.plan)
    for record in reading.records:
        reading.layout.write(record)
        table.put(record)
    table.write()
    return out


def _mark(out: Path, judge: Judge) -> None:
    reading = read_study(out)
    with MarkLedger(out) as ledger:
        ledger.begin(Measure(JUDGE, {"definition": "made"}, higher_is_better=True))
        for record in reading.records:
            if record["status"] == "ok":
                ledger.mark(record, JUDGE, *judge(dict(record)))
            else:
                ledger.mark(record, JUDGE, None, "the run failed (timeout)", {})


def _record(run: Run, level: str, visit: str) -> dict[str, Any]:
    question = int(run.cell.item)
    seconds = latency_s(level, question, run.block)
    begin = 1_000_000_000
    end = begin + round(seconds * 1e9)
    stamps = Stamps(
        sent_ns=begin,
        headers_ns=begin + 10_000_000,
        first_event_ns=begin + 20_000_000,
        first_token_ns=begin + 250_000_000,
        first_answer_ns=begin + 250_000_000,
        last_token_ns=end - 50_000_000,
        end_ns=end,
    )
    usage = Usage(
        prompt_tokens=prompt_tokens(level, question),
        output_tokens=completion_tokens(level, question),
        load_ns=40_000_000,
        prompt_ns=200_000_000,
        output_ns=500_000_000,
        total_ns=800_000_000,
    )
    asked = Asked(
        stamps=stamps,
        text=TEXTS.get(question, f"answer {question}"),
        thinking="",
        finish_reason="stop",
        token_events=4,
        usage=usage,
        failure=None,
    )
    return run_record(
        run,
        asked,
        study="levels",
        attempt=1,
        visit=visit,
        started_at="2026-01-31T12:00:00Z",
        server="ollama",
        cold=Cold.NONCE,
        nonce="abc",
        occupied_seconds=seconds + 1.0,
        system=({}, {}),
        energy={
            "basis": "measured",
            "gross_j": GROSS_W * seconds,
            "uncertainty_j": 0.25,
            "mean_power_w": GROSS_W,
            "edges": "quiet",
            "domains": [],
            "degraded": [],
        },
        energy_reason=None,
    )
