"""BARTScore on a tiny random BART, against a loop that reads off one probability after the other."""

from __future__ import annotations

import os
import random
import shutil
import socket
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError
from hexgate.scorers.bart_quality import Direction
from hexgate.scorers.bartscore import BartScorer, PairScore
from hexgate.scorers.quality import Item, open_quality
from support import needs
from support.tiny_models import CHINESE, write_bart

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("default")]

GOLDEN = "HEXGATE_BART_LARGE_CNN"
WORDS = [
    "the",
    "cat",
    "is",
    "in",
    "house",
    "and",
    "mill",
    "of",
    "old",
    "king",
    "with",
    "zebra",
    "42",
    ",",
    "quickly",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    for name in ("torch", "transformers", "tokenizers"):
        needs.module(name, group="heavy")
    import torch

    # So small a model is slower on several cores, and far slower where others use them too.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = tmp_path_factory.mktemp("bart")
    write_bart(made)
    yield made
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def scorer(folder: Path) -> BartScorer:
    return BartScorer.open(folder)


def sentence(dice: random.Random, longest: int) -> str:
    return " ".join(dice.choice(WORDS) for _ in range(dice.randint(1, longest)))


def drawn(count: int, seed: int = 0) -> list[tuple[str, str]]:
    dice = random.Random(seed)
    return [(sentence(dice, 25), sentence(dice, 25)) for _ in range(count)]


@cache
def loaded(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoTokenizer, BartForConditionalGeneration

    return AutoTokenizer.from_pretrained(folder), BartForConditionalGeneration.from_pretrained(folder).eval()


def by_hand(folder: Path, source: str, target: str, most: int = 64) -> float:
    """The definition: no batch, no padding, one token after the other, each in a pass of its own."""
    import torch

    tokenizer, model = loaded(folder)

    def cut(text: str) -> list[int]:
        ids: list[int] = tokenizer(text)["input_ids"]
        return ids if len(ids) <= most else [*ids[: most - 1], ids[-1]]

    read, wanted = cut(source), cut(target)
    total = 0.0
    with torch.no_grad():
        for place, token in enumerate(wanted):
            before = [model.config.decoder_start_token_id, *wanted[:place]]
            logits = model(input_ids=torch.tensor([read]), decoder_input_ids=torch.tensor([before])).logits[
                0, -1
            ]
            total += float(torch.log_softmax(logits.double(), dim=0)[token])
    return total / len(wanted)


def values(scores: list[PairScore]) -> list[float]:
    assert all(score.value is not None for score in scores), scores
    return [score.value for score in scores if score.value is not None]


def test_equals_the_definition(folder: Path, scorer: BartScorer) -> None:
    pairs = drawn(12)
    found = values(scorer.score(pairs))
    assert found == pytest.approx([by_hand(folder, *pair) for pair in pairs], abs=1e-5)
    # The model is random but has tastes: a constant would agree with anything.
    assert max(found) - min(found) > 0.5
    assert max(found) < 0.0


@pytest.mark.parametrize("batch_tokens", [1, 60, 300, 100_000])
def test_neither_order_nor_batch_size_matters(folder: Path, scorer: BartScorer, batch_tokens: int) -> None:
    pairs = drawn(24, seed=1)
    expected = dict(zip(pairs, values(scorer.score(pairs)), strict=True))
    other = BartScorer.open(folder, batch_tokens=batch_tokens)
    for seed in range(2):
        random.Random(seed).shuffle(pairs)
        assert values(other.score(pairs)) == pytest.approx([expected[pair] for pair in pairs], abs=1e-5)


def test_what_stands_beside_a_pair_does_not_matter(scorer: BartScorer) -> None:
    one = ("the cat", "the mill of the king")
    alone = values(scorer.score([one]))[0]
    beside = scorer.score([one, ("", "x"), *drawn(9, seed=2), ("the cat", "你好世界"), one])
    assert beside[0].value == pytest.approx(alone, abs=1e-5)
    assert beside[-1].value == pytest.approx(alone, abs=1e-5)
    assert [place for place, score in enumerate(beside) if score.value is None] == [1, len(beside) - 2]


def test_nothing_is_nothing(scorer: BartScorer) -> None:
    assert scorer.score([]) == []


def test_long_texts_are_cut_and_said_to_be(folder: Path, scorer: BartScorer) -> None:
    long = "the old mill " * 60
    both, source, target, neither = scorer.score(
        [(long, long), (long, "a cat"), ("a cat", long), ("a", "cat")]
    )
    assert [score.truncated for score in (both, source, target, neither)] == [True, True, True, False]
    expected = [by_hand(folder, *pair) for pair in [(long, long), (long, "a cat"), ("a cat", long)]]
    assert values([both, source, target]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("", "the cat", "source: empty text"),
        ("the cat", " \n", "target: empty text"),
        ("the cat", "今天天气很好", "target: a text with Chinese, which the checkpoint does not know"),
        ("模型 model", "the cat", "source: a text with Chinese, which the checkpoint does not know"),
        ("the cat", "сегодня хорошо", "target: more than a fifth of the letters are of a script"),
    ],
)
def test_a_text_that_it_cannot_know_has_a_reason_and_no_number(
    scorer: BartScorer, source: str, target: str, reason: str
) -> None:
    assert scorer.languages == {"en"}
    (score,) = scorer.score([(source, target)])
    assert score.value is None
    assert score.reason is not None
    assert score.reason.startswith(reason)


def test_a_chinese_checkpoint_is_known_by_its_tokenizer(folder: Path, tmp_path: Path) -> None:
    write_bart(tmp_path, chinese=True)
    chinese = BartScorer.open(tmp_path)
    assert chinese.languages == {"zh"}
    good, bad = chinese.score([("天气很好", "天上有人"), ("天气很好", "the weather")])
    assert good.value == pytest.approx(by_hand(tmp_path, "天气很好", "天上有人"), abs=1e-5)
    assert (bad.value, bad.reason) == (
        None,
        "target: a text in Latin letters, and the checkpoint does not know English",
    )
    assert chinese.identity["checkpoint"] != BartScorer.open(folder).identity["checkpoint"]


def test_a_checkpoint_with_the_words_of_bert_need_not_say_so(folder: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(folder, tmp_path / "moved")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (moved / name).unlink()
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (moved / "vocab.txt").write_text("\n".join([*marks, *dict.fromkeys(CHINESE)]), encoding="utf-8")
    wordpiece = BartScorer.open(moved)
    assert wordpiece.languages == {"zh"}
    more, less = values(wordpiece.score([("天气", "很好"), ("天气", "天上有人")]))
    assert more != less


def test_whoever_names_the_languages_answers_for_them(folder: Path) -> None:
    (score,) = BartScorer.open(folder, languages={"any"}).score([("今天", "天气很好")])
    assert score.value == pytest.approx(by_hand(folder, "今天", "天气很好"), abs=1e-5)
    (score,) = BartScorer.open(folder, languages={"zh"}).score([("the", "cat")])
    assert score.value is None


def test_several_references(folder: Path, scorer: BartScorer) -> None:
    sources, targets = ["the cat", "a mill"], [["the king", "old house"], ["the river"]]
    each = [
        [by_hand(folder, source, target) for target in several]
        for source, several in zip(sources, targets, strict=True)
    ]
    largest = values(scorer.score_multi(sources, targets, aggregate="max"))
    assert largest == pytest.approx([max(some) for some in each], abs=1e-5)
    means = values(scorer.score_multi(sources, targets, aggregate="mean"))
    assert means == pytest.approx([sum(some) / len(some) for some in each], abs=1e-5)
    (missing,) = scorer.score_multi(["the cat"], [["the king", "天气很好"]])
    assert missing.value is None
    with pytest.raises(ValueError, match="at least one target"):
        scorer.score_multi(["the cat"], [[]])
    with pytest.raises(ValueError, match="mean or max"):
        scorer.score_multi(["the cat"], [["a"]], aggregate="median")


@pytest.mark.parametrize("aggregate", ["mean", "max"])
def test_directions(folder: Path, aggregate: str) -> None:
    item = Item(
        "1", prompt="the king walks", reply="the cat", references=("the mill of the king", "old house")
    )
    combine = max if aggregate == "max" else (lambda some: sum(some) / len(some))
    precision = [by_hand(folder, reference, item.reply) for reference in item.references]
    recall = [by_hand(folder, item.reply, reference) for reference in item.references]
    expected = {
        "faithfulness": by_hand(folder, item.prompt, item.reply),
        "precision": combine(precision),
        "recall": combine(recall),
        "avg_f": combine([(one + other) / 2 for one, other in zip(precision, recall, strict=True)]),
    }
    for direction in Direction:
        options = {"checkpoint": str(folder), "direction": direction.value, "references": aggregate}
        (quality,) = open_quality("bartscore", options).score([item])
        assert quality.value == pytest.approx(expected[direction.value], abs=1e-5)
        parts = {name: quality.parts[name] for name in expected}
        assert parts == pytest.approx(expected, abs=1e-5)
        assert quality.parts["reasons"] == {}


def test_what_has_no_reference_has_its_faithfulness_alone(folder: Path) -> None:
    item = Item("1", prompt="the king", reply="the cat")
    (quality,) = open_quality("bartscore", {"checkpoint": str(folder)}).score([item])
    assert (quality.value, quality.reason) == (None, "no references")
    assert quality.parts["faithfulness"] == pytest.approx(by_hand(folder, "the king", "the cat"), abs=1e-5)
    assert quality.parts["reasons"] == dict.fromkeys(("precision", "recall", "avg_f"), "no references")


def test_the_identity_is_that_of_the_files_and_not_of_their_place(folder: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(folder, tmp_path / "moved")
    (moved / "README.md").write_text("a card", encoding="utf-8")
    first = open_quality("bartscore", {"checkpoint": str(folder)}).identity
    assert open_quality("bartscore", {"checkpoint": str(moved)}).identity == first
    other = open_quality("bartscore", {"checkpoint": str(folder), "direction": "recall"}).identity
    assert other != first


def test_weights_of_torch_score_as_safetensors_do(folder: Path, scorer: BartScorer, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    moved = shutil.copytree(folder, tmp_path / "moved")
    torch.save(load_file(moved / "model.safetensors"), moved / "pytorch_model.bin")
    (moved / "model.safetensors").unlink()
    pairs = drawn(3)
    assert values(BartScorer.open(moved).score(pairs)) == values(scorer.score(pairs))


def test_a_pickle_that_holds_more_than_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    import pickle

    class Call:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "touched",))

    moved = shutil.copytree(folder, tmp_path / "moved")
    (moved / "model.safetensors").unlink()
    (moved / "pytorch_model.bin").write_bytes(pickle.dumps({"lm_head.weight": Call()}, protocol=2))
    with pytest.raises(InputError, match="the weights hold more than weights"):
        BartScorer.open(moved)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_file_that_broke_off_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    moved = shutil.copytree(folder, tmp_path / "moved")
    (moved / name).write_bytes((folder / name).read_bytes()[:1000])
    with pytest.raises(InputError, match="transformers cannot load the"):
        BartScorer.open(moved)


def test_missing_weights_are_refused_and_not_drawn(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    moved = shutil.copytree(folder, tmp_path / "moved")
    weights = load_file(moved / "model.safetensors")
    del weights["model.decoder.layers.1.fc1.weight"]
    save_file(weights, moved / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"weights are missing; got none for model\.decoder\.layers\.1\.fc1"):
        BartScorer.open(moved)


def test_a_device_that_is_not_there(folder: Path) -> None:
    with pytest.raises(InputError, match="torch cannot use this device"):
        BartScorer.open(folder, device="warp:9")


def test_too_little_memory_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    small = BartScorer.open(folder)

    def exhausted(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(small._model.model, "forward", exhausted)
    with pytest.raises(InputError, match=r"too little memory for a batch.*batch_tokens below 4096"):
        small.score([("the", "cat")])


def test_numbers_that_are_none_are_not_given(folder: Path) -> None:
    import torch

    broken = BartScorer.open(folder)
    with torch.no_grad():
        broken._model.final_logits_bias.fill_(float("nan"))
    (score,) = broken.score([("the", "cat")])
    assert (score.value, score.reason) == (None, "the checkpoint gave no finite number")


def test_says_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    BartScorer.open(folder).score([("the", "cat " * 100)])
    assert capfd.readouterr() == ("", "")


def test_asks_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    assert values(BartScorer.open(folder).score([("the", "cat")]))


def test_the_golden_values_of_the_reference_implementation() -> None:
    """Those of its readme, with facebook/bart-large-cnn."""
    directory = os.environ.get(GOLDEN)
    if directory is None:
        pytest.skip(f"{GOLDEN} does not name a directory with facebook/bart-large-cnn")
    for name in ("torch", "transformers"):
        needs.module(name, group="heavy")
    large = BartScorer.open(directory)
    assert large.languages == {"en"}
    (fun,) = values(large.score([("This is interesting.", "This is fun.")]))
    assert fun == pytest.approx(-2.510652780532837, abs=1e-3)
    found = large.score_multi(
        ["I'm super happy today.", "This is a good idea."],
        [["I feel good today.", "I feel sad today."], ["Not bad.", "Sounds like a good idea."]],
        aggregate="max",
    )
    assert values(found) == pytest.approx([-2.5008113384246826, -1.626236081123352], abs=1e-3)
