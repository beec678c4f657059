from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from hexgate.errors import InputError
from hexgate.wire.base import Ask, EventKind
from hexgate.wire.payload import PROTOCOL, SERVER, TRUNCATED
from hexgate.wire.registry import DIALECTS, dialect


def body(name: str, ask: Ask) -> dict[str, Any]:
    request = dialect(name).request(ask)
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    fields: dict[str, Any] = json.loads(request.body)
    return fields


def test_every_dialect_is_what_its_entry_says() -> None:
    for name in DIALECTS:
        made = dialect(name)
        assert made.name == name
        assert isinstance(made.generates, bool)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean openai-chat"):
        dialect("openai_chat")
    with pytest.raises(InputError) as caught:
        dialect("zzz")
    assert caught.value.hint is None


def test_listing_the_names_imports_no_dialect() -> None:
    code = (
        "import sys, hexgate.wire.registry; "
        "print([m for m in sys.modules if m.startswith('hexgate.wire.o') or m == 'numpy'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_openai_chat_request() -> None:
    ask = Ask(prompt="你好", system="be brief", model="m", max_tokens=5, top_p=0.9, options={"stop": ["\n"]})
    request = dialect("openai-chat").request(ask)
    assert request.path == "/chat/completions"
    assert request.headers["accept"] == "text/event-stream"
    assert "你好".encode() in request.body
    assert json.loads(request.body) == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "你好"}],
        "max_tokens": 5,
        "temperature": 0.0,
        "top_p": 0.9,
        "seed": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "stop": ["\n"],
    }
    plain = body("openai-chat", Ask(prompt="x", stream=False, seed=None))
    assert "stream_options" not in plain
    assert "seed" not in plain
    assert plain["stream"] is False


def test_openai_completions_request() -> None:
    assert dialect("openai-completions").request(Ask(prompt="x")).path == "/completions"
    assert body("openai-completions", Ask(prompt="x", system="s"))["prompt"] == "s\n\nx"


def test_ollama_request() -> None:
    ask = Ask(
        prompt="x", system="s", model="m", max_tokens=9, options={"options": {"num_ctx": 64}, "raw": True}
    )
    assert dialect("ollama-generate").request(ask).path == "/api/generate"
    assert body("ollama-generate", ask) == {
        "model": "m",
        "prompt": "x",
        "system": "s",
        "stream": True,
        "raw": True,
        "options": {"num_predict": 9, "temperature": 0.0, "seed": 0, "num_ctx": 64},
    }


def test_kserve_request() -> None:
    ask = Ask(
        inputs=[[1, 2, 3, 4], [5, 6, 7, 8]],
        model="a/b",
        options={"input_name": "x", "input_shape": [1, 2, 2], "id": "7"},
    )
    assert dialect("kserve-v2").request(ask).path == "/v2/models/a%2Fb/infer"
    assert body("kserve-v2", ask) == {
        "inputs": [
            {"name": "x", "shape": [2, 1, 2, 2], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6, 7, 8]}
        ],
        "id": "7",
    }
    assert body("kserve-v2", Ask(inputs=[[1.0]], model="m"))["inputs"][0]["shape"] == [1, 1]


def test_predict_request() -> None:
    assert dialect("predict").request(Ask(inputs=[[1]])).path == ""
    assert body("predict", Ask(inputs=[[1, 2.5]])) == {"inputs": [[1.0, 2.5]]}


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("openai-chat", Ask(inputs=[[1.0]])),
        ("openai-completions", Ask(inputs=[[1.0]])),
        ("ollama-generate", Ask(inputs=[[1.0]])),
        ("kserve-v2", Ask(prompt="x", model="m")),
        ("kserve-v2", Ask(inputs=[[1.0]])),
        ("kserve-v2", Ask(inputs=[[1.0]], model="m", options={"input_shape": [2, 2]})),
        ("predict", Ask(prompt="x")),
        ("predict", Ask(inputs=[[1.0], [1.0, 2.0]])),
        ("predict", Ask(inputs=[[float("nan")]])),
        ("openai-chat", Ask(prompt="x", options={"bias": float("inf")})),
    ],
)
def test_what_a_dialect_cannot_ask_is_an_input_error(name: str, ask: Ask) -> None:
    with pytest.raises(InputError):
        dialect(name).request(ask)


def kserve(**tensor: Any) -> bytes:
    return json.dumps({"model_name": "m", "outputs": [{"name": "y", "datatype": "FP32", **tensor}]}).encode()


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]]])
def test_kserve_scores(data: list[Any]) -> None:
    reply = kserve(shape=[2, 2], data=data)
    for cut in range(len(reply)):
        (event,) = dialect("kserve-v2").events([reply[:cut], reply[cut:]], stream=False)
        assert event.kind is EventKind.SCORES
        assert event.scores == ((1.0, 2.0), (3.0, 4.0))
        assert event.piece == 1


def test_kserve_takes_the_floating_point_output() -> None:
    outputs = [
        {"name": "label", "datatype": "INT64", "shape": [1], "data": [1]},
        {"name": "p", "datatype": "FP64", "shape": [1, 2], "data": [0.25, 0.75]},
    ]
    (event,) = dialect("kserve-v2").events([json.dumps({"outputs": outputs}).encode()], stream=False)
    assert event.scores == ((0.25, 0.75),)


@pytest.mark.parametrize(
    ("name", "reply", "begins"),
    [
        ("kserve-v2", b"", TRUNCATED),
        ("kserve-v2", b'{"error": "no such model"}', SERVER + "no such model"),
        ("kserve-v2", b'{"outputs": []}', PROTOCOL),
        ("kserve-v2", b"{}", PROTOCOL),
        ("kserve-v2", kserve(shape=[2, 2], data=[1, 2, 3]), PROTOCOL),
        ("kserve-v2", kserve(shape=[4], data=[1, 2, 3, 4]), PROTOCOL),
        ("kserve-v2", kserve(shape=[1, 2], data=[[1, 2], [3, 4]]), PROTOCOL),
        ("kserve-v2", kserve(shape=[1, 1], data=["1"]), PROTOCOL),
        ("kserve-v2", kserve(shape=[1, 1], data=[1]).replace(b"[1]}", b"[NaN]}"), PROTOCOL),
        ("predict", b"", TRUNCATED),
        ("predict", b'{"scores": [[0.1], [0.1, 0.2]]}', PROTOCOL),
        ("predict", b'{"scores": [0.1]}', PROTOCOL),
        ("predict", b'{"scores": [[true]]}', PROTOCOL),
        ("predict", b'{"scores": [[1e999]]}', PROTOCOL),
        ("predict", b'{"scores": [[1' + b"0" * 400 + b"]]}", PROTOCOL),
        ("predict", b'{"scores": [[1, 2]], "labels": ["a"]}', PROTOCOL),
        ("predict", b'{"scores": [[1, 2]], "labels": "ab"}', PROTOCOL),
        ("predict", b'{"detail": "x", "error": {"code": 3}}', SERVER),
        ("predict", b'{"scores": [[1, 2]', PROTOCOL),
        ("predict", b"\xff\xfe", PROTOCOL),
    ],
)
def test_a_bad_prediction_is_an_error_and_never_scores(name: str, reply: bytes, begins: str) -> None:
    (event,) = dialect(name).events([reply], stream=False)
    assert event.kind is EventKind.ERROR
    assert event.text.startswith(begins)
    assert event.scores is None


def test_predict_scores_with_and_without_labels() -> None:
    for more in (b"", b', "labels": ["a", "b"]'):
        (event,) = dialect("predict").events([b'{"scores": [[1, 2], [3, 4]]' + more + b"}"], stream=True)
        assert event.scores == ((1.0, 2.0), (3.0, 4.0))
