"""Loads over HTTPS, through a proxy and over HTTP/2, against real servers and a real proxy on loopback."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError, MissingExtra
from hexgate.load.endpoint_driver import EndpointDriver
from hexgate.load.plans.plan import closed_loop, open_loop
from hexgate.load.records import Outcome
from hexgate.load.sending import httpx_sender
from hexgate.load.sending.exchange import Exchange, Fault
from hexgate.load.sending.httpx_sender import HttpxSender
from hexgate.load.sending.origin import Origin
from hexgate.wire.base import Ask, Endpoint, WireRequest
from support.exchanges import Transport
from support.forward_proxy import ForwardProxy
from support.load_running import carried_out

Serve = Callable[..., Any]
REQUEST = WireRequest("POST", "/x", {"content-type": "application/json"}, b'{"a":1}')
ASKS = [Ask(inputs=[[float(item)]]) for item in range(5)]


def predict_at(url: str, **more: Any) -> EndpointDriver:
    return EndpointDriver(Endpoint(url + "/predict", "predict", timeout_s=10.0), ASKS, **more)


async def score(call: Any, wire: Any) -> None:
    item = json.loads(call.body)["inputs"][0][0]
    await wire.reply(json.dumps({"scores": [[item, 1.0]]}).encode())


def tls_of(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def exchanged(
    url: str,
    work: Callable[[Transport, bytes], Awaitable[Any]],
    *,
    timeout_s: float = 10.0,
    proxy: str | None = None,
    http2: bool = False,
    ca: Path | None = None,
) -> Any:
    """What httpx brings, one request at a time."""
    origin = Origin.parse(url, {"x-name": "Zoë"})

    async def run() -> Any:
        def sender(ended: Any) -> HttpxSender:
            authorities = None if ca is None else str(ca)
            return HttpxSender(
                origin, timeout_s=timeout_s, ended=ended, proxy=proxy, http2=http2, ca=authorities
            )

        transport = Transport(origin, timeout_s=timeout_s, sender=sender)
        try:
            return await work(transport, origin.request_bytes(REQUEST))
        finally:
            await transport.close()

    return asyncio.run(run())


async def once(transport: Transport, request: bytes) -> Exchange:
    return await transport.send(request)


# HTTPS, by our own transport.


def test_https_through_workers(serve: Serve, certificate: Path, tmp_path: Path) -> None:
    server = serve(score, tls=tls_of(certificate))
    plan = closed_loop(concurrency=2, items=5, requests=30)
    driver = predict_at(server.url, ca_file=str(certificate))
    left = carried_out(plan, driver, tmp_path, workers=2)
    assert left.counts == (30, 0, 0, 0, 0, 0)
    assert server.connections == 2


def test_a_certificate_that_nobody_trusts(serve: Serve, certificate: Path, tmp_path: Path) -> None:
    server = serve(score, tls=tls_of(certificate))
    plan = closed_loop(concurrency=1, items=5, requests=5)
    left = carried_out(plan, predict_at(server.url), tmp_path)
    assert left.counts == (0, 5, 0, 0, 0, 0)
    assert "certificate" in left.replies[0]["error"].lower()


# A proxy.


@pytest.mark.parametrize("secure", [False, True], ids=["forwarded", "tunnelled"])
def test_through_a_proxy_and_no_other(
    serve: Serve, certificate: Path, secure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D8: what the environment says of proxies must neither send a load elsewhere nor around the one that is named."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = serve(score, tls=tls_of(certificate) if secure else None)
    plan = open_loop(rate_rps=50.0, items=5, requests=20)
    with ForwardProxy() as proxy:
        named = proxy.url.replace("://", "://user:passw0rd@")
        driver = predict_at(server.url, ca_file=str(certificate), proxy=named)
        left = carried_out(plan, driver, tmp_path, workers=2)
        assert left.counts == (20, 0, 0, 0, 0, 0)
        assert len(server.calls) == 20
        port = server.port
        expected = f"CONNECT 127.0.0.1:{port}" if secure else f"POST http://127.0.0.1:{port}/predict"
        assert set(proxy.asked) == {expected}
        assert len(proxy.credentials) == 1
        assert secure or len(proxy.asked) == 20
    rows = left.rows
    assert (rows["due_ns"] <= rows["issued_ns"]).all()
    assert (rows["issued_ns"] <= rows["ready_ns"]).all()
    assert (rows["ready_ns"] <= rows["sent_ns"]).all()
    assert (rows["sent_ns"] < rows["headers_ns"]).all()
    assert (rows["headers_ns"] <= rows["end_ns"]).all()
    assert left.info is not None
    assert left.info.client is not None
    assert sum(entry["opened"] for entry in left.info.client["workers"]) >= 2
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"passw0rd" not in path.read_bytes()


def test_without_a_proxy_of_its_own_a_load_uses_none(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def script(call: Any, wire: Any) -> None:
        await wire.reply(b"ok") if call.path == "/x" else await score(call, wire)

    server = serve(script)
    assert exchanged(server.url, once).status == 200
    left = carried_out(closed_loop(concurrency=1, items=5, requests=5), predict_at(server.url), tmp_path)
    assert left.counts == (5, 0, 0, 0, 0, 0)


def test_a_proxy_that_refuses(serve: Serve, certificate: Path) -> None:
    server = serve(score, tls=tls_of(certificate))
    with ForwardProxy(refuses="407 Proxy Authentication Required") as proxy:
        found = exchanged(server.url, once, proxy=proxy.url)
        plain = exchanged(server.url.replace("https", "http"), once, proxy=proxy.url)
    assert found.fault is Fault.CONNECTION
    assert "the proxy said 407 Proxy Authentication Required" in str(found.error)
    assert (plain.fault, plain.status) == (None, 407)
    assert server.calls == []


@pytest.mark.parametrize("proxy", ["socks5://me:passw0rd@x:1", "passw0rd", "http://", "http://x:passw0rd"])
def test_a_proxy_that_is_none_is_refused_without_its_password(proxy: str, tmp_path: Path) -> None:
    plan = closed_loop(concurrency=1, items=5, requests=5)
    with pytest.raises(InputError, match="proxy's URL") as caught:
        carried_out(plan, predict_at("http://127.0.0.1:1", proxy=proxy), tmp_path)
    assert "passw0rd" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_http2_without_its_library_is_refused_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpx_sender, "find_spec", lambda _name: None)
    plan = closed_loop(concurrency=1, items=5, requests=5)
    with pytest.raises(MissingExtra, match="http2"):
        carried_out(plan, predict_at("http://127.0.0.1:1", http2=True), tmp_path)


# What becomes of a request: as by our own transport.


@pytest.mark.parametrize(
    ("raw", "fault", "words"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", Fault.CUT, "4 bytes into the body"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", Fault.CUT, "4 bytes"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n",
            Fault.PROTOCOL,
            "not the HTTP",
        ),
        (b"", Fault.CONNECTION, "before a reply"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", Fault.PROTOCOL, "not the HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 1\r\n\r\nx", Fault.PROTOCOL, "'br'"),
    ],
)
def test_a_broken_reply_says_how(serve: Serve, raw: bytes, fault: Fault, words: str) -> None:
    async def script(_call: Any, wire: Any) -> bool:
        await wire.raw(raw)
        await asyncio.sleep(0.01)
        return False

    found = exchanged(serve(script).url, once)
    assert found.fault is fault
    assert words in str(found.error)
    assert found.end_ns >= found.sent_ns > 0


def test_a_reset_inside_the_body(serve: Serve) -> None:
    async def script(_call: Any, wire: Any) -> bool:
        await wire.begin_chunks()
        await wire.chunk(b"one")
        # A reset drops what a reader that is held up has not taken yet.
        await asyncio.sleep(0.3)
        wire.writer.transport.abort()
        return False

    found = exchanged(serve(script).url, once)
    assert found.fault is Fault.CUT
    assert found.pieces == [b"one"]


def test_a_time_out_keeps_what_had_come_and_names_the_time(serve: Serve) -> None:
    async def script(_call: Any, wire: Any) -> None:
        await wire.begin_chunks()
        await wire.chunk(b"one")
        await asyncio.sleep(30)

    found = exchanged(serve(script).url, once, timeout_s=1.0)
    assert (found.fault, found.error) == (Fault.TIMEOUT, "no whole reply within 1 s")
    assert found.pieces == [b"one"]
    assert len(found.piece_ns) == 1


def test_nobody_listens() -> None:
    found = exchanged("http://127.0.0.1:1", once)
    assert found.fault is Fault.CONNECTION
    assert "refused" in str(found.error) or "Connect call failed" in str(found.error)
    assert found.sent_ns == -1


def test_a_redirect_is_refused(serve: Serve) -> None:
    async def script(_call: Any, wire: Any) -> None:
        await wire.reply(b"", status=307, headers="location: https://me:secret@other.example/v1?key=k\r\n")

    server = serve(script)
    found = exchanged(server.url, once)
    assert found.fault is Fault.PROTOCOL
    assert "https://other.example/v1;" in str(found.error)
    assert "secret" not in str(found.error)
    assert len(server.calls) == 1


def test_the_same_bytes_go_over_the_wire(serve: Serve) -> None:
    async def script(_call: Any, wire: Any) -> None:
        await wire.reply(b"boom", status=500)

    server = serve(script)
    found = exchanged(server.url + "/base/?v=1", once)
    assert (found.status, found.pieces, found.fault) == (500, [b"boom"], None)
    call = server.calls[0]
    assert (call.method, call.path, call.body) == ("POST", "/base/x?v=1", REQUEST.body)
    assert call.headers["host"] == f"127.0.0.1:{server.port}"
    assert call.headers["accept-encoding"] == "identity"
    assert call.headers["x-name"] == "Zoë"
    assert call.headers["user-agent"].startswith("hexgate/")


def test_a_kept_connection_that_the_server_has_closed_is_replaced(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "hexgate.load.sending.httpx_sender.AT_ONCE_NS", 10**12
    )  # a busy machine hears of it late

    async def script(call: Any, wire: Any) -> object:
        if call.number == 1:
            return False  # closed without a word, on the connection that was kept
        return await wire.reply(b"ok")

    server = serve(script)

    async def work(transport: Transport, request: bytes) -> tuple[list[Exchange], int]:
        return [await transport.send(request) for _ in range(2)], transport.reopened

    exchanges, reopened = exchanged(server.url, work)
    assert [found.pieces for found in exchanges] == [[b"ok"], [b"ok"]]
    assert reopened == 1
    assert server.connections == 2
    assert exchanges[1].sent_ns <= server.calls[1].at_ns


def test_abandon_ends_what_is_in_flight(serve: Serve) -> None:
    async def script(_call: Any, wire: Any) -> None:
        await wire.begin_chunks()
        await wire.chunk(b"one")
        await asyncio.sleep(30)

    server = serve(script)

    async def work(transport: Transport, request: bytes) -> Exchange:
        task = asyncio.ensure_future(transport.send(request))
        while not any(flight.pieces for flight in transport._sender.flying):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        transport.abandon()
        return await task

    found = exchanged(server.url, work)
    assert (found.fault, found.pieces) == (Fault.ABANDONED, [b"one"])


# HTTP/2.


def http2_server(script: Any, tls: ssl.SSLContext | None = None) -> Any:
    pytest.importorskip("h2", reason="the package of h2 is not installed")
    from support.http2_server import Http2Server

    return Http2Server(script, tls)


@pytest.mark.parametrize("secure", [True, False], ids=["by ALPN", "in clear text"])
def test_a_load_over_http2(
    certificate: Path, secure: bool, chat_event: Callable[..., bytes], tmp_path: Path
) -> None:
    async def script(stream: Any) -> None:
        assert json.loads(stream.body)["messages"][-1]["content"] == "hi"
        await stream.begin(200, **{"content-type": "text/event-stream"})
        for word in ("one", " two", " three"):
            await asyncio.sleep(0.01)
            await stream.data(chat_event(word))
        await stream.data(chat_event(finish="stop", usage={"prompt_tokens": 2, "completion_tokens": 3}))
        await stream.data(b"data: [DONE]\n\n")
        await stream.end()

    with http2_server(script, tls_of(certificate) if secure else None) as server:
        endpoint = Endpoint(
            server.url + "/v1", "openai-chat", model="m", headers={"authorization": "Bearer k"}
        )
        driver = EndpointDriver(endpoint, [Ask(prompt="hi")], ca_file=str(certificate), http2=True)
        plan = closed_loop(concurrency=4, items=1, requests=20)
        left = carried_out(plan, driver, tmp_path, workers=1)
        assert left.counts == (20, 0, 0, 0, 0, 0)
        assert server.connections == 1
        assert {stream.headers[":path"] for stream in server.asked} == {"/v1/chat/completions"}
        assert {stream.headers["authorization"] for stream in server.asked} == {"Bearer k"}
    rows = left.rows
    assert {reply["text"] for reply in left.replies} == {"one two three"}
    assert (rows["output_tokens"] == 3).all()
    assert (rows["sent_ns"] < rows["first_token_ns"]).all()
    # Twenty milliseconds lie between them at the server: they came one by one.
    assert (rows["last_token_ns"] - rows["first_token_ns"]).max() > 10_000_000


def test_a_stream_of_http2_that_is_reset(certificate: Path) -> None:
    async def script(stream: Any) -> None:
        if len(server.asked) == 2:
            await stream.begin()
            await stream.data(b"one")
            await asyncio.sleep(0.3)
        await stream.reset()

    async def twice(transport: Transport, request: bytes) -> list[Exchange]:
        return [await transport.send(request) for _ in range(2)]

    with http2_server(script, tls_of(certificate)) as server:
        first, second = exchanged(server.url, twice, http2=True, ca=certificate)
    assert first.fault is Fault.PROTOCOL
    assert second.fault is Fault.CUT
    assert second.pieces == [b"one"]


def test_a_server_without_http2_is_refused(serve: Serve, certificate: Path, tmp_path: Path) -> None:
    """A load that asks for one protocol and measures another says so."""
    pytest.importorskip("h2", reason="the package of h2 is not installed")
    server = serve(score, tls=tls_of(certificate))
    plan = closed_loop(concurrency=1, items=5, requests=5)
    driver = predict_at(server.url, ca_file=str(certificate), http2=True)
    left = carried_out(plan, driver, tmp_path)
    assert left.count(Outcome.ERROR) == 5
    assert left.replies[0]["error"] == "protocol: the server answered in HTTP/1.1, not in HTTP/2"
