"""A DGX or another node with NVIDIA GPUs and Docker: run.sh by hand, or the docker command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from hexgate.platforms.base import Finding
from hexgate.platforms.docker_node import DockerNode
from hexgate.platforms.spec import JobSpec

__all__ = ["Dgx"]


class Dgx(DockerNode):
    """The platform ``dgx``."""

    name: ClassVar[str] = "dgx"

    def _gpus(self, spec: JobSpec) -> Sequence[Finding]:
        named = spec.block("dgx").get("gpus")
        if named is None:
            return []
        if spec.resources.gpus == 0:
            return [Finding("$.platform.dgx.gpus", "names GPUs, and $.resources.gpus is 0")]
        if named != "all" and len(named) != spec.resources.gpus:
            problem = f"names {len(named)} GPUs, and $.resources.gpus is {spec.resources.gpus}"
            return [Finding("$.platform.dgx.gpus", problem)]
        return []
