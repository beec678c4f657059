from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from hexgate.errors import InputError, TargetFailed
from hexgate.load.callable_driver import CallableDriver, CallOutcome
from hexgate.load.endpoint_driver import EndpointDriver
from hexgate.load.engine import LoadInterrupted, TargetUnreachable, run_plan
from hexgate.load.figures import latencies, outcomes, throughput
from hexgate.load.plan import Arrival, Plan, closed_loop, open_loop
from hexgate.load.records import NEVER, Outcome, Recorder
from hexgate.wire.base import Ask, Endpoint

Serve = Callable[..., Any]
ASKS = [Ask(inputs=[[float(item)]]) for item in range(7)]


def predict_at(url: str, **more: Any) -> EndpointDriver:
    return EndpointDriver(Endpoint(url + "/predict", "predict", **more), ASKS)


async def score(call: Any, wire: Any) -> None:
    item = json.loads(call.body)["inputs"][0][0]
    await wire.reply(json.dumps({"scores": [[item, 1.0]]}).encode())


def check_whole(plan: Plan, records: np.ndarray[Any, Any]) -> None:
    """What must hold of the records of any run."""
    index = records["index"]
    assert index.tolist() == sorted(set(index.tolist()))
    assert [plan.item_of(int(i)) for i in index] == records["item"].tolist()
    assert records["warmup"].tolist() == (index < plan.warmup).tolist()
    sent = records[records["sent_ns"] >= 0]
    assert (sent["issued_ns"] <= sent["sent_ns"]).all()
    assert (sent["due_ns"] <= sent["issued_ns"]).all()
    ok = records[records["outcome"] == Outcome.OK]
    assert (ok["sent_ns"] <= ok["end_ns"]).all()
    assert (ok["events"] > 0).all()


def test_closed_loop_on_an_endpoint(serve: Serve) -> None:
    in_flight = [0, 0]

    async def script(call: Any, wire: Any) -> None:
        in_flight[0] += 1
        in_flight[1] = max(in_flight)
        await asyncio.sleep(0.003)
        in_flight[0] -= 1
        await score(call, wire)

    server = serve(script)
    plan = closed_loop(concurrency=4, items=7, requests=60, warmup=6, seed=1)
    records, spooled, steps = Recorder(), list[Mapping[str, Any]](), list[int]()
    info = run_plan(plan, predict_at(server.url), records, spool=spooled.append, progress=steps.append)
    rows = records.array()
    check_whole(plan, rows)
    assert len(rows) == len(plan) == len(server.calls) == sum(steps) == 66
    assert outcomes(rows).ok == outcomes(rows).total == 60
    assert in_flight[1] <= 4
    assert server.connections <= 4
    assert throughput(rows, plan).in_flight_max <= 4
    assert sorted(row["index"] for row in spooled) == list(range(66))
    assert {row["error"] for row in spooled} == {None}
    # The bodies that went out are the items of the plan.
    seen = sorted(json.loads(call.body)["inputs"][0][0] for call in server.calls)
    assert seen == sorted(float(item) for item in plan.item)
    assert info.plan_digest == plan.digest()
    assert info.stopped is None
    assert not info.interrupted
    assert info.ended_ns >= int(rows["end_ns"].max())
    assert info.cpu_s >= 0.0
    json.dumps(info.to_json())
    assert gc.isenabled()


def test_closed_loop_for_a_duration_sends_nothing_after_it(serve: Serve) -> None:
    plan = closed_loop(concurrency=3, items=7, duration_s=0.4, warmup=10)
    records = Recorder()
    run_plan(plan, predict_at(serve(score).url), records)
    rows = records.array()
    check_whole(plan, rows)
    assert set(rows["outcome"].tolist()) == {Outcome.OK}
    begin = rows["issued_ns"][plan.warmup]
    assert (rows["issued_ns"] - begin < 0.4e9).all()
    figures = throughput(rows, plan)
    assert figures.window_s == pytest.approx(0.4)
    assert figures.successes > 10


def test_a_stream_over_the_wire(serve: Serve, chat_event: Callable[..., bytes]) -> None:
    async def script(_call: Any, wire: Any) -> None:
        await wire.begin_chunks("content-type: text/event-stream\r\n")
        await wire.chunk(b'data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n')
        for word in ("one", " two", " three"):
            await asyncio.sleep(0.01)
            await wire.chunk(chat_event(word))
        await wire.chunk(chat_event(finish="stop", usage={"prompt_tokens": 2, "completion_tokens": 3}))
        await wire.chunk(b"data: [DONE]\n\n")
        await wire.end_chunks()

    server = serve(script)
    endpoint = Endpoint(
        server.url + "/v1", "openai-chat", model="m", headers={"authorization": "Bearer k"}, options={"n": 1}
    )
    plan = closed_loop(concurrency=2, items=1, requests=6)
    records, spooled = Recorder(), list[Mapping[str, Any]]()
    run_plan(plan, EndpointDriver(endpoint, [Ask(prompt="hi")]), records, spool=spooled.append)
    rows = records.array()
    check_whole(plan, rows)
    assert {row["text"] for row in spooled} == {"one two three"}
    assert json.loads(server.calls[0].body).items() >= {"model": "m", "n": 1}.items()
    assert server.calls[0].path == "/v1/chat/completions"
    assert server.calls[0].headers["authorization"] == "Bearer k"
    assert "Bearer" not in repr(endpoint)
    assert (rows["events"] == 3).all()
    assert (rows["output_tokens"] == 3).all()
    assert (rows["first_event_ns"] < rows["first_token_ns"]).all()
    assert (rows["first_token_ns"] < rows["last_token_ns"]).all()
    found = latencies(rows, plan)
    assert len(found.tpot_ms) == len(found.ttft_sent_ms) == 6
    # The server leaves at least 10 ms before and between tokens; a busy machine only adds to that.
    assert found.ttft_sent_ms.min() > 9.0
    assert found.tpot_ms.min() > 5.0


def test_open_loop_charges_a_stall_from_the_due_times(serve: Serve) -> None:
    plan = open_loop(rate_rps=200.0, items=7, arrival=Arrival.CONSTANT, requests=200, max_in_flight=1)
    stall_s = 0.5
    begun = list[int]()

    async def script(call: Any, wire: Any) -> None:
        if call.number == 50:
            begun.append(time.monotonic_ns())
            await asyncio.sleep(stall_s)
        await score(call, wire)

    records = Recorder()
    info = run_plan(plan, predict_at(serve(script).url), records)
    rows = records.array()
    check_whole(plan, rows)
    assert outcomes(rows).ok == 200
    found = latencies(rows, plan)
    # One slot, so every request due inside the stall ends after it: analytically at least what was left of it.
    ends_ns = begun[0] - info.started_ns + int(stall_s * 1e9)
    analytic = np.maximum((ends_ns - plan.due_ns[50:]) / 1e6, 0.0)
    assert (found.e2e_ms[50:] >= analytic - 1.0).all()
    p99 = np.percentile(found.e2e_ms, 99, method="inverted_cdf")
    expected = np.sort(np.concatenate([np.zeros(50), analytic]))[197]
    assert expected > 450.0
    assert expected - 1.0 <= p99 <= expected * 2.0
    # What a client that counts from the send would have said.
    assert np.percentile(found.e2e_sent_ms, 99, method="inverted_cdf") < expected / 2
    assert throughput(rows, plan).in_flight_max == 1


def test_open_loop_without_a_cap_waits_for_nothing(serve: Serve) -> None:
    async def script(call: Any, wire: Any) -> None:
        await asyncio.sleep(0.5)
        await score(call, wire)

    plan = open_loop(rate_rps=100.0, items=7, requests=40, warmup=10, seed=2)
    records = Recorder()
    run_plan(plan, predict_at(serve(script).url), records)
    rows = records.array()
    check_whole(plan, rows)
    assert outcomes(rows).ok == 40
    assert throughput(rows, plan).in_flight_max > 20


def test_every_kind_of_failure_is_counted_and_the_counts_reconcile(serve: Serve) -> None:
    async def script(call: Any, wire: Any) -> object:
        kind = call.number % 6
        if kind == 0:
            return await score(call, wire)
        if kind == 1:
            return await wire.reply(b'{"error": "boom"}', status=500)
        if kind == 2:
            await wire.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf")
            return False
        if kind == 3:
            return await wire.reply(b'{"scores": "none"}')
        if kind == 4:
            return await wire.reply(b"", status=302, headers="location: /elsewhere\r\n")
        await asyncio.sleep(30)
        return False

    plan = closed_loop(concurrency=1, items=7, requests=12)
    records, spooled = Recorder(), list[Mapping[str, Any]]()
    driver = predict_at(serve(script).url, timeout_s=0.3)
    run_plan(plan, driver, records, spool=spooled.append)
    rows = records.array()
    counts = outcomes(rows)
    assert (counts.ok, counts.error, counts.truncated, counts.timeout) == (2, 6, 2, 2)
    assert counts.total == 12
    assert counts.error_ratio == pytest.approx(8 / 12)
    assert counts.timeout_ratio == pytest.approx(2 / 12)
    errors = [str(row["error"]).partition(":")[0] for row in sorted(spooled, key=lambda row: row["index"])]
    assert errors == ["None", "http_500", "cut", "protocol", "protocol", "timeout"] * 2
    assert rows["http_status"].tolist() == [200, 500, 200, 200, 302, NEVER] * 2


def test_what_does_not_end_within_the_drain_is_unfinished(serve: Serve) -> None:
    first = 5

    async def script(call: Any, wire: Any) -> None:
        if call.number >= first:
            await wire.begin_chunks()
            await asyncio.sleep(60)
        await score(call, wire)

    plan = closed_loop(concurrency=2, items=7, duration_s=0.3)
    records = Recorder()
    info = run_plan(plan, predict_at(serve(script).url), records, drain_s=0.2)
    rows = records.array()
    check_whole(plan, rows)
    counts = outcomes(rows)
    assert (counts.ok, counts.unfinished, counts.total) == (5, 2, 7)
    for row in rows[rows["outcome"] == Outcome.UNFINISHED]:
        assert row["end_ns"] == NEVER
        assert row["headers_ns"] > row["sent_ns"] >= 0
    assert info.stopped is None
    # Nothing ended in most of the window, and the window is not made shorter for it.
    assert throughput(rows, plan).throughput_rps == pytest.approx(5 / 0.3)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_dead_server_stops_the_run_early_and_the_records_are_kept(serve: Serve) -> None:
    server = serve(score)
    plan = closed_loop(concurrency=2, items=7, requests=100_000)
    records = Recorder()

    def kill(_steps: int) -> None:
        server.stop()

    with pytest.raises(TargetUnreachable, match="20 attempts in a row") as caught:
        run_plan(plan, predict_at(server.url), records, progress=kill, max_unreachable=20)
    assert isinstance(caught.value, TargetFailed)
    assert caught.value.info.stopped == "unreachable"
    assert caught.value.info.stopped_ns is not None
    rows = records.array()
    counts = outcomes(rows)
    assert len(rows) == counts.total == 100_000
    assert counts.ok > 0
    assert counts.error >= 20
    assert counts.not_sent > 0
    assert counts.ok + counts.error + counts.truncated + counts.not_sent == 100_000


def test_nobody_listens() -> None:
    plan = open_loop(rate_rps=500.0, items=7, requests=1000)
    records = Recorder()
    with pytest.raises(TargetUnreachable, match="running and reachable"):
        run_plan(plan, predict_at(f"http://127.0.0.1:{free_port()}"), records)
    counts = outcomes(records.array())
    assert counts.total == 1000
    assert counts.error >= 50
    assert counts.not_sent > 500


def test_a_stop_event_ends_the_run_and_nothing_is_lost(serve: Serve) -> None:
    plan = open_loop(rate_rps=200.0, items=7, duration_s=60.0)
    records, stop = Recorder(), threading.Event()

    def spool(row: Mapping[str, Any]) -> None:
        if row["index"] == 20:
            stop.set()

    info = run_plan(plan, predict_at(serve(score).url), records, spool=spool, stop=stop)
    rows = records.array()
    check_whole(plan, rows)
    assert info.stopped == "asked"
    assert info.interrupted
    counts = outcomes(rows)
    assert counts.total == len(plan)
    assert counts.ok > 5
    assert counts.not_sent > 100
    assert info.stopped_ns is not None
    assert throughput(rows, plan, stopped_ns=info.stopped_ns).window_s == pytest.approx(info.stopped_ns / 1e9)


@pytest.mark.skipif(os.name != "posix", reason="signals are sent with kill")
def test_a_platform_that_stops_a_job_twice_keeps_the_records(serve: Serve) -> None:
    """Raised out of a callback of the loop, an exception of the handler would be lost."""
    plan = closed_loop(concurrency=2, items=7, requests=50_000)
    records, spooled = Recorder(), list[Mapping[str, Any]]()

    def spool(row: Mapping[str, Any]) -> None:
        spooled.append(row)
        if len(spooled) in {50, 51}:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(LoadInterrupted):
            run_plan(plan, predict_at(serve(score).url), records, spool=spool)
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)
    assert outcomes(records.array()).total == len(plan)


@pytest.mark.skipif(os.name != "posix", reason="signals are sent with kill")
@pytest.mark.parametrize("kind", ["endpoint", "calls", "threads"])
def test_an_interrupt_keeps_the_records(serve: Serve, kind: str) -> None:
    async def slow(call: Any, wire: Any) -> None:
        if call.number == 20:
            await asyncio.sleep(60)
        await asyncio.sleep(0.001)
        await score(call, wire)

    concurrency = 1 if kind == "calls" else 2
    plan = closed_loop(concurrency=concurrency, items=7, requests=50_000)
    driver = predict_at(serve(slow).url) if kind == "endpoint" else CallableDriver(short_call)
    records, spooled = Recorder(), list[Mapping[str, Any]]()

    def spool(row: Mapping[str, Any]) -> None:
        spooled.append(row)
        if len(spooled) == 50:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as caught:
        run_plan(plan, driver, records, spool=spool)
    assert isinstance(caught.value, LoadInterrupted)
    assert caught.value.info.stopped == "interrupted"
    assert signal.getsignal(signal.SIGINT) is before
    counts = outcomes(records.array())
    assert counts.total == len(plan)
    assert counts.ok >= 50
    assert counts.not_sent >= 1
    if kind == "endpoint":
        assert counts.unfinished == 1
    assert gc.isenabled()


def short_call(item: int) -> CallOutcome:
    time.sleep(0.002)
    return CallOutcome(text=f"answer {item}", output_tokens=2)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_model_in_this_process(concurrency: int) -> None:
    running, most = list[int](), list[int]()

    def call(item: int) -> CallOutcome:
        running.append(item)
        most.append(len(running))
        time.sleep(0.002)
        running.pop()
        return CallOutcome(text="x", output_tokens=1) if item else CallOutcome(error="model: no")

    plan = closed_loop(concurrency=concurrency, items=5, requests=50, warmup=5)
    records, spooled = Recorder(), list[Mapping[str, Any]]()
    run_plan(plan, CallableDriver(call), records, spool=spooled.append)
    rows = records.array()
    check_whole(plan, rows)
    assert (outcomes(rows).ok, outcomes(rows).error) == (40, 10)
    assert max(most) <= concurrency
    assert throughput(rows, plan).in_flight_max <= concurrency
    assert sum(row["error"] == "model: no" for row in spooled) == 11
    assert latencies(rows, plan).e2e_ms.min() >= 2.0


def test_a_streaming_model_in_this_process() -> None:
    def call(_item: int) -> CallOutcome:
        stamps = [time.monotonic_ns() for _ in range(4)]
        return CallOutcome(text="abcd", token_ns=stamps)

    plan = closed_loop(concurrency=1, items=1, requests=5)
    records = Recorder()
    run_plan(plan, CallableDriver(call), records)
    found = latencies(records.array(), plan)
    assert len(found.ttft_sent_ms) == len(found.tpot_ms) == 5


def test_open_loop_on_a_model_in_this_process_charges_the_queue() -> None:
    stalled = list[int]()

    def call(_item: int) -> CallOutcome:
        if not stalled:
            stalled.append(time.monotonic_ns())
            time.sleep(0.3)
        return CallOutcome()

    plan = open_loop(rate_rps=100.0, items=1, arrival=Arrival.CONSTANT, requests=50, max_in_flight=1)
    records = Recorder()
    info = run_plan(plan, CallableDriver(call), records)
    rows = records.array()
    check_whole(plan, rows)
    ends_ns = stalled[0] - info.started_ns + 300_000_000
    assert (latencies(rows, plan).e2e_ms >= (ends_ns - plan.due_ns) / 1e6 - 0.001).all()
    with pytest.raises(InputError, match="cap"):
        run_plan(open_loop(rate_rps=1.0, items=1, requests=1), CallableDriver(call), Recorder())


@pytest.mark.parametrize("hanging", [{3}, {0, 1, 2, 3, 4}], ids=["some slots", "every slot"])
def test_a_call_that_hangs_is_unfinished_after_the_drain(hanging: set[int]) -> None:
    release = threading.Event()

    def call(item: int) -> CallOutcome:
        if item in hanging:
            release.wait(30)
        time.sleep(0.001)
        return CallOutcome()

    plan = closed_loop(concurrency=2, items=5, duration_s=0.2)
    records = Recorder()
    run_plan(plan, CallableDriver(call), records, drain_s=0.1)
    rows = records.array()
    release.set()
    check_whole(plan, rows)
    assert 1 <= outcomes(rows).unfinished <= 2
    time.sleep(0.05)
    assert len(records) == len(rows)


@pytest.mark.parametrize("concurrency", [1, 2])
def test_target_failed_is_an_error_and_anything_else_ends_the_run(concurrency: int) -> None:
    def failing(item: int) -> CallOutcome:
        if item == 1:
            raise TargetFailed("the model gave up")
        if item == 2:
            raise ZeroDivisionError("a bug")
        return CallOutcome()

    records = Recorder()
    run_plan(closed_loop(concurrency=concurrency, items=2, requests=20), CallableDriver(failing), records)
    assert (outcomes(records.array()).ok, outcomes(records.array()).error) == (10, 10)
    records = Recorder()
    plan = closed_loop(concurrency=concurrency, items=3, requests=20)
    with pytest.raises(ZeroDivisionError):
        run_plan(plan, CallableDriver(failing), records)
    assert len(records) == 20
    assert gc.isenabled()


def test_a_full_disk_ends_the_run_and_the_records_stay(serve: Serve) -> None:
    taken = list[Mapping[str, Any]]()

    def spool(row: Mapping[str, Any]) -> None:
        if len(taken) == 10:
            raise OSError(28, "No space left on device")
        taken.append(row)

    plan = closed_loop(concurrency=3, items=7, requests=500)
    records = Recorder()
    with pytest.raises(OSError, match="No space"):
        run_plan(plan, predict_at(serve(score).url), records, spool=spool)
    assert outcomes(records.array()).total == 500
    assert outcomes(records.array()).ok >= 10


def test_what_the_first_answer_has_the_others_must_have(serve: Serve) -> None:
    async def script(call: Any, wire: Any) -> None:
        width = 3 if call.number < 5 else 2
        await wire.reply(json.dumps({"scores": [[0.5] * width]}).encode())

    plan = closed_loop(concurrency=1, items=7, requests=12)
    records, spooled = Recorder(), list[Mapping[str, Any]]()
    run_plan(plan, predict_at(serve(script).url), records, spool=spooled.append)
    assert (outcomes(records.array()).ok, outcomes(records.array()).error) == (5, 7)
    assert spooled[-1]["error"] == "protocol: 2 scores for an input where there are 3 classes"


def test_a_model_in_this_process_that_says_nothing_has_not_answered() -> None:
    records, spooled = Recorder(), list[Mapping[str, Any]]()

    def call(item: int) -> CallOutcome:
        return CallOutcome(text="" if item else "yes")

    plan = closed_loop(concurrency=1, items=2, requests=20)
    run_plan(plan, CallableDriver(call), records, spool=spooled.append)
    assert (outcomes(records.array()).ok, outcomes(records.array()).error) == (10, 10)
    assert {row["error"] for row in spooled} == {None, "empty: a reply without text"}


def test_too_few_asks() -> None:
    driver = EndpointDriver(Endpoint("http://127.0.0.1:1", "predict"), ASKS[:3])
    with pytest.raises(InputError, match="more data items"):
        run_plan(closed_loop(concurrency=1, items=7, requests=7), driver, Recorder())


@pytest.mark.skipif(os.name != "posix", reason="limits are set with setrlimit")
def test_this_machine_without_sockets_says_so(serve: Serve) -> None:
    code = """
import resource, sys
from hexgate.load.endpoint_driver import EndpointDriver
from hexgate.load.engine import TargetUnreachable, run_plan
from hexgate.load.figures import client_health
from hexgate.load.plan import open_loop
from hexgate.load.records import Recorder
from hexgate.wire.base import Ask, Endpoint
resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))
plan, records = open_loop(rate_rps=2000.0, items=1, requests=200), Recorder()
driver = EndpointDriver(Endpoint("{url}", "predict", timeout_s=2.0), [Ask(inputs=[[1.0]])])
try:
    run_plan(plan, driver, records)
except TargetUnreachable as error:
    assert "client: " in str(error), error
print(client_health(records.array(), plan).reasons)
"""

    async def slow(call: Any, wire: Any) -> None:
        await asyncio.sleep(1.0)
        await score(call, wire)

    server = serve(slow)
    done = subprocess.run(
        [sys.executable, "-c", code.replace("{url}", server.url)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "could open no more connections" in done.stdout


def test_load_imports_nothing_from_above() -> None:
    code = (
        "import sys, hexgate.load.engine, hexgate.load.figures, hexgate.load.endpoint_driver, "
        "hexgate.load.callable_driver; "
        "print(sorted(m for m in sys.modules if m.split('.')[:2] in (['hexgate', 'targets'], "
        "['hexgate', 'indicators']) or m in ('click', 'rich', 'httpx', 'onnxruntime')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
