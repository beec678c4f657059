"""A vendor's API on loopback for the vendor's own client: scripted faults, scripted lives, and jobs that really run.

It is a fake of the vendor's service and says nothing about the vendor's real one; what is real is the client, the HTTP
between them, and the command of the job, which runs as a process of this machine.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Fault(Enum):
    """What happens to one request instead of its answer."""

    THROTTLED = 429
    SERVER_ERROR = 500
    UNAVAILABLE = 503
    CUT = 0
    """The connection is closed without a byte."""


class Life(Enum):
    """What becomes of a job."""

    SUCCEEDS = "succeeds"
    """Queued, running (its command really runs), then what its exit code says."""
    FAILS = "fails"
    """Queued, running, failed by the platform."""
    LOST = "lost"
    """Queued, then not known any more."""
    STRANGE = "strange"
    """Queued, then a state that no document names."""
    STUCK = "stuck"
    """Queued for ever."""


@dataclass(frozen=True)
class Seen:
    """One request as it came."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int = 200
    body: Any = None
    """JSON, or bytes as they are; None for no body."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Work:
    """The command of a job, run for real on this machine, with the container's paths put where a test has them."""

    argv: Sequence[str]
    env: Mapping[str, str]
    paths: Mapping[str, Path]
    """Path in the container to folder on this machine."""
    process: subprocess.Popen[str] | None = None
    output: str = ""

    def start(self) -> None:
        if self.process is not None:
            return
        argv = [self._placed(argument) for argument in self.argv]
        if argv[0] == "hexgate":
            argv[:1] = [sys.executable, "-m", "hexgate"]
        self.process = subprocess.Popen(
            argv,
            env=dict(os.environ) | {name: self._placed(value) for name, value in self.env.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )

    def _placed(self, text: str) -> str:
        for inside, outside in self.paths.items():
            if text == inside or text.startswith(f"{inside}/"):
                return str(outside) + text[len(inside) :]
        return text

    def finish(self, timeout_s: float = 120) -> int:
        """Wait for the command and return its exit code."""
        assert self.process is not None
        out, _ = self.process.communicate(timeout=timeout_s)
        self.output = out or self.output
        return self.process.returncode

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.finish()


@dataclass
class FakeJob:
    """One job of a fake vendor. Each look at its state takes it one step on."""

    native_id: str
    body: Any
    life: Life
    work: Work | None
    looks: int = 0
    cancelled: bool = False

    def step(self) -> str:
        """``queued``, ``running``, ``succeeded``, ``failed``, ``cancelled``, ``lost`` or ``strange``."""
        self.looks += 1
        if self.cancelled:
            return "cancelled"
        if self.looks <= 2 or self.life is Life.STUCK:
            return "queued"
        if self.life in {Life.LOST, Life.STRANGE}:
            return self.life.value
        if self.work is not None and self.life is Life.SUCCEEDS:
            self.work.start()
        return "running" if self.looks <= 4 else self._end()

    def _end(self) -> str:
        worked = self.life is not Life.FAILS and (self.work is None or self.work.finish() == 0)
        return "succeeded" if worked else "failed"

    def cancel(self) -> None:
        self.cancelled = True
        if self.work is not None:
            self.work.stop()


class VendorServer:
    """The base of a fake: routes requests to `answer`, after the faults that a test has lined up.

    Use as a context manager. `address` is ``127.0.0.1:<port>``.
    """

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.faults: deque[tuple[Callable[[Seen], bool], Fault]] = deque()
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def _serve(self) -> None:
                server._serve(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> VendorServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.close()

    def close(self) -> None:
        """End what the fake began, such as the commands of jobs."""

    def fail_next(self, *faults: Fault, when: Callable[[Seen], bool] = lambda _: True) -> None:
        """The next requests for which `when` holds meet these faults, one each, in order."""
        self.faults.extend((when, fault) for fault in faults)

    def answer(self, request: Seen) -> Reply:
        """What the vendor answers."""
        raise NotImplementedError

    def fault_body(self, fault: Fault) -> Any:
        """The body of a vendor's error answer."""
        return {"error": {"code": fault.name, "message": f"scripted {fault.name.lower()}"}}

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        length = int(handler.headers.get("content-length") or 0)
        request = Seen(
            handler.command,
            parts.path,
            parse_qs(parts.query, keep_blank_values=True),
            {name.lower(): value for name, value in handler.headers.items()},
            handler.rfile.read(length),
        )
        with self._lock:
            self.seen.append(request)
            fault = None
            if self.faults and self.faults[0][0](request):
                fault = self.faults.popleft()[1]
            reply = Reply(fault.value, self.fault_body(fault)) if fault else self.answer(request)
        if fault is Fault.CUT:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(handler, reply)

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        if reply.body is None:
            data = b""
        handler.send_response(reply.status)
        if data:
            kind = "application/octet-stream" if isinstance(reply.body, bytes) else "application/json"
            handler.send_header("content-type", kind)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        if handler.command != "HEAD" and data:
            handler.wfile.write(data)
