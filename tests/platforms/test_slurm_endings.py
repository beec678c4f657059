"""How jobs on a real Slurm end otherwise: stopped, cancelled, forgotten, and with a controller that is away."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from hexgate.contract.provenance import new_run_id
from hexgate.errors import PlatformFailed
from hexgate.platforms.base import JobState, Status
from hexgate.platforms.collect import Expected, collect_run
from hexgate.platforms.slurm import Slurm
from hexgate.platforms.slurm_driver import SlurmDriver
from hexgate.platforms.slurm_script import FILE
from hexgate.stores.registry import open_store
from support.lifecycle import follow
from support.slurm_cluster import SlurmCluster
from support.slurm_jobs import (
    DEADLINE_S,
    STUBBORN,
    a_job,
    ended,
    hexgate,
    load_spec,
    manifests,
    until,
    waiting,
    whole_or_starved,
)
from support.starved import again_where_starved

pytestmark = pytest.mark.infra


@pytest.fixture
def endpoint() -> Iterator[str]:
    """The embedded models behind HTTP."""
    argv = [sys.executable, "-m", "hexgate", "serve", "--port", "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


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
    with urlopen(address, timeout=DEADLINE_S) as answer:  # noqa: S310 - on loopback
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


def test_a_controller_that_is_away_is_no_end_of_a_job(
    cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    native_id = SlurmDriver().submit(waiting(tmp_path, run_id=new_run_id()))
    until((tmp_path / "up").exists)
    cluster.stop_controller()
    # Slurm's commands knock once a second for this long, and we call each four times.
    impatient = cluster.conf.with_name("impatient.conf")
    impatient.write_text(f"{cluster.conf.read_text('utf-8')}MessageTimeout=1\n", "utf-8")
    monkeypatch.setenv("SLURM_CONF", str(impatient))
    monkeypatch.setattr("hexgate.stores.retry._LONGEST_WAIT_S", 0.01)
    try:
        with pytest.raises(PlatformFailed):
            SlurmDriver().status(native_id)
        checked = Slurm().dry_run(Slurm().render(waiting(tmp_path)))
        assert (checked.findings, checked.skipped is not None) == ((), True)
    finally:
        monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
        cluster.start_controller()
    assert SlurmDriver().status(native_id).state is JobState.RUNNING
    SlurmDriver().cancel(native_id)
    assert ended(native_id).state is JobState.CANCELLED
