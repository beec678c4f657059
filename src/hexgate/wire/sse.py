"""Server-sent events: a body, split anywhere into chunks, to messages (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hexgate.wire.pieces import Pieces

__all__ = ["Message", "Messages"]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Message(NamedTuple):
    """One message of an event stream."""

    data: bytes
    """Its data lines, joined by line feeds."""
    event: bytes
    """Its type; empty where it names none."""
    piece: int
    """Index of the chunk with the line end that completed it."""
    ended: bool = True
    """Whether the blank line came. Without it the stream was cut: the standard discards the message."""


class Messages:
    """The messages of a whole event stream, in order. Comments, ids and retry times are left out."""

    __slots__ = ("at", "body", "start")

    def __init__(self, pieces: Sequence[bytes]) -> None:
        whole = Pieces(pieces)
        if b"\r" in whole.body:
            whole = Pieces(_line_feeds(pieces))
        self.body = whole.body
        """The stream, with every line end as one line feed."""
        self.start = len(_BYTE_ORDER_MARK) if whole.body.startswith(_BYTE_ORDER_MARK) else 0
        """Where the next message begins. Who reads messages by himself moves it."""
        self.at = whole.at
        """From an offset in the body to the index of its chunk; offsets have to rise."""

    def __iter__(self) -> Messages:
        return self

    def __next__(self) -> Message:
        body = self.body
        while (end := body.find(b"\n\n", self.start)) >= 0:
            block = body[self.start : end]
            self.start = end + 2
            if block.startswith(b"data: ") and b"\n" not in block:
                return Message(block[6:], b"", self.at(end + 1))
            if (fields := _fields(block)) is not None:
                return Message(*fields, self.at(end + 1))
        rest, self.start = _fields(body[self.start :]), len(body)
        if rest is None:
            raise StopIteration
        return Message(*rest, self.at(len(body)), ended=False)


def _fields(block: bytes) -> tuple[bytes, bytes] | None:
    """Data and type of the lines between two blank ones; None where they hold no data."""
    data: list[bytes] = []
    event = b""
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif name == b"event":
            event = value.removeprefix(b" ")
    return (b"\n".join(data), event) if data else None


def _line_feeds(pieces: Sequence[bytes]) -> list[bytes]:
    """The chunks with each line end as one line feed, in the chunk in which that line end began."""
    made: list[bytes] = []
    returned = False
    for piece in pieces:
        rest = piece[1:] if returned and piece.startswith(b"\n") else piece
        if piece:
            returned = piece.endswith(b"\r")
        made.append(rest.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    return made
