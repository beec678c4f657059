"""HTTP/1.1 for the reference endpoint: keep-alive, pipelining, chunked streams, limits. No routes."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

import httptools

__all__ = ["Connection", "Handler", "Request", "Response", "Streamed", "json_response"]

MAX_BODY = 16 * 1024 * 1024
_MAX_HEADERS = 64 * 1024
_MAX_QUEUED = 16
# How long a refused sender may go on sending before the connection is cut.
_LINGER_S = 1.0


@dataclass(frozen=True)
class Request:
    """One request, whole."""

    method: str
    """``GET``, ``POST``, ..."""
    path: str
    """The path as it was sent, without the query."""
    body: bytes
    """The body."""
    keep_alive: bool = True
    """Whether the client wants to go on with this connection."""
    chunks: bool = True
    """Whether the client understands a reply in chunks (HTTP/1.1)."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """The parts of the path that vary, by the names that the route gives them."""


@dataclass(frozen=True)
class Response:
    """A reply whose length is known."""

    status: int
    """HTTP status."""
    body: bytes
    """The body."""
    content_type: str = "application/json"
    """Its type."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers."""


@dataclass(frozen=True)
class Streamed:
    """A reply in pieces, each sent as soon as it is there."""

    pieces: AsyncIterator[bytes]
    """The pieces."""
    content_type: str
    """Type of the whole."""


Handler = Callable[[Request], Awaitable["Response | Streamed"]]
"""What answers requests. It raises nothing that it expects."""


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A reply of one JSON document."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Response(status, body.encode("utf-8"), headers=headers or {})


class Connection(asyncio.Protocol):
    """One connection. Its requests are answered one after the other, in the order in which they came."""

    def __init__(self, handle: Handler, others: set[Connection]) -> None:
        self._handle = handle
        self._others = others
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request | Response] = deque()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport
        self._refused = False
        self._begin()

    def _begin(self) -> None:
        self._path = ""
        self._body: list[bytes] = []
        self._size = 0
        self._header_size = 0
        self._expects = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is there."""
        # uvloop's transports are streams without being subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._others.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        """The client has gone; whatever was being made for it is not needed."""
        self._others.discard(self)
        self._writable.set()
        if self._task is not None:
            self._task.cancel()

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    def pause_writing(self) -> None:
        """The client reads more slowly than it is written to."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Bytes have come in."""
        if self._refused:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(HTTPStatus.BAD_REQUEST, "this is not an HTTP/1.1 request")

    def on_url(self, url: bytes) -> None:
        """The parser has read (a part of) the request's target."""
        self._header_size += len(url)
        self._path += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser has read a header."""
        self._header_size += len(name) + len(value)
        if self._header_size > _MAX_HEADERS:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are too large")
        lowered = name.lower()
        if lowered == b"expect" and value.lower() == b"100-continue":
            self._expects = True
        elif lowered == b"content-length" and int(value) > MAX_BODY:
            self._refuse_size()

    def on_headers_complete(self) -> None:
        """The parser has read all headers."""
        if self._expects and not self._refused and self._task is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """The parser has read a part of the body."""
        self._size += len(body)
        if self._size > MAX_BODY:
            self._refuse_size()
        elif not self._refused:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """The parser has read a whole request."""
        if self._refused:
            return
        request = Request(
            method=self._parser.get_method().decode("latin-1"),
            path=self._path.partition("?")[0],
            body=b"".join(self._body),
            keep_alive=self._parser.should_keep_alive(),
            chunks=self._parser.get_http_version() == "1.1",
        )
        self._begin()
        self._enqueue(request)

    def _refuse_size(self) -> None:
        self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {MAX_BODY} bytes")

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        """Answer what cannot be read on, once, after what was asked before."""
        if not self._refused:
            self._refused = True
            self._enqueue(json_response({"error": message}, status))

    def _enqueue(self, entry: Request | Response) -> None:
        self._queue.append(entry)
        if len(self._queue) > _MAX_QUEUED:
            self._transport.pause_reading()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._serve())

    async def _serve(self) -> None:
        while self._queue and not self._transport.is_closing():
            entry = self._queue.popleft()
            if len(self._queue) == _MAX_QUEUED // 2:
                self._transport.resume_reading()
            if isinstance(entry, Response):
                self._write(entry, keep_alive=False, head_only=False)
                self._linger()
                return
            if not await self._answer(entry):
                self._transport.close()
                return
        self._task = None

    async def _answer(self, request: Request) -> bool:
        """Answer one request; whether the connection goes on."""
        try:
            reply = await self._handle(request)
            if isinstance(reply, Streamed):
                return await self._stream(reply, request)
        except Exception as error:  # noqa: BLE001 - one request's fault must not end the server; it is reported
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"{request.method} {request.path} failed", "exception": error}
            )
            reply = json_response({"error": "the server failed"}, HTTPStatus.INTERNAL_SERVER_ERROR)
            self._write(reply, keep_alive=False, head_only=False)
            return False
        self._write(reply, keep_alive=request.keep_alive, head_only=request.method == "HEAD")
        await self._writable.wait()
        return request.keep_alive

    def _write(self, reply: Response, *, keep_alive: bool, head_only: bool) -> None:
        fields = {"content-type": reply.content_type, "content-length": str(len(reply.body)), **reply.headers}
        self._transport.write(_head(reply.status, fields, keep_alive) + (b"" if head_only else reply.body))

    async def _stream(self, reply: Streamed, request: Request) -> bool:
        keep_alive = request.keep_alive and request.chunks
        fields = {"content-type": reply.content_type, "cache-control": "no-cache"}
        if request.chunks:
            fields["transfer-encoding"] = "chunked"
        self._transport.write(_head(HTTPStatus.OK, fields, keep_alive))
        try:
            async for piece in reply.pieces:
                framed = b"%x\r\n%b\r\n" % (len(piece), piece) if request.chunks else piece
                self._transport.write(framed)
                await self._writable.wait()
        except Exception as error:  # noqa: BLE001 - the status is sent; only a cut stream can show the failure
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"{request.method} {request.path} broke off", "exception": error}
            )
            self._transport.abort()
            return False
        if request.chunks:
            self._transport.write(b"0\r\n\r\n")
        return keep_alive

    def _linger(self) -> None:
        # A connection closed with unread data is reset, and the reply would be lost on its way.
        if self._transport.can_write_eof():
            self._transport.write_eof()
        asyncio.get_running_loop().call_later(_LINGER_S, self._transport.close)


def _head(status: int, fields: Mapping[str, str], keep_alive: bool) -> bytes:
    lines = [f"HTTP/1.1 {int(status)} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    lines.append(f"connection: {'keep-alive' if keep_alive else 'close'}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
