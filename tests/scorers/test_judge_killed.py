"""A judge that is killed with a signal nobody can catch, several times, and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from hexgate.scorers.judge import judge
from hexgate.scorers.judge_books import Prices
from hexgate.scorers.judge_spec import JudgeSpec
from hexgate.scorers.quality import Item
from support.judge_server import Asked, JudgeServer, Says, grades

ITEMS = 60
CONCURRENCY = 3
PROGRAM = """
import sys
from pathlib import Path
from hexgate.scorers.judge import judge
from hexgate.scorers.judge_books import Prices
from hexgate.scorers.judge_spec import JudgeSpec
from hexgate.scorers.quality import Item

items = [Item(f"id-{n}", f"Question {n}?", f"answer {n}") for n in range(int(sys.argv[3]))]
spec = JudgeSpec(sys.argv[1], "judge-1", repeat_share=0.1, concurrency=int(sys.argv[4]), prices=Prices(1.0, 1.0))
judge(items, spec, Path(sys.argv[2]))
"""


def reply(asked: Asked) -> Says:
    number = int(asked.answer.split()[-1])
    # Some first replies cannot be read, so that a kill also falls between two attempts.
    if number % 7 == 0 and asked.number == 0:
        return Says("not now", delay_s=0.01)
    return Says(grades(number % 6 / 2, number % 5 / 2, 1, number % 3 / 2), delay_s=0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_after_every_kill_each_answer_is_judged_exactly_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with JudgeServer(reply) as server:
        command = [sys.executable, "-c", PROGRAM, server.v1, str(path), str(ITEMS), str(CONCURRENCY)]
        kills = 0
        for least in (1, 12, 25, 26, 45):
            child = subprocess.Popen(command, stderr=subprocess.PIPE)
            while child.poll() is None and len(server.asked) < least:
                time.sleep(0.002)
            if child.poll() is None:
                os.kill(child.pid, signal.SIGKILL)
                kills += 1
            _, error = child.communicate(timeout=60)
            assert b"Traceback" not in error
        # A line that a kill cut in the middle.
        with path.open("ab") as file:
            file.write(b'{"came":"0123456789')
        items = [Item(f"id-{n}", f"Question {n}?", f"answer {n}") for n in range(ITEMS)]
        spec = JudgeSpec(
            server.v1, "judge-1", repeat_share=0.1, concurrency=CONCURRENCY, prices=Prices(1.0, 1.0)
        )
        report = judge(items, spec, path)
        sent = len(server.asked)

    assert kills >= 3
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    scored = Counter(row["came"] for row in rows if row.get("outcome") == "scored")
    assert len(scored) == ITEMS + 2 * 6
    assert set(scored.values()) == {1}
    calls = Counter((row["came"], row["attempt"]) for row in rows if "came" in row)
    asked = Counter((row["asked"], row["attempt"]) for row in rows if "asked" in row)
    assert set(calls.values()) == set(asked.values()) == {1}
    # Only what was under way at a kill may have been sent twice, and all of that is on the bill.
    assert report.bill.lost == len(asked) - len(calls) <= kills * CONCURRENCY
    assert len(calls) <= sent <= len(asked)
    assert report.bill.calls == len(calls)
    assert report.bill.cost is not None
    assert report.bill.cost_at_most is not None
    assert (report.bill.cost_at_most > report.bill.cost) == (report.bill.lost > 0)

    assert report.missing() == {}
    for number, one in enumerate(report.judged):
        assert one.scores is not None
        assert (one.id, one.scores.factuality) == (f"id-{number}", number % 6 / 2)
    with JudgeServer(lambda asked: Says(reply(asked).text if asked.number else "{}")) as other:
        straight = judge(items, JudgeSpec(other.v1, "judge-1", repeat_share=0.1), tmp_path / "straight.jsonl")
    assert [one.scores for one in straight.judged] == [one.scores for one in report.judged]
