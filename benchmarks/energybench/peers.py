"""Other energy meters, each in an environment of its own, installed for the comparison only."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadbench.results import Skip

__all__ = ["PEERS", "Peer", "Running", "installed", "started", "version"]

INSTALL_S = 600.0
READER = Path(__file__).with_name("reader.py")


@dataclass(frozen=True)
class Peer:
    """One other meter."""

    requirement: str
    """What pip installs."""
    env: Mapping[str, str]
    """Variables of its own."""


PEERS = {
    # Its wheel puts folders named tests, docs and examples beside its package.
    "zeus": Peer("zeus", {}),
    "codecarbon": Peer(
        "codecarbon",
        {
            "CODECARBON_TELEMETRY_LEVEL": "disabled",
            "CODECARBON_TELEMETRY_API_URL": "http://127.0.0.1:9",
            "DO_NOT_TRACK": "1",
        },
    ),
}


def installed(name: str, cache: Path, say: Callable[[str], None]) -> Path:
    """The Python of a peer's environment, made first where there is none.

    Raises:
        Skip: if it cannot be installed.
    """
    peer, folder = PEERS[name], cache / name
    python, done, failed = folder / "bin" / "python", folder / "installed", folder / "failed"
    if failed.exists():
        raise Skip(failed.read_text(encoding="utf-8"))
    if done.exists():
        return python
    uv = shutil.which("uv")
    if uv is None:
        raise Skip("uv is needed to install peers")
    say(f"  installing {peer.requirement} into {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        for command in (
            [uv, "venv", "--quiet", "--python", "3.11", str(folder)],
            [uv, "pip", "install", "--quiet", "--python", str(python), peer.requirement],
        ):
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        last = (error.stderr or b"").decode("utf-8", "replace").strip().splitlines()[-1:]
        reason = f"not installed: {last[0] if last else type(error).__name__}"
        folder.mkdir(parents=True, exist_ok=True)
        failed.write_text(reason, encoding="utf-8")
        raise Skip(reason) from None
    done.touch()
    return python


def version(name: str, cache: Path) -> str | None:
    """The version that is installed."""
    found = list((cache / name).glob(f"lib/python*/site-packages/{PEERS[name].requirement}-*.dist-info"))
    return found[0].name.removesuffix(".dist-info").split("-")[1] if found else None


@dataclass(frozen=True)
class Running:
    """A peer that works on its plan."""

    process: subprocess.Popen[bytes]
    results: Path
    output: Path

    @property
    def is_waited_for(self) -> bool:
        """Whether it still gets ready."""
        return self.process.poll() is None and not self.results.with_name("READY").exists()

    def ended(self, timeout_s: float) -> list[dict[str, Any]]:
        """What it measured.

        Raises:
            Skip: if it failed, or does not end.
        """
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Skip("it did not come to its end") from None
        if code != 0:
            last = self.output.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise Skip(f"exit code {code}: {last[0] if last else 'it said nothing'}")
        found: list[dict[str, Any]] = json.loads(self.results.read_text(encoding="utf-8"))
        return found


def started(
    name: str, python: Path, plan: Sequence[Mapping[str, int]], folder: Path, env: Mapping[str, str]
) -> Running:
    """Start a peer's reader on a plan, in a folder of its own."""
    folder.mkdir(parents=True)
    # CodeCarbon looks for NVML only where it can call this program.
    smi = folder / "nvidia-smi"
    smi.write_text("#!/bin/sh\nexit 0\n", encoding="ascii")
    smi.chmod(0o755)
    (folder / "plan.json").write_text(json.dumps(list(plan)), encoding="utf-8")
    path = os.pathsep.join([str(folder), os.environ.get("PATH", "")])
    command = [str(python), "-P", str(READER), name, str(folder / "plan.json"), str(folder / "results.json")]
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**inherited, **PEERS[name].env, **env, "PATH": path},
        )
    return Running(process, folder / "results.json", folder / "output.txt")
