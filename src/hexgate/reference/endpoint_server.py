"""Listening: in a thread for tests and the demonstration, or in the foreground for ``hexgate serve``."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable
from types import TracebackType

from hexgate.errors import InputError
from hexgate.reference.endpoint_http import Connection, Handler

__all__ = ["RunningServer", "listen", "run_in_foreground"]


class RunningServer:
    """A server in a thread of its own; leaving it as a context manager ends it.

    Raises:
        InputError: if the address cannot be listened on.
    """

    def __init__(self, handle: Handler, host: str, port: int) -> None:
        self.url = ""
        """Where it listens, such as ``http://127.0.0.1:41235``."""
        self._loop = _new_loop()
        self._stop = asyncio.Event()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(
            target=self._run, args=(handle, host, port), name="hexgate-endpoint", daemon=True
        )
        self._thread.start()
        self._started.wait()
        self._raise_failure()

    def close(self) -> None:
        """End the server and every connection. Safe to call twice."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def _run(self, handle: Handler, host: str, port: int) -> None:
        try:
            self._loop.run_until_complete(listen(handle, host, port, self._stop, self._ready))
        except InputError as error:
            self._failure = error
        finally:
            self._loop.close()
            self._started.set()

    def _ready(self, url: str) -> None:
        self.url = url
        self._started.set()

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def run_in_foreground(handle: Handler, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        handle: what answers.
        host: name or address to listen on.
        port: port, or 0 for a free one.
        ready: is told the URL, once requests are taken.

    Raises:
        InputError: if the address cannot be listened on.
    """
    loop = _new_loop()
    stop = asyncio.Event()
    try:
        if sys.platform != "win32":
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stop.set)
        loop.run_until_complete(listen(handle, host, port, stop, ready))
    except KeyboardInterrupt:
        # Where the loop takes no signal handlers, Ctrl-C arrives as this; it is how one ends a server.
        return
    finally:
        loop.close()


async def listen(
    handle: Handler, host: str, port: int, stop: asyncio.Event, ready: Callable[[str], None]
) -> None:
    """Take connections until `stop` is set, then cut them.

    Raises:
        InputError: if the address cannot be listened on.
    """
    connections: set[Connection] = set()
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(lambda: Connection(handle, connections), host, port, backlog=1024)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"cannot listen on {host}:{port} ({error})", hint="give --port 0 for a port that is free"
        ) from None
    name = f"[{host}]" if ":" in host else host
    ready(f"http://{name}:{server.sockets[0].getsockname()[1]}")
    await stop.wait()
    server.close()
    for connection in tuple(connections):
        connection.abort()
    # Cut connections are told so on the next turns of the loop, and cancel what they were working on.
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    await server.wait_closed()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
