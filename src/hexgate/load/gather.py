"""The rows and replies of all workers as those of the whole plan: one file of records, one of replies, by number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hexgate.load.errand import Errand
from hexgate.load.plans.plan import Plan
from hexgate.load.records import RECORD
from hexgate.load.sending.layout import NEVER, PLACE_BYTES, ROW_BYTES, Outcome
from hexgate.stats.histogram import LogHistogram

__all__ = ["blank_rows", "gather", "merged_stream"]

_UNITS = 8192
_PLACES = np.dtype([("offset", "<i8"), ("length", "<i8")])
_COUNTED_FROM_0 = ("events", "bytes", "turn", "worker", "outcome", "warmup")


def gather(errand: Errand, folder: Path, workers: int) -> dict[str, int]:
    """Write ``stem.requests.npy`` and, where replies are kept, ``stem.replies.jsonl``, both in order of number.

    Where the plan fixes what is sent, what never was is in the records, as never sent.

    Args:
        errand: what was carried out.
        folder: where ``worker-N.rows``, ``worker-N.replies`` and ``worker-N.places`` are.
        workers: how many there are.

    Returns:
        The rows of each file.

    Raises:
        OSError: if the disk does not take them.
    """
    parts = _Parts(errand, folder, workers)
    rows = sum(len(chunk) for chunk, _ in parts.chunks())
    files = {"requests": rows}
    with ExitStack() as stack:
        requests = stack.enter_context((errand.folder / f"{errand.stem}.requests.npy").open("wb"))
        header = {"descr": np.lib.format.dtype_to_descr(RECORD), "fortran_order": False, "shape": (rows,)}
        np.lib.format.write_array_header_1_0(requests, header)
        replies = sources = None
        if errand.keep_replies:
            files["replies"] = 0
            replies = stack.enter_context((errand.folder / f"{errand.stem}.replies.jsonl").open("wb"))
            sources = [_opened(stack, folder / f"worker-{worker}.replies") for worker in range(workers)]
        for chunk, places in parts.chunks():
            chunk.tofile(requests)
            if replies is not None and sources is not None:
                files["replies"] += _copy(chunk, places, sources, replies)
    return files


def blank_rows(numbers: NDArray[np.int64], plan_rows: NDArray[np.void], plan: Plan) -> NDArray[np.void]:
    """The records of units that were never sent, `plan.turns` each.

    Args:
        numbers: (k,) rows of the plan.
        plan_rows: (k,) what the plan has there.
        plan: the plan.
    """
    turns = plan.turns
    blank = np.zeros(len(numbers) * turns, dtype=RECORD)
    for name in RECORD.names or ():
        if name not in _COUNTED_FROM_0:
            blank[name] = NEVER
    blank["turn"] = np.tile(np.arange(turns), len(numbers))
    blank["index"] = np.repeat(numbers * turns, turns) + blank["turn"]
    blank["item"] = np.repeat(plan_rows["item"], turns)
    blank["warmup"] = np.repeat(numbers < plan.warmup, turns)
    blank["due_ns"] = np.where(blank["turn"] == 0, np.repeat(plan_rows["due_ns"], turns), NEVER)
    blank["outcome"] = Outcome.NOT_SENT
    return blank


class _Parts:
    """The parts of the workers, read side by side."""

    def __init__(self, errand: Errand, folder: Path, workers: int) -> None:
        self._errand = errand
        self._folder = folder
        self._workers = workers

    def chunks(self) -> Iterator[tuple[NDArray[np.void], NDArray[np.void]]]:
        """Records in order of number, some thousands at a time, and where the reply of each lies."""
        plan, count = self._errand.shard.plan, self._workers
        step = _UNITS - _UNITS % count or count
        fixed = self._errand.shard.blocks(step) if self._errand.fixes_what_is_sent else None
        if fixed is not None:
            fixed = _even(fixed, step)
        begin = 0
        with ExitStack() as stack:
            rows, places = (
                [_opened(stack, self._folder / f"worker-{worker}.{kind}") for worker in range(count)]
                for kind in ("rows", "places")
            )
            while True:
                block = None if fixed is None else next(fixed, None)
                if fixed is not None and block is None:
                    return
                slots = step // count * plan.turns
                first = begin // count * plan.turns
                found = [_read(file, RECORD, ROW_BYTES, first, slots) for file in rows]
                where = [_read(file, _PLACES, PLACE_BYTES, first, slots) for file in places]
                if block is None and not any(len(one) for one in found):
                    return
                begin += step
                yield self._put_together(block, found, where)

    def _put_together(
        self,
        block: tuple[NDArray[np.int64], NDArray[np.void]] | None,
        found: Sequence[NDArray[np.void]],
        where: Sequence[NDArray[np.void]],
    ) -> tuple[NDArray[np.void], NDArray[np.void]]:
        real, place = [], []
        for one, at in zip(found, where, strict=True):
            # A slot that nobody wrote is all zeros; no record has the status 0.
            there = one["http_status"] != 0
            real.append(one[there])
            filled = np.zeros(len(one), dtype=_PLACES)
            filled[: min(len(at), len(one))] = at[: len(one)]
            place.append(filled[there])
        rows, places = np.concatenate(real), np.concatenate(place)
        if block is not None:
            blank = blank_rows(*block, self._errand.shard.plan)
            blank = blank[~np.isin(blank["index"], rows["index"])]
            rows = np.concatenate([rows, blank])
            places = np.concatenate([places, np.zeros(len(blank), dtype=_PLACES)])
        order = np.argsort(rows["index"], kind="stable")
        return rows[order], places[order]


def _even(
    blocks: Iterator[tuple[NDArray[np.int64], NDArray[np.void]]], step: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.void]]]:
    """The same units, `step` at a time: blocks of a shard are as uneven as the blocks of the plan split."""
    numbers: list[NDArray[np.int64]] = []
    rows: list[NDArray[np.void]] = []
    held = 0
    for more, plan_rows in blocks:
        numbers.append(more)
        rows.append(plan_rows)
        held += len(more)
        while held >= step:
            all_numbers, all_rows = np.concatenate(numbers), np.concatenate(rows)
            yield all_numbers[:step], all_rows[:step]
            numbers, rows = [all_numbers[step:]], [all_rows[step:]]
            held -= step
    if held:
        yield np.concatenate(numbers), np.concatenate(rows)


def _opened(stack: ExitStack, path: Path) -> IO[bytes] | None:
    """The file; None where a worker ended before it could leave one."""
    return stack.enter_context(path.open("rb")) if path.exists() else None


def _read(
    file: IO[bytes] | None, dtype: np.dtype[Any], width: int, first: int, count: int
) -> NDArray[np.void]:
    if file is None:
        return np.empty(0, dtype=dtype)
    file.seek(first * width)
    data = file.read(count * width)
    return np.frombuffer(data[: len(data) - len(data) % width], dtype=dtype)


def _copy(
    chunk: NDArray[np.void], places: NDArray[np.void], sources: Sequence[IO[bytes] | None], replies: IO[bytes]
) -> int:
    copied = 0
    columns = zip(
        chunk["worker"].tolist(), *(places[name].tolist() for name in _PLACES.names or ()), strict=True
    )
    for worker, offset, length in columns:
        source = sources[worker]
        if length and source is not None:
            source.seek(offset)
            replies.write(source.read(length))
            copied += 1
    return copied


def merged_stream(streams: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The document `stream` of a run from what its workers told; None where none did."""
    told = [stream for stream in streams if stream]
    if not told:
        return None
    gaps = LogHistogram()
    for stream in told:
        gaps.merge(LogHistogram.from_json(stream["gaps_ms"]))
    seconds = {
        name: _summed([stream["per_second"][name] for stream in told])
        for name in ("events", "ok_events", "first_tokens")
        # What one part did not count, all of them together do not know.
        if all(name in stream["per_second"] for stream in told)
    }
    return {
        "gaps_ms": gaps.to_json(),
        "events": sum(stream["events"] for stream in told),
        "per_second": {"begin_s": 0, **seconds},
    }


def _summed(series: Sequence[Sequence[int]]) -> list[int]:
    length = max(map(len, series))
    return [sum(one[second] for one in series if second < len(one)) for second in range(length)]
