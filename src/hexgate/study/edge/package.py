"""A study as one file to copy to the device: spec, items, script, and where it is wanted its models and hexgate."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from hexgate import __version__
from hexgate.contract.canonical import sha256_file
from hexgate.errors import InputError
from hexgate.resources import shipped
from hexgate.study.edge.gguf_target import gguf_files, gguf_path, is_gguf
from hexgate.study.edge.package_readme import Contents, readme
from hexgate.study.items import read_cells
from hexgate.study.layout import file_name
from hexgate.study.plain_yaml import read_plain_yaml
from hexgate.study.spec import ModelSpec, Spec
from hexgate.study.spec_file import read_spec

__all__ = ["SCRIPT", "Packed", "pack_study"]

SCRIPT = "run_benchmark.sh"
"""The script that carries the study out on the device."""
_SCRIPT_PLACE = f"platforms/job_templates/jetson/{SCRIPT}"
_STUDY = "study.yaml"
_SUMS = "SHA256SUMS"
_STAMP_S = 315_532_800
"""1980-01-01: one time for all files, so that the same inputs give the same package."""
_SHORTEST_KEY = 8
_KEY = re.compile(r"\bsk-[A-Za-z0-9_-]{20,}")
_HEAD = "# Made by hexgate study package. JSON is YAML.\n"


@dataclass(frozen=True)
class Packed:
    """A package that was written."""

    path: Path
    """Where it lies."""
    folder: str
    """The folder that it unpacks to."""
    names: tuple[str, ...]
    """Its files, from that folder on."""
    size_bytes: int
    """Its length."""
    left_out: tuple[str, ...]
    """What the study names and the package does not hold."""


def pack_study(spec_file: Path, out: Path, *, models: bool, wheel: Path | None) -> Packed:
    """Pack a study. The same study gives the same bytes, where Python's zlib is the same.

    Args:
        spec_file: the study's file.
        out: the package, a ``.tar.gz``; what is there is replaced.
        models: whether its GGUF files are packed too.
        wheel: a wheel of hexgate for the device; None to name the version alone.

    Raises:
        InputError: if the study cannot be read, two of its files have one name, something secret or a path of this
            machine stands in it, or the package cannot be written.
        DataError: if its items cannot be read.
    """
    spec = read_spec(spec_file)
    read_cells(spec)
    files = _Files()
    block = read_plain_yaml(spec_file)
    for task in block["tasks"]:
        task["items"] = files.put(spec.folder / task["items"], "items")
    block["models"] = list(_models(block["models"], spec, files, models=models))
    block = _with_files(block, spec.folder, files)
    study = _HEAD + json.dumps(block, ensure_ascii=False, indent=2) + "\n"
    _refuse_private(study, block, spec, files)
    files.write(_STUDY, study)
    files.sources[SCRIPT] = shipped(_SCRIPT_PLACE)
    packed_wheel = None if wheel is None else files.put(_wheel(wheel), "wheels")
    wanted = f"./{packed_wheel}[excel]" if packed_wheel else f"hexgate[excel]=={__version__}"
    files.write("requirements.txt", wanted + "\n")
    contents = Contents(
        name=spec.name,
        tasks=tuple(task.name for task in spec.tasks),
        gguf=tuple(sorted(files.models)),
        has_models=models,
        has_wheel=wheel is not None,
        key_envs=_key_envs(spec),
    )
    files.write("README.md", readme(contents, "en"))
    files.write("README.zh-CN.md", readme(contents, "zh"))
    folder = f"{file_name(spec.name)}-package"
    try:
        files.write(
            _SUMS, "".join(f"{_sha256(source)}  {name}\n" for name, source in sorted(files.sources.items()))
        )
        _write(out, folder, files.sources, quick=models)
        size = out.stat().st_size
    except OSError as error:
        raise InputError(
            f"the package cannot be written ({error.strerror or error})", where=error.filename or str(out)
        ) from None
    return Packed(out, folder, tuple(sorted(files.sources)), size, tuple(files.left_out))


class _Files:
    """The files of a package by their names in it."""

    def __init__(self) -> None:
        self.sources: dict[str, Path | bytes] = {}
        """Each file, or what stands in it."""
        self.models: list[str] = []
        """Names of GGUF files, packed or not."""
        self.left_out: list[str] = []
        """What is named and not packed."""
        self._names: dict[Path, str] = {}

    def put(self, path: Path, folder: str) -> str:
        """Pack a file once, and say its name."""
        path = path.resolve()
        if path not in self._names:
            name, number = f"{folder}/{path.name}", 2
            while name in self.sources:
                name = f"{folder}/{path.stem}-{number}{path.suffix}"
                number += 1
            self._names[path] = name
            self.sources[name] = path
        return self._names[path]

    def write(self, name: str, text: str) -> None:
        """Pack a text."""
        self.sources[name] = text.encode()


def _models(entries: Any, spec: Spec, files: _Files, *, models: bool) -> Iterator[dict[str, Any]]:
    """The entries of the study's models, in order, each GGUF file an entry of its own."""
    served = (entry for entry in entries if not is_gguf(entry["target"]))
    for model in spec.models:
        if not is_gguf(model.target):
            yield next(served)
            continue
        first = gguf_path(model.target, spec.folder)
        for path in gguf_files(first):
            name = f"models/{path.name}"
            if name in files.models:
                raise InputError(
                    "two models have one file name", where=model.name, got=path.name, hint="rename one"
                )
            files.models.append(name)
            if models and not path.is_file():
                raise InputError("there is no such GGUF file", where=model.name, got=str(path))
            if models:
                files.sources[name] = path
            else:
                files.left_out.append(name)
        yield _entry(model, f"gguf:models/{first.name}")


def _entry(model: ModelSpec, target: str) -> dict[str, Any]:
    entry = {
        "name": model.name,
        "target": target,
        "domains": list(model.domains),
        "parameters": model.parameters,
        "quantization": model.quantization,
        "context_length": model.context_length,
        "options": dict(model.options),
    }
    return {name: value for name, value in entry.items() if value}


def _with_files(block: dict[str, Any], folder: Path, files: _Files) -> dict[str, Any]:
    """The study with the files that its measures and its rating name; folders (checkpoints) are left out."""
    for one in block.get("quality") or ():
        options = one.get("options") or {}
        for key, value in options.items():
            options[key] = _packed(value, folder, files)
    rating = block.get("rating") or {}
    if "reference" in rating:
        rating["reference"] = _packed(rating["reference"], folder, files)
    return block


def _packed(value: Any, folder: Path, files: _Files) -> Any:
    if not isinstance(value, str) or not (folder / value).exists():
        return value
    if (folder / value).is_file():
        return files.put(folder / value, "files")
    name = f"files/{Path(value).name}"
    files.left_out.append(name)
    return name


def _key_envs(spec: Spec) -> tuple[str, ...]:
    names = {model.api_key_env for model in spec.models}
    if spec.judge is not None:
        names.add(spec.judge.api_key_env)
    return tuple(sorted(name for name in names if name))


def _refuse_private(study: str, block: Mapping[str, Any], spec: Spec, files: _Files) -> None:
    """Refuse keys in any text, and paths of this machine in the study."""
    texts = {_STUDY: study}
    texts |= {
        name: source.read_text("utf-8", "replace")
        for name, source in files.sources.items()
        if isinstance(source, Path) and name.startswith(("items/", "files/"))
    }
    keys = {name: os.environ.get(name, "") for name in _key_envs(spec)}
    for file, text in texts.items():
        for name, key in keys.items():
            if len(key) >= _SHORTEST_KEY and key in text:
                raise InputError(
                    f"the key in {name} stands in a file of the study", where=file, hint="take it out"
                )
        if _KEY.search(text):
            raise InputError(
                "what looks like a key stands in a file of the study", where=file, hint="take it out"
            )
    for value in _texts(block):
        # A stop text may be a slash.
        if Path(value).is_absolute() and len(Path(value).parts) > 2 and Path(value).exists():
            raise InputError(
                "a path of this machine stands in the study",
                where=_STUDY,
                got=value,
                hint="write it from the folder of the study's file",
            )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str):
        yield value


def _wheel(path: Path) -> Path:
    if not path.is_file() or not re.fullmatch(r"hexgate-.+\.whl", path.name):
        raise InputError("not a wheel of hexgate", where=str(path), expected="a file hexgate-….whl")
    return path


def _sha256(source: Path | bytes) -> str:
    return sha256_file(source) if isinstance(source, Path) else hashlib.sha256(source).hexdigest()


def _write(out: Path, folder: str, sources: Mapping[str, Path | bytes], *, quick: bool) -> None:
    """The archive, in one step: names in order, one owner, one time. Weights do not get smaller."""
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    try:
        with (
            os.fdopen(handle, "wb") as raw,
            gzip.GzipFile("", "wb", 1 if quick else 9, raw, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for name, source in sorted(sources.items()):
                info = tarfile.TarInfo(f"{folder}/{name}")
                info.mtime = _STAMP_S
                info.mode = 0o755 if name.endswith(".sh") else 0o644
                with source.open("rb") if isinstance(source, Path) else BytesIO(source) as file:
                    info.size = source.stat().st_size if isinstance(source, Path) else len(source)
                    archive.addfile(info, file)
        Path(partial).chmod(0o644)
        Path(partial).replace(out)
    except BaseException:
        with suppress(OSError):
            Path(partial).unlink()
        raise
