from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from hexgate.errors import InputError
from hexgate.wire.base import Ask, EventKind, Gives
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
        assert made.generates is (made.gives is Gives.TEXT)
        assert made.streams or made.ends_with is None


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean openai-chat"):
        dialect("openai_chat")
    with pytest.raises(InputError) as caught:
        dialect("zzz")
    assert caught.value.hint is None


def test_listing_the_names_imports_no_dialect() -> None:
    code = (
        "import sys, hexgate.wire.registry; "
        "print([m for m in sys.modules if m.startswith(('hexgate.wire.o', 'hexgate.wire.t')) or m == 'numpy'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_dialect_needs_numpy() -> None:
    code = (
        "import sys; from hexgate.wire.registry import DIALECTS, dialect; [dialect(name) for name in DIALECTS]; "
        "import hexgate.wire.template; print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


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


HISTORY = ({"role": "user", "content": "u"}, {"role": "assistant", "content": "v"})
TURNS = [{"role": "system", "content": "s"}, *HISTORY, {"role": "user", "content": "x"}]


def test_a_conversation_goes_before_the_prompt() -> None:
    ask = Ask(prompt="x", system="s", messages=HISTORY, model="m", stop=("\n", "END"))
    assert body("openai-chat", ask)["messages"] == TURNS
    assert body("openai-chat", ask)["stop"] == ["\n", "END"]
    assert body("ollama-chat", ask) == {
        "model": "m",
        "messages": TURNS,
        "stream": True,
        "options": {"num_predict": 128, "temperature": 0.0, "seed": 0, "stop": ["\n", "END"]},
    }
    assert dialect("ollama-chat").request(ask).path == "/api/chat"
    assert body("openai-responses", replace(ask, stop=()))["input"] == TURNS


@pytest.mark.parametrize(
    "message", [{"role": "robot", "content": "x"}, {"role": "user"}, {"role": "user", "content": None}, {}]
)
def test_a_turn_that_is_none(message: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="not a role and a text"):
        dialect("openai-chat").request(Ask(prompt="x", messages=(message,)))


def test_openai_responses_request() -> None:
    request = dialect("openai-responses").request(Ask(prompt="x", model="m", max_tokens=5, top_p=0.9))
    assert (request.path, request.headers["accept"]) == ("/responses", "text/event-stream")
    assert json.loads(request.body) == {
        "model": "m",
        "input": [{"role": "user", "content": "x"}],
        "max_output_tokens": 5,
        "temperature": 0.0,
        "top_p": 0.9,
        "stream": True,
        "store": False,
    }


def test_embeddings_requests() -> None:
    ask = Ask(prompt="x", system="s", model="m", options={"dimensions": 8})
    request = dialect("openai-embeddings").request(ask)
    assert (request.path, request.headers["accept"]) == ("/embeddings", "application/json")
    assert body("openai-embeddings", ask) == {
        "model": "m",
        "input": "s\n\nx",
        "encoding_format": "float",
        "dimensions": 8,
    }
    assert dialect("ollama-embed").request(ask).path == "/api/embed"
    assert body("ollama-embed", Ask(prompt="x", model="m")) == {"model": "m", "input": "x"}
    more = Ask(prompt="x", model="m", options={"options": {"num_ctx": 9}, "truncate": False})
    assert body("ollama-embed", more) == {
        "model": "m",
        "input": "x",
        "truncate": False,
        "options": {"num_ctx": 9},
    }


def test_tgi_request() -> None:
    ask = Ask(prompt="x", system="s", max_tokens=5, stop=("a",), options={"parameters": {"top_k": 3}})
    assert dialect("tgi").request(ask).path == "/generate_stream"
    assert body("tgi", ask) == {
        "inputs": "s\n\nx",
        "parameters": {
            "max_new_tokens": 5,
            "details": True,
            "do_sample": False,
            "seed": 0,
            "stop": ["a"],
            "top_k": 3,
        },
    }
    warm = Ask(prompt="x", temperature=0.5, top_p=0.9, seed=None, stream=False)
    assert dialect("tgi").request(warm).path == "/generate"
    assert body("tgi", warm)["parameters"] == {
        "max_new_tokens": 128,
        "details": True,
        "do_sample": True,
        "temperature": 0.5,
        "top_p": 0.9,
    }
    assert "top_p" not in body("tgi", Ask(prompt="x", top_p=1.0))["parameters"]


def test_triton_generate_request() -> None:
    ask = Ask(prompt="x", model="a/b", max_tokens=5, options={"parameters": {"top_k": 3}, "bad_words": ""})
    assert dialect("triton-generate").request(ask).path == "/v2/models/a%2Fb/generate_stream"
    assert body("triton-generate", ask) == {
        "text_input": "x",
        "parameters": {"stream": True, "max_tokens": 5, "temperature": 0.0, "seed": 0, "top_k": 3},
        "bad_words": "",
    }
    plain = Ask(prompt="x", model="m", stream=False, seed=None, top_p=0.5)
    assert dialect("triton-generate").request(plain).path == "/v2/models/m/generate"
    assert body("triton-generate", plain)["parameters"] == {
        "stream": False,
        "max_tokens": 128,
        "temperature": 0.0,
        "top_p": 0.5,
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


WITHOUT_TURNS = (
    "openai-completions",
    "openai-embeddings",
    "ollama-generate",
    "ollama-embed",
    "triton-generate",
    "tgi",
)


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("openai-chat", Ask(inputs=[[1.0]])),
        ("openai-completions", Ask(inputs=[[1.0]])),
        ("ollama-generate", Ask(inputs=[[1.0]])),
        ("openai-responses", Ask(inputs=[[1.0]])),
        ("openai-responses", Ask(prompt="x", stop=("a",))),
        ("openai-embeddings", Ask(inputs=[[1.0]])),
        ("ollama-chat", Ask(inputs=[[1.0]])),
        ("ollama-chat", Ask(prompt="x", options={"options": 3})),
        ("ollama-embed", Ask(inputs=[[1.0]])),
        ("tgi", Ask(inputs=[[1.0]])),
        ("triton-generate", Ask(prompt="x")),
        ("triton-generate", Ask(prompt="x", model="m", stop=("a",))),
        ("triton-generate", Ask(inputs=[[1.0]], model="m")),
        *((name, Ask(prompt="x", model="m", messages=HISTORY)) for name in WITHOUT_TURNS),
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
