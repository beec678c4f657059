"""The predictor routes of the reference endpoint: plain JSON, and the Open Inference Protocol (KServe v2)."""

from __future__ import annotations

from http import HTTPStatus
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate import __version__
from hexgate.errors import TargetFailed, TargetUnusable
from hexgate.reference.endpoint_http import Request, Response, json_response
from hexgate.reference.endpoint_routes import ApiError, Router, json_fields
from hexgate.targets.base import Predictor, Target

__all__ = ["add_predict"]

_INPUT = "input"
_OUTPUT = "scores"


def add_predict(router: Router, target: Target) -> None:
    """Put the routes up for the predictor of a target."""
    if target.predictor is None:
        raise TargetUnusable("the reference endpoint needs a classifier", where=target.uri)
    api = _Predict(target, target.predictor)
    router.add("GET", "/predict", api.describe)
    router.add("POST", "/predict", api.predict)
    router.add("GET", "/v2", api.server)
    router.add("GET", "/v2/health/live", api.live)
    router.add("GET", "/v2/health/ready", api.ready)
    router.add("GET", "/v2/models/{name}", api.metadata)
    router.add("GET", "/v2/models/{name}/ready", api.model_ready)
    router.add("POST", "/v2/models/{name}/infer", api.infer)


class _Predict:
    def __init__(self, target: Target, predictor: Predictor) -> None:
        self._target = target
        self._predictor = predictor
        self._name = target.subject.name
        self._classes = int(predictor.scores(np.zeros((1, *predictor.input_shape), np.float32)).shape[1])
        self._labels = list(predictor.labels or map(str, range(self._classes)))

    async def describe(self, _: Request) -> Response:
        return json_response(
            {
                "model": self._name,
                "labels": self._labels,
                "input_shape": list(self._predictor.input_shape),
                "input_range": self._target.card.input_range,
                "output": self._predictor.output.value,
            }
        )

    async def predict(self, request: Request) -> Response:
        fields = json_fields(request)
        model = fields.raw("model")
        if model is not None and model != self._name:
            raise ApiError(HTTPStatus.NOT_FOUND, f"the model {model!r} is not served here")
        inputs = fields.raw("inputs")
        if not isinstance(inputs, list) or not inputs:
            raise ApiError(
                HTTPStatus.BAD_REQUEST, "inputs: expected a list of inputs, such as [[0, 0.5, ...]]"
            )
        scores = self._scores([_flat(row, f"inputs[{index}]") for index, row in enumerate(inputs)])
        return json_response(
            {
                "model": self._name,
                "labels": self._labels,
                "scores": scores.tolist(),
                "predictions": [self._labels[int(row.argmax())] for row in scores],
            }
        )

    async def server(self, _: Request) -> Response:
        return json_response({"name": "hexgate", "version": __version__, "extensions": []})

    async def live(self, _: Request) -> Response:
        return json_response({"live": True})

    async def ready(self, _: Request) -> Response:
        return json_response({"ready": True})

    async def model_ready(self, request: Request) -> Response:
        self._check_model(request.parts["name"])
        return json_response({"name": self._name, "ready": True})

    async def metadata(self, request: Request) -> Response:
        self._check_model(request.parts["name"])
        shape = [-1, *self._predictor.input_shape]
        return json_response(
            {
                "name": self._name,
                "versions": [self._target.subject.revision or "1"],
                "platform": "onnx_onnxruntime",
                "inputs": [{"name": _INPUT, "datatype": "FP32", "shape": shape}],
                "outputs": [{"name": _OUTPUT, "datatype": "FP32", "shape": [-1, self._classes]}],
            }
        )

    async def infer(self, request: Request) -> Response:
        self._check_model(request.parts["name"])
        fields = json_fields(request)
        scores = self._scores(_tensor_rows(fields.raw("inputs"), prod(self._predictor.input_shape)))
        tensor = {
            "name": _OUTPUT,
            "datatype": "FP32",
            "shape": list(scores.shape),
            "data": scores.reshape(-1).tolist(),
        }
        reply: dict[str, Any] = {
            "model_name": self._name,
            "model_version": self._target.subject.revision or "1",
            "outputs": [tensor],
        }
        if fields.raw("id") is not None:
            reply["id"] = fields.text("id")
        return json_response(reply)

    def _check_model(self, name: str) -> None:
        if name != self._name:
            raise ApiError(HTTPStatus.NOT_FOUND, f"the model {name!r} is not served here")

    def _scores(self, rows: list[list[float]]) -> NDArray[np.float32]:
        width = prod(self._predictor.input_shape)
        for index, row in enumerate(rows):
            if len(row) != width:
                raise ApiError(
                    HTTPStatus.BAD_REQUEST, f"inputs[{index}]: got {len(row)} numbers, expected {width}"
                )
        with np.errstate(over="ignore"):
            batch = np.asarray(rows, dtype=np.float32).reshape(len(rows), *self._predictor.input_shape)
        if not np.all(np.isfinite(batch)):
            raise ApiError(HTTPStatus.BAD_REQUEST, "inputs: a number is beyond the range of a float")
        try:
            return self._predictor.scores(batch)
        except TargetFailed as error:
            raise ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, error.what) from None


def _flat(values: Any, at: str) -> list[float]:
    """The numbers of one input, whatever their nesting."""
    if not isinstance(values, list):
        raise ApiError(HTTPStatus.BAD_REQUEST, f"{at}: expected a list of numbers")
    flat: list[float] = []
    for value in values:
        if isinstance(value, list):
            flat += _flat(value, at)
        elif isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ApiError(HTTPStatus.BAD_REQUEST, f"{at}: {value!r:.40} is not a number")
        else:
            flat.append(_double(value, at))
    return flat


def _double(value: float, at: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ApiError(HTTPStatus.BAD_REQUEST, f"{at}: a number is beyond the range of a double") from None


def _tensor_rows(inputs: Any, width: int) -> list[list[float]]:
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise ApiError(HTTPStatus.BAD_REQUEST, "inputs: expected one tensor")
    tensor = inputs[0]
    if tensor.get("name") != _INPUT:
        raise ApiError(
            HTTPStatus.BAD_REQUEST, f"unexpected input {tensor.get('name')!r}, the model takes {_INPUT!r}"
        )
    if tensor.get("datatype") not in {"FP32", "FP64"}:
        raise ApiError(HTTPStatus.BAD_REQUEST, f"datatype {tensor.get('datatype')!r}, expected 'FP32'")
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not shape or not all(type(size) is int and size > 0 for size in shape):
        raise ApiError(HTTPStatus.BAD_REQUEST, "shape: expected positive whole numbers")
    data = _flat(tensor.get("data"), "data")
    if len(data) != prod(shape) or prod(shape[1:]) != width:
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            f"{len(data)} numbers in the shape {shape}, expected [n, {width}] with n times {width} numbers",
        )
    return [data[at : at + width] for at in range(0, len(data), width)]
