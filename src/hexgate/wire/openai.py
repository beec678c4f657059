"""What the OpenAI-compatible dialects for text share: the request's fields, and replies made of choices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hexgate.wire.base import Ask, Event, Usage, WireRequest
from hexgate.wire.payload import BadPayload, body_bytes, count, object_of
from hexgate.wire.reply import ReplyEvents
from hexgate.wire.stream import read_document, read_stream

__all__ = ["ReadChoice", "detail", "post", "read", "request"]

ReadChoice = Callable[[Mapping[str, Any], ReplyEvents, int], None]
"""Adds the texts of one choice object to the reply; raises BadPayload where the choice is malformed."""

_FINISHES = "finish_reason"


def request(path: str, ask: Ask, prompt: Mapping[str, Any]) -> WireRequest:
    """The request for one ask. Fields of `ask.options` stand in the body as they are, and win.

    Raises:
        InputError: if its options are not JSON.
    """
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
    if ask.stop:
        fields["stop"] = list(ask.stop)
    if ask.stream:
        fields["stream_options"] = {"include_usage": True}
    return post(path, fields, ask)


def post(path: str, fields: Mapping[str, Any], ask: Ask) -> WireRequest:
    """A request with a JSON body, to which the options of the ask are added.

    Raises:
        InputError: if they are not JSON.
    """
    accept = "text/event-stream" if ask.stream else "application/json"
    headers = {"content-type": "application/json", "accept": accept}
    return WireRequest("POST", path, headers, body_bytes({**fields, **ask.options}))


def read(pieces: Sequence[bytes], *, stream: bool, choice: ReadChoice) -> list[Event]:
    """The events of a reply, streamed or whole. `choice` reads the texts of one choice object."""

    def fields(found: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
        _read_fields(found, reply, piece, choice)

    if stream:
        # Not every server sends [DONE]: `transformers serve` ends behind its finish_reason, and the transport tells
        # whether the body is whole.
        return read_stream(pieces, fields, finishes=_FINISHES)
    return read_document(pieces, fields, finishes=_FINISHES)


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
        cached_tokens=detail(fields, "prompt_tokens_details", "cached_tokens"),
        reasoning_tokens=detail(fields, "completion_tokens_details", "reasoning_tokens"),
    )


def detail(fields: Mapping[str, Any], group: str, name: str) -> int | None:
    """A count inside a group of counts; None where the server does not state it."""
    details = fields.get(group)
    return count(details.get(name)) if isinstance(details, dict) else None
