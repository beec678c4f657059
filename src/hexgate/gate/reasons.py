"""Why a verdict is what it is: a code with its facts, put into words in one place for each language."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

__all__ = ["Reason", "ReasonCode", "render"]


class ReasonCode(str, Enum):
    """Every reason that the gate gives."""

    MET_AT_MOST = "met_at_most"
    MET_AT_LEAST = "met_at_least"
    MET_LOSS = "met_loss"
    MISSED_AT_MOST = "missed_at_most"
    MISSED_AT_LEAST = "missed_at_least"
    MISSED_LOSS = "missed_loss"
    UNDECIDED_AT_MOST = "undecided_at_most"
    UNDECIDED_AT_LEAST = "undecided_at_least"
    UNDECIDED_LOSS = "undecided_loss"
    POINT_MET = "point_met"
    POINT_MISSED = "point_missed"
    POINT_MET_LOSS = "point_met_loss"
    POINT_MISSED_LOSS = "point_missed_loss"
    MORE_NEEDED = "more_needed"
    MORE_UNKNOWN = "more_unknown"
    TOO_FEW = "too_few"
    UNCERTIFIED = "uncertified"
    UNCERTIFIED_ACCEPTED = "uncertified_accepted"

    NO_ARTIFACT = "no_artifact"
    NO_BASELINE = "no_baseline"
    STATUS = "status"
    VALUE_MISSING = "value_missing"
    NOT_FINITE = "not_finite"
    NO_INTERVAL = "no_interval"
    LEVEL_TOO_LOW = "level_too_low"
    N_BEYOND_COUNTS = "n_beyond_counts"
    ERROR_BUDGET = "error_budget"
    NOTHING_REQUESTED = "nothing_requested"
    NOTHING_SUCCEEDED = "nothing_succeeded"
    SKIPPED = "skipped"
    LIMIT_USED = "limit_used"
    STALE = "stale"
    FROM_THE_FUTURE = "from_the_future"
    BAD_TIME = "bad_time"
    TRUST_TOO_LOW = "trust_too_low"
    EVIDENCE_ABSENT = "evidence_absent"
    EVIDENCE_CHANGED = "evidence_changed"
    NO_EVIDENCE = "no_evidence"
    DUPLICATE = "duplicate"
    DUPLICATE_IDENTICAL = "duplicate_identical"
    SUBJECTS_DIFFER = "subjects_differ"
    DATASETS_DIFFER = "datasets_differ"
    PIN_DIFFERS = "pin_differs"
    IN_BASELINE = "in_baseline"
    UNLIKE = "unlike"
    BASELINE_NOT_POSITIVE = "baseline_not_positive"

    UNREADABLE = "unreadable"
    FOREIGN_FILE = "foreign_file"
    FOLDER_UNREADABLE = "folder_unreadable"
    EMPTY_SET = "empty_set"
    NOTHING_JUDGED = "nothing_judged"
    MULTIPLICITY = "multiplicity"
    DEMONSTRATION = "demonstration"
    PAIRED = "paired"
    UNPAIRED = "unpaired"
    REQUIREMENT_MET = "requirement_met"
    WAIVED = "waived"
    WAIVER_EXPIRED = "waiver_expired"
    WAIVER_UNUSED = "waiver_unused"
    WAIVER_OTHER_VERDICT = "waiver_other_verdict"

    PLAN_RATIO = "plan_ratio"
    PLAN_PERCENTILE = "plan_percentile"
    PLAN_MARGIN = "plan_margin"
    PLAN_PAIRED = "plan_paired"
    PLAN_POINT = "plan_point"
    PLAN_SPREAD = "plan_spread"
    PLAN_MIN_N = "plan_min_n"
    PLAN_IMPOSSIBLE = "plan_impossible"


@dataclass(frozen=True)
class Reason:
    """One reason: what happened, and the facts of the case."""

    code: ReasonCode
    """What happened."""
    params: Mapping[str, str | int | float] = field(default_factory=dict)
    """The facts that its sentence names; exactly the names in the tables of words."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in a verdict file, with the English sentence."""
        return {"code": self.code.value, "params": dict(self.params), "text": render(self, "en")}


_AS_PERCENT = frozenset({"confidence", "level", "chance", "discordant"})
_WITHOUT_UNIT = frozenset({"ratio", "count", "input"})


def render(reason: Reason, lang: str = "en") -> str:
    """A reason in words.

    Args:
        reason: the reason.
        lang: ``en`` or ``zh``.

    Raises:
        KeyError: for another language.
    """
    from hexgate.gate.words_en import ENGLISH
    from hexgate.gate.words_zh import CHINESE

    words = {"en": ENGLISH, "zh": CHINESE}[lang]
    return words[reason.code].format(**_shown(reason.params))


def _shown(params: Mapping[str, str | int | float]) -> dict[str, str]:
    numbers = {name: value for name, value in params.items() if not isinstance(value, str)}
    digits = next(
        (
            most
            for most in range(4, 17)
            if len({f"{value:.{most}g}" for value in numbers.values()}) == len(set(numbers.values()))
        ),
        17,
    )
    return {name: _one(name, value, digits) for name, value in params.items()}


def _one(name: str, value: str | int | float, digits: int) -> str:
    if name == "unit":
        return "" if value in _WITHOUT_UNIT else f" {value}"
    if isinstance(value, str):
        return value
    if name in _AS_PERCENT:
        return f"{100 * value:.4g} %"
    if isinstance(value, int):
        return f"{value:,}"
    # Two numbers that differ must not look alike: 0.0050004 against 0.005.
    return f"{value:.{digits}g}" if math.isfinite(value) else str(value)
