"""A small study that is over, for tests of what marks it: two models of a scripted Ollama, twice."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hexgate.study.design import Run, Visit, make_plan
from hexgate.study.items import read_cells
from hexgate.study.runner import Carrying, carry_out
from hexgate.study.spec_file import read_spec
from support.routed_server import Reply
from support.studies import ScriptedOllama, said, write_study

__all__ = ["FAILED", "ITEMS", "RUNS", "Finished", "finished_study"]

ITEMS = (
    {
        "id": "garden",
        "kind": "talk",
        "prompt": "Tell me about a garden.",
        "reference": "It is green.",
        "answers": ["green"],
    },
    {
        "id": "train",
        "kind": "talk",
        "prompt": "Tell me about a train.",
        "reference": ["It runs.", "On rails."],
        "answers": 7,
    },
    {"id": "silent", "kind": "talk", "prompt": "Say nothing.", "reference": "Nothing."},
    {"id": "broken", "kind": "talk", "prompt": "Break down.", "reference": "Broken."},
    {
        "id": "twice",
        "kind": "code",
        "prompt": "Write twice(x).",
        "entry_point": "twice",
        "tests": "assert twice(4) == 8",
        "reference": "def twice(x):\n    return 2 * x",
    },
)
RUNS = 20
"""Two models, five items, two repeats."""
FAILED = "the run failed (http_500)"
"""Why the runs of the item ``broken`` have no value."""
_PROGRAM = "```python\ndef twice(x):\n    return 2 * x\n```"


@dataclass(frozen=True)
class Finished:
    """Its files."""

    folder: Path
    """Where its file lies."""

    @property
    def spec(self) -> Path:
        """The study's file."""
        return self.folder / "study.yaml"

    @property
    def out(self) -> Path:
        """The study's folder."""
        return self.folder / "out"

    @property
    def table(self) -> Path:
        """The table of all runs."""
        return next(self.out.glob("data/summary/*/results.csv"))

    def copy(self, folder: Path) -> Finished:
        """The same elsewhere."""
        return Finished(Path(shutil.copytree(self.folder, folder)))

    def spec_with(self, **blocks: Any) -> Path:
        """The study's file with further blocks, as a file of its own."""
        path = self.folder / "changed.yaml"
        spec = json.loads(self.spec.read_text("utf-8"))
        path.write_text(json.dumps({**spec, **blocks}, ensure_ascii=False), encoding="utf-8")
        return path

    def rows(self, name: str = "quality.jsonl") -> list[dict[str, Any]]:
        """The rows of a ledger; none where it does not exist."""
        path = self.out / name
        text = path.read_text("utf-8") if path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]


@cache
def finished_study(base: Path) -> Finished:
    """Carry the study out below a session's base folder, once in a process. Its server is gone then."""
    folder = base / "finished"
    counts: Counter[str] = Counter()

    def chat(body: dict[str, Any]) -> Reply:
        prompt = body["messages"][-1]["content"]
        counts[prompt] += 1
        replies: dict[str, Reply] = {
            "Tell me about a garden.": said("It is", " green."),
            "Tell me about a train.": said("It runs", f" {counts[prompt]} times."),
            "Say nothing.": said(),
            "Break down.": 500,
            "Write twice(x).": said(_PROGRAM),
        }
        return replies[prompt]

    with ScriptedOllama(chat) as ollama:
        path = write_study(
            folder,
            items=ITEMS,
            models=[{"name": name, "target": ollama.target} for name in ("alpha", "beta")],
            tasks=[
                {"name": name, "items": "items.jsonl", "where": {"kind": name}} for name in ("talk", "code")
            ],
            loads=[{"name": "usual"}],
            cold="none",
        )
        spec = read_spec(path)
        outcome = carry_out(spec, make_plan(spec, read_cells(spec)), folder / "out", Carrying(), _Nobody())
    assert outcome.stopped is None
    assert (outcome.done, outcome.failed) == (RUNS, 4)
    return Finished(folder)


class _Nobody:
    """Watches nothing."""

    def begin(self, left: Sequence[Run], done: int) -> None:
        """Nothing."""

    def visit(self, visit: Visit) -> None:
        """Nothing."""

    def ran(self, record: Mapping[str, Any], left_s: float) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""
