"""Every error that hexgate raises on purpose.

HexgateError                      the root: one message, one exit code, one next step
|-- InputError            exit 2  the caller can mend it: usage, policy, data, model file, wrong flags
|   |-- PolicyError       exit 2  a policy file with mistakes (all of them, with their paths)
|   |-- JobSpecError      exit 2  a job spec or native job file with mistakes (all of them, with their paths)
|   |-- MissingExtra      exit 2  a feature whose optional packages are not installed
|   |-- DataError         exit 2  a data file that cannot be read as what it should be
|   `-- TargetUnusable    exit 2  the target cannot do what the indicator needs
|-- EvidenceError         exit 4  an artifact or its evidence is missing, invalid or does not add up
|-- TargetFailed          exit 5  the target or the platform failed while it was measured
|   |-- PlatformFailed    exit 5  a platform refused, lost or did not answer a call about a job
|   `-- StoreFailed       exit 5  an object store refused or did not answer a call
`-- Interrupted           exit 130  the run was stopped; what was measured is kept
"""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "DataError",
    "EvidenceError",
    "ExitCode",
    "HexgateError",
    "InputError",
    "Interrupted",
    "JobSpecError",
    "MissingExtra",
    "PlatformFailed",
    "PolicyError",
    "StoreFailed",
    "TargetFailed",
    "TargetUnusable",
    "extra_hint",
]


class ExitCode(IntEnum):
    """The exit codes of every hexgate command."""

    OK = 0
    """Done, or the gate passed."""
    FAILED = 1
    """The gate failed."""
    INPUT = 2
    """Usage, policy or input error."""
    INCONCLUSIVE = 3
    """The evidence does not decide."""
    EVIDENCE = 4
    """Evidence is missing or invalid."""
    TARGET = 5
    """The target or the platform failed."""
    INTERNAL = 70
    """A fault of hexgate itself; please report it."""
    INTERRUPTED = 130
    """Stopped by the user or the system; what was measured is kept."""
    READER_GONE = 141
    """Whoever read the output has gone before its end: 128 + SIGPIPE."""


def extra_hint(extra: str) -> str:
    """How the packages of an extra are installed."""
    return f"in the checkout of hexgate: pip install -e '.[{extra}]', or uv pip install -e '.[{extra}]'"


class HexgateError(Exception):
    """An error that a person can act on: what failed, where, got versus expected, what to do next."""

    exit_code: ExitCode = ExitCode.INPUT

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        got: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        """What failed, in one sentence without a full stop."""
        self.where = where
        """The file, and the JSON path, line or flag in it."""
        self.got = got
        """What was found there."""
        self.expected = expected
        """What should have been there."""
        self.hint = hint
        """What to do next."""

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.got is not None:
            parts.append(f"got {self.got}")
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        if self.hint is not None:
            parts.append(self.hint)
        return "; ".join(parts)


class InputError(HexgateError):
    """Usage, policy or input that the caller can mend."""


class PolicyError(InputError):
    """A policy file with mistakes."""

    def __init__(self, file: str, mistakes: list[str]) -> None:
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) != 1 else ''}"
        super().__init__(f"{count} in the policy:\n  " + "\n  ".join(mistakes), where=file)
        self.mistakes = mistakes
        """One line a mistake: its path in the file, what was found, what was expected."""


class DataError(InputError):
    """A data file that cannot be read as what it should be."""


class TargetUnusable(InputError):
    """The target cannot do what the indicator needs."""


class EvidenceError(HexgateError):
    """An artifact or its evidence is missing, invalid or does not add up."""

    exit_code = ExitCode.EVIDENCE


class TargetFailed(HexgateError):
    """The target or the platform failed while it was measured."""

    exit_code = ExitCode.TARGET


class Interrupted(HexgateError):
    """The run was stopped; what was measured is kept."""

    exit_code = ExitCode.INTERRUPTED


class MissingExtra(InputError):
    """A feature whose optional packages are not installed."""

    def __init__(self, extra: str, feature: str) -> None:
        super().__init__(f"{feature} needs packages that are not installed", hint=extra_hint(extra))


class JobSpecError(InputError):
    """A job spec, or a native job file, with mistakes."""

    def __init__(self, file: str, mistakes: list[str]) -> None:
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) != 1 else ''}"
        super().__init__(f"{count} in the job:\n  " + "\n  ".join(mistakes), where=file)
        self.mistakes = mistakes
        """One line a mistake: its path in the file, what was found, what was expected."""


class PlatformFailed(TargetFailed):
    """A platform refused, lost or did not answer a call about a job."""


class StoreFailed(TargetFailed):
    """An object store refused or did not answer a call."""
