"""Layer VENDOR of veMLP.

A CreateJob body is built with the classes of the vendor's SDK, one attribute at a time, so that every refusal of theirs
has its path. For the YAML of the volc program the vendor offers no check outside of its service: that is held to our
own schema of the documented form (``schemas/vendor/volc_task.schema.json``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from hexgate.contract.schema import schema_mistakes
from hexgate.platforms.base import Finding

__all__ = ["body_findings", "build", "task_findings"]

_LIST = re.compile(r"^list\[(?P<inner>\w+)\]$")
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "text"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
}


def task_findings(task: dict[str, Any], file: str) -> list[Finding]:
    """Every mistake in the YAML of the volc program, by our schema."""
    mistakes = schema_mistakes("vendor/volc_task", task, most=100)
    parts = (mistake.partition(": ") for mistake in mistakes)
    return [Finding(f"{file}: {path}", problem) for path, _, problem in parts]


def body_findings(body: dict[str, Any], file: str) -> list[Finding] | None:
    """Every mistake in a CreateJob body, or None where the SDK is not installed."""
    try:
        import volcenginesdkmlplatform20240701 as sdk
    except ImportError:
        return None
    findings: list[Finding] = []
    build(sdk, "CreateJobRequest", body, f"{file}: $", findings)
    return findings


def build(sdk: Any, name: str, value: Any, where: str, findings: list[Finding]) -> Any:
    """An object of one of the SDK's classes from nested dicts with the names of the wire.

    Args:
        sdk: the SDK's package.
        name: the class.
        value: what to build it from.
        where: its path.
        findings: gets what the SDK or its annotations refuse.
    """
    if not isinstance(value, dict):
        findings.append(Finding(where, f"got {_kind(value)}, expected an object"))
        return None
    built = getattr(sdk, name)()
    attributes = {wire: attribute for attribute, wire in built.attribute_map.items()}
    for key, inner in value.items():
        here = f"{where}.{key}"
        if key not in attributes:
            near = get_close_matches(str(key), attributes, n=1)
            hint = f"; is {near[0]} meant?" if near else ""
            findings.append(Finding(here, f"unknown key of {name}{hint}"))
            continue
        attribute = attributes[key]
        before = len(findings)
        native = _value(sdk, built.swagger_types[attribute], inner, here, findings)
        if len(findings) == before:
            try:
                setattr(built, attribute, native)
            except ValueError as error:
                findings.append(Finding(here, " ".join(str(error).split())))
    return built


def _value(sdk: Any, expected: str, value: Any, where: str, findings: list[Finding]) -> Any:
    if listed := _LIST.match(expected):
        if not isinstance(value, list):
            findings.append(Finding(where, f"got {_kind(value)}, expected a list"))
            return None
        return [
            _value(sdk, listed["inner"], inner, f"{where}[{index}]", findings)
            for index, inner in enumerate(value)
        ]
    if expected not in _TYPES:
        return build(sdk, expected, value, where, findings)
    findings += _type_findings(expected, value, where)
    return value


def _type_findings(expected: str, value: Any, where: str) -> Iterator[Finding]:
    kinds, words = _TYPES[expected]
    if not isinstance(value, kinds) or (isinstance(value, bool) and expected != "bool"):
        yield Finding(where, f"got {_kind(value)}, expected {words}")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", type(None): "nothing"}
    return names.get(type(value)) or repr(value)[:60]
