from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from hexgate.load.sending import counters
from hexgate.load.sending.counters import BOUNDS_S, Command, Counters, State, counter_file
from hexgate.load.sending.layout import Outcome

S = 1_000_000_000


def test_what_one_process_writes_another_reads(tmp_path: Path) -> None:
    control, blocks = counter_file(tmp_path / "counters", 3)
    other_control, others = counter_file(tmp_path / "counters")
    assert len(blocks) == len(others) == 3
    blocks[1].issue(5)
    blocks[1].issue(3)
    blocks[1].end(Outcome.OK, 1_000_000, 10)
    blocks[1].end(Outcome.OK, 1_000_001, 10)
    blocks[1].end(Outcome.TIMEOUT, None, 7)
    blocks[1].end(Outcome.OK, 999 * S)
    blocks[1].read(4, 2_000_000)
    blocks[1].read(1, None)
    blocks[1].state = State.DRAINING
    blocks[1].stopped_by = "disk"
    blocks[1].loop_lag_ns, blocks[1].cpu_ns, blocks[1].replies_read = 11, 12, 13
    seen = others[1]
    assert (seen.issued, seen.lag_max_ns, seen.received) == (2, 5, 27)
    assert seen.outcomes == tuple(3 if one is Outcome.OK else int(one is Outcome.TIMEOUT) for one in Outcome)
    # Bounds are included in their bucket, and the last bucket is beyond them all.
    first = BOUNDS_S.index(0.001)
    assert seen.buckets[first : first + 2] == (1, 1)
    assert seen.buckets[-1] == 1
    assert len(seen.buckets) == len(seen.ttft_buckets) == len(BOUNDS_S) + 1
    assert seen.latency_sum_ns == 2_000_001 + 999 * S
    assert (seen.sampled, seen.events, seen.ttft_sum_ns, sum(seen.ttft_buckets)) == (2, 5, 2_000_000, 1)
    assert (seen.state, seen.stopped_by) == (State.DRAINING, "disk")
    assert (seen.loop_lag_ns, seen.cpu_ns, seen.replies_read) == (11, 12, 13)
    for untouched in (others[0], others[2]):
        assert (untouched.issued, sum(untouched.outcomes), untouched.state) == (0, 0, State.STARTING)
    assert other_control.command is Command.WAIT
    control.run(123)
    assert (other_control.command, other_control.start_ns) == (Command.RUN, 123)
    control.stop(456)
    assert (other_control.command, other_control.drain_ns, other_control.start_ns) == (Command.STOP, 456, 123)
    control.read()
    assert other_control.command is Command.READ


def test_a_block_of_its_own() -> None:
    one = Counters()
    one.issue(0)
    assert one.issued == 1
    assert one.stopped_by is None
    one.stopped_by = "asked"
    assert one.stopped_by is None, "whoever asked knows"


_TELLS = """
import sys
from pathlib import Path
from hexgate.load.sending.counters import counter_file
print(counter_file(Path(sys.argv[1]))[0].orphaned)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there the parent's number says nothing")
def test_a_worker_knows_its_parent(tmp_path: Path) -> None:
    control, _ = counter_file(tmp_path / "counters", 1)

    def told() -> str:
        command = [sys.executable, "-c", _TELLS, str(tmp_path / "counters")]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert told() == "True", "nobody has given a sign"
    control.alive()
    assert told() == "False"
    assert control.orphaned, "whoever gives commands is not its own parent"


def test_elsewhere_silence_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    control, _ = counter_file(tmp_path / "counters", 1)
    monkeypatch.setattr(counters, "os", SimpleNamespace(name="nt", getpid=lambda: 1))
    control.alive()
    assert not control.orphaned
    later = time.monotonic_ns() + 61 * S
    monkeypatch.setattr(counters, "time", SimpleNamespace(monotonic_ns=lambda: later))
    assert control.orphaned
