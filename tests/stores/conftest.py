"""Stores under test know no credentials, proxies or settings of the machine."""

from __future__ import annotations

import os

import pytest

_OF_STORES = (
    "AWS_",
    "OSS_",
    "ALIBABA_CLOUD_",
    "TOS_",
    "VOLC",
    "AZURE_",
    "HEXGATE_S3",
    "HEXGATE_OSS",
    "HEXGATE_TOS",
)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in os.environ:
        if name.startswith((*_OF_STORES, "HEXGATE_AZURE")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
