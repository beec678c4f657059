from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hexgate.attacks.base import AttackSpec, GradientKind
from hexgate.attacks.bounds import enter
from hexgate.errors import DataError, EvidenceError

LABELS = np.zeros(2, dtype=np.int64)


def spec(eps=0.1, input_range=(0.0, 1.0), **more):
    return AttackSpec("fgsm", eps, input_range, **more)


def test_inputs_outside_the_range_are_refused_with_their_extremes():
    with pytest.raises(DataError, match=r"values from -0\.5 to 2.*values from 0 to 1"):
        enter(np.array([[0.0, -0.5], [2.0, 1.0]], dtype=np.float32), LABELS, spec())


def test_float_rounding_at_the_edge_is_not_outside():
    almost = np.array([[0.0, 1.0000001], [-1e-8, 1.0]], dtype=np.float32)
    assert np.array_equal(enter(almost, LABELS, spec()).project(almost), almost)


def test_widening_never_moves_a_clean_point_and_lets_nothing_go_further_out():
    clean = np.array([[0.5, -0.5], [2.0, 1.0]], dtype=np.float32)
    bounds = enter(clean, LABELS, spec(widen=True))
    assert np.array_equal(bounds.project(clean), clean)
    assert bounds.project(clean - 1).tolist() == [
        [pytest.approx(0.4), -0.5],
        [pytest.approx(1.9), pytest.approx(0.9)],
    ]
    assert bounds.project(clean + 1).tolist() == [[pytest.approx(0.6), pytest.approx(-0.4)], [2.0, 1.0]]


@pytest.mark.parametrize(
    ("batch", "labels"),
    [(np.zeros(2), LABELS), (np.zeros((3, 2)), LABELS), (np.zeros((2, 2)), LABELS[:, None])],
)
def test_inputs_and_labels_must_pair(batch, labels):
    with pytest.raises(DataError, match="do not pair"):
        enter(batch.astype(np.float32), labels, spec())


def test_inputs_must_be_numbers():
    with pytest.raises(DataError, match="not a finite number"):
        enter(np.array([[np.nan, 0.0]] * 2, dtype=np.float32), LABELS, spec())


def test_the_callers_batch_is_not_held():
    batch = np.zeros((2, 2), dtype=np.float32)
    bounds = enter(batch, LABELS, spec())
    batch[:] = 1
    assert not bounds.clean.any()


@given(
    clean=arrays(np.float32, (3, 4), elements=st.floats(-300, 300, width=32)),
    moved=arrays(np.float32, (3, 4), elements=st.floats(-1e6, 1e6, width=32)),
    eps=st.floats(0, 400),
)
def test_whatever_is_projected_passes_the_check(clean, moved, eps):
    bounds = enter(clean, np.zeros(3, dtype=np.int64), spec(eps, (-255.0, 255.0), widen=True))
    bounds.outcome(bounds.project(moved), queries=0, source=GradientKind.NONE, loss=None)


@pytest.mark.parametrize("wrong", ["too far", "out of range", "not a number", "other shape"])
def test_an_attack_that_breaks_its_bounds_is_void(wrong):
    clean = np.full((2, 2), 0.95, dtype=np.float32)
    bounds = enter(clean, LABELS, spec())
    adversarial = {
        "too far": clean - np.float32(0.1001),
        "out of range": clean + np.float32(0.06),
        "not a number": np.full_like(clean, np.nan),
        "other shape": clean[:, :1],
    }[wrong]
    with pytest.raises(EvidenceError, match="broke its own bounds"):
        bounds.outcome(adversarial, queries=0, source=GradientKind.NONE, loss=None)
