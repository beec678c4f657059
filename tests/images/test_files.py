"""What can be checked of the images' files without an engine."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from hexgate import __version__

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
LOCKS = sorted(DOCKER.glob("*.lock"))
PIN = re.compile(r"^([a-z0-9._-]+)==(\S+)(?: ; (.*?))? \\$", re.MULTILINE)


def of_venv(program: str, *arguments: str | Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_three_images() -> None:
    assert [path.name for path in DOCKERFILES] == ["cpu.Dockerfile", "cuda.Dockerfile", "jetson.Dockerfile"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
class TestDockerfile:
    def test_hadolint_finds_nothing(self, path: Path) -> None:
        of_venv("hadolint", path)

    def test_a_rule_is_ignored_only_with_its_reason_above(self, path: Path) -> None:
        lines = path.read_text("utf-8").splitlines()
        for before, line in pairwise(lines):
            if "hadolint ignore" in line:
                assert before.startswith("# ")

    def test_no_frontend_is_fetched(self, path: Path) -> None:
        assert "syntax=" not in path.read_text("utf-8")

    def test_every_stage_stands_on_the_base_that_a_user_may_choose(self, path: Path) -> None:
        text = path.read_text("utf-8")
        stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", text, re.MULTILINE)
        known = {"${BASE_IMAGE}", "scratch"}
        for base, name in stages:
            assert base in known
            known.add(name)

    def test_the_default_base_has_a_full_tag(self, path: Path) -> None:
        (base,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", path.read_text("utf-8"), re.MULTILINE)
        registry, _, tag = base.rpartition(":")
        assert "/" in registry
        assert re.search(r"\d+\.\d+", tag)

    def test_the_version_is_ours(self, path: Path) -> None:
        assert re.findall(r"^ARG VERSION=(\S+)$", path.read_text("utf-8"), re.MULTILINE) == [__version__]

    def test_what_runs_is_a_numbered_user_who_is_not_root(self, path: Path) -> None:
        (user,) = re.findall(r"^USER (\S+)$", path.read_text("utf-8"), re.MULTILINE)
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_the_images_follow_one_pattern() -> None:
    """Where the bases do not force a difference, the three say the same."""
    stages = {path.name: _stages(path) for path in DOCKERFILES}
    for name in ("builder", "sbom"):
        assert len({stages[file][name] for file in stages}) == 1, name
    runtimes = [set(stages[file]["runtime"].splitlines()) for file in stages]
    assert set(stages["cpu.Dockerfile"]["runtime"].splitlines()) - set.intersection(*runtimes) <= {
        "FROM ${BASE_IMAGE} AS runtime",
        '      org.opencontainers.image.base.name="${BASE_IMAGE}"',
    }


def _stages(path: Path) -> dict[str, str]:
    text = re.sub(r"(?m)^(#.*)?\n", "", path.read_text("utf-8"))
    parts = re.split(r"(?m)^(?=FROM )", text)[1:]
    return {(re.match(r"FROM \S+ AS (\S+)", part) or ["", "final"])[1]: part.strip() for part in parts}


@pytest.mark.parametrize("path", sorted(DOCKER.glob("*.sh")), ids=lambda path: path.name)
def test_shellcheck_finds_nothing(path: Path) -> None:
    of_venv("shellcheck", path)


def test_the_build_gets_all_that_the_wheel_is_made_of() -> None:
    taken = set(re.findall(r"(?m)^!([^/\n]+)", (ROOT / ".dockerignore").read_text("utf-8")))
    (block,) = re.findall(
        r"(?m)^\[tool\.hatch\.build\.targets\.wheel\.force-include\]\n((?:.+\n)+)",
        (ROOT / "pyproject.toml").read_text("utf-8"),
    )
    assert {name.split("/")[0] for name in re.findall(r'(?m)^"([^"]+)"', block)} | {"src"} <= taken


def test_the_compose_file_is_one() -> None:
    of_venv("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DOCKER / "compose.yaml")


class TestLocks:
    @pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
    def test_every_entry_is_pinned_and_hashed(self, path: Path) -> None:
        entries = [
            line for line in path.read_text("utf-8").replace("\\\n", "").splitlines() if line[:1] not in " #"
        ]
        assert entries
        for entry in entries:
            assert re.match(r"\S+==\S+", entry)
            assert "--hash=sha256:" in entry

    @pytest.mark.parametrize("name", ["cpu.lock", "cuda.lock", "jetson.lock"])
    def test_an_image_has_the_versions_that_the_tests_have(self, name: str) -> None:
        ours = _pins(ROOT / "requirements.lock")
        pins = _pins(DOCKER / name)
        shared = pins.keys() & ours.keys() - {"onnxruntime"}
        assert {"numpy", "httpx", "click", "jsonschema"} <= shared
        assert {one: pins[one] for one in shared} == {one: ours[one] for one in shared}

    def test_the_stores_are_in_every_image(self) -> None:
        for name in ("cpu.lock", "cuda.lock", "jetson.lock"):
            assert {"boto3", "azure-storage-blob", "azure-identity"} <= _pins(DOCKER / name).keys()

    def test_an_image_has_one_onnx_runtime(self) -> None:
        assert "onnxruntime-gpu" not in _pins(DOCKER / "cpu.lock")
        for name in ("cuda.lock", "jetson.lock"):
            entries = PIN.findall((DOCKER / name).read_text("utf-8"))
            plain = [marker for one, _, marker in entries if one == "onnxruntime"]
            assert plain
            assert all("sys_platform == 'none'" in marker for marker in plain)
        assert "onnxruntime-gpu" in _pins(DOCKER / "cuda.lock")
        assert "onnxruntime-gpu" not in _pins(DOCKER / "jetson.lock")

    def test_nothing_that_only_builds_is_in_an_image(self) -> None:
        for name in ("cpu.lock", "cuda.lock", "jetson.lock"):
            assert not {"hatchling", "pip", "pytest", "setuptools"} & _pins(DOCKER / name).keys()


def _pins(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version, _ in PIN.findall(path.read_text("utf-8")):
        found.setdefault(name, set()).add(version)
    return found
