"""Goals 3 and 4: how far a client's stamps are from the server's own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loadbench import limits, peers, subject
from loadbench.peers import Load
from loadbench.results import Check, Contender, Figures, Outcome, interleaved
from loadbench.setup import Measured, Setup

__all__ = ["many_streams", "rates"]

_STAMP = re.compile(r"t(\d{18}) ")


def _of_bare(measured: Measured) -> dict[str, NDArray[np.float64]]:
    rows = np.load(measured.folder / "stamps.npy")
    errors = {"TTFT": rows[:, 2] - rows[:, 4], "end": rows[:, 3] - rows[:, 5]}
    return {name: values / 1e6 for name, values in errors.items()}


def _of_vllm(folder: Path) -> dict[str, NDArray[np.float64]]:
    """From its own result file: it stamps with `time.perf_counter`, which is CLOCK_MONOTONIC in seconds here."""
    left = json.loads((folder / "result.json").read_bytes())
    rows = []
    columns = (left["start_times"], left["ttfts"], left["itls"], left["generated_texts"])
    for start_s, ttft_s, gaps_s, text in zip(*columns, strict=True):
        stamps = _STAMP.findall(text)
        if stamps:
            first_ns = (start_s + ttft_s) * 1e9
            rows.append((first_ns - int(stamps[0]), first_ns + sum(gaps_s) * 1e9 - int(stamps[-1])))
    errors = np.array(rows) / 1e6
    return {"TTFT": errors[:, 0], "end": errors[:, 1]}


def _shown(errors: dict[str, NDArray[np.float64]]) -> Figures:
    return {
        f"{name} {what} ms": float(np.quantile(values, level))
        for name, values in errors.items()
        for what, level in (("p50", 0.5), ("p99", 0.99))
    }


def many_streams(setup: Setup) -> Outcome:
    """Goal 3."""
    server = ["--tokens", "50", "--first-us", "20000", "--delay-us", "20000", "--stamps"]
    requests = setup.size(20_000, 4_000)

    def hexgate(_: int) -> Figures:
        options = ["--concurrency", "1000", "--requests", str(requests), "--warmup", "0", "--token-times"]
        measured = setup.measure("hexgate", server, subject.chat(setup, *options), accepted=subject.ACCEPTED)
        evidence = subject.Evidence(measured.folder)
        failed = int((evidence.rows["outcome"] != subject.OK).sum())
        return _shown(evidence.errors_ms()) | measured.figures() | {"failed": failed}

    def bare(_: int) -> Figures:
        made = limits.bare(
            "--concurrency", "1000", "--requests", str(requests), "--stream", "--out", "stamps.npy"
        )
        measured = setup.measure("bare", server, made)
        return _shown(_of_bare(measured)) | measured.figures()

    def vllm(_: int) -> Figures:
        load = Load(setup.size(10_000, 2_000), concurrency=1000, tokens=50)
        measured = peers.measure(setup, "vllm", server, load)
        return _shown(_of_vllm(measured.folder)) | measured.figures()

    rounds = interleaved({"hexgate": hexgate, "bare Python": bare, "vllm": vllm}, setup.runs, setup.say)

    def ours(figure: str) -> float | None:
        return rounds.median("hexgate", figure)

    checks = [
        Check("streams that failed, in all rounds", rounds.worst("hexgate", "failed"), high=0),
        Check("cores used while it loads", ours("cores used"), high=0.6),
        Check("TTFT, ours less the server's, p50 ms", ours("TTFT p50 ms"), high=0.2),
        Check("TTFT, ours less the server's, p99 ms", ours("TTFT p99 ms"), high=2),
    ]
    columns = (
        "TTFT p50 ms",
        "TTFT p99 ms",
        "end p50 ms",
        "end p99 ms",
        "cores used",
        "requests/s",
        "peak MB",
    )
    return Outcome(3, "1,000 streams at once, 50 tokens at 20 ms, one client core", rounds, columns, checks)


def rates(setup: Setup) -> Outcome:
    """Goal 4."""
    server = ["--tokens", "20", "--first-us", "10000", "--delay-us", "10000", "--stamps"]
    seconds = setup.size(60, 10)

    def hexgate(rate: int) -> Contender:
        def once(number: int) -> Figures:
            shape = f"--rate {rate} --arrival poisson --duration {seconds} --warmup 50 --seed {number}"
            options = [*shape.split(), "--token-times"]
            measured = setup.measure(
                "hexgate", server, subject.chat(setup, *options), accepted=subject.ACCEPTED
            )
            evidence = subject.Evidence(measured.folder)
            timed = evidence.timed
            spans = [float(timed[column].max() - timed[column].min()) for column in ("due_ns", "sent_ns")]
            achieved = {"achieved/asked": spans[0] / spans[1]}
            return _shown(evidence.errors_ms()) | measured.figures() | achieved

        return once

    def bare(rate: int) -> Contender:
        def once(number: int) -> Figures:
            options = f"--rate {rate} --requests {rate * seconds} --seed {number} --stream --out stamps.npy"
            measured = setup.measure("bare", server, limits.bare(*options.split()))
            due, sent = (np.load(measured.folder / "stamps.npy")[:, column] for column in (0, 1))
            achieved = {"achieved/asked": float(np.ptp(due) / np.ptp(sent))}
            return _shown(_of_bare(measured)) | measured.figures() | achieved

        return once

    def vllm(_: int) -> Figures:
        load = Load(200 * setup.size(30, 10), concurrency=1000, rate=200, tokens=20)
        measured = peers.measure(setup, "vllm", server, load)
        return _shown(_of_vllm(measured.folder)) | measured.figures()

    asked = (50, 200, 500)
    contenders: dict[str, Contender] = {f"hexgate, {rate}/s": hexgate(rate) for rate in asked}
    contenders |= {f"bare Python, {rate}/s": bare(rate) for rate in asked} | {"vllm, 200/s": vllm}
    rounds = interleaved(contenders, setup.runs, setup.say)
    checks = []
    for rate in asked:
        name = f"hexgate, {rate}/s"
        checks.append(
            Check(f"{rate}/s: achieved over asked", rounds.median(name, "achieved/asked"), 0.998, 1.002)
        )
        for what in ("TTFT", "gap", "end"):
            for figure, high in ((f"{what} p50 ms", 0.15), (f"{what} p99 ms", 1.0)):
                checks.append(Check(f"{rate}/s: {figure}", rounds.median(name, figure), high=high))
        checks.append(
            Check(f"{rate}/s: CPU s per 1,000 requests", rounds.median(name, "CPU ms/request"), high=0.3)
        )
    kinds = ("TTFT", "gap", "longest gap", "end")
    columns = (
        "achieved/asked",
        *(f"{kind} {level} ms" for kind in kinds for level in ("p50", "p99")),
        "CPU ms/request",
        "CPU ms/request, loading",
    )
    return Outcome(
        4, f"open loop, Poisson, {seconds} s, 20 tokens at 10 ms, one client core", rounds, columns, checks
    )
