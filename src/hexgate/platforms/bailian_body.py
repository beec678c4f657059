"""A job spec as the body of PAI-DLC's CreateJob, version 2020-12-03."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from hexgate.platforms.base import Finding
from hexgate.platforms.cloud_rules import bucket_findings, without_block
from hexgate.platforms.command import job_environment, part_argv, shell_line
from hexgate.platforms.spec import JobSpec, Mode, Resources

__all__ = ["PLATFORM", "RUN_TAG", "create_job_body", "display_name", "spec_findings"]

PLATFORM = "bailian"
RUN_TAG = "hexgate-run-id"
"""The tag that holds the run."""

_OSS = re.compile(r"^oss://(?P<bucket>[a-z0-9-]+)(?P<endpoint>\.[a-z0-9.-]+)?(?P<path>/.*)?$")
_DATASET = re.compile(r"^dataset:(?P<id>d-[a-z0-9]+)$")
_FILE_SYSTEM = re.compile(r"^(nas|cpfs|bmcpfs)://\S+$")


def spec_findings(spec: JobSpec) -> Iterator[Finding]:
    """What keeps a spec from being a PAI-DLC job."""
    block = spec.block(PLATFORM)
    here = f"$.platform.{PLATFORM}"
    if not block:
        yield without_block(spec, PLATFORM, "workspace_id and region")
        return
    if ("ecs_spec" in block) == ("quota_id" in block):
        got = "both" if "ecs_spec" in block else "neither"
        yield Finding(here, f"got {got} of ecs_spec and quota_id, expected one of the two")
    if "ecs_spec" in block:
        for name, given in (("shm_mib", spec.resources.shm_mib), ("gpu_type", spec.resources.gpu_type)):
            if given:
                yield Finding(
                    f"$.resources.{name}", "the ECS type decides it; only a quota_id can ask for it"
                )
    if spec.shards > 1 and block.get("job_type", "PyTorchJob") != "PyTorchJob":
        yield Finding(f"{here}.job_type", "shards need PyTorchJob, which sets RANK and WORLD_SIZE")
    if "switch_id" in block.get("vpc", {}) and "extended_cidrs" not in block["vpc"]:
        yield Finding(f"{here}.vpc.extended_cidrs", "is missing, and needed with switch_id")
    if spec.fan_out:
        yield Finding("$.fan_out", "PAI-DLC has no steps, expected a job for each indicator")
    if spec.secret_env:
        yield Finding(
            "$.secret_env",
            "PAI-DLC stores and shows every environment variable in plain text, expected none: "
            "give the job a role_arn instead",
        )
    if spec.output.path is None and "role_arn" not in block:
        yield Finding("$.output.path", f"is missing, and {here}.role_arn too, as which the job could upload")
    yield from _source_findings(spec, block["region"])


def _source_findings(spec: JobSpec, region: str) -> Iterator[Finding]:
    for where, uri in _sources(spec):
        bucket = uri.removeprefix("oss://").partition("/")[0].partition(".")[0]
        if uri.startswith("oss://") and (wrong := tuple(bucket_findings(bucket, where))):
            yield from wrong
        elif _source(uri, region) is None:
            yield Finding(
                where,
                f"got {uri}, expected oss://<bucket>/<folder>, dataset:<id>, nas://, cpfs:// or bmcpfs://",
            )


def create_job_body(spec: JobSpec) -> dict[str, Any]:
    """The body. The spec has no `spec_findings`."""
    block = spec.block(PLATFORM)
    worker: dict[str, Any] = {"Type": "Worker", "PodCount": spec.shards, "Image": spec.image.pinned}
    if "ecs_spec" in block:
        worker["EcsSpec"] = block["ecs_spec"]
    else:
        worker["ResourceConfig"] = _resource_config(spec.resources)
    settings: dict[str, Any] = {"Tags": _tags(spec)}
    if spec.retries:
        settings |= {
            "EnableErrorMonitoringInAIMaster": True,
            # ExitCodeAndErrorMsg tries again what broke, and not what a command ended by itself.
            "ErrorMonitoringArgs": "--job-execution-mode=Sync --enable-job-restart=True "
            f"--max-num-of-job-restart={spec.retries} --fault-tolerant-policy=ExitCodeAndErrorMsg",
        }
    else:
        worker["RestartPolicy"] = "Never"
    optional = {
        "Priority": block.get("priority"),
        "ResourceId": block.get("quota_id"),
        "CredentialConfig": _credential(block["role_arn"]) if "role_arn" in block else None,
        "UserVpc": _vpc(block["vpc"]) if "vpc" in block else None,
    }
    return {
        "DisplayName": display_name(spec),
        "WorkspaceId": str(block["workspace_id"]),
        "Accessibility": block.get("accessibility", "PRIVATE"),
        "JobType": block.get("job_type", "PyTorchJob"),
        "JobSpecs": [worker],
        "UserCommand": _command(spec),
        # There from the beginning, so that whoever submits the file can set it.
        "Envs": {"HEXGATE_RUN_ID": "", **job_environment(spec, PLATFORM)},
        "DataSources": _data_sources(spec),
        "JobMaxRunningTimeMinutes": math.ceil(spec.timeout_s / 60),
        "Settings": settings,
        **{name: value for name, value in optional.items() if value is not None},
    }


def display_name(spec: JobSpec) -> str:
    """The name that the platform shows: the job's, and the run's where there is one."""
    return spec.name if spec.run_id is None else f"{spec.name}-{spec.run_id}"


def _command(spec: JobSpec) -> str:
    # Not every shell replaces itself by its last command; one that stays would keep SIGTERM from the job.
    line = f"exec {shell_line(part_argv(spec))}"
    # The address of the first worker is the one thing that the shards of a job without a run_id have in common.
    return line if spec.shards == 1 else f'HEXGATE_RUN_KEY="$MASTER_ADDR" {line}'


def _tags(spec: JobSpec) -> dict[str, str]:
    run = {} if spec.run_id is None else {RUN_TAG: spec.run_id}
    return dict(spec.labels) | {"hexgate-spec": spec.sha256[:16]} | run


def _resource_config(resources: Resources) -> dict[str, str]:
    # PAI-DLC wants every quantity as text, counts too.
    config = {"CPU": f"{resources.cpu:g}", "Memory": _quantity(resources.memory_mib)}
    if resources.gpus:
        config["GPU"] = str(resources.gpus)
    if resources.gpu_type:
        config["GPUType"] = resources.gpu_type
    if resources.shm_mib:
        config["SharedMemory"] = _quantity(resources.shm_mib)
    return config


def _quantity(mib: int) -> str:
    return f"{mib // 1024}Gi" if mib % 1024 == 0 else f"{mib}Mi"


def _sources(spec: JobSpec) -> list[tuple[str, str]]:
    sources = [(f"$.mounts[{index}].uri", mount.uri) for index, mount in enumerate(spec.mounts)]
    return [*sources, ("$.output.uri", spec.output.uri)] if spec.output.path else sources


def _source(uri: str, region: str) -> dict[str, str] | None:
    if oss := _OSS.match(uri):
        endpoint = oss["endpoint"] or f".oss-{region}-internal.aliyuncs.com"
        return {"Uri": f"oss://{oss['bucket']}{endpoint}{(oss['path'] or '').rstrip('/')}/"}
    if dataset := _DATASET.match(uri):
        return {"DataSourceId": dataset["id"]}
    return {"Uri": uri} if _FILE_SYSTEM.match(uri) else None


def _data_sources(spec: JobSpec) -> list[dict[str, str]]:
    region = spec.block(PLATFORM)["region"]
    mounts = [(mount.uri, mount.path, mount.mode) for mount in spec.mounts]
    if spec.output.path:
        mounts.append((spec.output.uri, spec.output.path, Mode.RW))
    return [
        {**(_source(uri, region) or {}), "MountPath": path, "MountAccess": mode.value.upper()}
        for uri, path, mode in mounts
    ]


def _credential(role_arn: str) -> dict[str, Any]:
    role = {"RoleType": "service", "RoleArn": role_arn, "AssumeRoleFor": role_arn.split(":")[3]}
    return {
        "EnableCredentialInject": True,
        "AliyunEnvRoleKey": "0",
        "CredentialConfigItems": [{"Key": "0", "Type": "Role", "Roles": [role]}],
    }


def _vpc(vpc: dict[str, Any]) -> dict[str, Any]:
    names = {
        "vpc_id": "VpcId",
        "security_group_id": "SecurityGroupId",
        "switch_id": "SwitchId",
        "extended_cidrs": "ExtendedCIDRs",
        "default_route": "DefaultRoute",
    }
    return {native: vpc[name] for name, native in names.items() if name in vpc}
