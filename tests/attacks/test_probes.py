from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hexgate.attacks.base import AttackOutcome, AttackSpec, Loss, open_attack
from hexgate.attacks.probes import _sign_test, probe


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
    assert bool(found.suspect_reasons) == (found.noise_only >= 5)
    weak = probe(
        mlp, mlp, images[:20], labels[:20], spec=spec, outcome=replace(nothing, adversarial=images[:20])
    )
    assert weak.noise_only < 5
    assert weak.suspect_reasons == ()
