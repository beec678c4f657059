"""Texts of others made fit to be shown: without any secret of the environment, URLs without queries and users."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

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
            secrets.add(value)
            secrets |= {part.partition("=")[2] for part in re.split(r"[;&?]", value)}
    line = " ".join(text.split())
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            line = line.replace(secret, "***")
    line = _USER.sub("***@", _QUERY.sub(r"\1?***", line))
    return line if len(line) <= _LONGEST_TEXT else f"{line[: _LONGEST_TEXT - 1]}…"
