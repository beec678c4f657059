"""Temporary credentials from a local URL (ALIBABA_CLOUD_CREDENTIALS_URI), as role injection on PAI gives them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hexgate.stores.redaction import shown
from hexgate.stores.retry import with_retries

__all__ = ["provider"]

_TIMEOUT_S = 10.0
_NAMES = {
    "access_key": "AccessKeyId",
    "secret_key": "AccessKeySecret",
    "token": "SecurityToken",
    "expiry_time": "Expiration",
}


def provider(url: str) -> Any:
    """A botocore component ``credential_provider`` that asks the URL, and asks again before what it got expires."""
    from botocore.credentials import DeferredRefreshableCredentials
    from botocore.exceptions import CredentialRetrievalError

    def refresh() -> dict[str, str]:
        import httpx

        def ask() -> httpx.Response:
            # The URL is on this machine: a proxy has no business with it.
            return httpx.get(url, timeout=_TIMEOUT_S, trust_env=False).raise_for_status()

        try:
            answer = with_retries(ask, transient=lambda error: isinstance(error, httpx.HTTPError)).json()
            return {ours: str(answer[theirs]) for ours, theirs in _NAMES.items()}
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
            # What it answered may hold keys; only the kind of the error is repeated.
            raise CredentialRetrievalError(
                provider="ALIBABA_CLOUD_CREDENTIALS_URI", error_msg=f"{type(error).__name__} at {shown(url)}"
            ) from None

    credentials = DeferredRefreshableCredentials(refresh, "credentials-uri")
    return SimpleNamespace(load_credentials=lambda: credentials)
