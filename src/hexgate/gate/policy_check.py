"""Mistakes of a policy that its schema cannot see: unknown names, rules that say nothing or contradict.

Every check takes whatever the file holds, so that mistakes of form and of meaning are told together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from difflib import get_close_matches
from typing import Any

from hexgate.contract.schema import Better, indicators, load_schema, measures

__all__ = ["default_id", "meaning_mistakes"]

_ABSOLUTE = ("at_least", "at_most")
_RELATIVE = ("max_loss", "max_loss_ratio")


def default_id(rule: Mapping[str, Any]) -> str:
    """The id of a rule that states none."""
    return f"{rule.get('indicator')}.{rule.get('measure')}"


def meaning_mistakes(value: Any) -> list[str]:
    """Every mistake of meaning in a parsed policy: ``$.path: what``."""
    if not isinstance(value, dict):
        return []
    rules = _objects(value.get("rules"))
    found = [line for path, rule in rules for line in _rule(path, rule)]
    found += _ids(rules)
    if isinstance(value.get("rules"), list) and not any(
        rule.get("tier", "block") == "block" for _, rule in rules
    ):
        found.append("$.rules: no rule blocks, so the gate could never fail; give one the tier block")
    required = value.get("required")
    for index, name in enumerate(required if isinstance(required, list) else []):
        found += _unknown(f"$.required[{index}]", "indicator", name, indicators())
    expect = value.get("expect")
    pinned = expect.get("datasets") if isinstance(expect, dict) else None
    for name in pinned if isinstance(pinned, dict) else {}:
        found += _unknown("$.expect.datasets", "indicator", name, indicators())
    return found + _waivers(value, rules)


def _objects(value: Any, key: str = "rules") -> list[tuple[str, Mapping[str, Any]]]:
    entries = value if isinstance(value, list) else []
    return [(f"$.{key}[{index}]", entry) for index, entry in enumerate(entries) if isinstance(entry, dict)]


def _unknown(path: str, what: str, name: Any, known: Iterable[str]) -> list[str]:
    if not isinstance(name, str) or name in known:
        return []
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
    return [f"{path}: no {what} has the name {name!r}{hint}"]


def _ids(rules: list[tuple[str, Mapping[str, Any]]]) -> list[str]:
    names = Counter(str(rule.get("id", default_id(rule))) for _, rule in rules)
    return [
        f"$.rules: {count} rules have the id {name}; give each an id of its own"
        for name, count in names.items()
        if count > 1
    ]


def _rule(path: str, rule: Mapping[str, Any]) -> list[str]:
    found = _limits(path, rule)
    indicator, measure = rule.get("indicator"), rule.get("measure")
    found += _unknown(f"{path}.indicator", "indicator", indicator, indicators())
    if indicator not in indicators():
        return found
    known = measures(indicator)
    found += _unknown(f"{path}.measure", f"measure of {indicator}", measure, known)
    if not isinstance(measure, str) or measure not in known:
        return found
    better = known[measure].better
    against = {Better.HIGHER: "at_most", Better.LOWER: "at_least"}.get(better)
    if against in rule:
        other = "at_least" if against == "at_most" else "at_most"
        found.append(
            f"{path}.{against}: {indicator}.{measure} is better when it is {better.value}; use {other}"
        )
    if better is Better.NEITHER and "baseline" in rule:
        found.append(
            f"{path}.baseline: {indicator}.{measure} is neither better high nor low, so it has no loss"
        )
    if against not in rule:
        found += _reach(path, rule, load_schema(indicator)["properties"][measure])
    return found


def _limits(path: str, rule: Mapping[str, Any]) -> list[str]:
    given = [key for key in (*_ABSOLUTE, "baseline") if key in rule]
    if len(given) != 1:
        got = " and ".join(given) or "none of them"
        return [f"{path}: got {got}, expected exactly one of at_least, at_most and baseline"]
    relative = rule.get("baseline")
    if isinstance(relative, dict) and sum(key in relative for key in _RELATIVE) != 1:
        return [f"{path}.baseline: expected exactly one of max_loss and max_loss_ratio"]
    return []


def _reach(path: str, rule: Mapping[str, Any], spec: Mapping[str, Any]) -> list[str]:
    least, greatest = spec.get("minimum"), spec.get("maximum")
    found = []
    for key in _ABSOLUTE:
        limit = rule.get(key)
        if isinstance(limit, bool) or not isinstance(limit, (int, float)):
            continue
        if (least is not None and limit < least) or (greatest is not None and limit > greatest):
            span = f"{least} to {greatest}" if greatest is not None else f"{least} or more"
            found.append(f"{path}.{key}: got {limit}, but the measure is always {span}")
        elif limit == (greatest if key == "at_most" else least) and rule.get("tier") != "track":
            found.append(f"{path}.{key}: no value breaks the limit {limit}, so the rule says nothing")
    return found


def _waivers(value: Mapping[str, Any], rules: list[tuple[str, Mapping[str, Any]]]) -> list[str]:
    ids = [str(rule.get("id", default_id(rule))) for _, rule in rules]
    found = []
    waivers = _objects(value.get("waivers"), "waivers")
    for path, waiver in waivers:
        found += _unknown(f"{path}.rule", "rule", waiver.get("rule"), ids)
        expires = waiver.get("expires")
        try:
            date.fromisoformat(expires if isinstance(expires, str) else "2000-01-01")
        except ValueError:
            found.append(f"{path}.expires: got {expires!r}, expected a day such as 2026-12-31")
    twice = Counter(str(waiver.get("rule")) for _, waiver in waivers)
    found += [
        f"$.waivers: {count} waivers are of the rule {name}" for name, count in twice.items() if count > 1
    ]
    return found
