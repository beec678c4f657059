"""Where a study's files lie: one raw record and one text a run, and one table of all.

    data/raw/<date>/<model>/<task>_<load>_<run>.json
    data/texts/<date>/<model>/<task>_<load>_<run>.txt
    data/summary/<date>/results.csv

The date is that of the study's start, UTC. A task with several items has the item's id before the run:
``<task>_<load>_<item>_<run>``. In a name, whatever is no letter, digit, ``.``, ``_`` or ``-`` becomes ``-``; where two
runs would then have one name, also on a system that does not tell capitals apart, each gets the first eight digits of
its id behind it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hexgate.study.design import Plan, Run
from hexgate.study.lines import write_whole

__all__ = ["Layout", "file_name"]

_LONGEST = 60
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))}
)
"""Names that Windows gives to devices."""


class Layout:
    """The paths of one study's files.

    Args:
        folder: the study's folder.
        plan: its plan.
        started: when it began, UTC.
    """

    def __init__(self, folder: Path, plan: Plan, started: datetime) -> None:
        date = started.strftime("%Y-%m-%d")
        self._raw = folder / "data" / "raw" / date
        self._texts = folder / "data" / "texts" / date
        self.results = folder / "data" / "summary" / date / "results.csv"
        """The table of all runs."""
        self._stems = _stems(plan.runs)

    def raw(self, run_id: str) -> Path:
        """The raw record of a run."""
        model, stem = self._stems[run_id]
        return self._raw / model / f"{stem}.json"

    def text(self, run_id: str) -> Path:
        """The generated text of a run."""
        model, stem = self._stems[run_id]
        return self._texts / model / f"{stem}.txt"

    def write(self, record: Mapping[str, Any]) -> None:
        """Write the raw record of a run, and its text where it has one. What is there already is left alone.

        Raises:
            OSError: if the disk does not take them.
        """
        # Sorted, so that a record from the ledger gives the same bytes as one that was just made.
        text = json.dumps(record, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
        _bring(self.raw(record["run_id"]), text.encode() + b"\n")
        path = self.text(record["run_id"])
        if record["generated_text"] is None:
            path.unlink(missing_ok=True)
        else:
            _bring(path, record["generated_text"].encode())


def file_name(text: str) -> str:
    """A text as a part of a file's name, on every system: at most 60 characters, longer ones cut with a digest."""
    kept = "".join(one if one.isalnum() or one in "._-" else "-" for one in text).strip(".-") or "-"
    if kept.partition(".")[0].lower() in _RESERVED:
        kept = f"-{kept}"
    if len(kept.encode()) > _LONGEST:
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        kept = kept.encode()[: _LONGEST - 9].decode("utf-8", "ignore") + f"-{digest}"
    return kept


def _bring(path: Path, data: bytes) -> None:
    """Let a file hold these bytes. It can be made again from the ledger, so that the disk is not waited for."""
    try:
        if path.read_bytes() == data:
            return
    except FileNotFoundError:
        pass
    write_whole(path, data, wait=False)


def _stems(runs: Sequence[Run]) -> dict[str, tuple[str, str]]:
    """Folder and name, without a suffix, of each run by its id."""
    items: dict[str, set[str]] = {}
    for run in runs:
        items.setdefault(run.cell.task, set()).add(run.cell.item)
    folders = _folders([run.model for run in runs])
    found: dict[str, tuple[str, str]] = {}
    for run in runs:
        several = [run.cell.item] if len(items[run.cell.task]) > 1 else []
        parts = [file_name(part) for part in (run.cell.task, run.cell.load, *several)]
        found[run.run_id] = (folders[run.model], "_".join([*parts, str(run.block)]))
    uses = Counter((folder, stem.casefold()) for folder, stem in found.values())
    return {
        run_id: (folder, stem if uses[folder, stem.casefold()] == 1 else f"{stem}-{run_id[:8]}")
        for run_id, (folder, stem) in found.items()
    }


def _folders(models: Sequence[str]) -> dict[str, str]:
    names = {model: file_name(model) for model in models}
    uses = Counter(name.casefold() for name in names.values())
    return {
        model: name
        if uses[name.casefold()] == 1
        else f"{name}-{hashlib.sha256(model.encode()).hexdigest()[:8]}"
        for model, name in names.items()
    }
