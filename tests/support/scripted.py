"""A server on loopback whose every answer is decided by the test: chat replies, class scores, failures, silence."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from support.loopback import LoopbackHandler, LoopbackServer

Chat = Callable[[str], "str | int | None"]
"""From a prompt to a reply's text, to an HTTP status for an error, or to None to hang up."""

Predict = Callable[[list[list[float]]], "list[list[float]] | int | None"]
"""From inputs to class scores, or the same failures."""


class ScriptedServer(LoopbackServer):
    """Speaks OpenAI chat under /v1, whole or streamed, and plain JSON prediction under /predict."""

    def __init__(
        self,
        *,
        chat: Chat | None = None,
        predict: Predict | None = None,
        kserve: tuple[str, list[int]] | None = None,
        embed: Callable[[str], list[float]] | None = None,
    ) -> None:
        self.chat = chat
        self.embed = embed
        """From a text to its vector, under /v1/embeddings."""
        self.predict = predict
        self.kserve = kserve
        """Name and shape of the input tensor of the model m, if it is served."""
        self.asked = 0
        """POST requests so far."""
        self.counts_prompts = True
        """Whether it says how many tokens a prompt has."""
        self.bodies: list[dict[str, Any]] = []
        self.counting = threading.Lock()
        super().__init__(_Handler)

    @property
    def v1(self) -> str:
        return f"{self.origin}/v1"

    def die(self) -> None:
        """Take no more connections and cut those that there are, as a killed process does."""
        self._http.socket.shutdown(socket.SHUT_RDWR)
        self.cut()


class _Handler(LoopbackHandler):
    server_of_test: ScriptedServer

    def do_GET(self) -> None:  # noqa: N802 - the name of http.server
        if self.path == "/v1/models":
            self.send_json(200, {"object": "list", "data": [{"id": "scripted", "object": "model"}]})
        elif self.path == "/v2/models/m" and self.server_of_test.kserve:
            name, shape = self.server_of_test.kserve
            tensor = {"name": name, "datatype": "FP32", "shape": [-1, *shape]}
            self.send_json(
                200, {"name": "m", "versions": ["1"], "platform": "test", "inputs": [tensor], "outputs": []}
            )
        else:
            self.send_json(404, {"error": {"message": "no such page"}})

    def do_POST(self) -> None:  # noqa: N802 - the name of http.server
        server = self.server_of_test
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with server.counting:
            server.asked += 1
            server.bodies.append(body)
        if self.path == "/predict" and server.predict is not None:
            scores = server.predict(body["inputs"])
            self._answer(scores, lambda found: self.send_json(200, {"scores": found}))
        elif self.path == "/v2/models/m/infer" and server.predict is not None:
            tensor = body["inputs"][0]
            rows, width = tensor["shape"][0], math.prod(tensor["shape"][1:])
            flat = np.ravel(tensor["data"]).reshape(rows, width).tolist()
            self._answer(server.predict(flat), self._tensor)
        elif self.path == "/v1/embeddings" and server.embed is not None:
            entry = {"object": "embedding", "index": 0, "embedding": server.embed(body["input"])}
            self.send_json(200, {"object": "list", "data": [entry], "usage": {"prompt_tokens": 3}})
        elif self.path == "/v1/chat/completions" and server.chat is not None:
            text = server.chat(body["messages"][-1]["content"])
            self._answer(text, lambda found: self._chat(found, stream=bool(body.get("stream"))))
        else:
            self.send_json(404, {"error": {"message": "no such path"}})

    def _answer(self, answer: Any, give: Callable[[Any], None]) -> None:
        if answer is None:
            self.close_connection = True
            self.connection.close()
        elif isinstance(answer, int):
            self.send_json(answer, {"error": {"message": "as the script says"}})
        else:
            give(answer)

    def _chat(self, text: str, *, stream: bool) -> None:
        usage = {
            "prompt_tokens": 3,
            "completion_tokens": len(text.split()),
            "total_tokens": 3 + len(text.split()),
        }
        if not self.server_of_test.counts_prompts:
            del usage["prompt_tokens"]
        if not stream:
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            self.send_json(
                200, {"object": "chat.completion", "model": "scripted", "choices": [choice], "usage": usage}
            )
            return
        events = [{"choices": [{"index": 0, "delta": {"content": f"{word} "}}]} for word in text.split()]
        events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        events.append({"choices": [], "usage": usage})
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in [*map(json.dumps, events), "[DONE]"]:
            data = f"data: {event}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            time.sleep(0.002)
        self.wfile.write(b"0\r\n\r\n")

    def _tensor(self, scores: list[list[float]]) -> None:
        flat = [score for row in scores for score in row]
        shape = [len(scores), len(scores[0])]
        output = {"name": "scores", "datatype": "FP32", "shape": shape, "data": flat}
        self.send_json(200, {"model_name": "m", "outputs": [output]})
