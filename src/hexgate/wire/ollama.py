"""What Ollama's native dialects share: sampling options, newline-delimited JSON, and the server's own durations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hexgate.errors import InputError
from hexgate.wire.base import Ask, Event, Usage, WireRequest
from hexgate.wire.payload import body_bytes, count
from hexgate.wire.reply import ReplyEvents
from hexgate.wire.stream import read_lines

__all__ = ["ENDS_WITH", "ReadTexts", "post", "read", "sampling", "usage_of"]

ENDS_WITH = b'_duration":'
"""The last line of a stream holds the server's durations behind everything else."""

ReadTexts = Callable[[Mapping[str, Any], ReplyEvents, int], None]
"""Adds the texts of one line to the reply; raises BadPayload where the line is malformed."""


def sampling(ask: Ask) -> dict[str, Any]:
    """How the reply is to be generated, under the API's names."""
    named: dict[str, Any] = {"num_predict": ask.max_tokens, "temperature": ask.temperature}
    if ask.top_p is not None:
        named["top_p"] = ask.top_p
    if ask.seed is not None:
        named["seed"] = ask.seed
    if ask.stop:
        named["stop"] = list(ask.stop)
    return named


def post(path: str, fields: Mapping[str, Any], ask: Ask, options: Mapping[str, Any]) -> WireRequest:
    """The request. Options of the ask stand in the body as they are; those under ``options`` join ours, and win.

    Raises:
        InputError: if they are not JSON, or ``options`` is no object.
    """
    further = dict(ask.options)
    own = further.pop("options", {})
    if not isinstance(own, Mapping):
        raise InputError("Ollama's options are not an object", got=repr(own)[:100])
    joined = {**options, **own}
    body = {**fields, **further, **({"options": joined} if joined else {})}
    headers = {"content-type": "application/json", "accept": "application/x-ndjson, application/json"}
    return WireRequest("POST", path, headers, body_bytes(body))


def read(pieces: Sequence[bytes], texts: ReadTexts) -> list[Event]:
    """The events of a whole reply body; one that is not streamed is a stream of one line."""

    def fields(found: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
        texts(found, reply, piece)
        if found.get("done") is True:
            # Older servers name no reason.
            reply.finished(found.get("done_reason") or "stop", piece)
            usage = usage_of(found)
            if usage != Usage():
                reply.usage(usage, piece)

    return read_lines(pieces, fields, finishes="done: true")


def usage_of(fields: Mapping[str, Any]) -> Usage:
    """Counts, and durations in nanoseconds. The server leaves out what is zero: what is absent says nothing."""
    return Usage(
        prompt_tokens=count(fields.get("prompt_eval_count")),
        output_tokens=count(fields.get("eval_count")),
        cached_tokens=count(fields.get("prompt_eval_cached_count")),
        load_ns=count(fields.get("load_duration")),
        prompt_ns=count(fields.get("prompt_eval_duration")),
        output_ns=count(fields.get("eval_duration")),
        total_ns=count(fields.get("total_duration")),
    )
