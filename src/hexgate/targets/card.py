"""The card of a model: what its owner states of it, in a file `card.json` beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hexgate.contract.canonical import NotStrictJson, parse_strict
from hexgate.errors import InputError

__all__ = ["Card", "card_beside", "read_card"]

_KINDS: dict[str, tuple[type, ...]] = {
    "schema": (str,),
    "name": (str,),
    "revision": (str,),
    "description": (str,),
    "model": (str,),
    "task": (str,),
    "labels": (list,),
    "input_shape": (list,),
    "input_range": (list,),
    "output": (str,),
    "generator": (str,),
    "prompts": (str,),
    "demonstration": (bool,),
    "training": (dict,),
}


@dataclass(frozen=True)
class Card:
    """What the owner of a model states of it. Every field may be unknown."""

    path: Path | None = None
    """Where the card lies."""
    name: str | None = None
    """Name of the model."""
    revision: str | None = None
    """Its revision."""
    model: str | None = None
    """The model file that the card speaks of, relative to the card."""
    labels: tuple[str, ...] | None = None
    """Class names, in the order of the scores."""
    input_shape: tuple[int, ...] | None = None
    """Shape of one input, without the batch."""
    input_range: tuple[float, float] | None = None
    """Least and greatest valid value of an input: what an attack may not leave."""
    output: str | None = None
    """``logits`` or ``probabilities``."""
    generator: str | None = None
    """The text model that is released together with this one, relative to the card."""
    prompts: str | None = None
    """The prompts that belong to that text model, relative to the card."""
    demonstration: bool = False
    """Whether this is hexgate's embedded default."""

    def beside(self, relative: str) -> Path:
        """A path that the card names, made from where the card lies."""
        folder = self.path.parent if self.path else Path()
        return (folder / relative).resolve()


def card_beside(model: Path) -> Card:
    """The card in the folder of a model file, if it speaks of that file; else an empty card.

    Raises:
        InputError: if there is a card that cannot be read.
    """
    path = model.parent / "card.json"
    if not path.is_file():
        return Card()
    card = read_card(path)
    if card.model is not None and card.beside(card.model) != model.resolve():
        return Card()
    return card


def read_card(path: Path) -> Card:
    """Read a card.

    Raises:
        InputError: if it is not a card, naming every mistake at once.
    """
    try:
        data = parse_strict(path.read_bytes())
    except (OSError, NotStrictJson) as error:
        raise InputError(f"the model card cannot be read ({error})", where=str(path)) from None
    if not isinstance(data, dict):
        raise InputError("the model card is not a JSON object", where=str(path))
    mistakes = _mistakes(data)
    if mistakes:
        raise InputError(
            "; ".join(mistakes), where=str(path), hint="see docs/targets.md for the card's fields"
        )
    labels = data.get("labels")
    bounds = data.get("input_range")
    shape = data.get("input_shape")
    return Card(
        path=path.resolve(),
        name=data.get("name"),
        revision=data.get("revision"),
        model=data.get("model"),
        labels=tuple(labels) if labels is not None else None,
        input_shape=tuple(shape) if shape is not None else None,
        input_range=(float(bounds[0]), float(bounds[1])) if bounds is not None else None,
        output=data.get("output"),
        generator=data.get("generator"),
        prompts=data.get("prompts"),
        demonstration=data.get("demonstration", False),
    )


def _mistakes(data: dict[str, Any]) -> list[str]:
    found = [f"$.{key}: unknown key" for key in data if key not in _KINDS]
    for key, kinds in _KINDS.items():
        if key in data and not isinstance(data[key], kinds):
            found.append(f"$.{key}: got {type(data[key]).__name__}, expected {kinds[0].__name__}")
    labels = data.get("labels")
    if isinstance(labels, list) and (
        not all(isinstance(label, str) for label in labels) or len(set(map(str, labels))) != len(labels)
    ):
        found.append("$.labels: expected different strings")
    bounds = data.get("input_range")
    if isinstance(bounds, list) and not (
        len(bounds) == 2
        and all(isinstance(bound, (int, float)) and not isinstance(bound, bool) for bound in bounds)
        and bounds[0] < bounds[1]
    ):
        found.append("$.input_range: expected [least, greatest]")
    shape = data.get("input_shape")
    if isinstance(shape, list) and not (shape and all(type(size) is int and size > 0 for size in shape)):
        found.append("$.input_shape: expected whole numbers above 0")
    if data.get("output") not in {None, "logits", "probabilities"}:
        found.append("$.output: expected 'logits' or 'probabilities'")
    return found
