from __future__ import annotations

import numpy as np
import pytest

from hexgate.attacks import gradient as module
from hexgate.attacks.base import AttackSpec, GradientKind, Loss
from hexgate.attacks.bounds import enter
from hexgate.attacks.gradient import finite_differences, gradient_kind, gradient_of
from hexgate.errors import TargetFailed, TargetUnusable
from hexgate.targets.base import Output


def spec(**more):
    return AttackSpec("fgsm", 0.03, (0.0, 1.0), **more)


def test_finite_differences_agree_with_the_exact_gradient_of_the_margin(mlp, digits):
    images, labels = digits
    bounds = enter(images, labels, spec())
    exact = mlp.input_gradient(images, labels, "margin")
    estimated = finite_differences(mlp, images, labels, bounds)
    assert (np.sign(estimated.values) == np.sign(exact)).mean() > 0.99
    cosines = (estimated.values * exact).sum(axis=1) / (
        np.linalg.norm(estimated.values, axis=1) * np.linalg.norm(exact, axis=1)
    )
    assert np.quantile(cosines, 0.05) > 0.999
    assert estimated.queries == 2 * 64 * len(images)
    assert estimated.difference_steps == {1e-3: len(images)}
    assert estimated.kind is GradientKind.FINITE_DIFFERENCE
    assert estimated.loss is Loss.MARGIN


def test_every_query_is_a_valid_input(mlp, digits):
    images, labels = digits
    finite_differences(mlp, images[:20], labels[:20], enter(images[:20], labels[:20], spec()))
    asked = np.concatenate(mlp.asked)
    assert asked.min() >= 0
    assert asked.max() <= 1


def test_chunks_do_not_change_the_result(mlp, digits, monkeypatch):
    images, labels = digits[0][:7], digits[1][:7]
    bounds = enter(images, labels, spec())
    whole = finite_differences(mlp, images, labels, bounds)
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 50)
    mlp.asked.clear()
    parts = finite_differences(mlp, images, labels, bounds)
    assert max(len(batch) for batch in mlp.asked) == 50
    assert np.allclose(whole.values, parts.values, rtol=1e-3, atol=1e-3)


def test_the_step_is_a_share_of_the_range(mlp, digits):
    images, labels = digits[0][:20] * 255, digits[1][:20]
    in_bytes = type(mlp)(mlp.w1 / 255, mlp.b1, mlp.w2, mlp.b2)
    bounds = enter(images, labels, AttackSpec("fgsm", 8.0, (0.0, 255.0)))
    exact = in_bytes.input_gradient(images, labels, "margin")
    estimated = finite_differences(in_bytes, images, labels, bounds).values
    assert (np.sign(estimated) == np.sign(exact)).mean() > 0.99


def test_dead_differences_of_a_quantised_model_are_tried_again_more_coarsely(quantised, digits):
    images, labels = digits[0][:50], digits[1][:50]
    bounds = enter(images, labels, spec())
    exact = quantised.inner.input_gradient(images, labels, "margin")
    found = finite_differences(quantised, images, labels, bounds)
    assert max(found.difference_steps) == 0.1
    assert sum(found.difference_steps.values()) == 50
    assert found.queries > 2 * 64 * 50
    alive = found.values != 0
    assert alive.mean() > 0.4
    assert (np.sign(found.values) == np.sign(exact))[alive].mean() > 0.9


def test_a_constant_model_has_a_zero_gradient_at_every_step(mlp, digits):
    images, labels = digits[0][:5], digits[1][:5]
    found = finite_differences(mlp.scaled(0.0), images, labels, enter(images, labels, spec()))
    assert found.zero_rows == 5
    assert found.difference_steps == {1e-3: 5}
    assert found.queries == 3 * 2 * 64 * 5


def test_probabilities_are_differentiated_as_logarithms(mlp, digits):
    images, labels = digits[0][:100], digits[1][:100]
    bounds = enter(images, labels, spec())
    exact = mlp.input_gradient(images, labels, "margin")
    mlp.output = Output.PROBABILITIES
    estimated = finite_differences(mlp, images, labels, bounds).values
    assert (np.sign(estimated) == np.sign(exact)).mean() > 0.99


def test_the_order_of_preference(mlp, digits):
    images, labels = digits[0][:4], digits[1][:4]
    bounds = enter(images, labels, spec(loss=Loss.CROSS_ENTROPY))
    assert gradient_kind(mlp, images) is GradientKind.AUTOGRAD
    own = gradient_of(mlp, mlp, images, labels, bounds)
    assert (own.kind, own.loss, own.queries) == (GradientKind.AUTOGRAD, Loss.CROSS_ENTROPY, 4)
    assert np.array_equal(own.values, mlp.input_gradient(images, labels, "cross_entropy"))
    assert gradient_of(mlp, None, images, labels, bounds).kind is GradientKind.FINITE_DIFFERENCE


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((32, 32), GradientKind.FINITE_DIFFERENCE), ((1, 32, 32), GradientKind.FINITE_DIFFERENCE),
     ((1025,), GradientKind.NONE), ((3, 32, 32), GradientKind.NONE)],
)  # fmt: skip
def test_large_inputs_have_no_gradient_without_the_targets_own(mlp, shape, kind):
    # What the target states does not count: an endpoint may state no shape, whose product is one value.
    mlp.shape = (1,)
    images = np.zeros((1, *shape), dtype=np.float32)
    assert gradient_kind(None, images) is kind
    if kind is GradientKind.NONE:
        labels = np.zeros(1, dtype=np.int64)
        with pytest.raises(TargetUnusable, match="use the attack 'square'"):
            gradient_of(mlp, None, images, labels, enter(images, labels, spec()))


@pytest.mark.parametrize("bad", [np.full((1, 64), np.nan), np.zeros((1, 63))])
def test_a_gradient_that_is_none_is_the_targets_fault(mlp, digits, bad):
    class Broken:
        def input_gradient(self, batch, labels, loss):
            return bad

    images, labels = digits[0][:1], digits[1][:1]
    with pytest.raises(TargetFailed, match="gradient is not one finite number"):
        gradient_of(mlp, Broken(), images, labels, enter(images, labels, spec()))
