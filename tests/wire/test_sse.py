from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hexgate.wire.ndjson import Line, lines
from hexgate.wire.sse import Messages


def messages(pieces: list[bytes]) -> list[tuple[str, str, int, bool]]:
    return [(m.data.decode("utf-8", "replace"), m.event.decode(), m.piece, m.ended) for m in Messages(pieces)]


def data(pieces: list[bytes]) -> list[str]:
    return [text for text, _, _, _ in messages(pieces)]


def test_the_example_of_the_standard() -> None:
    body = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"
    assert data([body]) == ["first event", "second event", " third event"]


def test_data_lines_join_and_an_empty_data_line_counts() -> None:
    assert data([b"data: YHOO\ndata: +2\ndata: 10\n\n"]) == ["YHOO\n+2\n10"]
    assert data([b"data\n\ndata\ndata\n\ndata:"]) == ["", "\n", ""]
    assert [ended for _, _, _, ended in messages([b"data\n\ndata\ndata\n\ndata:"])] == [True, True, False]


def test_every_line_end_and_a_byte_order_mark() -> None:
    for end in (b"\n", b"\r\n", b"\r"):
        body = b"\xef\xbb\xbf" + end.join([b"event: ping", b"data: a", b"", b": note", b"data: b", b"", b""])
        assert messages([body]) == [("a", "ping", 0, True), ("b", "", 0, True)]


def test_a_message_is_completed_by_the_chunk_with_its_blank_line() -> None:
    pieces = [b"data: a\n", b"\ndata: b\r\n\r", b"\ndata: c\n\n", b": bye\n\n"]
    assert [(m.data.decode(), m.piece) for m in Messages(pieces)] == [("a", 1), ("b", 1), ("c", 2)]


def test_bytes_that_are_not_utf8_do_not_stop_the_stream() -> None:
    assert data([b"data: \xff!\n\ndata: ok\n\n"]) == ["\ufffd!", "ok"]


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8")), max_size=6), st.data())
def test_any_split_reads_the_same(texts: list[str], draws: st.DataObject) -> None:
    body = "".join(f"data: {text}\r\n\r\n" for text in texts).encode()
    cuts = sorted(draws.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert data(pieces) == texts
    for number, message in enumerate(Messages(pieces)):
        # The piece that completes a message is the first with which its prefix of the stream holds it.
        before = messages([b"".join(pieces[: message.piece])])
        with_it = messages([b"".join(pieces[: message.piece + 1])])
        assert sum(whole for *_, whole in before) <= number < sum(whole for *_, whole in with_it)


def test_lines_of_json() -> None:
    assert list(lines([b'{"a"', b":1}\r\n\n", b"\n{}\n[", b"]"])) == [
        Line(b'{"a":1}', 1),
        Line(b"{}", 2),
        Line(b"[]", 3, ended=False),
    ]
    assert list(lines([])) == list(lines([b"", b"\n \r\n"])) == []
