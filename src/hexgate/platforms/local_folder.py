"""A folder of this machine, as a job spec names it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["local_folder"]


def local_folder(uri: str) -> Path | None:
    """The folder of ``file:///folder``, or of ``file:folder`` below the present one; None if the URI names none."""
    parts = urlsplit(uri)
    here = parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path
    return Path(unquote(parts.path)) if here else None
