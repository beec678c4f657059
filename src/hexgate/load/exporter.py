"""The counters of a run over HTTP, in the OpenMetrics text format, for Prometheus to scrape while the run goes on."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate
from types import TracebackType

from hexgate.errors import InputError
from hexgate.load.live import BOUNDS_S, Live, Seen
from hexgate.load.sending.layout import Outcome

__all__ = ["CONTENT_TYPE", "Exporter", "openmetrics"]

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_SLOWEST_READER_S = 5.0


def openmetrics(seen: Seen, labels: Mapping[str, str]) -> str:
    """The numbers as one OpenMetrics exposition.

    Args:
        seen: the numbers.
        labels: what tells this run from others, for `hexgate_load_run_info`.
    """
    lines = [
        *_family("run", "info", "The run that these numbers are of."),
        f"hexgate_load_run_info{{{','.join(f'{name}={_quoted(text)}' for name, text in labels.items())}}} 1",
        *_family("requests", "counter", "Requests that are over, by what became of them."),
        *(
            f'hexgate_load_requests_total{{outcome="{outcome.name.lower()}"}} {seen.outcomes[outcome]}'
            for outcome in Outcome
        ),
        *_family("due", "counter", "Requests that were due by now; in a closed loop, those taken up."),
        f"hexgate_load_due_total {seen.due}",
        *_family("sent", "counter", "Requests taken up to be sent, those waiting for a slot among them."),
        f"hexgate_load_sent_total {seen.issued}",
        *_family("in_flight", "gauge", "Requests taken up and not over."),
        f"hexgate_load_in_flight {seen.in_flight}",
        *_family("elapsed_seconds", "gauge", "Time since the start.", "seconds"),
        f"hexgate_load_elapsed_seconds {seen.elapsed_s!r}",
    ]
    if seen.asked_rps is not None:
        lines += _family("asked_requests_per_second", "gauge", "The rate that this run is to keep.")
        lines.append(f"hexgate_load_asked_requests_per_second {seen.asked_rps!r}")
    if seen.lag_max_s is not None:
        about = "Longest that a request was taken up behind its due time."
        lines += _family("dispatch_lag_max_seconds", "gauge", about, "seconds")
        lines.append(f"hexgate_load_dispatch_lag_max_seconds {seen.lag_max_s!r}")
    about = "Timed requests that succeeded: from due in an open loop, from sent in a closed one."
    lines += _family("latency_seconds", "histogram", about, "seconds")
    bounds = [*map(repr, BOUNDS_S), "+Inf"]
    lines += [
        f'hexgate_load_latency_seconds_bucket{{le="{bound}"}} {count}'
        for bound, count in zip(bounds, accumulate(seen.buckets), strict=True)
    ]
    lines += [
        f"hexgate_load_latency_seconds_count {sum(seen.buckets)}",
        f"hexgate_load_latency_seconds_sum {seen.latency_sum_s!r}",
        "# EOF",
    ]
    return "\n".join(lines) + "\n"


def _family(name: str, kind: str, about: str, unit: str | None = None) -> list[str]:
    full = f"hexgate_load_{name}"
    units = [f"# UNIT {full} {unit}"] if unit else []
    return [f"# TYPE {full} {kind}", *units, f"# HELP {full} {about}"]


def _quoted(text: str) -> str:
    plain = text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return f'"{plain}"'


class Exporter:
    """Serves the counters under ``/metrics`` from threads of its own, while it is entered.

    Args:
        live: the counters.
        labels: what tells this run from others.
        host: address to listen on.
        port: port; 0 takes a free one.

    Raises:
        InputError: if it cannot listen there.
    """

    def __init__(self, live: Live, labels: Mapping[str, str], *, host: str, port: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = _SLOWEST_READER_S

            def do_GET(self) -> None:
                if self.path.partition("?")[0] != "/metrics":
                    self.send_error(404, "see /metrics")
                    return
                body = openmetrics(live.seen(), labels).encode()
                self.send_response(200)
                self.send_header("content-type", CONTENT_TYPE)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base names it
                """Say nothing: the terminal belongs to the run."""

        class Server(ThreadingHTTPServer):
            # A reader that does not read on holds up neither the others nor the end of the run.
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: object, client_address: object) -> None:
                """A reader that went away is no matter of the run."""

        try:
            self._http = Server((host, port), Handler)
        except (OSError, OverflowError) as error:
            raise InputError(
                f"the metrics cannot be served ({getattr(error, 'strerror', None) or error})",
                where=f"{host}:{port}",
                hint="give another --metrics-port, or 0 for a free one",
            ) from None
        self.url = f"http://{host}:{self._http.server_address[1]}/metrics"
        """Where the metrics are."""
        self._thread = threading.Thread(target=self._http.serve_forever, name="metrics", daemon=True)

    def __enter__(self) -> Exporter:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
