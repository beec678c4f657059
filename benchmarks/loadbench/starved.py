"""Goal 7: whether a client without processor time says so, and one with enough does not."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from loadbench import subject
from loadbench.results import Check, Contender, Figures, Outcome, interleaved
from loadbench.setup import Setup

__all__ = ["starved"]

_BUSY = 4
_NUMBER = re.compile(r"\d[\d.]*")


@contextmanager
def _competing(core: int) -> Iterator[None]:
    """Four processes that never rest, on the client's core."""
    spin = ["taskset", "-c", str(core), sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(spin) for _ in range(_BUSY)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def starved(setup: Setup) -> Outcome:
    """Goal 7."""
    runs = setup.size(100, 6)
    server = ["--tokens", "20", "--first-us", "10000", "--delay-us", "10000"]
    reasons: dict[str, Counter[str]] = {"healthy": Counter(), "starved": Counter()}

    def once(name: str, number: int) -> Figures:
        options = [
            "--rate",
            "200",
            "--arrival",
            "poisson",
            "--duration",
            "3",
            "--warmup",
            "20",
            "--seed",
            str(number),
        ]
        measured = setup.measure("hexgate", server, subject.chat(setup, *options), accepted=subject.ACCEPTED)
        artifact = subject.Evidence(measured.folder).artifact
        reasons[name].update(
            {_NUMBER.sub("#", reason.partition(";")[0]) for reason in artifact["invalid_reasons"]}
        )
        return {"invalid": float(artifact["status"] == "invalid"), "p99 ms": float(artifact["p99_ms"] or 0)}

    def healthy(number: int) -> Figures:
        return once("healthy", number)

    def hungry(number: int) -> Figures:
        with _competing(setup.client_core):
            return once("starved", number)

    contenders: dict[str, Contender] = {"healthy": healthy, "starved": hungry}
    rounds = interleaved(contenders, runs, setup.say)

    def share(name: str) -> float | None:
        verdicts = [taken[name]["invalid"] for taken in rounds.figures if name in taken]
        return sum(verdicts) / len(verdicts) if verdicts else None

    checks = [
        Check("share of starved runs called invalid", share("starved"), low=0.95),
        Check("share of healthy runs called invalid", share("healthy"), high=0.02),
    ]
    notes = [
        f"{name}, {count} runs: {said}"
        for name, found in reasons.items()
        for said, count in found.most_common(3)
    ]
    title = f"{runs} runs of 3 s at 200/s, alone and beside {_BUSY} busy processes on the client's core"
    return Outcome(7, title, rounds, ("p99 ms",), checks, notes)
