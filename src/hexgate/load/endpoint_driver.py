"""Load on an endpoint: our transport, a dialect, one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hexgate.errors import InputError
from hexgate.load.attempt import Attempt
from hexgate.load.plan import LoadKind
from hexgate.load.reading import read_exchange
from hexgate.load.records import NEVER, Outcome
from hexgate.load.session import Session
from hexgate.load.transport import Origin, Transport
from hexgate.wire.base import Ask, Dialect, Endpoint
from hexgate.wire.registry import dialect

__all__ = ["EndpointDriver", "new_event_loop"]

_POLL_S = 0.05
"""How often a run looks whether it is to stop."""
_BATCH = 64
"""Most requests that are taken up at one wake before the loop may read sockets again."""


@dataclass(frozen=True)
class EndpointDriver:
    """Sends the asks of a plan to an endpoint."""

    endpoint: Endpoint
    """Where, and in which dialect."""
    asks: Sequence[Ask]
    """One for each data item; an ask without a model gets the endpoint's."""
    tls_context: ssl.SSLContext | None = field(default=None, repr=False)
    """How certificates are checked; None for the system's authorities."""
    classes: int | None = None
    """How many scores each answer of a predictor has; None where that is not known: then the first answer
    says it for the others."""

    def drive(self, session: Session) -> None:
        """Carry out the session's plan.

        Raises:
            InputError: if the endpoint or an ask cannot be put into a request.
        """
        if len(self.asks) <= int(session.plan.item.max(initial=-1)):
            raise InputError(
                "the plan names more data items than there are asks", got=f"{len(self.asks)} asks"
            )
        speaker = dialect(self.endpoint.dialect)
        origin = Origin.parse(self.endpoint.base_url, self.endpoint.headers)
        asks = [
            replace(
                ask,
                model=ask.model or self.endpoint.model,
                options={**self.endpoint.options, **ask.options},
            )
            for ask in self.asks
        ]
        requests = [origin.request_bytes(speaker.request(ask)) for ask in asks]
        streams = [ask.stream and speaker.streams for ask in asks]
        loop = new_event_loop()
        try:
            loop.run_until_complete(self._run(session, origin, speaker, requests, streams))
        finally:
            _close(loop)

    async def _run(
        self,
        session: Session,
        origin: Origin,
        speaker: Dialect,
        requests: Sequence[bytes],
        streams: Sequence[bool],
    ) -> None:
        plan = session.plan
        classes = self.classes
        transport = Transport(origin, timeout_s=self.endpoint.timeout_s, tls_context=self.tls_context)
        crew = _Crew()

        async def attempt(index: int) -> None:
            nonlocal classes
            item = plan.item_of(index)
            inputs = self.asks[item].inputs
            exchange = await transport.send(requests[item])
            found = read_exchange(
                exchange,
                speaker,
                stream=streams[item],
                inputs=None if inputs is None else len(inputs),
                classes=classes,
                secret=self.endpoint.secret,
            )
            if classes is None and found.classes != NEVER:
                classes = found.classes
            session.note(index, found)

        async def keep_busy() -> None:
            while (index := session.take()) is not None:
                await attempt(index)

        most = session.shard.concurrency
        slots = asyncio.Semaphore(most) if most else contextlib.nullcontext()

        async def attempt_in_slot(index: int) -> None:
            async with slots:
                if session.over:
                    session.note(index, Attempt(Outcome.NOT_SENT, error="not_sent: the run was stopped"))
                else:
                    await attempt(index)

        async def keep_time() -> None:
            batch = 0
            while (due_ns := session.next_due_ns) is not None:
                if (wait_ns := due_ns - session.now_ns()) > 0 or batch == _BATCH:
                    # A timer may fire early by its grain: then the loop comes back here.
                    await asyncio.sleep(min(max(wait_ns, 0) / 1e9, _POLL_S))
                    batch = 0
                    continue
                if (index := session.take()) is not None:
                    crew.spawn(attempt_in_slot(index))
                    batch += 1

        session.begin()
        if plan.kind is LoadKind.CLOSED_LOOP:
            for _ in range(most):
                crew.spawn(keep_busy())
        else:
            crew.spawn(keep_time())
        try:
            await crew.wait(session, transport)
        finally:
            await transport.close()


class _Crew:
    """The tasks of a run."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()
        if not self._tasks and not self._idle.done():
            self._idle.set_result(None)

    async def wait(self, session: Session, transport: Transport) -> None:
        """Until every task is over: by itself, because the drain limit has passed, or because one failed."""
        loop = asyncio.get_running_loop()
        deadline: float | None = None
        while not self._idle.done():
            await asyncio.wait({self._idle}, timeout=_POLL_S)
            if self._failure is not None:
                break
            if deadline is None and (session.over or session.all_taken) and session.drain_limited:
                deadline = loop.time() + session.drain_s
            if deadline is not None and loop.time() >= deadline:
                break
        transport.abandon()
        if self._failure is not None:
            for task in list(self._tasks):
                task.cancel()
        await self._idle
        if self._failure is not None:
            raise self._failure


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A uvloop loop where there is uvloop, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _close(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
