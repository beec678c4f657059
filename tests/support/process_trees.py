"""Real processes to be measured: trees that listen, hold memory and use CPU when they are told to."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_SERVER = """
import json, os, socket, sys, time
wanted = json.loads(sys.argv[1])
if wanted["comm"]:
    open("/proc/self/comm", "w").write(wanted["comm"])
link = socket.socket(socket.AF_INET6 if ":" in wanted["host"] else socket.AF_INET)
if wanted["host"]:
    link.bind((wanted["host"], 0))
    link.listen()
held = bytearray(os.urandom(4096)) * (wanted["bytes"] // 4096)
pipes = []
for _ in range(wanted["children"]):
    reader, writer = os.pipe()
    if not os.fork():
        os.close(writer)
        if wanted["closes"]:
            link.close()
        held[::4096] = bytes(len(held[::4096]))
        while word := os.read(reader, 1):
            begin = time.process_time()
            while time.process_time() - begin < 0.15:
                pass
            os.write(1, b"{}\\n")
        os._exit(0)
    os.close(reader)
    pipes.append(writer)
port = link.getsockname()[1] if wanted["host"] else 0
print(json.dumps({"pid": os.getpid(), "port": port}), flush=True)
for line in sys.stdin:
    if line == "burn\\n":
        for writer in pipes:
            os.write(writer, b"b")
    if line == "end one\\n":
        os.close(pipes.pop())
        os.wait()
        print("{}", flush=True)
"""

BURNT_S = 0.15
"""CPU time that each child uses when it is told to."""


@dataclass
class Tree:
    """A process, its children, and a way to tell them what to do."""

    process: subprocess.Popen[str]
    port: int
    children: int

    @property
    def pid(self) -> int:
        return self.process.pid

    def burn(self) -> None:
        """Every child uses `BURNT_S` of CPU time; returns when they have."""
        self._say("burn")
        for _ in range(self.children):
            self._heard()

    def end_one(self) -> None:
        """One child ends, and has been waited for."""
        self._say("end one")
        self._heard()
        self.children -= 1

    def _say(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def _heard(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found


@contextmanager
def process_tree(
    *,
    children: int = 1,
    host: str = "",
    holds_bytes: int = 4096,
    comm: str = "",
    children_close: bool = True,
) -> Iterator[Tree]:
    """A process with children; with a host it listens there, on a port of the system's choice."""
    wanted = {
        "children": children,
        "host": host,
        "bytes": holds_bytes,
        "comm": comm,
        "closes": children_close,
    }
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, json.dumps(wanted)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        tree = Tree(process, 0, children)
        tree.port = tree._heard()["port"]
        try:
            yield tree
        finally:
            process.kill()
