"""Replies of the other OpenAI APIs: completions, responses, embeddings."""

from __future__ import annotations

from typing import Any

from hexgate.wire.base import Usage
from support.torture import Case, Expected
from wire.torture.build import DONE, ERROR, TRUNCATED, USE, completion, dumped, response, sse

COUNTS = {
    "input_tokens": 7,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 3,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 10,
}
USAGE = Usage(prompt_tokens=7, output_tokens=3, cached_tokens=4, reasoning_tokens=1)


def ended(status: str, **more: Any) -> bytes:
    return response(
        f"response.{status}", response={"id": "r", "status": status, "error": None, "usage": COUNTS, **more}
    )


def text(delta: str) -> bytes:
    return response("response.output_text.delta", output_index=0, content_index=0, delta=delta)


def reason(delta: str, kind: str = "response.reasoning_summary_text.delta") -> bytes:
    return response(kind, output_index=0, delta=delta)


CREATED = response("response.created", response={"id": "r", "status": "in_progress", "error": None})
BEGUN = response("response.in_progress", response={"id": "r", "status": "in_progress", "error": None})
ADDED = response("response.output_item.added", item={"type": "message", "content": []})
TEXT_DONE = response("response.output_text.done", text="Hello")
OUTPUT = [
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]},
]
ONE = Expected(
    kinds="role text text finish usage",
    text="Hello",
    events=2,
    usage=USAGE,
    first_event=0,
    first_token=3,
    first_answer=3,
    last_token=4,
)


def responses(name: str, pieces: tuple[bytes, ...], expected: Expected, *, stream: bool = True) -> Case:
    return Case(f"responses: {name}", pieces, expected, "openai-responses", stream)


def document(**fields: Any) -> tuple[bytes, ...]:
    return (
        dumped(
            {"object": "response", "status": "completed", "error": None, "usage": COUNTS, **fields}
        ).encode(),
    )


def embeddings(name: str, fields: Any, expected: Expected) -> Case:
    body = fields if isinstance(fields, bytes) else dumped(fields).encode()
    return Case(f"embeddings: {name}", (body,), expected, "openai-embeddings", stream=False)


def vectors(*rows: Any) -> dict[str, Any]:
    data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
    return {"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 5, "total_tokens": 5}}


CASES = [
    Case(
        "completions: plain",
        (completion("a"), completion("b"), completion("", finish="stop", usage=USE), DONE),
        Expected(
            kinds="text text finish usage",
            text="ab",
            events=2,
            usage=Usage(7, 3),
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=1,
        ),
        "openai-completions",
    ),
    Case(
        "completions: cut",
        (completion("a"),),
        Expected(
            TRUNCATED,
            "truncated: ",
            kinds="text",
            text="a",
            events=1,
            first_event=0,
            first_token=0,
            first_answer=0,
            last_token=0,
        ),
        "openai-completions",
    ),
    Case(
        "completions: a whole reply",
        (
            dumped(
                {"choices": [{"index": 0, "text": "ab", "finish_reason": "length"}], "usage": USE}
            ).encode(),
        ),
        Expected(kinds="text finish usage", text="ab", events=1, usage=Usage(7, 3), first_event=0),
        "openai-completions",
        stream=False,
    ),
    responses("plain", (CREATED, BEGUN, ADDED, text("Hel"), text("lo"), TEXT_DONE, ended("completed")), ONE),
    responses(
        "[DONE] behind it", (CREATED, BEGUN, ADDED, text("Hel"), text("lo"), ended("completed"), DONE), ONE
    ),
    responses(
        "event names lack",
        tuple(
            piece[piece.index(b"data: ") :]
            for piece in (CREATED, BEGUN, ADDED, text("Hel"), text("lo"), ended("completed"))
        ),
        ONE,
    ),
    responses(
        "reasoning of every name, then the answer",
        (
            CREATED,
            reason("a"),
            reason("b", "response.reasoning_text.delta"),
            reason("c", "response.reasoning.delta"),
            reason("d", "response.reasoning_summary.delta"),
            text("4"),
            ended("completed"),
        ),
        Expected(
            kinds="role reasoning reasoning reasoning reasoning text finish usage",
            text="4",
            events=5,
            usage=USAGE,
            first_event=0,
            first_token=1,
            first_answer=5,
            last_token=5,
        ),
    ),
    responses(
        "a refusal",
        (CREATED, response("response.refusal.delta", delta="no"), ended("completed")),
        Expected(
            kinds="role text finish usage",
            text="no",
            events=1,
            usage=USAGE,
            first_event_tokens=3,
            first_event=0,
            first_token=1,
            first_answer=1,
            last_token=1,
        ),
    ),
    responses(
        "the call of a function",
        (
            CREATED,
            response("response.function_call_arguments.delta", delta="{"),
            response("response.function_call_arguments.delta", delta="}"),
            ended("completed"),
        ),
        Expected(
            kinds="role tool tool finish usage",
            text="",
            events=2,
            usage=USAGE,
            first_event=0,
            first_token=1,
            last_token=2,
        ),
    ),
    responses(
        "incomplete is finished, with its reason",
        (CREATED, text("Hel"), ended("incomplete", incomplete_details={"reason": "max_output_tokens"})),
        Expected(
            kinds="role text finish usage",
            text="Hel",
            events=1,
            usage=USAGE,
            first_event_tokens=3,
            first_event=0,
            first_token=1,
            first_answer=1,
            last_token=1,
        ),
    ),
    responses(
        "failed",
        (CREATED, text("Hel"), ended("failed", error={"code": "server_error", "message": "out of memory"})),
        Expected(
            ERROR,
            "server: out of memory",
            kinds="role text",
            text="Hel",
            events=1,
            first_event=0,
            first_token=1,
            first_answer=1,
            last_token=1,
        ),
    ),
    responses(
        "failed without a reason",
        (CREATED, ended("failed")),
        Expected(ERROR, "server: the response ended as failed", kinds="role", first_event=0),
    ),
    responses(
        "an error event",
        (CREATED, text("a"), sse({"type": "error", "code": "x", "message": "overloaded"}, event="error")),
        Expected(
            ERROR,
            "server: overloaded",
            kinds="role text",
            text="a",
            events=1,
            first_event=0,
            first_token=1,
            first_answer=1,
            last_token=1,
        ),
    ),
    responses(
        "an error event without a name",
        (CREATED, sse({"type": "error", "code": "x", "message": "overloaded"})),
        Expected(ERROR, "server: overloaded", kinds="role", first_event=0),
    ),
    responses(
        "no completed",
        (CREATED, text("Hel"), TEXT_DONE),
        Expected(
            TRUNCATED,
            "truncated: the stream ended before its response.completed",
            kinds="role text",
            text="Hel",
            events=1,
            first_event=0,
            first_token=1,
            first_answer=1,
            last_token=1,
        ),
    ),
    responses(
        "text behind completed",
        (CREATED, text("a"), ended("completed"), text("b")),
        Expected(
            ERROR,
            "protocol: more text after the finish (completed)",
            kinds="role text finish usage",
            text="a",
            events=1,
            usage=USAGE,
            first_event_tokens=3,
            first_event=0,
            first_token=1,
            first_answer=1,
            last_token=1,
        ),
    ),
    responses(
        "an event without a type",
        (sse({"delta": "x"}),),
        Expected(ERROR, "protocol: an event without a type", kinds=""),
    ),
    responses(
        "a whole reply",
        document(output=OUTPUT),
        Expected(kinds="reasoning text finish usage", text="Hello", events=2, usage=USAGE, first_event=0),
        stream=False,
    ),
    responses(
        "a whole reply with a call",
        document(output=[{"type": "function_call", "name": "f", "arguments": "{}"}]),
        Expected(kinds="tool finish usage", text="", events=1, usage=USAGE, first_event=0),
        stream=False,
    ),
    responses(
        "a whole reply that failed",
        document(status="failed", output=[], error={"message": "no"}),
        Expected(ERROR, "server: no", kinds=""),
        stream=False,
    ),
    responses(
        "a whole reply that was cancelled",
        document(status="cancelled", output=[]),
        Expected(ERROR, "server: the response ended as cancelled", kinds=""),
        stream=False,
    ),
    responses(
        "a whole reply without output",
        document(output=[]),
        Expected(
            ERROR,
            "empty: a reply without text, finished as completed",
            kinds="finish usage",
            text="",
            usage=USAGE,
            first_event=0,
        ),
        stream=False,
    ),
    embeddings(
        "one vector",
        vectors([0.1, -2, 3.5]),
        Expected(kinds="vectors usage", events=1, usage=Usage(prompt_tokens=5), first_event=0),
    ),
    embeddings(
        "no usage", {"data": [{"embedding": [1, 2]}]}, Expected(kinds="vectors", events=1, first_event=0)
    ),
    embeddings("no vector", vectors(), Expected(ERROR, "protocol: a reply without a vector", kinds="")),
    embeddings("an empty vector", vectors([]), Expected(ERROR, "protocol: an empty vector", kinds="")),
    embeddings(
        "vectors of two widths", vectors([1], [1, 2]), Expected(ERROR, "protocol: the rows of data", kinds="")
    ),
    embeddings(
        "null in a vector", vectors([1, None]), Expected(ERROR, "protocol: data holds None", kinds="")
    ),
    embeddings(
        "NaN in a vector",
        b'{"data": [{"embedding": [1, NaN]}]}',
        Expected(ERROR, "protocol: NaN is not JSON", kinds=""),
    ),
    embeddings(
        "a number beyond a double",
        b'{"data": [{"embedding": [1e999]}]}',
        Expected(ERROR, "protocol: data holds a number beyond", kinds=""),
    ),
    embeddings(
        "base64 instead of numbers",
        vectors("AACAPw=="),
        Expected(ERROR, "protocol: data is not a list of lists", kinds=""),
    ),
    embeddings("no data", {"object": "list"}, Expected(ERROR, "protocol: a reply without data", kinds="")),
    embeddings("an error", {"error": {"message": "too long"}}, Expected(ERROR, "server: too long", kinds="")),
    embeddings("cut", dumped(vectors([1, 2])).encode()[:-9], Expected(ERROR, "protocol: not JSON", kinds="")),
]
