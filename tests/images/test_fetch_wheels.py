"""tools/fetch_wheels.py: what a lock asks for on a machine that is not this one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.tools import tool

FETCH = tool("fetch_wheels")
LOCK = """\
# a comment
numpy==2.2.6 ; python_full_version < '3.11' \\
    --hash=sha256:aa \\
    --hash=sha256:ab
numpy==2.4.6 ; python_full_version == '3.11.*' \\
    --hash=sha256:bb
    # via hexgate
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:cc
pyreadline3==3.5.6 ; sys_platform == 'win32' \\
    --hash=sha256:dd
neon==1 ; platform_machine == 'aarch64' \\
    --hash=sha256:ee
rich==15.0.0 \\
    --hash=sha256:ff
"""


def wanted(python: str, machine: str) -> dict[str, str]:
    lines = [line.split() for line in FETCH.wanted(LOCK, python, machine)]
    return {line[0]: " ".join(line[1:]) for line in lines}


def test_the_markers_are_asked_of_the_image_and_not_of_this_machine() -> None:
    assert wanted("3.10", "x86_64").keys() == {"numpy==2.2.6", "rich==15.0.0"}
    assert wanted("3.11", "x86_64").keys() == {"numpy==2.4.6", "rich==15.0.0"}
    assert wanted("3.13", "aarch64").keys() == {"numpy==2.5.5", "neon==1", "rich==15.0.0"}


def test_every_hash_comes_along_and_no_marker() -> None:
    assert wanted("3.10", "x86_64")["numpy==2.2.6"] == "--hash=sha256:aa --hash=sha256:ab"


def test_the_tags_reach_from_the_c_library_of_the_image_down_to_the_oldest() -> None:
    tags = list(FETCH.tags("aarch64", "2.28"))
    assert tags[0] == "manylinux_2_28_aarch64"
    assert {"manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64"} <= set(tags)
    assert "manylinux_2_31_aarch64" not in tags


def test_what_cannot_be_asked_of_pip_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "a.lock"
    lock.write_text(LOCK)
    for given, said in (
        ([str(tmp_path / "none.lock")], "none.lock: the lock cannot be read"),
        ([str(lock), "--python", "4"], "--python: got 4"),
        ([str(lock), "--glibc", "x"], "--glibc: got x"),
    ):
        monkeypatch.setattr(sys, "argv", ["fetch_wheels.py", str(tmp_path), *given])
        assert FETCH.main() == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
