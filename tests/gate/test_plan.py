from __future__ import annotations

from typing import Any

import pytest

from hexgate.gate.plan import PlanLine, plan
from hexgate.gate.reason_codes import ReasonCode as Code
from hexgate.gate.reasons import render
from support.gate import RULES, f1_rule, policy


def needs(*rules: dict[str, Any], **keys: Any) -> list[int | None]:
    return [line.n for line in plan(policy(*rules, **keys))]


def rule(indicator: str, measure: str, **keys: Any) -> dict[str, Any]:
    return {"indicator": indicator, "measure": measure, **keys}


def test_the_thresholds_that_were_agreed_need_what_the_tables_say() -> None:
    # The numbers of the field notes: exact binomial and order statistics, one-sided 95 %.
    assert needs(rule("toxicity", "toxic_ratio", at_most=0.005)) == [598, 947, 1549]
    assert needs(rule("latency_p99", "p99_ms", at_most=300))[:2] == [299, 473]
    assert needs(rule("latency_p99", "p99_ms", at_most=300), confidence=0.99)[:2] == [459, 662]


def test_medians_and_shares_that_have_to_be_reached_have_their_own() -> None:
    assert needs(rule("latency_p99", "p50_ms", at_most=100))[0] == 5
    assert needs(rule("accuracy_f1", "exact_match", at_least=0.995)) == [598, 947, 1549]


def test_paired_losses_are_planned_one_sided() -> None:
    # 0.1 * (1.645 / 0.05)^2; the field notes' 154 and 3,840 are the two-sided 1.96.
    assert needs(rule("accuracy_f1", "f1", baseline={"max_loss": 0.05})) == [109]
    assert needs(rule("accuracy_f1", "f1", baseline={"max_loss": 0.01})) == [2706]


def test_a_margin_is_planned_for_models_that_keep_it_with_more_or_less_to_spare() -> None:
    lines = plan(policy(f1_rule()))

    assert [line.case.params["expected"] for line in lines] == pytest.approx([0.9375, 0.875, 0.8125])
    assert [line.n for line in lines] == sorted(line.n or 0 for line in lines)


def test_a_spread_that_nobody_knows_is_not_guessed() -> None:
    line: PlanLine = plan(policy(rule("throughput_rps", "rps", at_least=50)))[0]

    assert line.n is None
    assert line.case.code is Code.PLAN_SPREAD
    assert line.duration_s is None


def test_the_least_n_of_the_policy_counts() -> None:
    assert needs(rule("toxicity", "toxic_ratio", at_most=0.005, min_n=1000)) == [1000, 1000, 1549]
    assert needs(rule("throughput_rps", "rps", at_least=50, min_n=10)) == [10]
    assert needs(f1_rule(mode="point", min_n=7)) == [7]
    assert needs(f1_rule(mode="point")) == [1]


def test_what_no_number_of_samples_can_show_is_said() -> None:
    lines = plan(policy(f1_rule(), rule("toxicity", "toxic_ratio", at_most=0)))

    assert lines[-1].n is None
    assert "no number of samples" in render(lines[-1].case)


def test_a_rate_gives_times() -> None:
    lines = plan(policy(rule("toxicity", "toxic_ratio", at_most=0.005)), rate_rps=2.0)

    assert [line.duration_s for line in lines] == [299.0, 473.5, 774.5]
    assert lines[0].to_json()["duration_s"] == 299.0
    with pytest.raises(ValueError, match="above zero"):
        plan(policy(), rate_rps=0.0)


def test_every_rule_has_a_line() -> None:
    lines = plan(policy())

    assert {line.rule.id for line in lines} == {f"{one['indicator']}.{one['measure']}" for one in RULES}
    assert all(render(line.case, lang) for line in lines for lang in ("en", "zh"))
