from __future__ import annotations

import asyncio
import gzip
import ssl
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError
from hexgate.load.sending.content import BadContent, plain_pieces
from hexgate.load.sending.exchange import Exchange, Fault
from hexgate.load.sending.origin import Origin
from hexgate.load.sending.worker import new_event_loop
from hexgate.wire.base import WireRequest
from support.exchanges import Transport

REQUEST = WireRequest("POST", "/x", {"content-type": "application/json"}, b'{"a":1}')
Serve = Callable[..., Any]


@pytest.fixture(params=["uvloop", "asyncio"])
def loop_of(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    if request.param == "asyncio":
        return asyncio.new_event_loop
    pytest.importorskip("uvloop")
    return new_event_loop


def with_transport(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
    url: str,
    work: Callable[[Transport, bytes], Awaitable[Any]],
    *,
    timeout_s: float = 10.0,
    tls_context: ssl.SSLContext | None = None,
) -> Any:
    origin = Origin.parse(url, {})

    async def run() -> Any:
        transport = Transport(origin, timeout_s=timeout_s, tls_context=tls_context)
        try:
            return await work(transport, origin.request_bytes(REQUEST))
        finally:
            await transport.close()

    loop = make_loop()
    try:
        return loop.run_until_complete(run())
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def once(transport: Transport, request: bytes) -> Exchange:
    return await transport.send(request)


def test_content_length_and_keep_alive(serve: Serve, loop_of: Any) -> None:
    async def script(call: Any, wire: Any) -> None:
        await wire.reply(b"hello " + call.body)

    server = serve(script)

    async def thrice(transport: Transport, request: bytes) -> list[Exchange]:
        return [await transport.send(request) for _ in range(3)]

    exchanges = with_transport(loop_of, server.url + "/base/?v=1", thrice)
    for exchange, call in zip(exchanges, server.calls, strict=True):
        assert exchange.status == 200
        assert exchange.fault is None
        assert b"".join(exchange.pieces) == b'hello {"a":1}'
        assert exchange.sent_ns <= call.at_ns <= exchange.headers_ns <= exchange.end_ns
        assert exchange.piece_ns == sorted(exchange.piece_ns)
        assert call.path == "/base/x?v=1"
        assert call.headers["host"] == f"127.0.0.1:{server.port}"
        assert call.headers["accept-encoding"] == "identity"
    assert server.connections == 1


def test_requests_at_once_use_connections_of_their_own_and_the_newest_is_reused(
    serve: Serve, loop_of: Any
) -> None:
    gate = [0.2]

    async def script(call: Any, wire: Any) -> None:
        await asyncio.sleep(gate[0])
        await wire.reply(str(call.connection).encode())

    server = serve(script)

    async def work(transport: Transport, request: bytes) -> list[bytes]:
        await asyncio.gather(*(transport.send(request) for _ in range(3)))
        gate[0] = 0.0
        later = [await transport.send(request) for _ in range(3)]
        return [b"".join(exchange.pieces) for exchange in later]

    later = with_transport(loop_of, server.url, work)
    assert server.connections == 3
    assert len(set(later)) == 1


def test_pieces_are_stamped_as_they_are_read(serve: Serve, loop_of: Any) -> None:
    async def script(_call: Any, wire: Any) -> None:
        await wire.begin_chunks()
        for number in range(5):
            await asyncio.sleep(0.02)
            await wire.chunk(b"piece %d;" % number)
        await wire.end_chunks()

    server = serve(script)
    exchange = with_transport(loop_of, server.url, once)
    assert b"".join(exchange.pieces) == b"".join(b"piece %d;" % number for number in range(5))
    assert len(exchange.pieces) == len(exchange.piece_ns)
    # Emitted before it is read: the clock is one and the same.
    for number in range(5):
        assert server.sent_ns[number + 1] <= exchange.piece_ns[number]
    assert exchange.piece_ns[0] < exchange.piece_ns[4]
    assert exchange.headers_ns <= exchange.piece_ns[0]
    assert exchange.piece_ns[-1] <= exchange.end_ns


def test_a_body_that_only_the_end_of_the_connection_ends(serve: Serve, loop_of: Any) -> None:
    async def script(_call: Any, wire: Any) -> bool:
        await wire.raw(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        return False

    exchange = with_transport(loop_of, serve(script).url, once)
    assert (exchange.status, exchange.fault) == (200, None)
    assert b"".join(exchange.pieces) == b"all of it"


def test_an_old_server_closes_each_connection(serve: Serve, loop_of: Any) -> None:
    async def script(_call: Any, wire: Any) -> bool:
        await wire.raw(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok")
        return False

    server = serve(script)

    async def twice(transport: Transport, request: bytes) -> list[Exchange]:
        return [await transport.send(request) for _ in range(2)]

    for exchange in with_transport(loop_of, server.url, twice):
        assert (exchange.status, exchange.pieces, exchange.fault) == (200, [b"ok"], None)
    assert server.connections == 2


def test_interim_replies_are_passed_over(serve: Serve, loop_of: Any) -> None:
    async def script(_call: Any, wire: Any) -> None:
        await wire.raw(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
        await wire.reply(b"ok")

    exchange = with_transport(loop_of, serve(script).url, once)
    assert (exchange.status, exchange.pieces, exchange.fault) == (200, [b"ok"], None)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_bodies_keep_a_piece_for_each_read(serve: Serve, loop_of: Any, encoding: str) -> None:
    text = b"data: hello\n\n" * 50
    packed = gzip.compress(text) if encoding == "gzip" else zlib.compress(text)

    async def script(_call: Any, wire: Any) -> None:
        await wire.begin_chunks(f"content-encoding: {encoding}\r\n")
        for cut in range(0, len(packed), 10):
            await wire.chunk(packed[cut : cut + 10])
        await wire.end_chunks()

    exchange = with_transport(loop_of, serve(script).url, once)
    assert exchange.fault is None
    assert b"".join(exchange.pieces) == text
    assert len(exchange.pieces) == len(exchange.piece_ns)


def test_an_error_status_is_an_exchange_without_fault(serve: Serve, loop_of: Any) -> None:
    async def script(_call: Any, wire: Any) -> None:
        await wire.reply(b"boom", status=500)

    exchange = with_transport(loop_of, serve(script).url, once)
    assert (exchange.status, exchange.pieces, exchange.fault) == (500, [b"boom"], None)


def test_a_redirect_is_refused_and_its_credentials_are_not_shown(serve: Serve, loop_of: Any) -> None:
    async def script(_call: Any, wire: Any) -> None:
        await wire.reply(b"", status=307, headers="location: https://me:secret@other.example/v1?key=k\r\n")

    server = serve(script)
    exchange = with_transport(loop_of, server.url, once)
    assert exchange.fault is Fault.PROTOCOL
    assert exchange.error is not None
    assert "https://other.example/v1;" in exchange.error
    assert "secret" not in exchange.error
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("raw", "fault", "words"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", Fault.CUT, "4 bytes into the body"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", Fault.CUT, "4 bytes"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", Fault.CUT, "0 bytes"),
        (b"", Fault.CONNECTION, "before a reply"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", Fault.PROTOCOL, "not HTTP/1.1"),
        (b"HTTP/1.1 101 X\r\nupgrade: y\r\nconnection: upgrade\r\n\r\n", Fault.PROTOCOL, "another protocol"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 1\r\n\r\nx", Fault.PROTOCOL, "'br'"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx", Fault.PROTOCOL, "gzip"),
    ],
)
def test_a_broken_reply_says_how(serve: Serve, loop_of: Any, raw: bytes, fault: Fault, words: str) -> None:
    async def script(_call: Any, wire: Any) -> bool:
        await wire.raw(raw)
        await asyncio.sleep(0.01)
        return False

    exchange = with_transport(loop_of, serve(script).url, once)
    assert exchange.fault is fault
    assert exchange.error is not None
    assert words in exchange.error
    assert exchange.end_ns >= exchange.sent_ns > 0


def test_a_reset_inside_the_body(serve: Serve, loop_of: Any) -> None:
    async def script(_call: Any, wire: Any) -> bool:
        await wire.begin_chunks()
        await wire.chunk(b"one")
        # A reset drops what a reader that is held up has not taken yet.
        await asyncio.sleep(0.3)
        wire.writer.transport.abort()
        return False

    exchange = with_transport(loop_of, serve(script).url, once)
    assert exchange.fault is Fault.CUT
    assert exchange.pieces == [b"one"]


def test_a_time_out_keeps_what_had_come(serve: Serve, loop_of: Any) -> None:
    async def script(_call: Any, wire: Any) -> None:
        await wire.begin_chunks()
        await wire.chunk(b"one")
        await asyncio.sleep(30)

    exchange = with_transport(loop_of, serve(script).url, once, timeout_s=1.0)
    assert exchange.fault is Fault.TIMEOUT
    assert (exchange.status, exchange.pieces) == (200, [b"one"])
    assert exchange.end_ns - exchange.sent_ns >= 950_000_000


def test_nobody_listens(loop_of: Any) -> None:
    exchange = with_transport(loop_of, "http://127.0.0.1:1", once)
    assert exchange.fault is Fault.CONNECTION
    assert exchange.error
    assert exchange.sent_ns == -1


def test_a_name_that_does_not_exist(loop_of: Any) -> None:
    exchange = with_transport(loop_of, "http://no-such-host.invalid:80", once)
    assert exchange.fault is Fault.CONNECTION


def test_a_kept_connection_that_the_server_has_closed_is_replaced(
    serve: Serve, loop_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hexgate.load.sending.sender.AT_ONCE_NS", 10**12)  # a busy machine hears of it late

    async def script(call: Any, wire: Any) -> object:
        if call.number == 1:
            return False  # closed without a word, on the connection that was kept
        return await wire.reply(b"ok")

    server = serve(script)

    async def work(transport: Transport, request: bytes) -> tuple[list[Exchange], int]:
        return [await transport.send(request) for _ in range(2)], transport.reopened

    exchanges, reopened = with_transport(loop_of, server.url, work)
    assert [exchange.pieces for exchange in exchanges] == [[b"ok"], [b"ok"]]
    assert reopened == 1
    assert server.connections == 2
    # Charged from when it was first written, not from the second try.
    assert exchanges[1].sent_ns <= server.calls[1].at_ns


def test_a_server_that_read_a_request_and_dropped_it_is_not_asked_again(serve: Serve, loop_of: Any) -> None:
    """It may have worked on it: a second try would hide its failure, and count one request for two."""

    async def script(call: Any, wire: Any) -> object:
        if call.number == 1:
            await asyncio.sleep(0.1)
            return False
        return await wire.reply(b"ok")

    server = serve(script)

    async def work(transport: Transport, request: bytes) -> list[Exchange]:
        return [await transport.send(request) for _ in range(2)]

    exchanges = with_transport(loop_of, server.url, work)
    assert [exchange.fault for exchange in exchanges] == [None, Fault.CONNECTION]
    assert len(server.calls) == 2


def test_bytes_behind_a_reply_end_the_connection(serve: Serve, loop_of: Any) -> None:
    async def script(_call: Any, wire: Any) -> None:
        await wire.raw(
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        )

    server = serve(script)

    async def twice(transport: Transport, request: bytes) -> list[Exchange]:
        return [await transport.send(request) for _ in range(2)]

    assert [e.pieces for e in with_transport(loop_of, server.url, twice)] == [[b"ok"], [b"ok"]]
    assert server.connections == 2


def test_abandon_ends_what_is_in_flight(serve: Serve, loop_of: Any) -> None:
    async def script(_call: Any, wire: Any) -> None:
        await wire.begin_chunks()
        await wire.chunk(b"one")
        await asyncio.sleep(30)

    async def work(transport: Transport, request: bytes) -> list[Exchange]:
        task = asyncio.ensure_future(transport.send(request))
        await asyncio.sleep(1.0)
        transport.abandon()
        return [await task, await transport.send(request)]

    first, second = with_transport(loop_of, serve(script).url, work)
    assert (first.fault, first.pieces) == (Fault.ABANDONED, [b"one"])
    assert (second.fault, second.sent_ns) == (Fault.ABANDONED, -1)


def test_https(serve: Serve, loop_of: Any, certificate: Path) -> None:
    async def script(_call: Any, wire: Any) -> None:
        await wire.reply(b"secret")

    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate)
    server = serve(script, tls=served)
    trusted = ssl.create_default_context(cafile=str(certificate))
    assert with_transport(loop_of, server.url, once, tls_context=trusted).pieces == [b"secret"]
    refused = with_transport(loop_of, server.url, once)
    assert refused.fault is Fault.CONNECTION
    assert "CERTIFICATE_VERIFY_FAILED" in str(refused.error) or "certificate" in str(refused.error)


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://x", {}),
        ("http://", {}),
        ("http://x:99999", {}),
        ("http://x", {"a b": "c"}),
        ("http://x", {"authorization": "Bearer s3cret\r\nx: y"}),
        ("http://x", {"authorization": "s3cret…"}),
    ],
)
def test_what_cannot_be_sent_is_an_input_error_without_the_secret(url: str, headers: dict[str, str]) -> None:
    with pytest.raises(InputError) as caught:
        Origin.parse(url, headers)
    assert "s3cret" not in str(caught.value)


def test_request_bytes() -> None:
    origin = Origin.parse("http://[::1]/v1/", {"Authorization": "Bearer k"})
    head, _, body = origin.request_bytes(REQUEST).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/x HTTP/1.1"
    assert "host: [::1]" in lines
    assert "authorization: Bearer k" in lines
    assert "content-length: 7" in lines
    assert body == REQUEST.body
    assert "Bearer" not in repr(origin)
    assert (origin.host, origin.port) == ("::1", 80)
    bare = Origin.parse("https://x", {})
    assert bare.request_bytes(WireRequest("POST", "", {}, b"")).startswith(b"POST / HTTP/1.1\r\nhost: x\r\n")
    assert bare.port == 443


def test_a_body_that_grows_too_large_is_refused() -> None:
    bomb = gzip.compress(b"\0" * 1_000_000)
    with pytest.raises(BadContent, match="grows above"):
        plain_pieces([bomb[:100], bomb[100:]], "gzip", most_bytes=10_000)
    with pytest.raises(BadContent, match="cut short"):
        plain_pieces([bomb[:-9]], "GZIP", most_bytes=10_000_000)
    assert b"".join(plain_pieces([bomb], "gzip", most_bytes=1_000_000)) == b"\0" * 1_000_000
    assert plain_pieces([b"x"], "identity", most_bytes=1) == [b"x"]
