"""pass@k: the probability that at least one of k samples solves a task, estimated without bias from n samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["PassAtK", "mean_pass_at_k", "pass_at_k"]


@dataclass(frozen=True)
class PassAtK:
    """An estimate, or the reason why there is none."""

    value: float | None
    """0 to 1; None where the samples do not allow an estimate."""
    reason: str | None
    """Why there is no value; None where there is one."""


def pass_at_k(samples: int, correct: int, k: int) -> PassAtK:
    """The unbiased estimate 1 - C(n - c, k) / C(n, k) of Chen et al. 2021 (arXiv:2107.03374, equation 1).

    Computed as a sum of logarithms of min(c, k) factors, so that neither a binomial coefficient overflows nor a small
    result loses its digits. Never extrapolated: for k above n there is no estimate.

    Args:
        samples: n, how many samples of the task were judged.
        correct: c, how many of them solve it.
        k: how many are to be drawn.

    Raises:
        ValueError: for k below 1, or counts that do not fit together.
    """
    if k < 1:
        raise ValueError(f"pass@k needs a k of at least 1, not {k}")
    if not 0 <= correct <= samples:
        raise ValueError(f"{correct} of {samples} samples cannot be correct")
    if k > samples:
        return PassAtK(None, f"pass@{k} needs at least {k} samples of a task, and there are {samples}")
    if samples - correct < k:
        return PassAtK(1.0, None)
    # C(n - c, k) / C(n, k) does not change when c and k change places.
    fewer, more = sorted((correct, k))
    none_right = math.fsum(math.log1p(-more / (samples - drawn)) for drawn in range(fewer))
    return PassAtK(0.0 - math.expm1(none_right), None)


def mean_pass_at_k(counts: Sequence[tuple[int, int]], k: int) -> PassAtK:
    """The mean of `pass_at_k` over tasks, each as (samples, correct).

    A task with fewer than k samples is not left out, for what remains would be another set of tasks: there is no value.

    Raises:
        ValueError: as `pass_at_k` does.
    """
    if not counts:
        return PassAtK(None, "there are no tasks")
    each = [pass_at_k(samples, correct, k) for samples, correct in counts]
    values = [one.value for one in each if one.value is not None]
    if len(values) < len(each):
        few = len(each) - len(values)
        return PassAtK(
            None, f"{few} of {len(each)} tasks have fewer than the {k} samples that pass@{k} needs"
        )
    return PassAtK(math.fsum(values) / len(values), None)
