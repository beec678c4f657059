from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest

from hexgate.errors import InputError
from hexgate.meters import scrape
from hexgate.meters.recorder import Recorder, metrics_address
from hexgate.meters.scrape import Scraper
from support.metrics_server import SYNTHETIC, metrics_server, says

PATIENCE_S = 120.0
Answer = Callable[[BaseHTTPRequestHandler], None]


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@contextmanager
def _scraped(answer: Answer, times: int = 1) -> Iterator[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """What a scraper writes and tells of an endpoint that was asked at least so many times."""
    rows: list[dict[str, Any]] = []
    with metrics_server(answer) as url:
        scraper = Scraper(0, url, 0.01, lambda row: rows.append(dict(row)))
        _wait_for(lambda: scraper._scrapes + scraper._failures >= times)
        scraper.end()
    yield rows, scraper.to_json()


@pytest.mark.parametrize("server", SYNTHETIC)
def test_metrics_of_each_server_are_recorded_beside_a_measurement(tmp_path: Path, server: str) -> None:
    """Through the real sampler: rows as evidence, on the clock of everything else."""
    asked = count()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        next(asked)
        says(SYNTHETIC[server])(handler)

    with (
        metrics_server(answer) as url,
        Recorder(tmp_path, "run", pid=os.getpid(), metrics_urls=[url], metrics_hz=50) as recorder,
    ):
        begin = next(asked)
        _wait_for(lambda: next(asked) > begin + 3)
        begin_ns, end_ns = begin, recorder.mark_ns()
    assert recorder.failure is None
    rows = _rows(recorder.metrics_path)
    assert recorder.rows["server_metrics"] == len(rows)
    assert all(set(row) == {"t_ns", "endpoint", "name", "labels", "value"} for row in rows)
    assert all(begin_ns < row["t_ns"] for row in rows)
    assert rows[0]["t_ns"] < end_ns < time.monotonic_ns()
    # Once at the start at least, and once at the end.
    assert len({row["t_ns"] for row in rows}) >= 2
    [told] = recorder.to_json()["server_metrics"]
    assert told["url"] == url
    assert told["failure"] is None
    assert told["scrapes"] >= 2
    assert told["series"] > 0


def test_sampler_is_a_process_of_its_own_so_the_load_pays_for_no_scrape(tmp_path: Path) -> None:
    peers: list[int] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        port = handler.client_address[1]
        peers.extend(
            one.pid
            for one in psutil.net_connections("tcp4")
            if one.laddr and one.laddr.port == port and one.pid
        )
        says("a 1\n")(handler)

    with (
        metrics_server(answer) as url,
        Recorder(tmp_path, "run", pid=os.getpid(), metrics_urls=[url]) as recorder,
    ):
        _wait_for(lambda: bool(peers))
        assert recorder._process is not None
        assert set(peers) == {recorder._process.pid}


def test_bucket_is_written_when_it_changes_and_any_other_series_each_time() -> None:
    turns = count()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        high = 1 if next(turns) < 3 else 2
        says(f'h_bucket{{le="1"}} 1\nh_bucket{{le="+Inf"}} {high}\nh_sum 4\nh_count {high}\n')(handler)

    with _scraped(answer, times=6) as (rows, told):
        values = [(row["labels"], row["value"]) for row in rows if row["name"] == "h_bucket"]
        assert values == [({"le": "1"}, 1), ({"le": "+Inf"}, 1), ({"le": "+Inf"}, 2)]
        assert len([row for row in rows if row["name"] == "h_sum"]) == told["scrapes"] >= 6


def _drips(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"#")
        handler.wfile.flush()
        time.sleep(0.01)


def _floods(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"# nothing\n" * 10_000)


def _redirects(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "http://192.0.2.1/metrics")
    handler.end_headers()


def _breaks_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"a 1\n")


def _resets(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.connection.close()


def _is_no_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH\r\n")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (says("<html>not here</html>\n"), "line 1 is not in Prometheus' text format"),
        (says(b"a 1\n\xff 2\n"), "not UTF-8"),
        (says("", status=404), "status 404"),
        (says("", status=500), "status 500"),
        (_redirects, "status 302"),
        (_drips, "longer than 0.2 s"),
        (_floods, "more than 4 MiB"),
        (_breaks_off, "IncompleteRead"),
        (_resets, ""),
        (_is_no_http, "SSH"),
    ],
)
def test_bad_endpoint_is_told_and_does_no_harm(
    answer: Answer, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrape, "_LIMIT_S", 0.2 if answer is _drips else PATIENCE_S)
    monkeypatch.setattr(scrape, "_LAST_LIMIT_S", 0.2 if answer is _drips else PATIENCE_S)
    with _scraped(answer) as (rows, told):
        assert rows == []
        assert told["failures"] >= 1
        assert told["scrapes"] == 0
        assert reason in told["failure"]


def test_endpoint_that_nobody_serves(tmp_path: Path) -> None:
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{link.getsockname()[1]}"
        with Recorder(tmp_path, "run", pid=os.getpid(), metrics_urls=[url]) as recorder:
            pass
    assert recorder.failure is None
    assert recorder.rows["server_metrics"] == 0
    [told] = recorder.to_json()["server_metrics"]
    assert told["url"] == f"{url}/metrics"
    assert "refused" in told["failure"]


def test_endpoint_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def hangs(handler: BaseHTTPRequestHandler) -> None:
        asked.set()
        go_on.wait(PATIENCE_S)

    with metrics_server(hangs) as url:
        with Recorder(tmp_path, "run", pid=os.getpid(), metrics_urls=[url]) as recorder:
            assert asked.wait(PATIENCE_S)
        go_on.set()
    assert recorder.failure is None
    [told] = recorder.to_json()["server_metrics"]
    assert told["scrapes"] == 0


def test_endpoint_that_comes_back_is_read_on() -> None:
    turns = count()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        says("a 1\n", status=503 if next(turns) < 2 else 200)(handler)

    with _scraped(answer, times=5) as (rows, told):
        assert told["failures"] == 2
        assert told["scrapes"] >= 3
        assert len(rows) == told["scrapes"]


def test_disk_that_takes_no_more_rows_is_told() -> None:
    def full(row: object) -> None:
        raise OSError(28, "No space left on device")

    with metrics_server(says("a 1\n")) as url:
        scraper = Scraper(0, url, 0.01, full)
        _wait_for(lambda: scraper._failures >= 1)
        scraper.end()
    assert "No space left" in scraper.to_json()["failure"]


def test_sampler_that_is_killed_is_told_for_every_endpoint(tmp_path: Path) -> None:
    with (
        metrics_server(says("a 1\n")) as url,
        Recorder(tmp_path, "run", pid=os.getpid(), metrics_urls=[url]) as recorder,
    ):
        assert recorder._process is not None
        recorder._process.kill()
    [told] = recorder.to_json()["server_metrics"]
    assert "did not come to its end" in told["failure"]


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8000", "ftp://host/metrics", "http://", "http://host:99999/metrics"]
)
def test_what_is_no_address_is_the_caller_s_mistake(url: str) -> None:
    with pytest.raises(InputError, match="server metrics"):
        metrics_address(url)


def test_credentials_do_not_go_into_an_address() -> None:
    with pytest.raises(InputError, match="credentials") as caught:
        metrics_address("http://user:sesame@host:8000/metrics")
    assert "sesame" not in str(caught.value)


def test_address_without_a_path_means_the_usual_one() -> None:
    assert metrics_address("http://host:8000") == "http://host:8000/metrics"
    assert metrics_address("https://host/a/b?c=d") == "https://host/a/b?c=d"
