"""`hexgate report`: what was judged, in other forms, and only that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from support.artifacts import artifact
from support.gate import put, put_all
from support.vendor_server import Fault, Reply, Seen, VendorServer

POLICY = """
version: 1
name: release
rules:
  - {indicator: accuracy_f1, measure: f1, at_least: 0.75}
evidence: {recompute: false, require_evidence_files: false, max_age_hours: 876000}
"""


@pytest.fixture
def judged(tmp_path: Path, call) -> Path:
    """A folder of six artifacts with their verdict beside it."""
    folder = put_all(tmp_path / "out")
    (tmp_path / "policy.yaml").write_text(POLICY, encoding="utf-8")
    ended = call("gate", folder, "--policy", tmp_path / "policy.yaml", "--json", tmp_path / "verdict.json")
    assert ended.code == 0, ended.err
    return folder


def samples(path: Path) -> dict[str, float]:
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_every_form_of_a_verdict_that_lies_above_the_folder(judged: Path, tmp_path: Path, call) -> None:
    forms = {"--html": "r.html", "--markdown": "r.md", "--junit": "r.xml", "--prometheus": "r.prom"}
    flags = [part for flag, name in forms.items() for part in (flag, tmp_path / name)]
    ended = call("report", judged, *flags)
    assert ended.code == 0, ended.err
    assert all((tmp_path / name).stat().st_size > 500 for name in forms.values())
    again = tmp_path / "gate.html"
    verdict = tmp_path / "verdict.json"
    assert call("report", judged, "--verdict", verdict, "--html", again).code == 0
    assert again.read_bytes() == (tmp_path / "r.html").read_bytes()


def test_figures_have_samples_and_what_is_not_known_has_none(judged: Path, tmp_path: Path, call) -> None:
    assert call("report", judged, "--prometheus", tmp_path / "r.prom").code == 0
    found = samples(tmp_path / "r.prom")
    f1 = [name for name in found if name.startswith("hexgate_measure{") and 'measure="f1"' in name]
    assert [found[name] for name in f1] == [0.905]
    assert 'unit="ratio"' in f1[0]
    assert not any('measure="ttft_p99_ms"' in name for name in found), "nothing was streamed"
    verdicts = {name: value for name, value in found.items() if name.startswith("hexgate_verdict{")}
    assert sum(verdicts.values()) == 1.0
    assert next(name for name, value in verdicts.items() if value).endswith('verdict="PASS"}')
    assert len(verdicts) == 5


def test_an_artifact_that_is_not_complete_has_no_figures(tmp_path: Path, call) -> None:
    put(tmp_path, "accuracy_f1", status="partial", invalid_reasons=["the run was stopped"])
    ended = call("report", tmp_path, "--prometheus", tmp_path / "r.prom")
    assert ended.code == 0, ended.err
    assert "no verdict found" in ended.err
    found = samples(tmp_path / "r.prom")
    assert not any(name.startswith("hexgate_measure") for name in found)
    assert not any(name.startswith("hexgate_verdict") for name in found)
    (complete,) = (name for name in found if name.startswith("hexgate_artifact_complete"))
    assert found[complete] == 0.0
    assert 'status="partial"' in complete


def test_a_changed_artifact_is_left_out(judged: Path, tmp_path: Path, call) -> None:
    path = judged / "latency_p99.json"
    path.write_text(
        path.read_text("utf-8")
        .replace('"max_ms":9.0', '"max_ms":8.0')
        .replace('"max_ms": 9.0', '"max_ms": 8.0')
    )
    ended = call("report", judged, "--prometheus", tmp_path / "r.prom")
    assert ended.code == 0, ended.err
    assert "latency_p99.json" in ended.err
    assert not any('indicator="latency_p99"' in name for name in samples(tmp_path / "r.prom"))


def test_a_verdict_on_other_artifacts_is_refused(judged: Path, tmp_path: Path, call) -> None:
    other = put_all(tmp_path / "other", created_at="2026-01-02T03:04:05Z")
    verdict = tmp_path / "verdict.json"
    ended = call("report", other, "--verdict", verdict, "--prometheus", tmp_path / "r.prom")
    assert ended.code == 4
    assert "other artifacts" in ended.err
    assert not (tmp_path / "r.prom").exists()


@pytest.mark.parametrize(
    ("content", "code"),
    [("{", 4), ("{}", 4), ('{"schema": "hexgate/verdict/9.0"}', 4), (None, 2)],
    ids=["cut off", "empty", "newer", "absent"],
)
def test_what_is_no_verdict_is_refused(
    judged: Path, tmp_path: Path, call, content: str | None, code: int
) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    ended = call("report", judged, "--verdict", path, "--html", tmp_path / "r.html")
    assert ended.code == code
    assert "Traceback" not in ended.err
    assert "x.json" in ended.err


def test_without_a_verdict_there_is_nothing_to_show(tmp_path: Path, call) -> None:
    put(tmp_path / "out", "accuracy_f1")
    ended = call("report", tmp_path / "out", "--html", tmp_path / "r.html")
    assert ended.code == 2
    assert "hexgate gate DIR --json" in ended.err
    assert call("report", tmp_path / "out").code == 2


def test_a_name_cannot_break_out_of_its_label(tmp_path: Path, call) -> None:
    name = 'a"} 1\nhexgate_verdict{verdict="PASS"} 1\\'
    subject = artifact("accuracy_f1", tmp_path)["subject"] | {"name": name}
    put(tmp_path, "accuracy_f1", subject=subject)
    assert call("report", tmp_path, "--prometheus", tmp_path / "r.prom").code == 0
    assert not any(name.startswith("hexgate_verdict") for name in samples(tmp_path / "r.prom"))


class Gateway(VendorServer):
    """Takes whatever is pushed to it."""

    def answer(self, request: Seen) -> Reply:
        return Reply(200)


def test_a_push_names_its_group_and_shows_no_secret(judged: Path, call, monkeypatch) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN", "sentinel-token")
    with Gateway() as gateway:
        url = f"http://{gateway.address}/prefix/"
        flags = ("--group", "model=a/b", "--group", "host=a b", "--pushgateway-token-env", "GATEWAY_TOKEN")
        ended = call("report", judged, "--pushgateway", url, *flags)
        assert ended.code == 0, ended.err
        assert "sentinel-token" not in ended.err + ended.out
        gateway.fail_next(Fault.THROTTLED)
        refused = call("report", judged, "--pushgateway", url, *flags)
        assert refused.code == 5
        assert "HTTP 429" in refused.err
        assert "sentinel-token" not in refused.err
    pushed = gateway.seen[0]
    assert (pushed.method, pushed.path) == (
        "PUT",
        "/prefix/metrics/job/hexgate/model@base64/YS9i/host/a%20b",
    )
    assert pushed.headers["authorization"] == "Bearer sentinel-token"
    assert pushed.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert pushed.body.decode().startswith("# HELP hexgate_verdict ")


def test_a_gateway_that_refuses_is_a_platform_that_failed(judged: Path, call) -> None:
    ended = call("report", judged, "--pushgateway", "http://127.0.0.1:9")
    assert ended.code == 5
    assert "does not answer" in ended.err


@pytest.mark.parametrize(
    "url", ["127.0.0.1:9091", "ftp://x", "http://user:sentinel@x", "http://x/?token=sentinel"]
)
def test_addresses_that_are_none_or_hold_credentials_are_refused(judged: Path, call, url: str) -> None:
    ended = call("report", judged, "--pushgateway", url)
    assert ended.code == 2
    assert "sentinel" not in ended.err.replace(url, "")


@pytest.mark.parametrize("group", ["x", "job=y", "__a=b", "a b=c", "=d"])
def test_groups_that_are_none_are_refused(judged: Path, call, group: str) -> None:
    assert call("report", judged, "--pushgateway", "http://127.0.0.1:9", "--group", group).code == 2


def test_the_verdict_is_found_in_the_folder_too(judged: Path, tmp_path: Path, call) -> None:
    shutil.move(tmp_path / "verdict.json", judged / "verdict.json")
    ended = call("report", judged, "--prometheus", tmp_path / "r.prom")
    assert ended.code == 0, ended.err
    assert json.loads((judged / "verdict.json").read_text("utf-8"))["verdict"] == "PASS"
    assert any(name.startswith("hexgate_verdict") for name in samples(tmp_path / "r.prom"))
