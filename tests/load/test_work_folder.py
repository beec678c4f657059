"""The folder that a load works in: held while it runs, and cleared once whoever held it is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hexgate.errors import InputError
from hexgate.load.work_folder import WorkFolder, clear_left

HOLD = """
import sys
from pathlib import Path
from hexgate.load.work_folder import WorkFolder
folder = WorkFolder(Path(sys.argv[1]), "load")
(folder.path / "spool").write_text("replies")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_folder_is_refused_while_it_is_held_and_cleared_once_its_load_was_killed(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="another load is at work"):
            clear_left(tmp_path, "load")
        with pytest.raises(InputError, match="another load is at work"):
            WorkFolder(tmp_path, "load")
        assert (tmp_path / "load.work" / "spool").read_text() == "replies"
    finally:
        holder.kill()
        holder.communicate()
    assert clear_left(tmp_path, "load") == tmp_path / "load.work"
    assert not (tmp_path / "load.work").exists()
    assert clear_left(tmp_path, "load") is None


def test_it_is_gone_with_its_load(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path, "load")
    assert folder.path == tmp_path / "load.work"
    folder.remove()
    assert list(tmp_path.iterdir()) == []
    # One that an earlier version left has no lock.
    (tmp_path / "load.work").mkdir()
    WorkFolder(tmp_path, "load").remove()
    assert list(tmp_path.iterdir()) == []
