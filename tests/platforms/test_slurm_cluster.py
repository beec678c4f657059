"""Jobs on a real Slurm of one node: arrays, failures, time limits, cancelled and forgotten jobs, and a dry run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from hexgate.contract.provenance import new_run_id
from hexgate.errors import PlatformFailed
from hexgate.gate.verdict import Verdict
from hexgate.platforms.base import JobState, Status
from hexgate.platforms.collect import Expected, collect_run
from hexgate.platforms.slurm import Slurm
from hexgate.platforms.slurm_driver import SlurmDriver
from hexgate.platforms.slurm_script import FILE
from hexgate.platforms.spec import JobSpec
from hexgate.stores.registry import open_store
from support.lifecycle import carry, demo_spec, follow
from support.slurm_cluster import SlurmCluster
from support.starved import StarvedError, again_where_starved, starved_shards

pytestmark = pytest.mark.infra

ON_THE_NODE = {"slurm": {"container": "none", "partition": "gate"}}
SMALL = {"cpu": 1, "memory_mib": 512}
_DEADLINE_S = 120


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[SlurmCluster]:
    with SlurmCluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlurmCluster:
    """The cluster as a login node has it; jobs are submitted from a folder of their own."""
    monkeypatch.setenv("SLURM_CONF", str(shared_cluster.conf))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.delenv("HEXGATE_RUN_ID", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    return shared_cluster


def a_job(tmp_path: Path, **keys: Any) -> JobSpec:
    given = {"platform": ON_THE_NODE, "resources": SMALL} | keys
    return demo_spec((tmp_path / "results").as_uri(), output_path="/output", **given)


def until(there: Callable[[], Any]) -> Any:
    """What a call gives once it gives something."""
    end = time.monotonic() + _DEADLINE_S
    while not (found := there()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def ended(native_id: str) -> Status:
    """The job's last state."""

    def look() -> Status | None:
        status = SlurmDriver().status(native_id)
        return status if status.state.ended else None

    found = until(look)
    assert isinstance(found, Status)
    return found


def manifests(tmp_path: Path) -> list[dict[str, Any]]:
    files = sorted((tmp_path / "results").glob("*/*/*/manifest.json"))
    return [json.loads(file.read_text("utf-8")) for file in files]


def hexgate(*arguments: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "hexgate", *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def endpoint() -> Iterator[str]:
    """The embedded models behind HTTP."""
    argv = [sys.executable, "-m", "hexgate", "serve", "--port", "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


def load_spec(tmp_path: Path, **keys: Any) -> Path:
    """A spec file: one load, by two generators."""
    argv = [
        "hexgate",
        "load",
        # In the job's own process: two loads on a server beside them leave a small machine no room to measure.
        "demo:",
        "--mode",
        "scores",
        "--rate",
        "100",
        "--duration",
        "4",
        "--warmup",
        "4",
    ]
    given = {"shards": 2, "indicator": ["latency_p99", "throughput_rps"], "name": "load"} | keys
    (tmp_path / "results").mkdir(exist_ok=True)
    spec = a_job(tmp_path, argv=[*argv, "--quiet", "--out", "{out}"], **given)
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump(spec.to_json()), encoding="utf-8")
    return file


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
        {"indicator": "latency_p99", "measure": "p99_ms", "at_most": 10000},
    ]
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump({"version": 1, "name": "load", "rules": rules}), encoding="utf-8")
    judged = hexgate("gate", dest, tmp_path / "merged", "--policy", policy)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    jobs = {manifest["platform_job_id"] for manifest in manifests(tmp_path)}
    assert len(jobs) == 1
    assert {manifest["shard"]["index"] for manifest in manifests(tmp_path)} == {0, 1}


def whole_or_starved(submitted: subprocess.CompletedProcess[str], dest: Path) -> None:
    """Both parts are here; a shard that a busy machine has starved is rightly invalid, which fails its job.

    Raises:
        StarvedError: if one was.
    """
    collected = json.loads((dest / "collected.json").read_text("utf-8"))
    assert [part["state"] for part in collected["parts"]] == ["found", "found"], submitted.stderr
    if starved := starved_shards(dest):
        assert submitted.returncode == 5, submitted.stderr
        raise StarvedError(starved)


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


STUBBORN = """
import os, signal, sys, time
def stop(*_):
    # Slurm may tell a process twice: by itself, and through what started it.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(sys.argv[1] + "/stopped", "w") as file:
        file.write("partial")
    os._exit(130)
signal.signal(signal.SIGTERM, stop)
open(sys.argv[2], "w").close()
while True:
    time.sleep(0.1)
"""


def waiting(tmp_path: Path, **keys: Any) -> JobSpec:
    """A job that measures until it is told to stop, and then leaves what it has."""
    return a_job(tmp_path, argv=[sys.executable, "-c", STUBBORN, "{out}", str(tmp_path / "up")], **keys)


def test_a_time_limit_leaves_what_was_measured(cluster: SlurmCluster, tmp_path: Path) -> None:
    """The limit's warning comes at most 90 s before its end: with two minutes, within the first minute."""
    script = Slurm().render(waiting(tmp_path, run_id=new_run_id()))[FILE]
    (tmp_path / FILE).write_text(script, encoding="utf-8")
    native_id = cluster.ask("sbatch", "--parsable", "--time=2", FILE)
    assert ended(native_id).state is JobState.FAILED
    (manifest,) = manifests(tmp_path)
    assert (manifest["exit_code"], [file["path"] for file in manifest["files"]]) == (130, ["stopped"])


def test_a_signal_to_one_task_leaves_the_others_alone(cluster: SlurmCluster, tmp_path: Path) -> None:
    """The last task of an array has the array's own id."""
    code = STUBBORN.replace("sys.argv[2]", "sys.argv[2] + __import__('os').environ['HEXGATE_SHARD'][0]")
    spec = a_job(
        tmp_path,
        argv=[sys.executable, "-c", code, "{out}", str(tmp_path / "up")],
        shards=2,
        run_id=new_run_id(),
    )
    native_id = SlurmDriver().submit(spec)
    until(lambda: (tmp_path / "up0").exists() and (tmp_path / "up1").exists())
    for index in (1, 0):
        cluster.ask("scancel", "--signal=TERM", "--batch", f"{native_id}_{index}")
        until(lambda index=index: list((tmp_path / "results").glob(f"*/shard-{index}-of-2/*/manifest.json")))  # type: ignore[misc]
        if index:
            assert SlurmDriver().status(native_id).state is JobState.RUNNING
            assert len(manifests(tmp_path)) == 1
    assert ended(native_id).state is JobState.FAILED


def test_a_cancelled_job_leaves_what_was_measured(
    cluster: SlurmCluster, tmp_path: Path, endpoint: str
) -> None:
    """A real measurement: its artifact is partial, and says so."""
    argv = ["hexgate", "load", f"{endpoint}/predict", "--concurrency", "1", "--duration", "300", "--quiet"]
    spec = a_job(tmp_path, argv=[*argv, "--metrics-port", "0", "--out", "{out}"], run_id=new_run_id())
    native_id = SlurmDriver().submit(spec)
    metrics = until(lambda: _address(native_id))
    until(lambda: re.search(r"latency_seconds_count [1-9][0-9]{2}", _read(metrics)))
    SlurmDriver().cancel(native_id)
    assert ended(native_id).state is JobState.CANCELLED
    (file,) = until(lambda: list((tmp_path / "results").glob("*/main/*/latency_p99.json")))
    until(lambda: manifests(tmp_path))
    assert json.loads(file.read_text("utf-8"))["status"] == "partial"
    SlurmDriver().cancel(native_id)


def _address(native_id: str) -> str | None:
    """Where the job shows its live metrics, once its log says so."""
    if SlurmDriver().status(native_id).state is not JobState.RUNNING:
        return None
    said = re.search(r"^metrics: (\S+)$", "\n".join(SlurmDriver().logs(native_id)), re.MULTILINE)
    return said[1] if said else None


def _read(address: str) -> str:
    with urlopen(address, timeout=_DEADLINE_S) as answer:  # noqa: S310 - on loopback
        return str(answer.read(), "utf-8")


def test_a_job_that_may_never_start_says_why_and_is_cancelled(cluster: SlurmCluster, tmp_path: Path) -> None:
    spec = waiting(tmp_path, run_id=new_run_id(), timeout_s=7200)
    native_id = SlurmDriver().submit(spec)
    status = until(lambda: _with_reason(native_id))
    assert status == Status(JobState.PENDING, "PENDING", "PartitionConfig")
    SlurmDriver().cancel(native_id)
    assert ended(native_id).state is JobState.CANCELLED


def _with_reason(native_id: str) -> Status | None:
    status = SlurmDriver().status(native_id)
    return status if status.reason != "None" and status.reason else None


def test_a_forgotten_job_is_lost_and_its_parts_are_not(cluster: SlurmCluster, tmp_path: Path) -> None:
    handle, _ = follow("slurm", SlurmDriver(), a_job(tmp_path), tmp_path)
    native_id = str(handle.native_id)
    cluster.forget()
    assert SlurmDriver().status(native_id).native == "lost"
    assert SlurmDriver().find(handle.run_id) is None
    with pytest.raises(PlatformFailed, match="where the logs are"):
        list(SlurmDriver().logs(native_id))
    store = open_store(str(tmp_path / "results"))
    assert collect_run(store, Expected(handle.run_id, ("main",)), tmp_path / "collected").whole


@again_where_starved
def test_a_submit_that_is_killed_takes_its_job_up_again(cluster: SlurmCluster, tmp_path: Path) -> None:
    spec = load_spec(tmp_path)
    dest = tmp_path / "collected"
    arguments = ["platforms", "submit", str(spec), "--platform", "slurm", "--wait", "--poll-s", "0.2"]
    arguments += ["--collect", str(dest), "--handle", str(tmp_path / "handle.json")]
    with subprocess.Popen([sys.executable, "-m", "hexgate", *arguments], stdout=subprocess.DEVNULL) as first:
        handle = until(lambda: _submitted(tmp_path / "handle.json"))
        first.send_signal(signal.SIGKILL)
    again = hexgate(*arguments)
    assert "taken up again" in again.stderr
    assert _submitted(tmp_path / "handle.json")["native_id"] == handle["native_id"]
    assert len({manifest["platform_job_id"] for manifest in manifests(tmp_path)}) == 1
    whole_or_starved(again, dest)
    assert again.returncode == 0, again.stderr


def _submitted(path: Path) -> dict[str, Any]:
    handle: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return handle if handle.get("native_id") else {}


def test_a_controller_that_is_away_is_no_end_of_a_job(cluster: SlurmCluster, tmp_path: Path) -> None:
    native_id = SlurmDriver().submit(waiting(tmp_path, run_id=new_run_id()))
    until((tmp_path / "up").exists)
    cluster.stop_controller()
    try:
        with pytest.raises(PlatformFailed):
            SlurmDriver().status(native_id)
        checked = Slurm().dry_run(Slurm().render(waiting(tmp_path)))
        assert (checked.findings, checked.skipped is not None) == ((), True)
    finally:
        cluster.start_controller()
    assert SlurmDriver().status(native_id).state is JobState.RUNNING
    SlurmDriver().cancel(native_id)
    assert ended(native_id).state is JobState.CANCELLED


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
