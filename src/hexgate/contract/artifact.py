"""Artifacts on the disk: read and checked, or checked and written."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hexgate.contract.canonical import NotStrictJson, parse_strict
from hexgate.contract.consistency import artifact_id_of, inconsistencies
from hexgate.contract.evidence import EvidenceReader
from hexgate.contract.schema import indicators, load_schema, schema_mistakes
from hexgate.errors import EvidenceError

__all__ = [
    "SHARD",
    "Artifact",
    "artifact_files",
    "file_bytes",
    "read_artifact",
    "write_artifact",
    "write_atomically",
]

SHARD = "load_shard"
"""The schema of what one shard of a load leaves (`hexgate.contract.load_shard`)."""
_SCHEMA_NAME = re.compile(r"hexgate/([a-z0-9_]+)/([0-9]+)\.([0-9]+)")


@dataclass(frozen=True)
class Artifact:
    """One artifact that was read and holds together."""

    path: Path
    """Where it lies."""
    data: Mapping[str, Any]
    """Its content, valid by its schema and consistent in itself."""

    @property
    def indicator(self) -> str:
        """Which indicator it is."""
        return str(self.data["indicator"])

    def evidence(self) -> EvidenceReader:
        """Its evidence, whose digests are checked as it is opened."""
        return EvidenceReader(self.path.parent, self.data["evidence"])

    def evidence_mistakes(self) -> list[str]:
        """What is wrong with its evidence files: absent, or not the ones it was made from."""
        reader = self.evidence()
        return [fault for name in sorted(reader.names) if (fault := reader.fault(name)) is not None]


def artifact_files(folder: Path) -> list[Path]:
    """The files in a folder that may be artifacts: ``*.json``, less evidence documents, in order of name.

    Raises:
        EvidenceError: if the folder cannot be listed, or the artifacts lie in a folder of that name below it.
    """
    try:
        names = sorted(path for path in folder.iterdir() if path.name.endswith(".json") and path.is_file())
    except OSError as error:
        raise EvidenceError(
            f"the folder of artifacts cannot be read ({error.strerror})",
            where=str(folder),
            hint="give the folder that a run wrote its artifacts into",
        ) from None
    found = [path for path in names if not path.name.endswith(".evidence.json")]
    below = folder / "artifacts"
    if below.is_dir() and all(path.name == "verdict.json" for path in found):
        raise EvidenceError(
            "there is no artifact in this folder", where=str(folder), hint=f"did you mean {below}?"
        )
    return found


def read_artifact(path: Path) -> Artifact:
    """Read one artifact, and accept it only if it keeps its contract and adds up.

    Raises:
        EvidenceError: naming the file, the JSON path, what was found and what was expected.
    """
    try:
        data = parse_strict(path.read_bytes())
    except OSError as error:
        raise EvidenceError(f"the artifact cannot be read ({error.strerror})", where=str(path)) from None
    except NotStrictJson as error:
        raise EvidenceError(f"not strict JSON: {error}", where=f"{path}: $") from None
    return Artifact(path, _checked(data, str(path)))


def write_artifact(path: Path, data: Mapping[str, Any], *, checked: bool = True) -> Artifact:
    """Give an artifact its id, check it, and write it atomically. Its evidence must be on the disk already.

    Args:
        path: its file.
        data: all of it but the id.
        checked: whether to hold it against its schema now. One that only keeps the place of what is measured next
            need not be: the library that checks takes longer to import than a load may take to begin, and whoever
            reads it checks it.

    Raises:
        EvidenceError: if it breaks its contract, which is a fault of the measurement: nothing is written.
        OSError: if the disk does not take it.
    """
    complete = dict(data) | {"artifact_id": artifact_id_of(data)}
    if checked:
        _checked(complete, str(path))
    write_atomically(path, file_bytes(complete))
    return Artifact(path, complete)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees either what was there before or all of the new.

    Raises:
        OSError: if the disk does not take it; what was there before is untouched.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; artifacts are for others to collect.
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def file_bytes(artifact: Mapping[str, Any]) -> bytes:
    """The bytes of an artifact's file: JSON, one key a line.

    A person can read it, a diff can show it, and a long table does not fill the screen.
    """
    lines = [
        f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}"
        for key, value in artifact.items()
    ]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8")


def _checked(data: Any, where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise EvidenceError("an artifact is a JSON object", where=f"{where}: $", got=type(data).__name__)
    indicator, minor = _contract_of(data, where)
    ours = int(load_schema(indicator)["x-version"].split(".")[1])
    known = data
    if minor > ours:
        # A later minor version may add keys; what this reader knows must still hold.
        properties = load_schema(indicator)["properties"]
        known = {key: value for key, value in data.items() if key in properties}
    _refuse(schema_mistakes(indicator, known), where, str(data["schema"]))
    _refuse(inconsistencies(data), where, str(data["schema"]))
    return data


def _contract_of(data: Mapping[str, Any], where: str) -> tuple[str, int]:
    name = data.get("schema")
    match = _SCHEMA_NAME.fullmatch(name) if isinstance(name, str) and len(name) < 100 else None
    if match is not None and match[1] == SHARD:
        raise EvidenceError(
            "a shard of a load is no artifact: merge all of them first",
            where=f"{where}: $.schema",
            got=name,
            hint="hexgate load merge DIR... --out OUT makes the artifacts of the load",
        )
    if match is None or match[1] not in indicators():
        raise EvidenceError(
            "not an artifact of hexgate",
            where=f"{where}: $.schema",
            got=repr(name)[:80],
            expected="hexgate/<indicator>/1.x",
            hint="give the folder of artifacts that hexgate run wrote",
        )
    ours = load_schema(match[1])["x-version"]
    if len(match[2]) > 6 or len(match[3]) > 6 or int(match[2]) != int(ours.split(".")[0]):
        raise EvidenceError(
            "an artifact of another major version",
            where=f"{where}: $.schema",
            got=name,
            expected=f"hexgate/{match[1]}/{ours}",
            hint="measure again with this version, or use a hexgate that knows the other one",
        )
    return match[1], int(match[3])


def _refuse(mistakes: list[str], where: str, schema: str) -> None:
    if mistakes:
        first, rest = mistakes[0], mistakes[1:]
        more = "".join(f"\n  {mistake}" for mistake in rest)
        raise EvidenceError(
            f"{first}{more}",
            where=f"{where}",
            expected=f"an artifact that keeps {schema}",
            hint="measure again",
        )
