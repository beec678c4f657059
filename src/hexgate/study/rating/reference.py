"""A reference model that was frozen to a file, read for the rating of another study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hexgate.contract.canonical import NotStrictJson, parse_strict
from hexgate.contract.schema import schema_mistakes
from hexgate.errors import InputError
from hexgate.metrics.rating_parts import Basis, Form, Reference
from hexgate.study.spec import Spec

__all__ = ["REFERENCE_SCHEMA", "read_reference", "reference_file"]

REFERENCE_SCHEMA = "study_reference"
"""Name of the schema of such a file."""


def reference_file(spec: Spec) -> Path | None:
    """The file that a study names as its reference; None where it names none, or one of its models."""
    name = None if spec.rating is None else spec.rating.reference
    return None if name is None or name in {model.name for model in spec.models} else spec.folder / name


def read_reference(path: Path, models: Sequence[str]) -> Reference:
    """The reference that `hexgate study rate --freeze` wrote.

    Args:
        path: its file.
        models: what the study has, for the message.

    Raises:
        InputError: if there is no such file, or it is none of ours.
    """
    try:
        found = parse_strict(path.read_bytes())
    except FileNotFoundError:
        raise InputError(
            "the reference is neither a model of the study nor a file",
            where="rating.reference",
            got=str(path),
            expected=f"one of {', '.join(models)}, or a file that hexgate study rate --freeze wrote",
        ) from None
    except OSError as error:
        raise InputError(f"the reference cannot be read ({error.strerror})", where=str(path)) from None
    except NotStrictJson as error:
        raise InputError(f"the reference is not JSON ({error})", where=str(path)) from None
    mistakes = schema_mistakes(REFERENCE_SCHEMA, found, most=1)
    if mistakes:
        raise InputError(
            "not a reference that was frozen",
            where=str(path),
            got=mistakes[0],
            expected="a file that hexgate study rate --freeze wrote",
        )
    return Reference(
        name=found["name"],
        basis=Basis(**found["basis"]),
        joules_per_accepted=float(found["joules_per_accepted"]),
        form=Form(found["form"]),
    )
