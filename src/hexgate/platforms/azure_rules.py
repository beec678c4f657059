"""Layer RULES of Azure ML: what ``load_job`` lets through, and Azure ML, the part runner or the gate would not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from hexgate.platforms.azure_native import BINDING, bound
from hexgate.platforms.base import Finding, Native
from hexgate.platforms.cloud_rules import env_findings, image_findings
from hexgate.platforms.spec import JobSpec, Mode

__all__ = ["native_findings", "spec_findings"]

# The SDK takes capitals out of a name, and nothing would find the job by the name in the file.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,254}")
_EXPERIMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")
_COMPUTE = re.compile(
    r"azureml:[A-Za-z][A-Za-z0-9-]*|azureml:/subscriptions/\S+/computes/[A-Za-z][A-Za-z0-9-]*"
)
_SHM = re.compile(r"[1-9][0-9]*[bkmg]")
_REMOTE = re.compile(r"(azureml|https|wasbs|abfss|runs):\S+")
_SECRET_VALUE = re.compile(r"AccountKey=|SharedAccessSignature=|[?&]sig=|://[^/@\s]+:[^/@\s]+@")
_SETTINGS = {
    "default_compute",
    "default_datastore",
    "continue_on_step_failure",
    "force_rerun",
    "on_init",
    "on_finalize",
}


def spec_findings(spec: JobSpec) -> list[Finding]:
    """What this platform cannot carry of a spec."""
    found = []
    block = spec.block("azure")
    if not block:
        found.append(Finding("$.platform.azure", "missing, expected a block with compute and output_path"))
    if spec.output.path is None:
        found.append(
            Finding(
                "$.output.path",
                "missing, expected a path: Azure ML mounts the output, as ${{outputs.metric}}",
            )
        )
    for index, name in enumerate(spec.secret_env):
        found.append(
            Finding(
                f"$.secret_env[{index}]",
                f"got {name}, expected none: Azure ML keeps the environment with the job in plain text. Let the "
                "command read the secret from Key Vault, as the job's managed identity",
            )
        )
    if spec.retries:
        found.append(
            Finding("$.retries.max", f"got {spec.retries}, expected 0: Azure ML tries no command job again")
        )
    if spec.resources.gpu_type is not None:
        found.append(
            Finding(
                "$.resources.gpu_type",
                f"got {spec.resources.gpu_type}, expected none: on Azure ML $.platform.azure.compute decides it",
            )
        )
    identity = block.get("identity", {})
    if "client_id" in identity and identity.get("type", "managed") != "managed":
        found.append(
            Finding(
                "$.platform.azure.identity.client_id",
                "got one with user_identity, expected it with managed alone",
            )
        )
    names = [mount.name for mount in spec.mounts]
    found += [
        Finding(f"$.platform.azure.input_types.{name}", "there is no mount of that name")
        for name in block.get("input_types", {})
        if name not in names
    ]
    return found + list(_mount_findings(spec))


def _mount_findings(spec: JobSpec) -> Iterator[Finding]:
    for index, mount in enumerate(spec.mounts):
        if mount.mode is Mode.RW:
            yield Finding(f"$.mounts[{index}].mode", "got rw, expected ro: inputs of Azure ML are read only")
    paths = [mount.path for mount in spec.mounts] + ([spec.output.path] if spec.output.path else [])
    places = [(f"$.argv[{index}]", bound(spec, argument)) for index, argument in enumerate(spec.argv)]
    places += [(f"$.env.{name}", value) for name, value in spec.env.items()]
    for place, text in places:
        for path in paths:
            if re.search(rf"(^|[^A-Za-z0-9._/-]){re.escape(path)}(/|$|[^A-Za-z0-9._-])", text):
                yield Finding(
                    place,
                    f"{path} stands where Azure ML cannot put the input's place; expected it at the beginning of an "
                    "argument of argv, and the output's in none",
                )


def native_findings(files: Native) -> list[Finding]:
    """Mistakes in ``job.yml`` or ``pipeline.yml``, as rendered or as a user has changed it."""
    return [
        Finding(f"{name}: {path}", problem) for name, text in files.items() for path, problem in _file(text)
    ]


_Found = Iterator[tuple[str, str]]


def _file(text: str) -> _Found:
    try:
        job = yaml.safe_load(text)
    except yaml.YAMLError as error:
        yield "$", f"not YAML ({' '.join(str(error).split())})"
        return
    if not isinstance(job, dict):
        yield "$", "not a mapping"
        return
    if job.get("type") not in {"command", "pipeline"}:
        yield "$.type", f"got {job.get('type')!r}, expected command or pipeline"
        return
    for key, pattern, letters in (
        ("name", _NAME, "lower-case letters"),
        ("experiment_name", _EXPERIMENT, "letters"),
    ):
        if key in job and not pattern.fullmatch(str(job[key])):
            yield f"$.{key}", f"got {str(job[key])[:300]!r}, expected up to 255 {letters}, digits, - and _"
    if job["type"] == "command":
        yield from _command(job, "$")
        yield from _compute(job.get("compute"), "$.compute")
        yield from _inputs(job.get("inputs"), "$.inputs")
    else:
        yield from _pipeline(job)


def _pipeline(job: dict[str, Any]) -> _Found:
    settings = _mapping(job.get("settings"))
    yield from (
        (f"$.settings.{name}", f"unknown, expected one of {', '.join(sorted(_SETTINGS))}")
        for name in settings
        if name not in _SETTINGS
    )
    if settings.get("continue_on_step_failure") is not True:
        yield (
            "$.settings.continue_on_step_failure",
            "expected true: otherwise one indicator that fails cancels the others",
        )
    if settings.get("force_rerun") is not True:
        yield (
            "$.settings.force_rerun",
            "expected true: Azure ML may otherwise hand out what an earlier step measured",
        )
    yield from _inputs(job.get("inputs"), "$.inputs")
    inputs = _mapping(job.get("inputs"))
    steps = _mapping(job.get("jobs"))
    if not steps:
        yield "$.jobs", "missing, expected one step for each indicator"
    for name, step in steps.items():
        at = f"$.jobs.{name}"
        if _mapping(step).get("type") != "command":
            yield f"{at}.type", f"got {_mapping(step).get('type')!r}, expected command"
            continue
        yield from _command(step, at)
        default = settings.get("default_compute")
        if "compute" in step or default is None:
            yield from _compute(step.get("compute"), f"{at}.compute")
        for key, value in _mapping(step.get("inputs")).items():
            yield from _binding(value, f"{at}.inputs.{key}", inputs)
    if "default_compute" in settings:
        yield from _compute(settings["default_compute"], "$.settings.default_compute")


def _binding(value: Any, at: str, inputs: Mapping[str, Any]) -> _Found:
    for inside in BINDING.findall(value) if isinstance(value, str) else ():
        if inside.startswith("parent.jobs."):
            yield (
                at,
                f"got ${{{{{inside}}}}}, expected an input: a step that waits for one that fails is skipped",
            )
        elif inside.removeprefix("parent.inputs.") not in inputs:
            yield at, f"got ${{{{{inside}}}}}, expected one of {_named('parent.inputs', inputs)}"


def _command(job: dict[str, Any], at: str) -> _Found:
    if "code" in job:
        yield f"{at}.code", "expected none: the image holds the code, so that its digest says what ran"
    yield from _line(job, at)
    yield from _image(job, at)
    yield from _environment(_mapping(job.get("environment_variables")), f"{at}.environment_variables")
    yield from _output(job, at)
    yield from _resources(job, at)
    identity = _mapping(job.get("identity")).get("type")
    if identity not in {"managed", "user_identity"}:
        yield (
            f"{at}.identity.type",
            f"got {identity!r}, expected managed or user_identity: Azure ML takes AmlToken otherwise",
        )
    timeout = _mapping(job.get("limits")).get("timeout")
    if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 1:
        yield (
            f"{at}.limits.timeout",
            f"got {timeout!r}, expected whole seconds: without it a job may run for weeks",
        )


def _line(job: dict[str, Any], at: str) -> _Found:
    line = job.get("command")
    if not isinstance(line, str):
        yield f"{at}.command", f"got {line!r}, expected a shell line"
        return
    known = {f"{kind}.{name}" for kind in ("inputs", "outputs") for name in _mapping(job.get(kind))}
    for inside in dict.fromkeys(BINDING.findall(line)):
        if inside not in known:
            yield (
                f"{at}.command",
                f"${{{{{inside}}}}} is not resolved, expected one of {', '.join(sorted(known))}",
            )
    if "outputs.metric" not in BINDING.findall(line):
        yield f"{at}.command", 'expected --output "${{outputs.metric}}": nothing else of the job is kept'


def _image(job: dict[str, Any], at: str) -> _Found:
    environment = job.get("environment")
    image = _mapping(environment).get("image")
    told = _mapping(job.get("environment_variables")).get("HEXGATE_IMAGE")
    if not isinstance(image, str):
        yield (
            f"{at}.environment",
            "expected an image: of any other environment the artifact cannot say what ran",
        )
        return
    yield from ((found.path, found.problem) for found in image_findings(image, f"{at}.environment.image"))
    if told != image:
        yield (
            f"{at}.environment_variables.HEXGATE_IMAGE",
            f"got {told!r}, expected {image!r} as in environment.image: the artifacts would name another image",
        )


def _environment(variables: Mapping[Any, Any], at: str) -> _Found:
    for name, value in variables.items():
        found = [finding.problem for finding in env_findings(str(name), value, "")]
        if not found and _SECRET_VALUE.search(value):
            found = [
                "looks like a secret, and is kept with the job in plain text: read it from Key Vault instead"
            ]
        yield from ((f"{at}.{name}", problem) for problem in found)


def _output(job: dict[str, Any], at: str) -> _Found:
    output = _mapping(_mapping(job.get("outputs")).get("metric"))
    if not output:
        yield f"{at}.outputs.metric", "missing, expected the folder that the parts go to"
        return
    if output.get("type", "uri_folder") != "uri_folder":
        yield (
            f"{at}.outputs.metric.type",
            f"got {output['type']!r}, expected uri_folder: a part is many files",
        )
    shared = _mapping(job.get("resources")).get("instance_count", 1) != 1
    modes = ("rw_mount",) if shared else ("rw_mount", "upload")
    if output.get("mode", "rw_mount") not in modes:
        yield (
            f"{at}.outputs.metric.mode",
            f"got {output['mode']!r}, expected {' or '.join(modes)}"
            + (": shards meet in the output while they run" if shared else ""),
        )


def _resources(job: dict[str, Any], at: str) -> _Found:
    resources = _mapping(job.get("resources"))
    size = resources.get("shm_size")
    if size is not None and not _SHM.fullmatch(str(size)):
        yield (
            f"{at}.resources.shm_size",
            f"got {size!r}, expected a whole number and b, k, m or g, such as 2048m",
        )
    count = resources.get("instance_count", 1)
    distribution = _mapping(job.get("distribution"))
    if count != 1 and (distribution.get("type"), distribution.get("process_count_per_instance")) != (
        "pytorch",
        1,
    ):
        yield (
            f"{at}.distribution",
            "expected type pytorch and process_count_per_instance 1: otherwise no instance knows its shard",
        )
    told = _mapping(job.get("environment_variables")).get("HEXGATE_SHARDS", "1")
    if str(told) != str(count):
        yield (
            f"{at}.resources.instance_count",
            f"got {count!r}, expected {told} as in environment_variables.HEXGATE_SHARDS",
        )


def _inputs(inputs: Any, at: str) -> _Found:
    for name, value in _mapping(inputs).items():
        if not isinstance(value, dict) or "value" in value:
            continue
        path = value.get("path")
        if not isinstance(path, str) or not _REMOTE.fullmatch(path):
            yield (
                f"{at}.{name}.path",
                f"got {path!r}, expected a place in the cloud, such as azureml://datastores/<name>/paths/<prefix>/",
            )


def _compute(value: Any, at: str) -> _Found:
    if not isinstance(value, str) or not _COMPUTE.fullmatch(value):
        yield at, f"got {value!r}, expected azureml:<name of a compute target>"


def _named(kind: str, names: Mapping[str, Any]) -> str:
    return ", ".join(f"{kind}.{name}" for name in sorted(names)) or f"{kind}.<name>, but there is none"


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}
