from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from hexgate.datasets.classification import read_items
from hexgate.errors import InputError, TargetFailed, TargetUnusable
from hexgate.reference import digits_model, prompts
from hexgate.targets.base import GenerateOptions, Output
from hexgate.targets.options import OpenOptions
from hexgate.targets.registry import open_target
from support.onnx_models import WEIGHTS, label_and_scores, linear, save, zip_map

X = np.random.default_rng(1).uniform(0, 1, (7, 4)).astype(np.float32)


def card(folder: Path, **fields: object) -> None:
    (folder / "card.json").write_text(json.dumps(fields), encoding="utf-8")


@pytest.mark.parametrize("batch", ["n", None, 1, 3])
def test_variable_and_fixed_batches_give_the_same_scores(tmp_path: Path, batch: int | str | None) -> None:
    target = open_target(
        str(linear(tmp_path / "m.onnx", batch=batch)), options=OpenOptions(batch=2, threads=1)
    )
    assert target.predictor is not None
    assert target.predictor.input_shape == (4,)
    assert target.predictor.output is Output.LOGITS
    np.testing.assert_allclose(target.predictor.scores(X), X @ WEIGHTS, rtol=1e-6)
    assert target.predictor.scores(X).dtype == np.float32
    assert target.predictor.scores(X[:0]).shape == (0, 3)


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16])
def test_float_types(tmp_path: Path, dtype: int) -> None:
    target = open_target(str(linear(tmp_path / "m.onnx", dtype=dtype)))
    assert target.predictor is not None
    np.testing.assert_allclose(target.predictor.scores(X), X @ WEIGHTS, atol=5e-3)


@pytest.mark.parametrize("dtype", [TensorProto.INT64, TensorProto.INT32, TensorProto.UINT8])
def test_whole_number_types(tmp_path: Path, dtype: int) -> None:
    target = open_target(str(linear(tmp_path / "m.onnx", dtype=dtype)))
    assert target.predictor is not None
    whole = np.array([[0, 1, 2, 255]], np.float32)
    np.testing.assert_allclose(target.predictor.scores(whole), whole @ WEIGHTS)
    with pytest.raises(TargetUnusable, match="takes whole numbers"):
        target.predictor.scores(X)


def test_whole_numbers_out_of_range(tmp_path: Path) -> None:
    target = open_target(str(linear(tmp_path / "m.onnx", dtype=TensorProto.UINT8)))
    assert target.predictor is not None
    with pytest.raises(TargetUnusable, match="uint8, 0 to 255"):
        target.predictor.scores(np.array([[0, 1, 2, 256]], np.float32))


def test_softmax_is_seen(tmp_path: Path) -> None:
    target = open_target(str(linear(tmp_path / "m.onnx", softmax=True)))
    assert target.predictor is not None
    assert target.predictor.output is Output.PROBABILITIES


def test_a_card_that_contradicts(tmp_path: Path) -> None:
    card(tmp_path, output="logits")
    target = open_target(str(linear(tmp_path / "m.onnx", softmax=True)))
    assert target.predictor is not None
    assert target.predictor.output is Output.LOGITS
    assert "looks like probabilities" in target.warnings[0]
    card(tmp_path, output="probabilities")
    with pytest.raises(InputError, match="gives probabilities, and it does not"):
        open_target(str(linear(tmp_path / "n.onnx")))


def test_pictures(tmp_path: Path) -> None:
    target = open_target(str(linear(tmp_path / "m.onnx", shape=(1, 2, 2))))
    assert target.predictor is not None
    assert target.predictor.input_shape == (1, 2, 2)
    for shaped in (X, X.reshape(7, 2, 2), X.reshape(7, 1, 2, 2)):
        np.testing.assert_allclose(target.predictor.scores(shaped), X @ WEIGHTS, rtol=1e-6)
    with pytest.raises(TargetUnusable, match="not of the model's shape"):
        target.predictor.scores(X.reshape(7, 1, 4, 1))
    with pytest.raises(TargetUnusable, match=r"got \[3\] an input; expected \[1, 2, 2\]"):
        target.predictor.scores(X[:, :3])
    with pytest.raises(TargetUnusable):
        target.predictor.scores(X[0])


def test_label_beside_scores(tmp_path: Path) -> None:
    target = open_target(str(label_and_scores(tmp_path / "m.onnx")))
    assert target.predictor is not None
    np.testing.assert_allclose(target.predictor.scores(X), X @ WEIGHTS, rtol=1e-6)


def test_several_tables(tmp_path: Path) -> None:
    with pytest.raises(TargetUnusable, match="several outputs could be the class scores"):
        open_target(str(label_and_scores(tmp_path / "m.onnx", tables=2)))


def test_sequence_of_maps(tmp_path: Path) -> None:
    with pytest.raises(TargetUnusable, match="zipmap=False"):
        open_target(str(zip_map(tmp_path / "m.onnx")))


def value(
    name: str, shape: list[int | str | None] | None, kind: int = TensorProto.FLOAT
) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def test_inputs_that_are_not_one_batch_of_numbers(tmp_path: Path) -> None:
    two = save(
        tmp_path / "two.onnx",
        [helper.make_node("Add", ["a", "b"], ["c"])],
        [value("a", ["n", 2]), value("b", ["n", 2])],
        [value("c", ["n", 2])],
    )
    with pytest.raises(TargetUnusable, match=r"takes 2 inputs.*a, b"):
        open_target(str(two))
    text = save(
        tmp_path / "text.onnx",
        [helper.make_node("Identity", ["a"], ["b"])],
        [value("a", ["n", 1], TensorProto.STRING)],
        [value("b", ["n", 1], TensorProto.STRING)],
    )
    with pytest.raises(TargetUnusable, match=r"is tensor\(string\)"):
        open_target(str(text))
    scalar = save(
        tmp_path / "scalar.onnx",
        [helper.make_node("Identity", ["a"], ["b"])],
        [value("a", [])],
        [value("b", [])],
    )
    with pytest.raises(TargetUnusable, match="no batch dimension"):
        open_target(str(scalar))


def test_outputs_that_are_not_class_scores(tmp_path: Path) -> None:
    one = save(
        tmp_path / "one.onnx",
        [helper.make_node("ReduceSum", ["a", "axes"], ["b"], keepdims=1)],
        [value("a", ["n", 2])],
        [value("b", ["n", 1])],
        {"axes": np.array([1], np.int64)},
    )
    with pytest.raises(TargetUnusable, match=r"no output holds one score a class.*\(8, 1\)"):
        open_target(str(one))
    label = save(
        tmp_path / "label.onnx",
        [helper.make_node("ArgMax", ["a"], ["b"], axis=1)],
        [value("a", ["n", 2])],
        [value("b", ["n", 1], TensorProto.INT64)],
    )
    with pytest.raises(TargetUnusable, match="export the scores, not the label"):
        open_target(str(label))


def test_unstated_shape(tmp_path: Path) -> None:
    path = str(linear(tmp_path / "m.onnx", shape=("features",)))
    with pytest.raises(TargetUnusable, match="input_shape"):
        open_target(path)
    by_option = open_target(path, options=OpenOptions(input_shape=(4,)))
    assert by_option.predictor is not None
    assert by_option.predictor.input_shape == (4,)
    card(tmp_path, input_shape=[4])
    by_card = open_target(path)
    assert by_card.predictor is not None
    np.testing.assert_allclose(by_card.predictor.scores(X), X @ WEIGHTS, rtol=1e-6)
    card(tmp_path, input_shape=[4, 4])
    with pytest.raises(InputError, match="not the model's"):
        open_target(path)
    card(tmp_path, input_shape=[0])
    with pytest.raises(InputError, match="above 0"):
        open_target(path)


def test_scores_that_are_not_finite(tmp_path: Path) -> None:
    path = save(
        tmp_path / "m.onnx",
        [helper.make_node("Log", ["x"], ["y"])],
        [value("x", ["n", 2])],
        [value("y", ["n", 2])],
    )
    target = open_target(str(path))
    assert target.predictor is not None
    with pytest.raises(TargetFailed, match="not finite for 1 of 2 inputs"):
        target.predictor.scores(np.array([[1, 2], [0, 1]], np.float32))


def test_labels_of_card_and_options(tmp_path: Path) -> None:
    path = str(linear(tmp_path / "m.onnx"))
    card(tmp_path, name="mine", revision="7", labels=["a", "b", "c"], input_range=[0, 1])
    target = open_target(path)
    assert target.predictor is not None
    assert target.predictor.labels == ("a", "b", "c")
    assert (target.subject.name, target.subject.revision, target.card.input_range) == (
        "mine",
        "7",
        (0.0, 1.0),
    )
    named = open_target(path, options=OpenOptions(labels=("x", "y", "z"), input_range=(-1, 1)))
    assert named.card.labels == ("x", "y", "z")
    assert named.card.input_range == (-1, 1)
    with pytest.raises(InputError, match="got 2 labels; expected 3 classes"):
        open_target(path, options=OpenOptions(labels=("x", "y")))


def test_files_that_are_no_model(tmp_path: Path) -> None:
    for name, content in {
        "text": b"not a model",
        "cut": digits_model().read_bytes()[:9000],
        "zeros": b"\0" * 50,
    }.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"not an ONNX (file|model)"):
            open_target(str(path))


def test_external_data(tmp_path: Path) -> None:
    path = linear(tmp_path / "plain.onnx")
    model = onnx.load(path)
    outer = tmp_path / "outer.onnx"
    onnx.save(model, outer, save_as_external_data=True, location="outer.weights", size_threshold=0)
    target = open_target(str(outer))
    assert target.predictor is not None
    np.testing.assert_allclose(target.predictor.scores(X), X @ WEIGHTS, rtol=1e-6)
    weights = tmp_path / "outer.weights"
    assert target.subject.components == {"outer.weights": hashlib.sha256(weights.read_bytes()).hexdigest()}
    assert target.subject.sha256 == hashlib.sha256(outer.read_bytes()).hexdigest()
    weights.unlink()
    with pytest.raises(InputError, match=r"external data file outer\.weights is missing"):
        open_target(str(outer))


def test_external_data_outside_the_folder(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    model = onnx.load(linear(tmp_path / "plain.onnx"))
    tensor = model.graph.initializer[0]
    (tmp_path / "secret").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    path = inner / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="outside its folder"):
        open_target(str(path))


def test_providers(tmp_path: Path) -> None:
    path = str(linear(tmp_path / "m.onnx"))
    assert open_target(path, options=OpenOptions(provider="CPUExecutionProvider")).predictor is not None
    with pytest.raises(InputError, match=r"got rocket; expected .*cpu"):
        open_target(path, options=OpenOptions(provider="rocket"))
    assert open_target(path).opened == {"provider": "cpu"}


@pytest.mark.parametrize("name", ["cuda", "TensorrtExecutionProvider"])
def test_a_provider_that_is_not_available(name: str, tmp_path: Path) -> None:
    if any(name.lower() in one.lower() for one in onnxruntime.get_available_providers()):
        pytest.skip("this runtime has it")
    with pytest.raises(TargetUnusable, match=rf"no such execution provider.*got {name}; expected .*cpu"):
        open_target(str(linear(tmp_path / "m.onnx")), options=OpenOptions(provider=name))


def test_a_runtime_that_falls_back_to_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(TargetUnusable, match="the provider cuda could not be started"):
            open_target(str(linear(tmp_path / "m.onnx")), options=OpenOptions(provider="cuda"))


def test_the_demonstration() -> None:
    target = open_target("demo:")
    subject = target.subject
    assert (subject.name, subject.kind, subject.uri, subject.demonstration) == (
        "hexgate-demo",
        "demo",
        "demo:",
        True,
    )
    assert subject.sha256 == hashlib.sha256(digits_model().read_bytes()).hexdigest()
    assert set(subject.components) == {"generator"}
    assert target.default_prompts == str(prompts().resolve())
    assert target.predictor is not None
    assert target.predictor.labels == tuple("0123456789")
    items = read_items("demo:").items
    scores = target.predictor.scores(np.array([item.features for item in items], np.float32))
    right = np.mean([str(row.argmax()) == item.label for row, item in zip(scores, items, strict=True)])
    assert right > 0.95


def test_the_generator_of_a_card() -> None:
    generator = open_target(str(digits_model())).generator
    assert generator is not None
    options = GenerateOptions(max_tokens=6)
    reply = generator.generate("Tell me about tea.", options)
    assert (reply.error, reply.finish_reason, reply.output_tokens) == (None, "length", 6)
    assert reply.text == "".join(generator.stream("Tell me about tea.", options))
    whole = generator.generate("Tell me about tea.", GenerateOptions(max_tokens=2000))
    assert whole.finish_reason == "stop"
    assert whole.text is not None
    assert whole.text.startswith(reply.text or "-")
    just = generator.generate("Tell me about tea.", GenerateOptions(max_tokens=whole.output_tokens or 0))
    assert (just.finish_reason, just.text) == ("stop", whole.text)


@pytest.mark.parametrize("key", ["generator", "prompts"])
def test_a_card_that_names_what_is_not_there(tmp_path: Path, key: str) -> None:
    card(tmp_path, **{key: "none.json"})
    with pytest.raises(InputError, match=f"mend '{key}'"):
        open_target(str(linear(tmp_path / "m.onnx")))
