"""A judge on loopback that speaks OpenAI chat: every reply is decided by the test, from the answer that is judged."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Asked", "JudgeServer", "Says", "grades"]

_ANSWER = re.compile(r"\[BEGIN ANSWER TO GRADE (\w+)\]\n(.*)\n\[END ANSWER TO GRADE \1\]", re.DOTALL)


def grades(factuality: Any = 2, helpfulness: Any = 1.5, structure: Any = 2.5, conciseness: Any = 1) -> str:
    """A reply as the rubric wants it."""
    given = {
        "factuality": factuality,
        "helpfulness": helpfulness,
        "structure": structure,
        "conciseness": conciseness,
    }
    return json.dumps({name: {"rationale": f"why {name}", "score": score} for name, score in given.items()})


@dataclass(frozen=True)
class Asked:
    """One request, as the server got it."""

    number: int
    """Of this answer, from 0."""
    answer: str
    """The answer between its border lines."""
    body: Mapping[str, Any]
    """The whole body."""
    headers: Mapping[str, str]
    """The headers, names in lower case."""
    at_s: float
    """When it came, monotonic."""


@dataclass(frozen=True)
class Says:
    """What the server does."""

    text: str | None = None
    """Content of the message; None for an error body."""
    status: int = 200
    """HTTP status."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers."""
    finish: str = "stop"
    """The finish reason."""
    usage: bool = True
    """Whether it counts: 1000 tokens in, 100 out."""
    delay_s: float = 0.0
    """How long it takes."""
    raw: bytes | None = None
    """The whole body instead."""


class JudgeServer:
    """Serves until it is closed."""

    def __init__(self, script: Callable[[Asked], Says | str]) -> None:
        self.asked: list[Asked] = []
        """Requests, in the order in which they came."""
        self.most_at_once = 0
        """Most requests under way at a time."""
        lock, counts = threading.Lock(), dict[str, int]()
        here = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Say nothing."""

            def do_POST(self) -> None:
                nonlocal here
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                found = _ANSWER.search(body["messages"][-1]["content"])
                answer = found[2] if found else ""
                with lock:
                    number = counts.get(answer, 0)
                    counts[answer] = number + 1
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    asked = Asked(number, answer, body, headers, time.monotonic())
                    outer.asked.append(asked)
                    here += 1
                    outer.most_at_once = max(outer.most_at_once, here)
                said = script(asked)
                says = Says(said) if isinstance(said, str) else said
                time.sleep(says.delay_s)
                with lock:
                    here -= 1
                self._send(says)

            def _send(self, says: Says) -> None:
                data = says.raw if says.raw is not None else json.dumps(_body(says)).encode()
                self.send_response(says.status)
                for name, value in {"content-type": "application/json", **says.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that was killed is what some tests are about."""

        self._http = Server(("127.0.0.1", 0), Handler)
        self.v1 = f"http://127.0.0.1:{self._http.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> JudgeServer:
        return self

    def __exit__(self, *ended: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def _body(says: Says) -> dict[str, Any]:
    if says.status != 200:
        return {"error": {"message": says.text or "as the script says"}}
    message = {"role": "assistant", "content": says.text}
    body: dict[str, Any] = {
        "object": "chat.completion",
        "model": "judge",
        "choices": [{"index": 0, "message": message, "finish_reason": says.finish}],
    }
    if says.usage:
        body["usage"] = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    return body
