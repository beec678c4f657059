from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from hexgate.report.markdown import MOST_BYTES, render_markdown
from hexgate.report.measure_words import INDICATORS
from hexgate.report.strings import EN, ZH

Json = dict[str, Any]

ATTACK = "x | y\n\n# h <script>alert(1)</script> [a](http://b) @someone #1 `c` *d* ~~e~~ ![f](g) \x00\u202e"


def _cells(line: str) -> int:
    return len(re.findall(r"(?<!\\)\|", line)) - 1


def _tables_are_whole(page: str) -> None:
    columns = None
    for line in page.splitlines():
        if line.startswith("|"):
            columns = columns or _cells(line)
            assert _cells(line) == columns, line
        else:
            columns = None


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_verdict_is_the_first_line_and_one_table_follows(
    verdict: Json, artifacts: list[Json], lang: str
) -> None:
    page = render_markdown(verdict, artifacts, lang=lang)  # type: ignore[arg-type]
    words = {"en": EN, "zh": ZH}[lang]
    lines = page.splitlines()
    colon = {"en": ": ", "zh": "："}[lang]
    assert lines[0] == f"## ❔ {words['INCONCLUSIVE']}{colon}hexgate-demo-digits"
    assert page.index(words["demonstration"]) < page.index("| --- |")
    assert page.index("`toxicity.toxic_ratio`") < page.index("<details>")
    assert page.count("<details>") == page.count("</details>") >= len(INDICATORS)
    _tables_are_whole(page)
    assert len(page.encode()) < MOST_BYTES
    assert words["md_cut"] not in page


def test_every_rule_has_its_row_and_every_undecided_one_its_reason(
    verdict: Json, artifacts: list[Json]
) -> None:
    page = render_markdown(verdict, artifacts, lang="en")
    table = [line for line in page.split("<details>")[0].splitlines() if line.startswith("| ")]
    assert len(table) == 2 + len(verdict["rules"])
    assert "| 0.973 | 0.961\u202f–\u202f0.985 | ≥\u202f0.75 | 719 | ✅ Pass |" in page
    assert "about 410 more samples like these would decide it" in page
    assert "(warns)" in page


def test_hostile_text_neither_breaks_the_table_nor_calls_anybody(
    verdict: Json, artifacts: list[Json]
) -> None:
    for rule in verdict["rules"]:
        rule |= {"id": ATTACK, "reasons": [{"code": "x", "params": {}, "text": ATTACK}]}
    verdict["policy"]["name"] = ATTACK
    verdict["problems"] = [{"code": "x", "params": {}, "text": ATTACK}]
    verdict["unused_artifacts"] = [ATTACK]
    for artifact in artifacts:
        artifact["subject"]["name"] = ATTACK
        artifact["missing"] = {ATTACK: ATTACK}
    verdict["subject"]["name"] = ATTACK
    page = render_markdown(verdict, artifacts, lang="en")
    _tables_are_whole(page)
    outside = re.sub(r"`[^`]*`", "", page)
    assert "<script" not in outside
    assert "@someone" not in outside
    assert "http://b" not in outside
    assert not re.search(r"#1\b", outside)
    assert not re.search(r"(?<!\\)\[a(?<!\\)\]", outside)
    assert set(re.findall(r"</?([a-z]+)", outside)) <= {"details", "summary", "br", "sub"}
    assert "\x00" not in page
    assert "\u202e" not in page
    assert [line for line in page.splitlines() if line.startswith("# ")] == []


def test_it_always_fits_in_a_comment(verdict: Json, artifacts: list[Json]) -> None:
    rules = [
        {
            **copy.deepcopy(rule),
            "id": f"{k}-{'界' * 200}",
            "reasons": [{"code": "x", "params": {}, "text": "界" * 5000}] * 9,
        }
        for k in range(400)
        for rule in verdict["rules"]
    ]
    verdict["problems"] = [{"code": "x", "params": {}, "text": "p" * 5000}] * 300
    for artifact in artifacts:
        artifact["missing"] = {f"m{k}": "r" * 2000 + str(k) for k in range(400)}
    for some in (rules, rules[:200], verdict["rules"]):
        page = render_markdown(verdict | {"rules": some}, artifacts, lang="zh")
        assert len(page.encode()) <= MOST_BYTES
        assert page.startswith("## ❔ 证据不足以判定")
        assert page.count("<details>") == page.count("</details>")
        assert ZH["md_cut"] in page
        _tables_are_whole(page)
    assert "条规则未在此列出" in render_markdown(verdict | {"rules": rules}, artifacts, lang="zh")


def test_two_hundred_ordinary_rules_keep_those_that_do_not_pass(verdict: Json, artifacts: list[Json]) -> None:
    verdict["rules"] = [
        {**copy.deepcopy(rule), "id": f"rule-{k}-{rule['id']}"}
        for k in range(29)
        for rule in verdict["rules"]
    ][:200]
    page = render_markdown(verdict, artifacts, lang="en")
    assert len(page.encode()) <= MOST_BYTES
    table = page.split("\n\n- ")[0]
    for rule in verdict["rules"]:
        if rule["verdict"] != "PASS" and rule["tier"] == "block":
            assert f"`{rule['id']}`" in table


def test_missing_indicators_are_named(verdict: Json, artifacts: list[Json]) -> None:
    page = render_markdown(verdict, artifacts[:4], lang="en")
    assert r"nothing is known of:** Toxicity \(toxicity\), Energy \(power\_efficiency\)" in page
    assert "Details of Toxicity" not in page
    assert render_markdown(verdict, [], lang="zh").count("<details>") >= 1


def test_null_values_are_words(verdict: Json) -> None:
    for rule in verdict["rules"]:
        rule |= {"value": None, "interval": None, "n": None, "verdict": "MISSING"}
    page = render_markdown(verdict | {"verdict": "MISSING"}, [], lang="en")
    assert "| not measured | — | ≥\u202f0.75 | — | ⬜ Evidence missing |" in page
    assert "Measure what is missing with `hexgate run`." in page
    assert "None" not in page
