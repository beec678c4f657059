"""Is an artifact good enough to be judged at all? Independent of what it measured."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from hexgate.contract.consistency import lacking_evidence
from hexgate.gate.evidence import EvidenceSet, Exhibit
from hexgate.gate.policy import Policy, Trust
from hexgate.gate.reason_codes import ReasonCode
from hexgate.gate.reasons import Reason

__all__ = ["set_disputes", "the_one", "unsound"]

_CLOCK_SLACK = timedelta(minutes=5)


def the_one(evidence: EvidenceSet, indicator: str) -> tuple[Exhibit | None, tuple[Reason, ...]]:
    """The one artifact of an indicator, or why there is more than one. None at all gives no reason."""
    refused = evidence.refused(indicator)
    found = evidence.of(indicator)
    if refused:
        return None, tuple(Reason(ReasonCode.UNREADABLE, {"problem": file.problem}) for file in refused)
    if len(found) > 1:
        same = len({exhibit.artifact_id for exhibit in found}) == 1
        code = ReasonCode.DUPLICATE_IDENTICAL if same else ReasonCode.DUPLICATE
        files = ", ".join(exhibit.path for exhibit in found)
        return None, (Reason(code, {"indicator": indicator, "files": files}),)
    return (found[0] if found else None), ()


def unsound(
    exhibit: Exhibit,
    policy: Policy,
    *,
    now: datetime,
    max_error_ratio: float | None = None,
    of_today: bool = True,
) -> tuple[Reason, ...]:
    """Every reason not to judge an artifact; empty where it is sound.

    Args:
        exhibit: the artifact.
        policy: what it must be like.
        now: the time of judging.
        max_error_ratio: overrides the policy's.
        of_today: whether its age and the policy's expectations matter; they do not for a baseline.
    """
    budget = policy.evidence.max_error_ratio if max_error_ratio is None else max_error_ratio
    found = [
        *_status(exhibit),
        *_counts(exhibit, budget),
        *(list(_files(exhibit, policy)) or _recomputed(exhibit, policy)),
        *_origin(exhibit, policy),
    ]
    if of_today:
        found += [*_age(exhibit, policy, now), *_pins(exhibit, policy)]
    return tuple(found)


def _status(exhibit: Exhibit) -> Iterator[Reason]:
    status = exhibit.data["status"]
    if status != "complete":
        why = "; ".join(exhibit.data["invalid_reasons"])
        yield Reason(ReasonCode.STATUS, {"path": exhibit.path, "status": status, "why": why})


def _counts(exhibit: Exhibit, budget: float) -> Iterator[Reason]:
    counts = exhibit.data["counts"]
    requested, errored, skipped = counts["requested"], counts["errored"], counts["skipped"]
    place = {"path": exhibit.path, "requested": requested}
    if requested == 0:
        yield Reason(ReasonCode.NOTHING_REQUESTED, {"path": exhibit.path})
        return
    if counts["succeeded"] == 0:
        yield Reason(ReasonCode.NOTHING_SUCCEEDED, place)
    if skipped and exhibit.data["status"] == "complete":
        yield Reason(ReasonCode.SKIPPED, place | {"skipped": skipped})
    if not errored / requested <= budget:
        yield Reason(
            ReasonCode.ERROR_BUDGET,
            place | {"errored": errored, "ratio": errored / requested, "limit": float(budget)},
        )


def _files(exhibit: Exhibit, policy: Policy) -> Iterator[Reason]:
    needed = policy.evidence.require_evidence_files
    for fault in exhibit.faults:
        if not fault.absent:
            yield Reason(ReasonCode.EVIDENCE_CHANGED, {"path": exhibit.path, "problem": fault.problem})
        elif needed:
            yield Reason(ReasonCode.EVIDENCE_ABSENT, {"path": exhibit.path, "name": fault.name})
    asserted = exhibit.data["trust"] == Trust.ASSERTED.value
    if needed and not asserted and not exhibit.data["evidence"]:
        yield Reason(ReasonCode.NO_EVIDENCE, {"path": exhibit.path})
    elif needed and (lacking := lacking_evidence(exhibit.data)):
        yield Reason(
            ReasonCode.EVIDENCE_LACKING,
            {"path": exhibit.path, "indicator": exhibit.indicator, "names": ", ".join(lacking)},
        )


def _recomputed(exhibit: Exhibit, policy: Policy) -> Iterator[Reason]:
    judged = exhibit.data["trust"] == Trust.NATIVE.value and exhibit.data["status"] == "complete"
    if not policy.evidence.recompute or not judged:
        return
    if exhibit.recomputed:
        yield Reason(
            ReasonCode.NOT_REPRODUCED,
            {"path": exhibit.path, "count": len(exhibit.recomputed), "first": exhibit.recomputed[0]},
        )
    elif exhibit.recomputed is None:
        yield Reason(ReasonCode.NOT_RECOMPUTED, {"path": exhibit.path})


def _origin(exhibit: Exhibit, policy: Policy) -> Iterator[Reason]:
    limit = exhibit.data["dataset"]["limit"]
    if limit is not None and not policy.evidence.allow_limit:
        yield Reason(ReasonCode.LIMIT_USED, {"path": exhibit.path, "limit": limit})
    trust = Trust(exhibit.data["trust"])
    least = policy.evidence.min_trust
    if not trust.suffices(least):
        yield Reason(
            ReasonCode.TRUST_TOO_LOW,
            {"path": exhibit.path, "trust": trust.value, "min_trust": least.value},
        )


def _age(exhibit: Exhibit, policy: Policy, now: datetime) -> Iterator[Reason]:
    stamp = exhibit.data["created_at"]
    place = {"path": exhibit.path, "created_at": stamp}
    try:
        created = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        yield Reason(ReasonCode.BAD_TIME, place)
        return
    age = now - created
    if age < -_CLOCK_SLACK:
        yield Reason(ReasonCode.FROM_THE_FUTURE, place)
    hours = age / timedelta(hours=1)
    if not hours <= policy.evidence.max_age_hours:
        yield Reason(
            ReasonCode.STALE,
            place | {"age_hours": hours, "max_age_hours": float(policy.evidence.max_age_hours)},
        )


def _pins(exhibit: Exhibit, policy: Policy) -> Iterator[Reason]:
    data, expect = exhibit.data, policy.expect
    pins = (
        ("subject.sha256", data["subject"]["sha256"], expect.subject_sha256),
        ("subject.name", data["subject"]["name"], expect.subject_name),
        ("dataset.sha256", data["dataset"]["sha256"], expect.datasets.get(exhibit.indicator)),
        ("environment.host_class", data["environment"]["host_class"], expect.host_class),
    )
    for what, got, expected in pins:
        if expected is not None and got != expected:
            yield Reason(
                ReasonCode.PIN_DIFFERS,
                {"path": exhibit.path, "what": what, "got": _text(got), "expected": expected},
            )


def set_disputes(evidence: EvidenceSet) -> tuple[Reason, ...]:
    """Why the artifacts do not belong together, if they do not: other models, or other data of one name."""
    found = []
    for index, one in enumerate(evidence.exhibits):
        for other in evidence.exhibits[index + 1 :]:
            pair = {"one": one.path, "other": other.path}
            differs = _other_subject(one.data["subject"], other.data["subject"])
            if differs is not None:
                found.append(
                    Reason(ReasonCode.SUBJECTS_DIFFER, pair | {"one_is": differs[0], "other_is": differs[1]})
                )
            a, b = one.data["dataset"], other.data["dataset"]
            if a["name"] is not None and a["name"] == b["name"] and _both_differ(a["sha256"], b["sha256"]):
                found.append(
                    Reason(
                        ReasonCode.DATASETS_DIFFER,
                        pair
                        | {"dataset": a["name"], "one_is": a["sha256"][:16], "other_is": b["sha256"][:16]},
                    )
                )
    return tuple(found)


def _other_subject(a: dict[str, Any], b: dict[str, Any]) -> tuple[str, str] | None:
    for role in sorted(set(a["components"]) & set(b["components"])):
        if _both_differ(a["components"][role], b["components"][role]):
            return (
                f"{a['name']} with {role} {a['components'][role][:16]}",
                f"{b['name']} with {role} {b['components'][role][:16]}",
            )
    if a["sha256"] is not None and b["sha256"] is not None:
        same = a["sha256"] == b["sha256"]
    else:
        # Nobody sees the weights behind an endpoint: what it calls itself has to do.
        same = a["name"] == b["name"] and not any(
            _both_differ(a[key], b[key]) for key in ("served_model", "revision")
        )
    return None if same else (_subject(a), _subject(b))


def _both_differ(a: Any, b: Any) -> bool:
    return a is not None and b is not None and a != b


def _subject(subject: dict[str, Any]) -> str:
    facts = [subject["sha256"] and subject["sha256"][:16], subject["served_model"], subject["revision"]]
    told = ", ".join(fact for fact in facts if fact)
    return f"{subject['name']} ({told})" if told else str(subject["name"])


def _text(value: Any) -> str:
    return "not stated" if value is None else str(value)
