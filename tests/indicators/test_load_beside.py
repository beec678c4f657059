"""What an earlier load left beside its artifacts goes when another begins in its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexgate.errors import InputError
from hexgate.indicators.load_beside import REPORT, SEARCH, SWEEP, TABLES, remove_left

NAMES = {*TABLES, REPORT, SEARCH, SWEEP}


def test_these_files_go_and_no_others(tmp_path: Path) -> None:
    kept = {"latency_p99.json", "load.requests.npy", "old.statistics.json", "Report.html", "notes"}
    for name in NAMES | kept:
        (tmp_path / name).write_text("x", encoding="utf-8")
    remove_left(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept
    remove_left(tmp_path)
    remove_left(tmp_path / "none")


def test_what_cannot_be_removed_is_said(tmp_path: Path) -> None:
    (tmp_path / REPORT).mkdir()
    with pytest.raises(InputError, match="an earlier load left cannot be removed") as caught:
        remove_left(tmp_path)
    assert caught.value.where == str(tmp_path / REPORT)
