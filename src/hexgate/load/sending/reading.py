"""From an exchange to an attempt: the dialect's events, each at the stamp of the piece that completed it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from urllib.parse import urlsplit

from hexgate.load.sending.attempt import Attempt
from hexgate.load.sending.content import BadContent, plain_pieces
from hexgate.load.sending.exchange import MOST_BODY_BYTES, OUTCOME_OF, Exchange, Fault
from hexgate.load.sending.flight import Flight
from hexgate.load.sending.layout import NEVER, Outcome
from hexgate.wire.base import TOKENS, Dialect, Event, EventKind, Gives, Usage
from hexgate.wire.payload import PROTOCOL, BadPayload, error_message, load_object
from hexgate.wire.payload import TRUNCATED as TRUNCATED_TEXT
from hexgate.wire.reply import whole_text

__all__ = ["EMPTY", "LEAST_CLASSES", "exchange_of", "read_exchange"]

EMPTY = "empty: "
"""How an error begins where the reply is whole and holds no answer."""
LEAST_CLASSES = 2
"""A single score names no class, so that it answers nothing; accuracy_f1 refuses it too."""

_RESULTS = TOKENS | {EventKind.SCORES, EventKind.VECTORS}
_NO_CONTENT = frozenset({204, 205})


def exchange_of(flight: Flight) -> Exchange:
    """What a flight brought, with content encoding undone and a redirect refused."""
    pieces, fault, error = flight.pieces, Fault(flight.fault) if flight.fault else None, flight.error or None
    if fault is None and 300 <= flight.status < 400:
        fault = Fault.PROTOCOL
        error = (
            f"redirected ({flight.status}) to {_public(flight.location)}; redirects are not followed, "
            "so name that address instead"
        )
    elif flight.encoding:
        try:
            pieces = plain_pieces(pieces, flight.encoding, most_bytes=MOST_BODY_BYTES)
        except BadContent as bad:
            pieces = [*bad.plain]
            if fault is None:
                fault, error = Fault.PROTOCOL, str(bad)
    stamps: list[int] = []
    begin = 0
    for stamp, end in zip(flight.read_ns, flight.read_ends, strict=True):
        stamps += [stamp] * (end - begin)
        begin = end
    return Exchange(
        None if flight.status < 0 else flight.status,
        pieces,
        stamps,
        flight.sent_ns,
        flight.headers_ns,
        flight.end_ns,
        flight.bytes,
        fault,
        error,
    )


def read_exchange(
    exchange: Exchange,
    dialect: Dialect,
    *,
    stream: bool,
    inputs: int | None = None,
    classes: int | None = None,
    secret: str | None = None,
) -> Attempt:
    """What one exchange gave. A reply that failed keeps the stamps of what had come before it did.

    A reply that is whole but holds no answer is an error: a generator's without text and reasoning, and a
    predictor's without one row of scores for each of `inputs`, `classes` wide where that is known and at least
    two wide where it is not. A server that sheds its load like this would else show excellent figures.

    In a reply that was not streamed no token has a time of its own: its token stamps are NEVER. A server may
    echo the key it was given: `secret` is masked in whatever is kept.
    """
    if exchange.fault in {Fault.ABANDONED, Fault.SKIPPED} and exchange.sent_ns < 0:
        return Attempt(Outcome.NOT_SENT, error=f"not_sent: {exchange.error}")
    good_status = exchange.status is not None and 200 <= exchange.status < 300
    events = dialect.events(exchange.pieces, stream=stream) if good_status else []
    outcome, error = _outcome(exchange, events)
    if outcome is Outcome.OK and (fault := _no_answer(dialect, events, inputs, classes)) is not None:
        outcome, error = Outcome.ERROR, fault
    stamps = exchange.piece_ns
    texts = [event for event in events if event.kind in TOKENS] if stream else []
    answers = [event for event in texts if event.kind is EventKind.TEXT]
    shown = [event for event in events if event.kind is not EventKind.ERROR]
    usage = _usage(events)
    token_ns = [stamps[event.piece] for event in texts]
    answer = whole_text(event.text for event in events if event.kind is EventKind.TEXT)
    thought = whole_text(
        event.text for event in events if event.kind in TOKENS and event.kind is not EventKind.TEXT
    )
    return Attempt(
        outcome=outcome,
        sent_ns=exchange.sent_ns,
        headers_ns=exchange.headers_ns,
        first_event_ns=stamps[shown[0].piece] if shown else NEVER,
        first_token_ns=token_ns[0] if texts else NEVER,
        first_answer_ns=stamps[answers[0].piece] if answers else NEVER,
        last_token_ns=token_ns[-1] if texts else NEVER,
        gap_max_ns=max((after - before for before, after in pairwise(token_ns)), default=NEVER),
        token_ns=token_ns,
        end_ns=NEVER if outcome is Outcome.UNFINISHED else exchange.end_ns,
        http_status=exchange.status if exchange.status is not None else NEVER,
        events=sum(event.kind in _RESULTS for event in events),
        first_event_tokens=_first_event_tokens(events) if texts else NEVER,
        prompt_tokens=_known(usage.prompt_tokens),
        output_tokens=_known(usage.output_tokens),
        cached_tokens=_known(usage.cached_tokens),
        reasoning_tokens=_known(usage.reasoning_tokens),
        server_load_ns=_known(usage.load_ns),
        server_total_ns=_known(usage.total_ns),
        bytes=exchange.bytes,
        text=_masked(answer, secret) if answer or (outcome is Outcome.OK and dialect.generates) else None,
        thought=thought or None,
        classes=_classes(events) if outcome is Outcome.OK else NEVER,
        error=None if error is None else _masked(error, secret),
        unreachable=exchange.fault in {Fault.CONNECTION, Fault.CLIENT},
    )


def _masked(text: str, secret: str | None) -> str:
    if not secret:
        return text
    # In a reply that echoes it as JSON, the key stands escaped.
    return text.replace(secret, "***").replace(json.dumps(secret)[1:-1], "***")


def _outcome(exchange: Exchange, events: Sequence[Event]) -> tuple[Outcome, str | None]:
    status = exchange.status
    if exchange.fault is not None:
        return OUTCOME_OF[exchange.fault], f"{exchange.fault.name.lower()}: {exchange.error}"
    if status is None or not 200 <= status < 300 or status in _NO_CONTENT:
        return Outcome.ERROR, f"http_{status}: {_complaint(exchange.pieces)}"
    for event in events:
        if event.kind is EventKind.ERROR:
            cut = event.text.startswith(TRUNCATED_TEXT)
            return (Outcome.TRUNCATED if cut else Outcome.ERROR), event.text
    return Outcome.OK, None


def _no_answer(
    dialect: Dialect, events: Sequence[Event], inputs: int | None, classes: int | None
) -> str | None:
    """What a whole reply lacks of an answer; None where it has one."""
    if dialect.generates:
        if any(event.kind in TOKENS and event.text for event in events):
            return None
        reason = next((event.text for event in events if event.kind is EventKind.FINISH), None)
        return f"{EMPTY}a reply without text" + (f", finished as {reason}" if reason else "")
    if dialect.gives is Gives.VECTORS:
        given = any(event.kind is EventKind.VECTORS for event in events)
        return None if given else f"{EMPTY}a reply without a vector"
    rows = [row for event in events if event.kind is EventKind.SCORES for row in event.scores or ()]
    if not rows:
        return f"{EMPTY}a reply without scores"
    widths = sorted({len(row) for row in rows})
    fault = None
    if inputs is not None and len(rows) != inputs:
        fault = f"{len(rows)} rows of scores where {inputs} were asked for"
    elif len(widths) > 1:
        fault = f"rows of {widths[0]} and of {widths[-1]} scores in one reply"
    elif widths[0] < LEAST_CLASSES:
        fault = f"{widths[0]} scores for an input, which tell no class from another"
    elif classes is not None and widths[0] != classes:
        fault = f"{widths[0]} scores for an input where there are {classes} classes"
    return None if fault is None else PROTOCOL + fault


def _classes(events: Sequence[Event]) -> int:
    scores = (event.scores for event in events if event.kind is EventKind.SCORES)
    return next((len(rows[0]) for rows in scores if rows), NEVER)


def _complaint(pieces: Sequence[bytes]) -> str:
    body = b"".join(pieces)
    try:
        message = error_message(load_object(body))
    except BadPayload:
        message = None
    return (message or body[:300].decode("utf-8", errors="replace").strip() or "no message")[:300]


def _usage(events: Sequence[Event]) -> Usage:
    for event in reversed(events):
        if event.usage is not None:
            return event.usage
    return Usage()


def _first_event_tokens(events: Sequence[Event]) -> int:
    """Tokens of the first event with text: the server's count after it and before the second such event."""
    seen = False
    known = NEVER
    for event in events:
        if event.kind in TOKENS:
            if seen:
                break
            seen = True
        elif seen and event.usage is not None and event.usage.output_tokens is not None:
            known = event.usage.output_tokens
    return known


def _known(count: int | None) -> int:
    return NEVER if count is None else count


def _public(location: str) -> str:
    """A redirect's target without credentials and query."""
    if not location:
        return "an address that it does not name"
    try:
        parts = urlsplit(location)
    except ValueError:
        return "an address that is not one"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else parts.path
