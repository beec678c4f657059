"""Slurm: one batch job, or an array with a task for each shard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from hexgate.platforms.base import Checked, Driver, Finding, Native, refuse
from hexgate.platforms.slurm_rules import native_findings, spec_findings
from hexgate.platforms.slurm_script import FILE, job_text

if TYPE_CHECKING:
    from hexgate.platforms.spec import JobSpec

__all__ = ["Slurm"]


class Slurm:
    """The platform ``slurm``. Its native file is a script for ``sbatch``."""

    name: ClassVar[str] = "slurm"
    fans_out: ClassVar[bool] = False

    def render(self, spec: JobSpec) -> dict[str, str]:
        """``job.sbatch``.

        Raises:
            JobSpecError: with every mistake that hinders it.
        """
        refuse(spec.name, self.spec_findings(spec))
        return {FILE: job_text(spec)}

    def spec_findings(self, spec: JobSpec) -> Sequence[Finding]:
        """Layer RULES on the spec."""
        return spec_findings(spec)

    def check(self, files: Native) -> Checked:
        """Layer VENDOR: bash, shellcheck, and our table of sbatch's options; Slurm itself checks nothing offline."""
        from hexgate.platforms.slurm_check import check

        return check(files)

    def native_findings(self, files: Native) -> Sequence[Finding]:
        """Layer RULES on native files."""
        return native_findings(files)

    def dry_run(self, files: Native, spec: JobSpec | None = None) -> Checked:  # noqa: ARG002
        """Layer SERVER: ``sbatch --test-only``, and the partition's time limit, which that does not look at."""
        from hexgate.platforms.slurm_check import dry_run

        return dry_run(files)

    def driver(self, spec: JobSpec | None = None) -> Driver:  # noqa: ARG002 - the commands know their cluster
        """What carries jobs on the cluster whose commands are on the PATH.

        Raises:
            InputError: if sbatch is not on the PATH.
        """
        from hexgate.platforms.slurm_client import require
        from hexgate.platforms.slurm_driver import SlurmDriver

        require("sbatch")
        return SlurmDriver()
