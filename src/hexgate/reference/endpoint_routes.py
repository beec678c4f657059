"""Paths to handlers, and the errors that an API gives in its own form."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from hexgate.reference.endpoint_http import Request, Response, Streamed, json_response

__all__ = ["ApiError", "Fields", "Route", "Router", "json_fields"]

Route = Callable[[Request], Awaitable["Response | Streamed"]]
"""What answers one path."""


class ApiError(Exception):
    """A request that cannot be answered, and why."""

    def __init__(
        self, status: HTTPStatus, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status."""
        self.param = param
        """The field that is at fault, where the API states one."""
        self.code = code
        """A code, where the API has one."""


class Router:
    """Which handler answers which path. Errors take the form of the API that the path belongs to."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, tuple[str, ...], Route]] = []

    def add(self, method: str, path: str, route: Route) -> None:
        """Answer a method and path; a part such as ``{name}`` stands for anything."""
        self._routes.append((method, tuple(path.split("/")), route))

    async def handle(self, request: Request) -> Response | Streamed:
        """The reply to one request."""
        try:
            return await self._route(request)
        except ApiError as error:
            return _rendered(error, openai=request.path.startswith("/v1/"))

    async def _route(self, request: Request) -> Response | Streamed:
        parts = tuple(unquote(part) for part in request.path.split("/"))
        method = "GET" if request.method == "HEAD" else request.method
        allowed: list[str] = []
        for known, pattern, route in self._routes:
            values = _match(pattern, parts)
            if values is None:
                continue
            if known == method:
                return await route(replace(request, parts=values))
            allowed.append(known)
        if allowed:
            error = ApiError(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not allowed here")
            reply = _rendered(error, openai=request.path.startswith("/v1/"))
            return Response(reply.status, reply.body, headers={"allow": ", ".join(allowed)})
        raise ApiError(HTTPStatus.NOT_FOUND, f"there is nothing at {request.path}")


def _match(pattern: tuple[str, ...], parts: tuple[str, ...]) -> dict[str, str] | None:
    if len(pattern) != len(parts):
        return None
    values = {}
    for expected, part in zip(pattern, parts, strict=True):
        if expected.startswith("{"):
            values[expected.strip("{}")] = part
        elif expected != part:
            return None
    return values


def _rendered(error: ApiError, *, openai: bool) -> Response:
    if not openai:
        return json_response({"error": str(error)}, error.status)
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    body = {"message": str(error), "type": kind, "param": error.param, "code": error.code}
    return json_response({"error": body}, error.status)


def json_fields(request: Request) -> Fields:
    """The JSON object of a request's body.

    Raises:
        ApiError: 400, if it is none.
    """
    try:
        value = json.loads(request.body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ApiError(HTTPStatus.BAD_REQUEST, "the body is not a JSON object")
    return Fields(value)


def _refuse(token: str) -> Any:
    raise ValueError(f"{token} is not a JSON number")


class Fields:
    """The fields of a request, each read with its type and bounds; null stands for absent.

    Every method raises ApiError 400 for a value that is not what it should be.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def raw(self, name: str) -> Any:
        """The value as it was sent, or None."""
        return self._fields.get(name)

    def text(self, name: str) -> str:
        """A string that must be there."""
        value = self._fields.get(name)
        if not isinstance(value, str):
            raise self._bad(name, "a string")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """A truth value."""
        value = self._fields.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._bad(name, "true or false")
        return value

    def whole(self, name: str, default: int | None, *, least: int, most: int) -> int | None:
        """A whole number within bounds."""
        value = self._fields.get(name)
        if value is None:
            return default
        if type(value) is not int or not least <= value <= most:
            raise self._bad(name, f"a whole number from {least} to {most}")
        return value

    def number(self, name: str, default: float, *, least: float, most: float) -> float:
        """A number within bounds."""
        value = self._fields.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            raise self._bad(name, f"a number from {least:g} to {most:g}")
        return float(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """A string, or a list of strings; nothing where it is absent."""
        value = self._fields.get(name)
        if value is None:
            return ()
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(one, str) and one for one in values):
            raise self._bad(name, "a string or a list of strings")
        return tuple(values)

    def below(self, name: str) -> Fields:
        """The fields of an object inside; none where it is absent."""
        value = self._fields.get(name)
        if value is None:
            return Fields({})
        if not isinstance(value, dict):
            raise self._bad(name, "an object")
        return Fields(value)

    def _bad(self, name: str, expected: str) -> ApiError:
        got = "nothing" if self._fields.get(name) is None else repr(self._fields[name])[:60]
        return ApiError(HTTPStatus.BAD_REQUEST, f"{name}: got {got}, expected {expected}", param=name)
