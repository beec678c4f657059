"""The reference language model: an n-gram model of order 3 with back-off, small enough to read.

It exists so that every path through hexgate that needs a generator can be tried with nothing downloaded. It
has no knowledge and follows no instruction: it puts together word sequences of the corpus in `examples/lm`.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from hexgate.contract.canonical import NotStrictJson, parse_strict
from hexgate.errors import DataError, InputError
from hexgate.reference.sampling import Sampler
from hexgate.reference.tokens import detokenize, language_of, space_between, tokenize

__all__ = [
    "END",
    "SCHEMA",
    "Completion",
    "FinishReason",
    "Generation",
    "ReferenceLM",
    "detokenize",
    "language_of",
    "sentence_start",
    "tokenize",
]

SCHEMA = "hexgate/reference-lm/1.0"
"""What a model file says of itself."""
END = "</s>"
"""The token after the last token of a sentence."""

_OPENING_TOPICS = ("calm", "decline")
_FALLBACK_TOPIC = "general"
_CLOSING_TOPIC = "closing"
_NEEDED_TOPICS = (*_OPENING_TOPICS, _FALLBACK_TOPIC, _CLOSING_TOPIC)

# Absolute discounting (Ney, Essen and Kneser, 1994): what is taken off each count goes to the lower order.
# Less than on real corpora, because on this small one every step to the lower order costs sense.
_DISCOUNT = 0.05
# How often a count from the topic at hand counts on top, how much likelier a word of the prompt becomes, and
# how far (as a power of e) the prompt moves any other word.
_TOPIC_WEIGHT = 20.0
_PROMPT_WORD_BOOST = 3.0
_TASTE = 1.0

_Counts = Mapping[str, Mapping[str, int]]


class FinishReason(str, Enum):
    """Why a reply ended."""

    STOP = "stop"
    """It was complete."""
    LENGTH = "length"
    """It reached the asked number of tokens."""


@dataclass(frozen=True)
class Completion:
    """A whole reply."""

    text: str
    """The reply."""
    finish_reason: FinishReason
    """Why it ended."""
    prompt_tokens: int
    """Tokens of the prompt."""
    output_tokens: int
    """Tokens of the reply."""


class Generation(Iterator[str]):
    """The pieces of one reply as they are made, one a token. Joined without spaces they are its text."""

    def __init__(self, tokens: Iterator[str], max_tokens: int) -> None:
        self._tokens = tokens
        self._left = max_tokens
        self._previous: str | None = None
        self._ahead = next(tokens, None)
        self.finish_reason: FinishReason | None = None
        """Why the reply ended; None as long as it has not."""

    def __next__(self) -> str:
        if self._ahead is None or self._left == 0:
            self.finish_reason = FinishReason.STOP if self._ahead is None else FinishReason.LENGTH
            raise StopIteration
        token = self._ahead
        piece = token if self._previous is None else space_between(self._previous, token) + token
        self._previous = token
        self._left -= 1
        self._ahead = next(self._tokens, None)
        return piece


def sentence_start(language: str, topic: str) -> tuple[str, str]:
    """The two tokens that stand before the first word of a sentence on a topic."""
    return f"<{language}>", f"<{language}:{topic}>"


@dataclass(frozen=True)
class ReferenceLM:
    """The model: how often which token followed which others, and which words call up which topic."""

    name: str
    """Name of the model."""
    revision: str
    """Its revision."""
    topics: Mapping[str, Mapping[str, tuple[str, ...]]]
    """By language and topic: the words of a prompt that call the topic up."""
    by_topic: Mapping[str, _Counts] = field(repr=False)
    """By topic token, and by two tokens with a space between: the counts of the tokens that followed them."""
    trigrams: _Counts = field(repr=False)
    """The same over all topics."""
    bigrams: _Counts = field(repr=False)
    """By token: the counts of the tokens that followed it."""
    common: frozenset[str] = field(repr=False)
    """Tokens too frequent to tell what a prompt is about."""

    @classmethod
    def load(cls, path: Path) -> ReferenceLM:
        """Read a model file.

        Raises:
            DataError: if it is not one.
        """
        try:
            data = parse_strict(path.read_bytes())
        except (OSError, NotStrictJson) as error:
            raise DataError(f"the language model cannot be read ({error})", where=str(path)) from None
        mistake = _mistake(data)
        if mistake:
            raise DataError(f"this is not a reference language model: {mistake}", where=str(path))
        trigrams: defaultdict[str, Counter[str]] = defaultdict(Counter)
        bigrams: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for table in data["trigrams"].values():
            for pair, followers in table.items():
                trigrams[pair].update(followers)
                bigrams[pair.partition(" ")[2]].update(followers)
        totals = {token: followers.total() for token, followers in bigrams.items()}
        limit = sum(totals.values()) / 500
        return cls(
            name=data["name"],
            revision=data["revision"],
            topics={
                language: {topic: tuple(words) for topic, words in topics.items()}
                for language, topics in data["topics"].items()
            },
            by_topic=data["trigrams"],
            trigrams=dict(trigrams),
            bigrams=dict(bigrams),
            common=frozenset(token for token, total in totals.items() if total > limit),
        )

    def count_tokens(self, text: str) -> int:
        """How many tokens a text has."""
        return len(tokenize(text))

    def generate(
        self,
        prompt: str,
        *,
        max_tokens: int = 128,
        temperature: float = 0.0,
        top_p: float | None = None,
        seed: int | None = 0,
    ) -> Generation:
        """The reply to a prompt, in pieces.

        The same arguments give the same reply. Temperature 0 takes the likeliest token each time, so that the
        seed does not matter; a seed of None draws a new one.

        Raises:
            InputError: if an option is out of its range.
        """
        if max_tokens < 1:
            raise InputError("max_tokens is out of range", got=str(max_tokens), expected="1 or more")
        if not (math.isfinite(temperature) and temperature >= 0):
            raise InputError("temperature is out of range", got=str(temperature), expected="0 or more")
        if top_p is not None and not 0 < top_p <= 1:
            raise InputError("top_p is out of range", got=str(top_p), expected="more than 0, at most 1")
        digest = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest()
        sampler = Sampler(temperature, top_p, None if seed is None else f"{seed}:{digest.hex()}")
        return Generation(self._tokens(prompt, digest, sampler), max_tokens)

    def complete(
        self,
        prompt: str,
        *,
        max_tokens: int = 128,
        temperature: float = 0.0,
        top_p: float | None = None,
        seed: int | None = 0,
    ) -> Completion:
        """The reply to a prompt, whole; arguments and errors as for `generate`."""
        generation = self.generate(
            prompt, max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed
        )
        pieces = list(generation)
        if generation.finish_reason is None:
            raise AssertionError("a generation that is exhausted has a reason")
        return Completion(
            "".join(pieces), generation.finish_reason, self.count_tokens(prompt), output_tokens=len(pieces)
        )

    def topics_of(self, prompt: str) -> list[str]:
        """The topics that a prompt calls up, the one with most of its words first."""
        language = language_of(prompt)
        if language == "zh":
            found = {
                topic: sum(1 for word in words if word in prompt)
                for topic, words in self.topics[language].items()
            }
        else:
            spoken = {token.lower() for token in tokenize(prompt)}
            found = {topic: len(spoken.intersection(words)) for topic, words in self.topics[language].items()}
        called = [topic for topic, hits in found.items() if hits]
        return sorted(called, key=lambda topic: (-found[topic], topic))

    def _plan(self, prompt: str, digest: bytes) -> list[str]:
        """The topic of each sentence of the reply, in order: two to four sentences."""
        topics = self.topics_of(prompt)
        opening = [topic for topic in topics if topic in _OPENING_TOPICS][:1]
        body = [topic for topic in topics if topic not in _NEEDED_TOPICS] or [_FALLBACK_TOPIC]
        sentences = 2 if digest[0] % 3 else 1 + (not opening)
        plan = [*opening, *(body[index % min(len(body), 2)] for index in range(sentences))]
        return [*plan, _CLOSING_TOPIC] if digest[1] % 3 == 0 else plan

    def _tokens(self, prompt: str, digest: bytes, sampler: Sampler) -> Iterator[str]:
        language = language_of(prompt)
        wanted = {token for word in tokenize(prompt) for token in (word, word.lower())} - self.common
        # A stream of its own, so that the prompt moves the weights in the same way at every seed.
        taste = random.Random(digest)
        used: set[tuple[str, str, str]] = set()
        for topic in self._plan(prompt, digest):
            first, second = sentence_start(language, topic)
            own = self.by_topic[second]
            while followers := self._followers((first, second), own, used, sampler):
                weights = [
                    weight
                    * (_PROMPT_WORD_BOOST if token in wanted else 1.0)
                    * math.exp(_TASTE * (2.0 * taste.random() - 1.0))
                    for token, weight in followers.items()
                ]
                token = sampler.choose(list(followers), weights)
                used.add((first, second, token))
                if token == END:
                    break
                yield token
                first, second = second, token

    def _followers(
        self, pair: tuple[str, str], own: _Counts, used: set[tuple[str, str, str]], sampler: Sampler
    ) -> dict[str, float]:
        """What may follow two tokens, with weights: from the trigrams or, backed off, from the bigrams.

        No three tokens are used twice in one reply. That makes every reply end: there are only so many.
        """
        joined = f"{pair[0]} {pair[1]}"
        seen = self.trigrams.get(joined, {})
        if seen and not sampler.takes(_DISCOUNT * len(seen) / sum(seen.values())):
            mine = own.get(joined, {})
            fresh = {
                token: count - _DISCOUNT + _TOPIC_WEIGHT * mine.get(token, 0)
                for token, count in seen.items()
                if (*pair, token) not in used
            }
            if fresh:
                return fresh
        followers = self.bigrams.get(pair[1], {})
        return {token: float(count) for token, count in followers.items() if (*pair, token) not in used}


def _mistake(data: Any) -> str | None:
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        return f"expected the schema {SCHEMA}"
    if not all(isinstance(data.get(key), str) for key in ("name", "revision")):
        return "expected a name and a revision"
    trigrams, topics = data.get("trigrams"), data.get("topics")
    if not (isinstance(trigrams, dict) and all(map(_is_table, trigrams.values()))):
        return "$.trigrams: expected counts of tokens"
    if not (isinstance(topics, dict) and all(map(_is_words, topics.values()))):
        return "$.topics: expected words by language and topic"
    for language in ("en", "zh"):
        named = topics.get(language, {})
        lost = [topic for topic in _NEEDED_TOPICS if topic not in named]
        lost += [topic for topic in named if sentence_start(language, topic)[1] not in trigrams]
        if lost:
            return f"$.topics.{language}: without words or counts: {', '.join(lost)}"
    return None


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(followers, dict)
        and bool(followers)
        and all(type(count) is int and count > 0 for count in followers.values())
        for followers in value.values()
    )


def _is_words(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(words, list) and all(isinstance(word, str) for word in words) for words in value.values()
    )
