"""Layer RULES of PAI-DLC on native files: what the SDK's class does not look at.

Sources: Alibaba's pages on CreateJob, on mounts and on environment variables, and the comments in the SDK.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from hexgate.platforms.base import Finding
from hexgate.platforms.cloud_rules import (
    Mounted,
    bucket_findings,
    command_findings,
    env_findings,
    image_findings,
    mount_findings,
    placeholder_findings,
)

__all__ = ["MOST_BYTES", "rule_findings"]

MOST_BYTES = 65_536
"""All parameters of a CreateJob together."""

_MOST_MINUTES = 30 * 24 * 60
_NAME = re.compile(r"^[A-Za-z0-9_.-]{1,256}$")
_COUNT = re.compile(r"^[0-9]+$")
_CPU = re.compile(r"^[0-9]+(\.[0-9]+)?$")
_SIZE = re.compile(r"^[0-9]+(\.[0-9]+)?(Mi|Gi|Ti)$")
_OSS_URI = re.compile(r"^oss://[a-z0-9][a-z0-9-]{1,61}[a-z0-9]\.[a-z0-9-]+(\.[a-z0-9-]+)+/\S*$")
_JOB_TYPES = (
    "TFJob",
    "PyTorchJob",
    "MPIJob",
    "XGBoostJob",
    "OneFlowJob",
    "ElasticBatchJob",
    "SlurmJob",
    "RayJob",
    "DataJuicerJob",
)
_RESTARTS = ("Always", "Never", "OnFailure", "ExitCode")


def rule_findings(body: dict[str, Any], file: str, text_bytes: int) -> list[Finding]:
    """Every mistake in a CreateJob body that the SDK lets through."""
    root = f"{file}: $"
    mounts = _mounts(body, root)
    return [
        *_job(body, root),
        *_size(body, root, text_bytes),
        *placeholder_findings(body, root),
        *_workers(body, root),
        *_sources(body, root),
        *mount_findings(mounts),
        *command_findings(body.get("UserCommand"), mounts, f"{root}.UserCommand"),
        *_secrets(body, root),
    ]


def _job(body: dict[str, Any], root: str) -> Iterator[Finding]:
    if not body.get("WorkspaceId"):
        yield Finding(
            f"{root}.WorkspaceId",
            "is missing: PAI-DLC would take the caller's default workspace without a word",
        )
    name = body.get("DisplayName")
    if isinstance(name, str) and not _NAME.match(name):
        yield Finding(
            f"{root}.DisplayName",
            f"got {name[:60]!r}, expected letters, digits, _ . - and at most 256 of them",
        )
    kind = body.get("JobType")
    if isinstance(kind, str) and kind not in _JOB_TYPES:
        yield Finding(f"{root}.JobType", f"got {kind}, expected one of {', '.join(_JOB_TYPES)}")
    priority = body.get("Priority")
    if isinstance(priority, int) and not 1 <= priority <= 9:
        yield Finding(f"{root}.Priority", f"got {priority}, expected 1 to 9")
    minutes = body.get("JobMaxRunningTimeMinutes")
    if minutes is None:
        yield Finding(
            f"{root}.JobMaxRunningTimeMinutes", "is missing, so a job that hangs would run for ever"
        )
    elif isinstance(minutes, int) and not 1 <= minutes <= _MOST_MINUTES:
        yield Finding(
            f"{root}.JobMaxRunningTimeMinutes",
            f"got {minutes}, expected minutes, 1 to {_MOST_MINUTES}; is that a number of seconds?",
        )


def _size(body: dict[str, Any], root: str, text_bytes: int) -> Iterator[Finding]:
    if text_bytes <= MOST_BYTES // 2:
        return
    size = len(json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=str).encode())
    if size > MOST_BYTES:
        yield Finding(root, f"got {size} bytes, expected at most {MOST_BYTES} for all parameters together")


def _workers(body: dict[str, Any], root: str) -> Iterator[Finding]:
    for index, worker in _objects(body.get("JobSpecs")):
        here = f"{root}.JobSpecs[{index}]"
        yield from image_findings(worker.get("Image"), f"{here}.Image")
        both = "EcsSpec" in worker and "ResourceConfig" in worker
        if both:
            yield Finding(here, "got EcsSpec and ResourceConfig, which exclude each other")
        elif "EcsSpec" not in worker and "ResourceConfig" not in worker:
            yield Finding(here, "got neither EcsSpec nor ResourceConfig, expected one of the two")
        if "ResourceConfig" in worker and not (body.get("ResourceId") or worker.get("QuotaId")):
            yield Finding(f"{root}.ResourceId", f"is missing: {here}.ResourceConfig is taken from a quota")
        if "EcsSpec" in worker and body.get("ResourceId"):
            yield Finding(
                f"{root}.ResourceId",
                "got a quota with EcsSpec, which is paid as you go: expected one of the two",
            )
        count = worker.get("PodCount")
        if isinstance(count, int) and count < 1:
            yield Finding(f"{here}.PodCount", f"got {count}, expected at least 1")
        restart = worker.get("RestartPolicy")
        if restart is not None and restart not in _RESTARTS:
            yield Finding(f"{here}.RestartPolicy", f"got {restart}, expected one of {', '.join(_RESTARTS)}")
        elif restart in ("Always", "OnFailure"):
            yield Finding(
                f"{here}.RestartPolicy",
                f"got {restart}, which runs a measurement that failed again, expected Never or ExitCode",
            )
        yield from _quantities(worker.get("ResourceConfig"), f"{here}.ResourceConfig")


def _quantities(config: Any, here: str) -> Iterator[Finding]:
    if not isinstance(config, dict):
        return
    forms = {
        "GPU": (_COUNT, "whole GPUs as text, such as '1'"),
        "CPU": (_CPU, "cores as text, such as '8'"),
        "Memory": (_SIZE, "text such as 32Gi"),
        "SharedMemory": (_SIZE, "text such as 16Gi"),
    }
    for name, (form, words) in forms.items():
        value = config.get(name)
        if value is not None and not (isinstance(value, str) and form.match(value)):
            yield Finding(f"{here}.{name}", f"got {json.dumps(value, default=str)}, expected {words}")


def _sources(body: dict[str, Any], root: str) -> Iterator[Finding]:
    for index, source in _objects(body.get("DataSources")):
        here = f"{root}.DataSources[{index}]"
        uri = source.get("Uri")
        if (uri is None) == (source.get("DataSourceId") is None):
            got = "neither" if uri is None else "both"
            yield Finding(here, f"got {got} of DataSourceId and Uri, expected one of the two")
        if isinstance(uri, str) and uri.startswith("oss:") and not _OSS_URI.match(uri):
            bucket = uri.removeprefix("oss://").partition("/")[0].partition(".")[0]
            yield from tuple(bucket_findings(bucket, f"{here}.Uri")) or (
                Finding(f"{here}.Uri", f"got {uri}, expected oss://<bucket>.<endpoint>/<folder>/"),
            )
        elif isinstance(uri, str) and not uri.startswith(("oss:", "nas:", "cpfs:", "bmcpfs:")):
            yield Finding(f"{here}.Uri", f"got {uri}, expected an oss, nas, cpfs or bmcpfs address")
        access = source.get("MountAccess")
        if access not in ("RO", "RW"):
            yield Finding(f"{here}.MountAccess", f"got {access}, expected RO or RW")
        if "MountPath" not in source:
            yield Finding(f"{here}.MountPath", "is missing, so the data would lie where its dataset says")


def _mounts(body: dict[str, Any], root: str) -> list[Mounted]:
    return [
        Mounted(
            f"{root}.DataSources[{index}].MountPath", source["MountPath"], source.get("MountAccess") == "RW"
        )
        for index, source in _objects(body.get("DataSources"))
        if isinstance(source.get("MountPath"), str)
    ]


def _secrets(body: dict[str, Any], root: str) -> Iterator[Finding]:
    envs = body.get("Envs")
    workers = _objects(body.get("JobSpecs"))
    image = workers[0][1].get("Image") if workers else None
    for name, value in envs.items() if isinstance(envs, dict) else ():
        yield from env_findings(str(name), value, f"{root}.Envs.{name}", image)
    if not isinstance(envs, dict) or "HEXGATE_IMAGE" not in envs:
        yield Finding(f"{root}.Envs.HEXGATE_IMAGE", "is missing: the artifacts would not say which image ran")
    for index, worker in workers:
        config = worker.get("ImageConfig")
        for name in ("Password", "Auth"):
            if isinstance(config, dict) and config.get(name):
                yield Finding(f"{root}.JobSpecs[{index}].ImageConfig.{name}", "a secret stands in the file")


def _objects(value: Any) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a list, each with its place; what is none of them is the vendor layer's to refuse."""
    listed = value if isinstance(value, list) else []
    return [(index, inner) for index, inner in enumerate(listed) if isinstance(inner, dict)]
