"""Which S3 service an address means, where it is and who asks: from the URI and the environment alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from hexgate.errors import InputError
from hexgate.stores.address import Address
from hexgate.stores.secret import secret

__all__ = ["Keys", "Service", "service_of"]

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_OSS_HOST = re.compile(r"(?:s3\.)?oss-(?P<region>[a-z0-9-]+?)(?P<internal>-internal)?\.aliyuncs\.com")
_TOS_HOST = re.compile(r"tos-(?:s3-)?(?P<region>[a-z0-9-]+)\.(?P<domain>i?(?:volces|bytepluses)\.com)")


@dataclass(frozen=True)
class Keys:
    """Credentials from the environment. Never printed."""

    key_id: str
    """Id of the access key."""
    secret: str
    """The access key."""
    token: str | None = None
    """Session token of temporary credentials."""

    def __repr__(self) -> str:
        return "Keys(***)"


@dataclass(frozen=True)
class Service:
    """One bucket of one service, and how it is asked."""

    name: str
    """``S3``, ``OSS`` or ``TOS``."""
    uri: str
    """``<scheme>://<bucket>/<prefix>``."""
    bucket: str
    """The bucket."""
    prefix: str
    """What stands before every key: empty, or ending in a slash."""
    endpoint: str | None
    """URL of the endpoint without the bucket; None for boto3's own."""
    region: str | None
    """Region that is signed for; None for boto3's own."""
    addressing: str
    """``auto``, ``path`` or ``virtual``."""
    holds_bucket: bool
    """Whether the endpoint is the bucket's own domain, so that the bucket stands nowhere else in a request."""
    keys: Keys | None
    """Credentials; None for boto3's own chain, or where `credentials_url` gives them."""
    credentials_url: str | None
    """A local URL that gives temporary credentials, as PAI-DLC's role injection does."""
    endpoint_variable: str
    """The variable that moves the endpoint."""
    region_variable: str
    """The variable that says the region."""
    key_variables: str
    """The variables that hold credentials, for a person to read."""
    permissions: Mapping[str, str]
    """What ``list``, ``get`` and ``put`` need to be allowed."""


def service_of(address: Address, env: Mapping[str, str]) -> Service:
    """The service that an address means.

    Raises:
        InputError: if the bucket cannot be one, or the environment lacks the region or the credentials.
    """
    return _SERVICES[address.scheme](address, env)


def _s3(address: Address, env: Mapping[str, str]) -> Service:
    addressing = env.get("HEXGATE_S3_ADDRESSING") or "auto"
    if addressing not in {"auto", "path", "virtual"}:
        raise InputError(
            "no such addressing",
            where="HEXGATE_S3_ADDRESSING",
            got=addressing,
            expected="auto, path or virtual",
        )
    _checked_aws_keys(env)
    endpoint = _url(env, "HEXGATE_S3_ENDPOINT")
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
    bucket = _bucket(address.host, address)
    return Service(
        name="S3",
        uri=_uri(address, bucket),
        bucket=bucket,
        prefix=_prefix(address),
        endpoint=endpoint,
        # An endpoint of one's own needs some region in the signature, and most take the oldest.
        region=region or ("us-east-1" if endpoint else None),
        addressing=addressing,
        holds_bucket=False,
        keys=None,
        credentials_url=None,
        endpoint_variable="HEXGATE_S3_ENDPOINT",
        region_variable="AWS_REGION",
        key_variables="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, OIDC or an instance role",
        permissions={"list": "s3:ListBucket", "get": "s3:GetObject", "put": "s3:PutObject"},
    )


def _oss(address: Address, env: Mapping[str, str]) -> Service:
    # A mount of PAI names the endpoint behind the bucket: oss://bucket.oss-cn-hangzhou-internal.aliyuncs.com/prefix
    bucket, _, native = address.host.partition(".")
    if native and not _OSS_HOST.fullmatch(native):
        raise _not_a_bucket(address)
    bucket = _bucket(bucket, address)
    endpoint = _url(env, "HEXGATE_OSS_ENDPOINT") or (f"https://{native}" if native else None)
    region = env.get("OSS_REGION") or env.get("ALIBABA_CLOUD_REGION_ID") or env.get("ALIBABA_CLOUD_REGION")
    region = region.removeprefix("oss-") if region else None
    if endpoint is None and region is not None:
        endpoint = f"https://s3.oss-{region}.aliyuncs.com"
    scheme, host = _without_bucket(endpoint, bucket)
    known = _OSS_HOST.fullmatch(host)
    if known:
        host = f"s3.oss-{known['region']}{known['internal'] or ''}.aliyuncs.com"
        region = known["region"] if known["region"] != "accelerate" else region
    if not host or region is None:
        raise _no_region("OSS", "OSS_REGION", "cn-hangzhou", "HEXGATE_OSS_ENDPOINT")
    url = env.get("ALIBABA_CLOUD_CREDENTIALS_URI") or None
    keys = _keys(env, _OSS_KEYS)
    variables = (
        "OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET, ALIBABA_CLOUD_ACCESS_KEY_ID and …_SECRET, or a role"
    )
    if keys is None and url is None:
        raise _no_keys("OSS", variables)
    return Service(
        name="OSS",
        uri=_uri(address, bucket),
        bucket=bucket,
        prefix=_prefix(address),
        endpoint=f"{scheme}://{host}",
        region=region,
        addressing="virtual",
        holds_bucket=not host.endswith((".aliyuncs.com", ".aliyuncs-internal.com")),
        keys=keys,
        credentials_url=url,
        endpoint_variable="HEXGATE_OSS_ENDPOINT",
        region_variable="OSS_REGION",
        key_variables=variables,
        permissions={"list": "oss:ListObjects", "get": "oss:GetObject", "put": "oss:PutObject"},
    )


def _tos(address: Address, env: Mapping[str, str]) -> Service:
    bucket = _bucket(address.host, address, dots=False)
    endpoint = _url(env, "HEXGATE_TOS_ENDPOINT")
    region = env.get("TOS_REGION") or env.get("VOLCENGINE_REGION") or env.get("VOLC_REGION")
    if endpoint is None and region:
        endpoint = f"https://tos-s3-{region}.volces.com"
    scheme, host = _without_bucket(endpoint, bucket)
    known = _TOS_HOST.fullmatch(host)
    if known:
        host, region = f"tos-s3-{known['region']}.{known['domain']}", known["region"]
    if not host or not region:
        raise _no_region("TOS", "TOS_REGION", "cn-beijing", "HEXGATE_TOS_ENDPOINT")
    variables = "TOS_ACCESS_KEY and TOS_SECRET_KEY, or VOLCENGINE_ACCESS_KEY and VOLCENGINE_SECRET_KEY"
    keys = _keys(env, _TOS_KEYS)
    if keys is None:
        raise _no_keys("TOS", variables)
    return Service(
        name="TOS",
        uri=_uri(address, bucket),
        bucket=bucket,
        prefix=_prefix(address),
        endpoint=f"{scheme}://{host}",
        region=region,
        addressing="virtual",
        holds_bucket=known is None,
        keys=keys,
        credentials_url=None,
        endpoint_variable="HEXGATE_TOS_ENDPOINT",
        region_variable="TOS_REGION",
        key_variables=variables,
        permissions={"list": "tos:ListBucket", "get": "tos:GetObject", "put": "tos:PutObject"},
    )


_SERVICES: dict[str, Callable[[Address, Mapping[str, str]], Service]] = {"s3": _s3, "oss": _oss, "tos": _tos}
_AWS_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_OSS_KEYS = (
    ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"),
    ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"),
)
_TOS_KEYS = (
    ("TOS_ACCESS_KEY", "TOS_SECRET_KEY", "TOS_SECURITY_TOKEN"),
    ("VOLCENGINE_ACCESS_KEY", "VOLCENGINE_SECRET_KEY", "VOLCENGINE_SESSION_TOKEN"),
    ("VOLC_ACCESSKEY", "VOLC_SECRETKEY", "VOLC_SESSIONTOKEN"),
)


def _keys(env: Mapping[str, str], names: tuple[tuple[str, str, str], ...]) -> Keys | None:
    for names_of_one in names:
        key_id, key, token = (secret(env, name) for name in names_of_one)
        if key_id and key:
            return Keys(key_id, key, token)
        if key_id or key:
            there, missing = names_of_one[:2] if key_id else names_of_one[1::-1]
            raise InputError(f"{there} is set without {missing}", where=missing, hint="set both, or neither")
    return None


def _checked_aws_keys(env: Mapping[str, str]) -> None:
    """Refuse what boto3, which reads these itself, would put into a header as it is, and repeat when that fails."""
    for name in _AWS_KEYS:
        value = env.get(name)
        if value and value != secret(env, name):
            raise InputError(
                "the secret has white space around it", where=name, hint="set it without a line end"
            )


def _url(env: Mapping[str, str], variable: str) -> str | None:
    """The endpoint in a variable as a URL; a bare host is https."""
    value = env.get(variable)
    if not value:
        return None
    url = value if "://" in value else f"https://{value}"
    try:
        parts = urlsplit(url)
        alone = parts.port is None or parts.port > 0
    except ValueError:
        alone = False
    else:
        alone = alone and parts.scheme in {"http", "https"} and bool(parts.hostname)
        alone = alone and parts.path in {"", "/"} and not re.search(r"[@?#]", url)
    if not alone:
        raise InputError(
            "not an endpoint", where=variable, expected="http(s)://host[:port], and nothing else"
        )
    return url.rstrip("/")


def _without_bucket(endpoint: str | None, bucket: str) -> tuple[str, str]:
    """Scheme and host of an endpoint, the bucket cut off where it stands before the service's host."""
    if endpoint is None:
        return "https", ""
    scheme, _, host = endpoint.partition("://")
    rest = host.removeprefix(f"{bucket}.")
    return scheme, rest if _OSS_HOST.fullmatch(rest) or _TOS_HOST.fullmatch(rest) else host


def _bucket(name: str, address: Address, *, dots: bool = True) -> str:
    if not _BUCKET.fullmatch(name) or ("." in name and not dots):
        raise _not_a_bucket(address)
    return name


def _not_a_bucket(address: Address) -> InputError:
    return InputError(
        "not the name of a bucket",
        where="store",
        got=repr(address.host),
        expected=f"{address.scheme}://bucket/prefix, the bucket of 3 to 63 small letters, digits and '-'",
    )


def _uri(address: Address, bucket: str) -> str:
    return f"{address.scheme}://{bucket}/{address.path}".rstrip("/")


def _prefix(address: Address) -> str:
    return f"{address.path}/" if address.path else ""


def _no_region(name: str, variable: str, example: str, endpoint: str) -> InputError:
    return InputError(
        f"the region of {name} is not known",
        where=variable,
        expected=f"{variable} (such as {example}); {endpoint} alone is enough where its host names the region",
    )


def _no_keys(name: str, variables: str) -> InputError:
    return InputError(f"there are no credentials for {name}", where="environment", hint=f"set {variables}")
