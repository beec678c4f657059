from __future__ import annotations

import base64
import json
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hexgate.datasets.classification import read_items
from hexgate.errors import ExitCode, InputError, TargetFailed, TargetUnusable
from hexgate.reference.endpoint import RunningServer
from hexgate.targets.base import GenerateOptions, Generator, Output, Predictor, Target
from hexgate.targets.options import OpenOptions
from hexgate.targets.registry import open_target

Start = Callable[[Callable[[str, bytes, socket.socket], "bytes | None"]], Any]
PROMPT = "Tell me about a cup of tea."
MODEL = "hexgate-demo-lm"
TEXT_ENDPOINTS = ["/v1", "/v1/chat/completions", "/v1/completions", "ollama", "/api/generate"]
SCORE_ENDPOINTS = ["/predict", "/v2/models/hexgate-demo-digits", "/v2/models/hexgate-demo-digits/infer"]
MODELS = json.dumps({"object": "list", "data": [{"id": "m", "object": "model"}]})


def reply(status: int, body: bytes | str, *headers: str) -> bytes:
    data = body.encode("utf-8") if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Status", f"content-length: {len(data)}", "connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def address(server: Any, path: str) -> str:
    return server.url.replace("http://", "ollama://") + f"/{MODEL}" if path == "ollama" else server.url + path


def generator_of(target: Target) -> Generator:
    assert target.generator is not None
    return target.generator


def predictor_of(target: Target) -> Predictor:
    assert target.predictor is not None
    return target.predictor


@pytest.mark.parametrize("path", TEXT_ENDPOINTS)
def test_text_over_every_dialect_is_the_same_as_in_this_process(reference: RunningServer, path: str) -> None:
    local = generator_of(open_target("demo:"))
    target = open_target(address(reference, path))
    options = GenerateOptions(max_tokens=12)
    for prompt in (PROMPT, "你喜欢喝茶吗？"):
        there, here = generator_of(target).generate(prompt, options), local.generate(prompt, options)
        assert there == here
        assert "".join(generator_of(target).stream(prompt, options)) == here.text
    assert target.predictor is None
    assert target.subject.served_model is not None
    assert target.subject.served_model.startswith(MODEL)
    assert target.subject.sha256 is None
    assert target.endpoint is not None
    target.close()


def test_sampling_reaches_the_model(reference: RunningServer) -> None:
    target = open_target(address(reference, "/v1"))
    texts = {
        generator_of(target).generate(PROMPT, GenerateOptions(temperature=1.5, seed=seed)).text
        for seed in range(6)
    }
    assert len(texts) > 1
    with_system = generator_of(target).generate(PROMPT, GenerateOptions(system="Answer in one word."))
    plain = generator_of(target).generate(PROMPT, GenerateOptions())
    assert (with_system.prompt_tokens or 0) > (plain.prompt_tokens or 0)
    target.close()


@pytest.mark.parametrize("path", SCORE_ENDPOINTS)
def test_scores_over_every_dialect_are_those_of_this_process(reference: RunningServer, path: str) -> None:
    items = read_items("demo:", limit=30).items
    batch = np.array([item.features for item in items], np.float32)
    target = open_target(address(reference, path), options=OpenOptions(batch=8))
    local = open_target("demo:")
    np.testing.assert_allclose(
        predictor_of(target).scores(batch), predictor_of(local).scores(batch), atol=1e-5
    )
    assert predictor_of(target).input_shape == (64,)
    assert predictor_of(target).scores(batch[:0]).shape[0] == 0
    if path == "/predict":
        assert predictor_of(target).labels == tuple("0123456789")
        assert predictor_of(target).output is Output.LOGITS
    else:
        assert predictor_of(target).labels is None
        assert target.subject.revision == "1"
    with pytest.raises(TargetUnusable, match="got 63 numbers"):
        predictor_of(target).scores(batch[:, :63])
    target.close()


def test_labels_that_do_not_fit(reference: RunningServer) -> None:
    target = open_target(address(reference, "/predict"), options=OpenOptions(labels=("a", "b")))
    with pytest.raises(InputError, match="got 2 labels; expected 10"):
        predictor_of(target).scores(np.zeros((1, 64), np.float32))
    target.close()


def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for uri in (
        f"http://127.0.0.1:{port}/v1",
        f"http://127.0.0.1:{port}/predict",
        f"ollama://127.0.0.1:{port}/m",
    ):
        with pytest.raises(TargetFailed, match=r"connection: .*hexgate serve") as caught:
            open_target(uri)
        assert caught.value.exit_code is ExitCode.TARGET


def test_the_wrong_model(reference: RunningServer) -> None:
    with pytest.raises(InputError, match=f"did you mean '{MODEL}:latest'"):
        open_target(reference.url.replace("http", "ollama") + "/hexgate-demo-lmm")
    with pytest.raises(TargetFailed, match="http_404"):
        open_target(reference.url + "/v2/models/none")
    for path in ("/v1", "/v1/completions"):
        with pytest.raises(InputError, match=r"does not serve 'other'.*does not exist") as refused:
            open_target(reference.url + path, options=OpenOptions(model_name="other"))
        assert refused.value.expected == f"the server serves: {MODEL}"
        assert refused.value.hint == f"--model-name {MODEL}"


SAID = {
    "answers": (200, '{"choices": [{"message": {"content": "a"}}]}', True),
    "busy": (503, "busy", True),
    "of another parameter": (400, '{"error": {"message": "max_tokens is too small"}}', True),
    "unknown": (404, '{"error": {"message": "The model `other` does not exist."}}', False),
    "unknown to a gateway": (
        400,
        '{"error": {"message": "Invalid model name passed in model=other"}}',
        False,
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_a_model_that_is_not_listed_is_refused_where_the_server_does_not_know_it(
    scripted: Start, case: str
) -> None:
    status, body, opens = SAID[case]

    def answer(line: str, *_: Any) -> bytes:
        return reply(200, MODELS) if line.startswith("GET") else reply(status, body)

    server = scripted(answer)
    options = OpenOptions(model_name="other")
    if not opens:
        with pytest.raises(InputError, match=r"does not serve 'other'.*the server serves: m.*--model-name m"):
            open_target(server.url + "/v1", options=options)
        return
    target = open_target(server.url + "/v1", options=options)
    assert "does not list 'other'" in target.warnings[0]
    target.close()


def test_tls_to_a_server_that_speaks_none(reference: RunningServer) -> None:
    with pytest.raises(TargetFailed, match="the server may speak http://"):
        open_target(reference.url.replace("http://", "https://") + "/v1")


def test_several_models_and_none(scripted: Start) -> None:
    several = json.dumps({"data": [{"id": "a"}, {"id": "b"}]})
    server = scripted(lambda *_: reply(200, several))
    with pytest.raises(InputError, match=r"several models; got a, b; .*--model-name"):
        open_target(server.url + "/v1")
    with pytest.raises(InputError, match="serves no model"):
        open_target(scripted(lambda *_: reply(200, '{"data": []}')).url + "/v1")
    silent = scripted(lambda *_: reply(404, "no"))
    with pytest.raises(InputError, match="lists no models"):
        open_target(silent.url + "/v1")
    named = open_target(silent.url + "/v1", options=OpenOptions(model_name="m"))
    assert named.subject.served_model == "m"
    assert named.warnings
    named.close()


PROBE_FAULTS = [
    (reply(500, '{"error": {"message": "out of memory"}}'), "http_500: out of memory"),
    (reply(302, "", "location: http://elsewhere/v1"), "redirect: HTTP 302"),
    (reply(200, "<html>"), "protocol: not JSON"),
    (reply(200, '{"data": [1]}'), "protocol: the list of models"),
    (b"SSH-2.0-OpenSSH\r\n\r\n", "protocol: "),
    (None, "connection: "),
]


@pytest.mark.parametrize(("raw", "message"), PROBE_FAULTS)
def test_faults_of_the_probe(scripted: Start, raw: bytes | None, message: str) -> None:
    with pytest.raises(TargetFailed) as caught:
        open_target(scripted(lambda *_: raw).url + "/v1")
    assert message in str(caught.value)


def hang(server_box: list[Any]) -> Callable[..., None]:
    def script(*_: object) -> None:
        server_box[0].stopping.wait(10)

    return script


def test_a_probe_without_an_answer(scripted: Start) -> None:
    box: list[Any] = []
    box.append(scripted(hang(box)))
    with pytest.raises(TargetFailed, match=r"timeout: no whole reply within 0\.2 s.*--timeout"):
        open_target(box[0].url + "/v1", options=OpenOptions(timeout_s=0.2))


def reset_now(_: str, __: bytes, connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def cut_short(*_: object) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"


GOOD_CHAT = json.dumps(
    {"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}
)
REPLY_FAULTS: list[tuple[Any, str]] = [
    (lambda *_: reply(500, '{"error": "boom"}'), "http_500: boom"),
    (lambda *_: reply(429, "slow\n  down"), "http_429: slow down"),
    (lambda *_: reply(503, b"\xff\xfe"), "http_503: "),
    (lambda *_: reply(200, "garbage"), "protocol: not JSON"),
    (lambda *_: reply(200, "[]"), "protocol: "),
    (lambda *_: reply(200, '{"choices": "no"}'), "protocol: choices"),
    (lambda *_: reply(200, '{"error": {"message": "in band"}}'), "server: in band"),
    (lambda *_: reply(200, ""), "truncated: "),
    (lambda *_: reply(307, "", "location: http://other/"), "redirect: HTTP 307 to http://other/"),
    (lambda *_: None, "connection: "),
    (cut_short, "connection: "),
    (reset_now, "connection: "),
    (lambda *_: b"\0\1\2\3\r\n\r\n", "protocol: "),
    (lambda *_: b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n{}", "protocol: "),
]


@pytest.mark.parametrize(("fault", "message"), REPLY_FAULTS)
def test_a_failed_reply_is_counted_not_raised(scripted: Start, fault: Any, message: str) -> None:
    def script(line: str, body: bytes, connection: socket.socket) -> bytes | None:
        if line == "GET /v1/models":
            return reply(200, MODELS)
        answer: bytes | None = fault(line, body, connection)
        return answer

    target = open_target(scripted(script).url + "/v1")
    answer = generator_of(target).generate(PROMPT, GenerateOptions())
    assert answer.text is None
    assert (answer.error or "").startswith(message)
    with pytest.raises(TargetFailed):
        list(generator_of(target).stream(PROMPT, GenerateOptions()))
    target.close()


def test_a_reply_that_does_not_come_and_one_that_drips(scripted: Start) -> None:
    box: list[Any] = []

    def script(line: str, body: bytes, connection: socket.socket) -> bytes | None:
        if line.startswith("GET"):
            return reply(200, MODELS)
        if b"drip" in body:
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            with suppress(OSError):
                while not box[0].stopping.wait(0.05):
                    connection.sendall(b" ")
        box[0].stopping.wait(10)
        return None

    box.append(scripted(script))
    target = open_target(box[0].url + "/v1", options=OpenOptions(timeout_s=0.3))
    for prompt in ("hang", "drip"):
        answer = generator_of(target).generate(prompt, GenerateOptions())
        assert answer.error == "timeout: no whole reply within 0.3 s"
    target.close()


def test_a_stream_that_breaks_off_gives_what_came_before(scripted: Start) -> None:
    chunk = json.dumps({"choices": [{"index": 0, "delta": {"content": "one "}, "finish_reason": None}]})

    def script(line: str, *_: object) -> bytes:
        return reply(
            200, MODELS if line.startswith("GET") else f"data: {chunk}\n\n", "content-type: text/event-stream"
        )

    target = open_target(scripted(script).url + "/v1")
    pieces: list[str] = []
    with pytest.raises(TargetFailed, match="the reply broke off: truncated: "):
        pieces.extend(generator_of(target).stream(PROMPT, GenerateOptions()))
    assert pieces == ["one "]
    target.close()


def tensor(**fields: Any) -> str:
    good = {"name": "scores", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}
    return json.dumps({"model_name": "m", "outputs": [good | fields]})


BAD_TENSORS = [
    (tensor(shape=[1, 4]), "not of its shape"),
    (tensor(shape=[3]), "not [n, classes]"),
    (tensor(shape="no"), "not [n, classes]"),
    (tensor(data=[1, 2, "3"]), "not a number"),
    (tensor(data=None), "not of its shape"),
    (tensor(datatype="BYTES"), "floating-point"),
    (tensor(shape=[3, 1]), "scores for 3 inputs, 1 were sent"),
    (tensor(shape=[1, 1], data=[1]), "two or more finite scores"),
    (tensor(data=[1, 2, 1e39]), "finite scores"),
    ('{"outputs": []}', "floating-point"),
    ('{"outputs": [{"datatype":"FP32","shape":[1,3],"data":[1,NaN,2]}]}', "NaN"),
    ('{"error": "no such tensor"}', "server: no such tensor"),
    ("", "truncated"),
]


@pytest.mark.parametrize(("body", "message"), BAD_TENSORS)
def test_malformed_tensors(scripted: Start, body: str, message: str) -> None:
    metadata = json.dumps(
        {"name": "m", "inputs": [{"name": "pixels", "datatype": "FP32", "shape": [-1, 1, 2]}]}
    )
    server = scripted(lambda line, *_: reply(200, metadata if line.startswith("GET") else body))
    target = open_target(server.url + "/v2/models/m")
    with pytest.raises(TargetFailed) as caught:
        predictor_of(target).scores(np.zeros((1, 2), np.float32))
    assert message in str(caught.value)
    sent = json.loads(server.requests[-1].partition(b"\r\n\r\n")[2])["inputs"][0]
    assert (sent["name"], sent["shape"]) == ("pixels", [1, 1, 2])
    target.close()


def test_a_predictor_that_fails_raises(scripted: Start) -> None:
    server = scripted(lambda line, *_: reply(404 if line.startswith("GET") else 500, '{"error": "boom"}'))
    target = open_target(server.url + "/predict")
    with pytest.raises(TargetFailed, match="http_500: boom"):
        predictor_of(target).scores(np.zeros((1, 2), np.float32))
    target.close()


def test_labels_come_with_the_first_reply(scripted: Start) -> None:
    answers = iter((["a", "b"], ["b", "a"]))

    def script(line: str, *_: object) -> bytes:
        if line.startswith("GET"):
            return reply(405, "")
        return reply(200, json.dumps({"scores": [[0.25, 0.75]], "labels": next(answers)}))

    target = open_target(scripted(script).url + "/predict")
    assert predictor_of(target).labels is None
    predictor_of(target).scores(np.zeros((1, 2), np.float32))
    assert predictor_of(target).labels == ("a", "b")
    with pytest.raises(TargetFailed, match="labels changed"):
        predictor_of(target).scores(np.zeros((1, 2), np.float32))
    target.close()


KEY = "sk-very-secret"


def test_the_key_goes_to_the_server_and_nowhere_else(
    scripted: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(line: str, *_: object) -> bytes:
        return reply(200, MODELS) if line.startswith("GET") else reply(401, f'{{"error": "bad key {KEY}"}}')

    server = scripted(script)
    monkeypatch.setenv("MY_KEY", KEY)
    target = open_target(server.url + "/v1", options=OpenOptions(api_key_env="MY_KEY"))
    assert f"authorization: bearer {KEY}" in server.requests[0].decode().lower()
    answer = generator_of(target).generate(PROMPT, GenerateOptions())
    assert answer.error == "http_401: bad key ***"
    for thing in (target, target.subject, target.endpoint, answer, OpenOptions(api_key_env="MY_KEY")):
        assert KEY not in repr(thing)
    assert target.endpoint is not None
    assert target.endpoint.headers == {"authorization": f"Bearer {KEY}"}
    target.close()


def test_refused_credentials(scripted: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    url = scripted(lambda *_: reply(401, "who are you")).url + "/v1"
    with pytest.raises(TargetFailed, match="--api-key-env"):
        open_target(url)
    monkeypatch.setenv("MY_KEY", KEY)
    with pytest.raises(TargetFailed, match="the key in MY_KEY was refused"):
        open_target(url, options=OpenOptions(api_key_env="MY_KEY"))
    with pytest.raises(InputError, match="UNSET_KEY is not set"):
        open_target(url, options=OpenOptions(api_key_env="UNSET_KEY"))
    monkeypatch.setenv("MY_KEY", "käse\n")
    with pytest.raises(InputError, match="HTTP header"):
        open_target(url, options=OpenOptions(api_key_env="MY_KEY"))
    monkeypatch.setenv("MY_KEY", KEY)
    with pytest.raises(InputError, match="both the URL"):
        open_target(url.replace("http://", "http://u:p@"), options=OpenOptions(api_key_env="MY_KEY"))


def test_credentials_of_the_url(scripted: Start) -> None:
    server = scripted(lambda *_: reply(200, MODELS))
    target = open_target(server.url.replace("http://", "http://user:hidden@") + "/v1")
    expected = base64.b64encode(b"user:hidden").decode()
    assert expected in server.requests[0].decode()
    assert target.subject.uri == target.uri == server.url + "/v1"
    assert "hidden" not in repr(target)
    target.close()


def test_a_card_for_an_endpoint(reference: RunningServer, tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    fields = {
        "name": "mine",
        "labels": list("abcdefghij"),
        "input_range": [0, 1],
        "output": "logits",
        "revision": "3",
    }
    path.write_text(json.dumps(fields), encoding="utf-8")
    target = open_target(reference.url + "/v2/models/hexgate-demo-digits", options=OpenOptions(card=path))
    assert (target.subject.name, target.subject.revision) == ("mine", "3")
    assert predictor_of(target).labels == tuple("abcdefghij")
    assert target.card.input_range == (0, 1)
    target.close()


def test_options_for_generating() -> None:
    base = GenerateOptions(max_tokens=5, temperature=0.5, top_p=0.9, seed=3)
    assert OpenOptions().generate_options(base) == base
    found = OpenOptions(max_tokens=9, temperature=0.0, system="s").generate_options(base)
    assert found == GenerateOptions(max_tokens=9, temperature=0.0, top_p=0.9, seed=3, system="s")
