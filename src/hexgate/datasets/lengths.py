"""Prompts of a wanted number of tokens: exact with a tokenizer, else fitted to the server's own counts."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hexgate.datasets.passages import Passages, word_count
from hexgate.datasets.tokenizer import Tokenizer
from hexgate.errors import InputError

__all__ = ["PROBES", "Fit", "Lengths", "calibrate", "exact_prompts", "fitted_prompts"]

PROBES = 7
"""How many requests a calibration sends."""
_FORM = re.compile(r"([0-9]{1,7})(?:\.\.([0-9]{1,7}))?")
_MOST = 1_000_000
_SHORT, _LONG = 32, 256
_LEAST_WORDS = 4
_TOLERATED_RATIO = 0.1
_TOLERATED_TOKENS = 8.0


@dataclass(frozen=True)
class Lengths:
    """How long prompts are to be, in tokens: every length of a range alike often."""

    least: int
    """The shortest."""
    greatest: int
    """The longest; the shortest where all are of one length."""

    @classmethod
    def parse(cls, text: str) -> Lengths:
        """The lengths of ``1000`` or ``1000..4096``.

        Raises:
            InputError: if it is of another form, or there are no such lengths.
        """
        found = _FORM.fullmatch(text.strip())
        least, greatest = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 1 <= least <= greatest <= _MOST:
            raise InputError(
                "not a number of tokens, nor a range",
                where="--input-tokens",
                got=repr(text),
                expected=f"N or LEAST..GREATEST, from 1 to {_MOST}, such as 1000 or 1000..4096",
            )
        return cls(least, greatest)

    def __str__(self) -> str:
        return str(self.least) if self.least == self.greatest else f"{self.least}..{self.greatest}"

    def draw(self, count: int, seed: int) -> list[int]:
        """So many lengths, uniform over the range; the same seed draws the same."""
        drawn = random.Random(f"lengths/{seed}")
        return [drawn.randint(self.least, self.greatest) for _ in range(count)]


@dataclass(frozen=True)
class Fit:
    """What a server counts of a prompt: ``base_tokens + tokens_per_word * words``."""

    base_tokens: float
    """What stands around every prompt: the chat template and a system message."""
    tokens_per_word: float
    """Of one word, as `word_count` counts them."""
    probes: int = 2
    """Requests whose counts it rests on."""
    largest_error_tokens: float | None = None
    """The most by which a count of prompts of the wanted lengths differed from the line; None before that is known."""
    largest_error_ratio: float | None = None
    """The same over the count, each time."""

    def tokens(self, words: int) -> float:
        """What the server is to count of a prompt of so many words."""
        return self.base_tokens + self.tokens_per_word * words

    @property
    def least_tokens(self) -> int:
        """The shortest prompt that can be made."""
        return -int(-self.tokens(_LEAST_WORDS) // 1)

    def words(self, tokens: int, *, raised: bool = False) -> int:
        """How many words a prompt of so many tokens has.

        Args:
            tokens: how many it is to have.
            raised: whether one that is too short gets the fewest words that a prompt can have.

        Raises:
            InputError: if there is hardly room for a word beside what stands around it.
        """
        found = round((tokens - self.base_tokens) / self.tokens_per_word)
        if raised:
            return max(found, _LEAST_WORDS)
        if found < _LEAST_WORDS:
            raise InputError(
                "the prompts are too short to be made",
                where="--input-tokens",
                got=f"{tokens} tokens",
                expected=f"{self.least_tokens} or more: the server counts about "
                f"{max(self.base_tokens, 0):.0f} around every prompt",
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """The fit as it stands in an artifact."""
        return asdict(self)


def calibrate(
    passages: Passages,
    lengths: Lengths,
    count: Callable[[str], int],
    *,
    first: int,
    where: str,
    raised: bool = False,
) -> Fit:
    """Learn from a server how many tokens it counts of so many words, by `PROBES` requests.

    Two prompts give a first line, three of the wanted lengths a better one (least squares over all five), and
    two more are held against that.

    Args:
        passages: what the prompts are made of.
        lengths: the wanted lengths.
        count: sends a prompt and gives the server's count of its tokens, all that stands around it included.
        first: number of the first passage to send. The load must not send these: the server has seen them.
        where: the server, for the messages.
        raised: whether prompts that are too short to be made are to be as short as can be, and not refused.

    Raises:
        InputError: if the counts do not follow the number of words.
    """
    seen: list[tuple[int, int]] = []

    def probe(words: int) -> None:
        text = passages.text(first + len(seen), words)
        seen.append((word_count(text), count(text)))

    probe(_SHORT)
    probe(_LONG)
    line = _least_squares(seen, where)
    wanted = (lengths.least, (lengths.least + lengths.greatest) // 2, lengths.greatest)
    for tokens in wanted:
        probe(line.words(tokens, raised=raised))
    line = _least_squares(seen, where)
    for tokens in (lengths.least, lengths.greatest):
        probe(line.words(tokens, raised=raised))
    errors = [(abs(counted - line.tokens(words)), counted) for words, counted in seen[2:]]
    most = max(error for error, _ in errors)
    if any(error > max(_TOLERATED_RATIO * counted, _TOLERATED_TOKENS) for error, counted in errors):
        shown = ", ".join(f"{counted} of {words}" for words, counted in seen)
        raise InputError(
            "the server's counts of tokens do not follow the number of words",
            where=where,
            got=f"tokens of words: {shown}",
            hint="it may cut long prompts at the end of its context, or leave out what it has cached: raise its "
            "context, or give the model's tokenizer with --tokenizer FILE",
        )
    ratio = max(error / counted for error, counted in errors)
    return Fit(line.base_tokens, line.tokens_per_word, len(seen), most, ratio)


def fitted_prompts(passages: Passages, targets: Sequence[int], fit: Fit) -> list[str]:
    """A prompt for each wanted number of tokens, as long as the fit says.

    Raises:
        InputError: if a number of tokens is too small.
    """
    return [passages.text(index, fit.words(tokens)) for index, tokens in enumerate(targets)]


def exact_prompts(passages: Passages, targets: Sequence[int], tokenizer: Tokenizer) -> list[str]:
    """A prompt of exactly each wanted number of tokens, without what a chat template adds.

    Raises:
        InputError: if there is none.
    """
    return [
        tokenizer.exactly(lambda words, index=index: passages.text(index, words), tokens)  # type: ignore[misc]
        for index, tokens in enumerate(targets)
    ]


def _least_squares(seen: Sequence[tuple[int, int]], where: str) -> Fit:
    mean_words = sum(words for words, _ in seen) / len(seen)
    mean_tokens = sum(tokens for _, tokens in seen) / len(seen)
    spread = sum((words - mean_words) ** 2 for words, _ in seen)
    slope = sum((words - mean_words) * (tokens - mean_tokens) for words, tokens in seen) / spread
    if not slope > 0:
        shown = ", ".join(f"{tokens} of {words}" for words, tokens in seen)
        raise InputError(
            "the server counts no more tokens in longer prompts",
            where=where,
            got=f"tokens of words: {shown}",
            hint="its counts cannot be used: give the model's tokenizer with --tokenizer FILE",
        )
    return Fit(mean_tokens - slope * mean_words, slope, len(seen))
