from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hexgate.attacks.base import AttackOutcome, AttackSpec, GradientKind, Loss, open_attack
from hexgate.attacks.probes import _sign_test, probe
from hexgate.targets.base import Output


def attacked(model, gradients, digits, name="fgsm", eps=0.1, *, half_range=True, **more):
    images, labels = digits
    spec = AttackSpec(name, eps, (0.0, 1.0), **more)
    outcome = open_attack(name)(model, gradients, images, labels, spec)
    return probe(model, gradients, images, labels, spec=spec, outcome=outcome, half_range=half_range)


@pytest.mark.parametrize("name", ["fgsm", "pgd", "square"])
@pytest.mark.parametrize("with_gradients", [True, False])
def test_a_healthy_model_is_not_suspect(mlp, digits, name, with_gradients):
    part = digits[0][:200], digits[1][:200]
    found = attacked(mlp, mlp if with_gradients else None, part, name, queries=200, steps=5)
    assert found.suspect_reasons == ()
    assert found.rows == 200
    assert (found.eps0_flips, found.clean_flips, found.clean_drift) == (0, 0, 0.0)
    assert found.noise_success < found.attack_success
    assert found.half_range_accuracy < 0.05
    assert 0.1 <= found.chance < 0.2
    assert found.zero_gradient_share == (None if name == "square" else 0.0)


def test_masked_gradients_are_suspect(mlp, digits):
    loud = mlp.scaled(1000.0)
    found = attacked(loud, loud, digits, loss=Loss.CROSS_ENTROPY)
    assert found.zero_gradient_share > 0.5
    assert any("nothing but zeros" in reason for reason in found.suspect_reasons)
    assert any("half the input range" in reason for reason in found.suspect_reasons)
    assert attacked(loud, loud, digits, loss=Loss.MARGIN).suspect_reasons == ()


def test_a_gradient_that_points_the_wrong_way_is_suspect(mlp, digits):
    class Uphill:
        def input_gradient(self, batch, labels, loss):
            return -mlp.input_gradient(batch, labels, loss)

    found = attacked(mlp, Uphill(), digits, eps=0.25)
    assert found.noise_only > found.attack_only
    assert any("random noise turns" in reason for reason in found.suspect_reasons)
    assert any("half the input range" in reason for reason in found.suspect_reasons)


def test_a_random_model_is_suspect(mlp, digits):
    generator = np.random.default_rng(0)

    class Dropout(type(mlp)):
        def scores(self, batch):
            return super().scores(batch) + generator.normal(size=(len(batch), 10)).astype(np.float32)

    random = Dropout(mlp.w1, mlp.b1, mlp.w2, mlp.b2)
    found = attacked(random, random, digits)
    assert found.clean_drift > 0
    assert found.eps0_flips > 0
    assert any("not deterministic" in reason for reason in found.suspect_reasons)
    assert any("with eps 0" in reason for reason in found.suspect_reasons)


def test_half_of_the_range_is_optional(mlp, digits):
    found = attacked(mlp, mlp, digits, half_range=False)
    assert found.half_range_accuracy is None
    assert found.suspect_reasons == ()


def test_no_row_right_is_no_rate(mlp, digits):
    images = digits[0][:30]
    wrong = (mlp.scores(images).argmax(axis=1) + 1) % 10
    found = attacked(mlp, mlp, (images, wrong), half_range=False)
    assert (found.attack_success, found.noise_success) == (None, None)
    assert found.suspect_reasons == ()


def test_a_little_more_noise_than_attack_is_within_tolerance(mlp, digits):
    """Discordant rows are judged by an exact sign test, so 2 against 0 is chance and 6 against 0 is not."""
    assert _sign_test(2, 0) == 0.25
    assert _sign_test(6, 0) == pytest.approx(1 / 64)
    assert _sign_test(5, 5) == pytest.approx(638 / 1024)
    images, labels = digits
    spec = AttackSpec("fgsm", 0.2, (0.0, 1.0))
    nothing = AttackOutcome(
        images, 0, open_attack("fgsm")(mlp, mlp, images, labels, spec).gradient_source, None, 0, 1
    )
    found = probe(mlp, mlp, images, labels, spec=spec, outcome=nothing)
    assert found.attack_only == 0
    assert _blames_noise(found) == (found.noise_only >= 5)
    weak = probe(
        mlp, mlp, images[:20], labels[:20], spec=spec, outcome=replace(nothing, adversarial=images[:20])
    )
    assert weak.noise_only < 5
    assert not _blames_noise(weak)


def _blames_noise(found):
    return any("random noise" in reason for reason in found.suspect_reasons)


@pytest.fixture
def rippled(mlp):
    """High-frequency ripples on the logits: differences see them alone, predictions hardly change."""

    class Rippled(type(mlp)):
        def _logits(self, batch):
            phases = 3e3 * batch.reshape(len(batch), -1).astype(np.float64) @ self.w1[:, :10]
            return super()._logits(batch) + 0.05 * np.sin(phases)

    return Rippled(mlp.w1, mlp.b1, mlp.w2, mlp.b2)


@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_steps_that_follow_ripples_are_beaten_by_square(rippled, digits, name):
    part = digits[0][:150], digits[1][:150]
    found = attacked(rippled, None, part, name, half_range=False, steps=3)
    assert found.zero_gradient_share == 0
    assert found.rival.rows == 150
    assert found.rival.rival_only > found.rival.attack_only + 10
    assert found.rival.attack_gain < found.rival.rival_gain
    assert any("rows wrong that the attack does not" in reason for reason in found.suspect_reasons)


def test_steps_that_miss_the_slope_show_before_any_row_is_lost(rippled, digits):
    part = digits[0][:60], digits[1][:60]
    found = attacked(rippled, None, part, half_range=False, eps=0.01)
    assert found.rival.rival_only < 5
    assert any("misses the slope" in reason for reason in found.suspect_reasons)


def test_rounding_that_moves_with_the_batch_of_an_int8_model_is_suspect(mlp, digits):
    class DynamicInt8(type(mlp)):
        def _logits(self, batch):
            # Eight bits for each tensor, with a scale that its own extremes set: noise instead of zeros.
            hidden = self._hidden(_eight_bits(batch))
            return _eight_bits(hidden) @ self.w2 + self.b2

    part = digits[0][:150], digits[1][:150]
    found = attacked(DynamicInt8(mlp.w1, mlp.b1, mlp.w2, mlp.b2), None, part, half_range=False)
    assert found.zero_gradient_share <= 0.01
    assert found.rival.rival_only > found.rival.attack_only
    assert any("Square" in reason for reason in found.suspect_reasons)


def _eight_bits(values):
    step = (values.max() - min(values.min(), 0.0)) / 255
    return np.round(values / step) * step


@pytest.mark.parametrize(
    ("queries", "eps", "tried"), [(200, 0.1, False), (199, 0.1, True), (199, 0.0, False)]
)
def test_square_is_held_to_square_only_when_it_had_less(mlp, digits, queries, eps, tried):
    part = digits[0][:10], digits[1][:10]
    found = attacked(mlp, None, part, "square", eps=eps, queries=queries, half_range=False)
    assert (found.rival is not None) == tried


def test_square_with_hardly_any_queries_is_suspect(mlp, digits):
    found = attacked(mlp, None, digits, "square", queries=2, half_range=False)
    assert any("Square with 200 queries" in reason for reason in found.suspect_reasons)


def test_large_inputs_have_fewer_rows_compared():
    class Wide:
        labels, output, input_shape = None, Output.LOGITS, (1024,)

        def scores(self, batch):
            total = batch.mean(axis=1, keepdims=True)
            return np.concatenate([total, 1 - total], axis=1)

    images = np.full((100, 1024), 0.25, dtype=np.float32)
    labels = np.ones(100, dtype=np.int64)
    spec = AttackSpec("fgsm", 0.1, (0.0, 1.0))
    moved = AttackOutcome(images + np.float32(0.1), 0, GradientKind.FINITE_DIFFERENCE, Loss.MARGIN, 0, 1)
    found = probe(Wide(), None, images, labels, spec=spec, outcome=moved)
    assert found.rival.rows == 81
    assert found.suspect_reasons == ()
