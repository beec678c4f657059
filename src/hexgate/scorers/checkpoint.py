"""A directory with a checkpoint for transformers: checked before it is loaded, identified by what is in its files."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from hexgate.contract.canonical import (
    NotStrictJson,
    canonical_bytes,
    parse_strict,
    sha256_bytes,
    sha256_file,
)
from hexgate.errors import InputError

__all__ = ["Checkpoint", "load_model", "load_tokenizer", "read_checkpoint"]

# What decides a score beside the weights.
_DECIDING = (
    "added_tokens.json",
    "config.json",
    "merges.txt",
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
# Without any of these transformers makes a tokenizer that knows no word, and says nothing.
_TOKENIZERS = (
    ("tokenizer.json",),
    ("vocab.json", "merges.txt"),
    ("vocab.txt",),
    ("sentencepiece.bpe.model",),
    ("spiece.model",),
)
_REMEDY = (
    "give a folder that transformers can load without the network: config.json, weights and tokenizer files"
)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that can be loaded."""

    directory: Path
    """Where it lies."""
    model_type: str
    """What config.json says that it is, such as ``bart``."""
    safetensors: bool
    """Whether its weights are safetensors; else they are torch's, read as weights alone."""
    digest: str
    """SHA-256, in hex, over the names and digests of config, weights and tokenizer files. No path is part of it."""


def read_checkpoint(directory: str | os.PathLike[str], *, model_types: Collection[str]) -> Checkpoint:
    """Check a directory and identify it. Reads every weight once for the digest.

    Args:
        directory: with config.json, weights as safetensors or as torch writes them, and the tokenizer's files.
        model_types: those of config.json that will do.

    Raises:
        InputError: if it is no such directory.
    """
    folder = Path(directory)
    config = _config(folder)
    model_type = config.get("model_type")
    if model_type not in model_types:
        raise InputError(
            "this measure cannot use such a checkpoint",
            where=f"{folder / 'config.json'}: model_type",
            got=repr(model_type),
            expected=" or ".join(sorted(model_types)),
        )
    safe = sorted(folder.glob("*.safetensors"))
    weights = safe or sorted(folder.glob("pytorch_model*.bin"))
    if not weights:
        raise InputError(
            "no weights", where=str(folder), expected="*.safetensors or pytorch_model*.bin", hint=_REMEDY
        )
    if not any(all((folder / name).is_file() for name in names) for names in _TOKENIZERS):
        expected = ", or ".join(" and ".join(names) for names in _TOKENIZERS)
        raise InputError("no tokenizer", where=str(folder), expected=expected, hint=_REMEDY)
    files = [*weights, *(path for name in _DECIDING if (path := folder / name).is_file())]
    try:
        digests = {path.name: sha256_file(path) for path in files}
    except OSError as error:
        raise InputError("a file cannot be read", where=str(error.filename), got=error.strerror) from None
    return Checkpoint(folder, str(model_type), bool(safe), sha256_bytes(canonical_bytes(digests)))


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """Its tokenizer, of transformers.

    Raises:
        InputError: if transformers cannot load it.
    """
    from transformers import AutoTokenizer, BertTokenizer

    folder = checkpoint.directory
    # Chinese BART models come with BERT's words and need not say so; taken for BART's own they would be none.
    pieces = not (folder / "tokenizer.json").is_file() and not (folder / "vocab.json").is_file()
    family = BertTokenizer if pieces and (folder / "vocab.txt").is_file() else AutoTokenizer
    try:
        return family.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise _unloadable("the tokenizer", checkpoint, error) from None


def load_model(checkpoint: Checkpoint, family: Any, *, device: str, **shape: Any) -> tuple[Any, Any]:
    """Its model in single precision, for evaluation, and the device that it is on.

    Args:
        checkpoint: what to load.
        family: the class of transformers to load it with.
        device: as torch names it: ``cpu``, ``cuda``, ``cuda:1``.
        shape: what else the class is told, such as which parts to leave out.

    Raises:
        InputError: if it cannot be loaded, if weights are missing, which transformers would draw at random, or if there
            is no such device.
    """
    import torch
    from safetensors import SafetensorError

    try:
        with _without_progress():
            model, loading = family.from_pretrained(
                str(checkpoint.directory),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=checkpoint.safetensors,
                dtype=torch.float32,
                output_loading_info=True,
                **shape,
            )
    except UnpicklingError:
        where, hint = str(checkpoint.directory), "have whoever made them save them as safetensors"
        raise InputError("the weights hold more than weights", where=where, hint=hint) from None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, SafetensorError) as error:
        raise _unloadable("the model", checkpoint, error) from None
    missing = sorted(loading["missing_keys"])
    if missing:
        named = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise InputError("weights are missing", where=str(checkpoint.directory), got=f"none for {named}")
    try:
        place = torch.device(device)
        return model.to(place).eval(), place
    except (RuntimeError, AssertionError) as error:
        first = str(error).partition("\n")[0]
        raise InputError("torch cannot use this device", got=f"{device!r}: {first}") from None


@contextmanager
def _without_progress() -> Iterator[None]:
    """No bar, which transformers draws even where nobody looks."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _config(folder: Path) -> Mapping[str, Any]:
    path = folder / "config.json"
    try:
        config = parse_strict(path.read_bytes())
    except OSError as error:
        raise InputError(
            "no checkpoint", where=str(path), got=error.strerror or str(error), hint=_REMEDY
        ) from None
    except NotStrictJson as error:
        raise InputError("config.json is not JSON", where=str(path), got=str(error), hint=_REMEDY) from None
    if not isinstance(config, dict):
        raise InputError("config.json is not an object", where=str(path), hint=_REMEDY)
    return config


def _unloadable(what: str, checkpoint: Checkpoint, error: Exception) -> InputError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return InputError(
        f"transformers cannot load {what}", where=str(checkpoint.directory), got=lines[0][:200], hint=_REMEDY
    )
