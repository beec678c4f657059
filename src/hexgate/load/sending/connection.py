"""One HTTP/1.1 connection: write a request, stamp what comes back as it is read from the socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

import httptools

from hexgate.load.sending.exchange import MOST_BODY_BYTES, Fault
from hexgate.load.sending.flight import Flight

__all__ = ["Connection"]

_OTHER, _FRAMED, _ENCODING, _LOCATION = 0, 1, 2, 3
_HEADERS = {
    b"content-length": _FRAMED,
    b"transfer-encoding": _FRAMED,
    b"content-encoding": _ENCODING,
    b"location": _LOCATION,
}
_MOST_NAMES = 256
_seen_names: dict[bytes, int] = {}
"""What each name is, as servers spell it: a server sends the same few names with every reply."""


def _kind(name: bytes) -> int:
    kind = _HEADERS.get(name.lower(), _OTHER)
    if len(_seen_names) < _MOST_NAMES:
        _seen_names[name] = kind
    return kind


class Connection(asyncio.Protocol):
    """One connection. Holds at most one flight; its owner hands it out again when that is over.

    Args:
        ended: called with the connection and the flight once the flight is over, and never twice for one.
    """

    __slots__ = (
        "_bytes",
        "_complete",
        "_ended",
        "_flight",
        "_framed",
        "_now",
        "_parser",
        "_pieces",
        "_stamped",
        "_transport",
        "closed",
        "on_body",
        "reusable",
        "used",
    )

    def __init__(self, ended: Callable[[Connection, Flight], None]) -> None:
        self.closed = False
        """Whether the transport is gone or going."""
        self.reusable = False
        """Whether it may take another request."""
        self.used = False
        """Whether an exchange was completed on it."""
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._pieces: list[bytes] = []
        """Of the body, so far."""
        self.on_body = self._pieces.append
        """What the parser calls with each piece, at no cost of a call in Python: a stream has one for every token."""
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._flight: Flight | None = None
        self._framed = False
        self._complete = -1
        """How many pieces the whole body has; negative while it is not whole."""
        self._stamped = 0
        """How many pieces have a stamp."""
        self._bytes = 0
        self._now = 0

    def start(self, flight: Flight) -> None:
        """Write its request, and fill it until it is over."""
        now = time.monotonic_ns()
        self._flight = flight
        flight.connection = self
        self.reusable = self._framed = False
        self._complete = -1
        self._stamped = self._bytes = 0
        if flight.ready_ns < 0:
            flight.ready_ns = now
        if flight.sent_ns < 0:
            flight.sent_ns = now
        if self.closed or self._transport is None:
            self._now = now
            self._finish(Fault.CONNECTION, "the connection was closed before the request was written")
            return
        self._transport.write(flight.request)

    def give_up(self, fault: Fault, error: str) -> None:
        """End the flight in progress, if there is one, and close."""
        self._now = time.monotonic_ns()
        self.close()
        self._finish(fault, error)

    def close(self) -> None:
        """Close at once, without waiting for anything."""
        self.closed = True
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    @property
    def descriptor(self) -> int:
        """Its socket's number; -1 where it has none."""
        sock = None if self._transport is None else self._transport.get_extra_info("socket")
        return -1 if sock is None else int(sock.fileno())

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Stamp, and find where headers and body end. What the body means is read when the run is over."""
        now = self._now = time.monotonic_ns()
        flight, parser = self._flight, self._parser
        if flight is None or parser is None:
            # Nobody has asked for this: the connection cannot be trusted with another request.
            self.close()
            return
        self._bytes += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.give_up(Fault.PROTOCOL, "the server switched to another protocol")
            return
        except httptools.HttpParserError as error:
            self._stamp(flight, now)
            self.give_up(Fault.PROTOCOL, f"not HTTP/1.1 ({error})")
            return
        if self._complete >= 0:
            # What a second reply brings is no part of this one.
            del self._pieces[self._complete :]
            self._stamp(flight, now)
            self.reusable = self.reusable and not self.closed
            self._finish(0, "")
            return
        self._stamp(flight, now)
        if self._bytes > MOST_BODY_BYTES and sum(map(len, self._pieces)) > MOST_BODY_BYTES:
            self.give_up(Fault.PROTOCOL, f"the body is larger than {MOST_BODY_BYTES} bytes")

    def connection_lost(self, exc: Exception | None) -> None:
        """End the flight in progress: well, if only the end of the connection could end its body."""
        self.closed = True
        self.reusable = False
        # The parser holds this connection: without the collector, which rests during a run, both would stay.
        self._parser = None
        self._transport = None
        flight = self._flight
        if flight is None:
            return
        self._now = time.monotonic_ns()
        if flight.status >= 0 and not self._framed and exc is None:
            self._finish(0, "")
            return
        reason = "closed by the server" if exc is None else (str(exc) or type(exc).__name__)
        if self._bytes:
            size = sum(map(len, self._pieces))
            self._finish(Fault.CUT, f"the connection was lost {size} bytes into the body ({reason})")
        else:
            self._finish(Fault.CONNECTION, f"the connection was lost before a reply ({reason})")

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A second reply to one request is not to be trusted."""
        if self._complete >= 0 or self._flight is None:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the few headers that matter."""
        kind = _seen_names.get(name, -1)
        if kind < 0:
            kind = _kind(name)
        if not kind or self._complete >= 0 or self._flight is None:
            return
        if kind == _FRAMED:
            self._framed = True
        elif kind == _ENCODING:
            self._flight.encoding = value.decode("latin-1")
        else:
            self._flight.location = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Stamp the headers of the final reply; interim ones (1xx) are passed over."""
        flight, parser = self._flight, self._parser
        if flight is None or parser is None or self._complete >= 0:
            return
        status = parser.get_status_code()
        if status >= 200:
            flight.status = status
            flight.headers_ns = self._now

    def on_message_complete(self) -> None:
        """The reply is whole, unless it was an interim one."""
        if self._flight is not None and self._flight.status >= 0 and self._parser is not None:
            self._complete = len(self._pieces)
            self.reusable = self._parser.should_keep_alive()

    def _stamp(self, flight: Flight, now: int) -> None:
        pieces = len(self._pieces)
        if pieces > self._stamped:
            self._stamped = pieces
            flight.read_ns.append(now)
            flight.read_ends.append(pieces)

    def _finish(self, fault: int, error: str) -> None:
        flight, self._flight = self._flight, None
        if flight is None:
            return
        self.used = True
        flight.connection = None
        flight.pieces = self._pieces[:]
        self._pieces.clear()
        flight.bytes = self._bytes
        flight.end_ns = self._now
        flight.fault = fault
        flight.error = error
        self._ended(self, flight)
