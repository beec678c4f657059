"""Collect a run: decide for each part which attempt counts, bring it here whole, and say what is wrong."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hexgate.contract.canonical import NotStrictJson, parse_strict, sha256_file
from hexgate.contract.collected import (
    COLLECTED,
    REFUSED,
    TOLD_BY_ARTIFACTS,
    Collected,
    Part,
    PartState,
    read_collected,
    write_collected,
)
from hexgate.contract.provenance import utc_now
from hexgate.errors import EvidenceError, ExitCode, InputError
from hexgate.platforms.handles import Handle
from hexgate.stores.base import Store
from hexgate.stores.parts import MANIFEST, Attempt, attempts, fetch

__all__ = ["Expected", "collect_run", "expectation"]

_KILLED = 128
_SAME_IN_A_RUN = ("spec_sha256", "image", "platform")


@dataclass(frozen=True)
class Expected:
    """What a run must have left."""

    run_id: str
    """The run."""
    parts: tuple[str, ...]
    """Its parts."""
    until: str | None = None
    """What ended later is late, UTC to the second; None where nothing is."""
    spec_sha256: str | None = None
    """Digest of its job spec; None where only the parts' own word is known."""
    image: str | None = None
    """Its image; likewise."""
    shards: int | None = None
    """How many shards it has; likewise."""


@dataclass(frozen=True)
class _Chosen:
    """Which attempt at a part counts, before anything is fetched."""

    part: str
    state: PartState
    detail: str | None
    attempt: Attempt | None = None


def expectation(handle: Handle, *, until: str | None = None) -> Expected:
    """What the job of a handle must leave."""
    return Expected(handle.run_id, handle.parts, until, handle.spec_sha256, handle.image, handle.shards)


def collect_run(
    store: Store,
    expected: Expected,
    dest: Path,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Collected:
    """Bring the parts of a run into ``<dest>/<part>/``, and write ``<dest>/collected.json``.

    What is there already with the right digest is not fetched again. Whatever came is kept, whatever is wrong with it;
    but a part that is not found lies in ``<dest>/.refused/<part>/``, until a later call finds it whole.

    Args:
        store: where the run's parts are.
        expected: what must be there.
        dest: the folder; made if it is not there.
        say: is told what is fetched.

    Raises:
        InputError: if `dest` cannot be written, or holds another run.
        StoreFailed: if the store does not answer; what came stays, and a later call goes on from there.
    """
    before = _before(dest, expected.run_id)
    found = attempts(store, expected.run_id)
    chosen = [_choose(name, found.get(name, []), store, expected) for name in expected.parts]
    chosen += [
        _Chosen(
            name, PartState.MIXED, f"the run must not have it, only {', '.join(expected.parts)}", tries[-1]
        )
        for name, tries in sorted(found.items())
        if name not in expected.parts
    ]
    parts = []
    for one in _held_together(chosen, expected):
        say(f"{one.part}: {one.detail or one.state.value}")
        try:
            parts.append(_fetched(store, one, dest, before.get(one.part)))
        except OSError as error:
            raise InputError(
                f"the part {one.part} cannot be kept ({error.strerror})", where=str(error.filename or dest)
            ) from None
    collected = Collected(expected.run_id, store.uri, expected.parts, expected.until, utc_now(), tuple(parts))
    try:
        dest.mkdir(parents=True, exist_ok=True)
        write_collected(dest, collected)
    except OSError as error:
        raise InputError(f"it cannot be written ({error.strerror})", where=str(dest)) from None
    return collected


def _before(dest: Path, run_id: str) -> dict[str, Part]:
    """What an earlier call brought here, by part."""
    if not (dest / COLLECTED).is_file():
        return {}
    try:
        before = read_collected(dest / COLLECTED)
    except EvidenceError:
        return {}
    if before.run_id != run_id:
        raise InputError(
            "the folder holds another run", where=str(dest), got=before.run_id, hint="give another --out"
        )
    return {part.name: part for part in before.parts}


def _choose(name: str, tries: Sequence[Attempt], store: Store, expected: Expected) -> _Chosen:
    ended = [one for one in tries if one.manifest is not None]
    refused = [one for one in tries if one.manifest is None and _is_refused(one, ended, store)]
    if refused:
        state = PartState.MIXED if _is_foreign(refused[0], store, expected.run_id) else PartState.UNREADABLE
        return _Chosen(name, state, f"attempt {refused[0].attempt}: {refused[0].fault}")
    if ended:
        return _of_ended(name, ended, expected)
    if tries:
        why = f"attempt {tries[-1].attempt} left {len(tries[-1].keys)} files and no {MANIFEST}"
        return _Chosen(name, PartState.UNFINISHED, why)
    return _Chosen(name, PartState.MISSING, "the store holds nothing of it")


def _of_ended(name: str, ended: Sequence[Attempt], expected: Expected) -> _Chosen:
    """Which of the attempts that came to an end counts, the earliest first."""
    usable = [one for one in ended if not _broke_down(_told(one)["exit_code"])]
    counts = usable[-1] if usable else ended[-1]
    told = _told(counts)
    state, why = PartState.FOUND, None
    if len({_digests(one) for one in usable}) > 1:
        both = " and ".join(one.attempt for one in usable)
        state, why = PartState.DUPLICATE, f"the attempts {both} ended with different files"
    elif expected.until is not None and told["ended_at"] > expected.until:
        state, why = PartState.LATE, f"ended at {told['ended_at']}, after {expected.until}"
    elif told["exit_code"] not in TOLD_BY_ARTIFACTS:
        state, why = PartState.FAILED, f"its command ended with exit code {told['exit_code']}"
    elif not told["files"]:
        state, why = (
            PartState.FAILED,
            f"its command left no file, and ended with exit code {told['exit_code']}",
        )
    return _Chosen(name, state, why, counts)


def _told(attempt: Attempt) -> Mapping[str, Any]:
    if attempt.manifest is None:
        raise ValueError("an attempt without a manifest tells nothing")
    return attempt.manifest


def _manifest_key(attempt: Attempt) -> str | None:
    return next((key for key in attempt.keys if key.endswith(f"/{attempt.attempt}/{MANIFEST}")), None)


def _is_refused(attempt: Attempt, ended: Sequence[Attempt], store: Store) -> bool:
    """Whether an attempt has a manifest that is none. One cut off on its way counts as absent once a later ended."""
    key = _manifest_key(attempt)
    if key is None:
        return False
    later = any(one.attempt > attempt.attempt for one in ended)
    return not later or _json(store, key) is not None


def _is_foreign(attempt: Attempt, store: Store, run_id: str) -> bool:
    """Whether a manifest that was refused says that it is of another run."""
    value = _json(store, _manifest_key(attempt) or "")
    said = value.get("run_id") if isinstance(value, dict) else None
    return isinstance(said, str) and said != run_id


def _json(store: Store, key: str) -> Any:
    """What a key holds; None where that is not JSON."""
    try:
        return parse_strict(store.get_bytes(key) or b"")
    except NotStrictJson:
        return None


def _broke_down(exit_code: int) -> bool:
    """Whether the infrastructure or the target failed, so that another attempt takes its place."""
    return exit_code in {ExitCode.TARGET, ExitCode.INTERRUPTED} or exit_code >= _KILLED


def _digests(attempt: Attempt) -> frozenset[tuple[str, str]]:
    return frozenset((file["path"], file["sha256"]) for file in _told(attempt)["files"])


def _held_together(chosen: Sequence[_Chosen], expected: Expected) -> list[_Chosen]:
    """The same, with what does not belong to this run's job, or to the other parts, called mixed."""
    told = [_told(one.attempt) for one in chosen if one.attempt is not None and one.attempt.manifest]
    apart = _disagreements(told, expected)
    result = []
    for one in chosen:
        if one.attempt is None or one.attempt.manifest is None or one.state is PartState.MIXED:
            result.append(one)
            continue
        why = [*_foreign(one.attempt.manifest, expected), *apart]
        result.append(replace(one, state=PartState.MIXED, detail="; ".join(why)) if why else one)
    return result


def _disagreements(told: Sequence[Mapping[str, Any]], expected: Expected) -> list[str]:
    """Where the parts differ among themselves: then nobody knows which of them are this run's."""
    found = []
    for name in _SAME_IN_A_RUN:
        if getattr(expected, name, None) is not None:
            # Each is held against what was submitted instead.
            continue
        said = Counter(_shown(part[name]) for part in told)
        if len(said) > 1:
            found.append(f"the parts disagree about {name}: {', '.join(sorted(said))}")
    counts = Counter(_count(part) for part in told)
    if expected.shards is None and len(counts) > 1:
        found.append(f"the parts disagree about the shards: {', '.join(map(str, sorted(counts)))}")
    return found


def _foreign(manifest: Mapping[str, Any], expected: Expected) -> list[str]:
    found = []
    wanted = {"spec_sha256": expected.spec_sha256, "image": expected.image}
    for name, value in wanted.items():
        # A job that was not told its image says nothing against it; its spec has a digest of its own.
        if value is not None and manifest[name] != value and not (name == "image" and manifest[name] is None):
            found.append(f"{name} is {_shown(manifest[name])}, expected {value}")
    if expected.shards is not None and _count(manifest) != expected.shards:
        found.append(f"it is of {_count(manifest)} shards, expected {expected.shards}")
    shard = manifest["shard"]
    own = None if shard is None else f"shard-{shard['index']}-of-{shard['count']}"
    if own is not None and manifest["part"] != own:
        found.append(f"it calls itself {own}")
    return found


def _count(manifest: Mapping[str, Any]) -> int:
    return 1 if manifest["shard"] is None else int(manifest["shard"]["count"])


def _shown(value: object) -> str:
    return "not stated" if value is None else str(value)


def _fetched(store: Store, one: _Chosen, dest: Path, before: Part | None) -> Part:
    whole, refused = dest / one.part, dest / REFUSED / one.part
    if before is not None and before.folder is not None and one.attempt is not None:
        if before.attempt != one.attempt.attempt:
            _clear(dest / before.folder, before.files)
        elif one.state is PartState.FOUND and dest / before.folder == refused:
            _move(refused, whole)
    if one.state is not PartState.FOUND:
        _move(whole, refused)
    if one.attempt is None or one.attempt.manifest is None:
        return Part(one.part, one.state, one.detail)
    manifest = one.attempt.manifest
    state, detail = one.state, one.detail
    folder = whole if state is PartState.FOUND else refused
    faults = fetch(store, one.attempt, folder)
    if faults:
        detail = "; ".join([*filter(None, [detail]), *faults])
    if faults and state is PartState.FOUND:
        state = PartState.UNREADABLE
        _move(folder, refused)
        folder = refused
    folder.mkdir(parents=True, exist_ok=True)
    return Part(
        one.part,
        state,
        detail,
        one.attempt.attempt,
        folder.relative_to(dest).as_posix(),
        manifest["exit_code"],
        tuple(manifest["files"]),
    )


def _move(source: Path, target: Path) -> None:
    """Give a folder another place. What lay there goes aside, to the first name that is free."""
    if not os.path.lexists(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(target):
        # No part has a point in its name.
        aside = (target.with_name(f"{target.name}.{number}") for number in itertools.count(1))
        target.rename(next(path for path in aside if not os.path.lexists(path)))
    source.rename(target)


def _clear(folder: Path, files: Sequence[Mapping[str, Any]]) -> None:
    """Take away what an earlier call brought of an attempt that counts no more, unless somebody changed it."""
    for file in files:
        path = folder / str(file["path"])
        if path.is_file() and sha256_file(path) == file["sha256"]:
            path.unlink()
    for path in (*sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True), folder):
        with suppress(OSError):
            path.rmdir()
