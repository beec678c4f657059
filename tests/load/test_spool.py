from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.load.sending.exchange import Fault
from hexgate.load.sending.flight import Flight
from hexgate.load.sending.spool import SpoolWriter, flights

FIELDS = (
    *("slot", "index", "item", "turn", "due_ns", "issued_ns", "ready_ns", "sent_ns", "headers_ns", "end_ns"),
    *("status", "fault", "error", "bytes", "encoding", "location", "pieces", "read_ns", "read_ends"),
)
STAMPS = st.integers(-1, 2**63 - 1)


def seen(flight: Flight) -> dict[str, Any]:
    return {name: getattr(flight, name) for name in FIELDS}


@st.composite
def any_flight(draw: st.DrawFn) -> Flight:
    flight = Flight(
        draw(st.integers(0, 2**62)),
        draw(st.integers(0, 2**31 - 1)),
        draw(st.integers(0, 2**31 - 1)),
        draw(st.integers(0, 2**15 - 1)),
        draw(STAMPS),
        draw(STAMPS),
    )
    for name in ("ready_ns", "sent_ns", "headers_ns", "end_ns"):
        setattr(flight, name, draw(STAMPS))
    flight.bytes = draw(st.integers(0, 2**62))
    flight.status = draw(st.integers(-1, 999))
    flight.fault = draw(st.sampled_from([0, *Fault]))
    flight.error = draw(st.text(max_size=20))
    flight.encoding = draw(st.sampled_from(["", "gzip"]))
    flight.location = draw(st.sampled_from(["", "http://x/größe"]))
    flight.pieces = draw(st.lists(st.binary(max_size=30), max_size=6))
    flight.read_ends = sorted(draw(st.lists(st.integers(0, len(flight.pieces)), max_size=6)))
    flight.read_ns = draw(st.lists(STAMPS, min_size=len(flight.read_ends), max_size=len(flight.read_ends)))
    return flight


@given(st.lists(any_flight(), max_size=8))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, given_flights: list[Flight]
) -> None:
    path = tmp_path_factory.mktemp("spool") / "spool"
    spool = SpoolWriter(path)
    for flight in given_flights:
        spool.add(flight)
    assert spool.flights == len(given_flights)
    spool.close()
    assert spool.failure is None
    assert [seen(flight) for flight in flights(path)] == [seen(flight) for flight in given_flights]


def test_what_is_cut_off_at_the_end_is_left_out(tmp_path: Path) -> None:
    """A worker that is killed leaves a file that may end anywhere."""
    spool = SpoolWriter(tmp_path / "spool")
    for slot in range(3):
        flight = Flight(slot, slot, 0, 0, -1, slot)
        flight.pieces, flight.read_ns, flight.read_ends = [b"body %d" % slot], [5], [1]
        flight.error = "größe"
        spool.add(flight)
    spool.close()
    whole = (tmp_path / "spool").read_bytes()
    size = len(whole) // 3
    assert len(whole) == 3 * size
    for length in range(len(whole) + 1):
        (tmp_path / "cut").write_bytes(whole[:length])
        assert [flight.slot for flight in flights(tmp_path / "cut")] == list(range(length // size))


def test_a_flush_hands_over_what_is_held(tmp_path: Path) -> None:
    spool = SpoolWriter(tmp_path / "spool")
    spool.add(Flight(0, 0, 0, 0, -1, 1))
    assert (tmp_path / "spool").stat().st_size == 0
    spool.flush()
    spool._queue.put(None)
    spool._thread.join()
    assert len(list(flights(tmp_path / "spool"))) == 1
    os.close(spool._file)


def test_only_its_owner_can_read_what_a_server_said(tmp_path: Path) -> None:
    SpoolWriter(tmp_path / "spool").close()
    assert os.name != "posix" or (tmp_path / "spool").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a disk that is full")
def test_a_full_disk_is_told_and_holds_nothing_up() -> None:
    spool = SpoolWriter(Path("/dev/full"))
    for slot in range(2000):
        flight = Flight(slot, slot, 0, 0, -1, 1)
        flight.pieces = [b"x" * 1000]
        spool.add(flight)
    spool.close()
    assert spool.failure is not None
    assert spool.failure.errno == errno.ENOSPC
