"""What a study has done so far: one line a run, and a line for each begin and end of a model's visit."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from hexgate import __version__
from hexgate.contract.canonical import NotStrictJson, canonical_bytes, parse_strict
from hexgate.contract.provenance import utc_now
from hexgate.errors import EvidenceError, InputError
from hexgate.study.design import Plan, Run
from hexgate.study.lines import Lines, lock_folder, read_lines, write_whole
from hexgate.study.spec import MAY_CHANGE, Spec

__all__ = ["CALLS", "HEAD", "ITEMS", "RUNS", "VISITS", "Entry", "Ledger", "read_head", "visits_of"]

HEAD = "study.json"
"""What is studied, and by which plan."""
ITEMS = "items.jsonl"
"""What is asked, with references and tests: the folder needs no other file to be judged."""
RUNS = "runs.jsonl"
"""One line a run, appended when it is over."""
VISITS = "visits.jsonl"
"""Two lines a visit: its begin with the model's configuration, its end with idle power."""
CALLS = "calls.jsonl"
"""How long each call has taken so far, appended as it goes: the last line of a call counts."""
SCHEMA = "hexgate/study/1"


@dataclass(frozen=True)
class Entry:
    """What has to be known of a run that is over, to go on."""

    attempt: int
    """Which attempt it was, from 1."""
    failure: str | None
    """Kind of its failure; None where it succeeded."""
    energy_j: float | None
    """Its gross energy, where it was measured."""


class Ledger:
    """The files of a study's folder that are appended to. Used as a context manager; threads may share it.

    Opening makes the folder, or takes up the study in it where it is the same one.

    Args:
        folder: the study's folder.
        spec: the study.
        plan: its plan.

    Raises:
        InputError: if the folder holds another study, is in use, or cannot be written.
        EvidenceError: if a file of it is not what this study has written.
    """

    def __init__(self, folder: Path, spec: Spec, plan: Plan) -> None:
        self.folder = folder
        """The folder."""
        self._planned = {run.run_id: run for run in plan.runs}
        self._entries: dict[str, Entry] = {}
        self._begun: dict[str, dict[str, Any]] = {}
        self._guard = threading.Lock()
        with ExitStack() as opening:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                opening.enter_context(lock_folder(folder))
                self.head = _head(folder, spec, plan)
                """What ``study.json`` holds."""
                self._runs = opening.enter_context(closing(Lines(folder / RUNS)))
                self._visits = opening.enter_context(closing(Lines(folder / VISITS)))
                self._calls = opening.enter_context(closing(Lines(folder / CALLS)))
            except OSError as error:
                raise InputError(
                    f"the folder cannot be written ({error.strerror})", where=str(folder)
                ) from None
            self.read_again()
            self._open = opening.pop_all()

    @property
    def started(self) -> datetime:
        """When the study began, UTC: its date stands in the paths of what it leaves."""
        return datetime.fromisoformat(str(self.head["started_at"]).replace("Z", "+00:00"))

    @property
    def entries(self) -> Mapping[str, Entry]:
        """The runs that are over, by id."""
        return self._entries

    def left(self, *, retry_failed: bool) -> tuple[Run, ...]:
        """The runs that are still to be made, in the order of the plan.

        A run to which nobody answered (``connection``) says nothing of the model and is made again; any other failure
        is a result, and is made again only where that is asked for.
        """
        return tuple(
            run
            for run in self._planned.values()
            if (entry := self._entries.get(run.run_id)) is None
            or (entry.failure is not None and (retry_failed or entry.failure == "connection"))
        )

    def attempt(self, run_id: str) -> int:
        """Which attempt the next one of a run is."""
        entry = self._entries.get(run_id)
        return 1 if entry is None else entry.attempt + 1

    def append(self, record: Mapping[str, Any]) -> None:
        """Keep the record of a run that is over.

        Raises:
            EvidenceError: if it is not in the plan, or is kept already.
            OSError: if the disk does not take it.
        """
        with self._guard:
            run_id, entry = self._entry(record)
            self._runs.append(record)
            self._entries[run_id] = entry

    def read_again(self) -> None:
        """Take what is over from the file: an interrupt may have come between a line and what is known of it.

        Raises:
            EvidenceError: if a line is not one of this study's.
        """
        self._entries = {}
        for row in self._runs.rows():
            run_id, entry = self._entry(row)
            self._entries[run_id] = entry
        self._begun = visits_of(self.folder / VISITS)

    def note_visit(self, row: Mapping[str, Any]) -> None:
        """Keep the begin or the end of a visit.

        Raises:
            OSError: if the disk does not take it.
        """
        with self._guard:
            self._visits.append(row)
            _join(self._begun, row)

    def note_call(self, call: int, seconds: float) -> None:
        """Keep how long a call has taken so far.

        Raises:
            OSError: if the disk does not take it.
        """
        with self._guard:
            self._calls.append({"call": call, "seconds": seconds, "at": utc_now()})

    def calls(self) -> dict[int, float]:
        """How long each call took, in seconds, by its number: loading, warm-up and idle included."""
        return {int(row["call"]): float(row["seconds"]) for row in self._calls.rows()}

    def records(self) -> Iterator[dict[str, Any]]:
        """The last record of each run that is over, in the order in which they were kept."""
        for row in self._runs.rows():
            if self._entries[row["run_id"]].attempt == row["attempt"]:
                yield row

    def visits(self) -> Mapping[str, Mapping[str, Any]]:
        """Every visit by its id: its begin, and under ``end`` its end where it came to it."""
        return self._begun

    def first_configuration(self, model: str) -> dict[str, Any] | None:
        """The configuration of a model in its first visit; None where there was none."""
        with self._guard:
            begins = (row for row in self.visits().values() if row["model"] == model)
            first = next(begins, None)
        return None if first is None else first.get("configuration")

    def close(self) -> None:
        """Close the files, and let another process have the folder."""
        self._open.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _entry(self, row: Mapping[str, Any]) -> tuple[str, Entry]:
        run_id, attempt = str(row.get("run_id")), row.get("attempt")
        where = str(self.folder / RUNS)
        if run_id not in self._planned or not isinstance(attempt, int):
            raise EvidenceError("a run that is not in the plan", where=where, got=run_id)
        if attempt != self.attempt(run_id):
            raise EvidenceError(
                "a run is kept twice", where=where, got=f"{run_id}, attempt {attempt}", hint="keep one line"
            )
        error, energy = row.get("error"), row.get("energy") or {}
        return run_id, Entry(
            attempt=attempt,
            failure=None if error is None else str(error["kind"]),
            energy_j=energy.get("gross_j"),
        )


def visits_of(path: Path) -> dict[str, dict[str, Any]]:
    """Every visit of a file of visits by its id, its end under ``end``; none where there is no file.

    Raises:
        EvidenceError: if the file cannot be read.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in read_lines(path) if path.exists() else ():
        _join(found, row)
    return found


def _join(visits: dict[str, dict[str, Any]], row: Mapping[str, Any]) -> None:
    if row["event"] == "begin":
        visits[row["visit"]] = {**row, "end": None}
    elif row["visit"] in visits:
        visits[row["visit"]]["end"] = row


def read_head(folder: Path) -> dict[str, Any] | None:
    """What ``study.json`` of a folder holds; None where there is no study.

    Raises:
        EvidenceError: if it is not one that can be read.
    """
    path = folder / HEAD
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EvidenceError(f"the study cannot be read ({error.strerror})", where=str(path)) from None
    try:
        head = parse_strict(data)
    except NotStrictJson as error:
        raise EvidenceError(str(error), where=str(path)) from None
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        raise EvidenceError("not a study of this version", where=str(path), expected=SCHEMA)
    return head


def _head(folder: Path, spec: Spec, plan: Plan) -> dict[str, Any]:
    """The head of the study in a folder, which is written where there is none.

    It is there before the first run, so that a folder with runs and without a head is none of ours.
    """
    head = read_head(folder)
    digests = {"spec_sha256": spec.sha256(), "plan_sha256": plan.sha256()}
    if head is not None:
        if any(head.get(name) != digest for name, digest in digests.items()):
            raise _another(folder, head, spec)
        return head
    if (folder / RUNS).exists():
        raise InputError(
            "the folder holds runs, but no study",
            where=str(folder / RUNS),
            hint="name another --out, or bring study.json back",
        )
    head = {
        "schema": SCHEMA,
        "name": spec.name,
        "started_at": utc_now(),
        **digests,
        "seed": spec.seed,
        "runs": len(plan.runs),
        "tool": f"hexgate {__version__}",
        "spec": spec.to_json(),
    }
    write_whole(folder / ITEMS, b"".join(canonical_bytes(cell.to_json()) + b"\n" for cell in plan.cells))
    write_whole(folder / HEAD, canonical_bytes(head) + b"\n")
    return head


def _another(folder: Path, head: Mapping[str, Any], spec: Spec) -> InputError:
    was: Mapping[str, Any] = head.get("spec") or {}
    now = parse_strict(canonical_bytes(spec.to_json()))
    differing: Sequence[str] = [name for name in now if name not in MAY_CHANGE and was.get(name) != now[name]]
    return InputError(
        "the folder holds another study",
        where=str(folder / HEAD),
        got=f"a difference in {', '.join(differing)}" if differing else "other items",
        expected="the spec and the items with which it began; budget, parallel, expect, quality, judge and rating "
        "may change",
        hint="name another --out, or take the change back",
    )
