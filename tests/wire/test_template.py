from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError
from hexgate.wire.base import Ask
from hexgate.wire.json_path import JsonPath
from hexgate.wire.registry import dialect

GOOD: dict[str, Any] = {"path": "/answer", "body": {"q": "{prompt}"}, "text": "reply"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "api.json"


def name(file: Path, **fields: Any) -> str:
    file.write_text(json.dumps({**GOOD, **fields}), encoding="utf-8")
    return f"template:{file}"


def test_a_body_is_filled(file: Path) -> None:
    body = {
        "q": "{prompt}",
        "say": "S: {system}; Q: {prompt}; n={max_tokens}; {not a slot} {{x}}",
        "n": "{max_tokens}",
        "t": "{temperature}",
        "p": "{top_p}",
        "seed": "{seed}",
        "stop": "{stop}",
        "live": "{stream}",
        "nested": [{"model": "{model}"}, "{max_tokens}", None, 3],
        "turns": "{messages}",
        "none": None,
    }
    spoken = dialect(
        name(
            file,
            path="/m/{model}/answer?x=1",
            headers={"X-Api": "3"},
            body=body,
        )
    )
    ask = Ask(
        prompt='a "q"',
        system="be brief",
        messages=({"role": "user", "content": "u"}, {"role": "assistant", "content": "v"}),
        model="a/b",
        max_tokens=9,
        stop=("\n",),
        options={"more": 1, "n": 7},
    )
    request = spoken.request(ask)
    assert (request.method, request.path) == ("POST", "/m/a%2Fb/answer?x=1")
    assert dict(request.headers) == {
        "content-type": "application/json",
        "accept": "application/json",
        "x-api": "3",
    }
    assert json.loads(request.body) == {
        "q": 'a "q"',
        "say": 'S: be brief; Q: a "q"; n=9; {not a slot} {{x}}',
        "n": 7,
        "t": 0.0,
        "seed": 0,
        "stop": ["\n"],
        "live": True,
        "nested": [{"model": "a/b"}, 9, None, 3],
        "turns": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "u"},
            {"role": "assistant", "content": "v"},
            {"role": "user", "content": 'a "q"'},
        ],
        "none": None,
        "more": 1,
    }


def test_the_example_of_the_docs(file: Path) -> None:
    docs = Path(__file__).parents[2] / "docs" / "targets.md"
    shown = docs.read_text(encoding="utf-8").partition("## Any other API")[2].partition("    {\n")[2]
    file.write_text("{" + shown.partition("    }\n")[0] + "}", encoding="utf-8")
    spoken = dialect(f"template:{file}")
    assert json.loads(spoken.request(Ask(prompt="x", model="m", max_tokens=5)).body) == {
        "model": "m",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "x"}],
        "stream": True,
    }
    body = b'data: {"delta": {"text": "hi"}}\n\ndata: {"delta": {"stop_reason": "end"}}\n\n'
    assert [event.text for event in spoken.events([body], stream=True)] == ["hi", "end"]


def test_what_the_ask_does_not_say_is_left_out(file: Path) -> None:
    spoken = dialect(
        name(file, body={"q": "{prompt}", "seed": "{seed}", "top_p": "{top_p}", "s": "<{system}>"})
    )
    assert json.loads(spoken.request(Ask(prompt="x", seed=None)).body) == {"q": "x", "s": "<>"}


def test_what_streams_and_how_it_ends(file: Path) -> None:
    assert dialect(name(file)).streams is False
    spoken = dialect(name(file, stream="sse", done="[END]"))
    assert (spoken.streams, spoken.ends_with, spoken.generates) == (True, b"[END]", True)
    assert spoken.name == f"template:{file}"
    assert spoken.request(Ask(prompt="x")).headers["accept"] == "text/event-stream"
    assert dialect(name(file, stream="ndjson")).ends_with is None


CANNOT = [
    (Ask(inputs=[[1.0]]), "takes prompts"),
    (Ask(prompt="x", messages=({"role": "user", "content": "u"},)), "one prompt"),
    (Ask(prompt="x", system="s"), "no place for system"),
    (Ask(prompt="x", stop=("a",)), "no place for stop"),
    (Ask(prompt="x", options={"y": float("nan")}), "cannot be written"),
]


@pytest.mark.parametrize(("ask", "message"), CANNOT)
def test_what_it_cannot_ask(file: Path, ask: Ask, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dialect(name(file)).request(ask)


def test_a_model_that_is_needed_and_not_named(file: Path) -> None:
    with pytest.raises(InputError, match="--model-name"):
        dialect(name(file, path="/{model}")).request(Ask(prompt="x"))


def test_further_fields_need_an_object(file: Path) -> None:
    spoken = dialect(name(file, body=["{prompt}"]))
    assert json.loads(spoken.request(Ask(prompt="x")).body) == ["x"]
    with pytest.raises(InputError, match="no object"):
        spoken.request(Ask(prompt="x", options={"a": 1}))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"tekst": "reply"}, "'tekst'.*did you mean text"),
    ({"body": {"q": "{promt}"}}, "did you mean {prompt}"),
    ({"body": {"q": "hello"}}, "no place for the prompt"),
    ({"body": None}, "no place for the prompt"),
    ({"method": "GET"}, "method is none of its values"),
    ({"stream": "websocket"}, "none, sse, ndjson"),
    ({"stream": ["sse"]}, "stream is none"),
    ({"done": "[DONE]"}, "stream: sse"),
    ({"done": " ", "stream": "sse"}, "last server-sent event"),
    ({"done": 1}, "done is not a text"),
    ({"path": "answer"}, "not the path of a URL"),
    ({"path": "/a b"}, "not the path of a URL"),
    ({"path": "/a#b"}, "not the path of a URL"),
    ({"path": "/{prompt}"}, "place for the model alone"),
    ({"path": 3}, "path is not a text"),
    ({"headers": []}, "headers is not an object"),
    ({"headers": {"a b": "c"}}, "cannot be sent"),
    ({"headers": {"a": "c\r\nd: e"}}, "cannot be sent"),
    ({"headers": {"a": 3}}, "cannot be sent"),
    ({"headers": {"Authorization": "Bearer hush"}}, "--api-key-env"),
    ({"headers": {"X-Api-Key": "hush"}}, "key_header"),
    ({"key_header": "content-length"}, "key_header"),
    ({"key_header": "a b"}, "key_header"),
    ({"key_header": "x-key", "headers": {"X-Key": "3"}}, "key_header"),
    ({"headers": {"Content-Length": "3"}}, "hexgate writes itself"),
    ({"text": None}, "where the text of a reply is"),
    ({"text": ""}, "where the text of a reply is"),
    ({"text": 3}, "not a path or a list"),
    ({"text": []}, "where the text of a reply is"),
    ({"text": "a..b"}, "not a path into"),
    ({"text": "a[x]"}, "not a path into"),
    ({"finish": "a["}, "not a path into"),
    ({"output_tokens": []}, "not a path or a list"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_a_template_that_is_none(file: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        dialect(name(file, **fields))
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"\xff\xfe", "not JSON"),
        (b'{"path": "/a", "path": "/b"}', "twice"),
        (b"[" * 100_000, "not JSON"),
        (b" " * 1_000_001, "above 1000000 bytes"),
    ],
)
def test_a_file_that_is_no_template(file: Path, data: bytes, message: str) -> None:
    file.write_bytes(data)
    with pytest.raises(InputError, match=message):
        dialect(f"template:{file}")


def test_no_file(file: Path) -> None:
    for missing in ("template", "template:"):
        with pytest.raises(InputError, match="template:FILE"):
            dialect(missing)
    with pytest.raises(InputError, match="cannot be read"):
        dialect(f"template:{file}")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a", {"b": [{"c d": 1}, 2]}),
        ("$.a.b[1]", 2),
        ('a.b[0]["c d"]', 1),
        ('$["a"]["b"][1]', 2),
        ("a.b[2]", None),
        ("a.x.y", None),
        ("a[0]", None),
        ("a.b.c", None),
    ],
)
def test_paths(path: str, found: Any) -> None:
    assert JsonPath(path, "here").find({"a": {"b": [{"c d": 1}, 2]}}) == found
