"""robustness_adv against FGSM written out in numpy, and what a model gives that hides its gradient."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from hexgate.contract.artifact import Artifact
from hexgate.resources import shipped
from support.measuring import DIGITS, HELD_OUT, check, measured, rows
from support.scripted import ScriptedServer

Array = NDArray[np.float64]


class Network:
    """The digit classifier from its weights alone: 64 inputs, one hidden layer, 10 logits."""

    def __init__(self) -> None:
        weights = np.load(shipped("examples/digits/weights.npz"))
        self.inward, self.inward_bias, self.outward, self.outward_bias = (
            weights[name].astype(np.float64)
            for name in ("hidden.weight", "hidden.bias", "output.weight", "output.bias")
        )

    def logits(self, inputs: Array) -> Array:
        hidden = np.maximum(inputs @ self.inward.T + self.inward_bias, 0.0)
        return hidden @ self.outward.T + self.outward_bias

    def fgsm(self, inputs: Array, labels: NDArray[np.int64], eps: float) -> Array:
        """One step up the margin: the best other class minus the right one."""
        before = inputs @ self.inward.T + self.inward_bias
        scores = self.logits(inputs)
        others = scores.copy()
        others[np.arange(len(labels)), labels] = -np.inf
        direction = self.outward[others.argmax(axis=1)] - self.outward[labels]
        gradient = (direction * (before > 0)) @ self.inward
        return np.clip(inputs + eps * np.sign(gradient), 0.0, 1.0)


@pytest.fixture(scope="module")
def held_out() -> tuple[Array, NDArray[np.int64]]:
    items = [json.loads(line) for line in HELD_OUT.read_text("utf-8").splitlines()]
    return np.array([item["input"] for item in items]), np.array([int(item["label"]) for item in items])


def test_fgsm_does_what_numpy_does(
    of_digits: Callable[[str], Artifact], held_out: tuple[Array, NDArray[np.int64]]
) -> None:
    artifact = of_digits("robustness_adv")
    inputs, labels = held_out
    network = Network()
    clean = network.logits(inputs).argmax(axis=1)
    attacked = network.logits(network.fgsm(inputs, labels, 0.03)).argmax(axis=1)
    right = clean == labels

    found = artifact.data
    answered = rows(artifact, "samples")
    assert [int(row["prediction"]) for row in answered] == clean.tolist()
    # Differences in float32 may miss the sign of a slope that is almost none.
    assert sum(int(row["attacked"]) != other for row, other in zip(answered, attacked, strict=True)) <= 2
    assert found["n_correct"] == right.sum()
    assert found["success_rate"] == pytest.approx(
        (right & (attacked != labels)).sum() / right.sum(), abs=2e-3
    )
    drop = f1_score(labels, clean, average="macro") - f1_score(labels, attacked, average="macro")
    assert found["f1_drop"] == pytest.approx(drop, abs=2e-3)
    assert found["attack_type"] == "fgsm"
    assert found["gradient_source"] == "finite_difference"
    assert found["max_delta"] <= 0.03 + 1e-6
    assert found["eps0_flips"] == 0
    assert found["suspect_reasons"] == []
    assert found["cannot_certify"] == {}


def test_figures_are_those_of_its_own_samples(of_digits: Callable[[str], Artifact]) -> None:
    artifact = of_digits("robustness_adv")
    found = artifact.data
    answered = rows(artifact, "samples")
    truth, clean, attacked = (
        np.array([row[key] for row in answered]) for key in ("label", "prediction", "attacked")
    )
    assert found["f1_clean"] == pytest.approx(f1_score(truth, clean, average="macro"), abs=1e-12)
    assert found["f1_adv"] == pytest.approx(f1_score(truth, attacked, average="macro"), abs=1e-12)
    assert found["f1_drop"] == found["f1_clean"] - found["f1_adv"]
    newly = (clean == truth) & (attacked != truth)
    assert [found["n_newly_wrong"], found["n_flipped"]] == [newly.sum(), (clean != attacked).sum()]
    exact = binomtest(int(newly.sum()), found["n_correct"]).proportion_ci(0.95, "exact")
    interval = found["intervals"]["success_rate"]
    assert [interval["low"], interval["high"]] == pytest.approx([exact.low, exact.high], abs=1e-9)


def test_the_drop_has_the_interval_of_a_paired_bootstrap(of_digits: Callable[[str], Artifact]) -> None:
    artifact = of_digits("robustness_adv")
    answered = rows(artifact, "samples")
    truth, clean, attacked = (
        np.array([row[key] for row in answered]) for key in ("label", "prediction", "attacked")
    )
    random = np.random.default_rng(11)
    drawn = []
    for _ in range(400):
        pick = random.integers(0, len(truth), len(truth))
        drawn.append(
            f1_score(truth[pick], clean[pick], average="macro")
            - f1_score(truth[pick], attacked[pick], average="macro")
        )
    low, high = np.quantile(drawn, [0.025, 0.975])
    interval = artifact.data["intervals"]["f1_drop"]
    assert interval["low"] == pytest.approx(low, abs=0.25 * (high - low))
    assert interval["high"] == pytest.approx(high, abs=0.25 * (high - low))
    # Unpaired, the two scores would differ by far more than this.
    f1 = artifact.data["intervals"]["f1_clean"]
    assert high - low < 2 * (f1["high"] - f1["low"])


@pytest.mark.parametrize("eps", [0.0, 1e-9])
def test_an_attack_without_room_is_no_measurement(tmp_path: Path, eps: float) -> None:
    done = measured("robustness_adv", "demo:", tmp_path, eps=eps, limit=20)
    assert done.error is not None
    found = check(tmp_path / "robustness_adv.json").data
    assert found["status"] == "invalid"
    assert "no room" in found["invalid_reasons"][0]
    assert [found["n_flipped"], found["n_newly_wrong"], found["eps0_flips"]] == [0, 0, 0]
    assert found["f1_drop"] == 0.0


@pytest.mark.parametrize("attack", ["pgd", "square"])
def test_stronger_attacks_are_there(attack: str, tmp_path: Path) -> None:
    measured(
        "robustness_adv", str(DIGITS), tmp_path, data=str(HELD_OUT), attack=attack, limit=24, steps=4, queries=60,
        eps=0.2,
    )  # fmt: skip
    found = check(tmp_path / "robustness_adv.json").data
    assert found["attack_type"] == attack
    assert found["n_newly_wrong"] > 0
    assert found["queries_per_sample"] > 0
    assert (found["zero_gradient_ratio"] is None) == (attack == "square")


def test_a_masked_gradient_is_suspect_and_certifies_nothing(
    scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    network = Network()

    def masked(inputs: list[list[float]]) -> list[list[float]]:
        # The right order of the classes, and nothing that a small change of the input could move.
        scores = network.logits(np.array(inputs))
        return np.eye(10)[scores.argmax(axis=1)].tolist()

    server = scripted(predict=masked)
    done = measured(
        "robustness_adv", f"{server.origin}/predict", tmp_path, data=str(HELD_OUT), limit=12, attack="fgsm"
    )

    # No item that was right was moved, so there is nothing to judge.
    assert done.error is not None
    found = check(tmp_path / "robustness_adv.json").data
    assert found["status"] == "invalid"
    assert "it did nothing" in found["invalid_reasons"][0]
    assert found["success_rate"] == 0.0
    assert found["zero_gradient_ratio"] > 0.9
    assert any("masked" in reason for reason in found["suspect_reasons"])
    assert {"success_rate", "f1_drop", "robust_accuracy"} <= set(found["cannot_certify"])
    assert "too weak" in found["cannot_certify"]["f1_drop"]


def test_an_attack_that_follows_ripples_certifies_nothing(
    scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    network = Network()

    def rippled(inputs: list[list[float]]) -> list[list[float]]:
        values = np.array(inputs)
        return (network.logits(values) + 0.2 * np.sin(3e3 * values @ network.inward.T[:, :10])).tolist()

    server = scripted(predict=rippled)
    done = measured(
        "robustness_adv", f"{server.origin}/predict", tmp_path, data=str(HELD_OUT), limit=24, attack="fgsm",
        eps=0.1,
    )  # fmt: skip

    assert done.error is None
    found = check(tmp_path / "robustness_adv.json").data
    assert found["status"] == "complete"
    assert found["zero_gradient_ratio"] == 0.0
    assert any("Square with 200 queries" in reason for reason in found["suspect_reasons"])
    assert "too weak" in found["cannot_certify"]["f1_drop"]


def test_an_endpoint_that_states_no_shape_is_judged_by_its_inputs(
    scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    def predict(inputs: list[list[float]]) -> list[list[float]]:
        means = np.array(inputs).mean(axis=1)
        return np.stack([means, 1 - means], axis=1).tolist()

    items = tmp_path / "items.jsonl"
    vectors = [([0.3] * 1025, "1"), ([0.7] * 1025, "0")]
    items.write_text(
        "".join(
            json.dumps({"id": label, "input": values, "label": label}) + "\n" for values, label in vectors
        ),
        "utf-8",
    )
    server = scripted(predict=predict)
    done = measured("robustness_adv", f"{server.origin}/predict", tmp_path, data=str(items), queries=20)
    assert done.artifact.data["attack_type"] == "square"


def test_a_model_that_is_never_right_has_nothing_to_lose(
    scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    network = Network()
    server = scripted(predict=lambda inputs: (-network.logits(np.array(inputs))).tolist())
    done = measured(
        "robustness_adv", f"{server.origin}/predict", tmp_path, data=str(HELD_OUT), limit=6, attack="fgsm"
    )
    assert done.error is not None
    found = check(tmp_path / "robustness_adv.json").data
    assert found["status"] == "invalid"
    assert found["success_rate"] is None
    assert "no item was right" in found["missing"]["success_rate"]


def test_an_endpoint_that_dies_leaves_what_was_attacked(
    scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    network = Network()
    server = scripted()
    # The first 64 items are through after clean, attacked and noisy scores; then it is gone.
    seen = 0

    def predict(inputs: list[list[float]]) -> list[list[float]] | int:
        nonlocal seen
        seen += len(inputs)
        return 500 if seen > 64 * 133 else network.logits(np.array(inputs)).tolist()

    server.predict = predict
    done = measured(
        "robustness_adv", f"{server.origin}/predict", tmp_path, data=str(HELD_OUT), limit=128, attack="fgsm"
    )
    assert done.error is not None
    assert int(done.error.exit_code) == 5
    found = check(tmp_path / "robustness_adv.json").data
    assert found["status"] == "partial"
    assert found["counts"] == {"requested": 128, "succeeded": 64, "errored": 0, "skipped": 64}
    assert found["eps0_flips"] is None
    assert "before the probes" in found["missing"]["eps0_flips"]
