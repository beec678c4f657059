"""The plan of a study: every run, in a random order that the seed fixes to the byte.

A block has each cell of each model once. In a block the models come in random order, and so do a model's cells: what
drifts while a study runs, such as the temperature of a room, meets all models alike, and each model is loaded once a
block. The draws are those of load plans, which are the same on every machine and with every NumPy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from hexgate.contract.canonical import canonical_bytes, sha256_bytes
from hexgate.load.plans.draws import Shuffles
from hexgate.study.items import Cell
from hexgate.study.spec import Spec

__all__ = ["Plan", "Run", "Visit", "make_plan", "run_id"]


@dataclass(frozen=True)
class Run:
    """One request that is to be made."""

    run_id: str
    """Digest of model, task, load, item and repeat: the same in every plan that has it."""
    order: int
    """Its place in the plan, from 0."""
    block: int
    """Its block, from 1: which repeat of its cell it is."""
    model: str
    """Name of the model."""
    cell: Cell
    """What is asked."""

    def to_json(self) -> dict[str, Any]:
        """The run as the plan lists it."""
        return {
            "run_id": self.run_id,
            "order": self.order,
            "block": self.block,
            "model": self.model,
            "task": self.cell.task,
            "load": self.cell.load,
            "item": self.cell.item,
            "max_tokens": self.cell.max_tokens,
        }


@dataclass(frozen=True)
class Visit:
    """A model's runs of one block, which are made in one go."""

    block: int
    """The block."""
    model: str
    """Name of the model."""
    runs: tuple[Run, ...]
    """The runs, in order."""


@dataclass(frozen=True)
class Plan:
    """All runs of a study, in order."""

    seed: int
    """What the order was drawn from."""
    cells: tuple[Cell, ...]
    """What is asked of each model in each block."""
    runs: tuple[Run, ...]
    """The runs."""

    def visits(self, left: Sequence[Run] | None = None) -> tuple[Visit, ...]:
        """The runs, or those of them that are left, by block and model."""
        runs = self.runs if left is None else sorted(left, key=lambda run: run.order)
        groups = groupby(runs, key=lambda run: (run.block, run.model))
        return tuple(Visit(block, model, tuple(found)) for (block, model), found in groups)

    def sha256(self) -> str:
        """Digest of the order and of all that is asked."""
        block = {
            "seed": self.seed,
            "cells": [cell.to_json() for cell in self.cells],
            "runs": [run.run_id for run in self.runs],
        }
        return sha256_bytes(canonical_bytes(block))


def run_id(model: str, task: str, load: str, item: str, repeat: int) -> str:
    """The identifier of a run: 16 hex digits of a SHA-256."""
    return sha256_bytes(canonical_bytes([model, task, load, item, repeat]))[:16]


def make_plan(spec: Spec, cells: Sequence[Cell]) -> Plan:
    """The plan of a study; the same spec and cells give the same plan, byte for byte.

    Args:
        spec: the study.
        cells: its cells, as `read_cells` gives them.
    """
    runs: list[Run] = []
    for block in range(1, spec.runs + 1):
        for place in _shuffled(len(spec.models), spec.seed, f"models/{block}"):
            model = spec.models[place].name
            for index in _shuffled(len(cells), spec.seed, f"cells/{block}/{model}"):
                cell = cells[index]
                made = run_id(model, cell.task, cell.load, cell.item, block)
                runs.append(Run(made, len(runs), block, model, cell))
    return Plan(spec.seed, tuple(cells), tuple(runs))


def _shuffled(count: int, seed: int, purpose: str) -> list[int]:
    digest = hashlib.sha256(f"hexgate study {seed} {purpose}".encode()).digest()
    return [int(place) for place in Shuffles(count, int.from_bytes(digest[:8], "big")).take(count)]
