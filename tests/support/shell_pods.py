"""The pods of a fake cloud job: its shell line, run for real, once for each replica."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.vendor_server import FakeJob


@dataclass
class ShellPods:
    """Processes of this machine, each with its own environment, and the container's paths put where a test has them."""

    line: str
    env: Mapping[str, str]
    replicas: Sequence[Mapping[str, str]]
    """What the platform adds to the environment of each replica."""
    paths: Mapping[str, Path]
    """Path in the container to folder on this machine."""
    logs: Path
    """Folder for what they print."""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        if self.processes:
            return
        self.logs.mkdir(parents=True, exist_ok=True)
        line = " ".join(self._placed(word) for word in self.line.split(" "))
        # Of the test's own environment nothing but what a program needs; `hexgate` is the one that is being tested.
        basic = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        basic["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        for index, own in enumerate(self.replicas):
            with (self.logs / f"{index}.log").open("wb") as log:
                self.processes.append(
                    subprocess.Popen(
                        ["/bin/sh", "-c", line],
                        env={**basic, **self.env, **own},
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
                )

    def _placed(self, word: str) -> str:
        for inside, outside in self.paths.items():
            if word == inside or word.startswith(f"{inside}/"):
                return shlex.quote(str(outside) + word[len(inside) :])
        return word

    @property
    def running(self) -> bool:
        return any(process.poll() is None for process in self.processes)

    def finish(self, timeout_s: float = 120) -> int:
        """Wait for all, and return the first exit code that is not 0."""
        return next((code for code in [each.wait(timeout_s) for each in self.processes] if code), 0)

    def printed(self, index: int) -> list[str]:
        log = self.logs / f"{index}.log"
        return log.read_text("utf-8").splitlines() if log.is_file() else []

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        self.finish()


@dataclass
class PodsJob(FakeJob):
    """A job that stays running for as long as its pods do, instead of keeping the fake waiting."""

    def _end(self) -> str:
        if isinstance(self.work, ShellPods) and self.work.running:
            return "running"
        return super()._end()
