"""The OpenAI text completions API, as OpenAI-compatible servers speak it. The base URL ends in ``/v1``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hexgate.wire import openai
from hexgate.wire.base import Ask, Event, EventKind, Gives, WireRequest
from hexgate.wire.prompt import text_of
from hexgate.wire.reply import ReplyEvents
from hexgate.wire.stream import DONE

__all__ = ["OpenAICompletions"]


class OpenAICompletions:
    """``POST /completions``. The API has no system message: one that is given stands before the prompt."""

    name: ClassVar[str] = "openai-completions"
    gives: ClassVar[Gives] = Gives.TEXT
    generates: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    ends_with: ClassVar[bytes | None] = DONE

    def request(self, ask: Ask) -> WireRequest:
        """The HTTP request for one ask.

        Raises:
            InputError: if the ask has no prompt, or turns before it, or its options are not JSON.
        """
        return openai.request("/completions", ask, {"prompt": text_of(ask, self.name)})

    def events(self, pieces: Sequence[bytes], *, stream: bool) -> list[Event]:
        """The events of a whole reply body."""
        return openai.read(pieces, stream=stream, choice=_text)


def _text(choice: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
    reply.text(EventKind.TEXT, choice.get("text"), piece)
