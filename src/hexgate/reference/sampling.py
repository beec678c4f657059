"""How one token is drawn from several."""

from __future__ import annotations

import math
import random

__all__ = ["Sampler"]


class Sampler:
    """Draws tokens at a temperature, of the likeliest that hold a share `top_p`; at 0 takes the likeliest."""

    def __init__(self, temperature: float, top_p: float | None, seed: str | None) -> None:
        self._temperature = temperature
        self._top_p = 1.0 if top_p is None else top_p
        self._random = random.Random(seed)

    def choose(self, tokens: list[str], weights: list[float]) -> str:
        """One of several tokens, by weights above 0 that need not add up to 1."""
        if len(tokens) == 1:
            return tokens[0]
        greatest = max(weights)
        if self._temperature == 0:
            return tokens[weights.index(greatest)]
        # Divided by the greatest first, so that a low temperature cannot overflow.
        heated = [(weight / greatest) ** (1 / self._temperature) for weight in weights]
        if self._top_p < 1:
            tokens, heated = _nucleus(tokens, heated, self._top_p)
        return self._random.choices(tokens, heated)[0]

    def takes(self, share: float) -> bool:
        """Whether the lesser of two ways is taken, which has this share (below one half) at temperature 1."""
        if self._temperature == 0:
            return False
        odds = math.exp(math.log(share / (1 - share)) / self._temperature)
        return self._random.random() < odds / (1 + odds)


def _nucleus(tokens: list[str], weights: list[float], top_p: float) -> tuple[list[str], list[float]]:
    """The fewest likeliest tokens whose share reaches `top_p` (Holtzman et al., 2020)."""
    order = sorted(range(len(tokens)), key=lambda index: -weights[index])
    needed = top_p * sum(weights)
    kept: list[int] = []
    for index in order:
        kept.append(index)
        needed -= weights[index]
        if needed <= 0:
            break
    return [tokens[index] for index in kept], [weights[index] for index in kept]
