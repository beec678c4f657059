from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hexgate.wire.ndjson import Line, lines
from hexgate.wire.sse import Message, messages


def test_the_example_of_the_standard() -> None:
    body = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"
    assert [m.data for m in messages([body])] == ["first event", "second event", " third event"]


def test_data_lines_join_and_an_empty_data_line_counts() -> None:
    assert [m.data for m in messages([b"data: YHOO\ndata: +2\ndata: 10\n\n"])] == ["YHOO\n+2\n10"]
    assert [m.data for m in messages([b"data\n\ndata\ndata\n\ndata:"])] == ["", "\n", ""]
    assert [m.ended for m in messages([b"data\n\ndata\ndata\n\ndata:"])] == [True, True, False]


def test_every_line_end_and_a_byte_order_mark() -> None:
    for end in (b"\n", b"\r\n", b"\r"):
        body = b"\xef\xbb\xbf" + end.join([b"event: ping", b"data: a", b"", b": note", b"data: b", b"", b""])
        assert messages([body]) == [Message("a", "ping", 0), Message("b", "", 0)]


def test_a_message_is_completed_by_the_chunk_with_its_blank_line() -> None:
    pieces = [b"data: a\n", b"\ndata: b\r\n\r", b"\ndata: c\n\n", b": bye\n\n"]
    assert [(m.data, m.piece) for m in messages(pieces)] == [("a", 1), ("b", 1), ("c", 2)]


def test_bytes_that_are_not_utf8_do_not_stop_the_stream() -> None:
    assert [m.data for m in messages([b"data: \xff!\n\ndata: ok\n\n"])] == ["\ufffd!", "ok"]


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8")), max_size=6), st.data())
def test_any_split_reads_the_same(texts: list[str], data: st.DataObject) -> None:
    body = "".join(f"data: {text}\r\n\r\n" for text in texts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    found = messages(pieces)
    assert [m.data for m in found] == texts
    for number, message in enumerate(found):
        # The piece that completes a message is the first with which its prefix of the stream holds it.
        before = messages([b"".join(pieces[: message.piece])])
        with_it = messages([b"".join(pieces[: message.piece + 1])])
        assert sum(m.ended for m in before) <= number < sum(m.ended for m in with_it)


def test_lines_of_json() -> None:
    assert lines([b'{"a"', b":1}\r\n\n", b"\n{}\n[", b"]"]) == [
        Line(b'{"a":1}', 1),
        Line(b"{}", 2),
        Line(b"[]", 3, ended=False),
    ]
    assert lines([]) == lines([b"", b"\n \r\n"]) == []
