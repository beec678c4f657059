"""One row of fixed width for every request: the evidence that every figure of a load run is computed from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NEVER", "RECORD", "Outcome", "Recorder", "Spool"]

NEVER = -1
"""The stamp of what did not happen, and the count of what is not known."""

Spool = Callable[[Mapping[str, Any]], None]
"""Takes ``{"index", "text", "error"}`` of one finished request, such as `RowWriter.write`."""


class Outcome(IntEnum):
    """What became of one request."""

    OK = 0
    """A whole reply by the API's rules, with an answer in it."""
    ERROR = 1
    """No connection, a status that is not 2xx, or a reply that breaks the API's rules, reports an error or holds
    no answer."""
    TIMEOUT = 2
    """No whole reply within the time-out."""
    TRUNCATED = 3
    """A reply that ended before its terminator."""
    UNFINISHED = 4
    """Still in flight when the run was over and the drain limit had passed."""
    NOT_SENT = 5
    """Due, but never sent: the run was stopped before, or (then with an end stamp) this machine could not
    open another connection."""


RECORD = np.dtype(
    [
        ("index", "<i4"),  # number of the request in the plan
        ("item", "<i4"),  # data item
        ("warmup", "?"),  # whether it is warm-up
        ("due_ns", "<i8"),  # instant at which it was due; -1 in a closed loop
        ("issued_ns", "<i8"),  # the engine took it up; then come the wait for a slot and for a connection
        ("sent_ns", "<i8"),  # request bytes written (in-process: the call began)
        ("headers_ns", "<i8"),  # response headers complete
        ("first_event_ns", "<i8"),  # first event of any kind
        ("first_token_ns", "<i8"),  # first text on any channel, in a streamed reply
        ("first_answer_ns", "<i8"),  # first text of the answer, in a streamed reply
        ("last_token_ns", "<i8"),  # last text on any channel, in a streamed reply
        ("end_ns", "<i8"),  # the reply, or the attempt, was over
        ("outcome", "u1"),  # Outcome
        ("http_status", "<i2"),
        ("events", "<i4"),  # events with text or scores
        ("first_event_tokens", "<i4"),  # tokens in the first event with text, by the server's count
        ("prompt_tokens", "<i4"),  # by the server's count
        ("output_tokens", "<i4"),  # by the server's count
        ("bytes", "<i8"),  # bytes received, headers included
    ]
)
"""Columns of a record. Stamps are nanoseconds from the run's start on one monotonic clock; -1 is "never" in a
stamp and "not known" in a count or a status."""

_CHUNK = 4096


class Recorder:
    """Records of a run, in the order in which requests end. Grows by chunks, so that adding never copies."""

    def __init__(self) -> None:
        self._full: list[NDArray[np.void]] = []
        self._chunk: NDArray[np.void] = np.zeros(_CHUNK, dtype=RECORD)
        self._used = 0

    def __len__(self) -> int:
        return len(self._full) * _CHUNK + self._used

    def add(self, row: tuple[Any, ...]) -> None:
        """Append one row, its values in the order of RECORD."""
        if self._used == _CHUNK:
            self._full.append(self._chunk)
            self._chunk = np.zeros(_CHUNK, dtype=RECORD)
            self._used = 0
        self._chunk[self._used] = row
        self._used += 1

    def array(self) -> NDArray[np.void]:
        """All rows so far, by index."""
        rows = np.concatenate([*self._full, self._chunk[: self._used]])
        return rows[np.argsort(rows["index"], kind="stable")]
