from __future__ import annotations

from typing import Any

import pytest

from hexgate.report.caveats import caveats
from hexgate.report.reading import reason_text, see
from hexgate.report.text import Both
from hexgate.report.view import Finding

Json = dict[str, Any]


def test_a_failure_names_the_first_rule_and_counts_the_others(verdict: Json, artifacts: list[Json]) -> None:
    verdict["verdict"] = "FAIL"
    verdict["rules"][1] |= {
        "verdict": "FAIL",
        "reasons": [{"code": "x", "params": {}, "text": "p99 is too long"}],
    }
    view = see(verdict, artifacts)
    assert view.decided.en == (
        "1 of 6 blocking rules: the limit is not kept. p99 is too long. 1 more do not pass either."
    )
    assert view.decided.zh.startswith("6 条阻断规则中有 1 条不通过。")
    assert view.then.en.startswith("Do not release this model.")


def test_a_pass_counts_what_was_waived(verdict: Json, artifacts: list[Json]) -> None:
    verdict["verdict"] = "PASS"
    verdict["rules"][4]["waived"] = {
        "rule": "r",
        "owner": "o",
        "reason": "b",
        "expires": "2030-01-01",
        "verdicts": [],
    }
    view = see(verdict, artifacts)
    assert view.decided.en == "No blocking rule stands in the way; 1 of 6 are waived."
    assert view.indicators[4].finding is Finding.UNJUDGED
    assert view.indicators[4].standing == Both("Inconclusive (waived)", "证据不足以判定（已豁免）")


def test_what_is_missing_is_asked_for_by_name(verdict: Json, artifacts: list[Json]) -> None:
    verdict["verdict"] = "MISSING"
    verdict["rules"][4] |= {"verdict": "MISSING", "value": None, "interval": None}
    assert see(verdict, artifacts).then.en == "Measure what is missing: `hexgate run --indicator toxicity`."


def test_a_problem_of_the_whole_set_is_the_headline_where_no_rule_decided(verdict: Json) -> None:
    verdict |= {"verdict": "INVALID", "problems": [{"code": "x", "params": {}, "text": "two subjects"}]}
    for rule in verdict["rules"]:
        rule["verdict"] = "PASS"
    assert see(verdict, []).decided.en.endswith("two subjects.")


def test_a_required_indicator_that_is_not_there_counts(verdict: Json, artifacts: list[Json]) -> None:
    reason = {"code": "no_artifact", "params": {"indicator": "toxicity"}, "text": "toxicity: there is none"}
    verdict["rules"] = verdict["rules"][:1]
    verdict["requirements"] = [{"indicator": "toxicity", "verdict": "MISSING", "reasons": [reason]}]
    verdict["verdict"] = "MISSING"
    view = see(verdict, artifacts[:1])
    assert view.decided.en == "Required artifacts that are not there: 1 of 1. toxicity: there is none."
    assert view.indicators[4].finding is Finding.MISSING


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("plain", Both("plain", "plain")),
        ({"code": "x", "params": {}, "text": "a", "text_zh": "甲"}, Both("a", "甲")),
        ({"code": "not_known_yet", "params": {}, "text": "a"}, Both("a", "a")),
        ({"code": "more_needed", "params": {}, "text": "a"}, Both("a", "a")),
        ({"code": "more_needed", "params": {"more": 410}, "text": "about 410"}, None),
    ],
)
def test_reasons_in_both_languages(reason: Any, shown: Both | None) -> None:
    read = reason_text(reason)
    if shown is not None:
        assert read == shown
    else:
        assert read.en == "about 410"
        assert "410" in read.zh
        assert read.zh != read.en


def test_what_an_artifact_says_of_itself_is_in_the_language_of_the_report(
    verdict: Json, artifacts: list[Json]
) -> None:
    why = (
        "this machine was too busy to measure. Worker 0 was kept waiting for a processor 4.3 % of the time. Next: "
        "close other programs, pin the server to other cores, or use another machine; then measure again.; no request "
        "succeeded; what nobody knows"
    )
    params = {"path": "a.json", "status": "invalid", "why": why}
    read = reason_text({"code": "status", "params": params, "text": f"a.json: {why}"})
    assert read.en == f"a.json: {why}"
    assert "本机太忙，无法测量。" in read.zh
    assert "没有请求成功；what nobody knows；请重新测量" in read.zh
    assert "machine" not in read.zh
    artifacts[1] |= {"status": "invalid", "invalid_reasons": ["no request succeeded"]}
    assert any("没有请求成功" in one.zh for one in caveats(see(verdict, artifacts)))


def test_caveats_end_with_what_was_never_asked(verdict: Json, artifacts: list[Json]) -> None:
    artifacts[1] |= {"status": "partial", "invalid_reasons": ["the run was stopped"]}
    verdict["rules"] = verdict["rules"][1:]
    verdict["rules"][0] |= {"mode": "point"}
    found = [each.en for each in caveats(see(verdict, artifacts[:5]))]
    assert found[-1].startswith("Six indicators were asked for")
    assert "Latency (latency_p99) is partial: the run was stopped" in found
    assert "Accuracy (accuracy_f1) has a value, but no blocking rule judges it." in found
    assert "Energy (power_efficiency) has no artifact: nothing is known about it." in found
    assert any("is judged on its value alone" in each for each in found)
