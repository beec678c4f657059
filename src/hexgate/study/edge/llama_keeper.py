"""A process that keeps llama.cpp's server for a study: ``python -m hexgate.study.edge.llama_keeper PROGRAM …``.

It starts and ends the server as it is told over its standard input, and ends it when that input ends: however the study
ends, no model stays loaded. It loads nothing itself, so that its own number names the server's processes before there
are any. Each line that it reads is answered by one.

    load      starts the server                      started
    look      says whether the server runs           runs, or ended CODE, or none
    unload    ends it, and waits until it is gone    gone
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

__all__ = ["main"]

_END_WITHIN_S = 10.0
"""A server that does not end when it is asked to is killed."""


def main(command: Sequence[str]) -> None:
    """Keep the server until the standard input ends."""
    server: subprocess.Popen[bytes] | None = None
    try:
        for line in sys.stdin:
            word = line.strip()
            if word == "load":
                _end(server)
                # What it says goes where this process's own complaints go: into the study's log.
                server = subprocess.Popen(  # noqa: S603 - the command is the study's
                    command, stdin=subprocess.DEVNULL, stdout=sys.stderr
                )
                said = "started"
            elif word == "look":
                said = "none"
                if server is not None:
                    code = server.poll()
                    said = "runs" if code is None else f"ended {code}"
            else:
                _end(server)
                server, said = None, "gone"
            sys.stdout.write(said + "\n")
            sys.stdout.flush()
    finally:
        _end(server)


def _end(server: subprocess.Popen[bytes] | None) -> None:
    if server is None:
        return
    server.terminate()
    try:
        server.wait(_END_WITHIN_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
