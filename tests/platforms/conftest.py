"""A real Slurm of one node, for each file that asks for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.slurm_cluster import SlurmCluster


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[SlurmCluster]:
    with SlurmCluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlurmCluster:
    """The cluster as a login node has it; jobs are submitted from a folder of their own."""
    monkeypatch.setenv("SLURM_CONF", str(shared_cluster.conf))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.delenv("HEXGATE_RUN_ID", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    return shared_cluster
