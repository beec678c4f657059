"""The docker command of a job on one node: what `run.sh --dry-run` prints, and what the driver submits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from hexgate.platforms.command import job_environment, part_argv
from hexgate.platforms.spec import JobSpec, Mode

__all__ = [
    "GRACE_S",
    "LABEL_RUN",
    "LABEL_SHARDS",
    "Here",
    "container_names",
    "docker_options",
    "gpus_of",
    "host_path",
]

LABEL_RUN = "hexgate.run_id"
LABEL_SHARDS = "hexgate.shards"
GRACE_S = 60
"""Seconds between SIGTERM and SIGKILL, to keep what was measured."""


@dataclass(frozen=True)
class Here:
    """What only the node knows."""

    user: str
    """User and group of the job, by number: ``1000:1000``."""
    observed: str | None = None
    """Folder on the node in which run.sh writes what it observes; None where nobody observes."""


def host_path(uri: str) -> str | None:
    """The folder on the node that a URI names, or None where it names something else."""
    parts = urlsplit(uri)
    return unquote(parts.path) if parts.scheme == "file" and parts.netloc in {"", "localhost"} else None


def gpus_of(spec: JobSpec, platform: str) -> str:
    """The GPUs of each container: ``none``, ``all`` or indices such as ``0,1``."""
    count = spec.resources.gpus
    if count == 0:
        return "none"
    named: Any = spec.block(platform).get("gpus", range(count))
    return "all" if named == "all" or platform == "jetson" else ",".join(str(index) for index in named)


def container_names(spec: JobSpec) -> tuple[str, ...]:
    """The containers of a job whose run_id is set: one, or one a shard. The first part of each is the native id."""
    name = f"hexgate-{spec.run_id}"
    return (name,) if spec.shards == 1 else tuple(f"{name}-{index}" for index in range(spec.shards))


def docker_options(spec: JobSpec, platform: str, here: Here, shard: int = 0) -> list[str]:
    """Everything behind ``docker run`` or ``docker create`` for one container of a job whose run_id is set."""
    block = spec.block(platform)
    gpus = gpus_of(spec, platform)
    return [
        *("--name", container_names(spec)[shard]),
        *_labels(spec, platform),
        *("--init", "--user", str(block.get("user", here.user)), "--read-only", "--tmpfs", "/tmp:exec"),  # noqa: S108
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--network", str(block.get("network", "none"))),
        *("--cpus", f"{spec.resources.cpu:g}", "--memory", f"{spec.resources.memory_mib}m"),
        *_shared_memory(spec, gpus),
        *_accelerators(gpus, platform),
        *_mounts(spec, here),
        *_environment(spec, platform, here, shard),
        spec.image.pinned,
        *("timeout", "--foreground", "--signal=TERM", f"--kill-after={GRACE_S}", str(spec.timeout_s)),
        *part_argv(spec),
    ]


def _labels(spec: JobSpec, platform: str) -> list[str]:
    labels = {LABEL_RUN: str(spec.run_id), "hexgate.platform": platform, LABEL_SHARDS: str(spec.shards)}
    return _repeated("--label", [f"{name}={value}" for name, value in (labels | dict(spec.labels)).items()])


def _shared_memory(spec: JobSpec, gpus: str) -> list[str]:
    if spec.resources.shm_mib:
        return ["--shm-size", f"{spec.resources.shm_mib}m"]
    return [] if gpus == "none" else ["--ipc", "host"]


def _accelerators(gpus: str, platform: str) -> list[str]:
    if gpus == "none":
        return []
    limits = _repeated("--ulimit", ["memlock=-1", "stack=67108864"])
    # docker reads the value as CSV: without the inner quotes only the first device would be asked for.
    asked = "all" if gpus == "all" else f'"device={gpus}"'
    runtime = ["--runtime", "nvidia"] if platform == "jetson" else []
    return [*limits, *runtime, "--gpus", asked]


def _mounts(spec: JobSpec, here: Here) -> list[str]:
    mounts = [(host_path(mount.uri), mount.path, mount.mode) for mount in spec.mounts]
    if spec.output.path:
        mounts.append((host_path(spec.output.uri), spec.output.path, Mode.RW))
    if here.observed:
        mounts.append((here.observed, "/observed", Mode.RO))
    # Unlike --volume, --mount refuses a folder that is not there instead of making one that belongs to root.
    return _repeated(
        "--mount",
        [
            f"type=bind,source={source},target={target}{',readonly' if mode is Mode.RO else ''}"
            for source, target, mode in mounts
        ],
    )


def _environment(spec: JobSpec, platform: str, here: Here, shard: int) -> list[str]:
    values = job_environment(spec, platform) | {"HEXGATE_JOB_ID": f"hexgate-{spec.run_id}"}
    if spec.shards > 1:
        values["HEXGATE_SHARD"] = f"{shard}/{spec.shards}"
    if here.observed:
        values["HEXGATE_OBSERVED"] = "/observed/state.jsonl"
    # A name alone: docker takes the value from its own environment, and it stands in no command line.
    return _repeated("--env", [*(f"{name}={value}" for name, value in values.items()), *spec.secret_env])


def _repeated(flag: str, values: list[str]) -> list[str]:
    return [word for value in values for word in (flag, value)]
