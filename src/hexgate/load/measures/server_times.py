"""What the server says of its own time, in replies that say it (Ollama's do), held against ours. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hexgate.load.measures.spans import Rows, millis
from hexgate.load.records import Outcome, Records
from hexgate.stats.histogram import LogHistogram

__all__ = ["ServerTimes", "server_times"]

_LOADING_NS = 100_000_000
_LOADING_OF_TTFT = 0.1
_SHORTER_MS = 1.0
_SHORTER_RATIO = 0.01
_LONGER_MS = 10.0
_LONGER_RATIO = 0.1
_LONGER_REPLIES = 0.05


@dataclass
class ServerTimes:
    """The server's durations of the timed replies that are whole. None of these replies is left out of any figure."""

    replies: int = 0
    """How many replies there are, whether they say anything or not."""
    loading: int = 0
    """Those whose server says that it loaded the model for 0.1 s or more, or for a tenth of the time to the first token
    from the send."""
    load_max_ms: float | None = None
    """The longest such load; None where nobody speaks of any."""
    told: int = 0
    """Replies whose server says how long it took in all."""
    shorter: int = 0
    """Those of them that this client had whole sooner after the send: by 1 ms and 0.01 of the server's, or more."""
    longer: int = 0
    """Those for which it waited longer: by 10 ms and 0.1 of the server's, or more."""
    beyond_ms: LogHistogram = field(default_factory=LogHistogram)
    """By how much the client's time is longer; 0 where it is not."""
    _server_ms: float = 0.0
    _client_ms: float = 0.0

    def add(self, rows: Rows) -> None:
        """Take rows of timed replies that are whole."""
        self.replies += len(rows)
        self._load(rows[rows["server_load_ns"] >= 0])
        told = rows[rows["server_total_ns"] >= 0]
        server, client = told["server_total_ns"], told["end_ns"] - told["sent_ns"]
        server_ms, client_ms = millis(server), millis(client)
        beyond_ms = client_ms - server_ms
        self.told += len(told)
        self.shorter += int((-beyond_ms >= np.maximum(_SHORTER_MS, _SHORTER_RATIO * server_ms)).sum())
        self.longer += int((beyond_ms >= np.maximum(_LONGER_MS, _LONGER_RATIO * server_ms)).sum())
        self.beyond_ms.record_many(np.maximum(beyond_ms, 0.0))
        self._server_ms += float(server_ms.sum())
        self._client_ms += float(client_ms.sum())

    def _load(self, rows: Rows) -> None:
        load = rows["server_load_ns"]
        if not len(rows):
            return
        streamed = rows["first_token_ns"] >= 0
        ttft = rows["first_token_ns"] - rows["sent_ns"]
        # Ollama speaks of some milliseconds for a model that is there, and leaves a zero out.
        counts = (load >= _LOADING_NS) | (streamed & (load > 0) & (load >= _LOADING_OF_TTFT * ttft))
        self.loading += int(counts.sum())
        self.load_max_ms = max(self.load_max_ms or 0.0, int(load.max()) / 1e6)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader has to know of them, one sentence each."""
        return tuple(self._remarks())

    def _remarks(self) -> Iterator[str]:
        if self.loading:
            yield (
                f"{self.loading} of {self.replies} replies include the loading of the model by the server's own "
                f"account, up to {self.load_max_ms:.4g} ms: they are in every figure; send a warm-up, or let the "
                "server keep the model"
            )
        if self.shorter:
            yield (
                f"for {self.shorter} of {self.told} replies the server says that it took longer than this client "
                f"waited for them from the send, by {_SHORTER_MS:g} ms and {_SHORTER_RATIO:g} of that or more: one of "
                "the two clocks is wrong, or the server counts what was before the request"
            )
        if self.longer > _LONGER_REPLIES * self.told:
            yield (
                f"for {self.longer} of {self.told} replies this client waited longer from the send than the server "
                f"says that it took, by {_LONGER_MS:g} ms and {_LONGER_RATIO:g} of that or more (median of all "
                f"{self.beyond_ms.percentile(0.5):.3g} ms): that time is the network's, of what stands before the "
                "server, or this client's"
            )

    def to_json(self) -> dict[str, Any] | None:
        """All of it, as JSON values; None where no reply says anything."""
        if self.load_max_ms is None and not self.told:
            return None
        known = self.told > 0
        return {
            "replies": self.replies,
            "loading": self.loading,
            "load_max_ms": self.load_max_ms,
            "told": self.told,
            "server_mean_ms": self._server_ms / self.told if known else None,
            "client_mean_ms": self._client_ms / self.told if known else None,
            "beyond_p50_ms": self.beyond_ms.percentile(0.5) if known else None,
            "shorter": self.shorter,
            "longer": self.longer,
        }


def server_times(records: Records) -> ServerTimes:
    """What the servers of a run say of the timed replies that are whole."""
    times = ServerTimes()
    for rows in records.chunks():
        times.add(rows[~rows["warmup"] & (rows["outcome"] == Outcome.OK)])
    return times
