"""The Ollama routes of the reference endpoint: generate, chat, tags, version."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timezone
from http import HTTPStatus
from typing import Any

from hexgate import __version__
from hexgate.reference.endpoint_http import Request, Response, Streamed, json_response
from hexgate.reference.endpoint_routes import ApiError, Fields, Router, json_fields
from hexgate.reference.endpoint_text import MAX_TOKENS, Generating, Sampling, TextService

__all__ = ["add_ollama"]

_Piece = Callable[[str], dict[str, Any]]
"""The fields that carry a text: ``response`` or ``message``."""


def add_ollama(router: Router, service: TextService, *, digest: str, size: int) -> None:
    """Put the routes up.

    Args:
        router: where.
        service: the language model.
        digest: SHA-256 of the model file, in hex.
        size: its bytes.
    """
    api = _Ollama(service, digest, size)
    router.add("GET", "/api/version", api.version)
    router.add("GET", "/api/tags", api.tags)
    router.add("POST", "/api/generate", api.generate)
    router.add("POST", "/api/chat", api.chat)


class _Ollama:
    def __init__(self, service: TextService, digest: str, size: int) -> None:
        self._service = service
        self._digest = digest
        self._size = size

    async def version(self, _: Request) -> Response:
        return json_response({"version": f"{__version__}-hexgate"})

    async def tags(self, _: Request) -> Response:
        name = f"{self._service.name}:latest"
        details = {"format": "json", "family": "ngram", "parameter_size": "", "quantization_level": ""}
        entry = {
            "name": name,
            "model": name,
            "modified_at": _now(self._service.created),
            "size": self._size,
            "digest": self._digest,
            "details": details,
        }
        return json_response({"models": [entry]})

    async def generate(self, request: Request) -> Response | Streamed:
        began = time.perf_counter_ns()
        fields = json_fields(request)
        self._check_model(fields.text("model"))
        prompt = "" if fields.raw("prompt") is None else fields.text("prompt")
        if not prompt:
            return json_response(self._head() | {"response": "", "done": True, "done_reason": "load"})
        system = "" if fields.raw("system") is None else fields.text("system")
        asked = f"{system}\n\n{prompt}" if system else prompt
        return await self._reply(fields, asked, began, lambda text: {"response": text})

    async def chat(self, request: Request) -> Response | Streamed:
        began = time.perf_counter_ns()
        fields = json_fields(request)
        self._check_model(fields.text("model"))
        messages = fields.raw("messages") or []
        if not isinstance(messages, list) or not all(_is_message(message) for message in messages):
            raise ApiError(HTTPStatus.BAD_REQUEST, "messages: expected objects with role and content")
        asked = "\n\n".join(message["content"] for message in messages)
        piece: _Piece = lambda text: {"message": {"role": "assistant", "content": text}}  # noqa: E731
        if not asked:
            return json_response(self._head() | piece("") | {"done": True, "done_reason": "load"})
        return await self._reply(fields, asked, began, piece)

    async def _reply(self, fields: Fields, prompt: str, began: int, piece: _Piece) -> Response | Streamed:
        generating = self._service.begin(prompt, _sampling(fields.below("options")))
        load_ns = time.perf_counter_ns() - began
        if fields.flag("stream", True):
            return Streamed(self._lines(generating, began, load_ns, piece), "application/x-ndjson")
        text = await generating.whole()
        return json_response(self._head() | piece(text) | _last(generating, began, load_ns))

    async def _lines(
        self, generating: Generating, began: int, load_ns: int, piece: _Piece
    ) -> AsyncIterator[bytes]:
        async for text in generating.pieces():
            yield _line(self._head() | piece(text) | {"done": False})
        yield _line(self._head() | piece("") | _last(generating, began, load_ns))

    def _head(self) -> dict[str, Any]:
        return {"model": self._service.name, "created_at": _now(time.time())}

    def _check_model(self, model: str) -> None:
        if not self._service.serves(model):
            raise ApiError(HTTPStatus.NOT_FOUND, f"model '{model}' not found")


def _last(generating: Generating, began: int, load_ns: int) -> dict[str, Any]:
    """The closing fields; durations in nanoseconds, by this server's clock."""
    return {
        "done": True,
        "done_reason": generating.finish_reason,
        "total_duration": time.perf_counter_ns() - began,
        "load_duration": load_ns,
        "prompt_eval_count": generating.prompt_tokens,
        "prompt_eval_duration": generating.prompt_ns,
        "eval_count": generating.output_tokens,
        "eval_duration": generating.output_ns,
    }


def _sampling(options: Fields) -> Sampling:
    wanted = options.whole("num_predict", -1, least=-2, most=MAX_TOKENS) or 0
    top_p = options.number("top_p", 0.9, least=0.0, most=1.0)
    return Sampling(
        # Below 1 means no limit of its own.
        max_tokens=wanted if wanted > 0 else MAX_TOKENS,
        temperature=options.number("temperature", 0.8, least=0.0, most=100.0),
        top_p=top_p if top_p > 0 else None,
        seed=options.whole("seed", None, least=-(2**63), most=2**63 - 1),
        stop=options.texts("stop"),
    )


def _is_message(message: Any) -> bool:
    return (
        isinstance(message, dict)
        and isinstance(message.get("role"), str)
        and isinstance(message.get("content"), str)
    )


def _now(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat().replace("+00:00", "Z")


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n"
