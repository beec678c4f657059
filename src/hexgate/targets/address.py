"""What the URL of an endpoint says: where it is, which API it speaks, and which model is meant."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, unquote, urlsplit

from hexgate.errors import InputError
from hexgate.wire.registry import TEMPLATE, dialect

__all__ = ["Address", "read_address"]

_OLLAMA_PORT = 11434
_TRITON = re.compile(
    r"(?P<base>.*)/v2/models/(?P<model>[^/]+)(?P<verb>/infer|/ready|/generate|/generate_stream)?"
)
# Vendors count their OpenAI-compatible APIs differently: /v1, /api/v3, /compatible-mode/v1.
_OPENAI_ROOT = re.compile(r".*/v(?:1|[3-9])")
_SUFFIXES = {
    "/chat/completions": "openai-chat",
    "/completions": "openai-completions",
    "/responses": "openai-responses",
    "/embeddings": "openai-embeddings",
    "/api/generate": "ollama-generate",
    "/api/chat": "ollama-chat",
    "/api/embed": "ollama-embed",
    "/generate": "tgi",
    "/generate_stream": "tgi",
}
"""How the path of a request ends, by API; an address may name it whole."""


@dataclass(frozen=True)
class Address:
    """An endpoint, as its URL describes it."""

    base_url: str
    """Scheme, host, port and path prefix, without a slash at the end and without credentials."""
    dialect: str
    """Name of the dialect that it speaks."""
    model: str = ""
    """Model id, where the URL holds one."""
    uri: str = ""
    """As the user named it, without credentials."""
    userinfo: tuple[str, str] | None = field(default=None, repr=False)
    """User and password of the URL; never printed or stored."""


def read_address(uri: str, dialect_name: str | None) -> Address:
    """Read the URL of an endpoint.

    Args:
        uri: ``http://``, ``https://`` or ``ollama://``.
        dialect_name: the dialect that the user names; None to tell it from the path.

    Raises:
        InputError: if it is not a URL, has no path, or holds what an endpoint's URL cannot.
    """
    if dialect_name is not None:
        dialect(dialect_name)
    try:
        parts = urlsplit(uri.strip())
        port = parts.port
        host = parts.hostname
    except ValueError as error:
        raise InputError(f"not a URL ({error})", where="the address of the target") from None
    shown = _origin(parts, host or "", port) + parts.path
    if not host:
        raise InputError("the URL has no host", where=shown, expected="such as http://127.0.0.1:8000/v1")
    if parts.query or parts.fragment:
        raise InputError(
            "the URL has a query or a fragment, which cannot be sent with every request",
            where=shown,
            hint="give the URL without it",
        )
    userinfo = None
    if parts.username is not None:
        userinfo = (unquote(parts.username), unquote(parts.password or ""))
    path = parts.path.rstrip("/")
    if parts.scheme.lower() == "ollama":
        base = _origin(parts._replace(scheme="http"), host, port or _OLLAMA_PORT)
        return Address(base, dialect_name or "ollama-generate", unquote(path.strip("/")), shown, userinfo)
    address = _by_path(_origin(parts, host, port), path, shown, dialect_name)
    return replace(address, uri=shown, userinfo=userinfo)


def _by_path(origin: str, path: str, shown: str, dialect_name: str | None) -> Address:
    if dialect_name is not None and dialect_name.startswith(f"{TEMPLATE}:"):
        # The template has the rest of the path.
        return Address(origin + path, dialect_name)
    if match := _TRITON.fullmatch(path):
        generates = (match["verb"] or "").startswith("/generate")
        name = dialect_name or ("triton-generate" if generates else "kserve-v2")
        return Address(origin + match["base"], name, unquote(match["model"]))
    for suffix, name in _SUFFIXES.items():
        if path.endswith(suffix) and _akin(name, dialect_name):
            return Address(origin + path.removesuffix(suffix), dialect_name or name)
    if dialect_name is not None:
        return Address(origin + path, dialect_name)
    if _OPENAI_ROOT.fullmatch(path):
        return Address(origin + path, "openai-chat")
    if path in {"", "/v2", "/v2/models"}:
        raise InputError(
            "the URL does not say which API is spoken there",
            where=shown,
            expected="/v1 (OpenAI), /v2/models/NAME (KServe v2), or another path such as /predict",
            hint=f"for an OpenAI-compatible server give {origin}/v1, for Ollama "
            f"ollama://{origin.partition('://')[2]}/NAME",
        )
    return Address(origin + path, "predict")


def _akin(name: str, chosen: str | None) -> bool:
    """Whether an API's own path is to be taken off an address for the dialect that the user chose."""
    return chosen is None or name.partition("-")[0] == chosen.partition("-")[0]


def _origin(parts: SplitResult, host: str, port: int | None) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme.lower()}://{name}{f':{port}' if port is not None else ''}"
