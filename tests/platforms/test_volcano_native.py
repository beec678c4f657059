"""The templates of veMLP in both forms, changed in one place: refused by the layer that should, at that place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hexgate.platforms.base import Layer
from hexgate.platforms.spec import parse_spec, read_spec
from hexgate.platforms.volcano import Volcano
from support import needs
from support.native_files import ODD, Change, changed, drop, places, put, refusals, rename

PLATFORMS = Path(__file__).resolve().parents[2] / "platforms"
FOLDER = PLATFORMS / "job_templates" / "volcano"
RETRY = {"MaxRetryTimes": 3, "IntervalSeconds": 60}

TASK: dict[str, tuple[Change, Layer, str]] = {
    "misspelt key": (rename("TaskName", to="TaskNames"), Layer.VENDOR, "$"),
    "key of the OpenAPI": (rename("Entrypoint", to="Command"), Layer.VENDOR, "$"),
    "unknown key of a storage": (put("Storages", 0, "Path", value="x"), Layer.VENDOR, "$.Storages[0]"),
    "missing image": (drop("ImageUrl"), Layer.VENDOR, "$"),
    "text for a number": (put("Priority", value="4"), Layer.VENDOR, "$.Priority"),
    "number for text": (put("Envs", 0, "Value", value=1), Layer.VENDOR, "$.Envs[0].Value"),
    "no replicas": (
        put("TaskRoleSpecs", 0, "RoleReplicas", value=0),
        Layer.VENDOR,
        "$.TaskRoleSpecs[0].RoleReplicas",
    ),
    "no roles": (put("TaskRoleSpecs", value=[]), Layer.VENDOR, "$.TaskRoleSpecs"),
    "framework of the OpenAPI": (put("Framework", value="PyTorch"), Layer.VENDOR, "$.Framework"),
    "priority out of range": (put("Priority", value=10), Layer.VENDOR, "$.Priority"),
    "access type in the wrong case": (put("AccessType", value="private"), Layer.VENDOR, "$.AccessType"),
    "unknown trigger": (
        put("RetryOptions", "PolicySets", value=["Reclaimed"]),
        Layer.VENDOR,
        "$.RetryOptions.PolicySets[0]",
    ),
    "text for yes": (put("Storages", 0, "ReadOnly", value="true"), Layer.VENDOR, "$.Storages[0].ReadOnly"),
    "framework of the OpenAPI, as a rule": (put("Framework", value="PyTorch"), Layer.RULES, "$.Framework"),
    "no queue": (drop("ResourceQueueID"), Layer.RULES, "$.ResourceQueueID"),
    "two queues": (put("ResourceQueueName", value="gate"), Layer.RULES, "$.ResourceQueueName"),
    "a queue's name for its id": (put("ResourceQueueID", value="gate"), Layer.RULES, "$.ResourceQueueID"),
    "no limit in time": (drop("ActiveDeadlineSeconds"), Layer.RULES, "$.ActiveDeadlineSeconds"),
    "minutes for seconds": (put("ActiveDeadlineSeconds", value=2), Layer.RULES, "$.ActiveDeadlineSeconds"),
    "flavor of another cloud": (
        put("TaskRoleSpecs", 0, "Flavor", value="ecs.g7.xlarge"),
        Layer.RULES,
        "$.TaskRoleSpecs[0].Flavor",
    ),
    "half a GPU": (put("TaskRoleSpecs", 0, "GpuRate", value=0.5), Layer.RULES, "$.TaskRoleSpecs[0].GpuRate"),
    "preemptible without retries": (put("Preemptible", value=True), Layer.RULES, "$.RetryOptions.PolicySets"),
    "preemptible, retried for something else": (
        lambda task: task.update(
            Preemptible=True,
            RetryOptions={"EnableRetry": True, **RETRY, "PolicySets": ["MachineFailure"]},
        ),
        Layer.RULES,
        "$.RetryOptions.PolicySets",
    ),
    "a failed measurement again": (
        put("RetryOptions", value={"EnableRetry": True, **RETRY, "PolicySets": ["Failed"]}),
        Layer.RULES,
        "$.RetryOptions.PolicySets",
    ),
    "bucket with its endpoint": (
        put("Storages", 0, "Bucket", value="example-bucket.tos-cn-beijing.volces.com"),
        Layer.RULES,
        "$.Storages[0].Bucket",
    ),
    "no bucket": (drop("Storages", 0, "Bucket"), Layer.RULES, "$.Storages[0].Bucket"),
    "a bucket on vePFS": (put("Storages", 0, "Type", value="Vepfs"), Layer.RULES, "$.Storages[0].Bucket"),
    "relative mount": (
        put("Storages", 0, "MountPath", value="models"),
        Layer.RULES,
        "$.Storages[0].MountPath",
    ),
    "two mounts in one place": (
        put("Storages", 1, "MountPath", value="/models"),
        Layer.RULES,
        "$.Storages[1].MountPath",
    ),
    "output read only": (put("Storages", 2, "ReadOnly", value=True), Layer.RULES, "$.Storages[2].MountPath"),
    "output not mounted": (drop("Storages", 2), Layer.RULES, "$.Entrypoint"),
    "command without the part runner": (put("Entrypoint", value="bash run.sh"), Layer.RULES, "$.Entrypoint"),
    "name with a space": (put("TaskName", value="release gate"), Layer.RULES, "$.TaskName"),
    "image without a tag": (put("ImageUrl", value="example.com/hexgate"), Layer.RULES, "$.ImageUrl"),
    "no image for the artifacts": (drop("Envs", 3), Layer.RULES, "$.Envs"),
    "another image than the artifacts would name": (
        put("ImageUrl", value="example.com/hexgate:0.2.0"),
        Layer.RULES,
        "$.Envs[3].Value",
    ),
    "secret among the variables": (
        put("Envs", 0, value={"Name": "ARK_API_KEY", "Value": "k", "IsPrivate": True}),
        Layer.RULES,
        "$.Envs[0].Value",
    ),
    "token of a registry": (
        put("ImageCredential", value={"RegistryUsername": "u", "RegistryToken": "t"}),
        Layer.RULES,
        "$.ImageCredential.RegistryToken",
    ),
    "unresolved ${}": (put("ResourceQueueID", value="${queue}"), Layer.RULES, "$.ResourceQueueID"),
    "unresolved <>": (put("Storages", 0, "Prefix", value="<folder>"), Layer.RULES, "$.Storages[0].Prefix"),
}

RUNTIME = ("RuntimeConfig",)
ROLE = ("ResourceConfig", "Roles", 0)
STORAGE = ("StorageConfig", "Storages")
AT_STORAGE = "$.StorageConfig.Storages"

BODY: dict[str, tuple[Change, Layer, str]] = {
    "misspelt key": (rename("Name", to="Names"), Layer.VENDOR, "$.Names"),
    "key of the volc program": (put("TaskName", value="x"), Layer.VENDOR, "$.TaskName"),
    "misspelt key deep inside": (
        put(*STORAGE, 0, "Config", "Tos", "Buckets", value="x"),
        Layer.VENDOR,
        f"{AT_STORAGE}[0].Config.Tos.Buckets",
    ),
    "framework of the volc program": (
        put(*RUNTIME, "Framework", value="PyTorchDDP"),
        Layer.VENDOR,
        "$.RuntimeConfig.Framework",
    ),
    "text for a number": (
        put("ResourceConfig", "Priority", value="4"),
        Layer.VENDOR,
        "$.ResourceConfig.Priority",
    ),
    "true for a number": (
        put(*ROLE, "Replicas", value=True),
        Layer.VENDOR,
        "$.ResourceConfig.Roles[0].Replicas",
    ),
    "number for text": (put(*RUNTIME, "Command", value=1), Layer.VENDOR, "$.RuntimeConfig.Command"),
    "object for a list": (put("ResourceConfig", "Roles", value={}), Layer.VENDOR, "$.ResourceConfig.Roles"),
    "text for an object": (put(*RUNTIME, "Image", value="hexgate:1"), Layer.VENDOR, "$.RuntimeConfig.Image"),
    "project too long": (put("ProjectName", value="x" * 65), Layer.VENDOR, "$.ProjectName"),
    "unknown diagnosis": (
        put("DiagnoseConfig", value=[{"Name": "X"}]),
        Layer.VENDOR,
        "$.DiagnoseConfig[0].Name",
    ),
    "framework of the volc program, as a rule": (
        put(*RUNTIME, "Framework", value="TensorFlowPS"),
        Layer.RULES,
        "$.RuntimeConfig.Framework",
    ),
    "no name": (drop("Name"), Layer.RULES, "$.Name"),
    "no queue": (drop("ResourceConfig", "ResourceQueueId"), Layer.RULES, "$.ResourceConfig.ResourceQueueId"),
    "no image": (drop(*RUNTIME, "Image"), Layer.RULES, "$.RuntimeConfig.Image.Url"),
    "no command": (drop(*RUNTIME, "Command"), Layer.RULES, "$.RuntimeConfig.Command"),
    "no limit in time": (
        drop("ResourceConfig", "MaxRuntimeSeconds"),
        Layer.RULES,
        "$.ResourceConfig.MaxRuntimeSeconds",
    ),
    "milliseconds for seconds": (
        put("ResourceConfig", "MaxRuntimeSeconds", value=7_200_000),
        Layer.RULES,
        "$.ResourceConfig.MaxRuntimeSeconds",
    ),
    "priority out of range": (
        put("ResourceConfig", "Priority", value=10),
        Layer.RULES,
        "$.ResourceConfig.Priority",
    ),
    "both claims": (
        put(*ROLE, "Resource", "FlexibleResourceClaim", value={"Cpu": 8, "MemoryGiB": 32}),
        Layer.RULES,
        "$.ResourceConfig.Roles[0].Resource",
    ),
    "neither claim": (
        drop(*ROLE, "Resource", "InstanceTypeId"),
        Layer.RULES,
        "$.ResourceConfig.Roles[0].Resource",
    ),
    "half a GPU": (
        put(*ROLE, "Resource", value={"Type": "Flexible", "FlexibleResourceClaim": {"GpuCount": 0.5}}),
        Layer.RULES,
        "$.ResourceConfig.Roles[0].Resource.FlexibleResourceClaim.GpuCount",
    ),
    "no replicas": (put(*ROLE, "Replicas", value=0), Layer.RULES, "$.ResourceConfig.Roles[0].Replicas"),
    "preemptible without retries": (
        put("ResourceConfig", "Preemptible", value=True),
        Layer.RULES,
        "$.RetryConfig.Triggers",
    ),
    "a failed measurement again": (
        put("RetryConfig", value={**RETRY, "Triggers": ["Failed"]}),
        Layer.RULES,
        "$.RetryConfig.Triggers",
    ),
    "storage of another type": (
        put(*STORAGE, 0, "Type", value="Nas"),
        Layer.RULES,
        f"{AT_STORAGE}[0].Config",
    ),
    "no bucket": (
        drop(*STORAGE, 0, "Config", "Tos", "Bucket"),
        Layer.RULES,
        f"{AT_STORAGE}[0].Config.Tos.Bucket",
    ),
    "relative mount": (put(*STORAGE, 0, "MountPath", value="x"), Layer.RULES, f"{AT_STORAGE}[0].MountPath"),
    "no mount path": (drop(*STORAGE, 0, "MountPath"), Layer.RULES, f"{AT_STORAGE}[0].MountPath"),
    "output read only": (put(*STORAGE, 2, "ReadOnly", value=True), Layer.RULES, f"{AT_STORAGE}[2].MountPath"),
    "output not mounted": (drop(*STORAGE, 2), Layer.RULES, "$.RuntimeConfig.Command"),
    "image latest": (
        put(*RUNTIME, "Image", "Url", value="example.com/hexgate:latest"),
        Layer.RULES,
        "$.RuntimeConfig.Image.Url",
    ),
    "no image for the artifacts": (drop(*RUNTIME, "Envs", 3), Layer.RULES, "$.RuntimeConfig.Envs"),
    "another image than the artifacts would name": (
        put(*RUNTIME, "Image", "Url", value="example.com/hexgate:0.2.0"),
        Layer.RULES,
        "$.RuntimeConfig.Envs[3].Value",
    ),
    "secret among the variables": (
        put(*RUNTIME, "Envs", 0, value={"Name": "TOS_SECRET_KEY", "Value": "k"}),
        Layer.RULES,
        "$.RuntimeConfig.Envs[0].Value",
    ),
    "keys of the store": (
        put("StorageConfig", "Credential", value={"AccessKey": "a", "SecretAccessKey": "s"}),
        Layer.RULES,
        "$.StorageConfig.Credential.SecretAccessKey",
    ),
    "unresolved ${}": (put("Description", value="${what}"), Layer.RULES, "$.Description"),
}


@pytest.fixture
def _sdk() -> None:
    needs.module("volcenginesdkmlplatform20240701")


def template(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")


def test_the_task_is_right() -> None:
    files = {"job.yaml": template("job.yaml")}
    assert refusals(Volcano(), files) == {Layer.VENDOR: [], Layer.RULES: []}


@pytest.mark.vendor
@pytest.mark.usefixtures("_sdk")
def test_the_body_is_right() -> None:
    files = {"create_job.json": template("create_job.json")}
    assert refusals(Volcano(), files) == {Layer.VENDOR: [], Layer.RULES: []}


@pytest.mark.parametrize("name", TASK)
def test_a_mistake_in_the_task_is_refused_by_its_layer_at_its_place(name: str) -> None:
    change, layer, path = TASK[name]
    said = refusals(Volcano(), changed(template("job.yaml"), "job.yaml", change))[layer]
    assert any(line.startswith(f"job.yaml: {path}: ") for line in said), said


@pytest.mark.vendor
@pytest.mark.usefixtures("_sdk")
@pytest.mark.parametrize("name", BODY)
def test_a_mistake_in_the_body_is_refused_by_its_layer_at_its_place(name: str) -> None:
    change, layer, path = BODY[name]
    said = refusals(Volcano(), changed(template("create_job.json"), "create_job.json", change))[layer]
    assert any(line.startswith(f"create_job.json: {path}: ") for line in said), said


@pytest.mark.vendor
@pytest.mark.usefixtures("_sdk")
@pytest.mark.parametrize("name", ["job.yaml", "create_job.json"])
def test_no_value_anywhere_makes_a_check_fall_over(name: str) -> None:
    text = everything()[name]
    for path in places(yaml.safe_load(text)):
        for odd in ODD:
            refusals(Volcano(), changed(text, name, put(*path, value=odd)))


@pytest.mark.parametrize(
    ("form", "other"), [("job.yaml", "create_job.json"), ("create_job.json", "job.yaml")]
)
def test_one_form_fed_to_the_other_is_named_as_such(form: str, other: str) -> None:
    content: Any = yaml.safe_load(template(form))
    text = json.dumps(content) if other.endswith(".json") else yaml.safe_dump(content)
    found = Volcano().native_findings({other: text})
    assert [each.path for each in found] == [f"{other}: $"]
    assert "their names differ" in found[0].problem


def everything() -> dict[str, str]:
    """The files of a job that uses all that the platform offers."""
    block = {
        "region": "cn-beijing",
        "queue_id": "q-20260101000000-abcde",
        "flavor": "ml.hpcpni2l.28xlarge",
        "zone_id": "cn-beijing-a",
        "framework": "pytorch",
        "access_type": "Queue",
        "preemptible": True,
        "priority": 2,
        "retry_interval_s": 60,
        "image_type": "Public",
        "resource_type": "Preset",
        "use_service_linked_role": True,
        "project_name": "default",
    }
    value = read_spec(PLATFORMS / "specs" / "volcano.yaml").to_json() | {
        "platform": {"volcano": block},
        "shards": 4,
        "retries": {"max": 3},
        "labels": {"team": "vision"},
        "image": {"ref": "registry.example.com/hexgate:0.1.0", "digest": f"sha256:{'0' * 64}"},
    }
    return Volcano().render(parse_spec(value, "test").with_run_id())


@pytest.mark.vendor
@pytest.mark.usefixtures("_sdk")
def test_everything_that_the_platform_offers_passes_both_layers() -> None:
    assert refusals(Volcano(), everything()) == {Layer.VENDOR: [], Layer.RULES: []}


@pytest.mark.vendor
@pytest.mark.usefixtures("_sdk")
def test_every_mistake_is_said_at_once() -> None:
    def change(body: Any) -> None:
        body["RuntimeConfig"]["Framework"] = "Horovod"
        body["ResourceConfig"]["Role"] = body["ResourceConfig"].pop("Roles")
        body["StorageConfig"]["Storages"][1]["ReadOnly"] = 1

    said = refusals(Volcano(), changed(template("create_job.json"), "create_job.json", change))[Layer.VENDOR]
    assert {line.split(": ")[1] for line in said} == {
        "$.RuntimeConfig.Framework",
        "$.ResourceConfig.Role",
        "$.StorageConfig.Storages[1].ReadOnly",
    }
    assert any("is Roles meant?" in line for line in said)
