"""The quality of a study's runs: one line a mark, appended when it is given, beside the ledger of runs.

A measure is what it was when the marks were given: its name and the digest of its identity (definition, options,
versions). Where a measure was changed and the runs were marked again, the marks of the newest identity count.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from hexgate.contract.canonical import canonical_bytes, sha256_bytes
from hexgate.contract.provenance import utc_now
from hexgate.errors import EvidenceError
from hexgate.study.lines import Lines, read_lines

__all__ = ["JUDGE", "QUALITY_FILE", "MarkLedger", "Marks", "Measure", "read_marks"]

QUALITY_FILE = "quality.jsonl"
"""The marks, and the measures that gave them."""
JUDGE = "judge"
"""The measure of a language model as judge: its value is the total of 0 to 10, its parts the four dimensions."""


@dataclass(frozen=True)
class Measure:
    """A measure of quality as it was when it gave its marks."""

    name: str
    """Its name: one of `hexgate.scorers.quality.QUALITY`, or `JUDGE`."""
    identity: Mapping[str, Any]
    """All that decides a value."""
    higher_is_better: bool
    """Whether a higher value is better."""

    @property
    def sha256(self) -> str:
        """Digest of name and identity."""
        return sha256_bytes(canonical_bytes([self.name, dict(self.identity)]))


@dataclass(frozen=True)
class Marks:
    """What is known of the quality of a study's runs."""

    measures: Mapping[str, Measure] = field(default_factory=dict)
    """The measures by name, each with its newest identity."""
    by_run: Mapping[tuple[str, int], Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    """By run and attempt: ``value``, ``reason`` and ``parts`` by measure."""

    def of(self, record: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        """The marks of a run's record, by measure; none where there are none."""
        return self.by_run.get((record["run_id"], record["attempt"]), {})


class MarkLedger:
    """The file of marks, open to append. Used as a context manager.

    Args:
        folder: the study's folder.

    Raises:
        OSError: if the file cannot be written.
        EvidenceError: if it is none of ours.
    """

    def __init__(self, folder: Path) -> None:
        self._lines = Lines(folder / QUALITY_FILE)
        self.marks = read_marks(folder)
        """What it held when it was opened."""
        self._newest = {name: measure.sha256 for name, measure in self.marks.measures.items()}

    def begin(self, measure: Measure) -> None:
        """Marks of this measure follow; from now on those of another identity of the same name count no more.

        Raises:
            OSError: if the disk does not take it.
        """
        if self._newest.get(measure.name) == measure.sha256:
            return
        row = {
            "event": "measure",
            "measure": measure.name,
            "identity": dict(measure.identity),
            "identity_sha256": measure.sha256,
            "higher_is_better": measure.higher_is_better,
            "at": utc_now(),
        }
        self._lines.append(row)
        self._newest[measure.name] = measure.sha256

    def mark(
        self,
        record: Mapping[str, Any],
        measure: str,
        value: float | None,
        reason: str | None,
        parts: Mapping[str, Any],
    ) -> None:
        """Keep the mark of one run.

        Args:
            record: the run's record.
            measure: name of a measure that has begun.
            value: its value, or None.
            reason: why there is none.
            parts: what the value is made of.

        Raises:
            OSError: if the disk does not take it.
        """
        row = {
            "event": "mark",
            "measure": measure,
            "identity_sha256": self._newest[measure],
            "run_id": record["run_id"],
            "attempt": record["attempt"],
            "value": value,
            "reason": reason,
            "parts": dict(parts),
        }
        self._lines.append(row)

    def __enter__(self) -> MarkLedger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with closing(self._lines):
            pass


def read_marks(folder: Path) -> Marks:
    """The marks of a study's folder; none where nothing was measured.

    Raises:
        EvidenceError: if the file is none of ours.
    """
    path = folder / QUALITY_FILE
    if not path.exists():
        return Marks()
    measures: dict[str, Measure] = {}
    given: dict[tuple[str, int], dict[str, tuple[str, Mapping[str, Any]]]] = {}
    try:
        for row in read_lines(path):
            name = row["measure"]
            if row["event"] == "measure":
                measures[name] = Measure(name, row["identity"], bool(row["higher_is_better"]))
            else:
                given.setdefault((row["run_id"], row["attempt"]), {})[name] = (
                    row["identity_sha256"],
                    _mark(row),
                )
        newest = {name: measure.sha256 for name, measure in measures.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceError(f"a line of the marks is none of ours ({error})", where=str(path)) from None
    return Marks(
        measures,
        {
            run: kept
            for run, marks in given.items()
            if (kept := {name: mark for name, (digest, mark) in marks.items() if newest.get(name) == digest})
        },
    )


def _mark(row: Mapping[str, Any]) -> dict[str, Any]:
    """Value, reason and parts of a row.

    Raises:
        KeyError, TypeError: if it has none of these.
    """
    mark = {key: row[key] for key in ("value", "reason", "parts")}
    value = mark["value"]
    if value is None:
        good = isinstance(mark["reason"], str)
    else:
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not isinstance(mark["parts"], dict):
        raise TypeError(f"{row['measure']} of {row['run_id']}")
    return mark
