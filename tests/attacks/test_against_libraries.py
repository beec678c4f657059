"""FGSM and PGD against torchattacks and ART, on one torch model: the same images to 1e-6."""

from __future__ import annotations

import importlib
import os
import warnings
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hexgate.attacks.base import AttackSpec, GradientKind, Loss
from hexgate.attacks.bounds import enter
from hexgate.attacks.fgsm import fgsm
from hexgate.attacks.gradient import finite_differences
from hexgate.attacks.pgd import pgd
from hexgate.targets.base import Output

# The libraries warn of their own age when they are imported, which is not ours to mend.
pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("default")]


def heavy(name: str) -> Any:
    """The module; else a skip, or a failure where CI says that it has installed everything."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError as error:
        reason = f"{name.partition('.')[0]} cannot be imported here ({error})"
        if os.environ.get("HEXGATE_REQUIRE_HEAVY") == "1":
            pytest.fail(reason + ", and HEXGATE_REQUIRE_HEAVY=1 forbids to skip")
        pytest.skip(reason)


@dataclass
class TorchModel:
    """A torch module as a predictor with gradients."""

    torch: Any
    module: Any

    labels = None
    input_shape = (1, 8, 8)
    output = Output.LOGITS

    def scores(self, batch):
        with self.torch.no_grad():
            return self.module(self.torch.from_numpy(batch)).numpy()

    def input_gradient(self, batch, labels, loss):
        inputs = self.torch.from_numpy(batch).clone().requires_grad_()
        wanted = self.torch.from_numpy(labels)
        logits = self.module(inputs)
        if loss == "cross_entropy":
            total = self.torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
        else:
            true = logits.gather(1, wanted[:, None])[:, 0]
            others = logits.scatter(1, wanted[:, None], float("-inf"))
            total = (others.max(dim=1).values - true).sum()
        return self.torch.autograd.grad(total, inputs)[0].numpy()


@pytest.fixture(scope="module")
def model():
    torch = heavy("torch")
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    nn = torch.nn
    module = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.1),
        nn.Linear(512, 10),
    )  # fmt: skip
    optimiser = torch.optim.Adam(module.parameters(), lr=0.01)
    inputs, wanted = torch.from_numpy(images[300:]), torch.from_numpy(labels[300:])
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(module(inputs), wanted).backward()
        optimiser.step()
    module.eval()
    return SimpleNamespace(
        torch=torch,
        module=module,
        ours=TorchModel(torch, module),
        images=images[:300],
        labels=labels[:300].astype(np.int64),
    )


def ours(model, name, eps, steps=20):
    attack = {"fgsm": fgsm, "pgd": pgd}[name]
    spec = AttackSpec(name, eps, (0.0, 1.0), steps=steps, loss=Loss.CROSS_ENTROPY)
    found = attack(model.ours, model.ours, model.images, model.labels, spec)
    assert found.gradient_source is GradientKind.AUTOGRAD
    return found.adversarial


def agree(model, mine, theirs):
    assert np.abs(mine - theirs).max() <= 1e-6
    flips = model.ours.scores(mine).argmax(axis=1) == model.labels
    assert np.array_equal(flips, model.ours.scores(theirs).argmax(axis=1) == model.labels)


@pytest.mark.parametrize("eps", [0.01, 0.03, 0.1, 0.3])
@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_as_torchattacks(model, name, eps):
    torchattacks = heavy("torchattacks")
    torch = model.torch
    theirs = (
        torchattacks.FGSM(model.module, eps=eps)
        if name == "fgsm"
        else torchattacks.PGD(model.module, eps=eps, alpha=2.5 * eps / 20, steps=20, random_start=False)
    )
    images = theirs(torch.from_numpy(model.images), torch.from_numpy(model.labels)).numpy()
    agree(model, ours(model, name, eps), images)


@pytest.mark.parametrize("eps", [0.01, 0.03, 0.1, 0.3])
@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_as_art(model, name, eps):
    evasion = heavy("art.attacks.evasion")
    classification = heavy("art.estimators.classification")
    classifier = classification.PyTorchClassifier(
        model=model.module,
        loss=model.torch.nn.CrossEntropyLoss(),
        input_shape=(1, 8, 8),
        nb_classes=10,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
    theirs = (
        evasion.FastGradientMethod(classifier, eps=eps, batch_size=300)
        if name == "fgsm"
        else evasion.ProjectedGradientDescent(
            classifier,
            eps=eps,
            eps_step=2.5 * eps / 20,
            max_iter=20,
            num_random_init=0,
            batch_size=300,
            verbose=False,
        )
    )
    # One-hot labels: without labels ART attacks its own prediction, which gives other images.
    agree(model, ours(model, name, eps), theirs.generate(model.images, y=np.eye(10)[model.labels]))


def test_differences_through_scores_agree_with_autograd(model):
    spec = AttackSpec("fgsm", 0.03, (0.0, 1.0))
    exact = model.ours.input_gradient(model.images, model.labels, "margin")
    found = finite_differences(
        model.ours, model.images, model.labels, enter(model.images, model.labels, spec)
    )
    assert (np.sign(found.values) == np.sign(exact)).mean() > 0.99
