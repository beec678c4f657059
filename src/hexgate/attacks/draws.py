"""Random draws that belong to one input: the same whatever else is in the batch, and on every machine."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["row_keys", "signs", "uniform"]

_STEP = np.uint64(0x9E3779B97F4A7C15)


def row_keys(clean: NDArray[np.float32], seed: int) -> NDArray[np.uint64]:
    """One key for each row, made of the seed and the row's own bytes, (n,)."""
    prefix = str(seed).encode()
    digests = (hashlib.sha256(prefix + row.astype("<f4").tobytes()).digest()[:8] for row in clean)
    return np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.uint64)


def uniform(keys: NDArray[np.uint64], step: int, count: int) -> NDArray[np.float64]:
    """(n, count) numbers in [0, 1) for one step: SplitMix64 (Steele, Lea, Flood 2014) as a counter."""
    streams = _mixed(keys + np.full(1, step, dtype=np.uint64) * _STEP)
    state = streams[:, None] + np.arange(1, count + 1, dtype=np.uint64)[None, :] * _STEP
    return np.asarray((_mixed(state) >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def signs(keys: NDArray[np.uint64], step: int, count: int) -> NDArray[np.float32]:
    """(n, count) numbers that are -1 or 1, each as likely."""
    return np.where(uniform(keys, step, count) < 0.5, -1, 1).astype(np.float32)


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)), dtype=np.uint64)
