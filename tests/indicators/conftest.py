"""What the tests of the indicators share: the reference endpoint, and servers that do as a script says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hexgate.contract.artifact import Artifact
from hexgate.reference.endpoint import RunningServer, start_server
from support.measuring import check, measured
from support.scripted import ScriptedServer


@pytest.fixture(scope="session")
def reference() -> Iterator[RunningServer]:
    with start_server() as server:
        yield server


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    servers: list[ScriptedServer] = []

    def start(**parts: Any) -> ScriptedServer:
        servers.append(ScriptedServer(**parts))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def of_digits(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Artifact]:
    """The artifact of one indicator over the digits, measured once with the default options that decide figures."""
    made: dict[str, Artifact] = {}
    slow: dict[str, dict[str, Any]] = {
        "accuracy_f1": {"resamples": 2000},
        "robustness_adv": {"resamples": 2000},
        "latency_p99": {"requests": 1000, "warmup": 50},
    }

    def artifact(name: str) -> Artifact:
        if name not in made:
            folder: Path = tmp_path_factory.mktemp(name)
            measured(name, "demo:", folder, data=None, **slow.get(name, {}))
            made[name] = check(folder / f"{name}.json")
            assert made[name].data["status"] == "complete"
        return made[name]

    return artifact
