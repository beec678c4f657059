"""A worker: one process that carries out its part of a plan. ``python -m hexgate.load.sending.worker`` reads its task.

While the run goes on it sends, stamps and writes down, and parses nothing but a small sample. When it is over it reads
its replies. It imports no NumPy: it starts fast, and little memory is its own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import ssl
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hexgate.load.sending.counters import Command, Control, Counters, State, counter_file
from hexgate.load.sending.course import Course
from hexgate.load.sending.readback import Reader, read_back
from hexgate.load.sending.sender import HttpSender, Sender
from hexgate.load.sending.spool import SpoolWriter
from hexgate.load.sending.talk import Talk
from hexgate.load.sending.work import Bodies, Work
from hexgate.wire.registry import dialect

__all__ = ["main", "new_event_loop"]

_POLL_S = 0.001
_GUARD_S = 1.0


def main() -> None:
    """Carry out the task on standard input."""
    gc.disable()
    # Whoever started the run decides what an interrupt means, and tells. Terminals and batch systems send it to all.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    work, origin, heads, secret = Work.from_line(sys.stdin.buffer.readline())
    folder = Path(work.folder)
    control, blocks = counter_file(folder / "counters")
    counters = blocks[work.worker]
    spoken = dialect(work.dialect)
    reader = Reader(spoken, streams=work.streams, inputs=work.inputs, classes=work.classes, secret=secret)
    talk = Talk(folder, origin, spoken) if work.turns > 1 else None
    spool = SpoolWriter(folder / f"{work.stem}.spool")

    def sender(ended: Callable[..., None]) -> Sender:
        if work.proxy is not None or work.http2:
            from hexgate.load.sending.httpx_sender import HttpxSender

            return HttpxSender(
                origin,
                timeout_s=work.timeout_s,
                ended=ended,
                proxy=work.proxy,
                http2=work.http2,
                ca=work.ca_file,
            )
        tls = ssl.create_default_context(cafile=work.ca_file) if origin.tls else None
        return HttpSender(origin, timeout_s=work.timeout_s, ended=ended, tls_context=tls)

    loop = new_event_loop()
    bodies = Bodies(folder, heads)
    told = loop.run_until_complete(
        _carry_out(work, sender, bodies, reader, talk, spool, control, counters, spoken.ends_with)
    )
    loop.close()
    spool.close()
    if spool.failure is not None:
        told["disk"] = spool.failure.strerror or str(spool.failure)
    counters.state = State.DRAINED
    _wait(control, Command.READ)
    counters.state = State.READING

    def tell(done: int) -> None:
        counters.replies_read = done

    try:
        stream = read_back(
            folder,
            work.stem,
            reader,
            worker=work.worker,
            start_ns=control.start_ns,
            warmup=work.warmup * work.turns,
            closed=not work.open_loop,
            count=_token_count(work.tokenizer),
            replies=work.replies,
            token_times=work.token_times,
            told=tell,
        )
    except OSError as error:
        stream, told["disk"] = {}, error.strerror or str(error)
    _leave(folder / f"{work.stem}.json", told | {"stream": stream})
    counters.state = State.DONE


def _leave(path: Path, told: dict[str, Any]) -> None:
    """Write a document whole or not at all: a disk that is full has room for neither."""
    partial = path.with_suffix(".partial")
    with suppress(OSError):
        partial.write_text(json.dumps(told), encoding="utf-8")
        partial.replace(path)


async def _carry_out(
    work: Work,
    make_sender: Callable[[Callable[..., None]], Sender],
    bodies: Bodies,
    reader: Reader,
    talk: Talk | None,
    spool: SpoolWriter,
    control: Control,
    counters: Counters,
    ends_with: bytes | None,
) -> dict[str, Any]:
    course = Course(work, make_sender, bodies, reader, talk, spool, control, counters, ends_with)
    await course.warm()
    # What was made so far lives as long as the worker does: the young are looked at by `watch`, these no more.
    gc.freeze()
    counters.state = State.READY
    while control.command is Command.WAIT:
        _refuse_orphan(control)
        await asyncio.sleep(_POLL_S)
    guard = asyncio.ensure_future(_guard(control, spool))
    try:
        return await course.run(control.start_ns)
    finally:
        guard.cancel()


async def _guard(control: Control, spool: SpoolWriter) -> None:
    """Every second: what is over goes to the disk, in case this process is killed; and no load outlives its run."""
    while True:
        await asyncio.sleep(_GUARD_S)
        _refuse_orphan(control)
        spool.flush()


def _wait(control: Control, command: Command) -> None:
    while control.command is not command:
        _refuse_orphan(control)
        time.sleep(_POLL_S)


def _refuse_orphan(control: Control) -> None:
    if control.orphaned:
        os._exit(1)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A uvloop loop where there is uvloop, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _token_count(tokenizer: str | None) -> Callable[[str], int] | None:
    if tokenizer is None:
        return None
    from hexgate.datasets.tokenizer import Tokenizer

    return Tokenizer.read(tokenizer).count


if __name__ == "__main__":
    main()
