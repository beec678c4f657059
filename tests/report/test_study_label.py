"""The labels of a study's models: what the study knows stands on them, and why there is no letter."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from hexgate.report.label_facts import FACTS, said
from hexgate.report.studies.label import label_of
from hexgate.report.text import Lang
from hexgate.study.rating.rated import Rated, rate_study
from support.rated_studies import Given, made_reading, usual

SVG = "{http://www.w3.org/2000/svg}"


def shown(one: Rated, lang: Lang) -> str:
    """All texts of a label, without the breaks between lines."""
    root = ET.fromstring(label_of(one, lang))  # noqa: S314 - our own
    return "".join("".join(node.itertext()) for node in root.iter(f"{SVG}text")).replace(" ", "")


def rated(folder: Path, given: Given = usual, **spec: Any) -> dict[str, Rated]:
    return {one.model: one for one in rate_study(made_reading(folder, given, **spec))}


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_the_study_knows_stands_on_it(tmp_path: Path, lang: Lang) -> None:
    one = rated(tmp_path)["small"]
    text = shown(one, lang)
    for word in (
        "small",
        "BoardX,30W",
        "30W",
        "Q4_K_M",
        "llama.cpp",
        "b4321",
        "2048",
        "runs.jsonl",
        "sha256:",
    ):
        assert word in text
    assert one.about["judge"][lang].replace(" ", "") in text
    assert "big(Q4_K_M,sha256:ab12)" in text
    assert ("sequential" if lang == "en" else "逐个请求") in text


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_reference_that_is_not_rated_itself_is_named(tmp_path: Path, lang: Lang) -> None:
    def given(model: str, number: int) -> dict[str, Any]:
        return {**usual(model, number), **({"energy_j": None} if model == "big" and number == 0 else {})}

    text = shown(rated(tmp_path, given)["small"], lang)
    assert ("Referencemodelbig" if lang == "en" else "参照模型big") in text


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_without_a_letter_it_says_why(tmp_path: Path, lang: Lang) -> None:
    def given(model: str, number: int) -> dict[str, Any]:
        return {**usual(model, number), "device": "Board Y" if model == "small" else "Board X"}

    one = rated(tmp_path, given)["small"]
    assert one.rating is not None
    assert (one.letter, one.rating.index) == (None, None)
    text = shown(one, lang)
    assert ("Notrated" if lang == "en" else "未评级") in text
    assert "BoardY" in text


def test_a_model_without_a_run_has_a_label_too(tmp_path: Path) -> None:
    one = rated(tmp_path, lambda model, _: {"made": model == "big"})["small"]
    assert "noneofitsrunsisover" in shown(one, "en")
    assert "没有一次运行已完成" in shown(one, "zh")


@pytest.mark.parametrize(
    ("scope", "chinese"),
    [("board", "整板"), ("dram + package", "内存 + CPU 封装"), ("host", "整机"), ("toaster", "toaster")],
)
def test_what_was_metered_is_said_in_chinese(scope: str, chinese: str) -> None:
    fact = next(one for group in FACTS.values() for one in group if one.key == "scope")
    assert said(fact, {"scope": scope}, "zh") == chinese
    assert said(fact, {"scope": scope}, "en") == scope
