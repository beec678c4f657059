"""What `hexgate doctor` says of the meters of a machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hexgate.cli.doctor import _COVERS
from hexgate.meters.base import METERS
from support.command import Ended
from support.powered import powered

Call = Callable[..., Ended]


def test_every_meter_is_told_with_what_it_covers() -> None:
    assert METERS.keys() == _COVERS.keys()


def test_a_meter_that_is_there_is_ready(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with powered(tmp_path) as machine:
        monkeypatch.setenv("HEXGATE_RAPL_ROOT", str(machine.root))
        said = call("doctor").out
    assert "ready     rapl      CPU packages" in said
    assert "rapl:package-0: package-0, counts joules" in said
    assert "No energy can be measured" not in said
    assert "hexgate meter --import FILE -- CMD" in said


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", ["missing   rapl", "shows no RAPL zone", "remedy: measure on the bare machine"]),
        ("zh", ["缺少      rapl", "没有 RAPL 域", "办法: 请在裸机上测量"]),
    ],
)
def test_a_meter_that_is_not_there_has_its_reason_and_remedy(
    lang: str, words: list[str], call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEXGATE_RAPL_ROOT", str(tmp_path))
    ended = call("--lang", lang, "doctor")
    assert ended.code == 0
    for word in words:
        assert word in ended.out
    for name in (*METERS, "imported", "estimate"):
        assert f" {name} " in ended.out
    widest = max(len(line) for line in ended.out.partition("Meters")[2].splitlines()) if lang == "en" else 0
    assert widest < 400
