"""A Jetson with Docker: run.sh by hand, or the docker command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from hexgate.platforms.base import Finding
from hexgate.platforms.docker_node import DockerNode
from hexgate.platforms.spec import JobSpec

__all__ = ["Jetson"]


class Jetson(DockerNode):
    """The platform ``jetson``."""

    name: ClassVar[str] = "jetson"

    def _gpus(self, spec: JobSpec) -> Sequence[Finding]:
        if spec.resources.gpus > 1:
            return [
                Finding(
                    "$.resources.gpus", f"got {spec.resources.gpus}, expected 0 or 1: a Jetson has one GPU"
                )
            ]
        return []
