"""The embedded data behind the word ``demo:``, found only when it is asked for."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

__all__ = ["DEMO", "data_path"]

DEMO = "demo:"

_EMBEDDED = {"items": "hexgate.reference:digits_data", "prompts": "hexgate.reference:prompts"}


def data_path(source: str | Path, kind: str) -> Path:
    """The file that a user names, where ``demo:`` names the embedded ``items`` or ``prompts``."""
    if str(source).rstrip("/") not in {DEMO, "demo"} or Path(source).exists():
        return Path(source)
    module, _, name = _EMBEDDED[kind].partition(":")
    return cast("Path", getattr(import_module(module), name)())
