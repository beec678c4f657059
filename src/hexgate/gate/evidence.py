"""A set of artifacts, read from folders. With `parts`, all of the gate's reading and every digest check is here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hexgate.contract.artifact import Artifact, artifact_files, read_artifact
from hexgate.contract.canonical import NotStrictJson, parse_strict
from hexgate.contract.collected import COLLECTED
from hexgate.contract.schema import indicators
from hexgate.errors import EvidenceError
from hexgate.gate.parts import PartFault, PartFaultKind, read_parts

__all__ = ["EvidenceSet", "Exhibit", "FileFault", "Unreadable", "load_evidence"]

_OTHER_OUTPUTS = (
    *("hexgate/verdict/", "hexgate/card/"),
    *("hexgate/load_statistics/", "hexgate/load_search/", "hexgate/load_sweep/"),
)
_ROWS = {"power_efficiency": "study_runs"}
"""What the rows of an indicator are called, where it is not `samples`."""
_SHARD = "hexgate/load_shard/"
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
    part_faults: tuple[PartFault, ...] = ()
    """What is wrong with the parts of collected runs."""
    samples: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Rows of samples, or of the runs of a study, by artifact id, where they were asked for."""

    def of(self, indicator: str) -> tuple[Exhibit, ...]:
        """The artifacts of one indicator."""
        return tuple(exhibit for exhibit in self.exhibits if exhibit.indicator == indicator)

    def refused(self, indicator: str) -> tuple[Unreadable, ...]:
        """The refused files that may have been artifacts of one indicator."""
        return tuple(file for file in self.unreadable if indicator in file.indicators)


def load_evidence(folders: Sequence[Path], *, samples_of: Sequence[str] = ()) -> EvidenceSet:
    """Read every artifact of some folders and check it, and its evidence against its digests.

    Nothing that is wrong with a file raises: it is in the set, for the judge to weigh. A folder with a
    ``collected.json`` stands for the folders of the parts that it names; one of those, or one in it, for that part.

    Args:
        folders: the folders; a file that two of them name is read once.
        samples_of: indicators whose sample rows are kept, so that two measurements can be compared by item.
    """
    reader = _Reader(samples_of)
    for folder in folders:
        reader.read(folder)
    return reader.evidence(tuple(map(str, folders)))


class _Reader:
    """What was read so far."""

    def __init__(self, samples_of: Sequence[str]) -> None:
        self._samples_of = samples_of
        self._exhibits: list[Exhibit] = []
        self._run_of: dict[str, str] = {}
        self._unreadable: list[Unreadable] = []
        self._shards: list[Unreadable] = []
        self._folder_faults: list[str] = []
        self._part_faults: list[PartFault] = []
        self._samples: dict[str, Sequence[Mapping[str, Any]]] = {}
        self._seen: set[Path] = set()

    def read(self, folder: Path) -> None:
        """Read a folder, and the parts of a run that were collected into it."""
        try:
            parts = read_parts(folder)
        except EvidenceError as error:
            self._folder_faults.append(str(error))
            return
        if parts is None:
            self._read_all(folder)
            return
        self._part_faults += parts.faults
        for one in parts.folders:
            self._read_all(one, parts.run_id)
        if parts.beside is not None:
            self._refuse_beside(parts.beside, parts.run_id)

    def _read_all(self, folder: Path, run_id: str | None = None) -> None:
        """Read the files of a folder; those of a part have the run that it was collected of."""
        for path in self._files(folder):
            if path.resolve() in self._seen:
                continue
            self._seen.add(path.resolve())
            if run_id is not None:
                self._run_of[str(path)] = run_id
            self._read_file(path, collected=run_id is not None)

    def _refuse_beside(self, folder: Path, run_id: str) -> None:
        """What lies beside ``collected.json`` came with no part: an artifact there is a fault, and no evidence."""
        for path in self._files(folder):
            if path.name == COLLECTED:
                continue
            try:
                read_artifact(path)
            except EvidenceError as error:
                refused = _refused(path, str(error))
                if refused is None or not (refused.ours or refused.indicators):
                    continue
            why = f"it lies beside {COLLECTED}, and came with no part"
            self._part_faults.append(PartFault(run_id, str(path), PartFaultKind.CHANGED, why))

    def _files(self, folder: Path) -> list[Path]:
        try:
            return artifact_files(folder)
        except EvidenceError as error:
            self._folder_faults.append(str(error))
            return []

    def _read_file(self, path: Path, *, collected: bool) -> None:
        try:
            artifact = read_artifact(path)
        except EvidenceError as error:
            refused = _refused(path, str(error))
            kept = self._shards if collected and _is_shard(path) else self._unreadable
            kept += [refused] if refused is not None else []
            return
        exhibit = Exhibit(str(path), artifact.data, _faults(artifact))
        self._exhibits.append(exhibit)
        if artifact.indicator in self._samples_of and not exhibit.faults:
            self._samples |= _samples(artifact)

    def evidence(self, folders: tuple[str, ...]) -> EvidenceSet:
        """All of it.

        A collected run of shards is given beside what they were merged into, and its parts are what counts of it.
        Where they were not merged, that is what to say of them.
        """
        measured = {exhibit.indicator for exhibit in self._exhibits}
        unmerged = [shard for shard in self._shards if not measured.intersection(shard.indicators)]
        return EvidenceSet(
            folders,
            tuple(self._exhibits),
            (*self._unreadable, *unmerged),
            tuple(self._folder_faults),
            tuple(dict.fromkeys((*self._part_faults, *self._of_other_runs()))),
            self._samples,
        )

    def _of_other_runs(self) -> list[PartFault]:
        """Artifacts that are not of the run that they lie with, nor, elsewhere, of any run that was collected."""
        collected = set(self._run_of.values())
        found = []
        for exhibit in self._exhibits if collected else []:
            own = self._run_of.get(exhibit.path)
            run_id = exhibit.data["run_id"]
            if run_id not in (collected if own is None else {own}):
                runs = own or ", ".join(sorted(collected))
                found.append(PartFault(runs, exhibit.path, PartFaultKind.MIXED, f"it is of the run {run_id}"))
        return found


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
    name = _ROWS.get(artifact.indicator, "samples")
    if name not in artifact.data["evidence"]:
        return {}
    try:
        return {str(artifact.data["artifact_id"]): tuple(artifact.evidence().rows(name))}
    except EvidenceError:
        # Rows that cannot be read cannot be paired; the digest says that they are what was measured.
        return {}


def _is_shard(path: Path) -> bool:
    try:
        value = parse_strict(path.read_bytes())
    except (OSError, NotStrictJson):
        return False
    return isinstance(value, dict) and str(value.get("schema")).startswith(_SHARD)


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
        # A shard of a load names what its merge will measure.
        methods = value.get("methods") if isinstance(value, dict) and ours else None
        named |= methods.keys() & set(indicators()) if isinstance(methods, dict) else set()
    if value is None and ours:
        named |= {name for name in indicators() if f'"hexgate/{name}/'.encode() in plain}
    return Unreadable(str(path), problem, tuple(sorted(named)), ours)
