"""Replies of Text Generation Inference, Triton, APIs that a template describes, and predictors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hexgate.wire.base import Usage
from support.torture import Case, Expected
from wire.torture.build import DONE, ERROR, TRUNCATED, dumped, line, sse, token

TEMPLATES = Path(__file__).parent / "templates"
END = b"data: [END]\n\n"
DETAILS = {"finish_reason": "eos_token", "generated_tokens": 3, "seed": None, "input_length": 6}
LAST = token("</s>", special=True, generated_text="Hello", details=DETAILS)
USAGE = Usage(prompt_tokens=6, output_tokens=3)
SCORED = Expected(kinds="scores", events=1, first_event=0)
TWO = Expected(
    kinds="text text finish usage",
    text="Hello",
    events=2,
    usage=USAGE,
    first_event=0,
    first_token=0,
    first_answer=0,
    last_token=1,
)


def tgi(name: str, pieces: tuple[bytes, ...], expected: Expected, *, stream: bool = True) -> Case:
    return Case(f"tgi: {name}", pieces, expected, "tgi", stream)


def triton(name: str, pieces: tuple[bytes, ...], expected: Expected, *, stream: bool = True) -> Case:
    return Case(f"triton: {name}", pieces, expected, "triton-generate", stream)


def predicted(name: str, spoken: str, fields: Any, expected: Expected) -> Case:
    body = fields if isinstance(fields, bytes) else dumped(fields).encode()
    return Case(f"{spoken}: {name}", (body,), expected, spoken, stream=False)


def described(
    name: str, file: str, pieces: tuple[bytes, ...], expected: Expected, *, stream: bool = True
) -> Case:
    return Case(f"template {file}: {name}", pieces, expected, f"template:{TEMPLATES / file}.json", stream)


def delta(**fields: Any) -> bytes:
    return sse({"type": "block_delta", "delta": fields}, event="block_delta")


def said(text: Any) -> bytes:
    return sse({"model_name": "m", "model_version": "1", "text_output": text})


def tensor(**fields: Any) -> dict[str, Any]:
    return {"model_name": "m", "outputs": [{"name": "y", "datatype": "FP32", **fields}]}


CASES = [
    tgi("plain", (token("Hel"), token("lo"), LAST), TWO),
    tgi(
        "the last token is text",
        (token("Hel"), token("lo", generated_text="Hello", details=DETAILS)),
        TWO,
    ),
    tgi("keep-alives", (b":\n\n" + token("Hel"), b":\n\n" + token("lo"), b":\n\n" + LAST), TWO),
    tgi(
        "an error frame",
        (token("Hel"), b'data:{"error":"Request failed","error_type":"generation"}\n\n'),
        Expected(
            ERROR,
            "server: Request failed",
            kinds="text",
            text="Hel",
            events=1,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=0,
        ),
    ),
    tgi(
        "an error event",
        (b'event:error\ndata:{"error":"Model is overloaded","error_type":"overloaded"}\n\n',),
        Expected(ERROR, "server: Model is overloaded", kinds=""),
    ),
    tgi(
        "no details",
        (token("Hel"), token("lo")),
        Expected(
            TRUNCATED,
            "truncated: the stream ended before its finish_reason",
            kinds="text text",
            text="Hello",
            events=2,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=1,
        ),
    ),
    tgi("no token", (sse({"index": 1}),), Expected(ERROR, "protocol: token is not an object", kinds="")),
    tgi(
        "special tokens alone",
        (LAST,),
        Expected(
            ERROR,
            "empty: a reply without text, finished as eos_token",
            kinds="finish usage",
            text="",
            usage=USAGE,
            first_event=0,
        ),
    ),
    tgi(
        "a whole reply, with the prompt's tokens listed",
        (
            dumped(
                {
                    "generated_text": "Hello",
                    "details": {"finish_reason": "length", "generated_tokens": 3, "prefill": [{}] * 6},
                }
            ).encode(),
        ),
        Expected(kinds="text finish usage", text="Hello", events=1, usage=USAGE, first_event=0),
        stream=False,
    ),
    tgi(
        "a whole reply without details",
        (b'{"generated_text": "Hello"}',),
        Expected(
            ERROR, "protocol: details is not an object", kinds="text", text="Hello", events=1, first_event=0
        ),
        stream=False,
    ),
    tgi(
        "a whole reply with an error",
        (b'{"error": "overloaded", "error_type": "overloaded"}',),
        Expected(ERROR, "server: overloaded", kinds=""),
        stream=False,
    ),
    triton(
        "plain",
        (said("Hel"), said("lo"), said("")),
        Expected(
            kinds="text text",
            text="Hello",
            events=2,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=1,
        ),
    ),
    triton(
        "an error in the middle",
        (said("a"), sse({"error": "out of memory"})),
        Expected(
            ERROR,
            "server: out of memory",
            kinds="text",
            text="a",
            events=1,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=0,
        ),
    ),
    triton(
        "cut inside an event",
        (said("a"), said("b")[:20]),
        Expected(
            TRUNCATED,
            "truncated: the stream ended inside an event",
            kinds="text",
            text="a",
            events=1,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=0,
        ),
    ),
    triton(
        "no text",
        (sse({"model_name": "m"}),),
        Expected(ERROR, "protocol: a reply without text_output", kinds=""),
    ),
    triton(
        "a stream without text",
        (said(""),),
        Expected(ERROR, "empty: a reply without text", kinds="", text=""),
    ),
    triton(
        "a whole reply",
        (b'{"model_name": "m", "text_output": "Hello"}',),
        Expected(kinds="text", text="Hello", events=1, first_event=0),
        stream=False,
    ),
    triton(
        "a whole reply as a list of one",
        (b'{"model_name": "m", "text_output": ["Hello"]}',),
        Expected(kinds="text", text="Hello", events=1, first_event=0),
        stream=False,
    ),
    predicted("scores", "kserve-v2", tensor(shape=[1, 2], data=[1, 2]), SCORED),
    predicted(
        "an error",
        "kserve-v2",
        {"error": "no such model"},
        Expected(ERROR, "server: no such model", kinds=""),
    ),
    predicted("no output", "kserve-v2", {"outputs": []}, Expected(ERROR, "protocol: no output", kinds="")),
    predicted(
        "another shape", "kserve-v2", tensor(shape=[1, 2], data=[1]), Expected(ERROR, "protocol: ", kinds="")
    ),
    predicted(
        "no rows",
        "kserve-v2",
        tensor(shape=[0, 2], data=[]),
        Expected(ERROR, "empty: ", kinds="scores", events=1, first_event=0),
    ),
    predicted("scores", "predict", {"scores": [[1, 2]]}, SCORED),
    predicted(
        "one score",
        "predict",
        {"scores": [[1]]},
        Expected(ERROR, "protocol: 1 scores", kinds="scores", events=1, first_event=0),
    ),
    predicted(
        "NaN", "predict", b'{"scores": [[NaN, 1]]}', Expected(ERROR, "protocol: NaN is not JSON", kinds="")
    ),
    predicted(
        "rows of two widths", "predict", {"scores": [[1, 2], [1]]}, Expected(ERROR, "protocol: ", kinds="")
    ),
    predicted("a page of HTML", "predict", b"<html>", Expected(ERROR, "protocol: not JSON", kinds="")),
    described(
        "plain",
        "events",
        (
            sse({"type": "start", "message": {"usage": {"input_tokens": 9}}}, event="start"),
            sse({"type": "ping"}, event="ping"),
            delta(thinking="hm"),
            delta(text="Hel"),
            delta(text="lo"),
            sse({"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}, event="last"),
            END,
        ),
        Expected(
            kinds="usage reasoning text text finish usage",
            text="Hello",
            events=3,
            usage=Usage(prompt_tokens=9, output_tokens=3),
            first_event=0,
            first_token=2,
            first_answer=3,
            last_token=4,
        ),
    ),
    described(
        "an error",
        "events",
        (delta(text="a"), sse({"failure": {"message": "overloaded"}})),
        Expected(
            ERROR,
            "server: overloaded",
            kinds="text",
            text="a",
            events=1,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=0,
        ),
    ),
    described(
        "its last message lacks",
        "events",
        (delta(text="a"), delta(stop_reason="end_turn")),
        Expected(
            TRUNCATED,
            "truncated: the stream ended behind its finish, without [END]",
            kinds="text finish",
            text="a",
            events=1,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=0,
        ),
    ),
    described(
        "another last message is no JSON",
        "events",
        (delta(text="a"), DONE),
        Expected(
            ERROR,
            "protocol: not JSON",
            kinds="text",
            text="a",
            events=1,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=0,
        ),
    ),
    described(
        "text that is none", "events", (delta(text=["a"]),), Expected(ERROR, "protocol: a text", kinds="")
    ),
    described(
        "plain",
        "lines",
        (line({"text": "Hel"}), line({"parts": [{"text": "lo"}], "text": "!"}), line({"over": True})),
        Expected(
            kinds="text text finish",
            text="Hello",
            events=2,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=1,
        ),
    ),
    described(
        "no end",
        "lines",
        (line({"text": "Hel", "over": False}),),
        Expected(
            TRUNCATED,
            "truncated: the reply ended without finish",
            kinds="text",
            text="Hel",
            events=1,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=0,
        ),
    ),
    described("an error line", "lines", (line({"error": "no"}),), Expected(ERROR, "server: no", kinds="")),
    described(
        "plain",
        "document",
        (b'{"data": [{"the.text": "Hello", ', b'"tokens": 2}]}'),
        Expected(kinds="text usage", text="Hello", events=1, usage=Usage(output_tokens=2), first_event=1),
        stream=False,
    ),
    described(
        "nothing where the text should be",
        "document",
        (b'{"data": []}',),
        Expected(ERROR, "empty: a reply without text", kinds="", text=""),
        stream=False,
    ),
]
