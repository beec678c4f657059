"""The OpenAI chat completions API, as OpenAI-compatible servers speak it. The base URL ends in ``/v1``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hexgate.wire import openai
from hexgate.wire.base import Ask, Event, EventKind, Gives, WireRequest
from hexgate.wire.payload import BadPayload, object_of
from hexgate.wire.prompt import turns_of
from hexgate.wire.reply import ReplyEvents
from hexgate.wire.stream import DONE

__all__ = ["OpenAIChat"]

_TEXT, _REASONING, _TOOL = EventKind.TEXT, EventKind.REASONING, EventKind.TOOL


class OpenAIChat:
    """``POST /chat/completions``."""

    name: ClassVar[str] = "openai-chat"
    gives: ClassVar[Gives] = Gives.TEXT
    generates: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    ends_with: ClassVar[bytes | None] = DONE

    def request(self, ask: Ask) -> WireRequest:
        """The HTTP request for one ask.

        Raises:
            InputError: if the ask has no prompt, a turn of it is none, or its options are not JSON.
        """
        return openai.request("/chat/completions", ask, {"messages": turns_of(ask, self.name)})

    def events(self, pieces: Sequence[bytes], *, stream: bool) -> list[Event]:
        """The events of a whole reply body. Reasoning comes as ``reasoning_content`` or ``reasoning``.

        A refusal is text of the answer. The call of a tool is output too, but no text of the answer.
        """
        return openai.read(pieces, stream=stream, choice=_delta if stream else _message)


def _delta(choice: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
    delta = choice.get("delta")
    if delta is not None and not _texts(object_of(delta, "delta"), reply, piece) and "role" in delta:
        reply.role(piece)


def _message(choice: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
    _texts(object_of(choice.get("message"), "message"), reply, piece)


def _texts(holder: Mapping[str, Any], reply: ReplyEvents, piece: int) -> bool:
    # Servers that send both names for reasoning send the same text under each.
    thought = holder.get("reasoning_content") or holder.get("reasoning")
    found = thought is not None and reply.text(_REASONING, thought, piece)
    found |= reply.text(_TEXT, holder.get("content"), piece)
    if "refusal" in holder:
        found |= reply.text(_TEXT, holder["refusal"], piece)
    if "tool_calls" in holder or "function_call" in holder:
        found |= reply.text(_TOOL, _call(holder), piece)
    return found


def _call(holder: Mapping[str, Any]) -> str:
    """Name and arguments of the calls in one message, as far as they came in it."""
    calls = holder.get("tool_calls") or []
    if not isinstance(calls, list):
        raise BadPayload(f"tool_calls is not a list but {type(calls).__name__}")
    functions = [object_of(call, "a tool call").get("function") for call in calls]
    parts: list[str] = []
    for function in [*functions, holder.get("function_call")]:
        named = object_of(function, "the function of a tool call") if function is not None else {}
        parts += [part for part in (named.get("name"), named.get("arguments")) if isinstance(part, str)]
    return "".join(parts)
