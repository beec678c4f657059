"""Jobs on a real Slurm of one node, from submit to verdict: arrays, what a job is given, failures, and a dry run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hexgate.contract.provenance import new_run_id
from hexgate.gate.verdict import Verdict
from hexgate.platforms.base import JobState, Status
from hexgate.platforms.slurm import Slurm
from hexgate.platforms.slurm_driver import SlurmDriver
from hexgate.platforms.slurm_script import FILE
from support.lifecycle import carry, follow
from support.slurm_cluster import SlurmCluster
from support.slurm_jobs import (
    SMALL,
    a_job,
    ended,
    hexgate,
    load_spec,
    manifests,
    whole_or_starved,
)
from support.starved import again_where_starved

pytestmark = pytest.mark.infra


@again_where_starved
def test_an_array_of_two_shards_to_a_gated_artifact(cluster: SlurmCluster, tmp_path: Path) -> None:
    """One load, offered by two tasks of a real array, is merged into one and judged."""
    spec, dest = load_spec(tmp_path, resources=SMALL | {"gpus": 1}), tmp_path / "collected"
    submitted = hexgate(
        "platforms", "submit", spec, "--platform", "slurm", "--wait", "--poll-s", "0.5", "--collect", dest
    )
    whole_or_starved(submitted, dest)
    assert submitted.returncode == 0, submitted.stderr
    merged = hexgate("load", "merge", dest, "--out", tmp_path / "merged", "--quiet")
    assert merged.returncode == 0, merged.stderr
    artifact = json.loads((tmp_path / "merged" / "throughput_rps.json").read_text("utf-8"))
    assert artifact["status"] == "complete"
    rules = [
        {"indicator": "throughput_rps", "measure": "rps", "at_least": 10},
        {"indicator": "latency_p99", "measure": "p50_ms", "at_most": 10000},
    ]
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump({"version": 1, "name": "load", "rules": rules}), encoding="utf-8")
    judged = hexgate("gate", dest, tmp_path / "merged", "--policy", policy)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    jobs = {manifest["platform_job_id"] for manifest in manifests(tmp_path)}
    assert len(jobs) == 1
    assert {manifest["shard"]["index"] for manifest in manifests(tmp_path)} == {0, 1}


def test_a_job_from_submit_to_verdict(cluster: SlurmCluster, tmp_path: Path) -> None:
    carried = carry("slurm", SlurmDriver(), a_job(tmp_path), tmp_path)
    assert carried.status == Status(JobState.SUCCEEDED, "COMPLETED")
    assert carried.verdict.verdict is Verdict.PASS
    (manifest,) = manifests(tmp_path)
    assert manifest["platform_job_id"] == carried.handle.native_id
    # What ran on the node itself ran in no image.
    assert manifest["image"] is None
    assert SlurmDriver().find(carried.handle.run_id) == carried.handle.native_id
    assert any("published" in line for line in SlurmDriver().logs(str(carried.handle.native_id)))


def test_the_template_is_submitted_as_it_is(cluster: SlurmCluster, tmp_path: Path) -> None:
    """By sbatch alone: values come from its environment and its command line, and the tasks agree on their run."""
    argv = ["hexgate", "run", "--indicator", "accuracy_f1", "--model", "demo:", "--data", "demo:"]
    spec = a_job(tmp_path, shards=2, argv=[*argv, "--out", "{out}/accuracy_f1.json"])
    script = Slurm().render(spec)[FILE].replace((tmp_path / "results").as_posix(), "/shared/results")
    (tmp_path / FILE).write_text(script, encoding="utf-8")
    given = dict(os.environ) | {"OUTPUT_PATH": str(tmp_path / "results"), "SECRET_OF_ANOTHER": "x"}
    native_id = subprocess.run(
        ["sbatch", "--parsable", "--time=5", FILE], env=given, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert ended(native_id).state is JobState.SUCCEEDED
    told = manifests(tmp_path)
    assert [manifest["part"] for manifest in told] == ["shard-0-of-2", "shard-1-of-2"]
    assert [manifest["platform_job_id"] for manifest in told] == [native_id] * 2
    (run_id,) = {manifest["run_id"] for manifest in told}
    assert run_id.endswith(f"-{int(native_id):08x}")
    shown = cluster.ask("scontrol", "show", "job", native_id)
    assert "TimeLimit=00:05:00" in shown


def test_the_run_is_the_one_that_sbatch_was_given(cluster: SlurmCluster, tmp_path: Path) -> None:
    """The three commands of the README: sbatch waits, the run is collected by its name, and judged."""
    (tmp_path / FILE).write_text(Slurm().render(a_job(tmp_path))[FILE], encoding="utf-8")
    run_id = new_run_id()
    given = dict(os.environ) | {"HEXGATE_RUN_ID": run_id}
    subprocess.run(["sbatch", "--wait", FILE], env=given, capture_output=True, check=True)
    arguments = ["--from", tmp_path / "results", "--run-id", run_id, "--expect", "main", "--out", "collected"]
    collected = hexgate("platforms", "collect", *arguments)
    assert collected.returncode == 0, collected.stderr
    rules = [{"indicator": "accuracy_f1", "measure": "f1", "at_least": 0.75}]
    (tmp_path / "policy.yaml").write_text(
        yaml.safe_dump({"version": 1, "name": "one", "rules": rules}), encoding="utf-8"
    )
    assert hexgate("gate", "collected", "--policy", "policy.yaml").returncode == 0


def test_nothing_but_named_variables_goes_with_a_job(
    cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "key-of-a-test")
    monkeypatch.setenv("ANOTHER_KEY", "another")
    code = (
        "import os, sys; open(sys.argv[1] + '/env', 'w').write('\\n'.join(map('='.join, os.environ.items())))"
    )
    spec = a_job(
        tmp_path, argv=[sys.executable, "-c", code, "{out}"], secret_env=["API_KEY"], env={"N": "1 2"}
    )
    follow("slurm", SlurmDriver(), spec, tmp_path)
    (file,) = (tmp_path / "results").glob("*/main/*/env")
    lines = file.read_text("utf-8").splitlines()
    assert "API_KEY=key-of-a-test" in lines
    assert "N=1 2" in lines
    assert not any(line.startswith("ANOTHER_KEY") for line in lines)


def test_a_job_gets_the_devices_and_cores_that_it_asked_for(cluster: SlurmCluster, tmp_path: Path) -> None:
    code = (
        "import os, sys; e = os.environ; "
        "open(sys.argv[1] + '/got', 'w').write(e['CUDA_VISIBLE_DEVICES'] + ' ' + e['SLURM_CPUS_PER_TASK'])"
    )
    resources = {"gpus": 2, "cpu": 3, "memory_mib": 512}
    follow(
        "slurm",
        SlurmDriver(),
        a_job(tmp_path, argv=[sys.executable, "-c", code, "{out}"], resources=resources),
        tmp_path,
    )
    (file,) = (tmp_path / "results").glob("*/main/*/got")
    assert file.read_text("utf-8") == "0,1 3"


def test_a_command_that_fails_fails_the_job_and_leaves_its_part(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    argv = ["hexgate", "run", "--indicator", "accuracy_f1", "--model", "/no/model", "--out", "{out}/a.json"]
    _, status = follow("slurm", SlurmDriver(), a_job(tmp_path, argv=argv), tmp_path)
    assert status == Status(JobState.FAILED, "FAILED", "NonZeroExitCode, exit code 2")
    assert [manifest["exit_code"] for manifest in manifests(tmp_path)] == [2]


DEFECTS = {
    "partition": ("--partition=gate", "--partition=nowhere", "invalid partition"),
    "memory": ("--mem=512M", "--mem=99999G", "not available"),
    "GPUs that it has not": ("--no-requeue", "--no-requeue\n#SBATCH --gpus=9", "not available"),
    "a type of GPU that it has not": ("--no-requeue", "--no-requeue\n#SBATCH --gpus=h100:1", "not available"),
    "pyxis in the header": (
        "--no-requeue",
        "--no-requeue\n#SBATCH --container-image=a#b",
        "unrecognized option",
    ),
    # sbatch itself takes this one.
    "longer than the partition allows": ("--time=10", "--time=61", "got 61 minutes, expected at most 60"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_the_cluster_refuses_without_starting_anything(
    cluster: SlurmCluster, tmp_path: Path, name: str
) -> None:
    before, after, problem = DEFECTS[name]
    run_id = new_run_id()
    script = Slurm().render(a_job(tmp_path, run_id=run_id))[FILE]
    assert before in script
    assert Slurm().dry_run({FILE: script}).findings == ()
    (finding,) = Slurm().dry_run({FILE: script.replace(before, after)}).findings
    assert re.search(problem, finding.problem), finding
    assert SlurmDriver().find(run_id) is None
