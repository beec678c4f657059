"""From a body to the events of a reply: a stream of server-sent events, lines of JSON, or one JSON document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hexgate.wire.base import Event
from hexgate.wire.ndjson import lines
from hexgate.wire.payload import (
    NOT_JSON,
    BadPayload,
    ServerFault,
    error_message,
    fault_event,
    load_object,
    protocol_error,
    server_error,
    truncated,
)
from hexgate.wire.pieces import Pieces
from hexgate.wire.repeat import Repeat
from hexgate.wire.reply import ReplyEvents
from hexgate.wire.sse import Message, Messages

__all__ = ["DONE", "ReadFields", "read_document", "read_lines", "read_stream"]

ReadFields = Callable[[dict[str, Any], ReplyEvents, int], None]
"""Adds the events of one object to the reply, as completed by that chunk; raises BadPayload where it is malformed."""

DONE = b"[DONE]"
"""The message with which OpenAI's streams end."""


def read_stream(
    pieces: Sequence[bytes],
    read: ReadFields,
    *,
    marker: bytes | None = None,
    finishes: str | None = None,
) -> list[Event]:
    """The events of a reply as a stream of server-sent events, each of them one JSON object.

    Args:
        pieces: the chunks of the body.
        read: reads one object.
        marker: the message with which every whole stream ends; None where the API has none.
        finishes: what the API calls the statement that the reply is over; None where it has none.
    """
    reply = ReplyEvents()
    found = Messages(pieces)
    repeat = Repeat(lambda data: _alone(data, read))
    seen = False
    for message in found:
        seen = True
        if message.data.strip() == (marker or DONE):
            if finishes is not None and reply.finish is None:
                name = message.data.decode().strip()
                reply.failed(truncated(f"{name} came without a {finishes}", message.piece))
            return reply.events
        before = len(reply.events)
        if (error := _read_message(message, reply, read)) is not None:
            return reply.failed(error)
        if reply.finish is None:
            if len(reply.events) == before + 1 and not message.event:
                repeat.learn(message.data, reply.events[-1])
            repeat.follow(found, reply.events)
    if not seen:
        return [_no_messages(Pieces(pieces))]
    if (what := _lacks(reply, marker, finishes)) is not None:
        reply.failed(truncated(what, found.at(len(found.body))))
    return reply.events


def read_lines(pieces: Sequence[bytes], read: ReadFields, *, finishes: str | None = None) -> list[Event]:
    """The events of a reply as lines of JSON; `read` and `finishes` as for server-sent events."""
    reply = ReplyEvents()
    seen = False
    for data, piece, ended in lines(pieces):
        seen = True
        try:
            _read_object(data, reply, piece, read)
        except BadPayload as bad:
            if not ended and data.startswith(b"{") and str(bad).startswith(NOT_JSON):
                return reply.failed(truncated(str(bad), piece))
            if data.startswith((b"data:", b"event:")):
                return reply.failed(protocol_error("server-sent events instead of lines of JSON", piece))
            return reply.failed(fault_event(bad, piece))
    if not seen or (finishes is not None and reply.finish is None):
        what = f"the reply ended without {finishes}" if seen else "the body is empty"
        return reply.failed(truncated(what, Pieces(pieces).last))
    return reply.events


def read_document(pieces: Sequence[bytes], read: ReadFields, *, finishes: str | None = None) -> list[Event]:
    """The events of a reply as one JSON object; `read` and `finishes` as for server-sent events."""
    whole = Pieces(pieces)
    body = whole.body.strip()
    if not body:
        return [truncated("the body is empty", whole.last)]
    reply = ReplyEvents()
    try:
        _read_object(body, reply, whole.last, read)
    except BadPayload as bad:
        if body.startswith((b"data:", b"event:", b": ")):
            return [protocol_error("server-sent events instead of one JSON document", whole.last)]
        return reply.failed(fault_event(bad, whole.last))
    if finishes is not None and reply.finish is None:
        return reply.failed(protocol_error(f"a reply without a {finishes}", whole.last))
    return reply.events


def _read_message(message: Message, reply: ReplyEvents, read: ReadFields) -> Event | None:
    if not message.ended:
        return truncated("the stream ended inside an event", message.piece)
    # The standard shows bytes that are not UTF-8 as U+FFFD.
    data = message.data.decode("utf-8", "replace")
    if message.event == b"error":
        return server_error(_stated_error(data) or data[:1000], message.piece)
    try:
        _read_object(data, reply, message.piece, read)
    except BadPayload as bad:
        return fault_event(bad, message.piece)
    return None


def _read_object(data: bytes | str, reply: ReplyEvents, piece: int, read: ReadFields) -> None:
    fields = load_object(data)
    if (error := error_message(fields)) is not None:
        raise ServerFault(error)
    read(fields, reply, piece)


def _alone(data: bytes, read: ReadFields) -> list[Event]:
    reply = ReplyEvents()
    return [] if _read_message(Message(data, b"", 0), reply, read) is not None else reply.events


def _lacks(reply: ReplyEvents, marker: bytes | None, finishes: str | None) -> str | None:
    """What the end of a stream lacks; None where it is whole."""
    if finishes is None:
        return None if marker is None else f"the stream ended without {marker.decode()}"
    if reply.finish is None:
        without = "" if marker is None else f", and without {marker.decode()}"
        return f"the stream ended before its {finishes}{without}"
    return None if marker is None else f"the stream ended behind its {finishes}, without {marker.decode()}"


def _no_messages(whole: Pieces) -> Event:
    body = whole.body.strip()
    if not body:
        return truncated("the stream is empty", whole.last)
    if (message := _stated_error(body)) is not None:
        return server_error(message, whole.last)
    if body.startswith(b"{"):
        return protocol_error("one JSON document where a stream was asked for", whole.last)
    if all(line.startswith(b":") for line in body.splitlines() if line):
        return truncated("the stream holds comments alone", whole.last)
    return protocol_error("no server-sent event in the body", whole.last)


def _stated_error(body: bytes | str) -> str | None:
    try:
        return error_message(load_object(body))
    except BadPayload:
        return None
