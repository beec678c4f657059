"""The YAML of a Kubernetes Job (batch/v1): one pod, or an Indexed Job with a pod for each shard.

Fields and their meaning: the API reference of Kubernetes, Job v1 batch. The pod's security settings are those of the
profile "restricted" of the Pod Security Standards.
"""

from __future__ import annotations

import math
from typing import Any

import yaml

from hexgate.platforms.command import job_environment, part_argv
from hexgate.platforms.spec import JobSpec, Mode

__all__ = [
    "CONTAINER",
    "FILE",
    "INDEX_DIGITS",
    "KUEUE_QUEUE",
    "LONGEST_LABEL",
    "MEASURED",
    "RUN_LABEL",
    "SPEC_ANNOTATION",
    "job_name",
    "job_text",
    "mounted_claim",
]

FILE = "k8s-job.yaml"
"""Name of the native file."""

CONTAINER = "hexgate"
"""Name of the pod's only container."""

RUN_LABEL = "hexgate/run-id"
"""Label of the job and its pods with the run. What makes submitting idempotent."""

SPEC_ANNOTATION = "hexgate/spec-sha256"
"""Annotation with the digest of the job spec; too long for a label."""

KUEUE_QUEUE = "kueue.x-k8s.io/queue-name"
"""Label that hands a job to Kueue."""

MEASURED = (1, 2, 3, 4, 70)
"""Exit codes of hexgate after which another try would say the same: a result is not measured until it pleases."""

LONGEST_LABEL = 63
"""Characters of a label's value and of a pod's host name, which hold the job's name."""

INDEX_DIGITS = len("-999")
"""What the index adds to the host name of a pod of an Indexed Job."""

_LINE = 110
_GRACE_S = 120
_SCRATCH = "/tmp"  # noqa: S108 - a path in the container, where an emptyDir is mounted
_HEAD = """\
# A Kubernetes Job of hexgate, for kubectl create -f. kubectl fills nothing in: change values in this file, or on the
# way with kubectl set env --local and kubectl set image --local.
"""


def job_name(name: str, run_id: str) -> str:
    """Name of the job of a run. It is unique in a namespace, so one run is one job.

    The run's id stands in it whole; a long name of a spec is cut, so that a pod's host name still fits.
    """
    tail = f"-{run_id.lower()}"
    return name[: LONGEST_LABEL - INDEX_DIGITS - len(tail)].rstrip("-") + tail


def mounted_claim(uri: str) -> tuple[str, str | None]:
    """Claim and folder of ``pvc://claim[/folder]``."""
    claim, _, folder = uri.removeprefix("pvc://").partition("/")
    return claim, folder.strip("/") or None


def job_text(spec: JobSpec) -> str:
    """The text of ``k8s-job.yaml``."""
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(spec),
        "spec": _job_spec(spec),
    }
    return _HEAD + yaml.safe_dump(job, sort_keys=False, allow_unicode=True, width=_LINE)


def _metadata(spec: JobSpec) -> dict[str, Any]:
    block = spec.block("kubernetes")
    named = (
        {"generateName": f"{spec.name}-"}
        if spec.run_id is None
        else {"name": job_name(spec.name, spec.run_id)}
    )
    space = {"namespace": block["namespace"]} if "namespace" in block else {}
    queue = {KUEUE_QUEUE: block["queue"]} if "queue" in block else {}
    return {**named, **space, "labels": _labels(spec) | queue, "annotations": {SPEC_ANNOTATION: spec.sha256}}


def _labels(spec: JobSpec) -> dict[str, str]:
    run = {} if spec.run_id is None else {RUN_LABEL: spec.run_id}
    return dict(spec.labels) | {"app.kubernetes.io/name": "hexgate"} | run


def _job_spec(spec: JobSpec) -> dict[str, Any]:
    sharded = spec.shards > 1
    job: dict[str, Any] = {"suspend": True} if "queue" in spec.block("kubernetes") else {}
    job["completions"] = job["parallelism"] = spec.shards
    job["completionMode"] = "Indexed" if sharded else "NonIndexed"
    job["backoffLimitPerIndex" if sharded else "backoffLimit"] = spec.retries
    job["activeDeadlineSeconds"] = spec.timeout_s
    # A pod that its node drained does not count as a try, unless the spec allows none.
    drained = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
    measured = {"containerName": CONTAINER, "operator": "In", "values": list(MEASURED)}
    job["podFailurePolicy"] = {
        "rules": [
            *(drained if spec.retries else []),
            {"action": "FailIndex" if sharded else "FailJob", "onExitCodes": measured},
        ]
    }
    job["template"] = {
        "metadata": {"labels": _labels(spec), "annotations": {SPEC_ANNOTATION: spec.sha256}},
        "spec": _pod(spec),
    }
    return job


def _pod(spec: JobSpec) -> dict[str, Any]:
    block = spec.block("kubernetes")
    user = block.get("user_id", 10001)
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _GRACE_S,
        "automountServiceAccountToken": block.get("automount_token", False),
        # Otherwise the environment, which the evidence describes, would hold every service of the namespace.
        "enableServiceLinks": False,
    }
    if "service_account" in block:
        pod["serviceAccountName"] = block["service_account"]
    if block.get("image_pull_secrets"):
        pod["imagePullSecrets"] = [{"name": name} for name in block["image_pull_secrets"]]
    if "priority_class" in block:
        pod["priorityClassName"] = block["priority_class"]
    if "runtime_class" in block:
        pod["runtimeClassName"] = block["runtime_class"]
    selected = dict(block.get("node_selector", {}))
    if spec.resources.gpu_type is not None:
        selected["nvidia.com/gpu.product"] = spec.resources.gpu_type
    if selected:
        pod["nodeSelector"] = selected
    if block.get("tolerations"):
        pod["tolerations"] = [_toleration(taint) for taint in block["tolerations"]]
    pod["securityContext"] = {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    volumes, mounts = _volumes(spec)
    pod["containers"] = [_container(spec, mounts)]
    pod["volumes"] = volumes
    return pod


def _toleration(taint: dict[str, str]) -> dict[str, str]:
    return {"key": taint["key"], "operator": "Equal" if "value" in taint else "Exists"} | taint


def _container(spec: JobSpec, mounts: list[dict[str, Any]]) -> dict[str, Any]:
    # Requests equal to limits: the pod is of the class Guaranteed, and its CPUs are its own.
    quantities = _quantities(spec)
    return {
        "name": CONTAINER,
        "image": spec.image.pinned,
        # A tag may have moved since the node pulled it; a digest may not.
        "imagePullPolicy": "IfNotPresent" if spec.image.digest else "Always",
        "command": [_unexpanded(argument) for argument in part_argv(spec)],
        "env": _environment(spec),
        "resources": {"requests": quantities, "limits": dict(quantities)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _environment(spec: JobSpec) -> list[dict[str, Any]]:
    given = {"HOME": _SCRATCH, "TMPDIR": _SCRATCH} | job_environment(spec, "kubernetes")
    secret = spec.block("kubernetes").get("secret")
    return [
        *({"name": name, "value": _unexpanded(value)} for name, value in given.items()),
        *(
            {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}}
            for name in spec.secret_env
        ),
        # Without a run of its own a job is a run: every pod of it knows the job's uid.
        *([] if spec.run_id else [_own("HEXGATE_RUN_KEY", "metadata.labels['controller-uid']")]),
        _own("HEXGATE_NAMESPACE", "metadata.namespace"),
        _own("HEXGATE_JOB_NAME", "metadata.labels['job-name']"),
        # Kubernetes puts in what stands above; it is the driver's native id of the job.
        {"name": "HEXGATE_JOB_ID", "value": "$(HEXGATE_NAMESPACE)/$(HEXGATE_JOB_NAME)"},
    ]


def _own(name: str, field: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": field}}}


def _unexpanded(text: str) -> str:
    """Text that Kubernetes hands on as it is: it puts a variable's value for ``$(NAME)``, and one dollar for two."""
    return text.replace("$", "$$")


def _quantities(spec: JobSpec) -> dict[str, str]:
    wanted = spec.resources
    milli = math.ceil(wanted.cpu * 1000)
    cpu = str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"
    gpus = {_gpu_resource(spec): str(wanted.gpus)} if wanted.gpus else {}
    return {"cpu": cpu, "memory": f"{wanted.memory_mib}Mi"} | gpus


def _gpu_resource(spec: JobSpec) -> str:
    return str(spec.block("kubernetes").get("gpu_resource", "nvidia.com/gpu"))


def _volumes(spec: JobSpec) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Volumes of the pod, and where the container sees them. A claim is one volume however often it is mounted."""
    by_source: dict[str, dict[str, Any]] = {}
    mounts = []
    wanted = [(mount.name, mount.uri, mount.path, mount.mode) for mount in spec.mounts]
    if spec.output.path is not None:
        wanted.append(("output", spec.output.uri, spec.output.path, Mode.RW))
    for name, uri, path, mode in wanted:
        source, folder = _source(uri)
        volume = by_source.setdefault(str(source), {"name": name.replace("_", "-")} | source)
        mount: dict[str, Any] = {"name": volume["name"], "mountPath": path}
        if folder is not None:
            mount["subPath"] = folder
        mounts.append(mount | {"readOnly": mode is Mode.RO})
    scratch: list[tuple[str, str, dict[str, Any]]] = [("scratch", _SCRATCH, {})]
    if spec.resources.shm_mib:
        shared = {"medium": "Memory", "sizeLimit": f"{spec.resources.shm_mib}Mi"}
        scratch.append(("shm", "/dev/shm", shared))  # noqa: S108 - a path in the container
    volumes = list(by_source.values()) + [{"name": name, "emptyDir": how} for name, _, how in scratch]
    return volumes, mounts + [{"name": name, "mountPath": path} for name, path, _ in scratch]


def _source(uri: str) -> tuple[dict[str, Any], str | None]:
    if uri.startswith("hostpath://"):
        return {"hostPath": {"path": uri.removeprefix("hostpath://"), "type": "Directory"}}, None
    claim, folder = mounted_claim(uri)
    return {"persistentVolumeClaim": {"claimName": claim}}, folder
