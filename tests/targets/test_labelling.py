from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hexgate.datasets.classification import Item, read_items
from hexgate.errors import DataError, InputError, TargetUnusable
from hexgate.reference.endpoint import RunningServer
from hexgate.targets.base import GenerateOptions, Output, Reply, Subject, Target
from hexgate.targets.card import Card
from hexgate.targets.labelling import TEMPLATES, labeller_for
from hexgate.targets.registry import open_target

NOBODY = Target("x", Subject("x", "test", "x", None), Card())


class Fixed:
    """A predictor without class names, whose score of class 1 is the first input."""

    labels: tuple[str, ...] | None = None
    input_shape = (1,)
    output = Output.UNKNOWN

    def scores(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.stack([np.full(len(batch), 0.5), batch[:, 0]], axis=1).astype(np.float32)


class Scripted:
    """A generator that answers from a list."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.prompts: list[str] = []

    def generate(self, prompt: str, options: GenerateOptions) -> Reply:
        self.prompts.append(prompt)
        return self.replies[len(self.prompts) - 1]

    def stream(self, prompt: str, options: GenerateOptions) -> Iterator[str]:
        raise NotImplementedError


@pytest.mark.parametrize("served", [False, True])
def test_digits(reference: RunningServer, served: bool) -> None:
    items = read_items("demo:", limit=200).items
    target = open_target(reference.url + "/predict" if served else "demo:")
    labeller = labeller_for(target, items, labels=tuple("0123456789"), batch=64)
    found = list(labeller.label(items))
    assert len(found) == 200
    assert labeller.template is None
    assert np.mean([one.label == item.label for one, item in zip(found, items, strict=True)]) > 0.95
    assert all(one.scores is not None and len(one.scores) == 10 and one.reply is None for one in found)
    target.close()


def test_classes_without_names() -> None:
    items = [Item("a", "1", (0.9,), (1,)), Item("b", "0", (0.1,), (1,)), Item("c", "0", (0.5,), (1,))]
    target = replace(NOBODY, predictor=Fixed())
    found = [one.label for one in labeller_for(target, items, labels=("0", "1")).label(items)]
    assert found == ["1", "0", "0"]
    with pytest.raises(InputError, match="does not name its classes"):
        list(labeller_for(target, items, labels=("cat", "dog")).label(items))


def test_replies_unparseable_replies_and_errors_are_three_things() -> None:
    items = [Item(str(index), "yes", text=f"text {{{index}}} {{labels}}") for index in range(4)]
    generator = Scripted(
        Reply("Yes."), Reply("I would rather not say."), Reply(None, error="timeout: 5 s"), Reply("")
    )
    labeller = labeller_for(replace(NOBODY, generator=generator), items, labels=("yes", "no"))
    right, vague, failed, empty = labeller.label(items)
    assert (right.label, right.reply, right.error, right.unparseable) == ("yes", "Yes.", None, False)
    assert (vague.label, vague.error, vague.unparseable) == (None, None, True)
    assert (failed.label, failed.error, failed.unparseable) == (None, "timeout: 5 s", False)
    assert empty.unparseable
    assert labeller.template == TEMPLATES["en"]
    assert "yes, no" in generator.prompts[0]
    assert "text {0} {labels}" in generator.prompts[0]


def test_the_reference_model_never_answers_with_a_digit(reference: RunningServer) -> None:
    items = [Item("a", "spam", text="Buy now"), Item("b", "ham", text="See you at noon")]
    target = open_target(reference.url + "/v1")
    for one in labeller_for(target, items, labels=("spam", "ham")).label(items):
        assert one.unparseable
        assert one.reply
    target.close()


def test_what_cannot_be_labelled() -> None:
    text, numbers = Item("a", "x", text="t"), Item("b", "x", (1.0,), (1,))
    generator = Scripted()
    with pytest.raises(DataError, match="item b"):
        labeller_for(replace(NOBODY, generator=generator), [text, numbers], labels=("x",))
    with pytest.raises(DataError, match="item a"):
        labeller_for(replace(NOBODY, predictor=Fixed()), [text, numbers], labels=("x",))
    with pytest.raises(TargetUnusable, match="neither scores nor text"):
        labeller_for(NOBODY, [text], labels=("x",))
    for labels in ((), ("",), ("...",)):
        with pytest.raises(InputError, match="label"):
            labeller_for(replace(NOBODY, generator=generator), [text], labels=labels)
    with pytest.raises(InputError, match=r"no \{text\}"):
        labeller_for(replace(NOBODY, generator=generator), [text], labels=("x",), template="{labels}")
