"""What one shard of a load leaves: a document with its evidence beside it. The gate never takes it for an artifact."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hexgate.contract.artifact import SHARD, file_bytes, write_atomically
from hexgate.contract.canonical import NotStrictJson, canonical_bytes, parse_strict, sha256_bytes
from hexgate.contract.evidence import EvidenceReader
from hexgate.contract.schema import load_schema, schema_mistakes
from hexgate.errors import EvidenceError

__all__ = [
    "ShardDocument",
    "read_shard",
    "shard_file",
    "shard_files",
    "shard_schema",
    "shard_stem",
    "write_shard",
]

_FILE_NAME = re.compile(r"load-shard-[0-9]+-of-[0-9]+\.json")


def shard_stem(index: int, count: int) -> str:
    """What the names of the files of one shard begin with."""
    return f"load-shard-{index}-of-{count}"


def shard_file(index: int, count: int) -> str:
    """The name of the document of one shard."""
    return f"{shard_stem(index, count)}.json"


def shard_files(folder: Path) -> list[Path]:
    """The documents that lie in a folder, in order of name.

    Raises:
        OSError: if the folder cannot be listed.
    """
    return sorted(path for path in folder.iterdir() if _FILE_NAME.fullmatch(path.name))


def shard_schema() -> str:
    """The contract that these documents keep, as their key `schema` names it."""
    return f"hexgate/{SHARD}/{load_schema(SHARD)['x-version']}"


@dataclass(frozen=True)
class ShardDocument:
    """One such document that was read and holds together."""

    path: Path
    """Where it lies."""
    data: Mapping[str, Any]
    """Its content, valid by its schema."""

    @property
    def index(self) -> int:
        """Which shard it is, from 0."""
        return int(self.data["shard"]["index"])

    @property
    def count(self) -> int:
        """How many shards there are."""
        return int(self.data["shard"]["count"])

    @property
    def status(self) -> str:
        """``complete``, ``partial`` or ``failed``."""
        return str(self.data["status"])

    def evidence(self) -> EvidenceReader:
        """Its evidence, whose digests are checked as it is opened."""
        return EvidenceReader(self.path.parent, self.data["evidence"])


def write_shard(path: Path, data: Mapping[str, Any]) -> ShardDocument:
    """Give a document its id, check it, and write it atomically. Its evidence must be on the disk already.

    Raises:
        EvidenceError: if it breaks its contract, which is a fault of hexgate: nothing is written.
        OSError: if the disk does not take it.
    """
    complete = dict(data) | {"shard_id": _id_of(data)}
    _refuse(schema_mistakes(SHARD, complete), path)
    write_atomically(path, file_bytes(complete))
    return ShardDocument(path, complete)


def read_shard(path: Path) -> ShardDocument:
    """Read one document, and accept it only if it keeps its contract and is what was written.

    Raises:
        EvidenceError: naming the file and what is wrong with it.
    """
    try:
        data = parse_strict(path.read_bytes())
    except OSError as error:
        raise EvidenceError(f"the shard cannot be read ({error.strerror})", where=str(path)) from None
    except NotStrictJson as error:
        raise EvidenceError(f"not strict JSON: {error}", where=str(path)) from None
    mistakes = schema_mistakes(SHARD, data)
    if not mistakes and data["shard_id"] != _id_of(data):
        mistakes = [
            "$.shard_id: is not the digest of this content; the file was changed after it was written"
        ]
    if not mistakes and not data["shard"]["index"] < data["shard"]["count"]:
        mistakes = ["$.shard.index: is not below the count"]
    if not mistakes and (data["status"] == "complete") == bool(data["reasons"]):
        mistakes = [f"$.reasons: does not fit the status {data['status']!r}"]
    _refuse(mistakes, path)
    return ShardDocument(path, data)


def _id_of(data: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in data.items() if key != "shard_id"}
    return f"sha256:{sha256_bytes(canonical_bytes(rest))}"


def _refuse(mistakes: list[str], path: Path) -> None:
    if mistakes:
        raise EvidenceError(
            "\n  ".join(mistakes),
            where=str(path),
            expected=f"a document that keeps {shard_schema()}",
            hint="carry out this shard again",
        )
