"""Ollama's native embed API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hexgate.wire import ollama
from hexgate.wire.base import Ask, Event, Gives, Usage, WireRequest
from hexgate.wire.prompt import text_of
from hexgate.wire.reply import ReplyEvents
from hexgate.wire.stream import read_document
from hexgate.wire.vectors import vectors_event

__all__ = ["OllamaEmbed"]


class OllamaEmbed:
    """``POST /api/embed`` under the server's root with one text; a system message that is given stands before it."""

    name: ClassVar[str] = "ollama-embed"
    gives: ClassVar[Gives] = Gives.VECTORS
    generates: ClassVar[bool] = False
    streams: ClassVar[bool] = False
    ends_with: ClassVar[bytes | None] = None

    def request(self, ask: Ask) -> WireRequest:
        """The HTTP request for one ask. What says how text is generated (tokens, temperature, …) has no place in it.

        Raises:
            InputError: if the ask has no prompt, or turns before it, or its options are not JSON.
        """
        return ollama.post("/api/embed", {"model": ask.model, "input": text_of(ask, self.name)}, ask, {})

    def events(self, pieces: Sequence[bytes], *, stream: bool) -> list[Event]:  # noqa: ARG002 - the protocol's
        """The events of a whole reply body. One without a vector, or with one that is not finite, is an error."""
        return read_document(pieces, _read)


def _read(fields: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
    reply.events.append(vectors_event(fields.get("embeddings"), "embeddings", piece))
    usage = ollama.usage_of(fields)
    if usage != Usage():
        reply.usage(usage, piece)
