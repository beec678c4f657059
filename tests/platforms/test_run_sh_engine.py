"""run.sh on a real Docker engine and the real CPU image, without a GPU: to collected, judged artifacts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hexgate.contract.artifact import read_artifact
from hexgate.gate.verdict import Verdict
from hexgate.platforms import platform
from hexgate.platforms.base import JobState
from hexgate.platforms.collect import Expected, collect_run
from hexgate.stores.registry import open_store
from support.docker_engine import Engine
from support.lifecycle import carry, demo_spec
from support.measuring import DIGITS, HELD_OUT
from support.node_stubs import RUN_ID

pytestmark = pytest.mark.infra
ENDLESS = [
    *("hexgate", "run", "--indicator", "throughput_rps", "--model", "demo:", "--data", "demo:"),
    *("--duration-s", "3000", "--out", "{out}"),
]


@pytest.fixture
def place(
    tmp_path: Path, docker_engine: Engine, cpu_image: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A folder with run.sh of a DGX for the real image."""
    for name, value in docker_engine.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HEXGATE_STATE_DIR", str(tmp_path / "state"))
    spec = demo_spec(
        (tmp_path / "out").as_uri(), output_path="/output", image={"ref": cpu_image}, resources={"cpu": 1}
    )
    script = tmp_path / "run.sh"
    script.write_text(platform("dgx").render(spec)["run.sh"], "utf-8")
    script.chmod(0o755)
    yield tmp_path
    assert docker_engine.docker("ps", "--all", "--quiet").out == ""


def run(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(place / "run.sh"), "--run-id", RUN_ID, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def collected(place: Path, *parts: str) -> Path:
    store = open_store((place / "out").as_uri())
    found = collect_run(store, Expected(RUN_ID, parts), place / "collected")
    assert found.whole, found
    return place / "collected"


def test_a_model_on_this_machine_is_measured_in_a_container_without_a_network(
    place: Path, cpu_image: str
) -> None:
    models = place / "my models"
    models.mkdir()
    shutil.copy(DIGITS, models)
    card = json.loads(DIGITS.with_name("card.json").read_text("utf-8"))
    # Its text model and prompts lie beside the folder, where the container does not see it.
    del card["generator"], card["prompts"]
    (models / "card.json").write_text(json.dumps(card), "utf-8")
    done = run(
        place, "--model", str(models / DIGITS.name), "--data", str(HELD_OUT), "--governor", "performance"
    )
    assert done.returncode == 0, done.stderr
    [path] = collected(place, "main").rglob("accuracy_f1.json")
    artifact = read_artifact(path)
    assert artifact.evidence_mistakes() == []
    environment: dict[str, Any] = artifact.data["environment"]
    assert artifact.data["run_id"] == RUN_ID
    assert environment["container_image"] == cpu_image
    assert artifact.data["provenance"]["platform_job_id"] == f"hexgate-{RUN_ID}"
    observed = environment["observed"]
    assert observed["asked"]["governor"] == "performance"
    assert observed["samples"] == 0
    assert observed["missing"]["sm_clock_mhz"] == "there is no nvidia-smi on this machine"
    assert observed["locked"]["governor"]["locked"] in {True, False}


def test_sigterm_leaves_a_partial_part_and_the_jobs_own_exit_code(place: Path) -> None:
    process = subprocess.Popen(
        [str(place / "run.sh"), "--run-id", RUN_ID, "--", *ENDLESS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list((place / "out").glob(f"{RUN_ID}/.ready/*")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode in {130, 143}, err
    [manifest] = (place / "out" / RUN_ID / "main").glob("*/manifest.json")
    assert json.loads(manifest.read_text("utf-8"))["exit_code"] == process.returncode


def test_the_timeout_ends_the_job_and_says_so(place: Path) -> None:
    done = run(place, "--timeout-s", "4", "--", *ENDLESS)
    assert done.returncode == 124, done.stderr
    assert "--timeout-s gives it more" in done.stderr


def test_the_true_error_of_an_engine_without_nvidias_runtime(place: Path) -> None:
    if (Path("/usr/bin/nvidia-smi")).exists():
        pytest.skip("this machine has a GPU")
    stub = place / "bin"
    stub.mkdir()
    (stub / "nvidia-smi").write_text("#!/bin/sh\n# A stub, not the real nvidia-smi.\nexit 9\n", "utf-8")
    (stub / "nvidia-smi").chmod(0o755)
    done = subprocess.run(
        [str(place / "run.sh"), "--run-id", RUN_ID, "--gpus", "0", "--numa", "off"],
        env=dict(os.environ) | {"PATH": f"{stub}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 125
    assert "could not select device driver" in done.stderr


@pytest.mark.parametrize("shards", [1, 2])
def test_the_driver_carries_a_job_on_the_real_engine(
    place: Path, docker_engine: Engine, cpu_image: str, shards: int
) -> None:
    out = place / "driver-out"
    out.mkdir()
    spec = demo_spec(
        out.as_uri(),
        output_path="/output",
        image={"ref": cpu_image},
        resources={"cpu": 1},
        **({"shards": shards, "argv": _noted_shard()} if shards > 1 else {}),
    )
    driver = platform("dgx").driver(spec)
    if shards == 1:
        carried = carry("dgx", driver, spec, place)
        assert carried.status.state is JobState.SUCCEEDED
        assert carried.verdict.verdict is Verdict.PASS
    else:
        started = spec.with_run_id(RUN_ID)
        native = driver.submit(started)
        deadline = time.monotonic() + 120
        while not (status := driver.status(native)).state.ended:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert status.state is JobState.SUCCEEDED, list(driver.logs(native))
        store = open_store(out.as_uri())
        found = collect_run(store, Expected(RUN_ID, started.parts), place / "collected")
        assert found.whole
        noted = {path.read_text("utf-8").strip() for path in (place / "collected").rglob("shard.txt")}
        assert noted == {"0/2", "1/2"}
    names = docker_engine.docker("ps", "--all", "--format", "{{.Names}}").out.split()
    assert len(names) == shards
    docker_engine.docker("rm", "--force", *names)


def _noted_shard() -> list[str]:
    return ["sh", "-c", 'mkdir -p "$1" && echo "$HEXGATE_SHARD" >"$1/shard.txt"', "sh", "{out}"]
