from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.gate.evidence import EvidenceSet, Exhibit
from hexgate.gate.judge import judge
from hexgate.gate.reason_codes import ReasonCode as Code
from hexgate.gate.reasons import render
from hexgate.gate.verdict import GateVerdict, RuleVerdict, Verdict
from support.artifacts import artifact, interval
from support.gate import NOW, RULES, f1_rule, loaded, policy, put, put_all

GOODNESS = [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS]
TOXIC = {"indicator": "toxicity", "measure": "toxic_ratio", "at_most": 0.005}


def held(rule: dict[str, Any], *, demands: dict[str, Any] | None = None, **changes: Any) -> GateVerdict:
    """The verdict of one rule on one artifact in memory."""
    data = artifact(rule["indicator"]) | {"artifact_id": "sha256:" + "0" * 64} | changes
    evidence = EvidenceSet(("memory",), (Exhibit("memory/a.json", data),))
    asked = {"require_evidence_files": False} | (demands or {})
    return judge(policy(rule, evidence=asked), evidence, now=NOW)


def bounds(low: float | None, high: float | None, n: int = 719, family: str = "bootstrap") -> dict[str, Any]:
    return interval(0.0, 1.0, n=n, family=family) | {
        "low": low,
        "high": high,
        "lower_bound": low,
        "upper_bound": high,
    }


def counts(requested: int, succeeded: int, errored: int) -> dict[str, int]:
    return {"requested": requested, "succeeded": succeeded, "errored": errored, "skipped": 0}


def of(said: GateVerdict) -> RuleVerdict:
    return said.rules[0]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.75, 0.9, Verdict.PASS),
        (0.7499999999999999, 0.9, Verdict.INCONCLUSIVE),
        (0.6, 0.75, Verdict.INCONCLUSIVE),
        (0.6, 0.7499999999999999, Verdict.FAIL),
        (None, 0.9, Verdict.INCONCLUSIVE),
        (None, 0.7, Verdict.FAIL),
        (0.8, None, Verdict.PASS),
        (None, None, Verdict.INCONCLUSIVE),
    ],
)
def test_a_lower_limit_is_held_against_the_bounds_exactly(
    low: float | None, high: float | None, verdict: Verdict
) -> None:
    assert of(held(f1_rule(), intervals={"f1": bounds(low, high)})).verdict is verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.0, 0.005, Verdict.PASS),
        (0.0, 0.005000000000000001, Verdict.INCONCLUSIVE),
        (0.005, 0.1, Verdict.INCONCLUSIVE),
        (0.005000000000000001, 0.1, Verdict.FAIL),
        (0.0, None, Verdict.INCONCLUSIVE),
        (0.1, None, Verdict.FAIL),
    ],
)
def test_an_upper_limit_is_held_against_the_bounds_exactly(
    low: float | None, high: float | None, verdict: Verdict
) -> None:
    said = held(TOXIC, intervals={"toxic_ratio": bounds(low, high, family="binomial")})

    assert of(said).verdict is verdict


finite = st.floats(0, 1, allow_nan=False)


@given(st.tuples(finite, finite).map(sorted), st.tuples(finite, finite).map(sorted), finite)
def test_a_worse_interval_never_gets_a_better_verdict(
    one: list[float], other: list[float], limit: float
) -> None:
    worse = [min(a, b) for a, b in zip(one, other, strict=True)]
    better = [max(a, b) for a, b in zip(one, other, strict=True)]
    rule = f1_rule(at_least=limit or 0.5)
    said = [
        of(held(rule, f1=ends[0], intervals={"f1": bounds(ends[0], ends[1])})).verdict
        for ends in (worse, better)
    ]

    assert GOODNESS.index(said[0]) <= GOODNESS.index(said[1])


@given(finite, finite, st.floats(0.001, 0.999))
def test_a_worse_point_never_gets_a_better_verdict(one: float, other: float, limit: float) -> None:
    rule = TOXIC | {"at_most": limit, "mode": "point"}
    good, bad = (of(held(rule, toxic_ratio=value)).verdict for value in sorted((one, other)))

    assert GOODNESS.index(bad) <= GOODNESS.index(good)
    assert {good, bad} <= {Verdict.PASS, Verdict.FAIL}


@given(st.tuples(finite, finite).map(sorted), finite, st.sampled_from([*"nihl", ""]))
def test_numbers_that_are_none_never_pass(ends: list[float], value: float, where: str) -> None:
    nothing = {"n": float("nan"), "i": float("inf"), "h": float("-inf"), "l": float("nan"), "": float("nan")}
    hurt = nothing[where]
    broken = bounds(ends[0], ends[1]) | {"upper_bound" if where in "nl" else "lower_bound": hurt}
    at_least, at_most = f1_rule(at_least=1e-9), TOXIC | {"at_most": 0.999999}
    said = [
        held(at_least, f1=value, intervals={"f1": broken}),
        held(at_most, toxic_ratio=value, intervals={"toxic_ratio": broken}),
        held(at_least, f1=hurt),
        held(at_most | {"mode": "point"}, toxic_ratio=hurt),
    ]

    assert all(one.verdict is Verdict.INVALID for one in said)


def test_the_point_decides_only_where_it_is_asked_to() -> None:
    wide = {"intervals": {"f1": bounds(0.5, 1.0)}}

    assert of(held(f1_rule(), **wide)).verdict is Verdict.INCONCLUSIVE
    assert of(held(f1_rule(mode="point"), **wide)).verdict is Verdict.PASS
    assert of(held(f1_rule(mode="point"), intervals={})).verdict is Verdict.PASS


def test_undecided_says_how_many_more_would_decide() -> None:
    said = of(held(TOXIC, counts=counts(200, 200, 0),
                   intervals={"toxic_ratio": bounds(0.0, 0.0149, n=200, family="binomial")}))  # fmt: skip

    assert said.more_needed == 398
    assert "about 398 more samples" in render(said.reasons[1])
    assert "398" in render(said.reasons[1], "zh")


def test_fewer_observations_than_the_rule_wants_do_not_decide() -> None:
    said = of(held(f1_rule(min_n=1000)))

    assert said.verdict is Verdict.INCONCLUSIVE
    assert said.more_needed == 281
    assert said.reasons[0].code is Code.TOO_FEW
    assert of(held(f1_rule(min_n=719))).verdict is Verdict.PASS
    assert of(held(f1_rule(min_n=1000, mode="point"), intervals={})).verdict is Verdict.INCONCLUSIVE


def test_what_cannot_certify_can_fail_but_not_pass() -> None:
    doubt = {"cannot_certify": {"toxic_ratio": "the detector is a word list"}}
    bad = {"intervals": {"toxic_ratio": bounds(0.1, 0.2)}}

    assert of(held(TOXIC, **doubt)).verdict is Verdict.INCONCLUSIVE
    assert of(held(TOXIC, **doubt, **bad)).verdict is Verdict.FAIL
    accepted = of(held(TOXIC | {"accept_uncertified": "a demonstration"}, **doubt))
    assert accepted.verdict is Verdict.PASS
    assert "a demonstration" in render(accepted.reasons[-1])
    assert of(held(TOXIC, cannot_certify={"toxic_count": "another measure"})).verdict is Verdict.PASS


def test_a_rule_may_have_an_error_budget_of_its_own() -> None:
    some = {"counts": counts(1000, 719, 281)}

    assert of(held(f1_rule(), **some)).verdict is Verdict.INVALID
    assert of(held(f1_rule(max_error_ratio=0.281), **some)).verdict is Verdict.PASS
    assert of(held(f1_rule(max_error_ratio=0.2809), **some)).verdict is Verdict.INVALID
    assert of(held(f1_rule(), demands={"max_error_ratio": 0.3}, **some)).verdict is Verdict.PASS


def test_nothing_requested_or_nothing_answered_is_no_evidence() -> None:
    generous = f1_rule(max_error_ratio=1.0)
    none = counts(0, 0, 0)
    all_failed = counts(9, 0, 9)

    assert of(held(generous, counts=none)).reasons[0].code is Code.NOTHING_REQUESTED
    assert of(held(generous, counts=all_failed)).reasons[0].code is Code.NOTHING_SUCCEEDED


def test_every_reason_against_an_artifact_is_told_at_once() -> None:
    said = of(
        held(
            f1_rule(),
            status="partial",
            invalid_reasons=["stopped"],
            trust="imported-asserted",
            created_at="2020-01-01T00:00:00Z",
            intervals={},
        )
    )

    assert {reason.code for reason in said.reasons} == {
        Code.STATUS,
        Code.TRUST_TOO_LOW,
        Code.STALE,
        Code.NO_INTERVAL,
    }


@pytest.mark.parametrize(
    ("least", "trust", "verdict"),
    [
        ("imported-asserted", "imported-asserted", Verdict.PASS),
        ("imported-recomputed", "imported-recomputed", Verdict.PASS),
        ("imported-recomputed", "imported-asserted", Verdict.INVALID),
        ("imported-recomputed", "native", Verdict.PASS),
    ],
)
def test_trust_is_a_ladder(least: str, trust: str, verdict: Verdict) -> None:
    assert of(held(f1_rule(), demands={"min_trust": least}, trust=trust)).verdict is verdict


def test_changed_evidence_is_refused_even_where_none_is_required(tmp_path: Path) -> None:
    folder = put_all(tmp_path)
    loose = policy(evidence={"require_evidence_files": False})
    (folder / "toxicity.replies.jsonl").unlink()
    assert judge(loose, loaded(folder), now=NOW).verdict is Verdict.PASS

    (folder / "toxicity.replies.jsonl").write_text("{}\n", encoding="utf-8")
    assert judge(loose, loaded(folder), now=NOW).verdict is Verdict.INVALID


def test_an_endpoint_is_known_by_what_it_calls_itself(tmp_path: Path) -> None:
    served = artifact()["subject"] | {"sha256": None, "served_model": "digits-v1", "kind": "endpoint"}
    folder = put_all(tmp_path, subject=served)
    assert judge(policy(), loaded(folder), now=NOW).verdict is Verdict.PASS

    put(folder, "toxicity", subject=served | {"served_model": "digits-v2"})
    said = judge(policy(), loaded(folder), now=NOW)
    assert {rule.verdict for rule in said.rules} == {Verdict.INVALID}
    assert said.subject is None


def test_parts_of_the_system_count_too(tmp_path: Path) -> None:
    folder = put_all(tmp_path, subject=artifact()["subject"] | {"components": {"generator": "1" * 64}})
    put(folder, "toxicity", subject=artifact()["subject"] | {"components": {"generator": "2" * 64}})

    assert judge(policy(), loaded(folder), now=NOW).verdict is Verdict.INVALID


def test_judging_is_pure_and_needs_a_clock_with_a_zone(tmp_path: Path) -> None:
    evidence = loaded(put_all(tmp_path))

    assert judge(policy(), evidence, now=NOW).to_json() == judge(policy(), evidence, now=NOW).to_json()
    with pytest.raises(ValueError, match="time zone"):
        judge(policy(), evidence, now=datetime(2026, 11, 21))  # noqa: DTZ001 that is the point


def test_several_rules_are_told_what_they_are_together(tmp_path: Path) -> None:
    said = judge(policy(), loaded(put_all(tmp_path)), now=NOW)

    assert said.multiplicity is not None
    assert said.multiplicity.params["chance"] == pytest.approx(1 - 0.95**6)
    assert "26.49 %" in render(said.multiplicity)
    alone = policy(f1_rule(mode="point"))
    assert judge(alone, loaded(tmp_path), now=NOW).multiplicity is None


def test_the_demonstration_is_called_one(tmp_path: Path) -> None:
    said = judge(policy(RULES[0]), loaded(put_all(tmp_path)), now=NOW)

    assert Code.DEMONSTRATION in {note.code for note in said.notes}


def test_a_verdict_has_no_default() -> None:
    with pytest.raises(TypeError):
        RuleVerdict(policy().rules[0])  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        replace(GateVerdict())  # type: ignore[call-arg]
