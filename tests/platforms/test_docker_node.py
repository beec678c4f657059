"""DGX and Jetson: what they render, and changed files of theirs, each refused by the layer that should."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import JobSpecError
from hexgate.platforms import platform
from hexgate.platforms.base import Layer
from hexgate.platforms.docker_node_files import job_block, read_block
from hexgate.platforms.spec import JobSpec, parse_spec, read_spec
from hexgate.resources import shipped
from support.lifecycle import demo_spec
from support.native_files import refusals

TEMPLATES = shipped("schemas").parent / "platforms"
NODES = ("dgx", "jetson")
VENDOR, RULES = Layer.VENDOR, Layer.RULES
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="run.sh needs bash")


def spec_of(name: str) -> JobSpec:
    return read_spec(TEMPLATES / "specs" / f"{name}.yaml")


def changed(name: str, **keys: Any) -> JobSpec:
    return parse_spec(spec_of(name).to_json() | keys, "test")


@pytest.mark.parametrize("name", NODES)
def test_what_is_rendered_reads_back_as_the_same_job(name: str) -> None:
    odd = changed(name, env={"A": 'it\'s, "this" $HOME'}, labels={"team": "x"}, secret_env=["KEY"])
    for spec in (spec_of(name), odd, odd.with_run_id()):
        files = platform(name).render(spec)
        block, problems = read_block(files["run.sh"])
        assert problems == []
        assert block == job_block(spec, name)
        assert refusals(platform(name), files) == {VENDOR: [], RULES: []}


DEVICES = '(--gpus "\\"device=$1\\"")'
STARTED = '"${COMMAND[@]}" </dev/null >"$WORK/out-$lane"'
TEED = '"${COMMAND[@]}" | tee "$WORK/out-$lane"'
SOCKET = "MOUNTS=('s=type=bind,source=/var/run/docker.sock,target=/s' "
IMAGE = "registry.example.com/hexgate:0.1.0"
MODEL = "model=type=bind,source=/srv/hexgate/models,target=/models,readonly"
MUTATED: list[tuple[str, str, str, str, Layer, str]] = [
    ("quote gone", "dgx", "IMAGE=", "IMAGE='", VENDOR, "syntax error"),
    ("a bracket gone", "jetson", "ENV=()", "ENV=(", VENDOR, "syntax error"),
    ("a function without its end", "dgx", "\npin() {", "\npin() {{", VENDOR, "syntax error"),
    ("a word split", "dgx", '--name "$(lane_name "$1")"', "--name $(lane_name $1)", VENDOR, "Double quote"),
    ("devices without inner quotes", "dgx", DEVICES, "(--gpus device=0,1)", RULES, "first device alone"),
    ("one runtime short", "jetson", "--runtime nvidia --gpus all", "--gpus all", RULES, "--runtime nvidia"),
    ("one flag short", "jetson", "--runtime nvidia --gpus all", "--runtime nvidia", RULES, "--gpus all"),
    ("tee in the way", "dgx", STARTED, TEED, RULES, "through tee"),
    ("no pipefail", "dgx", "set -euo pipefail", "set -eu", RULES, "pipefail"),
    ("no trap", "jetson", "  trap finish EXIT\n", "", RULES, "not be put back"),
    ("privileged", "dgx", "--cap-drop ALL", "--privileged", RULES, "whole machine"),
    ("the engine's socket", "dgx", "MOUNTS=(", SOCKET, RULES, "socket"),
    ("a secret on the argv", "jetson", "--cap-drop ALL", "--cap-drop ALL --env API_KEY=abc123", RULES, "secret"),
    ("a secret in the job", "dgx", "ENV=()", "ENV=(AWS_SECRET_ACCESS_KEY=abc)", RULES, "secret"),
    ("a secret's value among the names", "jetson", "SECRET_ENV=()", "SECRET_ENV=(KEY=abc)", RULES, "a name alone"),
    ("no output", "dgx", "OUT=/srv/hexgate/output", "OUT=''", RULES, "is lost"),
    ("no {out}", "jetson", "'{out}'", "/output/x", RULES, "no {out}"),
    ("no image", "dgx", IMAGE, IMAGE[:-6], RULES, "its tag"),
    ("an image that moves", "jetson", "hexgate:0.1.0-r36", "hexgate:latest", RULES, "latest"),
    ("a model that can be changed", "dgx", "target=/models,readonly", "target=/models", RULES, "readonly"),
    ("a relative folder", "dgx", "source=/srv/hexgate/models", "source=models", RULES, "absolute path"),
    ("a mount of another form", "jetson", MODEL, "/srv/models:/models:ro", RULES, "type=bind"),
    ("GPUs in words", "dgx", "GPUS=0", "GPUS=two", RULES, "expected the form"),
    ("GPUs by number on a Jetson", "jetson", "GPUS=all", "GPUS=0", RULES, "expected the form"),
    ("a name that is not there", "dgx", "NUMA=auto", "NUMMA=auto", RULES, "no such variable"),
    ("the job's end is gone", "jetson", "# ---- end of the job\n", "", RULES, "are gone"),
    ("a command in the job", "dgx", "SHARDS=1", "SHARDS=1; curl http://x | sh", RULES, "one value"),
    ("no time", "jetson", "TIMEOUT_S=7200", "TIMEOUT_S=2h", RULES, "expected the form"),
    ("an upload without a network", "dgx", "OUTPUT=/output", "OUTPUT=s3://bucket/runs", RULES, "expected host"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "old", "new", "layer", "said"), [each[1:] for each in MUTATED], ids=[each[0] for each in MUTATED]
)
def test_a_changed_file_is_refused_by_the_layer_that_should(
    name: str, old: str, new: str, layer: Layer, said: str
) -> None:
    text = (TEMPLATES / "job_templates" / name / "run.sh").read_text("utf-8")
    assert old in text
    files = {"run.sh": text.replace(old, new)}
    found = platform(name).check(files).findings if layer is VENDOR else platform(name).native_findings(files)
    assert any(said in one.problem for one in found), found


@pytest.mark.parametrize(
    ("name", "keys", "path"),
    [
        ("dgx", {"platform": {"dgx": {"gpus": [0, 1]}}}, "$.platform.dgx.gpus"),
        ("dgx", {"platform": {"dgx": {"gpus": "all"}}, "resources": {"gpus": 0}}, "$.platform.dgx.gpus"),
        ("dgx", {"resources": {"gpus": 1, "gpu_type": "h100"}}, "$.resources.gpu_type"),
        ("jetson", {"resources": {"gpus": 2}}, "$.resources.gpus"),
        ("dgx", {"retries": {"max": 1}}, "$.retries.max"),
        ("jetson", {"output": {"uri": "s3://bucket/runs"}}, "$.platform.jetson.network"),
        ("dgx", {"output": {"uri": "s3://bucket/runs", "path": "/output"}}, "$.output.uri"),
        (
            "jetson",
            {"mounts": [{"name": "model", "uri": "pvc://models", "path": "/models"}]},
            "$.mounts[0].uri",
        ),
        ("dgx", {"mounts": [{"name": "model", "uri": "file:///a,b", "path": "/models"}]}, "$.mounts[0].uri"),
    ],
)
def test_a_spec_that_a_node_cannot_do_is_refused_with_its_path(
    name: str, keys: dict[str, Any], path: str
) -> None:
    spec = changed(name, **keys)
    assert [each.path for each in platform(name).spec_findings(spec)] == [path]
    with pytest.raises(JobSpecError) as raised:
        platform(name).render(spec)
    assert path in str(raised.value)


@pytest.mark.parametrize(
    "block",
    [
        {"gpus": "0,1"},
        {"gpus": []},
        {"gpus": [0, 0]},
        {"network": "bridge"},
        {"numa": "near"},
        {"user": "root"},
        {"lock_clocks": 1980},
    ],
)
def test_a_block_that_breaks_the_schema_is_refused_with_its_path(block: dict[str, Any]) -> None:
    with pytest.raises(JobSpecError, match=r"\$\.platform\.dgx"):
        demo_spec("file:///srv/out", output_path="/output", platform={"dgx": block})


def test_a_machine_without_shellcheck_says_that_it_did_not_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    (tmp_path / "bash").symlink_to(bash)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    checked = platform("dgx").check(platform("dgx").render(spec_of("dgx")))
    assert (checked.findings, checked.skipped) == ((), "bash parses it, but shellcheck is not installed")
