"""The registry of measures of quality, and those that need no packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hexgate.errors import InputError, MissingExtra
from hexgate.scorers.quality import QUALITY, Item, Quality, open_quality

LIGHT = ["exact_match", "contains", "token_f1", "distinct", "repetition", "self_bleu"]


def item(reply: str, *references: str, prompt: str = "asked") -> Item:
    return Item("1", prompt, reply, references)


def values(name: str, items: list[Item], **options: object) -> list[float | None]:
    return [quality.value for quality in open_quality(name, options).score(items)]


@pytest.mark.parametrize(
    "both", [(0.5, "a reason"), (None, None), (float("nan"), None), (float("inf"), None)]
)
def test_a_reply_has_a_finite_value_or_a_reason_and_not_both(both: tuple[float | None, str | None]) -> None:
    with pytest.raises(ValueError, match=r"either a value or a reason|finite"):
        Quality(*both)


def test_an_unknown_measure_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(InputError, match=r"did you mean 'bartscore'\?"):
        open_quality("bart_score")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("distinct", {"m": 2}, "distinct has no option 'm'; expected one of n"),
        ("distinct", {"n": "two"}, "distinct.n: an option of a wrong type; got 'two'; expected int"),
        ("distinct", {"n": True}, "distinct.n: an option of a wrong type"),
        ("distinct", {"n": 0}, "distinct.n: this option counts words; got 0"),
        ("self_bleu", {"orders": 0}, "self_bleu.orders"),
        (
            "token_f1",
            {"variant": "squad2"},
            "token_f1.variant: this cannot be chosen; got 'squad2'; expected one of squad",
        ),
        ("bartscore", {}, "bartscore needs the option 'checkpoint'"),
        ("bartscore", {"checkpoint": "x", "direction": "f1"}, "bartscore.direction: this cannot be chosen"),
        (
            "bartscore",
            {"checkpoint": "x", "languages": "fr"},
            "bartscore.languages: not the name of a language",
        ),
        ("bartscore", {"checkpoint": "x", "languages": 3}, "bartscore.languages: an option of a wrong type"),
        ("bartscore", {"checkpoint": "not-there"}, "no checkpoint"),
        ("bertscore", {"checkpoint": "not-there", "layer": 3}, "no checkpoint"),
        ("rouge", {"measure": "rougeW"}, "rouge.measure: this cannot be chosen"),
    ],
)
def test_options_that_cannot_be(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        open_quality(name, options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "module"),
    [
        ("rouge", {}, "rouge_score.rouge_scorer"),
        ("bartscore", {"checkpoint": "bart"}, "transformers"),
        ("bertscore", {"checkpoint": "bert", "layer": 1}, "bert_score"),
    ],
)
def test_a_package_that_is_missing_is_named(
    name: str, options: dict[str, object], module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("bart", "bert"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "config.json").write_text(f'{{"model_type": "{kind}"}}', encoding="utf-8")
        (tmp_path / kind / "model.safetensors").write_bytes(b"")
        (tmp_path / kind / "vocab.txt").write_bytes(b"")
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingExtra, match=r"\.\[quality\]"):
        open_quality(name, options)


def test_listing_measures_loads_none() -> None:
    loaded = "any(where.partition(':')[0] in sys.modules for where in QUALITY.values())"
    code = f"import sys; from hexgate.scorers.quality import QUALITY; sys.exit({loaded})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_answers_by_their_variant() -> None:
    items = [item("北京。", "上海", "北京"), item("Paris", "paris!"), item("", "x"), item("x")]
    assert values("exact_match", items) == [1.0, 1.0, 0.0, None]
    assert values("exact_match", items, variant="squad") == [0.0, 1.0, 0.0, None]
    halves = [item("北京第三医院", "北京大学第三医院")]
    assert values("token_f1", halves) == [pytest.approx(12 / 14)]
    assert values("token_f1", halves, variant="lcs") == [pytest.approx(8 / 14)]
    assert open_quality("token_f1").score([item("x")])[0].reason == "no references"


def test_an_answer_in_a_sentence_is_found_as_a_run_of_tokens() -> None:
    items = [
        item("It is less dense than water.", "lower density", "less dense"),
        item("It is dense, and less so than water.", "less dense"),
        item("首都是北京。", "北京"),
        item("needless density", "less dense"),
        item("", "x"),
        item("x", "。"),
        item("x"),
    ]
    assert values("contains", items) == [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, None]
    assert values("contains", [item("x = -5", "5")], variant="literal") == [0.0]


def test_each_reply_by_itself() -> None:
    items = [item("the cat the cat"), item("天天向上"), item("one")]
    assert values("distinct", items) == [pytest.approx(2 / 3), 1.0, None]
    assert values("repetition", items, n=1) == [0.5, 0.25, 0.0]
    assert open_quality("distinct", {"n": 3}).score([item("one")])[0].reason == "fewer than 3 words"


def test_self_bleu_is_among_replies_to_one_prompt() -> None:
    same, other = item("a b c d", prompt="p"), item("a b c d", prompt="q")
    assert values("self_bleu", [same, other, same]) == [pytest.approx(1.0), None, pytest.approx(1.0)]
    assert "no other to the prompt" in str(open_quality("self_bleu").score([same, other])[0].reason)


@pytest.mark.parametrize("name", LIGHT)
def test_the_same_in_any_order(name: str) -> None:
    items = [item("a b c d e", "a b"), item("e f g h a", "e"), item("天气很好不错", "天气")]
    found = values(name, items)
    assert values(name, items[::-1]) == found[::-1]
    assert values(name, []) == []


@pytest.mark.parametrize("name", LIGHT)
def test_a_light_measure_says_what_it_is(name: str) -> None:
    measure = open_quality(name)
    assert measure.name == name
    assert measure.identity["definition"] == f"{name}/1"
    assert measure.higher_is_better is (name not in {"repetition", "self_bleu"})
    assert name in QUALITY
