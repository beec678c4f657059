"""Measuring a hosted model remotely: the checked-in job, against the reference endpoint of this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
import yaml

from support.command import Ended
from support.load_running import until_undisturbed
from support.served import served

ROOT = Path(__file__).resolve().parents[2]
ENDPOINT = ROOT / "platforms" / "job_templates" / "bailian" / "endpoint.yaml"
POLICY = {
    "version": 1,
    "name": "endpoint",
    "rules": [{"indicator": "latency_p99", "measure": "error_ratio", "at_most": 0.2}],
}


def test_a_host_that_nobody_filled_in_is_refused(
    call: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DASHSCOPE_API_KEY", "key-of-a-test")
    ended = call("platforms", "submit", ENDPOINT, "--platform", "local")
    assert ended.code == 2
    assert "${BASE_URL}" in ended.err


def test_no_key_no_job(call: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DASHSCOPE_API_KEY", raising=False)
    filled = tmp_path / "endpoint.yaml"
    filled.write_text(
        ENDPOINT.read_text("utf-8").replace("${BASE_URL}", "https://workspace.invalid"), "utf-8"
    )
    ended = call("platforms", "submit", filled, "--platform", "local")
    assert ended.code == 2
    assert "DASHSCOPE_API_KEY" in ended.err


def test_the_job_as_it_stands_with_its_host_filled_in(
    call: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DASHSCOPE_API_KEY", "key-of-a-test")
    (tmp_path / "data").mkdir()
    copy(ROOT / "examples" / "prompts" / "prompts.jsonl", tmp_path / "data")
    text = ENDPOINT.read_text("utf-8").replace("qwen-plus", "hexgate-demo-lm").replace("=64", "=8")
    spec = yaml.safe_load(text)
    # Not for an hour: one of the three indicators, and fewer requests.
    spec["indicator"] = ["latency_p99"]
    spec["argv"].insert(-1, "--requests=120")
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(POLICY), "utf-8")
    options = ("--platform", "local", "--wait", "--poll-s", "0.05")

    def submitted(out: Path) -> tuple[Ended, dict[str, Any]]:
        ended = call("platforms", "submit", "endpoint.yaml", *options, "--collect", out)
        return ended, json.loads((out / "latency_p99" / "latency_p99.json").read_text("utf-8"))

    with served() as address:
        filled = yaml.safe_dump(spec).replace("${BASE_URL}/compatible-mode", address)
        (tmp_path / "endpoint.yaml").write_text(filled, "utf-8")
        (ended, artifact), out = until_undisturbed(
            submitted, tmp_path / "out", lambda told: " ".join(told[1]["invalid_reasons"])
        )
    assert ended.code == 0, ended.err
    assert artifact["status"] == "complete"
    assert artifact["subject"]["name"] == "hexgate-demo-lm"
    assert not any(
        b"key-of-a-test" in path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()
    )
    assert call("gate", out, "--policy", "policy.yaml").code == 0
