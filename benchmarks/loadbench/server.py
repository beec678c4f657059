"""The server that every contender is measured against: built from server.c, run on its own core, its log read back."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ROW", "Log", "Server", "build", "serving"]

ROW = np.dtype(
    [(name, "<i8") for name in ("arrived_ns", "read_ns", "first_ns", "last_ns", "tokens", "streamed")]
)
"""What the server logs of each POST; stamps on CLOCK_MONOTONIC, 0 for never. See server.c."""


@dataclass(frozen=True)
class Log:
    """What the server saw of one run."""

    rows: NDArray[np.void]
    """(n,) of ROW in order of arrival."""
    facts: dict[str, Any]
    """connections, in_flight_max, cpu_s, late_max_ms, stalled_from_ns, stalled_to_ns."""

    @property
    def answered(self) -> NDArray[np.void]:
        """The requests whose reply was written to its end."""
        done: NDArray[np.void] = self.rows[self.rows["last_ns"] > 0]
        return done

    def replies_per_s(self) -> float:
        """Replies per second between the 5th and the 95th percentile of their ends: neither start nor end of a run."""
        ends = np.sort(self.answered["last_ns"])
        if len(ends) < 2:
            raise RuntimeError("the server wrote fewer than two whole replies")
        low, high = (round(share * (len(ends) - 1)) for share in (0.05, 0.95))
        return float((high - low) / ((ends[high] - ends[low]) / 1e9))

    @property
    def span_ns(self) -> tuple[int, int]:
        """From the first request to the end of the last reply."""
        return int(self.rows["arrived_ns"].min()), int(self.answered["last_ns"].max())


class Server:
    """A server that runs; its log is there when it has ended."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._log: Log | None = None

    @property
    def url(self) -> str:
        """Its base, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Log:
        """What it saw."""
        if self._log is None:
            raise RuntimeError("the server still runs")
        return self._log

    def ended(self, log: Log) -> None:
        """It has ended, and left this."""
        self._log = log


def build(scratch: Path) -> Path:
    """Compile the server into `scratch`.

    Raises:
        RuntimeError: if there is no compiler, or it refuses.
    """
    program, source = scratch / "server", Path(__file__).with_name("server.c")
    try:
        subprocess.run(["gcc", "-O2", "-o", program, source], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise RuntimeError("gcc is needed to build the benchmarks' server") from None
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"gcc refused {source.name}:\n{error.stderr}") from None
    return program


@contextmanager
def serving(program: Path, *, cores: Sequence[int], options: Sequence[str]) -> Iterator[Server]:
    """A server with `options` on `cores`, until the block is left."""
    with tempfile.TemporaryDirectory(dir=program.parent) as folder:
        path = Path(folder) / "log"
        command = ["taskset", "-c", ",".join(map(str, cores)), str(program), "--log", str(path), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            server = Server(int(process.stdout.readline()))  # type: ignore[union-attr]
            yield server
        finally:
            process.terminate()
            facts, _ = process.communicate()
        server.ended(Log(np.fromfile(path, dtype=ROW), json.loads(facts)))
