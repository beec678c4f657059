"""Conversations of several turns: the request of a turn carries what was said before it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hexgate.load.sending.flight import Flight
from hexgate.load.sending.origin import Origin
from hexgate.wire.base import Ask, Dialect

__all__ = ["Talk", "write_talks"]

_FILE = "talks.jsonl"


class Talk:
    """The conversations that one worker has at the moment.

    Args:
        folder: where `write_talks` wrote what users say.
        origin: where the requests go.
        dialect: how they are written.
    """

    def __init__(self, folder: Path, origin: Origin, dialect: Dialect) -> None:
        self._origin = origin
        self._dialect = dialect
        self._items: list[tuple[Ask, list[str]]] = []
        for line in (folder / _FILE).read_text(encoding="utf-8").splitlines():
            told = json.loads(line)
            fields = told["ask"]
            fields["messages"] = tuple(fields["messages"])
            self._items.append((Ask(**fields), told["later"]))
        self._said: dict[int, Ask] = {}

    def begin(self, flight: Flight) -> None:
        """A conversation begins with this flight."""
        self._said[flight.slot] = self._items[flight.item][0]

    def request(self, flight: Flight, reply: str) -> bytes:
        """The request of a later turn, after that reply to the turn before it."""
        before = self._said.pop(flight.slot - 1)
        spoken = (*before.messages, {"role": "user", "content": before.prompt or ""})
        heard = (*spoken, {"role": "assistant", "content": reply})
        now = replace(before, messages=heard, prompt=self._items[flight.item][1][flight.turn - 1])
        self._said[flight.slot] = now
        return self._origin.request_bytes(self._dialect.request(now))

    def end(self, flight: Flight) -> None:
        """The conversation of this flight is over."""
        self._said.pop(flight.slot, None)


def write_talks(folder: Path, asks: list[Ask], later: list[tuple[str, ...]]) -> None:
    """Write the first asks and the later turns of conversations for the workers."""
    with (folder / _FILE).open("w", encoding="utf-8") as file:
        for ask, turns in zip(asks, later, strict=True):
            fields: dict[str, Any] = asdict(ask)
            file.write(json.dumps({"ask": fields, "later": list(turns)}) + "\n")
