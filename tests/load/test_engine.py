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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hexgate.errors import InputError, TargetFailed
from hexgate.load.callable_driver import CallableDriver, CallOutcome
from hexgate.load.endpoint_driver import EndpointDriver
from hexgate.load.engine import LoadInterrupted, TargetUnreachable
from hexgate.load.measures.spans import in_flight_max
from hexgate.load.plans.plan import Arrival, Plan, closed_loop, open_loop
from hexgate.load.records import NEVER, Outcome
from hexgate.wire.base import Ask, Endpoint
from support.load_running import Left, carried_out
from support.starved import StarvedError, again_where_starved

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


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_closed_loop_on_an_endpoint(serve: Serve, tmp_path: Path, workers: int) -> None:
    in_flight = [0, 0]

    async def script(call: Any, wire: Any) -> None:
        in_flight[0] += 1
        in_flight[1] = max(in_flight)
        await asyncio.sleep(0.003)
        in_flight[0] -= 1
        await score(call, wire)

    server = serve(script)
    plan = closed_loop(concurrency=4, items=7, requests=60, warmup=6, seed=1)
    steps = list[int]()
    left = carried_out(plan, predict_at(server.url), tmp_path, progress=steps.append, workers=workers)
    rows, info = left.rows, left.info
    assert info is not None
    check_whole(plan, rows)
    assert len(rows) == len(plan) == len(server.calls) == sum(steps) == 66
    assert left.count(Outcome.OK) == sum(left.counts) == 60
    assert set(rows["worker"].tolist()) == set(range(workers))
    assert in_flight[1] <= 4
    assert server.connections <= 4
    assert in_flight_max(left.records) <= 4
    assert info.files == {"requests": 66, "replies": 0}
    # The bodies that went out are the items of the plan.
    seen = sorted(json.loads(call.body)["inputs"][0][0] for call in server.calls)
    assert seen == sorted(float(item) for item in plan.item)
    assert info.plan_digest == plan.digest()
    assert info.stopped is None
    assert not info.interrupted
    assert info.ended_ns >= int(rows["end_ns"].max())
    assert info.cpu_s >= 0.0
    json.dumps(info.to_json())
    assert info.client is not None
    assert [entry["worker"] for entry in info.client["workers"]] == list(range(workers))
    assert not list(tmp_path.glob("*.work"))


@pytest.mark.parametrize("workers", [1, 2])
def test_closed_loop_for_a_duration_sends_nothing_after_it(
    serve: Serve, tmp_path: Path, workers: int
) -> None:
    plan = closed_loop(concurrency=3, items=7, duration_s=0.4, warmup=10)
    rows = carried_out(plan, predict_at(serve(score).url), tmp_path, workers=workers).rows
    check_whole(plan, rows)
    assert set(rows["outcome"].tolist()) == {Outcome.OK}
    for worker in range(workers):
        own = rows[rows["worker"] == worker]
        begin = own["issued_ns"][~own["warmup"]].min()
        assert (own["issued_ns"] - begin < 0.4e9).all()
    assert len(rows) > 20


@pytest.mark.parametrize("closed", [True, False])
def test_events_of_successes_are_counted_apart(
    serve: Serve, chat_event: Callable[..., bytes], tmp_path: Path, closed: bool
) -> None:
    count = [0]

    async def script(_call: Any, wire: Any) -> None:
        count[0] += 1
        whole = count[0] % 3 != 0
        await wire.begin_chunks("content-type: text/event-stream\r\n")
        await wire.chunk(chat_event("one") + chat_event(" two"))
        if whole:
            await wire.chunk(chat_event(finish="stop") + b"data: [DONE]\n\n")
        await wire.end_chunks()

    endpoint = Endpoint(serve(script).url + "/v1", "openai-chat", model="m", headers={}, options={})
    if closed:
        plan = closed_loop(concurrency=1, items=1, requests=9, warmup=3)
    else:
        plan = open_loop(rate_rps=200.0, items=1, requests=9, warmup=3, max_in_flight=1)
    left = carried_out(plan, EndpointDriver(endpoint, [Ask(prompt="hi")]), tmp_path)
    assert left.count(Outcome.OK) == 6
    assert left.info is not None
    assert left.info.stream is not None
    seconds = left.info.stream["per_second"]
    assert sum(seconds["events"]) == left.info.stream["events"] == 24
    # Of the warm-up, two succeed: in a closed loop the rates are of those, too.
    assert sum(seconds["ok_events"]) == (16 if closed else 12)


def test_a_stream_over_the_wire(serve: Serve, chat_event: Callable[..., bytes], tmp_path: Path) -> None:
    async def script(_call: Any, wire: Any) -> None:
        await wire.begin_chunks("content-type: text/event-stream\r\n")
        await wire.chunk(b'data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n')
        for word in ("one", " two", " three"):
            await asyncio.sleep(0.05)
            await wire.chunk(chat_event(word))
        await wire.chunk(chat_event(finish="stop", usage={"prompt_tokens": 2, "completion_tokens": 3}))
        await wire.chunk(b"data: [DONE]\n\n")
        await wire.end_chunks()

    server = serve(script)
    endpoint = Endpoint(
        server.url + "/v1", "openai-chat", model="m", headers={"authorization": "Bearer k"}, options={"n": 1}
    )
    plan = closed_loop(concurrency=2, items=1, requests=6)
    left = carried_out(plan, EndpointDriver(endpoint, [Ask(prompt="hi")]), tmp_path)
    rows = left.rows
    check_whole(plan, rows)
    assert left.replies == [{"error": None, "index": index, "text": "one two three"} for index in range(6)]
    assert json.loads(server.calls[0].body).items() >= {"model": "m", "n": 1}.items()
    assert server.calls[0].path == "/v1/chat/completions"
    assert server.calls[0].headers["authorization"] == "Bearer k"
    assert "Bearer" not in repr(endpoint)
    assert (rows["events"] == 3).all()
    assert (rows["output_tokens"] == 3).all()
    # On a busy machine one read may bring two of them.
    assert (rows["first_event_ns"] <= rows["first_token_ns"]).all()
    assert (rows["first_event_ns"] < rows["first_token_ns"]).any()
    assert (rows["first_token_ns"] < rows["last_token_ns"]).all()
    # The server leaves at least 50 ms before and between tokens: only a client that is held up for twice that reads all
    # three at once.
    assert (rows["first_token_ns"] - rows["sent_ns"]).min() > 45e6
    assert (rows["gap_max_ns"] > 5e6).all()
    assert (rows["gap_max_ns"] <= rows["last_token_ns"] - rows["first_token_ns"]).all()
    assert left.info is not None
    assert left.info.stream is not None
    assert left.info.stream["events"] == 18
    assert left.info.stream["gaps_ms"]["count"] == 12
    assert sum(left.info.stream["per_second"]["events"]) == 18
    assert sum(left.info.stream["per_second"]["ok_events"]) == 18
    assert sum(left.info.stream["per_second"]["first_tokens"]) == 6


@again_where_starved
def test_open_loop_charges_a_stall_from_the_due_times(serve: Serve, tmp_path: Path) -> None:
    plan = open_loop(rate_rps=200.0, items=7, arrival=Arrival.CONSTANT, requests=200, max_in_flight=1)
    stall_s = 0.5
    begun = list[int]()

    async def script(call: Any, wire: Any) -> None:
        if call.number == 50:
            begun.append(time.monotonic_ns())
            await asyncio.sleep(stall_s)
        await score(call, wire)

    left = carried_out(plan, predict_at(serve(script).url), tmp_path)
    rows, info = left.rows, left.info
    assert info is not None
    check_whole(plan, rows)
    assert left.count(Outcome.OK) == 200
    e2e_ms = (rows["end_ns"] - rows["due_ns"]) / 1e6
    # One slot, so every request due inside the stall ends after it: analytically at least what was left of it.
    ends_ns = begun[0] - info.started_ns + int(stall_s * 1e9)
    analytic = np.maximum((ends_ns - plan.due_ns[50:]) / 1e6, 0.0)
    assert (e2e_ms[50:] >= analytic - 1.0).all()
    p99 = np.percentile(e2e_ms, 99, method="inverted_cdf")
    expected = np.sort(np.concatenate([np.zeros(50), analytic]))[197]
    assert expected > 450.0
    assert expected - 1.0 <= p99
    assert in_flight_max(left.records) == 1
    # What a client that counts from the send would have said.
    from_sent_ms = (rows["end_ns"] - rows["sent_ns"]) / 1e6
    if p99 > expected * 2.0 or np.percentile(from_sent_ms, 99, method="inverted_cdf") >= expected / 2:
        raise StarvedError(p99, expected)


def test_open_loop_without_a_cap_waits_for_nothing(serve: Serve, tmp_path: Path) -> None:
    """D9: the source capped what is in flight at the rate."""

    async def script(call: Any, wire: Any) -> None:
        await asyncio.sleep(0.5)
        await score(call, wire)

    plan = open_loop(rate_rps=100.0, items=7, requests=40, warmup=10, seed=2)
    left = carried_out(plan, predict_at(serve(script).url), tmp_path, workers=2)
    check_whole(plan, left.rows)
    assert left.count(Outcome.OK) == 40
    assert in_flight_max(left.records) > 20


def test_every_kind_of_failure_is_counted_and_the_counts_reconcile(serve: Serve, tmp_path: Path) -> None:
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
    left = carried_out(plan, predict_at(serve(script).url, timeout_s=0.3), tmp_path)
    rows = left.rows
    assert left.counts == (2, 6, 2, 2, 0, 0)
    errors = {row["index"]: row["error"].partition(":")[0] for row in left.replies}
    kinds = ["http_500", "cut", "protocol", "protocol", "timeout"]
    assert errors == {index: kinds[index % 6 - 1] for index in range(12) if index % 6}
    assert rows["http_status"].tolist() == [200, 500, 200, 200, 302, NEVER] * 2


def test_what_does_not_end_within_the_drain_is_unfinished(serve: Serve, tmp_path: Path) -> None:
    first = 5

    async def script(call: Any, wire: Any) -> None:
        if call.number >= first:
            await wire.begin_chunks()
            await asyncio.sleep(60)
        await score(call, wire)

    plan = closed_loop(concurrency=2, items=7, duration_s=0.3)
    left = carried_out(plan, predict_at(serve(script).url), tmp_path, drain_s=0.2)
    rows, info = left.rows, left.info
    check_whole(plan, rows)
    assert left.counts == (5, 0, 0, 0, 2, 0)
    for row in rows[rows["outcome"] == Outcome.UNFINISHED]:
        assert row["end_ns"] == NEVER
        assert row["headers_ns"] > row["sent_ns"] >= 0
    assert info is not None
    assert info.stopped is None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_dead_server_stops_the_run_early_and_the_records_are_kept(serve: Serve, tmp_path: Path) -> None:
    server = serve(score)
    plan = closed_loop(concurrency=2, items=7, requests=100_000)

    def kill(_steps: int) -> None:
        server.stop()

    with pytest.raises(TargetUnreachable, match="20 attempts in a row") as caught:
        carried_out(plan, predict_at(server.url), tmp_path, progress=kill, max_unreachable=20, workers=1)
    assert isinstance(caught.value, TargetFailed)
    assert caught.value.info.stopped == "unreachable"
    assert caught.value.info.stopped_ns is not None
    left = Left(tmp_path)
    ok, error, _, truncated, _, not_sent = left.counts
    assert len(left.rows) == 100_000
    assert ok > 0
    assert error >= 20
    assert not_sent > 0
    assert ok + error + truncated + not_sent == 100_000


def test_nobody_listens(tmp_path: Path) -> None:
    plan = open_loop(rate_rps=500.0, items=7, requests=1000)
    with pytest.raises(TargetUnreachable, match="running and reachable"):
        carried_out(plan, predict_at(f"http://127.0.0.1:{free_port()}"), tmp_path)
    left = Left(tmp_path)
    assert len(left.rows) == 1000
    assert left.count(Outcome.ERROR) >= 50
    assert left.count(Outcome.NOT_SENT) > 500


def after(steps: int, act: Callable[[], object]) -> Callable[[int], None]:
    """Do something once so many requests have ended."""
    seen = [0]

    def progress(more: int) -> None:
        before, seen[0] = seen[0], seen[0] + more
        if before < steps <= seen[0]:
            act()

    return progress


def test_a_stop_event_ends_the_run_and_nothing_is_lost(serve: Serve, tmp_path: Path) -> None:
    plan = open_loop(rate_rps=200.0, items=7, duration_s=60.0)
    stop = threading.Event()
    left = carried_out(
        plan, predict_at(serve(score).url), tmp_path, progress=after(20, stop.set), stop=stop, workers=2
    )
    assert left.info is not None
    check_whole(plan, left.rows)
    assert left.info.stopped == "asked"
    assert left.info.interrupted
    assert len(left.rows) == len(plan)
    assert left.count(Outcome.OK) > 5
    assert left.count(Outcome.NOT_SENT) > 100
    assert left.info.stopped_ns is not None
    assert left.rows["sent_ns"].max() < left.info.stopped_ns + 0.5e9


def test_too_many_errors_end_the_run(serve: Serve, tmp_path: Path) -> None:
    async def script(call: Any, wire: Any) -> None:
        if call.number < 30:
            await score(call, wire)
        else:
            await wire.reply(b'{"error": "boom"}', status=500)

    plan = open_loop(rate_rps=100.0, items=7, duration_s=60.0)
    left = carried_out(plan, predict_at(serve(script).url), tmp_path, max_error_ratio=0.2)
    assert left.info is not None
    assert left.info.stopped == "errors"
    assert left.count(Outcome.OK) == 30
    assert left.count(Outcome.ERROR) >= 8
    assert left.count(Outcome.NOT_SENT) > 4000


def test_an_error_inside_a_good_status_counts_as_one_while_the_run_goes_on(
    serve: Serve, chat_event: Callable[..., bytes], tmp_path: Path
) -> None:
    async def script(_call: Any, wire: Any) -> None:
        await wire.begin_chunks("content-type: text/event-stream\r\n")
        await wire.chunk(chat_event("one"))
        await wire.chunk(b'data: {"error": {"message": "out of memory"}}\n\n')
        await wire.end_chunks()

    driver = EndpointDriver(Endpoint(serve(script).url + "/v1", "openai-chat"), [Ask(prompt="hi")])
    plan = open_loop(rate_rps=100.0, items=1, duration_s=60.0)
    left = carried_out(plan, driver, tmp_path, max_error_ratio=0.2)
    assert left.info is not None
    assert left.info.stopped == "errors"
    assert left.count(Outcome.OK) == 0


@pytest.mark.skipif(os.name != "posix", reason="signals are sent with kill")
def test_a_platform_that_stops_a_job_twice_keeps_the_records(serve: Serve, tmp_path: Path) -> None:
    """Raised out of a callback of the loop, an exception of the handler would be lost."""
    plan = closed_loop(concurrency=2, items=7, requests=50_000)

    def twice() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(LoadInterrupted):
            carried_out(plan, predict_at(serve(score).url), tmp_path, progress=after(50, twice))
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)
    assert sum(Left(tmp_path).counts) == len(plan)


@pytest.mark.skipif(os.name != "posix", reason="signals are sent with kill")
@pytest.mark.parametrize("kind", ["endpoint", "calls", "threads"])
def test_an_interrupt_keeps_the_records(serve: Serve, kind: str, tmp_path: Path) -> None:
    async def slow(call: Any, wire: Any) -> None:
        if call.number == 20:
            await asyncio.sleep(60)
        await asyncio.sleep(0.001)
        await score(call, wire)

    concurrency = 1 if kind == "calls" else 2
    plan = closed_loop(concurrency=concurrency, items=7, requests=50_000)
    driver = predict_at(serve(slow).url) if kind == "endpoint" else CallableDriver(short_call)
    before = signal.getsignal(signal.SIGINT)
    interrupt = after(50, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt) as caught:
        carried_out(plan, driver, tmp_path, progress=interrupt)
    assert isinstance(caught.value, LoadInterrupted)
    assert caught.value.info.stopped == "interrupted"
    assert signal.getsignal(signal.SIGINT) is before
    left = Left(tmp_path)
    assert sum(left.counts) == len(plan)
    assert left.count(Outcome.OK) >= 50
    assert left.count(Outcome.NOT_SENT) >= 1
    if kind == "endpoint":
        assert left.count(Outcome.UNFINISHED) == 1
    assert gc.isenabled()


def short_call(item: int) -> CallOutcome:
    time.sleep(0.002)
    return CallOutcome(text=f"answer {item}", output_tokens=2)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_model_in_this_process(concurrency: int, tmp_path: Path) -> None:
    running, most = list[int](), list[int]()

    def call(item: int) -> CallOutcome:
        running.append(item)
        most.append(len(running))
        time.sleep(0.002)
        running.pop()
        return CallOutcome(text="x", output_tokens=1) if item else CallOutcome(error="model: no")

    plan = closed_loop(concurrency=concurrency, items=5, requests=50, warmup=5)
    left = carried_out(plan, CallableDriver(call), tmp_path)
    rows = left.rows
    check_whole(plan, rows)
    assert left.counts == (40, 10, 0, 0, 0, 0)
    assert max(most) <= concurrency
    assert in_flight_max(left.records) <= concurrency
    assert sum(row["error"] == "model: no" for row in left.replies) == 11
    assert (rows["end_ns"] - rows["sent_ns"]).min() >= 2e6


def test_a_streaming_model_in_this_process(tmp_path: Path) -> None:
    def call(_item: int) -> CallOutcome:
        stamps = [time.monotonic_ns() for _ in range(4)]
        return CallOutcome(text="abcd", token_ns=stamps)

    plan = closed_loop(concurrency=1, items=1, requests=5)
    rows = carried_out(plan, CallableDriver(call), tmp_path).rows
    assert (rows["first_token_ns"] >= rows["sent_ns"]).all()
    assert (rows["events"] == 4).all()


def test_open_loop_on_a_model_in_this_process_charges_the_queue(tmp_path: Path) -> None:
    stalled = list[int]()

    def call(_item: int) -> CallOutcome:
        if not stalled:
            stalled.append(time.monotonic_ns())
            time.sleep(0.3)
        return CallOutcome()

    plan = open_loop(rate_rps=100.0, items=1, arrival=Arrival.CONSTANT, requests=50, max_in_flight=1)
    left = carried_out(plan, CallableDriver(call), tmp_path)
    assert left.info is not None
    rows = left.rows
    check_whole(plan, rows)
    ends_ns = stalled[0] - left.info.started_ns + 300_000_000
    assert (rows["end_ns"] >= ends_ns - 1000).all()
    with pytest.raises(InputError, match="cap"):
        carried_out(open_loop(rate_rps=1.0, items=1, requests=1), CallableDriver(call), tmp_path)


@pytest.mark.parametrize("hanging", [{3}, {0, 1, 2, 3, 4}], ids=["some slots", "every slot"])
def test_a_call_that_hangs_is_unfinished_after_the_drain(hanging: set[int], tmp_path: Path) -> None:
    release = threading.Event()

    def call(item: int) -> CallOutcome:
        if item in hanging:
            release.wait(30)
        time.sleep(0.001)
        return CallOutcome()

    plan = closed_loop(concurrency=2, items=5, duration_s=0.2)
    left = carried_out(plan, CallableDriver(call), tmp_path, drain_s=0.1)
    release.set()
    check_whole(plan, left.rows)
    assert 1 <= left.count(Outcome.UNFINISHED) <= 2


@pytest.mark.parametrize("concurrency", [1, 2])
def test_target_failed_is_an_error_and_anything_else_ends_the_run(concurrency: int, tmp_path: Path) -> None:
    def failing(item: int) -> CallOutcome:
        if item == 1:
            raise TargetFailed("the model gave up")
        if item == 2:
            raise ZeroDivisionError("a bug")
        return CallOutcome()

    plan = closed_loop(concurrency=concurrency, items=2, requests=20)
    assert carried_out(plan, CallableDriver(failing), tmp_path).counts == (10, 10, 0, 0, 0, 0)
    plan = closed_loop(concurrency=concurrency, items=3, requests=20)
    with pytest.raises(ZeroDivisionError):
        carried_out(plan, CallableDriver(failing), tmp_path)
    assert gc.isenabled()
    assert not list(tmp_path.glob("*.work"))


def test_what_the_first_answer_has_the_others_must_have(serve: Serve, tmp_path: Path) -> None:
    async def script(call: Any, wire: Any) -> None:
        width = 3 if call.number < 5 else 2
        await wire.reply(json.dumps({"scores": [[0.5] * width]}).encode())

    plan = closed_loop(concurrency=1, items=7, requests=12)
    left = carried_out(plan, predict_at(serve(script).url), tmp_path)
    assert left.counts == (5, 7, 0, 0, 0, 0)
    assert left.replies[-1]["error"] == "protocol: 2 scores for an input where there are 3 classes"


def test_a_model_in_this_process_that_says_nothing_has_not_answered(tmp_path: Path) -> None:
    def call(item: int) -> CallOutcome:
        return CallOutcome(text="" if item else "yes")

    plan = closed_loop(concurrency=1, items=2, requests=20)
    left = carried_out(plan, CallableDriver(call), tmp_path)
    assert left.counts == (10, 10, 0, 0, 0, 0)
    assert {row["error"] for row in left.replies} == {None, "empty: a reply without text"}


def test_too_few_asks(tmp_path: Path) -> None:
    driver = EndpointDriver(Endpoint("http://127.0.0.1:1", "predict"), ASKS[:3])
    with pytest.raises(InputError, match="more data items"):
        carried_out(closed_loop(concurrency=1, items=7, requests=7), driver, tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="limits are set with setrlimit")
def test_this_machine_without_sockets_says_so(serve: Serve, tmp_path: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from hexgate.load.endpoint_driver import EndpointDriver
from hexgate.load.engine import run_plan
from hexgate.load.measures.health import client_health
from hexgate.load.plans.plan import open_loop
from hexgate.load.records import Records
from hexgate.wire.base import Ask, Endpoint
resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))
plan = open_loop(rate_rps=2000.0, items=1, requests=200)
driver = EndpointDriver(Endpoint("{url}", "predict", timeout_s=2.0), [Ask(inputs=[[1.0]])])
info = run_plan(plan, driver, Path("{folder}"), "load", workers=1)
assert info.stopped in (None, "client"), info.stopped
print(client_health(Records.open(Path("{folder}") / "load.requests.npy"), plan).reasons)
"""

    async def slow(call: Any, wire: Any) -> None:
        await asyncio.sleep(1.0)
        await score(call, wire)

    server = serve(slow)
    done = subprocess.run(
        [sys.executable, "-c", code.replace("{url}", server.url).replace("{folder}", str(tmp_path))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "could open no more connections" in done.stdout


def test_load_imports_nothing_from_above() -> None:
    code = (
        "import sys, hexgate.load.engine, hexgate.load.measures.figures, hexgate.load.endpoint_driver, "
        "hexgate.load.callable_driver; "
        "print(sorted(m for m in sys.modules if m.split('.')[:2] in (['hexgate', 'targets'], "
        "['hexgate', 'indicators']) or m in ('click', 'rich', 'httpx', 'onnxruntime')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
