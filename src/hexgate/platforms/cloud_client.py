"""What the drivers of PAI-DLC and veMLP share: an endpoint from the environment, and errors without secrets."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from urllib.parse import urlsplit

from hexgate.errors import InputError

__all__ = ["endpoint_parts", "hush", "without_secrets"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LONGEST = 300


def endpoint_parts(name: str, address: str) -> tuple[str, str]:
    """Scheme and host of an endpoint that the environment gives, ``https`` unless it says otherwise.

    Raises:
        InputError: if it is no endpoint, or is plain http to another machine.
    """
    parts = urlsplit(address if "://" in address else f"https://{address}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.path.strip("/"):
        raise InputError(
            "not an endpoint", where=name, expected="a host, such as pai-dlc-vpc.cn-hangzhou.aliyuncs.com"
        )
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise InputError(
            "plain http to another machine", where=name, expected="https: the calls carry tokens"
        )
    return parts.scheme, parts.netloc


def hush(logger: str) -> None:
    """Keep a package from logging what it fails at, with tracebacks, before it raises; the error says it."""
    logging.getLogger(logger).setLevel(logging.CRITICAL + 1)


def without_secrets(text: str, names: Iterable[str]) -> str:
    """An error's text on one line, without what those environment variables hold, at most 300 characters."""
    for name in names:
        if value := os.environ.get(name):
            text = text.replace(value, "***")
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
