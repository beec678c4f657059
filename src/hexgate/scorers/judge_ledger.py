"""The ledger of a judge: one line before each call and one after it, so that a kill neither loses nor repeats any.

A JSON Lines file that is only appended to. A line ``asked`` says what a call may cost at most, a line ``came`` what
became of it. Where the second is missing the call was under way when the process died: nobody knows its reply, it is
asked again, and what it may have cost stays booked. A last line that was cut in the middle is dropped.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

from hexgate.contract.canonical import NotStrictJson, canonical_bytes, parse_strict
from hexgate.contract.lock import take_lock
from hexgate.errors import DataError, InputError
from hexgate.scorers.judge_reply import Scores

__all__ = ["Came", "Ledger", "Outcome"]

_HEADER = {"ledger": "hexgate-judge/1"}


class Outcome(str, Enum):
    """What became of a call, as a line says it."""

    SCORED = "scored"
    """Four scores."""
    MALFORMED = "malformed"
    """A reply that holds none."""
    FAILED = "failed"
    """No reply."""


@dataclass(frozen=True)
class Came:
    """One call that came to an end."""

    key: str
    """Digest of everything that decides the judgement."""
    attempt: int
    """Number of the call under this key, from 0."""
    outcome: Outcome
    """Its kind."""
    reason: str | None = None
    """Why there are no scores."""
    scores: Scores | None = None
    """The scores, if there are some."""
    rationales: dict[str, str] = field(default_factory=dict)
    """The reason for each score, by dimension."""
    reply: str | None = None
    """The beginning of a malformed reply."""
    form: str | None = None
    """``json_schema`` or ``plain``: how the form of the reply was asked for."""
    prompt_tokens: int | None = None
    """Tokens of the prompt by the server's count; None where it states none."""
    output_tokens: int | None = None
    """Tokens of the reply, likewise."""
    cost: float | None = None
    """What it cost by the declared prices; None where they or the counts are unknown."""
    cost_at_most: float | None = None
    """The same where it is known, else an upper bound; None without prices."""

    def to_json(self) -> dict[str, Any]:
        """Its line."""
        return {
            "came": self.key,
            "attempt": self.attempt,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "scores": None if self.scores is None else self.scores.to_json(),
            "rationales": self.rationales,
            "reply": self.reply,
            "form": self.form,
            "prompt_tokens": self.prompt_tokens,
            "output_tokens": self.output_tokens,
            "cost": self.cost,
            "cost_at_most": self.cost_at_most,
        }


class Ledger:
    """The calls of one file. May be used from several threads; never by two processes at once.

    Raises:
        InputError: if the file cannot be opened, or another process has it.
        DataError: if it is no ledger, or a line other than a cut last one is broken.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._came: dict[str, list[Came]] = {}
        self._asked: dict[tuple[str, int], float | None] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise InputError(f"the ledger cannot be opened ({error.strerror})", where=str(path)) from None
        try:
            _take(self._file, path)
            self._read()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def calls(self, key: str) -> tuple[Came, ...]:
        """The calls under a key that came to an end, oldest first."""
        with self._lock:
            return tuple(self._came.get(key, ()))

    def next_attempt(self, key: str) -> int:
        """The number of the next call under a key."""
        with self._lock:
            used = [one.attempt for one in self._came.get(key, ())]
            used += [attempt for name, attempt in self._asked if name == key]
            return max(used, default=-1) + 1

    def lost(self) -> dict[tuple[str, int], float | None]:
        """Calls of which nobody knows what became of them, by key and attempt, with what each may have cost."""
        with self._lock:
            return dict(self._asked)

    def ask(self, key: str, attempt: int, cost_at_most: float | None) -> None:
        """Write down that a call is about to be sent.

        Raises:
            InputError: if the disk is full, or the file cannot be written.
        """
        with self._lock:
            self._write({"asked": key, "attempt": attempt, "cost_at_most": cost_at_most})
            self._asked[key, attempt] = cost_at_most

    def note(self, came: Came) -> None:
        """Write down what became of a call.

        Raises:
            InputError: if the disk is full, or the file cannot be written.
        """
        with self._lock:
            self._write(came.to_json(), sync=True)
            self._add(came)

    def _add(self, came: Came) -> None:
        self._asked.pop((came.key, came.attempt), None)
        self._came.setdefault(came.key, []).append(came)

    def _write(self, row: dict[str, Any], *, sync: bool = False) -> None:
        data = canonical_bytes(row) + b"\n"
        with self._writing():
            # One call of the system: a kill leaves a whole line, or a cut one at the end.
            written = self._file.write(data)
            if written != len(data):
                self._file.truncate(self._file.seek(0, os.SEEK_END) - written)
                raise InputError("the ledger cannot be written (the disk is full)", where=str(self._path))
            if sync:
                os.fsync(self._file.fileno())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"the ledger cannot be written ({error.strerror})", where=str(self._path)
            ) from None

    def _read(self) -> None:
        self._file.seek(0)
        data = self._file.read()
        whole = data.rfind(b"\n") + 1
        lines = data[:whole].splitlines()
        if lines:
            # Checked before anything is cut: a file that is no ledger is left as it is.
            if self._row(lines[0], 1) != _HEADER:
                raise self._broken(1, "not a ledger of a judge")
            for number, line in enumerate(lines[1:], start=2):
                self._row_in(self._row(line, number), number)
        elif data and not canonical_bytes(_HEADER).startswith(data):
            raise self._broken(1, "not a ledger of a judge")
        if whole < len(data):
            with self._writing():
                self._file.truncate(whole)
        if not lines:
            self._write(_HEADER)

    def _row(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            row = parse_strict(line)
        except NotStrictJson as error:
            raise self._broken(number, str(error)) from None
        if not isinstance(row, dict):
            raise self._broken(number, "not a JSON object")
        return row

    def _row_in(self, row: dict[str, Any], number: int) -> None:
        try:
            if "asked" in row:
                self._asked[str(row["asked"]), int(row["attempt"])] = row["cost_at_most"]
                return
            scores = None if row["scores"] is None else Scores.of(row["scores"])
            outcome = Outcome(row["outcome"])
            if (scores is None) == (outcome is Outcome.SCORED):
                raise self._broken(number, "an outcome that does not fit its scores")
            rest = {name: row[name] for name in _PLAIN}
            came = Came(key=row["came"], attempt=int(row["attempt"]), outcome=outcome, scores=scores, **rest)
            self._add(came)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._broken(number, f"not a line of a ledger ({error})") from None

    def _broken(self, number: int, why: str) -> DataError:
        return DataError(
            why, where=f"{self._path}, line {number}", hint="name another file, or mend or remove the line"
        )


_PLAIN = ("reason", "rationales", "reply", "form", "prompt_tokens", "output_tokens", "cost", "cost_at_most")


def _take(file: FileIO, path: Path) -> None:
    """Hold the file's lock, which goes with the process."""
    try:
        take_lock(file)
    except OSError:
        raise InputError(
            "another process judges into this ledger",
            where=str(path),
            hint="wait for it, or name another file",
        ) from None
