"""Ollama's native generate API: newline-delimited JSON, token counts and nanoseconds in the last line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hexgate.wire import ollama
from hexgate.wire.base import Ask, Event, EventKind, Gives, WireRequest
from hexgate.wire.prompt import prompt_of
from hexgate.wire.reply import ReplyEvents

__all__ = ["OllamaGenerate"]


class OllamaGenerate:
    """``POST /api/generate`` under the server's root."""

    name: ClassVar[str] = "ollama-generate"
    gives: ClassVar[Gives] = Gives.TEXT
    generates: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    ends_with: ClassVar[bytes | None] = ollama.ENDS_WITH

    def request(self, ask: Ask) -> WireRequest:
        """The HTTP request for one ask. Sampling goes into the API's own ``options`` object.

        Raises:
            InputError: if the ask has no prompt, or turns before it, or its options are not JSON.
        """
        fields: dict[str, Any] = {
            "model": ask.model,
            "prompt": prompt_of(ask, self.name),
            "stream": ask.stream,
        }
        if ask.system is not None:
            fields["system"] = ask.system
        return ollama.post("/api/generate", fields, ask, ollama.sampling(ask))

    def events(self, pieces: Sequence[bytes], *, stream: bool) -> list[Event]:  # noqa: ARG002 - the protocol's
        """The events of a whole reply body; one that is not streamed is a stream of one line."""
        return ollama.read(pieces, _texts)


def _texts(fields: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
    reply.text(EventKind.REASONING, fields.get("thinking"), piece)
    reply.text(EventKind.TEXT, fields.get("response"), piece)
