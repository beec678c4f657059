"""Goal 6: whether a stall of the server is charged to the requests that it kept from being sent."""

from __future__ import annotations

import heapq
import json

import numpy as np
from numpy.typing import NDArray

from loadbench import peers, subject
from loadbench.peers import Load
from loadbench.results import Check, Figures, Outcome, interleaved
from loadbench.setup import Setup

__all__ = ["analytic_p99_ms", "stalled"]

_SLOTS = 16
_SERVICE_NS = 100_000_000


def analytic_p99_ms(
    due_ns: NDArray[np.int64], timed: NDArray[np.bool_], stall_from_ns: int, stall_to_ns: int
) -> float:
    """p99 of the time from due to reply, of arrivals in order, with 16 slots and a server that does nothing in a stall.

    A request takes the first free slot from when it is due. The server reads it at once, or at the end of the stall; it
    replies 100 ms later, or at the end of the stall.
    """

    def awake(at_ns: int) -> int:
        return stall_to_ns if stall_from_ns <= at_ns < stall_to_ns else at_ns

    free = [0] * _SLOTS
    latencies = []
    for due in due_ns.tolist():
        begin = max(due, heapq.heappop(free))
        end = awake(awake(begin) + _SERVICE_NS)
        heapq.heappush(free, end)
        latencies.append(end - due)
    return float(np.quantile(np.array(latencies)[timed], 0.99, method="inverted_cdf")) / 1e6


def stalled(setup: Setup) -> Outcome:
    """Goal 6."""
    seconds = setup.size(60, 20)
    server = ["--tokens", "1", "--first-us", str(_SERVICE_NS // 1000)]
    server += ["--stall-at-ms", str(seconds * 400), "--stall-ms", "2000"]
    expected: dict[int, float] = {}

    def hexgate(number: int) -> Figures:
        options = ["--rate", "50", "--arrival", "poisson", "--duration", str(seconds), "--warmup", "50"]
        options += ["--max-in-flight", str(_SLOTS), "--seed", str(number)]
        measured = setup.measure(
            "hexgate", server, subject.predict(setup, *options), accepted=subject.ACCEPTED
        )
        evidence = subject.Evidence(measured.folder)
        rows = evidence.rows
        order = np.argsort(rows["due_ns"], kind="stable")
        stall = [
            int(measured.log.facts[f"stalled_{end}_ns"]) - int(evidence.run["started_ns"])
            for end in ("from", "to")
        ]
        expected[number] = analytic_p99_ms(rows["due_ns"][order], ~rows["warmup"][order], *stall)
        reported = float(evidence.artifact["p99_ms"])
        return {
            "p99 ms": reported,
            "analytic p99 ms": expected[number],
            "reported/analytic": reported / expected[number],
        }

    def vllm(number: int) -> Figures:
        load = Load(50 * seconds, concurrency=_SLOTS, rate=50, tokens=1)
        measured = peers.measure(setup, "vllm", server, load)
        reported = float(json.loads((measured.folder / "result.json").read_bytes())["p99_e2el_ms"])
        return {"p99 ms": reported} | (
            {"reported/analytic": reported / expected[number]} if number in expected else {}
        )

    rounds = interleaved({"hexgate": hexgate, "vllm": vllm}, setup.runs, setup.say)
    checks = [
        Check("reported p99 over the analytic p99", rounds.median("hexgate", "reported/analytic"), 0.97, 1.03)
    ]
    notes = [
        "vLLM's client counts from the send, over its own Poisson arrivals; it is set against our analytic value."
    ]
    columns = ("p99 ms", "analytic p99 ms", "reported/analytic")
    return Outcome(
        6, "a server that stalls for 2 s, 50/s, at most 16 in flight", rounds, columns, checks, notes
    )
