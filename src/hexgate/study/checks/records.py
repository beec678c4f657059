"""Checks of what the records of a study say: complete, not failed, prompts that grow, scores in range, energy there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hexgate.study.checks.checked import Check, Status, Violation, checked, not_applicable, violation
from hexgate.study.exports.figures import DIMENSIONS, ENERGY, ENERGY_FIGURES, PROMPT_TOKENS, SCORE
from hexgate.study.exports.places import Place
from hexgate.study.quality.marks import JUDGE
from hexgate.study.reading import Reading

__all__ = ["configurations", "counts", "energy", "failed", "rising", "scores", "truncated"]

_GROSS_ENERGY = next(one for one in ENERGY_FIGURES if one.name == "energy_gross_j")
_NET_UNCERTAINTY = next(one for one in ENERGY_FIGURES if one.name == "energy_uncertainty_j")
_COVERAGE = 2.0
_STEP = 0.5
_MOST = 2.5
_FACTS = (
    "server",
    "served_model",
    "server_version",
    "digest",
    "family",
    "parameters",
    "quantization",
    "context_length",
    "num_ctx",
    "loaded_num_ctx",
)
"""The facts of a configuration by which two runs are of the same model."""
_IDENTITY = "digest"
"""The one that no other model has."""


def counts(found: Sequence[Place]) -> Check:
    """Whether every planned run is over; listed are the numbers by model, level and category.

    Args:
        found: the study's places.
    """
    groups: dict[tuple[str, str, str], list[Place]] = {}
    for place in found:
        groups.setdefault((place.model, place.level, place.category), []).append(place)
    listed = [
        {
            "model": model,
            "level": level,
            "category": category,
            "questions": len({place.question for place in own}),
            "planned": len(own),
            "over": sum(place.record is not None for place in own),
            "ok": sum(place.ok for place in own),
        }
        for (model, level, category), own in groups.items()
    ]
    left = [violation(place, "no run", "a run") for place in found if place.record is None]
    return checked("counts", len(found), left, listed)


def failed(found: Sequence[Place]) -> Check:
    """Whether no run has failed.

    Args:
        found: the study's places.
    """
    over = [place for place in found if place.record is not None]
    wrong = [
        violation(place, f"failed: {_error(place.record)}", "a run that succeeded")
        for place in over
        if not place.ok
    ]
    return checked("failed", len(over), wrong)


def truncated(found: Sequence[Place]) -> Check:
    """Whether no reply was cut at its most tokens. Where the server does not say why it ended, nobody knows.

    Args:
        found: the study's places.
    """
    own = [place for place in found if place.ok]
    cut = [
        violation(place, f"cut at {_of(place, 'max_tokens')} tokens", "a reply that came to its end")
        for place in own
        if _of(place, "truncated") is True
    ]
    cut += [
        violation(
            place, f"nobody knows whether it was cut ({_why_unsaid(place)})", "a reply that came to its end"
        )
        for place in own
        if _of(place, "truncated") is None
    ]
    return checked("truncated", len(own), cut)


def rising(reading: Reading, found: Sequence[Place], levels: Sequence[str]) -> Check:
    """Whether the prompts of a question grow from level to level, by the server's own count of tokens.

    Where prompts are kept cold by a nonce, its few tokens are in the count of every level.

    Args:
        reading: the study.
        found: its places.
        levels: the levels that rise, in order; those that the study does not have are passed over. Levels that are
            not among them, such as a padded prompt, are listed and not judged.
    """
    loads = [load.name for load in reading.spec.loads]
    judged = [level for level in levels if level in loads]
    listed = _lengths(found, judged)
    if len(judged) < 2:
        return not_applicable(
            "rising", f"the study has fewer than two of the levels {', '.join(levels)}", listed
        )
    groups: dict[tuple[str, str, int | str, int], dict[str, Place]] = {}
    for place in found:
        if place.ok and place.level in judged:
            groups.setdefault(_question(place), {})[place.level] = place
    pairs = 0
    wrong: list[Violation] = []
    for group in groups.values():
        before: tuple[str, float | int] | None = None
        for level in judged:
            if level not in group:
                continue
            place = group[level]
            tokens = PROMPT_TOKENS.of(place.record)
            if tokens is None:
                why = PROMPT_TOKENS.reason(place.record)
                wrong.append(violation(place, f"no count of prompt tokens ({why})", "a count"))
                continue
            if before is not None:
                pairs += 1
                if tokens <= before[1]:
                    wrong.append(
                        violation(
                            place,
                            f"{tokens} prompt tokens, and {before[1]} at {before[0]}",
                            f"more prompt tokens than at {before[0]}",
                        )
                    )
            before = level, tokens
    return checked("rising", pairs, wrong, listed)


def scores(reading: Reading, found: Sequence[Place]) -> Check:
    """Whether every run has the judge's four scores, from 0 to 2.5 in half points, and their sum as its total.

    And a mark of each measure that the study names, be it without a value.

    Args:
        reading: the study.
        found: its places.
    """
    judge, given = reading.spec.judge, reading.marks.measures
    named = reading.spec.quality
    if judge is None and JUDGE not in given and not named:
        return not_applicable("scores", "the study names neither judge nor measure, and none has scored it")
    if judge is not None and JUDGE not in given:
        return Check("scores", Status.NOT_MADE, 0, reason="the judge has not scored the study yet")
    for one in named:
        # In a study that has come to one category, others' measures have nothing to score yet.
        if one.measure not in given and any(place.ok and one.covers(place.category) for place in found):
            why = f"the measure {one.measure} has not scored the study yet"
            return Check("scores", Status.NOT_MADE, 0, reason=why)
    own = [place for place in found if place.ok and (judge is None or judge.covers(place.category))]
    own = own if JUDGE in given else []
    wrong = [violation(place, got, expected) for place in own for got, expected in _wrong_scores(place)]
    looked_at = {place.run_id for place in own}
    for one in named:
        covered = [place for place in found if place.ok and one.covers(place.category)]
        looked_at |= {place.run_id for place in covered}
        wrong += [
            violation(place, f"no mark of {one.measure}", "a mark")
            for place in covered
            if one.measure not in _of(place, "quality")
        ]
    return checked("scores", len(looked_at), wrong)


def energy(reading: Reading, found: Sequence[Place]) -> Check:
    """Whether every run has its energy, gross and net of idle, and neither is below zero.

    The net energy of a short run may be so by chance: not by more than twice its standard uncertainty.

    Args:
        reading: the study.
        found: its places.
    """
    if reading.spec.meters == ():
        return not_applicable("energy", "the study asks for no meter")
    own = [place for place in found if place.ok]
    wrong: list[Violation] = []
    for place in own:
        gross, net = _GROSS_ENERGY.of(place.record), ENERGY.of(place.record)
        if gross is None:
            wrong.append(
                violation(place, f"no energy ({_GROSS_ENERGY.reason(place.record)})", "joules of the run")
            )
        elif net is None:
            wrong.append(
                violation(place, f"no net energy ({ENERGY.reason(place.record)})", "joules above idle")
            )
        if gross is not None and gross < 0:
            wrong.append(violation(place, f"the gross energy is {gross!r} J", "0 or more"))
        if net is not None and net < -_COVERAGE * (_NET_UNCERTAINTY.of(place.record) or 0.0):
            wrong.append(
                violation(place, f"the net energy is {net!r} J", "0 or more, within its uncertainty")
            )
    return checked("energy", len(own), wrong)


def configurations(found: Sequence[Place]) -> Check:
    """Whether all runs of a model were made with one configuration: digest, quantisation, context and the rest.

    What a server did not say is no difference. But without a digest nobody sees that another model was put under the
    same name: then the check is not stated, unless it is violated. Listed is each model's configuration, and what
    nobody said of it.

    Args:
        found: the study's places.
    """
    groups: dict[str, list[Place]] = {}
    for place in found:
        if place.record is not None:
            groups.setdefault(place.model, []).append(place)
    wrong: list[Violation] = []
    listed: list[Mapping[str, Any]] = []
    for model, own in groups.items():
        first: dict[str, Any] = {}
        for place in own:
            now = {name: _metadata(place).get(name) for name in _FACTS}
            stated = {name: value for name, value in now.items() if value is not None}
            other = [name for name, value in stated.items() if first.setdefault(name, value) != value]
            wrong += [
                violation(
                    place,
                    f"the {name} is stated as {stated[name]}",
                    f"{first[name]}, as in the model's first run",
                )
                for name in other
            ]
        unsaid = [name for name in _FACTS if name not in first]
        listed.append({"model": model, **first, "not_stated": unsaid})
    unknown = [
        model
        for model, own in groups.items()
        if any(_metadata(place).get(_IDENTITY) is None for place in own)
    ]
    if unknown and not wrong:
        reason = (
            f"nobody states a digest of {', '.join(unknown)}: another model under that name would not be seen"
        )
        return Check("configurations", Status.NOT_STATED, len(groups), (), reason, tuple(listed))
    return checked("configurations", len(groups), wrong, listed)


def _wrong_scores(place: Place) -> Iterable[tuple[str, str]]:
    """What is wrong with a run's scores: what was found, and what was expected."""
    total = SCORE.of(place.record)
    if total is None:
        yield f"no score ({SCORE.reason(place.record)})", "a score"
        return
    parts: Mapping[str, Any] = _of(place, "quality")[JUDGE]["parts"]
    known: list[float] = []
    for name in DIMENSIONS:
        value = parts.get(name)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            yield f"no score of {name}", "a score from 0 to 2.5"
        elif not 0 <= value <= _MOST or value % _STEP:
            yield f"the score of {name} is {value!r}", "0 to 2.5 in half points"
        else:
            known.append(float(value))
    if len(known) == len(DIMENSIONS) and not math.isclose(total, math.fsum(known), abs_tol=1e-9):
        yield f"the total is {total!r}", f"{math.fsum(known)!r}, the sum of the four scores"


def _lengths(found: Sequence[Place], judged: Sequence[str]) -> list[dict[str, Any]]:
    """The lengths of prompts by model and level, and how the levels that are not judged lie to the last that is."""
    groups: dict[tuple[str, str], list[Place]] = {}
    for place in found:
        groups.setdefault((place.model, place.level), []).append(place)
    last = {
        _question(place): PROMPT_TOKENS.of(place.record)
        for place in found
        if judged and place.level == judged[-1]
    }
    rows: list[dict[str, Any]] = []
    for (model, level), own in groups.items():
        known = [(place, tokens) for place in own if (tokens := PROMPT_TOKENS.of(place.record)) is not None]
        row: dict[str, Any] = {
            "model": model,
            "level": level,
            "n": len(known),
            "missing": len(own) - len(known),
            "least_prompt_tokens": min((tokens for _, tokens in known), default=None),
            "mean_prompt_tokens": sum(tokens for _, tokens in known) / len(known) if known else None,
            "most_prompt_tokens": max((tokens for _, tokens in known), default=None),
        }
        if judged and level not in judged:
            ends = [
                (tokens, end) for place, tokens in known if (end := last.get(_question(place))) is not None
            ]
            row |= {
                "judged": False,
                "compared_with": judged[-1],
                "longer": sum(tokens > end for tokens, end in ends),
                "not_longer": sum(tokens <= end for tokens, end in ends),
            }
        rows.append(row)
    return rows


def _question(place: Place) -> tuple[str, str, int | str, int]:
    return place.model, place.category, place.question, place.repeat


def _of(place: Place, name: str) -> Any:
    return None if place.record is None else place.record[name]


def _why_unsaid(place: Place) -> str:
    return str(_of(place, "missing").get("truncated", "the record gives no reason"))


def _metadata(place: Place) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _of(place, "metadata")
    return found


def _error(record: Mapping[str, Any] | None) -> str:
    error = None if record is None else record["error"]
    return "no reason" if error is None else f"{error['kind']}: {error['detail']}"
