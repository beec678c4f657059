"""One request and what came back, as the transport saw it: bytes and the instants at which they were read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from hexgate.load.sending.layout import Outcome

__all__ = ["MOST_BODY_BYTES", "OUTCOME_OF", "Exchange", "Fault"]

MOST_BODY_BYTES = 256 * 1024 * 1024


class Fault(IntEnum):
    """Why an exchange did not end as HTTP says it should. 0 is none."""

    CONNECTION = 1
    """No connection, or it was lost before the first byte of the reply."""
    CUT = 2
    """The connection was lost inside the reply."""
    TIMEOUT = 3
    """No whole reply within the time-out."""
    PROTOCOL = 4
    """The reply is not the HTTP/1.1 that was asked for."""
    CLIENT = 5
    """This machine had no socket, port or memory left for another connection."""
    ABANDONED = 6
    """The run was over before the reply was."""
    SKIPPED = 7
    """The turn before it in its conversation failed, so it was not sent."""


OUTCOME_OF = {
    Fault.CONNECTION: Outcome.ERROR,
    Fault.CUT: Outcome.TRUNCATED,
    Fault.TIMEOUT: Outcome.TIMEOUT,
    Fault.PROTOCOL: Outcome.ERROR,
    Fault.CLIENT: Outcome.NOT_SENT,
    Fault.ABANDONED: Outcome.UNFINISHED,
    Fault.SKIPPED: Outcome.NOT_SENT,
}
"""What became of a request that did not end as HTTP says; of one that was abandoned before it was sent, not this."""


@dataclass(frozen=True)
class Exchange:
    """One request and what came back. Stamps are of `time.monotonic_ns`; -1 where it did not happen."""

    status: int | None
    """Status of the final reply; None where there was none."""
    pieces: list[bytes]
    """The body as it came, content encoding undone, one piece for each read that brought some of it."""
    piece_ns: list[int]
    """When each piece was read from the socket."""
    sent_ns: int
    """When the request was written to the socket."""
    headers_ns: int
    """When the headers were complete."""
    end_ns: int
    """When the reply, or the attempt, was over."""
    bytes: int = 0
    """Bytes read from the socket."""
    fault: Fault | None = None
    """Why it did not end as HTTP says; None where it did, whatever the status."""
    error: str | None = None
    """The fault in words."""
