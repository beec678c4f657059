"""Layer VENDOR of PAI-DLC: the SDK's own request class, used as strictly as it never uses itself.

Its `validate()` checks nothing, and `from_map` drops every key that it does not know. So each object is compared with
the keys that its class writes and the types that its class annotates, and at last the whole is read, written and
compared.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import cache
from typing import Any

from hexgate.platforms.base import Finding

__all__ = ["body_findings"]

_REQUIRED = ("DisplayName", "JobType", "JobSpecs", "UserCommand")
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def body_findings(body: dict[str, Any], file: str) -> list[Finding] | None:
    """Every mistake in a CreateJob body, or None where the SDK is not installed."""
    try:
        from alibabacloud_pai_dlc20201203.models import CreateJobRequest
    except ImportError:
        return None
    root = f"{file}: $"
    findings = [
        Finding(f"{root}.{name}", "is missing, and the SDK marks it as required")
        for name in _REQUIRED
        if body.get(name) in (None, "", [])
    ]
    findings += _object_findings(CreateJobRequest, body, root)
    if not findings:
        findings += _lost(body, CreateJobRequest().from_map(body).to_map(), root)
    return findings


def _object_findings(model: type, value: Any, where: str) -> Iterator[Finding]:
    if not isinstance(value, dict):
        yield Finding(where, f"got {_kind(value)}, expected an object")
        return
    known = _wire_types(model)
    for key, inner in value.items():
        if key in known:
            yield from _value_findings(known[key], inner, f"{where}.{key}")
        else:
            near = get_close_matches(str(key), known, n=1)
            hint = f"; is {near[0]} meant?" if near else ""
            yield Finding(f"{where}.{key}", f"unknown key, which the SDK would drop without a word{hint}")


def _value_findings(expected: Any, value: Any, where: str) -> Iterator[Finding]:
    expected = _present(expected)
    if expected in _WORDS:
        right = isinstance(value, (int, float) if expected is float else expected)
        if not right or (isinstance(value, bool) and expected is not bool):
            yield Finding(where, f"got {_kind(value)}, expected {_WORDS[expected]}")
        return
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    inner: Iterable[tuple[str, Any]] = ()
    if origin is list and isinstance(value, list):
        inner = [(f"[{index}]", one) for index, one in enumerate(value)]
    elif origin is dict and isinstance(value, dict):
        inner = [(f".{key}", one) for key, one in value.items()]
    elif origin in (list, dict):
        yield Finding(where, f"got {_kind(value)}, expected {'a list' if origin is list else 'an object'}")
    elif expected is not Any:
        yield from _object_findings(expected, value, where)
    for place, one in inner:
        yield from _value_findings(arguments[-1], one, where + place)


def _present(hint: Any) -> Any:
    """A type without its None."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next(argument for argument in typing.get_args(hint) if argument is not type(None))
    return hint


@cache
def _wire_types(model: type) -> dict[str, Any]:
    """The keys that a class writes, with the type that it annotates for each."""
    hints = typing.get_type_hints(vars(model)["__init__"])
    hints.pop("return", None)
    written = model(**{name: _sample(hint) for name, hint in hints.items()}).to_map()
    by_letters = {name.replace("_", ""): hint for name, hint in hints.items()}
    return {key: by_letters[key.lower()] for key in written if key.lower() in by_letters}


def _sample(hint: Any) -> Any:
    hint = _present(hint)
    origin = typing.get_origin(hint)
    if origin in (list, dict):
        return origin()
    return "" if hint is Any or hint in _WORDS else hint()


def _lost(before: Any, after: Any, where: str) -> Iterator[Finding]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key, inner in before.items():
            yield from _lost(inner, after.get(key), f"{where}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, inner in enumerate(before):
            yield from _lost(inner, after[index], f"{where}[{index}]")
    elif before != after:
        yield Finding(where, "the SDK would not send it as it stands")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", type(None): "nothing"}
    return names.get(type(value)) or repr(value)[:60]
