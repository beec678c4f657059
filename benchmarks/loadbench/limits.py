"""The limits beside the peers: clients in C, which do not look at what they read, and a bare one in Python."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from loadbench.results import Skip
from loadbench.server import Server
from loadbench.setup import Command

__all__ = ["CHAT", "PREDICT", "ab", "bare", "h2load", "wrk"]

_MESSAGES = '"messages":[{"role":"user","content":"How do I cook fried rice for 10 guests?"}]'
CHAT = (
    "/v1/chat/completions",
    f'{{"model":"m",{_MESSAGES},"max_tokens":64,"temperature":0.0,"stream":true}}',
)
"""Path and body of a streamed request."""
PREDICT = ("/predict", '{"inputs":[[1.125,1.0,2.5,-0.5]]}')
"""Path and body of one that is not streamed."""


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Skip(f"no {name} on the path")
    return found


def wrk(request: tuple[str, str], seconds: int) -> Command:
    """64 connections for so long."""
    program = _program("wrk")

    def command(server: Server, folder: Path) -> list[str]:
        script = folder / "post.lua"
        head = 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
        script.write_text(f"{head}wrk.body = [==[{request[1]}]==]\n", encoding="utf-8")
        return [program, "-t1", "-c64", f"-d{seconds}", "-s", str(script), f"{server.url}{request[0]}"]

    return command


def ab(request: tuple[str, str], requests: int) -> Command:
    """64 connections for so many requests."""
    program = _program("ab")

    def command(server: Server, folder: Path) -> list[str]:
        made = [program, "-q", "-k", "-c", "64", "-n", str(requests), "-p", str(_body(folder, request[1]))]
        return [*made, "-T", "application/json", f"{server.url}{request[0]}"]

    return command


def h2load(request: tuple[str, str], requests: int) -> Command:
    """64 connections for so many requests."""
    program = _program("h2load")

    def command(server: Server, folder: Path) -> list[str]:
        made = [program, "--h1", "-t1", "-c64", "-n", str(requests), "-d", str(_body(folder, request[1]))]
        return [*made, "-H", "content-type: application/json", f"{server.url}{request[0]}"]

    return command


def _body(folder: Path, body: str) -> Path:
    path = folder / "body.json"
    path.write_text(body, encoding="utf-8")
    return path


def bare(*options: str) -> Command:
    """The bare client, in the environment of this benchmark."""
    return lambda server, _: [
        sys.executable,
        str(Path(__file__).with_name("bare.py")),
        str(server.port),
        *options,
    ]
