"""Push metrics to a Prometheus Pushgateway."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from hexgate.errors import InputError, StoreFailed
from hexgate.stores.redaction import shown

__all__ = ["push"]

_TIMEOUT_S = 30.0


def push(url: str, metrics: str, *, job: str, grouping: Mapping[str, str], token: str | None = None) -> None:
    """Replace the metrics of one group: what an earlier push left there is gone, so nothing old looks new.

    Args:
        url: the Pushgateway, ``http(s)://host:port[/prefix]``.
        metrics: the text format 0.0.4.
        job: the label `job` of the group.
        grouping: the group's other labels.
        token: bearer token, where the gateway asks for one.

    Raises:
        InputError: if the URL is not one, or holds credentials, a query or a fragment.
        StoreFailed: if the gateway refuses the metrics or does not answer.
    """
    import httpx

    try:
        parts = urlsplit(url)
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        whole = whole and not any(each.isspace() or not each.isprintable() for each in url)
    except ValueError:
        whole = False
    if re.search(r"[@?#]", url):
        raise InputError(
            "the address of the Pushgateway holds credentials, a query or a fragment",
            where="--pushgateway",
            hint="put a token into the environment and name it with --pushgateway-token-env",
        )
    if not whole:
        raise InputError(
            "not the address of a Pushgateway", where="--pushgateway", expected="http(s)://host:port"
        )
    path = "".join(f"/{name}{_segment(value)}" for name, value in {"job": job, **grouping}.items())
    headers = {"content-type": "text/plain; version=0.0.4; charset=utf-8"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    try:
        answer = httpx.put(
            f"{url.rstrip('/')}/metrics{path}", content=metrics.encode(), headers=headers, timeout=_TIMEOUT_S
        )
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        # A ValueError is of a proxy, of the environment, whose scheme or port is none.
        raise StoreFailed(
            f"the Pushgateway does not answer ({type(error).__name__}: {shown(str(error))})",
            where=url,
            hint="nothing was pushed; check that it is reachable from here, and the proxy of the environment",
        ) from None
    if not answer.is_success:
        raise StoreFailed(
            "the Pushgateway refused the metrics",
            where=url,
            got=f"HTTP {answer.status_code}: {shown(answer.text)}",
        )


def _segment(value: str) -> str:
    """A label's value in the path; base64 where the path could not hold it (Pushgateway's own form)."""
    if value and "/" not in value:
        return f"/{quote(value, safe='')}"
    encoded = base64.urlsafe_b64encode(value.encode()).decode() or "="
    return f"@base64/{encoded}"
