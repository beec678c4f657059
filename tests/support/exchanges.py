"""One exchange at a time through the sender of loads, for tests of the transport and of what is read from it."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable

from hexgate.load.sending.exchange import Exchange
from hexgate.load.sending.flight import Flight
from hexgate.load.sending.origin import Origin
from hexgate.load.sending.reading import exchange_of
from hexgate.load.sending.sender import HttpSender, Sender

_TICK_S = 0.01


class Transport:
    """Sends requests and waits for each. Belongs to the running event loop."""

    def __init__(
        self,
        origin: Origin,
        *,
        timeout_s: float,
        tls_context: ssl.SSLContext | None = None,
        sender: Callable[[Callable[[Flight], None]], Sender] | None = None,
    ) -> None:
        self._waiting: dict[Flight, asyncio.Future[Flight]] = {}
        self._sender: Sender = (
            HttpSender(origin, timeout_s=timeout_s, ended=self._ended, tls_context=tls_context)
            if sender is None
            else sender(self._ended)
        )
        self._ticks = asyncio.ensure_future(self._tick())

    @property
    def reopened(self) -> int:
        return self._sender.reopened

    async def send(self, request: bytes) -> Exchange:
        flight = Flight(0, 0, 0, 0, -1, time.monotonic_ns())
        flight.request = request
        self._waiting[flight] = asyncio.get_running_loop().create_future()
        self._sender.send(flight)
        return exchange_of(await self._waiting[flight])

    def abandon(self) -> None:
        self._sender.abandon()

    async def close(self) -> None:
        self._ticks.cancel()
        await self._sender.close()

    def _ended(self, flight: Flight) -> None:
        self._waiting[flight].set_result(flight)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._sender.expire(time.monotonic_ns())
