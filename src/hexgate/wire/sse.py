"""Server-sent events: a body, split anywhere into chunks, to messages (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hexgate.wire.pieces import Pieces

__all__ = ["Message", "messages"]

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Message:
    """One message of an event stream."""

    data: str
    """Its data lines, joined by line feeds. Bytes that are not UTF-8 are shown as U+FFFD."""
    event: str
    """Its type; empty where it names none."""
    piece: int
    """Index of the chunk with the line end that completed it."""
    ended: bool = True
    """Whether the blank line came. Without it the stream was cut: the standard discards the message."""


def messages(pieces: Sequence[bytes]) -> list[Message]:
    """The messages of a whole event stream, in order. Comments, ids and retry times are left out."""
    whole = Pieces(pieces)
    found: list[Message] = []
    data: list[bytes] = []
    event = b""
    for line, end, ended in _lines(whole.body):
        if not line and ended:
            if data:
                found.append(_message(data, event, whole.at(end), ended=True))
            data, event = [], b""
            continue
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value
    if data:
        found.append(_message(data, event, whole.last, ended=False))
    return found


def _lines(body: bytes) -> Iterator[tuple[bytes, int, bool]]:
    """Each line, the offset at which it ended (a carriage return alone ends it), and whether it did end."""
    start = len(_BYTE_ORDER_MARK) if body.startswith(_BYTE_ORDER_MARK) else 0
    for found in _LINE_END.finditer(body, start):
        yield body[start : found.start()], found.start(), True
        start = found.end()
    if start < len(body):
        yield body[start:], len(body), False


def _message(data: list[bytes], event: bytes, piece: int, *, ended: bool) -> Message:
    return Message(
        b"\n".join(data).decode("utf-8", errors="replace"),
        event.decode("utf-8", errors="replace"),
        piece,
        ended,
    )
