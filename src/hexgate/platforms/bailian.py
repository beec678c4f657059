"""Alibaba Cloud: jobs on PAI-DLC. Bailian (Model Studio) itself runs no container; its models are measured remotely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import yaml

from hexgate.errors import extra_hint
from hexgate.platforms import bailian_body
from hexgate.platforms.bailian_check import body_findings
from hexgate.platforms.bailian_rules import rule_findings
from hexgate.platforms.base import Checked, Driver, Finding, Layer, Native, refuse
from hexgate.platforms.cloud_rules import native_value
from hexgate.platforms.spec import JobSpec

__all__ = ["Bailian"]

_HEAD = """\
# A PAI-DLC job: the body of CreateJob (2020-12-03). Change what is yours as you submit it:
#   pai dlc job submit --region {region} --body-json @job.yaml --override WorkspaceId=...
"""


class Bailian:
    """Renders `job.yaml`, checks it, and carries it with Alibaba's own SDK."""

    name: ClassVar[str] = bailian_body.PLATFORM
    fans_out: ClassVar[bool] = False

    def render(self, spec: JobSpec) -> dict[str, str]:
        """``job.yaml``: the body of CreateJob.

        Raises:
            JobSpecError: with every mistake that hinders it.
        """
        refuse(spec.name, self.spec_findings(spec))
        body = yaml.safe_dump(
            bailian_body.create_job_body(spec), sort_keys=False, allow_unicode=True, width=4096
        )
        return {"job.yaml": _HEAD.format(region=spec.block(self.name)["region"]) + body}

    def spec_findings(self, spec: JobSpec) -> Sequence[Finding]:
        """Fields of the spec that exclude each other, are missing, or mean nothing on PAI-DLC."""
        return tuple(bailian_body.spec_findings(spec))

    def check(self, files: Native) -> Checked:
        """Each file through the SDK's CreateJobRequest: map, object, map, and compared; types by its annotations."""
        findings: list[Finding] = []
        for name, text in files.items():
            body, mistakes = native_value(name, text)
            findings += mistakes
            if not mistakes:
                found = body_findings(body, name)
                if found is None:
                    why = f"alibabacloud-pai-dlc20201203 is not installed; {extra_hint('alibaba')}"
                    return Checked(Layer.VENDOR, skipped=why)
                findings += found
        return Checked(Layer.VENDOR, tuple(findings))

    def native_findings(self, files: Native) -> Sequence[Finding]:
        """What the SDK lets through, and PAI-DLC or the gate would not."""
        findings: list[Finding] = []
        for name, text in files.items():
            body, mistakes = native_value(name, text)
            findings += mistakes or rule_findings(body, name, len(text.encode()))
        return tuple(findings)

    def dry_run(self, files: Native, spec: JobSpec | None = None) -> Checked:  # noqa: ARG002
        """PAI-DLC's API has no dry run."""
        return Checked(
            Layer.SERVER,
            skipped="CreateJob has no dry run; `pai dlc job submit --body-json @job.yaml --dry-run` shows the request",
        )

    def driver(self, spec: JobSpec | None = None) -> Driver:
        """The driver, with Alibaba's own SDK.

        Raises:
            MissingExtra: if the SDK is not installed.
            InputError: if the environment does not say where or as whom.
        """
        from hexgate.platforms.bailian_driver import BailianDriver

        return BailianDriver(spec)
