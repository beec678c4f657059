"""The label: one whole SVG with every fact in it, in both languages, and nothing from outside."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexgate.errors import InputError
from hexgate.metrics.rating import freeze, rate
from hexgate.metrics.rating_parts import SCHEME, Basis, Floor, Served
from hexgate.report.label import label_svg
from hexgate.report.label_facts import FACTS, label_facts, said
from hexgate.report.text import Lang

SVG = "{http://www.w3.org/2000/svg}"
LANGS: tuple[Lang, ...] = ("en", "zh")

FACTS_GIVEN: dict[str, Any] = {
    "model": "tiny-chat 0.5B",
    "letter": "C",
    "letters": ["B", "C"],
    "index": 0.5528,
    "index_interval": [0.4903, 0.6207],
    "level": 0.95,
    "joules_per_request": 12.34,
    "joules_per_request_interval": [11.9, 12.8],
    "joules_per_output_token": 0.0817,
    "joules_per_accepted": 15.02,
    "acceptance": 0.8216,
    "quality": 0.77,
    "judge": "judge-model at T 0",
    "judge_version": "hexgate-judge/1",
    "floor": {"en": "accepted at least 0.7", "zh": "接受率不低于 0.7"},
    "device": "Board & Sons <Orin> 64 GB",
    "scope": "module",
    "power_mode": "30 W",
    "precision": "Q4_K_M",
    "server": "llama.cpp server",
    "server_version": "b4321",
    "context": 4096,
    "load": "sequential",
    "cache": "cold",
    "thinking": "off",
    "energy": "gross",
    "reference": "reference-7B",
    "reference_joules": 47.06,
    "suite": "sha256:" + "ab" * 32,
    "scheme": SCHEME.version,
    "date": "2026-11-21",
    "evidence": "sha256:" + "cd" * 32,
}

UNRATED = FACTS_GIVEN | {
    "letter": None,
    "letters": None,
    "index": None,
    "index_interval": None,
    "refusals": [{"en": "70 of 80 requests were answered", "zh": "80 次请求中只有 70 次得到回答"}],
}


def texts(svg: str) -> list[str]:
    root = ET.fromstring(svg)  # noqa: S314 - our own
    return ["".join(node.itertext()) for node in root.iter(f"{SVG}text")]


def joined(svg: str) -> str:
    """All texts without the breaks between lines."""
    return "".join(texts(svg)).replace(" ", "")


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("facts", [FACTS_GIVEN, UNRATED], ids=["rated", "not rated"])
def test_every_fact_is_on_it(lang: Lang, facts: dict[str, Any]) -> None:
    shown = joined(label_svg(facts, lang))
    for group in FACTS.values():
        for fact in group:
            assert fact.name(lang).replace(" ", "") in shown
            assert facts[fact.key] is not None
            assert said(fact, facts, lang).replace(" ", "") in shown
    assert ("module" if lang == "en" else "模组") in shown
    assert "Board&Sons<Orin>64GB" in shown
    for number in ("12.34", "0.0817", "15.02", "0.8216", "47.06", "4096"):
        assert number in shown
    assert "(11.90–12.80)" in shown.replace("\u202f", "")


@pytest.mark.parametrize(
    ("lang", "words"), [("en", "95%interval0.490to0.621"), ("zh", "95%置信区间0.490至0.621")]
)
def test_letter_index_and_interval_are_on_it(lang: Lang, words: str) -> None:
    svg = label_svg(FACTS_GIVEN, lang)
    assert "C" in texts(svg)
    shown = joined(svg).replace("\u202f", "")
    assert "0.553" in shown
    assert words in shown
    assert ("intervalspansBtoC" if lang == "en" else "区间跨越B至C级") in shown


@pytest.mark.parametrize(("lang", "word"), [("en", "Not rated"), ("zh", "未评级")])
def test_not_rated_says_why_and_shows_no_letter(lang: Lang, word: str) -> None:
    svg = label_svg(UNRATED, lang)
    assert word in texts(svg)
    assert UNRATED["refusals"][0][lang].replace(" ", "") in joined(svg)
    assert "EEI" not in joined(svg)
    assert not any(text in set("ABCDEFG") for text in texts(svg))


@pytest.mark.parametrize(("lang", "word"), [("en", "not stated"), ("zh", "未说明")])
def test_what_is_missing_is_said(lang: Lang, word: str) -> None:
    bare = {
        key: FACTS_GIVEN[key] for key in ("model", "letter", "letters", "index", "index_interval", "scheme")
    }
    shown = texts(label_svg(bare, lang))
    count = sum(len(group) for group in FACTS.values())
    assert shown.count(word) == count - 1
    reasons = {"joules_per_accepted": {"en": "no answer was accepted", "zh": "没有回答被接受"}}
    told = joined(label_svg(bare | {"reasons": reasons}, lang))
    assert reasons["joules_per_accepted"][lang].replace(" ", "") in told


@pytest.mark.parametrize("lang", LANGS)
def test_it_takes_nothing_from_outside(lang: Lang) -> None:
    svg = label_svg(FACTS_GIVEN, lang)
    assert "http" not in svg.replace('xmlns="http://www.w3.org/2000/svg"', "")
    for word in ("<script", "<style", "<image", "href", "url(", " id=", "@import"):
        assert word not in svg
    assert f'lang="{"zh-CN" if lang == "zh" else "en"}"' in svg


@pytest.mark.parametrize("lang", LANGS)
def test_everything_lies_inside_of_the_page(lang: Lang) -> None:
    long = {key: f"{value} " * 9 if isinstance(value, str) else value for key, value in FACTS_GIVEN.items()}
    keep = {key: FACTS_GIVEN[key] for key in ("letter", "scheme", "model")}
    for facts in (
        FACTS_GIVEN,
        long | keep,
        UNRATED,
        FACTS_GIVEN | {"letter": "G", "index_interval": [0.01, 9.0]},
    ):
        root = ET.fromstring(label_svg(facts, lang))  # noqa: S314 - our own
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        for node in root.iter():
            for name, most in (("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height)):
                assert 0 <= float(node.attrib.get(name, 0)) <= most
        assert max(float(node.attrib["y"]) for node in root.iter(f"{SVG}text")) < height


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(FACTS_GIVEN)), st.text(max_size=80)), st.sampled_from(LANGS))
def test_no_text_breaks_the_document(strange: dict[str, str], lang: Lang) -> None:
    facts = FACTS_GIVEN | {
        key: value for key, value in strange.items() if isinstance(FACTS_GIVEN[key], str) and value
    }
    facts |= {"letter": "C", "scheme": SCHEME.version}
    ET.fromstring(label_svg(facts, lang))  # noqa: S314 - our own


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": ""},
        {"letter": "H"},
        {"letter": "AB"},
        {"letter": "B"},
        {"letter": "D"},
        {"index_interval": [0.4903, 0.65]},
        {"index": None},
        {"index_interval": None},
        {"index_interval": [0.4, None]},
        {"letter": None},
        {"scheme": "hexgate-rating/0"},
    ],
)
def test_a_label_that_would_mislead_is_not_drawn(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        label_svg(FACTS_GIVEN | wrong)


BASIS = Basis(suite="sha256:" + "ab" * 32, device="a device", scope="board")


@pytest.mark.parametrize("lang", LANGS)
def test_a_rating_becomes_a_label(lang: Lang) -> None:
    served = [
        Served(f"q{i}", 10.0 + i % 7, accepted=i % 5 > 0, quality=0.8, output_tokens=80) for i in range(60)
    ]
    scheme = replace(SCHEME, resamples=200)
    reference = freeze("big", [replace(one, energy_j=60.0) for one in served], BASIS)
    about = {"model": "small", "judge": "j", "date": "2026-11-21"}
    good = rate(served, BASIS, reference, Floor(acceptance=0.7), scheme=scheme)
    svg = label_svg(label_facts(good.to_json(), about), lang)
    assert good.letter in texts(svg)
    assert "big" in joined(svg)
    assert ("acceptedatleast0.7" if lang == "en" else "接受率不低于0.7") in joined(svg)
    bad = rate(served, BASIS, reference, Floor(acceptance=0.9), scheme=scheme)
    shown = joined(label_svg(label_facts(bad.to_json(), about), lang))
    assert getattr(bad.refusals[0], lang).replace(" ", "") in shown
    nothing = rate([replace(one, accepted=False) for one in served], BASIS, reference, Floor(acceptance=0.0))
    shown = joined(label_svg(label_facts(nothing.to_json(), about), lang))
    assert ("noanswerwasaccepted" if lang == "en" else "没有回答被接受") in shown


def test_numbers_have_thin_spaces_that_every_reader_of_xml_takes() -> None:
    assert not re.search(r"&(?!amp;|lt;|gt;|#34;|#39;)", label_svg(FACTS_GIVEN))


IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"


@pytest.mark.parametrize(
    ("name", "facts"), [("rating-label", FACTS_GIVEN), ("rating-label-unrated", UNRATED)]
)
def test_the_labels_in_the_docs_are_what_is_drawn(name: str, facts: dict[str, Any]) -> None:
    # HEXGATE_WRITE_IMAGES=1 draws them again.
    path, drawn = IMAGES / f"{name}.svg", label_svg(facts)
    if os.environ.get("HEXGATE_WRITE_IMAGES") == "1":
        path.write_text(drawn, encoding="utf-8")
    assert path.read_text("utf-8") == drawn
