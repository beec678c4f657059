from __future__ import annotations

import numpy as np
import pytest

from hexgate.attacks.losses import class_logits, margin, predicted
from hexgate.errors import DataError, TargetFailed, TargetUnusable
from hexgate.targets.base import Output


def test_margin_is_best_other_class_minus_true_class():
    logits = np.array([[1.0, 4.0, 2.0], [3.0, 1.0, 2.5]])
    assert margin(logits, np.array([1, 2])).tolist() == [-2.0, 0.5]


def test_probabilities_become_logarithms_and_survive_zero():
    logits = class_logits(np.array([[1.0, 0.0], [0.25, 0.75]], dtype=np.float32), Output.PROBABILITIES)
    assert logits.dtype == np.float64
    assert np.isfinite(logits).all()
    assert margin(logits, np.array([0, 0]))[1] == pytest.approx(np.log(3))


@pytest.mark.parametrize(
    ("output", "scores", "first_class_wins"),
    [(Output.LOGITS, [[-2.0], [0.5]], [True, False]), (Output.PROBABILITIES, [[0.2], [0.9]], [True, False])],
)
def test_one_column_is_the_second_of_two_classes(output, scores, first_class_wins):
    scores = np.array(scores, dtype=np.float32)
    labels = np.zeros(2, dtype=np.int64)
    assert (margin(class_logits(scores, output), labels) < 0).tolist() == first_class_wins
    assert (predicted(scores, output) == 0).tolist() == first_class_wins


def test_one_column_of_unknown_meaning_is_refused():
    with pytest.raises(TargetUnusable, match="state in the model's card"):
        class_logits(np.zeros((2, 1), dtype=np.float32), Output.UNKNOWN)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_the_targets_fault(bad):
    with pytest.raises(TargetFailed, match="1 of 2 rows"):
        class_logits(np.array([[0.0, bad], [0.0, 1.0]], dtype=np.float32), Output.LOGITS)


@pytest.mark.parametrize("shape", [(3,), (3, 0), (3, 2, 1)])
def test_scores_of_the_wrong_shape_are_the_targets_fault(shape):
    with pytest.raises(TargetFailed, match="wrong shape"):
        class_logits(np.zeros(shape, dtype=np.float32), Output.LOGITS)


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_that_is_no_class_is_refused(label):
    with pytest.raises(DataError, match="expected 0 to 1"):
        margin(np.zeros((1, 2)), np.array([label]))
