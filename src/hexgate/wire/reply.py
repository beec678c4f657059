"""The events of one generated reply while they are read: order, one finish, nothing after it."""

from __future__ import annotations

from collections.abc import Iterable

from hexgate.wire.base import Event, EventKind, Usage
from hexgate.wire.payload import BadPayload

__all__ = ["ReplyEvents", "whole_text"]


def whole_text(texts: Iterable[str]) -> str:
    """The texts in a row, as text that can be written.

    A server may send a character beyond the first plane as two halves (surrogates) in two events: these are joined.
    A half without its other half is no character, and is shown as U+FFFD.
    """
    text = "".join(texts)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class ReplyEvents:
    """Collects events and refuses an order that no reply can have."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        """What was read so far."""
        self.finish: str | None = None
        """The reason of the finish, once it came."""

    def text(self, kind: EventKind, text: object, piece: int) -> bool:
        """A piece of a text, of reasoning or of a call of a tool; None and the empty string are none.

        Returns whether there was one.

        Raises:
            BadPayload: if it is not a text, or comes after the finish.
        """
        if text is None or text == "":
            return False
        if type(text) is not str:
            raise BadPayload(f"a {kind.value} that is not a string but {type(text).__name__}")
        if self.finish is not None:
            raise BadPayload(f"more text after the finish ({self.finish})")
        self.events.append(Event(kind, piece, text))
        return True

    def role(self, piece: int) -> None:
        """An opening event without text; only the first event of a reply can be one."""
        if not self.events:
            self.events.append(Event(EventKind.ROLE, piece))

    def finished(self, reason: object, piece: int) -> None:
        """The finish. Servers that repeat it with the same reason are forgiven.

        Raises:
            BadPayload: if it comes a second time with another reason.
        """
        text = str(reason)
        if self.finish is None:
            self.finish = text
            self.events.append(Event(EventKind.FINISH, piece, text))
        elif self.finish != text:
            raise BadPayload(f"finished twice, as {self.finish} and as {text}")

    def usage(self, usage: Usage, piece: int) -> None:
        """Token counts; each later one replaces what was said before."""
        self.events.append(Event(EventKind.USAGE, piece, usage=usage))

    def failed(self, error: Event) -> list[Event]:
        """All events, with the error that ends them."""
        self.events.append(error)
        return self.events
