"""Class labels from any target: the highest score of a predictor, or what a generator's reply names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hexgate.errors import DataError, InputError, TargetUnusable
from hexgate.targets.base import GenerateOptions, Generator, Predictor, Target
from hexgate.targets.label_reply import normal_label, parse_label

if TYPE_CHECKING:
    from hexgate.datasets.classification import Item

__all__ = ["TEMPLATES", "Labelled", "Labeller", "labeller_for"]

TEMPLATES = {
    "en": "Classify the text below. Answer with exactly one of these labels and nothing else: {labels}\n\n"
    "Text: {text}\n\nLabel:",
    "zh": "请给下面的文本分类。只回答下列标签中的一个，不要回答别的内容：{labels}\n\n文本：{text}\n\n标签：",
}
"""How a generator is asked, by language. ``{labels}`` and ``{text}`` are put in."""


@dataclass(frozen=True)
class Labelled:
    """What a target made of one item: a label, a reply that names none, or an error."""

    label: str | None
    """The label; None where the reply names none, and where there was an error."""
    error: str | None = None
    """Why there was no answer at all, such as ``timeout: ...``. An error is no wrong answer."""
    reply: str | None = None
    """The generator's words; None from a predictor."""
    scores: tuple[float, ...] | None = None
    """The predictor's scores; None from a generator."""

    @property
    def unparseable(self) -> bool:
        """Whether there was a reply, and it named none of the labels."""
        return self.label is None and self.error is None


class Labeller(Protocol):
    """Items to labels."""

    @property
    def template(self) -> str | None:
        """How a generator is asked, for the artifact's method; None for a predictor."""

    def label(self, items: Sequence[Item]) -> Iterator[Labelled]:
        """What the target makes of each item, in order.

        Raises:
            DataError: if an item has not what this kind of target takes.
            TargetFailed: if a predictor does not answer.
        """


def labeller_for(
    target: Target,
    items: Sequence[Item],
    *,
    labels: Sequence[str],
    options: GenerateOptions | None = None,
    template: str = TEMPLATES["en"],
    batch: int = 256,
) -> Labeller:
    """The way to get labels from a target: by features where target and items have them, else by text.

    Args:
        target: what is measured.
        items: what it is to label.
        labels: the label set: what a generator may answer, and what a predictor without class names is
            read against (its classes are then named by their number, from 0).
        options: how a generator is to answer.
        template: how a generator is asked.
        batch: items in one call of a predictor.

    Raises:
        DataError: if the items have neither features for the predictor nor texts for the generator.
        TargetUnusable: if the target can do neither.
        InputError: if the labels or the template cannot be used.
    """
    if target.predictor is not None and all(item.features is not None for item in items):
        return _ByScores(target.predictor, labels, batch)
    if target.generator is not None and all(item.text is not None for item in items):
        return _ByReply(target.generator, labels, options or GenerateOptions(max_tokens=32), template)
    if target.predictor is None and target.generator is None:
        raise TargetUnusable("the target gives neither scores nor text", where=target.uri)
    kind, missing = ("predictor", "features") if target.predictor is not None else ("generator", "texts")
    lacking = next(
        item for item in items if (item.features if target.predictor is not None else item.text) is None
    )
    raise DataError(
        f"the target is a {kind} and not all items have {missing}",
        where=f"item {lacking.id}",
        hint="give each item an 'input' of numbers for a classifier, or a 'text' for a language model",
    )


class _ByScores:
    """The class with the highest score; the first of equals."""

    def __init__(self, predictor: Predictor, labels: Sequence[str], batch: int) -> None:
        self._predictor = predictor
        self._labels = labels
        self._batch = batch

    @property
    def template(self) -> str | None:
        """None: nothing is asked in words."""
        return None

    def label(self, items: Sequence[Item]) -> Iterator[Labelled]:
        """The label and the scores of each item."""
        import numpy as np

        for at in range(0, len(items), self._batch):
            part = items[at : at + self._batch]
            rows = [item.features for item in part]
            shapes = {item.shape for item in part}
            if any(row is None for row in rows) or len(shapes) != 1:
                raise DataError("the items of one batch have no features, or not of one shape")
            inputs = np.asarray(rows, dtype=np.float32).reshape(len(part), *shapes.pop())
            scores = self._predictor.scores(inputs)
            names = self._names(scores.shape[1])
            for row in scores:
                yield Labelled(names[int(row.argmax())], scores=tuple(float(score) for score in row))

    def _names(self, classes: int) -> Sequence[str]:
        if self._predictor.labels is not None:
            return self._predictor.labels
        numbers = [str(index) for index in range(classes)]
        unknown = [label for label in self._labels if label not in numbers]
        if unknown:
            raise InputError(
                "the model does not name its classes, and the data's labels are not their numbers",
                got=", ".join(map(repr, unknown[:5])),
                expected=f"labels from 0 to {classes - 1}",
                hint="name the classes in the order of the scores, in card.json or with --labels",
            )
        return numbers


class _ByReply:
    """The label that the reply to a prompt names."""

    def __init__(
        self, generator: Generator, labels: Sequence[str], options: GenerateOptions, template: str
    ) -> None:
        if not labels or any(not normal_label(label) for label in labels):
            raise InputError("a label is empty, or made of marks alone", got=", ".join(map(repr, labels)))
        if "{text}" not in template:
            raise InputError("the prompt template has no {text}", got=repr(template))
        self._generator = generator
        self._labels = tuple(labels)
        self._options = options
        self._template = template

    @property
    def template(self) -> str | None:
        """How the generator is asked."""
        return self._template

    def label(self, items: Sequence[Item]) -> Iterator[Labelled]:
        """The label and the reply, or the error, of each item."""
        for item in items:
            if item.text is None:
                raise DataError("the item has no text", where=f"item {item.id}")
            # Not str.format: texts and templates may hold braces of their own.
            head, _, tail = self._template.replace("{labels}", ", ".join(self._labels)).partition("{text}")
            reply = self._generator.generate(head + item.text + tail, self._options)
            if reply.text is None:
                yield Labelled(None, error=reply.error or "protocol: a reply without text")
            else:
                yield Labelled(parse_label(reply.text, self._labels), reply=reply.text)
