"""The embedded reference models behind an OpenAI-compatible API: `hexgate serve` as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def served() -> Iterator[str]:
    """Its address on a free port, such as ``http://127.0.0.1:40000``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hexgate", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "HEXGATE_LANG": "en"},
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate(timeout=30)
