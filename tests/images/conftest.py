"""What the tests of the images share."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.docker_engine import LABELS_AS_ARGUMENTS, Engine


@pytest.fixture(scope="session")
def serve_image(docker_engine: Engine, cpu_image: str, image_context: Path) -> str:
    """The name of the stage `serve`, built again from nothing."""
    name = "hexgate-serve:0.1.0"
    stage = ("--target", "serve", "--no-cache")
    docker_engine.build(image_context, "cpu.Dockerfile", *LABELS_AS_ARGUMENTS, *stage, tag=name)
    return name


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder that the image's user may write to."""
    folder = tmp_path / "out"
    folder.mkdir()
    folder.chmod(0o777)
    return folder
