"""A folder of collected parts: which of them are evidence, and what is wrong with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from hexgate.contract.collected import COLLECTED, PartState, folder_faults, read_collected

__all__ = ["PartFault", "PartFaultKind", "Parts", "read_parts"]


class PartFaultKind(str, Enum):
    """What is wrong with a part of a run."""

    MISSING = PartState.MISSING.value
    UNFINISHED = PartState.UNFINISHED.value
    LATE = PartState.LATE.value
    DUPLICATE = PartState.DUPLICATE.value
    UNREADABLE = PartState.UNREADABLE.value
    MIXED = PartState.MIXED.value
    FAILED = PartState.FAILED.value
    CHANGED = "changed"
    """Its folder is not what was collected."""


@dataclass(frozen=True)
class PartFault:
    """One fault of a part."""

    run_id: str
    """The run."""
    part: str
    """The part."""
    kind: PartFaultKind
    """What is wrong."""
    detail: str
    """In a sentence without a full stop."""


@dataclass(frozen=True)
class Parts:
    """What a folder of collected parts holds."""

    run_id: str
    """The run."""
    folders: tuple[Path, ...]
    """The folders of the parts that are evidence."""
    faults: tuple[PartFault, ...]
    """What is wrong with the others."""


def read_parts(folder: Path) -> Parts | None:
    """The parts that were collected into a folder; None if nothing was collected there.

    A part is evidence only if it was found, and its folder still holds exactly what came.

    Raises:
        EvidenceError: if ``collected.json`` cannot be read.
    """
    path = folder / COLLECTED
    if not path.exists():
        return None
    collected = read_collected(path)
    folders: list[Path] = []
    faults: list[PartFault] = []
    for part in collected.parts:
        if part.state is not PartState.FOUND or part.folder is None:
            kind = PartFaultKind(part.state.value)
            faults.append(PartFault(collected.run_id, part.name, kind, part.detail or part.state.value))
            continue
        changed = folder_faults(folder / part.folder, part.files)
        if changed:
            faults.append(PartFault(collected.run_id, part.name, PartFaultKind.CHANGED, _shortened(changed)))
        else:
            folders.append(folder / part.folder)
    return Parts(collected.run_id, tuple(folders), tuple(faults))


def _shortened(problems: Sequence[str]) -> str:
    more = len(problems) - 5
    return "; ".join([*problems[:5], *([f"and {more} more"] if more > 0 else [])])
