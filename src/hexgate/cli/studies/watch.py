"""`hexgate study watch`: the page of a study, served live while it runs."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path

import click

from hexgate.cli.language import language, text
from hexgate.cli.number import Whole
from hexgate.cli.studies.options import FOLDER, SPEC
from hexgate.cli.studies.watch_http import WatchServer, is_loopback
from hexgate.cli.studies.watch_view import LiveStudy
from hexgate.errors import ExitCode, InputError

__all__ = ["command"]


@click.command(
    "watch",
    help=text(
        "Serve the page of the study in FOLDER, while it runs, is stopped, goes on or is over. Prints the "
        "address; Ctrl-C ends it. Only this machine is answered. GET /status.json gives the counts, "
        "/label/MODEL.svg a label.",
        "以网页实时显示 FOLDER 中的研究（运行中、已停止、继续或已完成均可）。输出网址，Ctrl-C 结束。"
        "只对本机开放。/status.json 给出进度，/label/模型.svg 给出标签。",
    ),
)
@FOLDER
@SPEC
@click.option(
    "--port",
    type=Whole(0, 65535),
    default=0,
    show_default=True,
    help=text("Port; 0 takes a free one.", "端口；0 表示任选空闲端口。"),
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help=text("Address to listen on.", "监听地址。")
)
@click.option(
    "--expose",
    is_flag=True,
    help=text(
        "Listen on an address that other machines reach: whoever reaches it reads prompts and answers.",
        "允许监听其他机器可达的地址：任何能访问的人都能读到提示词与回答。",
    ),
)
@click.option(
    "--open", "open_page", is_flag=True, help=text("Open the page in a browser.", "在浏览器中打开。")
)
def command(folder: Path, spec: Path | None, port: int, host: str, expose: bool, open_page: bool) -> int:
    """Serve a study's page until stopped."""
    if not expose and not is_loopback(host):
        raise InputError(
            "other machines would reach the page, and nobody is asked for a password",
            where="--host",
            got=host,
            expected="127.0.0.1, ::1 or localhost",
            hint="add --expose if everybody who reaches that address may read the study",
        )
    study = LiveStudy(folder, spec)
    # A folder without a study is told at once, and not by a page.
    study.status()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server = WatchServer(study, host, port, language())
    except (OSError, OverflowError) as error:
        raise InputError(
            f"the server cannot listen ({getattr(error, 'strerror', None) or error})",
            where=f"{host}:{port}",
            hint="give another --port, or --port 0 for a free one",
        ) from None
    with server, suppress(KeyboardInterrupt):
        click.echo(server.url)
        click.echo(text("Ctrl-C ends.", "Ctrl-C 结束。"), err=True)
        if open_page:
            click.launch(server.url)
        server.serve_forever()
    return ExitCode.OK
