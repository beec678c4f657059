"""Replies of Ollama's native APIs."""

from __future__ import annotations

from typing import Any

from hexgate.wire.base import Usage
from support.torture import Case, Expected
from wire.torture.build import ERROR, OLLAMA_LAST, TRUNCATED, chatted, dumped, generated, line, said

USAGE = Usage(prompt_tokens=4, output_tokens=2, load_ns=9, prompt_ns=30, output_ns=50, total_ns=90)
LAST = generated(**OLLAMA_LAST, context=[1, 2, 3])
CHAT_LAST = chatted(**OLLAMA_LAST)
TWO = Expected(
    kinds="text text finish usage",
    text="Wärme",
    events=2,
    usage=USAGE,
    first_event=0,
    first_token=0,
    first_answer=0,
    last_token=1,
)
CUT = Expected(
    TRUNCATED,
    "truncated: the reply ended without done: true",
    kinds="text",
    text="x",
    events=1,
    first_event=0,
    first_token=0,
    first_answer=0,
    last_token=0,
)


def generate(name: str, pieces: tuple[bytes, ...], expected: Expected, *, stream: bool = True) -> Case:
    return Case(f"generate: {name}", pieces, expected, "ollama-generate", stream)


def chat(name: str, pieces: tuple[bytes, ...], expected: Expected, *, stream: bool = True) -> Case:
    return Case(f"chat: {name}", pieces, expected, "ollama-chat", stream)


def embed(name: str, fields: Any, expected: Expected) -> Case:
    return Case(f"embed: {name}", (dumped(fields).encode(),), expected, "ollama-embed", stream=False)


SPLIT = generated("Wär").index("ä".encode()) + 1
CASES = [
    generate("plain", (generated("Wär"), generated("me"), LAST), TWO),
    generate(
        "carriage returns before the line feeds",
        tuple(p.replace(b"\n", b"\r\n") for p in (generated("Wär"), generated("me"), LAST)),
        TWO,
    ),
    generate("the last line end lacks", (generated("Wär"), generated("me"), LAST.rstrip()), TWO),
    generate(
        "blank lines between",
        (b"\n" + generated("Wär"), b"\r\n \n" + generated("me"), b"\n" + LAST + b"\n"),
        TWO,
    ),
    generate(
        "a character split between two pieces",
        (generated("Wär")[:SPLIT], generated("Wär")[SPLIT:], generated("me"), LAST),
        Expected(**{**vars(TWO), "first_event": 1, "first_token": 1, "first_answer": 1, "last_token": 2}),
    ),
    generate(
        "all in one piece",
        (generated("Wär") + generated("me") + LAST,),
        Expected(**{**vars(TWO), "last_token": 0}),
    ),
    generate(
        "what is zero is left out",
        (generated("x"), generated(done=True, done_reason="stop")),
        Expected(
            kinds="text finish",
            text="x",
            events=1,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=0,
        ),
    ),
    generate(
        "an older server names no reason",
        (generated("x"), generated(done=True)),
        Expected(
            kinds="text finish",
            text="x",
            events=1,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=0,
        ),
    ),
    generate(
        "thinking, then the answer",
        (generated(thinking="h"), generated(thinking="m"), generated("4"), LAST),
        Expected(
            kinds="reasoning reasoning text finish usage",
            text="4",
            events=3,
            usage=USAGE,
            first_event=0,
            first_token=0,
            first_answer=2,
            last_token=2,
        ),
    ),
    generate(
        "text in the last line",
        (generated("a"), generated("b", **OLLAMA_LAST)),
        Expected(
            kinds="text text finish usage",
            text="ab",
            events=2,
            usage=USAGE,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=1,
        ),
    ),
    generate(
        "an error line",
        (generated("x"), line({"error": "llama runner terminated"})),
        Expected(**{**vars(CUT), "outcome": ERROR, "error": "server: llama runner terminated"}),
    ),
    generate(
        "an error line alone", (line({"error": "no memory"}),), Expected(ERROR, "server: no memory", kinds="")
    ),
    generate("the last line lacks", (generated("x"),), CUT),
    generate(
        "cut inside a line",
        (generated("x"), b'{"resp'),
        Expected(**{**vars(CUT), "error": "truncated: not JSON"}),
    ),
    generate(
        "a line that is no JSON", (b"oops\n", generated("x")), Expected(ERROR, "protocol: not JSON", kinds="")
    ),
    generate(
        "text behind done",
        (
            generated("x"),
            LAST,
            generated("y"),
        ),
        Expected(
            ERROR,
            "protocol: more text after the finish",
            kinds="text finish usage",
            text="x",
            events=1,
            usage=USAGE,
            first_event_tokens=2,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=0,
        ),
    ),
    generate(
        "server-sent events", (said("x"),), Expected(ERROR, "protocol: server-sent events instead", kinds="")
    ),
    generate("a page of HTML", (b"<html>\n", b"</html>\n"), Expected(ERROR, "protocol: not JSON", kinds="")),
    generate(
        "a page of HTML in one line", (b"<html></html>",), Expected(ERROR, "protocol: not JSON", kinds="")
    ),
    generate(
        "done without any text",
        (LAST,),
        Expected(
            ERROR, "empty: a reply without text", kinds="finish usage", text="", usage=USAGE, first_event=0
        ),
    ),
    generate(
        "the model was only loaded",
        (generated(done=True, done_reason="load"),),
        Expected(
            ERROR, "empty: a reply without text, finished as load", kinds="finish", text="", first_event=0
        ),
    ),
    generate(
        "a whole reply",
        (generated("all", **OLLAMA_LAST).rstrip(),),
        Expected(kinds="text finish usage", text="all", events=1, usage=USAGE, first_event=0),
        stream=False,
    ),
    chat(
        "plain",
        (chatted("Wär"), chatted("me"), CHAT_LAST),
        TWO,
    ),
    chat(
        "an empty first message is a role",
        (chatted(), chatted("a"), CHAT_LAST),
        Expected(
            kinds="role text finish usage",
            text="a",
            events=1,
            usage=USAGE,
            first_event_tokens=2,
            first_event=0,
            first_token=1,
            first_answer=1,
            last_token=1,
        ),
    ),
    chat(
        "thinking, then the answer",
        (chatted(message={"thinking": "hm"}), chatted("4"), CHAT_LAST),
        Expected(
            kinds="reasoning text finish usage",
            text="4",
            events=2,
            usage=USAGE,
            first_event=0,
            first_token=0,
            first_answer=1,
            last_token=1,
        ),
    ),
    chat(
        "the call of a tool",
        (chatted(message={"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}), CHAT_LAST),
        Expected(
            kinds="tool finish usage",
            text="",
            events=1,
            usage=USAGE,
            first_event_tokens=2,
            first_event=0,
            first_token=0,
            last_token=0,
        ),
    ),
    chat("an error line", (line({"error": "no"}),), Expected(ERROR, "server: no", kinds="")),
    chat(
        "a message that is none",
        (line({"message": "x", "done": False}),),
        Expected(ERROR, "protocol: message is not an object", kinds=""),
    ),
    chat("the last line lacks", (chatted("x"),), CUT),
    chat(
        "a whole reply",
        (chatted("all", **OLLAMA_LAST),),
        Expected(kinds="text finish usage", text="all", events=1, usage=USAGE, first_event=0),
        stream=False,
    ),
    embed(
        "one vector",
        {
            "model": "m",
            "embeddings": [[0.5, 1]],
            "total_duration": 8,
            "load_duration": 2,
            "prompt_eval_count": 6,
        },
        Expected(
            kinds="vectors usage",
            events=1,
            usage=Usage(prompt_tokens=6, load_ns=2, total_ns=8),
            first_event=0,
        ),
    ),
    embed(
        "no vector",
        {"model": "m", "embeddings": []},
        Expected(ERROR, "protocol: a reply without a vector", kinds=""),
    ),
    embed("no embeddings", {"model": "m"}, Expected(ERROR, "protocol: a reply without a vector", kinds="")),
    embed("an error", {"error": "model not found"}, Expected(ERROR, "server: model not found", kinds="")),
]
