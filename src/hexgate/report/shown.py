"""One figure as every view shows it: judged or not, measured or estimated, and never a number that is not there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hexgate.contract.schema import measures
from hexgate.report import load_sentences
from hexgate.report.numbers import amount, number, number_of, span, spread_of
from hexgate.report.strings import text
from hexgate.report.text import Both, same

__all__ = ["Shown", "interval_of", "is_estimated", "n_of", "shown"]

_OF_WINDOWS = re.compile(r"over (\d+) windows")
_ENERGY = frozenset({"J", "W", "J/request", "J/token", "requests/J", "J/answer", "answers/J"})


@dataclass(frozen=True)
class Shown:
    """One figure in words."""

    value: Both
    """The value with its unit, or that there is none."""
    interval: str | None
    """Its interval."""
    n: Both | None
    """What the interval rests on, in words where it is not items."""
    judged: bool
    """Whether the gate has held it against a limit; where it has not, it is shown softly."""
    notes: tuple[Both, ...]
    """Words that stand beside it."""
    missing: Both | None
    """Why there is no value, where an artifact says so."""


def shown(
    artifact: Mapping[str, Any] | None,
    measure: str,
    *,
    judged: bool,
    told: bool = True,
    against: tuple[float, ...] = (),
) -> Shown:
    """What an artifact says of a measure that the gate has no value of, or that no rule is about.

    Args:
        artifact: the artifact, or None where there is none.
        measure: the measure.
        judged: whether a rule was held against it.
        told: whether to say that it was not.
        against: limits that its numbers may not be rounded across.
    """
    value = None if artifact is None else number_of(artifact.get(measure))
    if artifact is None or value is None:
        reason = None if artifact is None else artifact["missing"].get(measure)
        return Shown(
            text("not_measured"),
            None,
            None,
            True,
            (),
            None if reason is None else load_sentences.told(reason, 300),
        )
    interval = artifact["intervals"].get(measure)
    notes = [text("estimated")] if is_estimated(artifact, measure) else []
    if not judged and told:
        notes.append(text("not_judged"))
    if artifact["status"] != "complete":
        notes.append(text(f"status_{artifact['status']}"))
    unit = measures(artifact["indicator"])[measure].unit
    return Shown(
        amount(value, unit, spread=spread_of(interval), against=against),
        interval_of(interval, against=against),
        n_of(interval),
        judged,
        tuple(notes),
        None,
    )


def is_estimated(artifact: Mapping[str, Any], measure: str) -> bool:
    """Whether an artifact's value is an estimate from declared watts."""
    contract = measures(artifact["indicator"]).get(measure)
    return artifact.get("measurement") == "estimated" and contract is not None and contract.unit in _ENERGY


def interval_of(interval: Any, *, against: tuple[float, ...] = ()) -> str | None:
    """Both ends of an artifact's interval in words, or None where there is none."""
    if not isinstance(interval, Mapping):
        return None
    return span(number_of(interval.get("low")), number_of(interval.get("high")), against=against)


def n_of(interval: Any) -> Both | None:
    """What an interval rests on: a plain number of items, or windows, which are no requests."""
    n = number_of(interval.get("n")) if isinstance(interval, Mapping) else None
    if n is None:
        return None
    count = number(int(n))
    if interval.get("family") != "batch_means":
        return same(count)
    of = _OF_WINDOWS.search(str(interval.get("method")))
    if of is not None and int(of[1]) > n:
        return text("n_windows_alike", n=count, all=number(int(of[1])))
    return text("n_windows", n=count)
