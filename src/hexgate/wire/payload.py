"""JSON on the wire: strict bytes out, checked values in, and the words for what was wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hexgate.errors import InputError
from hexgate.wire.base import Event, EventKind

__all__ = [
    "NOT_JSON",
    "PROTOCOL",
    "SERVER",
    "TRUNCATED",
    "BadPayload",
    "ServerFault",
    "body_bytes",
    "count",
    "error_message",
    "fault_event",
    "load_object",
    "object_of",
    "protocol_error",
    "server_error",
    "truncated",
]

PROTOCOL = "protocol: "
"""How the text of an ERROR event begins where the body breaks the API's rules."""
SERVER = "server: "
"""How it begins where the server itself reports an error in the body."""
TRUNCATED = "truncated: "
"""How it begins where the reply ended before its terminator."""
NOT_JSON = "not JSON"
"""How the complaint of a `BadPayload` begins whose bytes are no JSON at all."""


class BadPayload(ValueError):
    """Bytes that are not the JSON object they should be; `args[0]` says what is wrong."""


class ServerFault(BadPayload):
    """An object with which the server reports an error; `args[0]` is its message."""


def _refuse(token: str) -> Any:
    raise BadPayload(f"{token} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
_BYTE_ORDER_MARK = "\ufeff"
_BLANK = " \t\r\n"


def body_bytes(fields: Mapping[str, Any]) -> bytes:
    """A request body.

    Raises:
        InputError: if a value is not finite, or is no JSON value at all.
    """
    try:
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"the request cannot be written as JSON ({error})",
            hint="inputs and options must be finite numbers, texts, lists and objects",
        ) from None
    return text.encode("utf-8")


def load_object(data: bytes | str) -> dict[str, Any]:
    """A JSON object, in UTF-8 where it is bytes.

    Raises:
        BadPayload: if it is anything else. NaN and Infinity are not JSON.
    """
    try:
        text = data if isinstance(data, str) else data.decode()
        text = text.removeprefix(_BYTE_ORDER_MARK).strip(_BLANK)
        value, end = _DECODER.raw_decode(text)
    except BadPayload:
        raise
    except (ValueError, RecursionError) as error:
        raise BadPayload(f"{NOT_JSON} ({error})") from None
    if end != len(text):
        raise BadPayload(f"{NOT_JSON} (more behind the end of the document)")
    return object_of(value, "the reply")


def object_of(value: Any, what: str) -> dict[str, Any]:
    """The value itself, if it is an object.

    Raises:
        BadPayload: if it is not.
    """
    if not isinstance(value, dict):
        raise BadPayload(f"{what} is not an object but {type(value).__name__}")
    return value


def count(value: Any) -> int | None:
    """A count or a duration in whole nanoseconds by the server's account; None where it states none."""
    return value if type(value) is int and value >= 0 else None


def error_message(fields: Mapping[str, Any]) -> str | None:
    """The error that a body reports, in the forms that servers use; None where it reports none."""
    error = fields.get("error")
    if error is None and (fields.get("object") == "error" or fields.get("type") == "error"):
        error = fields.get("message") or "no message"
    if error is None:
        return None
    if isinstance(error, dict):
        error = error.get("message") or json.dumps(error, ensure_ascii=False)
    return str(error)[:1000]


def fault_event(bad: BadPayload, piece: int) -> Event:
    """The event of an object that is not what it should be."""
    return (server_error if isinstance(bad, ServerFault) else protocol_error)(str(bad), piece)


def protocol_error(what: str, piece: int) -> Event:
    """The event of a body that breaks the API's rules."""
    return Event(EventKind.ERROR, piece, PROTOCOL + what)


def server_error(message: str, piece: int) -> Event:
    """The event of an error that the server reports inside a reply."""
    return Event(EventKind.ERROR, piece, SERVER + message)


def truncated(what: str, piece: int) -> Event:
    """The event of a reply that ended before its terminator."""
    return Event(EventKind.ERROR, piece, TRUNCATED + what)
