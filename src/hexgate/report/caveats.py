"""What a report does not say, said: estimates, the uncertified, the partial, the unjudged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hexgate.contract.observed import THROTTLING
from hexgate.report.measure_words import INDICATORS, KEY_FIGURES, indicator_name, label, short_name
from hexgate.report.measured_reasons import told_reason
from hexgate.report.strings import text
from hexgate.report.text import Both, same
from hexgate.report.view import Finding, IndicatorView, View

__all__ = ["caveats"]


def caveats(view: View) -> list[Both]:
    """Everything that a reader has to know before trusting a verdict; the gravest first."""
    found = [text("caveat_demonstration")] if view.demonstration else []
    for indicator in view.indicators:
        found += _of_indicator(indicator)
    found += _remarks(view)
    for rule in view.rules:
        if rule.waived:
            found.append(text("caveat_waived", rule=rule.id))
        if rule.mode == "point" and rule.finding is Finding.PASS and rule.blocking:
            found.append(text("caveat_point", rule=rule.id))
    found += _uncommitted(view)
    found.append(text("caveat_scope"))
    return found


def _of_indicator(indicator: IndicatorView) -> list[Both]:
    name = indicator_name(indicator.name)
    if not indicator.artifacts:
        return [text("caveat_absent", indicator=name)] if indicator.name in INDICATORS else []
    found = []
    for artifact in indicator.artifacts:
        found += _of_artifact(name, artifact)
    measured = any(
        artifact.get(KEY_FIGURES[indicator.name][0]) is not None for artifact in indicator.artifacts
    )
    if measured and not any(rule.blocking for rule in indicator.rules):
        found.append(text("caveat_no_rule", indicator=name))
    return found


def _of_artifact(name: Both, artifact: Mapping[str, Any]) -> list[Both]:
    found = []
    if artifact["status"] != "complete":
        reason = told_reason((artifact["invalid_reasons"] or [artifact["status"]])[0], 300)
        status = text(f"status_{artifact['status']}")
        found.append(text("caveat_status", indicator=name, status=status, reason=reason))
    found += _uncertified(name, artifact)
    found += _observed(name, artifact["environment"].get("observed"))
    if artifact["trust"] == "imported-asserted":
        found.append(text("caveat_trust", indicator=name))
    if artifact.get("measurement") == "estimated" and not artifact["cannot_certify"]:
        found.append(text("caveat_estimated"))
    elif artifact.get("measurement") == "not_measured":
        found.append(text("caveat_energy"))
    data = artifact["dataset"]
    if data["limit"] is not None:
        used, items = ("?" if data[key] is None else data[key] for key in ("used", "items"))
        found.append(text("caveat_limit", indicator=name, used=used, items=items))
    return found


def _remarks(view: View) -> list[Both]:
    """What the artifacts remark, once where two of one load say the same."""
    said: dict[str, list[Both]] = {}
    for indicator in view.indicators:
        for remark in dict.fromkeys(
            remark for artifact in indicator.artifacts for remark in artifact.get("remarks", ())
        ):
            said.setdefault(remark, []).append(short_name(indicator.name))
    return [
        text("caveat_remark", indicators=Both(", ", "、").join(names), remark=same(remark, 400))
        for remark, names in said.items()
    ]


def _uncertified(name: Both, artifact: Mapping[str, Any]) -> list[Both]:
    by_reason: dict[str, list[Both]] = {}
    for measure, reason in list(artifact["cannot_certify"].items())[:20]:
        by_reason.setdefault(reason, []).append(label(artifact["indicator"], measure))
    return [
        text(
            "caveat_uncertified",
            indicator=name,
            measure=Both(", ", "、").join(words),
            reason=same(reason, 300),
        )
        for reason, words in by_reason.items()
    ]


def _observed(name: Both, observed: Mapping[str, Any] | None) -> list[Both]:
    """What run.sh saw of the machine that a reader should know of."""
    if observed is None:
        return []
    if not observed["asked"]:
        reason = same(next(iter(observed["missing"].values()), ""), 300)
        return [text("caveat_unobserved", indicator=name, reason=reason)]
    found = [
        text("caveat_not_locked", indicator=name, what=same(what, 40), reason=same(said["why"], 300))
        for what, said in observed["locked"].items()
        if said["locked"] is not True
    ]
    throttled = [
        f"{each['reason']} {each['share']:.0%}"
        for each in observed["throttle_reasons"] or ()
        if each["reason"] in THROTTLING
    ]
    if throttled:
        found.append(text("caveat_throttled", indicator=name, reasons=same(", ".join(throttled), 200)))
    if (busy := observed["gpu_util_ratio"]) is not None and busy["max"] == 0:
        found.append(text("caveat_gpu_idle", indicator=name, samples=observed["samples"]))
    return found


def _uncommitted(view: View) -> list[Both]:
    held = [each for each in view.indicators if each.artifacts]
    dirty = [
        short_name(each.name)
        for each in held
        if any(artifact["provenance"]["git_dirty"] for artifact in each.artifacts)
    ]
    if not dirty:
        return []
    if len(dirty) == len(held):
        return [text("caveat_dirty_all")]
    return [text("caveat_dirty", indicators=Both(", ", "、").join(dirty))]
