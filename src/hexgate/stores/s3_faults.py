"""What an S3 service or its client says when a call fails, in our words and with what to do about it."""

from __future__ import annotations

from hexgate.errors import StoreFailed
from hexgate.stores.redaction import shown
from hexgate.stores.retry import MOST_ATTEMPTS
from hexgate.stores.s3_service import Service

__all__ = ["is_missing", "store_failed"]

_REFUSED = {
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidSecurityToken",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
_ELSEWHERE = {
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "PermanentRedirect",
    "TemporaryRedirect",
}
_CREDENTIAL_ERRORS = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "InvalidConfigError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
    "SSOTokenLoadError",
)


def is_missing(error: Exception) -> bool:
    """Whether there is no such key; any other 404, such as that of a wrong endpoint, is a failure."""
    return _code(error) == "NoSuchKey"


def store_failed(error: Exception, service: Service, doing: str, key: str) -> StoreFailed:
    """A failure as `StoreFailed`.

    Args:
        error: what boto3 raised.
        service: the bucket that was asked.
        doing: ``list``, ``get`` or ``put``.
        key: the key, or the prefix that was listed.
    """
    where = f"{service.uri}/{key}".rstrip("/")
    code, status = _code(error), _status(error)
    if code is None:
        what, hint = _unanswered(error, service)
        return StoreFailed(what, where=where, got=f"{type(error).__name__}: {shown(str(error))}", hint=hint)
    message = shown(str(_part(error, "Error").get("Message") or ""))
    got = f"HTTP {status} {shown(code)}" + (f": {message}" if message else "")
    if is_missing(error):
        return StoreFailed("there is no such key", where=where, got=got)
    return StoreFailed(
        f"{service.name} refused to {doing}", where=where, got=got, hint=_hint(code, status, service, doing)
    )


def _hint(code: str, status: int | None, service: Service, doing: str) -> str | None:
    forbidden = f"allow {service.permissions[doing]} on the prefix for these credentials"
    if service.name == "S3":
        forbidden += ", and s3:ListBucket: without it a missing key looks forbidden"
    overloaded = status is not None and (status == 429 or (status >= 500 and status != 501))
    hints = (
        (
            code == "NoSuchBucket",
            f"the bucket {service.bucket!r} is not there; make it, or check {service.region_variable}",
        ),
        (code in _REFUSED, f"the credentials are not taken; check {service.key_variables}"),
        (
            code in _ELSEWHERE or status in {301, 307},
            f"the bucket lies in another region; set {service.region_variable} to it",
        ),
        (
            code == "SecondLevelDomainForbidden",
            f"the bucket must stand in the host; check {service.endpoint_variable}",
        ),
        (code == "RequestTimeTooSkewed", "the clock of this machine is wrong"),
        (status == 403, forbidden),
        (
            status == 501,
            "the service lacks this call; hexgate needs plain put, get and list (version 2) only",
        ),
        (overloaded, f"it was tried {MOST_ATTEMPTS} times; try again later, what is there already is kept"),
    )
    return next((hint for holds, hint in hints if holds), None)


def _unanswered(error: Exception, service: Service) -> tuple[str, str]:
    """What went wrong where the service said nothing, and what to do."""
    if type(error).__name__ in _CREDENTIAL_ERRORS:
        return f"there are no credentials for {service.name} that work", f"give {service.key_variables}"
    # Some errors of the network are an OSError too, by way of the client's HTTP library.
    if isinstance(error, OSError) and not _of_botocore(error):
        return "the file cannot be read", "nothing is wrong with the store"
    return (
        f"{service.name} does not answer, or cut its answer off",
        f"check the network and {service.endpoint_variable}; what is there already is kept",
    )


def _of_botocore(error: Exception) -> bool:
    from botocore.exceptions import BotoCoreError

    return isinstance(error, BotoCoreError)


def _part(error: Exception, name: str) -> dict[str, object]:
    response = getattr(error, "response", None)
    part = response.get(name) if isinstance(response, dict) else None
    return part if isinstance(part, dict) else {}


def _code(error: Exception) -> str | None:
    code = _part(error, "Error").get("Code")
    return None if code is None else str(code)


def _status(error: Exception) -> int | None:
    status = _part(error, "ResponseMetadata").get("HTTPStatusCode")
    return status if isinstance(status, int) else None
