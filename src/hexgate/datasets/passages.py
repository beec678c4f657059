"""Passages of any length put together from given texts, no two of which begin alike."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice

from hexgate.datasets.text_file import TextFile
from hexgate.resources import shipped

__all__ = ["Passages", "own_sentences", "word_count"]

_SINGLE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[^\W\d_{_SINGLE}]+|\d{{1,3}}|[{_SINGLE}]|\S")
"""A run of letters, up to three digits, one Chinese, Japanese or Korean character, or one mark: what tokenizers of
language models cut at as well, so that tokens follow their number closely."""

_PART_WORDS = 60


def word_count(text: str) -> int:
    """Words of a text, where a mark, three digits and a Chinese character are one each."""
    return sum(1 for _ in _WORD.finditer(text))


def own_sentences() -> tuple[list[str], str]:
    """The English sentences of hexgate's own corpus, and the digest of its file in hex.

    Raises:
        FileNotFoundError: if this installation does not hold it.
    """
    file = TextFile(shipped("examples/lm/corpus.txt"))
    lines = [line.strip() for _, line in file.lines()]
    return [line for line in lines if line and line[0] not in "#[" and line.isascii()], file.sha256()


class Passages:
    """Passages made of texts: each begins with words that no other begins with, and goes on with texts by chance.

    Long texts are used in parts, so that no passage rests on one of them: tables and code have more tokens a word.

    A server keeps what it has computed of a prompt for the next that begins alike (prefix caching). Passages that
    shared their beginning would be answered from there, and the load would be none. So the first word is
    another for each, as long as there are words; after that the first two are.

    Args:
        texts: what they are made of, none without a word.
        seed: of everything drawn.
        joint: what stands between two texts.
    """

    def __init__(self, texts: Sequence[str], *, seed: int, joint: str = " ") -> None:
        self._parts = [part for text in texts for part in _parts(text)]
        self._seed = seed
        self._joint = joint

    @cached_property
    def _openings(self) -> list[str]:
        found = {word.lower() for text in own_sentences()[0] for word in re.findall("[A-Za-z]{2,}", text)}
        return random.Random(f"openings/{self._seed}").sample(sorted(found), len(found))

    @cached_property
    def _counts(self) -> list[int]:
        return [word_count(part) for part in self._parts]

    @property
    def most(self) -> int:
        """How many passages there are with different openings."""
        return len(self._openings) * (len(self._openings) - 1)

    def text(self, index: int, words: int) -> str:
        """The passage of that number, of so many words: the longer one begins with the shorter.

        Args:
            index: which, from 0 and below `most`.
            words: how many, as `word_count` counts, the opening included.
        """
        parts = [self._opening(index)]
        left = words - word_count(parts[0])
        drawn = random.Random(f"passage/{self._seed}/{index}")
        while left > 0:
            number = drawn.randrange(len(self._parts))
            parts.append(self._parts[number])
            left -= self._counts[number]
        if left < 0:
            parts[-1] = _beginning(parts[-1], word_count(parts[-1]) + left)
        return self._joint.join(part for part in parts if part)

    def chained(self, blocks: Sequence[int], each: int, words: int, *, then: int) -> str:
        """Passages one after the other, so that texts whose first blocks are the same begin alike.

        Args:
            blocks: the numbers of the passages.
            each: how many words each has, the last fewer where `words` ends it.
            words: of the whole.
            then: number of the passage that goes on where the blocks have not words enough.
        """
        whole = min(len(blocks), words // each)
        parts = [self.text(number, each) for number in blocks[:whole]]
        if left := words - whole * each:
            parts.append(self.text(blocks[whole] if whole < len(blocks) else then, left))
        return self._joint.join(parts)

    def _opening(self, index: int) -> str:
        words = self._openings
        place, turn = index % len(words), index // len(words)
        return f"{words[place].capitalize()} {words[(place + 1 + turn) % len(words)]}:"


def _beginning(text: str, words: int) -> str:
    return text[: next(islice(_WORD.finditer(text), words - 1, None)).end()] if words > 0 else ""


def _parts(text: str) -> Iterator[str]:
    while rest := text.strip():
        part = _beginning(rest, min(word_count(rest), _PART_WORDS))
        yield part
        text = rest[len(part) :]
