"""A real Prometheus and a real Pushgateway on loopback, in a folder of the test."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from support.needs import program


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until(holds: Callable[[], Any], what: str, *, seconds: float = 60.0) -> Any:
    """Ask again until something holds, and give it back."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds:g} s: {what}")


@contextmanager
def running(*command: str, ready: str) -> Iterator[str]:
    """A server until the block is left; `ready` answers 200 once it is up."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:

        def up() -> bool:
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            try:
                return httpx.get(ready).status_code == 200
            except httpx.TransportError:
                return False

        until(up, ready)
        yield ready
    finally:
        process.terminate()
        process.communicate(timeout=30)


@contextmanager
def pushgateway() -> Iterator[str]:
    """The address of a Pushgateway."""
    address = f"127.0.0.1:{free_port()}"
    binary = program("prometheus-pushgateway")
    # Debian keeps what was pushed in a file of the system otherwise, for the next one that is started.
    flags = (f"--web.listen-address={address}", "--persistence.file=")
    with running(binary, *flags, ready=f"http://{address}/-/ready"):
        yield f"http://{address}"


@contextmanager
def prometheus(folder: Path, *targets: str, rules: Path | None = None) -> Iterator[str]:
    """The address of a Prometheus that scrapes targets (``host:port``) every second and keeps their own labels."""
    address = f"127.0.0.1:{free_port()}"
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules.resolve())] if rules else [],
        "scrape_configs": [
            {"job_name": "hexgate", "honor_labels": True, "static_configs": [{"targets": list(targets)}]}
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
    command = (
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    )
    with running(*command, ready=f"http://{address}/-/ready"):
        yield f"http://{address}"


def ask(address: str, query: str) -> list[dict[str, Any]]:
    """The samples that a query gives now."""
    answer = httpx.get(f"{address}/api/v1/query", params={"query": query}, timeout=60).json()
    assert answer["status"] == "success", answer
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def firing(address: str) -> set[tuple[str, str]]:
    """The alerts that fire now: name and subject."""
    alerts = httpx.get(f"{address}/api/v1/alerts", timeout=60).json()["data"]["alerts"]
    return {
        (each["labels"]["alertname"], each["labels"].get("subject", ""))
        for each in alerts
        if each["state"] == "firing"
    }
