"""The Open Inference Protocol (KServe v2) over HTTP and JSON, for predictors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, ClassVar
from urllib.parse import quote

from hexgate.errors import InputError
from hexgate.wire.base import Ask, Event, EventKind, Gives, WireRequest
from hexgate.wire.payload import BadPayload, body_bytes, object_of
from hexgate.wire.reply import ReplyEvents
from hexgate.wire.scores import batch, unflatten
from hexgate.wire.stream import read_document

__all__ = ["KServeV2"]


class KServeV2:
    """``POST /v2/models/{model}/infer`` under the server's root, with one FP32 tensor in and one out.

    Two keys of `ask.options` are the dialect's own: ``input_name`` (default ``input``), and ``input_shape``,
    the shape of one input without the batch, where the model wants more than a flat row. The rest stands in
    the body.
    """

    name: ClassVar[str] = "kserve-v2"
    gives: ClassVar[Gives] = Gives.SCORES
    generates: ClassVar[bool] = False
    streams: ClassVar[bool] = False
    ends_with: ClassVar[bytes | None] = None

    def request(self, ask: Ask) -> WireRequest:
        """The HTTP request for one ask.

        Raises:
            InputError: if the ask has no inputs or no model, or its shape does not fit.
        """
        rows = batch(ask, self.name)
        if not ask.model:
            raise InputError("the dialect kserve-v2 needs the model's name", hint="name it with --model-name")
        further = dict(ask.options)
        tensor_name = further.pop("input_name", "input")
        width = len(rows[0]) if rows else 0
        shape = [int(size) for size in further.pop("input_shape", [width])]
        if prod(shape) != width:
            raise InputError(
                "the input shape does not fit the inputs", got=str(shape), expected=f"{width} values"
            )
        tensor = {
            "name": tensor_name,
            "shape": [len(rows), *shape],
            "datatype": "FP32",
            "data": [float(value) for row in rows for value in row],
        }
        path = f"/v2/models/{quote(ask.model, safe='')}/infer"
        headers = {"content-type": "application/json", "accept": "application/json"}
        return WireRequest("POST", path, headers, body_bytes({"inputs": [tensor], **further}))

    def events(self, pieces: Sequence[bytes], *, stream: bool) -> list[Event]:  # noqa: ARG002 - the protocol's
        """The events of a whole reply body: the scores are the first output of a floating-point type."""
        return read_document(pieces, _read)


def _read(fields: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
    tensor = _scores_tensor(fields)
    scores = unflatten(tensor.get("data"), tensor.get("shape"), "the output tensor")
    reply.events.append(Event(EventKind.SCORES, piece, scores=scores))


def _scores_tensor(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    outputs = fields.get("outputs")
    if not isinstance(outputs, list):
        raise BadPayload("a reply without outputs")
    tensors = [object_of(entry, "an output") for entry in outputs]
    for tensor in tensors:
        if tensor.get("datatype") in {"FP16", "FP32", "FP64", "BF16"}:
            return tensor
    raise BadPayload("no output of a floating-point type")
