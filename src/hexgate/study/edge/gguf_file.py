"""What a GGUF file says of its model: its header alone, read without reading a weight.

The format, versions 2 and 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), little endian: the magic, the
version, how many tensors and pairs there are, the pairs of a key and a typed value, then of each tensor its name, its
shape, its type and where its data begins.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

from hexgate.errors import InputError
from hexgate.study.configuration import quantization_in

__all__ = ["FILE_TYPES", "GgufFile", "read_gguf"]

_RUNS = (
    (0, "F32 F16 Q4_0 Q4_1"),
    (7, "Q8_0 Q5_0 Q5_1 Q2_K Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S Q5_K_M Q6_K IQ2_XXS IQ2_XS Q2_K_S"),
    (22, "IQ3_XS IQ3_XXS IQ1_S IQ4_NL IQ3_S IQ3_M IQ2_S IQ2_M IQ4_XS IQ1_M BF16"),
    (36, "TQ1_0 TQ2_0 MXFP4_MOE NVFP4"),
)
"""Numbers that follow each other, by the first of them; those between are of formats that have gone."""
FILE_TYPES = {first + place: name for first, names in _RUNS for place, name in enumerate(names.split())}
"""Names of the numbers of ``general.file_type`` (``llama_ftype`` of llama.cpp's llama.h)."""

_GUESSED = 1024
"""A bit that says that the number was guessed by whoever wrote it."""
_VERSIONS = (2, 3)
_SCALARS = dict(zip((*range(8), 10, 11, 12), "BbHhIif?Qqd", strict=True))
"""Types of single values, and how `struct` reads each."""
_STRING, _ARRAY = 8, 9
_WANTED = re.compile(r"general\.(architecture|name|file_type|alignment)|split\.count|.+\.context_length")
_MOST_PAIRS = 100_000
_MOST_TENSORS = 1_000_000
_MOST_ITEMS = 1 << 24
_MOST_KEY = 1 << 16
_MOST_TEXT = 1 << 26
_MOST_DIMENSIONS = 8
_BUFFER = 1 << 20
_COPY_AGAIN = "copy or download it again"


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file by its header. What it does not say is None."""

    version: int
    """Version of the format."""
    size_bytes: int
    """Length of the file."""
    name: str | None
    """``general.name``."""
    architecture: str | None
    """``general.architecture``, such as ``llama``."""
    quantization: str | None
    """By ``general.file_type``, or else by the name of the file, such as ``Q6_K``."""
    parameters: int | None
    """Elements of all tensors; None for the first of several files, which has only some of them."""
    context_length: int | None
    """Longest context that the model was made for, in tokens."""
    files: int = 1
    """How many files the model consists of."""


def read_gguf(path: Path) -> GgufFile:
    """Read the header of a GGUF file.

    Raises:
        InputError: if it cannot be read, is no GGUF file of version 2 or 3, or is cut off.
    """
    try:
        with path.open("rb", buffering=_BUFFER) as file:
            return _Header(file, path).read()
    except OSError as error:
        raise InputError(
            f"the model's file cannot be read ({error.strerror})", where=str(path), expected="a GGUF file"
        ) from None


class _Header:
    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self._path = path
        self._size = path.stat().st_size

    def read(self) -> GgufFile:
        magic = self._file.read(4)
        if magic != b"GGUF":
            self._refuse("not a GGUF file", repr(magic), "a file that begins with GGUF")
        version = self._whole("<I")
        if version not in _VERSIONS:
            swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
            got = f"{swapped}, big endian" if swapped in _VERSIONS else str(version)
            self._refuse("this version of GGUF is not understood", got, "2 or 3, little endian")
        tensors = self._count("tensors", _MOST_TENSORS)
        pairs = self._count("pairs", _MOST_PAIRS)
        found: dict[str, Any] = {}
        for _ in range(pairs):
            key = self._text(_MOST_KEY)
            value = self._value(self._whole("<I"), wanted=_WANTED.fullmatch(key) is not None)
            if value is not None:
                found[key] = value
        elements, last = 0, -1
        for _ in range(tensors):
            count, offset = self._tensor()
            elements += count
            last = max(last, offset)
        alignment = max(1, _whole_or(found.get("general.alignment"), 32))
        begin = math.ceil(self._file.tell() / alignment) * alignment
        if last >= 0 and begin + last >= self._size:
            # The last tensor begins behind the end: what there is of the file is its front.
            self._cut()
        files = _whole_or(found.get("split.count"), 1)
        architecture = _text_or_none(found.get("general.architecture"))
        file_type = _whole_or(found.get("general.file_type"), -1)
        context = _whole_or(found.get(f"{architecture}.context_length"), 0)
        return GgufFile(
            version=version,
            size_bytes=self._size,
            name=_text_or_none(found.get("general.name")),
            architecture=architecture,
            quantization=FILE_TYPES.get(file_type & ~_GUESSED) or quantization_in(self._path.name),
            parameters=elements if elements and files == 1 else None,
            context_length=context or None,
            files=files,
        )

    def _tensor(self) -> tuple[int, int]:
        """How many elements a tensor has, and where its data begins behind the header."""
        self._text(_MOST_KEY)
        dimensions = self._whole("<I")
        if dimensions > _MOST_DIMENSIONS:
            self._refuse(
                "a tensor of the header is none", f"{dimensions} dimensions", f"{_MOST_DIMENSIONS} at most"
            )
        shape = [self._whole("<Q") for _ in range(dimensions)]
        self._whole("<I")
        return math.prod(shape), self._whole("<Q")

    def _value(self, kind: int, *, wanted: bool) -> Any:
        """A value, or None where it is not wanted or is a list: nobody asks for one."""
        if kind == _STRING:
            return self._text(_MOST_KEY) if wanted else self._skip_text()
        if kind == _ARRAY:
            self._skip_array()
            return None
        scalar = _SCALARS.get(kind)
        if scalar is None:
            self._refuse("a value of the header has an unknown type", str(kind), "a type of GGUF")
        return self._unpacked(f"<{scalar}")

    def _skip_array(self) -> None:
        kind = self._whole("<I")
        count = self._count("items of a list", _MOST_ITEMS)
        scalar = _SCALARS.get(kind)
        if scalar is not None:
            self._skip(struct.calcsize(f"<{scalar}") * count)
        elif kind == _STRING:
            for _ in range(count):
                self._skip_text()
        else:
            # Lists of lists are in the format and in no model.
            self._refuse("a list of the header has an unknown type", str(kind), "numbers or texts")

    def _skip_text(self) -> None:
        self._skip(self._count("bytes of a text", _MOST_TEXT))

    def _skip(self, count: int) -> None:
        if self._file.tell() + count > self._size:
            self._cut()
        self._file.seek(count, 1)

    def _text(self, most: int) -> str:
        return self._bytes(self._count("bytes of a text", most)).decode("utf-8", "replace")

    def _count(self, what: str, most: int) -> int:
        count = self._whole("<Q")
        if count > most:
            self._refuse("a count of the header cannot be", f"{count} {what}", f"{most} at most")
        return count

    def _whole(self, layout: str) -> int:
        return int(self._unpacked(layout))

    def _unpacked(self, layout: str) -> Any:
        return struct.unpack(layout, self._bytes(struct.calcsize(layout)))[0]

    def _bytes(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            self._cut()
        return data

    def _cut(self) -> NoReturn:
        self._refuse("the GGUF file is cut off", f"{self._size} bytes", "the whole file")

    def _refuse(self, what: str, got: str, expected: str) -> NoReturn:
        raise InputError(what, where=str(self._path), got=got, expected=expected, hint=_COPY_AGAIN)


def _whole_or(value: Any, default: int) -> int:
    return value if type(value) is int and value >= 0 else default


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None
