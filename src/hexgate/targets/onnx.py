"""ONNX files, run in this process by ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hexgate.contract.canonical import sha256_file
from hexgate.errors import InputError, TargetFailed, TargetUnusable
from hexgate.targets.base import Generator, Output, Subject, Target
from hexgate.targets.card import Card, card_beside, read_card
from hexgate.targets.external_data import external_files
from hexgate.targets.onnx_session import OnnxSession

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hexgate.targets.options import OpenOptions

__all__ = ["OnnxPredictor", "open_onnx"]

_PROBES = 8
_SUM_TOLERANCE = 1e-4
_FLOATS = {"tensor(float)", "tensor(double)", "tensor(float16)"}


class OnnxPredictor:
    """A classifier in an ONNX file. Inputs beyond one call's batch are given to it call by call."""

    def __init__(
        self,
        session: OnnxSession,
        *,
        scores_name: str,
        classes: int,
        labels: tuple[str, ...] | None,
        output: Output,
        batch: int,
        where: str,
    ) -> None:
        self._session = session
        self._scores_name = scores_name
        self._classes = classes
        self._labels = labels
        self._output = output
        self._batch = batch
        self._where = where

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The class names in the order of the scores, or None."""
        return self._labels

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, without the batch."""
        return self._session.input.shape

    @property
    def output(self) -> Output:
        """What the scores are."""
        return self._output

    def scores(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class scores of a batch: (n, *input_shape) or (n, numbers of one input) to (n, classes).

        Raises:
            TargetUnusable: if the inputs are not of the model's shape, or not of its type.
            TargetFailed: if the model fails, or gives scores that are not finite.
        """
        inputs = self._shaped(np.asarray(batch))
        size = self._session.input.fixed_batch or self._batch
        parts = [self._call(inputs[at : at + size]) for at in range(0, len(inputs), size)]
        if not parts:
            return np.zeros((0, self._classes), dtype=np.float32)
        # A double beyond the range of a float becomes infinite here, and is refused with the others below.
        with np.errstate(over="ignore"):
            scores = np.concatenate(parts).astype(np.float32)
        if not np.all(np.isfinite(scores)):
            bad = int(np.count_nonzero(~np.isfinite(scores).all(axis=1)))
            raise TargetFailed(
                f"the model gave scores that are not finite for {bad} of {len(scores)} inputs",
                where=self._where,
            )
        return scores

    def _call(self, inputs: NDArray[Any]) -> NDArray[Any]:
        given = len(inputs)
        fixed = self._session.input.fixed_batch
        if fixed is not None and given < fixed:
            # What fills the batch is dropped again; a real input cannot be out of the model's range.
            inputs = np.concatenate([inputs, np.repeat(inputs[-1:], fixed - given, axis=0)])
        found = self._session.run([self._scores_name], self._session.cast(inputs))[0]
        if found.shape != (len(inputs), self._classes):
            raise TargetFailed(
                "the model's scores changed their shape",
                where=self._where,
                got=str(found.shape),
                expected=str((len(inputs), self._classes)),
            )
        return found[:given]

    def _shaped(self, batch: NDArray[Any]) -> NDArray[Any]:
        shape = self.input_shape
        if batch.shape[1:] == shape:
            return batch
        flat = batch.ndim == 2 and batch.shape[1] == prod(shape)
        # (8, 8) for (1, 8, 8) is the same picture; (8, 8, 3) for (3, 8, 8) is not.
        same = [size for size in batch.shape[1:] if size != 1] == [size for size in shape if size != 1]
        if batch.ndim < 2 or not (flat or same):
            raise TargetUnusable(
                "the inputs are not of the model's shape",
                where=self._where,
                got=f"{list(batch.shape[1:])} an input",
                expected=str(list(shape)),
                hint="are these data made for this model?",
            )
        return batch.reshape(len(batch), *shape)


def open_onnx(uri: str, options: OpenOptions) -> Target:
    """Open an ONNX file, and with it the text model that its card names, if any.

    Raises:
        InputError: if the file or its card is not what it should be.
        TargetUnusable: if it is a model, but none that gives one score a class for one batch of numbers.
    """
    path = Path(uri)
    card = read_card(options.card) if options.card else card_beside(path)
    data_files = external_files(path)
    session = OnnxSession(path, options, options.input_shape or card.input_shape)
    bounds = options.input_range or card.input_range
    name, probe = _probe(session, path, bounds)
    labels = options.labels or card.labels
    if labels is not None and len(labels) != probe.shape[1]:
        raise InputError(
            "the labels do not fit the model's scores",
            where=str(card.path) if card.path and not options.labels else uri,
            got=f"{len(labels)} labels",
            expected=f"{probe.shape[1]} classes",
        )
    output, warnings = _output_kind(card, probe)
    components = {file.name: sha256_file(file) for file in data_files}
    generator: Generator | None = None
    if card.generator is not None:
        from hexgate.targets.local_text import open_text_model

        text_model = card.beside(card.generator)
        generator = open_text_model(text_model)
        components["generator"] = sha256_file(text_model)
    return Target(
        uri=uri,
        subject=Subject(
            name=card.name or path.stem,
            kind="onnx",
            uri=uri,
            sha256=sha256_file(path),
            revision=card.revision,
            components=components,
            demonstration=card.demonstration,
        ),
        card=_with(card, options),
        predictor=OnnxPredictor(
            session,
            scores_name=name,
            classes=probe.shape[1],
            labels=labels,
            output=output,
            batch=options.batch,
            where=uri,
        ),
        generator=generator,
        warnings=warnings,
        default_prompts=_prompts(card),
        provider=session.provider,
    )


def _probe(
    session: OnnxSession, path: Path, bounds: tuple[float, float] | None
) -> tuple[str, NDArray[np.float64]]:
    """The name of the output that holds class scores, and its values for a few random inputs."""
    candidates = [name for name, kind in session.outputs if kind in _FLOATS]
    if not candidates:
        kinds = ", ".join(f"{name}: {kind}" for name, kind in session.outputs)
        maps = any(kind.startswith(("seq(", "map(")) for _, kind in session.outputs)
        raise TargetUnusable(
            "the model gives no tensor of class scores",
            where=str(path),
            got=kinds,
            expected="one floating-point output of shape (n, classes)",
            hint="convert it with skl2onnx's option zipmap=False"
            if maps
            else "export the scores, not the label",
        )
    size = session.input.fixed_batch or _PROBES
    low, high = bounds or (0.0, 1.0)
    random = np.random.default_rng(0)
    if np.issubdtype(session.input.dtype, np.floating):
        inputs = random.uniform(low, high, (size, *session.input.shape)).astype(np.float32)
    else:
        inputs = random.integers(0, 2, (size, *session.input.shape)).astype(np.float32)
    found = session.run(candidates, session.cast(inputs))
    tables = {
        name: values
        for name, values in zip(candidates, found, strict=True)
        if values.ndim == 2 and len(values) == size and values.shape[1] > 1
    }
    if len(tables) == 1:
        name, values = tables.popitem()
        return name, values.astype(np.float64)
    shapes = ", ".join(f"{name}: {values.shape}" for name, values in zip(candidates, found, strict=True))
    raise TargetUnusable(
        "several outputs could be the class scores" if tables else "no output holds one score a class",
        where=str(path),
        got=f"{shapes} for {size} inputs",
        expected="one floating-point output of shape (n, classes), of 2 classes or more",
        hint="export the model with that output alone",
    )


def _output_kind(card: Card, probe: NDArray[np.float64]) -> tuple[Output, tuple[str, ...]]:
    """What the scores are: as the card says, else as a probe shows, which cannot prove it."""
    if not np.all(np.isfinite(probe)):
        seen = Output.UNKNOWN
    elif np.all((probe >= 0) & (probe <= 1)) and np.all(np.abs(probe.sum(axis=1) - 1) <= _SUM_TOLERANCE):
        seen = Output.PROBABILITIES
    else:
        seen = Output.LOGITS
    if card.output is None:
        return seen, ()
    stated = Output(card.output)
    if stated is seen or seen is Output.UNKNOWN:
        return stated, ()
    if stated is Output.PROBABILITIES:
        raise InputError(
            "the card says that the model gives probabilities, and it does not",
            where=str(card.path),
            got=f"scores {probe.min():.4g} to {probe.max():.4g}, sums up to {probe.sum(axis=1).max():.4g}",
            expected="scores from 0 to 1 that sum to 1",
        )
    return stated, (f"the card says {stated.value}, and what the model gives looks like {seen.value}",)


def _with(card: Card, options: OpenOptions) -> Card:
    return replace(
        card,
        labels=options.labels or card.labels,
        input_shape=options.input_shape or card.input_shape,
        input_range=options.input_range or card.input_range,
    )


def _prompts(card: Card) -> str | None:
    if card.prompts is None:
        return None
    path = card.beside(card.prompts)
    if not path.is_file():
        raise InputError(
            "the prompts that the card names are not there",
            where=str(path),
            hint="mend 'prompts' in the card, or take it out",
        )
    return str(path)
