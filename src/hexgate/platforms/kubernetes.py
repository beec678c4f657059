"""Kubernetes: one Job, with a pod for each shard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from hexgate.platforms.base import Checked, Driver, Finding, Native, refuse
from hexgate.platforms.kubernetes_job import FILE, job_text
from hexgate.platforms.kubernetes_rules import native_findings, spec_findings

if TYPE_CHECKING:
    from hexgate.platforms.spec import JobSpec

__all__ = ["Kubernetes"]


class Kubernetes:
    """The platform ``kubernetes``. Its native file is what ``kubectl create -f`` takes."""

    name: ClassVar[str] = "kubernetes"
    fans_out: ClassVar[bool] = False

    def render(self, spec: JobSpec) -> dict[str, str]:
        """``k8s-job.yaml``.

        Raises:
            JobSpecError: with every mistake that hinders it.
        """
        refuse(spec.name, self.spec_findings(spec))
        return {FILE: job_text(spec)}

    def spec_findings(self, spec: JobSpec) -> Sequence[Finding]:
        """Layer RULES on the spec."""
        return spec_findings(spec)

    def check(self, files: Native) -> Checked:
        """Layer VENDOR: the API's own schema of one version, strictly, by kubernetes-validate."""
        from hexgate.platforms.kubernetes_check import check

        return check(files)

    def native_findings(self, files: Native) -> Sequence[Finding]:
        """Layer RULES on native files."""
        return native_findings(files)

    def dry_run(self, files: Native, spec: JobSpec | None = None) -> Checked:  # noqa: ARG002
        """Layer SERVER: the cluster's own admission, without creating anything."""
        from hexgate.platforms.kubernetes_check import dry_run

        return dry_run(files)

    def driver(self, spec: JobSpec | None = None) -> Driver:
        """What carries jobs in one namespace of one cluster.

        Raises:
            MissingExtra: if the package kubernetes is not installed.
            InputError: if the environment names no cluster.
        """
        from hexgate.platforms.kubernetes_driver import KubernetesDriver

        return KubernetesDriver.open(spec)
