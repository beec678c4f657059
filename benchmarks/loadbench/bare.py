"""The least client that Python allows: uvloop's protocol, httptools' parser, stamps kept in arrays. A limit, no tool.

    python bare.py PORT --concurrency 64 --requests 100000 [--stream]
    python bare.py PORT --rate 500 --requests 30000 --stream

It checks nothing, and reads a reply only to count its events and stamp them. With --out it leaves, of every request,
the stamps due, sent, first and last event, and the server's stamps in the first and last event.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import re
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httptools
import numpy as np
import uvloop

STAMP = re.compile(rb'"t(\d{18}) ')
now_ns = time.monotonic_ns


class Exchange:
    """One request and what was seen of its reply."""

    __slots__ = ("due_ns", "pieces", "sent_ns", "stamps")

    def __init__(self, due_ns: int) -> None:
        self.due_ns = due_ns
        self.sent_ns = 0
        self.stamps = array("q")
        self.pieces: list[bytes] = []


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, request: bytes, keep: bool, freed: Callable[[Client], None]) -> None:
        self.request = request
        self.keep = keep
        self.freed = freed
        self.exchange = Exchange(0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport: Any = transport
        self.parser = httptools.HttpResponseParser(self)

    def send(self, exchange: Exchange) -> None:
        """Send one request."""
        self.exchange = exchange
        exchange.sent_ns = now_ns()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Stamp what came, and parse it."""
        self.now = now_ns()
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        exchange = self.exchange
        exchange.stamps.extend([self.now] * body.count(b'"content"'))
        if self.keep:
            exchange.pieces.append(body)

    def on_message_complete(self) -> None:
        """The reply is whole."""
        self.parser = httptools.HttpResponseParser(self)
        self.freed(self)


def request_bytes(port: int, stream: bool) -> bytes:
    """What is sent each time."""
    body = b'{"model":"m","messages":[{"role":"user","content":"How do I cook fried rice for ten guests?"}]'
    body += b',"max_tokens":64,"temperature":0,"stream":%s}' % (b"true" if stream else b"false")
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
    return (head % port).encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Run:
    """All requests of a run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.exchanges: list[Exchange] = []
        self.free: list[Client] = []
        self.left = options.requests
        self.over = asyncio.Event()

    async def client(self) -> Client:
        """A new connection."""
        options = self.options
        data = request_bytes(options.port, options.stream)
        keep = options.out is not None
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(
            lambda: Client(data, keep, self.freed), "127.0.0.1", options.port
        )
        return client

    def freed(self, client: Client) -> None:
        """A reply is whole: the next request, or the end."""
        self.left -= 1
        if self.options.rate is not None:
            self.free.append(client)
        elif len(self.exchanges) < self.options.requests:
            self.begin(client, 0)
        if self.left == 0:
            self.over.set()

    def begin(self, client: Client, due_ns: int) -> None:
        """Send the next request on a connection."""
        exchange = Exchange(due_ns)
        self.exchanges.append(exchange)
        client.send(exchange)

    async def closed(self) -> None:
        """So many in flight."""
        clients = [await self.client() for _ in range(self.options.concurrency)]
        for client in clients:
            self.begin(client, 0)
        await self.over.wait()

    async def open(self) -> None:
        """By the clock, with exponential gaps."""
        loop = asyncio.get_running_loop()
        self.free = [await self.client() for _ in range(64)]
        draws = random.Random(self.options.seed)
        due_ns = now_ns() + 100_000_000
        for _ in range(self.options.requests):
            due_ns += round(draws.expovariate(self.options.rate) * 1e9)
            if (wait := due_ns - now_ns()) > 0:
                awake = loop.create_future()
                loop.call_later(wait / 1e9, awake.set_result, None)
                await awake
            self.begin(self.free.pop() if self.free else await self.client(), due_ns)
        await self.over.wait()


def main() -> None:
    """Run it, and leave the stamps."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    async def whole() -> Run:
        run = Run(options)
        gc.disable()
        await (run.closed() if options.rate is None else run.open())
        return run

    uvloop.install()
    run = asyncio.run(whole())
    if options.out is not None:
        rows = [
            (each.due_ns, each.sent_ns, each.stamps[0], each.stamps[-1], int(found[0]), int(found[-1]))
            for each in run.exchanges
            if (found := STAMP.findall(b"".join(each.pieces)))
        ]
        np.save(options.out, np.array(rows, dtype=np.int64))


if __name__ == "__main__":
    main()
