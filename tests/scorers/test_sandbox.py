from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

import hexgate
from hexgate.errors import InputError
from hexgate.scorers import sandbox as sandbox_module
from hexgate.scorers import sandbox_probe, sandbox_run
from hexgate.scorers.sandbox import Ending, Limits, Ready, Sandbox, Unavailable, open_language
from hexgate.scorers.sandbox_probe import probe, remedy
from hexgate.scorers.sandbox_view import FOLDER, python
from support.sandboxes import SMALL, a_sandbox, ran

SOURCE = Path(hexgate.__file__).parents[1]


def said(text, given=b"", **limits):
    """What a program printed that ended well."""
    ended = ran(textwrap.dedent(text), given, **limits)
    assert ended.how is Ending.EXITED, ended
    assert ended.exit_code == 0, ended.stderr.decode()
    return ended.stdout.decode()


# What it is for.


def test_a_harmless_program_runs_and_its_output_comes_back():
    ended = ran("import sys\nprint(sys.stdin.read().upper())\nprint('no', file=sys.stderr)", b"hello")
    assert (ended.how, ended.exit_code, ended.signal) == (Ending.EXITED, 0, None)
    assert (ended.stdout, ended.stderr) == (b"HELLO\n", b"no\n")
    assert ended.wall_s > 0
    assert ended.cpu_s > 0
    assert ended.shared == ()
    assert ended.reason == "it ended with exit code 0"


def test_its_folder_is_its_own_empty_and_gone_afterwards():
    text = """
        import os, pathlib, tempfile
        print(os.getcwd(), os.listdir('.'))
        pathlib.Path('note').write_text('x')
        with tempfile.NamedTemporaryFile() as file:
            print(os.path.dirname(file.name), pathlib.Path('note').read_text())
    """
    assert said(text) == said(text) == f"{FOLDER} []\n{FOLDER} x\n"


def test_the_library_can_be_used():
    assert (
        said(
            """
        import asyncio, collections, ctypes, dataclasses, decimal, hashlib, json, re, sqlite3, ssl, threading, typing
        thread = threading.Thread(target=lambda: print('thread'))
        thread.start()
        thread.join()
        async def main():
            await asyncio.sleep(0)
            return 'loop'
        print(asyncio.run(main()))
        """
        )
        == "thread\nloop\n"
    )


def test_two_runs_see_the_same():
    text = "import os, time\nprint(hash('a'), sorted(os.environ.items()), time.tzname, os.uname().nodename)"
    assert said(text) == said(text)


def test_installed_packages_are_not_there():
    assert said("import sys\nprint([p for p in sys.path if 'packages' in p])") == "[]\n"
    assert ran("import pytest").exit_code == 1


def test_an_exception_is_an_exit_code():
    ended = ran("raise ValueError('mine')")
    assert (ended.how, ended.exit_code) == (Ending.EXITED, 1)
    assert b"ValueError: mine" in ended.stderr


def test_a_signal_is_told_apart():
    ended = ran("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    assert (ended.how, ended.exit_code, ended.signal) == (Ending.SIGNALLED, None, signal.SIGSEGV)
    assert ended.reason == "it was ended by SIGSEGV"


# Attacks.


def test_no_server_of_this_machine_is_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        text = f"""
            import socket
            for address in (('127.0.0.1', {port}), ('localhost', {port}), ('192.0.2.1', 80)):
                try:
                    socket.create_connection(address, timeout=1)
                except OSError as why:
                    print(type(why).__name__)
        """
        assert said(text).splitlines()[0] == "PermissionError"
        assert len(said(text).splitlines()) == 3
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    "family", [2, 10, 16, 17, 38, 40], ids=["inet", "inet6", "netlink", "packet", "alg", "vsock"]
)
def test_no_kind_of_socket_but_local_ones_is_given(family):
    text = f"""
        import socket
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            try:
                socket.socket({family}, kind)
            except OSError as why:
                print(why.errno)
    """
    assert said(text) == "13\n" * 4
    assert said("import socket\na, b = socket.socketpair()\na.send(b'x')\nprint(b.recv(1))") == "b'x'\n"


def test_a_local_socket_of_another_namespace_is_not_reached(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        name = f"\0hexgate-test-{os.getpid()}"
        server.bind(name)
        server.listen()
        ended = ran(f"import socket\nsocket.socket(socket.AF_UNIX).connect({name!r})")
    assert ended.exit_code == 1
    assert b"ConnectionRefusedError" in ended.stderr


def test_nothing_outside_is_written(tmp_path):
    there = tmp_path / "there"
    there.write_text("before")
    paths = [
        str(there),
        str(tmp_path / "new"),
        str(Path.home() / "hexgate-new"),
        "/../hexgate-new",
        "/etc/hexgate-new",
        "/usr/lib/hexgate-new",
        "/given/program.py",
        "/dev/hexgate-new",
        open_language("python").command[0],
        str(SOURCE / "hexgate/__init__.py"),
    ]
    text = f"""
        for path in {paths!r}:
            try:
                open(path, 'r+b' if path.endswith('.py') else 'ab').close()
            except OSError:
                continue
            print(path)
    """
    assert said(text) == ""
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert there.read_text() == "before"


def test_what_it_writes_to_its_folder_does_not_appear_outside():
    name = f"hexgate-left-{os.getpid()}"
    assert said(f"open('/tmp/{name}', 'w').write('x')\nprint('written')") == "written\n"
    assert not Path(FOLDER, name).exists()


def test_nothing_outside_is_read(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    paths = [
        str(secret),
        "/etc/passwd",
        "/etc/hostname",
        "/proc/self/environ",
        "/proc/1/mem",
        "/sys",
        str(SOURCE),
    ]
    text = f"""
        import os
        for path in {paths!r}:
            try:
                os.stat(path)
            except OSError:
                continue
            print(path)
    """
    assert said(text) == ""


def test_links_out_of_the_folder_lead_nowhere(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    text = f"""
        import os
        os.symlink({str(secret)!r}, 'link')
        os.symlink('/' + '../' * 20, 'up')
        for path in ('link', 'up{secret}', '/../../..{secret}'):
            try:
                print(open(path).read())
            except OSError as why:
                print(type(why).__name__)
        print(sorted(os.listdir('up')) == sorted(os.listdir('/')))
        try:
            os.link('/given/program.py', 'hard')
        except OSError as why:
            print(type(why).__name__)
    """
    assert said(text) == "FileNotFoundError\n" * 3 + "True\nOSError\n"


def test_the_environment_tells_nothing(monkeypatch):
    monkeypatch.setenv("HEXGATE_SECRET", "a key")
    text = said("import os\nprint(sorted(os.environ))\nprint(os.getuid(), os.getgroups(), os.getppid() < 3)")
    assert "HEXGATE_SECRET" not in text
    assert text.splitlines()[0] == str(sorted(open_language("python").environment))
    assert text.splitlines()[1].startswith("1000 ")


def test_a_fork_bomb_is_bounded_and_ended():
    ended = ran(
        "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass", wall_s=1.5
    )
    assert ended.how is Ending.TIMEOUT
    assert descendants() == []


def test_no_more_processes_than_allowed_are_started():
    text = """
        import os, time
        count = 0
        try:
            while True:
                if os.fork() == 0:
                    time.sleep(60)
                count += 1
        except BlockingIOError:
            print(count)
    """
    assert 1 <= int(said(text)) <= SMALL.processes + 2


def test_a_memory_hog_gets_no_more():
    ended = ran("held = []\nwhile True:\n    held.append(bytearray(1 << 20))")
    assert (ended.how, ended.exit_code) == (Ending.EXITED, 1)
    assert b"MemoryError" in ended.stderr


def test_memory_of_several_processes_counts_together():
    text = """
        import os, time
        for _ in range(4):
            if os.fork() == 0:
                held = b'x' * (100 << 20)
                time.sleep(60)
        time.sleep(60)
    """
    ended = ran(textwrap.dedent(text))
    assert (ended.how, ended.reason) == (Ending.MEMORY, "it took more memory than it may")


@pytest.mark.parametrize(
    "text",
    [
        "import ctypes\nprint(ctypes.CDLL(None, use_errno=True).shmget(0, 4096, 0o1600), ctypes.get_errno())",
        "import ctypes\nprint(ctypes.CDLL(None, use_errno=True).memfd_create(b'x', 0), ctypes.get_errno())",
        "import ctypes\nprint(ctypes.CDLL(None, use_errno=True).unshare(0x10000000), ctypes.get_errno())",
        "import ctypes\nprint(ctypes.CDLL(None, use_errno=True).ptrace(16, 1, None, None), ctypes.get_errno())",
    ],
    ids=["shared memory", "file in memory", "namespace of its own", "tracing"],
)
def test_calls_that_lead_around_the_limits_fail(text):
    # ctypes keeps the number of the error only where it is asked to, which it is.
    assert said(text).startswith("-1 ")


def test_memory_that_lies_in_files_is_bounded_too():
    text = """
        total = 0
        try:
            for number in range(1000):
                with open(f'part-{number}', 'wb') as file:
                    total += file.write(b'x' * 65536)
        except OSError as why:
            print(why.errno, total)
    """
    number, total = said(text).split()
    assert number == "28"
    assert 0 < int(total) <= SMALL.folder_bytes
    assert ran("open('large', 'wb').write(b'x' * (1 << 19))").exit_code == 1


def test_an_endless_loop_is_ended():
    ended = ran("while True:\n    pass", wall_s=1.0)
    assert (ended.how, ended.exit_code, ended.signal) == (Ending.TIMEOUT, None, None)
    assert ended.reason == "it used up its time"


def test_cpu_time_is_limited_before_the_wall_clock():
    ended = ran("while True:\n    pass", cpu_s=1)
    assert ended.how is Ending.TIMEOUT
    assert ended.wall_s < SMALL.wall_s


def test_sleeping_for_ever_is_ended_though_it_ignores_signals():
    text = """
        import signal, time
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        print('asleep', flush=True)
        time.sleep(3600)
    """
    ended = ran(textwrap.dedent(text), wall_s=5.0)
    assert ended.how is Ending.TIMEOUT
    assert ended.stdout == b"asleep\n"


def test_a_flood_of_output_ends_it_and_is_kept_up_to_the_limit():
    ended = ran("import os\nwhile True:\n    os.write(1, b'x' * 10000)")
    assert (ended.how, len(ended.stdout)) == (Ending.OUTPUT, SMALL.output_bytes)
    assert ended.reason == "it wrote more than it may"
    ended = ran("import os\nos.write(2, b'y' * (1 << 16))\nos.write(2, b'y')")
    assert (ended.how, len(ended.stderr)) == (Ending.OUTPUT, SMALL.output_bytes)
    assert ran("import os\nos.write(2, b'y' * (1 << 16))").how is Ending.EXITED


def test_its_parents_are_out_of_reach():
    assert said(SIGNALS) == "1000\n"
    ended = ran("import os, signal\nos.kill(-1, signal.SIGKILL)")
    assert b"ProcessLookupError" in ended.stderr


def test_no_process_stays_behind():
    text = """
        import os, time
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    time.sleep(3600)
                os._exit(0)
        print('left')
    """
    assert said(text) == "left\n"
    assert descendants() == []


def test_descriptors_of_this_process_are_closed():
    text = """
        import os
        for descriptor in range(3, 4096):
            try:
                os.fstat(descriptor)
            except OSError:
                continue
            print(descriptor)
    """
    with Path(__file__).open("rb") as file:
        os.set_inheritable(file.fileno(), True)
        assert said(text) == ""


def test_it_ends_with_the_process_that_waits_for_it(tmp_path):
    a_sandbox()
    script = tmp_path / "waiting.py"
    script.write_text(
        "from hexgate.scorers.sandbox import Limits, Sandbox\n"
        "sandbox = Sandbox(Limits(wall_s=300.0))\n"
        "sandbox.available()\n"
        "print('ready', flush=True)\n"
        "sandbox.run({'p.py': 'import time\\ntime.sleep(3600)'}, ('p.py',))\n"
    )
    # What is killed cannot clear away its temporary folder.
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, env=environment) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == b"ready\n"
        found = until(lambda: [pid for pid in descendants(waiting.pid) if b"/given/p.py" in command_of(pid)])
        waiting.kill()
        waiting.wait()
    assert until(lambda: [] if any(alive(pid) for pid in found) else ["gone"])


# Whether there is one.


def test_it_says_that_it_is_ready_and_what_was_tried():
    state = a_sandbox().available()
    assert isinstance(state, Ready)
    assert {"network", "read", "write", "processes", "memory", "namespaces", "deadline", "flood"} <= set(
        state.attempts
    )


def test_a_view_with_a_hole_is_no_sandbox():
    a_sandbox()
    language = python()
    state = probe(replace(language, view=replace(language.view, folders=(*language.view.folders, "/etc"))))
    assert isinstance(state, Unavailable)
    assert "/etc/passwd can be seen" in state.reason


def test_without_the_filter_there_is_no_sandbox(monkeypatch):
    a_sandbox()
    allow_all = bytes.fromhex("060000000000ff7f")
    monkeypatch.setattr(sandbox_run, "filter_code", lambda _: allow_all)
    state = probe(python())
    assert isinstance(state, Unavailable)
    assert "a socket of family 2 was given" in state.reason
    assert "a user namespace was given" in state.reason


def test_without_limits_there_is_no_sandbox(monkeypatch):
    a_sandbox()
    real = sandbox_run._rlimits
    few = {"RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_FSIZE"}
    monkeypatch.setattr(
        sandbox_run,
        "_rlimits",
        lambda limits: {name: value for name, value in real(limits).items() if name in few},
    )
    state = probe(python())
    assert isinstance(state, Unavailable)
    assert "a probe was not stopped" in state.reason


def test_an_unknown_machine_has_none_and_nothing_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox_run.platform, "machine", lambda: "riscv64")
    state = probe(python())
    assert isinstance(state, Unavailable)
    assert "riscv64" in state.reason
    assert "x86_64" in state.remedy
    monkeypatch.setattr(sandbox_module, "_probed", lambda _: state)
    marker = tmp_path / "ran"
    with pytest.raises(InputError, match="cannot be run safely") as caught:
        Sandbox().run({"p.py": f"open({str(marker)!r}, 'w')"}, ("p.py",))
    assert caught.value.hint == state.remedy
    assert not marker.exists()


FORBIDDEN = """
import os, sys
from pathlib import Path
from hexgate.scorers import sandbox_kernel
user, group = os.geteuid(), os.getegid()
sandbox_kernel.unshare(sandbox_kernel.NEWUSER)
Path("/proc/self/setgroups").write_text("deny")
Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
Path("/proc/sys/user/max_user_namespaces").write_text("0")
from hexgate.scorers.sandbox import Sandbox
state = Sandbox().available()
print(type(state).__name__, state.reason, state.remedy, sep="|")
"""


def test_a_machine_that_forbids_namespaces_says_so():
    a_sandbox()
    done = subprocess.run([sys.executable, "-c", FORBIDDEN], env={**os.environ, "PYTHONPATH": str(SOURCE)},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    kind, reason, what_to_do = done.stdout.strip().split("|")
    assert kind == "Unavailable"
    assert "unshare" in reason
    assert what_to_do == "sudo sysctl -w user.max_user_namespaces=15000"


SIGNALS = """
import os
for number in range(1, 65):
    try:
        os.kill(1, number)
    except OSError:
        pass
print(os.getuid())
"""


def test_a_user_without_rights_has_one_too():
    """Root runs its programs as nobody; another user, as themselves. Both must hold."""
    a_sandbox()
    interpreter = "/usr/bin/python3"
    if os.geteuid() != 0 or not Path(interpreter).exists() or shutil.which("setpriv") is None:
        pytest.skip("needs root, setpriv and the system's own interpreter")
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
    text = (
        "from hexgate.scorers.sandbox import Sandbox\n"
        "state = Sandbox().available()\n"
        "print(state)\n"
        f"print(Sandbox().run({{'p.py': {SIGNALS!r}}}, ('p.py',)).stdout)\n"
    )
    environment = {"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    done = subprocess.run([*as_nobody, interpreter, "-B", "-c", text], env=environment, cwd="/",
                          capture_output=True, text=True, check=False)  # fmt: skip
    if "No module named 'hexgate'" in done.stderr or "PermissionError" in done.stderr:
        pytest.skip("this checkout cannot be read by nobody")
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.startswith("Ready(")
    assert done.stdout.endswith("b'1000\\n'\n")


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "user.max_user_namespaces"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ],
)
def test_the_remedy_is_that_of_the_setting(monkeypatch, tmp_path, setting, value, expected):
    path = tmp_path / setting
    path.parent.mkdir(parents=True)
    path.write_text(f"{value}\n")
    monkeypatch.setattr(sandbox_probe, "_SYSCTL", tmp_path)
    assert expected in remedy("unshare", 1)


def test_the_remedy_in_a_container_and_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox_probe, "_SYSCTL", tmp_path)
    monkeypatch.setattr(sandbox_probe, "_CONTAINERS", (tmp_path,))
    assert "--cap-add SYS_ADMIN" in remedy("unshare", 1)
    monkeypatch.setattr(sandbox_probe, "_CONTAINERS", (tmp_path / "no",))
    assert "docs/sandbox.md" in remedy("mount /", 13)
    assert "5.14" in remedy("mount_setattr /", 38)


@pytest.mark.parametrize(
    "limit", [{"wall_s": 0.0}, {"wall_s": float("nan")}, {"memory_bytes": 1}, {"processes": 0}]
)
def test_limits_that_let_nothing_run_are_refused(limit):
    with pytest.raises(InputError, match="limit") as caught:
        Limits(**limit)
    assert next(iter(limit)) in str(caught.value)


def test_an_unknown_language_is_refused():
    with pytest.raises(InputError, match="language"):
        Sandbox(language="cobol").available()


def descendants(root=None):
    """Processes below one, by their parents in /proc."""
    parents = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(path.name)] = int(fields[1])
    found, above = [], {root or os.getpid()}
    while above:
        above = {pid for pid, parent in parents.items() if parent in above}
        found += sorted(above)
    return found


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(found):
    """Wait until something is found."""
    deadline = time.monotonic() + 120
    while not (what := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return what
