"""The Kubernetes job: what is rendered, and what becomes of mistakes in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hexgate.errors import JobSpecError
from hexgate.platforms.base import Layer
from hexgate.platforms.kubernetes import Kubernetes
from hexgate.platforms.kubernetes_job import FILE, job_name
from hexgate.platforms.spec import JobSpec, parse_spec, read_spec
from support import needs
from support.lifecycle import demo_spec
from support.native_files import Change, changed, drop, put

ROOT = Path(__file__).parents[2]
RUN = "20261120T101500Z-0123abcd"


def template() -> JobSpec:
    return read_spec(ROOT / "platforms" / "specs" / "kubernetes.yaml")


def sharded(**keys: Any) -> JobSpec:
    mounted = {"output": {"uri": "pvc://results/runs", "path": "/output"}}
    return parse_spec(template().to_json() | {"shards": 2, "run_id": RUN} | mounted | keys, "test")


def job_of(spec: JobSpec) -> dict[str, Any]:
    job = yaml.safe_load(Kubernetes().render(spec)[FILE])
    assert isinstance(job, dict)
    return job


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = job["spec"]["template"]["spec"]
    return pod


def container_of(job: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = pod_of(job)["containers"][0]
    return container


def env_of(job: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container_of(job)["env"]}


def test_the_checked_in_template_is_its_spec_rendered() -> None:
    file = ROOT / "platforms" / "job_templates" / "dgx" / FILE
    assert file.read_text("utf-8") == Kubernetes().render(template())[FILE]


@pytest.mark.parametrize("spec", [template(), sharded()], ids=["one", "sharded"])
def test_what_is_rendered_passes_the_rules(spec: JobSpec) -> None:
    assert Kubernetes().native_findings(Kubernetes().render(spec)) == []


@pytest.mark.vendor
@pytest.mark.parametrize("spec", [template(), sharded()], ids=["one", "sharded"])
def test_what_is_rendered_passes_the_schema(spec: JobSpec) -> None:
    needs.module("kubernetes_validate")
    checked = Kubernetes().check(Kubernetes().render(spec))
    assert (checked.layer, checked.findings, checked.skipped) == (Layer.VENDOR, (), None)


def test_shards_are_an_indexed_job_whose_pods_start_together() -> None:
    job = job_of(sharded())
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 2, 2)
    assert env_of(job)["HEXGATE_SHARDS"] == "2"
    assert (spec["backoffLimitPerIndex"], "backoffLimit" in spec) == (1, False)
    # One shard that ended badly takes no other with it.
    assert [rule["action"] for rule in spec["podFailurePolicy"]["rules"]] == ["Ignore", "FailIndex"]


def test_a_result_is_never_measured_again() -> None:
    for spec in (template(), sharded()):
        rule = job_of(spec)["spec"]["podFailurePolicy"]["rules"][-1]
        assert rule["onExitCodes"] == {
            "containerName": "hexgate",
            "operator": "In",
            "values": [1, 2, 3, 4, 70],
        }


def test_without_retries_not_even_a_drained_node_gives_another_try() -> None:
    spec = job_of(sharded(retries={"max": 0}))["spec"]
    assert spec["backoffLimitPerIndex"] == 0
    assert [rule["action"] for rule in spec["podFailurePolicy"]["rules"]] == ["FailIndex"]


def test_the_pod_is_of_the_restricted_profile() -> None:
    pod = pod_of(job_of(template()))
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"name": "scratch", "mountPath": "/tmp"} in pod["containers"][0]["volumeMounts"]  # noqa: S108


def test_quantities_are_text_and_requests_are_limits() -> None:
    resources = container_of(job_of(sharded(resources={"gpus": 2, "cpu": 1.5, "memory_mib": 1024})))[
        "resources"
    ]
    assert resources["limits"] == {"cpu": "1500m", "memory": "1024Mi", "nvidia.com/gpu": "2"}
    assert resources["requests"] == resources["limits"]


def test_shared_memory_is_a_volume_in_memory() -> None:
    pod = pod_of(job_of(template()))
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2048Mi"}} in pod["volumes"]
    assert {"name": "shm", "mountPath": "/dev/shm"} in pod["containers"][0]["volumeMounts"]  # noqa: S108


def test_secrets_come_by_name_alone() -> None:
    job = job_of(template())
    assert env_of(job)["AWS_SECRET_ACCESS_KEY"] == {
        "secretKeyRef": {"name": "hexgate-store", "key": "AWS_SECRET_ACCESS_KEY"}
    }


def test_a_claim_is_one_volume_however_often_it_is_mounted() -> None:
    spec = sharded(
        mounts=[
            {"name": "model", "uri": "pvc://all/models/a", "path": "/models"},
            {"name": "val_data", "uri": "pvc://all/data", "path": "/data"},
            {"name": "local", "uri": "hostpath:///raid/cache", "path": "/cache"},
        ]
    )
    pod = pod_of(job_of(spec))
    assert [volume["name"] for volume in pod["volumes"]] == ["model", "local", "output", "scratch", "shm"]
    mounts = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts["/data"] == {"name": "model", "mountPath": "/data", "subPath": "data", "readOnly": True}
    assert mounts["/output"]["readOnly"] is False
    assert pod["volumes"][1]["hostPath"] == {"path": "/raid/cache", "type": "Directory"}


def test_an_image_is_taken_by_its_digest() -> None:
    digest = f"sha256:{'a' * 64}"
    image = {"ref": "registry.example.com/hexgate:0.1.0", "digest": digest}
    container = container_of(job_of(sharded(image=image)))
    assert container["image"] == f"registry.example.com/hexgate:0.1.0@{digest}"
    assert container["imagePullPolicy"] == "IfNotPresent"


def test_kueue_gets_the_job_suspended() -> None:
    job = job_of(sharded(platform={"kubernetes": {"queue": "gates", "secret": "hexgate-store"}}))
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gates"
    assert job["spec"]["suspend"] is True


def test_the_command_reaches_the_container_as_it_is() -> None:
    spec = sharded(argv=["hexgate", "run", "$(HOME)", "$$", "$x", "--out", "{out}"])
    argv = container_of(job_of(spec))["command"]
    # One dollar for two is what Kubernetes makes of them, also before a parenthesis.
    assert [word.replace("$$", "$") for word in argv[-5:]] == ["$(HOME)", "$$", "$x", "--out", "{out}"]
    assert "$$(HOME)" in argv


def test_a_job_without_a_run_is_a_run_of_its_own() -> None:
    job = job_of(template())
    assert job["metadata"]["generateName"] == "hexgate-eval-"
    assert "HEXGATE_RUN_ID" not in env_of(job)
    assert env_of(job)["HEXGATE_RUN_KEY"] == {"fieldRef": {"fieldPath": "metadata.labels['controller-uid']"}}
    with_run = job_of(sharded())
    assert (env_of(with_run)["HEXGATE_RUN_ID"], "HEXGATE_RUN_KEY" in env_of(with_run)) == (RUN, False)
    assert with_run["metadata"]["labels"]["hexgate/run-id"] == RUN


@pytest.mark.parametrize("name", ["a", "a-b", "x" * 40, f"{'y' * 33}-abc"])
def test_a_job_of_a_run_has_a_name_that_fits_its_pods(name: str) -> None:
    made = job_name(name, RUN)
    assert made.endswith(RUN.lower())
    assert len(f"{made}-999") <= 63
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", made)


SPEC_MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"platform": {}}, "$.platform.kubernetes.secret"),
    ({"resources": {"gpu_type": "NVIDIA-H100"}}, "$.resources.gpu_type"),
    ({"resources": {"memory_mib": 1024, "shm_mib": 1024}}, "$.resources.shm_mib"),
    ({"mounts": [{"name": "model", "uri": "s3://models", "path": "/models"}]}, "$.mounts[0].uri"),
    ({"mounts": [{"name": "model", "uri": "pvc://models/../x", "path": "/models"}]}, "$.mounts[0].uri"),
    ({"mounts": [{"name": "model", "uri": "pvc://Models", "path": "/models"}]}, "$.mounts[0].uri"),
    (
        {"mounts": [{"name": "out", "uri": "hostpath:///raid", "path": "/m", "mode": "rw"}]},
        "$.mounts[0].mode",
    ),
    ({"mounts": [{"name": "shm", "uri": "pvc://models", "path": "/models"}]}, "$.mounts[0].name"),
    ({"mounts": [{"name": "model", "uri": "pvc://models", "path": "/tmp/m"}]}, "$.mounts[0].path"),  # noqa: S108
    ({"output": {"uri": "pvc://results"}}, "$.output.path"),
    ({"output": {"uri": "file:///results"}}, "$.output.uri"),
    ({"output": {"uri": "s3://results", "path": "/output"}}, "$.output.uri"),
]


@pytest.mark.parametrize(("keys", "path"), SPEC_MISTAKES, ids=[path for _, path in SPEC_MISTAKES])
def test_a_spec_that_does_not_fit_is_refused_where_it_does_not(keys: dict[str, Any], path: str) -> None:
    spec = sharded(**keys)
    assert path in [finding.path for finding in Kubernetes().spec_findings(spec)]
    with pytest.raises(JobSpecError, match=re.escape(path)):
        Kubernetes().render(spec)


def test_the_demo_fits() -> None:
    spec = demo_spec("pvc://results", output_path="/output")
    assert Kubernetes().spec_findings(spec) == []


POD = ("spec", "template", "spec")
BOX = (*POD, "containers", 0)


def forget_the_run(job: Any) -> None:
    env = container_of(job)["env"]
    env[:] = [entry for entry in env if entry["name"] != "HEXGATE_RUN_ID"]


def add(*path: str | int, value: Any) -> Change:
    def change(content: Any) -> None:
        for key in path:
            content = content[key]
        content.append(value)

    return change


VENDOR: dict[str, tuple[Change, str]] = {
    "misspelt key": (put("spec", "backoffLimitPerindex", value=1), "$.spec"),
    "text for a number": (put("spec", "completions", value="two"), "$.spec.completions"),
    "a number for text": (put(*BOX, "name", value=5), "$.spec.template.spec.containers[0].name"),
    "no image name in the pod": (drop(*BOX, "name"), "$.spec.template.spec.containers[0]"),
    "no template": (drop("spec", "template"), "$.spec"),
    "unknown volume source": (put(*POD, "volumes", 0, "s3", value={}), "$.spec.template.spec.volumes[0]"),
    "a command as one line": (
        put(*BOX, "command", value="hexgate run"),
        "$.spec.template.spec.containers[0].command",
    ),
}
RULES: dict[str, tuple[Change, str]] = {
    # Six that the strict schema lets through.
    "restart on failure": (
        put(*POD, "restartPolicy", value="OnFailure"),
        "$.spec.template.spec.restartPolicy",
    ),
    "completion mode": (put("spec", "completionMode", value="Index"), "$.spec.completionMode"),
    "half a GPU": (
        put(*BOX, "resources", "limits", "nvidia.com/gpu", value="0.5"),
        "$.spec.template.spec.containers[0].resources.limits['nvidia.com/gpu']",
    ),
    "four CPUs in words": (
        put(*BOX, "resources", "requests", "cpu", value="four"),
        "$.spec.template.spec.containers[0].resources.requests['cpu']",
    ),
    "upper-case name": (put("metadata", "name", value="Hexgate"), "$.metadata.name"),
    "pull policy": (
        put(*BOX, "imagePullPolicy", value="Sometimes"),
        "$.spec.template.spec.containers[0].imagePullPolicy",
    ),
    # And more.
    "GPU as a number": (
        put(*BOX, "resources", "limits", "nvidia.com/gpu", value=1),
        "$.spec.template.spec.containers[0].resources.limits['nvidia.com/gpu']",
    ),
    "request below the limit": (
        put(*BOX, "resources", "requests", "memory", value="1Gi"),
        "$.spec.template.spec.containers[0].resources.requests['memory']",
    ),
    "no memory limit": (
        drop(*BOX, "resources", "limits", "memory"),
        "$.spec.template.spec.containers[0].resources.limits",
    ),
    "unresolved image": (put(*BOX, "image", value="${IMAGE}"), "$.spec.template.spec.containers[0].image"),
    "unresolved argument": (
        put(*BOX, "command", 9, value="${{inputs.x}}"),
        "$.spec.template.spec.containers[0].command[9]",
    ),
    "image without a tag": (
        put(*BOX, "image", value="registry.example.com/hexgate"),
        "$.spec.template.spec.containers[0].image",
    ),
    "another image than is told": (
        put(*BOX, "image", value="registry.example.com/other:1"),
        "$.spec.template.spec.containers[0].env[6].value",
    ),
    "no image is told": (
        drop(*BOX, "env", 6),
        "$.spec.template.spec.containers[0].env",
    ),
    "two volumes of one name": (
        add(*POD, "volumes", value={"name": "model", "emptyDir": {}}),
        "$.spec.template.spec.volumes[5].name",
    ),
    "one claim as two volumes": (
        add(*POD, "volumes", value={"name": "again", "persistentVolumeClaim": {"claimName": "models"}}),
        "$.spec.template.spec.volumes[5].persistentVolumeClaim.claimName",
    ),
    "mount without a volume": (
        put(*BOX, "volumeMounts", 0, "name", value="modell"),
        "$.spec.template.spec.containers[0].volumeMounts[0].name",
    ),
    "relative mount": (
        put(*BOX, "volumeMounts", 0, "mountPath", value="models"),
        "$.spec.template.spec.containers[0].volumeMounts[0].mountPath",
    ),
    "no mount for the output": (
        drop(*BOX, "volumeMounts", 2),
        "$.spec.template.spec.containers[0].volumeMounts",
    ),
    "output read only": (
        put(*BOX, "volumeMounts", 2, "readOnly", value=True),
        "$.spec.template.spec.containers[0].volumeMounts[2].readOnly",
    ),
    "output that ends with the pod": (
        put(*POD, "volumes", 2, value={"name": "output", "emptyDir": {}}),
        "$.spec.template.spec.containers[0].volumeMounts[2].name",
    ),
    "secret in the file": (
        put(*BOX, "env", 0, value={"name": "AWS_SECRET_ACCESS_KEY", "value": "abc"}),
        "$.spec.template.spec.containers[0].env[0].value",
    ),
    "name too long for an index": (put("metadata", "name", value="n" * 60), "$.metadata.name"),
    "not all shards at once": (put("spec", "parallelism", value=1), "$.spec.parallelism"),
    "shards without an index": (
        put("spec", "completionMode", value="NonIndexed"),
        "$.spec.backoffLimitPerIndex",
    ),
    "more pods than shards": (put("spec", "completions", value=3), "$.spec.template.spec.containers[0].env"),
    "no common run": (forget_the_run, "$.spec.template.spec.containers[0].env"),
    "a result tried again": (drop("spec", "podFailurePolicy"), "$.spec.podFailurePolicy"),
    "no deadline": (drop("spec", "activeDeadlineSeconds"), "$.spec.activeDeadlineSeconds"),
    "gone when it ended": (
        put("spec", "ttlSecondsAfterFinished", value=60),
        "$.spec.ttlSecondsAfterFinished",
    ),
    "as root": (
        put(*POD, "securityContext", "runAsNonRoot", value=False),
        "$.spec.template.spec.securityContext.runAsNonRoot",
    ),
    "the node's network": (put(*POD, "hostNetwork", value=True), "$.spec.template.spec.hostNetwork"),
    "nowhere to write": (
        drop(*BOX, "volumeMounts", 3),
        "$.spec.template.spec.containers[0].volumeMounts",
    ),
    "no part runner": (
        put(*BOX, "command", value=["hexgate", "run", "--out", "{out}"]),
        "$.spec.template.spec.containers[0].command",
    ),
    "a second container": (
        add(*POD, "containers", value={"name": "side", "image": "a:1"}),
        "$.spec.template.spec.containers",
    ),
    "Kueue without suspend": (
        put("metadata", "labels", "kueue.x-k8s.io/queue-name", value="gates"),
        "$.spec.suspend",
    ),
}


def refused(change: Change) -> dict[str, str]:
    return dict(changed(Kubernetes().render(sharded())[FILE], FILE, change))


@pytest.mark.vendor
@pytest.mark.parametrize("name", VENDOR)
def test_the_schema_refuses(name: str) -> None:
    needs.module("kubernetes_validate")
    change, path = VENDOR[name]
    found = Kubernetes().check(refused(change)).findings
    assert f"{FILE}: {path}" in [finding.path for finding in found]


@pytest.mark.parametrize("name", RULES)
def test_the_rules_refuse(name: str) -> None:
    change, path = RULES[name]
    found = Kubernetes().native_findings(refused(change))
    assert f"{FILE}: {path}" in [finding.path for finding in found]


@pytest.mark.vendor
@pytest.mark.parametrize(
    "name", [name for name in RULES if name not in {"GPU as a number", "a second container"}]
)
def test_what_the_rules_are_for_passes_the_schema(name: str) -> None:
    needs.module("kubernetes_validate")
    assert Kubernetes().check(refused(RULES[name][0])).findings == ()


def test_a_file_that_is_no_job_is_refused() -> None:
    for text in ("{", "[]", "kind: Pod\napiVersion: v1\n"):
        assert [finding.path for finding in Kubernetes().native_findings({FILE: text})] == [f"{FILE}: $"]
