"""Make a virtual environment from a hash-pinned lock, with uv where there is one, else with venv and pip.

    python3 tools/set_up.py VENV LOCK

It needs Python 3.10 or newer and nothing else, asks for no rights, and downloads only what the lock names.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def say(text: str) -> None:
    """One line for the person who waits."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def run(*command: str) -> None:
    """Run one step, and end with its code if it fails."""
    done = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603
    if done.returncode != 0:
        say(f"set-up failed at: {' '.join(command)}\nThe lines above say why. Mend that and run make again.")
        sys.exit(2)


def works(*command: str) -> bool:
    """Whether a program is there and runs."""
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603


def main(venv: str, lock: str) -> None:
    """Set up one environment."""
    if sys.version_info < (3, 10):  # noqa: UP036 - the interpreter that runs this is the user's
        say(
            f"hexgate needs Python 3.10 or newer; this is {sys.version.split()[0]}. Try: make PYTHON=python3.11"
        )
        sys.exit(2)
    begun = time.monotonic()
    python = str(Path(venv) / ("Scripts" if os.name == "nt" else "bin") / "python")
    count = sum(
        "==" in line and not line.startswith((" ", "#"))
        for line in (ROOT / lock).read_text("utf-8").splitlines()
    )
    with_uv = works("uv", "--version")
    say(
        f"Setting up {venv} with {'uv' if with_uv else 'venv and pip'}: up to {count} pinned packages. "
        f"{'Seconds' if with_uv else 'About a minute'}, and the download."
    )
    if with_uv:
        # The interpreter is named in full: a search on the path may meet launchers that lead nowhere.
        if not (ROOT / python).exists():
            run("uv", "venv", "--quiet", "--python", sys.executable, venv)
        run("uv", "pip", "sync", "--quiet", "--python", python, "--require-hashes", lock)
        run(
            "uv",
            "pip",
            "install",
            "--quiet",
            "--python",
            python,
            "--no-deps",
            "--no-build-isolation",
            "-e",
            ".",
        )
    else:
        if not (ROOT / python).exists():
            run(sys.executable, "-m", "venv", venv)
        pip = (python, "-m", "pip", "--disable-pip-version-check", "--quiet")
        # Python compiles what it imports by itself; most of what is installed never is.
        run(*pip, "install", "--no-compile", "--require-hashes", "-r", lock)
        run(*pip, "install", "--no-deps", "--no-build-isolation", "-e", ".")
    say(f"Ready after {time.monotonic() - begun:.0f} s.")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        say(__doc__ or "")
        sys.exit(2)
    main(sys.argv[1], sys.argv[2])
