"""One streamed request and what came of it: stamps, texts, counts, or the class of its failure. Nothing is raised."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hexgate.targets.http_client import Failure, HttpClient
from hexgate.wire.base import TOKENS, Ask, Dialect, Event, EventKind, Usage
from hexgate.wire.payload import PROTOCOL, SERVER, TRUNCATED, BadPayload, load_object
from hexgate.wire.reply import whole_text
from hexgate.wire.sse import Messages
from hexgate.wire.stream import DONE

__all__ = ["Asked", "Failed", "Line", "Stamps", "ask_once"]


_CLOSED_WITHIN_S = 0.25
"""So long the end of the transfer is waited for once a reply is whole, so that its connection serves again."""
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class Stamps:
    """When what happened, in `time.monotonic_ns`; None for what never did.

    What is stamped is the arrival of bytes: two tokens in one piece have one stamp.
    """

    sent_ns: int
    """Before the first byte was sent; a connection that has to be opened is opened after it."""
    headers_ns: int | None = None
    """The headers of the answer were there."""
    first_event_ns: int | None = None
    """The piece with the first event, of any kind."""
    first_token_ns: int | None = None
    """The piece with the first text that is not empty, of the thinking or of the answer."""
    first_answer_ns: int | None = None
    """The piece with the first text of the answer."""
    last_token_ns: int | None = None
    """The piece with the last text."""
    end_ns: int = 0
    """The piece with the API's own end (``[DONE]``, ``done: true``); else the close, or the failure."""

    def to_json(self) -> dict[str, int | None]:
        """The stamps by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Failed:
    """Why there is no answer."""

    kind: str
    """``timeout``, ``connection``, ``http_500``, ``redirect``, ``protocol``, ``server`` (an error inside a reply) or
    ``truncated`` (the stream ended before its end)."""
    detail: str
    """In words."""
    status: int | None = None
    """The HTTP status, where there was one that was not 200."""


@dataclass(frozen=True)
class Asked:
    """What came of one request."""

    stamps: Stamps
    """When."""
    text: str
    """The answer, as far as it came."""
    thinking: str
    """What the model thought before it, as far as it came."""
    finish_reason: str | None
    """``stop``, ``length``, ..., as the server states it."""
    token_events: int
    """Pieces of text that the server sent."""
    usage: Usage
    """Counts and durations by the server's own account."""
    failure: Failed | None
    """Why it failed; None where it did not."""

    @property
    def truncated(self) -> bool | None:
        """Whether the reply was cut at its most tokens; None where the server gave no reason for its end."""
        return None if self.finish_reason is None else self.finish_reason in {"length", "max_tokens"}


@dataclass(frozen=True)
class Line:
    """The connection over which a model is asked."""

    client: HttpClient
    """To the base URL of its API."""
    dialect: Dialect
    """How it is spoken to."""
    secret: str | None = None
    """What no text that is kept may hold."""

    def clean(self, text: str) -> str:
        """The text without the secret."""
        return text.replace(self.secret, "***") if self.secret else text


def ask_once(line: Line, ask: Ask) -> Asked:
    """Send one request, stamp what comes, and read it when it is whole.

    Args:
        line: over which connection.
        ask: what to ask; it is streamed.
    """
    request = line.dialect.request(ask)
    pieces: list[bytes] = []
    arrivals: list[int] = []
    headers: list[int] = []
    failed: Failed | None = None
    ending = _Ending(line.dialect.ends_with)
    over = False
    sent_ns = time.monotonic_ns()
    stream = line.client.stream(request, at_headers=lambda: headers.append(time.monotonic_ns()))
    try:
        for piece in stream:
            arrivals.append(time.monotonic_ns())
            pieces.append(piece)
            if over := ending.comes_in(piece):
                break
    except Failure as failure:
        detail = str(failure).removeprefix(f"{failure.kind}: ")
        failed = Failed(failure.kind, line.clean(detail), failure.status)
    end_ns = arrivals[-1] if over else time.monotonic_ns()
    if over:
        _let_end(stream)
    events = line.dialect.events(pieces, stream=True) if pieces or failed is None else []
    return _read(
        events, pieces, arrivals, _Ends(sent_ns, headers[0] if headers else None, end_ns), failed, line
    )


class _Ending:
    """Looks for the line with which an API ends a reply: a server may keep the connection open behind it."""

    def __init__(self, mark: bytes | None) -> None:
        self._mark = mark
        self._rest = b""
        self._said = False

    def comes_in(self, piece: bytes) -> bool:
        """Whether the reply is whole with this piece."""
        if self._mark is None or len(self._rest) > _LONGEST_LINE:
            return False
        *lines, self._rest = (self._rest + piece).split(b"\n")
        return any(self._ends(line.strip()) for line in lines)

    def _ends(self, line: bytes) -> bool:
        if self._mark == DONE:
            # A message of an event stream is whole with the empty line behind it.
            ended = self._said and not line
            self._said = line.startswith(b"data:") and line[5:].strip() == DONE
            return ended
        if b'"done"' not in line or b"true" not in line:
            return False
        try:
            return load_object(line).get("done") is True
        except BadPayload:
            return False


def _let_end(stream: Iterator[bytes]) -> None:
    """Read a transfer to its end, beside the study where the server does not end it."""

    def read() -> None:
        # The reply is whole already: how its connection ends is no matter any more.
        with suppress(Exception):
            for _ in stream:
                pass

    reader = threading.Thread(target=read, name="study-end-of-reply", daemon=True)
    reader.start()
    reader.join(_CLOSED_WITHIN_S)


@dataclass(frozen=True)
class _Ends:
    sent_ns: int
    headers_ns: int | None
    end_ns: int


def _read(
    events: Sequence[Event],
    pieces: Sequence[bytes],
    arrivals: Sequence[int],
    ends: _Ends,
    failed: Failed | None,
    line: Line,
) -> Asked:
    tokens = [event for event in events if event.kind in TOKENS]
    answers = [event for event in tokens if event.kind is EventKind.TEXT]
    error = next((event for event in events if event.kind is EventKind.ERROR), None)
    if failed is None and error is not None:
        failed = _failed(line.clean(error.text))
    stated = next((event.usage for event in reversed(events) if event.usage is not None), Usage())

    def at(found: Sequence[Event], place: int) -> int | None:
        return arrivals[found[place].piece] if found and arrivals else None

    whole = [event for event in events if event.kind is not EventKind.ERROR]
    texts = (event.text for event in events if event.kind is EventKind.TEXT)
    thoughts = (event.text for event in events if event.kind is EventKind.REASONING)
    return Asked(
        stamps=Stamps(
            sent_ns=ends.sent_ns,
            headers_ns=ends.headers_ns,
            first_event_ns=at(whole, 0),
            first_token_ns=at(tokens, 0),
            first_answer_ns=at(answers, 0),
            last_token_ns=at(tokens, -1),
            end_ns=ends.end_ns,
        ),
        text=line.clean(whole_text(texts)),
        thinking=line.clean(whole_text(thoughts)),
        finish_reason=_finish_reason(events, pieces, line.dialect),
        token_events=len(tokens),
        usage=_with_timings(stated, _llama_timings(pieces)),
        failure=failed,
    )


def _finish_reason(events: Sequence[Event], pieces: Sequence[bytes], dialect: Dialect) -> str | None:
    """As stated. Older releases of Ollama state none, and the dialect then says `stop`: no evidence.

    Inside a text the name is not found: its quotes are escaped there.
    """
    if dialect.name.startswith("ollama") and b'"done_reason"' not in b"".join(pieces):
        return None
    return next((event.text for event in events if event.kind is EventKind.FINISH), None)


def _failed(text: str) -> Failed:
    for prefix in (PROTOCOL, SERVER, TRUNCATED):
        if text.startswith(prefix):
            return Failed(prefix.rstrip(": "), text.removeprefix(prefix))
    return Failed("protocol", text)


def _llama_timings(pieces: Sequence[bytes]) -> Mapping[str, Any]:
    """The object ``timings`` that llama.cpp's server puts into the last event of a reply; empty without one."""
    if b'"timings"' not in b"".join(pieces):
        return {}
    found: Mapping[str, Any] = {}
    for message in Messages(pieces):
        if b'"timings"' not in message.data:
            continue
        try:
            fields = json.loads(message.data)
        except ValueError:
            # A reply that is cut here has failed already; its timings are not there.
            continue
        timings = fields.get("timings") if isinstance(fields, dict) else None
        found = timings if isinstance(timings, dict) else found
    return found


def _with_timings(usage: Usage, timings: Mapping[str, Any]) -> Usage:
    """Counts of the API, and what llama.cpp says beyond them: milliseconds, and how much the cache spared it."""
    if not timings:
        return usage
    evaluated, cached = _count(timings, "prompt_n"), _count(timings, "cache_n")
    whole = None if evaluated is None or cached is None else evaluated + cached
    return usage._replace(
        prompt_tokens=usage.prompt_tokens if usage.prompt_tokens is not None else whole,
        output_tokens=usage.output_tokens
        if usage.output_tokens is not None
        else _count(timings, "predicted_n"),
        cached_tokens=usage.cached_tokens if usage.cached_tokens is not None else cached,
        prompt_ns=_nanoseconds(timings, "prompt_ms"),
        output_ns=_nanoseconds(timings, "predicted_ms"),
    )


def _count(timings: Mapping[str, Any], name: str) -> int | None:
    value = timings.get(name)
    return value if type(value) is int and value >= 0 else None


def _nanoseconds(timings: Mapping[str, Any], name: str) -> int | None:
    value = timings.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e12:
        return None
    return round(value * 1e6)
