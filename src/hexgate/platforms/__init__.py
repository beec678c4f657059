"""The platforms, by name. Listing them imports none."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from hexgate.errors import InputError

if TYPE_CHECKING:
    from hexgate.platforms.base import Platform

__all__ = ["PLATFORMS", "platform"]

PLATFORMS: dict[str, str] = {
    "local": "hexgate.platforms.local:Local",
    "azure": "hexgate.platforms.azure:Azure",
    "bailian": "hexgate.platforms.bailian:Bailian",
    "volcano": "hexgate.platforms.volcano:Volcano",
    "kubernetes": "hexgate.platforms.kubernetes:Kubernetes",
    "slurm": "hexgate.platforms.slurm:Slurm",
    "dgx": "hexgate.platforms.dgx:Dgx",
    "jetson": "hexgate.platforms.jetson:Jetson",
}


def platform(name: str) -> Platform:
    """A platform by its name.

    Raises:
        InputError: if there is none of that name.
    """
    if name not in PLATFORMS:
        raise InputError("there is no such platform", got=name, expected=", ".join(PLATFORMS))
    module, _, attribute = PLATFORMS[name].partition(":")
    return cast("Platform", getattr(import_module(module), attribute)())
