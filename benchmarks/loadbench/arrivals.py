"""Goal 5: whether requests go out when they are due, and whether they come as a Poisson process."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadbench import subject
from loadbench.results import Check, Contender, Figures, Outcome, interleaved
from loadbench.setup import Setup

__all__ = ["arrivals"]

_WINDOW_NS = 100_000_000


def _process(times_ns: NDArray[Any]) -> tuple[float, float, float]:
    """Coefficient of variation of the gaps, their lag-1 autocorrelation, and variance over mean of counts in 0.1 s."""
    times = np.sort(times_ns)
    gaps = np.diff(times).astype(np.float64)
    around = gaps - gaps.mean()
    windows = (times - times[0]) // _WINDOW_NS
    counts = np.bincount(windows.astype(np.int64))[:-1]
    return (
        float(gaps.std() / gaps.mean()),
        float((around[1:] * around[:-1]).sum() / (around**2).sum()),
        float(counts.var() / counts.mean()),
    )


def arrivals(setup: Setup) -> Outcome:
    """Goal 5."""
    requests = setup.size(20_000, 4_000)
    plans: dict[int, set[str]] = {}

    def hexgate(workers: int) -> Contender:
        def once(number: int) -> Figures:
            options = [
                "--rate",
                "500",
                "--arrival",
                "poisson",
                "--requests",
                str(requests),
                "--warmup",
                "200",
            ]
            made = subject.predict(setup, *options, "--seed", str(number), workers=workers)
            measured = setup.measure(
                "hexgate", ["--tokens", "1", "--first-us", "10000"], made, accepted=subject.ACCEPTED
            )
            evidence = subject.Evidence(measured.folder)
            plans.setdefault(number, set()).add(evidence.sha256("plan"))
            timed = evidence.timed
            lag_ms = (timed["sent_ns"] - timed["due_ns"]) / 1e6
            figures = {
                f"lag {what} ms": float(np.quantile(lag_ms, level))
                for what, level in (("p50", 0.5), ("p99", 0.99))
            }
            for column, name in (("due_ns", "plan"), ("sent_ns", "sent")):
                variation, correlation, dispersion = _process(timed[column])
                figures |= {
                    f"{name} CV": variation,
                    f"{name} lag-1": correlation,
                    f"{name} var/mean": dispersion,
                }
            return figures

        return once

    counts = (1, 2, 4)
    rounds = interleaved({f"{n} workers": hexgate(n) for n in counts}, setup.runs, setup.say)
    checks = []
    for n in counts:
        name = f"{n} workers"
        checks.append(Check(f"{name}: dispatch lag p99 ms", rounds.median(name, "lag p99 ms"), high=1))
        for which in ("plan", "sent"):
            checks += [
                Check(f"{name}: {which}: gap variation", rounds.median(name, f"{which} CV"), 0.97, 1.03),
                Check(
                    f"{name}: {which}: lag-1 autocorrelation",
                    rounds.median(name, f"{which} lag-1"),
                    -0.03,
                    0.03,
                ),
                Check(
                    f"{name}: {which}: variance over mean",
                    rounds.median(name, f"{which} var/mean"),
                    0.85,
                    1.15,
                ),
            ]
    same = max((len(digests) for digests in plans.values()), default=None)
    checks.append(Check("different plans for one seed", same, 1, 1))
    columns = (
        "lag p50 ms",
        "lag p99 ms",
        "plan CV",
        "sent CV",
        "plan lag-1",
        "sent lag-1",
        "plan var/mean",
        "sent var/mean",
    )
    title = f"Poisson arrivals at 500/s, {requests:,} of them, all workers on one core"
    notes = ["A round has its own seed; the lag is from due to the first byte written."]
    return Outcome(5, title, rounds, columns, checks, notes)
