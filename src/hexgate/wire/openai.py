"""What the OpenAI-compatible dialects share: one stream of server-sent events, or one JSON document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hexgate.errors import InputError
from hexgate.wire.base import Ask, Event, Usage, WireRequest
from hexgate.wire.payload import (
    BadPayload,
    body_bytes,
    count,
    error_message,
    load_object,
    object_of,
    protocol_error,
    server_error,
    truncated,
)
from hexgate.wire.pieces import Pieces
from hexgate.wire.reply import ReplyEvents
from hexgate.wire.sse import Message, messages

__all__ = ["ReadChoice", "read", "request"]

ReadChoice = Callable[[Mapping[str, Any], ReplyEvents, int], None]
"""Adds the texts of one choice object to the reply; raises BadPayload where the choice is malformed."""

_DONE = "[DONE]"


def request(path: str, ask: Ask, prompt: Mapping[str, Any]) -> WireRequest:
    """The request for one ask. Fields of `ask.options` stand in the body as they are, and win.

    Raises:
        InputError: if the ask has no prompt, or its options are not JSON.
    """
    if ask.prompt is None:
        raise InputError("an OpenAI-compatible endpoint takes prompts, not inputs")
    fields: dict[str, Any] = {
        "model": ask.model,
        **prompt,
        "max_tokens": ask.max_tokens,
        "temperature": ask.temperature,
        "stream": ask.stream,
    }
    if ask.top_p is not None:
        fields["top_p"] = ask.top_p
    if ask.seed is not None:
        fields["seed"] = ask.seed
    if ask.stream:
        fields["stream_options"] = {"include_usage": True}
    fields.update(ask.options)
    accept = "text/event-stream" if ask.stream else "application/json"
    headers = {"content-type": "application/json", "accept": accept}
    return WireRequest("POST", path, headers, body_bytes(fields))


def read(pieces: Sequence[bytes], *, stream: bool, choice: ReadChoice) -> list[Event]:
    """The events of a reply, streamed or whole. `choice` reads the texts of one choice object."""
    if stream:
        return _read_stream(pieces, choice)
    whole = Pieces(pieces)
    if not whole.body.strip():
        return [truncated("the body is empty", whole.last)]
    return _read_document(whole.body, whole.last, choice)


def _read_document(body: bytes, piece: int, choice: ReadChoice) -> list[Event]:
    reply = ReplyEvents()
    try:
        fields = load_object(body)
        if (message := error_message(fields)) is not None:
            return [server_error(message, piece)]
        _read_fields(fields, reply, piece, choice)
    except BadPayload as error:
        reply.events.append(protocol_error(str(error), piece))
        return reply.events
    if reply.finish is None:
        reply.events.append(protocol_error("a reply without a finish_reason", piece))
    return reply.events


def _read_stream(pieces: Sequence[bytes], choice: ReadChoice) -> list[Event]:
    reply = ReplyEvents()
    found = messages(pieces)
    if not found:
        return [_no_messages(Pieces(pieces))]
    piece = found[-1].piece
    for message in found:
        if message.data.strip() == _DONE:
            if reply.finish is None:
                reply.events.append(truncated("[DONE] came without a finish_reason", message.piece))
            return reply.events
        if not message.ended:
            reply.events.append(truncated("the stream ended inside an event", message.piece))
            return reply.events
        try:
            error = _read_message(message, reply, choice)
        except BadPayload as bad:
            error = protocol_error(str(bad), message.piece)
        if error is not None:
            reply.events.append(error)
            return reply.events
    seen = "after its finish_reason" if reply.finish is not None else "before a finish_reason"
    reply.events.append(truncated(f"the stream ended {seen}, without [DONE]", piece))
    return reply.events


def _read_message(message: Message, reply: ReplyEvents, choice: ReadChoice) -> Event | None:
    if message.event == "error":
        return server_error(_stated_error(message.data) or message.data[:1000], message.piece)
    fields = load_object(message.data)
    if (text := error_message(fields)) is not None:
        return server_error(text, message.piece)
    _read_fields(fields, reply, message.piece, choice)
    return None


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


def _read_fields(fields: Mapping[str, Any], reply: ReplyEvents, piece: int, choice: ReadChoice) -> None:
    """Texts, finish and counts of one object, in this order: a chunk may carry all three.

    Only the choice with index 0 is read: hexgate asks for one.
    """
    choices = fields.get("choices") or []
    if not isinstance(choices, list):
        raise BadPayload(f"choices is not a list but {type(choices).__name__}")
    for entry in choices:
        one = object_of(entry, "a choice")
        if one.get("index", 0) != 0:
            continue
        choice(one, reply, piece)
        if one.get("finish_reason") is not None:
            reply.finished(one["finish_reason"], piece)
    if fields.get("usage") is not None:
        reply.usage(_usage(object_of(fields["usage"], "usage")), piece)


def _usage(fields: Mapping[str, Any]) -> Usage:
    return Usage(
        prompt_tokens=count(fields.get("prompt_tokens")),
        output_tokens=count(fields.get("completion_tokens")),
        cached_tokens=_detail(fields, "prompt_tokens_details", "cached_tokens"),
        reasoning_tokens=_detail(fields, "completion_tokens_details", "reasoning_tokens"),
    )


def _detail(fields: Mapping[str, Any], group: str, name: str) -> int | None:
    details = fields.get(group)
    return count(details.get(name)) if isinstance(details, dict) else None
