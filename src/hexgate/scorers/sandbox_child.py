"""What stands around an untrusted program: its keeper outside, the first process inside, and the step into it.

`hexgate.scorers.sandbox_run` starts `main` in a process of its own. The *keeper* leaves for new namespaces and watches
time, memory and output. *First* is process 1 of the new process namespace, builds what can be seen, and waits. The
*program* gives up every right and begins. Each step that fails ends all of it before the program begins. When first
ends, the kernel kills whatever else lives in its namespace.
"""

from __future__ import annotations

import base64
import json
import math
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from hexgate.scorers import sandbox_kernel as kernel
from hexgate.scorers.sandbox_watch import Watch

__all__ = ["main"]

_INSIDE_ID = 1000
_NOBODY = 65534
_ALARM_GRACE_S = 5


def main() -> None:
    """Read what is to be run from standard input, run it, and say on standard output what became of it."""
    spec = json.load(sys.stdin)
    try:
        told = _keep(spec)
    except OSError as why:
        told = {"fault": _fault(why)}
    json.dump(told, sys.stdout)


def _keep(spec: dict[str, Any]) -> dict[str, Any]:
    outside = kernel.namespaces()
    others = frozenset(os.listdir("/proc"))  # noqa: PTH208 - names are what is wanted
    _own_namespaces()
    # Entering a user namespace may have cleared an earlier wish to end with whoever started this.
    kernel.prctl(kernel.PDEATHSIG, signal.SIGKILL)
    if os.getppid() != spec["parent"]:
        sys.exit(1)
    given = _in_memory(base64.b64decode(spec["stdin"]))
    out, err, told = os.pipe(), os.pipe(), os.pipe()
    begun_s = time.monotonic()
    first = os.fork()
    if first == 0:
        _first(spec, (given, out[1], err[1]), told[1])
    for descriptor in (given, out[1], err[1], told[1]):
        os.close(descriptor)
    watch = Watch(first, (out[0], err[0], told[0]), spec["limits"], others)
    watch.until_it_ends(begun_s + spec["limits"]["wall_s"])
    used = os.wait4(first, 0)[2]
    wall_s = time.monotonic() - begun_s
    watch.read_the_rest()
    answer: dict[str, Any] = json.loads(watch.text(told[0]) or b"{}")
    return {
        **answer,
        "ending": watch.ending,
        "stdout": base64.b64encode(watch.text(out[0])).decode(),
        "stderr": base64.b64encode(watch.text(err[0])).decode(),
        "wall_s": wall_s,
        "cpu_s": used.ru_utime + used.ru_stime,
        "outside": outside,
    }


def _own_namespaces() -> None:
    """Leave for new namespaces. A twin that stays behind maps the users, which only it may."""
    keeper = os.getpid()
    go, going = os.pipe()
    twin = os.fork()
    if twin == 0:
        number = 1
        try:
            os.close(going)
            if os.read(go, 1):
                _map_users(keeper)
            number = 0
        except OSError as why:
            number = why.errno or 1
        finally:
            os._exit(number)
    os.close(go)
    try:
        kernel.unshare(
            kernel.NEWUSER | kernel.NEWPID | kernel.NEWNET | kernel.NEWIPC | kernel.NEWUTS | kernel.NEWCGROUP
        )
        os.write(going, b"1")
    finally:
        os.close(going)
        number = os.waitstatus_to_exitcode(os.waitpid(twin, 0)[1])
    if number:
        raise OSError(number, os.strerror(number), "uid_map")


def _map_users(pid: int) -> None:
    """Say who the users of the new namespace are outside.

    Root takes itself, to build the sandbox, and nobody, to run the program: the kernel does not limit how many
    processes root has. Anybody else has only themselves.
    """
    user, group = os.geteuid(), os.getegid()
    place = Path(f"/proc/{pid}")
    if user == 0 and _is_mapped("uid", _NOBODY) and _is_mapped("gid", _NOBODY):
        users = groups = f"0 0 1\n{_INSIDE_ID} {_NOBODY} 1\n"
    else:
        users, groups = f"{_INSIDE_ID} {user} 1\n", f"{_INSIDE_ID} {group} 1\n"
        (place / "setgroups").write_text("deny", encoding="ascii")
    (place / "gid_map").write_text(groups, encoding="ascii")
    (place / "uid_map").write_text(users, encoding="ascii")


def _is_mapped(kind: str, number: int) -> bool:
    for line in Path(f"/proc/self/{kind}_map").read_text("ascii").splitlines():
        inside, _, count = map(int, line.split())
        if inside <= number < inside + count:
            return True
    return False


def _first(spec: dict[str, Any], streams: tuple[int, int, int], told: int) -> NoReturn:
    """Process 1: build what can be seen, start the program, collect what ends, and say how the program ended."""
    answer: dict[str, Any] = {}
    try:
        kernel.prctl(kernel.PDEATHSIG, signal.SIGKILL)
        # Process 1 gets no signal from inside for which it has no handler.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _end_late(spec["limits"]["wall_s"] + _ALARM_GRACE_S)
        os.umask(0o022)
        kernel.unshare(kernel.NEWNS)
        answer["inside"] = kernel.namespaces()
        _build(spec)
        kernel.prctl(kernel.DUMPABLE, 0)
        trouble, troubled = os.pipe()
        program = os.fork()
        if program == 0:
            _program(spec, streams, troubled)
        for descriptor in (*streams, troubled):
            os.close(descriptor)
        if fault := os.read(trouble, 65_536):
            answer["fault"] = json.loads(fault)
        else:
            answer["status"] = _wait_for(program)
    except OSError as why:
        answer["fault"] = _fault(why)
    finally:
        os.write(told, json.dumps(answer).encode())
        os._exit(0)


def _end_late(after_s: float) -> None:
    """End all by an alarm, should the keeper have gone before it could be told that this is to end with it."""
    ends_s = time.monotonic() + after_s

    def end(*_: object) -> None:
        # The program may send the same signal, but not hurry the clock.
        if time.monotonic() >= ends_s:
            os._exit(1)

    signal.signal(signal.SIGALRM, end)
    signal.alarm(math.ceil(after_s))


def _wait_for(program: int) -> int:
    while True:
        ended, status = os.wait()
        if ended == program:
            return status


def _build(spec: dict[str, Any]) -> None:
    """Make a root of its own: read-only but for one folder."""
    root, view, limits = spec["root"], spec["view"], spec["limits"]
    kernel.mount(None, "/", None, kernel.REC | kernel.PRIVATE)
    kernel.mount("tmpfs", root, "tmpfs", kernel.NOSUID | kernel.NODEV, "mode=0755,size=16m")
    for path in (*view["folders"], spec["folder"], spec["given"]):
        Path(root + path).mkdir(parents=True, exist_ok=True)
    for path in (*view["files"], *view["devices"]):
        Path(root + path).parent.mkdir(parents=True, exist_ok=True)
        Path(root + path).touch()
    for path, target in view["links"]:
        Path(root + path).parent.mkdir(parents=True, exist_ok=True)
        Path(root + path).symlink_to(target)
    for name, text in spec["files"].items():
        place = Path(root + spec["given"], name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    for path in (*view["folders"], *view["files"]):
        kernel.mount(path, root + path, None, kernel.BIND | kernel.REC)
    for path in view["masked"]:
        kernel.mount("tmpfs", root + path, "tmpfs", kernel.NOSUID | kernel.NODEV, "mode=0555,size=4k")
    kernel.protect(root, "ro,nosuid,nodev", below=True)
    for path in view["devices"]:
        kernel.mount(path, root + path, None, kernel.BIND)
        kernel.protect(root + path, "ro,nosuid,noexec", below=False)
    size = f"size={limits['folder_bytes']},nr_inodes={limits['folder_files']}"
    kernel.mount(
        "tmpfs",
        root + spec["folder"],
        "tmpfs",
        kernel.NOSUID | kernel.NODEV | kernel.NOEXEC,
        f"mode=0700,uid={_INSIDE_ID},gid={_INSIDE_ID},{size}",
    )
    kernel.swap_root(root, spec["pivot_root"])


def _program(spec: dict[str, Any], streams: tuple[int, int, int], troubled: int) -> NoReturn:
    """Give up every right, and become the program."""
    try:
        os.setsid()
        os.umask(0o077)
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        os.chdir(spec["folder"])
        for name, (soft, hard) in spec["rlimits"].items():
            _lower(getattr(resource, name), soft, hard)
        kernel.drop_capabilities()
        if os.getuid() == 0:
            os.setgroups([])
            os.setresgid(_INSIDE_ID, _INSIDE_ID, _INSIDE_ID)
            os.setresuid(_INSIDE_ID, _INSIDE_ID, _INSIDE_ID)
        kernel.prctl(kernel.NO_NEW_PRIVS, 1)
        kernel.install_filter(bytes.fromhex(spec["filter"]))
        os.execve(spec["command"][0], spec["command"], spec["environment"])  # noqa: S606 - no shell is meant
    except (OSError, ValueError) as why:
        os.write(troubled, json.dumps(_fault(why)).encode())
    finally:
        os._exit(127)


def _lower(kind: int, soft: int, hard: int) -> None:
    """Set a limit, where it is not lower already."""
    most = resource.getrlimit(kind)[1]
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(kind, (soft, hard))


def _in_memory(data: bytes) -> int:
    """A file without a name that holds the data, to be read from its beginning."""
    descriptor = os.memfd_create("given")
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _fault(why: OSError | ValueError) -> dict[str, Any]:
    if isinstance(why, OSError):
        return {"step": str(why.filename or "set-up"), "errno": why.errno, "text": str(why)}
    return {"step": "set-up", "errno": None, "text": str(why)}
