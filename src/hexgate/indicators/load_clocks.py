"""How far the clocks of the shards of one load may differ, from the evidence of their runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["MOST_CLOCK_RATIO", "UNHELD", "Clocks"]

MOST_CLOCK_RATIO = 0.05
"""Clocks that may differ by more of the timed window than this did not put one load on the target."""
UNHELD = "the shards' clocks were not held against each other, so nobody knows that they ran together"
"""Why the figures of a merged load may fail a rule and not pass one."""


@dataclass(frozen=True)
class Clocks:
    """What is known of the clocks of several shards."""

    bound_s: float | None
    """The most by which any two of them differ, seconds; None where nobody knows."""
    measured: bool
    """Whether the bound was measured on the one machine that all ran on, rather than told to them."""

    @classmethod
    def of(cls, runs: Sequence[Mapping[str, Any]]) -> Clocks:
        """The clocks of runs, as `RunInfo.to_json` has them; at least one.

        Shards of one boot of one machine share its monotonic clock, and where on it each began to count is known:
        their disagreement is measured. Elsewhere each
        was told how far its clock is from one that all were held against, or was not: then nobody knows. Two clocks
        differ by no more than both bounds together.
        """
        machines = {(run.get("host"), run.get("boot")) for run in runs}
        if len(machines) == 1 and None not in next(iter(machines)):
            starts = [int(run["started_ns"]) for run in runs]
            return cls((max(starts) - min(starts)) / 1e9, measured=True)
        told = [run.get("clock_bound_s") for run in runs]
        bounds = [float(bound) for bound in told if bound is not None and bound >= 0]
        return cls(sum(sorted(bounds)[-2:]) if len(bounds) == len(runs) else None, measured=False)

    def describe(self) -> str:
        """What the block `method` of a merged load says of them."""
        if self.bound_s is None:
            return UNHELD
        if self.measured:
            return (
                f"all shards ran on one machine and began to count within {self.bound_s:.6f} s of each other"
            )
        return f"the shards' clocks differ by at most {self.bound_s:.6f} s"

    def fault(self, window_s: float) -> str | None:
        """Why shards with these clocks did not put one load on the target; None where nothing says so."""
        if self.bound_s is None or self.bound_s <= MOST_CLOCK_RATIO * window_s:
            return None
        return (
            f"the shards' clocks may differ by {self.bound_s:.3g} s; {MOST_CLOCK_RATIO:g} of the timed window of "
            f"{window_s:.3g} s is the most"
        )
