"""Triton's generate extension: a text in, a text or a stream of texts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from hexgate.errors import InputError
from hexgate.wire.base import Ask, Event, EventKind, Gives, WireRequest
from hexgate.wire.payload import BadPayload, body_bytes
from hexgate.wire.prompt import refuse_stop, text_of
from hexgate.wire.reply import ReplyEvents
from hexgate.wire.stream import read_document, read_stream

__all__ = ["TritonGenerate"]


class TritonGenerate:
    """``POST /v2/models/{model}/generate``, and ``generate_stream`` for a reply in pieces, under the server's root.

    The API knows neither a system message (one that is given stands before the prompt) nor a reason why a reply
    ended, nor counts of tokens. Its streams have no terminator: whether one is whole is for HTTP to say.
    """

    name: ClassVar[str] = "triton-generate"
    gives: ClassVar[Gives] = Gives.TEXT
    generates: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    ends_with: ClassVar[bytes | None] = None

    def request(self, ask: Ask) -> WireRequest:
        """The HTTP request for one ask. Options of the ask stand in the body; those under ``parameters`` join ours.

        Raises:
            InputError: if the ask has no prompt or no model, has turns or texts to stop at, or its options are
                not JSON.
        """
        refuse_stop(ask, self.name)
        if not ask.model:
            raise InputError(
                f"the dialect {self.name} needs the model's name", hint="name it with --model-name"
            )
        parameters: dict[str, Any] = {
            "stream": ask.stream,
            "max_tokens": ask.max_tokens,
            "temperature": ask.temperature,
        }
        if ask.top_p is not None:
            parameters["top_p"] = ask.top_p
        if ask.seed is not None:
            parameters["seed"] = ask.seed
        further = dict(ask.options)
        parameters |= further.pop("parameters", {})
        fields = {"text_input": text_of(ask, self.name), "parameters": parameters, **further}
        path = f"/v2/models/{quote(ask.model, safe='')}/generate{'_stream' if ask.stream else ''}"
        accept = "text/event-stream" if ask.stream else "application/json"
        headers = {"content-type": "application/json", "accept": accept}
        return WireRequest("POST", path, headers, body_bytes(fields))

    def events(self, pieces: Sequence[bytes], *, stream: bool) -> list[Event]:
        """The events of a whole reply body."""
        return (read_stream if stream else read_document)(pieces, _read)


def _read(fields: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
    text = fields.get("text_output")
    # A model that is not decoupled gives a list of one text.
    if isinstance(text, list) and len(text) == 1:
        text = text[0]
    if text is None:
        raise BadPayload("a reply without text_output")
    reply.text(EventKind.TEXT, text, piece)
