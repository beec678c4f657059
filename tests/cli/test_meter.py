"""`hexgate meter` as a real process around real commands, on a machine whose power is known."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hexgate.contract.schema import schema_mistakes
from support.powered import Powered, powered
from support.starved import StarvedError, again_where_starved

pytestmark = pytest.mark.skipif(not hasattr(signal, "sigtimedwait"), reason="waits for signals")

PATIENCE_S = 60.0
PYTHON = sys.executable


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Powered]:
    with powered(tmp_path_factory.mktemp("machine"), rest_w=50.0) as one:
        yield one


@pytest.fixture
def nothing(tmp_path: Path) -> Path:
    """A powercap tree without a zone."""
    root = tmp_path / "no-powercap"
    root.mkdir()
    return root


def environment(root: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "HEXGATE_LANG": "en", "HEXGATE_RAPL_ROOT": str(root), **more}


def arguments(*given: object) -> list[str]:
    return [PYTHON, "-m", "hexgate", "meter", *map(str, given)]


def meter(root: Path, *given: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        arguments(*given),
        input=stdin,
        capture_output=True,
        env=environment(root),
        timeout=PATIENCE_S,
        check=False,
    )


def figures_of(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    assert schema_mistakes("meter", document) == []
    for place, block in [("total", document["total"]), *enumerate(document["domains"])]:
        for name in ("energy_j", "max_power_w", "net_energy_j"):
            if block is not None and block[name] is None:
                where = place if place == "total" else f"domains.{place}"
                energy = f"{where}.energy_j" in document["missing"]
                assert energy or document["missing"][f"{where}.{name}"], (where, name)
    assert document["total"] is not None or document["missing"]["total"]
    for block, names in (("process", ("rss_bytes",)), ("host", tuple(document["host"]))):
        for name in names:
            assert document[block][name] is not None or document["missing"][f"{block}.{name}"]
    return document


def measured(path: Path) -> dict[str, Any]:
    """Figures with an energy."""
    document = figures_of(path)
    if document["total"]["energy_j"] is None:
        raise StarvedError(document["missing"])
    return document


def truth_of(machine: Powered, document: dict[str, Any]) -> float:
    """Joules that were truly drawn while the command ran."""
    window = document["recorded"]["windows"]["command"]
    return machine.truth_j(window["start_ns"], window["end_ns"])


def assert_close(
    found: float, expected: float, rel: float, machine: Powered, document: dict[str, Any]
) -> None:
    """A figure is the expected one.

    Raises:
        StarvedError: if it is not, and the process that plays the counter was held up.
    """
    window = document["recorded"]["windows"]["command"]
    close = pytest.approx(expected, rel=rel)
    if found != close and (held_s := machine.held_up_s(window["start_ns"], window["end_ns"])) > 0.02:
        raise StarvedError(f"the counter was held up for {held_s} s: {found} where {expected} is expected")
    assert found == close


def printed(err: bytes, label: str) -> str:
    """The value of a line."""
    found = re.search(rf"^ *{re.escape(label)} +(.+)$", err.decode(), re.MULTILINE)
    assert found, err.decode()
    return found[1]


def joules(err: bytes, label: str) -> tuple[float, float]:
    found = re.match(r"([\d.]+) ± ([\d.]+) joules", printed(err, label))
    if not found:
        raise StarvedError(err.decode())
    return float(found[1]), float(found[2])


@again_where_starved
def test_the_joules_are_those_that_were_drawn(machine: Powered, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    done = meter(machine.root, "--domains", "rapl", "--json", out, "--", "sleep", "1.5")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""
    document = measured(out)
    truth_j = truth_of(machine, document)
    shown_j, doubt_j = joules(done.stderr, "energy")
    assert_close(shown_j, truth_j, 0.01, machine, document)
    assert joules(done.stderr, "rapl:package-0") == (shown_j, doubt_j)
    assert document["total"]["energy_j"] == pytest.approx(shown_j, rel=0.005)
    assert doubt_j >= 0.04 * truth_j, "the sensor's own share is 5 %"
    assert document["duration_s"] >= 1.5
    assert_close(document["total"]["mean_power_w"], 50.0, 0.02, machine, document)
    assert_close(document["total"]["max_power_w"], 50.0, 0.05, machine, document)
    assert "the CPU package" in printed(done.stderr, "rapl:package-0")
    assert document["command"] == ["sleep", "1.5"]
    assert document["process"]["rss_bytes"]["max"] < 20e6, "of sleep, and not of the fork that became it"


def test_a_package_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with powered(tmp_path / "machine", rest_w=50.0) as own:
        lost = own.root / "intel-rapl:1"
        (lost / "energy_uj").mkdir(parents=True)
        (lost / "name").write_text("package-1\n", "ascii")
        done = meter(own.root, "--domains", "rapl", "--keep", kept, "--", "sleep", "1.2")
    assert done.returncode == 0, done.stderr.decode()
    document = figures_of(kept / "meter.json")
    [reason] = [reason for reason in document["total"]["degraded"] if "package-1" in reason]
    assert reason.startswith("energy of package-1 is not in it (rapl: ")
    assert "energy of package-1 is not in it" in printed(done.stderr, "energy")
    again = meter(own.root, "--recompute", kept)
    assert again.returncode == 0, again.stderr.decode()


@again_where_starved
def test_net_energy_is_what_the_command_drew_above_rest(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    with powered(tmp_path, rest_w=40.0, work_w=140.0, wraps=True) as own:
        work = f"touch {own.busy}; sleep 1.5; rm {own.busy}"
        done = meter(
            own.root, "--domains", "rapl", "--idle", "2", "--hz", "50", "--json", out, "--", "sh", "-c", work
        )
        document = measured(out)
        truth_j = truth_of(own, document)
    assert done.returncode == 0, done.stderr.decode()
    total = document["total"]
    if total["net_energy_j"] is None:
        raise StarvedError(document["missing"])
    assert_close(total["energy_j"], truth_j, 0.02, own, document)
    net_j = truth_j - 40.0 * document["duration_s"]
    assert_close(total["net_energy_j"], net_j, 0.03, own, document)
    assert_close(total["idle_power_w"], 40.0, 0.02, own, document)
    shown = re.match(
        r"([\d.]+) ± [\d.]+ joules above rest at ([\d.]+) watts", printed(done.stderr, "net energy")
    )
    assert shown, done.stderr.decode()
    assert float(shown[1]) == pytest.approx(total["net_energy_j"], rel=0.01)


@again_where_starved
def test_rest_that_drifts_leaves_no_net_energy(tmp_path: Path) -> None:
    with powered(tmp_path, rest_w=40.0, work_w=60.0) as own:
        # It leaves the machine at work.
        done = meter(
            own.root, "--domains", "rapl", "--idle", "1", "--", "sh", "-c", f"touch {own.busy}; sleep 0.5"
        )
    assert done.returncode == 0
    reason = printed(done.stderr, "net energy")
    assert reason.startswith("not measured: ")
    if "differ too much" not in reason:
        raise StarvedError(reason)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM),
        (["sh", "-c", "kill -KILL $$"], 128 + signal.SIGKILL),
        (["true"], 0),
    ],
)
def test_its_exit_code_is_that_of_the_command(
    command: list[str], code: int, nothing: Path, tmp_path: Path
) -> None:
    out = tmp_path / "figures.json"
    done = meter(nothing, "--json", out, "--", *command)
    assert done.returncode == code, done.stderr.decode()
    document = figures_of(out)
    assert document["exit_code"] == code
    assert (document["signal"] is None) == (code < 128)
    if code:
        assert str(code) in printed(done.stderr, "ended")


def test_a_command_that_is_not_there_or_cannot_be_executed(nothing: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("text\n", "utf-8")
    orphan = tmp_path / "orphan"
    orphan.write_text("#!/no/such/interpreter\n", "utf-8")
    orphan.chmod(0o755)
    noise = tmp_path / "noise"
    noise.write_bytes(b"\x7fELF of nothing")
    noise.chmod(0o755)
    for command, code, what in (
        ("no-such-command-here", 127, "there is no such command"),
        (tmp_path / "none", 127, "there is no such command"),
        (tmp_path / "plain", 126, "cannot be executed"),
        (tmp_path, 126, "cannot be executed"),
        (orphan, 126, "its interpreter is missing"),
        (noise, 126, "cannot be executed"),
    ):
        done = meter(nothing, "--", command)
        err = done.stderr.decode()
        assert done.returncode == code, (command, err)
        assert err.count("error:") == 1, err
        assert what in err
        assert "time" not in err
        assert "Traceback" not in err


@pytest.mark.parametrize("gone", [True, False])
def test_an_exit_code_stays_where_nobody_reads_the_figures(gone: bool, nothing: Path, tmp_path: Path) -> None:
    """Standard error is a pipe whose reader has gone, or a disk that is full."""
    if gone:
        reads, err = os.pipe()
        os.close(reads)
    else:
        err = os.open("/dev/full", os.O_WRONLY)
    given = arguments("--json", tmp_path / "j", "--html", tmp_path / "h", "--", "sh", "-c", "exit 3")
    try:
        done = subprocess.run(given, stderr=err, env=environment(nothing), timeout=PATIENCE_S, check=False)
    finally:
        os.close(err)
    assert done.returncode == 3
    assert (tmp_path / "j").stat().st_size > 0
    assert (tmp_path / "h").stat().st_size > 0


def test_input_output_and_arguments_pass_byte_for_byte(nothing: Path) -> None:
    given = bytes(range(256)) * 4096
    done = meter(nothing, "--", "cat", stdin=given)
    assert done.stdout == given
    script = "import sys, os; os.write(2, os.fsencode(sys.argv[1])); os.write(1, b'\\xff\\x00')"
    done = subprocess.run(
        [*map(os.fsencode, arguments("--", PYTHON, "-c", script)), b"\xfe\xffhere\n"],
        capture_output=True,
        env=environment(nothing),
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.stdout == b"\xff\x00"
    assert done.stderr.startswith(b"\xfe\xffhere\ntime ")


def test_the_command_begins_as_a_shell_would_begin_it(nothing: Path) -> None:
    own = environment(nothing, SEEN="seen", LC_ALL="C.UTF-8")
    for command in (["env"], ["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"]):
        plain = subprocess.run(command, capture_output=True, env=own, timeout=PATIENCE_S, check=True)
        done = subprocess.run(
            arguments("--", *command), capture_output=True, env=own, timeout=PATIENCE_S, check=True
        )
        assert done.stdout == plain.stdout


COUNTS = """
import signal, sys, time
got = []
signal.signal(signal.{name}, lambda *_: got.append(1))
print("ready", flush=True)
until = time.monotonic() + 30
while not got and time.monotonic() < until:
    time.sleep(0.01)
time.sleep(0.3)
print("got", len(got), flush=True)
sys.exit(3)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"])
def test_a_signal_is_passed_on_once_and_the_figures_follow(name: str, nothing: Path) -> None:
    running = subprocess.Popen(
        arguments("--", PYTHON, "-c", COUNTS.format(name=name)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(nothing),
    )
    assert running.stdout is not None
    assert running.stdout.readline() == b"ready\n"
    running.send_signal(getattr(signal, name))
    out, err = running.communicate(timeout=PATIENCE_S)
    assert out == b"got 1\n"
    assert running.returncode == 3, err.decode()
    assert printed(err, "ended") == "with exit code 3"
    assert printed(err, "time").endswith(" seconds")


TERMINAL = """
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b""
while b"ready" not in seen:
    seen += os.read(terminal, 4096)
os.write(terminal, b"\\x03")
try:
    while piece := os.read(terminal, 4096):
        seen += piece
except OSError:
    pass
_, status = os.waitpid(pid, 0)
os.write(1, seen)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_ctrl_c_of_a_terminal_reaches_the_command_once(nothing: Path) -> None:
    done = subprocess.run(
        [PYTHON, "-c", TERMINAL, *arguments("--", PYTHON, "-c", COUNTS.format(name="SIGINT"))],
        capture_output=True,
        env=environment(nothing),
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 3, done
    assert b"got 1\r\n" in done.stdout
    assert b"with exit code 3" in done.stdout


def test_a_stop_at_rest_begins_nothing(nothing: Path, tmp_path: Path) -> None:
    kept, begun = tmp_path / "kept", tmp_path / "begun"
    running = subprocess.Popen(
        arguments("--idle", "60", "--keep", kept, "--", "touch", begun),
        stderr=subprocess.PIPE,
        env=environment(nothing),
    )
    deadline = time.monotonic() + PATIENCE_S
    rows = kept / "meter.resources.jsonl.partial"
    while not (rows.exists() and rows.read_bytes().count(b"\n") > 2):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 130, err.decode()
    assert b"before the command began" in err
    assert not begun.exists()


def test_without_any_meter_there_is_a_reason_and_no_number(nothing: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    done = meter(nothing, "--domains", "", "--json", out, "--", "true")
    assert done.returncode == 2
    done = meter(nothing, "--json", out, "--html", tmp_path / "page.html", "--", "sh", "-c", "exit 4")
    assert done.returncode == 4
    document = figures_of(out)
    if document["total"] is not None:
        pytest.skip("this machine has a meter of its own")
    reason = printed(done.stderr, "energy")
    assert reason.startswith("not measured: ")
    assert "shows no RAPL zone" in reason
    assert "power" not in done.stderr.decode().split()
    assert document["domains"] == []
    assert "No energy was measured" in (tmp_path / "page.html").read_text("utf-8")


def test_cpu_seconds_are_those_of_the_command_and_its_children(nothing: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    burn = "import time\nwhile time.process_time() < {}: pass"
    both = f"import subprocess, sys; exec({burn.format(0.4)!r})\n"
    both += f"subprocess.run([sys.executable, '-c', {burn.format(0.3)!r}])"
    done = meter(nothing, "--json", out, "--", PYTHON, "-c", both)
    assert done.returncode == 0, done.stderr.decode()
    process = figures_of(out)["process"]
    assert 0.69 <= process["cpu_s"] <= 1.2
    assert process["cpu_s"] == process["user_s"] + process["system_s"]
    assert "cores" in printed(done.stderr, "CPU")


def test_memory_is_that_of_the_command(nothing: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    holds = "import time; held = bytearray(300_000_000); time.sleep(0.7)"
    assert meter(nothing, "--json", out, "--", PYTHON, "-c", holds).returncode == 0
    process = figures_of(out)["process"]
    assert 300e6 <= process["largest_rss_bytes"] <= 400e6
    assert 300e6 <= process["rss_bytes"]["max"] <= 400e6


def test_a_domain_that_is_not_there_is_refused_before_anything_runs(machine: Powered, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    for wrong in ("rapl:package-7", "volts", "rapl,volts", "tegra:x"):
        done = meter(machine.root, "--domains", wrong, "--", "touch", begun)
        err = done.stderr.decode()
        assert done.returncode == 2, err
        assert "rapl:package-0" in err
        assert wrong.split(",")[-1] in err
        assert "Traceback" not in err
    assert not begun.exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "name a command"),
        (["--hz", "0", "--", "true"], "--hz"),
        (["--idle", "nan", "--", "true"], "--idle"),
        (["--clock", "unix", "--", "true"], "--import"),
        (["--import", "x.csv", "--import-columns", "t", "--", "true"], "TIME,VALUE"),
        (["--recompute", "nosuch", "--", "true"], "takes no command"),
        (["--recompute", "nosuch", "--watts-per-core", "3"], "no meaning"),
        (["--import", "x.csv", "--clock-start", "noon", "--clock", "seconds", "--", "true"], "--clock-start"),
        (["--json", "/proc/none/x.json", "--", "true"], "x.json"),
        (["--keep", "/proc/none", "--", "true"], "/proc/none"),
    ],
)
def test_a_mistake_is_told_in_one_error(given: list[str], words: str, nothing: Path) -> None:
    done = meter(nothing, *given)
    assert done.returncode == 2
    assert words in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


@again_where_starved
def test_what_was_kept_gives_the_same_figures_again(machine: Powered, tmp_path: Path) -> None:
    kept, again = tmp_path / "kept", tmp_path / "again.json"
    done = meter(machine.root, "--keep", kept, "--watts-per-core", "8", "--", "sleep", "1.2")
    assert done.returncode == 0, done.stderr.decode()
    document = measured(kept / "meter.json")
    assert document["files"].keys() == {"resources", "power"}
    assert "no measurement" in printed(done.stderr, "estimate")
    recomputed = meter(machine.root, "--recompute", kept, "--json", again)
    assert recomputed.returncode == 0, recomputed.stderr.decode()
    assert figures_of(again) == document
    lines = recomputed.stderr.decode().splitlines()
    assert lines[1:] == done.stderr.decode().splitlines(), "the file is written before they are shown"

    changed = json.loads((kept / "meter.json").read_text("utf-8"))
    changed["total"]["energy_j"] *= 1.001
    (kept / "meter.json").write_text(json.dumps(changed), "utf-8")
    recomputed = meter(machine.root, "--recompute", kept)
    assert recomputed.returncode == 4
    assert "total" in recomputed.stderr.decode()

    rows = (kept / "meter.power.jsonl").read_bytes().splitlines(keepends=True)
    (kept / "meter.power.jsonl").write_bytes(b"".join(rows[:-1]))
    recomputed = meter(machine.root, "--recompute", kept)
    assert recomputed.returncode == 4
    assert "meter.power.jsonl" in recomputed.stderr.decode()
    assert meter(machine.root, "--recompute", tmp_path / "nosuch").returncode == 4


@again_where_starved
def test_another_meter_gives_the_energy_of_the_command(machine: Powered, tmp_path: Path) -> None:
    given = ["--import", machine.plug, "--clock", "unix", "--import-uncertainty", "0.01"]
    kept, out = tmp_path / "kept", tmp_path / "figures.json"
    done = meter(machine.root, *given, "--keep", kept, "--json", out, "--", "sleep", "1.5")
    assert done.returncode == 0, done.stderr.decode()
    assert "not added" in printed(done.stderr, "rapl:package-0")
    assert meter(machine.root, "--recompute", kept).returncode == 0
    document = measured(out)
    by_id = {block["id"]: block for block in document["domains"]}
    assert by_id["imported:plug"]["in_total"]
    assert not by_id["rapl:package-0"]["in_total"], "the whole machine contains its CPU"
    assert document["total"]["ids"] == ["imported:plug"]
    assert_close(document["total"]["energy_j"], truth_of(machine, document), 0.02, machine, document)

    plain = tmp_path / "plain"
    assert meter(machine.root, "--keep", plain, "--", "sleep", "1.1").returncode == 0
    late = meter(machine.root, "--recompute", plain, *given, "--json", out)
    assert late.returncode == 0, late.stderr.decode()
    document = measured(out)
    assert_close(document["total"]["energy_j"], truth_of(machine, document), 0.02, machine, document)

    silent = meter(machine.root, "--recompute", plain, *given[:-2], "--json", out)
    assert "and the meter's own error, which is not stated" in printed(silent.stderr, "energy")
    document = measured(out)
    assert (document["total"]["sensor_j"], document["total"]["uncertainty_j"]) == (None, None)
    why = document["missing"]["total.uncertainty_j"]
    assert why == "the meter's own error is not stated: imported:plug (--import-uncertainty takes it)"


@again_where_starved
def test_a_file_that_cannot_be_used_spoils_nothing_else(machine: Powered, tmp_path: Path) -> None:
    plug = tmp_path / "plug.csv"
    write = f"printf 't,power_w\\n1,5\\n2,x\\n' > {plug}; exit 5"
    done = meter(
        machine.root,
        "--domains",
        "rapl",
        "--import",
        plug,
        "--clock",
        "unix",
        "--",
        "sh",
        "-c",
        f"sleep 1; {write}",
    )
    assert done.returncode == 5
    assert joules(done.stderr, "energy")[0] > 0
    reason = printed(done.stderr, "imported")
    assert reason.startswith("not measured: ")
    assert f"{plug}:3" in reason
    begun = tmp_path / "begun"
    refused = meter(machine.root, "--import", plug, "--import-columns", "t,watts", "--", "touch", begun)
    assert refused.returncode == 2
    assert "t, power_w" in refused.stderr.decode()
    assert not begun.exists()


@again_where_starved
def test_it_speaks_chinese(machine: Powered, nothing: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    done = meter(machine.root, "--domains", "rapl", "--lang", "zh", "--json", out, "--", "sleep", "0.5")
    said = done.stderr.decode()
    assert done.returncode == 0, said
    measured(out)
    assert re.search(r"^能量 +[\d.]+ ± [\d.]+ 焦耳$", said, re.MULTILINE), said
    assert "CPU 封装" in said
    assert not re.search(r"\b(seconds|joules|watts)\b", said)
    refused = meter(nothing, "--lang", "zh", "--domains", "rapl", "--", "true").stderr.decode()
    assert "没有这个能量测量域" in refused
    # What stands behind the -- is the command's.
    assert meter(nothing, "--", "printf", "%s", "--lang").stdout == b"--lang"


@again_where_starved
def test_the_page_stands_alone(machine: Powered, tmp_path: Path) -> None:
    page = tmp_path / "sub" / "page.html"
    done = meter(machine.root, "--domains", "rapl", "--html", page, "--", "sleep", "1.2")
    assert done.returncode == 0, done.stderr.decode()
    assert joules(done.stderr, "energy")[0] > 0
    html = page.read_text("utf-8")
    assert "rapl:package-0" in html
    assert html.count("<figure>") == 1
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", html)


def test_help_in_both_languages(nothing: Path) -> None:
    assert "--import-columns" in meter(nothing, "--help").stdout.decode()
    # What help says is chosen when a command is imported, once in a process.
    assert "标准错误" in meter(nothing, "--help", "--lang", "zh").stdout.decode()


def test_a_sampler_that_dies_leaves_its_reason_and_the_exit_code(machine: Powered, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    kills = (
        "import os, psutil, sys, time\n"
        "for one in psutil.Process(os.getppid()).children():\n"
        "    if 'hexgate.meters.sampler' in one.cmdline(): one.kill()\n"
        "time.sleep(0.5)\n"
        "sys.exit(6)"
    )
    done = meter(machine.root, "--domains", "rapl", "--json", out, "--", PYTHON, "-c", kills)
    assert done.returncode == 6, done.stderr.decode()
    assert printed(done.stderr, "energy").startswith("not measured: ")
    assert "the sampler ended before" in printed(done.stderr, "recording")
    document = figures_of(out)
    assert document["total"]["energy_j"] is None
    assert document["recorded"]["sampler"]["failure"]
