"""A verdict and its artifacts in Prometheus' text format, for a textfile collector or a Pushgateway."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from hexgate import __version__
from hexgate.contract.schema import measures
from hexgate.gate.reason_codes import ReasonCode
from hexgate.report.numbers import number_of
from hexgate.report.text import clean
from hexgate.report.view import Finding

__all__ = ["render_prometheus"]

_VERDICTS = tuple(each.value for each in Finding if each is not Finding.UNJUDGED)


@dataclass(frozen=True)
class _Family:
    """One metric: its help, and its samples so far."""

    name: str
    help: str
    samples: list[tuple[Mapping[str, str], float]] = field(default_factory=list)

    def add(self, value: float | None, **labels: str) -> None:
        """Add a sample; what is not known has none, and is never 0."""
        if value is not None:
            self.samples.append((labels, value))

    def lines(self, common: Mapping[str, str]) -> Iterator[str]:
        if not self.samples:
            return
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} gauge"
        for labels, value in self.samples:
            shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in {**common, **labels}.items())
            yield f"{self.name}{{{shown}}} {value!r}"


def render_prometheus(
    verdict: Mapping[str, Any] | None, artifacts: Sequence[Mapping[str, Any]], refused: Collection[str] = ()
) -> str:
    """The figures of complete artifacts, and what the gate said of them, in the text format 0.0.4.

    A measure that was not taken has no sample, nor has any measure of an artifact that is not complete, was refused,
    or is one of several of its indicator and class of host: a rule on it then has nothing to compare, which
    ``absent()`` and ``hexgate_artifact_complete`` catch. Ratios are 0 to 1, and the unit of a measure is its label
    ``unit``; ``certifies="false"`` marks estimates and unvalidated detectors.

    Args:
        verdict: the gate's verdict, ``hexgate/verdict/1.x``, or None where nothing was judged.
        artifacts: the artifacts, as read and checked.
        refused: ids of those whose figures must not be taken for good.
    """
    common = {"subject": _subject(verdict, artifacts)}
    families = [*_of_verdict(verdict), *_of_artifacts(artifacts, refused)]
    info = _Family("hexgate_info", "The version of hexgate that wrote these metrics.")
    info.add(1.0, version=__version__)
    return "".join(f"{line}\n" for each in [*families, info] for line in each.lines(common))


def _of_verdict(verdict: Mapping[str, Any] | None) -> list[_Family]:
    whole = _Family(
        "hexgate_verdict", "The verdict of the gate: 1 for the one that it gave, 0 for the others."
    )
    judged = _Family("hexgate_judged_timestamp_seconds", "When the gate judged.")
    rules = _Family("hexgate_rule_verdict", "The verdict of a rule: 1 for the one it has, 0 for the others.")
    limits = _Family("hexgate_rule_limit", "The limit of a rule.")
    values = _Family("hexgate_rule_value", "The value that a rule was judged on.")
    waived = _Family("hexgate_rule_waived", "Whether a waiver keeps a rule from blocking.")
    accepted = _Family(
        "hexgate_rule_accepted_uncertified", "Whether a rule passed on evidence that certifies nothing."
    )
    if verdict is None:
        return []
    policy = clean(verdict["policy"]["name"], 120)
    for each in _VERDICTS:
        whole.add(float(verdict["verdict"] == each), policy=policy, verdict=each)
    judged.add(_seconds(verdict["created_at"]), policy=policy)
    for rule in verdict["rules"]:
        labels = {
            "policy": policy,
            "rule": rule["id"],
            "indicator": rule["indicator"],
            "measure": rule["measure"],
            "tier": rule["tier"],
        }
        for each in _VERDICTS:
            rules.add(float(rule["verdict"] == each), **labels, verdict=each)
        limits.add(number_of(rule["limit"]), **labels, comparator=rule["comparator"])
        values.add(number_of(rule["value"]), **labels)
        waived.add(float(rule["waived"] is not None), **labels)
        codes = {reason["code"] for reason in rule["reasons"]}
        accepted.add(float(ReasonCode.UNCERTIFIED_ACCEPTED.value in codes), **labels)
    return [whole, judged, rules, limits, values, waived, accepted]


def _of_artifacts(artifacts: Sequence[Mapping[str, Any]], refused: Collection[str]) -> list[_Family]:
    complete = _Family(
        "hexgate_artifact_complete",
        "Whether the artifact of an indicator is complete, the only one, and not refused.",
    )
    created = _Family("hexgate_artifact_created_timestamp_seconds", "When an artifact was written.")
    values = _Family("hexgate_measure", "A measure of a complete artifact, in its unit.")
    bounds = _Family("hexgate_measure_bound", "The one-sided bound of a measure, at the artifact's level.")
    found = Counter(map(_place, artifacts))
    for (name, host_class), count in found.items():
        if count > 1:
            complete.add(0.0, indicator=name, host_class=host_class, status="several")
    for artifact in artifacts:
        name, host_class = _place(artifact)
        if found[name, host_class] > 1:
            continue
        where = {"indicator": name, "host_class": host_class}
        whole = artifact["status"] == "complete"
        good = whole and artifact["artifact_id"] not in refused
        complete.add(float(good), **where, status="refused" if whole and not good else artifact["status"])
        created.add(_seconds(artifact["created_at"]), **where)
        if not good:
            continue
        for measure, said in measures(name).items():
            certifies = "false" if measure in artifact["cannot_certify"] else "true"
            labels = where | {"measure": measure, "unit": said.unit, "certifies": certifies}
            values.add(number_of(artifact.get(measure)), **labels)
            interval = artifact["intervals"].get(measure, {})
            for side in ("lower", "upper"):
                bounds.add(number_of(interval.get(f"{side}_bound")), **labels, bound=side)
    return [complete, created, values, bounds]


def _place(artifact: Mapping[str, Any]) -> tuple[str, str]:
    """What tells the series of one artifact from those of another."""
    return artifact["indicator"], clean(artifact["environment"]["host_class"], 120)


def _subject(verdict: Mapping[str, Any] | None, artifacts: Sequence[Mapping[str, Any]]) -> str:
    """The one subject of all; where they differ, or there is none, it is not named as one of them."""
    names = {clean(each["subject"]["name"], 120) for each in artifacts}
    if verdict is not None and verdict.get("subject"):
        names.add(clean(verdict["subject"]["name"], 120))
    return names.pop() if len(names) == 1 else ("unknown" if not names else "several")


def _seconds(stamp: str) -> float | None:
    try:
        return datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
