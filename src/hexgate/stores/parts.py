"""The parts of a run in a store: ``<run_id>/<part>/<attempt>/<files>``, and ``manifest.json`` beside them, last.

Without its manifest a part does not exist, so what a killed job left half uploaded is never taken for a result.
"""

from __future__ import annotations

import os
import re
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hexgate.contract.canonical import NotStrictJson, canonical_bytes, parse_strict, sha256_file
from hexgate.contract.schema import load_schema, schema_mistakes
from hexgate.errors import EvidenceError
from hexgate.stores.base import Store
from hexgate.stores.keys import ARRIVING, is_key

__all__ = ["MANIFEST", "Attempt", "PartHead", "attempts", "fetch", "publish"]

MANIFEST = "manifest.json"
"""The file that makes a part, beside the part's own files."""

_LARGEST_MANIFEST_BYTES = 64 << 20
_LONGEST_PATH = 512
# Windows reads a drive or a stream of a file in a colon; control and bidirectional characters hide what a name is.
_MISLEADING = re.compile(r"[:\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])", re.IGNORECASE)


@dataclass(frozen=True)
class PartHead:
    """What a part says of itself, beside its files."""

    run_id: str
    """The run."""
    part: str
    """``main``, an indicator, or ``shard-<i>-of-<n>``."""
    shard: tuple[int, int] | None
    """Index, from 0, and count; None where the job is not sharded."""
    exit_code: int
    """How the command ended, 0 to 255; 128 + n where signal n ended it."""
    spec_sha256: str | None
    """Digest of the job spec, without its run_id."""
    image: str | None
    """The image with its digest, as the job was told."""
    platform: str | None
    """The platform's name in hexgate."""
    platform_job_id: str | None
    """The platform's own id of the job."""
    started_at: str
    """UTC, to the second."""
    ended_at: str
    """UTC, to the second."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at a part, as a store holds it. It has a manifest or a fault, never both, never neither."""

    part: str
    """The part."""
    attempt: str
    """Which attempt; later ones sort behind earlier ones."""
    keys: tuple[str, ...]
    """Keys in the store of everything under it, in order."""
    manifest: dict[str, Any] | None
    """The manifest, valid by its schema and made for this run, part and attempt."""
    fault: str | None
    """Why there is none, in one sentence without a full stop."""


def publish(store: Store, folder: Path, head: PartHead) -> dict[str, Any]:
    """Upload everything in a folder as a new attempt at a part: the files in order of path, then the manifest.

    Returns:
        The manifest.

    Raises:
        EvidenceError: before anything is uploaded, if the folder holds what no manifest can name: a symbolic link
            to the outside or to a folder, a special file, a name that cannot be a key, its own ``manifest.json``.
        StoreFailed: if the store refuses a file or does not answer; the part then does not exist.
    """
    attempt = _new_attempt()
    files = [
        {"path": path, "bytes": (folder / path).stat().st_size, "sha256": sha256_file(folder / path)}
        for path in _files(folder)
    ]
    shard = None if head.shard is None else {"index": head.shard[0], "count": head.shard[1]}
    manifest = (
        {"schema": "hexgate.part/v1"} | vars(head) | {"shard": shard, "attempt": attempt, "files": files}
    )
    mistakes = schema_mistakes("part", manifest)
    if mistakes:
        raise EvidenceError("the part breaks its schema:\n  " + "\n  ".join(mistakes), where=str(folder))
    base = f"{head.run_id}/{head.part}/{attempt}"
    for file in files:
        store.put(f"{base}/{file['path']}", folder / str(file["path"]))
    store.put_bytes(f"{base}/{MANIFEST}", canonical_bytes(manifest))
    return manifest


def _new_attempt() -> str:
    """An identifier of the form of a run's that sorts to the microsecond: two attempts may end in one second."""
    now = datetime.now(timezone.utc)
    return f"{now:%Y%m%dT%H%M%SZ}-{now.microsecond:05x}{secrets.token_hex(2)[:3]}"


def attempts(store: Store, run_id: str) -> dict[str, list[Attempt]]:
    """Every attempt at every part of a run, by part, the earliest first. What is laid out otherwise is not looked at.

    Raises:
        StoreFailed: if the store does not answer.
    """
    patterns = load_schema("part")["properties"]
    found: dict[tuple[str, str], dict[str, int]] = {}
    for entry in store.list(f"{run_id}/"):
        part, _, rest = entry.key.removeprefix(f"{run_id}/").partition("/")
        attempt, slash, _ = rest.partition("/")
        if slash and _fits(patterns, "part", part) and _fits(patterns, "attempt", attempt):
            found.setdefault((part, attempt), {})[entry.key] = entry.bytes
    by_part: dict[str, list[Attempt]] = {}
    for (part, attempt), sizes in sorted(found.items()):
        manifest, fault = _manifest(store, run_id, part, attempt, sizes)
        by_part.setdefault(part, []).append(Attempt(part, attempt, tuple(sizes), manifest, fault))
    return by_part


def fetch(store: Store, attempt: Attempt, dest: Path) -> list[str]:
    """Bring the files of an attempt into a folder, and check each by its size and digest.

    A file that is there already with the right digest is not fetched again, so a fetch that was cut off goes on
    where it was. Any other file in its place, of an earlier fetch or not, is replaced by what the store has, and where
    that has another size or digest too it is removed: nothing is left there that is not what the manifest says.

    Returns:
        What is wrong with the part, one sentence each; empty if `dest` now holds exactly what the manifest names.

    Raises:
        StoreFailed: if the store does not answer; a later fetch goes on from here.
        InputError: if `dest` cannot be written.
    """
    if attempt.manifest is None:
        return [attempt.fault or f"no {MANIFEST}"]
    base = f"{attempt.manifest['run_id']}/{attempt.part}/{attempt.attempt}/"
    files: dict[str, dict[str, Any]] = {file["path"]: file for file in attempt.manifest["files"]}
    faults = [
        f"{key.removeprefix(base)!a} lies in the store, but the manifest does not name it"
        for key in attempt.keys
        if key.removeprefix(base) not in files and key != base + MANIFEST
    ]
    for path, file in files.items():
        target = dest / path
        if base + path not in attempt.keys:
            faults.append(f"{path!r} is missing in the store")
        elif not _same(target, file):
            store.get(base + path, target)
            if not _same(target, file):
                faults.append(f"{path!r} is not what the manifest says ({_difference(target, file)})")
                target.unlink()
    return faults + _strangers(dest, files)


def _files(folder: Path) -> list[str]:
    """The files of a folder, in order of path; in mistakes what cannot be published."""
    paths: list[str] = []
    mistakes: list[str] = []

    def refuse(error: OSError) -> None:
        mistakes.append(f"{error.filename} cannot be read ({error.strerror})")

    inside = os.path.realpath(folder)
    for parent, folders, names in os.walk(folder, onerror=refuse):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in [*names, *links]:
            file = Path(parent) / name
            path = file.relative_to(folder).as_posix()
            if name in links:
                mistakes.append(f"{path!r} is a symbolic link to a folder")
            elif not Path(os.path.realpath(file)).is_relative_to(inside):
                mistakes.append(f"{path!r} is a symbolic link to the outside")
            elif not file.is_file():
                mistakes.append(f"{path!r} is no regular file")
            elif path == MANIFEST:
                mistakes.append(f"{path!r} is the name of the part's own manifest")
            elif not _is_path(path):
                mistakes.append(f"{path!a} cannot be a key of a store")
            else:
                paths.append(path)
    if mistakes:
        raise EvidenceError(
            "the folder cannot be published:\n  " + "\n  ".join(sorted(mistakes)),
            where=str(folder),
            hint="let the command leave plain files only",
        )
    return sorted(paths)


def _is_path(path: str) -> bool:
    """Whether a manifest may name a file so: it stays below its folder, and a file, on every system."""
    return (
        is_key(path)
        and ".." not in path
        and len(path) <= _LONGEST_PATH
        and not _MISLEADING.search(path)
        and not any(_DEVICE.fullmatch(part.partition(".")[0].rstrip(" ")) for part in path.split("/"))
    )


def _fits(properties: Mapping[str, Mapping[str, str]], name: str, value: str) -> bool:
    return re.search(properties[name]["pattern"], value) is not None


def _manifest(
    store: Store, run_id: str, part: str, attempt: str, sizes: dict[str, int]
) -> tuple[dict[str, Any] | None, str | None]:
    """The manifest of an attempt, or why there is none."""
    key = f"{run_id}/{part}/{attempt}/{MANIFEST}"
    if key not in sizes:
        return None, f"no {MANIFEST}: the job did not end, or what it left did not arrive whole"
    if sizes[key] > _LARGEST_MANIFEST_BYTES:
        return None, f"{MANIFEST} has {sizes[key]} bytes, at most {_LARGEST_MANIFEST_BYTES} are read"
    data = store.get_bytes(key)
    if data is None:
        return None, f"{MANIFEST} is listed, but cannot be found"
    try:
        value = parse_strict(data)
    except NotStrictJson as error:
        return None, f"{MANIFEST} is not strict JSON ({error})"
    mistakes = schema_mistakes("part", value)
    if not mistakes:
        expected = {"run_id": run_id, "part": part, "attempt": attempt}
        mistakes = [
            f"$.{name}: got {value[name]!r}, but it lies under {wanted!r}"
            for name, wanted in expected.items()
            if value[name] != wanted
        ]
        mistakes += _clashes([file["path"] for file in value["files"]])
    return (None, f"{MANIFEST}: {'; '.join(mistakes)}") if mistakes else (value, None)


def _clashes(paths: list[str]) -> list[str]:
    """Names that cannot all be files of one folder, or none of their own."""
    named = Counter(paths)
    found = [f"$.files: {path!r} stands twice" for path, count in sorted(named.items()) if count > 1]
    for path in sorted(named):
        if not _is_path(path):
            found.append(f"$.files: {path!a} is no path below the part")
        if path == MANIFEST:
            found.append(f"$.files: {path!r} is the manifest itself")
        if any(str(parent) in named for parent in Path(path).parents):
            found.append(f"$.files: {path!r} lies in a file")
    return found


def _same(path: Path, file: dict[str, Any]) -> bool:
    try:
        return bool(path.stat().st_size == file["bytes"] and sha256_file(path) == file["sha256"])
    except OSError:
        return False


def _difference(path: Path, file: dict[str, Any]) -> str:
    size = path.stat().st_size
    if size != file["bytes"]:
        return f"{size} bytes, expected {file['bytes']}"
    return f"sha256 {sha256_file(path)}, expected {file['sha256']}"


def _strangers(dest: Path, files: dict[str, dict[str, Any]]) -> list[str]:
    """What lies in the folder besides the part; half of a download that was cut off is removed."""
    faults = []
    for path in sorted(dest.rglob("*")):
        name = path.relative_to(dest).as_posix()
        if name in files or (path.is_dir() and not path.is_symlink()):
            continue
        if path.name.startswith(ARRIVING):
            path.unlink()
        else:
            faults.append(f"{name!a} was in the folder before, and is not of this part")
    return faults
