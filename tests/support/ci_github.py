"""Runs a workflow's steps as a GitHub runner would: the shell for real, hosted actions by what they leave."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from support.ci_expressions import evaluate, interpolate

_NOTHING_HERE = ("actions/checkout@", "actions/setup-python@")
_LOGINS = ("azure/login@", "aliyun/", "aws-actions/")


@dataclass
class Job:
    """What a job left."""

    failed: bool = False
    steps: dict[str, str] = field(default_factory=dict)
    """Outcome by the name of the step: success, failure or skipped."""
    outputs: dict[str, str] = field(default_factory=dict)
    logins: list[str] = field(default_factory=list)
    """Actions that enter a cloud, which are not carried out here."""
    log: str = ""


@dataclass
class GithubRunner:
    """A runner with a checkout at `root`, which holds `.github`."""

    root: Path
    kept: Path
    """Where uploaded artifacts go, a folder each."""
    environment: Mapping[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)
    attempt: int = 1
    stop_after: str | None = None
    """The runner is lost after the step of this name: nothing more of the job runs."""

    def call(self, workflow: Path, **inputs: str) -> Job:
        """Run the one job of a reusable workflow."""
        described = yaml.safe_load(workflow.read_text("utf-8"))
        declared = described[True]["workflow_call"]["inputs"]
        given = {name: inputs.get(name, one.get("default", "")) for name, one in declared.items()}
        assert set(inputs) <= set(declared)
        assert all(given[name] for name, one in declared.items() if one.get("required"))
        (called,) = described["jobs"].values()
        job = Job()
        contexts = {"inputs": given, "vars": self.variables, "secrets": {}, "github": self._github()}
        steps = self._steps(called["steps"], contexts, {}, job)
        outputs = {
            name: interpolate(text, contexts | {"steps": steps}) for name, text in called["outputs"].items()
        }
        job.outputs = outputs
        return job

    def _github(self) -> dict[str, str]:
        return {
            "repository": "example/models",
            "run_id": "4711",
            "run_attempt": str(self.attempt),
            "ref": "refs/x",
        }

    def _steps(
        self, steps: list[dict[str, Any]], contexts: Mapping[str, Any], env: Mapping[str, str], job: Job
    ) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        exported: dict[str, str] = {}
        for step in steps:
            if self.stop_after in job.steps:
                return seen
            here = {**contexts, "steps": seen}
            functions = {
                "always": lambda: True,
                "success": lambda: not job.failed,
                "failure": lambda: job.failed,
            }
            condition = str(step.get("if", "success()"))
            # Without a status function of its own, a condition holds only while nothing has failed.
            wanted = evaluate(condition.removeprefix("${{").removesuffix("}}"), here, functions)
            wanted = wanted and ("()" in condition or not job.failed)
            outcome, outputs = "skipped", {}
            if wanted:
                own = {name: interpolate(str(value), here) for name, value in step.get("env", {}).items()}
                outputs, code = self._step(step, here, {**env, **exported, **own}, exported, job)
                outcome = "success" if code == 0 else "failure"
                job.failed = job.failed or code != 0
            job.steps[step["name"]] = outcome
            seen[step.get("id", step["name"])] = {"outcome": outcome, "outputs": outputs}
        return seen

    def _step(
        self,
        step: Mapping[str, Any],
        contexts: Mapping[str, Any],
        env: Mapping[str, str],
        exported: dict[str, str],
        job: Job,
    ) -> tuple[dict[str, str], int]:
        if "run" in step:
            return self._run(step["run"], env, exported, job)
        given = {name: interpolate(str(value), contexts) for name, value in step.get("with", {}).items()}
        uses = step["uses"]
        if uses.startswith("./"):
            return self._composite(self.root / uses / "action.yml", given, contexts, env, job)
        if uses.startswith("actions/upload-artifact@"):
            place = self.kept / given["name"]
            assert not place.exists(), "an artifact's name is used once"
            if (self.root / given["path"]).exists():
                shutil.copytree(self.root / given["path"], place)
            return {}, 0
        if uses.startswith(_LOGINS):
            job.logins.append(uses)
            return {}, 0
        assert uses.startswith(_NOTHING_HERE), uses
        return {}, 0

    def _composite(
        self,
        file: Path,
        given: Mapping[str, str],
        contexts: Mapping[str, Any],
        env: Mapping[str, str],
        job: Job,
    ) -> tuple[dict[str, str], int]:
        described = yaml.safe_load(file.read_text("utf-8"))
        declared = described["inputs"]
        assert set(given) <= set(declared), "inputs that the action does not have"
        inputs = {name: given.get(name, one.get("default", "")) for name, one in declared.items()}
        inside = {"inputs": inputs, "github": contexts["github"]}
        steps = self._steps(described["runs"]["steps"], inside, env, job)
        outputs = {
            name: interpolate(one["value"], {"steps": steps}) for name, one in described["outputs"].items()
        }
        return outputs, int(job.failed)

    def _run(
        self, script: str, env: Mapping[str, str], exported: dict[str, str], job: Job
    ) -> tuple[dict[str, str], int]:
        assert "${{" not in script, "an expression in a script is read as a command"
        files = {name: self.kept.parent / name for name in ("GITHUB_ENV", "GITHUB_OUTPUT")}
        for file in files.values():
            file.write_text("", encoding="utf-8")
        summary = self.kept.parent / "summary.md"
        summary.touch()
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.root,
            env={
                **os.environ,
                **self.environment,
                **env,
                **{name: str(file) for name, file in files.items()},
                "GITHUB_STEP_SUMMARY": str(summary),
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        job.log += done.stdout + done.stderr
        exported |= _pairs(files["GITHUB_ENV"])
        return _pairs(files["GITHUB_OUTPUT"]), done.returncode


def _pairs(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text("utf-8").splitlines())
