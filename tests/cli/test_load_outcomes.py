"""How a load ends: what it says, what lies in its folder then, and the exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hexgate.contract.schema import schema_mistakes
from support.command import Ended
from support.measuring import check
from support.scripted import ScriptedServer

Call = Callable[..., Ended]
Scripted = Callable[..., ScriptedServer]
LEFT = ("latency_p99.json", "throughput_rps.json", "requests.csv", "statistics.json", "report.html")


def load(server: ScriptedServer, out: Path, *flags: str) -> tuple[str, ...]:
    return ("load", server.v1, "--prompts", "demo:", "--max-tokens", "5", *flags, "--out", str(out))


@pytest.mark.parametrize(
    ("status", "check_this"),
    [(404, "the model's name (--model)"), (401, "--api-key-env"), (500, "look at the server's log")],
)
def test_a_server_that_refuses_everything_is_told_in_its_own_words(
    call: Call, scripted: Scripted, tmp_path: Path, status: int, check_this: str
) -> None:
    server = scripted(chat=lambda _prompt: status)
    ended = call(*load(server, tmp_path, "--requests", "30", "--warmup", "0"))
    assert ended.code == 5, ended.err
    assert "no request succeeded: all 30 failed" in ended.err
    assert str(status) in ended.err
    assert check_this in ended.err
    assert all((tmp_path / name).is_file() for name in LEFT)
    for name in ("latency_p99", "throughput_rps"):
        data = check(tmp_path / f"{name}.json").data
        assert data["status"] == "invalid"
        assert data["counts"]["errored"] == 30


def test_too_many_failures_end_a_load_early(call: Call, scripted: Scripted, tmp_path: Path) -> None:
    server = scripted(chat=lambda _prompt: 500 if server.asked % 2 else "words")
    ended = call(*load(server, tmp_path, "--requests", "5000", "--warmup", "0", "--max-error-ratio", "0.2"))
    assert ended.code in (4, 5), ended.err
    data = check(tmp_path / "latency_p99.json").data
    assert data["counts"]["skipped"] > 0
    assert data["status"] in ("invalid", "partial")
    assert all((tmp_path / name).is_file() for name in LEFT)


def test_terms_are_judged_and_the_load_is_told_in_the_words_of_another_tool(
    call: Call, scripted: Scripted, tmp_path: Path
) -> None:
    server = scripted(chat=lambda _prompt: "one two three")
    slo = "e2e_ms.p50<=20000,e2e_ms.p99<=20000,ttft_ms<=10000,error_ratio<=0.2"
    flags = ("--requests", "60", "--warmup", "2", "--slo", slo, "--dialect-of", "vllm")
    ended = call(*load(server, tmp_path, *flags))
    assert "met  e2e_ms.p50<=20000: 60 of 60 replies within 20000 ms" in ended.err
    assert "undecided  e2e_ms.p99<=20000: 60 of 60" in ended.err
    assert "at least 299 replies are needed to show it" in ended.err
    assert "met  error_ratio<=0.2: 0 of 60" in ended.err
    assert "as vLLM bench serve (chat) defines it" in ended.err
    assert "ITL: a record keeps the longest gap alone" in ended.err
    method = json.loads((tmp_path / "latency_p99.json").read_bytes())["method"]
    assert [term["measure"] for term in method["slo"]] == ["e2e_ms", "e2e_ms", "ttft_ms", "error_ratio"]


def test_quiet_leaves_the_same_and_says_nothing(call: Call, tmp_path: Path) -> None:
    ended = call("load", "demo:", "--requests", "60", "--quiet", "--out", tmp_path / "a")
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert all((tmp_path / "a" / name).is_file() for name in LEFT)
    assert call("load", "demo:", "--requests", "60", "--no-exports", "--out", tmp_path / "b").code == 0
    assert not [name for name in LEFT[2:] if (tmp_path / "b" / name).exists()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_the_report_of_what_was_done(
    number: signal.Signals, scripted: Scripted, tmp_path: Path
) -> None:
    def chat(_prompt: str) -> str:
        time.sleep(0.005)
        return "words"

    server = scripted(chat=chat)
    command = load(server, tmp_path, "--concurrency", "2", "--requests", "100000", "--warmup", "0")
    running = subprocess.Popen(
        [sys.executable, "-m", "hexgate", *command],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HEXGATE_LANG": "en"},
    )
    until = time.monotonic() + 60
    while server.asked < 50 and time.monotonic() < until:
        time.sleep(0.02)
    running.send_signal(number)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "what was measured until then is kept" in err
    assert all((tmp_path / name).is_file() for name in LEFT), err
    data = check(tmp_path / "latency_p99.json").data
    assert data["status"] == "partial"
    assert data["counts"]["succeeded"] >= 40
    statistics = json.loads((tmp_path / "statistics.json").read_bytes())
    assert statistics["outcomes"]["ok"] >= 40


def queue(service_s: float) -> dict[str, Any]:
    """A chat that answers one request after the other: 1 / service_s a second."""
    import threading

    one = threading.Lock()

    def chat(_prompt: str) -> str:
        with one:
            time.sleep(service_s)
        return "words"

    return {"chat": chat}


def test_a_search_leaves_its_probes_and_a_document(call: Call, scripted: Scripted, tmp_path: Path) -> None:
    server = scripted(**queue(0.02))
    flags = ("--rate", "16", "--slo", "e2e_ms.p50<=150,error_ratio<=0.3", "--search", "--duration", "2")
    ended = call(*load(server, tmp_path, *flags))
    document = json.loads((tmp_path / "search.json").read_bytes())
    assert schema_mistakes("load_search", document) == []
    # How fast this machine is at the moment decides how it ends; that it is told truly does not depend on it.
    codes = {"found": 0, "never": 3, "client": 4}
    assert ended.code == codes[document["ended"]], ended.err
    for probe in document["probes"]:
        assert (tmp_path / probe["folder"] / "latency_p99.json").is_file()
        assert (probe["verdict"] == "invalid") == bool(probe["client_reasons"])
    rates = [probe["rate_rps"] for probe in document["probes"]]
    assert rates[:2] == [16.0, 32.0] or rates[0] == 16.0
    if document["ended"] == "found":
        assert document["rate_rps"] < document["above_rps"] <= 1.06 * document["rate_rps"]
        assert document["rate_rps"] < 60
        shown = tmp_path / document["folder"]
        assert all((shown / name).is_file() for name in LEFT)
        assert "keeps e2e_ms.p50<=150,error_ratio<=0.3" in ended.err


def test_a_sweep_leaves_a_load_for_each_rate(call: Call, scripted: Scripted, tmp_path: Path) -> None:
    server = scripted(**queue(0.001))
    flags = ("--rate", "40", "--sweep", "2", "--duration", "1", "--slo", "e2e_ms.p50<=5000")
    ended = call(*load(server, tmp_path, *flags))
    document = json.loads((tmp_path / "sweep.json").read_bytes())
    assert schema_mistakes("load_sweep", document) == []
    points = document["points"]
    assert [point["rate_rps"] for point in points] == [20.0, 40.0][: len(points)]
    assert ended.code == (0 if document["ended"] == "complete" else 4), ended.err
    assert document["served_rps"] is None
    for point in points:
        assert all((tmp_path / point["folder"] / name).is_file() for name in LEFT)
        assert point["figures"]["rps"] > 0


def test_a_search_on_a_target_that_fails(call: Call, scripted: Scripted, tmp_path: Path) -> None:
    server = scripted(chat=lambda _prompt: 500)
    ended = call(*load(server, tmp_path, "--slo", "e2e_ms.p50<=500", "--search", "--rate", "20"))
    assert ended.code == 5
    assert "no request succeeded" in ended.err
    document = json.loads((tmp_path / "search.json").read_bytes())
    assert (document["ended"], document["rate_rps"]) == ("stopped", None)
