"""What the platforms on one Docker node share: run.sh by hand, or the docker command by a driver."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar

from hexgate.errors import InputError, JobSpecError, PlatformFailed
from hexgate.platforms.base import Checked, Finding, Layer, Native
from hexgate.platforms.docker_node_argv import host_path
from hexgate.platforms.docker_node_driver import DockerDriver, ask_docker, docker_program
from hexgate.platforms.docker_node_files import (
    FILE,
    check_script,
    read_block,
    render_script,
    script_findings,
    script_of,
)
from hexgate.platforms.spec import JobSpec

__all__ = ["DockerNode"]


class DockerNode:
    """A `hexgate.platforms.base.Platform` on one Docker engine."""

    name: ClassVar[str]
    fans_out: ClassVar[bool] = False

    def render(self, spec: JobSpec) -> dict[str, str]:
        """run.sh: the job and the program that runs it.

        Raises:
            JobSpecError: with every mistake that hinders it.
        """
        found = self.spec_findings(spec)
        if found:
            raise JobSpecError(spec.name, [f"{each.path}: {each.problem}" for each in found])
        return {FILE: render_script(spec, self.name)}

    def spec_findings(self, spec: JobSpec) -> Sequence[Finding]:
        """What a node cannot do of a spec."""
        found = [
            *_places(spec),
            *self._gpus(spec),
        ]
        if spec.resources.gpu_type is not None:
            found.append(Finding("$.resources.gpu_type", "a node has the GPUs that it has: leave it out"))
        if spec.retries:
            problem = f"got {spec.retries}, expected 0: Docker cannot tell a failed node from a failed model"
            found.append(Finding("$.retries.max", problem))
        if spec.output.path is None and spec.block(self.name).get("network", "none") == "none":
            problem = f"got none, and the job uploads to {spec.output.uri}, expected host"
            found.append(Finding(f"$.platform.{self.name}.network", problem))
        return found

    def _gpus(self, spec: JobSpec) -> Sequence[Finding]:
        raise NotImplementedError

    def check(self, files: Native) -> Checked:
        """Layer VENDOR: bash parses the script, shellcheck reads it. No vendor has a validator for it."""
        return check_script(files)

    def native_findings(self, files: Native) -> Sequence[Finding]:
        """Layer RULES on run.sh."""
        return list(script_findings(files, self.name))

    def dry_run(self, files: Native, spec: JobSpec | None = None) -> Checked:  # noqa: ARG002
        """Layer SERVER: whether the engine answers, knows the image, and has NVIDIA's runtime where it is needed.

        run.sh itself is not run: a changed one may do anything. ``run.sh --dry-run`` on the node does the rest.
        """
        block, _ = read_block(script_of(files))
        try:
            program = docker_program()
            info = json.loads(ask_docker(program, "info", "--format", "{{json .}}"))
        except (InputError, PlatformFailed) as error:
            return Checked(Layer.SERVER, skipped=str(error))
        if info.get("ServerErrors"):
            return Checked(Layer.SERVER, skipped=f"no engine answers: {'; '.join(info['ServerErrors'])}")
        found = []
        if block.get("GPUS", "none") != "none" and "nvidia" not in (info.get("Runtimes") or {}):
            problem = "the engine has no runtime named nvidia: install the NVIDIA Container Toolkit"
            found.append(Finding(f"{FILE}: GPUS", problem))
        image = str(block.get("IMAGE", ""))
        try:
            ask_docker(program, "image", "inspect", image)
        except PlatformFailed:
            found.append(Finding(f"{FILE}: IMAGE", f"the engine does not hold {image}: docker pull {image}"))
        return Checked(Layer.SERVER, tuple(found))

    def driver(self, spec: JobSpec | None = None) -> DockerDriver:  # noqa: ARG002
        """The docker command, to the engine of DOCKER_HOST.

        Raises:
            InputError: if it is not installed.
        """
        return DockerDriver(self.name)


def _places(spec: JobSpec) -> list[Finding]:
    places = [(f"$.mounts[{index}].uri", mount.uri) for index, mount in enumerate(spec.mounts)]
    if spec.output.path is not None:
        places.append(("$.output.uri", spec.output.uri))
    found = []
    for where, uri in places:
        path = host_path(uri)
        if path is None:
            found.append(Finding(where, f"got {uri}, expected a folder of the node: file:///…"))
        elif not path.startswith("/") or "," in path or '"' in path:
            found.append(Finding(where, f"got {uri}, expected an absolute path without commas and quotes"))
    return found
