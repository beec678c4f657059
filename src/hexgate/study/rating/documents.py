"""What `hexgate study rate` writes for machines: the ratings of a study, and a reference frozen for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from hexgate import __version__
from hexgate.contract.provenance import utc_now
from hexgate.contract.schema import schema_mistakes
from hexgate.errors import EvidenceError
from hexgate.study.rating.about import evidence_of
from hexgate.study.rating.rated import Frozen, Rated, rating_block
from hexgate.study.rating.reference import REFERENCE_SCHEMA
from hexgate.study.rating.suite import suite_of
from hexgate.study.reading import Reading

__all__ = ["ratings_document", "reference_document"]

_RATINGS_SCHEMA = "study_ratings"
_VERSION = "1.0"


def ratings_document(
    reading: Reading, rated: Sequence[Rated], labels: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """``ratings.json``, checked against ``schemas/study_ratings.schema.json``.

    Args:
        reading: the study.
        rated: its models, as `rate_study` gives them.
        labels: by model and language, the name of the label's file beside it.

    Raises:
        EvidenceError: if it breaks its schema, which is a fault of ours.
    """
    block = rating_block(reading)
    suite = suite_of(reading, block)
    document = {
        **_head(reading, _RATINGS_SCHEMA),
        "suite": {
            "name": suite.name,
            "sha256": suite.sha256,
            "accepted": {task: [asdict(rule) for rule in rules] for task, rules in suite.rules.items()},
            "left_out": list(suite.left_out),
            "quality": suite.quality,
            "measures": {name: one.sha256 for name, one in sorted(reading.marks.measures.items())},
        },
        "energy": block.energy,
        "floor": asdict(block.floor),
        "reference": block.reference,
        "models": [
            {
                "model": one.model,
                "letter": one.letter,
                "refusals": [asdict(reason) for reason in one.refusals],
                "on_front": one.on_front,
                "rating": None if one.rating is None else one.rating.to_json(),
                "about": dict(one.about),
                "labels": dict(labels[one.model]),
            }
            for one in rated
        ],
    }
    return _checked(_RATINGS_SCHEMA, document)


def reference_document(reading: Reading, frozen: Frozen) -> dict[str, Any]:
    """A frozen reference, checked against ``schemas/study_reference.schema.json``.

    Raises:
        EvidenceError: if it breaks its schema, which is a fault of ours.
    """
    reference, rating = frozen.reference, frozen.rating
    document = {
        **_head(reading, REFERENCE_SCHEMA),
        "name": reference.name,
        "joules_per_accepted": reference.joules_per_accepted,
        "form": reference.form.value,
        "basis": reference.basis.to_json(),
        "estimate": rating.joules_per_accepted.to_json(),
        "acceptance": rating.acceptance.to_json(),
        "floor": asdict(rating.floor),
        "requests": rating.requests,
        "questions": rating.questions,
    }
    return _checked(REFERENCE_SCHEMA, document)


def _head(reading: Reading, schema: str) -> dict[str, Any]:
    head = reading.head
    return {
        "schema": f"hexgate/{schema}/{_VERSION}",
        "tool": f"hexgate {__version__}",
        "created_at": utc_now(),
        "study": {name: head[name] for name in ("name", "started_at", "spec_sha256", "plan_sha256")},
        "evidence": evidence_of(reading),
    }


def _checked(schema: str, document: dict[str, Any]) -> dict[str, Any]:
    mistakes = schema_mistakes(schema, document, most=3)
    if mistakes:
        raise EvidenceError("the document breaks its schema", where=schema, got="; ".join(mistakes))
    return document
