"""Kinds of target that are not there yet: each says exactly what it met, and the way round."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path
from typing import NoReturn

from hexgate.errors import InputError, TargetUnusable
from hexgate.targets.options import OpenOptions

__all__ = ["refuse_gguf", "refuse_hugging_face", "refuse_torch"]

_TO_ONNX = "export it to ONNX (torch.onnx.export) and give the .onnx file, or serve it and give its address"
_SERVE = (
    "serve it behind an OpenAI-compatible endpoint and give that address, such as http://127.0.0.1:8000/v1"
)


def refuse_torch(uri: str, options: OpenOptions) -> NoReturn:  # noqa: ARG001 - the signature of every opener
    """Say what kind of PyTorch file this is, and that it cannot be measured yet.

    Raises:
        InputError: if it is no PyTorch file, or one that holds a pickle to be executed.
        TargetUnusable: if it is a TorchScript file or an exported program.
    """
    path = Path(uri)
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            pickled = file.read(1) == b"\x80"
        if pickled:
            raise _checkpoint(path)
        raise InputError("the file is not what PyTorch writes", where=uri, expected="a zip archive")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"the file is damaged ({error})", where=uri) from None
    inner = {name.partition("/")[2] for name in names} | set(names)
    if "constants.pkl" in inner:
        what = "a TorchScript file"
    elif inner & {"serialized_exported_program.json", "models/model.json", "archive_format"}:
        what = "an exported program (torch.export)"
    elif "data.pkl" in inner:
        raise _checkpoint(path)
    else:
        raise InputError("the archive is not what PyTorch writes", where=uri, got=", ".join(names[:3]))
    raise TargetUnusable(f"this is {what}, which this version cannot run yet", where=uri, hint=_TO_ONNX)


def refuse_hugging_face(uri: str, options: OpenOptions) -> NoReturn:  # noqa: ARG001 - the signature of every opener
    """Say which model this directory holds, and that it cannot be measured yet.

    Raises:
        InputError: if its config.json cannot be read.
        TargetUnusable: otherwise.
    """
    path = Path(uri) / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"it cannot be read ({error})", where=str(path)) from None
    if not isinstance(config, dict):
        raise InputError("it is not a JSON object", where=str(path))
    architectures = config.get("architectures")
    named = (
        architectures[0] if isinstance(architectures, list) and architectures else config.get("model_type")
    )
    raise TargetUnusable(
        f"this is a Hugging Face directory ({named or 'unnamed'}), which this version cannot run yet",
        where=uri,
        hint=_TO_ONNX if "Classification" in str(named) else _SERVE,
    )


def refuse_gguf(uri: str, options: OpenOptions) -> NoReturn:  # noqa: ARG001 - the signature of every opener
    """Say that this is a GGUF file, and that it cannot be measured yet.

    Raises:
        InputError: if it is none.
        TargetUnusable: if it is one.
    """
    with Path(uri).open("rb") as file:
        head = file.read(8)
    if len(head) < 8 or not head.startswith(b"GGUF"):
        raise InputError(
            "the file is not GGUF", where=uri, got=repr(head[:4]), expected="'GGUF' at its start"
        )
    version = struct.unpack("<I", head[4:])[0]
    raise TargetUnusable(
        f"this is a GGUF file (version {version}), which this version cannot run yet",
        where=uri,
        hint=_SERVE + " (llama-server), or import it into Ollama and give ollama://127.0.0.1:11434/NAME",
    )


def _checkpoint(path: Path) -> InputError:
    return InputError(
        "this is a pickled checkpoint, which is never opened, because opening one runs its code",
        where=str(path),
        hint="export the model to ONNX with torch.onnx.export",
    )
