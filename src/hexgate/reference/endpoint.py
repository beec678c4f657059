"""The reference endpoint: the embedded models over OpenAI chat and completions, Ollama, KServe v2 and plain JSON."""

from __future__ import annotations

from collections.abc import Callable

from hexgate import __version__
from hexgate.contract.canonical import sha256_file
from hexgate.errors import InputError
from hexgate.reference import digits_model, lm_model
from hexgate.reference.endpoint_http import Handler, Request, Response, json_response
from hexgate.reference.endpoint_ollama import add_ollama
from hexgate.reference.endpoint_openai import add_openai
from hexgate.reference.endpoint_predict import add_predict
from hexgate.reference.endpoint_routes import Router
from hexgate.reference.endpoint_server import RunningServer, run_in_foreground
from hexgate.reference.endpoint_text import TextService
from hexgate.reference.language_model import ReferenceLM
from hexgate.targets.registry import open_target

__all__ = ["RunningServer", "reference_handler", "serve_forever", "start_server"]

_DESCRIPTION = """\
hexgate {version}: the reference endpoint. For demonstration and tests only.

The models are tiny: {classifier} classifies 8x8 images of digits, {text_model} is an n-gram model that writes
small talk. They show that a measurement works, and nothing about any other model.

  GET  /healthz
  GET  /predict                      POST /predict                {{"inputs": [[64 numbers from 0 to 1], ...]}}
  GET  /v2/health/live, /ready       GET  /v2/models/{classifier}
                                     POST /v2/models/{classifier}/infer
  GET  /v1/models                    POST /v1/chat/completions    POST /v1/completions
  GET  /api/tags, /api/version       POST /api/generate           POST /api/chat
"""


def start_server(host: str = "127.0.0.1", port: int = 0, *, token_delay_ms: float = 0.0) -> RunningServer:
    """Serve in a thread of its own; use it as a context manager, or close it.

    Args:
        host: name or address to listen on.
        port: port, or 0 for a free one.
        token_delay_ms: how long each token of a text takes on top of its computation.

    Raises:
        InputError: if the address cannot be listened on, or the delay is negative.
    """
    return RunningServer(reference_handler(token_delay_ms=token_delay_ms), host, port)


def serve_forever(
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    token_delay_ms: float = 0.0,
    ready: Callable[[str], None] = print,
) -> None:
    """Serve until SIGTERM or Ctrl-C; arguments and errors as for `start_server`.

    Args:
        host: name or address to listen on.
        port: port, or 0 for a free one.
        token_delay_ms: how long each token of a text takes on top of its computation.
        ready: is told the URL, once requests are taken.
    """
    run_in_foreground(reference_handler(token_delay_ms=token_delay_ms), host, port, ready)


def reference_handler(*, token_delay_ms: float = 0.0) -> Handler:
    """What answers the requests: all routes over the embedded models, loaded.

    Raises:
        InputError: if the delay is negative.
    """
    if not 0 <= token_delay_ms <= 60_000:
        raise InputError(
            "the token delay is out of range", got=f"{token_delay_ms} ms", expected="0 to 60000 ms"
        )
    classifier = open_target(str(digits_model()))
    text_path = lm_model()
    text_model = ReferenceLM.load(text_path)
    router = Router()
    add_predict(router, classifier)
    service = TextService(text_model, token_delay_ms / 1000)
    add_openai(router, service)
    add_ollama(router, service, digest=sha256_file(text_path), size=text_path.stat().st_size)
    page = _DESCRIPTION.format(
        version=__version__, classifier=classifier.subject.name, text_model=text_model.name
    ).encode("utf-8")

    async def describe(_: Request) -> Response:
        return Response(200, page, "text/plain; charset=utf-8")

    async def health(_: Request) -> Response:
        return json_response({"status": "ok", "demonstration": True})

    router.add("GET", "/", describe)
    router.add("GET", "/healthz", health)
    return router.handle
