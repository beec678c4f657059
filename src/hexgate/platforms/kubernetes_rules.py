"""Layer RULES of Kubernetes: what the schema lets through, and the cluster, the part runner or the gate would not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from hexgate.platforms.base import Finding, Native
from hexgate.platforms.cloud_rules import env_findings, image_findings, placeholder_findings
from hexgate.platforms.kubernetes_job import (
    CONTAINER,
    INDEX_DIGITS,
    KUEUE_QUEUE,
    LONGEST_LABEL,
    MEASURED,
    mounted_claim,
)
from hexgate.platforms.kubernetes_pod import pod_findings
from hexgate.platforms.spec import JobSpec, Mode

__all__ = ["native_findings", "spec_findings"]

_CLAIM = re.compile(r"pvc://[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(/[A-Za-z0-9._/-]*)?")
_HOST = re.compile(r"hostpath:///[A-Za-z0-9._/-]+")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_GENERATED = 5
_RESERVED_NAMES = ("output", "scratch", "shm")
_RESERVED_PATHS = ("/tmp", "/dev", "/proc", "/sys", "/etc", "/var/run")  # noqa: S108 - paths in the container
_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
_MODES = ("Indexed", "NonIndexed")
_ACTIONS = ("FailJob", "FailIndex", "Ignore", "Count")


def spec_findings(spec: JobSpec) -> list[Finding]:
    """What this platform cannot carry of a spec."""
    found = []
    block = spec.block("kubernetes")
    if spec.secret_env and "secret" not in block:
        found.append(
            Finding(
                "$.platform.kubernetes.secret",
                "missing, expected the Secret whose keys are the names of $.secret_env",
            )
        )
    if spec.resources.gpu_type is not None and spec.resources.gpus == 0:
        found.append(
            Finding("$.resources.gpu_type", "got one with no GPUs, expected $.resources.gpus above 0")
        )
    if spec.resources.shm_mib >= spec.resources.memory_mib:
        found.append(
            Finding(
                "$.resources.shm_mib",
                f"got {spec.resources.shm_mib}, expected less than $.resources.memory_mib "
                f"({spec.resources.memory_mib}), which it is counted against",
            )
        )
    return found + list(_mount_findings(spec)) + list(_output_findings(spec))


def _mount_findings(spec: JobSpec) -> Iterator[Finding]:
    for index, mount in enumerate(spec.mounts):
        at = f"$.mounts[{index}]"
        if mount.name in _RESERVED_NAMES:
            yield Finding(
                f"{at}.name", f"got {mount.name}, expected another: a volume of the job has that name"
            )
        yield from _path_findings(mount.path, f"{at}.path")
        if mount.uri.startswith("hostpath:"):
            if not _HOST.fullmatch(mount.uri):
                yield Finding(f"{at}.uri", f"got {mount.uri}, expected hostpath:///folder")
            if mount.mode is Mode.RW:
                yield Finding(
                    f"{at}.mode", "got rw, expected ro: what a node's own folder holds is on that node only"
                )
        else:
            yield from _claim_findings(mount.uri, f"{at}.uri", "pvc://claim/folder or hostpath:///folder")


def _output_findings(spec: JobSpec) -> Iterator[Finding]:
    mounted = spec.output.uri.startswith("pvc:")
    if spec.output.path is not None:
        yield from _path_findings(spec.output.path, "$.output.path")
        yield from _claim_findings(
            spec.output.uri, "$.output.uri", "pvc://claim/folder where $.output.path is given"
        )
    elif mounted:
        yield Finding("$.output.path", "missing, expected where the claim of $.output.uri is mounted")
    elif spec.output.uri.startswith(("hostpath:", "file:")):
        yield Finding(
            "$.output.uri", f"got {spec.output.uri}, expected a store or pvc://claim: it ends with the pod"
        )


def _claim_findings(uri: str, at: str, expected: str) -> Iterator[Finding]:
    if not _CLAIM.fullmatch(uri):
        yield Finding(at, f"got {uri}, expected {expected}")
    elif ".." in (mounted_claim(uri)[1] or "").split("/"):
        yield Finding(at, f"got {uri}, expected a folder without ..")


def _path_findings(path: str, at: str) -> Iterator[Finding]:
    for reserved in _RESERVED_PATHS:
        if path == reserved or path.startswith(f"{reserved}/"):
            yield Finding(at, f"got {path}, expected a path outside of {reserved}, which the container needs")


def native_findings(files: Native) -> list[Finding]:
    """Mistakes in ``k8s-job.yaml``, as rendered or as a user has changed it."""
    found: list[Finding] = []
    for name, text in files.items():
        try:
            job = yaml.safe_load(text)
        except yaml.YAMLError as error:
            found.append(Finding(f"{name}: $", f"not YAML ({' '.join(str(error).split())})"))
            continue
        if not isinstance(job, dict) or job.get("kind") != "Job" or job.get("apiVersion") != "batch/v1":
            found.append(Finding(f"{name}: $", "expected one object, of kind Job and apiVersion batch/v1"))
            continue
        found += [Finding(f"{name}: {path}", problem) for path, problem in _job(job)]
        found += list(placeholder_findings(job, f"{name}: $"))
    return found


_Found = Iterator[tuple[str, str]]


def _job(job: dict[str, Any]) -> _Found:
    spec = _mapping(job.get("spec"))
    template = _mapping(spec.get("template"))
    pod = _mapping(template.get("spec"))
    at = "$.spec.template.spec"
    yield from _metadata(_mapping(job.get("metadata")), spec)
    yield from _indexing(spec)
    yield from _retrying(spec, pod)
    if "activeDeadlineSeconds" not in spec:
        yield "$.spec.activeDeadlineSeconds", "missing, expected seconds: the job may run for ever otherwise"
    if "ttlSecondsAfterFinished" in spec:
        yield (
            "$.spec.ttlSecondsAfterFinished",
            "expected none: a job that is gone reads as lost, not as ended",
        )
    labels = _mapping(_mapping(job.get("metadata")).get("labels"))
    if KUEUE_QUEUE in labels and spec.get("suspend") is not True:
        yield "$.spec.suspend", f"expected true: {KUEUE_QUEUE} hands the job to Kueue, which starts it"
    yield from pod_findings(pod, at)
    yield from _container_findings(pod, spec, at)


def _metadata(metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> _Found:
    most = LONGEST_LABEL - (INDEX_DIGITS if spec.get("completionMode") == "Indexed" else 0)
    name, generated = metadata.get("name"), metadata.get("generateName")
    if name is None and generated is None:
        yield "$.metadata.name", "missing, expected a name, or generateName"
    if isinstance(name, str):
        if not _NAME.fullmatch(name):
            yield "$.metadata.name", f"got {name!r}, expected lower-case letters, digits, '-' and '.'"
        if len(name) > most:
            yield (
                "$.metadata.name",
                f"got {len(name)} characters, expected at most {most}: its pods' names add more",
            )
    if isinstance(generated, str):
        if not _NAME.fullmatch(f"{generated}x"):
            yield (
                "$.metadata.generateName",
                f"got {generated!r}, expected lower-case letters, digits, '-' and '.'",
            )
        if len(generated) > most - _GENERATED:
            yield (
                "$.metadata.generateName",
                f"got {len(generated)} characters, expected at most {most - _GENERATED}",
            )


def _indexing(spec: Mapping[str, Any]) -> _Found:
    mode = spec.get("completionMode", "NonIndexed")
    if mode not in _MODES:
        yield "$.spec.completionMode", f"got {mode!r}, expected {' or '.join(_MODES)}"
    completions, parallelism = spec.get("completions", 1), spec.get("parallelism", 1)
    if mode == "Indexed" and completions != parallelism:
        yield (
            "$.spec.parallelism",
            f"got {parallelism}, expected {completions} as in completions: shards of one load start together",
        )
    if mode == "NonIndexed" and completions != 1:
        yield (
            "$.spec.completions",
            f"got {completions}, expected 1, or completionMode Indexed: pods are shards",
        )
    if mode != "Indexed" and "backoffLimitPerIndex" in spec:
        yield "$.spec.backoffLimitPerIndex", "expected none without completionMode Indexed"


def _retrying(spec: Mapping[str, Any], pod: Mapping[str, Any]) -> _Found:
    policy = spec.get("podFailurePolicy")
    restart = pod.get("restartPolicy")
    if restart != "Never":
        yield (
            "$.spec.template.spec.restartPolicy",
            f"got {restart!r}, expected Never: podFailurePolicy needs it, and a result is not measured again",
        )
    never_again: set[Any] = set()
    for index, rule in enumerate(map(_mapping, _mapping(policy).get("rules") or ())):
        at = f"$.spec.podFailurePolicy.rules[{index}]"
        action = rule.get("action")
        if action not in _ACTIONS:
            yield f"{at}.action", f"got {action!r}, expected one of {', '.join(_ACTIONS)}"
        if action == "FailIndex" and "backoffLimitPerIndex" not in spec:
            yield f"{at}.action", "got FailIndex, expected FailJob where there is no backoffLimitPerIndex"
        codes = _mapping(rule.get("onExitCodes"))
        if action in {"FailJob", "FailIndex"} and codes.get("operator") == "In":
            never_again |= set(codes.get("values") or ())
        if codes.get("containerName", CONTAINER) not in _names(pod):
            yield (
                f"{at}.onExitCodes.containerName",
                f"got {codes['containerName']!r}, and there is no such container",
            )
    tries = spec.get("backoffLimitPerIndex", spec.get("backoffLimit", 6))
    if tries and (lacking := sorted(set(MEASURED) - never_again)):
        yield (
            "$.spec.podFailurePolicy",
            f"codes {', '.join(map(str, lacking))} would be tried again, expected FailJob or FailIndex for them",
        )


def _names(pod: Mapping[str, Any]) -> list[Any]:
    return [_mapping(container).get("name") for container in pod.get("containers") or ()]


def _container_findings(pod: Mapping[str, Any], spec: Mapping[str, Any], at: str) -> _Found:
    containers = [_mapping(container) for container in pod.get("containers") or ()]
    if len(containers) != 1:
        yield (
            f"{at}.containers",
            f"got {len(containers)}, expected one: another would outlive the measurement, or end it",
        )
    for index, container in enumerate(containers):
        where = f"{at}.containers[{index}]"
        given = {_mapping(entry).get("name"): _mapping(entry) for entry in container.get("env") or ()}
        image = container.get("image")
        yield from _pairs(image_findings(image, f"{where}.image"))
        for number, entry in enumerate(container.get("env") or ()):
            if "value" in _mapping(entry):
                at_value = f"{where}.env[{number}].value"
                yield from _pairs(env_findings(str(entry.get("name")), entry["value"], at_value, image))
        if "HEXGATE_IMAGE" not in given:
            yield f"{where}.env", "no HEXGATE_IMAGE: the artifacts would not say which image ran"
        if spec.get("completionMode") == "Indexed":
            yield from _sharing(given, spec, f"{where}.env")


def _sharing(given: Mapping[Any, Mapping[str, Any]], spec: Mapping[str, Any], at: str) -> _Found:
    count = given.get("HEXGATE_SHARDS", {}).get("value")
    if count != str(spec.get("completions", 1)):
        yield (
            at,
            f"got {count!r} for HEXGATE_SHARDS, expected '{spec.get('completions', 1)}' as in completions",
        )
    run = given.get("HEXGATE_RUN_ID", {}).get("value")
    if run is None and "HEXGATE_RUN_KEY" not in given:
        yield at, "neither HEXGATE_RUN_ID nor HEXGATE_RUN_KEY: the shards would not agree on their run"
    if run is not None and not _RUN_ID.fullmatch(str(run)):
        yield at, f"got {run!r} for HEXGATE_RUN_ID, expected a run, such as 20261120T101500Z-0123abcd"


def _pairs(findings: Iterator[Finding]) -> _Found:
    return ((finding.path, finding.problem) for finding in findings)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
