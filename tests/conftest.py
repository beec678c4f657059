"""The command line, called in this process where that is enough, and as a process of its own where it is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from hexgate.cli import main
from support.command import Ended

# Fixtures of the images and of the platforms that run them: one engine and one build for all.
from support.docker_engine import cpu_image, docker_engine, image_context  # noqa: F401

# A clock on a busy machine says nothing of the code.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# What a job in a shell's background ignores, all that it starts ignores: a test that sends such a signal would wait.
for _name, _handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    if hasattr(signal, _name) and signal.getsignal(getattr(signal, _name)) is signal.SIG_IGN:
        signal.signal(getattr(signal, _name), _handler)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def call(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Ended]]:
    """Run a command in this process."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("HEXGATE_LANG", "en")
    monkeypatch.delenv("HEXGATE_DEBUG", raising=False)

    def run(*arguments: str | Path) -> Ended:
        given = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["hexgate", *given])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(given)
        code = ended.value.code
        seen = capfd.readouterr()
        return Ended(code if isinstance(code, int) else 0, seen.out, seen.err)

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a Python command as a process of its own, from the root of the repository."""

    def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *map(str, command)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=ROOT,
            env={**os.environ, "HEXGATE_LANG": "en", **environment},
            timeout=120,
            check=False,
        )

    return run
