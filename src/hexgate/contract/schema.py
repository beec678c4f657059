"""The schemas of the artifacts, and what they say of each measure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any

from hexgate.resources import shipped

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

__all__ = ["Better", "Measure", "blank_values", "indicators", "load_schema", "measures", "schema_mistakes"]


class Better(str, Enum):
    """Which way a measure is better."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


@dataclass(frozen=True)
class Measure:
    """One measure of an indicator, as its schema has it."""

    name: str
    """Its key in the artifact."""
    unit: str
    """Its unit."""
    better: Better
    """Which way it is better."""
    description: str
    """What it is, in one or two sentences."""


@cache
def indicators() -> tuple[str, ...]:
    """The names of all indicators that have a schema, in alphabetical order."""
    return tuple(
        sorted(
            path.name.split(".")[0]
            for path in shipped("schemas/parts").glob("*.json")
            if path.stem != "envelope"
        )
    )


@cache
def load_schema(name: str) -> dict[str, Any]:
    """The schema of an indicator's artifact, or of ``policy`` or ``verdict``.

    Raises:
        FileNotFoundError: if there is no such schema.
    """
    schema: dict[str, Any] = json.loads(shipped(f"schemas/{name}.schema.json").read_text("utf-8"))
    return schema


@cache
def measures(indicator: str) -> dict[str, Measure]:
    """The measures of an indicator, by name."""
    found = {}
    for name, spec in load_schema(indicator)["properties"].items():
        if "x-unit" in spec:
            found[name] = Measure(name, spec["x-unit"], Better(spec["x-better"]), spec["description"])
    return found


def blank_values(indicator: str) -> dict[str, Any]:
    """The indicator's own keys where nothing was measured: null where that is allowed, else nothing counted."""
    schema = load_schema(indicator)
    nothing: dict[str, Any] = {"integer": 0, "array": [], "object": {}}
    return {name: nothing.get(str(schema["properties"][name].get("type"))) for name in schema["x-own"]}


@cache
def _validator(name: str) -> Draft202012Validator:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(load_schema(name))


def schema_mistakes(name: str, value: Any, *, most: int = 20) -> list[str]:
    """Every place where a value breaks a schema: ``$.path: got ..., expected ...``, at most so many.

    Args:
        name: an indicator, ``policy`` or ``verdict``.
        value: parsed JSON.
        most: more mistakes than this are not listed.
    """
    errors = sorted(
        _validator(name).iter_errors(value), key=lambda error: list(map(str, error.absolute_path))
    )
    return [f"{error.json_path}: {_in_words(error)}" for error in errors[:most]]


_EXPECTED = {"const": "", "minimum": "at least ", "maximum": "at most ", "pattern": "the form "}


def _in_words(error: ValidationError) -> str:
    got = _short(error.instance)
    expected: Any = error.validator_value
    match error.validator:
        case "type":
            words = f"got {got}, expected {expected if isinstance(expected, str) else ' or '.join(expected)}"
        case "required":
            words = error.message.replace("is a required property", "is missing")
        case "additionalProperties" if expected is False:
            instance: Any = error.instance
            schema: Any = error.schema
            unknown = sorted(set(instance) - set(schema.get("properties", {})))
            words = f"unknown key{'s' if len(unknown) > 1 else ''} {', '.join(map(repr, unknown[:5]))}"
        case "enum":
            words = f"got {got}, expected one of {', '.join(map(str, expected))}"
        case "const" | "minimum" | "maximum" | "pattern":
            words = f"got {got}, expected {_EXPECTED[error.validator]}{expected}"
        case _:
            words = error.message
    return words if len(words) < 400 else f"got {got}, which breaks {error.validator!r}"


def _short(value: Any) -> str:
    text = (
        json.dumps(value, ensure_ascii=False) if not isinstance(value, (dict, list)) else type(value).__name__
    )
    names = {"dict": "an object", "list": "an array"}
    text = names.get(text, text)
    return text if len(text) <= 60 else text[:57] + "…"
