"""The reference language model."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.errors import DataError, InputError
from hexgate.reference import lm_model, prompts
from hexgate.reference.language_model import FinishReason, ReferenceLM, detokenize, language_of, tokenize
from hexgate.reference.sampling import Sampler
from hexgate.scorers.lexicon import open_detector

PROMPTS = [json.loads(line)["prompt"] for line in prompts().read_text(encoding="utf-8").splitlines()[:216]]


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    lines = lm_model().with_name("corpus.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and line[0] not in "#["]


def test_the_file_is_what_the_script_writes(script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    script("lm/train.py").main(["--out", str(tmp_path / "lm.json")])
    assert (tmp_path / "lm.json").read_bytes() == lm_model().read_bytes()
    assert lm_model().stat().st_size < 1_000_000


def test_the_corpus_has_different_sentences_in_both_languages(sentences: list[str]) -> None:
    assert len(set(sentences)) == len(sentences)
    counts = Counter(language_of(sentence) for sentence in sentences)
    assert all(500 <= counts[language] <= 700 for language in ("en", "zh"))


def test_tokens_of_the_corpus_become_its_sentences_again(sentences: list[str]) -> None:
    for sentence in sentences:
        assert detokenize(tokenize(sentence)) == sentence


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't stop, please.", ["Don't", "stop", ",", "please", "."]),
        ("A well-known 3.5 at 10:30", ["A", "well-known", "3.5", "at", "10:30"]),
        ("用Python写代码。", ["用", "Python", "写", "代", "码", "。"]),
        ("Größe λόγος 42%", ["Größe", "λόγος", "42", "%"]),
        ("  \n", []),
    ],
)
def test_what_a_token_is(model: ReferenceLM, text: str, tokens: list[str]) -> None:
    assert tokenize(text) == tokens
    assert model.count_tokens(text) == len(tokens)


@given(st.text(max_size=200))
def test_tokens_lose_nothing_but_space(text: str) -> None:
    assert "".join(tokenize(text)) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hello there", "en"),
        ("你好", "zh"),
        ("用Python写一个程序", "zh"),
        ("What does 你好 mean in English?", "en"),
        ("", "en"),
    ],
)
def test_the_language_of_a_text(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.5])
def test_every_reply_ends_is_not_empty_and_speaks_the_language_of_its_prompt(
    model: ReferenceLM, temperature: float
) -> None:
    for prompt in PROMPTS:
        reply = model.complete(prompt, max_tokens=1000, temperature=temperature)
        assert reply.finish_reason is FinishReason.STOP
        assert 3 <= reply.output_tokens < 300
        assert language_of(reply.text) == language_of(prompt)
        assert reply.text[-1] in ".?。？"
        assert reply.prompt_tokens == len(tokenize(prompt))


@given(
    st.text(max_size=60),
    st.integers(1, 80),
    st.sampled_from([0.0, 1e-300, 0.3, 1.0, 5.0]),
    st.sampled_from([None, 0.01, 0.9, 1.0]),
    st.integers(-(2**40), 2**40),
)
def test_pieces_are_one_token_each_and_make_up_the_text(
    model: ReferenceLM, prompt: str, max_tokens: int, temperature: float, top_p: float | None, seed: int
) -> None:
    options: dict[str, Any] = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "seed": seed,
    }
    pieces = list(model.generate(prompt, **options))
    reply = model.complete(prompt, **options)
    assert 1 <= len(pieces) <= max_tokens
    assert "".join(pieces) == reply.text
    assert reply.output_tokens == len(pieces) == model.count_tokens(reply.text)
    assert detokenize(tokenize(reply.text)) == reply.text


def test_a_reply_that_is_cut_says_so(model: ReferenceLM) -> None:
    whole = model.complete("How do I cook rice?")
    assert model.complete("How do I cook rice?", max_tokens=whole.output_tokens) == whole
    cut = model.complete("How do I cook rice?", max_tokens=whole.output_tokens - 1)
    assert cut.finish_reason is FinishReason.LENGTH
    assert whole.text.startswith(cut.text)
    generation = model.generate("How do I cook rice?", max_tokens=2)
    assert generation.finish_reason is None
    assert len(list(generation)) == 2
    assert generation.finish_reason is FinishReason.LENGTH


def test_the_same_seed_gives_the_same_reply_and_another_seed_another(model: ReferenceLM) -> None:
    def replies(seed: int, temperature: float) -> list[str]:
        return [model.complete(prompt, temperature=temperature, seed=seed).text for prompt in PROMPTS[:40]]

    assert replies(1, 1.0) == replies(1, 1.0)
    assert sum(a != b for a, b in zip(replies(1, 1.0), replies(2, 1.0), strict=True)) > 30
    assert replies(1, 0.0) == replies(2, 0.0)
    unseeded = {model.complete(PROMPTS[0], temperature=1.0, seed=None).text for _ in range(20)}
    assert len(unseeded) > 1


def test_different_prompts_get_different_replies(model: ReferenceLM) -> None:
    assert len({model.complete(prompt).text for prompt in PROMPTS}) > 0.95 * len(PROMPTS)


@pytest.mark.parametrize(
    ("prompt", "topic"),
    [
        ("How do I cook lentil soup?", "cooking"),
        ("When is the next eclipse of the moon?", "space"),
        ("Your answer was useless!", "calm"),
        ("怎样给番茄苗浇水？", "garden"),
        ("你到底在敷衍谁？", "calm"),
    ],
)
def test_the_prompt_chooses_the_topic(model: ReferenceLM, prompt: str, topic: str) -> None:
    assert model.topics_of(prompt)[0] == topic


def test_neighbours_in_a_reply_are_neighbours_in_the_corpus(model: ReferenceLM, sentences: list[str]) -> None:
    ends = set(".?。？")
    known = {pair for sentence in sentences for tokens in [tokenize(sentence)] for pair in pairwise(tokens)}
    for prompt in PROMPTS:
        tokens = tokenize(model.complete(prompt, temperature=1.0).text)
        assert all(pair in known or pair[0] in ends for pair in pairwise(tokens))


def test_the_embedded_detector_finds_nothing_in_corpus_and_replies(
    model: ReferenceLM, sentences: list[str]
) -> None:
    detector = open_detector()
    replies = [model.complete(prompt, temperature=t).text for prompt in PROMPTS for t in (0.0, 1.0)]
    assert [text for text in (*sentences, *replies) if detector.score(text).score] == []


@pytest.mark.parametrize(
    "options",
    [{"max_tokens": 0}, {"temperature": -0.1}, {"temperature": float("nan")}, {"top_p": 0.0}, {"top_p": 1.1}],
)
def test_an_option_out_of_range_is_refused(model: ReferenceLM, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        model.generate("Hello", **options)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    good = json.loads(lm_model().read_bytes())
    broken: list[Any] = [[], {}, {**good, "schema": "hexgate/reference-lm/2.0"}, {**good, "name": 3}]
    broken += [
        {**good, "trigrams": {"<en:calm>": {"a b": {"c": 0}}}},
        {**good, "topics": {"en": good["topics"]["en"]}},
    ]
    broken += [{key: value for key, value in good.items() if key != "trigrams"}, {**good, "topics": 1}]
    path = tmp_path / "lm.json"
    for document in broken:
        path.write_text(json.dumps(document), encoding="utf-8")
        with pytest.raises(DataError, match="not a reference language model"):
            ReferenceLM.load(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        ReferenceLM.load(path)
    with pytest.raises(DataError, match="cannot be read"):
        ReferenceLM.load(tmp_path / "absent.json")


def test_the_sampler_draws_by_the_heated_weights() -> None:
    tokens, weights = ["a", "b", "c"], [1.0, 2.0, 5.0]
    for temperature in (0.5, 1.0, 2.0):
        sampler = Sampler(temperature, None, "seed")
        drawn = Counter(sampler.choose(tokens, weights) for _ in range(20_000))
        heated = [weight ** (1 / temperature) for weight in weights]
        for token, weight in zip(tokens, heated, strict=True):
            # Five standard deviations of a share of 20,000 draws are at most 0.018.
            assert drawn[token] / 20_000 == pytest.approx(weight / sum(heated), abs=0.018)


def test_the_nucleus_is_the_fewest_tokens_that_reach_the_share() -> None:
    tokens, weights = ["a", "b", "c", "d"], [1.0, 4.0, 2.0, 3.0]
    for top_p, kept in ((0.1, "b"), (0.4, "b"), (0.41, "bd"), (0.7, "bd"), (0.71, "bdc"), (1.0, "abcd")):
        sampler = Sampler(1.0, top_p, "seed")
        assert {sampler.choose(tokens, weights) for _ in range(400)} == set(kept)


def test_the_lesser_way_is_taken_by_its_share() -> None:
    sampler = Sampler(1.0, None, "seed")
    assert sum(sampler.takes(0.05) for _ in range(20_000)) / 20_000 == pytest.approx(0.05, abs=0.008)
    assert not any(Sampler(0.0, None, "seed").takes(0.4) for _ in range(100))


def test_a_load_test_of_random_prompts_never_fails(model: ReferenceLM) -> None:
    chance = random.Random(0)
    words = [word for prompt in PROMPTS for word in tokenize(prompt)]
    for _ in range(300):
        prompt = detokenize(chance.choices(words, k=chance.randint(1, 200)))
        assert model.complete(prompt, temperature=chance.choice([0.0, 0.8, 2.0]), max_tokens=64).text
