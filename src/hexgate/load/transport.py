"""Our own HTTP/1.1 client for load: one endpoint, connections kept alive and reused newest first.

It sends what it is told to, follows no redirect, uses no proxy and keeps no cookie.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from hexgate import __version__
from hexgate.errors import InputError
from hexgate.load.connection import MOST_BODY_BYTES, Connection, Fault, Received
from hexgate.load.content import BadContent, plain_pieces
from hexgate.wire.base import WireRequest

__all__ = ["Exchange", "Fault", "Origin", "Transport"]

CONNECT_LIMIT_S = 10.0
"""Longest wait for a connection to open."""

_PATH_SAFE = "/%:@!$&'()*+,;=~-._"
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_OWN_LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})


@dataclass(frozen=True)
class Exchange:
    """One request and what came back. Stamps are of `time.monotonic_ns`; -1 where it did not happen."""

    status: int | None
    """Status of the final reply; None where there was none."""
    pieces: list[bytes]
    """The body as it came, content encoding undone, one piece for each read that brought some of it."""
    piece_ns: list[int]
    """When each piece was read from the socket."""
    sent_ns: int
    """When the request was written to the socket."""
    headers_ns: int
    """When the headers were complete."""
    end_ns: int
    """When the reply, or the attempt, was over."""
    bytes: int = 0
    """Bytes read from the socket."""
    fault: Fault | None = None
    """Why it did not end as HTTP says; None where it did, whatever the status."""
    error: str | None = None
    """The fault in words."""


@dataclass(frozen=True)
class Origin:
    """Where an endpoint is, and what each request to it carries."""

    host: str
    port: int
    tls: bool
    prefix: str
    """Path of the base URL, without a slash at the end."""
    query: str
    """Query of the base URL with its question mark, or nothing."""
    authority: str
    """Value of the host header."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Headers of every request, credentials among them."""

    @classmethod
    def parse(cls, base_url: str, headers: Mapping[str, str]) -> Origin:
        """The origin of a base URL.

        Raises:
            InputError: if it is not an http or https URL, or a header is not one line of Latin-1.
        """
        try:
            parts = urlsplit(base_url)
            port = parts.port
        except ValueError as error:
            raise InputError(f"the endpoint's URL is not one ({error})", where=base_url) from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InputError("the endpoint's URL is not of http or https", where=base_url)
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                # The value may be a credential, so the message names the header alone.
                raise InputError("a header of the endpoint cannot be sent", got=repr(name))
        tls = parts.scheme == "https"
        host = parts.hostname
        named = f"[{host}]" if ":" in host else host
        return cls(
            host=host,
            port=port or (443 if tls else 80),
            tls=tls,
            prefix=quote(parts.path.rstrip("/"), safe=_PATH_SAFE),
            query=f"?{quote(parts.query, safe=_PATH_SAFE + '?')}" if parts.query else "",
            authority=named if port is None else f"{named}:{port}",
            headers=tuple(headers.items()),
        )

    def request_bytes(self, request: WireRequest) -> bytes:
        """The request as it goes over the wire. Built once for each item, sent many times."""
        path = self.prefix + request.path or "/"
        headers = {
            "host": self.authority,
            "user-agent": f"hexgate/{__version__}",
            "accept-encoding": "identity",
        }
        headers |= {name.lower(): value for name, value in (*request.headers.items(), *self.headers)}
        headers["content-length"] = str(len(request.body))
        lines = [f"{request.method} {path}{self.query} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + request.body


class Transport:
    """Sends requests to one origin. Belongs to one event loop."""

    def __init__(
        self, origin: Origin, *, timeout_s: float, tls_context: ssl.SSLContext | None = None
    ) -> None:
        self._origin = origin
        self._timeout_s = timeout_s
        self._tls = (tls_context or ssl.create_default_context()) if origin.tls else None
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._opening: set[asyncio.Task[Connection]] = set()
        self._abandoned = False
        self._address: tuple[str, int] | None = None
        self.reopened = 0
        """How often a kept connection turned out to be closed, and the request went over a new one."""

    async def send(self, request: bytes) -> Exchange:
        """One exchange. Every failure is in the exchange; only cancellation is raised."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_s
        received = Received(loop.create_future())
        while True:
            if self._abandoned:
                return _failed(received, Fault.ABANDONED, "the run was over before the request was sent")
            connection = self._newest_idle()
            reused = connection is not None
            if connection is None:
                opened = await self._open(deadline)
                if isinstance(opened, tuple):
                    return _failed(received, *opened)
                connection = opened
            await self._exchange(connection, request, received, deadline)
            if not (reused and received.fault is Fault.CONNECTION):
                return _exchange(received)
            # The server closed a kept connection while the request was on its way. That says nothing about
            # the request: it goes over a new connection, still charged from when it was first written.
            self.reopened += 1
            sent_ns = received.sent_ns
            received = Received(loop.create_future())
            received.sent_ns = sent_ns
            self._close_idle()

    def abandon(self) -> None:
        """End every exchange in flight; what each has received so far stands in it."""
        self._abandoned = True
        for task in list(self._opening):
            task.cancel()
        for connection in list(self._busy):
            connection.give_up(Fault.ABANDONED, "the run was over before the reply was")

    async def close(self) -> None:
        """Close every connection."""
        self.abandon()
        self._close_idle()
        # Transports finish closing in callbacks of the loop.
        await asyncio.sleep(0)

    def _newest_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return None

    def _close_idle(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _exchange(
        self, connection: Connection, request: bytes, received: Received, deadline: float
    ) -> None:
        loop = asyncio.get_running_loop()
        expiry = loop.call_at(
            deadline,
            connection.give_up,
            Fault.TIMEOUT,
            f"no whole reply within {self._timeout_s:g} s",
        )
        self._busy.add(connection)
        try:
            connection.send(request, received)
            await received.done
        finally:
            expiry.cancel()
            self._busy.discard(connection)
            if received.reusable and not connection.closed and not self._abandoned:
                self._idle.append(connection)
            else:
                connection.close()

    async def _open(self, deadline: float) -> Connection | tuple[Fault, str]:
        limit_s = min(CONNECT_LIMIT_S, max(deadline - asyncio.get_running_loop().time(), 0.001))
        task = asyncio.ensure_future(self._connect())
        self._opening.add(task)
        try:
            return await asyncio.wait_for(task, limit_s)
        except asyncio.TimeoutError:
            return Fault.CONNECTION, f"no connection within {limit_s:.3g} s"
        except asyncio.CancelledError:
            if not self._abandoned:
                raise
            return Fault.ABANDONED, "the run was over before the request was sent"
        except OSError as error:
            own = error.errno in _OWN_LIMITS
            return (Fault.CLIENT if own else Fault.CONNECTION), _words(error)
        finally:
            self._opening.discard(task)

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        origin = self._origin
        if self._address is not None:
            return await self._connect_to(self._address)
        # Names are looked up once; the first address that answers serves the whole run.
        found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        failure: OSError | None = None
        for entry in found:
            address = (str(entry[4][0]), int(entry[4][1]))
            try:
                connection = await self._connect_to(address)
            except OSError as error:
                failure = failure or error
                continue
            self._address = address
            return connection
        raise failure or OSError(f"{origin.host} has no address")

    async def _connect_to(self, address: tuple[str, int]) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(
            Connection,
            *address,
            ssl=self._tls,
            server_hostname=self._origin.host if self._tls else None,
        )
        return connection


def _words(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def _failed(received: Received, fault: Fault, error: str) -> Exchange:
    return Exchange(None, [], [], received.sent_ns, -1, time.monotonic_ns(), 0, fault, error)


def _exchange(received: Received) -> Exchange:
    pieces, fault, error = received.pieces, received.fault, received.error
    if fault is None and received.status is not None and 300 <= received.status < 400:
        fault = Fault.PROTOCOL
        error = (
            f"redirected ({received.status}) to {_public(received.location)}; redirects are not followed, "
            "so name that address instead"
        )
    elif fault is None:
        try:
            pieces = plain_pieces(pieces, received.encoding, most_bytes=MOST_BODY_BYTES)
        except BadContent as bad:
            fault, error = Fault.PROTOCOL, str(bad)
    return Exchange(
        received.status,
        pieces,
        received.piece_ns,
        received.sent_ns,
        received.headers_ns,
        received.end_ns,
        received.bytes,
        fault,
        error,
    )


def _public(location: str) -> str:
    """A redirect's target without credentials and query."""
    if not location:
        return "an address that it does not name"
    try:
        parts = urlsplit(location)
    except ValueError:
        return "an address that is not one"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else parts.path
