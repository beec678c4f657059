"""The OpenAI text completions API, as OpenAI-compatible servers speak it. The base URL ends in ``/v1``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hexgate.wire import openai
from hexgate.wire.base import Ask, Event, EventKind, WireRequest
from hexgate.wire.reply import ReplyEvents

__all__ = ["OpenAICompletions"]


class OpenAICompletions:
    """``POST /completions``. The API has no system message: one that is given stands before the prompt."""

    name: ClassVar[str] = "openai-completions"
    generates: ClassVar[bool] = True
    streams: ClassVar[bool] = True

    def request(self, ask: Ask) -> WireRequest:
        """The HTTP request for one ask.

        Raises:
            InputError: if the ask has no prompt, or its options are not JSON.
        """
        prompt = ask.prompt or ""
        if ask.system is not None:
            prompt = f"{ask.system}\n\n{prompt}"
        return openai.request("/completions", ask, {"prompt": prompt})

    def events(self, pieces: Sequence[bytes], *, stream: bool) -> list[Event]:
        """The events of a whole reply body."""
        return openai.read(pieces, stream=stream, choice=_text)


def _text(choice: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
    reply.text(EventKind.TEXT, choice.get("text"), piece)
