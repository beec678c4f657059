"""An HTTP/2 server on loopback, over TLS (ALPN) or in clear text at once, whose replies a test scripts."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType

import h2.config
import h2.connection
import h2.events
import h2.exceptions


class Stream:
    """One request, and what its reply is written to."""

    def __init__(
        self,
        number: int,
        headers: dict[str, str],
        http: h2.connection.H2Connection,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.headers = headers
        """Those of the request, with ``:path`` and its like."""
        self.body = b""
        """That of the request."""
        self._number = number
        self._http = http
        self._writer = writer

    async def begin(self, status: int = 200, **headers: str) -> None:
        self._http.send_headers(self._number, [(":status", str(status)), *headers.items()])
        await self._flush()

    async def data(self, data: bytes) -> None:
        self._http.send_data(self._number, data)
        await self._flush()

    async def end(self) -> None:
        self._http.end_stream(self._number)
        await self._flush()

    async def reset(self) -> None:
        self._http.reset_stream(self._number, error_code=2)
        await self._flush()

    async def _flush(self) -> None:
        self._writer.write(self._http.data_to_send())
        await self._writer.drain()


Script = Callable[[Stream], Awaitable[object]]
"""Writes one reply."""


class Http2Server:
    """The server, in a thread of its own.

    Args:
        script: writes each reply.
        tls: its certificate; None for clear text.
    """

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        """How many there were."""
        self.asked: list[Stream] = []
        """Requests, in order."""
        self._script = script
        self._tls = tls
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def __enter__(self) -> Http2Server:
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
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, ssl=self._tls)
        self._port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._over.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        http = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="latin-1")
        )
        http.initiate_connection()
        writer.write(http.data_to_send())
        streams: dict[int, Stream] = {}
        replies = set[asyncio.Task[object]]()
        with suppress(ConnectionError, h2.exceptions.ProtocolError, asyncio.CancelledError):
            while data := await reader.read(65_536):
                for event in http.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        stream = Stream(event.stream_id, dict(event.headers), http, writer)
                        streams[event.stream_id] = stream
                    elif isinstance(event, h2.events.DataReceived):
                        streams[event.stream_id].body += event.data
                        http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, h2.events.StreamEnded):
                        self.asked.append(streams[event.stream_id])
                        task = asyncio.ensure_future(self._script(streams[event.stream_id]))  # type: ignore[arg-type]
                        replies.add(task)
                        task.add_done_callback(replies.discard)
                writer.write(http.data_to_send())
                await writer.drain()
        for task in list(replies):
            task.cancel()
        writer.close()
