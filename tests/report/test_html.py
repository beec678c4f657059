from __future__ import annotations

import copy
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import hexgate.report.html
from hexgate.contract.consistency import inconsistencies
from hexgate.contract.schema import schema_mistakes
from hexgate.report.html import MOST_BYTES, render_html
from hexgate.report.measure_words import INDICATORS
from hexgate.report.strings import EN, ZH

Json = dict[str, Any]

ATTACK = "\"'></style></script><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}\x00\u202e"
VOID = {"meta", "br", "wbr", "img", "link", "input", "hr", "col"}
CSS = (Path(hexgate.report.html.__file__).parent / "templates" / "report.css").read_text("utf-8")


class Page(HTMLParser):
    """The page as a browser would take it: its tags, its attributes, its words by language."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[tuple[str, str]] = []
        self.words: dict[str, list[str]] = {"en": [], "zh-CN": [], "": []}
        self.feed(page)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.tags.append(tag)
        self.attributes += [(tag, key, value) for key, value in given.items()]
        if tag not in VOID:
            self.open.append((tag, given.get("lang", "") if tag != "html" else ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, key, value or "") for key, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1][0] == tag, f"</{tag}> closes {self.open[-1][0]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if any(tag in {"style", "script"} for tag, _ in self.open):
            return
        lang = next((lang for _, lang in reversed(self.open) if lang), "")
        self.words[lang].append(data)

    def text(self, lang: str = "en") -> str:
        other = {"en": "zh-CN", "zh-CN": "en"}[lang]
        return " ".join(word for key, words in self.words.items() if key != other for word in words)


def test_the_example_keeps_every_contract(verdict: Json, artifacts: list[Json]) -> None:
    assert schema_mistakes("verdict", verdict) == []
    for artifact in artifacts:
        assert schema_mistakes(artifact["indicator"], artifact) == []
        assert inconsistencies(artifact) == []


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_verdict_comes_first_then_the_rules_then_the_six(
    verdict: Json, artifacts: list[Json], lang: str
) -> None:
    html = render_html(verdict, artifacts, lang=lang)  # type: ignore[arg-type]
    page = Page(html)
    assert len(html.encode()) < 250_000
    assert f'data-lang="{lang}"' in html
    places = [html.index(f'id="{name}"') for name in ("rules", "care", *INDICATORS, "notes", "recompute")]
    assert html.index("<h1>") < places[0]
    assert places == sorted(places)
    assert page.tags.count("h1") == 1
    assert tuple(tag for tag in page.tags if tag in {"main", "section"})[:2] == ("main", "section")


def test_it_says_what_decided_and_what_to_do(verdict: Json, artifacts: list[Json]) -> None:
    page = Page(render_html(verdict, artifacts, lang="en"))
    english, chinese = page.text("en"), page.text("zh-CN")
    assert "Inconclusive" in english
    assert "1 of 6 blocking rules: the evidence does not decide." in english
    assert "Measure toxicity.toxic_ratio again with at least 410 more samples." in english
    assert "证据不足以判定" in chinese
    assert "请至少再增加 410 个样本，重新测量 toxicity.toxic_ratio。" in chinese
    for words in (english, chinese):
        assert "hexgate recompute artifacts" in words
        assert verdict["rules"][0]["artifact"].split("/")[1].removesuffix(".json") in words


def test_figures_charts_digests_and_provenance_are_there(verdict: Json, artifacts: list[Json]) -> None:
    html = render_html(verdict, artifacts, lang="en")
    english = Page(html).text("en")
    for artifact in artifacts:
        for file in artifact["evidence"].values():
            assert file["sha256"] in english
            assert file["path"] in english
        assert artifact["dataset"]["name"] in english
        assert artifact["method"]["definition"] in english
    for title in ("Distribution of latency", "Throughput by window", "F1 by class", "Power over time"):
        assert html.count(f"<title>{title}</title>") == 1
    assert "Cannot certify: may fail a rule" in english
    assert "a word list whose errors were never measured" in english
    assert "Demonstration data, not a benchmark" in english
    assert re.search(r"0\.0951\u202f</span><wbr><span class=.nb unit.><span lang=.en.>J/req", html)
    assert "the target does not stream" in english


def test_nothing_is_loaded_from_anywhere(verdict: Json, artifacts: list[Json]) -> None:
    for artifact in artifacts:
        artifact["subject"]["uri"] = "https://example.org/v1"
    html = render_html(verdict, artifacts, lang="en")
    page = Page(html)
    loading = {
        "src",
        "srcset",
        "href",
        "xlink:href",
        "action",
        "data",
        "poster",
        "background",
        "ping",
        "style",
    }
    for tag, name, value in page.attributes:
        if name in loading:
            assert value.startswith("#"), f"<{tag} {name}={value}>"
    assert not {"link", "img", "iframe", "object", "embed", "base", "form", "video", "audio"} & set(page.tags)
    assert not re.search(r"url\(|@import|@font-face|fetch\(|XMLHttpRequest|WebSocket|import\(", html)
    assert "default-src &#39;none&#39;" in html or "default-src 'none'" in html


def _poisoned(value: Any, keep: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {key: entry if key in keep else _poisoned(entry, keep) for key, entry in value.items()}
    if isinstance(value, list):
        return [_poisoned(entry, keep) for entry in value]
    return ATTACK if isinstance(value, str) else value


def test_hostile_text_stays_text(verdict: Json, artifacts: list[Json]) -> None:
    kept = frozenset({"schema", "indicator", "status", "trust", "verdict", "comparator", "params", "code"})
    clean_page = Page(render_html(verdict, artifacts, lang="en"))
    html = render_html(_poisoned(verdict, kept), [_poisoned(each, kept) for each in artifacts], lang="en")
    page = Page(html)
    assert page.tags.count("script") == 1
    assert set(page.tags) == set(clean_page.tags)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "alert(1)" in page.text("en")
    assert "{{7*7}}" in page.text("en")
    assert "\x00" not in html
    assert "\u202e" not in html


def test_hostile_keys_stay_text_too(verdict: Json, artifacts: list[Json]) -> None:
    artifacts[0]["method"][ATTACK] = {ATTACK: [ATTACK] * 100}
    artifacts[0]["environment"]["packages"] = {f"{ATTACK}{k}": ATTACK for k in range(300)}
    artifacts[0]["missing"] = {ATTACK: ATTACK}
    artifacts[4]["cannot_certify"] = {ATTACK: ATTACK}
    artifacts[0]["per_class"][0]["label"] = ATTACK
    artifacts[4]["groups"][0]["group"] = ATTACK
    verdict["rules"][0]["measure"] = ATTACK
    verdict["rules"][0]["unit"] = ATTACK
    page = Page(render_html(verdict, artifacts, lang="zh"))
    assert page.tags.count("script") == 1
    assert "img" not in page.tags


def test_huge_strings_and_two_hundred_rules_fit(verdict: Json, artifacts: list[Json]) -> None:
    verdict["rules"] = [
        {**copy.deepcopy(rule), "id": f"rule-{k}", "why": "x" * 10_000}
        for k in range(40)
        for rule in verdict["rules"][:5]
    ]
    for artifact in artifacts:
        artifact["subject"]["name"] = "n" * 1_000_000
        artifact["invalid_reasons"] = ["r" * 50_000] * 500
        artifact["method"] |= {f"key{k}": "v" * 5000 for k in range(500)}
    html = render_html(verdict, artifacts, lang="en")
    page = Page(html)
    assert len(html.encode()) <= MOST_BYTES
    words = page.text("en")
    shown = words.count("rule-")
    assert shown == 200 or f"{200 - shown} more rules are not shown here" in words
    assert "toxicity.toxic_ratio" in words


def test_no_verdict_makes_the_page_larger(verdict: Json, artifacts: list[Json]) -> None:
    reason = {"code": "x", "params": {}, "text": '"' * 5000}
    verdict["rules"] = [
        {
            **copy.deepcopy(rule),
            "id": "r" * 5000,
            "reasons": [reason] * 50,
            "verdict": "FAIL",
            "tier": "block",
        }
        for _ in range(100)
        for rule in verdict["rules"]
    ]
    verdict |= {"verdict": "FAIL", "problems": [reason] * 500, "notes": [reason] * 500}
    verdict["unused_artifacts"] = ['"' * 5000] * 500
    verdict["folders"] = ['"' * 5000] * 500
    html = render_html(verdict, artifacts, lang="zh")
    assert len(html.encode()) <= MOST_BYTES
    assert "不通过" in Page(html).text("zh-CN")


def test_two_hundred_ordinary_rules_are_all_shown(verdict: Json, artifacts: list[Json]) -> None:
    verdict["rules"] = [
        {**copy.deepcopy(rule), "id": f"rule-{k}-{rule['id']}"}
        for k in range(29)
        for rule in verdict["rules"]
    ][:200]
    html = render_html(verdict, artifacts, lang="en")
    assert len(html.encode()) <= MOST_BYTES
    assert Page(html).text("en").count("rule-") == 200


def test_missing_indicators_say_so(verdict: Json, artifacts: list[Json]) -> None:
    page = Page(render_html(verdict, artifacts[:2], lang="en"))
    assert page.text("en").count("There is no artifact of this indicator.") == 4
    assert page.text("en").count("nothing is known about it") >= 4
    assert "hexgate run --indicator toxicity" in page.text("en")
    nothing = Page(render_html(verdict, [], lang="zh"))
    assert nothing.text("zh-CN").count("没有该指标的结果文件") == 6


def test_null_values_are_words_with_their_reason(
    verdict: Json, artifacts: list[Json], make_artifact: Callable[..., Json]
) -> None:
    failed = [
        make_artifact(
            name,
            {},
            status="failed",
            invalid_reasons=["the target did not answer"],
            missing={"f1": "the target did not answer"} if name == "accuracy_f1" else {},
        )
        for name in INDICATORS
    ]
    for rule in verdict["rules"]:
        rule |= {"value": None, "interval": None, "n": None, "artifact": None, "verdict": "INVALID"}
    verdict |= {"verdict": "INVALID", "exit_code": 4}
    words = Page(render_html(verdict, failed, lang="en")).text("en")
    assert "Evidence invalid" in words
    assert "not measured" in words
    assert "the target did not answer" in words
    assert "nan" not in words.lower().split()
    assert "None" not in words.split()


def test_a_value_just_over_its_limit_is_never_shown_as_the_limit(
    verdict: Json, artifacts: list[Json]
) -> None:
    rule = verdict["rules"][4]
    rule |= {"value": 0.0050004, "limit": 0.005, "verdict": "FAIL"}
    artifacts[4]["toxic_ratio"] = 0.0050004
    words = Page(render_html(verdict, artifacts, lang="en")).text("en")
    assert "0.0050004" in words


@pytest.mark.parametrize("finding", ["PASS", "FAIL", "INCONCLUSIVE", "INVALID", "MISSING"])
def test_every_verdict_has_its_word_its_colour_and_its_next_step(
    verdict: Json, artifacts: list[Json], finding: str
) -> None:
    verdict["verdict"] = finding
    for rule in verdict["rules"]:
        rule["verdict"] = finding
    html = render_html(verdict, artifacts, lang="en")
    assert f'<div class="hero v-{finding.lower()}">' in html
    page = Page(html)
    assert EN[finding] in page.text("en")
    assert ZH[finding] in page.text("zh-CN")


def test_loss_against_a_baseline_is_shown(verdict: Json, artifacts: list[Json]) -> None:
    verdict["rules"][0] |= {
        "comparator": "max_loss",
        "limit": 0.01,
        "baseline_value": 0.98,
        "loss": {"value": 0.0071, "low": 0.0011, "high": 0.0132, "method": "paired bootstrap"},
    }
    page = Page(render_html(verdict, artifacts, lang="en"))
    assert "loses ≤ 0.01" in page.text("en")
    assert "loss 0.0071 (0.0011\u202f–\u202f0.0132) against 0.980" in page.text("en")
    assert "较基线 0.980 损失 0.0071" in page.text("zh-CN")


def test_requirements_problems_waivers_and_caveats_are_shown(verdict: Json, artifacts: list[Json]) -> None:
    reason = {"code": "no_artifact", "params": {"indicator": "toxicity"}, "text": "toxicity: there is none"}
    verdict["requirements"] = [{"indicator": "toxicity", "verdict": "MISSING", "reasons": [reason]}]
    verdict["problems"] = [{"code": "x", "params": {}, "text": "two artifacts say different things"}]
    verdict["unused_artifacts"] = ["artifacts/old.json"]
    verdict["rules"][0]["waived"] = {
        "rule": "accuracy_f1.f1",
        "owner": "a",
        "reason": "b",
        "expires": "2030-01-01",
        "verdicts": ["FAIL"],
    }
    artifacts[5] |= {"measurement": "estimated", "trust": "imported-asserted"}
    artifacts[1]["dataset"]["limit"] = 100
    artifacts[2]["provenance"]["git_dirty"] = True
    words = Page(render_html(verdict, artifacts, lang="en")).text("en")
    for sentence in (
        "there is none",
        "two artifacts say different things",
        "artifacts/old.json",
        "accuracy_f1.f1 is waived",
        "an estimate from declared watts",
        "taken on its word",
        "items only",
        "uncommitted changes",
        "is not measured here",
    ):
        assert sentence in words
    chinese = Page(render_html(verdict, artifacts, lang="zh")).text("zh-CN")
    assert "toxicity：没有它的结果文件" in chinese or "toxicity" in chinese


def test_several_artifacts_of_one_indicator_are_all_named(verdict: Json, artifacts: list[Json]) -> None:
    words = Page(render_html(verdict, artifacts + [artifacts[0]] * 4, lang="en")).text("en")
    assert "Artifact 1 of 5 for this indicator" in words
    assert "2 more artifacts of this indicator are not shown." in words


def test_the_same_input_gives_the_same_page(verdict: Json, artifacts: list[Json]) -> None:
    before = copy.deepcopy((verdict, artifacts))
    first = render_html(verdict, artifacts, lang="en")
    assert render_html(verdict, artifacts, lang="en") == first
    assert (verdict, artifacts) == before, "a renderer changes nothing that the caller holds"


def _palettes() -> dict[str, dict[str, str]]:
    blocks = {
        "light": CSS[CSS.index(":root {") :],
        "dark, by the system": CSS[CSS.index(':root:not([data-theme="light"])') :],
        "dark, by the button": CSS[CSS.index(':root[data-theme="dark"] {') :],
        "print": CSS[CSS.index("@media print") :],
    }
    return {
        name: dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block[: block.index("}")]))
        for name, block in blocks.items()
    }


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("name", ["light", "dark, by the system", "dark, by the button", "print"])
def test_every_text_has_contrast_enough(name: str) -> None:
    palette = _palettes()[name]
    pairs = [(ink, ground) for ink in ("ink", "soft") for ground in ("page", "paper", "faint")]
    pairs += [(ink, "paper") for ink in ("limit", "second", "accent")]
    for verdict in ("pass", "fail", "inconclusive", "invalid", "missing", "unjudged", "accepted"):
        pairs += [(verdict, "paper"), (verdict, f"{verdict}-bg"), ("ink", f"{verdict}-bg")]
    for ink, ground in pairs:
        assert _contrast(palette[ink], palette[ground]) >= 4.5, f"{ink} on {ground}"


def test_the_two_dark_palettes_are_one() -> None:
    palettes = _palettes()
    assert palettes["dark, by the system"] == palettes["dark, by the button"]
    assert palettes["light"].keys() == palettes["print"].keys() == palettes["dark, by the button"].keys()
