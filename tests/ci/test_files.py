"""The CI files: valid for their systems, their shell clean, their rights small."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CI = ROOT / "ci"
WORKFLOW, ACTION, CALLER = (
    CI / "github" / name for name in ("gate.yml", "action/action.yml", "pull-request.yml")
)
AZURE, GITLAB = CI / "azure-pipelines.yml", CI / "gitlab-ci.yml"
PINNED = re.compile(r"^[\w.-]+/[\w.-]+@[0-9a-f]{40}$")


def tool(name: str) -> str:
    """A program of the environment that runs these tests."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    assert found is not None, f"{name} belongs to the dev lock"
    return found


def check(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool("check-jsonschema"), *map(str, arguments)], capture_output=True, text=True, check=False
    )


SCHEMAS = [
    (WORKFLOW, ["vendor.github-workflows"]),
    (CALLER, ["vendor.github-workflows"]),
    (WORKFLOW, ["custom.github-workflows-require-timeout"]),
    (ACTION, ["vendor.github-actions"]),
    (GITLAB, ["vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
    (AZURE, ["vendor.azure-pipelines", "--data-transform", "azure-pipelines", "--regex-variant", "python"]),
]


@pytest.mark.parametrize(
    ("file", "schema"), SCHEMAS, ids=lambda each: each.name if isinstance(each, Path) else each[0]
)
def test_each_file_keeps_its_systems_schema(file: Path, schema: list[str]) -> None:
    done = check("--builtin-schema", *schema, file)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "schema", "old", "new"),
    [
        (WORKFLOW, SCHEMAS[0][1], "runs-on:", "runs_on:"),
        (ACTION, SCHEMAS[3][1], "using: composite", "using: composed"),
        (GITLAB, SCHEMAS[4][1], "when: always\n    paths", "when: ever\n    paths"),
        (AZURE, SCHEMAS[5][1], "displayName: Gate\n", "displayTitle: Gate\n"),
    ],
    ids=["github", "action", "gitlab", "azure"],
)
def test_the_schemas_do_refuse(tmp_path: Path, file: Path, schema: list[str], old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    broken = tmp_path / file.name
    broken.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert check("--builtin-schema", *schema, broken).returncode == 1


def scripts() -> Iterator[tuple[str, str]]:
    for step in yaml.safe_load(ACTION.read_text("utf-8"))["runs"]["steps"]:
        if "run" in step:
            assert step["shell"] == "bash"
            yield f"github: {step['name']}", step["run"]
    (job,) = yaml.safe_load(AZURE.read_text("utf-8"))["jobs"]
    for step in job["steps"]:
        script = step.get("bash") or step.get("inputs", {}).get("inlineScript")
        if script:
            yield f"azure: {step['displayName']}", script
    described = yaml.safe_load(GITLAB.read_text("utf-8"))
    for stage in described["stages"]:
        job = described[stage]
        yield f"gitlab: {stage}", "\n".join([*job.get("before_script", ()), *job["script"]])
        yield f"gitlab: after {stage}", "\n".join(job.get("after_script", ()))


@pytest.mark.parametrize(("name", "script"), [pytest.param(*each, id=each[0]) for each in scripts()])
def test_the_shell_in_them_is_clean(name: str, script: str, tmp_path: Path) -> None:
    assert "${{" not in script, "what a pull request says would be read as a command"
    path = tmp_path / "step.sh"
    path.write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
    done = subprocess.run(
        [tool("shellcheck"), "--severity=style", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{name}\n{done.stdout}"


def uses(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "uses":
                yield each
            yield from uses(each)
    elif isinstance(value, list):
        for each in value:
            yield from uses(each)


@pytest.mark.parametrize("file", [WORKFLOW, ACTION, CALLER], ids=lambda file: file.name)
def test_actions_are_pinned_by_digest_with_their_version_beside(file: Path) -> None:
    text = file.read_text("utf-8")
    for used in uses(yaml.safe_load(text)):
        if used.startswith("./"):
            continue
        assert PINNED.match(used), used
        assert re.search(rf"{re.escape(used)} # v\d+\.\d+\.\d+\n", text), used


def test_the_workflow_asks_for_no_more_than_it_needs() -> None:
    for file in (WORKFLOW, CALLER):
        described = yaml.safe_load(file.read_text("utf-8"))
        assert described["permissions"] == {}
        (job,) = described["jobs"].values()
        assert job["permissions"] == {"contents": "read", "id-token": "write"}
    checkout = next(step for step in yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"]["gate"]["steps"])
    assert checkout["with"]["persist-credentials"] is False


def test_publishing_never_waits_for_success() -> None:
    steps = {step["name"]: step for step in yaml.safe_load(ACTION.read_text("utf-8"))["runs"]["steps"]}
    assert all("always()" in steps[name]["if"] for name in ("Collect", "Gate", "Summary", "Publish"))
    (job,) = yaml.safe_load(AZURE.read_text("utf-8"))["jobs"]
    published = [step for step in job["steps"] if step.get("task", "").startswith("Publish")]
    assert len(published) == 2
    assert all(step["condition"] == "always()" for step in published)
