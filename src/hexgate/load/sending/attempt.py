"""What one attempt at one request gave, in absolute monotonic nanoseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hexgate.load.sending.layout import NEVER, Outcome

__all__ = ["Attempt"]


@dataclass(frozen=True)
class Attempt:
    """One request as its driver saw it. Stamps are of `time.monotonic_ns`; NEVER where it did not happen."""

    outcome: Outcome
    """What became of it."""
    sent_ns: int = NEVER
    headers_ns: int = NEVER
    first_event_ns: int = NEVER
    first_token_ns: int = NEVER
    first_answer_ns: int = NEVER
    last_token_ns: int = NEVER
    end_ns: int = NEVER
    gap_max_ns: int = NEVER
    token_ns: Sequence[int] = ()
    """When each event with text came, in a streamed reply."""
    http_status: int = NEVER
    events: int = 0
    """Events with text or scores."""
    first_event_tokens: int = NEVER
    prompt_tokens: int = NEVER
    output_tokens: int = NEVER
    cached_tokens: int = NEVER
    reasoning_tokens: int = NEVER
    server_load_ns: int = NEVER
    server_total_ns: int = NEVER
    bytes: int = 0
    """Bytes received."""
    text: str | None = None
    """The answer; None where there was none."""
    thought: str | None = None
    """What else the model put out: reasoning and tool calls; None where there was none."""
    classes: int = NEVER
    """How many scores a predictor gave for each input."""
    error: str | None = None
    """Why it is not OK: a class and, after a colon, a detail."""
    unreachable: bool = False
    """Whether there was no connection to the target at all."""
