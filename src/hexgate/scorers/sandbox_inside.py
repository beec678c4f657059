"""Tries to get out of a sandbox, from inside; every attempt must fail. Run by `sandbox_probe`, never outside.

It prints, as JSON, what was tried and what of it succeeded.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["attempts", "deadline", "flood", "main", "together"]

_NETLINK, _VSOCK = 16, 40
_NEWUSER = 0x10000000
_SET_NO_NEW_PRIVS_READ, _SECCOMP_READ = 39, 21
_PTRACE_ATTACH = 16


def main() -> None:
    """Run the probe that the command line names."""
    probes: dict[str, Callable[[dict[str, Any]], None]] = {
        "attempts": attempts,
        "together": together,
        "deadline": deadline,
        "flood": flood,
    }
    probes[sys.argv[1]](json.load(sys.stdin))


def attempts(task: dict[str, Any]) -> None:
    """Try everything that ends at once."""
    tries: dict[str, Callable[[dict[str, Any]], Iterator[str]]] = {
        "network": _network,
        "read": _read,
        "write": _write,
        "folder": _folder,
        "rights": _rights,
        "descriptors": _descriptors,
        "environment": _environment,
        "processes": _processes,
        "memory": _memory,
    }
    gaps = [f"{name}: {gap}" for name, attempt in tries.items() for gap in attempt(task)]
    sys.stdout.write(json.dumps({"tried": list(tries), "gaps": gaps}))


def together(task: dict[str, Any]) -> None:
    """Take more memory than is allowed by several processes, each of which stays below."""
    for _ in range(4):
        if os.fork() == 0:
            block = bytearray(task["memory_bytes"] // 2)
            block[::4096] = b"x" * len(block[::4096])
            time.sleep(3600)
    time.sleep(3600)


def deadline(task: dict[str, Any]) -> None:
    """Sleep for ever, and leave a process of another session behind."""
    del task
    if os.fork() == 0:
        os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(3600)


def flood(task: dict[str, Any]) -> None:
    """Write without end."""
    del task
    while True:
        os.write(1, b"x" * 65_536)


def _network(task: dict[str, Any]) -> Iterator[str]:
    for family in (socket.AF_INET, socket.AF_INET6, _NETLINK, _VSOCK):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
            with contextlib.suppress(OSError), socket.socket(family, kind):
                yield f"a socket of family {int(family)} was given"
    for address in (("127.0.0.1", task["port"]), ("192.0.2.1", 9)):
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=1):
            yield f"{address[0]} was reached"


def _read(task: dict[str, Any]) -> Iterator[str]:
    for path in task["read"]:
        with contextlib.suppress(OSError):
            os.stat(path)  # noqa: PTH116 - one call, whatever it is
            yield f"{path} can be seen"
    for folder, names in task["tree"].items():
        found = sorted(path.name for path in Path(folder).iterdir())
        if not set(found) <= set(names):
            yield f"{folder} holds {', '.join(found)}"


def _write(task: dict[str, Any]) -> Iterator[str]:
    for path in task["write"]:
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
            yield f"{path} was opened to write"


def _folder(task: dict[str, Any]) -> Iterator[str]:
    """The one folder takes what it may, and no more."""
    block, total = b"x" * 65_536, 0
    with contextlib.suppress(OSError):
        for number in range(2 * task["folder_bytes"] // len(block)):
            Path(task["folder"], f"part-{number}").write_bytes(block)
            total += len(block)
    if not 0 < total <= task["folder_bytes"]:
        yield f"{total} bytes were written into a folder of {task['folder_bytes']}"
    for path in Path(task["folder"]).iterdir():
        path.unlink()


def _rights(task: dict[str, Any]) -> Iterator[str]:
    del task
    libc = ctypes.CDLL(None, use_errno=True)
    if os.getuid() == 0 or os.geteuid() == 0:
        yield "it is root"
    for name in ("setuid", "setgid"):
        if getattr(libc, name)(0) == 0:
            yield f"{name} succeeded"
    if libc.unshare(_NEWUSER) == 0:
        yield "a user namespace was given"
    if libc.mount(b"tmpfs", b"/tmp", b"tmpfs", ctypes.c_ulong(0), None) == 0:
        yield "something was mounted"
    if libc.ptrace(ctypes.c_long(_PTRACE_ATTACH), ctypes.c_long(1), None, None) == 0:
        yield "process 1 can be traced"
    if libc.prctl(_SET_NO_NEW_PRIVS_READ, 0, 0, 0, 0) != 1:
        yield "new rights can be had"
    if libc.prctl(_SECCOMP_READ, 0, 0, 0, 0) != 2:
        yield "no filter of system calls is in place"


def _descriptors(task: dict[str, Any]) -> Iterator[str]:
    del task
    for descriptor in range(3, 1024):
        with contextlib.suppress(OSError):
            os.fstat(descriptor)
            yield f"descriptor {descriptor} is open"


def _environment(task: dict[str, Any]) -> Iterator[str]:
    # The interpreter itself may state the locale that it fell back on.
    more = set(os.environ) - set(task["environment"]) - {"LC_CTYPE"}
    if more:
        yield f"the environment has {', '.join(sorted(more))}"


def _processes(task: dict[str, Any]) -> Iterator[str]:
    started: list[int] = []
    with contextlib.suppress(OSError):
        for _ in range(4 * task["processes"]):
            pid = os.fork()
            if pid == 0:
                while True:
                    signal.pause()
            started.append(pid)
    for pid in started:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    if not 0 < len(started) <= task["processes"]:
        yield f"{len(started)} processes were started"


def _memory(task: dict[str, Any]) -> Iterator[str]:
    try:
        len(bytearray(2 * task["memory_bytes"]))
    except MemoryError:
        pass
    else:
        yield "one block beyond the limit was given"
    blocks: list[bytearray] = []
    try:
        while len(blocks) << 20 <= task["memory_bytes"]:
            blocks.append(bytearray(1 << 20))
    except MemoryError:
        return
    yield "small blocks beyond the limit were given"


if __name__ == "__main__":
    main()
