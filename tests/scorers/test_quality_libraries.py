"""ROUGE and BERTScore: the libraries' own figures for English, and figures at all for Chinese."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError
from hexgate.scorers.quality import Item, Quality, open_quality
from support import needs
from support.tiny_models import write_bert

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("default")]

WORDS = ["the", "cat", "is", "in", "house", "and", "mill", "of", "old", "king", "U.S.", "42", "don't"]
CHINESE = Item("1", "问", "今天天气很好", ("今天的天气不错",))


def english(count: int) -> list[Item]:
    dice = random.Random(0)

    def drawn() -> str:
        return " ".join(dice.choice(WORDS) for _ in range(dice.randint(1, 15)))

    return [Item(str(number), "asked", drawn(), (drawn(), drawn())) for number in range(count)]


def value(quality: Quality) -> float:
    assert quality.value is not None, quality.reason
    return quality.value


@pytest.mark.parametrize("measure", ["rouge1", "rouge2", "rougeL", "rougeLsum"])
def test_rouge_of_english_is_that_of_the_library(measure: str) -> None:
    needs.module("rouge_score", group="heavy")
    from rouge_score.rouge_scorer import RougeScorer

    library = RougeScorer([measure])
    for item, quality in zip(
        english(30), open_quality("rouge", {"measure": measure}).score(english(30)), strict=True
    ):
        best = library.score_multi(list(item.references), item.reply)[measure]
        assert quality.value == pytest.approx(best.fmeasure)
        assert quality.parts["precision"] == pytest.approx(best.precision)
        assert quality.parts["recall"] == pytest.approx(best.recall)
        assert quality.parts[f"{measure}_f"] == quality.value


def test_rouge_of_chinese_is_by_characters() -> None:
    needs.module("rouge_score", group="heavy")
    from rouge_score.rouge_scorer import RougeScorer

    assert RougeScorer(["rouge1"]).score(CHINESE.references[0], CHINESE.reply)["rouge1"].fmeasure == 0.0
    # 今 天 天 气 in common, of six characters and of seven.
    (one,) = open_quality("rouge", {"measure": "rouge1"}).score([CHINESE])
    assert value(one) == pytest.approx(2 * 4 / (6 + 7))
    (longest,) = open_quality("rouge").score([CHINESE])
    assert value(longest) == pytest.approx(2 * 4 / (6 + 7))


def test_rouge_without_anything_to_compare() -> None:
    needs.module("rouge_score", group="heavy")
    scored = open_quality("rouge").score(
        [Item("1", "p", "a", ()), Item("2", "p", "a", ("a", "!")), Item("3", "p", "", ("a",))]
    )
    assert [one.reason for one in scored] == ["no references", "a reference without words", None]
    assert scored[2].value == 0.0


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for name in ("bert_score", "torch", "transformers"):
        needs.module(name, group="heavy")
    # The library takes a path with "t5" in it for a T5.
    made = tmp_path_factory.mktemp("t5")
    write_bert(made)
    return made


@cache
def loaded(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    return AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()


def by_hand(folder: Path, reply: str, reference: str, layer: int) -> tuple[float, float, float]:
    """Precision, recall and F after the paper's formulas, one pair at a time."""
    import torch

    tokenizer, model = loaded(folder)

    def states(text: str) -> Any:
        ids = tokenizer(text)["input_ids"][:64]
        with torch.no_grad():
            out = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[layer][0]
        return torch.nn.functional.normalize(out, dim=1)

    # The library gives the tokens that begin and end a text no weight, and still lets the others match them.
    precision = float((states(reply)[1:-1] @ states(reference).T).max(dim=1).values.mean())
    recall = float((states(reference)[1:-1] @ states(reply).T).max(dim=1).values.mean())
    return precision, recall, 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("layer", [1, 2])
def test_bertscore_equals_the_formulas(bert: Path, layer: int) -> None:
    items = english(10)
    for item, quality in zip(
        items, open_quality("bertscore", {"checkpoint": str(bert), "layer": layer}).score(items), strict=True
    ):
        each = [by_hand(bert, item.reply, reference, layer) for reference in item.references]
        precision, recall, f = (max(column) for column in zip(*each, strict=True))
        found = quality.parts
        assert (found["precision"], found["recall"], quality.value) == pytest.approx(
            (precision, recall, f), abs=1e-5
        )


def test_bertscore_refuses_what_the_checkpoint_does_not_know(bert: Path, tmp_path: Path) -> None:
    english_only = open_quality("bertscore", {"checkpoint": str(bert), "layer": 2})
    scored = english_only.score(
        [CHINESE, Item("2", "p", "the cat", ()), Item("3", "p", "", ("the cat",)), english(1)[0]]
    )
    assert [one.value is None for one in scored] == [True, True, True, False]
    assert scored[0].reason == "reply: a text with Chinese, which the checkpoint does not know"
    assert [one.reason for one in scored[1:3]] == ["no references", "reply: empty text"]
    write_bert(tmp_path, chinese=True)
    assert (
        0.0
        < value(open_quality("bertscore", {"checkpoint": str(tmp_path), "layer": 2}).score([CHINESE])[0])
        < 1.0
    )


@pytest.mark.parametrize("roberta", [False, True])
def test_bertscore_says_that_it_cut(bert: Path, tmp_path: Path, roberta: bool) -> None:
    write_bert(tmp_path, roberta=roberta)
    items = [Item("1", "p", "the cat " * 80, ("the cat",)), Item("2", "p", "the cat", ("the cat",))]
    cut, whole = open_quality("bertscore", {"checkpoint": str(tmp_path), "layer": 2}).score(items)
    assert (cut.parts["truncated"], whole.parts["truncated"]) == (True, False)
    assert value(whole) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("layer", [0, 4])
def test_bertscore_has_no_such_layer(bert: Path, layer: int) -> None:
    with pytest.raises(InputError, match=r"no such layer; got .; expected 1 to 3"):
        open_quality("bertscore", {"checkpoint": str(bert), "layer": layer})
