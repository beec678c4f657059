"""Targets ``gguf:PATH``: which files they mean, and how llama.cpp is to load them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from glob import escape, glob
from pathlib import Path
from typing import Any

from hexgate.study.keys import Keys
from hexgate.study.spec import ModelSpec

__all__ = ["Loading", "gguf_files", "gguf_models", "gguf_path", "is_gguf"]

_SCHEME = "gguf:"
_MADE_FOR_SERVERS = ("model", "dialect", "api_key_env", "here")
_PART = re.compile(r"-(\d{5})-of-\d{5}$")
"""How the names of the files of one model end, where it consists of several."""


@dataclass(frozen=True)
class Loading:
    """How llama.cpp loads a model."""

    n_ctx: int = 4096
    """Context length, in tokens."""
    n_gpu_layers: int = -1
    """How many layers lie on the GPU; -1 for all."""
    threads: int | None = None
    """Threads that compute on the CPU; None for as many as llama.cpp takes."""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> tuple[Loading, dict[str, Any]]:
        """From a model's options what is for loading, and what is for the bodies of its requests."""
        names = cls.__dataclass_fields__
        own = {name: value for name, value in options.items() if name in names}
        return cls(**own), {name: value for name, value in options.items() if name not in names}


def is_gguf(target: str) -> bool:
    """Whether a target is a GGUF file."""
    return target.strip()[: len(_SCHEME)].lower() == _SCHEME


def gguf_path(target: str, folder: Path) -> Path:
    """The file that a target without wildcards means."""
    return folder / target.strip()[len(_SCHEME) :]


def gguf_models(model: ModelSpec, keys: Keys, folder: Path, num_ctx: int | None) -> tuple[ModelSpec, ...]:
    """One model for each file that a target means, named by the file where it has no name.

    Of a model that consists of several files (``…-00001-of-00003.gguf``) the first stands for all.

    Args:
        model: as the study's file states it.
        keys: its keys, for messages.
        folder: the folder of the study's file, from which paths go.
        num_ctx: context length that the study's requests state; None where they do not.

    Raises:
        InputError: if there is no such file, an option is out of range, or a key is there that only servers have.
    """
    for name in _MADE_FOR_SERVERS:
        if getattr(model, name) is not None:
            keys.refuse(
                name, f"a GGUF file has no {name}", got=repr(getattr(model, name)), expected="nothing"
            )
    loading = _loading(model, keys, num_ctx)
    pattern = model.target.strip()[len(_SCHEME) :]
    found = _files(pattern, folder)
    if not found:
        keys.refuse("target", "there is no such GGUF file", got=pattern, expected=f"a file from {folder} on")
    if model.name and len(found) > 1:
        keys.refuse(
            "name",
            "several files cannot have one name",
            got=f"{len(found)} files",
            expected="no name: each is called by its file",
        )
    return tuple(
        replace(
            model, name=model.name or _PART.sub("", Path(file).stem), target=_SCHEME + file, options=loading
        )
        for file in found
    )


def _loading(model: ModelSpec, keys: Keys, num_ctx: int | None) -> dict[str, Any]:
    """The options of a model with the defaults of loading in them, so that the study states them."""
    options = keys.inner("options", dict(model.options))
    n_ctx = options.whole("n_ctx", num_ctx or Loading.n_ctx, least=1, most=100_000_000)
    layers = options.whole("n_gpu_layers", Loading.n_gpu_layers, least=-1, most=100_000)
    threads = options.whole_or_none("threads", least=1, most=4096)
    own = {"n_ctx": n_ctx, "n_gpu_layers": layers, **({} if threads is None else {"threads": threads})}
    return {**model.options, **own}


def _files(pattern: str, folder: Path) -> list[str]:
    """Paths from the folder on, in order. A name that is there is itself, also with a bracket in it.

    One without a wildcard need not be there: results are read, and plans are made, where no model is.
    """
    if not pattern:
        return []
    if not set(pattern) & set("*?[") or (folder / pattern).is_file():
        return [Path(pattern).as_posix()]
    # A path's own method takes no pattern from the root.
    whole = pattern if Path(pattern).is_absolute() else f"{escape(str(folder))}/{pattern}"
    files = sorted(Path(one) for one in glob(whole, recursive=True))  # noqa: PTH207
    named = [file for file in files if file.is_file() and _is_first(file)]
    return [(file if Path(pattern).is_absolute() else file.relative_to(folder)).as_posix() for file in named]


def _is_first(file: Path) -> bool:
    part = _PART.search(file.stem)
    return part is None or int(part[1]) == 1


def gguf_files(first: Path) -> tuple[Path, ...]:
    """The files of the model whose first file this is."""
    part = _PART.search(first.stem)
    if part is None:
        return (first,)
    stem, total = first.stem[: part.start()], part[0][-5:]
    return tuple(
        first.with_name(f"{stem}-{n:05d}-of-{total}{first.suffix}") for n in range(1, int(total) + 1)
    )
