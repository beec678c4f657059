"""hexgate itself: the commands that the goals run, and the evidence that a run leaves, read without hexgate's code."""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadbench.server import Server
from loadbench.setup import Command, Setup, features, prompts

__all__ = ["ACCEPTED", "OK", "Evidence", "chat", "predict", "report"]

_STAMP = re.compile(r"t(\d{18}) ")
OK = 0
"""The outcome of a good request."""
ACCEPTED = (0, 1, 4, 5)
"""Exit codes with artifacts in the folder: also of a run that calls itself incomplete or invalid."""


def chat(setup: Setup, *options: str, workers: int = 1, tokens: int = 64) -> Command:
    """Streamed chat completions; the artifacts and their evidence alone."""
    return _load(
        setup, "/v1", prompts, workers, "--model", "m", "--max-tokens", str(tokens), "--no-exports", *options
    )


def predict(setup: Setup, *options: str, workers: int = 1, exports: bool = False) -> Command:
    """Small JSON requests and replies, not streamed; with the tables and the report, or without."""
    common = ["--dialect", "predict", *([] if exports else ["--no-exports"])]
    return _load(setup, "/predict", features, workers, *common, *options)


def _load(setup: Setup, path: str, data: Callable[[Path], Path], workers: int, *options: str) -> Command:
    def command(server: Server, folder: Path) -> list[str]:
        common = [
            "--data",
            str(data(setup.scratch)),
            "--workers",
            str(workers),
            "--out",
            str(folder / "out"),
            "--quiet",
        ]
        return [*setup.hexgate, "load", f"{server.url}{path}", *options, *common]

    return command


def report(folder: Path, page: Path) -> list[str]:
    """The command that makes the HTML report of the load in a folder: the function that `hexgate load` ends with."""
    script = "import sys; from pathlib import Path; from hexgate.cli.load_outputs import write_load_report as write; "
    return [sys.executable, "-c", script + "write(*map(Path, sys.argv[1:]))", str(folder), str(page)]


class Evidence:
    """What one run left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "out"
        self.artifact = self._json(self.folder / "latency_p99.json")

    @staticmethod
    def _json(path: Path) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(path.read_bytes())
        return loaded

    def path(self, name: str) -> Path:
        """The file of one piece of evidence."""
        return self.folder / str(self.artifact["evidence"][name]["path"])

    def sha256(self, name: str) -> str:
        """The digest that the artifact names."""
        return str(self.artifact["evidence"][name]["sha256"])

    @cached_property
    def run(self) -> dict[str, Any]:
        """The document `run`."""
        return self._json(self.path("run"))

    @cached_property
    def rows(self) -> NDArray[np.void]:
        """One row a request, in order of index; stamps in ns from the run's start, -1 for never."""
        path = self.path("requests")
        if path.suffix == ".gz":
            with gzip.open(path) as file:
                return np.load(file)  # type: ignore[no-any-return]
        return np.load(path)  # type: ignore[no-any-return]

    @property
    def timed(self) -> NDArray[np.void]:
        """The rows that are not warm-up."""
        rows: NDArray[np.void] = self.rows[~self.rows["warmup"]]
        return rows

    def streams(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Of each request in order of index: the server's stamps of its events, and ours, ns on CLOCK_MONOTONIC."""
        start_ns = int(self.run["started_ns"])
        with self.path("replies").open(encoding="utf-8") as file:
            replies = [json.loads(line) for line in file]
        return [
            (
                np.array(_STAMP.findall(reply["text"] or ""), dtype=np.int64),
                np.array(reply["token_ns"], dtype=np.int64) + start_ns,
            )
            for reply in replies
        ]

    def errors_ms(self) -> dict[str, NDArray[np.float64]]:
        """Our stamps less the server's, of the first event and of the end; for gaps the size of the difference.

        Of each timed request with a whole reply, in order of index; `gap` of each gap of these.
        """
        start_ns = int(self.run["started_ns"])
        kept = [
            (row, theirs, ours)
            for row, (theirs, ours) in zip(self.rows, self.streams(), strict=True)
            if row["outcome"] == OK and not row["warmup"] and len(theirs) > 1
        ]
        rows = np.array([row for row, _, _ in kept], dtype=self.rows.dtype)
        first, last = (np.array([theirs[at] for _, theirs, _ in kept]) for at in (0, -1))
        gaps = [np.abs(np.diff(ours) - np.diff(theirs)) for _, theirs, ours in kept]
        errors = {
            "TTFT": rows["first_token_ns"] + start_ns - first,
            "end": rows["end_ns"] + start_ns - last,
            "gap": np.concatenate(gaps),
            "longest gap": np.array([one.max() for one in gaps]),
        }
        return {name: values / 1e6 for name, values in errors.items()}
