"""The shards of one load, found in folders and held against each other before they are merged."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hexgate.contract.collected import (
    COLLECTED,
    REFUSED,
    Part,
    PartState,
    folder_faults,
    read_collected,
)
from hexgate.contract.load_shard import ShardDocument, read_shard, shard_file, shard_files
from hexgate.errors import EvidenceError

__all__ = ["ShardSet"]

_ALIKE = ("plan_digest", "methods", "subject", "dataset")


class ShardSet:
    """The documents of one load, at most one of each shard, alike in what they share.

    Args:
        documents: at least one.
        why_missing: why a part did not come, by its name.

    Raises:
        EvidenceError: if a shard is there twice, or two are not of one load; naming both files.
    """

    def __init__(self, documents: Sequence[ShardDocument], why_missing: Mapping[str, str]) -> None:
        by_index: dict[int, ShardDocument] = {}
        for document in documents:
            first = documents[0]
            _refuse_unlike(first, document, "shard count", first.count, document.count)
            _refuse_unlike(first, document, "run_id", first.data["run_id"], document.data["run_id"])
            twin = by_index.setdefault(document.index, document)
            if twin is not document:
                raise EvidenceError(
                    f"shard {document.index}/{document.count} is there twice",
                    where=f"{twin.path} and {document.path}",
                    hint="give each shard once",
                )
        self.count = documents[0].count
        """How many shards the load has."""
        self.run_id = str(documents[0].data["run_id"])
        """The run that all of them are of."""
        self.documents = [document for _, document in sorted(by_index.items())]
        """Those that there are."""
        self.measured = {one.index: one for one in self.documents if one.status != "failed"}
        """Those that measured something, by index."""
        planned = [document for document in self.documents if document.data["plan_digest"] is not None]
        for document in planned:
            for key in _ALIKE:
                _refuse_unlike(planned[0], document, key, planned[0].data[key], document.data[key])
        self._by_index = by_index
        self._why_missing = why_missing

    @classmethod
    def found(cls, folders: Sequence[Path]) -> ShardSet:
        """The shards in some folders, and in the folders of their parts.

        Raises:
            EvidenceError: if there is none, one cannot be read, or they do not belong together.
        """
        documents: list[ShardDocument] = []
        why_missing: dict[str, str] = {}
        seen: set[Path] = set()
        for folder in folders:
            for path in _files(folder, why_missing):
                if path.resolve() not in seen:
                    seen.add(path.resolve())
                    documents.append(read_shard(path))
        if not documents:
            reasons = "".join(f"\n  {part}: {reason}" for part, reason in sorted(why_missing.items()))
            raise EvidenceError(
                f"there is no shard of a load{reasons}",
                where=", ".join(map(str, folders)),
                expected=f"files such as {shard_file(0, 2)}",
                hint="give the folders that hexgate load --shard wrote, or where they were collected",
            )
        return cls(documents, why_missing)

    def lacking(self, index: int) -> str | None:
        """Why a shard is not a whole one, as a part of a sentence; None where it is."""
        document = self._by_index.get(index)
        if document is None:
            reason = self._why_missing.get(f"shard-{index}-of-{self.count}")
            return "is missing" + (f" ({reason})" if reason else "")
        if document.status == "complete":
            return None
        reasons = "; ".join(document.data["reasons"])
        return f"failed: {reasons}" if document.status == "failed" else f"is partial: {reasons}"

    @property
    def created_at(self) -> str:
        """When the oldest of them was left, UTC: merging makes no evidence newer."""
        return min(str(document.data["created_at"]) for document in self.documents)

    def environment(self) -> dict[str, Any]:
        """The blocks `environment` of those that measured as one: what is not alike in all is joined, or null.

        What was observed of each machine stays with its shard.
        """
        blocks = [document.data["environment"] for document in self.measured.values()]
        return {key: _in_common([block[key] for block in blocks]) for key in blocks[0] if key != "observed"}


def _in_common(values: Sequence[Any]) -> Any:
    if all(value == values[0] for value in values):
        return values[0]
    if all(isinstance(value, str) for value in values):
        return ", ".join(sorted(set(values)))
    if all(isinstance(value, list) for value in values):
        return sorted({entry for value in values for entry in value})
    if all(isinstance(value, dict) for value in values):
        keys = set.intersection(*(set(value) for value in values))
        return {key: _in_common([value[key] for value in values]) for key in sorted(keys)}
    return None


def _files(folder: Path, why_missing: dict[str, str]) -> list[Path]:
    """The documents in a folder: its own, and those of its parts, of a collected run only the parts that are whole."""
    try:
        if os.path.lexists(folder / COLLECTED):
            found = []
            for part in read_collected(folder / COLLECTED).parts:
                if _usable(folder, part, why_missing):
                    found += shard_files(folder / str(part.folder))
            return found
        if not _may_be_read(folder.resolve(), why_missing):
            return []
        below = sorted(path for path in folder.iterdir() if path.is_dir())
        found = [path for one in (folder, *below) for path in shard_files(one)]
    except OSError as error:
        raise EvidenceError(f"the folder cannot be read ({error.strerror})", where=str(folder)) from None
    return found


def _may_be_read(folder: Path, why_missing: dict[str, str]) -> bool:
    """Whether a folder is no part of a collected run, or one that is evidence."""
    run = next((above for above in folder.parents if os.path.lexists(above / COLLECTED)), None)
    if run is None:
        return True
    inside = folder.relative_to(run).parts
    for part in read_collected(run / COLLECTED).parts:
        place = Path(part.folder or part.name).parts
        if inside[: len(place)] == place or inside[0] == part.name:
            return _usable(run, part, why_missing)
    if inside[0] == REFUSED:
        why_missing["/".join(inside)] = "it was refused when the run was collected"
    return inside[0] != REFUSED


def _usable(run: Path, part: Part, why_missing: dict[str, str]) -> bool:
    """Whether a part was found, and its folder still holds exactly what came."""
    if part.state is not PartState.FOUND or part.folder is None:
        why_missing[part.name] = part.detail or part.state.value
        return False
    folder = run / part.folder
    changes = [f"{folder} is a link"] if folder.is_symlink() else folder_faults(folder, part.files)
    if changes:
        why_missing[part.name] = f"it is not what was collected: {changes[0]}"
    return not changes


def _refuse_unlike(one: ShardDocument, other: ShardDocument, what: str, has: Any, got: Any) -> None:
    if has != got:
        raise EvidenceError(
            f"two shards are not of one load: they differ in {what}{_difference(has, got)}",
            where=f"{one.path} and {other.path}",
            hint="merge the shards of one run, started with the same options and data",
        )


def _difference(one: Any, other: Any) -> str:
    if not isinstance(one, dict) or not isinstance(other, dict):
        return f" ({one} and {other})"
    keys = [key for key in sorted({*one, *other}) if one.get(key) != other.get(key)]
    return "".join(f".{key}{_difference(one.get(key), other.get(key))}" for key in keys[:1])
