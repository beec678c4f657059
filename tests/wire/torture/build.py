"""Pieces of replies, as servers write them."""

from __future__ import annotations

import json
from typing import Any

from hexgate.load.sending.layout import Outcome

ERROR, TRUNCATED = Outcome.ERROR, Outcome.TRUNCATED
DONE = b"data: [DONE]\n\n"
USE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def sse(value: Any, event: str = "") -> bytes:
    return f"{f'event: {event}' + chr(10) if event else ''}data: {dumped(value)}\n\n".encode()


def line(value: Any) -> bytes:
    return f"{dumped(value)}\n".encode()


def chat(delta: dict[str, Any] | None, *, finish: str | None = None, **top: Any) -> bytes:
    """One event of an OpenAI chat stream; without a delta one without a choice."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return sse({"id": "c1", "object": "chat.completion.chunk", "choices": choices, **top})


def said(text: str, **top: Any) -> bytes:
    return chat({"content": text}, **top)


def thought(text: str, name: str = "reasoning_content") -> bytes:
    return chat({name: text})


def completion(text: str, *, finish: str | None = None, **top: Any) -> bytes:
    return sse({"choices": [{"index": 0, "text": text, "finish_reason": finish}], **top})


def reply(text: str | None, *, finish: str | None = "stop", **top: Any) -> bytes:
    """A whole chat completion in one document."""
    message = {"role": "assistant", "content": text}
    return dumped({"choices": [{"index": 0, "message": message, "finish_reason": finish}], **top}).encode()


def generated(response: str = "", **more: Any) -> bytes:
    """A line of Ollama's generate API."""
    return line(
        {"model": "m", "created_at": "2024-05-05T00:00:00Z", "response": response, "done": False, **more}
    )


def chatted(content: str = "", **more: Any) -> bytes:
    """A line of Ollama's chat API."""
    message = {"role": "assistant", "content": content, **more.pop("message", {})}
    return line(
        {"model": "m", "created_at": "2024-05-05T00:00:00Z", "message": message, "done": False, **more}
    )


def response(kind: str, **fields: Any) -> bytes:
    """A typed event of the Responses API."""
    return sse({"type": kind, "sequence_number": 1, **fields}, event=kind)


def token(text: str, *, special: bool = False, **more: Any) -> bytes:
    """An event of TGI, which writes no space behind the colon."""
    value = {"index": 1, "token": {"id": 5, "text": text, "logprob": -0.1, "special": special}}
    return f"data:{dumped({**value, 'generated_text': None, 'details': None, **more})}\n\n".encode()


ROLE = chat({"role": "assistant", "content": ""})
STOP = chat({}, finish="stop")
HELLO = (ROLE, said("Hel"), said("lo"), STOP)
OLLAMA_LAST = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 90,
    "load_duration": 9,
    "prompt_eval_count": 4,
    "prompt_eval_duration": 30,
    "eval_count": 2,
    "eval_duration": 50,
}
