from __future__ import annotations

import json
from typing import Any

import pytest

from hexgate.load.records import NEVER, Outcome
from hexgate.load.sending.exchange import Exchange, Fault
from hexgate.load.sending.reading import read_exchange
from hexgate.wire.registry import dialect


def exchange(*pieces: bytes, status: int | None = 200, fault: Fault | None = None) -> Exchange:
    """Sent at 100, headers at 150, piece i read at 200 + 10 i, over at 900."""
    stamps = [200 + 10 * number for number in range(len(pieces))]
    error = "why" if fault else None
    return Exchange(status, list(pieces), stamps, 100, 150, 900, 77, fault, error)


def event(delta: dict[str, Any] | None = None, *, finish: str | None = None, **top: Any) -> bytes:
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    return f"data: {json.dumps({'choices': choices, **top})}\n\n".encode()


def usage(tokens: int) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": 3, "completion_tokens": tokens}}


DONE = b"data: [DONE]\n\n"
CHAT = dialect("openai-chat")


def test_a_stream_gets_the_stamps_of_its_pieces() -> None:
    attempt = read_exchange(
        exchange(
            event({"role": "assistant"}),
            event({"reasoning_content": "hm"}),
            event({"content": "a"}),
            event({"content": "b"})[:-1],
            b"\n",
            event(finish="stop", **usage(9)) + DONE,
        ),
        CHAT,
        stream=True,
    )
    assert attempt.outcome is Outcome.OK
    assert (attempt.sent_ns, attempt.headers_ns, attempt.end_ns) == (100, 150, 900)
    assert attempt.first_event_ns == 200
    assert attempt.first_token_ns == 210
    assert attempt.first_answer_ns == 220
    assert attempt.last_token_ns == 240
    assert (attempt.events, attempt.prompt_tokens, attempt.output_tokens) == (3, 3, 9)
    assert attempt.first_event_tokens == NEVER
    assert (attempt.text, attempt.error, attempt.bytes) == ("ab", None, 77)


def test_the_tokens_of_the_first_event_are_known_where_usage_comes_with_each() -> None:
    bundled = exchange(
        event({"content": "a b c"}, **usage(3)),
        event({"content": "d"}, **usage(4)),
        event(finish="stop") + DONE,
    )
    assert read_exchange(bundled, CHAT, stream=True).first_event_tokens == 3
    at_once = exchange(event({"content": "all"}), event(finish="stop", **usage(5)), DONE)
    assert read_exchange(at_once, CHAT, stream=True).first_event_tokens == 5


def test_a_whole_reply_has_no_token_times() -> None:
    body = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], **usage(2)}
    attempt = read_exchange(exchange(json.dumps(body).encode()), CHAT, stream=False)
    assert attempt.outcome is Outcome.OK
    assert (attempt.first_token_ns, attempt.last_token_ns, attempt.first_answer_ns) == (NEVER,) * 3
    assert (attempt.events, attempt.output_tokens, attempt.text) == (1, 2, "hi")


def test_an_empty_reply_is_no_success() -> None:
    attempt = read_exchange(
        exchange(event({"role": "assistant"}), event(finish="stop", **usage(0)) + DONE), CHAT, stream=True
    )
    assert (attempt.outcome, attempt.text, attempt.events) == (Outcome.ERROR, None, 0)
    assert attempt.error == "empty: a reply without text, finished as stop"
    assert attempt.first_event_ns == 200
    assert attempt.first_token_ns == NEVER
    body = {"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]}
    whole = read_exchange(exchange(json.dumps(body).encode()), CHAT, stream=False)
    assert (whole.outcome, whole.error) == (
        Outcome.ERROR,
        "empty: a reply without text, finished as content_filter",
    )


def test_reasoning_alone_is_an_answer() -> None:
    got = exchange(event({"reasoning_content": "hm"}), event(finish="length") + DONE)
    attempt = read_exchange(got, CHAT, stream=True)
    assert (attempt.outcome, attempt.text, attempt.events) == (Outcome.OK, "", 1)


def test_scores() -> None:
    attempt = read_exchange(exchange(b'{"scores": ', b"[[1, 2]]}"), dialect("predict"), stream=False)
    assert (attempt.outcome, attempt.events, attempt.first_event_ns, attempt.text) == (
        Outcome.OK,
        1,
        210,
        None,
    )
    assert attempt.classes == 2


@pytest.mark.parametrize(
    ("scores", "error"),
    [
        ([], "empty: a reply without scores"),
        ([[]], "protocol: 0 scores for an input"),
        ([[0.1]], "protocol: 1 scores for an input"),
        ([[0.1, 0.2]], "protocol: 2 scores for an input where there are 3 classes"),
        ([[0.1, 0.2, 0.3]] * 2, "protocol: 2 rows of scores where 1 were asked for"),
        ([[0.1, 0.2, 0.3], [0.1, 0.2]], "protocol: the rows of scores have different lengths"),
        ([[0.1, 0.2, float("nan")]], "protocol: "),
        ([[0.1, 0.2, float("inf")]], "protocol: "),
    ],
)
def test_scores_that_answer_nothing_are_no_success(scores: list[list[float]], error: str) -> None:
    got = exchange(json.dumps({"scores": scores}).encode())
    attempt = read_exchange(got, dialect("predict"), stream=False, inputs=1, classes=3)
    assert attempt.outcome is Outcome.ERROR
    assert attempt.error is not None
    assert attempt.error.startswith(error)
    assert attempt.classes == NEVER


def test_an_empty_tensor_is_no_success() -> None:
    body = {"outputs": [{"name": "y", "datatype": "FP32", "shape": [0, 10], "data": []}]}
    got = exchange(json.dumps(body).encode())
    attempt = read_exchange(got, dialect("kserve-v2"), stream=False, inputs=1)
    assert (attempt.outcome, attempt.error) == (Outcome.ERROR, "empty: a reply without scores")


@pytest.mark.parametrize(
    ("got", "outcome", "error"),
    [
        (exchange(status=None, fault=Fault.CONNECTION), Outcome.ERROR, "connection: why"),
        (exchange(b"x", fault=Fault.CUT), Outcome.TRUNCATED, "cut: why"),
        (exchange(b"x", fault=Fault.TIMEOUT), Outcome.TIMEOUT, "timeout: why"),
        (exchange(status=302, fault=Fault.PROTOCOL), Outcome.ERROR, "protocol: why"),
        (exchange(status=None, fault=Fault.CLIENT), Outcome.NOT_SENT, "client: why"),
        (exchange(fault=Fault.ABANDONED), Outcome.UNFINISHED, "abandoned: why"),
        (exchange(b'{"error": {"message": "busy"}}', status=429), Outcome.ERROR, "http_429: busy"),
        (exchange(b"<html>", status=502), Outcome.ERROR, "http_502: <html>"),
        (exchange(status=500), Outcome.ERROR, "http_500: no message"),
        (exchange(), Outcome.TRUNCATED, "truncated: the stream is empty"),
        (exchange(event({"content": "a"})), Outcome.TRUNCATED, "truncated: the stream ended before"),
        (exchange(b'data: {"error": "oom"}\n\n'), Outcome.ERROR, "server: oom"),
        (exchange(b"data: {\n\n"), Outcome.ERROR, "protocol: not JSON"),
    ],
)
def test_every_failure_has_its_outcome_and_its_words(got: Exchange, outcome: Outcome, error: str) -> None:
    attempt = read_exchange(got, CHAT, stream=True)
    assert attempt.outcome is outcome
    assert attempt.error is not None
    assert attempt.error.startswith(error)
    assert attempt.unreachable is (got.fault in {Fault.CONNECTION, Fault.CLIENT})


def test_a_failed_reply_keeps_what_had_come() -> None:
    attempt = read_exchange(exchange(event({"content": "a"}), fault=Fault.TIMEOUT), CHAT, stream=True)
    assert (attempt.outcome, attempt.first_token_ns, attempt.text) == (Outcome.TIMEOUT, 200, "a")
    unfinished = read_exchange(exchange(event({"content": "a"}), fault=Fault.ABANDONED), CHAT, stream=True)
    assert (unfinished.outcome, unfinished.first_token_ns, unfinished.end_ns) == (
        Outcome.UNFINISHED,
        200,
        NEVER,
    )


def test_what_was_abandoned_before_it_was_sent_was_not_sent() -> None:
    got = Exchange(None, [], [], -1, -1, 900, 0, Fault.ABANDONED, "why")
    attempt = read_exchange(got, CHAT, stream=True)
    assert (attempt.outcome, attempt.end_ns) == (Outcome.NOT_SENT, NEVER)


def test_a_key_that_the_server_echoes_is_kept_nowhere() -> None:
    refused = exchange(b'{"error": "bad key sk-123"}', status=401)
    assert read_exchange(refused, CHAT, stream=True, secret="sk-123").error == "http_401: bad key ***"
    said = exchange(event({"content": "your key is sk-123"}), fault=Fault.TIMEOUT)
    assert read_exchange(said, CHAT, stream=True, secret="sk-123").text == "your key is ***"
