"""Sends requests with httpx, through a proxy or over HTTP/2. Slower than `sender`: a run that uses it says so."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import httpx

from hexgate.errors import InputError, MissingExtra
from hexgate.load.sending.exchange import MOST_BODY_BYTES, Fault
from hexgate.load.sending.flight import Flight
from hexgate.load.sending.origin import Origin
from hexgate.load.sending.sender import AT_ONCE_NS, CONNECT_LIMIT_S, OWN_LIMITS

__all__ = ["HttpxSender", "refuse_unusable"]

_OVER = "the run was over before the reply was"
_LOST = ("disconnected", "closed connection", "ConnectionTerminated", "StreamReset")
"""What httpx says of a reply whose connection, or whose stream of HTTP/2, was ended by the server."""


def refuse_unusable(proxy: str | None, *, http2: bool) -> None:
    """Find out before a load what its sender could not do.

    Raises:
        MissingExtra: if HTTP/2 is asked for and its library is not there.
        InputError: if the proxy is not named by an http or https URL.
    """
    if http2 and find_spec("h2") is None:
        raise MissingExtra("http2", "--http2")
    if proxy is None:
        return
    try:
        url = httpx.URL(proxy)
        usable = url.scheme in {"http", "https"} and bool(url.host)
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        # The URL may hold a password, so that it is not shown.
        raise InputError("the proxy's URL is not of http or https", where="--proxy")


class HttpxSender:
    """The sender of loads through a proxy, or over HTTP/2. It belongs to one event loop.

    It uses the proxy that it is given and no other: the variables of the environment that name proxies are not read,
    so that a load never goes another way than the one that its command names. It follows no redirect.

    HTTP/2 is spoken on a ``https`` origin as the two agree (ALPN), and on an ``http`` one from the first byte on (RFC
    9113, section 3.3). A reply in another version is refused: its figures would be those of another protocol. Many
    requests share one connection, and wait on this side while the server allows no more streams on it.

    A request counts as sent when httpx begins to write it, and its `bytes` are those of the body.

    Args:
        origin: where to.
        timeout_s: longest wait for a whole reply, the opening of a connection included.
        ended: takes each flight once it is over.
        proxy: URL of the proxy; None for none.
        http2: whether to speak HTTP/2.
        ca: certificates of the authorities to trust; None for the system's.
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
        """Connections that were opened."""
        self.reopened = 0
        """How often a kept connection turned out to be closed, and the request went over a new one."""
        self._timeout_s = timeout_s
        self._timeout_ns = round(timeout_s * 1e9)
        self._told = ended
        self._http2 = http2
        self._base = f"{'https' if origin.tls else 'http'}://{origin.authority}"
        self._running: dict[Flight, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._client = httpx.AsyncClient(
            proxy=proxy,
            http1=origin.tls or not http2,
            http2=http2,
            verify=ssl.create_default_context(cafile=ca),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=None),
            timeout=httpx.Timeout(None, connect=min(CONNECT_LIMIT_S, timeout_s)),
            trust_env=False,
            follow_redirects=False,
        )

    def send(self, flight: Flight) -> None:
        """Send one. Every failure is in the flight; nothing is raised."""
        flight.deadline_ns = time.monotonic_ns() + self._timeout_ns
        self.flying[flight] = None
        task = asyncio.ensure_future(self._exchange(flight))
        self._running[flight] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def warm(self, connections: int) -> None:
        """Nothing: httpx opens a connection when one is needed."""

    def expire(self, now_ns: int) -> None:
        """End what has taken too long."""
        while self.flying:
            flight = next(iter(self.flying))
            if flight.deadline_ns > now_ns:
                return
            if flight.sent_ns < 0:
                self._end(flight, Fault.CONNECTION, f"no connection within {self._timeout_s:.3g} s")
            else:
                self._end(flight, Fault.TIMEOUT, f"no whole reply within {self._timeout_s:g} s")

    def abandon(self) -> None:
        """End everything in flight; what each has received so far stands in it."""
        for flight in list(self.flying):
            self._end(flight, Fault.ABANDONED, _OVER)

    def descriptors(self, most: int) -> list[int]:  # noqa: ARG002
        """None: httpx keeps its sockets to itself."""
        return []

    async def close(self) -> None:
        """Close every connection."""
        self.abandon()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    def _end(self, flight: Flight, fault: int, error: str) -> None:
        if self.flying.pop(flight, self) is not None:
            return
        task = self._running.pop(flight)
        flight.end_ns = time.monotonic_ns()
        flight.fault, flight.error = fault, error
        if task is not asyncio.current_task():
            task.cancel()
        self._told(flight)

    async def _exchange(self, flight: Flight) -> None:
        while True:
            way = _Way(flight)
            try:
                fault, error = await self._received(flight, way)
            except httpx.HTTPError as caught:
                fault, error = _fault_of(caught, flight)
            except Exception as caught:  # noqa: BLE001 - whatever httpx makes of a reply, the request is over
                fault, error = Fault.PROTOCOL, f"httpx could not read it ({caught!r})"
            self.opened += way.opened
            # As in `sender`: a kept connection that the server had closed says nothing about the request.
            lost = fault == Fault.CONNECTION and flight.sent_ns >= 0 and not way.opened
            lost = lost and time.monotonic_ns() - flight.sent_ns <= AT_ONCE_NS
            if not lost or flight.retried or flight not in self.flying:
                break
            self.reopened += 1
            flight.retried = True
        self._end(flight, fault, error)

    async def _received(self, flight: Flight, way: _Way) -> tuple[int, str]:
        head, _, body = flight.request.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        method, path, _ = first.decode("latin-1").split(" ", 2)
        headers = [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
        request = self._client.build_request(
            method,
            self._base + path,
            headers=[pair for pair in headers if pair[0] != b"host"],
            content=body,
            extensions={"trace": way.seen},
        )
        response = await self._client.send(request, stream=True)
        try:
            flight.headers_ns = time.monotonic_ns()
            flight.status = response.status_code
            flight.encoding = response.headers.get("content-encoding", "")
            flight.location = response.headers.get("location", "")
            if self._http2 and response.http_version != "HTTP/2":
                return Fault.PROTOCOL, f"the server answered in {response.http_version}, not in HTTP/2"
            async for piece in response.aiter_raw():
                flight.bytes += len(piece)
                flight.pieces.append(piece)
                flight.read_ns.append(time.monotonic_ns())
                flight.read_ends.append(len(flight.pieces))
                if flight.bytes > MOST_BODY_BYTES:
                    return Fault.PROTOCOL, f"the body is larger than {MOST_BODY_BYTES} bytes"
        finally:
            await response.aclose()
        return 0, ""


class _Way:
    """What one attempt took: whether a connection was opened for it, and when it was written."""

    def __init__(self, flight: Flight) -> None:
        self.opened = False
        """Whether a connection was opened for it."""
        self._flight = flight

    async def seen(self, name: str, info: dict[str, Any]) -> None:
        """What httpcore tells on the way of a request (its extension `trace`)."""
        if name == "connection.connect_tcp.complete":
            self.opened = True
        elif name.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
            flight = self._flight
            # A second attempt is still charged from when it was first written.
            if flight.sent_ns < 0:
                flight.ready_ns = flight.sent_ns = time.monotonic_ns()


def _fault_of(error: httpx.HTTPError, flight: Flight) -> tuple[int, str]:
    words = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectTimeout):
        return Fault.CONNECTION, "no connection was opened in time"
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        cause = next((one for one in _causes(error) if isinstance(one, OSError) and one.errno), None)
        if isinstance(error, httpx.ProxyError):
            words = f"the proxy said {words}"
        if cause is None:
            return Fault.CONNECTION, words
        own = cause.errno in OWN_LIMITS
        return Fault.CLIENT if own else Fault.CONNECTION, cause.strerror or words
    if flight.status >= 0:
        broken = isinstance(error, httpx.NetworkError) or any(word in words for word in _LOST)
        return (
            (Fault.CUT, f"the connection was lost {flight.bytes} bytes into the body ({words})")
            if broken
            else (Fault.PROTOCOL, f"not the HTTP that was asked for ({words})")
        )
    if isinstance(error, httpx.NetworkError) or any(word in words for word in _LOST[:-1]):
        return Fault.CONNECTION, f"the connection was lost before a reply ({words})"
    return Fault.PROTOCOL, f"not the HTTP that was asked for ({words})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        yield from getattr(error, "exceptions", ())
        error = error.__cause__ or error.__context__
