"""A folder of collected parts: which of them are evidence, and what is wrong with the rest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from hexgate.contract.collected import COLLECTED, Collected, Part, PartState, folder_faults, read_collected

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
    beside: Path | None = None
    """The folder of ``collected.json``, in which no artifact may lie; None where one part alone was asked for."""


def read_parts(folder: Path) -> Parts | None:
    """The parts that were collected into a folder, or the part whose folder it is or lies in; None if it is neither.

    A part is evidence only if it was found, and its folder still holds exactly what came.

    Raises:
        EvidenceError: if a ``collected.json`` in it or above it cannot be read.
    """
    one = _part_around(folder)
    if one is not None:
        root, collected, part = one
        faults = _faults(root, collected, part)
        return Parts(collected.run_id, () if faults else (folder,), tuple(faults))
    # A link to nowhere is there too, and no reason to look away.
    if not os.path.lexists(folder / COLLECTED):
        return None
    collected = read_collected(folder / COLLECTED)
    folders: list[Path] = []
    faults = []
    for part in collected.parts:
        wrong = _faults(folder, collected, part)
        faults += wrong
        folders += [] if wrong else [folder / (part.folder or part.name)]
    return Parts(collected.run_id, tuple(folders), tuple(faults), folder)


def _part_around(folder: Path) -> tuple[Path, Collected, Part] | None:
    """The part that a folder belongs to, by its path as it was given and as it is behind links."""
    as_given = Path(os.path.abspath(folder))  # noqa: PTH100 - what resolve() finds behind links is another path
    for path in dict.fromkeys((as_given, folder.resolve())):
        for root in path.parents:
            if not os.path.lexists(root / COLLECTED):
                continue
            collected = read_collected(root / COLLECTED)
            inside = path.relative_to(root)
            for part in collected.parts:
                # Where a part should lie, what lies there is judged as that part, even if it went elsewhere.
                if any(
                    inside.is_relative_to(place) for place in (part.name, part.folder) if place is not None
                ):
                    return root, collected, part
    return None


def _faults(root: Path, collected: Collected, part: Part) -> list[PartFault]:
    if part.state is not PartState.FOUND or part.folder is None:
        kind = PartFaultKind(part.state.value)
        return [PartFault(collected.run_id, part.name, kind, part.detail or part.state.value)]
    changed = folder_faults(root / part.folder, part.files)
    kind = PartFaultKind.CHANGED
    return [PartFault(collected.run_id, part.name, kind, _shortened(changed))] if changed else []


def _shortened(problems: Sequence[str]) -> str:
    more = len(problems) - 5
    return "; ".join([*problems[:5], *([f"and {more} more"] if more > 0 else [])])
