"""Whether this machine can hold a program back, found out by programs that try to get out."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hexgate.scorers.sandbox_run import Ended, Ending, Limits, SandboxFault, launch
from hexgate.scorers.sandbox_view import FOLDER, GIVEN, Language

__all__ = ["Ready", "Unavailable", "probe", "remedy"]


_LIMITS = Limits(
    wall_s=20.0,
    cpu_s=10,
    memory_bytes=160 << 20,
    folder_bytes=1 << 20,
    folder_files=32,
    file_bytes=1 << 18,
    open_files=32,
    processes=8,
    output_bytes=1 << 16,
)
_SHORT_S = 0.5
_EXPECTED = {"together": Ending.MEMORY, "deadline": Ending.TIMEOUT, "flood": Ending.OUTPUT}
_SYSCTL = Path("/proc/sys")
_CONTAINERS = (Path("/.dockerenv"), Path("/run/.containerenv"))


@dataclass(frozen=True)
class Ready:
    """Every attempt to get out was stopped."""

    attempts: tuple[str, ...]
    """What was tried."""


@dataclass(frozen=True)
class Unavailable:
    """Programs cannot be held back here, so none is run."""

    reason: str
    """Why not, in one sentence without a full stop."""
    remedy: str
    """What to do."""


def probe(language: Language) -> Ready | Unavailable:
    """Make sandboxes, and run in them what must fail.

    The limits are small ones of its own: what holds back a little more than little holds back a little more than much.
    """
    try:
        attempts, gaps = _attempts(language)
        for name, expected in _EXPECTED.items():
            ended = _inside(language, name, {}, short=expected is Ending.TIMEOUT)
            if ended.how is not expected:
                gaps.append(f"{name}: {_said(ended)}")
    except SandboxFault as why:
        return Unavailable(f"a sandbox cannot be made: {why}", remedy(why.step, why.number))
    if gaps:
        return Unavailable(
            f"a probe was not stopped: {'; '.join(gaps)}",
            "nothing is run; please report this with the version of the kernel (uname -r)",
        )
    return Ready((*attempts, *_EXPECTED))


def remedy(step: str, number: int | None) -> str:  # noqa: PLR0911 - one return a cause
    """What to do about a step that failed, by what this machine forbids."""
    if step == "machine":
        return "run it on Linux, on x86_64 or aarch64; a virtual machine will do"
    if step.startswith(("mount_setattr", "keeper", "first", "/")) or number == errno.ENOSYS:
        return "it needs Linux 5.14 or newer, and an interpreter that does not lie in /tmp"
    if _setting("kernel/unprivileged_userns_clone") == "0":
        return "sudo sysctl -w kernel.unprivileged_userns_clone=1"
    if _setting("user/max_user_namespaces") == "0":
        return "sudo sysctl -w user.max_user_namespaces=15000"
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    if any(path.exists() for path in _CONTAINERS):
        return (
            "this is a container: start it with --cap-add SYS_ADMIN --security-opt seccomp=unconfined "
            "--security-opt apparmor=unconfined, or run outside of it"
        )
    return "allow user namespaces to this user, or run as root; see docs/sandbox.md"


def _attempts(language: Language) -> tuple[list[str], list[str]]:
    """What was tried in one run, and what of it succeeded."""
    with contextlib.ExitStack() as stack:
        there = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hexgate-probe-")))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        secret = there / "secret"
        secret.write_text("a file outside", encoding="ascii")
        written = there / "written"
        own = _home(language)
        ended = _inside(
            language,
            "attempts",
            {
                "port": listener.getsockname()[1],
                "read": [str(secret), "/etc/passwd", "/proc/self/status", "/sys/kernel", *own],
                "write": [
                    *(
                        str(written),
                        str(secret),
                        "/hexgate-probe",
                        *(f"{home}/hexgate-probe" for home in own),
                    ),
                    *(
                        f"{folder}/hexgate-probe"
                        for folder in (*language.view.folders, GIVEN, "/etc", "/dev")
                    ),
                    *language.view.files,
                ],
                "tree": language.view.tree(),
                "folder": FOLDER,
                "folder_bytes": _LIMITS.folder_bytes,
                "memory_bytes": _LIMITS.memory_bytes,
                # The keeper and process 1 count where they have the same user.
                "processes": _LIMITS.processes + 2,
                "environment": sorted(language.environment),
            },
        )
        tried, gaps = _told(ended)
        if written.exists() or secret.read_text("ascii") != "a file outside":
            gaps.append("write: a file outside was changed")
        listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            listener.accept()[0].close()
            gaps.append("network: a connection came through")
    gaps += [f"namespaces: that of {kind} is shared with the outside" for kind in ended.shared]
    return [*tried, "namespaces"], gaps


def _told(ended: Ended) -> tuple[list[str], list[str]]:
    """What was tried, and what succeeded, as the program inside said it."""
    try:
        said: dict[str, Any] = json.loads(ended.stdout)
        tried, gaps = [str(name) for name in said["tried"]], [str(gap) for gap in said["gaps"]]
    except (ValueError, KeyError, TypeError):
        return [], [f"attempts: {_said(ended)}"]
    return tried, gaps


def _said(ended: Ended) -> str:
    last = ended.stderr.decode("utf-8", errors="replace").strip().rpartition("\n")[2]
    return f"{ended.reason}{': ' if last else ''}{last[:300]}"


def _inside(language: Language, name: str, task: dict[str, Any], *, short: bool = False) -> Ended:
    text = Path(__file__).with_name("sandbox_inside.py").read_text(encoding="utf-8")
    limits = replace(_LIMITS, wall_s=_SHORT_S) if short else _LIMITS
    given = json.dumps({"memory_bytes": limits.memory_bytes, **task}).encode()
    return launch(language, limits, files={"probe.py": text}, command=("probe.py", name), given=given)


def _setting(name: str) -> str | None:
    try:
        return (_SYSCTL / name).read_text("ascii").strip()
    except OSError:
        return None


def _home(language: Language) -> list[str]:
    """The folder of whoever runs this, unless the sandbox has one of that name or something below it."""
    home = os.environ.get("HOME", "")
    shown = [FOLDER, GIVEN, *language.view.folders, *language.view.files]
    return (
        [home] if home.startswith("/") and not any(Path(path).is_relative_to(home) for path in shown) else []
    )
