"""What the calls of a judge cost, and a budget that ends before it is exceeded."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from hexgate.errors import InputError

__all__ = ["Books", "Prices"]

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Prices:
    """The declared prices of a judge. Nobody looks them up."""

    input_per_million: float
    """Price of a million tokens of the prompt."""
    output_per_million: float
    """Price of a million tokens of the reply."""
    currency: str = "USD"
    """What they are in, for people."""

    def __post_init__(self) -> None:
        """Refuse what is no price."""
        for value in (self.input_per_million, self.output_per_million):
            if not (math.isfinite(value) and value >= 0):
                raise InputError("a price is not a number from 0", got=str(value))

    def cost(self, prompt_tokens: int, output_tokens: int) -> float:
        """What so many tokens cost."""
        return (prompt_tokens * self.input_per_million + output_tokens * self.output_per_million) / 1e6

    def at_most(self, body_bytes: int, max_tokens: int) -> float:
        """What a call can cost: no token is shorter than a byte, and the request holds more than the prompt."""
        return self.cost(body_bytes, max_tokens)


class Books:
    """A budget that several threads draw on.

    Args:
        budget: most that all calls may cost together; None for no limit.
        spent: what earlier calls cost at most.
    """

    def __init__(self, budget: float | None, spent: float) -> None:
        self._budget = budget
        self._spent = spent
        self._reserved = 0.0
        self._open = 0
        self._change = threading.Condition()

    def reserve(self, at_most: float | None) -> bool:
        """Set aside what a call may cost, waiting for calls under way where these decide.

        Returns whether the budget has room for it.
        """
        if self._budget is None or at_most is None:
            return True
        with self._change:
            while self._spent + self._reserved + at_most > self._budget * (1 + _ROUNDING):
                if not self._open:
                    return False
                self._change.wait()
            self._reserved += at_most
            self._open += 1
            return True

    def settle(self, at_most: float | None, cost: float) -> None:
        """Book what became of a reservation."""
        if self._budget is None or at_most is None:
            return
        with self._change:
            self._open -= 1
            # Sums of differences drift; with nothing open nothing is reserved.
            self._reserved = self._reserved - at_most if self._open else 0.0
            self._spent += cost
            self._change.notify_all()
