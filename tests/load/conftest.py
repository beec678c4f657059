"""A real server on loopback, whose replies each test scripts; it stamps what it sends on the tests' own
clock."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass
class Call:
    """One request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    at_ns: int
    number: int
    """How many requests came before it."""


@dataclass
class Wire:
    """What a script writes to."""

    writer: asyncio.StreamWriter
    sent_ns: list[int]

    async def raw(self, data: bytes) -> None:
        self.sent_ns.append(time.monotonic_ns())
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, body: bytes, *, status: int = 200, headers: str = "") -> None:
        await self.raw(f"HTTP/1.1 {status} X\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body)

    async def begin_chunks(self, headers: str = "") -> None:
        await self.raw(f"HTTP/1.1 200 OK\r\n{headers}transfer-encoding: chunked\r\n\r\n".encode())

    async def chunk(self, data: bytes) -> None:
        await self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def end_chunks(self) -> None:
        await self.raw(b"0\r\n\r\n")


Script = Callable[[Call, Wire], Awaitable[object]]
"""Writes one reply. Returns False to close the connection afterwards."""


@dataclass
class Server:
    """The server, in a thread of its own."""

    script: Script
    tls: ssl.SSLContext | None = None
    calls: list[Call] = field(default_factory=list)
    sent_ns: list[int] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(10)

    def _run(self, ready: threading.Event) -> None:
        self._loop.run_until_complete(self._serve(ready))
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    async def _serve(self, ready: threading.Event) -> None:
        self._over = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self.port, ssl=self.tls)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._over.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in head[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                method, path, _ = head[0].split(" ")
                call = Call(method, path, headers, body, connection, time.monotonic_ns(), len(self.calls))
                self.calls.append(call)
                if await self.script(call, Wire(writer, self.sent_ns)) is False:
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers; all are stopped when the test ends."""
    started: list[Server] = []

    def start(script: Script, *, tls: ssl.SSLContext | None = None, port: int = 0) -> Server:
        server = Server(script, tls, port=port)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def certificate() -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, good for nothing but these tests."""
    return Path(__file__).with_name("loopback.pem")


def sse(text: str | None = None, *, finish: str | None = None, **top: object) -> bytes:
    """One event of an OpenAI chat stream."""
    choices = [{"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}]
    return f"data: {json.dumps({'choices': choices, **top})}\n\n".encode()


@pytest.fixture
def chat_event() -> Callable[..., bytes]:
    return sse
