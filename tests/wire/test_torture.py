"""Scripted replies, each with its outcome and its figures: read without a socket, and byte for byte from a server."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from hexgate.load.sending.attempt import Attempt
from hexgate.load.sending.layout import NEVER, Outcome
from hexgate.wire.base import TOKENS, Ask, Event, EventKind, Gives, Usage
from hexgate.wire.registry import DIALECTS, TEMPLATE, dialect
from hexgate.wire.reply import whole_text
from support.torture import Case, Expected, TortureServer, attempt_of, torture_server
from wire.torture import chat, http, ollama, openai, others

CASES = [*chat.CASES, *openai.CASES, *ollama.CASES, *others.CASES, *http.CASES]
WITHOUT_SOCKET = [case for case in CASES if case.pieces and not case.packed]
RESULTS = TOKENS | {EventKind.SCORES, EventKind.VECTORS}
NOT_THE_DIALECTS = ("empty: ", "protocol: 1 scores")
"""Errors that are not of the reply as such but of what was asked for: `read_exchange` finds them."""


@pytest.fixture(scope="module")
def server() -> Iterator[TortureServer]:
    with torture_server() as started:
        yield started


def first(events: list[Event], kinds: frozenset[EventKind]) -> int | None:
    return next((event.piece for event in events if event.kind in kinds), None)


def check(case: Case, events: list[Event], *, pieces: bool) -> None:
    """The figures of a reply from its events, computed here and not by the engine."""
    expected = case.expected
    errors = [event for event in events if event.kind is EventKind.ERROR]
    good = [event for event in events if event.kind is not EventKind.ERROR]
    tokens = [event for event in good if event.kind in TOKENS]
    if expected.error.startswith(NOT_THE_DIALECTS) or not expected.error:
        assert errors == []
    else:
        assert [error.text[: len(expected.error)] for error in errors] == [expected.error]
        assert events[-1] is errors[0]
        assert expected.error.startswith("truncated: ") is (expected.outcome is Outcome.TRUNCATED)
    if expected.kinds is not None:
        assert [event.kind.value for event in good] == expected.kinds.split()
    assert whole_text(event.text for event in good if event.kind is EventKind.TEXT) == (expected.text or "")
    assert sum(event.kind in RESULTS for event in good) == expected.events
    usages = [event.usage for event in good if event.usage is not None]
    assert (usages[-1] if usages else Usage()) == expected.usage
    assert [event.piece for event in events] == sorted(event.piece for event in events)
    if not pieces:
        return
    assert first(good, frozenset(EventKind)) == expected.first_event
    if case.stream:
        assert first(tokens, TOKENS) == expected.first_token
        assert first(tokens, frozenset({EventKind.TEXT})) == expected.first_answer
        assert (tokens[-1].piece if tokens else None) == expected.last_token


def test_there_are_enough_and_their_names_differ() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 200
    assert {case.dialect.partition(":")[0] for case in CASES} == {*DIALECTS, TEMPLATE}


@pytest.mark.parametrize("case", WITHOUT_SOCKET, ids=lambda case: case.name)
def test_without_a_socket(case: Case) -> None:
    spoken = dialect(case.dialect)
    check(case, spoken.events(case.pieces, stream=case.stream), pieces=True)
    body = b"".join(case.pieces)
    check(case, spoken.events([body], stream=case.stream), pieces=False)
    if len(body) > 5000:
        return
    for cut in range(0, len(body) + 1, 1 + len(body) // 500):
        check(case, spoken.events([body[:cut], body[cut:]], stream=case.stream), pieces=False)
    singles = [body[at : at + 1] for at in range(len(body))]
    events = spoken.events(singles, stream=case.stream)
    check(case, events, pieces=False)
    if not case.stream:
        return
    # The piece that completed a token is the first with which the beginning of the body gives it.
    counts = {}
    for event in events:
        if event.kind in TOKENS:
            counts[event.piece] = counts.get(event.piece, 0) + 1
    total = 0
    for piece, count in counts.items():
        total += count
        for upto, wanted in ((piece, total - count), (piece + 1, total)):
            given = spoken.events([body[:upto]], stream=True)
            # A line without its end may be whole all the same, and one that is cut gives nothing.
            found = sum(event.kind in TOKENS for event in given)
            assert found == wanted or (b"data:" not in body and found == total)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_from_a_server(case: Case, server: TortureServer) -> None:
    ask = Ask(
        prompt="Say hello." if dialect(case.dialect).gives is not Gives.SCORES else None,
        inputs=[[1.0, 2.0]] if dialect(case.dialect).gives is Gives.SCORES else None,
        model="m",
        stream=case.stream,
    )
    server.case = case
    late = []
    # Where this machine is busy, a stamp may come after the next write; it does not do so time after time.
    for _ in range(4):
        attempt = attempt_of(server.url, ask, spoken=case.dialect, timeout_s=case.timeout_s)
        check_attempt(case, attempt)
        late = check_stamps(case.expected, attempt, server.sent_ns)
        if not late:
            return
    pytest.fail(f"stamped late, every time: {', '.join(late)}")


def check_attempt(case: Case, attempt: Attempt) -> None:
    expected = case.expected
    assert attempt.outcome is expected.outcome, attempt
    assert (attempt.error or "").startswith(expected.error), attempt
    assert (attempt.error is None) is (expected.outcome is Outcome.OK)
    assert attempt.text == (expected.text or (expected.text if expected.outcome is Outcome.OK else None))
    assert attempt.events == expected.events
    assert attempt.first_event_tokens == known(expected.first_event_tokens)
    usage = expected.usage
    assert attempt.prompt_tokens == known(usage.prompt_tokens)
    assert attempt.output_tokens == known(usage.output_tokens)
    assert attempt.cached_tokens == known(usage.cached_tokens)
    assert attempt.reasoning_tokens == known(usage.reasoning_tokens)
    assert attempt.server_load_ns == known(usage.load_ns)
    assert attempt.server_total_ns == known(usage.total_ns)
    came = [
        attempt.sent_ns,
        attempt.headers_ns,
        attempt.first_event_ns,
        attempt.first_token_ns,
        attempt.first_answer_ns,
        attempt.last_token_ns,
        attempt.end_ns,
    ]
    stamps = [stamp for stamp in came if stamp != NEVER]
    assert all(before <= after for before, after in pairwise(stamps)), attempt


def check_stamps(expected: Expected, attempt: Attempt, sent_ns: dict[int, int]) -> list[str]:
    """Each stamp is after the piece was written, and before the next one was; returns those that came late."""
    late = []
    for name, piece in (
        ("first_event", expected.first_event),
        ("first_token", expected.first_token),
        ("first_answer", expected.first_answer),
        ("last_token", expected.last_token),
    ):
        stamp: int = getattr(attempt, f"{name}_ns")
        assert (stamp == NEVER) is (piece is None), (name, attempt)
        if piece is None:
            continue
        assert stamp >= sent_ns[piece], name
        if stamp > sent_ns.get(piece + 1, stamp):
            late.append(name)
    return late


def known(count: int | None) -> int:
    return NEVER if count is None else count
