"""One HTTP/1.1 connection: write a request, stamp what comes back as it is read from the socket."""

from __future__ import annotations

import asyncio
import time
from enum import Enum
from typing import cast

import httptools

__all__ = ["Connection", "Fault", "Received"]

MOST_BODY_BYTES = 256 * 1024 * 1024


class Fault(Enum):
    """Why an exchange did not end as HTTP says it should."""

    CONNECTION = "connection"
    """No connection, or it was lost before the first byte of the reply."""
    CUT = "cut"
    """The connection was lost inside the reply."""
    TIMEOUT = "timeout"
    """No whole reply within the time-out."""
    PROTOCOL = "protocol"
    """The reply is not the HTTP/1.1 that was asked for."""
    CLIENT = "client"
    """This machine had no socket, port or memory left for another connection."""
    ABANDONED = "abandoned"
    """The run was over before the reply was."""


class Received:
    """What has come of one reply so far, filled by the connection. `done` is set when no more will come."""

    __slots__ = (
        "bytes",
        "done",
        "encoding",
        "end_ns",
        "error",
        "fault",
        "framed",
        "headers_ns",
        "location",
        "piece_ns",
        "pieces",
        "reusable",
        "sent_ns",
        "size",
        "status",
    )

    def __init__(self, done: asyncio.Future[None]) -> None:
        self.done = done
        self.status: int | None = None
        self.pieces: list[bytes] = []
        self.piece_ns: list[int] = []
        self.sent_ns = -1
        self.headers_ns = -1
        self.end_ns = -1
        self.bytes = 0
        """Bytes from the socket."""
        self.size = 0
        """Bytes of the body, as transferred."""
        self.encoding = ""
        self.location = ""
        self.framed = False
        """Whether the headers say where the body ends; else the end of the connection does."""
        self.reusable = False
        """Whether the connection may take another request."""
        self.fault: Fault | None = None
        self.error: str | None = None


class Connection(asyncio.Protocol):
    """One connection. Holds at most one exchange; the pool hands it out again when that is over."""

    def __init__(self) -> None:
        self.closed = False
        """Whether the transport is gone or going."""
        self.used = False
        """Whether an exchange was completed on it."""
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._received: Received | None = None
        self._now = 0

    def send(self, request: bytes, received: Received) -> None:
        """Write a request and fill `received` until its future is set."""
        self._received = received
        if self.closed or self._transport is None:
            self._now = time.monotonic_ns()
            self._finish(Fault.CONNECTION, "the connection was closed before the request was written")
            return
        if received.sent_ns < 0:
            received.sent_ns = time.monotonic_ns()
        self._transport.write(request)

    def give_up(self, fault: Fault, error: str) -> None:
        """End the exchange in progress, if there is one, and close."""
        self._now = time.monotonic_ns()
        self._finish(fault, error)
        self.close()

    def close(self) -> None:
        """Close at once, without waiting for anything."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Stamp, and find where headers and body end. What the body means is read when the reply is over."""
        self._now = time.monotonic_ns()
        if self._received is None or self._parser is None:
            # Nobody has asked for this: the connection cannot be trusted with another request.
            self.close()
            return
        self._received.bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.give_up(Fault.PROTOCOL, "the server switched to another protocol")
        except httptools.HttpParserError as error:
            self.give_up(Fault.PROTOCOL, f"not HTTP/1.1 ({error})")

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange in progress: well, if only the end of the connection could end its body."""
        self.closed = True
        # The parser holds this connection: without the collector, which rests during a run, both would stay.
        self._parser = None
        self._transport = None
        received = self._received
        if received is None:
            return
        self._now = time.monotonic_ns()
        if received.status is not None and not received.framed and exc is None:
            self._finish(None, None)
            return
        reason = "closed by the server" if exc is None else (str(exc) or type(exc).__name__)
        if received.bytes:
            self._finish(Fault.CUT, f"the connection was lost {received.size} bytes into the body ({reason})")
        else:
            self._finish(Fault.CONNECTION, f"the connection was lost before a reply ({reason})")

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A second reply to one request is not to be trusted."""
        if self._received is None:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the few headers that matter."""
        received = self._received
        if received is None:
            return
        lower = name.lower()
        if lower in {b"content-length", b"transfer-encoding"}:
            received.framed = True
        elif lower == b"content-encoding":
            received.encoding = value.decode("latin-1")
        elif lower == b"location":
            received.location = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Stamp the headers of the final reply; interim ones (1xx) are passed over."""
        received = self._received
        if received is None or self._parser is None:
            return
        status = self._parser.get_status_code()
        if status < 200:
            return
        received.status = status
        received.headers_ns = self._now

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body with the stamp of the read that brought it."""
        received = self._received
        if received is None:
            return
        received.size += len(body)
        if received.size > MOST_BODY_BYTES:
            self.give_up(Fault.PROTOCOL, f"the body is larger than {MOST_BODY_BYTES} bytes")
            return
        received.pieces.append(body)
        received.piece_ns.append(self._now)

    def on_message_complete(self) -> None:
        """End the exchange, unless it was an interim reply."""
        received = self._received
        if received is None or received.status is None or self._parser is None:
            return
        received.reusable = self._parser.should_keep_alive()
        self._finish(None, None)

    def _finish(self, fault: Fault | None, error: str | None) -> None:
        received, self._received = self._received, None
        if received is None:
            return
        self.used = True
        received.end_ns = self._now
        received.fault = fault
        received.error = error
        if not received.done.done():
            received.done.set_result(None)
