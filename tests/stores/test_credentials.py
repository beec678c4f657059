"""Secrets of the environment and of a role: they sign requests, and stand in nothing that is said."""

from __future__ import annotations

import json
import logging
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hexgate.errors import HexgateError, StoreFailed
from hexgate.stores.registry import open_store
from support import needs
from support.virtual_host import Gateway, Harm, Refusal

pytestmark = pytest.mark.vendor

ID = "AKIDSENTINEL00000001"
SECRET = "sentinel/secret+of+the+test/0001"
TOKEN = "sentinel-token-of-the-test-000000001"
SAS = "sv=2024-11-04&sp=rcwl&sig=c2VudGluZWwtc2FzLW9mLXRoZS10ZXN0"
AZURE_KEY = "c2VudGluZWwta2V5LW9mLXRoZS10ZXN0"
SENTINELS = (ID, SECRET, TOKEN, "c2VudGluZWwtc2FzLW9mLXRoZS10ZXN0", AZURE_KEY)


class Role:
    """What a platform answers at the URL of a role's credentials."""

    def __init__(self) -> None:
        self.asked = 0
        self.expires_s = 3600.0
        self.body: bytes | None = None
        self.refuses = 0
        role = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                role.refuses -= 1
                body = b"" if role.refuses >= 0 else role.answer()
                self.send_response(404 if role.refuses >= 0 else 200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/api/v1/credentials/0"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def answer(self) -> bytes:
        self.asked += 1
        if self.body is not None:
            return self.body
        expires = datetime.now(timezone.utc) + timedelta(seconds=self.expires_s)
        return json.dumps(
            {
                "Code": "Success",
                "AccessKeyId": f"STS.{self.asked}",
                "AccessKeySecret": SECRET,
                "SecurityToken": TOKEN,
                "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        ).encode()

    def __enter__(self) -> Role:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> Iterator[Role]:
    needs.module("boto3")
    with Role() as role:
        monkeypatch.setenv("ALIBABA_CLOUD_CREDENTIALS_URI", role.url)
        monkeypatch.setenv("OSS_REGION", "cn-hangzhou")
        yield role


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """In front of nothing: every request meets a scripted fault."""
    with Gateway() as gateway:
        yield gateway


def test_a_role_signs_with_its_temporary_keys_and_is_asked_again_before_they_expire(
    role: Role, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEXGATE_OSS_ENDPOINT", gateway.url)
    store = open_store("oss://evals/runs")
    gateway.harm_next(*[Refusal(404, "NoSuchKey")] * 4)
    assert store.get_bytes("a") is store.get_bytes("b") is None
    assert role.asked == 1
    assert {request.headers["x-amz-security-token"] for request in gateway.seen} == {TOKEN}
    assert all("Credential=STS.1/" in request.headers["authorization"] for request in gateway.seen)
    # Keys that are about to expire are replaced at the next call.
    role.expires_s = 1.0
    other = open_store("oss://evals/runs")
    assert other.get_bytes("a") is other.get_bytes("b") is None
    assert role.asked > 2
    assert f"Credential=STS.{role.asked}/" in gateway.seen[-1].headers["authorization"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"Code": "Failed"}', f'{{"AccessKeySecret": "{SECRET}"}}'.encode()]
)
def test_a_role_that_gives_nothing_is_named_and_not_repeated(
    role: Role, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setenv("HEXGATE_OSS_ENDPOINT", gateway.url)
    role.body = body
    with pytest.raises(
        StoreFailed, match=r"no credentials for OSS that work.*ALIBABA_CLOUD_CREDENTIALS_URI"
    ) as failed:
        open_store("oss://evals/runs").put_bytes("a", b"data")
    assert SECRET not in str(failed.value)
    assert gateway.seen == []


def test_a_role_that_does_not_answer_at_once_is_asked_again(
    role: Role, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEXGATE_OSS_ENDPOINT", gateway.url)
    monkeypatch.setattr("hexgate.stores.retry.random.uniform", lambda *_: 0.0)
    role.refuses = 3
    gateway.harm_next(Refusal(404, "NoSuchKey"))
    assert open_store("oss://evals/runs").get_bytes("a") is None
    role.refuses = 9
    with pytest.raises(StoreFailed, match="no credentials for OSS that work"):
        open_store("oss://evals/runs").get_bytes("a")


def s3(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setenv("HEXGATE_S3_ENDPOINT", gateway.url)
    return "s3://evals/runs"


def oss(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", ID)
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", SECRET)
    monkeypatch.setenv("OSS_SESSION_TOKEN", TOKEN)
    monkeypatch.setenv("OSS_REGION", "cn-hangzhou")
    monkeypatch.setenv("HEXGATE_OSS_ENDPOINT", gateway.url)
    return "oss://evals/runs"


def tos(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TOS_ACCESS_KEY", ID)
    monkeypatch.setenv("TOS_SECRET_KEY", SECRET)
    monkeypatch.setenv("TOS_SECURITY_TOKEN", TOKEN)
    monkeypatch.setenv("TOS_REGION", "cn-beijing")
    monkeypatch.setenv("HEXGATE_TOS_ENDPOINT", gateway.url)
    return "tos://evals/runs"


def azure_sas(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", SAS)
    monkeypatch.setenv("HEXGATE_AZURE_BLOB_ENDPOINT", f"{gateway.url}/acct")
    return "azblob://acct/evals/runs"


def azure_key(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AZURE_STORAGE_KEY", AZURE_KEY)
    monkeypatch.setenv("HEXGATE_AZURE_BLOB_ENDPOINT", f"{gateway.url}/acct")
    return "azblob://acct/evals/runs"


def azure_connection(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING",
        f"AccountName=acct;AccountKey={AZURE_KEY};BlobEndpoint={gateway.url}/acct",
    )
    return "azblob://acct/evals/runs"


REFUSALS = [
    (400, "BadRequest"),
    (401, "Unauthorized"),
    (403, "AccessDenied"),
    (403, "SignatureDoesNotMatch"),
    (404, "NoSuchBucket"),
    (404, "NoSuchKey"),
    (429, "TooManyRequests"),
    (500, "InternalError"),
    (501, "NotImplemented"),
]


@pytest.mark.parametrize("opened", [s3, oss, tos, azure_sas, azure_key, azure_connection])
def test_no_failure_says_a_secret_even_if_the_server_does(
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    opened: Callable[[Gateway, pytest.MonkeyPatch], str],
) -> None:
    needs.module("boto3")
    needs.module("azure.storage.blob")
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    monkeypatch.setattr("azure.core.pipeline.transport.HttpTransport.sleep", lambda *_: None)
    monkeypatch.setattr("hexgate.stores.retry.random.uniform", lambda *_: 0.0)
    caplog.set_level(logging.INFO)
    store = open_store(opened(gateway, monkeypatch))
    (tmp_path / "file").write_bytes(b"data")
    known = [sentinel for sentinel in SENTINELS if any(sentinel in value for value in os.environ.values())]
    assert known
    faults: list[Harm | Refusal] = [Refusal(*refusal, f"bad {' & '.join(known)}") for refusal in REFUSALS]
    faults += [Harm.CUT] if opened is not s3 else [Harm.CUT, Refusal(409, ID)]
    said = [store.uri, repr(store), str(vars(store))]
    calls = (
        lambda: store.put("a", tmp_path / "file"),
        lambda: store.put_bytes("a", b"data"),
        lambda: store.get("a", tmp_path / "back"),
        lambda: store.get_bytes("a"),
        lambda: list(store.list()),
    )
    for fault in faults:
        failures = 0
        for call in calls:
            gateway.fresh()
            gateway.harm_next(*[fault] * 30)
            try:
                call()
            except HexgateError as error:
                said += [str(error), repr(error), "".join(traceback.format_exception(error))]
                failures += 1
        # Only a key that is not there may be an answer instead of a failure.
        missing = isinstance(fault, Refusal) and fault.code == "NoSuchKey"
        assert failures == 5 or (failures == 4 and missing), fault
    said += [record.getMessage() for record in caplog.records]
    assert [(sentinel, text) for sentinel in known for text in said if sentinel in text] == []


@pytest.mark.parametrize(
    ("variable", "value", "uri"),
    [
        ("AZURE_STORAGE_CONNECTION_STRING", f"AccountKey={AZURE_KEY}", "azblob://acct/evals"),
        ("AZURE_STORAGE_CONNECTION_STRING", AZURE_KEY, "azblob://acct/evals"),
        ("HEXGATE_S3_ENDPOINT", f"http://user:{SECRET}@host", "s3://evals"),
        ("AWS_ENDPOINT_URL_S3", f"user:{SECRET}@host", "s3://evals"),
    ],
)
def test_a_setting_that_cannot_be_right_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, uri: str
) -> None:
    needs.module("boto3")
    needs.module("azure.storage.blob")
    monkeypatch.setenv(variable, value)
    with pytest.raises(HexgateError) as failed:
        open_store(uri)
    assert not [sentinel for sentinel in SENTINELS if sentinel in str(failed.value)]
