"""Runs the steps of Azure Pipelines and of GitLab CI as their runners would: the shell of each for real."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass
class Left:
    """What a job left."""

    failed: bool = False
    steps: dict[str, str] = field(default_factory=dict)
    """Outcome by the name of the step."""
    published: dict[str, Path] = field(default_factory=dict)
    """What was published, by its name."""
    summaries: list[Path] = field(default_factory=list)
    log: str = ""


def shell(script: str, root: Path, env: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "--noprofile", "--norc", *options, "-c", script],
        cwd=root,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )


def run_azure_pipeline(
    file: Path, root: Path, staging: Path, *, variables: Mapping[str, str], env: Mapping[str, str]
) -> Left:
    """Run the one job of a pipeline. `variables` are those that its settings put over the file's."""
    described = yaml.safe_load(file.read_text("utf-8"))
    known = {
        "Build.ArtifactStagingDirectory": str(staging),
        "Build.BuildId": "4711",
        "System.CollectionUri": "https://dev.example.com/",
        "System.TeamProject": "models",
        "System.JobAttempt": "1",
        **described["variables"],
        **variables,
    }
    parameters = {each["name"]: each["default"] for each in described["parameters"]}
    left = Left()

    def filled(text: Any) -> str:
        found = re.sub(r"\$\{\{ parameters\.(\w+) \}\}", lambda name: parameters[name[1]], str(text))
        for _ in range(3):
            found = re.sub(r"\$\(([\w.]+)\)", lambda name: known.get(name[1], name[0]), found)
        return found

    (job,) = described["jobs"]
    for step in job["steps"]:
        title = step.get("displayName", "checkout")
        condition = step.get("condition", "succeeded()")
        assert condition in {"succeeded()", "succeededOrFailed()", "always()"}
        if left.failed and condition == "succeeded()":
            left.steps[title] = "skipped"
            continue
        task = step.get("task", "")
        script = step.get("bash") or step.get("inputs", {}).get("inlineScript")
        code = 0
        if title == "Install hexgate":
            pass
        elif script is not None:
            assert "$(" + "out)" not in script, "a variable in a script is read as a command"
            given = {name: filled(value) for name, value in step.get("env", {}).items()}
            done = shell(script, root, {**env, **given})
            code = done.returncode
            left.log += done.stdout
            known |= dict(re.findall(r"##vso\[task\.setvariable variable=(\w+)\](\S+)", done.stdout))
            left.summaries += map(Path, re.findall(r"##vso\[task\.uploadsummary\](\S+)", done.stdout))
        elif task.startswith("PublishTestResults@"):
            found = Path(filled(step["inputs"]["testResultsFiles"]))
            if found.is_file():
                left.published["junit"] = found
        elif task.startswith("PublishPipelineArtifact@"):
            left.published[filled(step["inputs"]["artifact"])] = Path(filled(step["inputs"]["targetPath"]))
        else:
            assert task.startswith("UsePythonVersion@") or "checkout" in step, step
        left.steps[title] = "success" if code == 0 else "failure"
        left.failed = left.failed or code != 0
    return left


def run_gitlab(
    file: Path, root: Path, kept: Path, *, variables: Mapping[str, str], env: Mapping[str, str]
) -> Left:
    """Run the jobs of a GitLab file, stage by stage; each begins with what `needs` hands it, and nothing else."""
    described = yaml.safe_load(file.read_text("utf-8"))
    left = Left()
    settings = {
        "CI_PROJECT_DIR": str(root),
        "CI_PIPELINE_CREATED_AT": "2026-11-21T10:11:12Z",
        "CI_SERVER_HOST": "gitlab.example.com",
        "CI_PROJECT_ID": "7",
        "CI_PIPELINE_ID": "4711",
        **described["variables"],
        **variables,
    }
    out = settings["HEXGATE_OUT"]
    for stage in described["stages"]:
        (name,) = (
            key for key, job in described.items() if isinstance(job, dict) and job.get("stage") == stage
        )
        job = described[name]
        shutil.rmtree(root / out, ignore_errors=True)
        for need in job.get("needs", ()):
            shutil.copytree(kept / need["job"] / out, root / out)
        allowed = any(rule.get("when") == "always" for rule in job.get("rules", ()))
        if left.failed and not allowed:
            left.steps[name] = "skipped"
            continue
        own = {key: _expanded(value, settings) for key, value in job.get("variables", {}).items()}
        tokens = dict.fromkeys(job.get("id_tokens", ()), "sentinel-token")
        given = {**env, **settings, **own, **tokens}
        script = "\n".join([*job.get("before_script", ()), *job["script"]])
        done = shell(script, root, given, "-eo", "pipefail")
        left.log += done.stdout
        left.steps[name] = "success" if done.returncode == 0 else "failure"
        left.failed = left.failed or done.returncode != 0
        if "after_script" in job:
            shell("\n".join(job["after_script"]), root, given)
        assert job["artifacts"]["when"] == "always"
        if (root / out).exists():
            shutil.copytree(root / out, kept / name / out)
            left.published[name] = kept / name / out
    return left


def _expanded(text: str, settings: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda name: settings.get(name[1], name[0]), text)
