"""A small HTTP proxy on loopback: it forwards requests with a whole URL, and opens tunnels for CONNECT."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

import httptools


class ForwardProxy:
    """The proxy, in a thread of its own.

    Args:
        refuses: status line with which every request is refused, such as ``407 Proxy Authentication Required``.
    """

    def __init__(self, *, refuses: str | None = None) -> None:
        self.asked: list[str] = []
        """Method and target of each request to it."""
        self.credentials: set[str] = set()
        """Values of ``proxy-authorization``."""
        self._refuses = refuses
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> ForwardProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._over.wait()
        server.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while await self._request(reader, writer):
                pass
        writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; whether another may follow."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        lines = [line for line in head[1:] if line]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.asked.append(f"{method} {target}")
        if "proxy-authorization" in headers:
            self.credentials.add(headers["proxy-authorization"])
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if self._refuses is not None:
            writer.write(f"HTTP/1.1 {self._refuses}\r\ncontent-length: 0\r\n\r\n".encode())
            return True
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            await self._tunnel(host, int(port), reader, writer)
            return False
        parts = urlsplit(target)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        kept = [line for line in lines if not line.lower().startswith("proxy-")]
        request = "\r\n".join([f"{method} {path} HTTP/1.1", *kept]).encode("latin-1") + b"\r\n\r\n" + body
        await self._forward(parts.hostname or "", parts.port or 80, request, writer)
        return True

    async def _tunnel(
        self, host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        there, back = await asyncio.open_connection(host, port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_copied(reader, back), _copied(there, writer))

    async def _forward(self, host: str, port: int, request: bytes, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, port)
        back.write(request)
        reply = _Reply()
        parser = httptools.HttpResponseParser(reply)
        while not reply.complete and (data := await there.read(65_536)):
            parser.feed_data(data)
            writer.write(data)
            await writer.drain()
        back.close()


class _Reply:
    complete = False

    def on_message_complete(self) -> None:
        self.complete = True


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
