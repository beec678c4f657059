"""GGUF headers written byte by byte after the format's description, with no library's help."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

U32, F32, BOOL, STRING, ARRAY, U64 = 4, 6, 7, 8, 9, 10
Pair = tuple[int, object]

PAIRS: dict[str, Pair] = {
    "general.architecture": (STRING, "llama"),
    "general.name": (STRING, "Tiny 你好"),
    "general.file_type": (U32, 18),
    "llama.context_length": (U32, 2048),
    "llama.rope.freq_base": (F32, 10_000.0),
    "tokenizer.ggml.add_bos_token": (BOOL, True),
    "tokenizer.ggml.tokens": (ARRAY, (STRING, ["a", "bc", "中"])),
    "tokenizer.ggml.scores": (ARRAY, (F32, [0.0, 1.0, 2.0])),
}
TENSORS: tuple[tuple[str, Sequence[int], int], ...] = (
    ("token_embd.weight", (64, 3), 0),
    ("output_norm.weight", (64,), 768),
)
"""Name, shape and offset; together 256 elements."""


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind: int, content: object) -> bytes:
    if kind == STRING:
        return text(str(content))
    if kind == ARRAY:
        inner, items = content  # type: ignore[misc]
        return struct.pack("<IQ", inner, len(items)) + b"".join(value(inner, one) for one in items)
    return struct.pack({U32: "<I", F32: "<f", BOOL: "<?", U64: "<Q"}[kind], content)


def header(
    pairs: Mapping[str, Pair] = PAIRS,
    tensors: Sequence[tuple[str, Sequence[int], int]] = TENSORS,
    *,
    version: int = 3,
) -> bytes:
    found = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs))
    for key, (kind, content) in pairs.items():
        found += text(key) + struct.pack("<I", kind) + value(kind, content)
    for name, shape, offset in tensors:
        found += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        found += struct.pack("<IQ", 0, offset)
    return found


def write_header(path: Path, pairs: Mapping[str, Pair] = PAIRS, *, version: int = 3) -> bytes:
    """A whole file: the header, and as many zeros as its tensors need."""
    data = header(pairs, version=version)
    data += bytes(-len(data) % 32 + 768 + 256)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return data
