"""The docker command itself against a fake engine on loopback: what it asks for, and a job's whole life."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError, PlatformFailed
from hexgate.gate.verdict import Verdict
from hexgate.platforms import platform
from hexgate.platforms.base import JobState
from hexgate.platforms.docker_node_argv import Here, docker_options
from hexgate.platforms.spec import JobSpec
from hexgate.stores import retry
from support import needs
from support.fake_docker import FakeDocker
from support.lifecycle import carry, demo_spec, follow
from support.node_stubs import RUN_ID
from support.vendor_server import Fault, Life, Seen

pytestmark = pytest.mark.infra


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    needs.program("docker")
    monkeypatch.setattr(retry.random, "uniform", lambda *_: 0.0)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDocker]:
    with FakeDocker() as server:
        monkeypatch.setenv("DOCKER_HOST", server.host)
        monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
        yield server


def job(folder: Path, name: str = "dgx", **keys: Any) -> JobSpec:
    (folder / "out").mkdir(exist_ok=True)
    return demo_spec((folder / "out").as_uri(), output_path="/output", **keys)


def created(spec: JobSpec, name: str, engine: FakeDocker, here: Here | None = None) -> dict[str, Any]:
    """The body with which the docker command asks for a container."""
    options = docker_options(spec.with_run_id(RUN_ID), name, here or Here("1000:1001"))
    subprocess.run(["docker", "create", *options], check=True, capture_output=True, timeout=60)
    [request] = [seen for seen in engine.seen if seen.path.endswith("/containers/create")]
    return request.json


def test_the_engine_receives_both_devices_and_everything_else_as_meant(
    tmp_path: Path, engine: FakeDocker
) -> None:
    for name in ("models", "data"):
        (tmp_path / name).mkdir()
    mounts = [
        {"name": name, "uri": (tmp_path / name).as_uri(), "path": f"/{name}"} for name in ("models", "data")
    ]
    spec = job(
        tmp_path,
        mounts=mounts,
        resources={"gpus": 2, "cpu": 1.5, "memory_mib": 512},
        env={"LEVEL": "a b=c"},
        secret_env=["TEST_KEY"],
        labels={"team": "vision"},
        platform={"dgx": {"gpus": [2, 5]}},
    )
    os.environ["TEST_KEY"] = "a-value"
    try:
        body = created(spec, "dgx", engine, Here("1000:1001", observed=str(tmp_path)))
    finally:
        del os.environ["TEST_KEY"]
    host = body["HostConfig"]
    [request] = host["DeviceRequests"]
    assert request["DeviceIDs"] == ["2", "5"]
    assert request["Capabilities"] == [["gpu"]]
    binds = {mount["Target"]: (mount["Source"], mount.get("ReadOnly", False)) for mount in host["Mounts"]}
    assert binds == {
        "/models": (str(tmp_path / "models"), True),
        "/data": (str(tmp_path / "data"), True),
        "/output": (str(tmp_path / "out"), False),
        "/observed": (str(tmp_path), True),
    }
    limits = {limit["Name"]: (limit["Soft"], limit["Hard"]) for limit in host["Ulimits"]}
    assert limits == {"memlock": (-1, -1), "stack": (67108864, 67108864)}
    assert (body["User"], host["NetworkMode"], host["IpcMode"]) == ("1000:1001", "none", "host")
    assert (host["ReadonlyRootfs"], host["Tmpfs"], host["Init"]) == (True, {"/tmp": "exec"}, True)  # noqa: S108
    assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges"])
    assert (host["NanoCpus"], host["Memory"], host["Privileged"]) == (1_500_000_000, 512 * 2**20, False)
    assert body["Labels"] == {
        "hexgate.run_id": RUN_ID,
        "hexgate.platform": "dgx",
        "hexgate.shards": "1",
        "team": "vision",
    }
    assert {"LEVEL=a b=c", "TEST_KEY=a-value", f"HEXGATE_RUN_ID={RUN_ID}"} <= set(body["Env"])
    assert body["Cmd"][:5] == ["timeout", "--foreground", "--signal=TERM", "--kill-after=60", "600"]


def test_without_the_inner_quotes_the_engine_would_receive_one_device(
    engine: FakeDocker, tmp_path: Path
) -> None:
    spec = job(tmp_path, resources={"gpus": 2}).with_run_id(RUN_ID)
    options = docker_options(spec, "dgx", Here("1:1"))
    options[options.index("--gpus") + 1] = "device=0,1"
    subprocess.run(["docker", "create", *options], check=False, capture_output=True, timeout=60)
    asked = [
        seen.json["HostConfig"]["DeviceRequests"] for seen in engine.seen if seen.path.endswith("/create")
    ]
    assert all(request[0]["DeviceIDs"] == ["0"] for request in asked)


def test_a_jetson_asks_for_the_runtime_and_all_gpus(tmp_path: Path, engine: FakeDocker) -> None:
    host = created(job(tmp_path, resources={"gpus": 1}), "jetson", engine)["HostConfig"]
    assert host["Runtime"] == "nvidia"
    assert host["DeviceRequests"][0]["Count"] == -1


@pytest.mark.parametrize("name", ["dgx", "jetson"])
def test_a_job_from_submit_to_verdict(name: str, tmp_path: Path, engine: FakeDocker) -> None:
    def of(*ends: str) -> Any:
        return lambda seen: seen.path.endswith(ends)

    engine.fail_next(Fault.THROTTLED, Fault.SERVER_ERROR, Fault.UNAVAILABLE, when=of("/containers/json"))
    engine.fail_next(Fault.CUT, Fault.SERVER_ERROR, when=of("/create"))
    engine.fail_next(Fault.UNAVAILABLE, Fault.CUT, when=of("/start"))
    spec = job(tmp_path)
    carried = carry(name, platform(name).driver(spec), spec, tmp_path)
    assert not engine.faults
    assert carried.status.state is JobState.SUCCEEDED
    assert carried.collected.whole
    assert carried.verdict.verdict is Verdict.PASS
    assert list(engine.containers) == [carried.handle.native_id]
    logs = list(platform(name).driver(spec).logs(str(carried.handle.native_id)))
    assert any("part main" in line for line in logs)


def test_two_shards_are_two_containers_of_one_job(tmp_path: Path, engine: FakeDocker) -> None:
    spec = job(tmp_path, shards=2).with_run_id(RUN_ID)
    driver = platform("dgx").driver(spec)
    native = driver.submit(spec)
    assert native == f"hexgate-{RUN_ID}"
    assert list(engine.containers) == [f"{native}-0", f"{native}-1"]
    shards = [_variable(each.body, "HEXGATE_SHARD") for each in engine.containers.values()]
    assert shards == ["0/2", "1/2"]
    assert driver.find(RUN_ID) == native
    assert driver.status(native).state is JobState.RUNNING
    del engine.containers[f"{native}-1"]
    assert driver.find(RUN_ID) is None
    lost = driver.status(native)
    assert (lost.state, lost.native, lost.reason) == (JobState.UNKNOWN, "lost", "1 of 2 containers are there")
    assert driver.submit(spec) == native
    assert len(engine.containers) == 2


def test_a_job_that_fails_and_one_that_is_cancelled(tmp_path: Path, engine: FakeDocker) -> None:
    engine.life = Life.FAILS
    driver = platform("dgx").driver()
    _, status = follow("dgx", driver, job(tmp_path), tmp_path)
    assert (status.state, status.native) == (JobState.FAILED, "exited (3)")
    engine.life = Life.STUCK
    spec = job(tmp_path).with_run_id(RUN_ID)
    native = driver.submit(spec)
    driver.cancel(native)
    driver.cancel(native)
    assert driver.status(native).state is JobState.CANCELLED
    driver.cancel("hexgate-20261121T021952Z-0a1b2c3d")


def test_a_container_that_is_gone_is_lost_and_a_strange_state_is_no_success(
    tmp_path: Path, engine: FakeDocker
) -> None:
    driver = platform("dgx").driver()
    assert driver.status(f"hexgate-{RUN_ID}").native == "lost"
    with pytest.raises(PlatformFailed, match="does not know the job"):
        list(driver.logs(f"hexgate-{RUN_ID}"))
    engine.life = Life.LOST
    with pytest.raises(PlatformFailed):
        follow("dgx", driver, job(tmp_path), tmp_path)
    engine.life = Life.STRANGE
    spec = job(tmp_path).with_run_id("20261121T021952Z-0a1b2c3d")
    native = driver.submit(spec)
    seen = [driver.status(native) for _ in range(3)]
    assert (seen[-1].state, seen[-1].native) == (JobState.UNKNOWN, "hibernating")


@pytest.mark.parametrize(
    ("state", "expected", "reason"),
    [
        ({"Status": "exited", "ExitCode": 124}, JobState.FAILED, "timeout_s"),
        ({"Status": "exited", "ExitCode": 137, "OOMKilled": True}, JobState.FAILED, "memory"),
        ({"Status": "exited", "ExitCode": 137}, JobState.CANCELLED, None),
        ({"Status": "exited", "ExitCode": 1}, JobState.FAILED, None),
        ({"Status": "dead", "ExitCode": 0, "Error": "driver failed"}, JobState.FAILED, "driver failed"),
        ({"Status": "paused"}, JobState.RUNNING, None),
        ({}, JobState.UNKNOWN, None),
    ],
)
def test_every_state_of_a_container_has_its_meaning(
    tmp_path: Path,
    engine: FakeDocker,
    monkeypatch: pytest.MonkeyPatch,
    state: dict[str, Any],
    expected: JobState,
    reason: str | None,
) -> None:
    spec = job(tmp_path).with_run_id(RUN_ID)
    driver = platform("dgx").driver()
    native = driver.submit(spec)
    monkeypatch.setattr("support.fake_docker.Container.state", state)
    status = driver.status(native)
    assert status.state is expected
    assert (status.reason is None) if reason is None else reason in str(status.reason)


def test_an_engine_that_stays_away_or_refuses_is_told_as_it_is(
    tmp_path: Path, engine: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = platform("dgx").driver()
    engine.fail_next(*[Fault.SERVER_ERROR] * 9, when=lambda seen: seen.path.endswith("/containers/json"))
    with pytest.raises(PlatformFailed, match="Internal Server Error: scripted"):
        driver.find(RUN_ID)
    engine.faults.clear()
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(PlatformFailed, match="docker ps failed"):
        driver.status(f"hexgate-{RUN_ID}")


def test_a_secret_that_the_environment_lacks_is_named_before_anything_is_made(
    tmp_path: Path, engine: FakeDocker
) -> None:
    spec = job(tmp_path, secret_env=["NOT_SET_ANYWHERE"]).with_run_id(RUN_ID)
    with pytest.raises(InputError, match="NOT_SET_ANYWHERE"):
        platform("dgx").driver().submit(spec)
    assert engine.containers == {}


def test_the_server_layer_asks_the_engine_and_starts_nothing(
    tmp_path: Path, engine: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    dgx = platform("dgx")
    files = dgx.render(job(tmp_path, resources={"gpus": 1}))
    found = dgx.dry_run(files)
    assert found.skipped is None
    assert [each.path for each in found.findings] == ["run.sh: GPUS", "run.sh: IMAGE"]
    engine.runtimes, engine.images = ("runc", "nvidia"), ("registry.example.com/hexgate:0.1.0",)
    assert dgx.dry_run(files).findings == ()
    assert not any(_changes(seen) for seen in engine.seen)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert dgx.dry_run(files).skipped
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "not installed" in str(dgx.dry_run(files).skipped)


def _changes(seen: Seen) -> bool:
    return seen.method in {"POST", "DELETE", "PUT"}


def _variable(body: dict[str, Any], name: str) -> str:
    [value] = [item.partition("=")[2] for item in body["Env"] if item.partition("=")[0] == name]
    return value
