"""Models in this process as what a load sends requests to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hexgate.datasets.conversations import Conversation
from hexgate.load.callable_driver import CallableDriver, CallOutcome
from hexgate.load.sending.reading import LEAST_CLASSES
from hexgate.targets.base import GenerateOptions, Generator, Predictor

__all__ = ["score_driver", "text_driver"]


def score_driver(predictor: Predictor, batch: NDArray[np.float32]) -> CallableDriver:
    """Asks for the scores of one row of `batch` (n, ...) at a time; scores that are none are an error."""

    def call(item: int) -> CallOutcome:
        scores = predictor.scores(batch[item : item + 1])
        return CallOutcome(ended_ns=time.monotonic_ns(), error=_fault_of(scores, predictor.labels))

    return CallableDriver(call)


def text_driver(
    generator: Generator, items: Sequence[Conversation], options: GenerateOptions
) -> CallableDriver:
    """Asks for a reply to the first turn of each item, with its own system message where it has one."""

    def call(item: int) -> CallOutcome:
        pieces: list[str] = []
        stamps: list[int] = []
        own = items[item].system
        chosen = options if own is None else replace(options, system=own)
        for piece in generator.stream(items[item].turns[0], chosen):
            stamps.append(time.monotonic_ns())
            pieces.append(piece)
        return CallOutcome(text="".join(pieces), token_ns=stamps, output_tokens=len(pieces))

    return CallableDriver(call)


def _fault_of(scores: NDArray[np.float32], labels: Sequence[str] | None) -> str | None:
    """Why scores are no answer to one input; None where they are."""
    if scores.ndim != 2 or len(scores) != 1 or scores.shape[1] < LEAST_CLASSES:
        return f"protocol: scores of the shape {list(scores.shape)} for one input"
    if labels is not None and scores.shape[1] != len(labels):
        return f"protocol: {scores.shape[1]} scores where there are {len(labels)} classes"
    if not np.isfinite(scores).all():
        return "protocol: scores that are not finite"
    return None
