"""The YAML of Azure ML jobs, as it is rendered."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hexgate.errors import JobSpecError
from hexgate.platforms.azure import Azure
from hexgate.platforms.azure_native import BINDING, quoted
from hexgate.platforms.spec import JobSpec, Mode, Mount, Output, read_spec

ROOT = Path(__file__).resolve().parents[2]
RUN = "20260102T030405Z-0a1b2c3d"


def spec(name: str = "azure", **changes: Any) -> JobSpec:
    return replace(read_spec(ROOT / "platforms" / "specs" / f"{name}.yaml"), **changes)


def rendered(job: JobSpec) -> dict[str, Any]:
    (text,) = Azure().render(job).values()
    value: dict[str, Any] = yaml.safe_load(text)
    return value


@pytest.mark.parametrize(("name", "file"), [("azure", "job.yml"), ("azure-pipeline", "pipeline.yml")])
def test_the_template_is_what_its_spec_renders_to(name: str, file: str) -> None:
    template = (ROOT / "platforms" / "job_templates" / "azure" / file).read_text("utf-8")

    assert Azure().render(spec(name)) == {file: template}


def test_paths_of_mounts_become_inputs_and_the_output_is_the_folder_metric() -> None:
    job = rendered(spec())

    assert job["command"] == (
        'HEXGATE_JOB_ID="$AZUREML_RUN_ID" exec hexgate platforms run --output "${{outputs.metric}}" -- hexgate run '
        '--indicator all --model "${{inputs.model}}/model.onnx" --provider cuda --data "${{inputs.data}}/val.jsonl" '
        "--out '{out}'"
    )
    assert job["inputs"]["model"] == {
        "type": "uri_folder",
        "mode": "ro_mount",
        "path": "azureml://datastores/workspaceblobstore/paths/models/release/",
    }
    assert job["outputs"]["metric"]["type"] == "uri_folder"


def test_a_template_has_no_run_and_a_submitted_job_is_named_after_its_own() -> None:
    assert "name" not in rendered(spec())
    assert "HEXGATE_RUN_ID" not in rendered(spec())["environment_variables"]

    job = rendered(spec(run_id=RUN))

    assert job["name"] == "hexgate-20260102t030405z-0a1b2c3d"
    assert job["tags"] == {"hexgate_run": RUN}
    assert job["environment_variables"]["HEXGATE_RUN_ID"] == RUN


def test_steps_without_a_run_share_that_of_their_pipeline() -> None:
    steps = rendered(spec("azure-pipeline"))["jobs"].values()
    assert all('HEXGATE_RUN_KEY="$AZUREML_ROOT_RUN_ID" exec hexgate' in step["command"] for step in steps)

    steps = rendered(spec("azure-pipeline", run_id=RUN))["jobs"].values()
    assert not any("HEXGATE_RUN_KEY" in step["command"] for step in steps)
    assert {step["environment_variables"]["HEXGATE_RUN_ID"] for step in steps} == {RUN}


def test_each_step_of_a_pipeline_measures_one_indicator_and_waits_for_none() -> None:
    job = rendered(spec("azure-pipeline"))

    assert job["settings"]["continue_on_step_failure"] is True
    assert job["settings"]["force_rerun"] is True
    assert list(job["jobs"]) == list(spec("azure-pipeline").indicators)
    for name, step in job["jobs"].items():
        assert f"--part {name} -- hexgate run --indicator {name} " in step["command"]
        assert f"--out '{{out}}/{name}.json'" in step["command"]
        assert step["inputs"] == {"model": "${{parent.inputs.model}}", "data": "${{parent.inputs.data}}"}


def test_shards_are_instances_that_know_their_rank() -> None:
    job = rendered(spec(shards=3))

    assert job["resources"]["instance_count"] == 3
    assert job["distribution"] == {"type": "pytorch", "process_count_per_instance": 1}
    assert job["environment_variables"]["HEXGATE_SHARDS"] == "3"


def test_what_the_block_says_stands_in_the_file() -> None:
    block = dict(spec().block("azure")) | {
        "instance_type": "gpu-small",
        "experiment": "release-7",
        "docker_args": "--ipc=host",
        "input_types": {"model": "custom_model"},
        "identity": {"type": "managed", "client_id": "0a1b2c3d-0000-4000-8000-000000000009"},
    }
    digest = "sha256:" + "ab" * 32
    base = spec()
    job = rendered(
        replace(
            base,
            platform={"azure": block},
            labels={"team": "speech"},
            image=replace(base.image, digest=digest),
        )
    )

    assert job["experiment_name"] == "release-7"
    assert job["resources"]["instance_type"] == "gpu-small"
    assert job["resources"]["docker_args"] == "--ipc=host"
    assert job["inputs"]["model"]["type"] == "custom_model"
    assert job["identity"] == block["identity"]
    assert job["tags"] == {"team": "speech"}
    assert job["environment"]["image"] == f"example.azurecr.io/hexgate:0.1.0@{digest}"
    assert job["environment_variables"]["HEXGATE_IMAGE"] == job["environment"]["image"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20).filter(
            lambda text: not BINDING.search(text)
        ),
        min_size=1,
        max_size=4,
    )
)
def test_the_shell_hands_on_every_argument_as_it_was(arguments: list[str]) -> None:
    given_arguments = [*arguments, *(f"${{{{inputs.model}}}}/{text}" for text in arguments)]
    line = " ".join(quoted(argument) for argument in given_arguments)
    filled = line.replace("${{inputs.model}}", "/mnt/a b")

    shown = subprocess.run(
        ["/bin/sh", "-c", f"printf '%s\\0' {filled}"], capture_output=True, check=True, timeout=30
    )

    expected = [*arguments, *(f"/mnt/a b/{text}" for text in arguments)]
    assert shown.stdout.decode().split("\0")[:-1] == expected


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"platform": {}}, "$.platform.azure"),
        ({"output": Output("azblob://account/evaluations/x")}, "$.output.path"),
        ({"secret_env": ("API_KEY",)}, "$.secret_env[0]"),
        ({"retries": 2}, "$.retries.max"),
        ({"resources": replace(spec().resources, gpu_type="a100")}, "$.resources.gpu_type"),
        ({"mounts": (Mount("model", "azureml:m:1", "/models", Mode.RW),)}, "$.mounts[0].mode"),
        ({"argv": ("hexgate", "run", "--model=/models/model.onnx", "--out", "{out}")}, "$.argv[2]"),
        ({"argv": ("hexgate", "run", "/output/x", "--out", "{out}")}, "$.argv[2]"),
        ({"env": {"MODEL": "/models/model.onnx"}}, "$.env.MODEL"),
    ],
)
def test_what_azure_cannot_carry_is_refused_with_its_path(change: dict[str, Any], path: str) -> None:
    job = spec(**change)

    assert path in [finding.path for finding in Azure().spec_findings(job)]
    with pytest.raises(JobSpecError, match=re.escape(path)):
        Azure().render(job)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (
            {"identity": {"type": "user_identity", "client_id": "0" * 8}},
            "$.platform.azure.identity.client_id",
        ),
        ({"input_types": {"modell": "uri_file"}}, "$.platform.azure.input_types.modell"),
    ],
)
def test_a_block_that_contradicts_itself_is_refused(change: dict[str, Any], path: str) -> None:
    job = spec(platform={"azure": dict(spec().block("azure")) | change})

    assert [finding.path for finding in Azure().spec_findings(job)] == [path]


def test_every_mistake_is_reported_at_once() -> None:
    with pytest.raises(JobSpecError) as refused:
        Azure().render(spec(retries=1, secret_env=("A", "B")))

    assert len(refused.value.mistakes) == 3
