"""The OpenAI routes of the reference endpoint: models, chat completions, completions."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any

from hexgate.reference.endpoint_http import Request, Response, Streamed, json_response
from hexgate.reference.endpoint_routes import ApiError, Fields, Router, json_fields
from hexgate.reference.endpoint_text import MAX_TOKENS, Generating, Sampling, TextService

__all__ = ["add_openai"]

_DEFAULT_CHAT_TOKENS = 256
_DEFAULT_COMPLETION_TOKENS = 16

_Choice = Callable[[str, "str | None", bool], dict[str, Any]]
"""One choice from a text, a finish reason, and whether it opens the stream."""


def add_openai(router: Router, service: TextService) -> None:
    """Put the routes up."""
    api = _OpenAI(service)
    router.add("GET", "/v1/models", api.models)
    router.add("GET", "/v1/models/{name}", api.model)
    router.add("POST", "/v1/chat/completions", api.chat)
    router.add("POST", "/v1/completions", api.completions)


class _OpenAI:
    def __init__(self, service: TextService) -> None:
        self._service = service

    async def models(self, _: Request) -> Response:
        return json_response({"object": "list", "data": [self._model()]})

    async def model(self, request: Request) -> Response:
        self._check_model(request.parts["name"])
        return json_response(self._model())

    async def chat(self, request: Request) -> Response | Streamed:
        fields = json_fields(request)
        self._check_model(fields.text("model"))
        prompt = _conversation(fields.raw("messages"))
        wanted = fields.whole("max_completion_tokens", None, least=1, most=MAX_TOKENS)
        sampling = _sampling(fields, wanted or _DEFAULT_CHAT_TOKENS)
        generating = self._service.begin(prompt, sampling)
        if fields.flag("stream", False):
            return self._streamed(fields, generating, "chat.completion.chunk", _delta)
        return await self._whole(generating, "chat.completion", _message)

    async def completions(self, request: Request) -> Response | Streamed:
        fields = json_fields(request)
        self._check_model(fields.text("model"))
        prompts = fields.texts("prompt")
        if len(prompts) != 1:
            raise ApiError(HTTPStatus.BAD_REQUEST, "prompt: expected one string", param="prompt")
        generating = self._service.begin(prompts[0], _sampling(fields, _DEFAULT_COMPLETION_TOKENS))
        if fields.flag("stream", False):
            return self._streamed(fields, generating, "text_completion", _text)
        return await self._whole(generating, "text_completion", _text)

    async def _whole(self, generating: Generating, kind: str, choice: _Choice) -> Response:
        text = await generating.whole()
        head = self._head(kind)
        return json_response(
            head | {"choices": [choice(text, generating.finish_reason, False)], "usage": _usage(generating)}
        )

    def _streamed(self, fields: Fields, generating: Generating, kind: str, choice: _Choice) -> Streamed:
        with_usage = fields.below("stream_options").flag("include_usage", False)
        return Streamed(self._events(generating, kind, choice, with_usage=with_usage), "text/event-stream")

    async def _events(
        self, generating: Generating, kind: str, choice: _Choice, *, with_usage: bool
    ) -> AsyncIterator[bytes]:
        head = self._head(kind)
        if choice is _delta:
            yield _event(head | {"choices": [_delta("", None, True)]})
        async for piece in generating.pieces():
            yield _event(head | {"choices": [choice(piece, None, False)]})
        yield _event(head | {"choices": [choice("", generating.finish_reason, False)]})
        if with_usage:
            yield _event(head | {"choices": [], "usage": _usage(generating)})
        yield b"data: [DONE]\n\n"

    def _head(self, kind: str) -> dict[str, Any]:
        prefix = "cmpl" if kind == "text_completion" else "chatcmpl"
        return {
            "id": f"{prefix}-{uuid.uuid4().hex}",
            "object": kind,
            "created": self._service.created,
            "model": self._service.name,
        }

    def _model(self) -> dict[str, Any]:
        return {
            "id": self._service.name,
            "object": "model",
            "created": self._service.created,
            "owned_by": "hexgate",
        }

    def _check_model(self, model: str) -> None:
        if not self._service.serves(model):
            raise ApiError(
                HTTPStatus.NOT_FOUND,
                f"the model {model!r} does not exist here; this server serves {self._service.name!r}",
                param="model",
                code="model_not_found",
            )


def _sampling(fields: Fields, default_tokens: int) -> Sampling:
    if fields.whole("n", 1, least=1, most=1) != 1:
        raise AssertionError("bounded above")
    top_p = fields.number("top_p", 1.0, least=0.0, most=1.0)
    return Sampling(
        max_tokens=fields.whole("max_tokens", default_tokens, least=1, most=MAX_TOKENS) or default_tokens,
        temperature=fields.number("temperature", 1.0, least=0.0, most=2.0),
        top_p=top_p if top_p > 0 else None,
        seed=fields.whole("seed", None, least=-(2**63), most=2**63 - 1),
        stop=fields.texts("stop"),
    )


def _conversation(messages: Any) -> str:
    if not isinstance(messages, list) or not messages:
        raise ApiError(HTTPStatus.BAD_REQUEST, "messages: expected a list with a message", param="messages")
    contents = []
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise ApiError(HTTPStatus.BAD_REQUEST, f"{at}: expected an object with a role", param=at)
        contents.append(_content(message.get("content"), f"{at}.content"))
    return "\n\n".join(contents)


def _content(content: Any, at: str) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
        for part in content
    ):
        return "".join(part["text"] for part in content)
    raise ApiError(HTTPStatus.BAD_REQUEST, f"{at}: expected a string or a list of text parts", param=at)


def _delta(text: str, finish: str | None, opens: bool) -> dict[str, Any]:
    delta = {"role": "assistant", "content": ""} if opens else {"content": text} if finish is None else {}
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _message(text: str, finish: str | None, opens: bool) -> dict[str, Any]:  # noqa: ARG001 - one signature for all
    return {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}


def _text(text: str, finish: str | None, opens: bool) -> dict[str, Any]:  # noqa: ARG001 - one signature for all
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}


def _usage(generating: Generating) -> dict[str, int]:
    return {
        "prompt_tokens": generating.prompt_tokens,
        "completion_tokens": generating.output_tokens,
        "total_tokens": generating.prompt_tokens + generating.output_tokens,
    }


def _event(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n\n"
