"""What must add up in an artifact beyond its types: its schema's identities and the envelope's rules."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from hexgate.contract.canonical import canonical_bytes, sha256_bytes
from hexgate.contract.schema import load_schema, measures

__all__ = ["artifact_id_of", "inconsistencies", "lacking_evidence"]

_RELATIVE = 1e-9
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}


def artifact_id_of(artifact: Mapping[str, Any]) -> str:
    """The content id of an artifact: SHA-256 of its canonical JSON without the key ``artifact_id``."""
    rest = {key: value for key, value in artifact.items() if key != "artifact_id"}
    return f"sha256:{sha256_bytes(canonical_bytes(rest))}"


def inconsistencies(artifact: Mapping[str, Any]) -> list[str]:
    """Everything in a schema-valid artifact that does not add up: ``$.path: what``. Empty where all does."""
    found = [
        *_counts(artifact),
        *_nulls(artifact),
        *_status(artifact),
        *_intervals(artifact),
        *_identities(artifact),
    ]
    if artifact["artifact_id"] != artifact_id_of(artifact):
        found.append(
            "$.artifact_id: is not the digest of this content; the file was changed after it was written"
        )
    return found


def lacking_evidence(artifact: Mapping[str, Any]) -> list[str]:
    """The evidence that every complete native artifact of its indicator names, and this one does not."""
    if artifact["status"] != "complete" or artifact["trust"] != "native":
        return []
    contract = load_schema(artifact["indicator"])
    source = str(artifact["method"].get("source"))
    needed: list[str] = contract.get("x-evidence-of", {}).get(source, contract["x-evidence"])
    return [name for name in needed if name not in artifact["evidence"]]


def _counts(artifact: Mapping[str, Any]) -> list[str]:
    counts = artifact["counts"]
    total = counts["succeeded"] + counts["errored"] + counts["skipped"]
    if counts["requested"] != total:
        return [f"$.counts: requested is {counts['requested']}, but succeeded + errored + skipped is {total}"]
    return []


def _nulls(artifact: Mapping[str, Any]) -> list[str]:
    missing = artifact["missing"]
    known = load_schema(artifact["indicator"])["properties"]
    found = [
        f"$.{name}: is null without a reason in $.missing"
        for name in measures(artifact["indicator"])
        if artifact[name] is None and name not in missing
    ]
    for name in missing:
        if name not in known:
            found.append(f"$.missing.{name}: no such key in this artifact")
        elif artifact.get(name) is not None:
            found.append(f"$.missing.{name}: says that it is missing, but it has a value")
    return found


def _status(artifact: Mapping[str, Any]) -> list[str]:
    if (artifact["status"] == "complete") == bool(artifact["invalid_reasons"]):
        return [f"$.invalid_reasons: does not fit the status {artifact['status']!r}"]
    return []


def _intervals(artifact: Mapping[str, Any]) -> list[str]:
    found = []
    known = measures(artifact["indicator"])
    for block in ("intervals", "cannot_certify"):
        found += [f"$.{block}.{name}: no such measure" for name in artifact[block] if name not in known]
    for name, interval in artifact["intervals"].items():
        value = artifact.get(name)
        if name not in known:
            continue
        if value is None:
            found.append(f"$.intervals.{name}: an interval of a measure that is null")
            continue
        for below, above in (("low", "high"), ("lower_bound", "upper_bound")):
            least, greatest = interval[below], interval[above]
            slack = _RELATIVE * max(1.0, abs(value))
            if least is not None and least > value + slack:
                found.append(f"$.intervals.{name}.{below}: {least!r} lies above the value {value!r}")
            if greatest is not None and greatest < value - slack:
                found.append(f"$.intervals.{name}.{above}: {greatest!r} lies below the value {value!r}")
    return found


def _identities(artifact: Mapping[str, Any]) -> list[str]:
    found = []
    for text in load_schema(artifact["indicator"])["x-identities"]:
        left, right, exact = _parsed(text)
        try:
            a, b = _value(left, artifact), _value(right, artifact)
        except ZeroDivisionError:
            found += _undefined(text, left, artifact)
            continue
        if a is None or b is None:
            continue
        close = math.isclose(a, b, rel_tol=_RELATIVE, abs_tol=1e-12)
        if not (close if exact else a <= b or close):
            found.append(f"$: {text} does not hold ({a!r} against {b!r})")
    return found


def _undefined(text: str, left: ast.expr, artifact: Mapping[str, Any]) -> list[str]:
    # A share of nothing is not a number: it has to be null.
    if isinstance(left, ast.Name) and artifact.get(left.id) is None:
        return []
    return [f"$: {text} divides by zero, so its left side must be null"]


@cache
def _parsed(text: str) -> tuple[ast.expr, ast.expr, bool]:
    comparison = ast.parse(text, mode="eval").body
    if not (
        isinstance(comparison, ast.Compare)
        and len(comparison.ops) == 1
        and isinstance(comparison.ops[0], (ast.Eq, ast.LtE))
    ):
        raise ValueError(f"not an identity that the contract knows: {text}")
    return comparison.left, comparison.comparators[0], isinstance(comparison.ops[0], ast.Eq)


def _value(node: ast.expr, artifact: Mapping[str, Any]) -> float | None:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name):
            found = artifact[name]
            return None if found is None else float(found)
        case ast.Attribute(value=ast.Name(id=block), attr=name):
            return float(artifact[block][name])
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _value(left, artifact), _value(right, artifact)
            return None if a is None or b is None else _OPERATORS[type(op)](a, b)
        case _:
            raise ValueError(f"not an expression that the contract knows: {ast.unparse(node)}")
