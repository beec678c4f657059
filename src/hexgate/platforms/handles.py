"""Handles: what is kept of a submitted job, so that any later command finds it again."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from hexgate.contract.artifact import write_atomically
from hexgate.contract.canonical import NotStrictJson, parse_strict
from hexgate.contract.schema import schema_mistakes
from hexgate.errors import InputError
from hexgate.platforms import PLATFORMS
from hexgate.platforms.local_folder import local_folder
from hexgate.platforms.spec import JobSpec

__all__ = [
    "RUNS",
    "SCHEME",
    "Address",
    "Handle",
    "HandleState",
    "address_of",
    "find_handle",
    "new_handle",
    "read_handle",
    "save_handle",
]

SCHEME = "hexgate://"
RUNS = Path(".hexgate") / "runs"
"""Where handles are kept unless a file is named."""


class HandleState(str, Enum):
    """How far a job is known to have come."""

    SUBMITTING = "submitting"
    """The platform was asked, or is about to be. It has not answered yet."""
    SUBMITTED = "submitted"
    """The platform has the job."""
    ENDED = "ended"
    """It ended, and somebody was told how."""


@dataclass(frozen=True)
class Address:
    """Where a job is: all that it takes to ask after it, to read its logs or to cancel it."""

    platform: str
    """The platform's name in hexgate."""
    native_id: str
    """The platform's own id of the job."""

    def __str__(self) -> str:
        return f"{SCHEME}{self.platform}/{self.native_id}"


@dataclass(frozen=True)
class Handle:
    """One submitted job, as its file has it."""

    platform: str
    """The platform's name in hexgate."""
    run_id: str
    """The run."""
    native_id: str | None
    """The platform's own id of the job; None until it has answered."""
    state: HandleState
    """How far it is known to have come."""
    awaited: bool
    """Whether the command that submitted it was to wait for its end."""
    job: str
    """The job's name."""
    spec_sha256: str
    """Digest of the job spec, without its run_id."""
    image: str
    """The image, with its digest where the spec has one."""
    shards: int
    """How many load generators share the plan."""
    parts: tuple[str, ...]
    """The parts that the run must leave."""
    output: str
    """URI of the store that they go to."""
    submitted_at: str
    """UTC, to the second."""

    @property
    def address(self) -> Address | None:
        """Where the job is; None until the platform has answered."""
        return None if self.native_id is None else Address(self.platform, self.native_id)

    def to_json(self) -> dict[str, Any]:
        """As the schema has it."""
        return (
            {"schema": "hexgate.handle/v1"} | vars(self) | {"state": self.state.value, "parts": [*self.parts]}
        )


def new_handle(spec: JobSpec, platform: str, *, now: str, awaited: bool) -> Handle:
    """The handle of a job that is about to be submitted.

    Raises:
        ValueError: if the spec has no run_id.
    """
    if spec.run_id is None:
        raise ValueError("a job is submitted in a run")
    folder = local_folder(spec.output.uri)
    return Handle(
        platform=platform,
        run_id=spec.run_id,
        native_id=None,
        state=HandleState.SUBMITTING,
        awaited=awaited,
        job=spec.name,
        spec_sha256=spec.sha256,
        image=spec.image.pinned,
        shards=spec.shards,
        parts=spec.parts,
        output=spec.output.uri if folder is None else folder.absolute().as_uri(),
        submitted_at=now,
    )


def save_handle(path: Path, handle: Handle) -> None:
    """Write a handle's file in one step, with the folders on the way.

    Raises:
        InputError: if it cannot be written.
    """
    text = json.dumps(handle.to_json(), indent=2, ensure_ascii=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode("utf-8"))
    except OSError as error:
        raise InputError(f"the handle cannot be written ({error.strerror})", where=str(path)) from None


def read_handle(path: Path) -> Handle:
    """Read a handle's file.

    Raises:
        InputError: if there is none, or it is not one.
    """
    try:
        value = parse_strict(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"the handle cannot be read ({error.strerror})",
            where=str(path),
            hint=f"give the file that submit wrote, or {SCHEME}<platform>/<id>",
        ) from None
    except NotStrictJson as error:
        raise InputError(f"not a handle: {error}", where=str(path)) from None
    mistakes = schema_mistakes("handle", value)
    if mistakes:
        raise InputError(f"not a handle: {'; '.join(mistakes)}", where=str(path))
    fields = {name: value[name] for name in value if name != "schema"}
    return Handle(**fields | {"state": HandleState(value["state"]), "parts": tuple(value["parts"])})


def address_of(text: str) -> Address:
    """The job that ``hexgate://<platform>/<native id>`` names.

    Raises:
        InputError: if it is of another form, or there is no such platform.
    """
    name, slash, native_id = text.removeprefix(SCHEME).partition("/")
    if not text.startswith(SCHEME) or not slash or not native_id:
        raise InputError("not the address of a job", got=repr(text), expected=f"{SCHEME}<platform>/<id>")
    if name not in PLATFORMS:
        raise InputError("there is no such platform", got=name, expected=", ".join(PLATFORMS))
    return Address(name, native_id)


def find_handle(text: str) -> tuple[Address, Handle | None, Path | None]:
    """The job that a person names, by the handle's file or by its address, and its handle where one is kept here.

    Raises:
        InputError: if there is no such handle, or its job has no address yet.
    """
    if text.startswith(SCHEME):
        address = address_of(text)
        for path in sorted(RUNS.glob("*.json"), reverse=True):
            with suppress(InputError):
                kept = read_handle(path)
                if kept.address == address:
                    return address, kept, path
        return address, None, None
    handle = read_handle(Path(text))
    if handle.address is None:
        raise InputError(
            "the platform has not answered yet",
            where=text,
            hint="give the same submit again; it takes the job up",
        )
    return handle.address, handle, Path(text)
