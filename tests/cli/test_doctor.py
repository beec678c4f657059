"""What `hexgate doctor` says of the meters of a machine."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hexgate.cli.doctor import _COVERS
from hexgate.cli.doctor_quality import _PACKAGES, found
from hexgate.meters.base import METERS
from hexgate.scorers import sandbox
from hexgate.scorers.quality import QUALITY
from hexgate.scorers.sandbox_probe import Unavailable
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
        ("zh", ["缺少      rapl", "没有 RAPL 域", "办法：请在裸机上测量"]),
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
    for name in QUALITY:
        assert re.search(rf"[ ,]{name}\b", ended.out), name
    widest = max(len(line) for line in ended.out.partition("Meters")[2].splitlines()) if lang == "en" else 0
    assert widest < 400


def test_a_measure_without_its_packages_or_its_sandbox_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "hexgate.cli.doctor_quality.find_spec", lambda module: None if module == "torch" else 1
    )
    monkeypatch.setattr(sandbox, "_probed", lambda _: Unavailable("a sandbox cannot be made: no", "do this"))
    by_name = {one.name: one for one in found()}
    assert by_name["texts"].ready
    assert by_name["rouge"].ready
    for name in ("bartscore", "bertscore"):
        assert not by_name[name].ready
        assert by_name[name].below[0] == "not installed: torch"
        assert "pip install -e '.[quality]'" in by_name[name].below[1]
    assert not by_name["code_tests"].ready
    assert by_name["code_tests"].below == ("a sandbox cannot be made: no", "remedy: do this")


def test_how_an_extra_is_installed_is_told_in_chinese(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hexgate.cli.doctor_quality.find_spec", lambda _: None)
    said = call("--lang", "zh", "doctor").out
    assert "办法：在 hexgate 的代码目录中执行 pip install -e '.[quality]'，或 uv pip" in said


def test_what_a_measure_needs_is_named_for_measures_that_there_are() -> None:
    assert _PACKAGES.keys() <= QUALITY.keys()
