"""Every sentence that a load keeps in English has a Chinese twin."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from types import ModuleType

import pytest

from hexgate.report.load_sentences import SENTENCES, chinese, told
from hexgate.report.twins import Twins

HAN = re.compile("[\u4e00-\u9fff]")
FIGURE = "7"


def sentences_of(module: ModuleType) -> Iterator[str]:
    """Every sentence in the code of a module, with a figure in each gap, but those of what it raises or documents."""
    tree = ast.parse(inspect.getsource(module))
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Raise, ast.Expr)):
            wanted = isinstance(node, ast.Raise) or isinstance(node.value, ast.Constant)
            skipped |= {id(below) for below in ast.walk(node)} if wanted else set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(below) for below in ast.walk(node)}
            yield "".join(_filled(part, module) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value + (FIGURE if node.value.endswith(": ") else "")


def _filled(part: ast.expr, module: ModuleType) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    known = isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name)
    value = getattr(module, part.value.id, None) if known else None  # type: ignore[attr-defined]
    return value if isinstance(value, str) else FIGURE


def is_sentence(text: str) -> bool:
    return len(re.findall(r"[a-z]{2,}", text)) >= 3 and " " in text


NO_SENTENCES = {
    # In the block `method` of an artifact, which no report of a load shows.
    "all shards ran on one machine and began to count within 7 s of each other",
    "the shards' clocks differ by at most 7 s",
    # What an interval is of, and how a percentile is read.
    "successes per second",
    "a histogram of at most 0.4 % error",
}


@pytest.mark.parametrize(
    "name",
    [
        "hexgate.load.measures.arrivals",
        "hexgate.load.measures.server_times",
        "hexgate.load.measures.slo_judge",
        "hexgate.load.sending.reading",
        "hexgate.load.sending.sender",
        "hexgate.load.sending.connection",
        "hexgate.load.sending.course",
        "hexgate.indicators.load_account",
        "hexgate.indicators.load_clocks",
        "hexgate.indicators.load_evidence",
        "hexgate.indicators.load_statistics",
    ],
)
def test_every_sentence_in_the_code_has_a_twin(name: str) -> None:
    found = {one for one in sentences_of(importlib.import_module(name)) if is_sentence(one)} - NO_SENTENCES
    assert found
    assert sorted(one for one in found if not HAN.search(chinese(one))) == []


@pytest.mark.parametrize(("english", "twin"), SENTENCES)
def test_a_twin_is_chinese_and_names_no_gap_that_its_sentence_lacks(english: str, twin: str) -> None:
    gaps = set(re.findall(r"\{(\w+)\*?\}", english))
    assert set(re.findall(r"\{(\w+)\}", twin)) <= gaps
    assert HAN.search(twin) or twin == "P99" or "：" in twin
    filled = re.sub(r"\{\w+\*?\}", FIGURE, english)
    assert chinese(filled) != filled


def test_every_stretch_of_words_in_a_reason_of_the_client_is_in_the_table() -> None:
    # Its sentences are put together of parts, so the parts are looked for.
    known = " ".join(re.sub(r"\{\w+\*?\}", FIGURE, english) for english, _ in SENTENCES)
    found = {
        one
        for one in sentences_of(importlib.import_module("hexgate.load.measures.health"))
        if is_sentence(one)
    }
    pieces = {
        piece.removeprefix(" Next: ").strip(" .,;:()")
        for one in found
        for part in one.split(FIGURE)
        for piece in part.split("; ")
    }
    assert sorted(one for one in pieces if is_sentence(one) and one not in known) == []


LATE = (
    "Worker 3 handled events up to 40 ms late (99th percentile 12.5 ms; at most 8.1 ms is allowed, a tenth of the "
    "median TTFT)."
)
LATE_WHERE = (
    "Worker 0 handled events up to 81.7 ms late (99th percentile 41.4 ms; at most 1.5 ms is allowed where the median "
    "TTFT is 6.11 ms)."
)
BEGUN = "Requests were begun up to 30 ms late (99th percentile 20 ms; at most 5 ms is allowed for 100 requests/s)."
SLOW = "Requests were begun at 90/s where the plan has 100/s; 98 % of that is the least."
WAITED = "It was kept waiting for a processor 21 % of the time."
MORE = "give the client more cores and workers, or ask for a lower rate."
ALONE = "close other programs, pin the server to other cores, or use another machine; then measure again."


@pytest.mark.parametrize(
    "reason",
    [
        f"this client did not keep up. {LATE} Next: {MORE}",
        f"this client did not keep up. {BEGUN} {SLOW} Next: {MORE}",
        f"shard 0/2: this machine was too busy to measure. {LATE} {WAITED} {BEGUN} {SLOW} Next: {ALONE}",
        # Two sentences of one form: the gap of the first does not reach into the second.
        f"this machine was too busy to measure. {LATE_WHERE} {WAITED} {BEGUN} Next: {ALONE}",
    ],
)
def test_no_english_is_left_in_a_reason_of_several_sentences(reason: str) -> None:
    shown = chinese(reason)
    assert set(re.findall("[A-Za-z]+", shown)) <= {"P", "token", "TTFT", "s"}
    assert sorted(re.findall(r"[0-9.]+", shown)) == sorted(
        one.strip(".") for one in re.findall(r"[0-9.]+", reason) if one.strip(".")
    )


def test_what_a_server_said_stays_as_it_was() -> None:
    assert chinese("http_503: the model is being loaded") == "HTTP 503（http_503）：the model is being loaded"
    assert chinese("no sentence of ours") == "no sentence of ours"
    assert told("no sentence of ours").en == told("no sentence of ours").zh


def test_a_gap_of_a_word_takes_one_word_and_text_cannot_put_a_gap_in() -> None:
    twins = Twins([("{n} of them: {what*}", "{n} 个：{what}"), ("bad", "坏")])
    assert twins.chinese("3 of them: bad") == "3 个：坏"
    assert twins.chinese("3 of them: {n}") == "3 个：{n}"
    assert twins.chinese("3 and 4 of them: bad") is None
    assert twins.chinese("3 of them: " + "x" * 10_000) is None
