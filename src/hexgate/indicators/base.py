"""What an indicator is: a collection that leaves evidence, and figures computed from that evidence alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from hexgate.contract.evidence import EvidenceReader, EvidenceWriter
    from hexgate.stats.interval import Interval
    from hexgate.targets.base import Target

__all__ = ["Counts", "Figures", "Indicator", "Job", "Method", "Progress", "Silent", "option"]

Method = Mapping[str, Any]
"""The artifact's `method` block: definition ids, every parameter and the seed. JSON values only."""


def option(
    default: Any,
    help_text: str,
    zh: str,
    *,
    choices: tuple[str, ...] | None = None,
    flag: str | None = None,
    least: float | None = None,
    above: float | None = None,
) -> Any:
    """A field of an indicator's options, which is also its command-line flag.

    Args:
        default: the value where the flag is not given.
        help_text: one English line for `--help`, with the unit where there is one.
        zh: the same line in Chinese.
        choices: the closed set of values, if there is one.
        flag: the flag, where it is not the field's name with hyphens.
        least: the least value of a number, where there is one.
        above: what a number has to be greater than, where that is not allowed itself.
    """
    metadata = {"help": help_text, "zh": zh, "choices": choices, "flag": flag, "least": least, "above": above}
    return field(default=default, metadata=metadata)


class Progress(Protocol):
    """Where a collection says how far it is."""

    def start(self, what: str, total: int | None) -> None:
        """A new stage begins; `total` steps, or None where the number is not known."""

    def advance(self, steps: int = 1) -> None:
        """So many steps of the stage are done."""

    def note(self, text: str) -> None:
        """One line for the person who watches."""


class Silent:
    """A progress that says nothing."""

    def start(self, what: str, total: int | None) -> None:
        """Say nothing."""

    def advance(self, steps: int = 1) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Job:
    """One measurement to make."""

    target: Target
    """What is measured, open."""
    data: str | None
    """Path of the data, ``demo:`` for the embedded set, or None where the indicator can do without."""
    options: Any
    """An instance of the indicator's `Options`."""
    limit: int | None = None
    """Use only the first so many items."""
    seed: int = 0
    """Seed of everything random in this measurement."""
    confidence: float = 0.95
    """Level of every interval and one-sided bound."""
    progress: Progress = field(default_factory=Silent)
    """Where to say how far the work is."""


@dataclass(frozen=True)
class Counts:
    """What became of every request or item: requested = succeeded + errored + skipped."""

    requested: int
    """How many were to be measured."""
    succeeded: int
    """How many gave an answer that could be used."""
    errored: int
    """How many failed (transport, time-out, refusal to serve): neither right nor wrong answers."""
    skipped: int
    """How many were never tried, because the run was stopped or the plan left them out."""


@dataclass(frozen=True)
class Figures:
    """All that is computed from one collection's evidence."""

    values: Mapping[str, Any]
    """The measures and tables, by the names of the indicator's schema; None where not measured."""
    counts: Counts
    """What became of every item."""
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """The uncertainty of measures, by measure."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """For every value that is None: why, in one sentence."""
    cannot_certify: Mapping[str, str] = field(default_factory=dict)
    """Measures that may fail a rule but not pass one, each with the reason (an unvalidated detector)."""
    invalid_reasons: tuple[str, ...] = ()
    """Why the evidence is not good enough to be judged; empty where it is."""


class Indicator(Protocol):
    """One measured property. An instance holds no state: all of it is in the job and the evidence."""

    name: ClassVar[str]
    """The indicator's name, which is also its schema's and its artifact's."""
    options: ClassVar[type[Any]]
    """A frozen dataclass whose fields are made by `option`."""

    def collect(self, job: Job, evidence: EvidenceWriter) -> None:
        """Measure, and write the evidence.

        Calls ``evidence.describe(method=..., dataset=...)`` before the first item is measured (and again when
        it has learnt more), so that a run that is cut short still leaves an artifact that says what it was.
        ``KeyboardInterrupt`` is let through: the caller keeps what was written.

        Raises:
            DataError: if the data is not what the indicator needs.
            TargetUnusable: if the target cannot do what the indicator needs.
            TargetFailed: if the target stopped answering; the evidence written so far is kept.
        """

    def figures(self, method: Method, evidence: EvidenceReader) -> Figures:
        """Compute every figure from the evidence alone: the same bytes give the same figures, bit for bit."""


IndicatorFactory = Callable[[], Indicator]
