"""The blocks `method` of both load artifacts: runs that were measured differently differ in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hexgate.indicators.base import Job
from hexgate.indicators.load_method import load_method
from hexgate.indicators.load_run import LoadOptions, Prepared, prepare
from hexgate.indicators.workload import Workload
from hexgate.load.endpoint_driver import EndpointDriver
from hexgate.load.plans.plan import closed_loop
from hexgate.targets.base import Subject, Target
from hexgate.targets.card import Card
from hexgate.wire.base import Ask, Endpoint

PLAN = closed_loop(concurrency=2, items=1, requests=4)


def a_target() -> Target:
    """An endpoint that nobody has asked anything."""
    endpoint = Endpoint("http://127.0.0.1:9", "openai-chat", model="m")
    subject = Subject("m", "endpoint", endpoint.base_url, None)
    return Target(endpoint.base_url, subject, Card(), generator=Never(), endpoint=endpoint)


class Never:
    """A generator that nobody calls."""

    def generate(self, *_: Any) -> None:
        raise AssertionError


def over(**changes: Any) -> Workload:
    driver = EndpointDriver(Endpoint("http://127.0.0.1:9", "openai-chat"), [Ask(prompt="a")], **changes)
    return Workload(driver, 1, {}, "text", in_process=False, asked={"temperature": 0.0, "max_tokens": 5})


@pytest.mark.parametrize(
    ("changes", "transport"),
    [
        ({}, "hexgate http/1.1"),
        ({"http2": True}, "httpx http/2 (slower)"),
        ({"proxy": "http://user:secret@127.0.0.1:3128"}, "httpx http/1.1 through a proxy (slower)"),
        ({"proxy": "http://127.0.0.1:3128", "http2": True}, "httpx http/2 through a proxy (slower)"),
    ],
)
def test_the_transport_is_named_and_a_proxy_is_not(changes: dict[str, Any], transport: str) -> None:
    method = load_method(PLAN, over(**changes), max_tokens=5)
    assert method["transport"] == transport
    assert "secret" not in json.dumps(method)


def test_a_model_in_this_process_has_no_transport() -> None:
    load = Workload(Never(), 1, {}, "scores", in_process=True)  # type: ignore[arg-type]
    method = load_method(PLAN, load, max_tokens=5)
    assert (method["transport"], method["max_tokens"]) == ("in this process", None)


def test_the_head_of_the_plan_is_in_it_and_how_text_is_asked_for() -> None:
    method = load_method(PLAN, over(), max_tokens=5, workers=2, trace="t.jsonl", time_scale=0.5)
    assert {key: method[key] for key in PLAN.head() if key != "rows"} == {
        key: value for key, value in PLAN.head().items() if key != "rows"
    }
    assert "rows" not in method
    assert (method["temperature"], method["max_tokens"]) == (0.0, 5)
    assert (method["workers"], method["trace"], method["time_scale"]) == (2, "t.jsonl", 0.5)


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., Prepared]:
    data = tmp_path / "prompts.jsonl"
    data.write_text(
        "".join(f'{{"id": "{each}", "turns": ["hello {each}", "more"]}}\n' for each in range(8)), "utf-8"
    )

    def make(**options: Any) -> Prepared:
        chosen = LoadOptions(**{"requests": 20, "warmup": 2} | options)
        return prepare(Job(a_target(), str(data), chosen))

    return make


OTHERS: dict[str, dict[str, Any]] = {
    "temperature": {"temperature": 0.7},
    "top_p": {"top_p": 0.9},
    "system": {"system": "be short"},
    "ignore_eos": {"ignore_eos": True},
    "extra_body": {"extra_body": '{"seed": 4}'},
    "max_tokens": {"max_tokens": 7},
    "transport": {"http2": True},
    "workers": {"workers": 2},
    "concurrency": {"concurrency": 5},
    "kind": {"rate_rps": 50.0},
    "shape": {"stages": "10:1,20:1", "requests": None},
}


@pytest.mark.parametrize("name", OTHERS)
def test_both_artifacts_say_what_was_measured_differently(
    prepared: Callable[..., Prepared], name: str
) -> None:
    usual, other = prepared().methods, prepared(**OTHERS[name]).methods
    for indicator in ("latency_p99", "throughput_rps"):
        # In both, as the gate compares what both have.
        assert usual[indicator].keys() == other[indicator].keys()
        assert usual[indicator][name] != other[indicator][name]


def test_a_replay_names_its_trace_and_its_scale(prepared: Callable[..., Prepared], tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_text("".join(f'{{"due_s": {at / 10}}}\n' for at in range(20)), "utf-8")
    plain, faster = (prepared(replay=trace, requests=None, time_scale=scale) for scale in (1.0, 0.5))
    for methods in (plain.methods, faster.methods):
        assert {method["trace"] for method in methods.values()} == {"trace.jsonl"}
    assert plain.methods["latency_p99"]["time_scale"] == 1.0
    assert faster.methods["throughput_rps"]["time_scale"] == 0.5
    assert prepared().methods["latency_p99"]["trace"] is None


def test_gamma_arrivals_and_conversations_are_in_it(prepared: Callable[..., Prepared]) -> None:
    made = prepared(rate_rps=50.0, arrival="gamma", burstiness=0.5, turns=2, think_s=0.1)
    for method in made.methods.values():
        assert (method["arrival"], method["burstiness"]) == ("gamma", 0.5)
        assert (method["turns"], method["think_ns"]) == (2, 100_000_000)
