"""Replies whose fault, or whose difficulty, lies in HTTP."""

from __future__ import annotations

import gzip
import zlib

from hexgate.load.sending.layout import Outcome
from support.torture import Act, Case, Expected, Framing
from wire.torture.build import DONE, ERROR, HELLO, ROLE, TRUNCATED, reply, said
from wire.torture.chat import PLAIN

OK_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = OK_HEAD + b"transfer-encoding: chunked\r\n\r\n"
BODY = b"".join((*HELLO, DONE))
GZIPPED = gzip.compress(BODY)
MEMBERS = gzip.compress(BODY[:200]) + gzip.compress(BODY[200:])
WHOLE = reply("hi")
PACKER = zlib.compressobj(wbits=31)
FLUSHED = [PACKER.compress(piece) + PACKER.flush(zlib.Z_SYNC_FLUSH) for piece in HELLO[:2]]
PART = Expected(
    TRUNCATED, "cut: ", text="Hel", events=1, first_event=1, first_token=2, first_answer=2, last_token=2
)
TOGETHER = Expected(**{**vars(PLAIN), "first_event": 1, "first_token": 1, "first_answer": 1, "last_token": 1})
"""The body in the write behind the head."""


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def fixed(status: str, body: bytes, *headers: str) -> tuple[bytes, ...]:
    lines = [f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}", "", ""]
    return ("\r\n".join(lines).encode() + body,)


def script(name: str, steps: tuple[bytes | Act, ...], expected: Expected, **more: object) -> Case:
    return Case(f"http: {name}", (), expected, script=steps, **more)  # type: ignore[arg-type]


CASES = [
    Case("http: a body of stated length", (*HELLO, DONE), PLAIN, framing=Framing.LENGTH),
    Case("http: a body that the end of the connection ends", (*HELLO, DONE), PLAIN, framing=Framing.CLOSE),
    Case("http: gzip", (*HELLO, DONE), PLAIN, packed="gzip"),
    Case("http: deflate", (*HELLO, DONE), PLAIN, packed="deflate"),
    Case("http: deflate without its envelope", (*HELLO, DONE), PLAIN, packed="raw deflate"),
    script(
        "gzip split at every byte",
        (
            OK_HEAD + b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n",
            b"".join(chunk(GZIPPED[at : at + 1]) for at in range(len(GZIPPED))) + b"0\r\n\r\n",
        ),
        TOGETHER,
    ),
    script(
        "gzip, and a reset in the middle",
        (
            OK_HEAD + b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n",
            chunk(FLUSHED[0]),
            chunk(FLUSHED[1]),
            Act.RESET,
        ),
        PART,
    ),
    script(
        "gzip in two members",
        (OK_HEAD + f"content-encoding: gzip\r\ncontent-length: {len(MEMBERS)}\r\n\r\n".encode(), MEMBERS),
        TOGETHER,
    ),
    script(
        "gzip cut short",
        (
            OK_HEAD + f"content-encoding: gzip\r\ncontent-length: {len(GZIPPED) - 4}\r\n\r\n".encode(),
            GZIPPED[:-4],
        ),
        Expected(**{**vars(TOGETHER), "outcome": ERROR, "error": "protocol: the gzip body is cut short"}),
    ),
    script(
        "not the gzip that it says",
        (OK_HEAD + b"content-encoding: gzip\r\ncontent-length: 5\r\n\r\n", b"hello"),
        Expected(ERROR, "protocol: the body is not gzip"),
    ),
    script(
        "an encoding that nobody asked for",
        (OK_HEAD + b"content-encoding: br\r\ncontent-length: 5\r\n\r\n", b"hello"),
        Expected(ERROR, "protocol: the content encoding 'br'"),
    ),
    script(
        "chunks with trailers", (CHUNKED, chunk(BODY), b"0\r\nx-checksum: 1\r\nx-more: 2\r\n\r\n"), TOGETHER
    ),
    script(
        "chunks with extensions",
        (CHUNKED, f"{len(BODY):X};a=b\r\n".encode() + BODY + b"\r\n", b"0\r\n\r\n"),
        TOGETHER,
    ),
    script(
        "events that do not fall on chunks",
        (CHUNKED, chunk(BODY[:70]) + chunk(BODY[70:300]) + chunk(BODY[300:]), b"0\r\n\r\n"),
        TOGETHER,
    ),
    script(
        "one chunk of many writes",
        (CHUNKED, f"{len(BODY):x}\r\n".encode(), ROLE, *HELLO[1:], DONE + b"\r\n", b"0\r\n\r\n"),
        Expected(**{**vars(PLAIN), "first_event": 2, "first_token": 3, "first_answer": 3, "last_token": 4}),
    ),
    script(
        "the last chunk lacks",
        (CHUNKED, chunk(ROLE), chunk(HELLO[1]), Act.CLOSE),
        PART,
    ),
    script(
        "closed before the last chunk though all is there",
        (CHUNKED, chunk(BODY), Act.CLOSE),
        Expected(**{**vars(TOGETHER), "outcome": TRUNCATED, "error": "cut: "}),
    ),
    script(
        "reset inside an event",
        (CHUNKED, chunk(ROLE), chunk(HELLO[1]), chunk(HELLO[2][:30]), Act.RESET),
        PART,
    ),
    script(
        "closed inside an event",
        (CHUNKED, chunk(ROLE), chunk(HELLO[1]), chunk(HELLO[2])[:30], Act.CLOSE),
        PART,
    ),
    script(
        "a chunk of a wrong size",
        (CHUNKED, chunk(ROLE), chunk(HELLO[1]), b"5\r\n" + HELLO[2] + b"\r\n", Act.CLOSE),
        Expected(**{**vars(PART), "outcome": ERROR, "error": "protocol: not HTTP/1.1"}),
    ),
    script(
        "a chunk of no size",
        (CHUNKED, b"zz\r\nx\r\n", Act.CLOSE),
        Expected(ERROR, "protocol: not HTTP/1.1"),
    ),
    script(
        "a stated length that is too long",
        (OK_HEAD + f"content-length: {len(BODY) + 10}\r\n\r\n".encode(), BODY, Act.CLOSE),
        Expected(**{**vars(TOGETHER), "outcome": TRUNCATED, "error": "cut: "}),
    ),
    script(
        "a stated length that is too short",
        (OK_HEAD + f"content-length: {len(BODY) - 10}\r\n\r\n".encode(), BODY, Act.CLOSE),
        Expected(**{**vars(TOGETHER), "outcome": ERROR, "error": "protocol: not HTTP/1.1"}),
    ),
    script(
        "two lengths",
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", b"hello"),
        Expected(ERROR, "protocol: not HTTP/1.1"),
    ),
    script(
        "a negative length",
        (b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n", b"hello"),
        Expected(ERROR, "protocol: not HTTP/1.1"),
    ),
    script(
        "100 Continue before the reply",
        (b"HTTP/1.1 100 Continue\r\n\r\n", CHUNKED, chunk(BODY), b"0\r\n\r\n"),
        Expected(**{**vars(PLAIN), "first_event": 2, "first_token": 2, "first_answer": 2, "last_token": 2}),
    ),
    script(
        "103 Early Hints before the reply, in one write",
        (b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + CHUNKED, chunk(BODY) + b"0\r\n\r\n"),
        TOGETHER,
    ),
    script(
        "a head in many writes",
        (b"HTTP/1.", b"1 200 OK\r\ncontent-", b"length: 2", b"3\r\n\r", b"\n", b'{"scores": [[1.5, 2]]}\n'),
        Expected(events=1, first_event=5),
        dialect="predict",
        stream=False,
    ),
    script(
        "a head without an end", (b"HTTP/1.1 200 OK\r\nx-one: 1\r\n", Act.CLOSE), Expected(TRUNCATED, "cut: ")
    ),
    script("half a status line", (b"HTTP/1.1 2", Act.CLOSE), Expected(TRUNCATED, "cut: ")),
    script(
        "closed at once", (Act.CLOSE,), Expected(ERROR, "connection: the connection was lost before a reply")
    ),
    script(
        "reset at once", (Act.RESET,), Expected(ERROR, "connection: the connection was lost before a reply")
    ),
    script("not HTTP", (b"SSH-2.0-OpenSSH_9\r\n", Act.CLOSE), Expected(ERROR, "protocol: not HTTP/1.1")),
    script("HTTP/1.0 without a length", (b"HTTP/1.0 200 OK\r\n\r\n", BODY, Act.CLOSE), TOGETHER),
    script(
        "nothing comes any more",
        (CHUNKED, chunk(ROLE), chunk(HELLO[1]), Act.HANG),
        Expected(
            **{**vars(PART), "outcome": Outcome.TIMEOUT, "error": "timeout: no whole reply within 0.5 s"}
        ),
        timeout_s=0.5,
    ),
    script("nothing comes at all", (Act.HANG,), Expected(Outcome.TIMEOUT, "timeout: "), timeout_s=0.5),
    script("200 with no body", fixed("200 OK", b""), Expected(TRUNCATED, "truncated: the stream is empty")),
    script("204", (b"HTTP/1.1 204 No Content\r\n\r\n",), Expected(ERROR, "http_204: ")),
    script(
        "301",
        fixed("301 Moved", b"", "location: https://me:pw@other/v1?k=1"),
        Expected(ERROR, "protocol: redirected (301) to https://other/v1;"),
    ),
    script("304", (b"HTTP/1.1 304 Not Modified\r\n\r\n",), Expected(ERROR, "protocol: redirected (304)")),
    script(
        "400 with an error",
        fixed("400 Bad", b'{"error": {"message": "too long"}}'),
        Expected(ERROR, "http_400: too long"),
    ),
    script(
        "404 with a detail",
        fixed("404 Not Found", b'{"detail": "Not Found"}'),
        Expected(ERROR, 'http_404: {"detail"'),
    ),
    script(
        "429 with Retry-After",
        fixed("429 Too Many", b'{"error": "slow down"}', "retry-after: 7"),
        Expected(ERROR, "http_429: slow down"),
    ),
    script(
        "500 with JSON",
        fixed("500 Oops", b'{"error": {"message": "boom"}}'),
        Expected(ERROR, "http_500: boom"),
    ),
    script("500 with nothing", fixed("500 Oops", b""), Expected(ERROR, "http_500: no message")),
    script(
        "502 with a page",
        fixed("502 Bad Gateway", b"<html>502</html>"),
        Expected(ERROR, "http_502: <html>502"),
    ),
    script(
        "503 with a stream",
        (b"HTTP/1.1 503 Busy\r\ntransfer-encoding: chunked\r\n\r\n", chunk(BODY) + b"0\r\n\r\n"),
        Expected(ERROR, "http_503: "),
    ),
    script(
        "101",
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", b"x"),
        Expected(ERROR, "protocol: "),
    ),
    script(
        "a second reply behind the first",
        (fixed("200 OK", BODY)[0] + fixed("200 OK", said("other"))[0],),
        Expected(**{**vars(PLAIN), "first_event": 0, "first_token": 0, "first_answer": 0, "last_token": 0}),
    ),
    script(
        "a document whose connection closes early",
        (b"HTTP/1.1 200 OK\r\n\r\n" + WHOLE[:-5], Act.CLOSE),
        Expected(ERROR, "protocol: not JSON"),
        stream=False,
    ),
]
