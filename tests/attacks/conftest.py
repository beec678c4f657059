"""Models in numpy with exact gradients, and digits for them to read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression

from hexgate.targets.base import Output


@dataclass
class NumpyMlp:
    """x W1 + b1, tanh, W2 + b2: smooth, so that differences must agree. Predictor and GradientSource."""

    w1: NDArray[np.float64]
    b1: NDArray[np.float64]
    w2: NDArray[np.float64]
    b2: NDArray[np.float64]
    scale: float = 1.0
    output: Output = Output.LOGITS
    labels: tuple[str, ...] | None = None
    shape: tuple[int, ...] | None = None
    asked: list[NDArray[np.float32]] = field(default_factory=list)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.shape or (self.w1.shape[0],)

    def _hidden(self, batch):
        return np.tanh(batch.reshape(len(batch), -1).astype(np.float64) @ self.w1 + self.b1)

    def _logits(self, batch):
        return self.scale * (self._hidden(batch) @ self.w2 + self.b2)

    def scores(self, batch):
        self.asked.append(np.array(batch))
        logits = self._logits(batch)
        if self.output is not Output.PROBABILITIES:
            return logits.astype(np.float32)
        if logits.shape[1] == 1:
            return (1 / (1 + np.exp(-logits))).astype(np.float32)
        return _softmax(logits).astype(np.float32)

    def input_gradient(self, batch, labels, loss):
        # float32 from the logits on, as a framework does it: what masks a gradient there must mask it here.
        hidden, logits = self._hidden(batch), self._logits(batch).astype(np.float32)
        rows = np.arange(len(batch))
        by_logit = np.zeros_like(logits)
        if loss == "cross_entropy":
            by_logit = _softmax(logits)
            by_logit[rows, labels] -= 1
        else:
            others = logits.copy()
            others[rows, labels] = -np.inf
            by_logit[rows, others.argmax(axis=1)] = 1
            by_logit[rows, labels] = -1
        by_hidden = (self.scale * by_logit.astype(np.float64)) @ self.w2.T
        by_input = (by_hidden * (1 - hidden**2)) @ self.w1.T
        return by_input.reshape(batch.shape).astype(np.float32)

    def scaled(self, scale: float) -> NumpyMlp:
        return replace(self, scale=scale, asked=[])


def _softmax(logits):
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


@dataclass
class Quantised:
    """A model whose scores are rounded, as an int8 model's are; it has no gradients."""

    inner: NumpyMlp
    step: float

    labels = None
    output = Output.LOGITS

    @property
    def input_shape(self):
        return self.inner.input_shape

    def scores(self, batch):
        return (np.round(self.inner.scores(batch) / self.step) * self.step).astype(np.float32)


@pytest.fixture(scope="session")
def digits():
    images, labels = load_digits(return_X_y=True)
    return (images[:400] / 16).astype(np.float32), labels[:400].astype(np.int64)


@pytest.fixture(scope="session")
def trained():
    """Random tanh features under a logistic regression: a fifth of a second, and a little nonlinear."""
    images, labels = load_digits(return_X_y=True)
    images = images[400:] / 16
    generator = np.random.default_rng(0)
    w1 = generator.normal(scale=0.35, size=(64, 96))
    b1 = generator.normal(scale=0.5, size=96)
    fitted = LogisticRegression(max_iter=400, C=0.3).fit(np.tanh(images @ w1 + b1), labels[400:])
    return w1, b1, fitted.coef_.T, fitted.intercept_


@pytest.fixture
def mlp(trained) -> NumpyMlp:
    return NumpyMlp(*trained)


@pytest.fixture
def quantised(mlp) -> Quantised:
    return Quantised(mlp, step=0.25)


@pytest.fixture(scope="session")
def cancer():
    """Two classes, features scaled by the first half, so that some of the second half lie outside [0, 1]."""
    values, labels = load_breast_cancer(return_X_y=True)
    half = len(values) // 2
    low, high = values[:half].min(axis=0), values[:half].max(axis=0)
    scaled = (values - low) / (high - low)
    fitted = LogisticRegression(C=10).fit(scaled[:half], labels[:half])
    return scaled[half:].astype(np.float32), labels[half:].astype(np.int64), fitted


@pytest.fixture
def binary(cancer) -> NumpyMlp:
    """One logit for two classes: nearly linear features and the weights of a logistic regression."""
    fitted = cancer[2]
    size = fitted.coef_.shape[1]
    tiny = 1e-3
    return NumpyMlp(np.eye(size) * tiny, np.zeros(size), fitted.coef_.T / tiny, fitted.intercept_)
