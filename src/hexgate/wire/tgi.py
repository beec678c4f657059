"""The native API of Hugging Face's Text Generation Inference, with details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hexgate.wire.base import Ask, Event, EventKind, Gives, Usage, WireRequest
from hexgate.wire.payload import BadPayload, body_bytes, count, object_of
from hexgate.wire.prompt import text_of
from hexgate.wire.reply import ReplyEvents
from hexgate.wire.stream import read_document, read_stream

__all__ = ["TGI"]


class TGI:
    """``POST /generate``, and ``/generate_stream`` for a reply in pieces, under the server's root.

    The API has no system message: one that is given stands before the prompt. It wants a temperature above 0, so
    that 0 is sent as greedy decoding.
    """

    name: ClassVar[str] = "tgi"
    gives: ClassVar[Gives] = Gives.TEXT
    generates: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    ends_with: ClassVar[bytes | None] = b'"seed":'

    def request(self, ask: Ask) -> WireRequest:
        """The HTTP request for one ask. Options of the ask stand in the body; those under ``parameters`` join ours.

        Raises:
            InputError: if the ask has no prompt, or turns before it, or its options are not JSON.
        """
        parameters: dict[str, Any] = {"max_new_tokens": ask.max_tokens, "details": True}
        if ask.temperature > 0:
            parameters |= {"do_sample": True, "temperature": ask.temperature}
        else:
            parameters["do_sample"] = False
        # The API wants it below 1, which is its default.
        if ask.top_p is not None and ask.top_p < 1:
            parameters["top_p"] = ask.top_p
        if ask.seed is not None:
            parameters["seed"] = ask.seed
        if ask.stop:
            parameters["stop"] = list(ask.stop)
        further = dict(ask.options)
        parameters |= further.pop("parameters", {})
        fields = {"inputs": text_of(ask, self.name), "parameters": parameters, **further}
        accept = "text/event-stream" if ask.stream else "application/json"
        headers = {"content-type": "application/json", "accept": accept}
        path = "/generate_stream" if ask.stream else "/generate"
        return WireRequest("POST", path, headers, body_bytes(fields))

    def events(self, pieces: Sequence[bytes], *, stream: bool) -> list[Event]:
        """The events of a whole reply body. Special tokens, such as the end of text, are no text of the answer."""
        if stream:
            return read_stream(pieces, _read_event, finishes="finish_reason")
        return read_document(pieces, _read_document, finishes="finish_reason")


def _read_event(fields: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
    token = object_of(fields.get("token"), "token")
    if token.get("special") is not True:
        reply.text(EventKind.TEXT, token.get("text"), piece)
    if fields.get("details") is not None:
        _finish(object_of(fields["details"], "details"), reply, piece)


def _read_document(fields: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
    if "generated_text" not in fields:
        raise BadPayload("a reply without generated_text")
    reply.text(EventKind.TEXT, fields["generated_text"], piece)
    _finish(object_of(fields.get("details"), "details"), reply, piece)


def _finish(details: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
    if details.get("finish_reason") is not None:
        reply.finished(details["finish_reason"], piece)
    prefill = details.get("prefill")
    stated = count(details.get("input_length"))
    # A list of the prompt's tokens comes where it was asked for, and is empty elsewhere.
    listed = len(prefill) if isinstance(prefill, list) and prefill else None
    usage = Usage(
        prompt_tokens=listed if stated is None else stated,
        output_tokens=count(details.get("generated_tokens")),
    )
    if usage != Usage():
        reply.usage(usage, piece)
