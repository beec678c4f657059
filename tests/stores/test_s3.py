"""S3, OSS and TOS through the real boto3, over real HTTP: moto's server, behind a gateway that records and harms."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError, StoreFailed
from hexgate.stores.base import Entry, Store
from hexgate.stores.parts import PartHead, attempts, fetch, publish
from hexgate.stores.registry import open_store
from support import needs
from support.prometheus import free_port
from support.s3_server import KEY_ID, SECRET, admin, s3_server
from support.virtual_host import Gateway, Harm, Refusal, Seen

pytestmark = pytest.mark.vendor

OSS_HOST = "evals.s3.oss-cn-hangzhou.aliyuncs.com"
TOS_HOST = "evals.tos-s3-cn-beijing.volces.com"
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


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    needs.module("boto3")
    with s3_server() as url:
        admin(url).create_bucket(Bucket="evals")
        yield url


@pytest.fixture
def gateway(moto: str) -> Iterator[Gateway]:
    with Gateway(moto, {OSS_HOST: "/evals", TOS_HOST: "/evals", "data.example.com": "/evals"}) as gateway:
        yield gateway


@pytest.fixture
def bucket(moto: str) -> Any:
    """The bucket, empty, as its owner sees it."""
    client = admin(moto)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="evals"):
        if found := [{"Key": item["Key"]} for item in page.get("Contents", ())]:
            client.delete_objects(Bucket="evals", Delete={"Objects": found})
    return client


@pytest.fixture
def s3(gateway: Gateway, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("HEXGATE_S3_ENDPOINT", gateway.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    # The waits between tries are left out; the tries are real.
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    monkeypatch.setattr("hexgate.stores.retry.random.uniform", lambda *_: 0.0)
    return open_store("s3://evals/runs")


def content(bucket: Any, key: str) -> bytes:
    data: bytes = bucket.get_object(Bucket="evals", Key=key)["Body"].read()
    return data


def test_files_go_up_and_come_down_under_the_prefix(s3: Store, bucket: Any, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"one")
    s3.put("r/main/a.json", tmp_path / "a.json")
    s3.put_bytes("r/main/名 字+%.txt", b"two")
    s3.put_bytes("r/empty", b"")
    bucket.put_object(Bucket="evals", Key="runs/r/folder/", Body=b"")
    assert content(bucket, "runs/r/main/a.json") == b"one"
    assert list(s3.list("r/")) == [
        Entry("r/empty", 0),
        Entry("r/main/a.json", 3),
        Entry("r/main/名 字+%.txt", 3),
    ]
    assert list(s3.list("r/main/a")) == [Entry("r/main/a.json", 3)]
    assert list(s3.list("s/")) == []
    s3.get("r/main/名 字+%.txt", tmp_path / "deep" / "b.txt")
    assert (tmp_path / "deep" / "b.txt").read_bytes() == b"two"
    assert s3.get_bytes("r/main/a.json") == b"one"
    assert s3.get_bytes("r/empty") == b""
    assert s3.get_bytes("r/none") is None


def test_a_listing_of_many_pages_is_whole_and_in_order(s3: Store, bucket: Any, gateway: Gateway) -> None:
    for number in range(1005):
        bucket.put_object(Bucket="evals", Key=f"runs/r/{number:04}", Body=b"x")
    assert [entry.key for entry in s3.list("r/")] == [f"r/{number:04}" for number in range(1005)]
    assert sum("list-type=2" in request.path for request in gateway.seen) == 2


def test_a_large_file_goes_up_in_parts(s3: Store, bucket: Any, gateway: Gateway, tmp_path: Path) -> None:
    data = os.urandom(MIB) * 40
    (tmp_path / "large").write_bytes(data)
    s3.put("large", tmp_path / "large")
    assert sum("partNumber=" in request.path for request in gateway.seen) == 3
    assert hashlib.sha256(content(bucket, "runs/large")).digest() == hashlib.sha256(data).digest()
    s3.get("large", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


def test_a_part_of_a_large_file_that_is_cut_off_goes_up_again(
    s3: Store, bucket: Any, gateway: Gateway, tmp_path: Path
) -> None:
    data = os.urandom(MIB) * 40
    (tmp_path / "large").write_bytes(data)
    gateway.harm_next(Harm.CUT, when=lambda request: "partNumber=2" in request.path)
    s3.put("large", tmp_path / "large")
    assert sum("partNumber=2" in request.path for request in gateway.seen) == 2
    assert content(bucket, "runs/large") == data


PASSING = [
    Refusal(429, "TooManyRequests"),
    Refusal(429, "ExceedBucketQPSLimit"),
    Refusal(503, "SlowDown"),
    Refusal(500, "InternalError"),
    Refusal(502, "BadGateway"),
    Harm.CUT,
]


@pytest.mark.parametrize("fault", PASSING, ids=str)
@pytest.mark.parametrize("doing", ["put", "put_bytes", "get", "get_bytes", "list"])
def test_what_may_pass_is_tried_again(
    s3: Store, gateway: Gateway, tmp_path: Path, doing: str, fault: Harm | Refusal
) -> None:
    s3.put_bytes("r/a", b"data")
    (tmp_path / "b").write_bytes(b"more")
    calls: dict[str, Callable[[], object]] = {
        "put": lambda: s3.put("r/b", tmp_path / "b"),
        "put_bytes": lambda: s3.put_bytes("r/b", b"more"),
        "get": lambda: s3.get("r/a", tmp_path / "a"),
        "get_bytes": lambda: s3.get_bytes("r/a"),
        "list": lambda: list(s3.list("r/")),
    }
    gateway.fresh()
    gateway.harm_next(fault, fault)
    calls[doing]()
    assert len(gateway.seen) == 3
    assert s3.get_bytes("r/b" if doing.startswith("put") else "r/a") in {b"more", b"data"}


def test_what_does_not_pass_ends_after_five_tries_and_says_so(
    s3: Store, gateway: Gateway, tmp_path: Path
) -> None:
    gateway.harm_next(*[Refusal(503, "SlowDown")] * 9)
    with pytest.raises(StoreFailed) as failed:
        s3.put_bytes("r/a", b"data")
    assert len(gateway.seen) == 5
    assert str(failed.value) == (
        "s3://evals/runs/r/a: S3 refused to put; got HTTP 503 SlowDown: scripted; "
        "it was tried 5 times; try again later, what is there already is kept"
    )
    gateway.fresh()
    gateway.harm_next(*[Harm.CUT] * 9)
    with pytest.raises(StoreFailed, match="does not answer, or cut its answer off"):
        s3.get("r/a", tmp_path / "a")
    assert len(gateway.seen) == 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("doing", ["list", "get", "put"])
def test_a_proxy_that_is_down_is_not_a_file_that_cannot_be_read(
    s3: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doing: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("HEXGATE_S3_ENDPOINT", "http://s3.example.com")
    store = open_store("s3://evals/runs")
    (tmp_path / "a").write_bytes(b"data")
    calls: dict[str, Callable[[], object]] = {
        "put": lambda: store.put("r/b", tmp_path / "a"),
        "get": lambda: store.get("r/b", tmp_path / "b"),
        "list": lambda: list(store.list("r/")),
    }
    with pytest.raises(StoreFailed, match="S3 does not answer, or cut its answer off") as failed:
        calls[doing]()
    assert "ProxyConnectionError" in str(failed.value)


def test_a_body_that_is_cut_off_is_asked_for_again_and_never_left_half(
    s3: Store, gateway: Gateway, tmp_path: Path
) -> None:
    data = os.urandom(3 * MIB)
    s3.put_bytes("a", data)
    gateway.harm_next(Harm.CUT_BODY, Harm.CUT_BODY)
    s3.get("a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == data
    gateway.harm_next(Harm.CUT_BODY)
    assert s3.get_bytes("a") == data
    gateway.fresh()
    gateway.harm_next(*[Harm.CUT_BODY] * 9)
    with pytest.raises(StoreFailed, match="cut its answer off"):
        s3.get("a", tmp_path / "b")
    assert len(gateway.seen) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_unreadable_file_is_no_fault_of_the_store(s3: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="the file cannot be read"):
        s3.put("a", tmp_path / "none")


REFUSALS = [
    (Refusal(403, "AccessDenied"), "allow s3:PutObject on the prefix"),
    (Refusal(403, "InvalidAccessKeyId"), "check AWS_ACCESS_KEY_ID"),
    (Refusal(403, "SignatureDoesNotMatch"), "the credentials are not taken"),
    (Refusal(400, "ExpiredToken"), "the credentials are not taken"),
    (Refusal(403, "RequestTimeTooSkewed"), "clock"),
    (Refusal(400, "AuthorizationHeaderMalformed"), "set AWS_REGION"),
    (Refusal(404, "NoSuchBucket"), "the bucket 'evals' is not there"),
    (Refusal(501, "NotImplemented"), "plain put, get and list"),
    (Refusal(403, "SecondLevelDomainForbidden"), "the bucket must stand in the host"),
]


@pytest.mark.parametrize(("refusal", "hint"), REFUSALS, ids=lambda value: getattr(value, "code", None))
def test_a_refusal_says_what_to_do_and_is_not_tried_again(
    s3: Store, gateway: Gateway, refusal: Refusal, hint: str
) -> None:
    gateway.harm_next(refusal)
    with pytest.raises(StoreFailed) as failed:
        s3.put_bytes("r/a", b"data")
    assert hint in str(failed.value)
    assert f"HTTP {refusal.status} {refusal.code}" in str(failed.value)
    assert len(gateway.seen) == 1


def test_a_404_that_is_not_about_the_key_is_no_missing_key(s3: Store, gateway: Gateway) -> None:
    gateway.harm_next(Refusal(404, "NotFound"))
    with pytest.raises(StoreFailed, match="HTTP 404 NotFound"):
        s3.get_bytes("r/a")


def test_a_bucket_that_is_not_there_is_no_empty_one(s3: Store, tmp_path: Path) -> None:
    other = open_store("s3://elsewhere/runs")
    with pytest.raises(StoreFailed, match="NoSuchBucket"):
        list(other.list("r/"))
    with pytest.raises(StoreFailed, match="NoSuchBucket"):
        other.get_bytes("r/a")
    with pytest.raises(StoreFailed, match="there is no such key"):
        s3.get("r/a", tmp_path / "a")


def test_a_wrong_secret_is_refused_by_a_server_that_checks_signatures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs.module("boto3")
    with s3_server(unsigned_calls=4) as url:
        iam = admin(url, "iam")
        iam.create_user(UserName="ci")
        key = iam.create_access_key(UserName="ci")["AccessKey"]
        policy = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}'
        iam.put_user_policy(UserName="ci", PolicyName="s3", PolicyDocument=policy)
        admin(url).create_bucket(Bucket="evals")
        monkeypatch.setenv("HEXGATE_S3_ENDPOINT", url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        right = open_store("s3://evals")
        right.put_bytes("a", b"data")
        assert right.get_bytes("a") == b"data"
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        wrong = open_store("s3://evals")
        with pytest.raises(StoreFailed, match=r"HTTP 403 SignatureDoesNotMatch.*credentials are not taken"):
            wrong.put_bytes("b", b"data")
        assert right.get_bytes("b") is None


def oss(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", SECRET)
    monkeypatch.setenv("OSS_SESSION_TOKEN", "token-of-the-test-only")
    monkeypatch.setenv("HEXGATE_OSS_ENDPOINT", "http://oss-cn-hangzhou.aliyuncs.com")
    monkeypatch.setenv("HTTP_PROXY", gateway.url)
    return open_store("oss://evals/runs")


def tos(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("TOS_ACCESS_KEY", KEY_ID)
    monkeypatch.setenv("TOS_SECRET_KEY", SECRET)
    monkeypatch.setenv("HEXGATE_TOS_ENDPOINT", "http://tos-s3-cn-beijing.volces.com")
    monkeypatch.setenv("HTTP_PROXY", gateway.url)
    return open_store("tos://evals/runs")


def custom_domain(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Store:
    oss(gateway, monkeypatch)
    monkeypatch.setenv("HEXGATE_OSS_ENDPOINT", "http://data.example.com")
    monkeypatch.setenv("OSS_REGION", "oss-cn-hangzhou")
    return open_store("oss://evals/runs")


def signed_for(request: Seen) -> str:
    """The region that a request is signed for."""
    algorithm, _, rest = request.headers["authorization"].partition(" ")
    assert algorithm == "AWS4-HMAC-SHA256"
    assert f"Credential={KEY_ID}/" in rest
    return rest.split("/")[2]


@pytest.mark.parametrize(
    ("opened", "host", "region"),
    [
        (oss, OSS_HOST, "cn-hangzhou"),
        (tos, TOS_HOST, "cn-beijing"),
        (custom_domain, "data.example.com", "cn-hangzhou"),
    ],
    ids=["oss", "tos", "custom domain"],
)
def test_oss_and_tos_get_the_requests_that_they_take(
    gateway: Gateway,
    bucket: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    opened: Callable[[Gateway, pytest.MonkeyPatch], Store],
    host: str,
    region: str,
) -> None:
    store = opened(gateway, monkeypatch)
    (tmp_path / "a").write_bytes(b"data")
    store.put("r/a b", tmp_path / "a")
    store.put_bytes("r/c", b"more")
    (tmp_path / "large").write_bytes(bytes(33 * MIB))
    store.put("r/large", tmp_path / "large")
    store.get("r/a b", tmp_path / "back")
    assert store.get_bytes("r/none") is None
    assert [entry.key for entry in store.list("r/")] == ["r/a b", "r/c", "r/large"]
    assert content(bucket, "runs/r/a b") == b"data"
    first = gateway.seen[0]
    assert first.line == f"PUT http://{host}/runs/r/a%20b HTTP/1.1"
    assert (
        {request.host for request in gateway.seen}
        == {request.headers["host"] for request in gateway.seen}
        == {host}
    )
    assert {signed_for(request) for request in gateway.seen} == {region}
    assert not any(request.path.startswith("/evals") for request in gateway.seen)
    for request in gateway.seen:
        assert not [
            name
            for name in request.headers
            if name.startswith(("x-amz-checksum", "x-amz-sdk-checksum", "x-amz-trailer"))
        ]
        assert {"if-none-match", "if-match"}.isdisjoint(request.headers)
        assert "aws-chunked" not in request.headers.get("content-encoding", "")
        assert not request.headers.get("x-amz-content-sha256", "").startswith("STREAMING")
        assert ("x-amz-security-token" in request.headers) is (opened is not tos)
    kinds = {(request.method, request.path.partition("?")[2].partition("=")[0]) for request in gateway.seen}
    assert {method for method, _ in kinds} == {"PUT", "GET", "POST"}


def test_a_path_style_answer_of_oss_is_explained(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    needs.module("boto3")
    store = oss(gateway, monkeypatch)
    gateway.harm_next(Refusal(403, "AccessDenied"))
    with pytest.raises(StoreFailed, match="allow oss:PutObject on the prefix"):
        store.put_bytes("r/a", b"")
    gateway.harm_next(Refusal(403, "SecondLevelDomainForbidden"))
    with pytest.raises(StoreFailed, match="check HEXGATE_OSS_ENDPOINT"):
        store.put_bytes("r/a", b"")


def test_s3_can_be_addressed_by_path_or_host(
    s3: Store, gateway: Gateway, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put_bytes("a", b"data")
    assert gateway.seen[-1].path == "/evals/runs/a"
    gateway.hosts["evals.store.example.com"] = "/evals"
    monkeypatch.setenv("HEXGATE_S3_ENDPOINT", "http://store.example.com")
    monkeypatch.setenv("HEXGATE_S3_ADDRESSING", "virtual")
    monkeypatch.setenv("HTTP_PROXY", gateway.url)
    open_store("s3://evals/runs").put_bytes("b", b"more")
    assert gateway.seen[-1].line == "PUT http://evals.store.example.com/runs/b HTTP/1.1"
    assert content(bucket, "runs/b") == b"more"


def test_the_usual_variables_of_boto3_say_where_s3_is(
    s3: Store, gateway: Gateway, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEXGATE_S3_ENDPOINT")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", gateway.url)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    open_store("s3://evals/runs").put_bytes("a", b"data")
    assert content(bucket, "runs/a") == b"data"
    assert signed_for(gateway.seen[-1]) == "eu-central-1"


def test_no_credentials_at_all_are_named_as_such(
    s3: Store, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreFailed, match=r"no credentials for S3 that work.*AWS_ACCESS_KEY_ID"):
        open_store("s3://evals/runs").put_bytes("a", b"data")
    assert gateway.seen == []


def test_an_unknown_profile_is_the_users_to_mend(s3: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nowhere")
    with pytest.raises(InputError, match="nowhere"):
        open_store("s3://evals/runs")


def test_a_part_is_carried_whole_and_what_was_changed_on_its_way_is_found_out(
    s3: Store, gateway: Gateway, tmp_path: Path
) -> None:
    (tmp_path / "out" / "evidence").mkdir(parents=True)
    (tmp_path / "out" / "a.json").write_bytes(b'{"f1": 0.9}')
    (tmp_path / "out" / "evidence" / "rows.jsonl").write_bytes(os.urandom(MIB))
    said = publish(s3, tmp_path / "out", HEAD)
    (found,) = attempts(s3, HEAD.run_id)["main"]
    assert found.manifest == said
    gateway.harm_next(Harm.SHORT, when=lambda request: request.path.partition("?")[0].endswith("/rows.jsonl"))
    (fault,) = fetch(s3, found, tmp_path / "dest")
    assert fault.startswith(
        "'evidence/rows.jsonl' is not what the manifest says (524288 bytes, expected 1048576"
    )
    assert not (tmp_path / "dest" / "evidence" / "rows.jsonl").exists()
    gateway.fresh()
    assert fetch(s3, found, tmp_path / "dest") == []
    assert len(gateway.seen) == 1
    for path in ("a.json", "evidence/rows.jsonl"):
        assert (tmp_path / "dest" / path).read_bytes() == (tmp_path / "out" / path).read_bytes()
