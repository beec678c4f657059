"""What a worker writes while it runs: for each request its stamps and the bytes that came, as they came.

Nothing is parsed while the run goes on; `readback` reads this file when it is over. A flight is one head of fixed
width, the stamps of its reads, the lengths of its pieces, a few words where there are any, and the body.
"""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from queue import Queue

from hexgate.load.sending.flight import Flight

__all__ = ["SpoolWriter", "flights"]

_HEAD = struct.Struct("<QqiihBhIIIqqqqqqq")
_FLUSH_BYTES = 256 * 1024
_READ_BYTES = 1 << 20
_MOST_FLUSHES = 256


@lru_cache(maxsize=4096)
def _lists(reads: int, pieces: int) -> struct.Struct:
    return struct.Struct(f"<{reads}q{reads}I{pieces}I")


class SpoolWriter:
    """Appends flights to a file, from a thread of its own, so that a slow disk does not hold the sockets up."""

    def __init__(self, path: Path) -> None:
        self.failure: OSError | None = None
        """Why the disk takes no more; what came after it is lost."""
        self.flights = 0
        """How many were taken."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._parts: list[bytes] = []
        self._held = 0
        # A disk that is slower than the network for long holds the loop up in the end: memory is not endless.
        self._queue: Queue[list[bytes] | None] = Queue(_MOST_FLUSHES)
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def add(self, flight: Flight) -> None:
        """Take one that is over."""
        pieces, reads = flight.pieces, flight.read_ns
        words = b""
        if flight.error or flight.encoding or flight.location:
            words = json.dumps([flight.error, flight.encoding, flight.location]).encode()
        lists = _lists(len(reads), len(pieces)).pack(*reads, *flight.read_ends, *map(len, pieces))
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        size = _HEAD.size + len(lists) + len(words) + len(body)
        self._parts += (
            _HEAD.pack(
                size,
                flight.slot,
                flight.index,
                flight.item,
                flight.turn,
                flight.fault,
                flight.status,
                len(reads),
                len(pieces),
                len(words),
                flight.due_ns,
                flight.issued_ns,
                flight.ready_ns,
                flight.sent_ns,
                flight.headers_ns,
                flight.end_ns,
                flight.bytes,
            ),
            lists,
            words,
            body,
        )
        self.flights += 1
        self._held += size
        if self._held >= _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand what is held to the thread."""
        if self._parts:
            self._queue.put(self._parts)
            self._parts, self._held = [], 0

    def close(self) -> None:
        """Write what is left, and end the thread."""
        self.flush()
        self._queue.put(None)
        self._thread.join()
        os.close(self._file)

    def _write(self) -> None:
        while (parts := self._queue.get()) is not None:
            if self.failure is not None:
                continue
            data = memoryview(b"".join(parts))
            try:
                while data:
                    data = data[os.write(self._file, data) :]
            except OSError as error:
                self.failure = error


def flights(path: Path) -> Iterator[Flight]:
    """The flights in a file, in the order in which they ended. One that is cut off at its end is left out."""
    with path.open("rb", buffering=_READ_BYTES) as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            size, slot, index, item, turn, fault, status, reads, count, words, *stamps = _HEAD.unpack(head)
            rest = file.read(size - _HEAD.size)
            if len(rest) < size - _HEAD.size:
                return
            flight = Flight(slot, index, item, turn, stamps[0], stamps[1])
            flight.fault, flight.status = fault, status
            _, _, flight.ready_ns, flight.sent_ns, flight.headers_ns, flight.end_ns, flight.bytes = stamps
            lists = _lists(reads, count)
            numbers = lists.unpack_from(rest)
            flight.read_ns, flight.read_ends = list(numbers[:reads]), list(numbers[reads : 2 * reads])
            at = lists.size
            if words:
                flight.error, flight.encoding, flight.location = json.loads(rest[at : at + words])
                at += words
            for length in numbers[2 * reads :]:
                flight.pieces.append(rest[at : at + length])
                at += length
            yield flight
