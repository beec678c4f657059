"""The server of `hexgate study watch`: three kinds of pages, read alone, for this machine unless more is asked for."""

from __future__ import annotations

import json
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socketserver import TCPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import click

from hexgate.cli.console import error_words
from hexgate.cli.language import text
from hexgate.errors import HexgateError
from hexgate.report.text import Lang

__all__ = ["View", "WatchServer", "host_allowed", "is_loopback"]

_SLOWEST_READER_S = 10.0
_LABEL = ("/label/", ".svg")
_HEADERS = {
    "Cache-Control": "no-store",
    # Nothing is taken from elsewhere, nothing is framed, and a page may ask this server alone how far the study is.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class View(Protocol):
    """What is shown. Threads share it."""

    def status(self) -> dict[str, Any]:
        """How far the study has come."""

    def page(self, lang: Lang) -> str:
        """The page, as HTML."""

    def label(self, stem: str, lang: Lang) -> str | None:
        """A model's label, as SVG; None where there is no such model."""


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own alone."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def host_allowed(header: str, bound: str) -> bool:
    """Whether a request that names this host may be answered.

    A page of another site can have its own name resolved to this machine, and then reads what is served here as its
    own; but its name stands in the request. So a name is answered only if it is this machine's own, or the one that
    was listened on. An address cannot be made to point elsewhere; others than loopback are answered where more than
    loopback is listened on.

    Args:
        header: the request's header ``Host``.
        bound: the host that is listened on.
    """
    if any(one in header for one in "@/\\?# \t"):
        return False
    try:
        parts = urlsplit(f"//{header}")
        name, _ = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return False
    if is_loopback(name):
        return True
    if is_loopback(bound):
        return False
    try:
        ip_address(name)
    except ValueError:
        return bool(name) and name == bound.rstrip(".").lower()
    return True


class WatchServer(ThreadingHTTPServer):
    """Serves a view. `serve_forever` runs until it is interrupted; used as a context manager it is closed.

    Args:
        view: what is shown.
        host: name or address to listen on.
        port: port; 0 takes a free one.
        lang: language where a request names none.

    Raises:
        OSError, OverflowError: if it cannot listen there.
    """

    daemon_threads = True
    # A page that is being drawn does not make the system turn other readers away.
    request_queue_size = 128
    # A reader that does not read on does not hold up the end.
    block_on_close = False

    def __init__(self, view: View, host: str, port: int, lang: Lang) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.view = view
        """What is shown."""
        self.host = host
        """What it listens on."""
        self.lang = lang
        """Language where a request names none."""
        super().__init__((host, port), _Handler)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.server_address[1]}/"
        """Where the page is."""

    def server_bind(self) -> None:
        """Bind without asking a resolver for this machine's name, which may take seconds and is used nowhere."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.host, int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Say what went wrong in one line; a reader that went away is no fault."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            click.echo(f"{type(error).__name__}: {error}", err=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = _SLOWEST_READER_S
    server_version = "hexgate"
    sys_version = ""
    server: WatchServer

    def do_GET(self) -> None:
        """Answer."""
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or not host_allowed(hosts[0], self.server.host):
            self._say(421, text("this host name is not served here", "此处不提供该主机名"))
            return
        path, _, query = self.path.partition("?")
        asked = parse_qs(query).get("lang", [""])[-1]
        lang: Lang = "zh" if asked == "zh" else "en" if asked == "en" else self.server.lang
        try:
            self._show(path, lang)
        except HexgateError as error:
            self._say(503, _told(error))

    do_HEAD = do_GET  # noqa: N815 - as the base names it

    def _show(self, path: str, lang: Lang) -> None:
        view = self.server.view
        before, after = _LABEL
        if path == "/":
            self._send(200, "text/html; charset=utf-8", view.page(lang))
        elif path == "/status.json":
            status = json.dumps(view.status(), ensure_ascii=False, allow_nan=False)
            self._send(200, "application/json; charset=utf-8", status + "\n")
        elif path.startswith(before) and path.endswith(after):
            drawn = view.label(unquote(path[len(before) : -len(after)]), lang)
            if drawn is None:
                self._say(404, text("the study has no such model", "研究中没有该模型"))
            else:
                self._send(200, "image/svg+xml; charset=utf-8", drawn)
        else:
            self._say(
                404,
                text(
                    "there is /, /status.json and /label/MODEL.svg", "可用：/、/status.json、/label/模型.svg"
                ),
            )

    def _say(self, status: int, words: str) -> None:
        self._send(status, "text/plain; charset=utf-8", words + "\n")

    def _send(self, status: int, kind: str, content: str) -> None:
        body = content.encode("utf-8", "replace")
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if status == 405:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """What the base refuses, told as everything else is: without a page of its own, and 405 for other methods."""
        self._say(405 if code == 501 else code, message or text("refused", "已拒绝"))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base names it
        """Say nothing: the terminal shows the address."""


def _told(error: HexgateError) -> str:
    parts = [error_words(error.what), error.where, error.hint and error_words(error.hint)]
    return "\n".join(part for part in parts if part)
