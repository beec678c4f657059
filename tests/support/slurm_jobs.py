"""What the tests on a real Slurm of one node share: jobs for it, and what became of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from hexgate.platforms.base import Status
from hexgate.platforms.slurm_driver import SlurmDriver
from hexgate.platforms.spec import JobSpec
from support.lifecycle import demo_spec
from support.starved import StarvedError, starved_shards

ON_THE_NODE = {"slurm": {"container": "none", "partition": "gate"}}
SMALL = {"cpu": 1, "memory_mib": 512}
DEADLINE_S = 120
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


def a_job(tmp_path: Path, **keys: Any) -> JobSpec:
    given = {"platform": ON_THE_NODE, "resources": SMALL} | keys
    return demo_spec((tmp_path / "results").as_uri(), output_path="/output", **given)


def until(there: Callable[[], Any]) -> Any:
    """What a call gives once it gives something."""
    end = time.monotonic() + DEADLINE_S
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


def load_spec(tmp_path: Path, **keys: Any) -> Path:
    """A spec file: one load, by two generators."""
    # In the job's own process: two loads on a server beside them leave a small machine no room to measure.
    argv = [
        "hexgate",
        "load",
        "demo:",
        "--mode",
        "scores",
        "--rate",
        "20",
        "--duration",
        "3",
        "--warmup",
        "4",
    ]
    given = {"shards": 2, "indicator": ["latency_p99", "throughput_rps"], "name": "load"} | keys
    (tmp_path / "results").mkdir(exist_ok=True)
    spec = a_job(tmp_path, argv=[*argv, "--quiet", "--out", "{out}"], **given)
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump(spec.to_json()), encoding="utf-8")
    return file


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


def waiting(tmp_path: Path, **keys: Any) -> JobSpec:
    """A job that measures until it is told to stop, and then leaves what it has."""
    return a_job(tmp_path, argv=[sys.executable, "-c", STUBBORN, "{out}", str(tmp_path / "up")], **keys)
