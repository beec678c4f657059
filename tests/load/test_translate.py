"""The figures of a load by the definitions of other tools: the worked example by hand, and numpy for percentiles."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hexgate.errors import InputError
from hexgate.load.measures.dialects_of import TOOLS
from hexgate.load.measures.translate import SHARES, Translation, translate
from hexgate.load.records import NEVER, RECORD, Outcome, Records

MS = 1_000_000
DUE_MS, SENT_MS = 1000, 1300


def stream(*, role: bool = True, usage: bool = True) -> NDArray[np.void]:
    """One stream, in milliseconds from its send: a role-only event at 5; at 200 the first token event, of 4 tokens;
    then one token an event until 1200; its usage at 1210, its end at 1212; 101 tokens in 98 events. Due 300 before."""
    made = np.zeros(1, dtype=RECORD)
    for name in RECORD.names or ():
        if name.endswith(("_ns", "_tokens")):
            made[name] = NEVER
    made["due_ns"], made["issued_ns"], made["sent_ns"] = DUE_MS * MS, SENT_MS * MS, SENT_MS * MS
    stamps = {
        "first_event": 5 if role else 200,
        "first_token": 200,
        "first_answer": 200,
        "last_token": 1200,
        "end": 1212,
    }
    for name, at_ms in stamps.items():
        made[f"{name}_ns"] = (SENT_MS + at_ms) * MS
    made["events"], made["first_event_tokens"] = 98, 4
    if usage:
        made["output_tokens"], made["prompt_tokens"] = 101, 50
    return made


def figures(found: Translation) -> dict[str, float | None]:
    return {one.measure.name: one.mean for one in found.requests}


@pytest.mark.parametrize(
    ("tool", "role", "expected"),
    [
        (
            "aiperf",
            True,
            {"TTFT": 200, "ITL": 10.0, "ITL by usage of chunks": 10.3, "request latency": 1200, "ICL": None},
        ),
        ("guidellm", True, {"TTFT": 200, "TPOT": 11.9, "ITL": 10.0, "E2E": 1212}),
        # Its own is 12.05, to the usage event, which came 2 ms before the end.
        ("vllm", True, {"TTFT": 5, "TPOT": 12.07, "E2EL": 1212, "ITL": None}),
        ("evalscope", True, {"TTFT": 5, "TPOT": 12.07, "E2EL": 1212, "ITL": None}),
        ("vllm-completions", False, {"TTFT": 200, "TPOT": 10.0, "E2EL": 1200, "ITL": None}),
        (
            "inference-perf",
            True,
            {"TTFT": 200, "TPOT": 10.0, "normalised TPOT": 12.0, "E2E": 1212, "ITL": None},
        ),
        ("llmperf", True, {"TTFT": 200, "ITL": 12.1, "E2E": 1212}),
        ("endpoints", True, {"TTFT": 200, "TPOT": 10.4, "E2E": 1212, "gaps": None}),
        ("loadgen", True, {"TTFT": 500, "TPOT": 10.1, "latency": 1512}),
    ],
)
def test_the_worked_example(tool: str, role: bool, expected: dict[str, float | None]) -> None:
    found = figures(translate(Records.of(stream(role=role)), tool))
    digits = 2 if tool in ("vllm", "evalscope") else 1
    assert {
        name: None if value is None else round(value, digits) for name, value in found.items()
    } == expected


def test_every_tool_of_the_flag_is_tested_above() -> None:
    assert {"vllm", "aiperf", "guidellm", "inference-perf"} <= TOOLS.keys()


def test_what_a_record_does_not_have_is_said() -> None:
    found = translate(Records.of(stream(usage=False)), "vllm")
    by_name = {one.measure.name: one for one in found.requests}
    assert (by_name["TPOT"].mean, by_name["TPOT"].n) == (None, 0)
    assert by_name["TPOT"].missing == ("no whole reply has what it takes", "没有完整回复含有所需的时刻或计数")
    assert by_name["ITL"].missing is not None
    rates = {rate.name: rate for rate in found.rates}
    assert rates["output tokens"].value is None
    assert rates["output token throughput"].value is None
    assert rates["output tokens"].why[0] == "some whole replies have no count"
    # GuideLLM counts the events then.
    assert round(figures(translate(Records.of(stream(usage=False)), "guidellm"))["ITL"] or 0, 2) == round(
        1000 / 97, 2
    )


def test_our_own_tokenizer_comes_first_where_the_tool_counts_itself() -> None:
    made = stream()
    made["counted_tokens"] = 201
    assert figures(translate(Records.of(made), "inference-perf"))["TPOT"] == 5.0
    assert figures(translate(Records.of(made), "aiperf"))["ITL"] == 10.0


def many(n: int) -> NDArray[np.void]:
    rng = np.random.default_rng(7)
    made = np.repeat(stream(), n)
    made["index"] = np.arange(n)
    begin = (rng.random(n) * 60_000).astype(np.int64) * MS
    for name in ("due_ns", "issued_ns", "sent_ns"):
        made[name] += begin
    first = begin + (SENT_MS * MS) + (rng.lognormal(4, 1, n) * MS).astype(np.int64)
    made["first_token_ns"] = made["first_event_ns"] = first
    made["last_token_ns"] = first + 1000 * MS
    made["end_ns"] = first + 1012 * MS
    made["outcome"][: n // 10] = Outcome.ERROR
    made["warmup"][n // 10 : n // 5] = True
    return made


@pytest.mark.parametrize(
    ("tool", "method"), [("vllm", "linear"), ("loadgen", "lower"), ("guidellm", "inverted_cdf")]
)
@pytest.mark.parametrize("n", [5, 40, 3001])
def test_percentiles_are_those_of_numpy_by_the_tools_own_rule(tool: str, method: str, n: int) -> None:
    made = many(n)
    kept = made[~made["warmup"] & (made["outcome"] == Outcome.OK)]
    since = "due_ns" if tool == "loadgen" else "sent_ns"
    values = (kept["first_token_ns"] - kept[since]) / 1e6
    ttft = next(one for one in translate(Records.of(made), tool).requests if one.measure.name == "TTFT")
    expected = [np.percentile(values, share * 100, method=method) for share in SHARES]  # type: ignore[call-overload]
    assert ttft.percentiles == pytest.approx(expected, rel=1e-12)
    assert ttft.n == len(values)
    assert (ttft.least, ttft.greatest) == (values.min(), values.max())
    assert ttft.mean == pytest.approx(values.mean())
    assert ttft.std == pytest.approx(values.std())


def test_rates_count_whole_replies_over_the_tools_own_duration() -> None:
    made = many(1000)
    timed = made[~made["warmup"]]
    kept = timed[timed["outcome"] == Outcome.OK]
    seconds = (timed["end_ns"].max() - timed["sent_ns"].min()) / 1e9
    rates = {rate.name: rate.value for rate in translate(Records.of(made), "vllm").rates}
    assert rates["requests"] == len(kept) == 800
    assert rates["duration"] == pytest.approx(seconds)
    assert rates["request throughput"] == pytest.approx(800 / seconds)
    assert rates["output token throughput"] == pytest.approx(800 * 101 / seconds)
    assert rates["total token throughput"] == pytest.approx(800 * 151 / seconds)
    assert {rate.name: rate.value for rate in translate(Records.of(made), "guidellm").rates}[
        "duration"
    ] is None


def test_nothing_at_all() -> None:
    found = translate(Records.of(np.zeros(0, dtype=RECORD)), "aiperf")
    assert set(figures(found).values()) == {None}
    assert {rate.value for rate in found.rates if rate.name != "requests"} == {None}


def test_a_tool_that_is_not_known() -> None:
    with pytest.raises(InputError, match="no definitions"):
        translate(Records.of(stream()), "wrk")
