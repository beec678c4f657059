"""The replay of a trace: a file of JSON Lines that says when each request was sent, and what of it is known.

Two forms of line, of which a file has one:

- ``{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}``, as the traces of Mooncake
  have them. The timestamp is in milliseconds, and the first line's is the start of the run. The lengths, in tokens, and
  the numbers of the prompt's blocks may be absent.
- ``{"due_s": 1.25, "item": 3}``, our own. The instant is in seconds from the start of the run. The item may be absent,
  in all lines or in none; the items then come in seeded shuffles.

Other keys are passed over. Lines are in the order of time; of the numbers not a digit is lost before the nanosecond.
"""

from __future__ import annotations

import json
import os
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from hexgate.errors import DataError, InputError
from hexgate.load.plans.draws import Shuffles
from hexgate.load.plans.pacers import MOST_RPS, MOST_SPAN_S
from hexgate.load.plans.plan import Plan
from hexgate.load.plans.plan_head import amount, at_least, cap_of, not_too_many, think_time_ns
from hexgate.load.plans.schedule import PLAN_ROW, Arrival, LoadKind

__all__ = ["TraceLine", "read_trace", "replay"]

_LINES = 4096
_MOST_BYTES = 1 << 20
_MOST_ITEM = 2**31 - 1
_MOST_TOKENS = 100_000_000
_MOST_BLOCK = 2**63 - 1
_MOST_INSTANT = 10**18
_MOST_NS = int(MOST_SPAN_S * 1e9)
_LINE = 'such as {"due_s": 1.25} or {"timestamp": 27482}'
_LEAST_SCALE, _MOST_SCALE = 1e-6, 1e6


@dataclass(frozen=True)
class TraceLine:
    """What one line of a trace says."""

    number: int
    """Of the line, from 1."""
    at_ns: Decimal
    """The instant, before any scaling, in nanoseconds from the start of the run."""
    item: int | None
    """The data item; None where the line names none."""
    input_tokens: int | None
    """Length of the prompt; None where the line does not say it."""
    output_tokens: int | None
    """Length of the reply; None where the line does not say it."""
    blocks: tuple[int, ...] | None
    """The prompt's blocks: prompts that begin with the same numbers begin alike. None where the line has none."""


def read_trace(path: Path) -> Iterator[TraceLine]:
    """The lines of a trace, one after the other; blank ones are passed over.

    Raises:
        DataError: if the file cannot be read, or a line is not one of a trace; with its number.
    """
    first: Decimal | None = None
    last: Decimal | None = None
    key = ""
    for number, row in _objects(path):
        where = f"{path}:{number}"
        found = [name for name in ("timestamp", "due_s") if name in row]
        if len(found) != 1 or (key and found != [key]):
            raise DataError(
                "a line of a trace has one instant, and all lines the same kind of it",
                where=where,
                got=", ".join(found) or "none",
                expected=key or "timestamp (in milliseconds), or due_s (in seconds)",
            )
        key = found[0]
        value = row[key]
        if type(value) not in (int, Decimal) or not abs(value) < _MOST_INSTANT:
            raise DataError(
                f"{key} is not a number, or too large",
                where=where,
                got=str(value)[:80],
                expected=f"a number, of {'milliseconds' if key == 'timestamp' else 'seconds'}",
            )
        instant = Decimal(value) * (1_000_000 if key == "timestamp" else 1_000_000_000)
        if first is None:
            first = instant if key == "timestamp" else Decimal(0)
        at_ns = instant - first
        if last is not None and at_ns < last:
            raise DataError(
                f"{key} is before that of the line above",
                where=where,
                got=str(value),
                expected="lines in the order of time",
            )
        if not 0 <= at_ns <= _MOST_NS:
            raise DataError(
                f"{key} is out of range",
                where=where,
                got=str(value),
                expected=f"from the start of the run on, at most {MOST_SPAN_S:g} s after it",
            )
        last = at_ns
        yield TraceLine(
            number,
            at_ns,
            _whole(row, "item", _MOST_ITEM, where),
            _whole(row, "input_length", _MOST_TOKENS, where),
            _whole(row, "output_length", _MOST_TOKENS, where),
            _blocks_of(row, where),
        )


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_MOST_BYTES + 1):
                number += 1
                where = f"{path}:{number}"
                if len(line) > _MOST_BYTES:
                    raise DataError("the line is too long", where=where, expected="at most 1 MiB")
                if line.isspace():
                    continue
                yield number, _object(line, where)
    except OSError as error:
        raise DataError(f"the trace cannot be read ({error.strerror})", where=str(path)) from None


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        # The strict reader would make doubles of the instants, and looks at every character in Python.
        row = _DECODER.decode(line.decode("utf-8"))
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise DataError(f"the line is not JSON ({error})", where=where, expected=_LINE) from None
    if not isinstance(row, dict):
        raise DataError("the line is not a JSON object", where=where, expected=_LINE)
    return row


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refuse(token: str) -> NoReturn:
    raise ValueError(f"{token} is no number of JSON")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_unique)


def _whole(row: dict[str, Any], name: str, most: int, where: str) -> int | None:
    if name not in row:
        return None
    value = row[name]
    if type(value) is not int or not 0 <= value <= most:
        raise DataError(
            f"{name} is not a whole number, or too large",
            where=where,
            got=str(value)[:80],
            expected=f"0 to {most}",
        )
    return value


def _blocks_of(row: dict[str, Any], where: str) -> tuple[int, ...] | None:
    if "hash_ids" not in row:
        return None
    value = row["hash_ids"]
    if not isinstance(value, list) or not all(type(one) is int and 0 <= one <= _MOST_BLOCK for one in value):
        raise DataError(
            "hash_ids is not a list of whole numbers",
            where=where,
            got=str(value)[:80],
            expected=f"numbers from 0 to {_MOST_BLOCK}",
        )
    return tuple(value)


class _SpooledRows:
    """Rows in a file without a name, which is gone with the last reader: a trace is read once."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._rows = 0
        weakref.finalize(self, self._file.close)

    def append(self, rows: NDArray[np.void]) -> None:
        """Add rows after those that are there."""
        self._file.write(rows.tobytes())
        self._file.flush()
        self._rows += len(rows)

    def blocks(self, size: int) -> Iterator[NDArray[np.void]]:
        """All rows in order, `size` at a time, the last block with what is left."""
        width = PLAN_ROW.itemsize
        for begin in range(0, self._rows, size):
            # From a place of its own: several may read at once.
            data = os.pread(self._file.fileno(), min(size, self._rows - begin) * width, begin * width)
            yield np.frombuffer(data, dtype=PLAN_ROW)


def _blocks(trace: Path, items: int | None, scale: Decimal, seed: int) -> Iterator[NDArray[np.void]]:
    """All rows of a trace, some thousands at a time."""
    lines = read_trace(trace)
    shuffles = None if items is None else Shuffles(items, seed)
    named: bool | None = None if shuffles else False
    rows = 0
    while some := list(islice(lines, _LINES)):
        block = np.empty(len(some), dtype=PLAN_ROW)
        if some[-1].at_ns * scale > _MOST_NS:
            raise InputError(
                "the trace lasts too long at this time scale",
                where=f"{trace}:{some[-1].number}",
                expected=f"at most {MOST_SPAN_S:g} s",
            )
        block["due_ns"] = [int((line.at_ns * scale).to_integral_value()) for line in some]
        named = some[0].item is not None if named is None else named
        for line in some:
            if (line.item is not None) is not named:
                raise DataError(
                    "all lines of a trace name an item, or none does",
                    where=f"{trace}:{line.number}",
                    got="no item" if named else f"item {line.item}",
                    expected="an item, as in the lines above" if named else "none, as in the lines above",
                )
            if line.item is not None and items is not None and line.item >= items:
                raise DataError(
                    "there is no such item",
                    where=f"{trace}:{line.number}",
                    got=str(line.item),
                    expected=f"0 to {items - 1}",
                )
        if named:
            block["item"] = [line.item for line in some]
        else:
            block["item"] = (
                shuffles.take(len(some)) if shuffles is not None else np.arange(rows, rows + len(some))
            )
        rows += len(some)
        yield block


def replay(
    trace: Path,
    *,
    items: int | None,
    time_scale: float = 1.0,
    requests: int | None = None,
    duration_s: float | None = None,
    warmup: int = 0,
    seed: int = 0,
    max_in_flight: int | None = None,
    turns: int = 1,
    think_s: float = 0.0,
) -> Plan:
    """Send at the instants of a trace (see the module for its form).

    Args:
        trace: the file.
        items: how many data items there are; None where each line, in their order, has one of its own.
        time_scale: every instant is multiplied by it: 0.5 goes twice as fast.
        requests: at most so many timed units; None for all.
        duration_s: no units so long after the first timed one, or later. It is the length of the window where it left
            any out. None for all.
        warmup: so many units at the front of the trace are warm-up.
        seed: seed of the shuffles, where the trace names no items.
        max_in_flight: cap on units in flight; those beyond it queue, and their wait is charged to them.
        turns: requests in a unit.
        think_s: seconds from the end of a reply to the next turn.

    Raises:
        InputError: if an argument is out of range, or the trace, or its timed part, does not go on for any time.
        DataError: if the trace cannot be read, or a line is not one of a trace; with its number.
    """
    if items is not None:
        at_least(1, items=items)
    cap = cap_of(max_in_flight)
    at_least(0, warmup=warmup, seed=seed)
    if requests is not None or duration_s is not None:
        amount(requests, duration_s)
    if not _LEAST_SCALE <= time_scale <= _MOST_SCALE:
        raise InputError("the time scale is out of range", got=f"{time_scale:g}", expected="1e-6 to 1e6")
    think_ns = think_time_ns(turns, think_s)
    spool = _SpooledRows()
    first_ns = last_ns = rows = 0
    over = False
    for block in _blocks(trace, items, Decimal(repr(float(time_scale))), seed):
        if rows <= warmup < rows + len(block):
            first_ns = int(block["due_ns"][warmup - rows])
        kept = block if requests is None else block[: warmup + requests - rows]
        if duration_s is not None and rows + len(kept) > warmup:
            inside = int(np.searchsorted(kept["due_ns"], first_ns + round(duration_s * 1e9)))
            over, kept = inside < len(kept), kept[:inside]
        spool.append(kept)
        rows += len(kept)
        not_too_many(rows, turns)
        if len(kept):
            last_ns = int(kept["due_ns"][-1])
        if len(kept) < len(block):
            break
    if not rows:
        raise InputError("the trace is empty", where=str(trace), expected=_LINE)
    if rows <= warmup or last_ns <= first_ns:
        raise InputError(
            "the timed part of the trace takes no time: it has no rate",
            where=str(trace),
            got=f"{max(rows - warmup, 0)} timed lines after {warmup} of warm-up",
            expected="at least two, not all at one instant",
        )
    timed = rows - warmup
    rate_rps = timed / duration_s if duration_s and over else (timed - 1) * 1e9 / (last_ns - first_ns)
    if rate_rps >= MOST_RPS:
        raise InputError("the rate is out of range", got=f"{rate_rps:g}/s", expected="below 1e7")
    return Plan(
        kind=LoadKind.OPEN_LOOP,
        concurrency=cap,
        rate_rps=rate_rps,
        arrival=Arrival.REPLAY,
        shape=(),
        burstiness=None,
        units=rows,
        items=rows if items is None else items,
        warmup=warmup,
        duration_s=duration_s if over else None,
        seed=seed,
        turns=turns,
        think_ns=think_ns,
        source=spool,
    )
