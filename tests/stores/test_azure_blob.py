"""Azure Blob through the real azure-storage-blob, over real HTTP: Azurite, behind a gateway that records and harms."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError, StoreFailed
from hexgate.stores.base import Entry, Store
from hexgate.stores.parts import PartHead, attempts, fetch, publish
from hexgate.stores.registry import open_store
from support import needs
from support.azurite import ACCOUNT, KEY, azurite, connection_string
from support.virtual_host import Gateway, Harm, Refusal

pytestmark = [pytest.mark.vendor, pytest.mark.infra]

MIB = 1 << 20
HEAD = PartHead(
    run_id="20261120T101500Z-0a1b2c3d",
    part="main",
    shard=None,
    exit_code=0,
    spec_sha256=None,
    image=None,
    platform=None,
    platform_job_id=None,
    started_at="2026-11-20T10:15:00Z",
    ended_at="2026-11-20T10:30:00Z",
)
NUMBERS = count(1)


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    needs.module("azure.storage.blob")
    needs.module("azure.identity")
    with azurite() as url:
        yield url


@pytest.fixture
def gateway(emulator: str) -> Iterator[Gateway]:
    with Gateway(emulator) as gateway:
        yield gateway


@pytest.fixture
def container(emulator: str) -> Iterator[Any]:
    """A new container, as its owner sees it."""
    from azure.storage.blob import BlobServiceClient

    with BlobServiceClient.from_connection_string(connection_string(emulator)) as service:
        yield service.create_container(f"evals{next(NUMBERS)}")


@pytest.fixture
def blob(gateway: Gateway, container: Any, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection_string(f"{gateway.url}/{ACCOUNT}"))
    # The waits between tries are left out; the tries are real.
    monkeypatch.setattr("azure.core.pipeline.transport.HttpTransport.sleep", lambda *_: None)
    monkeypatch.setattr("hexgate.stores.retry.random.uniform", lambda *_: 0.0)
    return open_store(f"azblob://{ACCOUNT}/{container.container_name}/runs")


def content(container: Any, key: str) -> bytes:
    data: bytes = container.download_blob(key).readall()
    return data


def test_files_go_up_and_come_down_under_the_prefix(blob: Store, container: Any, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"one")
    blob.put("r/main/a.json", tmp_path / "a.json")
    blob.put_bytes("r/main/名 字+%.txt", b"two")
    blob.put_bytes("r/empty", b"")
    container.upload_blob("runs/r/folder", b"", metadata={"hdi_isfolder": "true"})
    assert content(container, "runs/r/main/a.json") == b"one"
    assert list(blob.list("r/")) == [
        Entry("r/empty", 0),
        Entry("r/main/a.json", 3),
        Entry("r/main/名 字+%.txt", 3),
    ]
    assert list(blob.list("r/main/a")) == [Entry("r/main/a.json", 3)]
    assert list(blob.list("s/")) == []
    blob.get("r/main/名 字+%.txt", tmp_path / "deep" / "b.txt")
    assert (tmp_path / "deep" / "b.txt").read_bytes() == b"two"
    assert blob.get_bytes("r/main/a.json") == b"one"
    assert blob.get_bytes("r/empty") == b""
    assert blob.get_bytes("r/none") is None
    assert blob.uri == f"azblob://{ACCOUNT}/{container.container_name}/runs"


def test_a_large_file_goes_up_and_down_in_blocks(
    blob: Store, container: Any, gateway: Gateway, tmp_path: Path
) -> None:
    data = os.urandom(MIB) * 70
    (tmp_path / "large").write_bytes(data)
    gateway.harm_next(Harm.CUT, when=lambda request: "comp=block&" in request.path)
    blob.put("large", tmp_path / "large")
    assert sum("comp=block&" in request.path for request in gateway.seen) == 19
    blob.get("large", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


def test_a_listing_of_many_pages_is_whole_and_in_order(
    blob: Store, container: Any, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(25):
        container.upload_blob(f"runs/r/{number:03}", b"x")
    monkeypatch.setattr("hexgate.stores.azure_blob._PAGE", 10)
    gateway.fresh()
    gateway.harm_next(Refusal(429, "TooManyRequests"), when=lambda request: "marker=" in request.path)
    assert [entry.key for entry in blob.list("r/")] == [f"r/{number:03}" for number in range(25)]
    assert len(gateway.seen) == 4


def test_nothing_is_overwritten(blob: Store, container: Any) -> None:
    blob.put_bytes("r/a", b"one")
    with pytest.raises(StoreFailed, match="nothing is ever overwritten"):
        blob.put_bytes("r/a", b"two")
    assert content(container, "runs/r/a") == b"one"


def test_an_upload_whose_answer_was_lost_meets_itself_and_is_done(
    blob: Store, container: Any, gateway: Gateway, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"data")
    gateway.harm_next(Harm.CUT)
    blob.put("r/a", tmp_path / "a")
    assert content(container, "runs/r/a") == b"data"
    assert gateway.methods == ["PUT", "PUT", "GET"]


PASSING = [
    Refusal(429, "TooManyRequests"),
    Refusal(503, "ServerBusy"),
    Refusal(500, "InternalError"),
    Harm.CUT,
]


@pytest.mark.parametrize("fault", PASSING, ids=str)
@pytest.mark.parametrize("doing", ["put", "get", "get_bytes", "list"])
def test_what_may_pass_is_tried_again(
    blob: Store, gateway: Gateway, tmp_path: Path, doing: str, fault: Harm | Refusal
) -> None:
    blob.put_bytes("r/a", b"data")
    calls: dict[str, Callable[[], object]] = {
        "put": lambda: blob.put_bytes("r/b", b"more"),
        "get": lambda: blob.get("r/a", tmp_path / "a"),
        "get_bytes": lambda: blob.get_bytes("r/a"),
        "list": lambda: list(blob.list("r/")),
    }
    gateway.fresh()
    gateway.harm_next(fault, fault)
    calls[doing]()
    assert blob.get_bytes("r/b" if doing == "put" else "r/a") in {b"more", b"data"}


@pytest.mark.parametrize(
    "fault", [Refusal(429, "TooManyRequests"), Refusal(503, "ServerBusy"), Harm.CUT], ids=str
)
def test_what_does_not_pass_ends_after_five_tries(
    blob: Store, gateway: Gateway, tmp_path: Path, fault: Harm | Refusal
) -> None:
    gateway.harm_next(*[fault] * 9)
    with pytest.raises(StoreFailed):
        blob.get("r/a", tmp_path / "a")
    assert len(gateway.seen) == 5
    assert list(tmp_path.iterdir()) == []


def test_a_body_that_is_cut_off_is_asked_for_again_and_never_left_half(
    blob: Store, gateway: Gateway, tmp_path: Path
) -> None:
    data = os.urandom(3 * MIB)
    blob.put_bytes("a", data)
    gateway.harm_next(Harm.CUT_BODY)
    blob.get("a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == data
    gateway.harm_next(*[Harm.CUT_BODY] * 99)
    with pytest.raises(StoreFailed):
        blob.get("a", tmp_path / "b")
    gateway.fresh()
    gateway.harm_next(*[Harm.SHORT] * 99)
    with pytest.raises(StoreFailed, match="came short"):
        blob.get("a", tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


REFUSALS = [
    (Refusal(403, "AuthorizationPermissionMismatch"), "the role Storage Blob Data Contributor"),
    (Refusal(403, "AuthenticationFailed"), "the credentials are not taken"),
    (Refusal(404, "ContainerNotFound"), "make the container"),
]


@pytest.mark.parametrize(("refusal", "hint"), REFUSALS, ids=lambda value: getattr(value, "code", None))
@pytest.mark.parametrize("doing", ["put", "get_bytes", "list"])
def test_a_refusal_says_what_to_do(
    blob: Store, gateway: Gateway, doing: str, refusal: Refusal, hint: str
) -> None:
    calls: dict[str, Callable[[], object]] = {
        "put": lambda: blob.put_bytes("r/b", b"more"),
        "get_bytes": lambda: blob.get_bytes("r/a"),
        "list": lambda: list(blob.list("r/")),
    }
    gateway.harm_next(refusal)
    with pytest.raises(StoreFailed, match=f"HTTP {refusal.status} {refusal.code}; {hint}"):
        calls[doing]()
    assert len(gateway.seen) == 1


def test_a_404_that_is_not_about_the_key_is_no_missing_key(blob: Store, gateway: Gateway) -> None:
    gateway.harm_next(Refusal(404, "NotFound"))
    with pytest.raises(StoreFailed, match="HTTP 404 NotFound"):
        blob.get_bytes("r/a")


def test_a_container_that_is_not_there_is_no_empty_one(blob: Store, tmp_path: Path) -> None:
    other = open_store(f"azblob://{ACCOUNT}/elsewhere/runs")
    with pytest.raises(StoreFailed, match="ContainerNotFound"):
        list(other.list("r/"))
    with pytest.raises(StoreFailed, match="ContainerNotFound"):
        other.get_bytes("r/a")
    with pytest.raises(StoreFailed, match="there is no such key"):
        blob.get("r/a", tmp_path / "a")


def test_a_key_or_a_signature_of_the_environment_is_enough(
    blob: Store, container: Any, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    name = container.container_name
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("HEXGATE_AZURE_BLOB_ENDPOINT", f"{gateway.url}/{ACCOUNT}")
    monkeypatch.setenv("AZURE_STORAGE_KEY", KEY)
    open_store(f"azblob://{ACCOUNT}/{name}").put_bytes("key", b"one")
    monkeypatch.delenv("AZURE_STORAGE_KEY")
    signature = generate_container_sas(
        ACCOUNT,
        name,
        account_key=KEY,
        permission=ContainerSasPermissions(read=True, create=True, list=True),
        expiry=datetime.now(timezone.utc) + timedelta(hours=1),
    )
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", f"?{signature}")
    signed = open_store(f"azblob://{ACCOUNT}/{name}")
    signed.put_bytes("sas", b"two")
    assert [entry.key for entry in signed.list()] == ["key", "sas"]
    assert signed.get_bytes("key") == b"one"


def test_a_wrong_key_is_refused_by_the_emulator(
    blob: Store, container: Any, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("HEXGATE_AZURE_BLOB_ENDPOINT", f"{gateway.url}/{ACCOUNT}")
    monkeypatch.setenv("AZURE_STORAGE_KEY", "d3Jvbmcga2V5IG9mIHRoZSB0ZXN0")
    with pytest.raises(StoreFailed, match="HTTP 403"):
        open_store(f"azblob://{ACCOUNT}/{container.container_name}").put_bytes("a", b"one")


def test_a_signature_without_the_right_to_list_names_the_role(
    blob: Store, container: Any, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    name = container.container_name
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("HEXGATE_AZURE_BLOB_ENDPOINT", f"{gateway.url}/{ACCOUNT}")
    signature = generate_container_sas(
        ACCOUNT,
        name,
        account_key=KEY,
        permission=ContainerSasPermissions(create=True),
        expiry=datetime.now(timezone.utc) + timedelta(hours=1),
    )
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", signature)
    with pytest.raises(StoreFailed, match="Storage Blob Data Contributor"):
        list(open_store(f"azblob://{ACCOUNT}/{name}").list())


def test_without_credentials_it_says_which_are_looked_for(
    blob: Store, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("HEXGATE_AZURE_BLOB_ENDPOINT", f"{gateway.url}/{ACCOUNT}")
    with pytest.raises(InputError, match=r"a token is not sent.*AZURE_STORAGE_KEY"):
        open_store(f"azblob://{ACCOUNT}/evals")
    monkeypatch.delenv("HEXGATE_AZURE_BLOB_ENDPOINT")
    # The chain is cut to its first link, which looks at the environment alone and asks nobody.
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    with pytest.raises(StoreFailed, match=r"no credentials for it.*AZURE_STORAGE_KEY"):
        open_store(f"azblob://{ACCOUNT}/evals").get_bytes("a")
    assert gateway.seen == []


def test_the_environment_of_another_account_is_refused(blob: Store) -> None:
    with pytest.raises(InputError, match=f"got {ACCOUNT}; expected otheraccount"):
        open_store("azblob://otheraccount/evals")
    with pytest.raises(InputError, match=f"got {ACCOUNT}; expected otheraccount"):
        open_store("https://otheraccount.blob.core.windows.net/evals/runs")


def test_a_part_is_carried_whole_and_what_was_changed_on_its_way_is_found_out(
    blob: Store, gateway: Gateway, tmp_path: Path
) -> None:
    (tmp_path / "out" / "evidence").mkdir(parents=True)
    (tmp_path / "out" / "a.json").write_bytes(b'{"f1": 0.9}')
    (tmp_path / "out" / "evidence" / "rows.jsonl").write_bytes(os.urandom(MIB))
    said = publish(blob, tmp_path / "out", HEAD)
    (found,) = attempts(blob, HEAD.run_id)["main"]
    assert found.manifest == said
    gateway.harm_next(
        Harm.CHANGED, when=lambda request: request.path.partition("?")[0].endswith("/rows.jsonl")
    )
    (fault,) = fetch(blob, found, tmp_path / "dest")
    assert fault.startswith("'evidence/rows.jsonl' is not what the manifest says (sha256")
    assert not (tmp_path / "dest" / "evidence" / "rows.jsonl").exists()
    gateway.fresh()
    assert fetch(blob, found, tmp_path / "dest") == []
    assert len(gateway.seen) == 1
    for path in ("a.json", "evidence/rows.jsonl"):
        assert (tmp_path / "dest" / path).read_bytes() == (tmp_path / "out" / path).read_bytes()
