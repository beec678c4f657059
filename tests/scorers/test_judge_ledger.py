"""The ledger: nothing lost, nothing twice, and no file of anybody else touched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.errors import DataError, InputError
from hexgate.scorers.judge_ledger import Came, Ledger, Outcome
from hexgate.scorers.judge_reply import Scores

SCORED = Came(
    "k1",
    0,
    Outcome.SCORED,
    scores=Scores(1.0, 2.0, 0.5, 2.5),
    rationales={"factuality": "因为"},
    form="json_schema",
    prompt_tokens=10,
    output_tokens=5,
    cost=0.25,
    cost_at_most=0.25,
)
MALFORMED = Came("k2", 0, Outcome.MALFORMED, reason="empty", reply="", form="plain", cost_at_most=0.5)


def filled(path: Path) -> bytes:
    with Ledger(path) as ledger:
        for came in (SCORED, MALFORMED):
            ledger.ask(came.key, came.attempt, 1.0)
            ledger.note(came)
        ledger.ask("k3", 0, 0.75)
    return path.read_bytes()


def test_it_reads_what_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "ledger.jsonl"
    filled(path)
    with Ledger(path) as ledger:
        assert ledger.calls("k1") == (SCORED,)
        assert ledger.calls("k2") == (MALFORMED,)
        assert ledger.calls("k3") == ()
        assert ledger.lost() == {("k3", 0): 0.75}
        assert [ledger.next_attempt(key) for key in ("k1", "k3", "k4")] == [1, 1, 0]


def test_a_file_cut_anywhere_goes_on_from_its_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    data = filled(path)
    for end in range(len(data)):
        path.write_bytes(data[:end])
        with Ledger(path) as ledger:
            whole = data[:end].count(b"\n")
            assert bool(ledger.calls("k1")) == (whole >= 3)
            assert bool(ledger.calls("k2")) == (whole >= 5)
            ledger.ask("k9", 0, None)
        lines = path.read_bytes().splitlines(keepends=True)
        assert lines[:whole] == data.splitlines(keepends=True)[:whole]
        assert lines[-1].startswith(b'{"asked":"k9"')


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b'{"id": 1}\n', b"no line", b"[]\n"])
def test_a_file_of_somebody_else_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError):
        Ledger(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"3",
        b"{}",
        b'{"asked":"k"}',
        b'{"came":"k","attempt":0,"outcome":"scored","scores":null}',
        SCORED.key.encode(),
    ],
)
def test_a_broken_line_in_the_middle_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    head, _, rest = filled(path).partition(b"\n")
    broken = b"\n".join((head, line, rest))
    path.write_bytes(broken)
    with pytest.raises(DataError, match="line 2"):
        Ledger(path)
    assert path.read_bytes() == broken


@pytest.mark.parametrize(
    ("was", "now"), [('"structure":0.5', '"structure":0.7'), ('"scored"', '"malformed"')]
)
def test_scores_that_were_changed_by_hand_are_refused(tmp_path: Path, was: str, now: str) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(filled(path).replace(was.encode(), now.encode(), 1))
    with pytest.raises(DataError, match="line 3"):
        Ledger(path)


@pytest.mark.skipif(sys.platform == "win32", reason="locks of Windows are another matter")
def test_two_processes_do_not_write_into_one_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    program = f"from pathlib import Path\nfrom hexgate.scorers.judge_ledger import Ledger\nLedger(Path({str(path)!r}))"
    with Ledger(path):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert "another process judges into this ledger" in done.stderr
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_place_that_cannot_be_written_is_an_error_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        Ledger(tmp_path)


@given(st.binary(max_size=200))
def test_no_content_ends_in_a_traceback(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("ledger") / "ledger.jsonl"
    path.write_bytes(content)
    try:
        Ledger(path).__exit__(None, None, None)
    except DataError:
        assert path.read_bytes() == content
