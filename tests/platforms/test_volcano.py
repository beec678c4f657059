"""veMLP without its SDK: what a spec renders to in both forms, and which specs are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hexgate.errors import JobSpecError
from hexgate.platforms import platform
from hexgate.platforms.base import Layer
from hexgate.platforms.spec import JobSpec, parse_spec, read_spec
from hexgate.platforms.volcano import Volcano

PLATFORMS = Path(__file__).resolve().parents[2] / "platforms"
BLOCK = {"region": "cn-beijing", "queue_id": "q-20260101000000-abcde", "flavor": "ml.g3i.xlarge"}
RUN = "20261120T101112Z-0123abcd"


def spec(block: dict[str, Any] | None = None, **keys: Any) -> JobSpec:
    value = {
        "schema": "hexgate.job/v1",
        "name": "quick",
        "indicator": "accuracy_f1",
        "image": {"ref": "registry.example.com/hexgate:0.1.0"},
        "argv": ["hexgate", "run", "--model", "/models/it's here.onnx", "--out", "{out}"],
        "mounts": [{"name": "model", "uri": "tos://example-bucket/models/", "path": "/models"}],
        "output": {"uri": "tos://example-bucket", "path": "/output"},
        "timeout_s": 601,
        "platform": {"volcano": BLOCK if block is None else block},
    }
    return parse_spec(value | keys, "test")


def forms(job: JobSpec) -> tuple[dict[str, Any], dict[str, Any]]:
    """The task of the volc program, and the body of the OpenAPI."""
    files = Volcano().render(job)
    assert list(files) == ["job.yaml", "create_job.json"]
    return yaml.safe_load(files["job.yaml"]), json.loads(files["create_job.json"])


def problems(job: JobSpec) -> dict[str, str]:
    return {found.path: found.problem for found in Volcano().spec_findings(job)}


def test_the_registry_knows_it() -> None:
    assert isinstance(platform("volcano"), Volcano)


def test_the_checked_in_templates_are_what_their_spec_renders_to() -> None:
    rendered = Volcano().render(read_spec(PLATFORMS / "specs" / "volcano.yaml"))
    for name, text in rendered.items():
        assert (PLATFORMS / "job_templates" / "volcano" / name).read_text("utf-8") == text


def test_the_two_forms_differ_in_names_and_in_values() -> None:
    task, body = forms(spec(BLOCK | {"framework": "pytorch", "priority": 6}, shards=3))
    assert task["TaskName"] == body["Name"] == "quick"
    assert task["Framework"] == "PyTorchDDP"
    assert body["RuntimeConfig"]["Framework"] == "PyTorch"
    assert task["TaskRoleSpecs"] == [{"RoleName": "worker", "RoleReplicas": 3, "Flavor": "ml.g3i.xlarge"}]
    assert body["ResourceConfig"]["Roles"] == [
        {"Name": "worker", "Replicas": 3, "Resource": {"Type": "Preset", "InstanceTypeId": "ml.g3i.xlarge"}}
    ]
    assert task["ActiveDeadlineSeconds"] == body["ResourceConfig"]["MaxRuntimeSeconds"] == 601
    assert task["Priority"] == body["ResourceConfig"]["Priority"] == 6
    assert task["Entrypoint"] == body["RuntimeConfig"]["Command"]
    assert task["Envs"] == body["RuntimeConfig"]["Envs"]
    assert not task.keys() & body.keys() - {"Description"}


@pytest.mark.parametrize(
    ("word", "task_word", "body_word"),
    [
        ("custom", "Custom", "Custom"),
        ("pytorch", "PyTorchDDP", "PyTorch"),
        ("mpi", "MPI", "MPI"),
        ("tensorflow", "TensorFlowPS", "TensorFlow"),
    ],
)
def test_each_framework_in_the_word_of_each_form(word: str, task_word: str, body_word: str) -> None:
    task, body = forms(spec(BLOCK | {"framework": word}))
    assert (task["Framework"], body["RuntimeConfig"]["Framework"]) == (task_word, body_word)


def test_the_command_is_one_line_quoted_once_and_knows_its_task() -> None:
    task, _ = forms(spec())
    assert task["Entrypoint"] == (
        '[ -z "$MLP_TASK_ID" ] || export HEXGATE_JOB_ID="$MLP_TASK_ID"; '
        "exec hexgate platforms run --output /output -- "
        """hexgate run --model '/models/it'"'"'s here.onnx' --out '{out}'"""
    )
    sharded, _ = forms(spec(BLOCK | {"framework": "pytorch"}, shards=2))
    assert 'export HEXGATE_JOB_ID="$MLP_TASK_ID" HEXGATE_RUN_KEY="$MLP_TASK_ID";' in sharded["Entrypoint"]


def test_mounts_of_tos_and_vepfs() -> None:
    mounts = [
        {"name": "model", "uri": "tos://example-bucket/models/", "path": "/models"},
        {"name": "share", "uri": "vepfs://vepfs-cnbj1/team/data", "path": "/share", "mode": "rw"},
    ]
    task, body = forms(spec(mounts=mounts))
    assert task["Storages"] == [
        {
            "Type": "Tos",
            "MountPath": "/models",
            "Bucket": "example-bucket",
            "Prefix": "models",
            "ReadOnly": True,
        },
        {
            "Type": "Vepfs",
            "MountPath": "/share",
            "VepfsId": "vepfs-cnbj1",
            "SubPath": "team/data",
            "ReadOnly": False,
        },
        {"Type": "Tos", "MountPath": "/output", "Bucket": "example-bucket", "Prefix": "", "ReadOnly": False},
    ]
    assert [storage["Config"] for storage in body["StorageConfig"]["Storages"]] == [
        {"Tos": {"Bucket": "example-bucket", "Prefix": "models"}},
        {"Vepfs": {"Id": "vepfs-cnbj1", "SubPath": "team/data"}},
        {"Tos": {"Bucket": "example-bucket", "Prefix": ""}},
    ]
    assert body["StorageConfig"]["Credential"] == {"UseServiceLinkedRole": True}


def test_no_role_where_none_is_wanted_or_needed() -> None:
    _, body = forms(spec(BLOCK | {"use_service_linked_role": False}))
    assert "Credential" not in body["StorageConfig"]
    mounts = [{"name": "share", "uri": "vepfs://vepfs-cnbj1", "path": "/share"}]
    _, body = forms(spec(mounts=mounts, output={"uri": "vepfs://vepfs-cnbj1/out", "path": "/output"}))
    assert "Credential" not in body["StorageConfig"]


def test_retries_are_of_what_broke_only() -> None:
    task, body = forms(spec(BLOCK | {"retry_interval_s": 30}, retries={"max": 2}))
    assert task["RetryOptions"] == {
        "EnableRetry": True,
        "MaxRetryTimes": 2,
        "IntervalSeconds": 30,
        "PolicySets": ["InstanceReclaimed", "MachineFailure"],
    }
    assert body["RetryConfig"]["Triggers"] == ["InstanceReclaimed", "MachineFailure"]
    task, body = forms(spec())
    assert task["RetryOptions"] == {"EnableRetry": False}
    assert "RetryConfig" not in body


def test_a_run_stands_in_the_name_and_the_environment_and_no_variable_is_private() -> None:
    task, body = forms(spec(env={"SEED": "1"}, secret_env=["API_KEY"]).with_run_id(RUN))
    assert task["TaskName"] == body["Name"] == f"quick-{RUN}"
    variables = {env["Name"]: env for env in task["Envs"]}
    assert variables["HEXGATE_RUN_ID"]["Value"] == RUN
    assert "API_KEY" not in variables
    assert not any(env["IsPrivate"] for env in task["Envs"])


def test_the_run_is_the_first_variable_also_where_there_is_none_yet() -> None:
    task, _ = forms(spec(env={"SEED": "1"}))
    assert task["Envs"][0] == {"Name": "HEXGATE_RUN_ID", "Value": "", "IsPrivate": False}


def test_a_queue_by_name_gives_the_form_that_takes_names_only() -> None:
    block = {"region": "cn-beijing", "queue_name": "gate", "flavor": "ml.g3i.xlarge"}
    files = Volcano().render(spec(block))
    assert list(files) == ["job.yaml"]
    task = yaml.safe_load(files["job.yaml"])
    assert task["ResourceQueueName"] == "gate"
    assert "ResourceQueueID" not in task


def test_labels_are_tags() -> None:
    task, _ = forms(spec(labels={"team": "vision"}))
    assert "team=vision" in task["Tags"]


@pytest.mark.parametrize(
    ("block", "keys", "path", "words"),
    [
        ({}, {}, "$.platform.volcano", "is missing"),
        (BLOCK | {"queue_name": "gate"}, {}, "$.platform.volcano", "both"),
        ({"region": "cn-beijing", "flavor": "ml.g3i.xlarge"}, {}, "$.platform.volcano", "neither"),
        (None, {"shards": 2}, "$.platform.volcano.framework", "MLP_ROLE_INDEX"),
        (BLOCK | {"preemptible": True}, {}, "$.retries.max", "reclaimed"),
        (None, {"resources": {"shm_mib": 64}}, "$.resources.shm_mib", "no field"),
        (None, {"resources": {"gpu_type": "A800"}}, "$.resources.gpu_type", "no field"),
        (None, {"output": {"uri": "tos://example-bucket/runs"}}, "$.output.path", "secret_env"),
        (None, {"output": {"uri": "oss://b/runs", "path": "/output"}}, "$.output.uri", "tos://"),
        (
            None,
            {"mounts": [{"name": "data", "uri": "oss://b/d", "path": "/data"}]},
            "$.mounts[0].uri",
            "tos://",
        ),
        (
            None,
            {"fan_out": True, "argv": ["hexgate", "run", "--indicator", "{indicator}", "--out", "{out}"]},
            "$.fan_out",
            "steps",
        ),
    ],
)
def test_what_is_no_vemlp_job_is_refused_with_its_path(
    block: dict[str, Any] | None, keys: dict[str, Any], path: str, words: str
) -> None:
    job = (
        parse_spec(spec(**keys).to_json() | {"platform": {}}, "test") if block == {} else spec(block, **keys)
    )
    assert words in problems(job)[path]
    with pytest.raises(JobSpecError) as caught:
        Volcano().render(job)
    assert any(mistake.startswith(f"{path}: ") for mistake in caught.value.mistakes)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"flavor": "g3i.xlarge"}, "$.platform.volcano.flavor"),
        ({"queue_id": "gate"}, "$.platform.volcano.queue_id"),
        ({"framework": "PyTorchDDP"}, "$.platform.volcano.framework"),
        ({"access_type": "private"}, "$.platform.volcano.access_type"),
        ({"priority": 0}, "$.platform.volcano.priority"),
        ({"preemptible": "yes"}, "$.platform.volcano.preemptible"),
        ({"gpus": 1}, "$.platform.volcano"),
    ],
)
def test_the_block_is_strict(change: dict[str, Any], path: str) -> None:
    with pytest.raises(JobSpecError) as caught:
        spec(BLOCK | change)
    assert any(mistake.startswith(path) for mistake in caught.value.mistakes)


def test_the_volc_program_has_no_dry_run_and_it_says_so() -> None:
    checked = Volcano().dry_run({"job.yaml": Volcano().render(spec())["job.yaml"]})
    assert checked.layer is Layer.SERVER
    assert checked.skipped is not None


@pytest.mark.parametrize(
    ("name", "text"), [("job.yaml", "- a list"), ("job.yaml", "a: ["), ("create_job.json", "{")]
)
def test_what_cannot_be_read_is_said_and_not_raised(name: str, text: str) -> None:
    assert Volcano().native_findings({name: text})
    assert Volcano().check({name: text}).findings


def test_a_bucket_s_name_is_refused_for_its_length_and_a_spec_of_others_for_whom_it_is() -> None:
    uri = {"mounts": [{"name": "data", "uri": "tos://b/d", "path": "/data"}]}
    found = [one.problem for one in Volcano().spec_findings(spec(**uri))]
    assert found == ["got b, expected a bucket name of 3 to 63 characters: a-z, 0-9 and -"]
