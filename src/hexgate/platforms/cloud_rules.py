"""Rules for the native files of clouds alike: placeholders, images, secrets, mounts, the command."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from hexgate.platforms.base import Finding
from hexgate.platforms.spec import JobSpec

__all__ = [
    "Mounted",
    "bucket_findings",
    "command_findings",
    "env_findings",
    "image_findings",
    "mount_findings",
    "native_value",
    "placeholder_findings",
    "without_block",
]

_PLACEHOLDER = re.compile(r"\$\{\{[^}]*\}\}|\$\{[^}]*\}|<[A-Za-z][^<>\n]*>|\bREPLACE_ME\b|\breplace-with-")
# A command is a shell line: there ${NAME} and < stand for what the shell makes of them.
_PLACEHOLDER_IN_COMMAND = re.compile(r"\$\{\{[^}]*\}\}|<[A-Z][A-Z0-9_ -]*>|\bREPLACE_ME\b")
_COMMANDS = {"UserCommand", "Entrypoint", "Command", "Args"}
_SECRET = re.compile(
    r"(^|_)(SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIALS?|API_?KEY|ACCESS_?KEY(_ID)?|SECRET_?KEY|PRIVATE_?KEY|AK|SK)$",
    re.IGNORECASE,
)
_TAGGED = re.compile(r"^[^/@]+(/[^/@]+)*:(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]*)(@sha256:[0-9a-f]{64})?$")
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_MOUNT_PATH = re.compile(r"^/[A-Za-z0-9._/-]*[A-Za-z0-9._-]$")


@dataclass(frozen=True)
class Mounted:
    """One mount of a native file."""

    where: str
    """Path of its mount path in the file."""
    path: str
    """Its place in the container."""
    writable: bool
    """Whether the job may write there."""


def without_block(spec: JobSpec, platform: str, needed: str) -> Finding:
    """A spec that says nothing to a platform, and to which others it does."""
    others = ", ".join(sorted(spec.platform)) or "local, which needs no block"
    return Finding(
        f"$.platform.{platform}", f"is missing, expected at least {needed}; the spec is for {others}"
    )


def native_value(name: str, text: str) -> tuple[Any, list[Finding]]:
    """What a native file holds, JSON by its name or else YAML; or why it cannot be read."""
    try:
        value = json.loads(text) if name.endswith(".json") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        return None, [Finding(name, f"cannot be read ({' '.join(str(error).split())})")]
    if not isinstance(value, dict):
        return None, [Finding(f"{name}: $", "expected an object")]
    return value, []


def placeholder_findings(value: Any, where: str) -> Iterator[Finding]:
    """Texts that still wait for somebody to fill them in."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from placeholder_findings(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from placeholder_findings(inner, f"{where}[{index}]")
    elif isinstance(value, str):
        pattern = _PLACEHOLDER_IN_COMMAND if where.rpartition(".")[2] in _COMMANDS else _PLACEHOLDER
        if found := pattern.search(value):
            yield Finding(where, f"got {found[0]}, which nothing fills in, expected its value")


def bucket_findings(bucket: str, where: str) -> Iterator[Finding]:
    """A bucket's name that neither OSS nor TOS would give."""
    if not _BUCKET.fullmatch(bucket):
        yield Finding(
            where,
            f"got {bucket or 'no bucket'}, expected a bucket name of 3 to 63 characters: a-z, 0-9 and -",
        )


def image_findings(ref: Any, where: str) -> Iterator[Finding]:
    """An image without a tag, or with one that moves."""
    if not isinstance(ref, str) or _PLACEHOLDER.search(ref):
        return
    tagged = _TAGGED.match(ref)
    if tagged is None and _DIGEST.search(ref) is None:
        yield Finding(where, f"got {ref}, expected an image with its tag or digest")
    elif tagged is not None and tagged["tag"] == "latest" and _DIGEST.search(ref) is None:
        yield Finding(where, "got the tag latest, which moves, expected a version or a digest")


def env_findings(name: str, value: Any, where: str, image: Any = None) -> Iterator[Finding]:
    """A secret in plain text, a value that is no text, or an image that is not `image`, which runs."""
    if not isinstance(value, str):
        yield Finding(where, f"got {json.dumps(value, default=str)}, expected text: quote it")
    elif value and _SECRET.search(name):
        yield Finding(
            where, "a secret stands in the file, expected it to come in another way (see the README)"
        )
    elif name == "HEXGATE_IMAGE" and image is not None and value != image:
        yield Finding(
            where, f"got {value}, expected {image}: the artifacts would name an image that did not run"
        )


def mount_findings(mounts: list[Mounted]) -> Iterator[Finding]:
    """Mount paths that are not absolute, stand twice, or lie in each other."""
    seen: list[str] = []
    for mount in mounts:
        path = mount.path
        if not _MOUNT_PATH.match(path) or ".." in path.split("/"):
            yield Finding(mount.where, f"got {path}, expected an absolute path without ..")
            continue
        for other in seen:
            if path == other or path.startswith(f"{other}/") or other.startswith(f"{path}/"):
                yield Finding(mount.where, f"got {path}, where {other} is mounted already")
        seen.append(path)


def command_findings(command: Any, mounts: list[Mounted], where: str) -> Iterator[Finding]:
    """A command that leaves nothing to collect, or leaves it where nothing can be written."""
    if not isinstance(command, str):
        return
    try:
        words = shlex.split(command)
    except ValueError as error:
        yield Finding(where, f"not a shell line ({error})")
        return
    if "--output" not in words or "hexgate" not in words[: words.index("--output")]:
        yield Finding(
            where, "no `hexgate platforms run --output`, so nothing that it measures would be found"
        )
        return
    output = words[words.index("--output") + 1] if words[-1] != "--output" else ""
    if not output.startswith("/"):
        return
    holding = [mount for mount in mounts if output == mount.path or output.startswith(f"{mount.path}/")]
    if not holding:
        yield Finding(
            where, f"got --output {output}, expected a mounted folder: it is lost with the container"
        )
    elif not holding[0].writable:
        yield Finding(holding[0].where, f"{output} is mounted read only, and the job writes its output there")
