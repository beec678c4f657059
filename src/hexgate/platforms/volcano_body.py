"""A job spec in veMLP's two native forms, which differ in names and in values.

The task of ``volc ml_task submit --conf``, and the body of CreateJob of the OpenAPI, version 2024-07-01.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hexgate.platforms.base import Finding
from hexgate.platforms.cloud_rules import bucket_findings, without_block
from hexgate.platforms.command import job_environment, part_argv, shell_line
from hexgate.platforms.spec import JobSpec, Mode

__all__ = ["FRAMEWORKS", "PLATFORM", "create_job_body", "job_name", "spec_findings", "volc_task"]

PLATFORM = "volcano"

FRAMEWORKS = {
    "custom": ("Custom", "Custom"),
    "pytorch": ("PyTorchDDP", "PyTorch"),
    "mpi": ("MPI", "MPI"),
    "tensorflow": ("TensorFlowPS", "TensorFlow"),
}
"""Our word to that of the volc program and that of the OpenAPI."""

_TRIGGERS = ("InstanceReclaimed", "MachineFailure")
_TOS = re.compile(r"^tos://[a-z0-9][a-z0-9-]+(/.*)?$")
_VEPFS = re.compile(r"^vepfs://vepfs-[a-z0-9]+(/.*)?$")


def spec_findings(spec: JobSpec) -> Iterator[Finding]:
    """What keeps a spec from being a veMLP job."""
    block = spec.block(PLATFORM)
    here = f"$.platform.{PLATFORM}"
    if not block:
        yield without_block(spec, PLATFORM, "region, flavor and queue_id")
        return
    if ("queue_id" in block) == ("queue_name" in block):
        got = "both" if "queue_id" in block else "neither"
        yield Finding(here, f"got {got} of queue_id and queue_name, expected one of the two")
    if spec.shards > 1 and block.get("framework", "custom") != "pytorch":
        yield Finding(
            f"{here}.framework",
            "shards need pytorch, which is documented to set MLP_ROLE_INDEX and MLP_WORKER_NUM",
        )
    if block.get("preemptible") and not spec.retries:
        yield Finding(
            "$.retries.max", "is 0 with preemptible: a reclaimed instance would end the job for good"
        )
    for name, given in (("shm_mib", spec.resources.shm_mib), ("gpu_type", spec.resources.gpu_type)):
        if given:
            yield Finding(f"$.resources.{name}", "the flavor decides it, and veMLP has no field for it")
    if spec.output.path is None and not spec.secret_env:
        yield Finding(
            "$.output.path", "is missing, and $.secret_env names no keys with which the job could upload"
        )
    if spec.fan_out:
        yield Finding("$.fan_out", "veMLP has no steps, expected a job for each indicator")
    for where, uri in _sources(spec):
        bucket = uri.removeprefix("tos://").partition("/")[0]
        if uri.startswith("tos://") and (wrong := tuple(bucket_findings(bucket, where))):
            yield from wrong
        elif not (_TOS.match(uri) or _VEPFS.match(uri)):
            yield Finding(where, f"got {uri}, expected tos://<bucket>/<folder> or vepfs://<id>/<folder>")


def volc_task(spec: JobSpec) -> dict[str, Any]:
    """The task for the volc program. The spec has no `spec_findings`."""
    block = spec.block(PLATFORM)
    queue = (
        {"ResourceQueueID": block["queue_id"]}
        if "queue_id" in block
        else {"ResourceQueueName": block["queue_name"]}
    )
    retry: dict[str, Any] = {"EnableRetry": bool(spec.retries)}
    if spec.retries:
        retry |= {
            "MaxRetryTimes": spec.retries,
            "IntervalSeconds": block.get("retry_interval_s", 120),
            "PolicySets": list(_TRIGGERS),
        }
    return {
        "TaskName": job_name(spec),
        "Description": _description(spec),
        "Tags": [
            *(f"{name}={value}" for name, value in spec.labels.items()),
            f"hexgate-spec={spec.sha256[:16]}",
        ],
        "Entrypoint": _command(spec),
        "Envs": _envs(spec),
        "ImageUrl": spec.image.pinned,
        **queue,
        "Framework": FRAMEWORKS[block.get("framework", "custom")][0],
        "TaskRoleSpecs": [{"RoleName": "worker", "RoleReplicas": spec.shards, "Flavor": block["flavor"]}],
        "ActiveDeadlineSeconds": spec.timeout_s,
        "DelayExitTimeSeconds": 0,
        "AccessType": block.get("access_type", "Private"),
        "Preemptible": block.get("preemptible", False),
        "Priority": block.get("priority", 4),
        "RetryOptions": retry,
        "Storages": [_task_storage(*mount) for mount in _mounts(spec)],
    }


def create_job_body(spec: JobSpec) -> dict[str, Any]:
    """The body of CreateJob. The spec has no `spec_findings`, and names its queue by id."""
    block = spec.block(PLATFORM)
    resource = {"Type": block.get("resource_type", "Preset"), "InstanceTypeId": block["flavor"]}
    if "zone_id" in block:
        resource["ZoneId"] = block["zone_id"]
    mounts = _mounts(spec)
    storage: dict[str, Any] = {"Storages": [_api_storage(*mount) for mount in mounts]}
    if block.get("use_service_linked_role", True) and any(_TOS.match(uri) for uri, _, _ in mounts):
        storage["Credential"] = {"UseServiceLinkedRole": True}
    retry = {
        "MaxRetryTimes": spec.retries,
        "IntervalSeconds": block.get("retry_interval_s", 120),
        "Triggers": list(_TRIGGERS),
    }
    return {
        "Name": job_name(spec),
        "Description": _description(spec),
        **({"ProjectName": block["project_name"]} if "project_name" in block else {}),
        "ResourceConfig": {
            "ResourceQueueId": block["queue_id"],
            "MaxRuntimeSeconds": spec.timeout_s,
            "Preemptible": block.get("preemptible", False),
            "Priority": block.get("priority", 4),
            "Roles": [{"Name": "worker", "Replicas": spec.shards, "Resource": resource}],
        },
        "RuntimeConfig": {
            "Framework": FRAMEWORKS[block.get("framework", "custom")][1],
            "Image": {"Type": block.get("image_type", "VolcEngine"), "Url": spec.image.pinned},
            "Command": _command(spec),
            "Envs": _envs(spec),
        },
        **({"StorageConfig": storage} if mounts else {}),
        **({"RetryConfig": retry} if spec.retries else {}),
    }


def job_name(spec: JobSpec) -> str:
    """The name that the platform shows: the job's, and the run's where there is one."""
    return spec.name if spec.run_id is None else f"{spec.name}-{spec.run_id}"


def _description(spec: JobSpec) -> str:
    return f"hexgate: {', '.join(spec.indicators)}"


def _command(spec: JobSpec) -> str:
    # Tasks find their id in MLP_TASK_ID; shards of a job without a run_id have it in common.
    names = ["HEXGATE_JOB_ID"] if spec.shards == 1 else ["HEXGATE_JOB_ID", "HEXGATE_RUN_KEY"]
    exports = " ".join(f'{name}="$MLP_TASK_ID"' for name in names)
    return f'[ -z "$MLP_TASK_ID" ] || export {exports}; exec {shell_line(part_argv(spec))}'


def _envs(spec: JobSpec) -> list[dict[str, Any]]:
    # There from the beginning, and first: `volc ml_task submit --set` changes only what stands in the file.
    environment = {"HEXGATE_RUN_ID": "", **job_environment(spec, PLATFORM)}
    return [{"Name": name, "Value": value, "IsPrivate": False} for name, value in environment.items()]


def _sources(spec: JobSpec) -> list[tuple[str, str]]:
    sources = [(f"$.mounts[{index}].uri", mount.uri) for index, mount in enumerate(spec.mounts)]
    return [*sources, ("$.output.uri", spec.output.uri)] if spec.output.path else sources


def _mounts(spec: JobSpec) -> list[tuple[str, str, bool]]:
    """What is mounted, where, and whether read only."""
    mounts = [(mount.uri, mount.path, mount.mode is Mode.RO) for mount in spec.mounts]
    return [*mounts, (spec.output.uri, spec.output.path, False)] if spec.output.path else mounts


def _task_storage(uri: str, path: str, read_only: bool) -> dict[str, Any]:
    kind, place, folder = _source(uri)
    names = {"Tos": ("Bucket", "Prefix"), "Vepfs": ("VepfsId", "SubPath")}[kind]
    own = dict(zip(names, (place, folder), strict=True))
    return {"Type": kind, "MountPath": path, **own, "ReadOnly": read_only}


def _api_storage(uri: str, path: str, read_only: bool) -> dict[str, Any]:
    kind, place, folder = _source(uri)
    names = {"Tos": ("Bucket", "Prefix"), "Vepfs": ("Id", "SubPath")}[kind]
    own = dict(zip(names, (place, folder), strict=True))
    return {"Type": kind, "MountPath": path, "ReadOnly": read_only, "Config": {kind: own}}


def _source(uri: str) -> tuple[str, str, str]:
    """Type, bucket or file system, and folder of a mount."""
    kind = "Tos" if uri.startswith("tos:") else "Vepfs"
    place, _, folder = uri.partition("://")[2].partition("/")
    return kind, place, folder.strip("/")
