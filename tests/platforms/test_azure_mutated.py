"""Job files of Azure ML with one mistake each: refused by the layer that should, with the path."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from hexgate.errors import extra_hint
from hexgate.platforms.azure import Azure
from hexgate.platforms.azure_check import quiet
from hexgate.platforms.base import Layer
from support import needs

TEMPLATES = Path(__file__).resolve().parents[2] / "platforms" / "job_templates" / "azure"
GONE = object()
VENDOR, RULES = Layer.VENDOR, Layer.RULES
STEP = "jobs.accuracy_f1"
RUNS = 'hexgate platforms run --output "${{outputs.metric}}"'

MUTATED: list[tuple[str, str, Mapping[str, Any], Layer, str]] = [
    ("a key that does not exist", "job.yml", {"comand": "x"}, VENDOR, "$.comand"),
    ("one below it", "job.yml", {"resources.shm": "2g"}, VENDOR, "$.resources.shm"),
    ("no command", "job.yml", {"command": GONE}, VENDOR, "$.command"),
    ("no environment", "job.yml", {"environment": GONE}, VENDOR, "$.environment"),
    ("no such kind of job", "job.yml", {"type": "comand"}, VENDOR, "$.type"),
    (
        "an input that is not there",
        "job.yml",
        {"command": f"{RUNS} ${{{{inputs.nope}}}}"},
        VENDOR,
        "$.command",
    ),
    ("an output that is not there", "job.yml", {"command": "x ${{outputs.nope}}"}, VENDOR, "$.command"),
    ("no such type of input", "job.yml", {"inputs.model.type": "uri_fodler"}, VENDOR, "$.inputs.model.type"),
    ("no such mode of input", "job.yml", {"inputs.model.mode": "rw_mount"}, VENDOR, "$.inputs.model.mode"),
    ("a key of an input", "job.yml", {"inputs.model.paht": "x"}, VENDOR, "$.inputs.model.paht"),
    ("code", "job.yml", {"code": "./no-such-folder"}, VENDOR, "$.code"),
    ("a timeout in words", "job.yml", {"limits.timeout": "1h"}, VENDOR, "$.limits.timeout"),
    ("no such mode of output", "job.yml", {"outputs.metric.mode": "rw"}, VENDOR, "$.outputs.metric.mode"),
    (
        "instances in words",
        "job.yml",
        {"resources.instance_count": "two"},
        VENDOR,
        "$.resources.instance_count",
    ),
    ("no such identity", "job.yml", {"identity.type": "msi"}, VENDOR, "$.identity.type"),
    ("a key of the identity", "job.yml", {"identity.clientid": "x"}, VENDOR, "$.identity.clientid"),
    (
        "a list as environment",
        "job.yml",
        {"environment_variables": ["A=b"]},
        VENDOR,
        "$.environment_variables",
    ),
    ("no compute", "job.yml", {"compute": GONE}, RULES, "$.compute"),
    ("compute without its prefix", "job.yml", {"compute": "gate-cluster"}, RULES, "$.compute"),
    ("shared memory in words", "job.yml", {"resources.shm_size": "lots"}, RULES, "$.resources.shm_size"),
    (
        "shared memory without a unit",
        "job.yml",
        {"resources.shm_size": "2048"},
        RULES,
        "$.resources.shm_size",
    ),
    ("a name with a space", "job.yml", {"name": "my job"}, RULES, "$.name"),
    ("a name with a slash", "job.yml", {"name": "my/job"}, RULES, "$.name"),
    ("an experiment with a space", "job.yml", {"experiment_name": "my gate"}, RULES, "$.experiment_name"),
    ("code that is there", "job.yml", {"code": "azureml:code:1"}, RULES, "$.code"),
    ("no limit", "job.yml", {"limits": GONE}, RULES, "$.limits.timeout"),
    (
        "a secret",
        "job.yml",
        {"environment_variables.OPENAI_API_KEY": "x"},
        RULES,
        "$.environment_variables.OPENAI_API_KEY",
    ),
    (
        "a secret under another name",
        "job.yml",
        {"environment_variables.STORE": "AccountName=a;AccountKey=b"},
        RULES,
        "$.environment_variables.STORE",
    ),
    (
        "an output that is a file",
        "job.yml",
        {"outputs.metric.type": "uri_file"},
        RULES,
        "$.outputs.metric.type",
    ),
    (
        "an output that is only named",
        "job.yml",
        {"outputs.metric.mode": "direct"},
        RULES,
        "$.outputs.metric.mode",
    ),
    ("no output", "job.yml", {"outputs": GONE, "command": "hexgate run"}, RULES, "$.outputs.metric"),
    ("an output that nothing goes to", "job.yml", {"command": "hexgate run"}, RULES, "$.command"),
    ("no identity", "job.yml", {"identity": GONE}, RULES, "$.identity.type"),
    ("the submitter's token", "job.yml", {"identity.type": "aml_token"}, RULES, "$.identity.type"),
    (
        "an image without a tag",
        "job.yml",
        {"environment.image": "a.io/hexgate"},
        RULES,
        "$.environment.image",
    ),
    (
        "another image than the artifacts name",
        "job.yml",
        {"environment.image": "a.io/hexgate:0.2.0"},
        RULES,
        "$.environment_variables.HEXGATE_IMAGE",
    ),
    ("a model of this machine", "job.yml", {"inputs.model.path": "./models"}, RULES, "$.inputs.model.path"),
    ("instances without ranks", "job.yml", {"resources.instance_count": 2}, RULES, "$.distribution"),
    ("instances and shards", "job.yml", {"resources.instance_count": 2}, RULES, "$.resources.instance_count"),
    ("a key of a step", "pipeline.yml", {f"{STEP}.comand": "x"}, VENDOR, f"$.{STEP}.comand"),
    ("a step without a command", "pipeline.yml", {f"{STEP}.command": GONE}, VENDOR, f"$.{STEP}.command"),
    (
        "a binding to a step that is not there",
        "pipeline.yml",
        {f"{STEP}.inputs.model": "${{parent.jobs.nope.outputs.x}}"},
        VENDOR,
        f"$.{STEP}.inputs.model",
    ),
    (
        "a binding to an input that is not there",
        "pipeline.yml",
        {f"{STEP}.inputs.model": "${{parent.inputs.nope}}"},
        VENDOR,
        f"$.{STEP}.inputs.model",
    ),
    (
        "an input of a step that is not there",
        "pipeline.yml",
        {f"{STEP}.command": f"{RUNS} ${{{{inputs.nope}}}}"},
        VENDOR,
        f"$.{STEP}.command",
    ),
    (
        "a step's timeout in words",
        "pipeline.yml",
        {f"{STEP}.limits.timeout": "1h"},
        VENDOR,
        f"$.{STEP}.limits.timeout",
    ),
    ("no such kind of step", "pipeline.yml", {f"{STEP}.type": "comand"}, VENDOR, f"$.{STEP}.type"),
    (
        "no compute for the steps",
        "pipeline.yml",
        {"settings.default_compute": GONE},
        VENDOR,
        f"$.{STEP}.compute",
    ),
    (
        "a setting in words",
        "pipeline.yml",
        {"settings.force_rerun": "maybe"},
        VENDOR,
        "$.settings.force_rerun",
    ),
    (
        "a setting that does not exist",
        "pipeline.yml",
        {"settings.continue_on_failure": True},
        RULES,
        "$.settings.continue_on_failure",
    ),
    (
        "steps that fall together",
        "pipeline.yml",
        {"settings.continue_on_step_failure": GONE},
        RULES,
        "$.settings.continue_on_step_failure",
    ),
    ("results of yesterday", "pipeline.yml", {"settings.force_rerun": GONE}, RULES, "$.settings.force_rerun"),
    (
        "a step that waits for another",
        "pipeline.yml",
        {f"{STEP}.inputs.model": "${{parent.jobs.toxicity.outputs.metric}}"},
        RULES,
        f"$.{STEP}.inputs.model",
    ),
    (
        "a step's shared memory",
        "pipeline.yml",
        {f"{STEP}.resources.shm_size": "lots"},
        RULES,
        f"$.{STEP}.resources.shm_size",
    ),
    (
        "a step's secret",
        "pipeline.yml",
        {f"{STEP}.environment_variables.HF_TOKEN": "x"},
        RULES,
        f"$.{STEP}.environment_variables.HF_TOKEN",
    ),
]
IDS = [name for name, *_ in MUTATED]


def mutated(file: str, changes: Mapping[str, Any]) -> dict[str, str]:
    job = yaml.safe_load((TEMPLATES / file).read_text("utf-8"))
    for path, value in changes.items():
        *above, last = path.split(".")
        place = job
        for key in above:
            place = place[key]
        if value is GONE:
            del place[last]
        else:
            place[last] = copy.deepcopy(value)
    return {file: yaml.safe_dump(job)}


def template(file: str) -> dict[str, str]:
    return {file: (TEMPLATES / file).read_text("utf-8")}


@pytest.mark.parametrize("file", ["job.yml", "pipeline.yml"])
def test_the_rules_find_nothing_in_a_template(file: str) -> None:
    assert Azure().native_findings(template(file)) == []


@pytest.mark.vendor
@pytest.mark.parametrize("file", ["job.yml", "pipeline.yml"])
def test_the_sdk_finds_nothing_in_a_template(file: str) -> None:
    needs.module("azure.ai.ml")

    checked = Azure().check(template(file))

    assert (checked.layer, checked.findings, checked.skipped) == (VENDOR, (), None)


@pytest.mark.vendor
@pytest.mark.parametrize(
    ("file", "changes", "path"),
    [(file, changes, path) for _, file, changes, layer, path in MUTATED if layer is VENDOR],
    ids=[name for name, *_, layer, _ in MUTATED if layer is VENDOR],
)
def test_the_sdk_refuses(file: str, changes: Mapping[str, Any], path: str) -> None:
    needs.module("azure.ai.ml")

    found = Azure().check(mutated(file, changes)).findings

    assert f"{file}: {path}" in [finding.path for finding in found]
    assert all("\n" not in finding.problem and len(finding.problem) < 400 for finding in found)


@pytest.mark.parametrize(
    ("file", "changes", "path"),
    [(file, changes, path) for _, file, changes, layer, path in MUTATED if layer is RULES],
    ids=[name for name, *_, layer, _ in MUTATED if layer is RULES],
)
def test_the_rules_refuse(file: str, changes: Mapping[str, Any], path: str) -> None:
    found = [finding.path for finding in Azure().native_findings(mutated(file, changes))]

    assert f"{file}: {path}" in found


@pytest.mark.vendor
@pytest.mark.parametrize(
    ("file", "changes"),
    [(file, changes) for _, file, changes, layer, _ in MUTATED if layer is RULES],
    ids=[name for name, *_, layer, _ in MUTATED if layer is RULES],
)
def test_the_sdk_lets_through_what_the_rules_are_for(file: str, changes: Mapping[str, Any]) -> None:
    needs.module("azure.ai.ml")

    assert Azure().check(mutated(file, changes)).findings == ()


def test_a_secret_is_not_repeated() -> None:
    files = mutated("job.yml", {"environment_variables.HF_TOKEN": "hf_abcdefgh"})

    assert "hf_abcdefgh" not in str(Azure().native_findings(files))


@pytest.mark.vendor
def test_only_the_branch_of_the_type_is_shown() -> None:
    needs.module("azure.ai.ml")

    (wrong_mode,) = Azure().check(mutated("job.yml", {"inputs.model.mode": "rw"})).findings
    (wrong_type,) = Azure().check(mutated("job.yml", {"inputs.model.type": "folder"})).findings

    assert wrong_mode.problem == "got 'rw', expected download, ro_mount, direct"
    assert wrong_type.problem == (
        "got 'folder', expected uri_file, uri_folder, custom_model, mlflow_model, triton_model, mltable"
    )


@pytest.mark.parametrize("text", ["type: [", "- a list", "", "type: sweep\n"])
def test_what_is_no_job_is_refused_without_a_traceback(text: str) -> None:
    assert Azure().native_findings({"job.yml": text})


@pytest.mark.vendor
@pytest.mark.parametrize("text", ["type: [", "- a list", "", "type: sweep\n"])
def test_the_sdk_refuses_what_is_no_job(text: str) -> None:
    needs.module("azure.ai.ml")

    assert Azure().check({"job.yml": text}).findings
    assert Azure().dry_run({"job.yml": text}).skipped is not None


def test_without_the_sdk_the_layer_says_that_it_did_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hexgate.platforms.azure_check.find_spec", lambda _: None)

    checked = Azure().check(template("job.yml"))

    assert checked.findings == ()
    assert checked.skipped == f"azure-ai-ml is not installed; {extra_hint('azure')}"


@pytest.mark.vendor
@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_what_the_readme_sets_can_be_set(readme: str) -> None:
    needs.module("azure.ai.ml")
    with quiet():
        from azure.ai.ml import load_job

        text = (TEMPLATES / readme).read_text("utf-8").replace("\\\n", " ")
        commands = re.findall(r"^az ml job create -f (\S+)(.*)$", text, re.MULTILINE)
        assert {Path(file).name for file, _ in commands} == {"job.yml", "pipeline.yml"}
        for file, rest in commands:
            pairs = re.findall(r"--set (\S+?)=(\S+)", rest)
            assert pairs
            job = load_job(
                TEMPLATES / Path(file).name, params_override=[{path: value} for path, value in pairs]
            )
            assert job._validate().passed
