"""What a trace says of the prompts and replies of a replay: their lengths, and which prompts begin alike."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from hexgate.contract.canonical import sha256_file
from hexgate.errors import DataError
from hexgate.load.plans.trace import TraceLine, read_trace

__all__ = ["BLOCK_TOKENS", "TraceLengths", "block_count", "trace_lengths"]

BLOCK_TOKENS = 512
"""Tokens of a block of ``hash_ids``, as the traces of Mooncake count them."""
_MOST_TOKENS = 1_000_000


@dataclass(frozen=True)
class TraceLengths:
    """The lengths of a trace's lines, in their order, warm-up included."""

    name: str
    """Of the file."""
    sha256: str
    """Digest of the file, in hex."""
    input_tokens: Sequence[int]
    """Of the prompt, for each line; 0 or more."""
    output_tokens: Sequence[int] | None
    """Of the reply, for each line; None where the lines do not say it."""
    block_ids: Sequence[int] | None
    """The blocks of all lines, one line's after the other's; None where not every line has one for each
    `BLOCK_TOKENS` that it has begun."""

    def blocks(self) -> list[int]:
        """For each line, where its blocks begin in `block_ids`."""
        begins, begin = [], 0
        for tokens in self.input_tokens:
            begins.append(begin)
            begin += block_count(tokens)
        return begins

    def __len__(self) -> int:
        return len(self.input_tokens)


def trace_lengths(
    trace: Path,
    *,
    time_scale: float = 1.0,
    requests: int | None = None,
    duration_s: float | None = None,
    warmup: int = 0,
) -> TraceLengths | None:
    """The lengths of the lines that `hexgate.load.plans.trace.replay` keeps with the same arguments.

    None where the lines have no ``input_length``, or name data items.

    Raises:
        DataError: if the trace cannot be read, or some lines have a length and others have none.
    """
    inputs, outputs, ids = array("q"), array("q"), array("Q")
    first: TraceLine | None = None
    has_blocks = True
    for line in _kept(trace, Decimal(repr(float(time_scale))), requests, duration_s, warmup):
        first = first or line
        if first.input_tokens is None or first.item is not None:
            return None
        where = f"{trace}:{line.number}"
        for name, own, of_first in (
            ("input_length", line.input_tokens, first.input_tokens),
            ("output_length", line.output_tokens, first.output_tokens),
        ):
            if (own is None) is not (of_first is None):
                raise DataError(
                    f"all lines of a trace have an {name}, or none has",
                    where=where,
                    got="none" if own is None else str(own),
                    expected="none, as in the lines above"
                    if own is not None
                    else "one, as in the lines above",
                )
            if own is not None and own > _MOST_TOKENS:
                raise DataError(
                    f"{name} is too large", where=where, got=str(own), expected=f"at most {_MOST_TOKENS}"
                )
        inputs.append(line.input_tokens or 0)
        outputs.append(line.output_tokens or 0)
        if has_blocks:
            has_blocks = line.blocks is not None and len(line.blocks) == block_count(inputs[-1])
            ids.extend(line.blocks or ())
    if first is None:
        return None
    return TraceLengths(
        trace.name,
        sha256_file(trace),
        inputs,
        None if first.output_tokens is None else outputs,
        ids if has_blocks else None,
    )


def block_count(tokens: int) -> int:
    """How many blocks a prompt of so many tokens has begun."""
    return -(-tokens // BLOCK_TOKENS)


def _kept(
    trace: Path, scale: Decimal, requests: int | None, duration_s: float | None, warmup: int
) -> Iterator[TraceLine]:
    first_ns = 0
    for row, line in enumerate(read_trace(trace)):
        due_ns = int((line.at_ns * scale).to_integral_value())
        if row == warmup:
            first_ns = due_ns
        if row >= warmup and (
            (requests is not None and row >= warmup + requests)
            or (duration_s is not None and due_ns >= first_ns + round(duration_s * 1e9))
        ):
            return
        yield line
