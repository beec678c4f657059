"""What a worker is given: where to send, what, when, and where to write it down."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hexgate.load.sending.origin import Origin, with_head

__all__ = ["BODY", "UNIT", "Bodies", "Work", "units"]

UNIT = struct.Struct("<qqi")
"""A unit of a worker's part of a plan: its row in the whole plan, when it is due, its data item."""
BODY = struct.Struct("<qqi")
"""Where the body of a data item lies: offset, length, and which head goes before it."""
_UNITS_AT_ONCE = 4096
_KEPT_BYTES = 64 << 20


@dataclass(frozen=True)
class Work:
    """The task of one worker."""

    folder: str
    """Where its files are."""
    worker: int
    """Its number."""
    count: int
    """How many units of the plan lie from one of its own to the next: workers times shards."""
    first: int
    """Row of its first unit."""
    rows: int
    """Units in the whole plan."""
    open_loop: bool
    repeats: bool
    turns: int
    think_ns: int
    warmup: int
    """Units of the whole plan that are warm-up."""
    duration_ns: int
    """Length of the timed window of a closed loop; 0 where there is none."""
    slots: int
    """Units in flight in a closed loop; in an open one the cap on requests, 0 for none."""
    warm: int
    """Connections to open before the start."""
    drain_limited: bool
    """Whether what is in flight at the end of the plan has only `drain_ns` left."""
    drain_ns: int
    max_unreachable: int
    timeout_s: float
    dialect: str
    streams: list[bool]
    inputs: list[int] | None
    classes: int | None
    replies: bool
    token_times: bool
    tokenizer: str | None
    ca_file: str | None
    proxy: str | None
    http2: bool

    @property
    def stem(self) -> str:
        """What the names of its files begin with."""
        return f"worker-{self.worker}"

    def to_line(self, origin: Origin, heads: list[bytes], secret: str | None) -> bytes:
        """The task as one line, with the credentials: it goes through a pipe and onto no disk."""
        told = {
            "work": asdict(self),
            "origin": {**asdict(origin), "headers": [list(pair) for pair in origin.headers]},
            "heads": [base64.b64encode(head).decode() for head in heads],
            "secret": secret,
        }
        return json.dumps(told).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> tuple[Work, Origin, list[bytes], str | None]:
        """What `to_line` told."""
        told: dict[str, Any] = json.loads(line)
        origin = told["origin"]
        origin["headers"] = tuple((name, value) for name, value in origin["headers"])
        heads = [base64.b64decode(head) for head in told["heads"]]
        return cls(**told["work"]), Origin(**origin), heads, told["secret"]


def units(work: Work) -> Iterator[tuple[int, int, int]]:
    """(row, due_ns, item) of each unit of a worker, in order; without end where the plan repeats."""
    path = Path(work.folder) / f"{work.stem}.plan"
    if work.repeats:
        items = [item for _, _, item in UNIT.iter_unpack(path.read_bytes())]
        row = work.first
        while True:
            yield row, -1, items[row % work.rows]
            row += work.count
    with path.open("rb") as file:
        while block := file.read(UNIT.size * _UNITS_AT_ONCE):
            yield from UNIT.iter_unpack(block)


class Bodies:
    """The request of each data item, whole. Few bytes are kept in memory, many stay in the file."""

    def __init__(self, folder: Path, heads: list[bytes]) -> None:
        self._heads = heads
        self._places = list(BODY.iter_unpack((folder / "bodies.index").read_bytes()))
        self._file = (folder / "bodies").open("rb")
        self._kept: dict[int, bytes] = {}
        self._left = _KEPT_BYTES

    def request(self, item: int) -> bytes:
        """The bytes of the request of an item."""
        kept = self._kept.get(item)
        if kept is not None:
            return kept
        offset, length, head = self._places[item]
        self._file.seek(offset)
        made = with_head(self._heads[head], self._file.read(length))
        if len(made) <= self._left:
            self._left -= len(made)
            self._kept[item] = made
        return made
