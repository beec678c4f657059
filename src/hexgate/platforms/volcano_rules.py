"""Layer RULES of veMLP on native files, in both forms: what the schema and the SDK's classes do not look at.

Sources: samples of the vendor, what its program exports, and the SDK. No list of the free texts is complete, so none is
enforced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
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
from hexgate.platforms.volcano_body import FRAMEWORKS

__all__ = ["body_rule_findings", "task_rule_findings"]

_MOST_SECONDS = 30 * 24 * 3600
_LEAST_SECONDS = 60
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")
_QUEUE_ID = re.compile(r"^q-[A-Za-z0-9-]+$")
_FLAVOR = re.compile(r"^ml\.[a-z0-9.]+$")
_TASK_KEYS = {
    "TaskName",
    "Entrypoint",
    "ImageUrl",
    "TaskRoleSpecs",
    "ResourceQueueID",
    "ActiveDeadlineSeconds",
}
_BODY_KEYS = {"Name", "ResourceConfig", "RuntimeConfig", "StorageConfig", "RetryConfig"}


@dataclass(frozen=True)
class _Limits:
    """What both forms say, at their own paths."""

    deadline: tuple[str, Any]
    priority: tuple[str, Any]
    preemptible: Any
    retry: tuple[str, Any]
    """Path and value of what sets off another attempt; None where nothing does."""


def task_rule_findings(task: dict[str, Any], file: str) -> list[Finding]:
    """Every mistake in a task of the volc program that its schema lets through."""
    root = f"{file}: $"
    if task.keys() & _BODY_KEYS and not task.keys() & _TASK_KEYS:
        return [
            Finding(root, "a body of the OpenAPI, expected a task of the volc program: their names differ")
        ]
    options = _dict(task.get("RetryOptions"))
    on = options.get("EnableRetry") is True and options.get("MaxRetryTimes", 1)
    limits = _Limits(
        (f"{root}.ActiveDeadlineSeconds", task.get("ActiveDeadlineSeconds")),
        (f"{root}.Priority", task.get("Priority")),
        task.get("Preemptible"),
        (f"{root}.RetryOptions.PolicySets", options.get("PolicySets", []) if on else None),
    )
    storages = _objects(task.get("Storages"))
    mounts = [
        Mounted(f"{root}.Storages[{index}].MountPath", path, storage.get("ReadOnly") is not True)
        for index, storage in storages
        if isinstance(path := storage.get("MountPath"), str)
    ]
    found = [
        *_name(task.get("TaskName"), f"{root}.TaskName"),
        *_task_queue(task, root),
        *_framework(task.get("Framework"), f"{root}.Framework", own=0),
        *_limits(limits),
        *placeholder_findings(task, root),
        *image_findings(task.get("ImageUrl"), f"{root}.ImageUrl"),
        *mount_findings(mounts),
        *command_findings(_whole_command(task), mounts, f"{root}.Entrypoint"),
        *_envs(task.get("Envs"), f"{root}.Envs", task.get("ImageUrl")),
    ]
    for index, role in _objects(task.get("TaskRoleSpecs")):
        here = f"{root}.TaskRoleSpecs[{index}]"
        found += _flavor(role.get("Flavor"), f"{here}.Flavor")
        if role.get("GpuRate", 1) != 1:
            found.append(
                Finding(f"{here}.GpuRate", "a part of a GPU measures its neighbours too, expected whole ones")
            )
    for index, storage in storages:
        found += _task_storage(storage, f"{root}.Storages[{index}]")
    if _dict(task.get("ImageCredential")).get("RegistryToken"):
        found.append(Finding(f"{root}.ImageCredential.RegistryToken", "a secret stands in the file"))
    return found


def body_rule_findings(body: dict[str, Any], file: str) -> list[Finding]:
    """Every mistake in a CreateJob body that the SDK lets through."""
    root = f"{file}: $"
    if body.keys() & _TASK_KEYS and not body.keys() & _BODY_KEYS:
        return [
            Finding(root, "a task of the volc program, expected a body of the OpenAPI: their names differ")
        ]
    resources, runtime = _dict(body.get("ResourceConfig")), _dict(body.get("RuntimeConfig"))
    stored, retry = _dict(body.get("StorageConfig")), _dict(body.get("RetryConfig"))
    image = _dict(runtime.get("Image"))
    limits = _Limits(
        (f"{root}.ResourceConfig.MaxRuntimeSeconds", resources.get("MaxRuntimeSeconds")),
        (f"{root}.ResourceConfig.Priority", resources.get("Priority")),
        resources.get("Preemptible"),
        (f"{root}.RetryConfig.Triggers", retry.get("Triggers", []) if retry.get("MaxRetryTimes") else None),
    )
    storages = _objects(stored.get("Storages"))
    mounts = [
        Mounted(
            f"{root}.StorageConfig.Storages[{index}].MountPath", path, storage.get("ReadOnly") is not True
        )
        for index, storage in storages
        if isinstance(path := storage.get("MountPath"), str)
    ]
    found = [
        *_required(body, root),
        *_name(body.get("Name"), f"{root}.Name"),
        *_queue_id(resources.get("ResourceQueueId"), f"{root}.ResourceConfig.ResourceQueueId"),
        *_framework(runtime.get("Framework"), f"{root}.RuntimeConfig.Framework", own=1),
        *_limits(limits),
        *placeholder_findings(body, root),
        *image_findings(image.get("Url"), f"{root}.RuntimeConfig.Image.Url"),
        *mount_findings(mounts),
        *command_findings(runtime.get("Command"), mounts, f"{root}.RuntimeConfig.Command"),
        *_envs(runtime.get("Envs"), f"{root}.RuntimeConfig.Envs", image.get("Url")),
    ]
    for index, role in _objects(resources.get("Roles")):
        found += _role(role, f"{root}.ResourceConfig.Roles[{index}]")
    for index, storage in storages:
        found += _body_storage(storage, f"{root}.StorageConfig.Storages[{index}]")
    secrets = {
        f"{root}.RuntimeConfig.Image.Credential.RegistryToken": _dict(image.get("Credential")).get(
            "RegistryToken"
        ),
        f"{root}.StorageConfig.Credential.SecretAccessKey": _dict(stored.get("Credential")).get(
            "SecretAccessKey"
        ),
    }
    return found + [
        Finding(where, "a secret stands in the file") for where, value in secrets.items() if value
    ]


def _required(body: dict[str, Any], root: str) -> Iterator[Finding]:
    # The SDK requires nothing at all: an empty request passes it.
    for path in (
        ("Name",),
        ("ResourceConfig", "ResourceQueueId"),
        ("ResourceConfig", "Roles"),
        ("RuntimeConfig", "Framework"),
        ("RuntimeConfig", "Command"),
        ("RuntimeConfig", "Image", "Url"),
    ):
        value: Any = body
        for key in path:
            value = _dict(value).get(key)
        if value in (None, "", []):
            yield Finding(f"{root}.{'.'.join(path)}", "is missing")


def _name(name: Any, where: str) -> Iterator[Finding]:
    if isinstance(name, str) and name and not _NAME.match(name):
        yield Finding(where, f"got {name[:60]!r}, expected letters, digits, _ . - and at most 128 of them")


def _task_queue(task: dict[str, Any], root: str) -> Iterator[Finding]:
    by_id, by_name = task.get("ResourceQueueID"), task.get("ResourceQueueName")
    if by_id and by_name:
        yield Finding(
            f"{root}.ResourceQueueName",
            "got it with ResourceQueueID, over which it wins: expected one of the two",
        )
    elif not (by_id or by_name):
        yield Finding(f"{root}.ResourceQueueID", "is missing, and so is ResourceQueueName")
    yield from _queue_id(by_id, f"{root}.ResourceQueueID")


def _queue_id(queue: Any, where: str) -> Iterator[Finding]:
    if isinstance(queue, str) and queue and not _QUEUE_ID.match(queue):
        yield Finding(
            where, f"got {queue}, expected an id such as q-20260101000000-abcde; a name is something else"
        )


def _framework(framework: Any, where: str, *, own: int) -> Iterator[Finding]:
    for names in FRAMEWORKS.values():
        if framework == names[1 - own] != names[own]:
            form = ("the OpenAPI", "the volc program")[own]
            yield Finding(where, f"got {framework}, which is {form}'s word, expected {names[own]}")


def _limits(limits: _Limits) -> Iterator[Finding]:
    where, seconds = limits.deadline
    if seconds is None:
        yield Finding(where, "is missing, so a job that hangs would run for ever")
    elif isinstance(seconds, int) and not _LEAST_SECONDS <= seconds <= _MOST_SECONDS:
        yield Finding(where, f"got {seconds}, expected seconds, {_LEAST_SECONDS} to {_MOST_SECONDS}")
    where, priority = limits.priority
    if isinstance(priority, int) and not 1 <= priority <= 9:
        yield Finding(where, f"got {priority}, expected 1 to 9")
    where, named = limits.retry
    triggers = named if isinstance(named, list) else []
    if limits.preemptible is True and "InstanceReclaimed" not in triggers:
        yield Finding(where, "no InstanceReclaimed, and the job may be preempted: that would end it for good")
    if "Failed" in triggers:
        yield Finding(
            where, "got Failed, which runs a measurement that failed again, expected only what broke it"
        )


def _envs(envs: Any, here: str, image: Any) -> Iterator[Finding]:
    for index, env in _objects(envs):
        yield from env_findings(str(env.get("Name")), env.get("Value"), f"{here}[{index}].Value", image)
    if "HEXGATE_IMAGE" not in [env.get("Name") for _, env in _objects(envs)]:
        yield Finding(here, "no HEXGATE_IMAGE: the artifacts would not say which image ran")


def _flavor(flavor: Any, where: str) -> Iterator[Finding]:
    if isinstance(flavor, str) and not _FLAVOR.match(flavor):
        yield Finding(where, f"got {flavor}, expected an instance type such as ml.g3i.xlarge")


def _role(role: dict[str, Any], here: str) -> Iterator[Finding]:
    replicas, resource = role.get("Replicas"), _dict(role.get("Resource"))
    if not isinstance(replicas, int) or replicas < 1:
        yield Finding(f"{here}.Replicas", f"got {replicas}, expected at least 1")
    claim = resource.get("FlexibleResourceClaim")
    if bool(resource.get("InstanceTypeId")) == bool(claim):
        got = "both" if claim else "neither"
        yield Finding(
            f"{here}.Resource",
            f"got {got} of InstanceTypeId and FlexibleResourceClaim, expected one of the two",
        )
    yield from _flavor(resource.get("InstanceTypeId"), f"{here}.Resource.InstanceTypeId")
    gpus = _dict(claim).get("GpuCount")
    if isinstance(gpus, float) and not gpus.is_integer():
        yield Finding(f"{here}.Resource.FlexibleResourceClaim.GpuCount", f"got {gpus}, expected whole GPUs")


def _task_storage(storage: dict[str, Any], here: str) -> Iterator[Finding]:
    needs = {"Tos": ("Bucket",), "Vepfs": ("VepfsId", "SubPath"), "Nas": ("NasId", "NasAddr")}
    wanted = needs.get(str(storage.get("Type")), ())
    if wanted and not any(storage.get(name) for name in wanted):
        yield Finding(f"{here}.{wanted[0]}", f"is missing, and Type is {storage['Type']}")
    if "Bucket" in storage and storage.get("Type") in ("Vepfs", "Nas"):
        yield Finding(f"{here}.Bucket", f"belongs to Tos, and Type is {storage['Type']}")
    yield from _bucket(storage.get("Bucket"), f"{here}.Bucket")


def _body_storage(storage: dict[str, Any], here: str) -> Iterator[Finding]:
    kind, config = storage.get("Type"), _dict(storage.get("Config"))
    if list(config) != [kind]:
        yield Finding(
            f"{here}.Config", f"got {', '.join(config) or 'nothing'}, expected {kind}, which Type says"
        )
    if kind == "Tos":
        tos = _dict(config.get("Tos"))
        if not tos.get("Bucket"):
            yield Finding(f"{here}.Config.Tos.Bucket", "is missing")
        yield from _bucket(tos.get("Bucket"), f"{here}.Config.Tos.Bucket")
    if "MountPath" not in storage:
        yield Finding(f"{here}.MountPath", "is missing")


def _bucket(bucket: Any, where: str) -> Iterator[Finding]:
    if isinstance(bucket, str):
        yield from bucket_findings(bucket, where)


def _whole_command(task: dict[str, Any]) -> Any:
    entrypoint, arguments = task.get("Entrypoint"), task.get("Args")
    return f"{entrypoint} {arguments}" if isinstance(entrypoint, str) and arguments else entrypoint


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a list, each with its place; what is none of them is the vendor layer's to refuse."""
    listed = value if isinstance(value, list) else []
    return [(index, inner) for index, inner in enumerate(listed) if isinstance(inner, dict)]
