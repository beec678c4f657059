"""A gateway on loopback before a store's server: it records each request, and hands it on or meets it with a fault.

Given to a client as its HTTP proxy it sees the whole host that the client means, without any name being resolved; it
then puts the bucket into the path, for a server that knows no virtual hosts. Given as an endpoint it hands on what it
gets.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit
from xml.sax.saxutils import escape


class Harm(Enum):
    """What happens to the true answer of one request."""

    CUT = "cut"
    """The connection is closed without a byte of an answer; the server behind has done what it was asked."""
    CUT_BODY = "cut body"
    """Half of the body, then the connection is closed."""
    SHORT = "short"
    """Half of the body, with a length that says it is all."""
    CHANGED = "changed"
    """The last byte of the body is another."""


@dataclass(frozen=True)
class Refusal:
    """An answer instead of the true one; the server behind is not asked."""

    status: int
    code: str
    message: str = "scripted"

    @property
    def body(self) -> bytes:
        return f"<Error><Code>{self.code}</Code><Message>{escape(self.message)}</Message></Error>".encode()


@dataclass(frozen=True)
class Seen:
    """One request as it came."""

    line: str
    """The request line."""
    method: str
    host: str
    """Of the request line where it has one, else of the header Host."""
    path: str
    headers: Mapping[str, str] = field(repr=False)


class Gateway:
    """Use as a context manager. `url` is its address; `hosts` maps a host to what is put before its paths.

    Without a server behind it every request must meet a fault.
    """

    def __init__(self, server: str | None = None, hosts: Mapping[str, str] | None = None) -> None:
        self.seen: list[Seen] = []
        self.hosts = dict(hosts or {})
        self._behind = urlsplit(server).netloc if server else None
        self._faults: deque[tuple[Callable[[Seen], bool], Harm | Refusal]] = deque()
        self._lock = threading.Lock()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def _serve(self) -> None:
                gateway._serve(self)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Gateway:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def harm_next(self, *faults: Harm | Refusal, when: Callable[[Seen], bool] = lambda _: True) -> None:
        """The next requests for which `when` holds meet these faults, one each, in order."""
        with self._lock:
            self._faults.extend((when, fault) for fault in faults)

    def fresh(self) -> None:
        """Forget what was seen, and what faults are left."""
        with self._lock:
            self.seen.clear()
            self._faults.clear()

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.seen]

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        target = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
        request = Seen(handler.requestline, handler.command, target.netloc or headers["host"], path, headers)
        with self._lock:
            self.seen.append(request)
            fault = self._faults.popleft()[1] if self._faults and self._faults[0][0](request) else None
        if isinstance(fault, Refusal):
            self._send(handler, fault.status, {"x-ms-error-code": fault.code}, fault.body)
            return
        status, answered, content = self._ask(request, body) if self._behind else (200, {}, b"")
        if fault is Harm.CUT:
            self._close(handler)
            return
        if fault is Harm.SHORT:
            content = content[: len(content) // 2]
        if fault is Harm.CHANGED:
            content = content[:-1] + bytes([content[-1] ^ 1])
        self._send(handler, status, answered, content, cut=fault is Harm.CUT_BODY)

    def _ask(self, request: Seen, body: bytes) -> tuple[int, dict[str, str], bytes]:
        passed = {name: value for name, value in request.headers.items() if name not in _HOP}
        assert self._behind is not None
        connection = HTTPConnection(self._behind, timeout=60)
        try:
            connection.request(request.method, self.hosts.get(request.host, "") + request.path, body, passed)
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content
        finally:
            connection.close()

    def _send(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        *,
        cut: bool = False,
    ) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            if name not in _HOP and name != "content-length":
                handler.send_header(name, value)
        head = handler.command == "HEAD"
        handler.send_header("content-length", headers.get("content-length", "0") if head else str(len(body)))
        handler.end_headers()
        if not head and status not in {204, 304}:
            handler.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self._close(handler)

    @staticmethod
    def _close(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.flush()
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)


_HOP = {
    "host",
    "connection",
    "proxy-connection",
    "keep-alive",
    "transfer-encoding",
    "expect",
    "server",
    "date",
}
