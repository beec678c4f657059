"""Azure Machine Learning: a command job, or a pipeline with one step for each indicator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from hexgate.platforms.azure_native import command_job, pipeline_job
from hexgate.platforms.azure_rules import native_findings, spec_findings
from hexgate.platforms.base import Checked, Driver, Finding, Native, refuse

if TYPE_CHECKING:
    from hexgate.platforms.spec import JobSpec

__all__ = ["Azure"]


class Azure:
    """The platform ``azure``. Its native file is the YAML of ``az ml job create -f``."""

    name: ClassVar[str] = "azure"
    fans_out: ClassVar[bool] = True

    def render(self, spec: JobSpec) -> dict[str, str]:
        """``job.yml``, or ``pipeline.yml`` where the spec fans out.

        Raises:
            JobSpecError: with every mistake that hinders it.
        """
        refuse(spec.name, self.spec_findings(spec))
        return {"pipeline.yml": pipeline_job(spec)} if spec.fan_out else {"job.yml": command_job(spec)}

    def spec_findings(self, spec: JobSpec) -> Sequence[Finding]:
        """Layer RULES on the spec."""
        return spec_findings(spec)

    def check(self, files: Native) -> Checked:
        """Layer VENDOR: ``load_job`` of azure-ai-ml and what it checks before it submits."""
        from hexgate.platforms.azure_check import check

        return check(files)

    def native_findings(self, files: Native) -> Sequence[Finding]:
        """Layer RULES on native files."""
        return native_findings(files)

    def dry_run(self, files: Native, spec: JobSpec | None = None) -> Checked:
        """Layer SERVER: for pipelines, whether the workspace has their compute targets."""
        from hexgate.platforms.azure_check import dry_run

        return dry_run(files, spec)

    def driver(self, spec: JobSpec | None = None) -> Driver:
        """What carries jobs in one workspace.

        Raises:
            MissingExtra: if azure-ai-ml is not installed.
            InputError: if neither the spec nor the environment names the workspace.
        """
        from hexgate.platforms.azure_driver import AzureDriver

        return AzureDriver.open(spec)
