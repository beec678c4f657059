"""FGSM, PGD, Square and noise: against direct formulas, and against every trap that we know of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hexgate.attacks.base import ATTACKS, AttackSpec, GradientKind, Loss, open_attack
from hexgate.attacks.fgsm import fgsm
from hexgate.attacks.losses import predicted
from hexgate.attacks.noise import noise
from hexgate.attacks.pgd import pgd
from hexgate.attacks.square import square
from hexgate.errors import DataError, TargetUnusable

RANGE = (0.0, 1.0)


def spec(attack_type="fgsm", eps=0.1, **more):
    return AttackSpec(attack_type, eps, RANGE, **more)


def success(model, images, labels, adversarial):
    """Newly wrong over originally right."""
    right = predicted(model.scores(images), model.output) == labels
    return (right & (predicted(model.scores(adversarial), model.output) != labels)).sum() / right.sum()


@pytest.mark.parametrize("loss", Loss)
@pytest.mark.parametrize("eps", [0.01, 0.03, 0.1, 0.5])
def test_fgsm_is_its_formula(mlp, digits, loss, eps):
    images, labels = digits
    found = fgsm(mlp, mlp, images, labels, spec(eps=eps, loss=loss))
    gradient = mlp.input_gradient(images, labels, loss.value)
    direct = np.clip(images + eps * np.sign(gradient), 0, 1)
    assert np.abs(found.adversarial - direct).max() < 1e-6
    assert found.adversarial.dtype == np.float32
    assert (found.gradient_source, found.loss, found.queries_total) == (
        GradientKind.AUTOGRAD,
        loss,
        len(images),
    )


@pytest.mark.parametrize("loss", Loss)
@pytest.mark.parametrize("eps", [0.03, 0.1])
def test_pgd_is_its_formula(mlp, digits, loss, eps):
    images, labels = digits
    found = pgd(mlp, mlp, images, labels, spec("pgd", eps, loss=loss, steps=10))
    moved = images.copy()
    for _ in range(10):
        moved = moved + np.float32(2.5 * eps / 10) * np.sign(mlp.input_gradient(moved, labels, loss.value))
        moved = np.clip(images + np.clip(moved - images, -np.float32(eps), np.float32(eps)), 0, 1)
    assert np.abs(found.adversarial - moved).max() < 1e-6
    assert (found.queries_total, found.iterations) == (10 * len(images), 10)


def test_one_step_of_pgd_of_length_eps_is_fgsm(mlp, digits):
    images, labels = digits
    one = pgd(mlp, mlp, images, labels, spec("pgd", steps=1, step_size=0.1)).adversarial
    assert np.array_equal(one, fgsm(mlp, mlp, images, labels, spec()).adversarial)


def test_finite_differences_find_what_autograd_finds(mlp, digits):
    images, labels = digits
    white = fgsm(mlp, mlp, images, labels, spec(eps=0.05))
    black = fgsm(mlp, None, images, labels, spec(eps=0.05, loss=Loss.CROSS_ENTROPY))
    assert black.gradient_source is GradientKind.FINITE_DIFFERENCE
    assert black.loss is Loss.MARGIN
    assert success(mlp, images, labels, white.adversarial) > 0.05
    assert (
        abs(success(mlp, images, labels, black.adversarial) - success(mlp, images, labels, white.adversarial))
        <= 0.005
    )


def test_the_stronger_the_attack_the_more_it_finds(mlp, digits):
    images, labels = digits
    rates = [
        success(mlp, images, labels, open_attack(name)(mlp, mlp, images, labels, spec(name)).adversarial)
        for name in ("noise", "fgsm", "pgd")
    ]
    assert rates == sorted(rates)
    assert rates[0] < 0.05 < rates[1]
    by_eps = [
        success(mlp, images, labels, pgd(mlp, mlp, images, labels, spec("pgd", eps)).adversarial)
        for eps in (0.0, 0.02, 0.05, 0.1, 0.2, 0.3)
    ]
    assert by_eps == sorted(by_eps)
    assert by_eps[-1] > 0.99


def test_logit_scale_masks_cross_entropy_but_not_the_margin(mlp, digits):
    """Field measurement: 0.39 falls to 0.017 at scale 100, without one prediction changed."""
    images, labels = digits
    loud = mlp.scaled(100.0)
    assert np.array_equal(
        predicted(mlp.scores(images), mlp.output), predicted(loud.scores(images), loud.output)
    )
    rate, zero = {}, {}
    for loss in Loss:
        for model in (mlp, loud):
            found = fgsm(model, model, images, labels, spec(loss=loss))
            rate[loss, model.scale] = success(model, images, labels, found.adversarial)
            zero[loss, model.scale] = found.zero_gradient_rows
    assert rate[Loss.CROSS_ENTROPY, 1.0] > 0.2
    assert rate[Loss.CROSS_ENTROPY, 100.0] < 0.5 * rate[Loss.CROSS_ENTROPY, 1.0]
    assert zero[Loss.CROSS_ENTROPY, 100.0] > 0.5 * len(images)
    assert rate[Loss.MARGIN, 100.0] == rate[Loss.MARGIN, 1.0]
    assert zero[Loss.MARGIN, 100.0] == 0


@pytest.mark.parametrize("with_gradients", [True, False])
@pytest.mark.parametrize("name", ATTACKS)
def test_eps_0_gives_the_input_back_bit_for_bit(mlp, digits, name, with_gradients):
    images, labels = digits[0][:40], digits[1][:40]
    still = spec(name, 0.0, queries=20, restarts=2, random_start=True)
    found = open_attack(name)(mlp, mlp if with_gradients else None, images, labels, still)
    assert np.array_equal(found.adversarial, images)


@pytest.mark.parametrize("name", ATTACKS)
def test_eps_0_gives_inputs_outside_the_range_back_when_widened(binary, cancer, name):
    """Clipping the clean point into the range is the trap whose flips look like an attack's."""
    values, labels, _ = cancer
    assert values.max() > 1
    found = open_attack(name)(binary, None, values, labels, spec(name, 0.0, widen=True, queries=5))
    assert np.array_equal(found.adversarial, values)


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("eps", [0.03, 0.4])
def test_no_attack_leaves_eps_or_range(mlp, digits, name, eps):
    images, labels = digits[0][:60], digits[1][:60]
    attack = spec(name, eps, queries=60, restarts=2, random_start=True)
    moved = open_attack(name)(mlp, mlp, images, labels, attack).adversarial
    assert np.abs(moved.astype(np.float64) - images).max() <= eps + 1e-6
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert not np.array_equal(moved, images)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_in_another_unit_is_the_same_attack(mlp, digits, name):
    """eps is in input units: 8 of 255 in bytes does what 8/255 does in shares."""
    images, labels = digits[0][:60], digits[1][:60]
    in_bytes = type(mlp)(mlp.w1 / 255, mlp.b1, mlp.w2, mlp.b2)
    as_bytes = replace(spec(name, 25.5, queries=40), input_range=(0.0, 255.0))
    shares = open_attack(name)(mlp, mlp, images, labels, spec(name, 0.1, queries=40)).adversarial
    bytes_ = open_attack(name)(in_bytes, in_bytes, images * np.float32(255), labels, as_bytes).adversarial
    assert np.abs(bytes_ - images * 255).max() <= 25.5 + 1e-4
    if name in {"fgsm", "pgd"}:
        assert np.abs(bytes_ / 255 - shares).max() < 1e-5


@pytest.mark.parametrize("name", ATTACKS)
def test_inputs_outside_the_range_are_refused(mlp, digits, name):
    """A normalised batch under eps in pixel units is the commonest way to a plausible wrong number."""
    images, labels = digits
    normalised = (images - images.mean()) / images.std()
    with pytest.raises(DataError, match=r"got values from -0\.8.* to 1\.8"):
        open_attack(name)(mlp, mlp, normalised, labels, spec(name))


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_changes_nothing_that_the_caller_holds(mlp, digits, name):
    images, labels = digits[0][:20].copy(), digits[1][:20].copy()
    open_attack(name)(mlp, mlp, images, labels, spec(name, queries=20))
    assert np.array_equal(images, digits[0][:20])
    assert np.array_equal(labels, digits[1][:20])


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_repeat_themselves_and_rows_do_not_depend_on_each_other(mlp, digits, name):
    images, labels = digits[0][:40], digits[1][:40]
    random = spec(name, queries=40, random_start=True, seed=5)
    attack = open_attack(name)
    whole = attack(mlp, mlp, images, labels, random)
    assert np.array_equal(whole.adversarial, attack(mlp, mlp, images, labels, random).adversarial)
    parts = [attack(mlp, mlp, images[a:b], labels[a:b], random) for a, b in ((0, 15), (15, 40))]
    assert np.array_equal(whole.adversarial, np.concatenate([part.adversarial for part in parts]))
    assert whole.queries_total == sum(part.queries_total for part in parts)


@pytest.mark.parametrize("attack", [noise, square])
def test_the_seed_decides_random_attacks(mlp, digits, attack):
    images, labels = digits[0][:20], digits[1][:20]
    one = attack(mlp, None, images, labels, spec("square", 0.02, queries=20, seed=1)).adversarial
    other = attack(mlp, None, images, labels, spec("square", 0.02, queries=20, seed=2)).adversarial
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_to_attack_is_no_result(mlp, name):
    images, labels = np.zeros((0, 64), dtype=np.float32), np.zeros(0, dtype=np.int64)
    with pytest.raises(DataError, match="no inputs to attack"):
        open_attack(name)(mlp, mlp, images, labels, spec(name))


def test_noise_is_eps_or_minus_eps_and_asks_nothing(mlp, digits):
    middle = np.full((30, 64), 0.5, dtype=np.float32)
    found = noise(mlp, mlp, middle, digits[1][:30], spec("noise", 0.25))
    assert set(np.unique(found.adversarial)) == {np.float32(0.25), np.float32(0.75)}
    assert mlp.asked == []
    assert (found.queries_total, found.gradient_source, found.loss) == (0, GradientKind.NONE, None)
    assert found.zero_gradient_rows is None


def test_pgd_restarts_keep_the_worst_run_of_each_row(mlp, digits):
    images, labels = digits
    one = pgd(mlp, mlp, images, labels, spec("pgd", 0.06, steps=5))
    many = pgd(mlp, mlp, images, labels, spec("pgd", 0.06, steps=5, restarts=4))
    assert success(mlp, images, labels, many.adversarial) >= success(mlp, images, labels, one.adversarial)
    assert not np.array_equal(one.adversarial, many.adversarial)
    assert many.queries_total == 4 * (5 + 1) * len(images)


def test_square_reaches_pgd_by_scores_alone_within_its_budget(mlp, digits):
    images, labels = digits
    strong = success(mlp, images, labels, pgd(mlp, mlp, images, labels, spec("pgd")).adversarial)
    mlp.asked.clear()
    found = square(mlp, mlp, images, labels, spec("square", queries=500))
    asked = sum(len(batch) for batch in mlp.asked)
    assert success(mlp, images, labels, found.adversarial) >= 0.9 * strong
    assert found.queries_total == asked <= 500 * len(images)
    assert found.gradient_source is GradientKind.NONE
    assert found.iterations < 500


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (8, 8, 1), (4, 4, 4), (2, 2, 2, 8)])
def test_square_attacks_images_in_any_layout(mlp, digits, shape):
    images, labels = digits[0][:150].reshape(150, *shape), digits[1][:150]
    mlp.shape = shape
    found = square(mlp, None, images, labels, spec("square", queries=200))
    control = noise(mlp, None, images, labels, spec("noise"))
    assert found.adversarial.shape == images.shape
    assert success(mlp, images, labels, found.adversarial) > 0.1 + success(
        mlp, images, labels, control.adversarial
    )


def test_square_leaves_alone_what_is_wrong_already(mlp, digits):
    images, labels = digits
    wrong = predicted(mlp.scores(images), mlp.output) != labels
    assert wrong.any()
    found = square(mlp, None, images, labels, spec("square", queries=30))
    assert np.array_equal(found.adversarial[wrong], images[wrong])


def test_one_column_of_logits_is_attacked_by_its_margin(binary, cancer):
    values, labels, _ = cancer
    found = fgsm(binary, None, values, labels, spec(eps=0.03, widen=True))
    # For a linear model FGSM is known: against the true class, along the sign of each weight.
    direction = np.where(labels == 1, -1, 1)[:, None] * np.sign(binary.w1 @ binary.w2)[:, 0]
    expected = np.clip(values + 0.03 * direction, np.minimum(values, 0), np.maximum(values, 1))
    assert np.abs(found.adversarial - expected).max() < 1e-6
    assert success(binary, values, labels, found.adversarial) > 0.02


@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_large_inputs_without_gradients_are_sent_to_square(mlp, name):
    mlp.shape = (3, 32, 32)
    images, labels = np.zeros((1, 3, 32, 32), dtype=np.float32), np.zeros(1, dtype=np.int64)
    with pytest.raises(TargetUnusable, match="square"):
        open_attack(name)(mlp, None, images, labels, spec(name))
