"""The OpenAI chat completions API, as OpenAI-compatible servers speak it. The base URL ends in ``/v1``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hexgate.wire import openai
from hexgate.wire.base import Ask, Event, EventKind, WireRequest
from hexgate.wire.payload import object_of
from hexgate.wire.reply import ReplyEvents

__all__ = ["OpenAIChat"]


class OpenAIChat:
    """``POST /chat/completions``."""

    name: ClassVar[str] = "openai-chat"
    generates: ClassVar[bool] = True
    streams: ClassVar[bool] = True

    def request(self, ask: Ask) -> WireRequest:
        """The HTTP request for one ask.

        Raises:
            InputError: if the ask has no prompt, or its options are not JSON.
        """
        turns = [{"role": "system", "content": ask.system}] if ask.system is not None else []
        turns.append({"role": "user", "content": ask.prompt or ""})
        return openai.request("/chat/completions", ask, {"messages": turns})

    def events(self, pieces: Sequence[bytes], *, stream: bool) -> list[Event]:
        """The events of a whole reply body. Reasoning comes as ``reasoning_content`` or ``reasoning``."""
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
    reasoned = reply.text(EventKind.REASONING, thought, piece)
    answered = reply.text(EventKind.TEXT, holder.get("content"), piece)
    refused = reply.text(EventKind.TEXT, holder.get("refusal"), piece)
    return reasoned or answered or refused
