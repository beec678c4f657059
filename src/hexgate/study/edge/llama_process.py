"""llama.cpp as a process of the study: found, started with a model, and gone when the model is to be gone."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import hexgate
from hexgate.errors import InputError, MissingExtra
from hexgate.study.edge.gguf_target import Loading
from hexgate.targets.http_client import Failure, HttpClient

__all__ = ["PROGRAM_ENV", "LlamaProcess", "llama_command"]

PROGRAM_ENV = "HEXGATE_LLAMA_SERVER"
"""The environment variable that names llama.cpp's server program."""
_PROGRAM = "llama-server"
_PACKAGE = "xllamacpp"
_ALL_LAYERS = 999
"""More than any model has. What -1 means has changed between versions of llama.cpp."""
_READY_WITHIN_S = 600.0
_LOOK_EVERY_S = 0.05
_END_WITHIN_S = 30.0
_TAIL_BYTES = 2000
_TAIL_LINES = 3


def llama_command(path: Path, port: int, loading: Loading) -> list[str]:
    """The command that serves a model on a loopback port.

    The program that HEXGATE_LLAMA_SERVER names; else ``llama-server`` on the path; else the extra ``llama``.

    Args:
        path: the model's file.
        port: where to listen.
        loading: how to load it.

    Raises:
        InputError: if the program that was named is none.
        MissingExtra: if there is no llama.cpp here.
    """
    layers = _ALL_LAYERS if loading.n_gpu_layers < 0 else loading.n_gpu_layers
    named = os.environ.get(PROGRAM_ENV)
    program = shutil.which(named or _PROGRAM)
    if program is not None:
        threads = [] if loading.threads is None else ["--threads", str(loading.threads)]
        return [
            *(str(Path(program).resolve()), "--model", str(path.resolve())),
            *("--host", "127.0.0.1", "--port", str(port), "--parallel", "1"),
            *("--ctx-size", str(loading.n_ctx), "--n-gpu-layers", str(layers), *threads),
        ]
    if named:
        raise InputError(
            "there is no such program",
            where=PROGRAM_ENV,
            got=named,
            expected="llama.cpp's llama-server",
        )
    if find_spec(_PACKAGE) is None:
        raise MissingExtra("llama", f"a GGUF file, where there is no {_PROGRAM} on the path,")
    task = {
        "path": str(path.resolve()),
        "port": port,
        "n_ctx": loading.n_ctx,
        "n_gpu_layers": layers,
        "threads": loading.threads,
    }
    return [sys.executable, "-m", "hexgate.study.edge.llama_child", json.dumps(task)]


class LlamaProcess:
    """llama.cpp's server with one model on a loopback port; no model is loaded until `load`.

    Args:
        path: the model's file.
        loading: how to load it.

    Raises:
        InputError, MissingExtra: if there is no llama.cpp here.
    """

    def __init__(self, path: Path, loading: Loading) -> None:
        self._port = _free_port()
        command = llama_command(path, self._port, loading)
        self.binding = f"{_PACKAGE} {version(_PACKAGE)}" if command[0] == sys.executable else None
        """The Python package that llama.cpp is built into, with its version; None for a program."""
        self._folder = tempfile.TemporaryDirectory(prefix="hexgate-llama-")
        self._log = Path(self._folder.name, "log")
        with self._log.open("wb") as log:
            self._keeper = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "hexgate.study.edge.llama_keeper", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                cwd=Path(hexgate.__file__).resolve().parent.parent,
                # Ctrl-C is for the study, which ends it when what it measures is kept.
                start_new_session=True,
            )

    @property
    def url(self) -> str:
        """Where it listens once a model is loaded."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The process below which the server's processes are, from before the model is loaded."""
        return self._keeper.pid

    def load(self, root: HttpClient) -> None:
        """Start the server and wait until it has loaded the model.

        Args:
            root: a client of `url`.

        Raises:
            Failure: if it ends before that, or does not come to it in ten minutes.
        """
        self._tell("load")
        deadline = time.monotonic() + _READY_WITHIN_S
        while not self._is_ready(root):
            said = self._tell("look")
            if said != "runs":
                raise Failure("server", f"llama.cpp {said} before it had loaded the model: {self._tail()}")
            if time.monotonic() > deadline:
                raise Failure("timeout", f"llama.cpp has not loaded the model in {_READY_WITHIN_S:g} s")
            time.sleep(_LOOK_EVERY_S)

    def unload(self) -> None:
        """End the server, and wait until its process is gone.

        Raises:
            Failure: if the process that keeps it has ended.
        """
        self._tell("unload")

    def close(self) -> None:
        """End the server and the process that keeps it."""
        keeper = self._keeper
        if keeper.stdin is not None and keeper.stdout is not None:
            # Its end is what it waits for: it ends the server, and then itself.
            with suppress(OSError):
                keeper.stdin.close()
            try:
                keeper.wait(_END_WITHIN_S)
            except subprocess.TimeoutExpired:
                keeper.kill()
                keeper.wait()
            keeper.stdout.close()
        self._folder.cleanup()

    def _is_ready(self, root: HttpClient) -> bool:
        try:
            return root.get("/health").status == 200
        except Failure:
            return False

    def _tell(self, word: str) -> str:
        keeper = self._keeper
        said = ""
        if keeper.stdin is not None and keeper.stdout is not None:
            try:
                keeper.stdin.write(word + "\n")
                keeper.stdin.flush()
                said = keeper.stdout.readline()
            except OSError:
                said = ""
        if not said:
            raise Failure("server", f"the process that keeps llama.cpp has ended: {self._tail()}")
        return said.strip()

    def _tail(self) -> str:
        """The last lines that llama.cpp said."""
        with self._log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = log.read().decode("utf-8", "replace").split("\n")
        kept = [line.strip() for line in lines if line.strip()]
        return " | ".join(kept[-_TAIL_LINES:]) or "it said nothing"


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
