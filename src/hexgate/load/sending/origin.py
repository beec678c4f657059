"""Where an endpoint is, and the bytes of a request to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from hexgate import __version__
from hexgate.errors import InputError
from hexgate.wire.base import WireRequest

__all__ = ["Origin", "with_head"]

_PATH_SAFE = "/%:@!$&'()*+,;=~-._"
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")


@dataclass(frozen=True)
class Origin:
    """Where an endpoint is, and what each request to it carries."""

    host: str
    port: int
    tls: bool
    prefix: str
    """Path of the base URL, without a slash at the end."""
    query: str
    """Query of the base URL with its question mark, or nothing."""
    authority: str
    """Value of the host header."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Headers of every request, credentials among them."""

    @classmethod
    def parse(cls, base_url: str, headers: Mapping[str, str]) -> Origin:
        """The origin of a base URL.

        Raises:
            InputError: if it is not an http or https URL, or a header is not one line of Latin-1.
        """
        try:
            parts = urlsplit(base_url)
            port = parts.port
        except ValueError as error:
            raise InputError(f"the endpoint's URL is not one ({error})", where=base_url) from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InputError("the endpoint's URL is not of http or https", where=base_url)
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                # The value may be a credential, so the message names the header alone.
                raise InputError("a header of the endpoint cannot be sent", got=repr(name))
        tls = parts.scheme == "https"
        host = parts.hostname
        named = f"[{host}]" if ":" in host else host
        return cls(
            host=host,
            port=port or (443 if tls else 80),
            tls=tls,
            prefix=quote(parts.path.rstrip("/"), safe=_PATH_SAFE),
            query=f"?{quote(parts.query, safe=_PATH_SAFE + '?')}" if parts.query else "",
            authority=named if port is None else f"{named}:{port}",
            headers=tuple(headers.items()),
        )

    def head(self, request: WireRequest) -> bytes:
        """The head of a request up to its length, which `with_head` adds: the same for all bodies of an API."""
        path = self.prefix + request.path or "/"
        headers = {
            "host": self.authority,
            "user-agent": f"hexgate/{__version__}",
            "accept-encoding": "identity",
        }
        headers |= {name.lower(): value for name, value in (*request.headers.items(), *self.headers)}
        headers.pop("content-length", None)
        lines = [f"{request.method} {path}{self.query} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join(lines).encode("latin-1") + b"\r\ncontent-length: "

    def request_bytes(self, request: WireRequest) -> bytes:
        """The request as it goes over the wire."""
        return with_head(self.head(request), request.body)


def with_head(head: bytes, body: bytes) -> bytes:
    """A whole request from what `Origin.head` made and a body."""
    return b"%b%d\r\n\r\n%b" % (head, len(body), body)
