"""Exact lengths with real tokenizers of three families, trained here on our own sentences."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest

from hexgate.datasets.lengths import exact_prompts
from hexgate.datasets.passages import Passages, own_sentences
from hexgate.datasets.tokenizer import Tokenizer
from hexgate.errors import DataError, InputError, MissingExtra
from support import needs

CHINESE = ["今天的天气很好，我们去公园散步。", "请告诉我如何写一封信。"]
FAMILIES = ("byte-level BPE", "unigram", "word piece")


def trained(family: str, folder: Path, **settings: Any) -> Path:
    """A tokenizer of one family, in its file."""
    tk = pytest.importorskip("tokenizers")
    texts = [*own_sentences()[0], *CHINESE]
    if family == "byte-level BPE":
        made = tk.Tokenizer(tk.models.BPE())
        made.pre_tokenizer = tk.pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = tk.trainers.BpeTrainer(
            vocab_size=700, initial_alphabet=tk.pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        )
    elif family == "unigram":
        made = tk.Tokenizer(tk.models.Unigram())
        made.pre_tokenizer = tk.pre_tokenizers.Metaspace()
        trainer = tk.trainers.UnigramTrainer(
            vocab_size=700, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
        )
    else:
        made = tk.Tokenizer(tk.models.WordPiece(unk_token="[UNK]"))
        made.normalizer = tk.normalizers.BertNormalizer()
        made.pre_tokenizer = tk.pre_tokenizers.BertPreTokenizer()
        trainer = tk.trainers.WordPieceTrainer(
            vocab_size=700, special_tokens=["[UNK]", "[CLS]"], show_progress=False
        )
    made.train_from_iterator(texts, trainer)
    if settings.get("template"):
        token = made.get_vocab()["[CLS]"]
        made.post_processor = tk.processors.TemplateProcessing(
            single="[CLS] $A", special_tokens=[("[CLS]", token)]
        )
    if settings.get("cut"):
        made.enable_truncation(16)
        made.enable_padding(length=64)
    path = folder / "tokenizer.json"
    made.save(str(path))
    return path


@pytest.mark.vendor
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("texts", ["own", "chinese"])
def test_prompts_have_exactly_the_wanted_tokens(family: str, texts: str, tmp_path: Path) -> None:
    needs.module("tokenizers")
    import tokenizers

    path = trained(family, tmp_path)
    passages = Passages(own_sentences()[0] if texts == "own" else CHINESE, seed=1)
    targets = [1, 2, 7, *range(180, 300), 1000, 4096]
    made = exact_prompts(passages, targets, Tokenizer.read(path))
    independent = tokenizers.Tokenizer.from_file(str(path))
    assert [len(independent.encode(text, add_special_tokens=False).ids) for text in made] == targets
    assert len({text[:12] for text in made[3:]}) == len(made) - 3


@pytest.mark.vendor
def test_what_a_file_cuts_fills_and_adds_is_not_counted(tmp_path: Path) -> None:
    needs.module("tokenizers")
    path = trained("word piece", tmp_path, template=True, cut=True)
    tokenizer = Tokenizer.read(path)
    assert tokenizer.count(". " * 40) == 40
    assert tokenizer.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert Tokenizer.read(tmp_path).path == path


@pytest.mark.vendor
def test_what_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    needs.module("tokenizers")
    path = tmp_path / "tokenizer.json"
    with pytest.raises(DataError, match="cannot be read"):
        Tokenizer.read(path)
    path.write_text("{}", "utf-8")
    with pytest.raises(DataError, match="not a tokenizer"):
        Tokenizer.read(path)


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtra, match=r"\.\[llm\]"):
        Tokenizer.read(tmp_path)


class Pairs:
    """An encoding whose every token is two characters: no text has an odd number of characters in tokens."""

    class Found:
        def __init__(self, text: str) -> None:
            self.ids = [0] * (2 * ((len(text) + 1) // 2))
            self.offsets = [(0, min(number + 1, len(text))) for number in range(len(self.ids))]

    def encode(self, text: str, *, add_special_tokens: bool) -> Found:
        assert not add_special_tokens
        return self.Found(text)


def test_a_number_that_no_text_has_is_said() -> None:
    tokenizer = Tokenizer(Path("pairs.json"), Pairs(), "0" * 64)
    passages = Passages(["a b c"], seed=0)
    assert len(tokenizer.exactly(lambda words: passages.text(0, words), 10)) in {9, 10}
    with pytest.raises(InputError, match="no text of exactly 11 tokens"):
        tokenizer.exactly(lambda words: passages.text(0, words), 11)
