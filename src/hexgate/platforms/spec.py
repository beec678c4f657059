"""A job spec: one neutral description of an evaluation job, by ``schemas/job.schema.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from hexgate.contract.canonical import canonical_bytes, sha256_bytes
from hexgate.contract.provenance import new_run_id
from hexgate.contract.schema import indicators, schema_mistakes
from hexgate.errors import InputError, JobSpecError
from hexgate.platforms.spec_yaml import not_plain, plain_yaml

__all__ = ["Image", "JobSpec", "Mode", "Mount", "Output", "Resources", "changed", "parse_spec", "read_spec"]


class Mode(str, Enum):
    """How a mount may be used."""

    RO = "ro"
    RW = "rw"


@dataclass(frozen=True)
class Image:
    """The container image."""

    ref: str
    """With its tag, without a digest."""
    digest: str | None = None
    """``sha256:…``, or None where the tag decides."""

    @property
    def pinned(self) -> str:
        """The image as a platform pulls it: by digest where there is one."""
        return self.ref if self.digest is None else f"{self.ref}@{self.digest}"


@dataclass(frozen=True)
class Resources:
    """What one shard gets."""

    gpus: int = 0
    """Whole GPUs."""
    gpu_type: str | None = None
    """Their type in the platform's word."""
    cpu: float = 2
    """CPU cores."""
    memory_mib: int = 4096
    """Memory, MiB."""
    shm_mib: int = 0
    """Shared memory, MiB; 0 for the platform's default."""


@dataclass(frozen=True)
class Mount:
    """What a job sees of a store."""

    name: str
    """Name, such as ``model``."""
    uri: str
    """What is mounted, in the platform's form."""
    path: str
    """Where argv finds it."""
    mode: Mode = Mode.RO
    """Read only, or read and write."""


@dataclass(frozen=True)
class Output:
    """Where the parts of a run go."""

    uri: str
    """A store; each part lies below it under ``<run_id>/<part>/<attempt>/``."""
    path: str | None = None
    """Where the platform mounts it; None where the job itself uploads."""

    @property
    def inside(self) -> str:
        """The output as the job sees it: a folder, or the store's URI."""
        return self.path or self.uri


@dataclass(frozen=True)
class JobSpec:
    """One job. Made by `read_spec` and `parse_spec`, which refuse what breaks the schema."""

    name: str
    """Name of the job, a DNS label of at most 40 characters."""
    indicators: tuple[str, ...]
    """What is measured."""
    image: Image
    """The container image."""
    argv: tuple[str, ...]
    """The command; ``{out}`` and ``{indicator}`` are filled in by the job."""
    output: Output
    """Where the parts go."""
    timeout_s: int
    """The platform ends the job after so many seconds."""
    run_id: str | None = None
    """The run; None until it is submitted."""
    fan_out: bool = False
    """Whether each indicator is a step of its own."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment of the command, in plain text."""
    secret_env: tuple[str, ...] = ()
    """Names of environment variables that hold secrets."""
    resources: Resources = field(default_factory=Resources)
    """What one shard gets."""
    mounts: tuple[Mount, ...] = ()
    """What it sees of stores."""
    retries: int = 0
    """So many more attempts where the infrastructure failed."""
    shards: int = 1
    """Load generators that share one plan."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels on the platform."""
    platform: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The block of each platform, as the schema has it."""

    def block(self, platform: str) -> Mapping[str, Any]:
        """What is given for one platform; empty where nothing is."""
        return self.platform.get(platform, {})

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that the run must leave: ``main``, an indicator a step, or ``shard-<i>-of-<n>``."""
        if self.fan_out:
            return self.indicators
        if self.shards > 1:
            return tuple(f"shard-{index}-of-{self.shards}" for index in range(self.shards))
        return ("main",)

    @cached_property
    def sha256(self) -> str:
        """Digest of the spec without its run_id: the same for every run of the same job."""
        return sha256_bytes(canonical_bytes(self.to_json() | {"run_id": None}))

    def to_json(self) -> dict[str, Any]:
        """The spec as the schema has it, with every default written out."""
        return {
            "schema": "hexgate.job/v1",
            "name": self.name,
            "run_id": self.run_id,
            "indicator": list(self.indicators),
            "fan_out": self.fan_out,
            "image": {"ref": self.image.ref, "digest": self.image.digest},
            "argv": list(self.argv),
            "env": dict(self.env),
            "secret_env": list(self.secret_env),
            "resources": vars(self.resources).copy(),
            "mounts": [
                {"name": mount.name, "uri": mount.uri, "path": mount.path, "mode": mount.mode.value}
                for mount in self.mounts
            ],
            "output": {"uri": self.output.uri}
            | ({} if self.output.path is None else {"path": self.output.path}),
            "timeout_s": self.timeout_s,
            "retries": {"max": self.retries},
            "shards": self.shards,
            "labels": dict(self.labels),
            "platform": {name: dict(block) for name, block in self.platform.items()},
        }

    def with_run_id(self, run_id: str | None = None) -> JobSpec:
        """The same job, in a run: the given one, its own, or a new one."""
        return replace(self, run_id=run_id or self.run_id or new_run_id())


def read_spec(path: Path, changes: Sequence[str] = ()) -> JobSpec:
    """Read a job spec, YAML or JSON.

    Args:
        path: the file.
        changes: ``PATH=VALUE`` each, such as ``mounts.model.uri=oss://bucket/m``; see `changed`.

    Raises:
        InputError: if there is no such file, it is not YAML, or a change is none.
        JobSpecError: with every mistake in it.
    """
    try:
        value = plain_yaml(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"the job spec cannot be read ({error.strerror})", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start}", where=str(path)) from None
    except ValueError as error:
        raise InputError(f"not the YAML of a job spec ({error})", where=str(path)) from None
    for change in changes:
        value = changed(value, change)
    return parse_spec(value, str(path))


def changed(value: Any, change: str) -> Any:
    """A copy of what a spec file held, with one value in another's place.

    Args:
        value: what the file held.
        change: ``PATH=VALUE``: keys with dots between them, an item of a list by its number or, in `mounts`, by its
            name; the value is YAML. What is not there yet is added, and judged with the rest by the schema.

    Raises:
        InputError: if it has no ``=``, or the path leads through something that holds no values.
    """
    path, equals, given = change.partition("=")
    if not equals or not path:
        raise InputError("not a change", where="--set", expected="PATH=VALUE")
    try:
        wanted = plain_yaml(given)
    except ValueError:
        wanted = given
    root = deepcopy(value)
    *steps, last = path.split(".")
    place = root
    for step in steps:
        place = _step(place, step, change)
    if isinstance(place, list):
        place[_index(place, last, change)] = wanted
    elif isinstance(place, dict):
        place[last] = wanted
    else:
        raise _no_place(change)
    return root


def _step(place: Any, key: str, change: str) -> Any:
    if isinstance(place, list):
        return place[_index(place, key, change)]
    if isinstance(place, dict):
        return place.setdefault(key, {})
    raise _no_place(change)


def _index(place: list[Any], key: str, change: str) -> int:
    named = [index for index, item in enumerate(place) if isinstance(item, dict) and item.get("name") == key]
    if named:
        return named[0]
    if key.isascii() and key.isdigit() and len(key) < 10 and int(key) < len(place):
        return int(key)
    raise _no_place(change)


def _no_place(change: str) -> InputError:
    return InputError("the path leads nowhere in the job spec", where="--set", got=change.partition("=")[0])


def parse_spec(value: Any, where: str) -> JobSpec:
    """A job spec from what a file held.

    Raises:
        JobSpecError: with every mistake in it, by the schema and between its fields.
    """
    # What is no JSON would stop the schema's check itself, and that repeats what it refuses.
    mistakes = list(not_plain(value)) or schema_mistakes("job", value, most=100)
    if mistakes:
        raise JobSpecError(where, mistakes)
    named = value["indicator"]
    chosen = indicators() if named == "all" else (named,) if isinstance(named, str) else tuple(named)
    spec = JobSpec(
        name=value["name"],
        indicators=chosen,
        image=Image(value["image"]["ref"], value["image"].get("digest")),
        argv=tuple(value["argv"]),
        output=Output(value["output"]["uri"], value["output"].get("path")),
        timeout_s=value["timeout_s"],
        run_id=value.get("run_id"),
        fan_out=value.get("fan_out", False),
        env=dict(value.get("env", {})),
        secret_env=tuple(value.get("secret_env", ())),
        resources=Resources(**value.get("resources", {})),
        mounts=tuple(
            Mount(mount["name"], mount["uri"], mount["path"], Mode(mount.get("mode", "ro")))
            for mount in value.get("mounts", ())
        ),
        retries=value.get("retries", {}).get("max", 0),
        shards=value.get("shards", 1),
        labels=dict(value.get("labels", {})),
        platform=dict(value.get("platform", {})),
    )
    mistakes = _between_fields(spec)
    if mistakes:
        raise JobSpecError(where, mistakes)
    return spec


def _between_fields(spec: JobSpec) -> list[str]:
    found = []
    named = [argument for argument in spec.argv if "{indicator}" in argument]
    if spec.fan_out and not named:
        found.append("$.argv: no {indicator}, so every step of $.fan_out would measure the same")
    if named and not spec.fan_out:
        found.append("$.argv: {indicator} without $.fan_out: name the indicator")
    if spec.fan_out and spec.shards > 1:
        found.append("$.shards: got more than one with $.fan_out, expected one of the two")
    if not any("{out}" in argument for argument in spec.argv):
        found.append("$.argv: no {out}, so nothing that it measures would be found")
    found += [f"$.env.{name}: stands in $.secret_env too" for name in spec.env if name in spec.secret_env]
    found += [
        f"$.{where}.{name}: names of that form are hexgate's own"
        for where, names in (("env", spec.env), ("secret_env", spec.secret_env))
        for name in names
        if name.startswith("HEXGATE_") and name not in {"HEXGATE_LANG", "HEXGATE_HOST_CLASS"}
    ]
    places: dict[str, str] = {}
    paths = [(f"$.mounts[{index}].path", mount.path) for index, mount in enumerate(spec.mounts)]
    paths += [("$.output.path", spec.output.path)] if spec.output.path else []
    for place, path in paths:
        if ".." in path.split("/"):
            found.append(f"{place}: got {path}, expected a path without ..")
        for other_place, other in places.items():
            if path == other or path.startswith(f"{other}/") or other.startswith(f"{path}/"):
                found.append(f"{place}: {path} lies in {other_place}, or around it")
        places[place] = path
    names = [mount.name for mount in spec.mounts]
    found += [
        f"$.mounts: the name {name!r} stands twice" for name in sorted(set(names)) if names.count(name) > 1
    ]
    if "metric" in names:
        found.append("$.mounts: the name 'metric' is the output's own")
    return found
