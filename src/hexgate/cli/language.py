"""The language that a person reads: English, or Chinese by `--lang zh`, HEXGATE_LANG or the locale."""

from __future__ import annotations

import os
from typing import Literal

import click

__all__ = ["language", "set_language", "text"]

_LANGUAGES = ("en", "zh")
_VARIABLE = "HEXGATE_LANG"


def set_language(arguments: list[str]) -> list[str]:
    """Take `--lang` out of a command line, wherever it stands, and keep its value for this process.

    Raises:
        click.UsageError: if it has no value, or one that is no language of ours.
    """
    rest = list(arguments)
    for index, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--lang":
            value = arguments[index + 1] if index + 1 < len(arguments) else ""
            del rest[index : index + 2]
        elif argument.startswith("--lang="):
            value = argument.removeprefix("--lang=")
            del rest[index]
        else:
            continue
        if value not in _LANGUAGES:
            raise click.UsageError(f"--lang: got {value!r}, expected en or zh")
        os.environ[_VARIABLE] = value
        break
    return rest


def language() -> Literal["en", "zh"]:
    """``en`` or ``zh``."""
    for name in (_VARIABLE, "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def text(english: str, chinese: str) -> str:
    """The one of two texts that the person reads."""
    return chinese if language() == "zh" else english
