"""McNemar's exact test against scipy, and paired differences."""

import numpy as np
import pytest
from scipy import stats as reference

from hexgate.stats.binomial import clopper_pearson
from hexgate.stats.bootstrap import mean_bootstrap
from hexgate.stats.paired import mcnemar_exact, paired_difference_bootstrap


@pytest.mark.parametrize("b", [0, 1, 5, 6, 40, 1000])
@pytest.mark.parametrize("c", [0, 2, 5, 41, 900])
def test_mcnemar_is_the_binomial_test(b, c):
    expected = reference.binomtest(b, b + c, 0.5).pvalue if b + c else 1.0
    assert mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-10)
    assert mcnemar_exact(c, b) == mcnemar_exact(b, c)


def test_six_items_one_way_are_the_fewest_that_tell():
    assert mcnemar_exact(5, 0) > 0.05 > mcnemar_exact(6, 0)
    with pytest.raises(ValueError, match="-1"):
        mcnemar_exact(-1, 3)


def test_differences_keep_their_pairs():
    rng = np.random.default_rng(4)
    level = rng.normal(0.0, 10.0, size=200)
    a, b = level + 1.0 + rng.normal(0.0, 0.1, size=200), level
    interval = paired_difference_bootstrap(a, b, what="score")
    assert interval.low < 1.0 < interval.high
    assert interval.high - interval.low < 0.05
    assert interval.method.startswith("paired item bootstrap of score")
    alone = mean_bootstrap(a - b, what="score")
    assert (interval.lower_bound, interval.upper_bound) == (alone.lower_bound, alone.upper_bound)


def test_no_difference_is_not_certainty():
    scores = [1.0, 0.5] * 50
    assert paired_difference_bootstrap(scores, scores, what="score").upper_bound is None
    spanned = paired_difference_bootstrap(scores, scores, what="score", span=(0.0, 1.0))
    assert spanned.upper_bound == pytest.approx(clopper_pearson(0, 100).upper_bound)


def test_refuses_unpaired_values():
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_difference_bootstrap([1.0], [1.0, 2.0], what="score")
