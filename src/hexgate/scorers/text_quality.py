"""Measures of quality that need nothing but the texts: answers against references, and diversity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hexgate.errors import InputError
from hexgate.metrics.diversity import distinct, repetition, self_bleu_each
from hexgate.metrics.qa import TokenVariant, contains, exact_match, token_f1
from hexgate.scorers.quality import Item, Quality, check_choice

__all__ = [
    "TextQuality",
    "open_contains",
    "open_distinct",
    "open_exact_match",
    "open_repetition",
    "open_self_bleu",
    "open_token_f1",
]

_VARIANTS = [variant.value for variant in TokenVariant]


@dataclass(frozen=True)
class TextQuality:
    """A `QualityScorer` that is a pure function of the items."""

    name: str
    """Name in the registry."""
    higher_is_better: bool
    """Whether a higher value is better."""
    identity: Mapping[str, Any]
    """Definition and options."""
    measured: Callable[[Sequence[Item]], list[Quality]]
    """The function."""

    def score(self, items: Sequence[Item]) -> list[Quality]:
        """Measure items, one result each, in their order."""
        return self.measured(items)


def open_exact_match(variant: str = TokenVariant.CHARACTER_BAG.value) -> TextQuality:
    """1 where the reply equals a reference as the variant of `hexgate.metrics.qa` compares, else 0."""
    kind = _variant("exact_match", variant)

    def measured(item: Item) -> float:
        return float(exact_match(item.reply, item.references, variant=kind))

    return _against_references("exact_match", variant, measured)


def open_contains(variant: str = TokenVariant.CHARACTER_BAG.value) -> TextQuality:
    """1 where a reference stands in the reply as an unbroken run of its tokens, else 0."""
    kind = _variant("contains", variant)

    def measured(item: Item) -> float:
        return float(contains(item.reply, item.references, variant=kind))

    return _against_references("contains", variant, measured)


def open_token_f1(variant: str = TokenVariant.CHARACTER_BAG.value) -> TextQuality:
    """F1 of the reply's tokens against the reference that it matches best, by a variant of `hexgate.metrics.qa`."""
    kind = _variant("token_f1", variant)

    def measured(item: Item) -> float:
        return token_f1(item.reply, item.references, variant=kind)

    return _against_references("token_f1", variant, measured)


def open_distinct(n: int = 2) -> TextQuality:
    """Distinct-n of each reply by itself. For a set of replies use `hexgate.metrics.diversity.distinct`."""
    return _of_one("distinct", n, lambda reply: distinct([reply], n), higher_is_better=True)


def open_repetition(n: int = 4) -> TextQuality:
    """The share of each reply's n-grams that it has said before."""
    return _of_one("repetition", n, lambda reply: repetition(reply, n), higher_is_better=False)


def open_self_bleu(orders: int = 4) -> TextQuality:
    """BLEU of each reply with the other replies to the same prompt as references: several runs of one prompt."""
    _at_least_one(orders, "self_bleu.orders")

    def measured(items: Sequence[Item]) -> list[Quality]:
        groups: dict[str, list[int]] = {}
        for place, item in enumerate(items):
            groups.setdefault(item.prompt, []).append(place)
        found: dict[int, Quality] = {}
        for places in groups.values():
            values = self_bleu_each([items[place].reply for place in places], orders=orders)
            for place, value in zip(places, values, strict=True):
                found[place] = _quality(value, "this reply has no words, or no other to the prompt has any")
        return [found[place] for place in range(len(items))]

    identity = {
        "definition": "self_bleu/1",
        "orders": orders,
        "references": "other replies to the same prompt",
    }
    return TextQuality("self_bleu", higher_is_better=False, identity=identity, measured=measured)


def _variant(name: str, variant: str) -> TokenVariant:
    check_choice(variant, _VARIANTS, f"{name}.variant")
    return TokenVariant(variant)


def _at_least_one(number: int, where: str) -> None:
    if number < 1:
        raise InputError("this option counts words", where=where, got=str(number), expected="1 or more")


def _against_references(name: str, variant: str, measure: Callable[[Item], float]) -> TextQuality:
    def measured(items: Sequence[Item]) -> list[Quality]:
        return [_quality(measure(item) if item.references else None, "no references") for item in items]

    identity = {"definition": f"{name}/1", "variant": variant, "references": "best"}
    return TextQuality(name, higher_is_better=True, identity=identity, measured=measured)


def _of_one(
    name: str, n: int, measure: Callable[[str], float | None], *, higher_is_better: bool
) -> TextQuality:
    _at_least_one(n, f"{name}.n")

    def measured(items: Sequence[Item]) -> list[Quality]:
        return [_quality(measure(item.reply), f"fewer than {n} words") for item in items]

    identity = {"definition": f"{name}/1", "n": n}
    return TextQuality(name, higher_is_better=higher_is_better, identity=identity, measured=measured)


def _quality(value: float | None, otherwise: str) -> Quality:
    return Quality(value, otherwise if value is None else None)
