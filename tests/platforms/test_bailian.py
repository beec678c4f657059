"""PAI-DLC without its SDK: what a spec renders to, and which specs are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hexgate.errors import JobSpecError
from hexgate.platforms import platform
from hexgate.platforms.bailian import Bailian
from hexgate.platforms.base import Layer
from hexgate.platforms.spec import JobSpec, parse_spec, read_spec

PLATFORMS = Path(__file__).resolve().parents[2] / "platforms"
BLOCK = {"workspace_id": "100001", "region": "cn-hangzhou", "ecs_spec": "ecs.g7.xlarge"}
RUN = "20261120T101112Z-0123abcd"


def spec(block: dict[str, Any] | None = None, **keys: Any) -> JobSpec:
    value = {
        "schema": "hexgate.job/v1",
        "name": "quick",
        "indicator": "accuracy_f1",
        "image": {"ref": "registry.example.com/hexgate:0.1.0"},
        "argv": ["hexgate", "run", "--model", "/models/it's here.onnx", "--out", "{out}"],
        "mounts": [{"name": "model", "uri": "oss://example-bucket/models", "path": "/models"}],
        "output": {"uri": "oss://example-bucket/runs/", "path": "/output"},
        "timeout_s": 601,
        "platform": {"bailian": BLOCK if block is None else block},
    }
    return parse_spec(value | keys, "test")


def body(job: JobSpec) -> dict[str, Any]:
    files = Bailian().render(job)
    assert list(files) == ["job.yaml"]
    value: dict[str, Any] = yaml.safe_load(files["job.yaml"])
    return value


def problems(job: JobSpec) -> dict[str, str]:
    return {found.path: found.problem for found in Bailian().spec_findings(job)}


def test_the_registry_knows_it() -> None:
    assert isinstance(platform("bailian"), Bailian)


def test_the_checked_in_template_is_what_its_spec_renders_to() -> None:
    rendered = Bailian().render(read_spec(PLATFORMS / "specs" / "bailian.yaml"))
    assert (PLATFORMS / "job_templates" / "bailian" / "job.yaml").read_text("utf-8") == rendered["job.yaml"]


def test_the_command_is_one_line_quoted_once() -> None:
    line = body(spec())["UserCommand"]
    assert line == (
        "exec hexgate platforms run --output /output -- "
        """hexgate run --model '/models/it'"'"'s here.onnx' --out '{out}'"""
    )


def test_a_workspace_written_as_a_number_is_text_on_the_wire() -> None:
    assert body(spec(BLOCK | {"workspace_id": 100001}))["WorkspaceId"] == "100001"


def test_minutes_are_rounded_up() -> None:
    assert body(spec())["JobMaxRunningTimeMinutes"] == 11
    assert body(spec(timeout_s=600))["JobMaxRunningTimeMinutes"] == 10


def test_mounts_get_the_endpoint_of_the_region_where_they_name_none() -> None:
    mounts = [
        {"name": "model", "uri": "oss://example-bucket/models", "path": "/models"},
        {"name": "far", "uri": "oss://other.oss-cn-beijing.aliyuncs.com/d/", "path": "/far", "mode": "rw"},
        {"name": "set", "uri": "dataset:d-abc123", "path": "/set"},
        {"name": "fs", "uri": "cpfs://cpfs-1.cn-hangzhou/share", "path": "/fs"},
    ]
    assert body(spec(mounts=mounts))["DataSources"] == [
        {
            "Uri": "oss://example-bucket.oss-cn-hangzhou-internal.aliyuncs.com/models/",
            "MountPath": "/models",
            "MountAccess": "RO",
        },
        {"Uri": "oss://other.oss-cn-beijing.aliyuncs.com/d/", "MountPath": "/far", "MountAccess": "RW"},
        {"DataSourceId": "d-abc123", "MountPath": "/set", "MountAccess": "RO"},
        {"Uri": "cpfs://cpfs-1.cn-hangzhou/share", "MountPath": "/fs", "MountAccess": "RO"},
        {
            "Uri": "oss://example-bucket.oss-cn-hangzhou-internal.aliyuncs.com/runs/",
            "MountPath": "/output",
            "MountAccess": "RW",
        },
    ]


def test_an_ecs_type_comes_without_resources() -> None:
    worker = body(spec())["JobSpecs"][0]
    assert worker == {
        "Type": "Worker",
        "PodCount": 1,
        "Image": "registry.example.com/hexgate:0.1.0",
        "EcsSpec": "ecs.g7.xlarge",
        "RestartPolicy": "Never",
    }
    assert "ResourceId" not in body(spec())


def test_a_quota_comes_with_quantities_as_text() -> None:
    block = {"workspace_id": "100001", "region": "cn-hangzhou", "quota_id": "quota1abc"}
    resources = {"gpus": 2, "gpu_type": "A10", "cpu": 7.5, "memory_mib": 32768, "shm_mib": 1500}
    value = body(spec(block, resources=resources))
    assert value["ResourceId"] == "quota1abc"
    assert value["JobSpecs"][0]["ResourceConfig"] == {
        "CPU": "7.5",
        "Memory": "32Gi",
        "GPU": "2",
        "GPUType": "A10",
        "SharedMemory": "1500Mi",
    }


def test_a_role_and_a_vpc_stand_where_pai_looks_for_them() -> None:
    vpc = {
        "vpc_id": "vpc-1",
        "security_group_id": "sg-1",
        "switch_id": "vsw-1",
        "extended_cidrs": ["10.0.0.0/8"],
        "default_route": "eth1",
    }
    value = body(spec(BLOCK | {"vpc": vpc, "role_arn": "acs:ram::1234567890123456:role/gate", "priority": 9}))
    assert value["UserVpc"] == {
        "VpcId": "vpc-1",
        "SecurityGroupId": "sg-1",
        "SwitchId": "vsw-1",
        "ExtendedCIDRs": ["10.0.0.0/8"],
        "DefaultRoute": "eth1",
    }
    items = value["CredentialConfig"]["CredentialConfigItems"]
    assert items[0]["Roles"][0]["AssumeRoleFor"] == "1234567890123456"
    assert value["Priority"] == 9


def test_a_run_stands_in_the_name_the_tags_and_the_environment() -> None:
    value = body(spec(labels={"team": "vision"}).with_run_id(RUN))
    assert value["DisplayName"] == f"quick-{RUN}"
    assert value["Settings"]["Tags"]["hexgate-run-id"] == RUN
    assert value["Settings"]["Tags"]["team"] == "vision"
    assert value["Envs"]["HEXGATE_RUN_ID"] == RUN


def test_shards_are_workers_that_share_the_address_of_the_first() -> None:
    value = body(spec(shards=3))
    assert value["JobSpecs"][0]["PodCount"] == 3
    assert value["Envs"]["HEXGATE_SHARDS"] == "3"
    assert value["UserCommand"].startswith('HEXGATE_RUN_KEY="$MASTER_ADDR" exec hexgate platforms run ')
    assert not Bailian().native_findings(Bailian().render(spec(shards=3)))


def test_retries_are_of_what_broke_only() -> None:
    value = body(spec(retries={"max": 2}))
    assert value["Settings"]["EnableErrorMonitoringInAIMaster"] is True
    assert "--max-num-of-job-restart=2" in value["Settings"]["ErrorMonitoringArgs"]
    assert "OnFailure" not in value["Settings"]["ErrorMonitoringArgs"]
    assert "RestartPolicy" not in value["JobSpecs"][0]


@pytest.mark.parametrize(
    ("block", "keys", "path", "words"),
    [
        ({}, {}, "$.platform.bailian", "is missing"),
        (BLOCK | {"quota_id": "quota1"}, {}, "$.platform.bailian", "both"),
        ({"workspace_id": "1", "region": "cn-hangzhou"}, {}, "$.platform.bailian", "neither"),
        (None, {"resources": {"shm_mib": 64}}, "$.resources.shm_mib", "the ECS type"),
        (None, {"resources": {"gpu_type": "A10"}}, "$.resources.gpu_type", "the ECS type"),
        (BLOCK | {"job_type": "TFJob"}, {"shards": 2}, "$.platform.bailian.job_type", "RANK"),
        (
            BLOCK | {"vpc": {"vpc_id": "vpc-1", "security_group_id": "sg-1", "switch_id": "vsw-1"}},
            {},
            "$.platform.bailian.vpc.extended_cidrs",
            "is missing",
        ),
        (None, {"secret_env": ["OSS_KEY"]}, "$.secret_env", "plain text"),
        (None, {"output": {"uri": "oss://example-bucket/runs"}}, "$.output.path", "role_arn"),
        (
            None,
            {"mounts": [{"name": "data", "uri": "tos://b/d", "path": "/data"}]},
            "$.mounts[0].uri",
            "oss://",
        ),
        (None, {"output": {"uri": "file:///tmp/x", "path": "/output"}}, "$.output.uri", "oss://"),
        (
            None,
            {"fan_out": True, "argv": ["hexgate", "run", "--indicator", "{indicator}", "--out", "{out}"]},
            "$.fan_out",
            "steps",
        ),
    ],
)
def test_what_is_no_dlc_job_is_refused_with_its_path(
    block: dict[str, Any] | None, keys: dict[str, Any], path: str, words: str
) -> None:
    job = (
        parse_spec(spec(**keys).to_json() | {"platform": {}}, "test") if block == {} else spec(block, **keys)
    )
    assert words in problems(job)[path]
    with pytest.raises(JobSpecError) as caught:
        Bailian().render(job)
    assert any(mistake.startswith(f"{path}: ") for mistake in caught.value.mistakes)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"workspace_id": None}, "$.platform.bailian.workspace_id"),
        ({"priority": 10}, "$.platform.bailian.priority"),
        ({"ecs_spec": "gn7i"}, "$.platform.bailian.ecs_spec"),
        ({"region": "Hangzhou"}, "$.platform.bailian.region"),
        ({"role_arn": "arn:aws:iam::1:role/x"}, "$.platform.bailian.role_arn"),
        ({"job_type": "SlurmJob"}, "$.platform.bailian.job_type"),
        ({"unknown": 1}, "$.platform.bailian"),
    ],
)
def test_the_block_is_strict(change: dict[str, Any], path: str) -> None:
    with pytest.raises(JobSpecError) as caught:
        spec(BLOCK | change)
    assert any(mistake.startswith(path) for mistake in caught.value.mistakes)


def test_a_job_without_a_workspace_is_refused() -> None:
    with pytest.raises(JobSpecError, match="'workspace_id' is missing"):
        spec({"region": "cn-hangzhou", "ecs_spec": "ecs.g7.xlarge"})


def test_the_api_has_no_dry_run_and_it_says_so() -> None:
    checked = Bailian().dry_run(Bailian().render(spec()))
    assert checked.layer is Layer.SERVER
    assert checked.skipped is not None
    assert "--dry-run" in checked.skipped


@pytest.mark.parametrize("text", ["{", "- a list", "key: [unclosed"])
def test_what_cannot_be_read_is_said_and_not_raised(text: str) -> None:
    assert Bailian().native_findings({"job.yaml": text})
    assert Bailian().check({"job.yaml": text}).findings
