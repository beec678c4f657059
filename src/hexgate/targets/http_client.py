"""HTTP to one endpoint, with every failure given a class: timeout, connection, http_500, protocol, ..."""

from __future__ import annotations

import base64
import ipaddress
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies

from hexgate.targets.lean_httpx import without_command_line
from hexgate.wire.base import WireRequest
from hexgate.wire.payload import BadPayload, error_message, load_object

with without_command_line():
    import httpx

__all__ = ["Answer", "Failure", "HttpClient", "authorization"]

_CONNECT_S = 10.0
_MAX_BYTES = 256 * 1024 * 1024


class Failure(Exception):
    """No usable reply; ``kind: detail`` says why."""

    def __init__(
        self, kind: str, detail: str, status: int | None = None, retry_after: str | None = None
    ) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        """``timeout``, ``connection``, ``http_500``, ``redirect``, ``protocol``."""
        self.status = status
        """The HTTP status, where there was one."""
        self.retry_after = retry_after
        """The header of that name, where the server said when to come again."""


@dataclass(frozen=True)
class Answer:
    """A whole reply."""

    status: int
    """HTTP status."""
    body: bytes
    """The body."""


def authorization(
    key: str | None, userinfo: tuple[str, str] | None, *, key_header: str | None = None
) -> dict[str, str]:
    """The headers that carry an API key, or user and password; empty without either.

    Args:
        key: the API key.
        userinfo: user and password.
        key_header: the header that holds the key and nothing else; None for a bearer's.
    """
    if key is not None:
        return {"authorization": f"Bearer {key}"} if key_header is None else {key_header: key}
    if userinfo is not None:
        return {"authorization": "Basic " + base64.b64encode(":".join(userinfo).encode()).decode("ascii")}
    return {}


class HttpClient:
    """A client for one endpoint. Redirects are refused: figures of another server would be published.

    Args:
        base_url: what every path is put behind.
        headers: headers with credentials.
        timeout_s: longest wait for a whole reply.
        secret: a text that no message may hold, because a server might echo it.
    """

    def __init__(
        self, base_url: str, headers: Mapping[str, str], timeout_s: float, secret: str | None = None
    ) -> None:
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._secret = secret
        # A proxy of the environment has no business between this machine and itself.
        trust_env = not _is_loopback(base_url)
        # Reading all authorities takes longer than the rest of opening an endpoint, and without TLS nobody asks them.
        plain = urlsplit(base_url).scheme == "http" and not (trust_env and getproxies())
        self._client = httpx.Client(
            verify=not plain,
            headers={**headers, "accept-encoding": "identity", "user-agent": "hexgate"},
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S)),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
            follow_redirects=False,
            trust_env=trust_env,
        )

    def get(self, path: str) -> Answer:
        """The answer to a GET, whatever its status.

        Raises:
            Failure: if there was none: timeout, connection, protocol.
        """
        with self._open(WireRequest("GET", path, {"accept": "application/json"}, b"")) as response:
            return Answer(response.status_code, b"".join(self._pieces(response)))

    def send(self, request: WireRequest) -> bytes:
        """The body of the answer to a request, whose status was 200.

        Raises:
            Failure: if there was none.
        """
        return b"".join(self.stream(request))

    def stream(
        self, request: WireRequest, *, at_headers: Callable[[], object] | None = None
    ) -> Iterator[bytes]:
        """The body of the answer to a request, whose status was 200, in the pieces in which it came.

        Args:
            request: the request.
            at_headers: is called once the headers of the answer are there, whatever its status.

        Raises:
            Failure: if there was none, or it broke off.
        """
        with self._open(request) as response:
            if at_headers is not None:
                at_headers()
            if response.status_code != 200:
                body = b"".join(self._pieces(response))
                headers = response.headers
                answer = Answer(response.status_code, body)
                raise self.refusal(answer, headers.get("location"), headers.get("retry-after"))
            yield from self._pieces(response)

    def refusal(self, answer: Answer, location: str | None = None, retry_after: str | None = None) -> Failure:
        """The failure that an answer with another status than 200 is."""
        if 300 <= answer.status < 400:
            return Failure("redirect", f"HTTP {answer.status} to {location or 'elsewhere'}", answer.status)
        why = self._clean(_message(answer.body))
        return Failure(f"http_{answer.status}", why, answer.status, retry_after)

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    @contextmanager
    def _open(self, request: WireRequest) -> Iterator[httpx.Response]:
        try:
            with self._client.stream(
                request.method,
                self._base_url + request.path,
                headers=dict(request.headers),
                content=request.body or None,
            ) as response:
                yield response
        except httpx.TimeoutException:
            raise Failure("timeout", f"no whole reply within {self._timeout_s:g} s") from None
        except httpx.RemoteProtocolError as error:
            # One class for two things: a peer that hangs up, and one that does not speak HTTP.
            hung_up = "disconnected" in str(error) or "closed" in str(error)
            raise Failure("connection" if hung_up else "protocol", self._clean(str(error))) from None
        except httpx.TransportError as error:
            raise Failure("connection", self._clean(str(error) or type(error).__name__)) from None
        except (httpx.DecodingError, httpx.InvalidURL) as error:
            raise Failure("protocol", self._clean(str(error))) from None

    def _pieces(self, response: httpx.Response) -> Iterator[bytes]:
        # The client's own time-out starts anew with every piece; a server that drips would never meet it.
        deadline = time.monotonic() + self._timeout_s
        size = 0
        for piece in response.iter_bytes():
            size += len(piece)
            if size > _MAX_BYTES:
                raise Failure("protocol", f"a reply of more than {_MAX_BYTES} bytes")
            if time.monotonic() > deadline:
                raise Failure("timeout", f"no whole reply within {self._timeout_s:g} s")
            yield piece

    def _clean(self, text: str) -> str:
        return text.replace(self._secret, "***") if self._secret else text


def _message(body: bytes) -> str:
    try:
        stated = error_message(load_object(body))
    except BadPayload:
        stated = None
    text = stated if stated is not None else body[:300].decode("utf-8", "replace")
    return " ".join(text.split())[:300] or "no message"


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
