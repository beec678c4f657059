"""docker/compose.yaml, really brought up: the service becomes healthy, is measured over the network, and is judged."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import needs
from support.docker_engine import IMAGE, Engine
from support.starved import StarvedError, again_where_starved

pytestmark = pytest.mark.infra

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def compose(
    docker_engine: Engine, cpu_image: str, serve_image: str, out: Path
) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run compose on the demo, as the plugin or as the program of its own."""
    plugin = docker_engine.docker("compose", "version", check=False).code == 0
    program = [docker_engine.client, "compose"] if plugin else [needs.program("docker-compose")]
    environment = {"HEXGATE_IMAGE": cpu_image, "HEXGATE_SERVE_IMAGE": serve_image, "HEXGATE_OUT": str(out)}

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program, "--file", str(ROOT / "docker" / "compose.yaml"), "-p", "hexgate-demo", *arguments],
            env=docker_engine.env | environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    yield call
    call("down", "--volumes")


@again_where_starved
def test_the_service_is_measured_over_the_network_and_judged(
    compose: Callable[..., subprocess.CompletedProcess[str]], out: Path, tmp_path: Path
) -> None:
    ended = compose("up", "--no-build", "--exit-code-from", "gate", "--abort-on-container-exit")
    if ended.returncode == 4 and "this machine was too busy to measure" in ended.stdout + ended.stderr:
        compose("down", "--volumes")
        raise StarvedError(ended.stdout + ended.stderr)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    verdict = json.loads((out / "verdict.json").read_text("utf-8"))
    assert verdict["verdict"] == "PASS"
    for name in ("accuracy_f1", "latency_p99", "throughput_rps"):
        artifact = json.loads((out / "artifacts" / f"{name}.json").read_text("utf-8"))
        assert artifact["subject"]["uri"] == "http://endpoint:8000/predict"
        assert artifact["environment"]["container_image"] == IMAGE
    for name in ("report.html", "summary.md", "gate.xml"):
        assert (out / name).stat().st_size > 0
