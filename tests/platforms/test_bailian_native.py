"""The template of PAI-DLC, changed in one place: refused by the layer that should, at that place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hexgate.platforms.bailian import Bailian
from hexgate.platforms.base import Layer
from hexgate.platforms.spec import parse_spec, read_spec
from support import needs
from support.native_files import ODD, Change, changed, drop, places, put, refusals, rename

pytestmark = pytest.mark.vendor

PLATFORMS = Path(__file__).resolve().parents[2] / "platforms"
TEMPLATE = (PLATFORMS / "job_templates" / "bailian" / "job.yaml").read_text("utf-8")
WORKER = ("JobSpecs", 0)


@pytest.fixture(autouse=True)
def _sdk() -> None:
    needs.module("alibabacloud_pai_dlc20201203")


def with_quota(config: dict[str, Any]) -> Change:
    def change(body: Any) -> None:
        body["ResourceId"] = "quota1abc"
        worker = body["JobSpecs"][0]
        del worker["EcsSpec"]
        worker["ResourceConfig"] = {"CPU": "8", "Memory": "32Gi", "GPU": "1"} | config

    return change


MUTATIONS: dict[str, tuple[Change, Layer, str]] = {
    "misspelt key": (rename("UserCommand", to="UserComand"), Layer.VENDOR, "$.UserComand"),
    "key in the wrong case": (rename("JobType", to="jobType"), Layer.VENDOR, "$.jobType"),
    "misspelt key deep inside": (
        put(*WORKER, "Podcount", value=1),
        Layer.VENDOR,
        "$.JobSpecs[0].Podcount",
    ),
    "unknown setting": (put("Settings", "Tag", value={}), Layer.VENDOR, "$.Settings.Tag"),
    "missing required": (drop("DisplayName"), Layer.VENDOR, "$.DisplayName"),
    "empty list of workers": (put("JobSpecs", value=[]), Layer.VENDOR, "$.JobSpecs"),
    "text for a number": (put(*WORKER, "PodCount", value="1"), Layer.VENDOR, "$.JobSpecs[0].PodCount"),
    "true for a number": (put("Priority", value=True), Layer.VENDOR, "$.Priority"),
    "number for text": (put("WorkspaceId", value=100001), Layer.VENDOR, "$.WorkspaceId"),
    "object for a list": (put("DataSources", value={}), Layer.VENDOR, "$.DataSources"),
    "number among the variables": (put("Envs", "SEED", value=0), Layer.VENDOR, "$.Envs.SEED"),
    "nothing for text": (put("UserCommand", value=None), Layer.VENDOR, "$.UserCommand"),
    "number in a quantity": (with_quota({"GPU": 1}), Layer.VENDOR, "$.JobSpecs[0].ResourceConfig.GPU"),
    "no workspace": (drop("WorkspaceId"), Layer.RULES, "$.WorkspaceId"),
    "both ways to pay": (
        put(*WORKER, "ResourceConfig", value={"CPU": "8", "Memory": "32Gi"}),
        Layer.RULES,
        "$.JobSpecs[0]",
    ),
    "no way to pay": (drop(*WORKER, "EcsSpec"), Layer.RULES, "$.JobSpecs[0]"),
    "quota with an ECS type": (put("ResourceId", value="quota1"), Layer.RULES, "$.ResourceId"),
    "resources without a quota": (
        lambda body: (with_quota({})(body), body.pop("ResourceId")),
        Layer.RULES,
        "$.ResourceId",
    ),
    "half a GPU": (with_quota({"GPU": "0.5"}), Layer.RULES, "$.JobSpecs[0].ResourceConfig.GPU"),
    "memory without a unit": (
        with_quota({"Memory": "32"}),
        Layer.RULES,
        "$.JobSpecs[0].ResourceConfig.Memory",
    ),
    "memory in the wrong unit": (
        with_quota({"Memory": "32GB"}),
        Layer.RULES,
        "$.JobSpecs[0].ResourceConfig.Memory",
    ),
    "both sources": (put("DataSources", 0, "DataSourceId", value="d-1"), Layer.RULES, "$.DataSources[0]"),
    "no source": (drop("DataSources", 0, "Uri"), Layer.RULES, "$.DataSources[0]"),
    "bucket without an endpoint": (
        put("DataSources", 1, "Uri", value="oss://example-bucket/data"),
        Layer.RULES,
        "$.DataSources[1].Uri",
    ),
    "another cloud's store": (
        put("DataSources", 1, "Uri", value="s3://example-bucket/data"),
        Layer.RULES,
        "$.DataSources[1].Uri",
    ),
    "relative mount": (
        put("DataSources", 0, "MountPath", value="models"),
        Layer.RULES,
        "$.DataSources[0].MountPath",
    ),
    "two mounts in one place": (
        put("DataSources", 1, "MountPath", value="/models"),
        Layer.RULES,
        "$.DataSources[1].MountPath",
    ),
    "mount inside a mount": (
        put("DataSources", 1, "MountPath", value="/models/data"),
        Layer.RULES,
        "$.DataSources[1].MountPath",
    ),
    "no mount path": (drop("DataSources", 0, "MountPath"), Layer.RULES, "$.DataSources[0].MountPath"),
    "unknown access": (
        put("DataSources", 0, "MountAccess", value="rw"),
        Layer.RULES,
        "$.DataSources[0].MountAccess",
    ),
    "output read only": (
        put("DataSources", 2, "MountAccess", value="RO"),
        Layer.RULES,
        "$.DataSources[2].MountPath",
    ),
    "output not mounted": (drop("DataSources", 2), Layer.RULES, "$.UserCommand"),
    "command without the part runner": (
        put("UserCommand", value="hexgate run --indicator all --out /output/x"),
        Layer.RULES,
        "$.UserCommand",
    ),
    "unclosed quote": (put("UserCommand", value="hexgate 'run"), Layer.RULES, "$.UserCommand"),
    "seconds for minutes": (
        put("JobMaxRunningTimeMinutes", value=72000),
        Layer.RULES,
        "$.JobMaxRunningTimeMinutes",
    ),
    "no limit in time": (drop("JobMaxRunningTimeMinutes"), Layer.RULES, "$.JobMaxRunningTimeMinutes"),
    "priority out of range": (put("Priority", value=10), Layer.RULES, "$.Priority"),
    "unknown job type": (put("JobType", value="Job"), Layer.RULES, "$.JobType"),
    "name with a space": (put("DisplayName", value="release gate"), Layer.RULES, "$.DisplayName"),
    "no worker": (put(*WORKER, "PodCount", value=0), Layer.RULES, "$.JobSpecs[0].PodCount"),
    "restarts a failed measurement": (
        put(*WORKER, "RestartPolicy", value="OnFailure"),
        Layer.RULES,
        "$.JobSpecs[0].RestartPolicy",
    ),
    "image without a tag": (
        put(*WORKER, "Image", value="example.com:5000/hexgate"),
        Layer.RULES,
        "$.JobSpecs[0].Image",
    ),
    "image latest": (
        put(*WORKER, "Image", value="example.com/hexgate:latest"),
        Layer.RULES,
        "$.JobSpecs[0].Image",
    ),
    "no image for the artifacts": (drop("Envs", "HEXGATE_IMAGE"), Layer.RULES, "$.Envs.HEXGATE_IMAGE"),
    "another image than the artifacts would name": (
        put("Envs", "HEXGATE_IMAGE", value="other:1"),
        Layer.RULES,
        "$.Envs.HEXGATE_IMAGE",
    ),
    "secret among the variables": (
        put("Envs", "OSS_ACCESS_KEY_SECRET", value="abc"),
        Layer.RULES,
        "$.Envs.OSS_ACCESS_KEY_SECRET",
    ),
    "password of a registry": (
        put(*WORKER, "ImageConfig", value={"Username": "u", "Password": "p"}),
        Layer.RULES,
        "$.JobSpecs[0].ImageConfig.Password",
    ),
    "unresolved ${}": (put("WorkspaceId", value="${WORKSPACE}"), Layer.RULES, "$.WorkspaceId"),
    "unresolved <>": (
        put("DataSources", 0, "Uri", value="oss://<bucket>/x"),
        Layer.RULES,
        "$.DataSources[0].Uri",
    ),
    "unresolved in the command": (
        put(
            "UserCommand",
            value="hexgate platforms run --output /output -- hexgate run --model ${{inputs.model}}",
        ),
        Layer.RULES,
        "$.UserCommand",
    ),
    "too long": (put("Description", value="x" * 70_000), Layer.RULES, "$"),
}


def test_the_template_is_right() -> None:
    assert refusals(Bailian(), {"job.yaml": TEMPLATE}) == {Layer.VENDOR: [], Layer.RULES: []}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mistake_is_refused_by_its_layer_at_its_place(name: str) -> None:
    change, layer, path = MUTATIONS[name]
    said = refusals(Bailian(), changed(TEMPLATE, "job.yaml", change))[layer]
    assert any(line.startswith(f"job.yaml: {path}: ") for line in said), said


def test_no_value_anywhere_makes_a_check_fall_over() -> None:
    text = everything()["job.yaml"]
    for path in places(yaml.safe_load(text)):
        for odd in ODD:
            refusals(Bailian(), changed(text, "job.yaml", put(*path, value=odd)))


def everything() -> dict[str, str]:
    """The files of a job that uses all that the platform offers."""
    spec = read_spec(PLATFORMS / "specs" / "bailian.yaml")
    block = {
        "workspace_id": "100001",
        "region": "cn-hangzhou",
        "quota_id": "quota1abc",
        "priority": 1,
        "accessibility": "PUBLIC",
        "role_arn": "acs:ram::1234567890123456:role/gate",
        "vpc": {
            "vpc_id": "vpc-1",
            "security_group_id": "sg-1",
            "switch_id": "vsw-1",
            "extended_cidrs": ["10.0.0.0/8"],
        },
    }
    value = spec.to_json() | {
        "platform": {"bailian": block},
        "shards": 4,
        "retries": {"max": 3},
        "resources": {"gpus": 1, "gpu_type": "A10", "cpu": 8, "memory_mib": 32768, "shm_mib": 8192},
        "image": {"ref": "registry.example.com/hexgate:0.1.0", "digest": f"sha256:{'0' * 64}"},
    }
    return Bailian().render(parse_spec(value, "test").with_run_id())


def test_everything_that_the_platform_offers_passes_both_layers() -> None:
    assert refusals(Bailian(), everything()) == {Layer.VENDOR: [], Layer.RULES: []}


def test_every_mistake_is_said_at_once() -> None:
    def change(body: Any) -> None:
        body["Jobtype"] = body.pop("JobType")
        body["Priority"] = "high"
        body["JobSpecs"][0]["Podcount"] = body["JobSpecs"][0].pop("PodCount")

    said = refusals(Bailian(), changed(TEMPLATE, "job.yaml", change))[Layer.VENDOR]
    assert {line.split(": ")[1] for line in said} == {
        "$.JobType",
        "$.Jobtype",
        "$.Priority",
        "$.JobSpecs[0].Podcount",
    }
    assert any("is JobType meant?" in line for line in said)


def test_the_sdk_itself_lets_a_misspelt_key_through() -> None:
    """What the layer is there for: were it not so, the layer could go."""
    from alibabacloud_pai_dlc20201203.models import CreateJobRequest

    body = yaml.safe_load(TEMPLATE) | {"JobMaxRunningTimeMinute": 5}
    request = CreateJobRequest().from_map(body)
    request.validate()
    assert "JobMaxRunningTimeMinute" not in request.to_map()
