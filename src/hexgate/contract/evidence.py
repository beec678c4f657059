"""Evidence: the side files that an artifact points at by digest, written as the measurement goes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hexgate.contract.canonical import NotStrictJson, canonical_bytes, parse_strict, sha256_bytes, sha256_file
from hexgate.errors import EvidenceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EvidenceFile", "EvidenceReader", "EvidenceWriter", "RowWriter"]

PARTIAL = ".partial"


@dataclass(frozen=True)
class EvidenceFile:
    """One finished side file, as the artifact's `evidence` block names it."""

    path: str
    """File name, in the folder of the artifact."""
    sha256: str
    """Digest of its bytes, in hex."""
    rows: int
    """Rows in it: lines of JSON, or records of an array."""

    def to_json(self) -> dict[str, Any]:
        """The entry as it stands in an artifact."""
        return {"path": self.path, "sha256": self.sha256, "rows": self.rows}


class RowWriter:
    """Rows of JSON, one a line, each handed to the system before the next is measured.

    The file carries the suffix ``.partial`` until it is closed, so that a killed process leaves its rows
    under a name that says what they are.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.with_name(path.name + PARTIAL).open("wb", buffering=0)
        self._rows = 0
        self._size = 0

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one row.

        Raises:
            OSError: if the disk does not take it.
            ValueError: if a value of the row is not finite.
        """
        line = canonical_bytes(row) + b"\n"
        done = 0
        try:
            # A disk that is nearly full takes a part of the line, and says so only by the number.
            while done < len(line):
                done += self._file.write(line[done:])
        except OSError:
            self._file.seek(self._size)
            self._file.truncate()
            raise
        self._size += len(line)
        self._rows += 1

    def close(self) -> EvidenceFile:
        """Give the file its final name and return its entry."""
        partial = Path(self._file.name)
        self._file.close()
        partial.replace(self._path)
        return EvidenceFile(self._path.name, sha256_file(self._path), self._rows)


class EvidenceWriter:
    """Where one measurement leaves its evidence: files ``<stem>.<name>.jsonl`` or ``.npy`` in one folder.

    Used as a context manager: leaving it, however that happens, finishes the files that were begun.
    """

    def __init__(self, folder: Path, stem: str) -> None:
        self.folder = folder
        """The folder of the artifact."""
        self.stem = stem
        """What each file's name begins with."""
        self.method: dict[str, Any] = {}
        """The artifact's `method` block, as last described."""
        self.dataset: dict[str, Any] = {}
        """The artifact's `dataset` block, as last described."""
        self._open: dict[str, RowWriter] = {}
        self._files: dict[str, EvidenceFile] = {}

    def describe(
        self, *, method: Mapping[str, Any] | None = None, dataset: Mapping[str, Any] | None = None
    ) -> None:
        """State the blocks `method` and `dataset` of the artifact; a later call replaces an earlier one."""
        if method is not None:
            self.method = dict(method)
        if dataset is not None:
            self.dataset = dict(dataset)

    def rows(self, name: str) -> RowWriter:
        """Begin the file ``<stem>.<name>.jsonl``. It is finished when this writer is left.

        Raises:
            OSError: if it cannot be opened.
        """
        writer = RowWriter(self.folder / f"{self.stem}.{name}.jsonl")
        self._open[name] = writer
        return writer

    def array_path(self, name: str) -> Path:
        """Where the array of a name belongs, for who writes it in pieces and then has it taken up (`adopt`)."""
        return self.folder / f"{self.stem}.{name}.npy"

    def array(self, name: str, values: NDArray[np.void] | NDArray[Any]) -> None:
        """Write one array (a structured one has named columns) as ``<stem>.<name>.npy``.

        Raises:
            OSError: if the disk does not take it.
        """
        import numpy as np

        path = self.array_path(name)
        partial = path.with_name(path.name + PARTIAL)
        with partial.open("wb") as file:
            np.save(file, values, allow_pickle=False)
        partial.replace(path)
        self.adopt(name, path, len(values))

    def document(self, name: str, value: Mapping[str, Any]) -> None:
        """Write one JSON document, such as a plan's head, as ``<stem>.<name>.json`` (one row)."""
        self._put(f"{self.stem}.{name}.evidence.json", name, canonical_bytes(value) + b"\n", 1)

    def adopt(self, name: str, path: Path, rows: int) -> None:
        """Take up a finished file in this writer's folder, such as another process has written there."""
        self._files[name] = EvidenceFile(path.name, sha256_file(path), rows)

    def share(self, other: EvidenceWriter) -> None:
        """Take up every file of another writer of the same folder: both then name the same files."""
        self._files |= other.finish()

    def _put(self, file_name: str, name: str, data: bytes, rows: int) -> None:
        path = self.folder / file_name
        partial = path.with_name(path.name + PARTIAL)
        partial.write_bytes(data)
        partial.replace(path)
        self._files[name] = EvidenceFile(file_name, sha256_bytes(data), rows)

    def finish(self) -> dict[str, EvidenceFile]:
        """Finish every open file and return all entries by name. Safe to call twice."""
        for name, writer in list(self._open.items()):
            self._files[name] = writer.close()
            del self._open[name]
        return dict(self._files)

    def __enter__(self) -> EvidenceWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()


class EvidenceReader:
    """The evidence of one artifact, read back. Digests are checked once, when a file is first opened."""

    def __init__(self, folder: Path, entries: Mapping[str, Mapping[str, Any]]) -> None:
        self._folder = folder
        self._entries = entries

    @property
    def names(self) -> frozenset[str]:
        """The names of the files that there are."""
        return frozenset(self._entries)

    def path(self, name: str) -> Path:
        """The path of one evidence file, whose digest is right.

        Raises:
            EvidenceError: if the artifact names no such evidence, or the file is not what it names.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise EvidenceError(f"the artifact has no evidence named {name!r}", where=str(self._folder))
        path = self._folder / str(entry["path"])
        try:
            digest = sha256_file(path)
        except OSError as error:
            raise EvidenceError(
                f"the evidence {name!r} cannot be read ({error.strerror})",
                where=str(path),
                hint="keep the evidence files beside their artifact, or measure again",
            ) from None
        if digest != entry["sha256"]:
            raise EvidenceError(
                f"the evidence {name!r} is not the file that the artifact was made from",
                where=str(path),
                got=f"sha256 {digest[:16]}…",
                expected=f"{str(entry['sha256'])[:16]}…",
                hint="measure again; evidence is never edited",
            )
        return path

    def fault(self, name: str) -> str | None:
        """What is wrong with one evidence file, or None where it is the one that was written."""
        try:
            self.path(name)
        except EvidenceError as error:
            return str(error)
        return None

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """The rows of a JSON Lines file, in order.

        Raises:
            EvidenceError: if the file is not the one that was written.
        """
        path = self.path(name)
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    row = parse_strict(line)
                except NotStrictJson as error:
                    raise EvidenceError(str(error), where=f"{path}:{number}") from None
                if not isinstance(row, dict):
                    raise EvidenceError("a row that is not an object", where=f"{path}:{number}")
                yield row

    def array(self, name: str) -> NDArray[Any]:
        """One array, whole: for what is small. A long one is read from its `path`, in pieces.

        Raises:
            EvidenceError: if the file is not the one that was written.
        """
        import numpy as np

        path = self.path(name)
        try:
            loaded: NDArray[Any] = np.load(path, allow_pickle=False)
        except (ValueError, SyntaxError, TokenError, EOFError, OSError) as error:
            raise EvidenceError(f"the array cannot be read ({error})", where=str(path)) from None
        return loaded

    def document(self, name: str) -> dict[str, Any]:
        """One JSON document.

        Raises:
            EvidenceError: if the file is not the one that was written.
        """
        path = self.path(name)
        value: dict[str, Any] = json.loads(path.read_bytes())
        return value
