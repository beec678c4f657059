"""The bootstraps: their rules, repeatability, scipy's bootstrap as reference, coverage by simulation."""

import numpy as np
import pytest
from scipy import stats as reference

from hexgate.stats import bootstrap
from hexgate.stats.binomial import clopper_pearson
from hexgate.stats.bootstrap import (
    cluster_bootstrap,
    confusion_bootstrap,
    mean_bootstrap,
    paired_confusion_bootstrap,
)
from hexgate.stats.interval import Family


def accuracy(tables):
    return np.trace(tables, axis1=1, axis2=2) / tables.sum(axis=(1, 2))


def drop(tables):
    k = tables.shape[1]
    clean = sum(tables[:, i, i, :].sum(axis=1) for i in range(k))
    attacked = sum(tables[:, i, :, i].sum(axis=1) for i in range(k))
    return (clean - attacked) / tables.sum(axis=(1, 2, 3))


CONFUSION = np.array([[80, 15, 5], [10, 85, 5]])
BOUNDS = ("low", "high", "lower_bound", "upper_bound")
PINNED_CONFUSION = (0.7749990081467384, 0.87500179336077, 0.7799991429104397, 0.8700013577722818)
PINNED_MEAN = (2.3, 6.6, 2.7, 6.3)


def bounds(interval):
    return tuple(getattr(interval, name) for name in BOUNDS)


def test_an_accuracy_is_covered_as_by_the_exact_binomial():
    interval = confusion_bootstrap(CONFUSION, accuracy, resamples=20_000, point=0.825, what="accuracy")
    exact = clopper_pearson(165, 200)
    assert bounds(interval) == pytest.approx(bounds(exact), abs=0.01)
    assert interval.family is Family.BOOTSTRAP
    assert interval.n == 200
    assert interval.method.startswith("item bootstrap of accuracy, 20000 resamples, PCG64 seed 0")


def test_the_same_seed_gives_the_same_bits():
    first = confusion_bootstrap(CONFUSION, accuracy, seed=7, point=0.825, what="accuracy")
    assert first == confusion_bootstrap(CONFUSION, accuracy, seed=7, point=0.825, what="accuracy")
    assert "seed 7" in first.method


def test_the_stream_is_pinned():
    """Fails where a numpy release changes its random streams: recorded intervals could not be recomputed."""
    one = confusion_bootstrap(CONFUSION, accuracy, seed=7, point=0.825, what="accuracy")
    two = mean_bootstrap(np.arange(10.0), seed=7, what="values")
    assert bounds(one) == pytest.approx(PINNED_CONFUSION, rel=1e-12)
    assert bounds(two) == PINNED_MEAN


@pytest.mark.parametrize("chunk", [1, 1000, 12_345])
def test_the_chunk_changes_nothing(chunk, monkeypatch):
    values = np.random.default_rng(1).normal(size=37)
    parts = np.repeat(np.arange(12), 3)

    def everything():
        return (
            confusion_bootstrap(CONFUSION, accuracy, resamples=500, point=0.825, what="accuracy"),
            mean_bootstrap(values, resamples=500, what="values"),
            cluster_bootstrap(values[:36] ** 2, np.ones(36), parts, resamples=500, what="ratio"),
        )

    whole = everything()
    monkeypatch.setattr(bootstrap, "_CHUNK", chunk)
    assert everything() == whole


def test_a_mean_is_scipys_bootstrap_but_for_the_expansion():
    values = np.random.default_rng(2).exponential(size=400)
    ours = mean_bootstrap(values, resamples=20_000, what="values")
    theirs = reference.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.04 * width)


def test_small_samples_get_students_width():
    values = np.random.default_rng(5).normal(size=12)
    ours = mean_bootstrap(values, resamples=50_000, what="values")
    exact = reference.t.interval(0.95, 11, values.mean(), values.std(ddof=1) / np.sqrt(12))
    assert (ours.low, ours.high) == pytest.approx(exact, abs=0.06)


def test_too_few_items_have_no_bounds():
    assert bounds(mean_bootstrap([1.0, 2.0, 3.0], what="values")) == (None,) * 4
    assert bounds(mean_bootstrap([1.0], what="values")) == (None,) * 4


@pytest.mark.parametrize("n", [1, 5, 100, 598])
def test_a_perfect_score_is_bounded_by_the_exact_binomial(n):
    interval = confusion_bootstrap(np.array([[n, 0]]), accuracy, point=1.0, what="accuracy")
    exact = clopper_pearson(n, n)
    assert bounds(interval) == pytest.approx(bounds(exact), rel=1e-12)
    assert "unseen items" in interval.method
    assert "all resamples are equal" in interval.method


def test_no_drop_at_all_is_not_certainty():
    joint = np.zeros((2, 3, 3), dtype=np.int64)
    joint[0, 0, 0], joint[1, 1, 1] = 60, 40
    interval = paired_confusion_bootstrap(joint, drop, point=0.0, what="accuracy drop")
    never = clopper_pearson(0, 100)
    assert interval.upper_bound == pytest.approx(never.upper_bound)
    assert interval.lower_bound == pytest.approx(-never.upper_bound)
    assert interval.high == pytest.approx(never.high)


def test_one_more_error_never_makes_a_bound_better():
    before = 1.0
    for errors in range(12):
        table = np.array([[300 - errors, errors]])
        interval = confusion_bootstrap(table, accuracy, point=1 - errors / 300, what="accuracy")
        assert interval.lower_bound < before
        before = interval.lower_bound


def test_undefined_resamples_count_as_the_worst():
    def mostly(tables):
        values = accuracy(tables)
        values[: len(values) // 20] = np.nan
        return values

    sure = confusion_bootstrap(CONFUSION, accuracy, point=0.825, what="accuracy")
    unsure = confusion_bootstrap(CONFUSION, mostly, point=0.825, what="accuracy")
    assert (unsure.low, unsure.high) == (None, None)
    assert sure.n == unsure.n

    def never(tables):
        return np.full(len(tables), np.nan)

    assert bounds(confusion_bootstrap(CONFUSION, never, point=0.825, what="accuracy")) == (None,) * 4


def test_the_point_is_always_inside():
    interval = confusion_bootstrap(CONFUSION, accuracy, point=0.99, what="a point off its resamples")
    assert interval.upper_bound >= 0.99
    assert interval.lower_bound < 0.825


def test_pairing_narrows_a_difference():
    joint = np.zeros((2, 3, 3), dtype=np.int64)
    joint[0, 0, 0], joint[0, 0, 1], joint[0, 1, 1] = 150, 10, 40
    joint[1, 1, 1], joint[1, 1, 0], joint[1, 0, 0] = 150, 10, 40
    interval = paired_confusion_bootstrap(joint, drop, resamples=5000, point=0.05, what="drop")
    error = np.sqrt((0.05 - 0.05**2) / 400)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.08)
    assert interval.n == 400


def test_means_with_a_span():
    assert bounds(mean_bootstrap([4.0] * 50, what="joules")) == (None,) * 4
    equal = mean_bootstrap([1.0] * 50, what="token F1", span=(0.0, 1.0))
    assert bounds(equal) == pytest.approx(bounds(clopper_pearson(50, 50)))
    with pytest.raises(ValueError, match="do not lie in the span"):
        mean_bootstrap([1.2], what="token F1", span=(0.0, 1.0))


def test_clusters_are_resampled_whole():
    rng = np.random.default_rng(8)
    effects = np.repeat(rng.normal(10.0, 2.0, size=40), 25)
    energies = effects + rng.normal(0.0, 0.1, size=1000)
    names = [f"prompt-{i // 25}" for i in range(1000)]
    ours = cluster_bootstrap(energies, np.ones(1000), names, resamples=5000, what="joules per token")
    alone = mean_bootstrap(energies, resamples=2000, what="joules per token")
    assert ours.n == 40
    assert ours.family is Family.CLUSTER_BOOTSTRAP
    # A design effect of 25 widens by 5.
    assert (ours.high - ours.low) / (alone.high - alone.low) == pytest.approx(5.0, rel=0.1)


def test_a_ratio_of_sums_is_not_a_mean_of_ratios():
    interval = cluster_bootstrap([1.0, 30.0] * 10, [1.0, 10.0] * 10, range(20), what="joules per token")
    assert interval.low < 31 / 11 < interval.high < 3.0


@pytest.mark.parametrize("clusters", [["a"] * 6, ["a", "b"] * 3])
def test_too_few_clusters_have_no_bounds(clusters):
    interval = cluster_bootstrap(range(1, 7), [1.0] * 6, clusters, what="joules per token")
    assert bounds(interval) == (None,) * 4


def test_clusters_without_denominators_are_allowed_but_not_alone():
    interval = cluster_bootstrap([0.0, 2.0, 3.0] * 20, [0.0, 1.0, 1.0] * 20, range(60), what="ratio")
    assert interval.low < 2.5 < interval.high
    with pytest.raises(ValueError, match="more than zero"):
        cluster_bootstrap([1.0], [0.0], ["a"], what="ratio")


@pytest.mark.parametrize(
    "broken",
    [
        lambda: confusion_bootstrap(np.zeros((2, 3), dtype=np.int64), accuracy, point=1.0, what="x"),
        lambda: confusion_bootstrap(np.array([[5, -1]]), accuracy, point=1.0, what="x"),
        lambda: confusion_bootstrap(CONFUSION, accuracy, point=float("nan"), what="x"),
        lambda: confusion_bootstrap(CONFUSION, accuracy, point=1.0, what="x", resamples=0),
        lambda: confusion_bootstrap(CONFUSION, accuracy, point=1.0, what="x", level=0.4),
        lambda: mean_bootstrap([], what="x"),
        lambda: mean_bootstrap([1.0, float("nan")], what="x"),
        lambda: cluster_bootstrap([1.0], [1.0, 2.0], ["a"], what="x"),
        lambda: cluster_bootstrap([1.0], [-1.0], ["a"], what="x"),
    ],
)
def test_refuses(broken):
    with pytest.raises(ValueError):  # noqa: PT011
        broken()


@pytest.mark.parametrize("error", [0.01, 0.05, 0.3])
def test_coverage_by_simulation(error):
    rng = np.random.default_rng(21)
    trials, n, missed = 400, 500, 0
    for trial in range(trials):
        errors = int(rng.binomial(n, error))
        table = np.array([[n - errors, errors]])
        interval = confusion_bootstrap(
            table, accuracy, resamples=500, seed=trial, point=1 - errors / n, what="accuracy"
        )
        missed += not interval.low <= 1 - error <= interval.high
    # 5 % of 400, with 3 standard errors on top.
    assert missed <= 34
