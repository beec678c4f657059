from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from hexgate.meters import processes
from hexgate.meters.processes import ENDED, ProcessTree, TreeUse
from support.process_trees import BURNT_S, process_tree

TICK_S = 0.02


@pytest.fixture(params=["proc", "psutil"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Linux, and as elsewhere."""
    if request.param == "psutil":
        monkeypatch.setattr(processes, "_LINUX", False)


def _read(tree: ProcessTree) -> TreeUse:
    use = tree.read(time.monotonic_ns())
    assert isinstance(use, TreeUse), use
    return use


@pytest.mark.usefixtures("both_ways")
def test_children_and_their_memory_are_counted_with_their_parent() -> None:
    held = 48 * 2**20
    with process_tree(children=2, holds_bytes=held) as real:
        tree = ProcessTree([real.pid])
        before = _read(tree)
        real.burn()
        after = _read(tree)
    assert len(after.pids) == 3
    assert after.threads == 3
    assert before.cores is None
    used_s = after.cpu_s - before.cpu_s
    assert used_s >= 2 * (BURNT_S - TICK_S)
    assert after.cores is not None
    assert after.cores > 0
    # Each of the three touched all of its own copy.
    assert after.rss_bytes >= 3 * held


@pytest.mark.usefixtures("both_ways")
def test_what_a_child_used_stays_counted_when_it_has_ended() -> None:
    with process_tree(children=2) as real:
        tree = ProcessTree([real.pid])
        real.burn()
        before = _read(tree)
        real.end_one()
        after = _read(tree)
    assert len(after.pids) == 2
    assert after.cpu_s >= before.cpu_s >= 2 * (BURNT_S - TICK_S)


def test_child_that_is_new_counts_with_all_it_used_and_by_its_own_life() -> None:
    """A worker that has burnt for long before it is first seen does not look like more than one core."""
    tree = ProcessTree([os.getpid()])
    first = _read(tree)
    begin = time.monotonic()
    with process_tree(children=1) as real:
        real.burn()
        real.burn()
        lived_s = time.monotonic() - begin
        use = _read(tree)
    assert real.pid in use.pids
    assert use.cpu_s - first.cpu_s >= 2 * (BURNT_S - TICK_S)
    assert use.cores is not None
    assert use.cores <= (use.cpu_s - first.cpu_s) / lived_s * 1.5


def test_what_is_apart_is_left_out_with_all_that_it_started() -> None:
    with process_tree(children=2) as real:
        assert real.pid in _read(ProcessTree([os.getpid()])).pids
        pids = _read(ProcessTree([os.getpid()], apart=[real.pid])).pids
        below = {child.pid for child in psutil.Process(real.pid).children()}
    assert not {real.pid, *below} & set(pids)


def test_list_of_processes_is_renewed_no_more_often_than_asked() -> None:
    tree = ProcessTree([os.getpid()], renew_s=1.0)
    at_ns = time.monotonic_ns()
    tree.read(at_ns)
    with process_tree(children=0) as real:
        soon, later = tree.read(at_ns + 999_999_999), tree.read(at_ns + 1_000_000_000)
    assert isinstance(soon, TreeUse)
    assert isinstance(later, TreeUse)
    assert real.pid not in soon.pids
    assert real.pid in later.pids


def test_total_never_falls_whatever_order_it_is_added_up_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tenths of seconds do not add up alike in any order; a counter that falls is no counter."""
    used = {pid: round(0.1 * pid, 1) for pid in range(1, 40)}
    alive = list(used)
    monkeypatch.setattr(processes, "_descended", lambda *_: list(alive))
    monkeypatch.setattr(
        processes, "_look", lambda pid: processes._Look(1.0, 1.0, round(used[pid] * 1e9), 1, 1)
    )
    tree = ProcessTree(alive)
    totals = []
    while len(alive) > 1:
        totals.append(_read(tree).cpu_s)
        alive.pop(len(alive) // 2)
    assert len(set(totals)) == 1


def test_number_that_a_stranger_got_is_not_taken_for_the_process_that_had_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tree = ProcessTree([os.getpid()])
    _read(tree)
    real = processes._look(os.getpid())
    assert not isinstance(real, str)
    monkeypatch.setattr(processes, "_look", lambda _: replace(real, began=real.began + 1))
    assert tree.read(time.monotonic_ns()) == ENDED


@pytest.mark.usefixtures("both_ways")
def test_tree_of_which_nothing_lives_says_so() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert ProcessTree([done.pid]).read(time.monotonic_ns()) == ENDED
