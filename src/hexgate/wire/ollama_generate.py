"""Ollama's native generate API: newline-delimited JSON, token counts and nanoseconds in the last line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hexgate.errors import InputError
from hexgate.wire.base import Ask, Event, EventKind, Usage, WireRequest
from hexgate.wire.ndjson import Line, lines
from hexgate.wire.payload import (
    BadPayload,
    body_bytes,
    count,
    error_message,
    load_object,
    protocol_error,
    server_error,
    truncated,
)
from hexgate.wire.pieces import Pieces
from hexgate.wire.reply import ReplyEvents

__all__ = ["OllamaGenerate"]


class OllamaGenerate:
    """``POST /api/generate`` under the server's root."""

    name: ClassVar[str] = "ollama-generate"
    generates: ClassVar[bool] = True
    streams: ClassVar[bool] = True

    def request(self, ask: Ask) -> WireRequest:
        """The HTTP request for one ask. Sampling goes into the API's own ``options`` object.

        Raises:
            InputError: if the ask has no prompt, or its options are not JSON.
        """
        if ask.prompt is None:
            raise InputError("Ollama's generate API takes prompts, not inputs")
        sampling: dict[str, Any] = {"num_predict": ask.max_tokens, "temperature": ask.temperature}
        if ask.top_p is not None:
            sampling["top_p"] = ask.top_p
        if ask.seed is not None:
            sampling["seed"] = ask.seed
        fields: dict[str, Any] = {"model": ask.model, "prompt": ask.prompt, "stream": ask.stream}
        if ask.system is not None:
            fields["system"] = ask.system
        further = dict(ask.options)
        sampling.update(further.pop("options", {}))
        fields.update(further, options=sampling)
        headers = {"content-type": "application/json", "accept": "application/x-ndjson, application/json"}
        return WireRequest("POST", "/api/generate", headers, body_bytes(fields))

    def events(self, pieces: Sequence[bytes], *, stream: bool) -> list[Event]:  # noqa: ARG002 - the protocol's
        """The events of a whole reply body; one that is not streamed is a stream of one line."""
        reply = ReplyEvents()
        found = lines(pieces)
        for line in found:
            try:
                error = _read_line(line, reply)
            except BadPayload as bad:
                cut = not line.ended and str(bad).startswith("not JSON")
                error = (truncated if cut else protocol_error)(str(bad), line.piece)
            if error is not None:
                reply.events.append(error)
                return reply.events
        if reply.finish is None:
            last = Pieces(pieces).last
            what = "the reply ended without done: true" if found else "the body is empty"
            reply.events.append(truncated(what, last))
        return reply.events


def _read_line(line: Line, reply: ReplyEvents) -> Event | None:
    fields = load_object(line.data)
    if (message := error_message(fields)) is not None:
        return server_error(message, line.piece)
    reply.text(EventKind.REASONING, fields.get("thinking"), line.piece)
    reply.text(EventKind.TEXT, fields.get("response"), line.piece)
    if fields.get("done") is True:
        # Older servers name no reason.
        reply.finished(fields.get("done_reason") or "stop", line.piece)
        usage = _usage(fields)
        if usage != Usage():
            reply.usage(usage, line.piece)
    return None


def _usage(fields: Mapping[str, Any]) -> Usage:
    # The server leaves out what is zero, so that a field that is absent says nothing at all.
    return Usage(
        prompt_tokens=count(fields.get("prompt_eval_count")),
        output_tokens=count(fields.get("eval_count")),
        load_ns=count(fields.get("load_duration")),
        prompt_ns=count(fields.get("prompt_eval_duration")),
        output_ns=count(fields.get("eval_duration")),
        total_ns=count(fields.get("total_duration")),
    )
