"""Tokens of replies by three counts, the server's, our tokenizer's and the events': which is taken, do they agree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.load.measures.spans import Rows

__all__ = ["TokenLedger", "TokenSource", "one_source", "output_tokens"]


class TokenSource(str, Enum):
    """Who counted the tokens of replies."""

    SERVER = "server"
    """The server's own usage, in every reply."""
    TOKENIZER = "tokenizer"
    """Our tokenizer, over the text of the replies, as none states its usage."""
    EVENTS = "events"
    """Events with text. A lower bound where events carry several tokens."""
    MIXED = "mixed"
    """Not the same in all replies: usage where a reply states it, then the tokenizer, then events."""


def output_tokens(rows: Rows) -> tuple[NDArray[np.int64], TokenSource | None]:
    """(n,) output tokens of each row, -1 where nobody counted them, and who did.

    The server's usage comes first, then our tokenizer's count, then the events of a streamed reply.
    """
    tokens = np.full(len(rows), -1, dtype=np.int64)
    sources = []
    for source, counts in _counts(rows).items():
        taken = (tokens < 0) & (counts >= 0)
        if taken.any():
            tokens[taken] = counts[taken]
            sources.append(source)
    return tokens, one_source(sources)


def one_source(sources: Iterable[TokenSource | None]) -> TokenSource | None:
    """Who counted the tokens of rows that came in parts."""
    found = {source for source in sources if source is not None}
    return next(iter(found)) if len(found) == 1 else TokenSource.MIXED if found else None


def _counts(rows: Rows) -> dict[TokenSource, NDArray[np.int64]]:
    """(n,) each count of the output tokens, -1 where there is none."""
    return {
        TokenSource.SERVER: rows["output_tokens"].astype(np.int64),
        TokenSource.TOKENIZER: rows["counted_tokens"].astype(np.int64),
        # The one event of a reply that was not streamed says nothing of its tokens.
        TokenSource.EVENTS: np.where(rows["first_token_ns"] >= 0, rows["events"], -1).astype(np.int64),
    }


@dataclass
class TokenLedger:
    """Tokens of the timed replies that are whole, by each count."""

    replies: int = 0
    """How many replies there are."""
    output: int = 0
    """Output tokens by the count that is taken for each."""
    prompt: int = 0
    """Prompt tokens of the replies whose server states them."""
    prompt_replies: int = 0
    """How many those are."""
    cached: int = 0
    """Prompt tokens that came from a cache, of the replies whose server states both."""
    cached_of: int = 0
    """Prompt tokens of those replies."""
    reasoning: int = 0
    """Output tokens that are reasoning, of the replies whose server states them."""
    usage_replies: int = 0
    """Replies that the server counted."""
    usage: int = 0
    """Their output tokens by the server."""
    tokenizer_replies: int = 0
    """Replies that our tokenizer counted."""
    tokenizer: int = 0
    """Their output tokens by the tokenizer."""
    event_replies: int = 0
    """Replies that were streamed."""
    events: int = 0
    """Their events with text."""
    streamed: int = 0
    """Their output tokens by the count that is taken."""
    compared: int = 0
    """Replies with at least two counts."""
    disagree: int = 0
    """Those of them whose counts are not all the same."""
    source: TokenSource | None = field(default=None)
    """Which count was taken; None where there is none."""

    def add(self, rows: Rows) -> None:
        """Take rows of timed replies that are whole."""
        tokens, source = output_tokens(rows)
        self.source = one_source([self.source, source])
        self.replies += len(rows)
        self.output += int(tokens[tokens >= 0].sum())
        stated = rows["prompt_tokens"] >= 0
        self.prompt += _sum(rows["prompt_tokens"], stated)
        self.prompt_replies += int(stated.sum())
        both = stated & (rows["cached_tokens"] >= 0)
        self.cached += _sum(rows["cached_tokens"], both)
        self.cached_of += _sum(rows["prompt_tokens"], both)
        self.reasoning += _sum(rows["reasoning_tokens"], rows["reasoning_tokens"] >= 0)
        counts = np.stack(list(_counts(rows).values()))
        known = counts >= 0
        totals = [(int(there.sum()), _sum(one, there)) for one, there in zip(counts, known, strict=True)]
        (a, b), (c, d), (e, f) = totals
        self.usage_replies, self.usage = self.usage_replies + a, self.usage + b
        self.tokenizer_replies, self.tokenizer = self.tokenizer_replies + c, self.tokenizer + d
        self.event_replies, self.events = self.event_replies + e, self.events + f
        self.streamed += _sum(tokens, known[2] & (tokens >= 0))
        several = known.sum(axis=0) > 1
        least = np.where(known, counts, np.iinfo(np.int64).max).min(axis=0)
        self.compared += int(several.sum())
        self.disagree += int((several & (counts.max(axis=0) != least)).sum())

    def to_json(self) -> dict[str, Any]:
        """The ledger as it stands in an artifact."""
        made = {one.name: getattr(self, one.name) for one in fields(self)}
        return made | {"source": None if self.source is None else self.source.value}


def _sum(values: NDArray[Any], where: NDArray[np.bool_]) -> int:
    return int(values[where].sum(dtype=np.int64))
