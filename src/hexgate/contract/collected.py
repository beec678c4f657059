"""What was collected of a run: ``collected.json``, with the folder of each part beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from hexgate.contract.artifact import write_atomically
from hexgate.contract.canonical import NotStrictJson, parse_strict, sha256_file
from hexgate.contract.schema import schema_mistakes
from hexgate.errors import EvidenceError, ExitCode

__all__ = [
    "COLLECTED",
    "REFUSED",
    "TOLD_BY_ARTIFACTS",
    "Collected",
    "Part",
    "PartState",
    "expectation_mistakes",
    "folder_faults",
    "read_collected",
    "write_collected",
]

COLLECTED = "collected.json"
"""The file that makes a folder one of collected parts."""
REFUSED = ".refused"
"""The folder beside it for the parts that came and are not found, where nothing reads them."""
TOLD_BY_ARTIFACTS = frozenset({ExitCode.OK, ExitCode.EVIDENCE, ExitCode.TARGET, ExitCode.INTERRUPTED})
"""After these, every indicator's artifact says itself how it stands. Only a part that ended so is found."""

_SHARD = re.compile(r"shard-([0-9]+)-of-([0-9]+)")
_NOTHING_CAME = frozenset({"missing", "unfinished"})


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
    """Its command left no file, or ended in a way that its artifacts need not tell of: killed, refused, or a fault
    of the tool."""


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
    """Its folder, from that of ``collected.json``: its name where it is found, else that in `REFUSED`; None where
    nothing came."""
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
        EvidenceError: if it is a link or cannot be read, breaks its schema, or contradicts itself.
    """
    if path.is_symlink():
        raise EvidenceError(
            "a link is no record of what was collected", where=str(path), hint="collect again"
        )
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


def expectation_mistakes(expected: Sequence[str]) -> list[str]:
    """Where the names of parts cannot be those of one run, a sentence each; empty if they can.

    Shards are all there, or there are none.
    """
    shards = [found for name in expected if (found := _SHARD.fullmatch(name))]
    if not shards:
        return []
    count = int(shards[0][2])
    # A count beyond the names is wrong whatever it is, and may be too large to write out.
    whole = [f"shard-{index}-of-{count}" for index in range(count)] if count <= len(expected) else []
    if sorted(expected) == sorted(whole):
        return []
    return [
        f"got {', '.join(expected)}, expected every shard from 0 to {count - 1} of {count}, and nothing else"
    ]


def _between_fields(value: Mapping[str, Any]) -> list[str]:
    parts, expected = value["parts"], value["expected"]
    names = [part["part"] for part in parts]
    found = [f"$.expected: {mistake}" for mistake in expectation_mistakes(expected)]
    if names[: len(expected)] != expected:
        found.append(f"$.parts: begins with {names[: len(expected)]}, expected {expected}")
    found += [f"$.parts: {name!r} stands twice" for name in sorted(set(names)) if names.count(name) > 1]
    for index, part in enumerate(parts):
        found += [f"$.parts[{index}]: {problem}" for problem in _contradictions(part, value)]
    return found


def _contradictions(part: Mapping[str, Any], value: Mapping[str, Any]) -> list[str]:
    """Where one part contradicts itself, or what was expected."""
    state, is_found = part["state"], part["state"] == PartState.FOUND.value
    place = part["part"] if is_found else f"{REFUSED}/{part['part']}"
    checks = {
        f"{state}, and not expected": part["part"] in value["expected"] or state == PartState.MIXED.value,
        f"{state}, in the folder {part['folder']!r}": part["folder"] == place
        or (part["folder"] is None and not is_found),
        f"{state}, with an attempt": state not in _NOTHING_CAME
        or (part["attempt"], part["folder"], part["exit_code"], part["files"]) == (None, None, None, []),
        f"{state}, and no instant after which it is": state != PartState.LATE.value
        or value["until"] is not None,
        "found, without an attempt": not is_found or part["attempt"] is not None,
        "found, without a file": not is_found or bool(part["files"]),
        f"found, with the exit code {part['exit_code']}": not is_found
        or part["exit_code"] in TOLD_BY_ARTIFACTS,
    }
    return [problem for problem, holds in checks.items() if not holds]


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
