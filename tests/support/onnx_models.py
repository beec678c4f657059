"""Small ONNX models, built for the tests: scores = x @ weights, in many disguises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

WEIGHTS = np.array([[1.0, -1.0, 0.5], [0.25, 2.0, -0.5], [-1.5, 0.5, 1.0], [0.75, 0.0, 2.0]], np.float32)


def save(
    path: Path,
    nodes: list[Any],
    inputs: list[Any],
    outputs: list[Any],
    initializers: dict[str, NDArray[Any]] | None = None,
) -> Path:
    tensors = [numpy_helper.from_array(value, name) for name, value in (initializers or {}).items()]
    graph = helper.make_graph(nodes, "test", inputs, outputs, tensors)
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("ai.onnx.ml", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def linear(
    path: Path,
    *,
    batch: int | str | None = "n",
    dtype: int = TensorProto.FLOAT,
    softmax: bool = False,
    shape: tuple[int | str, ...] = (4,),
) -> Path:
    """A linear classifier of 4 numbers into 3 classes."""
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    floating = np.issubdtype(kind, np.floating)
    nodes, current = [], "x"
    if len(shape) > 1:
        nodes.append(helper.make_node("Flatten", [current], ["flat"], axis=1))
        current = "flat"
    if not floating:
        nodes.append(helper.make_node("Cast", [current], ["cast"], to=TensorProto.FLOAT))
        current = "cast"
    out = dtype if floating else TensorProto.FLOAT
    nodes.append(helper.make_node("MatMul", [current, "w"], ["logits" if softmax else "scores"]))
    if softmax:
        nodes.append(helper.make_node("Softmax", ["logits"], ["scores"], axis=1))
    weights = WEIGHTS.astype(helper.tensor_dtype_to_np_dtype(out))
    return save(
        path,
        nodes,
        [helper.make_tensor_value_info("x", dtype, [batch, *shape])],
        [helper.make_tensor_value_info("scores", out, [batch, 3])],
        {"w": weights},
    )


def label_and_scores(path: Path, *, tables: int = 1) -> Path:
    """A label output and one or more tables of scores, as converters of classical models write them."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["scores0"]),
        helper.make_node("ArgMax", ["scores0"], ["label"], axis=1, keepdims=0),
    ]
    nodes += [helper.make_node("Neg", ["scores0"], [f"scores{index}"]) for index in range(1, tables)]
    outputs = [helper.make_tensor_value_info("label", TensorProto.INT64, ["n"])]
    outputs += [
        helper.make_tensor_value_info(f"scores{index}", TensorProto.FLOAT, ["n", 3])
        for index in range(tables)
    ]
    return save(
        path,
        nodes,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        outputs,
        {"w": WEIGHTS},
    )


def zip_map(path: Path) -> Path:
    """Scores as a sequence of maps, which is what skl2onnx writes unless told otherwise."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["raw"]),
        helper.make_node("ZipMap", ["raw"], ["maps"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2]),
    ]
    map_type = helper.make_map_type_proto(
        TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    )
    output = helper.make_value_info("maps", helper.make_sequence_type_proto(map_type))
    return save(
        path,
        nodes,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [output],
        {"w": WEIGHTS},
    )
