"""A study that was carried out, and whose runs then drew energies that a test knows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hexgate.meters.base import Domain, Kind, Scope, Unit
from hexgate.study.design import Run, Visit, make_plan
from hexgate.study.items import read_cells
from hexgate.study.ledger import RUNS, VISITS
from hexgate.study.runner import Carrying, carry_out
from hexgate.study.spec_file import read_spec
from support.studies import ScriptedOllama, write_study

PACKAGE = Domain(
    "rapl:package-0", "rapl", "package-0", "package-0", Scope.PACKAGE, Kind.COUNTER, Unit.JOULE,
    systematic_ratio=0.05,
)  # fmt: skip
QUESTIONS = tuple({"id": f"q{place}", "prompt": f"What is {place} and {place}?"} for place in range(8))
"""Eight items."""


def joules_of(record: Mapping[str, Any]) -> float:
    """Energy of a run by its item: 4 to 7.5 J, 5.75 J in the mean."""
    return 4.0 + int(record["item"][1:]) / 2


class _Unwatched:
    def begin(self, left: Sequence[Run], done: int) -> None:
        """Say nothing."""

    def visit(self, visit: Visit) -> None:
        """Say nothing."""

    def ran(self, record: Mapping[str, Any], left_s: float) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""


def studied(
    folder: Path,
    *,
    joules: Callable[[Mapping[str, Any]], float | None] = joules_of,
    limit: int | None = None,
    models: Sequence[str] = ("tiny",),
    **changes: Any,
) -> Path:
    """The folder of a study of eight questions, twice each, with a scripted Ollama.

    The energies are written into its ledger: there is no meter, and a gate needs figures that are known.

    Args:
        folder: where the study's file goes; the study lies in ``out`` of it.
        joules: gross energy of a run by its record; None where it has none.
        limit: most runs that are made.
        models: names of the models, all of one server.
        changes: other keys of the study's file.
    """
    none = folder / "no-powercap"
    none.mkdir(parents=True)
    with ScriptedOllama() as ollama:
        path = write_study(
            folder,
            items=changes.pop("items", QUESTIONS),
            models=[{"name": name, "target": ollama.target} for name in models],
            **{"loads": [{"name": "usual"}], "meters": ["rapl"], **changes},
        )
        spec = read_spec(path)
        plan = make_plan(spec, read_cells(spec))
        carry_out(spec, plan, folder / "out", Carrying(limit=limit, rapl_root=none), _Unwatched())
    _draw(folder / "out", joules)
    return folder / "out"


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change each row of a file of JSON lines."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for row in rows:
        change(row)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _draw(out: Path, joules: Callable[[Mapping[str, Any]], float | None]) -> None:
    drawn: dict[str, float | None] = {}

    def run(row: dict[str, Any]) -> None:
        energy = drawn[f"{row['run_id']}/{row['attempt']}"] = joules(row)
        if energy is None:
            return
        row["energy"] |= {
            "basis": "measured",
            "gross_j": energy,
            "uncertainty_j": energy / 10,
            "mean_power_w": energy / row["latency_seconds"],
            "edges": "quiet",
            "degraded": [],
            "domains": [
                {
                    "id": PACKAGE.id,
                    "scope": "package",
                    "device": "package-0",
                    "energy_j": energy,
                    "reasons": [],
                }
            ],
        }
        del row["missing"]["energy.gross_j"]

    def visit(row: dict[str, Any]) -> None:
        if row["event"] == "begin":
            row["domains"] = [PACKAGE.to_json()]
            return
        for key in row["net"]:
            energy = drawn[key]
            if energy is not None:
                row["net"][key] = {
                    "net_j": energy - 1.0,
                    "net_uncertainty_j": 0.1,
                    "idle_power_w": 2.0,
                    "idle_drift_ratio": 0.01,
                }

    edit(out / RUNS, run)
    edit(out / VISITS, visit)
