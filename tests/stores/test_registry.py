from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexgate.errors import HexgateError, InputError, MissingExtra
from hexgate.stores.address import address_of
from hexgate.stores.file import FileStore
from hexgate.stores.registry import OPENERS, open_store

SECRET = "c2VudGluZWwtb2YtdGhlLXRlc3Q"


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}"])
def test_a_folder_is_a_store(tmp_path: Path, form: str) -> None:
    store = open_store(form.format(tmp_path / "a"))
    assert isinstance(store, FileStore)
    assert store.uri == str(tmp_path / "a")
    store.put_bytes("b", b"x")
    assert (tmp_path / "a" / "b").read_bytes() == b"x"


def test_paths_are_taken_as_they_are() -> None:
    assert address_of("out/run?7#a@b").path == "out/run?7#a@b"
    assert address_of("C:/runs").scheme == "file"
    assert address_of("file:///a%20b").path == "/a b"


def test_a_uri_is_taken_apart() -> None:
    found = address_of("S3://evals/runs/nightly/")
    assert (found.scheme, found.host, found.path) == ("s3", "evals", "runs/nightly")
    assert address_of("oss://evals").path == ""
    assert address_of("https://Acct.blob.core.windows.net/evals/a%20b").path == "evals/a b"
    assert address_of("https://Acct.blob.core.windows.net/evals").host == "acct.blob.core.windows.net"


def test_an_unknown_kind_is_told_all_that_are_known() -> None:
    with pytest.raises(InputError) as failed:
        open_store("gs://evals/runs")
    assert str(failed.value) == (
        "store: there is no such kind of store; got gs://; "
        "expected a folder, or one of file://, s3://, oss://, tos://, azblob://, https://"
    )
    assert set(OPENERS) == {"file", "s3", "oss", "tos", "azblob", "https"}


@pytest.mark.parametrize("uri", ["azureml://datastores/workspaceblobstore/paths/runs", "azureml:model:1"])
def test_a_mount_of_azure_ml_says_what_to_give_instead(uri: str) -> None:
    with pytest.raises(InputError, match=r"azblob://<account>/<container>.*give the output a path"):
        open_store(uri)


@pytest.mark.parametrize(
    "uri",
    [
        f"s3://AKIA:{SECRET}@evals/runs",
        f"s3://AKIA:a/{SECRET}@evals/runs",
        f"s3://AKIA/{SECRET}@evals",
        f"oss://evals/runs?AccessKeySecret={SECRET}",
        f"tos://{SECRET}@evals/runs",
        f"https://acct.blob.core.windows.net/evals/runs?sv=2024&sig={SECRET}",
        f"azblob://acct/evals#{SECRET}",
        f"ftp://user:{SECRET}@host/",
        f"s3://[{SECRET}/",
        f"s3:/b/p?sig={SECRET}",
        f"https:acct/?sig={SECRET}",
        f"acct/?sv=2024&sig={SECRET}",
        f"DefaultEndpointsProtocol=https;AccountName=acct;AccountKey={SECRET};EndpointSuffix=core.windows.net",
        f"BlobEndpoint=https://a.example.com;SharedAccessSignature=sv=2024&sig={SECRET}",
        f"https:{SECRET}",
        f"s3:/{SECRET}",
    ],
)
def test_a_uri_with_credentials_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(InputError) as failed:
        open_store(uri)
    assert SECRET not in repr(failed.value) + str(failed.value)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "a\0b",
        "file://host/a",
        "file:///",
        "s3://evals/../b",
        "s3://evals/a//b",
        "s3://evals/a\\b",
        "s3://evals:80/a",
    ],
)
def test_what_is_no_place_is_refused(uri: str) -> None:
    with pytest.raises(InputError):
        open_store(uri)


def test_a_folder_with_a_colon_is_told_how_to_be_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"put \./ before it"):
        open_store("run:7")
    assert address_of("./run:7").path == "./run:7"


@pytest.mark.parametrize(
    "uri", ["azblob://acct", "azblob://Acct/evals", "azblob://acct/E", "https://example.com/a/b"]
)
def test_what_is_no_container_is_refused(uri: str) -> None:
    with pytest.raises(InputError, match="not a container of Azure Blob"):
        open_store(uri)


@pytest.mark.parametrize(
    ("uri", "package", "extra"),
    [
        ("s3://evals", "boto3", "s3"),
        ("azblob://acct/evals", "azure.storage.blob", "azure"),
        ("https://acct.blob.core.windows.net/evals", "azure.storage.blob", "azure"),
    ],
)
def test_a_client_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, uri: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"pip install -e '\.\[{extra}\]'"):
        open_store(uri)


@settings(deadline=None)
@given(st.sampled_from(["s3", "oss", "tos", "azblob", "https", "ftp", "x"]), st.text(max_size=30))
def test_no_uri_makes_it_stumble(scheme: str, rest: str) -> None:
    with suppress(HexgateError):
        address_of(f"{scheme}://{rest}")
