"""Conversations of several turns: what the server hears, when each turn is due, and what becomes of the later ones."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hexgate.errors import InputError
from hexgate.load.endpoint_driver import EndpointDriver
from hexgate.load.measures.spans import in_flight_max
from hexgate.load.plans.plan import Arrival, closed_loop, open_loop
from hexgate.load.records import NEVER, Outcome
from hexgate.wire.base import Ask, Endpoint
from support.load_running import carried_out

Serve = Callable[..., Any]
ITEMS = 4
FIRST = [f"first of {item}" for item in range(ITEMS)]
LATER = [(f"second of {item}", f"third of {item}") for item in range(ITEMS)]


def talk_to(url: str, *, stream: bool = True, **more: Any) -> EndpointDriver:
    asks = [Ask(prompt=prompt, system="be brief", stream=stream) for prompt in FIRST]
    return EndpointDriver(Endpoint(url + "/v1", "openai-chat", model="m", **more), asks, LATER)


def heard(call: Any) -> list[str]:
    return [f"{said['role']}: {said['content']}" for said in json.loads(call.body)["messages"]]


async def answer(call: Any, wire: Any) -> None:
    """Repeats the last thing said, in two events where a stream is asked for."""
    text = f"you said {json.loads(call.body)['messages'][-1]['content']}"
    if not json.loads(call.body)["stream"]:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return await wire.reply(json.dumps({"choices": [choice]}).encode())
    await wire.begin_chunks("content-type: text/event-stream\r\n")
    for part, finish in ((text[:5], None), (text[5:], "stop")):
        choice = {"index": 0, "delta": {"content": part}, "finish_reason": finish}
        await wire.chunk(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n")
    await wire.chunk(b"data: [DONE]\n\n")
    return await wire.end_chunks()


def conversation(item: int) -> list[str]:
    said = [FIRST[item], *LATER[item]]
    spoken = ["system: be brief"]
    for turn in said:
        spoken += [f"user: {turn}", f"assistant: you said {turn}"]
    return spoken[:-1]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("workers", [1, 2])
def test_each_turn_carries_what_was_said_before(
    serve: Serve, tmp_path: Path, workers: int, stream: bool
) -> None:
    server = serve(answer)
    plan = closed_loop(concurrency=4, items=ITEMS, requests=10, warmup=2, turns=3)
    left = carried_out(plan, talk_to(server.url, stream=stream), tmp_path, workers=workers)
    rows = left.rows
    assert left.counts == (30, 0, 0, 0, 0, 0)
    assert len(rows) == plan.requests == len(server.calls) == 36
    assert rows["index"].tolist() == list(range(36))
    assert (rows["turn"] == rows["index"] % 3).all()
    assert (rows["warmup"] == (rows["index"] < 6)).all()
    assert [plan.item_of(index) for index in range(36)] == rows["item"].tolist()
    assert (rows["item"].reshape(12, 3) == rows["item"][::3, None]).all()
    # One worker has all turns of a conversation, and each worker has its part.
    assert (rows["worker"].reshape(12, 3) == rows["worker"][::3, None]).all()
    assert set(rows["worker"].tolist()) == set(range(workers))
    # The server heard, in each conversation, all that was said in it and nothing of another.
    expected = [
        conversation(item)[: 2 * turn + 2] for item, turn in zip(rows["item"], rows["turn"], strict=True)
    ]
    assert sorted(map(heard, server.calls)) == sorted(expected)
    texts = {reply["index"]: reply["text"] for reply in left.replies}
    for row in rows:
        said = [FIRST[row["item"]], *LATER[row["item"]]][row["turn"]]
        assert texts[row["index"]] == f"you said {said}"
    # A turn begins after the reply to the one before it; in a closed loop nothing is due.
    turns = rows.reshape(12, 3)
    assert (turns["sent_ns"][:, 1:] >= turns["end_ns"][:, :-1]).all()
    assert (rows["due_ns"] == NEVER).all()


@pytest.mark.parametrize("workers", [1, 2])
def test_in_an_open_loop_a_later_turn_is_due_after_the_reply_and_a_pause(
    serve: Serve, tmp_path: Path, workers: int
) -> None:
    plan = open_loop(rate_rps=40.0, items=ITEMS, arrival=Arrival.CONSTANT, requests=12, turns=3, think_s=0.05)
    rows = carried_out(plan, talk_to(serve(answer).url), tmp_path, workers=workers).rows
    assert (rows["outcome"] == Outcome.OK).all()
    turns = rows.reshape(12, 3)
    assert turns["due_ns"][:, 0].tolist() == plan.due_ns.tolist()
    assert (turns["due_ns"][:, 1:] == turns["end_ns"][:, :-1] + 50_000_000).all()
    assert (turns["issued_ns"] >= turns["due_ns"]).all()
    assert (turns["sent_ns"] >= turns["issued_ns"]).all()


def test_a_turn_that_fails_ends_its_conversation_and_no_other(serve: Serve, tmp_path: Path) -> None:
    async def script(call: Any, wire: Any) -> object:
        said = heard(call)[-1]
        if said == "user: first of 1":
            return await wire.reply(b'{"error": {"message": "boom"}}', status=500)
        if said == "user: second of 2":
            return False
        return await answer(call, wire)

    server = serve(script)
    plan = closed_loop(concurrency=2, items=ITEMS, requests=8, turns=3)
    left = carried_out(plan, talk_to(server.url), tmp_path, workers=1)
    rows = left.rows.reshape(8, 3)
    replies = {reply["index"]: reply["error"] for reply in left.replies}
    whole = [Outcome.OK] * 3
    expected = {
        0: whole,
        1: [Outcome.ERROR, Outcome.NOT_SENT, Outcome.NOT_SENT],
        2: [Outcome.OK, Outcome.ERROR, Outcome.NOT_SENT],
        3: whole,
    }
    for row in rows:
        assert row["outcome"].tolist() == expected[row["item"][0]]
        for one in row[row["outcome"] == Outcome.NOT_SENT]:
            assert one["sent_ns"] == one["due_ns"] == NEVER
            assert replies[one["index"]] == "not_sent: a turn before it did not succeed"
    assert not any(said == "user: second of 1" for call in server.calls for said in heard(call))


def test_a_stop_in_the_middle_leaves_a_row_for_every_turn(serve: Serve, tmp_path: Path) -> None:
    """Turns that are thought about, in flight, and not begun: each is told as what it is."""
    stop = threading.Event()

    async def script(call: Any, wire: Any) -> None:
        if call.number == 20:
            stop.set()
            await asyncio.sleep(60)
        await answer(call, wire)

    server = serve(script)
    plan = closed_loop(concurrency=6, items=ITEMS, requests=500, turns=3, think_s=0.02)
    left = carried_out(plan, talk_to(server.url), tmp_path, stop=stop, drain_s=0.3, workers=2)
    rows = left.rows
    assert rows["index"].tolist() == list(range(1500))
    assert left.info is not None
    assert left.info.stopped == "asked"
    outcomes = rows["outcome"].reshape(500, 3)
    assert (rows["outcome"] == Outcome.UNFINISHED).sum() == 1
    assert (rows["outcome"] == Outcome.OK).sum() >= 20
    assert (rows["sent_ns"] >= 0).sum() == len(server.calls)
    # After a turn that was not answered, none was sent.
    broken = np.maximum.accumulate(outcomes != Outcome.OK, axis=1)
    assert (outcomes[:, 1:][broken[:, :-1]] == Outcome.NOT_SENT).all()
    said = {reply["error"] for reply in left.replies if reply["error"]}
    assert said <= {
        "not_sent: the run was over",
        "not_sent: a turn before it did not succeed",
        "abandoned: the run was over before the reply was",
    }


def test_a_cap_is_one_on_requests_and_not_on_those_who_think(serve: Serve, tmp_path: Path) -> None:
    plan = open_loop(
        rate_rps=200.0,
        items=ITEMS,
        arrival=Arrival.CONSTANT,
        requests=10,
        turns=3,
        think_s=0.5,
        max_in_flight=1,
    )
    left = carried_out(plan, talk_to(serve(answer).url), tmp_path, workers=1)
    assert left.counts == (30, 0, 0, 0, 0, 0)
    assert in_flight_max(left.records) == 1
    # While the first user thinks, others have the place.
    turns = left.rows.reshape(10, 3)
    assert turns["sent_ns"][2, 0] < turns["sent_ns"][0, 1]


def test_data_without_conversations(tmp_path: Path) -> None:
    driver = EndpointDriver(Endpoint("http://127.0.0.1:1", "openai-chat"), [Ask(prompt="hi")])
    with pytest.raises(InputError, match="conversations"):
        carried_out(closed_loop(concurrency=1, items=1, requests=3, turns=2), driver, tmp_path)
