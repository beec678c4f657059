"""Texts of others made fit to be shown: without any secret of the environment, URLs without queries and users."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from urllib.parse import quote

__all__ = ["shown"]

_SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL|CONNECTION_STRING", re.IGNORECASE)
_QUERY = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]+")
_USER = re.compile(r"(?<=://)[^/@\s]+@")
_SHORTEST_SECRET = 6
_LONGEST_TEXT = 300


def shown(text: str, env: Mapping[str, str] = os.environ) -> str:
    """One line of at most 300 characters in which every value of a secret-sounding variable is ``***``.

    Connection strings are hidden part by part, as their keys alone could be repeated. A URL loses its query, which is
    where signatures stand, and its user.
    """
    secrets = set()
    for name, value in env.items():
        if _SECRET_NAME.search(name):
            secrets |= _forms(value)
            secrets |= {form for part in re.split(r"[;&?]", value) for form in _forms(part.partition("=")[2])}
    line = " ".join(text.split())
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            line = line.replace(secret, "***")
    line = _USER.sub("***@", _QUERY.sub(r"\1?***", line))
    return line if len(line) <= _LONGEST_TEXT else f"{line[: _LONGEST_TEXT - 1]}…"


def _forms(secret: str) -> set[str]:
    """A secret as it is, and as others write one that holds line ends or letters that are not ASCII."""
    plain = {secret.strip(), " ".join(secret.split()), *map(str.strip, secret.splitlines())}
    written = {
        form
        for each in (secret, secret.strip())
        for form in (
            repr(each)[1:-1],
            ascii(each)[1:-1],
            repr(each.encode(errors="replace"))[2:-1],
            json.dumps(each)[1:-1],
            quote(each, errors="replace"),
            quote(each, safe="", errors="replace"),
        )
    }
    return {secret, *plain, *written}
