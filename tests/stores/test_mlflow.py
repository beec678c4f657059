"""Verdicts in MLflow: against a real tracking server, and without one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hexgate.contract.artifact import read_artifact
from hexgate.gate.evidence import load_evidence
from hexgate.stores.mlflow import _metrics
from support import needs
from support.artifacts import artifact
from support.gate import put_all
from support.prometheus import free_port, running
from support.vendor_server import Reply, Seen, VendorServer

POLICY = """
version: 1
name: release
rules:
  - {{indicator: accuracy_f1, measure: f1, at_least: {limit}}}
  - {{indicator: latency_p99, measure: p99_ms, at_most: 300}}
evidence: {{recompute: false, require_evidence_files: false, max_age_hours: 876000}}
"""


@pytest.fixture
def policy(tmp_path: Path):
    def write(limit: float) -> Path:
        path = tmp_path / f"policy-{limit}.yaml"
        path.write_text(POLICY.format(limit=limit), encoding="utf-8")
        return path

    return write


@pytest.fixture
def tracking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    needs.module("mlflow", group="mlflow")
    needs.module("flask", group="mlflow")
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    address = f"http://127.0.0.1:{free_port()}"
    command = (
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
        *("--port", address.rpartition(":")[2], "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{tmp_path}/m.db"),
        *("--artifacts-destination", str(tmp_path / "kept")),
    )
    with running(*command, ready=f"{address}/health"):
        yield address


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
def test_a_real_server_has_measures_verdict_and_report(tracking: str, tmp_path: Path, call, policy) -> None:
    folder = put_all(tmp_path / "out")
    ended = call(
        *("gate", folder, "--policy", policy(0.75), "--mlflow", tracking, "--mlflow-experiment", "digits"),
        *("--report", tmp_path / "report.html", "--json", tmp_path / "verdict.json"),
    )
    assert ended.code == 0, ended.err
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=tracking)
    (run,) = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["accuracy_f1.f1"] == 0.905
    assert run.data.metrics["latency_p99.p99_ms"] == 5.0
    assert not any(name.startswith("latency_p99.ttft") for name in run.data.metrics), "nothing was streamed"
    assert not any(name.startswith("toxicity.") for name in run.data.metrics), "not judged, and made up"
    assert run.data.tags["hexgate.verdict"] == "PASS"
    assert run.data.tags["hexgate.rule.accuracy_f1.f1"] == "PASS"
    kept = {Path(each.path).name for each in client.list_artifacts(run.info.run_id, "hexgate")}
    assert {"report.html", "verdict.json", "accuracy_f1.json", "toxicity.json"} <= kept
    got = client.download_artifacts(run.info.run_id, "hexgate/toxicity.json", str(tmp_path))
    assert read_artifact(Path(got)).data == read_artifact(folder / "toxicity.json").data
    got = client.download_artifacts(run.info.run_id, "hexgate/report.html", str(tmp_path))
    assert Path(got).read_bytes() == (tmp_path / "report.html").read_bytes()
    blocked = call("gate", folder, "--policy", policy(0.99), "--mlflow", tracking)
    assert blocked.code == 1, blocked.err
    (run,) = client.search_runs([client.get_experiment_by_name("hexgate").experiment_id])
    assert run.data.tags["hexgate.verdict"] == "FAIL"


class Refusing(VendorServer):
    """A tracking server that is out of order."""

    def answer(self, request: Seen) -> Reply:
        return Reply(403, {"error_code": "PERMISSION_DENIED", "message": "not yours"})


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("limit", "code"), [(0.75, 5), (0.99, 1)], ids=["passes", "fails"])
def test_a_server_that_refuses_hides_no_verdict(
    tmp_path: Path, call, policy, limit: float, code: int
) -> None:
    needs.module("mlflow", group="mlflow")
    folder = put_all(tmp_path / "out")
    verdict = tmp_path / "verdict.json"
    with Refusing() as server:
        url = f"http://{server.address}"
        ended = call("gate", folder, "--policy", policy(limit), "--mlflow", url, "--json", verdict)
    assert ended.code == code, ended.err
    assert "could not be logged" in ended.err
    assert "Traceback" not in ended.err
    assert verdict.is_file()


def test_an_address_with_credentials_is_refused(tmp_path: Path, call, policy) -> None:
    folder = put_all(tmp_path / "out")
    ended = call("gate", folder, "--policy", policy(0.75), "--mlflow", "http://me:sentinel@127.0.0.1:9")
    assert ended.code == 2
    assert "sentinel" not in ended.err
    assert "MLFLOW_TRACKING_PASSWORD" in ended.err


def test_without_the_client_it_says_what_to_install(tmp_path: Path, call, policy, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    before = dict(os.environ)
    folder = put_all(tmp_path / "out")
    ended = call("gate", folder, "--policy", policy(0.75), "--mlflow", "http://127.0.0.1:9")
    assert ended.code == 2
    assert "pip install -e '.[mlflow]'" in ended.err
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    "uri", ["http://[sentinel", "http://", "http://h:x", "http://h/?token=sentinel", "http://h/#sentinel"]
)
def test_an_address_that_is_none_is_refused_before_anything_is_judged(
    tmp_path: Path, call, policy, uri: str
) -> None:
    folder = put_all(tmp_path / "out")
    ended = call("gate", folder, "--policy", policy(0.75), "--mlflow", uri, "--json", tmp_path / "v.json")
    assert ended.code == 2
    assert "sentinel" not in ended.err
    assert not (tmp_path / "v.json").exists()


def test_only_sound_artifacts_that_stand_alone_have_metrics() -> None:
    one = artifact("accuracy_f1") | {"artifact_id": "1"}
    other = artifact("latency_p99") | {"artifact_id": "2"}
    assert {name.split(".")[0] for name, _ in _metrics([one, other], {"2"})} == {"accuracy_f1"}
    assert {name.split(".")[0] for name, _ in _metrics([one, other, one], ())} == {"latency_p99"}


def test_what_was_judged_is_logged_and_not_what_lies_there_afterwards(
    tmp_path: Path, call, policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = put_all(tmp_path / "out")
    reads: list[object] = []

    def counted(*arguments, **options):
        reads.append(arguments)
        return load_evidence(*arguments, **options)

    monkeypatch.setattr("hexgate.cli.gate.load_evidence", counted)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    ended = call("gate", folder, "--policy", policy(0.75), "--mlflow", "http://127.0.0.1:9", "--self-test")
    assert ended.code in {2, 4}, ended.err
    assert len(reads) == 1
