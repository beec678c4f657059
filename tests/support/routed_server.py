"""A real HTTP server on loopback whose routes are functions of the test: whole replies, streams, errors, hanging up."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Reply = dict[str, Any] | int | Iterable[bytes] | None
"""A JSON document, an HTTP status, the chunks of a stream, or None to hang up."""
Route = Callable[[dict[str, Any]], Reply]
"""From the body of a request (empty for a GET) to its reply."""


class RoutedServer:
    """Answers by ``routes``: ``"GET /api/ps"`` to a function. What it was asked is in `asked`."""

    def __init__(self, routes: Mapping[str, Route], *, port: int = 0) -> None:
        self.routes = dict(routes)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        outer = self

        class Handler(_Handler):
            server_of_test = outer

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away is what some tests are about."""

        self._http = Server(("127.0.0.1", port), Handler)
        self.connections: set[socket.socket] = set()
        self.port = int(self._http.server_address[1])
        self.origin = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def bodies(self, route: str) -> list[dict[str, Any]]:
        return [body for asked, body in self.asked if asked == route]

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> RoutedServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_of_test: RoutedServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""

    def setup(self) -> None:
        super().setup()
        self.server_of_test.connections.add(self.connection)

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["content-length"]))
        self._serve(json.loads(data) if data else {})

    def _serve(self, body: dict[str, Any]) -> None:
        asked = f"{self.command} {self.path}"
        self.server_of_test.asked.append((asked, body))
        route = self.server_of_test.routes.get(asked)
        reply: Reply = 404 if route is None else route(body)
        if reply is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif isinstance(reply, int):
            self._whole(reply, {"error": f"as the test says, status {reply}"})
        elif isinstance(reply, dict):
            self._whole(200, reply)
        else:
            self._chunks(reply)

    def _whole(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _chunks(self, chunks: Iterable[bytes]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            if chunk:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")
