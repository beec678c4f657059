"""The reference language model as a server runs it: token by token, with its counts and its own clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from hexgate.reference.language_model import ReferenceLM

__all__ = ["MAX_TOKENS", "Generating", "Sampling", "TextService"]

MAX_TOKENS = 4096
"""Most tokens of one reply."""


@dataclass(frozen=True)
class Sampling:
    """How a reply is to be made."""

    max_tokens: int
    """Most tokens of the reply."""
    temperature: float
    """0 is greedy."""
    top_p: float | None
    """Nucleus mass."""
    seed: int | None
    """Seed; None for another reply each time."""
    stop: tuple[str, ...] = ()
    """Texts that end the reply; they are no part of it."""


class Generating:
    """One reply while it is made. The figures hold once `pieces` has come to its end."""

    def __init__(self, model: ReferenceLM, prompt: str, sampling: Sampling, delay_s: float) -> None:
        self._model = model
        self._prompt = prompt
        self._sampling = sampling
        self._delay_s = delay_s
        self.prompt_tokens = 0
        """Tokens of the prompt."""
        self.output_tokens = 0
        """Tokens that were made."""
        self.finish_reason = "stop"
        """``stop`` or ``length``."""
        self.prompt_ns = 0
        """Time to read the prompt and be ready for the first token."""
        self.output_ns = 0
        """Time to make all tokens."""

    async def pieces(self) -> AsyncIterator[str]:
        """The text, one token after the other; held back only where it may be the beginning of a stop text."""
        began = time.perf_counter_ns()
        sampling = self._sampling
        self.prompt_tokens = self._model.count_tokens(self._prompt)
        generation = self._model.generate(
            self._prompt,
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=sampling.seed,
        )
        ready = time.perf_counter_ns()
        self.prompt_ns = ready - began
        held = ""
        stopped = False
        for piece in generation:
            # Even without a delay: one long reply must not keep the others waiting.
            await asyncio.sleep(self._delay_s)
            self.output_tokens += 1
            if not sampling.stop:
                yield piece
                continue
            text, held, stopped = _split_at_stop(held + piece, sampling.stop)
            if text:
                yield text
            if stopped:
                break
        else:
            reason = generation.finish_reason
            self.finish_reason = reason.value if reason is not None else "stop"
        if held and not stopped:
            yield held
        self.output_ns = time.perf_counter_ns() - ready

    async def whole(self) -> str:
        """The whole text."""
        return "".join([piece async for piece in self.pieces()])


class TextService:
    """The language model that the endpoint serves.

    Args:
        model: the model.
        token_delay_s: how long each token takes on top of its computation.
    """

    def __init__(self, model: ReferenceLM, token_delay_s: float) -> None:
        self._model = model
        self._delay_s = token_delay_s
        self.created = int(time.time())
        """When the service began, in seconds since 1970."""

    @property
    def name(self) -> str:
        """The model id."""
        return self._model.name

    def serves(self, model: str) -> bool:
        """Whether that is the name of the model, with or without a tag."""
        return model in {self.name, f"{self.name}:latest"}

    def begin(self, prompt: str, sampling: Sampling) -> Generating:
        """A reply that is about to be made."""
        return Generating(self._model, prompt, sampling, self._delay_s)


def _split_at_stop(text: str, stops: Sequence[str]) -> tuple[str, str, bool]:
    """What of a text can be given out, what must be held back, and whether a stop text was reached."""
    places = [place for place in (text.find(stop) for stop in stops) if place >= 0]
    if places:
        return text[: min(places)], "", True
    longest = max(len(stop) for stop in stops) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(stop.startswith(text[-length:]) for stop in stops):
            return text[:-length], text[-length:], False
    return text, "", False
