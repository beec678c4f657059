"""A GGUF file as a study sees it: loaded by llama.cpp's server in a process of its own, described by its own header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from hexgate.contract.canonical import sha256_file
from hexgate.errors import InputError
from hexgate.study.asking import Line
from hexgate.study.configuration import Configuration
from hexgate.study.edge.gguf_file import GgufFile
from hexgate.study.edge.llama_process import LlamaProcess
from hexgate.study.servers import LlamaServer, Wait
from hexgate.targets.http_client import Failure, HttpClient
from hexgate.wire.payload import BadPayload, load_object

__all__ = ["GgufServer", "digest_of"]

_SEVERAL = "the model consists of several files"


class GgufServer(LlamaServer):
    """One GGUF file, served by a process of the study's.

    Args:
        process: what serves it; nothing is loaded yet.
        path: the file.
        header: what it says of itself.
        digest: its digest; None for a model of several files.
        line: a connection to the process's ``/v1``.
        root: a connection to its root.
        further: fields of the request body that the study names.
    """

    can_unload = True

    def __init__(
        self,
        process: LlamaProcess,
        path: Path,
        header: GgufFile,
        digest: str | None,
        line: Line,
        root: HttpClient,
        further: Mapping[str, Any],
    ) -> None:
        super().__init__(line, root, path.name, further)
        self._process = process
        self._name = path.name
        self._header = header
        self._digest = digest

    def unload(self, wait: Wait) -> str | None:  # noqa: ARG002 - the protocol's
        """End the process: then nothing of the model is in any memory but the system's cache of files."""
        self._process.unload()
        return None

    def preload(self) -> None:
        """Start the process, and wait until it has loaded the model."""
        self._process.load(self._root)
        self._model = _listed(self._line.client) or self._name

    def configuration(self) -> Configuration:
        """What the file says, and of how it is loaded what the server says."""
        found = super().configuration()
        header = self._header
        said = {
            "digest": self._digest,
            "family": header.architecture,
            "parameters": None if header.parameters is None else float(header.parameters),
            "quantization": header.quantization,
            "context_length": header.context_length,
        }
        known: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
        missing = {name: why for name, why in found.missing.items() if name not in known}
        if self._digest is None:
            missing["digest"] = _SEVERAL
        if self._process.binding is not None:
            # What such a package states of its build may be the same in all of its versions.
            known["server_version"] = ", ".join(filter(None, (found.server_version, self._process.binding)))
            missing.pop("server_version", None)
        return replace(found, served_model=self._name, missing=missing, **known)


def digest_of(path: Path, header: GgufFile) -> str | None:
    """The digest of a model's file, taken once as long as the file is the same; None for a model of several files.

    Raises:
        InputError: if it cannot be read.
    """
    if header.files > 1:
        return None
    try:
        return f"sha256:{_digest(path, header.size_bytes, path.stat().st_mtime_ns)}"
    except OSError as error:
        raise InputError(f"the model's file cannot be read ({error.strerror})", where=str(path)) from None


@lru_cache(maxsize=256)
def _digest(path: Path, size_bytes: int, modified_ns: int) -> str:  # noqa: ARG001 - what tells that it is the same
    return sha256_file(path)


def _listed(client: HttpClient) -> str | None:
    """The id by which the server lists its one model: a file's name, or in some versions its path."""
    try:
        listed = load_object(client.get("/models").body).get("data")
    except (Failure, BadPayload):
        return None
    first = listed[0] if isinstance(listed, list) and listed else None
    name = first.get("id") if isinstance(first, dict) else None
    return name if isinstance(name, str) else None
