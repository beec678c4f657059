"""Ollama's native chat API: turns in, newline-delimited JSON out, token counts and nanoseconds in the last line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hexgate.wire import ollama
from hexgate.wire.base import Ask, Event, EventKind, Gives, WireRequest
from hexgate.wire.payload import BadPayload, object_of
from hexgate.wire.prompt import turns_of
from hexgate.wire.reply import ReplyEvents

__all__ = ["OllamaChat"]


class OllamaChat:
    """``POST /api/chat`` under the server's root."""

    name: ClassVar[str] = "ollama-chat"
    gives: ClassVar[Gives] = Gives.TEXT
    generates: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    ends_with: ClassVar[bytes | None] = ollama.ENDS_WITH

    def request(self, ask: Ask) -> WireRequest:
        """The HTTP request for one ask. Sampling goes into the API's own ``options`` object.

        Raises:
            InputError: if the ask has no prompt, a turn of it is none, or its options are not JSON.
        """
        fields = {"model": ask.model, "messages": turns_of(ask, self.name), "stream": ask.stream}
        return ollama.post("/api/chat", fields, ask, ollama.sampling(ask))

    def events(self, pieces: Sequence[bytes], *, stream: bool) -> list[Event]:  # noqa: ARG002 - the protocol's
        """The events of a whole reply body; one that is not streamed is a stream of one line."""
        return ollama.read(pieces, _texts)


def _texts(fields: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
    if fields.get("message") is None:
        return
    message = object_of(fields["message"], "message")
    found = reply.text(EventKind.REASONING, message.get("thinking"), piece)
    found |= reply.text(EventKind.TEXT, message.get("content"), piece)
    if "tool_calls" in message:
        found |= reply.text(EventKind.TOOL, _call(message["tool_calls"]), piece)
    if not found and fields.get("done") is not True:
        reply.role(piece)


def _call(calls: Any) -> str:
    """Names and arguments of whole calls, which this API sends as objects."""
    if not isinstance(calls, list):
        raise BadPayload(f"tool_calls is not a list but {type(calls).__name__}")
    functions = [object_of(object_of(call, "a tool call").get("function"), "a function") for call in calls]
    return "".join(
        f"{function.get('name')}{json.dumps(function.get('arguments'), ensure_ascii=False)}"
        for function in functions
    )
