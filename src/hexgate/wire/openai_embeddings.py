"""The OpenAI embeddings API, as OpenAI-compatible servers speak it. The base URL ends in ``/v1``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from hexgate.wire import openai
from hexgate.wire.base import Ask, Event, Gives, Usage, WireRequest
from hexgate.wire.payload import BadPayload, count, object_of
from hexgate.wire.prompt import text_of
from hexgate.wire.reply import ReplyEvents
from hexgate.wire.stream import read_document
from hexgate.wire.vectors import vectors_event

__all__ = ["OpenAIEmbeddings"]


class OpenAIEmbeddings:
    """``POST /embeddings`` with one text; a system message that is given stands before it."""

    name: ClassVar[str] = "openai-embeddings"
    gives: ClassVar[Gives] = Gives.VECTORS
    generates: ClassVar[bool] = False
    streams: ClassVar[bool] = False
    ends_with: ClassVar[bytes | None] = None

    def request(self, ask: Ask) -> WireRequest:
        """The HTTP request for one ask. What says how text is generated (tokens, temperature, …) has no place in it.

        Raises:
            InputError: if the ask has no prompt, or turns before it, or its options are not JSON.
        """
        fields = {"model": ask.model, "input": text_of(ask, self.name), "encoding_format": "float"}
        return openai.post("/embeddings", fields, replace(ask, stream=False))

    def events(self, pieces: Sequence[bytes], *, stream: bool) -> list[Event]:  # noqa: ARG002 - the protocol's
        """The events of a whole reply body. One without a vector, or with one that is not finite, is an error."""
        return read_document(pieces, _read)


def _read(fields: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
    data = fields.get("data")
    if not isinstance(data, list):
        raise BadPayload("a reply without data")
    rows = [object_of(entry, "an entry of data").get("embedding") for entry in data]
    reply.events.append(vectors_event(rows, "data", piece))
    if fields.get("usage") is not None:
        usage = object_of(fields["usage"], "usage")
        reply.usage(Usage(prompt_tokens=count(usage.get("prompt_tokens"))), piece)
