"""The random numbers of plans: right to the last digit, the same on every processor, and in pieces of any size."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from decimal import Decimal, localcontext
from math import ulp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hexgate.load.plans.draws import ExponentialGaps, GammaGaps, Shuffles, exponential, logarithm


def test_the_logarithm_is_right_within_a_unit_in_the_last_place() -> None:
    random = np.random.default_rng(1)
    x = np.concatenate(
        [
            random.random(2000),
            1.0 - random.random(1000) * 1e-9,
            2.0 ** -np.arange(54),
            random.random(500) * 1e6,
        ]
    )
    with localcontext() as context:
        context.prec = 40
        for value, got in zip(x.tolist(), logarithm(x).tolist(), strict=True):
            exact = Decimal(value).ln()
            assert abs(Decimal(got) - exact) <= Decimal(ulp(float(exact)))


def test_the_exponential_is_right_and_ends_in_zero() -> None:
    x = -np.random.default_rng(1).random(2000) * 700.0
    assert exponential(x) == pytest.approx(np.exp(x), rel=1e-15, abs=0.0)
    assert exponential(np.array([0.0, -1e4])).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("shape", [0.01, 0.3, 0.5, 1.0, 2.5, 9.0, 1e4])
def test_gamma_gaps_are_of_their_distribution(shape: float) -> None:
    gaps = GammaGaps(5, shape).take(20_000)
    # The variance of the estimate of a variance grows with the kurtosis, 6 / shape.
    assert gaps.mean() == pytest.approx(1.0, abs=4.0 / np.sqrt(shape * 20_000))
    assert gaps.var() * shape == pytest.approx(1.0, abs=4.0 * np.sqrt((2.0 + 6.0 / shape) / 20_000))
    assert stats.kstest(gaps, "gamma", args=(shape, 0.0, 1.0 / shape)).pvalue > 0.01


def test_exponential_gaps_are_of_their_distribution() -> None:
    gaps = ExponentialGaps(5).take(20_000)
    assert stats.kstest(gaps, "expon").pvalue > 0.01


PIECES = st.lists(st.integers(0, 700), min_size=1, max_size=8)


@given(PIECES, st.sampled_from([0.4, 1.0, 3.0]), st.integers(1, 200), st.integers(0, 2**40))
@settings(max_examples=60, deadline=None)
def test_pieces_are_the_whole_bit_by_bit(pieces: list[int], shape: float, items: int, seed: int) -> None:
    for make in (
        lambda: ExponentialGaps(seed),
        lambda: GammaGaps(seed, shape),
        lambda: Shuffles(items, seed),
    ):
        stream, whole = make(), make().take(sum(pieces))
        taken = np.concatenate([stream.take(n) for n in pieces])
        assert taken.tobytes() == whole.tobytes()


def test_large_pieces_are_the_whole_too() -> None:
    gamma, again = GammaGaps(3, 0.7), GammaGaps(3, 0.7)
    assert gamma.take(100_000).tobytes() == np.concatenate([again.take(50_000) for _ in range(2)]).tobytes()
    shuffles, once_more = Shuffles(70_000, 3), Shuffles(70_000, 3)
    whole = shuffles.take(150_000)
    assert np.array_equal(np.sort(whole[:70_000]), np.arange(70_000))
    assert whole.tobytes() == np.concatenate([once_more.take(75_000) for _ in range(2)]).tobytes()


PROGRAM = """
import hashlib
from hexgate.load.plans.draws import ExponentialGaps, GammaGaps
digest = hashlib.sha256(ExponentialGaps(7).take(50_000).tobytes())
digest.update(GammaGaps(7, 0.4).take(50_000).tobytes())
print(digest.hexdigest())
"""


@pytest.mark.parametrize(
    "without", ["", "X86_V4 AVX512_ICL AVX512_SPR", "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"]
)
def test_the_numbers_do_not_depend_on_the_processor(without: str) -> None:
    """NumPy's own log1p gives other last bits without AVX-512; shards on unlike machines made unlike plans."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": without},
        capture_output=True,
        text=True,
        check=True,
    )
    digest = hashlib.sha256(ExponentialGaps(7).take(50_000).tobytes())
    digest.update(GammaGaps(7, 0.4).take(50_000).tobytes())
    assert done.stdout.strip() == digest.hexdigest()
