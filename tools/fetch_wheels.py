"""Fetch the wheels that locks name into a folder, for a machine that is not this one.

    python tools/fetch_wheels.py wheelhouse docker/build.lock docker/cpu.lock --python 3.12

For an image that is built without a network: the folder `wheelhouse` at the root of the build context is all that the
Dockerfiles take then. Every file is checked against its hash in the lock. The index is the one that pip is set to.
"""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

_OLDEST_GLIBC = 5
_NAMED = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
"""Old names of some of the tags manylinux_2_N (PEP 600)."""


def wanted(lock: str, python: str, machine: str) -> Iterator[str]:
    """The entries of a lock, with their hashes, that hold on Linux with this Python and processor."""
    target = {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }
    for line in lock.replace("\\\n", " ").splitlines():
        entry = line.split(" --hash", 1)[0].strip()
        if not entry or entry.startswith("#"):
            continue
        marker = Requirement(entry).marker
        if marker is None or marker.evaluate(target):
            # The marker has done its work; pip would ask it of this machine.
            yield line.replace(f";{entry.partition(';')[2]}", " ") if marker else line


def tags(machine: str, glibc: str) -> Iterator[str]:
    """The platform tags of wheels that run on Linux with this processor and C library, newest first."""
    for minor in range(int(glibc.removeprefix("2.")), _OLDEST_GLIBC - 1, -1):
        yield f"manylinux_2_{minor}_{machine}"
        if minor in _NAMED:
            yield f"{_NAMED[minor]}_{machine}"
    yield f"linux_{machine}"


def pip() -> list[str]:
    """A pip to fetch with: of this environment, of the interpreter below it, or through uv.

    Raises:
        SystemExit: if there is none.
    """
    below = str(getattr(sys, "_base_executable", sys.executable))
    for command in ([sys.executable, "-m", "pip"], [below, "-m", "pip"], ["uvx", "pip"]):
        if shutil.which(command[0]) is None:
            continue
        if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode == 0:  # noqa: S603
            return command
    raise SystemExit(
        f"no pip for {sys.executable}; install pip or uv, or run this with an interpreter that has pip"
    )


def mistake(python: str, glibc: str, locks: list[Path]) -> str | None:
    """What is wrong with what was asked for; None if nothing."""
    for flag, value, form, such in (
        ("--python", python, r"3\.[0-9]+", "3.12"),
        ("--glibc", glibc, r"2\.[0-9]+", "2.36"),
    ):
        if not re.fullmatch(form, value):
            return f"{flag}: got {value}, expected a version such as {such}"
    for lock in locks:
        try:
            list(wanted(lock.read_text("utf-8"), python, "x86_64"))
        except OSError as error:  # noqa: PERF203 - a lock or two
            return f"{lock}: the lock cannot be read ({error.strerror})"
        except ValueError as error:
            return f"{lock}: not a lock ({' '.join(str(error).split())})"
    return None


def main() -> int:
    """Fetch, and return pip's exit code, or 2 for what cannot be asked of pip."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the wheels go")
    parser.add_argument("locks", type=Path, nargs="+", help="hash-pinned locks")
    parser.add_argument("--python", default="3.12", help="Python of the image, such as 3.12 (the default)")
    parser.add_argument("--machine", default=platform.machine(), help="x86_64 or aarch64; this one's")
    parser.add_argument("--glibc", default="2.36", help="C library of the image; 2.36, of Debian 12")
    given = parser.parse_args()
    if wrong := mistake(given.python, given.glibc, given.locks):
        sys.stderr.write(f"{parser.prog}: {wrong}\n")
        return 2
    abi = f"cp{given.python.replace('.', '')}"
    with tempfile.TemporaryDirectory() as folder:
        for lock in given.locks:
            chosen = Path(folder) / lock.name
            chosen.write_text(
                "\n".join(wanted(lock.read_text("utf-8"), given.python, given.machine)), "utf-8"
            )
            done = subprocess.run(  # noqa: S603
                [
                    *pip(),
                    *(
                        "--disable-pip-version-check",
                        "download",
                        "--quiet",
                        "--quiet",
                        "--no-deps",
                        "--require-hashes",
                    ),
                    *("--only-binary", ":all:", "--dest", str(given.folder), "--requirement", str(chosen)),
                    *("--python-version", given.python, "--implementation", "cp"),
                    *(part for name in (abi, "abi3", "none") for part in ("--abi", name)),
                    *(part for tag in tags(given.machine, given.glibc) for part in ("--platform", tag)),
                ],
                check=False,
            )
            if done.returncode != 0:
                return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
