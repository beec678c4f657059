from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from hexgate.report.junit import render_junit

Json = dict[str, Any]

SHAPE = {
    "testsuites": ({"name", "tests", "failures", "errors", "skipped"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "timestamp"},
        {"properties", "testcase"},
    ),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": ({"classname", "name"}, {"failure", "error", "skipped", "system-out"}),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"message"}, set()),
    "system-out": (set(), set()),
}
"""The common Jenkins and Ant shape: each element's attributes (all of them) and the elements it may hold."""


def parsed(verdict: Json) -> ET.Element:
    text = render_junit(verdict)
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n')
    root = ET.fromstring(text.encode())  # noqa: S314 our own output
    for element in root.iter():
        attributes, children = SHAPE[element.tag]
        assert set(element.attrib) == attributes, element.tag
        assert {child.tag for child in element} <= children, element.tag
    for suite in root.iter("testsuite"):
        for name, path in (
            ("tests", "testcase"),
            ("failures", "testcase/failure"),
            ("errors", "testcase/error"),
        ):
            assert int(suite.get(name, "")) == len(suite.findall(path))
    for case in root.iter("testcase"):
        assert len(list(case)) == 1
    return root


def outcome(root: ET.Element, name: str) -> tuple[str, str | None]:
    case = next(each for each in root.iter("testcase") if each.get("name") == name)
    return case[0].tag, case[0].get("type")


def test_one_case_a_rule(verdict: Json) -> None:
    root = parsed(verdict)
    assert [each.get("name") for each in root.iter("testcase")] == [
        *(rule["id"] for rule in verdict["rules"][:4]),
        "robustness_adv.success_rate",
        *(rule["id"] for rule in verdict["rules"][4:6]),
    ]
    assert outcome(root, "accuracy_f1.f1") == ("system-out", None)
    assert outcome(root, "toxicity.toxic_ratio") == ("failure", "inconclusive")
    assert outcome(root, "robustness_adv.success_rate") == ("skipped", None), (
        "a warning does not fail a build"
    )


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        ("PASS", ("system-out", None)),
        ("FAIL", ("failure", "fail")),
        ("INCONCLUSIVE", ("failure", "inconclusive")),
        ("INVALID", ("error", "invalid")),
        ("MISSING", ("error", "missing")),
    ],
)
@pytest.mark.parametrize("tier", ["block", "warn", "track"])
def test_what_a_verdict_becomes(
    verdict: Json, finding: str, expected: tuple[str, str | None], tier: str
) -> None:
    verdict["rules"] = [verdict["rules"][0] | {"verdict": finding, "tier": tier}]
    quiet = tier != "block" and finding != "PASS"
    assert outcome(parsed(verdict), "accuracy_f1.f1") == (("skipped", None) if quiet else expected)


def test_a_waived_rule_is_skipped_and_says_so(verdict: Json) -> None:
    waiver = {"rule": "r", "owner": "o", "reason": "b", "expires": "2030-01-01", "verdicts": ["FAIL"]}
    verdict["rules"] = [verdict["rules"][0] | {"verdict": "FAIL", "waived": waiver}]
    verdict |= {"verdict": "PASS", "exit_code": 0}
    root = parsed(verdict)
    assert outcome(root, "accuracy_f1.f1") == ("skipped", None)
    assert "FAIL (waived)" in str(next(root.iter("skipped")).get("message"))


def test_requirements_and_problems_are_red(verdict: Json) -> None:
    reason = {"code": "no_artifact", "params": {"indicator": "toxicity"}, "text": "there is none"}
    verdict["rules"] = verdict["rules"][:1]
    verdict["requirements"] = [{"indicator": "toxicity", "verdict": "MISSING", "reasons": [reason]}]
    verdict["problems"] = [reason]
    root = parsed(verdict)
    assert outcome(root, "required") == ("error", "missing")
    assert outcome(root, "problem 1") == ("error", "invalid")


def test_a_gate_that_does_not_pass_is_never_green(verdict: Json) -> None:
    for rule in verdict["rules"]:
        rule["tier"] = "track"
    root = parsed(verdict | {"verdict": "INVALID", "exit_code": 4})
    assert outcome(root, "verdict") == ("error", "invalid")


def test_control_characters_and_markup_stay_out(verdict: Json) -> None:
    hostile = 'a\x00\x08\x0b\x1b[31m\ud800\ufffe<b attr="]]>">&amp;\nsecond line'
    verdict["rules"] = [
        verdict["rules"][4] | {"id": hostile, "reasons": [{"code": "x", "params": {}, "text": hostile}]}
    ]
    verdict["policy"]["name"] = hostile
    root = parsed(verdict)
    failure = next(root.iter("failure"))
    assert '<b attr="]]>">&amp;\nsecond line' in str(failure.text)
    assert "\x1b" not in str(failure.text)
    assert "time=" not in render_junit(verdict)


def test_two_hundred_rules(verdict: Json) -> None:
    verdict["rules"] = [
        rule | {"id": f"{k}-{rule['id']}"} for k in range(50) for rule in verdict["rules"][:4]
    ]
    verdict |= {"verdict": "PASS", "exit_code": 0}
    assert len(list(parsed(verdict).iter("testcase"))) == 200
