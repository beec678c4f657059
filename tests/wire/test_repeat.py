"""Reading a run of like events without parsing them gives what parsing them gives."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.wire import repeat
from hexgate.wire.base import Event, EventKind
from hexgate.wire.registry import dialect

TEXTS = st.text(max_size=4) | st.sampled_from(
    [
        "id",
        "content",
        '"',
        "\\",
        "\n",
        "\x7f",
        "\u2028",
        '"}',
        "{",
        "hexgate-slot-6f1c",
        "c1",
        "0",
        "🌍",
        "é",
        " ",
    ]
)
DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "content": TEXTS | st.none(),
        "reasoning": TEXTS,
        "reasoning_content": TEXTS,
        "role": st.just("assistant"),
        "refusal": TEXTS,
    },
)


def event(delta: dict[str, Any], index: int = 0, *, ascii_only: bool = False, **top: Any) -> bytes:
    value = {"id": "c1", "choices": [{"index": index, "delta": delta}], **top}
    return f"data: {json.dumps(value, ensure_ascii=ascii_only)}\n\n".encode()


def parsed(body: bytes, monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    with monkeypatch.context() as patched:
        patched.setattr(repeat, "_TRIES", 0)
        return dialect("openai-chat").events([body], stream=True)


@given(
    st.lists(st.tuples(DELTAS, st.integers(0, 1), st.booleans(), st.booleans()), max_size=12),
    st.booleans(),
)
def test_it_is_what_parsing_gives(
    chunks: list[tuple[dict[str, Any], int, bool, bool]], finished: bool
) -> None:
    body = b"".join(
        event(delta, index, ascii_only=escaped, **({"usage": {"completion_tokens": 3}} if counted else {}))
        for delta, index, escaped, counted in chunks
    )
    if finished:
        body += b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n' + body
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert dialect("openai-chat").events([body], stream=True) == parsed(body, monkeypatch)


@given(st.lists(st.integers(0, 255), max_size=6), st.sampled_from(["a", "content", "c1"]))
def test_a_middle_of_any_bytes_is_what_parsing_gives(middle: list[int], first: str) -> None:
    head, tail = event({"content": first}).split(f'"{first}"}}'.encode())
    body = (
        event({"content": first}) * 2 + head + b'"' + bytes(middle) + b'"}' + tail + event({"content": "end"})
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert dialect("openai-chat").events([body], stream=True) == parsed(body, monkeypatch)


def test_it_spares_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = json.JSONDecoder.raw_decode
    monkeypatch.setattr(
        json.JSONDecoder, "raw_decode", lambda own, text, at=0: calls.append(text) or real(own, text, at)
    )
    body = event({"role": "assistant"}) + b"".join(event({"content": f" {n}"}) for n in range(100))
    events = dialect("openai-chat").events([body], stream=True)
    assert sum(one.kind is EventKind.TEXT for one in events) == 100
    assert len(calls) <= 4


def test_a_stream_whose_events_all_differ_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = json.JSONDecoder.raw_decode
    monkeypatch.setattr(
        json.JSONDecoder, "raw_decode", lambda own, text, at=0: calls.append(text) or real(own, text, at)
    )
    body = b"".join(event({"content": f" {n}"}, created=n) for n in range(100))
    assert len(dialect("openai-chat").events([body], stream=True)) == 101
    assert len(calls) <= 110
