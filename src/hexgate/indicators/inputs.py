"""What several indicators need from a job: its items as arrays, its labels, its prompts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hexgate.datasets.classification import ClassificationSet, read_items
from hexgate.datasets.prompts import PromptSet, read_prompts
from hexgate.errors import DataError, InputError, TargetUnusable
from hexgate.indicators.base import Job
from hexgate.targets.base import Predictor, Target

__all__ = ["class_labels", "feature_batch", "labelled_items", "need_predictor", "prompts_of"]


def labelled_items(job: Job) -> ClassificationSet:
    """The labelled items of a job.

    Raises:
        InputError: if the job names no data.
        DataError: if they are not labelled items.
    """
    return read_items(_source(job), limit=job.limit)


def prompts_of(job: Job, *, messages: bool = False) -> PromptSet:
    """The prompts of a job: its data where those are prompts, else the prompts that belong to its target.

    Args:
        job: the job.
        messages: whether its data may have ``messages``, as for `read_prompts`.

    Raises:
        InputError: if there are none.
        DataError: if the data are neither prompts nor accompanied by any.
    """
    own = job.target.default_prompts
    source = job.data or own
    if source is None:
        source = _source(job)
    try:
        return read_prompts(source, limit=job.limit, messages=messages)
    except DataError as fault:
        # A system of several models is measured with one --data: labelled items for its classifier. Data that
        # are neither prompts nor such items are a mistake, and no reason to measure with others.
        if own is None or source == own or not _are_items(source):
            raise fault from None
        job.progress.note(f"{source} holds no prompts; using those of the model card: {Path(own).name}")
        return read_prompts(own, limit=job.limit)


def _are_items(source: str) -> bool:
    try:
        read_items(source)
    except DataError:
        return False
    return True


def _source(job: Job) -> str:
    if job.data is not None:
        return job.data
    if job.target.subject.kind == "demo":
        return "demo:"
    raise InputError("no data was named", hint="add --data FILE (JSON, JSON Lines or CSV), or --data demo:")


def need_predictor(target: Target, indicator: str) -> Predictor:
    """The target's predictor.

    Raises:
        TargetUnusable: if it has none.
    """
    if target.predictor is None:
        raise TargetUnusable(
            f"{indicator} needs a target that turns inputs into class scores",
            where=target.uri,
            got=f"a target of kind {target.subject.kind}, which gives none",
            hint="use an .onnx classifier, a /predict or KServe endpoint, or demo:",
        )
    return target.predictor


def feature_batch(data: ClassificationSet, predictor: Predictor) -> NDArray[np.float32]:
    """The items' features in the shape that the predictor takes: (n, *input_shape).

    Raises:
        DataError: if an item has no features, or not as many as the predictor takes.
    """
    lacking = [item.id for item in data.items if item.features is None]
    if lacking:
        raise DataError(
            f"{len(lacking)} of {len(data.items)} items have no features, the first is {lacking[0]!r}",
            where=str(data.path),
            expected="numbers under input, features, x or image",
        )
    # An endpoint need not state its shape: then the data have it.
    shape = predictor.input_shape or data.items[0].shape
    size = int(np.prod(shape))
    wrong = next((item for item in data.items if len(item.features or ()) != size), None)
    if wrong is not None:
        raise DataError(
            f"item {wrong.id!r} does not fit the model",
            where=str(data.path),
            got=f"{len(wrong.features or ())} values",
            expected=f"{size} (shape {list(shape)})",
        )
    rows = np.array([item.features for item in data.items], dtype=np.float32)
    return rows.reshape(len(data.items), *shape)


def class_labels(target: Target, data: ClassificationSet) -> tuple[str, ...]:
    """The explicit set of labels, in the order of the scores.

    Those of the card or the model. A predictor that names none has the numbers of its scores, or what its first
    reply names; a generator those of the data.

    Raises:
        DataError: if the data has a label that is not in the model's set.
        TargetFailed: if a predictor that names none does not answer.
    """
    stated = target.card.labels or (target.predictor.labels if target.predictor else None)
    if stated is None and target.predictor is not None and data.items[0].features is not None:
        scores = target.predictor.scores(feature_batch(data, target.predictor)[:1])
        stated = target.predictor.labels or tuple(map(str, range(scores.shape[1])))
    if stated is None:
        return data.labels_seen
    foreign = [label for label in data.labels_seen if label not in stated]
    if foreign:
        raise DataError(
            f"the data has labels that the model does not have: {', '.join(map(repr, foreign[:5]))}",
            where=str(data.path),
            expected=f"labels of {', '.join(stated[:12])}",
            hint="name the model's labels with --labels, in the order of its scores",
        )
    return tuple(stated)
