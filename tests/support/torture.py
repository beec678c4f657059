"""Scripted replies: what each is, what must come of it, a server on loopback that writes it, and our engine that reads
it."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from hexgate.load.sending.attempt import Attempt
from hexgate.load.sending.flight import Flight
from hexgate.load.sending.layout import Outcome
from hexgate.load.sending.origin import Origin
from hexgate.load.sending.reading import exchange_of, read_exchange
from hexgate.load.sending.sender import HttpSender
from hexgate.wire.base import Ask, Usage
from hexgate.wire.registry import dialect

__all__ = ["Act", "Case", "Expected", "Framing", "TortureServer", "attempt_of", "torture_server"]


NO_USAGE = Usage()


class Act(Enum):
    """What a script does beside writing."""

    RESET = "reset"
    """Reset the connection."""
    CLOSE = "close"
    """Close it."""
    HANG = "hang"
    """Write no more, and keep it open."""


class Framing(Enum):
    """How HTTP says where the body ends."""

    CHUNKED = "chunked"
    LENGTH = "content-length"
    CLOSE = "close"


@dataclass(frozen=True)
class Expected:
    """What must come of a reply. Pieces are counted from 0; None is "there is none"."""

    outcome: Outcome = Outcome.OK
    error: str = ""
    """How the error begins; empty where there is none."""
    kinds: str | None = None
    """The kinds of all events in order, without ERROR; None where the case does not say."""
    text: str | None = None
    """The text of the answer."""
    events: int = 0
    """Events with tokens, scores or vectors."""
    first_event: int | None = None
    first_token: int | None = None
    first_answer: int | None = None
    last_token: int | None = None
    first_event_tokens: int | None = None
    usage: Usage = NO_USAGE


@dataclass(frozen=True)
class Case:
    """One scripted reply."""

    name: str
    pieces: tuple[bytes, ...]
    """The body, one piece for each write."""
    expected: Expected
    dialect: str = "openai-chat"
    stream: bool = True
    status: int = 200
    headers: tuple[str, ...] = ()
    framing: Framing = Framing.CHUNKED
    packed: str = ""
    """Content encoding; each piece is flushed."""
    script: tuple[bytes | Act, ...] = ()
    """The bytes of the whole HTTP reply, where the fault is there; `pieces` is empty then, and a piece of `expected`
    is the number of a write."""
    timeout_s: float = 20.0


def steps(case: Case) -> Iterator[tuple[bytes | Act, int]]:
    """What the server does, each with the number of its piece; -1 where it belongs to none."""
    if case.script:
        yield from ((step, number) for number, step in enumerate(case.script))
        return
    pieces = list(case.pieces)
    headers = list(case.headers)
    if case.packed:
        packer = zlib.compressobj(wbits={"gzip": 31, "deflate": 15, "raw deflate": -15}[case.packed])
        pieces = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
        pieces[-1] += packer.flush()
        headers.append(f"content-encoding: {case.packed.removeprefix('raw ')}")
    if case.framing is Framing.CHUNKED:
        headers.append("transfer-encoding: chunked")
    elif case.framing is Framing.LENGTH:
        headers.append(f"content-length: {sum(map(len, pieces))}")
    else:
        headers.append("connection: close")
    yield "\r\n".join([f"HTTP/1.1 {case.status} Scripted", *headers, "", ""]).encode(), -1
    for number, piece in enumerate(pieces):
        if case.framing is Framing.CHUNKED and piece:
            yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n", number
        else:
            yield piece, number
    if case.framing is Framing.CHUNKED:
        yield b"0\r\n\r\n", -1
    elif case.framing is Framing.CLOSE:
        yield Act.CLOSE, -1


@dataclass
class TortureServer:
    """A raw TCP server in a thread of its own. It writes the script of `case`, and notes when each piece went out."""

    case: Case | None = None
    sent_ns: dict[int, int] = field(default_factory=dict)
    """When the writing of each piece began."""
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(20)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(20)

    def _run(self, ready: threading.Event) -> None:
        self._loop.run_until_complete(self._serve(ready))
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    async def _serve(self, ready: threading.Event) -> None:
        self._over = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._over.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while await self._exchange(reader, writer):
                pass
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        await reader.readexactly(length)
        assert self.case is not None
        self.sent_ns = {}
        for step, number in steps(self.case):
            if isinstance(step, bytes):
                self.sent_ns[number] = time.monotonic_ns()
                writer.write(step)
                await writer.drain()
                await self._until_read(writer)
            elif step is Act.HANG:
                await self._over.wait()
                return False
            else:
                if step is Act.RESET:
                    # A socket that lingers for no time at all resets instead of closing.
                    sock = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
        return True

    @staticmethod
    async def _until_read(writer: asyncio.StreamWriter) -> None:
        """Wait until the other side has read what was written, so that each write is a read of its own there."""
        here, there = writer.get_extra_info("sockname")[1], writer.get_extra_info("peername")[1]
        for _ in range(2000):
            if unread_bytes(there, here) == 0:
                break
            await asyncio.sleep(0.0005)
        await asyncio.sleep(0.001)


def unread_bytes(own: int, other: int) -> int:
    """Bytes on loopback that wait to be read at the port `own`, from the port `other`; 0 where nothing tells."""
    table = Path("/proc/net/tcp")
    far = f"0100007F:{own:04X} 0100007F:{other:04X} "
    for line in table.read_text("ascii").splitlines() if table.exists() else ():
        if far in line:
            return int(line.split()[4].partition(":")[2], 16)
    return 0


@contextmanager
def torture_server() -> Iterator[TortureServer]:
    """The server, until the block is left."""
    server = TortureServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def attempt_of(url: str, ask: Ask, *, spoken: str, timeout_s: float = 20.0) -> Attempt:
    """One request by our own engine, over a connection of its own, and what it makes of the reply."""
    return asyncio.run(_attempt_of(url, ask, spoken, timeout_s))


async def _attempt_of(url: str, ask: Ask, spoken: str, timeout_s: float) -> Attempt:
    speaker = dialect(spoken)
    over: asyncio.Future[Flight] = asyncio.get_running_loop().create_future()
    origin = Origin.parse(url, {})
    sender = HttpSender(origin, timeout_s=timeout_s, ended=over.set_result)
    flight = Flight(0, 0, 0, 0, -1, time.monotonic_ns())
    flight.request = origin.request_bytes(speaker.request(ask))
    sender.send(flight)
    try:
        while not over.done():
            await asyncio.wait([over], timeout=0.05)
            sender.expire(time.monotonic_ns())
    finally:
        await sender.close()
    inputs = None if ask.inputs is None else len(ask.inputs)
    return read_exchange(exchange_of(over.result()), speaker, stream=ask.stream, inputs=inputs)
