"""One request from being taken up to its end, filled on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hexgate.load.sending.layout import NEVER

if TYPE_CHECKING:
    from hexgate.load.sending.connection import Connection

__all__ = ["Flight"]

Piece = bytes


class Flight:
    """A request on its way. Stamps are of `time.monotonic_ns`, NEVER where it did not happen.

    What most requests never change is an attribute of the class: one is made for every request.
    """

    ready_ns = NEVER
    """A connection was there for it."""
    sent_ns = NEVER
    headers_ns = NEVER
    end_ns = NEVER
    deadline_ns = NEVER
    status = NEVER
    fault = 0
    """A `Fault`, or 0."""
    error = ""
    """The fault in words."""
    bytes = 0
    """Bytes from the socket."""
    encoding = ""
    location = ""
    request = b""
    """What is written to the socket."""
    retried = False
    """Whether it went over a second connection because the first was closed."""
    connection: Connection | None = None

    def __init__(self, slot: int, index: int, item: int, turn: int, due_ns: int, issued_ns: int) -> None:
        self.slot = slot
        """Its place among the requests of its worker."""
        self.index = index
        self.item = item
        self.turn = turn
        self.due_ns = due_ns
        """Absolute; NEVER in a closed loop."""
        self.issued_ns = issued_ns
        self.pieces: list[Piece] = []
        """The body as it was transferred."""
        self.read_ns: list[int] = []
        """When each read of the socket that brought some of the body was."""
        self.read_ends: list[int] = []
        """How many pieces there were after each of these reads."""
