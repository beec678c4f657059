"""What a load says at its end: failures before figures, what is invalid as such, and what could not be read."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from hexgate.cli.load_rates import _COLUMNS, _ended_lines, _table
from hexgate.indicators import load_search
from hexgate.indicators.load_probe import Step
from hexgate.indicators.load_search import Swept
from support.command import Ended
from support.measuring import check
from support.scripted import ScriptedServer

Call = Callable[..., Ended]
Scripted = Callable[..., ScriptedServer]
NOWHERE = "http://127.0.0.1:9/metrics"


def load(server: ScriptedServer, out: Path, *flags: str) -> tuple[str, ...]:
    return ("load", server.v1, "--prompts", "demo:", "--max-tokens", "5", *flags, "--out", str(out))


def test_failures_stand_above_the_figures(call: Call, scripted: Scripted, tmp_path: Path) -> None:
    server: ScriptedServer = scripted(chat=lambda _prompt: 503 if server.asked % 3 else "words")
    flags = ("--requests", "60", "--warmup", "0", "--server-metrics", NOWHERE)
    ended = call(*load(server, tmp_path, *flags))
    counts = check(tmp_path / "latency_p99.json").data["counts"]
    said = f"failed {counts['errored']} of 60 ("
    assert said in ended.err
    assert f"errors {counts['errored']}; times are of the {counts['succeeded']} that succeeded" in ended.err
    assert "most often: http_503" in ended.err
    assert ended.err.index(said) < ended.err.index("Milliseconds") < ended.err.index("Indicator")
    assert f"{counts['succeeded']} succeeded, {counts['errored']} failed" in ended.err
    assert f"warning: --server-metrics {NOWHERE}: " in ended.err
    assert "reads failed: " in ended.err


def test_a_load_that_stopped_itself_says_by_what(call: Call, scripted: Scripted, tmp_path: Path) -> None:
    server: ScriptedServer = scripted(chat=lambda _prompt: 429 if server.asked % 2 else "words")
    ended = call(*load(server, tmp_path, "--requests", "5000", "--warmup", "0", "--max-error-ratio", "0.2"))
    assert ended.code == 4, ended.err
    (line,) = (line for line in ended.err.splitlines() if line.startswith("stopped: "))
    assert " requests failed, " in line
    assert "; --max-error-ratio 0.2; most often: http_429" in line
    assert "error:" not in ended.err


def test_a_process_that_is_not_there_is_refused_before_the_load(
    call: Call, scripted: Scripted, tmp_path: Path
) -> None:
    server: ScriptedServer = scripted(chat=lambda _prompt: "words")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(timeout=60)
    ended = call(*load(server, tmp_path, "--server-pid", str(gone.pid)))
    assert (ended.code, server.asked) == (2, 0)
    assert "there is no such process on this machine" in ended.err


def test_an_interrupt_in_the_warm_up_says_so(scripted: Scripted, tmp_path: Path) -> None:
    server: ScriptedServer = scripted(chat=lambda _prompt: "words")
    command = load(server, tmp_path, "--rate", "20", "--duration", "5", "--warmup", "2000")
    running = subprocess.Popen(
        [sys.executable, "-m", "hexgate", *command],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HEXGATE_LANG": "en"},
    )
    until = time.monotonic() + 60
    while server.asked < 5 and time.monotonic() < until:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "load: 20 requests/s, 2000 warm-up, then 5 s: about 105 s" in err
    assert "stopped during the warm-up: what was measured until then is kept" in err
    assert "no request succeeded" not in err
    data = check(tmp_path / "latency_p99.json").data
    assert "stopped during the warm-up" in data["invalid_reasons"]


def step(rate_rps: float, *reasons: str) -> Step:
    return Step(f"sweep/{rate_rps:g}", rate_rps, 1.0, "invalid" if reasons else "complete", (), reasons, {})


class Probers:
    """Stands in for the loads of a sweep: the client keeps up, or not, as it was told."""

    def __init__(self, *busy: bool) -> None:
        self.busy = list(busy)
        self.steps: list[Step] = []

    def __call__(self, *_: object) -> Probers:
        return self

    def measure(self, rate_rps: float, seconds: float) -> Step:
        self.steps.append(step(rate_rps, *(["busy"] if self.busy.pop(0) else [])))
        return self.steps[-1]


def swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *busy: bool) -> Swept:
    from hexgate.indicators.base import Job
    from hexgate.indicators.load_run import LoadOptions
    from hexgate.indicators.runner import start_run
    from hexgate.targets.registry import OpenOptions, open_target

    monkeypatch.setattr(load_search, "Prober", Probers(*busy))
    monkeypatch.setattr(load_search, "_write", lambda *_: None)
    target = open_target("demo:", options=OpenOptions())
    job = Job(target, data=None, options=LoadOptions(rate_rps=20.0))
    try:
        return load_search.run_sweep(job, tmp_path, start_run([]), None, lambda _: None, points=2)  # type: ignore[arg-type]
    finally:
        target.close()


def test_a_disturbed_load_of_a_sweep_is_measured_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEXGATE_LANG", "en")
    found = swept(tmp_path, monkeypatch, True, False, False)
    assert found.ended == "complete"
    assert [(one.rate_rps, one.reasons) for one in found.points] == [(10.0, ()), (20.0, ())]
    assert [one.rate_rps for one in found.retried] == [10.0]
    assert _ended_lines(found) == ["measured twice, as this client did not keep up at first: 10/s"]


def test_a_sweep_that_gives_up_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEXGATE_LANG", "en")
    found = swept(tmp_path, monkeypatch, False, True, True)
    assert found.ended == "client"
    assert [one.rate_rps for one in found.points] == [10.0, 20.0]
    assert _ended_lines(found) == [
        "the sweep ended at 20/s: this client did not keep up, twice; higher rates ask more of it",
        "invalid: busy",
    ]
    assert _ended_lines(swept(tmp_path, monkeypatch, False, False)) == []


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_table_of_a_sweep_has_a_line_for_each_load_in_80_columns(
    lang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEXGATE_LANG", lang)
    figures = dict.fromkeys(_COLUMNS, 12_345.6) | {"error_ratio": 0.0123, "tpot_p50_ms": 0.0123}
    steps = [Step("f", rate, 120.0, "invalid", (), ("busy",), figures) for rate in (10.0, 1234.0, 99_999.0)]
    table = io.StringIO()
    Console(file=table, width=80, color_system=None).print(_table(steps))
    lines = table.getvalue().splitlines()
    assert len(lines) == 2 + len(steps)
    assert all(cell_len(line.rstrip()) <= 80 for line in lines)


def test_what_a_killed_load_left_is_removed_and_told(call: Call, tmp_path: Path) -> None:
    left = tmp_path / "load.work"
    left.mkdir()
    (left / "worker-0.spool").write_bytes(b"half of a run")
    ended = call("load", "demo:", "--requests", "20", "--warmup", "0", "--out", tmp_path)
    assert f"removed {left}: a load that was killed had left it there" in ended.err
    assert not left.exists()
