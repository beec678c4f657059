"""Reads what a worker spooled, after the run: each flight to one record and one reply, in the place of its slot."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from hexgate.load.sending.attempt import Attempt
from hexgate.load.sending.flight import Flight
from hexgate.load.sending.layout import NEVER, PLACE, PLACE_BYTES, ROW, ROW_BYTES, Outcome
from hexgate.load.sending.reading import exchange_of, read_exchange
from hexgate.load.sending.spool import flights
from hexgate.load.sending.tally import Tally
from hexgate.wire.base import Dialect

__all__ = ["Reader", "SlotFiles", "packed_row", "read_back"]

_TELL_EVERY = 200
_NS_PER_S = 1_000_000_000


class Reader:
    """Reads flights by one dialect. It learns from the first answer of a predictor how many classes there are.

    Args:
        dialect: how the API is spoken.
        streams: for each data item, whether a stream was asked for.
        inputs: for each data item, how many rows of scores it asks for; None for a generator.
        classes: how many scores an input gets; None where that is not known.
        secret: what no text that is kept may hold.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        streams: Sequence[bool],
        inputs: Sequence[int] | None,
        classes: int | None,
        secret: str | None,
    ) -> None:
        self._dialect = dialect
        self._streams = streams
        self._inputs = inputs
        self._classes = classes
        self._secret = secret

    def read(self, flight: Flight) -> Attempt:
        """What a flight gave."""
        found = read_exchange(
            exchange_of(flight),
            self._dialect,
            stream=self._streams[flight.item],
            inputs=None if self._inputs is None else self._inputs[flight.item],
            classes=self._classes,
            secret=self._secret,
        )
        if self._classes is None and found.classes != NEVER:
            self._classes = found.classes
        return found


def read_back(
    folder: Path,
    stem: str,
    reader: Reader,
    *,
    worker: int,
    start_ns: int,
    warmup: int,
    closed: bool,
    count: Callable[[str], int] | None,
    replies: bool,
    token_times: bool,
    told: Callable[[int], None],
) -> dict[str, Any]:
    """Write ``stem.rows`` (records by slot), ``stem.replies`` and ``stem.places`` from ``stem.spool``.

    Args:
        folder: where they are.
        stem: what their names begin with.
        reader: reads a flight.
        worker: number of the worker, for the records.
        start_ns: the instant that the stamps of a record count from.
        warmup: requests of the plan with a lower number are warm-up.
        closed: whether the loop is closed: replies of the warm-up are then among those that rates are of.
        count: counts the tokens of a text; None where there is no tokenizer.
        replies: whether replies are kept.
        token_times: whether each is kept with the instants of its events with text.
        told: takes the number of flights read so far, now and then.

    Returns:
        The worker's part of the document `stream`.

    Raises:
        OSError: if the disk does not take it.
    """
    measured = _Measured(start_ns, closed=closed)
    done = 0
    with SlotFiles(folder, stem, replies=replies) as files:
        for flight in flights(folder / f"{stem}.spool"):
            found = reader.read(flight)
            timed = flight.index >= warmup
            measured.add(found, timed=timed)
            counted = _counted(found, count)
            row = packed_row(flight, found, start_ns, worker=worker, warm=not timed, counted=counted)
            times = [stamp - start_ns for stamp in found.token_ns] if token_times else None
            files.put(flight.slot, row, flight.index, found, times)
            done += 1
            if done % _TELL_EVERY == 0:
                told(done)
    told(done)
    return measured.to_json()


def _counted(found: Attempt, count: Callable[[str], int] | None) -> int:
    """Tokens that our own tokenizer finds in all that the model put out: the server's count has reasoning, too."""
    if count is None or (found.text is None and found.thought is None):
        return NEVER
    return sum(count(text) for text in (found.thought, found.text) if text)


class SlotFiles:
    """Records and replies of one worker, each record in the place of its slot.

    Args:
        folder: where they go.
        stem: what their names begin with: ``stem.rows``, ``stem.replies``, ``stem.places``.
        replies: whether replies are kept.
    """

    def __init__(self, folder: Path, stem: str, *, replies: bool) -> None:
        self._rows = (folder / f"{stem}.rows").open("wb", buffering=0)
        self._texts = (folder / f"{stem}.replies").open("wb", buffering=1 << 20)
        self._places = (folder / f"{stem}.places").open("wb", buffering=0)
        self._keep = replies
        self._offset = 0

    def __enter__(self) -> SlotFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self._rows, self._texts, self._places):
            file.close()

    def put(
        self, slot: int, row: bytes, index: int, found: Attempt, token_ns: Sequence[int] | None = None
    ) -> None:
        """Write down a request that is over; its reply with `token_ns`, ns from the run's start, where it is given.

        Raises:
            OSError: if the disk does not take it.
        """
        _put(self._rows, slot * ROW_BYTES, row)
        if self._keep and (found.text is not None or found.error is not None):
            line = _line(index, found, token_ns)
            self._texts.write(line)
            _put(self._places, slot * PLACE_BYTES, PLACE.pack(self._offset, len(line)))
            self._offset += len(line)


class _Measured:
    """What is counted of the events themselves: no record has them."""

    def __init__(self, start_ns: int, *, closed: bool) -> None:
        self._start_ns = start_ns
        self._closed = closed
        self._gaps = Tally()
        self._events: defaultdict[int, int] = defaultdict(int)
        self._ok_events: defaultdict[int, int] = defaultdict(int)
        self._first: defaultdict[int, int] = defaultdict(int)
        self._total = 0

    def add(self, found: Attempt, *, timed: bool) -> None:
        """Count the events with text of one reply, those of a success once more; its gaps, where it is timed, too.

        Of the warm-up, a success counts in a closed loop alone, as it does for the rates.
        """
        stamps = found.token_ns
        if not stamps:
            return
        succeeded = found.outcome is Outcome.OK
        counted = succeeded and (timed or self._closed)
        if timed and succeeded:
            self._gaps.add([after - before for before, after in pairwise(stamps)])
        self._total += len(stamps)
        self._first[(stamps[0] - self._start_ns) // _NS_PER_S] += 1
        for stamp in stamps:
            second = (stamp - self._start_ns) // _NS_PER_S
            self._events[second] += 1
            if counted:
                self._ok_events[second] += 1

    def to_json(self) -> dict[str, Any]:
        """The worker's part of the document `stream`."""
        series = {"events": self._events, "ok_events": self._ok_events, "first_tokens": self._first}
        return {"gaps_ms": self._gaps.to_json(), "events": self._total, "per_second": _series(series)}


def _put(file: IO[bytes], offset: int, data: bytes) -> None:
    file.seek(offset)
    file.write(data)


def _line(index: int, found: Attempt, token_ns: Sequence[int] | None) -> bytes:
    reply: dict[str, Any] = {"error": found.error, "index": index, "text": found.text}
    if token_ns is not None:
        reply["token_ns"] = token_ns
    return json.dumps(reply, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def _series(seconds: Mapping[str, Mapping[int, int]]) -> dict[str, list[int]]:
    last = max((second for one in seconds.values() for second in one), default=-1)
    return {name: [one.get(second, 0) for second in range(last + 1)] for name, one in seconds.items()}


def packed_row(
    flight: Flight, found: Attempt, start_ns: int, *, worker: int = 0, warm: bool, counted: int = NEVER
) -> bytes:
    """The record of a request, as `layout.ROW` packs it.

    Args:
        flight: which request it is, and when it was due and taken up.
        found: what became of it.
        start_ns: the instant that the stamps of a record count from.
        worker: which worker sent it.
        warm: whether it is warm-up.
        counted: tokens of the reply's text by our own tokenizer.
    """

    def offset(stamp_ns: int) -> int:
        return stamp_ns - start_ns if stamp_ns >= 0 else NEVER

    return ROW.pack(
        flight.index,
        flight.item,
        flight.turn,
        worker,
        warm,
        offset(flight.due_ns),
        offset(flight.issued_ns),
        offset(flight.ready_ns),
        offset(found.sent_ns),
        offset(found.headers_ns),
        offset(found.first_event_ns),
        offset(found.first_token_ns),
        offset(found.first_answer_ns),
        offset(found.last_token_ns),
        offset(found.end_ns),
        found.gap_max_ns,
        found.outcome,
        found.http_status,
        found.events,
        found.first_event_tokens,
        found.prompt_tokens,
        found.output_tokens,
        found.cached_tokens,
        found.reasoning_tokens,
        counted,
        found.server_load_ns,
        found.server_total_ns,
        found.bytes,
    )
