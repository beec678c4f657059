"""Sends requests with httpx, through a proxy or over HTTP/2. Slower than `sender` by far: a run that uses it says so."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable

import httpx

from hexgate.errors import MissingExtra
from hexgate.load.connection import Flight
from hexgate.load.exchange import MOST_BODY_BYTES, Fault
from hexgate.load.origin import Origin

__all__ = ["HttpxSender"]

_CONNECT_LIMIT_S = 10.0


class HttpxSender:
    """The sender of loads through a proxy, or over HTTP/2. The stamps are those of httpx handing bytes over.

    Args:
        origin: where to.
        timeout_s: longest wait for a whole reply, the opening of a connection included.
        ended: takes each flight once it is over.
        proxy: URL of the proxy; None for none. None is taken from the environment.
        http2: whether to speak HTTP/2 where the server does.
        ca: certificates of the authorities to trust; None for the system's.

    Raises:
        MissingExtra: if HTTP/2 is asked for and its library is not there.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        timeout_s: float,
        ended: Callable[[Flight], None],
        proxy: str | None,
        http2: bool,
        ca: str | None,
    ) -> None:
        self.flying: dict[Flight, None] = {}
        """What was sent and is not over, the oldest first."""
        self.opened = 0
        """Not known: httpx keeps its connections to itself."""
        self.reopened = 0
        """Likewise."""
        self._timeout_s = timeout_s
        self._timeout_ns = round(timeout_s * 1e9)
        self._told = ended
        self._base = f"{'https' if origin.tls else 'http'}://{origin.authority}"
        self._tasks: dict[Flight, asyncio.Task[None]] = {}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        try:
            self._client = httpx.AsyncClient(
                proxy=proxy,
                http2=http2,
                verify=ssl.create_default_context(cafile=ca),
                limits=limits,
                timeout=httpx.Timeout(None, connect=min(_CONNECT_LIMIT_S, timeout_s)),
                trust_env=False,
                follow_redirects=False,
            )
        except ImportError:
            raise MissingExtra("http2", "--http2") from None

    def send(self, flight: Flight) -> None:
        """Send one. Every failure is in the flight; nothing is raised."""
        flight.deadline_ns = time.monotonic_ns() + self._timeout_ns
        self.flying[flight] = None
        self._tasks[flight] = asyncio.ensure_future(self._exchange(flight))

    async def warm(self, connections: int) -> None:
        """Nothing: httpx opens a connection when one is needed."""

    def expire(self, now_ns: int) -> None:
        """End what has taken too long."""
        while self.flying:
            flight = next(iter(self.flying))
            if flight.deadline_ns > now_ns:
                return
            self._end(flight, Fault.TIMEOUT, f"no whole reply within {self._timeout_s:g} s")

    def abandon(self) -> None:
        """End everything in flight; what each has received so far stands in it."""
        for flight in list(self.flying):
            self._end(flight, Fault.ABANDONED, "the run was over before the reply was")

    def descriptors(self, most: int) -> list[int]:
        """None: httpx keeps its sockets to itself."""
        return []

    async def close(self) -> None:
        """Close every connection."""
        self.abandon()
        await self._client.aclose()

    def _end(self, flight: Flight, fault: int, error: str) -> None:
        if self.flying.pop(flight, self) is not None:
            return
        task = self._tasks.pop(flight, None)
        flight.end_ns = time.monotonic_ns()
        flight.fault, flight.error = fault, error
        if fault and task is not None:
            task.cancel()
        self._told(flight)

    async def _exchange(self, flight: Flight) -> None:
        head, _, body = flight.request.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = [tuple(line.split(": ", 1)) for line in lines if not line.startswith("host: ")]
        request = self._client.build_request(method, self._base + path, headers=headers, content=body)
        flight.ready_ns = flight.sent_ns = time.monotonic_ns()
        try:
            response = await self._client.send(request, stream=True)
            flight.headers_ns = time.monotonic_ns()
            flight.status = response.status_code
            flight.encoding = response.headers.get("content-encoding", "")
            flight.location = response.headers.get("location", "")
            async for piece in response.aiter_raw():
                flight.bytes += len(piece)
                flight.pieces.append(piece)
                flight.read_ns.append(time.monotonic_ns())
                flight.read_ends.append(len(flight.pieces))
                if flight.bytes > MOST_BODY_BYTES:
                    self._end(flight, Fault.PROTOCOL, f"the body is larger than {MOST_BODY_BYTES} bytes")
            await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            self._end(flight, Fault.CONNECTION, str(error) or type(error).__name__)
        except httpx.RemoteProtocolError as error:
            cut = flight.status >= 0 or "without sending" not in str(error)
            self._end(flight, Fault.CUT if cut else Fault.CONNECTION, str(error))
        except httpx.HTTPError as error:
            fault = Fault.CUT if flight.status >= 0 else Fault.CONNECTION
            self._end(flight, fault, str(error) or type(error).__name__)
        else:
            self._end(flight, 0, "")
