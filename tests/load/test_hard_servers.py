"""`hexgate load` against servers that do everything wrong, and runs that are cut short from outside.

Each leads to right counts, right reasons, artifacts that say so, a report, and the documented exit code.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from hexgate.load.records import Outcome
from support.command import Ended
from support.forward_proxy import ForwardProxy
from support.load_running import LeftByCommand, undisturbed

Call = Callable[..., Ended]
Serve = Callable[..., Any]
Script = Callable[[int, Any], Awaitable[object]]
"""Writes the reply to a request of the load: its number among these, and what to write to."""

ROOT = Path(__file__).resolve().parents[2]
PAUSE_S = 0.08
"""How long a good reply takes: enough that a busy machine is no reason against a run."""
LIMIT_S = 60.0
MODELS = json.dumps({"object": "list", "data": [{"id": "m", "object": "model"}]}).encode()


def event(text: str | None = None, finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"


GOOD = [event("one"), event(" two"), event(finish="stop"), b"data: [DONE]\n\n"]


async def good(_number: int, wire: Any) -> None:
    await asyncio.sleep(PAUSE_S)
    await wire.begin_chunks("content-type: text/event-stream\r\n")
    for part in GOOD:
        await wire.chunk(part)
    await wire.end_chunks()


def loaded(serve: Serve, script: Script) -> Any:
    """A server that says which model it has, and answers the requests of a load by a script."""
    asked = [0]

    async def answer(call: Any, wire: Any) -> object:
        if call.method == "GET":
            return await wire.reply(MODELS)
        asked[0] += 1
        return await script(asked[0] - 1, wire)

    return serve(answer)


FLAGS = ("--model", "m", "--prompts", "demo:", "--warmup", "0", "--max-tokens", "4")


@pytest.fixture
def load(call: Call, serve: Serve, tmp_path: Path) -> Callable[..., tuple[Ended, LeftByCommand]]:
    """Put a load on a server, or on an address, and give what came of it."""

    def run(to: Script | str, *flags: str) -> tuple[Ended, LeftByCommand]:
        def once(out: Path) -> Ended:
            url = to if isinstance(to, str) else loaded(serve, to).url
            return call("load", f"{url}/v1", *FLAGS, "--concurrency", "4", *flags, "--out", out)

        return undisturbed(once, tmp_path)

    return run


def test_a_server_that_stalls(load: Any) -> None:
    async def script(number: int, wire: Any) -> None:
        if number == 5:
            await asyncio.sleep(0.5)
        await good(number, wire)

    ended, run = load(script, "--requests", "20")
    assert ended.code == 0, ended.err
    (latency, _) = run.assert_told("complete")
    assert run.outcomes == {Outcome.OK: 20}
    assert run.reasons == {None: 20}
    assert {reply["text"] for reply in run.replies} == {"one two"}
    assert latency["max_ms"] >= 500.0


def test_a_server_that_resets(load: Any) -> None:
    async def script(number: int, wire: Any) -> object:
        if number % 3:
            return await good(number, wire)
        await asyncio.sleep(PAUSE_S)
        await wire.begin_chunks("content-type: text/event-stream\r\n")
        await wire.chunk(GOOD[0])
        await asyncio.sleep(PAUSE_S)
        wire.writer.transport.abort()
        return False

    ended, run = load(script, "--requests", "24")
    assert ended.code == 0, ended.err
    (latency, _) = run.assert_told("complete")
    assert run.outcomes == {Outcome.OK: 16, Outcome.TRUNCATED: 8}
    assert latency["counts"] == {"requested": 24, "succeeded": 16, "errored": 8, "skipped": 0}
    assert latency["error_ratio"] == pytest.approx(1 / 3)
    broken = [reply for reply in run.replies if reply["error"]]
    # What had come before the reset is kept.
    assert {reply["text"] for reply in broken} == {"one"}
    assert all(
        re.match(r"cut: the connection was lost \d+ bytes into the body", one["error"]) for one in broken
    )


def test_a_server_that_refuses_some(load: Any) -> None:
    most = [0]

    async def script(number: int, wire: Any) -> object:
        most[0] = max(most[0], number)
        await asyncio.sleep(PAUSE_S)
        if number % 3 == 0:
            body = b'{"error": {"message": "slow down"}}'
            return await wire.reply(body, status=429, headers="retry-after: 1\r\n")
        if number % 3 == 1:
            return await wire.reply(b"the worker\nis gone", status=500)
        return await good(number, wire)

    ended, run = load(script, "--requests", "24")
    assert ended.code == 0, ended.err
    run.assert_told("complete")
    assert run.outcomes == {Outcome.OK: 8, Outcome.ERROR: 16}
    assert run.reasons == {None: 8, "http_429: slow down": 8, "http_500: the worker\nis gone": 8}
    # A load asks once: a request that was refused is not asked again behind its back.
    assert most[0] == 23
    rows = run.rows
    assert Counter(rows["http_status"].tolist()) == {200: 8, 429: 8, 500: 8}


@pytest.mark.parametrize("ends", ["with its connection", "as HTTP says"])
def test_a_server_that_sends_half_a_stream(load: Any, ends: str) -> None:
    async def script(number: int, wire: Any) -> object:
        if number % 4:
            return await good(number, wire)
        await asyncio.sleep(PAUSE_S)
        await wire.begin_chunks("content-type: text/event-stream\r\n")
        await wire.chunk(GOOD[0])
        if ends == "as HTTP says":
            return await wire.end_chunks()
        return False

    ended, run = load(script, "--requests", "24")
    assert ended.code == 0, ended.err
    run.assert_told("complete")
    assert run.outcomes == {Outcome.OK: 18, Outcome.TRUNCATED: 6}
    said = "cut: the connection was lost" if ends == "with its connection" else "truncated: "
    reasons = [reply["error"] for reply in run.replies if reply["error"]]
    assert len(reasons) == 6
    assert all(reason.startswith(said) for reason in reasons), reasons


def test_a_server_that_hangs_for_ever_now_and_then(load: Any) -> None:
    async def script(number: int, wire: Any) -> None:
        if number in {1, 2}:
            await asyncio.sleep(LIMIT_S)
        await good(number, wire)

    ended, run = load(script, "--requests", "12", "--timeout-s", "0.8")
    assert ended.code == 0, ended.err
    (latency, _) = run.assert_told("complete")
    assert run.outcomes == {Outcome.OK: 10, Outcome.TIMEOUT: 2}
    assert run.reasons == {None: 10, "timeout: no whole reply within 0.8 s": 2}
    assert latency["timeout_ratio"] == pytest.approx(2 / 12)


def test_a_server_that_takes_requests_and_never_answers(load: Any) -> None:
    async def script(_number: int, _wire: Any) -> None:
        await asyncio.sleep(LIMIT_S)

    ended, run = load(script, "--requests", "8", "--timeout-s", "0.5")
    assert ended.code == 5
    assert "no request succeeded: all 8 failed" in ended.err
    assert "no whole reply within 0.5 s" in ended.err
    assert [data["counts"]["errored"] for data in run.artifacts] == [8, 8]
    assert run.outcomes == {Outcome.TIMEOUT: 8}
    assert (run.folder / "report.html").is_file()


def test_a_port_where_nobody_accepts(load: Any) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(64)
        ended, run = load(
            f"http://127.0.0.1:{deaf.getsockname()[1]}", "--requests", "8", "--timeout-s", "0.5"
        )
    assert ended.code == 5
    assert "no whole reply within 0.5 s" in ended.err
    assert [data["status"] for data in run.artifacts] == ["failed", "failed"]


def test_a_server_that_dies(serve: Serve, load: Any) -> None:
    async def script(number: int, wire: Any) -> None:
        if number == 12:
            threading.Thread(target=server.stop).start()
        await good(number, wire)

    server = loaded(serve, script)
    ended, run = load(server.url, "--requests", "400")
    assert ended.code == 5
    assert "50 attempts in a row found no connection" in ended.err
    (latency, _) = run.assert_told("partial")
    outcomes = run.outcomes
    assert sum(outcomes.values()) == 400
    assert 5 <= outcomes[Outcome.OK] <= 12 + 8
    assert outcomes[Outcome.ERROR] >= 50
    assert outcomes[Outcome.NOT_SENT] == latency["counts"]["skipped"] > 200
    assert any(str(reason).startswith("connection: ") for reason in run.reasons)


def test_a_server_that_closes_its_connections_between_requests(load: Any) -> None:
    async def script(number: int, wire: Any) -> bool:
        await good(number, wire)
        return False

    ended, run = load(script, "--requests", "24")
    assert ended.code == 0, ended.err
    run.assert_told("complete")
    assert run.outcomes == {Outcome.OK: 24}
    assert sum(worker["opened"] for worker in run.workers) >= 24


def test_a_server_with_an_error_inside_its_stream(load: Any) -> None:
    async def script(number: int, wire: Any) -> object:
        if number % 2:
            return await good(number, wire)
        await asyncio.sleep(PAUSE_S)
        await wire.begin_chunks("content-type: text/event-stream\r\n")
        await wire.chunk(GOOD[0])
        await wire.chunk(b'data: {"error": {"message": "CUDA out of memory", "code": 500}}\n\n')
        await wire.chunk(b"data: [DONE]\n\n")
        return await wire.end_chunks()

    ended, run = load(script, "--requests", "24")
    assert ended.code == 0, ended.err
    run.assert_told("complete")
    assert run.outcomes == {Outcome.OK: 12, Outcome.ERROR: 12}
    assert run.reasons == {None: 12, "server: CUDA out of memory": 12}


def test_a_server_that_answers_byte_by_byte(load: Any) -> None:
    async def script(_number: int, wire: Any) -> None:
        await wire.raw(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        text = b"".join([event("größe"), event(" 二"), event(finish="stop"), b"data: [DONE]\n\n"])
        for at in range(len(text)):
            for part in (b"1\r\n", text[at : at + 1], b"\r\n"):
                await wire.raw(part)
            if at % 16 == 0:
                await asyncio.sleep(0.005)
        await wire.end_chunks()

    ended, run = load(script, "--requests", "8")
    assert ended.code == 0, ended.err
    (latency, _) = run.assert_told("complete")
    assert run.outcomes == {Outcome.OK: 8}
    assert {reply["text"] for reply in run.replies} == {"größe 二"}
    assert 0.0 < latency["ttft_p50_ms"] < latency["p50_ms"]


# Another way to the server.


def test_a_load_by_httpx_says_so_and_shows_no_password(load: Any) -> None:
    with ForwardProxy() as proxy:
        named = proxy.url.replace("://", "://me:passw0rd@")
        ended, run = load(good, "--requests", "12", "--proxy", named)
    assert ended.code == 0, ended.err
    artifacts = run.assert_told("complete")
    for data in artifacts:
        assert {"httpx", "(slower)"} <= set(data["method"]["transport"].split())
    assert run.outcomes == {Outcome.OK: 12}
    assert len(proxy.asked) == 12
    for path in run.folder.iterdir():
        assert b"passw0rd" not in path.read_bytes(), path.name


def test_a_load_without_one_uses_our_own_transport(load: Any) -> None:
    ended, run = load(good, "--requests", "8")
    assert ended.code == 0, ended.err
    assert all("httpx" not in data["method"]["transport"] for data in run.artifacts)


def test_a_redirect_is_refused_by_every_transport(load: Any) -> None:
    async def script(_number: int, wire: Any) -> None:
        await wire.reply(b"", status=308, headers="location: https://elsewhere.example/v1\r\n")

    with ForwardProxy() as proxy:
        for flags in ((), ("--proxy", proxy.url)):
            ended, run = load(script, "--requests", "6", *flags)
            assert ended.code == 5
            assert "redirected (308) to https://elsewhere.example/v1" in ended.err
            assert run.outcomes == {Outcome.ERROR: 6}


# Runs that are cut short from outside.


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start loads, each with a process group of its own, as a shell gives it."""
    running: list[subprocess.Popen[bytes]] = []

    def start(url: str, *flags: str) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            "hexgate",
            "load",
            f"{url}/v1",
            *FLAGS,
            *flags,
            "--out",
            str(tmp_path),
        ]
        environment = os.environ | {"HEXGATE_LANG": "en"}
        running.append(subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True))
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


def until(found: Callable[[], Any]) -> Any:
    """What this finds once it finds something."""
    limit = time.monotonic() + LIMIT_S
    while not (result := found()):
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.01)
    return result


def workers_of(
    process: subprocess.Popen[bytes], module: str = "hexgate.load.sending.worker"
) -> list[psutil.Process]:
    found = []
    with suppress(psutil.Error):
        for child in psutil.Process(process.pid).children():
            with suppress(psutil.Error):
                found += [child] if module in child.cmdline() else []
    return found


def posts(server: Any) -> int:
    return sum(call.method == "POST" for call in server.calls)


posix = pytest.mark.skipif(os.name != "posix", reason="signals are sent with kill")
OPEN = ("--rate", "40", "--requests", "4000", "--workers", "2")


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_a_batch_system_leave_what_was_measured(
    serve: Serve, started: Any, number: signal.Signals, tmp_path: Path
) -> None:
    """A terminal sends SIGINT, and a batch system SIGTERM, to every process of the group."""
    server = loaded(serve, good)
    process = started(server.url, *OPEN)
    until(lambda: posts(server) > 30)
    os.killpg(process.pid, number)
    assert process.wait(LIMIT_S) == 130
    run = LeftByCommand(tmp_path)
    (latency, _) = run.assert_told("partial")
    outcomes = run.outcomes
    assert sum(outcomes.values()) == 4000
    assert outcomes[Outcome.OK] >= 20
    # All that reached the server is accounted for: answered, or in flight when it ended.
    assert posts(server) == outcomes[Outcome.OK] + outcomes[Outcome.UNFINISHED]
    assert latency["counts"]["skipped"] == outcomes[Outcome.NOT_SENT] + outcomes[Outcome.UNFINISHED]
    assert run.reasons[None] == outcomes[Outcome.OK]
    info = json.loads((tmp_path / "load.run.evidence.json").read_bytes())
    assert info["stopped"] == "interrupted"


@posix
def test_an_interrupt_before_the_first_request_is_no_fault_of_the_workers(
    serve: Serve, started: Any, tmp_path: Path
) -> None:
    server = loaded(serve, good)
    process = started(server.url, *OPEN)
    until(lambda: workers_of(process) or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(LIMIT_S) == 130
    assert [data["status"] for data in LeftByCommand(tmp_path).artifacts] == ["partial", "partial"]


@posix
def test_a_worker_that_is_killed_makes_the_run_invalid_by_name(
    serve: Serve, started: Any, tmp_path: Path
) -> None:
    server = loaded(serve, good)
    process = started(server.url, *OPEN)
    # Whatever is over for a second or two is on the disk.
    until(lambda: posts(server) > 120)
    victim = workers_of(process)[0]
    victim.kill()
    assert process.wait(LIMIT_S) == 4
    run = LeftByCommand(tmp_path)
    artifacts = run.assert_told("invalid")
    named = re.compile(r"worker ([01]) ended before its time \(it ended with signal 9\)")
    found = [named.search(" ".join(data["invalid_reasons"])) for data in artifacts]
    assert all(found)
    died = int(found[0].group(1)) if found[0] else -1
    rows = run.rows
    sent = rows[rows["sent_ns"] >= 0]
    assert len(rows) == 4000
    counts = Counter(sent["worker"].tolist())
    assert counts[1 - died] >= 50
    # Its own up to then: all but what was over in its last second or so.
    assert counts[died] >= 10
    ok = sent[sent["outcome"] == Outcome.OK]
    assert len(run.replies) >= len(ok)
    info = json.loads((tmp_path / "load.run.evidence.json").read_bytes())
    assert info["stopped"] == "died"


@posix
@pytest.mark.parametrize("when", ["while it loads", "before it loads"])
def test_workers_and_samplers_end_by_themselves_when_the_run_is_killed(
    serve: Serve, started: Any, when: str, tmp_path: Path
) -> None:
    server = loaded(serve, good)
    process = started(server.url, *OPEN)
    orphans = until(lambda: len(found := workers_of(process)) == 2 and found)
    if when == "while it loads":
        until(lambda: posts(server) > 5)
    orphans += until(lambda: workers_of(process, "hexgate.meters.sampler"))
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(orphans, timeout=LIMIT_S)
    assert not alive
