"""How other load generators define their figures: each a function of a record's stamps and counts.

The definitions were read from the tools' own files (GuideLLM ee7a7745, inference-perf 7de5ef2, EvalScope fde259d2,
MLPerf Inference b66003e1, MLCommons Endpoints ea332753, llmperf f1d6bed, AIPerf db4f6397, the serve benchmark of vLLM
def9ce85). Later versions may differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

__all__ = ["TOOLS", "Measure", "Percentile", "Said", "Tokens", "Tool", "output_tokens"]

Rows = NDArray[np.void]
Values = NDArray[np.float64]
Said = tuple[str, str]
"""The same sentence in English and in Chinese."""


class Percentile(str, Enum):
    """How a tool reads a percentile p off n values in order, counted from 0."""

    LINEAR = "linear"
    """Between the values around p (n - 1), as numpy does where nothing else is asked for."""
    LOWER = "lower"
    """The value at the whole part of p (n - 1)."""
    NEAREST = "nearest"
    """The least value that at least the share p does not exceed."""


class Tokens(str, Enum):
    """Whose count of the output tokens a tool takes first."""

    SERVER = "server"
    """The server's usage, else a tokenizer."""
    SERVER_ELSE_EVENTS = "server_else_events"
    """The server's usage, else the events with text."""
    TOKENIZER = "tokenizer"
    """A tokenizer's count of the text; the server's usage where there is none."""


@dataclass(frozen=True)
class Measure:
    """One figure of a tool."""

    name: str
    """The tool's own name for it."""
    formula: str
    """In the symbols of `TOOLS`."""
    values: Callable[[Rows, Values], Values] | None
    """From rows and their output tokens (NaN where unknown) to milliseconds, NaN where a row has no value; None where
    records do not have what it takes."""
    note: Said | None = None
    """What differs from the tool's own figure, or why it cannot be had."""


@dataclass(frozen=True)
class Tool:
    """The figures of a tool."""

    title: str
    """Its name."""
    measures: tuple[Measure, ...]
    """Its figures of requests."""
    percentile: Percentile
    """How it reads percentiles."""
    tokens: Tokens
    """Which count of output tokens it divides by."""
    duration: Said | None
    """What its rates are divided by; None where they are of another kind."""


def output_tokens(rows: Rows, tokens: Tokens) -> Values:
    """(n,) output tokens of each row by the count that a tool takes; NaN where there is none."""
    server, ours, events = (
        np.where(rows[name] >= 0, rows[name], np.nan)
        for name in ("output_tokens", "counted_tokens", "events")
    )
    first, second = (ours, server) if tokens is Tokens.TOKENIZER else (server, ours)
    if tokens is Tokens.SERVER_ELSE_EVENTS:
        second = np.where(rows["first_token_ns"] >= 0, events, np.nan)
    return np.asarray(np.where(np.isnan(first), second, first), dtype=np.float64)


def _span(to: str, since: str) -> Callable[[Rows, Values], Values]:
    def values(rows: Rows, _tokens: Values) -> Values:
        known = (rows[to] >= 0) & (rows[since] >= 0)
        return np.where(known, (rows[to] - rows[since]) / 1e6, np.nan)

    return values


def _over(span: Callable[[Rows, Values], Values], less: float) -> Callable[[Rows, Values], Values]:
    """A span for each token, or for each after the first `less`; it needs two tokens where it leaves one out."""

    def values(rows: Rows, tokens: Values) -> Values:
        over = tokens - less
        return np.asarray(
            np.divide(
                span(rows, tokens),
                over,
                out=np.full(len(rows), np.nan),
                where=~(np.isnan(over) | (over <= 0)),
            )
        )

    return values


def _after_first_event(to: str) -> Callable[[Rows, Values], Values]:
    span = _span(to, "first_token_ns")

    def values(rows: Rows, tokens: Values) -> Values:
        over = tokens - np.where(rows["first_event_tokens"] > 0, rows["first_event_tokens"], np.nan)
        return np.asarray(
            np.divide(
                span(rows, tokens),
                over,
                out=np.full(len(rows), np.nan),
                where=~(np.isnan(over) | (over <= 0)),
            )
        )

    return values


def _for_each_event(rows: Rows, tokens: Values) -> Values:
    received = (rows["events"] + (rows["first_event_ns"] < rows["first_token_ns"])).astype(np.float64)
    span = _span("last_token_ns", "sent_ns")(rows, tokens)
    return np.asarray(np.divide(span, received, out=np.full(len(rows), np.nan), where=received > 0))


_TTFT = Measure("TTFT", "f - t0", _span("first_token_ns", "sent_ns"))
_TTFT_ANY = Measure(
    "TTFT",
    "a - t0",
    _span("first_event_ns", "sent_ns"),
    (
        "an event without text, such as the role, counts as the first token",
        "没有文本的事件（例如角色）也算首个 token",
    ),
)
_E2E = Measure("E2E", "e - t0", _span("end_ns", "sent_ns"))
_E2E_USAGE = Measure(
    "E2EL",
    "u - t0",
    _span("end_ns", "sent_ns"),
    (
        "taken to the end of the reply: when its last event came, the usage, is not in a record",
        "算到回复结束：记录中没有最后一个事件（用量）的时刻",
    ),
)
_TPOT_USAGE = Measure(
    "TPOT", "(u - a) / (n - 1)", _over(_span("end_ns", "first_event_ns"), 1), _E2E_USAGE.note
)
_NO_GAPS: Said = (
    "a record keeps the longest gap alone, and the artifact the gaps between events with text",
    "记录只保留最长间隔；结果文件保留有文本事件之间的间隔",
)
_GAPS = Measure("ITL", "each event gap, pooled", None, _NO_GAPS)
_LAST_LESS_FIRST: Said = ("the last reply less the first request", "最后一个回复减去第一个请求")
_WALL: Said = (
    "from the first request to the last reply, drain included",
    "从第一个请求到最后一个回复，含收尾",
)
_DECODE = _over(_span("last_token_ns", "first_token_ns"), 1)

TOOLS: dict[str, Tool] = {
    "vllm": Tool(
        "vLLM bench serve (chat)",
        (_TTFT_ANY, _TPOT_USAGE, _GAPS, _E2E_USAGE),
        Percentile.LINEAR,
        Tokens.SERVER,
        _WALL,
    ),
    "vllm-completions": Tool(
        "vLLM bench serve (completions)",
        (
            Measure("TTFT", "a - t0", _span("first_event_ns", "sent_ns")),
            Measure("TPOT", "(l - a) / (n - 1)", _over(_span("last_token_ns", "first_event_ns"), 1)),
            _GAPS,
            Measure("E2EL", "l - t0", _span("last_token_ns", "sent_ns")),
        ),
        Percentile.LINEAR,
        Tokens.SERVER,
        _WALL,
    ),
    "aiperf": Tool(
        "AIPerf",
        (
            _TTFT,
            Measure("ITL", "(l - f) / (n - 1)", _DECODE),
            Measure("ITL by usage of chunks", "(l - f) / (n - n1)", _after_first_event("last_token_ns")),
            Measure("ICL", "each event gap", None, _NO_GAPS),
            Measure("request latency", "l - t0", _span("last_token_ns", "sent_ns")),
        ),
        Percentile.LINEAR,
        Tokens.SERVER,
        _LAST_LESS_FIRST,
    ),
    "guidellm": Tool(
        "GuideLLM",
        (
            _TTFT,
            Measure("TPOT", "(l - t0) / n", _over(_span("last_token_ns", "sent_ns"), 0)),
            Measure("ITL", "(l - f) / (n - 1)", _DECODE),
            _E2E,
        ),
        Percentile.NEAREST,
        Tokens.SERVER_ELSE_EVENTS,
        None,
    ),
    "inference-perf": Tool(
        "inference-perf",
        (
            _TTFT,
            Measure("TPOT", "(l - f) / (n - 1)", _DECODE),
            Measure(
                "normalised TPOT",
                "(h - t0) / n",
                _over(_span("end_ns", "sent_ns"), 0),
                (
                    "the tool's own also has the time in which it counts the tokens of the reply",
                    "该工具的数值还包含它给回复数 token 的时间",
                ),
            ),
            Measure("ITL", "gaps of tokens, 0 within an event", None, _NO_GAPS),
            Measure(
                "E2E",
                "h - t0",
                _span("end_ns", "sent_ns"),
                (
                    "taken to the end of the reply, before its tokens are counted",
                    "算到回复结束，不含数 token 的时间",
                ),
            ),
        ),
        Percentile.LINEAR,
        Tokens.TOKENIZER,
        _LAST_LESS_FIRST,
    ),
    "evalscope": Tool(
        "EvalScope perf",
        (_TTFT_ANY, _TPOT_USAGE, _GAPS, _E2E_USAGE),
        Percentile.LINEAR,
        Tokens.SERVER,
        _LAST_LESS_FIRST,
    ),
    "llmperf": Tool(
        "llmperf",
        (
            _TTFT,
            Measure(
                "ITL",
                "(l - t0) / received events",
                _for_each_event,
                (
                    "whatever came before the first token is taken for one event",
                    "首个 token 之前收到的内容按一个事件计",
                ),
            ),
            _E2E,
        ),
        Percentile.LINEAR,
        Tokens.TOKENIZER,
        None,
    ),
    "loadgen": Tool(
        "MLPerf LoadGen",
        (
            Measure("TTFT", "f - s", _span("first_token_ns", "due_ns")),
            Measure("TPOT", "(e - f) / (n - 1)", _over(_span("end_ns", "first_token_ns"), 1)),
            Measure("latency", "e - s", _span("end_ns", "due_ns")),
        ),
        Percentile.LOWER,
        Tokens.SERVER,
        None,
    ),
    "endpoints": Tool(
        "MLCommons Endpoints",
        (
            _TTFT,
            Measure("TPOT", "(e - f) / (n - n1)", _after_first_event("end_ns")),
            Measure("gaps", "each event gap", None, _NO_GAPS),
            _E2E,
        ),
        Percentile.NEAREST,
        Tokens.TOKENIZER,
        None,
    ),
}
"""By the name that `--dialect-of` takes. s: due; t0: sent; a: first event of any kind; f: first token on any channel;
l: last token; u: usage event; e: end of the reply; h: after the tool has handled it; n: output tokens; n1: those in
the first event with text."""
