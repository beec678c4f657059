"""The demonstration classifier: its files agree with each other, with its script and with its card."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score

from hexgate.reference import digits_card, digits_data, digits_model, lm_model, prompts
from hexgate.targets.card import card_beside, read_card

Script = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    lines = digits_data().read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def images(rows: list[dict[str, Any]]) -> NDArray[np.float32]:
    return np.array([row["input"] for row in rows], dtype=np.float32)


@pytest.fixture(scope="module")
def digits(rows: list[dict[str, Any]]) -> NDArray[np.int64]:
    return np.array([int(row["label"]) for row in rows])


@pytest.fixture(scope="module")
def session() -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(digits_model(), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def retrained(script: Script, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    script("digits/train.py").main(["--out", str(folder)])
    return folder


@pytest.fixture(scope="module")
def weights() -> dict[str, NDArray[np.float32]]:
    with np.load(digits_model().with_name("weights.npz")) as stored:
        return dict(stored)


def test_held_out_file_is_what_the_script_writes(retrained: Path) -> None:
    assert (retrained / "val.jsonl").read_bytes() == digits_data().read_bytes()


def test_held_out_rows_are_unique_stratified_and_in_range(
    rows: list[dict[str, Any]], images: NDArray[np.float32], digits: NDArray[np.int64]
) -> None:
    assert len(rows) == 719
    assert len({row["id"] for row in rows}) == 719
    assert images.shape == (719, 64)
    assert images.min() == 0.0
    assert images.max() == 1.0
    _, all_digits = load_digits(return_X_y=True)
    everyone = Counter(all_digits)
    held_out = Counter(digits)
    assert all(abs(held_out[digit] - 0.4 * everyone[digit]) < 1 for digit in range(10))


def test_an_id_names_the_row_in_scikit_learns_array(
    rows: list[dict[str, Any]], images: NDArray[np.float32], digits: NDArray[np.int64]
) -> None:
    pixels, all_digits = load_digits(return_X_y=True)
    places = [int(row["id"].removeprefix("digit-")) for row in rows]
    assert np.array_equal(images * 16, pixels[places])
    assert np.array_equal(digits, all_digits[places])


def test_no_held_out_image_was_trained_on(script: Script, images: NDArray[np.float32]) -> None:
    trained = {
        hashlib.sha256(image.tobytes()).digest()
        for image in script("digits/train.py").split()["train_images"]
    }
    assert not any(hashlib.sha256(image.tobytes()).digest() in trained for image in images)


def test_the_graph_is_small_plain_and_old_enough() -> None:
    graph = onnx.load(digits_model())
    assert [node.op_type for node in graph.graph.node] == ["Gemm", "Relu", "Gemm"]
    assert graph.ir_version == 8
    assert [(opset.domain, opset.version) for opset in graph.opset_import] == [("", 17)]
    assert graph.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


@pytest.mark.parametrize("batch", [1, 2, 7, 719])
def test_the_model_takes_any_batch(
    session: onnxruntime.InferenceSession, images: NDArray[np.float32], batch: int
) -> None:
    (logits,) = session.run(None, {"input": images[:batch]})
    (alone,) = session.run(None, {"input": images[:1]})
    assert logits.shape == (batch, 10)
    np.testing.assert_allclose(logits[:1], alone, rtol=1e-5, atol=1e-5)


def test_the_weights_file_holds_the_weights_of_the_graph(
    script: Script,
    weights: dict[str, NDArray[np.float32]],
    session: onnxruntime.InferenceSession,
    images: NDArray[np.float32],
) -> None:
    graph = onnx.load(digits_model()).graph
    for tensor in graph.initializer:
        assert np.array_equal(onnx.numpy_helper.to_array(tensor), weights[tensor.name])
    (expected,) = session.run(None, {"input": images})
    got = script("digits/train.py").logits(weights, images)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=2e-5)


def test_the_torch_file_holds_the_same_weights(weights: dict[str, NDArray[np.float32]]) -> None:
    with zipfile.ZipFile(digits_model().with_name("model.pt")) as archive:
        stored = [archive.read(f"model/data/{part}") for part in range(4)]
        names = archive.namelist()
    assert sorted(stored) == sorted(array.tobytes() for array in weights.values())
    # The debug records would hold paths of the machine on which the file was made.
    assert not any(name.endswith(".debug_pkl") for name in names)


def test_f1_and_fgsm_stay_where_the_card_says(
    script: Script,
    weights: dict[str, NDArray[np.float32]],
    session: onnxruntime.InferenceSession,
    images: NDArray[np.float32],
    digits: NDArray[np.int64],
) -> None:
    stated = json.loads(digits_card().read_text(encoding="utf-8"))["training"]["held_out"]
    train = script("digits/train.py")

    def f1(batch: NDArray[np.float32]) -> float:
        return float(f1_score(digits, session.run(None, {"input": batch})[0].argmax(axis=1), average="macro"))

    clean = f1(images)
    assert clean >= 0.95
    assert clean == pytest.approx(stated["macro_f1"], abs=5e-5)
    for loss in ("margin", "cross_entropy"):
        attacked = train.fgsm(weights, images, digits, 0.03, loss)
        assert np.abs(attacked - images).max() <= 0.03 + 1e-6
        assert clean - f1(attacked) <= 0.05
        assert clean - f1(attacked) == pytest.approx(stated[f"macro_f1_drop_fgsm_0.03_{loss}"], abs=5e-5)
        assert np.array_equal(train.fgsm(weights, images, digits, 0.0, loss), images)


def test_retraining_gives_a_model_of_the_same_quality(retrained: Path) -> None:
    # Weights differ in the last digits from one BLAS to another, so a band and no bytes.
    found = json.loads((retrained / "card.json").read_text(encoding="utf-8"))["training"]["held_out"]
    assert 0.97 <= found["macro_f1"] <= 1.0
    assert 0.0 <= found["macro_f1_drop_fgsm_0.03_margin"] <= 0.06
    card = json.loads(digits_card().read_text(encoding="utf-8"))
    card["training"]["held_out"] = found
    assert json.loads((retrained / "card.json").read_text(encoding="utf-8")) == card


def test_the_card_belongs_to_the_model_and_names_what_is_there() -> None:
    card = card_beside(digits_model())
    assert card == read_card(digits_card())
    assert card.demonstration
    assert card.labels == tuple("0123456789")
    assert card.input_range == (0.0, 1.0)
    assert card.output == "logits"
    assert card.generator is not None
    assert card.prompts is not None
    assert card.beside(card.generator) == lm_model()
    assert card.beside(card.prompts) == prompts()
