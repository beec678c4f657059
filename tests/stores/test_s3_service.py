from __future__ import annotations

import pytest

from hexgate.errors import InputError
from hexgate.stores.address import address_of
from hexgate.stores.s3_service import Keys, Service, service_of

OSS = {"OSS_ACCESS_KEY_ID": "id", "OSS_ACCESS_KEY_SECRET": "secret"}
TOS = {"TOS_ACCESS_KEY": "id", "TOS_SECRET_KEY": "secret"}


def service(uri: str, **env: str) -> Service:
    return service_of(address_of(uri), env)


HOSTS = [
    # OSS: region, endpoint forms, the bucket in the endpoint, a mount's form of the URI, a domain of one's own.
    (
        "oss://evals",
        {"OSS_REGION": "cn-hangzhou"},
        "https://s3.oss-cn-hangzhou.aliyuncs.com",
        "cn-hangzhou",
        False,
    ),
    (
        "oss://evals",
        {"OSS_REGION": "oss-cn-beijing"},
        "https://s3.oss-cn-beijing.aliyuncs.com",
        "cn-beijing",
        False,
    ),
    (
        "oss://evals",
        {"ALIBABA_CLOUD_REGION_ID": "ap-southeast-1"},
        "https://s3.oss-ap-southeast-1.aliyuncs.com",
        "ap-southeast-1",
        False,
    ),
    (
        "oss://evals",
        {"HEXGATE_OSS_ENDPOINT": "oss-cn-hangzhou-internal.aliyuncs.com"},
        "https://s3.oss-cn-hangzhou-internal.aliyuncs.com",
        "cn-hangzhou",
        False,
    ),
    (
        "oss://evals",
        {
            "HEXGATE_OSS_ENDPOINT": "https://evals.s3.oss-cn-hangzhou.aliyuncs.com/",
            "OSS_REGION": "cn-beijing",
        },
        "https://s3.oss-cn-hangzhou.aliyuncs.com",
        "cn-hangzhou",
        False,
    ),
    (
        "oss://evals.oss-cn-shenzhen-finance-1-internal.aliyuncs.com/runs",
        {"OSS_REGION": "cn-beijing"},
        "https://s3.oss-cn-shenzhen-finance-1-internal.aliyuncs.com",
        "cn-shenzhen-finance-1",
        False,
    ),
    (
        "oss://evals",
        {"HEXGATE_OSS_ENDPOINT": "https://oss-accelerate.aliyuncs.com", "OSS_REGION": "cn-hangzhou"},
        "https://s3.oss-accelerate.aliyuncs.com",
        "cn-hangzhou",
        False,
    ),
    (
        "oss://evals",
        {"HEXGATE_OSS_ENDPOINT": "https://data.example.com", "OSS_REGION": "cn-hangzhou"},
        "https://data.example.com",
        "cn-hangzhou",
        True,
    ),
    (
        "oss://evals",
        {"HEXGATE_OSS_ENDPOINT": "https://evals.example.com", "OSS_REGION": "cn-hangzhou"},
        "https://evals.example.com",
        "cn-hangzhou",
        True,
    ),
    # TOS
    (
        "tos://evals",
        {"TOS_REGION": "cn-beijing"},
        "https://tos-s3-cn-beijing.volces.com",
        "cn-beijing",
        False,
    ),
    (
        "tos://evals",
        {"HEXGATE_TOS_ENDPOINT": "https://tos-cn-shanghai.ivolces.com"},
        "https://tos-s3-cn-shanghai.ivolces.com",
        "cn-shanghai",
        False,
    ),
    (
        "tos://evals",
        {"HEXGATE_TOS_ENDPOINT": "evals.tos-s3-ap-southeast-1.ibytepluses.com"},
        "https://tos-s3-ap-southeast-1.ibytepluses.com",
        "ap-southeast-1",
        False,
    ),
    (
        "tos://evals",
        {"HEXGATE_TOS_ENDPOINT": "http://data.example.com:8080", "VOLCENGINE_REGION": "cn-beijing"},
        "http://data.example.com:8080",
        "cn-beijing",
        True,
    ),
    # S3
    ("s3://evals", {}, None, None, False),
    ("s3://evals", {"AWS_DEFAULT_REGION": "eu-west-1"}, None, "eu-west-1", False),
    ("s3://evals", {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-west-2"}, None, "eu-west-1", False),
    ("s3://evals", {"HEXGATE_S3_ENDPOINT": "http://minio:9000"}, "http://minio:9000", "us-east-1", False),
]


@pytest.mark.parametrize(("uri", "env", "endpoint", "region", "holds_bucket"), HOSTS)
def test_the_environment_says_where_the_bucket_is(
    uri: str, env: dict[str, str], endpoint: str | None, region: str | None, holds_bucket: bool
) -> None:
    found = service(uri, **OSS, **TOS, **env)
    assert (found.endpoint, found.region, found.holds_bucket) == (endpoint, region, holds_bucket)
    assert found.bucket == "evals"
    assert found.addressing == ("auto" if uri.startswith("s3") else "virtual")


def test_the_prefix_stands_before_every_key() -> None:
    found = service("s3://evals/runs/nightly/")
    assert (found.prefix, found.uri) == ("runs/nightly/", "s3://evals/runs/nightly")
    found = service("oss://evals.oss-cn-hangzhou.aliyuncs.com", **OSS)
    assert (found.prefix, found.uri) == ("", "oss://evals")


@pytest.mark.parametrize(
    ("uri", "env", "keys"),
    [
        ("oss", OSS, Keys("id", "secret")),
        ("oss", OSS | {"OSS_SESSION_TOKEN": "token"}, Keys("id", "secret", "token")),
        (
            "oss",
            {
                "ALIBABA_CLOUD_ACCESS_KEY_ID": "a",
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "b",
                "ALIBABA_CLOUD_SECURITY_TOKEN": "c",
            },
            Keys("a", "b", "c"),
        ),
        ("oss", {"ALIBABA_CLOUD_CREDENTIALS_URI": "http://localhost:7002/api/v1/credentials/0"}, None),
        ("tos", TOS, Keys("id", "secret")),
        (
            "tos",
            {"VOLCENGINE_ACCESS_KEY": "a", "VOLCENGINE_SECRET_KEY": "b", "VOLCENGINE_SESSION_TOKEN": "c"},
            Keys("a", "b", "c"),
        ),
        ("tos", {"VOLC_ACCESSKEY": "a", "VOLC_SECRETKEY": "b"}, Keys("a", "b")),
        ("s3", {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, None),
    ],
)
def test_credentials_come_from_their_usual_names(uri: str, env: dict[str, str], keys: Keys | None) -> None:
    assert service(f"{uri}://evals", OSS_REGION="cn-hangzhou", TOS_REGION="cn-beijing", **env).keys == keys


def test_keys_do_not_print() -> None:
    assert "secret" not in repr(service("oss://evals", OSS_REGION="cn-hangzhou", **OSS))


@pytest.mark.parametrize(
    ("uri", "env", "message"),
    [
        ("oss://evals", OSS, "the region of OSS is not known; expected OSS_REGION"),
        ("tos://evals", TOS, "the region of TOS is not known; expected TOS_REGION"),
        ("oss://evals", OSS | {"HEXGATE_OSS_ENDPOINT": "data.example.com"}, "the region of OSS is not known"),
        ("oss://evals", {"OSS_REGION": "cn-hangzhou"}, "no credentials for OSS; set OSS_ACCESS_KEY_ID"),
        ("tos://evals", {"TOS_REGION": "cn-beijing"}, "no credentials for TOS; set TOS_ACCESS_KEY"),
        ("oss://evals", {"OSS_REGION": "x", "OSS_ACCESS_KEY_ID": "a"}, "without OSS_ACCESS_KEY_SECRET"),
        ("tos://evals", {"TOS_REGION": "x", "TOS_SECRET_KEY": "a"}, "without TOS_ACCESS_KEY"),
        ("s3://evals", {"HEXGATE_S3_ADDRESSING": "host"}, "expected auto, path or virtual"),
        ("s3://Evals", {}, "not the name of a bucket"),
        ("s3://e", {}, "not the name of a bucket"),
        ("oss://ev.als", OSS, "not the name of a bucket"),
        ("tos://ev.als", TOS, "not the name of a bucket"),
    ],
)
def test_what_is_missing_is_named(uri: str, env: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as failed:
        service(uri, **env)
    assert message in str(failed.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "ftp://a",
        "https://",
        "https://a/b",
        "https://a?b=c",
        "https://u:sentinel@a",
        "https://a:port",
        "https://a#b",
    ],
)
def test_an_endpoint_is_a_host_and_nothing_else(endpoint: str) -> None:
    with pytest.raises(InputError, match=r"HEXGATE_S3_ENDPOINT: not an endpoint") as failed:
        service("s3://evals", HEXGATE_S3_ENDPOINT=endpoint)
    assert "sentinel" not in str(failed.value)


def test_white_space_around_a_key_is_left_out() -> None:
    env = {"OSS_ACCESS_KEY_ID": "id\n", "OSS_ACCESS_KEY_SECRET": " key\r\n", "OSS_SESSION_TOKEN": "token\n"}
    assert service("oss://evals", OSS_REGION="cn-hangzhou", **env).keys == Keys("id", "key", "token")


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
@pytest.mark.parametrize("value", ["sentinel\n", "sentinel\none", "sentinél"])
def test_a_key_that_boto3_would_repeat_is_refused_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(InputError, match=name) as failed:
        service("s3://evals", **{name: value})
    assert "sentin" not in str(failed.value)
