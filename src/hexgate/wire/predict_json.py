"""Plain JSON prediction, posted to the URL itself: ``{"inputs": [[…]]}`` to ``{"scores": [[…]]}``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hexgate.wire.base import Ask, Event, EventKind, Gives, WireRequest
from hexgate.wire.payload import BadPayload, body_bytes
from hexgate.wire.reply import ReplyEvents
from hexgate.wire.scores import batch, table
from hexgate.wire.stream import read_document

__all__ = ["PredictJson"]


class PredictJson:
    """``POST`` to the base URL. A reply may name the classes of its scores in ``labels``."""

    name: ClassVar[str] = "predict"
    gives: ClassVar[Gives] = Gives.SCORES
    generates: ClassVar[bool] = False
    streams: ClassVar[bool] = False
    ends_with: ClassVar[bytes | None] = None

    def request(self, ask: Ask) -> WireRequest:
        """The HTTP request for one ask; its path is empty.

        Raises:
            InputError: if the ask has no inputs, or they are not finite numbers.
        """
        rows = [[float(value) for value in row] for row in batch(ask, self.name)]
        headers = {"content-type": "application/json", "accept": "application/json"}
        return WireRequest("POST", "", headers, body_bytes({"inputs": rows, **ask.options}))

    def events(self, pieces: Sequence[bytes], *, stream: bool) -> list[Event]:  # noqa: ARG002 - the protocol's
        """The events of a whole reply body."""
        return read_document(pieces, _read)


def _read(fields: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
    scores = table(fields.get("scores"), "scores")
    _check_labels(fields.get("labels"), scores)
    reply.events.append(Event(EventKind.SCORES, piece, scores=scores))


def _check_labels(labels: Any, scores: Sequence[Sequence[float]]) -> None:
    if labels is None:
        return
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise BadPayload("labels is not a list of strings")
    if scores and len(labels) != len(scores[0]):
        raise BadPayload(f"{len(labels)} labels for {len(scores[0])} scores")
