"""What a platform is: it renders a job spec to its native files, checks them, and carries jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from hexgate.errors import JobSpecError

if TYPE_CHECKING:
    from hexgate.platforms.spec import JobSpec

__all__ = [
    "Checked",
    "Driver",
    "Finding",
    "JobState",
    "Layer",
    "Native",
    "Platform",
    "Status",
    "TellsSpec",
    "refuse",
]

Native = Mapping[str, str]
"""Native files of one job: name to text. The first is the one that is submitted."""


class Layer(str, Enum):
    """Where a mistake in a job is found. Each is reported apart from the others."""

    SPEC = "spec"
    """Our job spec, by schemas/job.schema.json."""
    VENDOR = "vendor"
    """The vendor's own model class, schema or tool, strictly."""
    RULES = "rules"
    """What the vendor's check lets through, and the platform or the gate would not."""
    SERVER = "server"
    """The platform itself, asked without starting anything."""


@dataclass(frozen=True)
class Finding:
    """One mistake."""

    path: str
    """Where: ``<file>: $.a.b[0]``, or the line of a script."""
    problem: str
    """Got versus expected, in one sentence without a full stop."""


@dataclass(frozen=True)
class Checked:
    """What one layer found."""

    layer: Layer
    """Which layer."""
    findings: tuple[Finding, ...] = ()
    """Its mistakes; empty where it found none, or did not look."""
    skipped: str | None = None
    """Why it did not look; None where it did. A layer that did not look has found nothing right."""


def refuse(name: str, findings: Sequence[Finding]) -> None:
    """Refuse a job, or a native file, for what was found in it; where nothing was, do nothing.

    Raises:
        JobSpecError: with every finding.
    """
    if findings:
        raise JobSpecError(name, [f"{found.path}: {found.problem}" for found in findings])


class JobState(str, Enum):
    """The state of a job. What a platform says that is not known here is UNKNOWN, never a success."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


@dataclass(frozen=True)
class Status:
    """What a platform says of a job."""

    state: JobState
    """In our words."""
    native: str
    """In the platform's own word; ``lost`` where it does not know the job."""
    reason: str | None = None
    """What the platform adds, such as why it failed."""


class Driver(Protocol):
    """Carries jobs on one platform, through the vendor's own client. Made by `Platform.driver`.

    Every call tries again what is worth trying again (see `hexgate.stores.retry`).
    """

    def find(self, run_id: str) -> str | None:
        """The native id of the job that was submitted for a run, or None. What makes submitting idempotent.

        Raises:
            PlatformFailed: if the platform does not answer.
        """

    def submit(self, spec: JobSpec) -> str:
        """Submit the job of `spec`, whose run_id is set, and return its native id. Called after `find`.

        Raises:
            PlatformFailed: if the platform refuses it or does not answer.
        """

    def status(self, native_id: str) -> Status:
        """The job's state. A job that the platform does not know is UNKNOWN with native ``lost``.

        Raises:
            PlatformFailed: if the platform does not answer.
        """

    def logs(self, native_id: str) -> Iterator[str]:
        """The lines that the job printed so far, each behind the name of its pod or task where there are several.

        Raises:
            PlatformFailed: if the platform does not answer, or keeps no logs; it then says where they are.
        """

    def cancel(self, native_id: str) -> None:
        """Stop the job. One that has ended stays as it is.

        Raises:
            PlatformFailed: if the platform does not answer.
        """


@runtime_checkable
class TellsSpec(Protocol):
    """A driver that can say which spec a job was made from."""

    def spec_sha256(self, native_id: str) -> str | None:
        """Digest of the job's spec, without its run_id; None where the job does not say.

        Raises:
            PlatformFailed: if the platform does not answer.
        """


class Platform(Protocol):
    """One platform. Holds no state; importing its module imports no SDK."""

    name: ClassVar[str]
    """Its name in the registry and in a spec's block `platform`."""
    fans_out: ClassVar[bool]
    """Whether it renders `fan_out`, one step for each indicator."""

    def render(self, spec: JobSpec) -> dict[str, str]:
        """The native files of the job, ready to be submitted with the platform's own tool.

        Raises:
            JobSpecError: with every mistake that hinders it.
        """

    def spec_findings(self, spec: JobSpec) -> Sequence[Finding]:
        """Layer RULES on the spec: fields that exclude each other or are missing for this platform."""

    def check(self, files: Native) -> Checked:
        """Layer VENDOR on native files, as rendered or as a user has changed them. Says if it cannot look."""

    def native_findings(self, files: Native) -> Sequence[Finding]:
        """Layer RULES on native files: quantities, names, sizes, unresolved references, mounts, output."""

    def dry_run(self, files: Native, spec: JobSpec | None = None) -> Checked:
        """Layer SERVER: ask the platform without starting anything. Says if it cannot be asked.

        Args:
            files: what to ask about.
            spec: what they were rendered from, where there is one: its block says where to ask, as in `driver`.
        """

    def driver(self, spec: JobSpec | None = None) -> Driver:
        """What carries jobs. Where and as whom comes from the spec's block and the environment.

        Args:
            spec: the job to submit; None where only an existing job is asked after, by the environment alone.

        Raises:
            MissingExtra: if the vendor's client is not installed.
            InputError: if the environment does not say where or as whom, naming what is missing.
        """
