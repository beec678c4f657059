"""`hexgate study judge` as people call it: bill, exit codes, and Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hexgate.errors import ExitCode
from support.command import Ended
from support.finished import Finished, finished_study
from support.judge_server import Asked, JudgeServer, Says, grades

PATIENCE_S = 60.0


@pytest.fixture
def done(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished_study(tmp_path_factory.getbasetemp()).copy(tmp_path / "done")


def good(_: Asked) -> str:
    return grades(2, 1.5, 2, 0.5)


def test_it_says_what_the_judge_gave_and_what_it_cost(done: Finished, call: Callable[..., Ended]) -> None:
    with JudgeServer(good) as server:
        asked = ("--target", server.v1, "--model", "judge-1", "--prices", "1", "10", "--budget", "2")
        ended = call("study", "judge", done.out, *asked)
        assert ended.code == ExitCode.OK, ended.err
        count = len(server.asked)
        again = call("study", "judge", done.out, *asked, "--quiet")
        assert (again.code, again.out, again.err) == (ExitCode.OK, "", "")
        assert len(server.asked) == count
    lines = [re.split(r"  +", line) for line in ended.out.splitlines()]
    assert lines[1] == ["judge", "alpha", "6", "6", "2 x empty answer; 2 x the run failed (http_500)"]
    # Six replies, one of them three times; 1,000 tokens in and 100 out each.
    assert count == 8
    assert "8 calls, 8000 tokens in, 800 tokens out; cost 0.016 USD, at most 0.016" in ended.err
    assert "noise of the total 0" in ended.err
    assert str(done.table) in ended.err


def test_in_chinese(done: Finished, process: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    with JudgeServer(lambda _: "I like it.") as server:
        ended = process(
            *("-m", "hexgate", "--lang", "zh", "study", "judge", done.out),
            *("--target", server.v1, "--model", "judge-1"),
        )
    assert ended.returncode == ExitCode.EVIDENCE
    assert "6 x 3 次回复都无法读取：没有 JSON 对象" in ended.stdout
    assert "2 x 空回答" in ended.stdout
    assert "次调用" in ended.stderr


def test_exit_codes(done: Finished, call: Callable[..., Ended]) -> None:
    with JudgeServer(lambda _: Says("no", status=401)) as server:
        who = ("--target", server.v1, "--model", "judge-1")
        refused = call("study", "judge", done.out, *who)
        assert refused.code == ExitCode.TARGET
        assert "the judge refuses the calls" in refused.err
        unset = call("study", "judge", done.out, *who, "--api-key-env", "NO_SUCH_KEY")
        assert unset.code == ExitCode.INPUT
        assert "NO_SUCH_KEY is not set" in unset.err
        leaked = call("study", "judge", done.out, *who, "--api-key-env", "sk-secret")
        assert leaked.code == ExitCode.INPUT
        assert "secret" not in leaked.err
    nobody = call("study", "judge", done.out)
    assert nobody.code == ExitCode.INPUT
    assert "the study names no judge" in nobody.err
    with JudgeServer(good) as server:
        who = ("--target", server.v1, "--model", "judge-1")
        spent = call("study", "judge", done.out, *who, "--prices", "1", "1", "--budget", "0.001")
        assert spent.code == ExitCode.EVIDENCE
        assert "the budget of the judge is used up" in spent.err
        assert server.asked == []
    for odd in (("--budget", "nan"), ("--prices", "1"), ("--concurrency", "0")):
        assert call("study", "judge", done.out, *odd).code == ExitCode.INPUT


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_keeps_what_was_judged(
    done: Finished, call: Callable[..., Ended], how: signal.Signals
) -> None:
    def slow(_: Asked) -> Says:
        return Says(grades(), delay_s=0.3)

    with JudgeServer(slow) as server:
        who = ("--target", server.v1, "--model", "judge-1", "--concurrency", "1")
        command = [sys.executable, "-m", "hexgate", "study", "judge", str(done.out), *who]
        child = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "HEXGATE_LANG": "en"})
        deadline = time.monotonic() + PATIENCE_S
        while len(server.asked) < 3:
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        child.send_signal(how)
        _, error = child.communicate(timeout=PATIENCE_S)
        assert child.returncode == ExitCode.INTERRUPTED
        assert b"Traceback" not in error
        assert b"the same command goes on from here" in error
        assert len(server.asked) < 8
        marked = {row["run_id"] for row in done.rows() if row.get("value") is not None}
        assert marked
        rest = call("study", "judge", done.out, *who)
        assert rest.code == ExitCode.OK, rest.err
        assert len(server.asked) == 8
    assert len({row["run_id"] for row in done.rows() if row.get("value") is not None}) == 12
