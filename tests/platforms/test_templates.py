"""The committed templates are what their specs render to, and the specs are right in every layer that can look."""

from __future__ import annotations

import os
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

import hexgate
from hexgate.platforms import platform
from hexgate.platforms.validate import check_native, check_spec

ROOT = Path(hexgate.__file__).resolve().parents[2]
_found = spec_from_file_location("build_templates", ROOT / "tools" / "build_templates.py")
assert _found is not None
assert _found.loader is not None
tool = module_from_spec(_found)
_found.loader.exec_module(tool)

SPECS = sorted(path.stem for path in (ROOT / "platforms" / "specs").glob("*.yaml"))


@pytest.mark.parametrize("spec", tool.specs())
def test_a_template_is_what_its_spec_renders_to(spec: str) -> None:
    for path, text in tool.templates(spec).items():
        assert path.read_text("utf-8") == text, path.name
        assert not tool.stale(path, text)


def test_the_program_of_a_study_is_made_of_the_parts_that_it_shares() -> None:
    text = tool.benchmark()
    assert not tool.stale(tool.BENCHMARK, text)
    run = (tool.TEMPLATES / "jetson" / "run.sh").read_text("utf-8")
    for function in ("say", "die", "quoted", "as_root", "started_at", "alive", "read_power_mode"):
        assert text.count(f"\n{function}() {{\n") == run.count(f"\n{function}() {{\n") == 1, function


@pytest.mark.parametrize("spec", SPECS)
def test_a_spec_is_right_in_every_layer_that_can_look(spec: str) -> None:
    path = ROOT / "platforms" / "specs" / f"{spec}.yaml"
    name = tool.PLACES.get(spec, (spec, spec))[0]

    assert check_spec(path.name, path.read_text("utf-8"), platform(name)).mistakes == []


@pytest.mark.parametrize("spec", tool.specs())
def test_a_template_is_right_as_it_stands(spec: str) -> None:
    files = {path.name: path.read_text("utf-8") for path in tool.templates(spec)}

    assert check_native(files, platform(tool.PLACES[spec][0])).mistakes == []


def test_every_spec_has_a_place() -> None:
    assert set(SPECS) == set(tool.specs()) | tool.WITHOUT_TEMPLATE
    assert set(tool.PLACES) == set(tool.specs())


def test_the_check_sees_a_file_that_is_old_gone_or_cannot_be_run(tmp_path: Path) -> None:
    path = tmp_path / "run.sh"
    assert tool.stale(path, "x")
    path.write_text("x", encoding="utf-8")
    path.chmod(0o755)
    assert not tool.stale(path, "x")
    assert tool.stale(path, "y")
    if os.name == "posix":
        path.chmod(0o644)
        assert tool.stale(path, "x")
