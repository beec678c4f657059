"""Scores against scikit-learn, over thousands of generated cases with every kind of empty class."""

import math
import warnings

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from hexgate.metrics.classification import (
    Averaging,
    Score,
    Scores,
    ZeroDivision,
    accuracy,
    confusion_matrix,
    per_class,
    precision_recall_f1,
    vectorised,
    vectorised_f1,
)

FILL = {ZeroDivision.ZERO: 0.0, ZeroDivision.ONE: 1.0, ZeroDivision.EXCLUDE: np.nan}
AVERAGED = [Averaging.MICRO, Averaging.MACRO, Averaging.WEIGHTED]
INVENTED = 99
UNREADABLE = -1


def words(numbers):
    return [None if number == UNREADABLE else f"class {number}" for number in numbers]


def theirs(true, pred, k, *, averaging, rule, positive):
    """Precision, recall and F1 as scikit-learn has them, NaN where undefined."""
    labels = [positive] if averaging is Averaging.BINARY else list(range(k))
    average = "macro" if averaging is Averaging.BINARY else averaging.value
    with warnings.catch_warnings(), sklearn.config_context(skip_parameter_validation=True):
        # It takes few items of many classes for a regression.
        warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
        return precision_recall_fscore_support(
            true, pred, labels=labels, average=average, zero_division=FILL[rule]
        )[:3]


def assert_same(true, pred, k, *, averaging, rule, positive):
    confusion = confusion_matrix(words(true), words(pred), words(range(k)))
    place = positive if averaging is Averaging.BINARY else None
    ours = precision_recall_f1(confusion, averaging, zero_division=rule, positive=place)
    expected = theirs(true, pred, k, averaging=averaging, rule=rule, positive=positive)
    for mine, other in zip((ours.precision, ours.recall, ours.f1), expected, strict=True):
        if mine is None:
            assert math.isnan(other)
        else:
            assert mine == pytest.approx(other, abs=1e-12, rel=0)
    many = vectorised_f1(averaging, rule, place)(confusion[np.newaxis])
    assert many.shape == (1,)
    assert (None if math.isnan(many[0]) else many[0]) == ours.f1


@pytest.mark.parametrize("seed", range(8))
def test_ten_thousand_cases(seed):
    rng = np.random.default_rng(seed)
    undefined = 0
    for case in range(1250):
        k, n = int(rng.integers(1, 7)), int(rng.integers(1, 25))
        # A few classes only, so that others are never labelled, never predicted, or neither.
        true = rng.choice(rng.integers(0, k, size=2), size=n)
        pred = rng.choice([*rng.integers(0, k, size=2), INVENTED, UNREADABLE], size=n)
        right = rng.random(n) < rng.choice([0.0, 0.5, 1.0])
        pred = np.where(right, true, pred)
        averaging = [Averaging.BINARY, *AVERAGED][case % 4]
        rule = list(ZeroDivision)[case // 4 % 3]
        assert_same(true, pred, k, averaging=averaging, rule=rule, positive=int(rng.integers(0, k)))
        undefined += rule is ZeroDivision.EXCLUDE
    assert undefined > 375


@settings(deadline=None, max_examples=150)
@given(data=st.data(), k=st.integers(1, 5))
def test_every_averaging_and_rule(data, k):
    pairs = data.draw(
        st.lists(
            st.tuples(st.integers(0, k - 1), st.sampled_from([*range(k), INVENTED, UNREADABLE])),
            min_size=1,
            max_size=30,
        )
    )
    positive = data.draw(st.integers(0, k - 1))
    true, pred = (np.array(column) for column in zip(*pairs, strict=True))
    for averaging in Averaging:
        for rule in ZeroDivision:
            assert_same(true, pred, k, averaging=averaging, rule=rule, positive=positive)


@settings(deadline=None, max_examples=150)
@given(data=st.data(), k=st.integers(1, 6))
def test_per_class_and_accuracy(data, k):
    n = data.draw(st.integers(1, 30))
    true = data.draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n))
    pred = data.draw(st.lists(st.sampled_from([*range(k), INVENTED, UNREADABLE]), min_size=n, max_size=n))
    confusion = confusion_matrix(words(true), words(pred), words(range(k)))
    assert accuracy(confusion) == pytest.approx(accuracy_score(true, pred), abs=1e-15)
    for rule in ZeroDivision:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
            expected = precision_recall_fscore_support(
                true, pred, labels=list(range(k)), average=None, zero_division=FILL[rule]
            )
        for place, mine in enumerate(per_class(confusion, words(range(k)), rule)):
            scores = [np.nan if v is None else v for v in (mine.precision, mine.recall, mine.f1)]
            assert scores == pytest.approx([column[place] for column in expected[:3]], abs=1e-12, nan_ok=True)
            assert (mine.label, mine.support) == (f"class {place}", expected[3][place])
            assert mine.predicted == pred.count(place)
            assert mine.true_positives == sum(t == p == place for t, p in zip(true, pred, strict=True))


def test_binary_is_scikit_learns_binary():
    true, pred = ["no", "yes", "yes", "no", "yes"], ["yes", "yes", "no", "no", "yes"]
    confusion = confusion_matrix(true, pred, ["no", "yes"])
    ours = precision_recall_f1(confusion, Averaging.BINARY, zero_division=ZeroDivision.ZERO, positive=1)
    expected = precision_recall_fscore_support(true, pred, average="binary", pos_label="yes")
    assert (ours.precision, ours.recall, ours.f1) == pytest.approx(expected[:3], abs=1e-15)


def test_many_tables_equal_one_by_one():
    tables = np.random.default_rng(1).integers(0, 4, size=(300, 4, 5))
    tables[:60, 2, :] = 0
    tables[40:90, :, 1] = 0
    for averaging in Averaging:
        positive = 2 if averaging is Averaging.BINARY else None
        for rule in ZeroDivision:
            single = [
                precision_recall_f1(table, averaging, zero_division=rule, positive=positive)
                for table in tables
            ]
            for score in Score:
                many = vectorised(score, averaging, rule, positive)(tables)
                expected = [getattr(scores, score.value) for scores in single]
                assert [None if math.isnan(value) else value for value in many] == expected


def test_an_invented_label_is_a_wrong_answer_and_no_new_class():
    true, pred = ["a", "a", "b", "b"], ["a", "a", "b", "maybe b?"]
    confusion = confusion_matrix(true, pred, ["a", "b"])
    assert confusion.tolist() == [[2, 0, 0], [0, 1, 1]]
    ours = precision_recall_f1(confusion, Averaging.MACRO, zero_division=ZeroDivision.ZERO)
    assert ours.f1 == pytest.approx((1 + 2 / 3) / 2)
    assert accuracy(confusion) == 0.75


@pytest.mark.parametrize("rule", list(ZeroDivision))
@pytest.mark.parametrize("averaging", AVERAGED)
def test_no_items_are_no_score(averaging, rule):
    empty = np.zeros((2, 3), dtype=np.int64)
    assert precision_recall_f1(empty, averaging, zero_division=rule) == Scores(None, None, None)
    assert [scores.f1 for scores in per_class(empty, ["a", "b"], rule)] == [None, None]
    with pytest.raises(ValueError, match="no items"):
        accuracy(empty)


@pytest.mark.parametrize(
    ("true", "pred", "classes", "what"),
    [
        (["a"], ["a", "b"], ["a", "b"], "1 labels and 2 predictions"),
        (["c"], ["a"], ["a", "b"], "outside of the classes: 'c'"),
        (["a"], ["a"], ["a", "a"], "2 classes with 1 different names"),
        ([], [], [], "0 classes"),
    ],
)
def test_refuses_tables(true, pred, classes, what):
    with pytest.raises(ValueError, match=what):
        confusion_matrix(true, pred, classes)


@pytest.mark.parametrize(
    ("averaging", "positive"), [(Averaging.BINARY, None), (Averaging.MACRO, 1), (Averaging.BINARY, 2)]
)
def test_refuses_a_positive_class(averaging, positive):
    with pytest.raises(ValueError, match="positive class"):
        precision_recall_f1(
            np.ones((2, 3), dtype=np.int64), averaging, zero_division=ZeroDivision.ZERO, positive=positive
        )


def test_refuses_other_classes():
    with pytest.raises(ValueError, match="for 3 classes"):
        per_class(np.ones((2, 3), dtype=np.int64), ["a", "b", "c"], ZeroDivision.ZERO)
