"""Streams and documents of the OpenAI chat API."""

from __future__ import annotations

from hexgate.wire.base import Usage
from support.torture import Case, Expected
from wire.torture.build import (
    DONE,
    ERROR,
    HELLO,
    ROLE,
    STOP,
    TRUNCATED,
    USE,
    chat,
    reply,
    said,
    sse,
    thought,
)

USAGE = Usage(prompt_tokens=7, output_tokens=3)
PLAIN = Expected(
    kinds="role text text finish",
    text="Hello",
    events=2,
    first_event=0,
    first_token=1,
    first_answer=1,
    last_token=2,
)
MANY = 10_000


def ends(line_end: str) -> tuple[bytes, ...]:
    return tuple(piece.decode().replace("\n", line_end).encode() for piece in (*HELLO, DONE))


def bytewise(body: bytes) -> tuple[bytes, ...]:
    return tuple(body[at : at + 1] for at in range(len(body)))


EMOJI = said("🌍")
CUT = EMOJI.index("🌍".encode()) + 2
BIG = "x" * 1_000_000
LONG = said("y" * 600)
CASES = [
    Case("plain", (*HELLO, DONE), PLAIN),
    Case(
        "usage in an event of its own",
        (*HELLO, chat(None, usage=USE), DONE),
        Expected(**{**vars(PLAIN), "kinds": "role text text finish usage", "usage": USAGE}),
    ),
    Case("carriage returns and line feeds", ends("\r\n"), PLAIN),
    Case("carriage returns alone", ends("\r"), PLAIN),
    Case("line ends of all kinds", (*ends("\r\n")[:2], *ends("\n")[2:3], *ends("\r")[3:]), PLAIN),
    Case("no space behind the colon", tuple(p.replace(b"data: ", b"data:") for p in (*HELLO, DONE)), PLAIN),
    Case("a byte order mark", (b"\xef\xbb\xbf" + ROLE, *HELLO[1:], DONE), PLAIN),
    Case(
        "comments and keep-alives",
        (
            b": ping\n\n" + ROLE,
            b": ping\n\n" + HELLO[1],
            HELLO[2] + b":\n\n: ping\n",
            STOP,
            b":" + DONE[:0] + b"\n\n" + DONE,
        ),
        PLAIN,
    ),
    Case(
        "keep-alives in pieces of their own",
        (b": ping\n\n", ROLE, b": ping\n\n", said("a"), b": ping\n\n", STOP, DONE),
        Expected(
            kinds="role text finish",
            text="a",
            events=1,
            first_event=1,
            first_token=3,
            first_answer=3,
            last_token=3,
        ),
    ),
    Case("ids and retry times", (b"retry: 10\nid: 3\n\n" + ROLE, *HELLO[1:], b"id: 4\n" + DONE), PLAIN),
    Case("empty data lines around", (b"\n\n\n" + ROLE, *HELLO[1:], b"\n" + DONE), PLAIN),
    Case(
        "an empty data line is a message, and no JSON",
        (said("a"), b"data:\n\n", STOP, DONE),
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
    Case(
        "data on several lines",
        (
            b'data: {"choices":\n',
            b'data: [{"delta": {"content": "x"},\ndata: "finish_reason": "stop"}]}\n',
            b"\n",
            DONE,
        ),
        Expected(
            kinds="text finish",
            text="x",
            events=1,
            first_event=2,
            first_token=2,
            first_answer=2,
            last_token=2,
        ),
    ),
    Case(
        "a role alone, and the text with the finish",
        (ROLE, chat({"content": "all"}, finish="length", usage=USE), DONE),
        Expected(
            kinds="role text finish usage",
            text="all",
            events=1,
            usage=USAGE,
            first_event_tokens=3,
            first_event=0,
            first_token=1,
            first_answer=1,
            last_token=1,
        ),
    ),
    Case(
        "a role with text is a token",
        (chat({"role": "assistant", "content": "a"}), said("b"), STOP, DONE),
        Expected(
            kinds="text text finish",
            text="ab",
            events=2,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=1,
        ),
    ),
    Case(
        "a role twice",
        (ROLE, ROLE, said("b"), STOP, DONE),
        Expected(
            kinds="role text finish",
            text="b",
            events=1,
            first_event=0,
            first_token=2,
            first_answer=2,
            last_token=2,
        ),
    ),
    Case(
        "null content is no token",
        (chat({"role": "assistant", "content": None}), chat({"content": None}), said("b"), STOP, DONE),
        Expected(
            kinds="role text finish",
            text="b",
            events=1,
            first_event=0,
            first_token=2,
            first_answer=2,
            last_token=2,
        ),
    ),
    Case(
        "reasoning, then the answer",
        (ROLE, thought("h"), thought("m"), said("4"), STOP, DONE),
        Expected(
            kinds="role reasoning reasoning text finish",
            text="4",
            events=3,
            first_event=0,
            first_token=1,
            first_answer=3,
            last_token=3,
        ),
    ),
    Case(
        "reasoning under its other name",
        (ROLE, thought("h", "reasoning"), thought("m", "reasoning"), said("4"), STOP, DONE),
        Expected(
            kinds="role reasoning reasoning text finish",
            text="4",
            events=3,
            first_event=0,
            first_token=1,
            first_answer=3,
            last_token=3,
        ),
    ),
    Case(
        "reasoning under both names is one",
        (
            chat({"reasoning_content": "h", "reasoning": "h"}),
            chat({"reasoning_content": "m", "reasoning": "m"}),
            STOP,
            DONE,
        ),
        Expected(
            kinds="reasoning reasoning finish", text="", events=2, first_event=0, first_token=0, last_token=1
        ),
    ),
    Case(
        "reasoning with an empty answer beside it",
        (
            chat({"reasoning_content": "h", "content": None}),
            chat({"reasoning_content": None, "content": "4"}),
            STOP,
            DONE,
        ),
        Expected(
            kinds="reasoning text finish",
            text="4",
            events=2,
            first_event=0,
            first_token=0,
            first_answer=1,
            last_token=1,
        ),
    ),
    Case(
        "reasoning alone",
        (ROLE, thought("hm"), chat({}, finish="length"), DONE),
        Expected(
            kinds="role reasoning finish", text="", events=1, first_event=0, first_token=1, last_token=1
        ),
    ),
    Case(
        "reasoning and answer by turns",
        (thought("a"), said("b"), thought("c"), said("d"), said("e"), STOP, DONE),
        Expected(
            kinds="reasoning text reasoning text text finish",
            text="bde",
            events=5,
            first_event=0,
            first_token=0,
            first_answer=1,
            last_token=4,
        ),
    ),
    Case(
        "several tokens in an event, usage with each",
        (
            said("a b c d", usage={"completion_tokens": 4}),
            said(" e", usage={"completion_tokens": 5}),
            STOP,
            DONE,
        ),
        Expected(
            kinds="text usage text usage finish",
            text="a b c d e",
            events=2,
            usage=Usage(output_tokens=5),
            first_event_tokens=4,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=1,
        ),
    ),
    Case(
        "usage from the first event on",
        (
            chat({"role": "assistant", "content": ""}, usage={"prompt_tokens": 7, "completion_tokens": 0}),
            *(said(f" t{n}", usage={"prompt_tokens": 7, "completion_tokens": n + 1}) for n in range(6)),
            STOP,
            chat(None, usage={"prompt_tokens": 7, "completion_tokens": 6}),
            DONE,
        ),
        Expected(
            text=" t0 t1 t2 t3 t4 t5",
            events=6,
            usage=Usage(7, 6),
            first_event_tokens=1,
            first_event=0,
            first_token=1,
            first_answer=1,
            last_token=6,
        ),
    ),
    Case(
        "usage alone between two texts",
        (said("a b"), chat(None, usage={"completion_tokens": 2}), said(" c"), STOP, DONE),
        Expected(
            kinds="text usage text finish",
            text="a b c",
            events=2,
            usage=Usage(output_tokens=2),
            first_event_tokens=2,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=2,
        ),
    ),
    Case(
        "usage null with each event",
        (said("a", usage=None), said("b", usage=None), chat({}, finish="stop", usage=USE), DONE),
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
    Case(
        "usage with details, and counts that are none",
        (
            *HELLO,
            chat(
                None,
                usage={
                    "prompt_tokens": None,
                    "completion_tokens": "3",
                    "prompt_tokens_details": {"cached_tokens": 5},
                    "completion_tokens_details": {"reasoning_tokens": 2},
                },
            ),
            DONE,
        ),
        Expected(
            **{
                **vars(PLAIN),
                "kinds": "role text text finish usage",
                "usage": Usage(cached_tokens=5, reasoning_tokens=2),
            }
        ),
    ),
    Case(
        "usage that is negative or a truth value is none",
        (*HELLO, chat(None, usage={"prompt_tokens": -1, "completion_tokens": True}), DONE),
        Expected(**{**vars(PLAIN), "kinds": "role text text finish usage"}),
    ),
    Case(
        "usage alone",
        (chat(None, usage=USE), DONE),
        Expected(
            TRUNCATED,
            "truncated: [DONE] came without a finish_reason",
            kinds="usage",
            usage=USAGE,
            first_event=0,
        ),
    ),
    Case(
        "a refusal is an answer",
        (ROLE, chat({"refusal": "no"}), STOP, DONE),
        Expected(
            kinds="role text finish",
            text="no",
            events=1,
            first_event=0,
            first_token=1,
            first_answer=1,
            last_token=1,
        ),
    ),
    Case(
        "the call of a tool is output, and no answer",
        (
            chat({"role": "assistant", "content": None}),
            chat(
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "1",
                            "type": "function",
                            "function": {"name": "sum", "arguments": ""},
                        }
                    ]
                }
            ),
            chat({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}),
            chat({"tool_calls": [{"index": 0, "function": {"arguments": " 1}"}}]}),
            chat({}, finish="tool_calls"),
            DONE,
        ),
        Expected(
            kinds="role tool tool tool finish", text="", events=3, first_event=0, first_token=1, last_token=3
        ),
    ),
    Case(
        "text, then the call of a tool",
        (
            said("so"),
            chat({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]}),
            chat({}, finish="tool_calls"),
            DONE,
        ),
        Expected(
            kinds="text tool finish",
            text="so",
            events=2,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=1,
        ),
    ),
    Case(
        "the call of a function, as it was before tools",
        (chat({"function_call": {"name": "f", "arguments": "{}"}}), chat({}, finish="function_call"), DONE),
        Expected(kinds="tool finish", text="", events=1, first_event=0, first_token=0, last_token=0),
    ),
    Case(
        "tool calls that are no list",
        (chat({"tool_calls": {"0": 1}}), DONE),
        Expected(ERROR, "protocol: tool_calls is not a list", kinds=""),
    ),
    Case(
        "no choice in an event",
        (chat(None), ROLE, chat(None), said("a"), STOP, DONE),
        Expected(
            kinds="role text finish",
            text="a",
            events=1,
            first_event=1,
            first_token=3,
            first_answer=3,
            last_token=3,
        ),
    ),
    Case(
        "the choice with index 1 first",
        (
            sse({"choices": [{"index": 1, "delta": {"content": "B"}}]}),
            sse(
                {
                    "choices": [
                        {"index": 1, "delta": {"content": "B"}},
                        {"index": 0, "delta": {"content": "A"}},
                    ]
                }
            ),
            STOP,
            DONE,
        ),
        Expected(
            kinds="text finish",
            text="A",
            events=1,
            first_event=1,
            first_token=1,
            first_answer=1,
            last_token=1,
        ),
    ),
    Case(
        "an empty reply",
        (ROLE, STOP, DONE),
        Expected(
            ERROR,
            "empty: a reply without text, finished as stop",
            kinds="role finish",
            text="",
            first_event=0,
        ),
    ),
    Case(
        "an empty reply at the limit of tokens",
        (ROLE, chat({}, finish="length"), DONE),
        Expected(
            ERROR,
            "empty: a reply without text, finished as length",
            kinds="role finish",
            text="",
            first_event=0,
        ),
    ),
    Case("the last blank line lacks", (*HELLO, b"data: [DONE]"), PLAIN),
    Case("the last blank line is half there", (*HELLO, b"data: [DONE]\n"), PLAIN),
    Case("anything behind [DONE]", (*HELLO, DONE + said("late")), PLAIN),
    Case("finish twice alike", (*HELLO, STOP, DONE), PLAIN),
    Case(
        "finish twice unlike",
        (*HELLO, chat({}, finish="length"), DONE),
        Expected(
            **{**vars(PLAIN), "outcome": ERROR, "error": "protocol: finished twice, as stop and as length"}
        ),
    ),
    Case(
        "text behind the finish",
        (*HELLO, said("more"), DONE),
        Expected(**{**vars(PLAIN), "outcome": ERROR, "error": "protocol: more text after the finish"}),
    ),
    Case(
        "no [DONE], as transformers serve has it",
        HELLO,
        PLAIN,
    ),
    Case(
        "no finish",
        (ROLE, said("x"), DONE),
        Expected(
            TRUNCATED,
            "truncated: [DONE] came without a finish_reason",
            kinds="role text",
            text="x",
            events=1,
            first_event=0,
            first_token=1,
            first_answer=1,
            last_token=1,
        ),
    ),
    Case(
        "neither finish nor [DONE]",
        (ROLE, said("x"), said("y")),
        Expected(
            TRUNCATED,
            "truncated: the stream ended before its finish_reason",
            kinds="role text text",
            text="xy",
            events=2,
            first_event=0,
            first_token=1,
            first_answer=1,
            last_token=2,
        ),
    ),
    Case(
        "cut inside an event",
        (said("x"), b'data: {"choi'),
        Expected(
            TRUNCATED,
            "truncated: the stream ended inside an event",
            kinds="text",
            text="x",
            events=1,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=0,
        ),
    ),
    Case("a role, then nothing", (ROLE,), Expected(TRUNCATED, "truncated: ", kinds="role", first_event=0)),
    Case(
        "comments alone",
        (b": ping\n\n", b": ping\n\n"),
        Expected(TRUNCATED, "truncated: the stream holds comments"),
    ),
    Case("blanks alone", (b"\n", b"\n\n"), Expected(TRUNCATED, "truncated: the stream is empty")),
    Case(
        "an error as an object, in the middle",
        (ROLE, said("x"), sse({"error": {"message": "out of memory", "code": 500}}), DONE),
        Expected(
            ERROR,
            "server: out of memory",
            kinds="role text",
            text="x",
            events=1,
            first_event=0,
            first_token=1,
            first_answer=1,
            last_token=1,
        ),
    ),
    Case(
        "an error behind the finish",
        (*HELLO, sse({"error": {"message": "late"}}), DONE),
        Expected(**{**vars(PLAIN), "outcome": ERROR, "error": "server: late"}),
    ),
    Case(
        "an error as a text",
        (sse({"error": "overloaded"}), DONE),
        Expected(ERROR, "server: overloaded", kinds=""),
    ),
    Case(
        "an error without a message",
        (sse({"error": {"code": 42}}), DONE),
        Expected(ERROR, 'server: {"code": 42}', kinds=""),
    ),
    Case(
        "an error of older servers",
        (sse({"object": "error", "message": "bad prompt", "code": 400}), DONE),
        Expected(ERROR, "server: bad prompt", kinds=""),
    ),
    Case("an error event", (b"event: error\ndata: boom\n\n",), Expected(ERROR, "server: boom", kinds="")),
    Case(
        "an error event with an object",
        (said("a"), sse({"error": {"message": "boom"}}, event="error")),
        Expected(
            ERROR,
            "server: boom",
            kinds="text",
            text="a",
            events=1,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=0,
        ),
    ),
    Case(
        "one error document for a stream",
        (b'{"error": {"message":', b' "no model"}}'),
        Expected(ERROR, "server: no model", kinds=""),
    ),
    Case(
        "one document for a stream", (reply("hi"),), Expected(ERROR, "protocol: one JSON document", kinds="")
    ),
    Case(
        "a page of HTML for a stream",
        (b"<html><body>", b"502</body></html>"),
        Expected(ERROR, "protocol: no server-sent event", kinds=""),
        headers=("content-type: text/html",),
    ),
    Case(
        "an event that is no JSON",
        (ROLE, b"data: {nope}\n\n"),
        Expected(ERROR, "protocol: not JSON", kinds="role", first_event=0),
    ),
    Case(
        "an event that is a list",
        (b"data: [1]\n\n",),
        Expected(ERROR, "protocol: the reply is not an object", kinds=""),
    ),
    Case(
        "two objects in one event",
        (b'data: {"choices": []} {"choices": []}\n\n', DONE),
        Expected(ERROR, "protocol: not JSON", kinds=""),
    ),
    Case(
        "NaN is no JSON",
        (said("a"), b'data: {"choices": [], "x": NaN}\n\n', STOP, DONE),
        Expected(
            ERROR,
            "protocol: NaN is not JSON",
            kinds="text",
            text="a",
            events=1,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=0,
        ),
    ),
    Case(
        "a number that Python would not read",
        (b'data: {"choices": [], "x": 1' + b"0" * 5000 + b"}\n\n", DONE),
        Expected(ERROR, "protocol: not JSON", kinds=""),
    ),
    Case(
        "content that is a number",
        (said(5), DONE),
        Expected(ERROR, "protocol: a text that is not a string but int", kinds=""),
    ),  # type: ignore[arg-type]
    Case(
        "choices that are no list",
        (sse({"choices": {"0": 1}}),),
        Expected(ERROR, "protocol: choices is not a list", kinds=""),
    ),
    Case(
        "nesting without end",
        (b"data: " + b"[" * 50_000 + b"\n\n",),
        Expected(ERROR, "protocol: not JSON", kinds=""),
    ),
    Case(
        "text of four scripts",
        (said("你好，"), said("мир 🌍 é"), STOP, DONE),
        Expected(
            kinds="text text finish",
            text="你好，мир 🌍 é",
            events=2,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=1,
        ),
    ),
    Case(
        "a character of four bytes split in two",
        (said("a"), EMOJI[:CUT], EMOJI[CUT:], STOP, DONE),
        Expected(
            kinds="text text finish",
            text="a🌍",
            events=2,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=2,
        ),
    ),
    Case(
        "a character split between two events, as halves",
        (
            b'data: {"choices": [{"delta": {"content": "\\ud83c"}}]}\n\n',
            b'data: {"choices": [{"delta": {"content": "\\udf0d"}}]}\n\n',
            STOP,
            DONE,
        ),
        Expected(text="🌍", events=2, first_event=0, first_token=0, first_answer=0, last_token=1),
    ),
    Case(
        "half a character that never becomes whole",
        (b'data: {"choices": [{"delta": {"content": "a\\ud83c"}}]}\n\n', STOP, DONE),
        Expected(text="a\ufffd", events=1, first_event=0, first_token=0, first_answer=0, last_token=0),
    ),
    Case(
        "bytes that are not UTF-8 are shown as such",
        (b'data: {"choices": [{"delta": {"content": "a\xff"}}]}\n\n', said("b"), STOP, DONE),
        Expected(
            kinds="text text finish",
            text="a\ufffdb",
            events=2,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=1,
        ),
    ),
    Case(
        "a byte at a time",
        bytewise(said("🌍!") + STOP + DONE),
        Expected(
            kinds="text finish",
            text="🌍!",
            events=1,
            first_event=len(said("🌍!")) - 1,
            first_token=len(said("🌍!")) - 1,
            first_answer=len(said("🌍!")) - 1,
            last_token=len(said("🌍!")) - 1,
        ),
    ),
    Case(
        "one event in 300 pieces",
        (*(LONG[at : at + 2] for at in range(0, 598, 2)), LONG[598:], STOP, DONE),
        Expected(
            kinds="text finish",
            text="y" * 600,
            events=1,
            first_event=299,
            first_token=299,
            first_answer=299,
            last_token=299,
        ),
    ),
    Case(
        "an event of a megabyte",
        (ROLE, said(BIG), said("!"), STOP, DONE),
        Expected(
            kinds="role text text finish",
            text=BIG + "!",
            events=2,
            first_event=0,
            first_token=1,
            first_answer=1,
            last_token=2,
        ),
    ),
    Case(
        "10,000 events in one piece",
        (ROLE, b"".join(said(f" {number}") for number in range(MANY)), STOP, DONE),
        Expected(
            text="".join(f" {number}" for number in range(MANY)),
            events=MANY,
            first_event=0,
            first_token=1,
            first_answer=1,
            last_token=1,
        ),
    ),
    Case(
        "texts that look like what is around them",
        (*map(said, ("id", "c1", "content", '"', "\\", '"}}]', "\n", "data: x", " ok")), STOP, DONE),
        Expected(
            text='idc1content"\\"}}]\ndata: x ok',
            events=9,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=8,
        ),
    ),
    Case(
        "a log probability of the token beside it",
        (
            *(said(text, logprobs={"content": [{"token": text, "logprob": -0.5}]}) for text in "ab"),
            STOP,
            DONE,
        ),
        Expected(
            kinds="text text finish",
            text="ab",
            events=2,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=1,
        ),
    ),
    Case(
        "a whole reply",
        (reply("hi", usage=USE),),
        Expected(kinds="text finish usage", text="hi", events=1, usage=USAGE, first_event=0),
        stream=False,
    ),
    Case(
        "a whole reply in pieces",
        (reply("hé")[:80], reply("hé")[80:]),
        Expected(kinds="text finish", text="hé", events=1, first_event=1),
        stream=False,
    ),
    Case(
        "a whole reply with a byte order mark and blanks",
        (b"\xef\xbb\xbf" + reply("hi") + b"\r\n",),
        Expected(kinds="text finish", text="hi", events=1, first_event=0),
        stream=False,
    ),
    Case(
        "a whole reply without a finish",
        (reply("hi", finish=None),),
        Expected(
            ERROR,
            "protocol: a reply without a finish_reason",
            kinds="text",
            text="hi",
            events=1,
            first_event=0,
        ),
        stream=False,
    ),
    Case(
        "a whole reply with an error",
        (b'{"error": {"message": "no"}}',),
        Expected(ERROR, "server: no", kinds=""),
        stream=False,
    ),
    Case(
        "a whole reply of blanks",
        (b" \n",),
        Expected(TRUNCATED, "truncated: the body is empty"),
        stream=False,
    ),
    Case(
        "a whole reply with nothing in it",
        (reply(""),),
        Expected(
            ERROR, "empty: a reply without text, finished as stop", kinds="finish", text="", first_event=0
        ),
        stream=False,
    ),
    Case(
        "a stream where a document was asked for",
        (*HELLO, DONE),
        Expected(ERROR, "protocol: server-sent events instead of one JSON document", kinds=""),
        stream=False,
    ),
    Case(
        "a page of HTML for a document",
        (b"<html>busy</html>",),
        Expected(ERROR, "protocol: not JSON", kinds=""),
        stream=False,
    ),
    Case(
        "a document that is not UTF-8",
        (b'{"choices": [{"message": {"content": "\xff"}, "finish_reason": "stop"}]}',),
        Expected(ERROR, "protocol: not JSON", kinds=""),
        stream=False,
    ),
    Case(
        "a document that ends in the middle",
        (reply("hi")[:-3],),
        Expected(ERROR, "protocol: not JSON", kinds=""),
        stream=False,
    ),
]
