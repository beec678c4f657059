"""What was collected of a run: ``collected.json``, with the folder of each part beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from hexgate.contract.artifact import write_atomically
from hexgate.contract.canonical import NotStrictJson, parse_strict, sha256_file
from hexgate.contract.schema import schema_mistakes
from hexgate.errors import EvidenceError

__all__ = [
    "COLLECTED",
    "Collected",
    "Part",
    "PartState",
    "folder_faults",
    "read_collected",
    "write_collected",
]

COLLECTED = "collected.json"
"""The file that makes a folder one of collected parts."""


class PartState(str, Enum):
    """What became of one part of a run."""

    FOUND = "found"
    """It came whole, and it is the one."""
    MISSING = "missing"
    """The store holds nothing of it."""
    UNFINISHED = "unfinished"
    """Files of it lie there without a manifest: its job did not end, or was cut off while it published."""
    LATE = "late"
    """It ended after the deadline."""
    DUPLICATE = "duplicate"
    """Two attempts at it came to an end, with different files."""
    UNREADABLE = "unreadable"
    """Its manifest or its files are not what they should be."""
    MIXED = "mixed"
    """It belongs to another run, another job spec or another image, or the run must not have it."""
    FAILED = "failed"
    """Its command ended in a way that its artifacts need not tell of: killed, refused, or a fault of the tool."""


@dataclass(frozen=True)
class Part:
    """One part of a run."""

    name: str
    """``main``, an indicator, or ``shard-<i>-of-<n>``."""
    state: PartState
    """What became of it. Only a part that is found is evidence."""
    detail: str | None = None
    """Why it is not found, in a sentence without a full stop; None where it is."""
    attempt: str | None = None
    """The attempt that lies in the folder."""
    folder: str | None = None
    """Its folder beside ``collected.json``; None where nothing came."""
    exit_code: int | None = None
    """How its command ended; None where nobody said."""
    files: tuple[Mapping[str, Any], ...] = ()
    """Every file of the folder: path, bytes, sha256."""

    def to_json(self) -> dict[str, Any]:
        """As the schema has it."""
        return {
            "part": self.name,
            "state": self.state.value,
            "detail": self.detail,
            "attempt": self.attempt,
            "folder": self.folder,
            "exit_code": self.exit_code,
            "files": [dict(file) for file in self.files],
        }


@dataclass(frozen=True)
class Collected:
    """What came of a run."""

    run_id: str
    """The run."""
    source: str
    """The store that the parts came from."""
    expected: tuple[str, ...]
    """The parts that the run must have."""
    until: str | None
    """What ended later is late, UTC; None where nothing is."""
    collected_at: str
    """UTC, to the second."""
    parts: tuple[Part, ...]
    """The expected parts in their order, then what the run must not have."""

    @property
    def whole(self) -> bool:
        """Whether every expected part is found, and nothing else lies there."""
        return all(part.state is PartState.FOUND for part in self.parts) and set(self.expected) == {
            part.name for part in self.parts
        }

    def to_json(self) -> dict[str, Any]:
        """As the schema has it."""
        return {
            "schema": "hexgate.collected/v1",
            "run_id": self.run_id,
            "source": self.source,
            "expected": list(self.expected),
            "until": self.until,
            "collected_at": self.collected_at,
            "parts": [part.to_json() for part in self.parts],
        }


def write_collected(folder: Path, collected: Collected) -> None:
    """Write ``collected.json`` into a folder, in one step.

    Raises:
        OSError: if the disk does not take it.
    """
    text = json.dumps(collected.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(folder / COLLECTED, text.encode("utf-8"))


def read_collected(path: Path) -> Collected:
    """Read a ``collected.json``.

    Raises:
        EvidenceError: if it cannot be read, breaks its schema, or leaves out a part that it expects.
    """
    try:
        value = parse_strict(path.read_bytes())
    except OSError as error:
        raise EvidenceError(f"it cannot be read ({error.strerror})", where=str(path)) from None
    except NotStrictJson as error:
        raise EvidenceError(f"not strict JSON: {error}", where=str(path), hint="collect again") from None
    mistakes = schema_mistakes("collected", value) or _between_fields(value)
    if mistakes:
        raise EvidenceError("; ".join(mistakes), where=str(path), hint="collect again")
    return Collected(
        run_id=value["run_id"],
        source=value["source"],
        expected=tuple(value["expected"]),
        until=value["until"],
        collected_at=value["collected_at"],
        parts=tuple(
            Part(
                name=part["part"],
                state=PartState(part["state"]),
                detail=part["detail"],
                attempt=part["attempt"],
                folder=part["folder"],
                exit_code=part["exit_code"],
                files=tuple(part["files"]),
            )
            for part in value["parts"]
        ),
    )


def _between_fields(value: Mapping[str, Any]) -> list[str]:
    names = [part["part"] for part in value["parts"]]
    folders = [part["folder"] for part in value["parts"] if part["folder"] is not None]
    found = [
        f"$.parts: {name!r} is expected and not there" for name in value["expected"] if name not in names
    ]
    found += [f"$.parts: {name!r} stands twice" for name in sorted(set(names)) if names.count(name) > 1]
    found += [
        f"$.parts: the folder {folder!r} stands twice"
        for folder in sorted(set(folders))
        if folders.count(folder) > 1
    ]
    for index, part in enumerate(value["parts"]):
        if part["state"] != PartState.FOUND.value:
            continue
        if part["folder"] is None:
            found.append(f"$.parts[{index}]: found, and without a folder")
        if part["part"] not in value["expected"]:
            found.append(f"$.parts[{index}]: found, and not expected")
    return found


def folder_faults(folder: Path, files: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where a folder is not exactly these files, a sentence each; empty if it is."""
    named = {str(file["path"]): file for file in files}
    try:
        there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not _is_folder(path)}
    except OSError as error:
        return [f"{folder} cannot be read ({error.strerror})"]
    found = [f"{path!r} is gone" for path in sorted(named.keys() - there)]
    found += [f"{path!r} was not collected" for path in sorted(there - named.keys())]
    problems = (_change(folder / path, named[path]) for path in sorted(there & named.keys()))
    return found + [problem for problem in problems if problem is not None]


def _change(path: Path, file: Mapping[str, Any]) -> str | None:
    try:
        same = sha256_file(path) == file["sha256"]
    except OSError as error:
        return f"{file['path']!r} cannot be read ({error.strerror})"
    return None if same else f"{file['path']!r} was changed"


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
