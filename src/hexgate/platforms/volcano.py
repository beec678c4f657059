"""Volcano Engine: jobs on its machine learning platform, veMLP."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar

import yaml

from hexgate.errors import extra_hint
from hexgate.platforms import volcano_body
from hexgate.platforms.base import Checked, Driver, Finding, Layer, Native, refuse
from hexgate.platforms.cloud_rules import native_value
from hexgate.platforms.spec import JobSpec
from hexgate.platforms.volcano_check import body_findings, task_findings
from hexgate.platforms.volcano_rules import body_rule_findings, task_rule_findings

__all__ = ["Volcano"]

_HEAD = """\
# A veMLP task. Change what is yours as you submit it; --set changes only what stands here:
#   volc ml_task submit --conf job.yaml --set ResourceQueueID=...
"""


class Volcano:
    """Renders `job.yaml` and `create_job.json`, checks them, and carries jobs with Volcano Engine's own SDK."""

    name: ClassVar[str] = volcano_body.PLATFORM
    fans_out: ClassVar[bool] = False

    def render(self, spec: JobSpec) -> dict[str, str]:
        """``job.yaml`` for the volc program, and ``create_job.json`` for the OpenAPI where the queue has an id.

        Raises:
            JobSpecError: with every mistake that hinders it.
        """
        refuse(spec.name, self.spec_findings(spec))
        task = yaml.safe_dump(volcano_body.volc_task(spec), sort_keys=False, allow_unicode=True, width=4096)
        files = {"job.yaml": _HEAD + task}
        if "queue_id" in spec.block(self.name):
            body = volcano_body.create_job_body(spec)
            files["create_job.json"] = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
        return files

    def spec_findings(self, spec: JobSpec) -> Sequence[Finding]:
        """Fields of the spec that exclude each other, are missing, or mean nothing on veMLP."""
        return tuple(volcano_body.spec_findings(spec))

    def check(self, files: Native) -> Checked:
        """JSON by the classes of the SDK; YAML by our own schema, as the vendor has no validator for that form."""
        findings: list[Finding] = []
        skipped = None
        for name, text in files.items():
            value, mistakes = native_value(name, text)
            findings += mistakes
            if mistakes:
                continue
            if name.endswith(".json"):
                found = body_findings(value, name)
                if found is None:
                    why = f"volcenginesdk-mlplatform20240701 is not installed; {extra_hint('volcano')}"
                    skipped = f"{name}: {why}"
                findings += found or []
            else:
                findings += task_findings(value, name)
        return Checked(Layer.VENDOR, tuple(findings), skipped)

    def native_findings(self, files: Native) -> Sequence[Finding]:
        """What the schema and the SDK let through, and veMLP or the gate would not."""
        findings: list[Finding] = []
        for name, text in files.items():
            value, mistakes = native_value(name, text)
            rules = body_rule_findings if name.endswith(".json") else task_rule_findings
            findings += mistakes or rules(value, name)
        return tuple(findings)

    def dry_run(self, files: Native, spec: JobSpec | None = None) -> Checked:
        """CreateJob with ``DryRun: true``, for files of the OpenAPI form.

        Raises:
            MissingExtra: if the SDK is not installed.
            InputError: if neither the spec nor the environment says where, or nothing says as whom.
            PlatformFailed: if the platform does not answer.
        """
        from hexgate.platforms.volcano_driver import dry_run

        asked = [(name, *native_value(name, text)) for name, text in files.items() if name.endswith(".json")]
        if not asked:
            return Checked(Layer.SERVER, skipped="the volc program has no dry run; create_job.json has one")
        if any(mistakes or body_findings(body, name) for name, body, mistakes in asked):
            return Checked(Layer.SERVER, skipped="what layer vendor refuses cannot be sent")
        region = None if spec is None else spec.block(self.name).get("region")
        found = [
            Finding(f"{name}: $", problem) for name, body, _ in asked if (problem := dry_run(body, region))
        ]
        return Checked(Layer.SERVER, tuple(found))

    def driver(self, spec: JobSpec | None = None) -> Driver:
        """The driver, with Volcano Engine's own SDK.

        Raises:
            MissingExtra: if the SDK is not installed.
            InputError: if the environment does not say where or as whom.
        """
        from hexgate.platforms.volcano_driver import VolcanoDriver

        return VolcanoDriver(spec)
