"""Scripted replies of generators, each read whole and split at every byte."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from hexgate.wire.base import Event, EventKind, Usage
from hexgate.wire.payload import PROTOCOL, SERVER, TRUNCATED
from hexgate.wire.registry import dialect

ROLE, TEXT, REASONING = EventKind.ROLE, EventKind.TEXT, EventKind.REASONING
USAGE, FINISH, ERROR = EventKind.USAGE, EventKind.FINISH, EventKind.ERROR
DONE = "data: [DONE]\n\n"


@dataclass(frozen=True)
class Case:
    name: str
    body: bytes
    expected: list[tuple[EventKind, str]]
    """Kind and text; of an error only how its text begins."""
    dialect: str = "openai-chat"
    stream: bool = True
    usage: Usage | None = None


def chat(delta: dict[str, Any] | None, *, finish: str | None = None, **top: Any) -> str:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return f"data: {json.dumps({'choices': choices, **top}, ensure_ascii=False)}\n\n"


def completion(text: str, *, finish: str | None = None, **top: Any) -> str:
    return (
        f"data: {json.dumps({'choices': [{'index': 0, 'text': text, 'finish_reason': finish}], **top})}\n\n"
    )


def ollama(response: str = "", **more: Any) -> str:
    return json.dumps({"model": "m", "response": response, "done": False, **more}, ensure_ascii=False) + "\n"


ROLE_ONLY = chat({"role": "assistant", "content": ""})
STOP = chat({}, finish="stop")
USE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
FULL = ROLE_ONLY + chat({"content": "Hel"}) + chat({"content": "lo"}) + STOP
FULL_EVENTS = [(ROLE, ""), (TEXT, "Hel"), (TEXT, "lo"), (FINISH, "stop")]
LAST = {"done": True, "done_reason": "stop"}

CASES = [
    Case("plain", (FULL + DONE).encode(), FULL_EVENTS),
    Case(
        "usage in a chunk of its own",
        (FULL + chat(None, usage=USE) + DONE).encode(),
        [*FULL_EVENTS, (USAGE, "")],
        usage=Usage(prompt_tokens=7, output_tokens=3),
    ),
    Case("carriage returns and line feeds", (FULL + DONE).replace("\n", "\r\n").encode(), FULL_EVENTS),
    Case("carriage returns alone", (FULL + DONE).replace("\n", "\r").encode(), FULL_EVENTS),
    Case("comments between", (": ping\n\n" + FULL + ": ping\n\n" + DONE).encode(), FULL_EVENTS),
    Case("comment inside an event", (FULL + ": x\n" + DONE).encode(), FULL_EVENTS),
    Case(
        "text of four scripts",
        (chat({"content": "你好，"}) + chat({"content": "мир 🌍 é"}) + STOP + DONE).encode(),
        [(TEXT, "你好，"), (TEXT, "мир 🌍 é"), (FINISH, "stop")],
    ),
    Case("byte order mark", b"\xef\xbb\xbf" + (FULL + DONE).encode(), FULL_EVENTS),
    Case("no space behind the colon", (FULL + DONE).replace("data: ", "data:").encode(), FULL_EVENTS),
    Case("ids and retry times", ("retry: 10\nid: 3\n\n" + FULL + "id: 4\n" + DONE).encode(), FULL_EVENTS),
    Case(
        "data on several lines",
        b'data: {"choices":\ndata: [{"delta": {"content": "x"},\ndata: "finish_reason": "stop"}]}\n\n'
        + DONE.encode(),
        [(TEXT, "x"), (FINISH, "stop")],
    ),
    Case(
        "text and finish in one chunk",
        (chat({"role": "assistant", "content": "all"}, finish="length", usage=USE) + DONE).encode(),
        [(TEXT, "all"), (FINISH, "length"), (USAGE, "")],
        usage=Usage(prompt_tokens=7, output_tokens=3),
    ),
    Case(
        "several tokens bundled, usage with each chunk",
        (
            chat({"content": "a b c d"}, usage={"completion_tokens": 4})
            + chat({"content": " e"}, usage={"completion_tokens": 5})
            + STOP
            + DONE
        ).encode(),
        [(TEXT, "a b c d"), (USAGE, ""), (TEXT, " e"), (USAGE, ""), (FINISH, "stop")],
        usage=Usage(output_tokens=5),
    ),
    Case(
        "several events in one write without a role",
        (chat({"content": "a"}) + chat({"content": "b"}) + STOP + DONE).encode(),
        [(TEXT, "a"), (TEXT, "b"), (FINISH, "stop")],
    ),
    Case(
        "reasoning first",
        (
            ROLE_ONLY
            + chat({"reasoning_content": "hm", "content": None})
            + chat({"reasoning_content": None, "content": "4"})
            + STOP
            + DONE
        ).encode(),
        [(ROLE, ""), (REASONING, "hm"), (TEXT, "4"), (FINISH, "stop")],
    ),
    Case(
        "reasoning under both names is one",
        (chat({"reasoning_content": "hm", "reasoning": "hm"}) + STOP + DONE).encode(),
        [(REASONING, "hm"), (FINISH, "stop")],
    ),
    Case(
        "reasoning alone",
        (chat({"reasoning": "hm"}) + chat({}, finish="length") + DONE).encode(),
        [(REASONING, "hm"), (FINISH, "length")],
    ),
    Case("empty reply", (ROLE_ONLY + STOP + DONE).encode(), [(ROLE, ""), (FINISH, "stop")]),
    Case(
        "usage alone",
        (chat(None, usage=USE) + DONE).encode(),
        [(USAGE, ""), (ERROR, TRUNCATED)],
        usage=Usage(prompt_tokens=7, output_tokens=3),
    ),
    Case(
        "usage with details and unknown counts",
        (
            FULL
            + chat(
                None,
                usage={
                    "prompt_tokens": None,
                    "completion_tokens": "3",
                    "prompt_tokens_details": {"cached_tokens": 5},
                    "completion_tokens_details": {"reasoning_tokens": 2},
                },
            )
            + DONE
        ).encode(),
        [*FULL_EVENTS, (USAGE, "")],
        usage=Usage(cached_tokens=5, reasoning_tokens=2),
    ),
    Case("refusal", (chat({"refusal": "no"}) + STOP + DONE).encode(), [(TEXT, "no"), (FINISH, "stop")]),
    Case(
        "another choice is not ours",
        (
            'data: {"choices":[{"index":1,"delta":{"content":"B"}},{"index":0,"delta":{"content":"A"}}]}\n\n'
            + STOP
            + DONE
        ).encode(),
        [(TEXT, "A"), (FINISH, "stop")],
    ),
    Case("the last blank line lacks", (FULL + "data: [DONE]").encode(), FULL_EVENTS),
    Case("anything behind [DONE]", (FULL + DONE + chat({"content": "late"})).encode(), FULL_EVENTS),
    Case("finish twice alike", (FULL + STOP + DONE).encode(), FULL_EVENTS),
    Case(
        "finish twice unlike",
        (FULL + chat({}, finish="length") + DONE).encode(),
        [*FULL_EVENTS, (ERROR, PROTOCOL + "finished twice")],
    ),
    Case(
        "text behind the finish",
        (FULL + chat({"content": "more"}) + DONE).encode(),
        [*FULL_EVENTS, (ERROR, PROTOCOL + "more text")],
    ),
    Case("no [DONE]", FULL.encode(), [*FULL_EVENTS, (ERROR, TRUNCATED)]),
    Case("no finish", (chat({"content": "x"}) + DONE).encode(), [(TEXT, "x"), (ERROR, TRUNCATED + "[DONE]")]),
    Case("neither finish nor [DONE]", chat({"content": "x"}).encode(), [(TEXT, "x"), (ERROR, TRUNCATED)]),
    Case(
        "cut inside an event",
        (chat({"content": "x"}) + 'data: {"choi').encode(),
        [(TEXT, "x"), (ERROR, TRUNCATED + "the stream ended inside")],
    ),
    Case("role alone, then nothing", ROLE_ONLY.encode(), [(ROLE, ""), (ERROR, TRUNCATED)]),
    Case("nothing at all", b"", [(ERROR, TRUNCATED + "the stream is empty")]),
    Case("comments alone", b": ping\n\n: ping\n\n", [(ERROR, TRUNCATED)]),
    Case(
        "error in the stream",
        (
            chat({"content": "x"}) + 'data: {"error": {"message": "out of memory", "code": 500}}\n\n' + DONE
        ).encode(),
        [(TEXT, "x"), (ERROR, SERVER + "out of memory")],
    ),
    Case("error as a string", b'data: {"error": "overloaded"}\n\n', [(ERROR, SERVER + "overloaded")]),
    Case(
        "error object of older servers",
        b'data: {"object": "error", "message": "bad prompt", "code": 400}\n\n' + DONE.encode(),
        [(ERROR, SERVER + "bad prompt")],
    ),
    Case("error event", b"event: error\ndata: boom\n\n", [(ERROR, SERVER + "boom")]),
    Case(
        "one error document for a stream",
        b'{"error": {"message": "no model"}}',
        [(ERROR, SERVER + "no model")],
    ),
    Case("one document for a stream", b'{"choices": []}', [(ERROR, PROTOCOL + "one JSON document")]),
    Case("a page of HTML for a stream", b"<html><body>502</body></html>", [(ERROR, PROTOCOL)]),
    Case(
        "an event that is not JSON",
        (ROLE_ONLY + "data: {nope}\n\n").encode(),
        [(ROLE, ""), (ERROR, PROTOCOL)],
    ),
    Case("an event that is a list", b"data: [1]\n\n", [(ERROR, PROTOCOL)]),
    Case("content that is not a string", chat({"content": 5}).encode(), [(ERROR, PROTOCOL)]),
    Case("choices that are no list", b'data: {"choices": {"0": 1}}\n\n', [(ERROR, PROTOCOL)]),
    Case(
        "nesting without end", b"data: " + b"[" * 50_000 + b"\n\n", [(ERROR, PROTOCOL)], dialect="openai-chat"
    ),
    Case(
        "whole reply",
        json.dumps(
            {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "usage": USE}
        ).encode(),
        [(TEXT, "hi"), (FINISH, "stop"), (USAGE, "")],
        stream=False,
        usage=Usage(prompt_tokens=7, output_tokens=3),
    ),
    Case(
        "whole reply without a finish",
        b'{"choices": [{"message": {"content": "hi"}, "finish_reason": null}]}',
        [(TEXT, "hi"), (ERROR, PROTOCOL)],
        stream=False,
    ),
    Case(
        "whole reply with an error", b'{"error": {"message": "no"}}', [(ERROR, SERVER + "no")], stream=False
    ),
    Case("whole reply, empty", b" \n", [(ERROR, TRUNCATED)], stream=False),
    Case(
        "completions",
        (completion("a") + completion("", finish="stop", usage=USE) + DONE).encode(),
        [(TEXT, "a"), (FINISH, "stop"), (USAGE, "")],
        dialect="openai-completions",
        usage=Usage(prompt_tokens=7, output_tokens=3),
    ),
    Case(
        "completions cut",
        completion("a").encode(),
        [(TEXT, "a"), (ERROR, TRUNCATED)],
        dialect="openai-completions",
    ),
    Case(
        "ollama",
        (
            ollama("Wär")
            + ollama("me")
            + ollama(**LAST, eval_count=2, eval_duration=5, prompt_eval_count=4, load_duration=9)
        ).encode(),
        [(TEXT, "Wär"), (TEXT, "me"), (FINISH, "stop"), (USAGE, "")],
        dialect="ollama-generate",
        usage=Usage(prompt_tokens=4, output_tokens=2, output_ns=5, load_ns=9),
    ),
    Case(
        "ollama with what is zero left out",
        (ollama("x") + ollama(**LAST)).encode(),
        [(TEXT, "x"), (FINISH, "stop")],
        dialect="ollama-generate",
    ),
    Case(
        "ollama without the last line end, and no reason",
        (ollama("x") + ollama(done=True)).rstrip().encode(),
        [(TEXT, "x"), (FINISH, "stop")],
        dialect="ollama-generate",
    ),
    Case(
        "ollama thinking",
        (ollama(thinking="hm") + ollama("4") + ollama(**LAST)).encode(),
        [(REASONING, "hm"), (TEXT, "4"), (FINISH, "stop")],
        dialect="ollama-generate",
    ),
    Case(
        "ollama error inside",
        (ollama("x") + '{"error": "llama runner terminated"}\n').encode(),
        [(TEXT, "x"), (ERROR, SERVER + "llama runner")],
        dialect="ollama-generate",
    ),
    Case(
        "ollama without its last line",
        ollama("x").encode(),
        [(TEXT, "x"), (ERROR, TRUNCATED)],
        dialect="ollama-generate",
    ),
    Case(
        "ollama cut inside a line",
        (ollama("x") + '{"resp').encode(),
        [(TEXT, "x"), (ERROR, TRUNCATED)],
        dialect="ollama-generate",
    ),
    Case(
        "ollama with a line that is not JSON",
        ("oops\n" + ollama("x")).encode(),
        [(ERROR, PROTOCOL)],
        dialect="ollama-generate",
    ),
    Case("ollama, nothing", b"", [(ERROR, TRUNCATED)], dialect="ollama-generate"),
    Case(
        "ollama, not streamed",
        ollama("all", **LAST, eval_count=1).encode(),
        [(TEXT, "all"), (FINISH, "stop"), (USAGE, "")],
        dialect="ollama-generate",
        stream=False,
        usage=Usage(output_tokens=1),
    ),
]


def check(case: Case, events: list[Event]) -> None:
    assert len(events) == len(case.expected), (case.name, events)
    for event, (kind, text) in zip(events, case.expected, strict=True):
        assert event.kind is kind, (case.name, events)
        assert event.text.startswith(text) if kind is ERROR else event.text == text, (case.name, events)
    usages = [event.usage for event in events if event.usage is not None]
    assert (usages[-1] if usages else None) == case.usage, case.name


def test_there_are_enough_and_their_names_differ() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 50


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_whole_and_split_at_every_byte(case: Case) -> None:
    speaker = dialect(case.dialect)
    whole = speaker.events([case.body], stream=case.stream)
    check(case, whole)
    assert {event.piece for event in whole} <= {0}
    if len(case.body) > 5000:
        return
    for cut in range(len(case.body) + 1):
        events = speaker.events([case.body[:cut], case.body[cut:]], stream=case.stream)
        check(case, events)
        assert [event.piece for event in events] == sorted(event.piece for event in events)
    singles = [bytes([byte]) for byte in case.body]
    events = speaker.events(singles, stream=case.stream)
    check(case, events)
    if case.stream and case.dialect.startswith("openai"):
        for event in [event for event in events if event.kind in {TEXT, REASONING}]:
            # The piece that completed a text is the first whose prefix of the body already gives it.
            number = sum(e.kind in {TEXT, REASONING} and e.piece <= event.piece for e in events)
            before = speaker.events(singles[: event.piece], stream=True)
            up_to = speaker.events(singles[: event.piece + 1], stream=True)
            assert sum(e.kind in {TEXT, REASONING} for e in up_to) == number
            assert sum(e.kind in {TEXT, REASONING} for e in before) < number
