"""The OpenAI Responses API: typed events, the last of which holds the whole response. The base URL ends in ``/v1``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hexgate.wire import openai
from hexgate.wire.base import Ask, Event, EventKind, Gives, Usage, WireRequest
from hexgate.wire.payload import BadPayload, ServerFault, count, object_of
from hexgate.wire.prompt import refuse_stop, turns_of
from hexgate.wire.reply import ReplyEvents
from hexgate.wire.stream import read_document, read_stream

__all__ = ["OpenAIResponses"]

_TEXT, _REASONING, _TOOL = EventKind.TEXT, EventKind.REASONING, EventKind.TOOL
_DELTAS = {
    "response.output_text.delta": _TEXT,
    "response.refusal.delta": _TEXT,
    "response.reasoning.delta": _REASONING,
    "response.reasoning_text.delta": _REASONING,
    "response.reasoning_summary.delta": _REASONING,
    "response.reasoning_summary_text.delta": _REASONING,
    "response.function_call_arguments.delta": _TOOL,
    "response.mcp_call_arguments.delta": _TOOL,
    "response.custom_tool_call_input.delta": _TOOL,
    "response.code_interpreter_call_code.delta": _TOOL,
}
_OPENING = frozenset({"response.created", "response.queued", "response.in_progress"})
_LAST = frozenset(
    {"response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done"}
)
_FINISHES = "response.completed"


class OpenAIResponses:
    """``POST /responses``. The API has no seed, so that the ask's is not sent."""

    name: ClassVar[str] = "openai-responses"
    gives: ClassVar[Gives] = Gives.TEXT
    generates: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    ends_with: ClassVar[bytes | None] = None

    def request(self, ask: Ask) -> WireRequest:
        """The HTTP request for one ask. The server is asked to keep nothing of it.

        Raises:
            InputError: if the ask has no prompt, or texts to stop at, or its options are not JSON.
        """
        refuse_stop(ask, self.name)
        fields: dict[str, Any] = {
            "model": ask.model,
            "input": turns_of(ask, self.name),
            "max_output_tokens": ask.max_tokens,
            "temperature": ask.temperature,
            "stream": ask.stream,
            "store": False,
        }
        if ask.top_p is not None:
            fields["top_p"] = ask.top_p
        return openai.post("/responses", fields, ask)

    def events(self, pieces: Sequence[bytes], *, stream: bool) -> list[Event]:
        """The events of a whole reply body. A response that is incomplete is finished, with its reason."""
        if stream:
            return read_stream(pieces, _read_event, finishes=_FINISHES)
        return read_document(pieces, _read_document, finishes="status")


def _read_event(fields: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
    kind = fields.get("type")
    if not isinstance(kind, str):
        raise BadPayload("an event without a type")
    if (channel := _DELTAS.get(kind)) is not None:
        reply.text(channel, fields.get("delta"), piece)
    elif kind in _OPENING:
        reply.role(piece)
    elif kind in _LAST:
        _finish(object_of(fields.get("response"), "the response"), reply, piece)


def _read_document(fields: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
    output = fields.get("output") or []
    if not isinstance(output, list):
        raise BadPayload(f"output is not a list but {type(output).__name__}")
    for entry in output:
        item = object_of(entry, "an item of the output")
        if item.get("type") == "function_call":
            reply.text(_TOOL, f"{item.get('name') or ''}{item.get('arguments') or ''}", piece)
            continue
        channel = _REASONING if item.get("type") == "reasoning" else _TEXT
        for group in ("summary", "content"):
            for part in item.get(group) or []:
                held = object_of(part, "a part of the output")
                reply.text(channel, held.get("text") or held.get("refusal"), piece)
    _finish(fields, reply, piece)


def _finish(response: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
    """How a response ended, by its own status."""
    status = response.get("status")
    if status == "incomplete":
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        reply.finished(reason or status, piece)
    elif status == "completed":
        reply.finished(status, piece)
    else:
        error = response.get("error")
        message = error.get("message") if isinstance(error, dict) else None
        raise ServerFault(str(message or f"the response ended as {status}")[:1000])
    if response.get("usage") is not None:
        usage = object_of(response["usage"], "usage")
        reply.usage(
            Usage(
                prompt_tokens=count(usage.get("input_tokens")),
                output_tokens=count(usage.get("output_tokens")),
                cached_tokens=openai.detail(usage, "input_tokens_details", "cached_tokens"),
                reasoning_tokens=openai.detail(usage, "output_tokens_details", "reasoning_tokens"),
            ),
            piece,
        )
