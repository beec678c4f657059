"""Azurite, Microsoft's emulator of Azure Storage, as a process of its own on loopback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from support import needs

ACCOUNT = "devstoreaccount1"
# The emulator's one account and its key, published in its documentation.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_BUILT = Path(__file__).parents[2] / ".venv-vendors" / "azurite" / "node_modules" / ".bin" / "azurite-blob"
_READY = re.compile(r"listens on (http://127\.0\.0\.1:\d+)")


@contextmanager
def azurite() -> Iterator[str]:
    """Start it, with its data in memory, and give the URL of its account.

    It is found through HEXGATE_AZURITE, beside the vendors' environment, or on the path.
    """
    program = _program()
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            [
                program,
                *(
                    "--blobHost",
                    "127.0.0.1",
                    "--blobPort",
                    "0",
                    "--inMemoryPersistence",
                    "--disableTelemetry",
                ),
                # The client speaks a newer version of the API than the emulator knows.
                "--skipApiVersionCheck",
            ],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield f"{_url(process, log)}/{ACCOUNT}"
        finally:
            process.terminate()
            process.wait(20)


def connection_string(url: str) -> str:
    """The connection string of the account at `url`."""
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url};"


def _program() -> str:
    named = os.environ.get("HEXGATE_AZURITE")
    for found in (named, str(_BUILT), shutil.which("azurite-blob")):
        if found and Path(found).exists():
            return found
    return needs.program("azurite-blob")


def _url(process: subprocess.Popen[bytes], log: TextIO) -> str:
    while True:
        log.seek(0)
        text = log.read()
        if found := _READY.search(text):
            return found[1]
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"azurite did not start:\n{text}")
