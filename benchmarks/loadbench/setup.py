"""What all goals share: where things lie, which cores, and one way to measure a command against a server."""

from __future__ import annotations

import itertools
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadbench.machine import Ran, run
from loadbench.results import Figures
from loadbench.server import Log, Server, serving

__all__ = ["Command", "Measured", "Setup", "features", "prompts"]

Command = Callable[[Server, Path], Sequence[str]]
"""Makes a command line for a server, and a folder to write in."""


@dataclass
class Measured:
    """One command against one server."""

    ran: Ran
    log: Log
    folder: Path
    """Where the command ran."""

    def figures(self) -> Figures:
        """What is shown of every client: rates by the server's clock, and what the client used."""
        begin_ns, end_ns = self.log.span_ns
        used_s = self.ran.cpu_between(begin_ns, end_ns)
        answered = len(self.log.answered)
        rate = self.log.replies_per_s()
        return {
            "requests/s": rate,
            "events/s": rate * float(self.log.answered["tokens"].mean()),
            "cores used": used_s / ((end_ns - begin_ns) / 1e9),
            "CPU ms/request": self.ran.cpu_s / answered * 1e3,
            "CPU ms/request, loading": used_s / answered * 1e3,
            "peak MB": max(self.ran.peak_mb, self.ran.peak_tree_mb),
            "wall s": self.ran.wall_s,
            "server late ms": float(self.log.facts["late_max_ms"]),
        }


@dataclass
class Setup:
    """How this call measures."""

    runs: int
    """Interleaved rounds."""
    quick: bool
    """One short round, to see that everything works."""
    scratch: Path
    """Whatever is written, less the results."""
    cache: Path
    """The peers' environments."""
    server: Path
    """The program."""
    server_core: int
    client_core: int
    hexgate: list[str]
    """The command under test."""
    peers: frozenset[str] | None
    """Which may take part; None: all."""
    say: Callable[[str], None]
    """Tells how far it is."""
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def size(self, full: int, quick: int) -> int:
        """An amount."""
        return quick if self.quick else full

    def folder(self, what: str) -> Path:
        """A new empty folder."""
        path = self.scratch / "runs" / f"{next(self._numbers):05d}-{what}"
        path.mkdir(parents=True)
        return path

    def measure(
        self,
        what: str,
        server_options: Sequence[str],
        command: Command,
        *,
        both: bool = False,
        accepted: Sequence[int] = (0,),
        every_s: float = 0.1,
        env: dict[str, str] | None = None,
    ) -> Measured:
        """Run one command on the client's core (or on both) against a new server on the server's core.

        Raises:
            RuntimeError: if the command leaves with another code than those accepted.
        """
        folder = self.folder(what)
        cores = [self.server_core, self.client_core] if both else [self.client_core]
        with serving(self.server, cores=[self.server_core], options=server_options) as server:
            made = command(server, folder)
            ran = run(made, cores=cores, folder=folder, every_s=every_s, env=env)
        if ran.returncode not in accepted:
            raise RuntimeError(f"exit code {ran.returncode} of {' '.join(ran.command)}\n{ran.output}")
        return Measured(ran, server.log, folder)

    def machine(self) -> dict[str, Any]:
        """What the figures were measured on."""
        try:
            cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
            model = next(
                line.partition(":")[2].strip()
                for line in cpuinfo.splitlines()
                if line.startswith("model name")
            )
        except (OSError, StopIteration):
            model = platform.machine()
        version = subprocess.run([*self.hexgate, "--version"], capture_output=True, text=True, check=False)
        return {
            "cpu": model,
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "python": sys.version.split()[0],
            "hexgate": version.stdout.strip(),
            "load_before": os.getloadavg(),
            "runs": self.runs,
            "quick": self.quick,
        }


def prompts(scratch: Path) -> Path:
    """1,000 short prompts, all different, as JSON Lines."""
    path = scratch / "prompts.jsonl"
    if not path.exists():
        lines = (json.dumps({"prompt": f"How do I cook fried rice for {n} guests?"}) for n in range(1000))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def features(scratch: Path) -> Path:
    """1,000 rows of four numbers, all different, as JSON Lines."""
    path = scratch / "features.jsonl"
    if not path.exists():
        lines = (json.dumps({"features": [n / 8, 1.0, 2.5, -0.5], "label": n % 4}) for n in range(1000))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
