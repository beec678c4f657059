"""The files beside an ONNX file that hold its large tensors, found without the onnx package.

An ONNX file is a Protocol Buffers message. Only the fields on the way to ``TensorProto.external_data`` are
followed (numbers from onnx.proto3 of ONNX 1.16); everything else is stepped over by its length.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from hexgate.errors import InputError

__all__ = ["external_files"]

_PATHS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_MAX_DEPTH = 64


class _NotProtobuf(Exception):
    """The bytes are not a message."""


def external_files(model: Path) -> tuple[Path, ...]:
    """The files of external tensor data, sorted by name.

    Raises:
        InputError: if the model is no Protocol Buffers message, or one of the files is missing or lies
            outside the model's folder.
    """
    locations: set[str] = set()
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            _collect(data, (0, len(data)), "model", locations, 0)
        except (_NotProtobuf, UnicodeDecodeError):
            raise InputError(
                "this is not an ONNX file",
                where=str(model),
                hint="was its download cut short, or is it renamed?",
            ) from None
    folder = model.resolve().parent
    files = []
    for location in sorted(locations):
        path = (folder / location).resolve()
        if not path.is_relative_to(folder):
            raise InputError("the model's data lie outside its folder", where=str(model), got=location)
        if not path.is_file():
            raise InputError(
                f"the model's external data file {location} is missing",
                where=str(model),
                hint="keep it beside the .onnx file",
            )
        files.append(path)
    return tuple(files)


def _collect(data: mmap.mmap, span: tuple[int, int], kind: str, found: set[str], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise _NotProtobuf
    followed = _PATHS[kind]
    for number, begin, stop in _fields(data, *span):
        inner = followed.get(number)
        if inner == "entry":
            texts = {key: data[a:b].decode("utf-8") for key, a, b in _fields(data, begin, stop)}
            if texts.get(1) == "location":
                found.add(texts.get(2, ""))
        elif inner is not None:
            _collect(data, (begin, stop), inner, found, depth + 1)


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each length-delimited field of a message."""
    at = start
    while at < end:
        key, at = _varint(data, at, end)
        wire_type = key & 7
        if wire_type == 0:
            _, at = _varint(data, at, end)
        elif wire_type in {1, 5}:
            at += 8 if wire_type == 1 else 4
        elif wire_type == 2:
            length, at = _varint(data, at, end)
            if at + length > end:
                raise _NotProtobuf
            yield key >> 3, at, at + length
            at += length
        else:
            raise _NotProtobuf
    if at != end:
        raise _NotProtobuf


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _NotProtobuf
