"""What a user can say about how a target is to be opened."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hexgate.errors import InputError
from hexgate.targets.base import GenerateOptions

__all__ = ["MOST_TIMEOUT_S", "OpenOptions"]

MOST_TIMEOUT_S = 1e6
"""No reply is waited for longer; clocks of sockets and event loops have ends, too."""


@dataclass(frozen=True)
class OpenOptions:
    """How to open a target. Every field has a default that suits most targets."""

    model_name: str | None = None
    """Model id at an endpoint; None to ask the server which it serves."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the API key. The key itself is stored nowhere."""
    timeout_s: float = 120.0
    """Longest wait for a whole reply of an endpoint."""
    dialect: str | None = None
    """Dialect of an endpoint, where its URL does not tell."""
    card: Path | None = None
    """Card to use instead of the one beside the model."""
    labels: tuple[str, ...] | None = None
    """Class names in the order of the scores, instead of the card's."""
    input_shape: tuple[int, ...] | None = None
    """Shape of one input without the batch, where neither model nor card states it."""
    input_range: tuple[float, float] | None = None
    """Least and greatest valid value of an input, instead of the card's."""
    batch: int = 256
    """Most inputs in one call of a predictor."""
    threads: int | None = None
    """Threads of one operator of a model in this process; None for the runtime's default."""
    provider: str | None = None
    """Execution provider of a model in this process: ``cpu``, ``cuda``, ...; None for the CPU."""
    max_tokens: int | None = None
    """Most tokens of a reply; None for the caller's default."""
    temperature: float | None = None
    """Sampling temperature; None for the caller's default."""
    system: str | None = None
    """System message; None for none."""

    def __post_init__(self) -> None:
        """Refuse what no target could use."""
        if self.batch < 1:
            raise InputError("the batch is below 1", got=str(self.batch), expected="1 or more")
        if not 0 < self.timeout_s <= MOST_TIMEOUT_S:
            raise InputError(
                "the time-out is out of range",
                got=f"{self.timeout_s:g} s",
                expected=f"above 0, at most {MOST_TIMEOUT_S:g} s",
            )
        if self.model_name is not None:
            _refuse_no_text("the model name", self.model_name)
        if self.threads is not None and self.threads < 1:
            raise InputError("the number of threads is below 1", got=str(self.threads))
        if self.labels is not None and (not self.labels or len(set(self.labels)) != len(self.labels)):
            raise InputError("the labels are not different from each other", got=", ".join(self.labels))
        if self.input_range is not None and not self.input_range[0] < self.input_range[1]:
            raise InputError(
                "the input range is empty", got=f"{self.input_range[0]} to {self.input_range[1]}"
            )

    def api_key(self) -> str | None:
        """The key from the environment, or None where no variable was named.

        Raises:
            InputError: if the variable is not set.
        """
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            raise InputError(
                f"the environment variable {self.api_key_env} is not set",
                hint=f"export {self.api_key_env} with the key of the endpoint",
            )
        if not key.isascii() or not key.isprintable():
            raise InputError(f"what {self.api_key_env} holds cannot stand in an HTTP header")
        return key

    def generate_options(self, base: GenerateOptions) -> GenerateOptions:
        """The caller's way of generating, with what the user said in its place."""
        return GenerateOptions(
            max_tokens=base.max_tokens if self.max_tokens is None else self.max_tokens,
            temperature=base.temperature if self.temperature is None else self.temperature,
            top_p=base.top_p,
            seed=base.seed,
            system=base.system if self.system is None else self.system,
        )


def _refuse_no_text(what: str, text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(f"{what} is not text", got=repr(text), expected="UTF-8") from None
