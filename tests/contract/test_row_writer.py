"""Rows of evidence on a disk that does not take them all."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from hexgate.contract.evidence import EvidenceWriter, RowWriter


class NearlyFull:
    """A file that takes so many bytes in all, and of a write that goes beyond them only the first part."""

    def __init__(self, file: Any, room: int) -> None:
        self._file = file
        self._room = room

    def write(self, data: bytes) -> int:
        taken = data[: self._room]
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._room -= len(taken)
        return int(self._file.write(taken))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_a_row_that_did_not_fit_leaves_nothing_of_itself(tmp_path: Path) -> None:
    evidence = EvidenceWriter(tmp_path, "x")
    rows = evidence.rows("samples")
    rows._file = NearlyFull(rows._file, 100)  # type: ignore[assignment]
    row = {"text": "ä" * 12}
    rows.write(row)
    rows.write(row)
    with pytest.raises(OSError, match="No space"):
        rows.write(row)
    found = evidence.finish()["samples"]
    lines = (tmp_path / "x.samples.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == found.rows == 2
    assert all(line.endswith(b"\n") and json.loads(line) == row for line in lines)


def test_a_write_that_takes_a_part_is_gone_on_with(tmp_path: Path) -> None:
    rows = RowWriter(tmp_path / "x.jsonl")

    class InPieces(NearlyFull):
        def write(self, data: bytes) -> int:
            return int(self._file.write(data[:7]))

    rows._file = InPieces(rows._file, 0)  # type: ignore[assignment]
    for number in range(5):
        rows.write({"id": number, "text": "a longer text"})
    assert rows.close().rows == 5
    lines = (tmp_path / "x.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == list(range(5))
