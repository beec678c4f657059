"""A set of artifacts, read from folders. All of the gate's reading, and every digest check, happens here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hexgate.contract.artifact import Artifact, artifact_files, read_artifact
from hexgate.contract.canonical import NotStrictJson, parse_strict
from hexgate.contract.schema import indicators
from hexgate.errors import EvidenceError

__all__ = ["EvidenceSet", "Exhibit", "FileFault", "Unreadable", "load_evidence"]

_OTHER_OUTPUTS = ("hexgate/verdict/", "hexgate/card/")
_OURS = b'"hexgate/'


@dataclass(frozen=True)
class FileFault:
    """What is wrong with one evidence file."""

    name: str
    """Its name in the artifact."""
    absent: bool
    """Whether it is not there; else it is not the file that the artifact was made from."""
    problem: str
    """The fault in words, with the path."""


@dataclass(frozen=True)
class Exhibit:
    """One artifact that keeps its contract, and what its evidence files are like."""

    path: str
    """Where it lies."""
    data: Mapping[str, Any]
    """Its content."""
    faults: tuple[FileFault, ...] = ()
    """What is wrong with its evidence files."""
    recomputed: tuple[str, ...] | None = None
    """Where computing it again from its evidence gave something else; None where nobody has computed it again."""

    @property
    def indicator(self) -> str:
        """Which indicator it is."""
        return str(self.data["indicator"])

    @property
    def artifact_id(self) -> str:
        """Its content id."""
        return str(self.data["artifact_id"])


@dataclass(frozen=True)
class Unreadable:
    """A file that is not an artifact that keeps its contract."""

    path: str
    """Where it lies."""
    problem: str
    """Why it was refused."""
    indicators: tuple[str, ...]
    """Indicators that its name or its content names: what it may have been the artifact of."""
    ours: bool
    """Whether it says that it is of hexgate."""


@dataclass(frozen=True)
class EvidenceSet:
    """All that was found in the folders."""

    folders: tuple[str, ...]
    """The folders, as they were given."""
    exhibits: tuple[Exhibit, ...] = ()
    """The artifacts."""
    unreadable: tuple[Unreadable, ...] = ()
    """Files that were refused."""
    folder_faults: tuple[str, ...] = ()
    """Folders that could not be read, each with the reason."""
    samples: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Rows of the evidence named `samples`, by artifact id, where they were asked for."""

    def of(self, indicator: str) -> tuple[Exhibit, ...]:
        """The artifacts of one indicator."""
        return tuple(exhibit for exhibit in self.exhibits if exhibit.indicator == indicator)

    def refused(self, indicator: str) -> tuple[Unreadable, ...]:
        """The refused files that may have been artifacts of one indicator."""
        return tuple(file for file in self.unreadable if indicator in file.indicators)


def load_evidence(folders: Sequence[Path], *, samples_of: Sequence[str] = ()) -> EvidenceSet:
    """Read every artifact of some folders and check it, and its evidence against its digests.

    Nothing that is wrong with a file raises: it is in the set, for the judge to weigh.

    Args:
        folders: the folders; a file that two of them name is read once.
        samples_of: indicators whose sample rows are kept, so that two measurements can be compared by item.
    """
    exhibits: list[Exhibit] = []
    unreadable: list[Unreadable] = []
    folder_faults: list[str] = []
    samples: dict[str, Sequence[Mapping[str, Any]]] = {}
    seen: set[Path] = set()
    for folder in folders:
        try:
            files = artifact_files(folder)
        except EvidenceError as error:
            folder_faults.append(str(error))
            continue
        for path in files:
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            try:
                artifact = read_artifact(path)
            except EvidenceError as error:
                refused = _refused(path, str(error))
                unreadable += [refused] if refused is not None else []
                continue
            exhibit = Exhibit(str(path), artifact.data, _faults(artifact))
            exhibits.append(exhibit)
            if artifact.indicator in samples_of and not exhibit.faults:
                samples |= _samples(artifact)
    return EvidenceSet(
        tuple(map(str, folders)), tuple(exhibits), tuple(unreadable), tuple(folder_faults), samples
    )


def _faults(artifact: Artifact) -> tuple[FileFault, ...]:
    reader = artifact.evidence()
    found = []
    for name in sorted(artifact.data["evidence"]):
        problem = reader.fault(name)
        if problem is not None:
            there = (artifact.path.parent / artifact.data["evidence"][name]["path"]).is_file()
            found.append(FileFault(name, not there, problem))
    return tuple(found)


def _samples(artifact: Artifact) -> dict[str, Sequence[Mapping[str, Any]]]:
    if "samples" not in artifact.data["evidence"]:
        return {}
    try:
        return {str(artifact.data["artifact_id"]): tuple(artifact.evidence().rows("samples"))}
    except EvidenceError:
        # Rows that cannot be read cannot be paired; the digest says that they are what was measured.
        return {}


def _refused(path: Path, problem: str) -> Unreadable | None:
    try:
        data = path.read_bytes()
    except OSError:
        data = b""
    named = {name for name in indicators() if name in path.stem}
    # What is cut off or in another encoding still shows what it was: UTF-16 is ASCII with zeros between.
    plain = data.replace(b"\0", b"")
    ours = _OURS in plain
    try:
        value = parse_strict(data)
    except NotStrictJson:
        value = None
    else:
        schema = value.get("schema") if isinstance(value, dict) else None
        ours = isinstance(schema, str) and schema.startswith("hexgate/")
        if not named and isinstance(schema, str) and schema.startswith(_OTHER_OUTPUTS):
            return None
        said = value.get("indicator") if isinstance(value, dict) else None
        named |= {said} & set(indicators()) if isinstance(said, str) else set()
        named |= {name for name in indicators() if ours and str(schema).startswith(f"hexgate/{name}/")}
    if value is None and ours:
        named |= {name for name in indicators() if f'"hexgate/{name}/'.encode() in plain}
    return Unreadable(str(path), problem, tuple(sorted(named)), ours)
