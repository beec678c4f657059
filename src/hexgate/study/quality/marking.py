"""Giving marks to the runs of a study: its folder held, and what is made of its ledgers brought up to date."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from hexgate.errors import InputError, TargetFailed
from hexgate.study.ledger import HEAD
from hexgate.study.lines import lock_folder
from hexgate.study.quality.marks import MarkLedger
from hexgate.study.reading import Reading, read_study
from hexgate.study.results import Results
from hexgate.study.spec import Spec

__all__ = ["Tally", "bring_up_to_date", "failed_run", "mark_study", "tallies", "tasks_named"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Tally:
    """What a measure says of one model's runs."""

    measure: str
    """Name of the measure."""
    model: str
    """Name of the model."""
    mean: float | None
    """Mean of the values there are; None where there is none."""
    count: int
    """How many values there are."""
    missing: Mapping[str, int]
    """Runs whose mark has no value, by its reason."""
    unmarked: int
    """Runs that have no mark."""


def mark_study(
    folder: Path, spec_file: Path | None, give: Callable[[Reading, MarkLedger], _T]
) -> tuple[_T, Reading]:
    """Let marks be given, with the folder held so that no run is made meanwhile.

    Args:
        folder: the study's folder.
        spec_file: the study's file, as `read_study` takes it.
        give: gives the marks. What it has given is kept where it raises.

    Returns:
        What `give` returned, and the study with its new marks.

    Raises:
        InputError: if the folder holds no study, is in use or cannot be written, or the file describes another study.
        EvidenceError: if a file of the folder is not what it should be.
        TargetFailed: if the disk takes no more.
    """
    with _held(folder):
        reading = read_study(folder, spec_file)
        try:
            with MarkLedger(folder) as ledger:
                found = give(reading, ledger)
            return found, bring_up_to_date(folder)
        except OSError as error:
            raise TargetFailed(
                f"the study cannot be written ({error.strerror or error}); what was written before is kept",
                where=str(folder),
                hint="make room and run the same command again",
            ) from None


def bring_up_to_date(folder: Path) -> Reading:
    """Make the raw records, the texts and the table anew from the ledgers. A file that is right is left alone.

    Raises:
        EvidenceError: if a file of the folder is not what it should be.
        OSError: if the disk takes no more.
    """
    reading = read_study(folder)
    results = Results(folder, reading.layout, reading.plan)
    for record in reading.records:
        reading.layout.write(record)
        results.put(record)
    results.write()
    return reading


def tallies(reading: Reading, measure: str, tasks: Collection[str]) -> tuple[Tally, ...]:
    """What a measure says of each model, in the order of the study.

    Args:
        reading: the study.
        measure: the measure.
        tasks: the tasks that it is for; none for all.
    """
    found: list[Tally] = []
    for model in reading.spec.models:
        values: list[float] = []
        missing: Counter[str] = Counter()
        unmarked = 0
        for record in reading.records:
            if record["model"] != model.name or (tasks and record["task"] not in tasks):
                continue
            mark = record["quality"].get(measure)
            if mark is None:
                unmarked += 1
            elif mark["value"] is None:
                missing[str(mark["reason"])] += 1
            else:
                values.append(mark["value"])
        mean = math.fsum(values) / len(values) if values else None
        found.append(Tally(measure, model.name, mean, len(values), dict(missing), unmarked))
    return tuple(found)


def tasks_named(spec: Spec, tasks: Collection[str]) -> tuple[str, ...]:
    """Names of tasks, each once.

    Raises:
        InputError: for a name that no task of the study has, with the nearest one.
    """
    known = [task.name for task in spec.tasks]
    for name in tasks:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            raise InputError(
                "the study has no such task",
                got=repr(name),
                expected="one of " + ", ".join(known),
                hint=f"did you mean {close[0]}?" if close else None,
            )
    return tuple(dict.fromkeys(tasks))


def failed_run(record: Mapping[str, Any]) -> str | None:
    """Why a run has no reply that could be marked; None where it has one."""
    return None if record["status"] == "ok" else f"the run failed ({record['error']['kind']})"


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    if not (folder / HEAD).exists():
        # The reader refuses it and says why; a folder that is no study's gets no lock file.
        yield
        return
    try:
        lock = lock_folder(folder)
    except InputError:
        raise InputError(
            "another process is at work in this folder", where=str(folder), hint="wait for its end"
        ) from None
    except OSError as error:
        raise InputError(f"the folder cannot be written ({error.strerror})", where=str(folder)) from None
    with closing(lock):
        yield
