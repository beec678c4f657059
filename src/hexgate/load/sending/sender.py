"""Sends requests to one origin over HTTP/1.1: connections are kept alive and reused newest first.

It sends what it is told to, follows no redirect, uses no proxy and keeps no cookie.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Callable
from typing import Protocol

from hexgate.load.sending.connection import Connection
from hexgate.load.sending.exchange import Fault
from hexgate.load.sending.flight import Flight
from hexgate.load.sending.origin import Origin

__all__ = ["AT_ONCE_NS", "CONNECT_LIMIT_S", "OWN_LIMITS", "HttpSender", "Sender"]

CONNECT_LIMIT_S = 10.0
"""Longest wait for a connection to open."""

OWN_LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})
"""Errors of a connection that this machine is short of something for."""
AT_ONCE_NS = 5_000_000
"""A kept connection that is lost so soon after a request was written was closed before the request came."""
_OVER = "the run was over before the request was sent"


class Sender(Protocol):
    """What carries requests. It tells of each flight once, by the callback that it was made with."""

    flying: dict[Flight, None]
    """What was sent and is not over, the oldest first."""
    opened: int
    """Connections that were opened."""
    reopened: int
    """How often a kept connection turned out to be closed, and the request went over a new one."""

    def send(self, flight: Flight) -> None:
        """Send one. Every failure is in the flight; nothing is raised."""

    async def warm(self, connections: int) -> None:
        """Open so many connections, as far as that is possible."""

    def expire(self, now_ns: int) -> None:
        """End what has taken too long."""

    def abandon(self) -> None:
        """End everything in flight; what each has received so far stands in it."""

    def descriptors(self, most: int) -> list[int]:
        """Numbers of some sockets with a flight."""

    async def close(self) -> None:
        """Close every connection."""


class HttpSender:
    """The sender of `load`: belongs to one event loop.

    Args:
        origin: where to.
        timeout_s: longest wait for a whole reply, the opening of a connection included.
        ended: takes each flight once it is over.
        tls_context: how certificates are checked, where the origin is of https.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        timeout_s: float,
        ended: Callable[[Flight], None],
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        self.flying: dict[Flight, None] = {}
        """What was sent and is not over, the oldest first."""
        self.opened = 0
        """Connections that were opened."""
        self.reopened = 0
        """How often a kept connection turned out to be closed, and the request went over a new one."""
        self._origin = origin
        self._timeout_s = timeout_s
        self._timeout_ns = round(timeout_s * 1e9)
        self._told = ended
        self._tls = (tls_context or ssl.create_default_context()) if origin.tls else None
        self._idle: list[Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._abandoned = False
        self._address: tuple[str, int] | None = None
        self._connect_ns = 0
        """The shortest time that a connection took to open."""

    def send(self, flight: Flight) -> None:
        """Send one. Every failure is in the flight; nothing is raised."""
        flight.deadline_ns = time.monotonic_ns() + self._timeout_ns
        self.flying[flight] = None
        self._dispatch(flight)

    async def warm(self, connections: int) -> None:
        """Open so many connections, as far as that is possible. What fails now fails again when it is needed."""
        opened = await asyncio.gather(
            *(asyncio.wait_for(self._connect(), CONNECT_LIMIT_S) for _ in range(connections)),
            return_exceptions=True,
        )
        self._idle += [one for one in opened if isinstance(one, Connection)]

    def expire(self, now_ns: int) -> None:
        """End what has taken too long."""
        while self.flying:
            flight = next(iter(self.flying))
            if flight.deadline_ns > now_ns:
                return
            connection = flight.connection
            if connection is None:
                self._fail(flight, Fault.CONNECTION, f"no connection within {self._timeout_s:.3g} s")
            else:
                connection.give_up(Fault.TIMEOUT, f"no whole reply within {self._timeout_s:g} s")

    def abandon(self) -> None:
        """End everything in flight; what each has received so far stands in it."""
        self._abandoned = True
        for task in list(self._opening):
            task.cancel()
        for flight in list(self.flying):
            if flight.connection is not None:
                flight.connection.give_up(Fault.ABANDONED, "the run was over before the reply was")
            else:
                self._fail(flight, Fault.ABANDONED, _OVER)

    def descriptors(self, most: int) -> list[int]:
        """Numbers of some sockets with a flight."""
        found: list[int] = []
        for flight in self.flying:
            if len(found) >= most:
                break
            if flight.connection is not None:
                found.append(flight.connection.descriptor)
        return [number for number in found if number >= 0]

    async def close(self) -> None:
        """Close every connection."""
        self.abandon()
        self._close_idle()
        # Transports finish closing in callbacks of the loop.
        await asyncio.sleep(0)

    def _dispatch(self, flight: Flight) -> None:
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not connection.closed:
                connection.start(flight)
                return
        if self._abandoned:
            self._fail(flight, Fault.ABANDONED, _OVER)
            return
        task = asyncio.ensure_future(self._open(flight))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def _ended(self, connection: Connection, flight: Flight) -> None:
        if connection.reusable and not self._abandoned:
            self._idle.append(connection)
        else:
            connection.close()
        kept = flight.ready_ns == flight.sent_ns and not flight.retried
        if flight.fault == Fault.CONNECTION and kept and flight.end_ns - flight.sent_ns <= self._at_once_ns():
            # The server had closed a kept connection before the request came. That says nothing about the
            # request: it goes over a new connection, still charged from when it was first written. A loss that
            # comes later is that of a server that may have read it, and is an error.
            self.reopened += 1
            flight.retried = True
            flight.fault, flight.error, flight.end_ns, flight.bytes = 0, "", -1, 0
            self._close_idle()
            self._dispatch(flight)
            return
        self._over(flight)

    def _at_once_ns(self) -> int:
        """How long the news that a connection was closed already may take: some round trips to the server."""
        return max(AT_ONCE_NS, 3 * self._connect_ns)

    def _fail(self, flight: Flight, fault: Fault, error: str) -> None:
        if flight in self.flying:
            flight.end_ns = time.monotonic_ns()
            flight.fault, flight.error = fault, error
            self._over(flight)

    def _over(self, flight: Flight) -> None:
        if self.flying.pop(flight, self) is None:
            self._told(flight)

    def _close_idle(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _open(self, flight: Flight) -> None:
        limit_s = min(CONNECT_LIMIT_S, self._timeout_s)
        try:
            connection = await asyncio.wait_for(self._connect(), limit_s)
        except asyncio.TimeoutError:
            self._fail(flight, Fault.CONNECTION, f"no connection within {limit_s:.3g} s")
        except asyncio.CancelledError:
            self._fail(flight, Fault.ABANDONED, _OVER)
            raise
        except OSError as error:
            own = error.errno in OWN_LIMITS
            self._fail(flight, Fault.CLIENT if own else Fault.CONNECTION, _words(error))
        else:
            if flight not in self.flying:
                self._idle.append(connection)
                return
            flight.ready_ns = time.monotonic_ns()
            connection.start(flight)

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
        begun = time.monotonic_ns()
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self._ended),
            *address,
            ssl=self._tls,
            server_hostname=self._origin.host if self._tls else None,
        )
        took = time.monotonic_ns() - begun
        self._connect_ns = min(took, self._connect_ns or took)
        self.opened += 1
        return connection


def _words(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
