"""run_benchmark.sh as a process: the real script, the real hexgate, the real reference endpoint, on this machine.

Where a Jetson is pretended, nvpmodel and jetson_clocks are stubs that play authored output.
"""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import ExitCode
from hexgate.resources import shipped
from hexgate.study.edge.package import pack_study
from support.command import Ended
from support.served import served
from support.studies import write_study

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the script is for Linux")
SCRIPT = shipped("platforms/job_templates/jetson/run_benchmark.sh")
MODEL = "hexgate-demo-lm"
PATIENCE_S = 90.0

_NVPMODEL = r"""#!/bin/sh
echo "nvpmodel $*" >>"$NODE/calls"
case $1 in
  -q) printf 'NV Power Mode: MODE_%s\n%s\n' "$(cat "$NODE/mode")" "$(cat "$NODE/mode")" ;;
  -m) if [ -e "$NODE/stuck" ]; then echo "NVPM WARN: Reboot required"; else echo "$2" >"$NODE/mode"; fi ;;
esac
"""
_CLOCKS = r"""#!/bin/sh
echo "jetson_clocks $*" >>"$NODE/calls"
case $1 in
  --show) echo "cpu0: online=1 MinFreq=729600" ;;
  --store) cat "$NODE/clocks" >"$2" ;;
  --restore) cat "$2" >"$NODE/clocks" ;;
  '') echo pinned >"$NODE/clocks" ;;
esac
"""
_SUDO = '#!/bin/sh\nshift 2\nexec "$@"\n'


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with served() as url:
        yield url


class Bench:
    """A folder with a study and the script, as a package has it."""

    def __init__(self, folder: Path, origin: str, **changes: Any) -> None:
        self.folder = folder / "a package"
        models = [{"name": "chat", "target": f"{origin}/v1", "model": MODEL}]
        tasks = [{"name": name, "items": "items.jsonl"} for name in ("writing", "math")]
        write_study(
            self.folder, models=models, tasks=tasks, **{"runs": 1, "loads": [{"name": "L0"}], **changes}
        )
        shutil.copy(SCRIPT, self.folder)
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.program("hexgate", f'#!/bin/sh\nexec "{sys.executable}" -m hexgate "$@"\n')
        self.node = folder / "node"
        self.node.mkdir()
        self.environment = {
            **os.environ,
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HEXGATE_LANG": "en",
            "NODE": str(self.node),
            "HEXGATE_HOST_ROOT": "",
        }
        self.results = self.folder / "results"

    def program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(text, encoding="utf-8")
        (self.programs / name).chmod(0o755)

    def pretend_jetson(self, folder: Path) -> None:
        (folder / "etc").mkdir(parents=True)
        (folder / "etc" / "nv_tegra_release").write_text("# R36 (release), REVISION: 4.3\n", encoding="utf-8")
        (folder / "sys" / "class" / "thermal" / "thermal_zone0").mkdir(parents=True)
        (folder / "sys/class/thermal/thermal_zone0/temp").write_text("81500\n", encoding="utf-8")
        for name, text in (("nvpmodel", _NVPMODEL), ("jetson_clocks", _CLOCKS), ("sudo", _SUDO)):
            self.program(name, text)
        (self.node / "mode").write_text("2\n", encoding="utf-8")
        (self.node / "clocks").write_text("as they were\n", encoding="utf-8")
        self.environment["HEXGATE_HOST_ROOT"] = str(folder)

    def as_it_was(self) -> None:
        assert (self.node / "mode").read_text("utf-8") == "2\n"
        assert (self.node / "clocks").read_text("utf-8") == "as they were\n"
        assert not (self.results / "pinned").exists()

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", str(self.folder / SCRIPT.name), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=self.environment,
            start_new_session=True,
        )

    def run(self, *words: str) -> Ended:
        process = self.start(*words)
        out, err = process.communicate(timeout=PATIENCE_S)
        return Ended(process.returncode, out, err)

    def records(self) -> list[dict[str, Any]]:
        path = self.results / "study" / "runs.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


@pytest.fixture
def bench(tmp_path: Path, origin: str) -> Bench:
    return Bench(tmp_path, origin, request={"max_tokens": 400})


def test_one_category_then_all_of_one_study_from_the_check_to_the_report(bench: Bench) -> None:
    one = bench.run("run", "writing")
    assert one.code == ExitCode.OK, one.err
    assert {record["task"] for record in bench.records()} == {"writing"}, one.err
    first = bench.records()
    rest = bench.run("full", "all")
    records = bench.records()
    # What was made for the category is not made again.
    assert records[: len(first)] == first
    assert {record["task"] for record in records} == {"writing", "math"}
    assert len({record["run_id"] for record in records}) == len(records)
    # There is no meter here, and a study without energy is not complete: the script says so, and goes on to its end.
    assert rest.code == ExitCode.EVIDENCE, rest.err
    assert "got no energy" in rest.out
    assert "cut at" not in rest.out
    assert "this is another Linux machine" in rest.err
    assert "== Completeness" in rest.err
    assert "judge: left out, the study has no block judge" in rest.err
    assert (bench.results / "report.html").is_file()
    assert list((bench.results / "export").iterdir())


def test_the_check_alone_measures_nothing(bench: Bench) -> None:
    ended = bench.run("check")
    assert ended.code == ExitCode.OK, ended.err
    for name in ("device", "python", "hexgate", "disk", "memory", "temperature"):
        assert f"\n{name:12} " in ended.err, name
    assert "rapl" in ended.err
    assert not bench.results.exists()
    assert "没有运行记录" in bench.run("after", "--lang", "zh").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Usage"),
        (["full", "wrting"], "no such category: wrting; there are: writing math"),
        (["fly"], "no such action: fly"),
        (["check", "writing"], "check takes no category"),
        (["full", "all", "more"], "too many words: more"),
        (["full", "--bogus"], "no such option: --bogus"),
        (["full", "--power-mode", "MAXN"], "expected a number"),
        (["full", "--out"], "--out needs a value"),
        (["full", "--lang", "fr"], "expected en or zh"),
        (["full", "--study", "none.yaml"], "there is no such study"),
        (["after"], "there are no runs"),
    ],
)
def test_mistakes_are_told(bench: Bench, words: Sequence[str], said: str) -> None:
    ended = bench.run(*words)
    assert ended.code == ExitCode.INPUT, ended.err
    assert said in ended.err
    assert not bench.results.exists()


def test_a_study_with_a_mistake_ends_as_hexgate_says(bench: Bench) -> None:
    write_study(bench.folder, coold="nonce")
    ended = bench.run("full", "all")
    assert ended.code == ExitCode.INPUT
    assert "did you mean cold?" in ended.err


def test_without_hexgate_it_says_how_to_get_it(bench: Bench) -> None:
    (bench.programs / "hexgate").unlink()
    bench.environment["PATH"] = f"{bench.programs}:/usr/bin:/bin"
    ended = bench.run("check")
    assert ended.code == ExitCode.INPUT
    assert "pip install -r requirements.txt" in ended.err
    bench.environment["HEXGATE"] = "no-such-program"
    assert "HEXGATE: there is no such program" in bench.run("check").err


def test_without_its_server_the_study_ends_and_says_how_to_go_on(bench: Bench) -> None:
    models = [{"name": "chat", "target": "http://127.0.0.1:9/v1", "model": MODEL}]
    write_study(bench.folder, models=models)
    ended = bench.run("run", "all")
    assert ended.code == ExitCode.TARGET, ended.err
    assert "to go on: bash '" in ended.err
    assert "== Export" not in ended.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_keeps_what_it_has_and_says_how_to_go_on(
    tmp_path: Path, origin: str, number: signal.Signals
) -> None:
    bench = Bench(tmp_path, origin, runs=40)
    process = bench.start("run", "math", "--limit", "70")
    deadline = time.monotonic() + PATIENCE_S
    while len(bench.records()) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    # As a terminal does it: everybody of the group hears it.
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == ExitCode.INTERRUPTED, err
    assert f"To go on: bash '{bench.folder / SCRIPT.name}' run math --limit 70" in err
    made = len(bench.records())
    assert made >= 3
    if number is signal.SIGTERM:
        return
    rest = bench.run("run", "math", "--limit", "2")
    assert rest.code == ExitCode.OK, rest.err
    assert len(bench.records()) == made + 2


def test_power_mode_and_clocks_are_changed_only_when_asked_and_put_back(bench: Bench, tmp_path: Path) -> None:
    bench.pretend_jetson(tmp_path / "root")
    ended = bench.run("check")
    assert ended.code == ExitCode.OK, ended.err
    assert "MODE_2 (mode 2)" in ended.err
    assert "online=1" in ended.err
    assert "81 C: let it cool down first" in ended.err
    calls = (bench.node / "calls").read_text("utf-8").splitlines()
    assert {call for call in calls if not call.endswith(("-q", "--show"))} == set()
    pinned = bench.run("run", "writing", "--power-mode", "0", "--jetson-clocks")
    assert pinned.code == ExitCode.OK, pinned.err
    assert "MODE_0 (mode 0)" in pinned.err
    calls = (bench.node / "calls").read_text("utf-8").splitlines()
    changes = [call.split("/")[0].strip() for call in calls if not call.endswith(("-q", "--show"))]
    assert changes == [
        "nvpmodel -m 0",
        "jetson_clocks --store",
        "jetson_clocks",
        "jetson_clocks --restore",
        "nvpmodel -m 2",
    ]
    bench.as_it_was()


def test_a_mode_that_needs_a_reboot_ends_before_a_run(bench: Bench, tmp_path: Path) -> None:
    bench.pretend_jetson(tmp_path / "root")
    (bench.node / "stuck").touch()
    ended = bench.run("run", "writing", "--power-mode", "0")
    assert ended.code == ExitCode.INPUT, ended.err
    assert "did not go to mode 0: NVPM WARN: Reboot required" in ended.err
    assert bench.records() == []
    bench.as_it_was()


def test_what_a_killed_run_left_is_put_back_by_the_next(tmp_path: Path, origin: str) -> None:
    bench = Bench(tmp_path, origin, runs=40)
    bench.pretend_jetson(tmp_path / "root")
    process = bench.start("run", "writing", "--power-mode", "0", "--jetson-clocks")
    deadline = time.monotonic() + PATIENCE_S
    while not bench.records():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    busy = bench.run("run", "writing", "--power-mode", "0")
    assert busy.code == ExitCode.INPUT
    assert "has pinned this device" in busy.err
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert (bench.node / "mode").read_text("utf-8") == "0\n"
    ended = bench.run("restore")
    assert ended.code == ExitCode.OK, ended.err
    bench.as_it_was()


def test_without_arguments_a_terminal_gets_a_menu(bench: Bench) -> None:
    above, below = pty.openpty()
    process = subprocess.Popen(
        ["bash", str(bench.folder / SCRIPT.name)],
        stdin=below,
        stdout=below,
        stderr=below,
        env=bench.environment,
    )
    os.close(below)
    said = b""
    try:
        while b"Choose: " not in said:
            said += os.read(above, 4096)
        os.write(above, b"5\n")
        assert process.wait(PATIENCE_S) == ExitCode.OK
    finally:
        process.kill()
        process.wait()
        os.close(above)
    assert b"one category" in said


def test_one_category_is_told_without_the_others(bench: Bench) -> None:
    # What comes after the runs is written down here, and done in the test above.
    told = 'case $2 in export|check|report) echo "$*" >>"$NODE/calls"; exit 0 ;; esac\n'
    bench.program("hexgate", f'#!/bin/sh\n{told}exec "{sys.executable}" -m hexgate "$@"\n')
    ended = bench.run("full", "writing")
    assert ended.code == ExitCode.OK, ended.err
    assert "that the others have no runs yet" in ended.err
    calls = [line.split() for line in (bench.node / "calls").read_text("utf-8").splitlines()]
    assert [call[1] for call in calls] == ["export", "check", "report"]
    assert ["--without" in call for call in calls] == [True, True, False]


def test_a_package_runs_where_it_is_unpacked(bench: Bench, tmp_path: Path) -> None:
    package = tmp_path / "package.tar.gz"
    packed = pack_study(bench.folder / "study.yaml", package, models=False, wheel=None)
    shutil.rmtree(bench.folder)
    away = tmp_path / "away"
    away.mkdir()
    subprocess.run(["tar", "-xzf", str(package)], cwd=away, check=True)
    bench.folder = away / packed.folder
    bench.results = bench.folder / "results"
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=bench.folder, check=True)
    ended = bench.run("run", "math")
    assert ended.code == ExitCode.OK, ended.err
    assert [record["task"] for record in bench.records()] == ["math", "math"]


def test_the_help_names_the_same_flags_and_actions_in_both_languages(bench: Bench) -> None:
    found = []
    for language in ("en", "zh"):
        ended = bench.run("--lang", language, "--help")
        assert ended.code == ExitCode.OK
        found.append(re.findall(r"^  (--[a-z-]+|[a-z]+)\b", ended.out, re.MULTILINE))
    assert found[0] == found[1]
    assert {"check", "full", "run", "after", "restore", "--power-mode", "--jetson-clocks"} <= set(found[0])


def test_shellcheck_finds_nothing() -> None:
    program = str(Path(sys.executable).with_name("shellcheck"))
    checked = subprocess.run([program, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
