"""Two shards, real processes, agree on their start in an object store over real HTTP, and are collected from it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hexgate.platforms.collect import Expected, collect_run
from hexgate.stores.base import Store
from hexgate.stores.registry import open_store
from support import needs
from support.azurite import ACCOUNT, azurite, connection_string
from support.s3_server import KEY_ID, SECRET, admin, s3_server

pytestmark = pytest.mark.vendor

RUN = "20261121T021951Z-0a1b2c3d"
SHOW = (
    "import os, sys, pathlib; pathlib.Path(sys.argv[1], 'told.txt')"
    ".write_text(os.environ['HEXGATE_SHARD'] + ' ' + os.environ['HEXGATE_START_AT'])"
)
_OF_STORES = ("AWS_", "AZURE_", "HEXGATE_")


@pytest.fixture
def s3() -> Iterator[tuple[str, Mapping[str, str]]]:
    needs.module("boto3")
    with s3_server() as url:
        admin(url).create_bucket(Bucket="evals")
        keys = {
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        yield "s3://evals/runs", keys | {"HEXGATE_S3_ENDPOINT": url}


@pytest.fixture
def blob() -> Iterator[tuple[str, Mapping[str, str]]]:
    needs.module("azure.storage.blob")
    from azure.storage.blob import BlobServiceClient

    with azurite() as url:
        text = connection_string(url)
        with BlobServiceClient.from_connection_string(text) as service:
            service.create_container("evals")
        yield f"azblob://{ACCOUNT}/evals/runs", {"AZURE_STORAGE_CONNECTION_STRING": text}


@pytest.mark.parametrize("kind", ["s3", pytest.param("blob", marks=pytest.mark.infra)])
def test_shards_agree_in_a_store_and_are_collected_from_it(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, environment = request.getfixturevalue(kind)
    for name in os.environ:
        if name.startswith(_OF_STORES):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HEXGATE_RUN_ID", RUN)
    command = [sys.executable, "-m", "hexgate", "platforms", "run", "--output", uri, "--"]
    shards = [
        subprocess.Popen(
            [*command, sys.executable, "-c", SHOW, "{out}"],
            env={**os.environ, "RANK": str(index), "WORLD_SIZE": "2"},
        )
        for index in range(2)
    ]
    assert [shard.wait(timeout=120) for shard in shards] == [0, 0]

    store: Store = open_store(uri)
    collected = collect_run(store, Expected(RUN, ("shard-0-of-2", "shard-1-of-2")), tmp_path / "got")

    assert collected.whole
    told = [(tmp_path / "got" / part.name / "told.txt").read_text("utf-8") for part in collected.parts]
    assert [text.split()[0] for text in told] == ["0/2", "1/2"]
    assert told[0].split()[1] == told[1].split()[1]
