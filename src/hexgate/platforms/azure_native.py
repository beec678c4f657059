"""The YAML of an Azure ML job: a command job, and a pipeline of independent command steps.

Fields and their values: the YAML schemas of command and pipeline jobs, CLI (v2) of Azure Machine Learning.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

import yaml

from hexgate.platforms.command import job_environment, part_argv
from hexgate.platforms.spec import JobSpec

__all__ = ["BINDING", "bound", "command_job", "job_name", "pipeline_job", "quoted"]

BINDING = re.compile(r"\$\{\{\s*([^{}]*?)\s*\}\}")
"""What Azure ML fills in: ``${{inputs.model}}``. The group is what stands inside."""

_OUTPUT = "${{outputs.metric}}"
_SCHEMAS = "https://azuremlschemas.azureedge.net/latest"
_LINE = 110


class _Folded(str):
    """Text that is written over several lines and read as one."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Writes `_Folded` text folded, and never an anchor."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


_Dumper.add_representer(
    _Folded, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style=">")
)


def job_name(run_id: str) -> str:
    """Name of the job of a run: its id in the workspace, so one run is one job. The SDK takes no capitals."""
    return f"hexgate-{run_id}".lower()


def command_job(spec: JobSpec) -> str:
    """The text of ``job.yml``."""
    inputs = _inputs(spec)
    return _text(_head(spec, "command") | _node(spec, None, inputs) | _ran_on(spec))


def pipeline_job(spec: JobSpec) -> str:
    """The text of ``pipeline.yml``: the steps know nothing of each other, so that one that fails takes none with it."""
    inputs = _inputs(spec)
    from_parent = {name: f"${{{{parent.inputs.{name}}}}}" for name in inputs}
    return _text(
        _head(spec, "pipeline")
        | {
            "settings": {
                "default_compute": f"azureml:{spec.block('azure')['compute']}",
                "continue_on_step_failure": True,
                # A step whose inputs are those of an earlier one would otherwise get its old result.
                "force_rerun": True,
            },
            "inputs": inputs,
            "jobs": {
                indicator: {"type": "command"} | _node(spec, indicator, from_parent)
                for indicator in spec.indicators
            },
        }
    )


def bound(spec: JobSpec, argument: str) -> str:
    """An argument with the path of a mount at its beginning replaced by the input that the mount becomes."""
    for mount in spec.mounts:
        if argument == mount.path or argument.startswith(f"{mount.path}/"):
            return f"${{{{inputs.{mount.name}}}}}{argument[len(mount.path) :]}"
    return argument


def quoted(argument: str) -> str:
    """An argument for the shell. What Azure ML fills in stays one argument, be it a path or a shell variable."""
    if not BINDING.search(argument):
        return shlex.quote(argument)
    pieces = []
    end = 0
    for match in BINDING.finditer(argument):
        pieces += [re.sub(r'([\\"$`])', r"\\\1", argument[end : match.start()]), match.group()]
        end = match.end()
    pieces.append(re.sub(r'([\\"$`])', r"\\\1", argument[end:]))
    return f'"{"".join(pieces)}"'


def _inputs(spec: JobSpec) -> dict[str, Any]:
    types = spec.block("azure").get("input_types", {})
    return {
        mount.name: {
            "type": types.get(mount.name, "uri_folder"),
            "mode": "ro_mount",
            "path": mount.uri,
        }
        for mount in spec.mounts
    }


def _head(spec: JobSpec, kind: str) -> dict[str, Any]:
    run = {} if spec.run_id is None else {"hexgate_run": spec.run_id}
    head: dict[str, Any] = {"$schema": f"{_SCHEMAS}/{kind}Job.schema.json", "type": kind}
    if spec.run_id is not None:
        head["name"] = job_name(spec.run_id)
    head |= {
        "display_name": spec.name,
        "experiment_name": spec.block("azure").get("experiment", "hexgate"),
    }
    tags = dict(spec.labels) | run
    return head | ({"tags": tags} if tags else {})


def _node(spec: JobSpec, indicator: str | None, inputs: dict[str, Any]) -> dict[str, Any]:
    block = spec.block("azure")
    argv = part_argv(spec, output=_OUTPUT, indicator=indicator)
    line = " ".join(quoted(bound(spec, argument)) for argument in argv)
    told = 'HEXGATE_JOB_ID="$AZUREML_RUN_ID" '
    if spec.run_id is None and len(spec.parts) > 1:
        # What the steps, or the instances, of one job have in common where no run is given.
        told += 'HEXGATE_RUN_KEY="$AZUREML_ROOT_RUN_ID" '
    resources: dict[str, Any] = {"instance_count": spec.shards}
    if "instance_type" in block:
        resources["instance_type"] = block["instance_type"]
    if spec.resources.shm_mib:
        resources["shm_size"] = f"{spec.resources.shm_mib}m"
    if "docker_args" in block:
        resources["docker_args"] = block["docker_args"]
    node: dict[str, Any] = {
        # Not every shell replaces itself by its last command; one that stays would keep SIGTERM from the job.
        "command": _Folded(f"{told}exec {line}"),
        "environment": {"image": spec.image.pinned},
        "environment_variables": job_environment(spec, "azure"),
        "identity": {"type": "managed"} | block.get("identity", {}),
    }
    if inputs:
        node["inputs"] = inputs
    node["outputs"] = {"metric": {"type": "uri_folder", "mode": "rw_mount", "path": block["output_path"]}}
    node["resources"] = resources
    if spec.shards > 1:
        # One process on each node: Azure ML then says RANK and WORLD_SIZE, which the part runner takes for the shard.
        node["distribution"] = {"type": "pytorch", "process_count_per_instance": 1}
    node["limits"] = {"timeout": spec.timeout_s}
    return node


def _ran_on(spec: JobSpec) -> dict[str, Any]:
    return {"compute": f"azureml:{spec.block('azure')['compute']}"}


def _text(job: dict[str, Any]) -> str:
    return yaml.dump(job, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_LINE)
