"""What a table does not show: the exact cases, and coverage by simulation where classes are rare."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.metrics.classification import Averaging, ZeroDivision, vectorised_f1
from hexgate.stats.binomial import clopper_pearson
from hexgate.stats.bootstrap import confusion_bootstrap, paired_confusion_bootstrap
from hexgate.stats.unseen import UnseenItems, _shares

MACRO_F1 = vectorised_f1(Averaging.MACRO, ZeroDivision.ZERO, None)
LEVEL = 0.95


def macro_recall(tables):
    k = tables.shape[1]
    return (np.diagonal(tables, axis1=1, axis2=2)[:, :k] / tables.sum(axis=2)).mean(axis=1)


def right(counts):
    """All items of all classes right; the last column is for unparsed ones."""
    return np.pad(np.diag(counts), ((0, 0), (0, 1))).astype(np.int64)


def test_classes_of_one_size_are_as_sure_as_all_items_together():
    fall, rise = UnseenItems(right([50] * 4), macro_recall).reach(0.05)
    assert -fall == pytest.approx(clopper_pearson(0, 200).upper_bound, rel=1e-9)
    assert rise == 0.0


def test_a_rare_class_may_have_a_large_share_of_unseen_items():
    fall, _ = UnseenItems(right([5, 10_000]), macro_recall).reach(0.05)
    assert -fall == pytest.approx(clopper_pearson(0, 5).upper_bound / 2, rel=0.01)


def test_a_class_that_was_never_right_may_be_right():
    table = np.array([[1000, 0, 0], [5, 0, 0]])
    _, rise = UnseenItems(table, macro_recall).reach(0.05)
    assert rise == pytest.approx(clopper_pearson(0, 5).upper_bound / 2, rel=0.01)


def test_a_class_without_items_may_be_anything():
    interval = confusion_bootstrap(
        right([100, 0]), MACRO_F1, point=float(MACRO_F1(right([100, 0])[np.newaxis])[0]), what="macro F1"
    )
    assert interval.upper_bound == pytest.approx(1.0)


def test_a_statistic_that_is_undefined_reaches_nowhere():
    assert UnseenItems(right([3, 3]), lambda tables: np.full(len(tables), np.nan)).reach(0.05) == (0.0, 0.0)


@given(
    st.lists(st.tuples(st.integers(1, 300), st.floats(0.01, 1.0)), min_size=1, max_size=6),
    st.integers(0, 2**32 - 1),
)
def test_no_other_shares_that_go_unseen_as_often_add_up_to_more(classes, seed):
    counts, weights = (np.array(column) for column in zip(*classes, strict=True))
    best = _shares(counts, weights, 0.05)
    assert float(counts @ np.log1p(-best)) == pytest.approx(math.log(0.05))
    split = np.random.default_rng(seed).dirichlet(np.ones(len(counts)))
    other = -np.expm1(math.log(0.05) * split / counts)
    assert float(weights @ other) <= float(weights @ best) + 1e-9


def test_balanced_classes_get_no_wider(monkeypatch):
    table = right([72] * 9 + [71])
    for label in range(10):
        table[label, label] -= 4
        table[label, (label + np.arange(1, 5)) % 10] += 1
    point = float(MACRO_F1(table[np.newaxis])[0])
    with_classes = confusion_bootstrap(table, MACRO_F1, point=point, what="macro F1")
    monkeypatch.setattr(UnseenItems, "reach", lambda *_: (0.0, 0.0))
    without = confusion_bootstrap(table, MACRO_F1, point=point, what="macro F1")
    for name in ("low", "high", "lower_bound", "upper_bound"):
        assert getattr(with_classes, name) == pytest.approx(getattr(without, name), abs=1e-6)


RARE = [
    ([0.96, 0.04], [1.0, 0.8], 200),
    ([0.975, 0.025], [1.0, 0.7], 200),
    ([0.95, *[0.01] * 5], [0.99, *[0.7] * 5], 200),
    ([0.95, *[0.01] * 5], [0.99, *[0.3] * 5], 200),
    ([0.99, 0.01], [1.0, 0.3], 300),
    ([*[0.11] * 9, 0.01], [*[0.95] * 9, 0.5], 400),
]
TRIALS = 300
MOST_MISSED = 0.07 * TRIALS


@pytest.mark.parametrize(("shares", "recalls", "n"), RARE)
def test_coverage_of_macro_f1_with_rare_classes(shares, recalls, n):
    k = len(shares)
    chances = np.zeros((k, k + 1))
    for label, (share, recall) in enumerate(zip(shares, recalls, strict=True)):
        chances[label, :k] = share * (1 - recall) / (k - 1)
        chances[label, label] = share * recall
    true = MACRO_F1(np.rint(chances * 1e9).astype(np.int64)[np.newaxis])[0]
    rng = np.random.default_rng(1)
    too_high = too_low = 0
    for trial in range(TRIALS):
        table = rng.multinomial(n, chances.ravel()).reshape(chances.shape)
        point = float(MACRO_F1(table[np.newaxis])[0])
        interval = confusion_bootstrap(
            table, MACRO_F1, resamples=1000, seed=trial, level=LEVEL, point=point, what="macro F1"
        )
        too_high += interval.lower_bound is not None and interval.lower_bound > true + 1e-9
        too_low += interval.upper_bound is not None and interval.upper_bound < true - 1e-9
    assert too_high <= MOST_MISSED
    assert too_low <= MOST_MISSED


def lost(tables):
    clean, attacked = (MACRO_F1(np.pad(tables.sum(axis=axis), ((0, 0), (0, 0), (0, 1)))) for axis in (3, 2))
    return clean - attacked


@pytest.mark.parametrize(
    ("shares", "flips", "n"), [([0.975, 0.025], [0.0, 0.4], 200), ([0.98, 0.02], [0.001, 0.3], 300)]
)
def test_coverage_of_a_drop_with_a_rare_class(shares, flips, n):
    k = len(shares)
    chances = np.zeros((k, k, k))
    for label, (share, flip) in enumerate(zip(shares, flips, strict=True)):
        chances[label, label] = share * flip / (k - 1)
        chances[label, label, label] = share * (1 - flip)
    true = lost(np.rint(chances * 1e9).astype(np.int64)[np.newaxis])[0]
    rng = np.random.default_rng(1)
    too_high = too_low = 0
    for trial in range(TRIALS):
        joint = rng.multinomial(n, chances.ravel()).reshape(chances.shape)
        point = float(lost(joint[np.newaxis])[0])
        interval = paired_confusion_bootstrap(
            joint, lost, resamples=1000, seed=trial, level=LEVEL, point=point, what="macro F1 drop"
        )
        too_high += interval.lower_bound is not None and interval.lower_bound > true + 1e-9
        too_low += interval.upper_bound is not None and interval.upper_bound < true - 1e-9
    assert too_high <= MOST_MISSED
    assert too_low <= MOST_MISSED
