from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from hexgate.errors import InputError
from hexgate.meters.base import Scope
from hexgate.meters.recorder import Recorder
from hexgate.meters.rows import traces
from hexgate.meters.sampler import Rows
from hexgate.meters.summary import summarise_resources
from hexgate.meters.windows import Energy, Window, energy_j

PATIENCE_S = 120.0


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def _lines(path: Path) -> int:
    return path.with_name(path.name + ".partial").read_bytes().count(b"\n")


def _has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_both_files_cover_the_measurement(tmp_path: Path, powercap: Any) -> None:
    range_uj = 262_143_328_850
    begin_uj = range_uj - 2_000_000  # it wraps on the way
    counter = powercap.zone("intel-rapl:0", "package-0", energy_uj=begin_uj, range_uj=range_uj)
    end = threading.Event()

    def work() -> None:
        energy_uj = begin_uj
        while not end.wait(0.002):
            energy_uj += 100_000
            powercap.put(counter, energy_uj % range_uj)

    writer = threading.Thread(target=work)
    writer.start()
    # On a busy machine the sensor may go unread for a part of the span, which then rightly has no energy.
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        recorder = Recorder(
            folder, "run", pid=os.getpid(), resources_hz=50, power_hz=100, rapl_root=powercap.root
        )
        with recorder:
            start_ns = recorder.mark_ns()
            before = _lines(recorder.resources_path), _lines(recorder.power_path)
            _wait_for(lambda: _lines(recorder.resources_path) >= before[0] + 20)  # noqa: B023 - waited for here
            _wait_for(lambda: _lines(recorder.power_path) >= before[1] + 20)  # noqa: B023 - waited for here
            end_ns = recorder.mark_ns()
        window = Window(start_ns, end_ns)
        resources, power = _rows(recorder.resources_path), _rows(recorder.power_path)
        [domain] = recorder.domains
        trace = traces(power)[domain.id]
        energy = energy_j(trace, domain, window)
        if isinstance(energy, Energy):
            break
    end.set()
    writer.join()

    assert recorder.failure is None
    assert [domain.scope for domain in recorder.domains] == [Scope.PACKAGE]
    assert {lack.meter for lack in recorder.unavailable} <= {"nvml", "jetson", "host"}
    assert recorder.rows == {"resources": len(resources), "power": len(power)}
    assert not list(folder.glob("*.partial"))
    assert power[0]["t_ns"] < start_ns
    assert power[-1]["t_ns"] > end_ns
    summary = summarise_resources(resources, window)
    assert summary["covered_ratio"] == 1.0
    assert summary["process_rss_bytes"]["samples"] >= 19
    assert summary["process_rss_bytes"]["mean"] > 0
    assert isinstance(energy, Energy), energy
    assert energy.readings >= 19
    steps = [(later - sooner) % (range_uj / 1e6) for (_, sooner), (_, later) in pairwise(trace)]
    assert 0 < energy.energy_j < sum(steps)


def test_document_makes_the_rows_readable(tmp_path: Path, powercap: Any) -> None:
    powercap.zone("intel-rapl:0", "package-0")
    with Recorder(tmp_path, "run", pid=os.getpid(), rapl_root=powercap.root) as recorder:
        pass
    document = json.loads(json.dumps(recorder.to_json()))
    assert document["failure"] is None
    assert document["domains"][0]["unit"] == "J"
    assert "cpu_ratio" in {block["id"] for block in document["resources"]}


def test_start_is_not_waited_for_until_the_measurement_begins(tmp_path: Path, powercap: Any) -> None:
    powercap.zone("intel-rapl:0", "package-0")
    recorder = Recorder(tmp_path, "run", pid=os.getpid(), rapl_root=powercap.root, wait=False)
    with recorder:
        assert recorder.domains == []  # nobody has listened yet
        recorder.wait()
        start_ns = recorder.mark_ns()
        assert _lines(recorder.resources_path) >= 1
        assert _lines(recorder.power_path) >= 1
        recorder.wait()  # again, for nothing
    assert recorder.failure is None
    assert [domain.id for domain in recorder.domains] == ["rapl:package-0"]
    assert _rows(recorder.resources_path)[0]["t_ns"] < start_ns
    assert _rows(recorder.power_path)[0]["t_ns"] < start_ns


def test_measurement_that_never_began_has_its_document_all_the_same(tmp_path: Path) -> None:
    with Recorder(tmp_path, "run", pid=os.getpid(), wait=False) as recorder:
        pass
    assert recorder.failure is None
    assert recorder.rows["resources"] >= 1
    assert "cpu_ratio" in {block["id"] for block in recorder.to_json()["resources"]}


def test_sampler_that_fails_is_said_by_who_waits_for_it(tmp_path: Path) -> None:
    with Recorder(tmp_path / "nowhere", "run", pid=os.getpid(), wait=False) as recorder:
        recorder.wait()
        assert "No such file or directory" in str(recorder.failure)
        recorder.wait()
    assert recorder.rows == {}


def test_machine_without_meters_still_records_resources(tmp_path: Path) -> None:
    with Recorder(tmp_path, "run", pid=None, meters=("rapl",), rapl_root=tmp_path) as recorder:
        pass
    assert "process_cpu_s" in {lack.what for lack in recorder.unavailable}
    assert recorder.failure is None
    assert recorder.domains == []
    assert "rapl" in {lack.meter for lack in recorder.unavailable}
    assert recorder.rows["power"] == 0
    assert recorder.rows["resources"] >= 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_sampler_is_said_and_what_it_wrote_is_kept(tmp_path: Path, number: int) -> None:
    with Recorder(tmp_path, "run", pid=os.getpid(), resources_hz=100) as recorder:
        _wait_for(lambda: _lines(recorder.resources_path) >= 5)
        assert recorder._process is not None
        recorder._process.send_signal(number)
        _wait_for(lambda: recorder.failure is not None)
        partial = recorder.resources_path.with_name("run.resources.jsonl.partial")
        with partial.open("ab") as file:
            file.write(b'{"t_ns":1')
    assert f"signal {int(number)}" in str(recorder.failure)
    assert len(_rows(recorder.resources_path)) == recorder.rows["resources"] >= 5


def test_interrupt_from_the_keyboard_is_the_parent_s_to_decide(tmp_path: Path) -> None:
    with Recorder(tmp_path, "run", pid=os.getpid(), resources_hz=100) as recorder:
        assert recorder._process is not None
        recorder._process.send_signal(signal.SIGINT)
        before = _lines(recorder.resources_path)
        _wait_for(lambda: _lines(recorder.resources_path) >= before + 3)
    assert recorder.failure is None


def test_error_of_the_measurement_passes_through(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "run", pid=os.getpid())
    with pytest.raises(KeyboardInterrupt), recorder:
        raise KeyboardInterrupt
    assert recorder.failure is None
    assert recorder.rows["resources"] >= 2


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    with Recorder(tmp_path / "nowhere", "run", pid=os.getpid()) as recorder:
        assert "No such file or directory" in str(recorder.failure)
    assert recorder.rows == {}
    assert recorder.to_json()["failure"] == recorder.failure


def test_interpreter_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with Recorder(tmp_path, "run", pid=os.getpid()) as recorder:
        assert "could not be started" in str(recorder.failure)
    assert recorder.rows == {}


def test_sampler_that_cannot_even_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    with Recorder(tmp_path, "run", pid=os.getpid()) as recorder:
        assert "exit code 1" in str(recorder.failure)


def test_mistakes_of_a_caller(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="energy meter"):
        Recorder(tmp_path, "run", pid=1, meters=("host",))
    with pytest.raises(InputError, match="rate"):
        Recorder(tmp_path, "run", pid=1, power_hz=0)


def test_credentials_of_a_target_are_in_no_argument(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "run", pid=1, server_url="http://user:sesame@127.0.0.1:8000/v1?key=sesame")
    assert "http://127.0.0.1:8000" in recorder._command[-1]
    assert "sesame" not in " ".join(recorder._command)


def test_full_disk_is_an_error_not_a_lost_row() -> None:
    rows = Rows(Path("/dev/full"))
    with pytest.raises(OSError, match="No space left"):
        rows.write({"t_ns": 1})
    rows.close()


def _script(body: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(body)]


@pytest.mark.parametrize("with_fork", [False, True])
def test_killed_parent_leaves_no_orphan(tmp_path: Path, with_fork: bool) -> None:
    """A fork of the parent keeps the pipe open beyond its death, and must not keep the sampler alive."""
    body = f"""
        import os, time
        from pathlib import Path
        from hexgate.meters.recorder import Recorder
        with Recorder(Path({str(tmp_path)!r}), "run", pid=os.getpid()) as recorder:
            fork = os.fork() if {with_fork} else 0
            if {with_fork} and not fork:
                time.sleep({PATIENCE_S})
                os._exit(0)
            print(recorder._process.pid, fork, flush=True)
            time.sleep({PATIENCE_S})
        """
    parent = subprocess.Popen(_script(body), stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    sampler, fork = map(int, parent.stdout.readline().split())
    try:
        assert not _has_ended(sampler)
        parent.kill()
        parent.wait()
        _wait_for(lambda: _has_ended(sampler))
    finally:
        parent.stdout.close()
        if fork:
            os.kill(fork, signal.SIGKILL)
    assert (tmp_path / "run.resources.jsonl.partial").is_file()


@pytest.mark.skipif(os.name == "nt", reason="a parent is known by its id on POSIX alone")
def test_sampler_whose_parent_is_gone_before_it_begins_touches_no_file(tmp_path: Path) -> None:
    """Whoever goes on in the parent's place may be writing files of the same name."""
    [*_, argument] = Recorder(tmp_path, "run", pid=None)._command
    task = json.dumps({**json.loads(argument), "parent": 1})
    ended = subprocess.run(
        [sys.executable, "-m", "hexgate.meters.sampler", task], timeout=PATIENCE_S, check=False
    )
    assert ended.returncode == 3
    assert list(tmp_path.iterdir()) == []


def test_fork_that_holds_the_pipe_does_not_delay_the_end(tmp_path: Path) -> None:
    body = f"""
        import os, signal, time
        from pathlib import Path
        from hexgate.meters.recorder import Recorder
        with Recorder(Path({str(tmp_path)!r}), "run", pid=os.getpid()) as recorder:
            fork = os.fork()
            if not fork:
                time.sleep({PATIENCE_S})
                os._exit(0)
        print(recorder.failure, sorted(recorder.rows))
        os.kill(fork, signal.SIGKILL)
        os.waitpid(fork, 0)
        """
    done = subprocess.run(_script(body), capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    assert done.stdout.strip() == "None ['power', 'resources']"


def test_files_of_the_user_do_not_stand_in_for_modules(tmp_path: Path) -> None:
    """Neither the main module nor what lies in the working folder is imported by the sampler."""
    (tmp_path / "psutil.py").write_text("raise SystemExit('a user file was imported')\n", encoding="utf-8")
    main = tmp_path / "main.py"
    main.write_text(
        textwrap.dedent("""
            import os, sys
            from pathlib import Path
            print("main", flush=True)
            sys.path.remove(str(Path(__file__).parent))
            from hexgate.meters.recorder import Recorder
            with Recorder(Path(), "run", pid=os.getpid()) as recorder:
                pass
            print(recorder.failure)
        """),
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, str(main)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert done.stdout.splitlines() == ["main", "None"]
    assert (tmp_path / "run.resources.jsonl").is_file()
