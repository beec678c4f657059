"""A secret of the environment, fit to be sent: a stray line end would be repeated by whoever refuses it."""

from __future__ import annotations

from collections.abc import Mapping

from hexgate.errors import InputError

__all__ = ["secret"]


def secret(env: Mapping[str, str], variable: str) -> str | None:
    """The secret without the white space around it; None where there is none.

    Raises:
        InputError: if no header could hold it; it is not repeated.
    """
    value = env.get(variable, "").strip()
    if not (value.isascii() and value.isprintable()):
        raise InputError(
            "the secret holds a control character, or a letter beyond ASCII",
            where=variable,
            hint="set it anew",
        )
    return value or None
