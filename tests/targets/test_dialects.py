"""Each way to name an API leads to its dialect, over a real connection: what is asked before, and what is sent."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError, TargetFailed
from hexgate.targets.base import GenerateOptions
from hexgate.targets.options import OpenOptions
from hexgate.targets.registry import open_target
from hexgate.wire.base import Ask, Gives
from hexgate.wire.registry import dialect

Start = Callable[[Callable[[str, bytes, socket.socket], "bytes | None"]], Any]
MODELS = {"object": "list", "data": [{"id": "m", "object": "model"}]}
TAGS = {"models": [{"name": "m:latest", "digest": "sha256:1"}]}
VECTOR = {"data": [{"index": 0, "embedding": [0.5, 1.0]}]}
RESPONSE = {
    "object": "response",
    "status": "completed",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "hi"}]}],
    "usage": {"input_tokens": 2, "output_tokens": 1},
}
OLLAMA = {"model": "m", "message": {"role": "assistant", "content": "hi"}, "done": True, "eval_count": 1}
TGI = {"generated_text": "hi", "details": {"finish_reason": "length", "generated_tokens": 1}}
TEXT_APIS = [
    ("/v1/responses", None, "GET /v1/models", MODELS, "POST /v1/responses", RESPONSE, "m"),
    ("/v1", "openai-responses", "GET /v1/models", MODELS, "POST /v1/responses", RESPONSE, "m"),
    ("/api/chat", None, "GET /api/tags", TAGS, "POST /api/chat", OLLAMA, "m:latest"),
    (
        "/generate_stream",
        None,
        "GET /info",
        {"model_id": "big", "model_sha": "7"},
        "POST /generate",
        TGI,
        "big",
    ),
    ("/pre", "tgi", "GET /pre/info", {"model_id": "big"}, "POST /pre/generate", TGI, "big"),
    (
        "/v2/models/m/generate_stream",
        None,
        "GET /v2/models/m",
        {"name": "m", "versions": ["1", "2"]},
        "POST /v2/models/m/generate",
        {"text_output": "hi"},
        "m",
    ),
]
EMBED_APIS = [
    ("/v1/embeddings", None, "GET /v1/models", MODELS, "openai-embeddings", VECTOR),
    ("/v1", "openai-embeddings", "GET /v1/models", MODELS, "openai-embeddings", VECTOR),
    ("/api/embed", None, "GET /api/tags", TAGS, "ollama-embed", {"embeddings": [[0.5, 1.0]]}),
]


def reply(status: int, fields: Any) -> bytes:
    data = json.dumps(fields).encode()
    return f"HTTP/1.1 {status} X\r\ncontent-length: {len(data)}\r\nconnection: close\r\n\r\n".encode() + data


def answering(**answers: Any) -> Callable[..., bytes]:
    def script(line: str, *_: object) -> bytes:
        return reply(200, answers[line]) if line in answers else reply(404, {"error": f"no {line}"})

    return script


@pytest.mark.parametrize(("path", "named", "probe", "served", "post", "answer", "model"), TEXT_APIS)
def test_text(
    scripted: Start, path: str, named: str | None, probe: str, served: Any, post: str, answer: Any, model: str
) -> None:
    server = scripted(answering(**{probe: served, post: answer}))
    target = open_target(server.url + path, options=OpenOptions(dialect=named))
    assert target.subject.served_model == model
    assert target.warnings == ()
    assert target.generator is not None
    assert target.generator.generate("say hi", GenerateOptions(max_tokens=3)).text == "hi"
    sent = json.loads(server.requests[-1].partition(b"\r\n\r\n")[2])
    assert "say hi" in json.dumps(sent)
    assert "3" in json.dumps(sent)
    target.close()


@pytest.mark.parametrize(("path", "named", "probe", "served", "name", "answer"), EMBED_APIS)
def test_vectors(
    scripted: Start, path: str, named: str | None, probe: str, served: Any, name: str, answer: Any
) -> None:
    target = open_target(
        scripted(answering(**{probe: served})).url + path, options=OpenOptions(dialect=named)
    )
    assert (target.generator, target.predictor) == (None, None)
    assert target.endpoint is not None
    assert target.endpoint.dialect == name
    spoken = dialect(name)
    assert spoken.gives is Gives.VECTORS
    (event,) = spoken.events([json.dumps(answer).encode()], stream=False)
    assert event.scores == ((0.5, 1.0),)
    target.close()


def test_revisions(scripted: Start) -> None:
    server = scripted(
        answering(**{"GET /v2/models/m": {"versions": ["1", "2"]}, "GET /info": {"model_sha": "7"}})
    )
    for path, revision in (("/v2/models/m/generate", "2"), ("/generate", "7")):
        target = open_target(server.url + path)
        assert target.subject.revision == revision
        target.close()


def test_servers_that_do_not_say_what_they_serve(scripted: Start) -> None:
    server = scripted(answering(**{"GET /pre/info": {"model_id": "other"}}))
    target = open_target(server.url + "/generate")
    assert "does not say" in target.warnings[0]
    target.close()
    target = open_target(server.url + "/pre/generate", options=OpenOptions(model_name="mine"))
    assert "serves 'other', not 'mine'" in target.warnings[0]
    target.close()
    with pytest.raises(TargetFailed, match="http_404"):
        open_target(server.url + "/v2/models/none/generate")
    with pytest.raises(InputError, match="--model-name"):
        open_target(server.url, options=OpenOptions(dialect="triton-generate"))


def test_an_api_of_a_template(scripted: Start, tmp_path: Path) -> None:
    file = tmp_path / "api.json"
    api = {"path": "/ask/{model}", "body": {"q": "{prompt}", "n": "{max_tokens}"}, "text": "answers[0]"}
    file.write_text(json.dumps(api), encoding="utf-8")
    server = scripted(answering(**{"POST /ask/m": {"answers": ["hi"]}}))
    options = OpenOptions(dialect=f"template:{file}", model_name="m")
    target = open_target(server.url, options=options)
    assert target.generator is not None
    assert target.generator.generate("say hi", GenerateOptions(max_tokens=3)).text == "hi"
    assert list(target.generator.stream("say hi", GenerateOptions())) == ["hi"]
    assert json.loads(server.requests[1].partition(b"\r\n\r\n")[2]) == {"q": "say hi", "n": 3}
    target.close()
    server = scripted(lambda *_: reply(403, {"error": "who are you"}))
    with pytest.raises(TargetFailed, match="--api-key-env"):
        open_target(server.url, options=options)


def test_a_template_names_the_header_of_the_key(
    scripted: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "api.json"
    file.write_text('{"key_header": "X-API-Key", "body": {"q": "{prompt}"}, "text": "t"}', encoding="utf-8")
    monkeypatch.setenv("MY_KEY", "hush-hush")
    server = scripted(lambda *_: reply(200, {"t": "hi"}))
    target = open_target(server.url, options=OpenOptions(dialect=f"template:{file}", api_key_env="MY_KEY"))
    assert target.generator is not None
    assert target.generator.generate("x", GenerateOptions()).text == "hi"
    assert target.endpoint is not None
    assert target.endpoint.headers == {"x-api-key": "hush-hush"}
    assert all(b"x-api-key: hush-hush" in one.lower() for one in server.requests)
    assert not any(b"authorization" in one.lower() for one in server.requests)
    assert "hush" not in repr(target)
    target.close()


def test_a_generator_that_an_api_streams_to(scripted: Start, tmp_path: Path) -> None:
    file = tmp_path / "api.json"
    file.write_text('{"body": ["{prompt}"], "stream": "sse", "text": "t", "finish": "f"}', encoding="utf-8")
    body = b'data: {"t": "h"}\n\ndata: {"t": "i", "f": "stop"}\n\n'

    def script(line: str, *_: object) -> bytes:
        if line.startswith("GET"):
            return reply(405, {})
        return b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + body

    target = open_target(scripted(script).url, options=OpenOptions(dialect=f"template:{file}"))
    assert target.generator is not None
    assert target.generator.generate("x", GenerateOptions()).text == "hi"
    assert list(target.generator.stream("x", GenerateOptions())) == ["h", "i"]
    assert dialect(f"template:{file}").request(Ask(prompt="x")).path == ""
    target.close()
