"""Who is to judge, and how: everything that a judgement depends on beside the texts, and how the calls are sent."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hexgate.contract.canonical import canonical_bytes
from hexgate.errors import InputError
from hexgate.scorers.judge_books import Prices
from hexgate.scorers.judge_prompt import RUBRIC_VERSION
from hexgate.targets.address import Address, read_address
from hexgate.targets.options import MOST_TIMEOUT_S, OpenOptions

__all__ = ["JudgeSpec"]

_VARIABLE = re.compile("[A-Z_][A-Z0-9_]*")
_LANGUAGES = ("auto", "en", "zh")


@dataclass(frozen=True)
class JudgeSpec:
    """A judge. The key itself is in no field.

    Raises:
        InputError: if a field cannot be used.
    """

    endpoint: str
    """URL of an OpenAI-compatible server, such as ``http://127.0.0.1:8000/v1``, without credentials."""
    model: str
    """Model id at that server."""
    key_env: str | None = None
    """Name of the environment variable that holds the key; None for a server that asks for none."""
    language: str = "auto"
    """Language of the rubric: ``en``, ``zh``, or ``auto`` for that of each question."""
    rubric_version: str = RUBRIC_VERSION
    """The rubric that is meant. There is one in this version of hexgate; another is refused."""
    temperature: float = 0.0
    """Sampling temperature of the judge."""
    seed: int = 0
    """Seed of the order, of the draw for repeats, and of the judge's sampling (raised by one with every repeat)."""
    repeats: int = 3
    """How often an answer that is drawn for repeats is judged; 1 for no repeats."""
    repeat_share: float = 0.1
    """Share of the answers that are drawn for repeats, rounded up to whole answers."""
    rpm: float | None = None
    """Most requests a minute; None for no limit of ours."""
    concurrency: int = 4
    """Calls under way at a time."""
    max_tokens: int = 1024
    """Most tokens of a reply."""
    timeout_s: float = 120.0
    """Longest wait for a whole reply."""
    attempts: int = 3
    """Replies that are asked for before an answer counts as missing because none of them could be read."""
    tries: int = 6
    """Calls in a row without any reply before an answer is left for a later run."""
    most_wait_s: float = 120.0
    """A server that asks for a longer pause ends the run; what was judged is kept."""
    prices: Prices | None = None
    """Declared prices; None where nobody pays."""
    budget: float | None = None
    """Most that all calls for these items may cost, those on the ledger included; None for no limit."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the request body; they win over ours, and null takes one of ours out of force."""

    def __post_init__(self) -> None:
        """Refuse what no judge could use."""
        if self.key_env is not None and not _VARIABLE.fullmatch(self.key_env):
            # Not shown: it may be the key itself.
            raise InputError(
                "key_env is not the name of an environment variable",
                expected="upper-case letters, digits and underscores",
                hint="put the key into the environment, and name the variable here",
            )
        address = self.address
        if address.userinfo is not None:
            raise InputError(
                "the judge's URL has credentials", where=address.uri, hint="take them out, and use key_env"
            )
        if not address.uri.startswith(("http://", "https://")):
            raise InputError(
                "a judge is asked over HTTP",
                where=address.uri,
                hint="such as http://127.0.0.1:11434/v1 for Ollama",
            )
        if not self.model.strip():
            raise InputError("the judge has no model", where=address.uri)
        self._refuse_numbers()
        self._refuse_options()

    def _refuse_numbers(self) -> None:
        if self.language not in _LANGUAGES:
            raise InputError(
                "no such language of a rubric", got=self.language, expected=f"one of {', '.join(_LANGUAGES)}"
            )
        if self.rubric_version != RUBRIC_VERSION:
            raise InputError("no such rubric", got=self.rubric_version, expected=RUBRIC_VERSION)
        for name in ("repeats", "concurrency", "max_tokens", "attempts", "tries"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is below 1", got=str(getattr(self, name)))
        if not 0 <= self.repeat_share <= 1:
            raise InputError("repeat_share is not from 0 to 1", got=str(self.repeat_share))
        if not 0 < self.timeout_s <= MOST_TIMEOUT_S:
            raise InputError("timeout_s is out of range", got=str(self.timeout_s))
        for name in ("rpm", "budget"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} is not a number above 0", got=str(value))
        if self.budget is not None and self.prices is None:
            raise InputError(
                "a budget needs prices", hint="declare the judge's prices, or take the budget out"
            )

    def _refuse_options(self) -> None:
        try:
            canonical_bytes(dict(self.options))
        except (ValueError, TypeError) as error:
            raise InputError(f"the judge's options are not JSON ({error})") from None
        if self.options.get("stream"):
            raise InputError(
                "a judge's reply is taken whole, not streamed", hint="take stream out of the options"
            )

    @property
    def address(self) -> Address:
        """Where the judge is.

        Raises:
            InputError: if the endpoint is not a URL.
        """
        return read_address(self.endpoint, "openai-chat")

    def key(self) -> str | None:
        """The key, out of the environment.

        Raises:
            InputError: if the variable is not set.
        """
        return OpenOptions(api_key_env=self.key_env).api_key()

    def identity(self) -> dict[str, Any]:
        """Who judges, as far as a judgement depends on it. Pace, prices and bounds are no part of it."""
        return {
            "endpoint": self.address.base_url,
            "model": self.model,
            "temperature": self.temperature,
            "seed": self.seed,
            "max_tokens": self.max_tokens,
            "options": dict(self.options),
        }
