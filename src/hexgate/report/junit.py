"""The verdict as JUnit XML, for CI systems that show tests: one case a rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from hexgate.report.headline import deciding
from hexgate.report.reading import see
from hexgate.report.text import Both, clean
from hexgate.report.view import Finding, Requirement, RuleView, View

__all__ = ["render_junit"]


def render_junit(verdict: Mapping[str, Any]) -> str:
    """The verdict as JUnit XML. Nothing is timed, so nothing claims a time.

    A blocking rule is a ``failure`` where it is FAIL or INCONCLUSIVE (type ``inconclusive``) and an ``error`` where
    its evidence is INVALID or MISSING. A rule that does not block, or is waived, and does not pass is ``skipped``
    with its reasons. A required indicator and a problem with the whole set are cases of their own.

    Args:
        verdict: the gate's verdict, ``hexgate/verdict/1.x``.
    """
    view = see(verdict, ())
    suite = Element("testsuite", name=_attribute(f"hexgate: {clean(verdict['policy']['name'], 120)}"))
    properties = SubElement(suite, "properties")
    for name, value in _properties(verdict):
        SubElement(properties, "property", name=name, value=_attribute(value))
    for case in _cases(view):
        suite.append(case)
    counts = {
        "tests": len(suite.findall("testcase")),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
        "skipped": len(suite.findall("testcase/skipped")),
    }
    root = Element("testsuites", name="hexgate")
    root.append(suite)
    for name, count in counts.items():
        root.set(name, str(count))
        suite.set(name, str(count))
    suite.set("timestamp", _attribute(clean(verdict["created_at"], 40).removesuffix("Z")))
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _properties(verdict: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    policy = verdict["policy"]
    yield "verdict", clean(verdict["verdict"], 40)
    yield "exit_code", clean(verdict["exit_code"], 10)
    yield "policy_sha256", clean(policy["sha256"], 80)
    yield "confidence", clean(policy["confidence"], 30)


def _cases(view: View) -> Iterable[Element]:
    for rule in view.rules:
        yield _of_rule(rule)
    for required in view.requirements:
        yield _of_requirement(required)
    for index, problem in enumerate(view.problems, start=1):
        case = _case("set", f"problem {index}")
        _verdict(case, "error", "INVALID", [problem])
        yield case
    if view.finding is not Finding.PASS and not view.problems and not _red(view):
        # A gate that stops a release must never look green.
        case = _case("gate", "verdict")
        _verdict(case, "error", view.finding.value, [view.decided])
        yield case


def _red(view: View) -> bool:
    return any(each.finding is not Finding.PASS for each in deciding(view.rules, view.requirements))


def _of_rule(rule: RuleView) -> Element:
    case = _case(rule.indicator, rule.id)
    if rule.finding is Finding.PASS:
        _output(case, rule.reasons)
    elif rule.blocking:
        kind = "failure" if rule.finding in {Finding.FAIL, Finding.INCONCLUSIVE} else "error"
        _verdict(case, kind, rule.finding.value, rule.reasons)
    else:
        state = "waived" if rule.waived else rule.tier
        reasons = "; ".join(reason.en for reason in rule.reasons)
        SubElement(case, "skipped", message=_attribute(f"{rule.finding.value} ({state}): {reasons}"))
    return case


def _of_requirement(required: Requirement) -> Element:
    case = _case(required.indicator, "required")
    if required.finding is Finding.PASS:
        _output(case, required.reasons)
    else:
        _verdict(case, "error", required.finding.value, required.reasons)
    return case


def _case(group: str, name: str) -> Element:
    return Element("testcase", classname=_attribute(f"hexgate.{group}"), name=_attribute(name))


def _verdict(case: Element, kind: str, finding: str, reasons: Iterable[Both]) -> None:
    sentences = [reason.en for reason in reasons]
    found = SubElement(
        case,
        kind,
        type=finding.lower(),
        message=_attribute(f"{finding}: {sentences[0] if sentences else 'no reason'}"),
    )
    found.text = "\n".join(sentences)


def _output(case: Element, reasons: Iterable[Both]) -> None:
    SubElement(case, "system-out").text = "\n".join(reason.en for reason in reasons)


def _attribute(value: str) -> str:
    return " ".join(value.split("\n"))
