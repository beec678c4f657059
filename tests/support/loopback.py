"""What servers of the tests are made of: HTTP on loopback, in threads of their own, ended with the test."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, TypeVar

_Own = TypeVar("_Own", bound="LoopbackServer")


class LoopbackHandler(BaseHTTPRequestHandler):
    """One connection. `server_of_test` is the server that it belongs to."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_of_test: ClassVar[Any]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""

    def setup(self) -> None:
        super().setup()
        self.server_of_test.connections.add(self.connection)

    def send_json(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what half of these tests are about."""


class LoopbackServer:
    """Serves as soon as it is made, on a free port where none is named."""

    def __init__(self, handler: type[LoopbackHandler], *, port: int = 0) -> None:
        self.connections: set[socket.socket] = set()
        """Every connection so far."""
        self._http = _Server(("127.0.0.1", port), type("Handler", (handler,), {"server_of_test": self}))
        self.port = int(self._http.server_address[1])
        self.origin = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Cut all connections."""
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def __enter__(self: _Own) -> _Own:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
