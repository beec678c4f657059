from __future__ import annotations

from string import Formatter

import pytest

from hexgate.contract.schema import indicators, load_schema, measures
from hexgate.gate.verdict import Verdict
from hexgate.report.measure_words import INDICATORS, KEY_FIGURES, WORDS, label, meaning, short_name, title
from hexgate.report.strings import EN, ZH, text
from hexgate.report.text import Both
from hexgate.report.view import Finding


def _parts(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


def test_both_languages_have_the_same_sentences_with_the_same_parts() -> None:
    assert list(EN) == list(ZH)
    for key in EN:
        assert _parts(EN[key]) == _parts(ZH[key]), key
        assert EN[key].strip()
        assert ZH[key].strip()


def test_no_sentence_shouts_and_no_chinese_one_is_english() -> None:
    same_in_both = {key for key in EN if EN[key] == ZH[key]}
    assert same_in_both == set()
    assert not [key for key in EN if "!" in EN[key] or "！" in ZH[key]]


def test_the_words_of_the_verdicts() -> None:
    words = {finding.value: finding.word.zh for finding in Finding}
    assert words == {
        "PASS": "通过",
        "FAIL": "不通过",
        "INCONCLUSIVE": "证据不足以判定",
        "INVALID": "证据无效",
        "MISSING": "缺少证据",
        "UNJUDGED": "未判定",
    }


def test_every_verdict_of_the_gate_is_known_here() -> None:
    assert {verdict.value for verdict in Verdict} == {finding.value for finding in Finding} - {"UNJUDGED"}


def test_a_part_in_both_languages_follows_its_sentence() -> None:
    assert text("title", verdict=Both("Pass", "通过"), subject="m") == Both("Pass: m", "通过：m")
    with pytest.raises(KeyError):
        text("title", verdict="PASS")


def test_the_six_are_the_six() -> None:
    assert sorted(INDICATORS) == list(indicators())
    for name in INDICATORS:
        assert short_name(name).en != short_name(name).zh
        assert title(name).en != title(name).zh


@pytest.mark.parametrize("indicator", INDICATORS)
def test_every_measure_has_its_words_in_both_languages(indicator: str) -> None:
    assert set(WORDS[indicator]) == set(measures(indicator))
    for measure in measures(indicator):
        assert label(indicator, measure).en
        assert meaning(indicator, measure).zh.endswith("。")
    assert set(KEY_FIGURES[indicator]) <= set(measures(indicator))
    assert KEY_FIGURES[indicator][0] == load_schema(indicator)["x-headline"]


def test_a_measure_that_is_not_known_yet_is_shown_under_its_key() -> None:
    assert label("toxicity", "new_one") == Both("new_one", "new_one")
    assert short_name("seventh").zh == "seventh"
