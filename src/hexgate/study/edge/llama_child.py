"""llama.cpp's server in a Python process, by the extra ``llama``: ``python -m hexgate.study.edge.llama_child JSON``."""

from __future__ import annotations

import json
import sys
import threading
from importlib import import_module
from typing import Any

__all__ = ["main"]


def main(text: str) -> None:
    """Serve a model until the process is ended.

    Args:
        text: a JSON object of ``path``, ``port``, ``n_ctx``, ``n_gpu_layers`` and ``threads`` (or null).
    """
    xllamacpp: Any = import_module("xllamacpp")

    task = json.loads(text)
    params = xllamacpp.CommonParams()
    params.model.path = task["path"]
    # Its own default is to listen on the loopback address; the name of that field has changed between its versions.
    params.port = task["port"]
    params.n_ctx, params.n_parallel = task["n_ctx"], 1
    params.n_gpu_layers = task["n_gpu_layers"]
    if task["threads"] is not None:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = task["threads"]
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)  # noqa: T201 - for the log
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
