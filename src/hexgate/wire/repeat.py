"""Events that differ from an earlier one in a single string: read without parsing the rest of them again."""

from __future__ import annotations

from collections.abc import Callable

from hexgate.wire.base import TOKENS, Event, EventKind
from hexgate.wire.sse import Messages

__all__ = ["Repeat"]

_MARK = "hexgate-slot-6f1c"
_TRIES = 4


class Repeat:
    """Learns one message of a stream, and reads the run of its likes behind it.

    A server writes the same JSON object for every token but for the token's text. Where a message consists of the
    bytes before that string, a JSON string without escapes, and the bytes behind it, as a message that was parsed
    before did, it is the same object with another string in that place, and parsing it would tell nothing else. Which
    bytes are those of the text is not guessed: the message with a mark in that place is parsed too, and must give it.

    Args:
        read: the events of the data of one message alone, as the dialect reads it.
    """

    __slots__ = ("_head", "_kind", "_read", "_tail", "_tries")

    def __init__(self, read: Callable[[bytes], list[Event]]) -> None:
        self._read = read
        self._head = b""
        self._tail = b""
        self._kind = EventKind.TEXT
        self._tries = _TRIES

    def follow(self, found: Messages, events: list[Event]) -> None:
        """Take the messages that are like the one learned, up to the first that is not."""
        head, tail, kind = self._head, self._tail, self._kind
        if not head:
            return
        body, start, at = found.body, found.start, found.at
        while body.startswith(head, start):
            begin = start + len(head)
            end = body.find(b'"', begin)
            if not body.startswith(tail, end):
                break
            text = body[begin:end].decode("utf-8", "replace")
            # JSON wants control characters escaped; what is not printable is left to its parser.
            if not text or "\\" in text or not text.isprintable():
                break
            start = end + len(tail)
            events.append(Event(kind, at(start - 1), text))
            self._tries = _TRIES
        found.start = start

    def learn(self, data: bytes, event: Event) -> None:
        """Take a message for an example. Its data gave that one event, and nothing else."""
        if self._tries == 0 or event.kind not in TOKENS or b"\n" in data:
            return
        # A stream whose messages differ in more than their text, such as in a count of tokens, is soon left alone.
        self._tries -= 1
        literal = b'"' + event.text.encode("utf-8", "replace") + b'"'
        at = data.rfind(literal)
        if at < 0:
            return
        head, tail = data[: at + 1], data[at + len(literal) - 1 :]
        if self._read(head + _MARK.encode() + tail) == [event._replace(piece=0, text=_MARK)]:
            self._head, self._tail, self._kind = b"data: " + head, tail + b"\n\n", event.kind
