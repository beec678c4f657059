"""Real servers of language models, each with a tiny random model: `transformers serve`, and llama.cpp's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import needs
from support.tiny_llms import write_gguf, write_transformers

START_S = 120.0
_LLAMA_CPP = """
import sys, threading
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx, params.n_parallel, params.warmup = 4096, 2, False
params.cpuparams.n_threads = 1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
threading.Event().wait()
"""


@contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator[str]:
    """A server until the end of the block; the address that it says it listens on."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | environment)
    try:
        limit = time.monotonic() + START_S
        while (found := re.search(r"http://127\.0\.0\.1:[1-9]\d*", log.read_text(errors="replace"))) is None:
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
            assert time.monotonic() < limit, "the server did not start"
            time.sleep(0.05)
        yield found[0]
    finally:
        process.kill()
        process.wait()


@contextmanager
def transformers_serve(folder: Path) -> Iterator[tuple[str, str]]:
    """The address of its API, and the model's id: the folder of its files."""
    for name in ("transformers", "fastapi", "uvicorn", "torch"):
        needs.module(name, group="heavy")
    model = folder / "tiny"
    write_transformers(model)
    (folder / "home" / "hub").mkdir(parents=True)
    program = str(Path(sys.executable).with_name("transformers"))
    command = [program, "serve", str(model), "--host", "127.0.0.1", "--port", "0", "--device", "cpu"]
    offline = {"HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with running([*command, "--log-level", "info"], folder / "log", **offline) as url:
        yield f"{url}/v1", str(model)


@contextmanager
def llama_cpp(folder: Path, name: str = "tiny.gguf") -> Iterator[tuple[str, str]]:
    """The address of its API, and the model's id: the name of its file."""
    for module in ("xllamacpp", "gguf"):
        needs.module(module, group="heavy")
    write_gguf(folder / name)
    with running([sys.executable, "-c", _LLAMA_CPP, str(folder / name)], folder / "log") as url:
        yield f"{url}/v1", name
