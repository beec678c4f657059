"""The file that describes an API to the dialect `template`: read, and checked before anything is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hexgate.errors import InputError
from hexgate.wire.json_path import JsonPath

__all__ = ["PLACEHOLDERS", "SLOT", "STREAMS", "Template", "read_template"]

PLACEHOLDERS = (
    "prompt",
    "system",
    "messages",
    "model",
    "max_tokens",
    "temperature",
    "top_p",
    "seed",
    "stop",
    "stream",
)
"""What a body may name in braces."""
SLOT = re.compile(r"(?<!\{)\{([a-z_]+)\}(?!\})")
"""A placeholder in a text. Double braces are not ours and stay as they are."""
STREAMS = ("none", "sse", "ndjson")
"""How a reply comes: one JSON document, server-sent events, or lines of JSON."""
COUNTS = ("prompt_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")

_METHODS = ("POST", "PUT")
_KEYS = (
    "method",
    "path",
    "headers",
    "key_header",
    "body",
    "stream",
    "done",
    "text",
    "reasoning",
    "finish",
    "error",
    *COUNTS,
)
_PATH = re.compile(r"(?:/[\x21-\x22\x24-\x7e]*)?")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_SECRET = frozenset({"authorization", "proxy-authorization", "cookie", "api-key", "x-api-key"})
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Template:
    """An API that answers a prompt with text, as its file describes it."""

    method: str
    """Method of the request."""
    path: str
    """Path under the endpoint's base URL, maybe with a query; ``{model}`` in it is the model's name."""
    headers: Mapping[str, str]
    """Headers of every request."""
    key_header: str | None
    """The header that holds the key and nothing else; None for ``authorization`` with ``Bearer`` before it."""
    body: Any
    """The body as JSON, with placeholders."""
    stream: str
    """One of `STREAMS`."""
    done: str | None
    """The data of the message with which every whole stream of server-sent events ends."""
    text: tuple[JsonPath, ...]
    """Where the text of the answer is: the first that holds one."""
    reasoning: tuple[JsonPath, ...]
    """Where text of a reasoning channel is."""
    finish: tuple[JsonPath, ...]
    """Where the reason is for which the reply is over; without one, HTTP says when it is."""
    error: tuple[JsonPath, ...]
    """Where an error in a reply is."""
    counts: Mapping[str, tuple[JsonPath, ...]]
    """Where the server's counts of tokens are, by the names of `Usage`."""
    named: frozenset[str]
    """The placeholders that the request names."""


def read_template(file: str) -> Template:
    """The description in a file.

    Raises:
        InputError: if it cannot be read, or says something else than the API's description.
    """
    if not file:
        raise InputError("the template has no file", expected="--dialect template:FILE")
    fields = _load(Path(file))
    for key in fields:
        if key not in _KEYS:
            close = get_close_matches(key, _KEYS, n=1)
            raise InputError(
                "a key that a template does not have",
                where=file,
                got=repr(key),
                expected="one of " + ", ".join(_KEYS),
                hint=f"did you mean {close[0]}?" if close else None,
            )
    method = _choice(fields, "method", _METHODS, file)
    stream = _choice(fields, "stream", STREAMS, file)
    path = _text(fields, "path", file) or ""
    _check_path(path, file)
    done = _text(fields, "done", file)
    if done is not None and (stream != "sse" or not done.strip()):
        raise InputError(
            "done is the text of the last server-sent event", where=file, hint="with stream: sse"
        )
    named = _named(path, file) | _named(fields.get("body"), file)
    if not named & {"prompt", "messages"}:
        raise InputError(
            "the request has no place for the prompt", where=file, expected="{prompt} or {messages}"
        )
    if not fields.get("text"):
        raise InputError(
            "the template does not say where the text of a reply is",
            where=file,
            expected='such as "text": "reply"',
        )
    headers = _headers(fields.get("headers", {}), file)
    return Template(
        method=method,
        path=path,
        headers=headers,
        key_header=_key_header(fields, headers, file),
        body=fields["body"],
        stream=stream,
        done=None if done is None else done.strip(),
        text=_paths(fields, "text", file),
        reasoning=_paths(fields, "reasoning", file),
        finish=_paths(fields, "finish", file),
        error=_paths(fields, "error", file),
        counts={name: _paths(fields, name, file) for name in COUNTS if name in fields},
        named=frozenset(named),
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"the template cannot be read ({error.strerror})", where=str(path)) from None
    if len(data) > _MOST_BYTES:
        raise InputError(f"the template is above {_MOST_BYTES} bytes", where=str(path))
    try:
        fields = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the template is not JSON ({error})", where=str(path)) from None
    if not isinstance(fields, dict):
        raise InputError("the template is not a JSON object", where=str(path))
    return fields


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return made


def _text(fields: Mapping[str, Any], key: str, file: str) -> str | None:
    value = fields.get(key)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{key} is not a text", where=file, got=repr(value)[:100])
    return value


def _choice(fields: Mapping[str, Any], key: str, choices: tuple[str, ...], file: str) -> str:
    value = fields.get(key, choices[0])
    if value not in choices:
        raise InputError(
            f"{key} is none of its values", where=file, got=repr(value)[:100], expected=", ".join(choices)
        )
    chosen: str = value
    return chosen


def _check_path(path: str, file: str) -> None:
    if not _PATH.fullmatch(path):
        raise InputError(
            "path is not the path of a URL", where=file, got=repr(path)[:100], expected="such as /v1/answer"
        )
    if other := set(SLOT.findall(path)) - {"model"}:
        raise InputError(
            "a path has a place for the model alone",
            where=file,
            got=", ".join(sorted(other)),
            expected="{model}",
        )


def _headers(headers: Any, file: str) -> dict[str, str]:
    if not isinstance(headers, dict):
        raise InputError("headers is not an object", where=file)
    for name, value in headers.items():
        if (
            not isinstance(value, str)
            or not _HEADER_NAME.fullmatch(name)
            or not _HEADER_VALUE.fullmatch(value)
        ):
            raise InputError("a header that cannot be sent", where=file, got=repr(name))
        if name.lower() in _SECRET:
            raise InputError(
                "a credential does not belong in a file",
                where=file,
                got=name,
                hint=f"name the header as key_header ({name.lower()}), and the environment variable that holds the key "
                "with --api-key-env",
            )
        if name.lower() in _OURS:
            raise InputError("a header that hexgate writes itself", where=file, got=name)
    return {name.lower(): value for name, value in headers.items()}


def _key_header(fields: Mapping[str, Any], headers: Mapping[str, str], file: str) -> str | None:
    name = _text(fields, "key_header", file)
    if name is None:
        return None
    if not _HEADER_NAME.fullmatch(name) or name.lower() in _OURS | headers.keys():
        raise InputError(
            "key_header is not the name of a header that a key can stand in",
            where=file,
            got=repr(name)[:100],
            expected="such as x-api-key, and none of headers",
        )
    return name.lower()


def _named(value: Any, file: str) -> set[str]:
    if isinstance(value, str):
        found = set(SLOT.findall(value))
        if unknown := sorted(found - set(PLACEHOLDERS)):
            close = get_close_matches(unknown[0], PLACEHOLDERS, n=1)
            raise InputError(
                "a placeholder that there is not",
                where=file,
                got=f"{{{unknown[0]}}}",
                expected=", ".join(f"{{{name}}}" for name in PLACEHOLDERS),
                hint=f"did you mean {{{close[0]}}}?" if close else None,
            )
        return found
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {name for one in inner for name in _named(one, file)}


def _paths(fields: Mapping[str, Any], key: str, file: str) -> tuple[JsonPath, ...]:
    value = fields.get(key)
    texts = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts) or (value is not None and not texts):
        raise InputError(f"{key} is not a path or a list of paths", where=file, got=repr(value)[:100])
    return tuple(JsonPath(text, f"{file}: {key}") for text in texts)
