"""One request over a real connection: stamps in their order, texts apart, counts as stated, failures by class."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest

from hexgate.study.asking import Asked, Line, ask_once
from hexgate.targets.http_client import HttpClient
from hexgate.wire.base import Ask
from hexgate.wire.registry import dialect
from support.routed_server import Reply, RoutedServer
from support.studies import LAST, lines, said

SECRET = "key-of-the-endpoint"


@contextmanager
def line_to(server: RoutedServer, spoken: str, base: str = "", timeout_s: float = 10.0) -> Iterator[Line]:
    client = HttpClient(server.origin + base, {}, timeout_s, SECRET)
    try:
        yield Line(client, dialect(spoken), SECRET)
    finally:
        client.close()


def ollama(reply: Reply, *, timeout_s: float = 10.0) -> Asked:
    with (
        RoutedServer({"POST /api/chat": lambda _: reply}) as server,
        line_to(server, "ollama-chat", timeout_s=timeout_s) as line,
    ):
        return ask_once(line, Ask(prompt="Hi", model="tiny:1b"))


def openai(*events: dict[str, Any] | str) -> Asked:
    chunks = [b"data: " + (e if isinstance(e, str) else json.dumps(e)).encode() + b"\n\n" for e in events]
    with (
        RoutedServer({"POST /v1/chat/completions": lambda _: chunks}) as server,
        line_to(server, "openai-chat", "/v1") as line,
    ):
        return ask_once(line, Ask(prompt="Hi", model="m"))


class TestOllama:
    """Replies of Ollama's own API."""

    def test_a_reply_has_its_text_its_counts_and_stamps_in_order(self) -> None:
        asked = ollama(said("It", " is", " green", "."))
        assert asked.failure is None
        assert asked.text == "It is green."
        assert asked.thinking == ""
        assert (asked.finish_reason, asked.truncated) == ("stop", False)
        assert asked.token_events == 4
        assert asked.usage.output_tokens == 4
        assert asked.usage.output_ns == 400_000_000
        stamps = asked.stamps
        order = [stamps.sent_ns, stamps.headers_ns, stamps.first_event_ns, stamps.first_token_ns]
        order += [stamps.last_token_ns, stamps.end_ns]
        assert None not in order
        assert order == sorted(order)
        assert stamps.first_answer_ns == stamps.first_token_ns

    def test_thinking_is_a_token_and_no_answer(self) -> None:
        asked = ollama(said("42", thinking=("six times", " seven")))
        assert asked.thinking == "six times seven"
        assert asked.text == "42"
        assert asked.stamps.first_token_ns is not None
        assert asked.stamps.first_answer_ns is not None
        assert asked.stamps.first_token_ns <= asked.stamps.first_answer_ns
        # The server counts both into eval_count, and states no number of its own for thinking.
        assert asked.usage.output_tokens == 4
        assert asked.usage.reasoning_tokens is None

    def test_what_the_server_leaves_out_is_unknown_and_not_zero(self) -> None:
        last = {
            key: value for key, value in LAST.items() if key not in {"load_duration", "prompt_eval_count"}
        }
        asked = ollama(said("Yes", last=last))
        assert asked.failure is None
        assert asked.usage.load_ns is None
        assert asked.usage.prompt_tokens is None
        assert asked.usage.cached_tokens is None

    def test_a_count_of_cached_tokens_is_taken_up(self) -> None:
        asked = ollama(said("Yes", last={**LAST, "prompt_eval_cached_count": 18}))
        assert asked.usage.cached_tokens == 18

    def test_a_reply_that_was_cut_says_so(self) -> None:
        assert ollama(said("and", last={**LAST, "done_reason": "length"})).truncated is True

    def test_a_reply_without_text_is_a_reply(self) -> None:
        asked = ollama(said())
        assert asked.failure is None
        assert asked.text == ""
        assert asked.stamps.first_token_ns is None

    @pytest.mark.parametrize(
        ("reply", "kind"),
        [
            (500, "http_500"),
            (404, "http_404"),
            (None, "connection"),
            (said("half")[:-1], "truncated"),
            ([*said("half")[:-1], *lines({"error": "out of memory"})], "server"),
            ([b"<html>\n"], "protocol"),
        ],
    )
    def test_every_failure_has_its_class(self, reply: Reply, kind: str) -> None:
        asked = ollama(reply)
        assert asked.failure is not None
        assert asked.failure.kind == kind
        assert asked.stamps.end_ns >= asked.stamps.sent_ns
        if kind in {"truncated", "server"}:
            assert asked.text == "half"

    def test_nobody_there_is_a_failed_connection(self) -> None:
        server = RoutedServer({})
        server.close()
        with line_to(server, "ollama-chat") as line:
            asked = ask_once(line, Ask(prompt="Hi", model="m"))
        assert asked.failure is not None
        assert asked.failure.kind == "connection"

    def test_a_server_that_says_nothing_is_waited_for_no_longer_than_asked(self) -> None:
        release = threading.Event()

        def late(_: dict[str, Any]) -> Reply:
            release.wait(10)
            return 500

        with (
            RoutedServer({"POST /api/chat": late}) as server,
            line_to(server, "ollama-chat", timeout_s=0.2) as line,
        ):
            asked = ask_once(line, Ask(prompt="Hi", model="m"))
            release.set()
        assert asked.failure is not None
        assert asked.failure.kind == "timeout"

    def test_a_server_that_echoes_the_key_does_not_put_it_into_a_record(self) -> None:
        asked = ollama([*said(f"you said {SECRET}")[:-1], *lines({"error": f"bad {SECRET}"})])
        assert SECRET not in asked.text
        assert asked.failure is not None
        assert SECRET not in asked.failure.detail


class Lingering:
    """The pieces of a reply, behind which the connection stays open until the test is over."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.release = threading.Event()
        self.closing = threading.Event()
        self._pieces = pieces

    def __call__(self) -> Iterator[bytes]:
        yield from self._pieces
        self.release.wait(10)
        self.closing.set()


DELTA = b'data: {"choices": [{"index": 0, "delta": {"content": "a [DONE] b"}}]}\n\n'
STOP = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'


@pytest.mark.parametrize(
    ("spoken", "route", "pieces"),
    [
        ("ollama-chat", "/api/chat", said("a [DONE] b")),
        ("openai-chat", "/chat/completions", [DELTA, STOP, b"data: [DONE]\n\n"]),
        ("openai-chat", "/chat/completions", [DELTA, STOP, b"data: [DO", b"NE]\r\n", b"\r\n"]),
    ],
)
def test_a_reply_ends_with_the_end_of_its_api_and_not_with_its_connection(
    spoken: str, route: str, pieces: list[bytes]
) -> None:
    lingering = Lingering(pieces)
    with (
        RoutedServer({f"POST {route}": lambda _: lingering()}) as server,
        line_to(server, spoken) as line,
    ):
        asked = ask_once(line, Ask(prompt="Hi", model="m"))
        waited_for_the_close = lingering.closing.is_set()
        lingering.release.set()
    assert not waited_for_the_close
    assert asked.failure is None
    assert asked.text == "a [DONE] b"
    assert asked.finish_reason == "stop"
    assert asked.stamps.end_ns >= (asked.stamps.last_token_ns or 0)


def test_a_connection_serves_again_after_a_reply() -> None:
    with (
        RoutedServer({"POST /api/chat": lambda _: said("Hi")}) as server,
        line_to(server, "ollama-chat") as line,
    ):
        for _ in range(3):
            assert ask_once(line, Ask(prompt="Hi", model="m")).failure is None
        assert len(server.connections) == 1


class TestOpenAI:
    """Replies of OpenAI-compatible servers."""

    END: ClassVar[dict[str, Any]] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}

    def test_usage_and_cached_tokens_are_taken_up(self) -> None:
        usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}}
        asked = openai(
            {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
            {"choices": [{"index": 0, "delta": {"content": "Hi"}}]},
            self.END,
            {"choices": [], "usage": usage},
            "[DONE]",
        )
        assert asked.failure is None
        assert (asked.usage.prompt_tokens, asked.usage.output_tokens, asked.usage.cached_tokens) == (9, 2, 8)
        assert asked.usage.output_ns is None
        assert asked.stamps.first_event_ns is not None
        assert asked.stamps.first_token_ns is not None
        assert asked.stamps.first_event_ns <= asked.stamps.first_token_ns

    def test_the_timings_of_llama_cpp_fill_what_the_api_lacks(self) -> None:
        timings = {
            "cache_n": 5,
            "prompt_n": 15,
            "prompt_ms": 30.5,
            "predicted_n": 4,
            "predicted_ms": 200.25,
        }
        asked = openai(
            {"choices": [{"index": 0, "delta": {"content": "a"}}]}, {**self.END, "timings": timings}, "[DONE]"
        )
        usage = asked.usage
        assert (usage.prompt_tokens, usage.cached_tokens, usage.output_tokens) == (20, 5, 4)
        assert (usage.prompt_ns, usage.output_ns) == (30_500_000, 200_250_000)

    def test_a_call_of_a_tool_is_a_token_and_no_answer(self) -> None:
        call = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "look", "arguments": "{}"}}]}
        asked = openai({"choices": [{"index": 0, "delta": call}]}, self.END, "[DONE]")
        assert asked.failure is None
        assert asked.stamps.first_token_ns is not None
        assert asked.stamps.first_answer_ns is None

    def test_an_answer_that_writes_of_timings_states_none(self) -> None:
        asked = openai(
            {"choices": [{"index": 0, "delta": {"content": '{"timings": {"prompt_n": 1}}'}}]},
            self.END,
            "[DONE]",
        )
        assert asked.usage.prompt_tokens is None


@pytest.mark.parametrize("build", [dict, lambda: {"think": True}])
def test_the_request_is_streamed_and_has_the_options(build: Callable[[], dict[str, Any]]) -> None:
    with (
        RoutedServer({"POST /api/chat": lambda _: said("Hi")}) as server,
        line_to(server, "ollama-chat") as line,
    ):
        ask_once(line, Ask(prompt="Hi", model="tiny:1b", max_tokens=5, options=build()))
        body = server.bodies("POST /api/chat")[0]
    assert body["stream"] is True
    assert body["options"]["num_predict"] == 5
    assert body.get("think") == build().get("think")
