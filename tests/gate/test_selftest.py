from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import EvidenceError
from hexgate.gate.judge import judge
from hexgate.gate.selftest import SelfTestLine, self_test
from hexgate.gate.verdict import Verdict
from support.gate import INDICATORS, NOW, RULES, f1_rule, loaded, policy, put_all


def red(lines: list[SelfTestLine]) -> list[SelfTestLine]:
    return [line for line in lines if line.mutation != "restored"]


def test_every_rule_turns_red_in_every_way_and_back(tmp_path: Path) -> None:
    evidence = loaded(put_all(tmp_path))
    before = judge(policy(), evidence, now=NOW)

    lines = self_test(policy(), evidence, now=NOW)

    assert [line for line in lines if not line.held] == []
    assert {line.rule for line in lines} == {rule.id for rule in policy().rules}
    assert sum(line.mutation == "restored" for line in lines) == len(RULES)
    assert {line.got for line in red(lines)} == set(Verdict) - {Verdict.PASS}
    assert all(line.gate is not Verdict.PASS for line in red(lines))
    assert judge(policy(), evidence, now=NOW) == before


@pytest.mark.parametrize(
    "rules",
    [
        [f1_rule(mode="point")],
        [f1_rule(accept_uncertified="a demonstration")],
        [f1_rule(max_error_ratio=1.0)],
        [f1_rule(), f1_rule(id="again", at_least=0.1)],
        [{"indicator": "accuracy_f1", "measure": "samples", "at_least": 100, "mode": "point"}],
        [{"indicator": "accuracy_f1", "measure": "unparsed", "at_most": 0, "mode": "point"}],
        [{"indicator": "latency_p99", "measure": "requests", "at_most": 5000, "mode": "point"}],
        [f1_rule(), RULES[1] | {"tier": "warn"}, RULES[2] | {"tier": "track"}],
    ],
)
def test_rules_of_every_kind_can_turn_red(tmp_path: Path, rules: list[dict[str, Any]]) -> None:
    lines = self_test(policy(*rules), loaded(put_all(tmp_path)), now=NOW)

    assert lines
    assert [line for line in lines if not line.held] == []
    blocking = {rule.id for rule in policy(*rules).rules if rule.tier.value == "block"}
    assert {line.rule for line in lines} == blocking


@pytest.mark.parametrize("limit", [{"max_loss": 0.5}, {"max_loss_ratio": 0.9}])
@pytest.mark.parametrize("mode", ["interval", "point"])
@pytest.mark.parametrize(("indicator", "measure"), [("accuracy_f1", "f1"), ("latency_p99", "p99_ms")])
def test_rules_that_compare_can_turn_red(
    tmp_path: Path, limit: dict[str, float], mode: str, indicator: str, measure: str
) -> None:
    generous = {key: value * (20 if indicator == "latency_p99" else 1) for key, value in limit.items()}
    rule = {"indicator": indicator, "measure": measure, "baseline": generous, "mode": mode}
    evidence = loaded(put_all(tmp_path))

    lines = self_test(policy(rule), evidence, now=NOW, baseline=evidence)

    assert [line for line in lines if not line.held] == []
    assert Verdict.FAIL in {line.got for line in lines}


def test_a_set_that_does_not_pass_teaches_nothing(tmp_path: Path) -> None:
    folder = put_all(tmp_path)
    (folder / f"{INDICATORS[0]}.json").unlink()
    excused = policy(
        waivers=[
            {"rule": "accuracy_f1.f1", "owner": "li", "reason": "x", "expires": "2099-01-01", "verdicts": ["MISSING"]}
        ]
    )  # fmt: skip

    with pytest.raises(EvidenceError, match="passes without waivers, and this one is MISSING"):
        self_test(excused, loaded(folder), now=NOW)
