"""A server's own metrics, asked for once a second beside a load: the threads of the sampler that do it.

Every value of a kept series is a row ``{"t_ns", "endpoint", "name", "labels", "value"}``; a bucket of a histogram only
when it has changed. Whatever an endpoint does ends within a limit of time and of bytes, and is told, not raised.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from hexgate.meters.prometheus import Endpoint, NotPrometheus, Series

__all__ = ["Scraper"]

_LIMIT_S = 5.0
"""A server that is busy may take long to say so."""
_LAST_LIMIT_S = 1.0
"""Nobody waits longer than this for the last values of an endpoint."""
_MOST_BYTES = 4 * 2**20
_CHUNK = 65_536
_ACCEPT = "text/plain;version=0.0.4"
_REST = 20
"""After a scrape it rests for so many times as long as the CPU time that the scrape took."""

_Row = Mapping[str, Any]


class Scraper:
    """Asks one endpoint again and again, from when it is made until `end`.

    Args:
        place: its number among those that are asked.
        url: where it is.
        period_s: time between two askings, at least.
        write: takes a row; called from a thread of this scraper alone.
    """

    def __init__(self, place: int, url: str, period_s: float, write: Callable[[_Row], None]) -> None:
        self._place = place
        self._url = url
        self._period_s = period_s
        self._write = write
        self._endpoint = Endpoint()
        self._buckets: dict[int, float] = {}
        self._scrapes = self._failures = 0
        self._failure: str | None = None
        self._ending = threading.Event()
        self._link: socket.socket | None = None
        self._is_cut = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def ask_to_end(self) -> None:
        """Let it ask once more and end."""
        self._ending.set()

    def end(self) -> None:
        """Wait until it has ended, which it soon does."""
        self._ending.set()
        self._thread.join(_LAST_LIMIT_S)
        if self._thread.is_alive():
            self._cut()
            self._thread.join(_LAST_LIMIT_S)

    def to_json(self) -> dict[str, Any]:
        """What was asked, what came of it, and what was left out."""
        return {
            "endpoint": self._place,
            "url": self._url,
            "period_s": self._period_s,
            "scrapes": self._scrapes,
            "failures": self._failures,
            "failure": self._failure,
            "series": self._endpoint.kept,
            "left_out": self._endpoint.left_out,
            "left_out_names": self._endpoint.left_out_names,
            "types": self._endpoint.types,
        }

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._ending.wait(max(0.0, due_s - time.monotonic())):
            used_s = self._scrape(_LIMIT_S)
            due_s = max(due_s + self._period_s, time.monotonic() + _REST * used_s)
        if not self._is_cut:
            self._scrape(_LAST_LIMIT_S)

    def _scrape(self, limit_s: float) -> float:
        """Ask once, and give the CPU time that it took."""
        began_s = time.thread_time()
        try:
            t_ns, text = self._text(limit_s)
            for series, value in self._endpoint.read(text):
                self._put(t_ns, series, value)
            self._scrapes += 1
        except UnicodeDecodeError:
            self._fail("what it says is not UTF-8")
        except NotPrometheus as error:
            self._fail(str(error))
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._fail(str(error) or type(error).__name__)
        return time.thread_time() - began_s

    def _fail(self, reason: str) -> None:
        self._failures += 1
        self._failure = reason[:300]

    def _put(self, t_ns: int, series: Series, value: float) -> None:
        if series.is_bucket:
            if self._buckets.get(id(series)) == value:
                return
            # A series that is kept lives as long as its endpoint, so its identity is its own.
            self._buckets[id(series)] = value
        whole = int(value) if value.is_integer() and abs(value) < 2**53 else value
        row = {
            "t_ns": t_ns,
            "endpoint": self._place,
            "name": series.name,
            "labels": series.labels,
            "value": whole,
        }
        self._write(row)

    def _text(self, limit_s: float) -> tuple[int, str]:
        """One answer, and when it was there.

        Raises:
            OSError, http.client.HTTPException, ValueError: if there is none.
        """
        self._is_cut = False
        late = threading.Timer(limit_s, self._cut)
        late.daemon = True
        late.start()
        try:
            data = self._asked(limit_s)
        except (OSError, http.client.HTTPException):
            if not self._is_cut:
                raise
        finally:
            late.cancel()
            self._link = None
        if self._is_cut:
            raise OSError(f"it took longer than {limit_s:g} s")
        return time.monotonic_ns(), data.decode()

    def _asked(self, limit_s: float) -> bytes:
        parts = urlsplit(self._url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=limit_s)
        try:
            connection.connect()
            # The connection lets go of its socket as soon as the head of an answer is there.
            self._link = connection.sock
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", path, headers={"Accept": _ACCEPT, "Connection": "close"})
            return _body(connection.getresponse())
        finally:
            connection.close()

    def _cut(self) -> None:
        """End what is under way, however slowly its bytes come."""
        self._is_cut = True
        if (link := self._link) is not None:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)


def _body(answer: http.client.HTTPResponse) -> bytes:
    if answer.status != http.client.OK:
        raise OSError(f"it answered with status {answer.status}")
    data = bytearray()
    while chunk := answer.read1(_CHUNK):
        data += chunk
        if len(data) > _MOST_BYTES:
            raise OSError(f"it says more than {_MOST_BYTES // 2**20} MiB")
    # Read piece by piece, an answer that was cut short looks like one that has ended.
    if answer.length:
        raise http.client.IncompleteRead(bytes(data), answer.length)
    return bytes(data)
