"""Which kind of target a URI names, from its scheme, its suffix, and the first bytes of the file."""

from __future__ import annotations

import re
from difflib import get_close_matches
from enum import Enum
from pathlib import Path

from hexgate.errors import InputError

__all__ = ["Kind", "kind_of"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_WORD = re.compile(r"[A-Za-z]{2,12}:")
_LFS = b"version https://git-lfs"


class Kind(str, Enum):
    """What kind of thing is measured."""

    DEMO = "demo"
    """The embedded default."""
    ONNX = "onnx"
    """An ONNX file, run in this process."""
    ENDPOINT = "endpoint"
    """A server over HTTP."""
    TORCH = "torch"
    """A TorchScript file or an exported program."""
    HUGGING_FACE = "huggingface"
    """A directory with ``config.json``."""
    GGUF = "gguf"
    """A llama.cpp model."""


_SCHEMES = {"http": Kind.ENDPOINT, "https": Kind.ENDPOINT, "ollama": Kind.ENDPOINT}
_SUFFIXES = {
    ".onnx": Kind.ONNX,
    ".pt": Kind.TORCH,
    ".pt2": Kind.TORCH,
    ".pth": Kind.TORCH,
    ".gguf": Kind.GGUF,
}
_FORMS = "demo:, FILE.onnx, http(s)://host:port/…, ollama://host:port/NAME"


def kind_of(uri: str) -> Kind:
    """The kind of target that a URI names. Files are looked at, endpoints are not asked.

    Raises:
        InputError: if it names nothing: unknown scheme, missing or empty file, a folder without config.json.
    """
    if not uri.strip():
        raise InputError("no model was named", expected=_FORMS)
    if uri in {"demo:", "demo", "demo:/", "demo://"}:
        return Kind.DEMO
    if scheme := _SCHEME.match(uri):
        return _by_scheme(scheme.group(1).lower(), uri)
    path = Path(uri)
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise _missing(uri, path)
    return _file(path)


def _by_scheme(scheme: str, uri: str) -> Kind:
    if scheme in _SCHEMES:
        return _SCHEMES[scheme]
    if scheme == "file":
        raise InputError("a file is named by its path alone", where=uri, hint=f"give {uri[len('file://') :]}")
    close = get_close_matches(scheme, [*_SCHEMES, "demo"], n=1)
    suggestion = {"demo": "demo:"}.get(close[0], f"{close[0]}://") if close else None
    raise InputError(
        f"unknown scheme {scheme}://",
        where=uri.partition("?")[0].rpartition("@")[2] if "@" in uri else uri,
        expected=_FORMS,
        hint=f"did you mean {suggestion}?" if suggestion else None,
    )


def _missing(uri: str, path: Path) -> InputError:
    if _WORD.fullmatch(uri):
        close = get_close_matches(uri.lower(), ["demo:"], n=1)
        return InputError(
            "no such target",
            where=uri,
            expected=_FORMS,
            hint=f"did you mean {close[0]}?" if close else None,
        )
    hint = None
    if re.match(r"[\w.-]+:\d+(/|$)", uri):
        hint = f"an address needs its scheme: http://{uri}"
    elif path.parent.is_dir():
        names = [entry.name for entry in path.parent.iterdir()]
        if close := get_close_matches(path.name, names, n=1):
            hint = f"did you mean {path.parent / close[0]}?"
    return InputError("no such model file", where=uri, hint=hint or "check the path")


def _folder(path: Path) -> Kind:
    if (path / "config.json").is_file():
        return Kind.HUGGING_FACE
    models = sorted(entry.name for entry in path.iterdir() if entry.suffix.lower() in _SUFFIXES)
    hint = f"name the file: {path / models[0]}" if models else None
    what = "the folder is empty" if not any(path.iterdir()) else "the folder has no config.json"
    raise InputError(what, where=str(path), expected="a model file, or a Hugging Face directory", hint=hint)


def _file(path: Path) -> Kind:
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise InputError(f"the model file cannot be read ({error.strerror})", where=str(path)) from None
    if not head:
        raise InputError("the model file is empty", where=str(path), hint="was its download cut short?")
    if head.startswith(_LFS):
        raise InputError(
            "this is a Git LFS pointer, not the model", where=str(path), hint="fetch the model: git lfs pull"
        )
    suffix = path.suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if head.startswith(b"GGUF"):
        return Kind.GGUF
    if suffix in {".pkl", ".pickle", ".joblib"}:
        raise InputError(
            "a pickle is never opened, because opening one runs its code",
            where=str(path),
            hint="export the model to ONNX, for scikit-learn with skl2onnx",
        )
    if suffix == ".safetensors" and (path.parent / "config.json").is_file():
        raise InputError(
            "weights alone are not a model", where=str(path), hint=f"name the folder: {path.parent}"
        )
    raise InputError(
        "not a model file that is understood",
        where=str(path),
        got=suffix or "no suffix",
        expected=_FORMS,
        hint="export the model to ONNX, or serve it behind an OpenAI-compatible or /predict endpoint",
    )
