"""Vectors in a reply: lists of finite numbers, all of one width, or a clear complaint."""

from __future__ import annotations

from typing import Any

from hexgate.wire.base import Event, EventKind
from hexgate.wire.payload import BadPayload
from hexgate.wire.scores import table

__all__ = ["vectors_event"]


def vectors_event(rows: Any, what: str, piece: int) -> Event:
    """The event of the vectors in a reply, one for each prompt.

    Raises:
        BadPayload: if there is none, or one is empty, of another width than the rest, or not finite numbers.
    """
    if not isinstance(rows, list) or not rows:
        raise BadPayload(f"a reply without a vector in {what}")
    found = table(rows, what)
    if not found[0]:
        raise BadPayload(f"an empty vector in {what}")
    return Event(EventKind.VECTORS, piece, scores=found)
