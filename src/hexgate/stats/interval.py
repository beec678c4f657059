"""What an interval is: a two-sided range to show, and the one-sided bounds that a verdict is taken on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

__all__ = ["Family", "Interval"]


class Family(str, Enum):
    """How an interval was made, which decides how its width shrinks with more samples."""

    BINOMIAL = "binomial"
    """Exact binomial (Clopper-Pearson)."""
    ORDER_STATISTIC = "order_statistic"
    """Distribution-free bounds of a percentile."""
    BOOTSTRAP = "bootstrap"
    """Resampling of items, paired where the measure is a difference."""
    CLUSTER_BOOTSTRAP = "cluster_bootstrap"
    """Resampling of whole clusters, such as prompts."""
    BATCH_MEANS = "batch_means"
    """Student's t over the means of consecutive windows."""


@dataclass(frozen=True)
class Interval:
    """The uncertainty of one measure, in the measure's own unit."""

    low: float | None
    """Lower end of the two-sided interval at `level`; None where no such bound exists at this n."""
    high: float | None
    """Upper end of the two-sided interval at `level`; None where no such bound exists at this n."""
    lower_bound: float | None
    """One-sided lower confidence bound at `level`: what a `>=` rule is judged on."""
    upper_bound: float | None
    """One-sided upper confidence bound at `level`: what a `<=` rule is judged on."""
    level: float
    """Confidence, above 0.5 and below 1."""
    family: Family
    """How it was made."""
    method: str
    """The method in words, with every parameter that another person needs to repeat it."""
    n: int
    """How many independent observations it rests on."""

    def to_json(self) -> dict[str, Any]:
        """The interval as it stands in an artifact."""
        return asdict(self) | {"family": self.family.value}
