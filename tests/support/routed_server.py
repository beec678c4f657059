"""A real HTTP server on loopback whose routes are functions of the test: whole replies, streams, errors, hanging up."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from support.loopback import LoopbackHandler, LoopbackServer

Reply = dict[str, Any] | int | Iterable[bytes] | None
"""A JSON document, an HTTP status, the chunks of a stream, or None to hang up."""
Route = Callable[[dict[str, Any]], Reply]
"""From the body of a request (empty for a GET) to its reply."""


class RoutedServer(LoopbackServer):
    """Answers by ``routes``: ``"GET /api/ps"`` to a function. What it was asked is in `asked`."""

    def __init__(self, routes: Mapping[str, Route], *, port: int = 0) -> None:
        self.routes = dict(routes)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        super().__init__(_Handler, port=port)

    def bodies(self, route: str) -> list[dict[str, Any]]:
        return [body for asked, body in self.asked if asked == route]

    def close(self) -> None:
        super().close()
        self.cut()


class _Handler(LoopbackHandler):
    server_of_test: RoutedServer

    def do_GET(self) -> None:  # noqa: N802 - the name of http.server
        self._serve({})

    def do_POST(self) -> None:  # noqa: N802 - the name of http.server
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
            self.send_json(reply, {"error": f"as the test says, status {reply}"})
        elif isinstance(reply, dict):
            self.send_json(200, reply)
        else:
            self._chunks(reply)

    def _chunks(self, chunks: Iterable[bytes]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            if chunk:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")
