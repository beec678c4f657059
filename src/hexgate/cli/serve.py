"""`hexgate serve`: the embedded reference models behind the APIs that hexgate can measure."""

from __future__ import annotations

import click

from hexgate.cli.language import text
from hexgate.cli.number import Finite, Whole
from hexgate.errors import ExitCode, InputError
from hexgate.reference.endpoint import serve_forever

__all__ = ["command"]


def _announce(url: str) -> None:
    click.echo(url)
    click.echo(
        text(
            "Demonstration models only. GET / lists the APIs; Ctrl-C ends.",
            "仅为演示模型。GET / 列出接口；Ctrl-C 结束。",
        ),
        err=True,
    )


@click.command(
    "serve",
    help=text(
        "Serve the embedded reference models (demonstration only): POST /predict, KServe v2, OpenAI chat and "
        "completions under /v1, Ollama under /api. Ends with Ctrl-C.",
        "提供内置参考模型（仅供演示）：POST /predict、KServe v2、/v1 下的 OpenAI 接口、"
        "/api 下的 Ollama 接口。Ctrl-C 结束。",
    ),
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help=text("Address to listen on.", "监听地址。")
)
@click.option(
    "--port",
    type=Whole(0, 65535),
    default=8000,
    show_default=True,
    help=text("Port; 0 takes a free one.", "端口；0 表示任选空闲端口。"),
)
@click.option(
    "--token-delay-ms",
    type=Finite(min=0),
    default=0.0,
    show_default=True,
    help=text("Wait before each token, milliseconds.", "每个 token 之前的等待毫秒数。"),
)
def command(host: str, port: int, token_delay_ms: float) -> int:
    """Serve until stopped."""
    try:
        serve_forever(host, port, token_delay_ms=token_delay_ms, ready=_announce)
    except OSError as error:
        raise InputError(
            f"the server cannot listen ({error.strerror or error})",
            where=f"{host}:{port}",
            hint="give another --port, or --port 0 for a free one",
        ) from None
    return ExitCode.OK
