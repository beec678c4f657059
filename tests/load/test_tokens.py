"""Three counts of tokens in records that are written by hand."""

from __future__ import annotations

from hexgate.load.measures.tokens import TokenLedger, TokenSource, output_tokens
from support.load_records import by_hand, reply


def test_the_first_count_that_there_is_drives_and_the_others_are_held_against_it() -> None:
    rows = by_hand(
        reply(0, events=10, output_tokens=12, counted_tokens=11, prompt_tokens=5, cached_tokens=4),
        reply(0, events=10, output_tokens=10, counted_tokens=10, prompt_tokens=7),
        reply(0, events=10, counted_tokens=9),
        reply(0, events=6),
        {"sent_ns": 0, "end_ns": 1, "output_tokens": 3, "reasoning_tokens": 2},
        {"sent_ns": 0, "end_ns": 1},
    )
    tokens, source = output_tokens(rows)
    assert tokens.tolist() == [12, 10, 9, 6, 3, -1]
    assert source is TokenSource.MIXED
    assert output_tokens(rows[2:3])[1] is TokenSource.TOKENIZER
    whole, parts = TokenLedger(), TokenLedger()
    whole.add(rows)
    for place in range(len(rows)):
        parts.add(rows[place : place + 1])
    assert whole == parts
    assert whole.to_json() == {
        "replies": 6, "source": "mixed", "output": 40,
        "prompt": 12, "prompt_replies": 2, "cached": 4, "cached_of": 5, "reasoning": 2,
        "usage": 25, "usage_replies": 3, "tokenizer": 30, "tokenizer_replies": 3,
        "events": 36, "event_replies": 4, "streamed": 37, "compared": 3, "disagree": 2,
    }  # fmt: skip


def test_of_no_reply_there_are_no_tokens() -> None:
    ledger = TokenLedger()
    ledger.add(by_hand())
    assert ledger.source is None
    assert sum(value for value in ledger.to_json().values() if isinstance(value, int)) == 0
