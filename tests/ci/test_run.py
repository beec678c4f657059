"""The CI files, run as a runner would run them, from submit to blocked, with jobs on the local platform."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from support.ci_github import GithubRunner
from support.ci_others import run_azure_pipeline, run_gitlab

ROOT = Path(__file__).resolve().parents[2]
CI = ROOT / "ci"
F1 = ("hexgate", "run", "--indicator", "accuracy_f1", "--quiet", "--data", "demo:", "--out", "{out}")


@dataclass(frozen=True)
class Seen:
    """What one system left, in the words of all."""

    failed: bool
    steps: Mapping[str, str]
    kept: Path | None
    """The folder that was published."""
    summary: str
    log: str


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout of somebody's repository, with our files where the docs say."""
    root = tmp_path / "project"
    (root / ".github/workflows").mkdir(parents=True)
    (root / ".github/actions/hexgate-gate").mkdir(parents=True)
    shutil.copy(CI / "github/gate.yml", root / ".github/workflows/hexgate-gate.yml")
    shutil.copy(CI / "github/action/action.yml", root / ".github/actions/hexgate-gate/action.yml")
    rule = {"indicator": "accuracy_f1", "measure": "f1", "at_least": 0.75}
    (root / "ci").mkdir()
    for name, limit in (("policy", 0.75), ("strict", 0.9999)):
        value = {"version": 1, "name": name, "rules": [rule | {"at_least": limit}]}
        (root / f"ci/{name}.yaml").write_text(yaml.safe_dump(value), encoding="utf-8")
    for name, argv in {
        "job": (*F1, "--model", "demo:"),
        "broken": (*F1, "--model", "/nowhere/model.onnx"),
    }.items():
        spec = {
            "schema": "hexgate.job/v1",
            "name": name,
            "indicator": "accuracy_f1",
            "image": {"ref": "example/hexgate:0.1.0"},
            "argv": list(argv),
            "output": {"uri": (tmp_path / "store").as_uri()},
            "timeout_s": 600,
        }
        (root / f"ci/{name}.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "a model"]):
        subprocess.run([*git, *command], cwd=root, check=True)
    return root


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Where `hexgate` and its state are found; `az` only answers what the pipeline asks it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, line in {
        "hexgate": f'exec "{sys.executable}" -m hexgate "$@"',
        "az": "echo 00000000-0000-0000-0000-000000000000",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    inherited = subprocess.run(["sh", "-c", "echo $PATH"], capture_output=True, text=True, check=True)
    return {
        "PATH": f"{programs}:{inherited.stdout.strip()}",
        "HEXGATE_LOCAL_DIR": str(tmp_path / "local"),
        "HEXGATE_LANG": "en",
    }


System = Callable[[str, str], Seen]


@pytest.fixture(params=["github", "azure", "gitlab"])
def system(
    request: pytest.FixtureRequest, project: Path, environment: dict[str, str], tmp_path: Path
) -> System:
    """Runs a spec with a policy in one of the three systems."""
    kept = tmp_path / "kept" / "artifacts"
    kept.mkdir(parents=True)

    def github(spec: str, policy: str) -> Seen:
        runner = GithubRunner(project, kept, environment)
        workflow = project / ".github/workflows/hexgate-gate.yml"
        job = runner.call(workflow, spec=f"ci/{spec}.yaml", platform="local", policy=f"ci/{policy}.yaml")
        place = kept / "hexgate-1"
        summary = kept.parent / "summary.md"
        return Seen(
            job.failed, job.steps, place if place.exists() else None, summary.read_text("utf-8"), job.log
        )

    def azure(spec: str, policy: str) -> Seen:
        chosen = {"spec": f"ci/{spec}.yaml", "platform": "local", "policy": f"ci/{policy}.yaml"}
        left = run_azure_pipeline(
            CI / "azure-pipelines.yml", project, kept, variables=chosen, env=environment
        )
        summary = "".join(path.read_text("utf-8") for path in left.summaries)
        assert "junit" in left.published
        return Seen(left.failed, left.steps, left.published.get("hexgate-1"), summary, left.log)

    def gitlab(spec: str, policy: str) -> Seen:
        chosen = {
            "HEXGATE_SPEC": f"ci/{spec}.yaml",
            "HEXGATE_PLATFORM": "local",
            "HEXGATE_POLICY": f"ci/{policy}.yaml",
        }
        left = run_gitlab(CI / "gitlab-ci.yml", project, kept, variables=chosen, env=environment)
        place = left.published.get("gate")
        summary = (place / "reports/summary.md").read_text("utf-8") if place else ""
        assert "sentinel-token" not in left.log
        return Seen(left.failed, left.steps, place, summary, left.log)

    return {"github": github, "azure": azure, "gitlab": gitlab}[request.param]


def verdict(seen: Seen) -> str:
    assert seen.kept is not None, seen.log
    reports = {path.name for path in (seen.kept / "reports").iterdir()}
    assert reports == {"report.html", "summary.md", "gate.xml", "verdict.json"}, seen.log
    found: str = json.loads((seen.kept / "reports/verdict.json").read_text("utf-8"))["verdict"]
    return found


def test_a_model_that_passes_goes_through(system: System) -> None:
    seen = system("job", "policy")
    assert not seen.failed, seen.log
    assert verdict(seen) == "PASS"
    assert "accuracy_f1" in seen.summary or "F1" in seen.summary
    assert (seen.kept / "run/main/accuracy_f1.json").is_file()


def test_a_model_that_fails_is_blocked_and_the_report_is_there(system: System) -> None:
    seen = system("job", "strict")
    assert seen.failed
    assert verdict(seen) == "FAIL", seen.log
    assert seen.summary


def test_a_job_that_fails_is_blocked_with_a_verdict_that_says_so(system: System) -> None:
    seen = system("broken", "policy")
    assert seen.failed
    assert verdict(seen) in {"INVALID", "MISSING"}, seen.log
    assert "Traceback" not in seen.log


def test_a_runner_that_is_lost_takes_its_job_up_again(
    project: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    workflow = project / ".github/workflows/hexgate-gate.yml"
    kept = tmp_path / "kept" / "artifacts"
    kept.mkdir(parents=True)
    chosen = {"spec": "ci/job.yaml", "platform": "local", "policy": "ci/policy.yaml"}
    first = GithubRunner(project, kept, environment, stop_after="Submit").call(workflow, **chosen)
    assert first.steps["Submit"] == "success", first.log
    assert "Gate" not in first.steps
    shutil.rmtree(project / "hexgate-out")
    again = GithubRunner(project, kept, environment, attempt=2).call(workflow, **chosen)
    assert not again.failed, again.log
    runs = [path for path in (tmp_path / "store").iterdir() if not path.name.startswith(".")]
    assert len(runs) == 1
    assert len([path for path in (runs[0] / "main").iterdir() if path.is_dir()]) == 1, "one job, one attempt"


def test_a_model_is_uploaded_before_its_job(
    project: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    shutil.copy(ROOT / "examples/digits/model.onnx", project / "model.onnx")
    spec = yaml.safe_load((project / "ci/job.yaml").read_text("utf-8"))
    spec["mounts"] = [
        {"name": "model", "uri": "file:///not/yet", "path": "/models"},
        {"name": "data", "uri": (ROOT / "examples/digits").as_uri(), "path": "/data"},
    ]
    spec["argv"] = [*F1[:5], "--model", "/models/model.onnx", "--data", "/data/val.jsonl", "--out", "{out}"]
    spec["argv"] += ["--card", "/data/card.json"]
    (project / "ci/job.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    kept = tmp_path / "kept" / "artifacts"
    kept.mkdir(parents=True)
    job = GithubRunner(project, kept, environment).call(
        project / ".github/workflows/hexgate-gate.yml",
        spec="ci/job.yaml",
        platform="local",
        policy="ci/policy.yaml",
        **{"model": "model.onnx", "model-store": (tmp_path / "models").as_uri()},
    )
    assert not job.failed, job.log
    assert job.outputs["exit-code"] == "0"


@pytest.mark.parametrize(
    ("platform", "login"), [("azure", "azure/login@"), ("bailian", "aliyun/"), ("local", None)]
)
def test_each_cloud_is_entered_by_its_own_login(
    project: Path, environment: dict[str, str], tmp_path: Path, platform: str, login: str | None
) -> None:
    kept = tmp_path / "kept" / "artifacts"
    kept.mkdir(parents=True)
    workflow = project / ".github/workflows/hexgate-gate.yml"
    job = GithubRunner(project, kept, environment).call(workflow, spec="ci/none.yaml", platform=platform)
    assert job.failed, "there is no such spec"
    assert job.steps["Read the policy"] == "success", job.log
    assert [name.startswith(str(login)) for name in job.logins] == ([True] if login else [])
    assert job.steps["Submit"] == "failure"
    assert job.steps["Gate"] == "failure", "nothing was measured, and that is not a pass"
