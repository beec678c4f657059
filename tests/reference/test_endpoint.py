from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from hexgate.errors import InputError
from hexgate.reference import endpoint_server
from hexgate.reference.endpoint import RunningServer, serve_forever, start_server
from hexgate.reference.endpoint_http import MAX_BODY

MODEL = "hexgate-demo-lm"
DIGITS = "hexgate-demo-digits"
HELLO = {"model": MODEL, "messages": [{"role": "user", "content": "Tell me about tea."}], "temperature": 0}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with start_server() as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=20) as opened:
        yield opened


def events(text: str) -> list[Any]:
    parts = [part for part in text.split("\n\n") if part]
    assert all(part.startswith("data: ") for part in parts)
    assert parts[-1] == "data: [DONE]"
    return [json.loads(part[6:]) for part in parts[:-1]]


def test_the_front_page_says_what_this_is(client: httpx.Client) -> None:
    page = client.get("/")
    assert "demonstration" in page.text
    assert page.headers["content-type"].startswith("text/plain")
    assert client.get("/healthz").json()["status"] == "ok"
    head = client.head("/healthz")
    assert (head.status_code, head.content) == (200, b"")


def test_predict(client: httpx.Client) -> None:
    found = client.post("/predict", json={"inputs": [[0.0] * 64, [[1.0] * 8] * 8]}).json()
    assert found["labels"] == list("0123456789")
    assert [len(row) for row in found["scores"]] == [10, 10]
    expected = [found["labels"][row.index(max(row))] for row in found["scores"]]
    assert found["predictions"] == expected
    assert found["model"] == DIGITS


def test_kserve(client: httpx.Client) -> None:
    assert client.get("/v2").json()["name"] == "hexgate"
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get(f"/v2/models/{DIGITS}/ready").json()["ready"] is True
    described = client.get(f"/v2/models/{DIGITS}").json()
    assert described["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 64]}]
    tensor = {"name": "input", "shape": [2, 64], "datatype": "FP32", "data": [0.5] * 128}
    found = client.post(f"/v2/models/{DIGITS}/infer", json={"id": "7", "inputs": [tensor]}).json()
    output = found["outputs"][0]
    assert (found["id"], output["shape"], len(output["data"])) == ("7", [2, 10], 20)
    plain = client.post("/predict", json={"inputs": [[0.5] * 64]}).json()
    assert output["data"][:10] == pytest.approx(plain["scores"][0])


def test_chat_whole_and_streamed(client: httpx.Client) -> None:
    whole = client.post("/v1/chat/completions", json=HELLO).json()
    message = whole["choices"][0]["message"]
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert (
        whole["usage"]["total_tokens"]
        == whole["usage"]["prompt_tokens"] + whole["usage"]["completion_tokens"]
    )
    body = HELLO | {"stream": True, "stream_options": {"include_usage": True}}
    reply = client.post("/v1/chat/completions", json=body)
    assert reply.headers["content-type"] == "text/event-stream"
    chunks = events(reply.text)
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    texts = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1]]
    assert "".join(texts) == message["content"]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == whole["usage"]
    assert sum(1 for text in texts if text) == whole["usage"]["completion_tokens"]
    without = events(client.post("/v1/chat/completions", json=HELLO | {"stream": True}).text)
    assert all("usage" not in chunk for chunk in without)


def test_the_limit_and_the_seed(client: httpx.Client) -> None:
    short = client.post("/v1/chat/completions", json=HELLO | {"max_tokens": 4}).json()
    assert short["choices"][0]["finish_reason"] == "length"
    assert short["usage"]["completion_tokens"] == 4

    def text(seed: int) -> str:
        body = HELLO | {"temperature": 1.5, "seed": seed}
        return str(client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"])

    assert text(1) == text(1)
    assert len({text(seed) for seed in range(5)}) > 1


def test_completions_and_stop(client: httpx.Client) -> None:
    body = {"model": MODEL, "prompt": "Tell me about tea.", "temperature": 0, "max_tokens": 60}
    whole = client.post("/v1/completions", json=body).json()["choices"][0]["text"]
    word = whole.split(" ")[4]
    stopped = client.post("/v1/completions", json=body | {"stop": [word]}).json()["choices"][0]
    assert stopped["finish_reason"] == "stop"
    assert stopped["text"] == whole[: whole.index(word)]
    chunks = events(client.post("/v1/completions", json=body | {"stop": word, "stream": True}).text)
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == stopped["text"]


def test_ollama(client: httpx.Client) -> None:
    tags = client.get("/api/tags").json()["models"]
    assert [tag["name"] for tag in tags] == [f"{MODEL}:latest"]
    assert "hexgate" in client.get("/api/version").json()["version"]
    body = {"model": MODEL, "prompt": "Tell me about tea.", "options": {"temperature": 0, "num_predict": 9}}
    lines = [json.loads(line) for line in client.post("/api/generate", json=body).text.splitlines()]
    whole = client.post("/api/generate", json=body | {"stream": False}).json()
    assert "".join(line["response"] for line in lines) == whole["response"]
    assert [line["done"] for line in lines] == [False] * 9 + [True]
    for last in (lines[-1], whole):
        assert (last["done_reason"], last["eval_count"]) == ("length", 9)
        assert last["prompt_eval_count"] == 5
        parts = last["load_duration"] + last["prompt_eval_duration"] + last["eval_duration"]
        assert 0 < parts <= last["total_duration"]
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "Tell me about tea."}], "stream": False}
    said = client.post("/api/chat", json=chat | {"options": body["options"]}).json()
    assert said["message"] == {"role": "assistant", "content": whole["response"]}
    loaded = client.post("/api/generate", json={"model": MODEL}).json()
    assert (loaded["done_reason"], loaded["response"]) == ("load", "")


CHAT, TEXT, GENERATE, INFER = (
    "/v1/chat/completions",
    "/v1/completions",
    "/api/generate",
    f"/v2/models/{DIGITS}/infer",
)
TENSOR = {"name": "input", "shape": [1, 64], "datatype": "FP32", "data": [0] * 64}
BAD = [
    (CHAT, "{", 400, "not JSON"),
    (CHAT, "[1]", 400, "not a JSON object"),
    (CHAT, b"\xff", 400, "not JSON"),
    (CHAT, "[" * 100_000, 400, "not JSON"),
    (CHAT, "{}", 400, "model"),
    (CHAT, HELLO | {"model": "gpt"}, 404, "does not exist"),
    (CHAT, HELLO | {"messages": []}, 400, "messages"),
    (CHAT, HELLO | {"messages": [{"content": "a"}]}, 400, "messages[0]"),
    (CHAT, HELLO | {"messages": [{"role": "user", "content": 3}]}, 400, "messages[0].content"),
    (CHAT, HELLO | {"temperature": 9}, 400, "temperature"),
    (CHAT, HELLO | {"temperature": True}, 400, "temperature"),
    (CHAT, HELLO | {"top_p": -1}, 400, "top_p"),
    (CHAT, HELLO | {"max_tokens": 0}, 400, "max_tokens"),
    (CHAT, HELLO | {"max_tokens": 1e3}, 400, "max_tokens"),
    (CHAT, HELLO | {"seed": "x"}, 400, "seed"),
    (CHAT, HELLO | {"n": 2}, 400, "n: "),
    (CHAT, HELLO | {"stream": "yes"}, 400, "stream"),
    (CHAT, HELLO | {"stop": [1]}, 400, "stop"),
    (CHAT, HELLO | {"stream_options": 1, "stream": True}, 400, "stream_options"),
    (CHAT, '{"model": NaN}', 400, "NaN"),
    (TEXT, {"model": MODEL}, 400, "prompt"),
    (TEXT, {"model": MODEL, "prompt": ["a", "b"]}, 400, "prompt"),
    (GENERATE, {"model": "llama3", "prompt": "a"}, 404, "model 'llama3' not found"),
    (GENERATE, {"model": MODEL, "prompt": 1}, 400, "prompt"),
    (GENERATE, {"model": MODEL, "prompt": "a", "options": {"num_predict": "x"}}, 400, "num_predict"),
    ("/api/chat", {"model": MODEL, "messages": [1]}, 400, "messages"),
    ("/predict", {}, 400, "inputs"),
    ("/predict", {"inputs": []}, 400, "inputs"),
    ("/predict", {"inputs": [1]}, 400, "inputs[0]"),
    ("/predict", {"inputs": [[0] * 63]}, 400, "got 63 numbers, expected 64"),
    ("/predict", {"inputs": [["a"] * 64]}, 400, "not a number"),
    ("/predict", {"inputs": [[1e300] * 64]}, 400, "beyond the range"),
    ("/predict", {"inputs": [[10**400] * 64]}, 400, "beyond the range"),
    ("/predict", {"inputs": [[3e38] * 64]}, 500, "not finite"),
    ("/predict", {"inputs": [[0] * 64], "model": "x"}, 404, "not served"),
    ("/v2/models/none/infer", {"inputs": [TENSOR]}, 404, "not served"),
    (INFER, {"inputs": []}, 400, "one tensor"),
    (INFER, {"inputs": [TENSOR | {"name": "x"}]}, 400, "unexpected input"),
    (INFER, {"inputs": [TENSOR | {"datatype": "BYTES"}]}, 400, "datatype"),
    (INFER, {"inputs": [TENSOR | {"shape": [64]}]}, 400, "shape"),
    (INFER, {"inputs": [TENSOR | {"shape": [1, -64]}]}, 400, "shape"),
    (INFER, {"inputs": [TENSOR | {"data": [0]}]}, 400, "shape"),
    ("/nothing", {}, 404, "nothing"),
    ("/v1/nothing", {}, 404, "nothing"),
]


@pytest.mark.parametrize(("path", "body", "status", "message"), BAD)
def test_bad_requests(client: httpx.Client, path: str, body: Any, status: int, message: str) -> None:
    content = json.dumps(body) if isinstance(body, dict) else body
    reply = client.post(path, content=content)
    assert reply.status_code == status
    error = reply.json()["error"]
    if path.startswith("/v1/"):
        assert error["type"] == "invalid_request_error"
        error = error["message"]
    assert message in error


def test_wrong_methods(client: httpx.Client) -> None:
    reply = client.delete("/v1/models")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET")
    reply = client.put("/predict")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, POST")


def exchange(server: RunningServer, data: bytes) -> bytes:
    """Send raw bytes and read to the end."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(data)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def test_pipelined_requests_are_answered_in_order(server: RunningServer) -> None:
    one = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    found = exchange(server, one * 60 + b"GET /api/version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert found.count(b"HTTP/1.1 200 OK") == 61
    assert b"version" in found.rpartition(b"\r\n\r\n")[2]
    assert b"connection: close" in found.rpartition(b"HTTP/1.1")[2]


def test_byte_by_byte_chunked_and_expecting(server: RunningServer) -> None:
    body = json.dumps({"inputs": [[0] * 64]}).encode()
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    chunked = b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    assert exchange(server, head + chunked).startswith(b"HTTP/1.1 200")
    expecting = b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    assert exchange(server, head + expecting).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n":
            connection.sendall(bytes([byte]))
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_an_old_client_gets_a_stream_without_chunks(server: RunningServer) -> None:
    body = json.dumps({"model": MODEL, "prompt": "tea", "options": {"num_predict": 3}}).encode()
    found = exchange(
        server, b"POST /api/generate HTTP/1.0\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    )
    head, _, text = found.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert [json.loads(line)["done"] for line in text.splitlines()] == [False, False, False, True]


def test_what_is_no_request(server: RunningServer) -> None:
    assert exchange(server, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")
    huge = b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 100_000 + b"\r\n\r\n"
    assert exchange(server, huge).startswith(b"HTTP/1.1 431")
    large = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (MAX_BODY + 1)
    assert exchange(server, large).startswith(b"HTTP/1.1 413")


def test_a_body_that_is_too_large(client: httpx.Client) -> None:
    reply = client.post("/predict", content=iter([b"x" * (1 << 20)] * ((MAX_BODY >> 20) + 2)))
    assert reply.status_code == 413


def test_a_client_that_hangs_up_leaves_the_server_well(server: RunningServer, client: httpx.Client) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps(HELLO | {"stream": True}).encode()
    for _ in range(20):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b"
                % (len(body), body)
            )
            connection.recv(10)
    assert client.get("/healthz").status_code == 200


def test_many_streams_at_once(client: httpx.Client) -> None:
    def ask(_: int) -> str:
        return client.post("/v1/chat/completions", json=HELLO | {"stream": True}).text.partition("content")[
            2
        ][-300:]

    with ThreadPoolExecutor(8) as pool:
        assert len({text.rpartition("chatcmpl")[2][-40:] for text in pool.map(ask, range(40))}) == 1


def test_tokens_take_the_time_that_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with start_server(token_delay_ms=5) as slow:
        body = {"model": MODEL, "prompt": "tea", "stream": False, "options": {"num_predict": 6}}
        found = httpx.post(slow.url + "/api/generate", json=body, trust_env=False).json()
    assert found["eval_duration"] >= 6 * 5_000_000


def test_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loop = endpoint_server._new_loop()
    assert type(loop).__module__.startswith("asyncio")
    loop.close()
    with start_server() as plain, httpx.Client(base_url=plain.url, trust_env=False) as client:
        assert client.post("/v1/chat/completions", json=HELLO).status_code == 200
        assert client.post("/v1/chat/completions", json=HELLO | {"stream": True}).text.endswith("[DONE]\n\n")
        assert client.post("/predict", content=b"x" * (MAX_BODY + 1)).status_code == 413


def test_closing_twice_and_taken_ports() -> None:
    running = start_server()
    port = int(running.url.rpartition(":")[2])
    with pytest.raises(InputError, match="--port 0"):
        start_server(port=port)
    with pytest.raises(InputError, match="--port 0"):
        serve_forever(port=port)
    with pytest.raises(InputError, match="token delay"):
        start_server(token_delay_ms=-1)
    running.close()
    running.close()


def test_closing_does_not_wait_for_a_stream() -> None:
    running = start_server(token_delay_ms=30_000)
    with (
        httpx.Client(base_url=running.url, trust_env=False, timeout=20) as client,
        client.stream("POST", "/v1/chat/completions", json=HELLO | {"stream": True}) as reply,
    ):
        assert reply.status_code == 200
        running.close()
        with pytest.raises(httpx.TransportError):
            reply.read()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_command(number: signal.Signals) -> None:
    code = (
        "from hexgate.reference.endpoint import serve_forever\n"
        "serve_forever(port=0, token_delay_ms=60000, ready=lambda url: print(url, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as ran:
        assert ran.stdout is not None
        url = ran.stdout.readline().strip()
        with (
            httpx.Client(base_url=url, trust_env=False, timeout=20) as client,
            client.stream("POST", "/v1/chat/completions", json=HELLO | {"stream": True}) as reply,
        ):
            assert reply.status_code == 200
            ran.send_signal(number)
            out, err = ran.communicate(timeout=20)
    assert (ran.returncode, out, err) == (0, "", "")


def test_a_handler_that_fails_is_reported_and_answered(capsys: pytest.CaptureFixture[str]) -> None:
    reports: list[dict[str, Any]] = []

    async def broken(_: object) -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        raise KeyError("unforeseen")

    with endpoint_server.RunningServer(broken, "127.0.0.1", 0) as running:
        reply = httpx.get(running.url, trust_env=False, timeout=20)
        assert (reply.status_code, reply.json()) == (500, {"error": "the server failed"})
        assert isinstance(reports[0]["exception"], KeyError)
