"""Jobs on Kubernetes from submit to verdict: the official Python client and kubectl, against a fake of the API."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hexgate.errors import InputError, PlatformFailed
from hexgate.gate.verdict import Verdict
from hexgate.platforms.base import Checked, JobState, Layer
from hexgate.platforms.collect import Expected, collect_run, expectation
from hexgate.platforms.kubernetes import Kubernetes
from hexgate.platforms.kubernetes_driver import KubernetesDriver
from hexgate.platforms.kubernetes_job import FILE
from hexgate.platforms.spec import JobSpec
from hexgate.stores.registry import open_store
from support import needs
from support.fake_kubernetes import FakeKubernetes, KubeJob
from support.lifecycle import carry, demo_spec, follow
from support.native_files import changed, drop, put
from support.s3_server import KEY_ID, SECRET, admin, s3_server
from support.vendor_server import Fault, Life, Seen

RUN = "20261120T101500Z-0123abcd"
ID = "eval/quick-20261120t101500z-0123abcd"

pytestmark = pytest.mark.vendor


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


@pytest.fixture
def server(tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    needs.module("kubernetes")
    for name in ("HEXGATE_KUBE_CONTEXT", "HEXGATE_KUBE_NAMESPACE", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    with FakeKubernetes({"results": results}) as fake:
        monkeypatch.setenv("KUBECONFIG", str(fake.kubeconfig(tmp_path)))
        yield fake


def a_job(**keys: Any) -> JobSpec:
    return demo_spec("pvc://results", output_path="/output", **keys)


def the_job(server: FakeKubernetes) -> KubeJob:
    (job,) = server.jobs.values()
    return job


def driver() -> KubernetesDriver:
    return KubernetesDriver.open(None)


def creates(seen: Seen) -> bool:
    return seen.method == "POST"


def looks(seen: Seen) -> bool:
    return seen.method == "GET" and "/jobs/" in seen.path


def test_a_job_from_submit_to_verdict(server: FakeKubernetes, results: Path, tmp_path: Path) -> None:
    server.fail_next(Fault.THROTTLED, Fault.SERVER_ERROR, Fault.CUT)
    server.fail_next(Fault.UNAVAILABLE, Fault.CUT, when=looks)
    carried = carry("kubernetes", driver(), a_job(), tmp_path, store_uri=results.as_uri())
    assert not server.faults
    assert carried.status.state is JobState.SUCCEEDED
    assert carried.collected.whole
    assert carried.verdict.verdict is Verdict.PASS
    assert len(server.jobs) == 1
    manifest = json.loads(next(results.glob("*/main/*/manifest.json")).read_text("utf-8"))
    assert manifest["platform_job_id"] == carried.handle.native_id
    assert manifest["platform"] == "kubernetes"


def test_two_indexes_leave_two_shards(server: FakeKubernetes, results: Path, tmp_path: Path) -> None:
    handle, status = follow("kubernetes", driver(), a_job(shards=2), tmp_path)
    assert status.state is JobState.SUCCEEDED
    run = results / handle.run_id
    assert sorted(part.name for part in run.glob("shard-*")) == ["shard-0-of-2", "shard-1-of-2"]
    lines = list(driver().logs(str(handle.native_id)))
    assert {line.split(": ")[0].rsplit("-", 2)[1] for line in lines} == {"0", "1"}


def test_a_job_uploads_by_itself_with_what_its_secret_holds(
    server: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the template does: straight into a bucket, with credentials that stand in no file."""
    names = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    server.secrets["hexgate-store"] = names
    with s3_server() as url:
        admin(url).create_bucket(Bucket="results")
        spec = demo_spec(
            "s3://results/hexgate",
            platform={"kubernetes": {"secret": "hexgate-store"}},
            secret_env=list(names),
            env={"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1"},
        )
        handle, status = follow("kubernetes", driver(), spec, tmp_path)
        assert status.state is JobState.SUCCEEDED
        for name, value in {**names, "AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1"}.items():
            monkeypatch.setenv(name, value)
        collected = collect_run(open_store(spec.output.uri), expectation(handle), tmp_path / "collected")
    assert collected.whole
    assert all(SECRET.encode() not in seen.body for seen in server.seen)


def test_an_answer_that_was_lost_gives_no_second_job(server: FakeKubernetes) -> None:
    spec = a_job(run_id=RUN)
    assert driver().submit(spec) == ID
    # As a client sees it whose first call arrived, and whose answer did not.
    server.fail_next(Fault.CUT, when=creates)
    assert driver().submit(spec) == ID
    assert driver().find(RUN) == ID
    assert len(server.jobs) == 1


def test_a_run_is_not_submitted_with_another_spec(server: FakeKubernetes) -> None:
    driver().submit(a_job(run_id=RUN))
    with pytest.raises(PlatformFailed, match="another spec"):
        driver().submit(a_job(run_id=RUN, timeout_s=900))


def test_a_run_that_nobody_submitted_is_not_found(server: FakeKubernetes) -> None:
    driver().submit(a_job(run_id="20261120T101500Z-ffffffff"))
    assert driver().find(RUN) is None


@pytest.mark.parametrize(
    ("life", "states"),
    [
        (Life.STUCK, {JobState.PENDING}),
        (Life.FAILS, {JobState.PENDING, JobState.RUNNING, JobState.FAILED}),
        (Life.LOST, {JobState.PENDING, JobState.UNKNOWN}),
        (Life.STRANGE, {JobState.PENDING, JobState.UNKNOWN}),
    ],
)
def test_a_life_is_told_in_our_words(server: FakeKubernetes, life: Life, states: set[JobState]) -> None:
    server.life = life
    native_id = driver().submit(a_job(run_id=RUN))
    seen = [driver().status(native_id) for _ in range(6)]
    assert {status.state for status in seen} == states
    last = {Life.STUCK: "Pending", Life.FAILS: "Failed", Life.LOST: "lost", Life.STRANGE: "Bewildered"}
    assert seen[-1].native == last[life]


def test_a_pod_that_waits_says_why(server: FakeKubernetes) -> None:
    server.life = Life.STUCK
    status = driver().status(driver().submit(a_job(run_id=RUN)))
    assert (status.state, status.reason) == (JobState.PENDING, "ContainerCreating")


def test_a_command_that_fails_fails_the_job(server: FakeKubernetes, tmp_path: Path) -> None:
    argv = ["hexgate", "run", "--indicator", "accuracy_f1", "--model", "/no/model", "--out", "{out}/a.json"]
    _, status = follow("kubernetes", driver(), a_job(argv=argv), tmp_path)
    assert (status.state, status.native) == (JobState.FAILED, "Failed")
    assert status.reason is not None


def test_a_cancelled_job_stays_and_says_so(server: FakeKubernetes) -> None:
    server.life = Life.STUCK
    native_id = driver().submit(a_job(run_id=RUN))
    driver().cancel(native_id)
    assert driver().status(native_id).state is JobState.CANCELLED
    spec = the_job(server).body["spec"]
    # Kueue may start it again; it then ends at once.
    assert (spec["suspend"], spec["activeDeadlineSeconds"]) == (True, 1)
    driver().cancel(native_id)
    assert driver().find(RUN) == native_id


def test_a_job_that_ended_is_not_cancelled(server: FakeKubernetes, tmp_path: Path) -> None:
    handle, _ = follow("kubernetes", driver(), a_job(), tmp_path)
    driver().cancel(str(handle.native_id))
    assert driver().status(str(handle.native_id)).state is JobState.SUCCEEDED
    assert "suspend" not in the_job(server).body["spec"]


def test_conditions_are_told_apart(server: FakeKubernetes) -> None:
    native_id = driver().submit(a_job(run_id=RUN))
    job = the_job(server)
    told = {}
    for name in ("SuccessCriteriaMet", "FailureTarget", "Suspended", "Complete", "Failed"):
        server._shown = lambda job, name=name: _with(job, name)  # type: ignore[assignment,misc]
        told[name] = driver().status(native_id).state
    assert told == {
        "SuccessCriteriaMet": JobState.RUNNING,
        "FailureTarget": JobState.RUNNING,
        "Suspended": JobState.PENDING,
        "Complete": JobState.SUCCEEDED,
        "Failed": JobState.FAILED,
    }
    assert job.looks == 0


def _with(job: KubeJob, name: str) -> dict[str, Any]:
    condition = {"type": name, "status": "True", "reason": "Told", "message": ""}
    return job.body | {"status": {"conditions": [condition]}}


def test_a_server_that_stays_away_is_an_error_of_the_platform(
    server: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hexgate.stores.retry._LONGEST_WAIT_S", 0.01)
    native_id = driver().submit(a_job(run_id=RUN))
    server.fail_next(*[Fault.CUT] * 5)
    with pytest.raises(PlatformFailed, match="does not answer"):
        driver().status(native_id)
    server.fail_next(*[Fault.THROTTLED] * 5)
    with pytest.raises(PlatformFailed, match="429"):
        driver().status(native_id)


def test_logs_of_a_lost_job_are_nowhere(server: FakeKubernetes) -> None:
    with pytest.raises(PlatformFailed, match="keeps no logs"):
        list(driver().logs("eval/nothing"))


def test_an_id_that_is_none_is_refused(server: FakeKubernetes) -> None:
    with pytest.raises(InputError):
        driver().status("nothing")


def test_no_cluster_is_an_error_of_the_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs.module("kubernetes")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(InputError, match="no Kubernetes cluster"):
        driver()


def test_another_context_is_taken_when_it_is_named(
    server: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEXGATE_KUBE_CONTEXT", "fake")
    monkeypatch.setenv("HEXGATE_KUBE_NAMESPACE", "other")
    assert driver().submit(a_job(run_id=RUN)).startswith("other/")
    monkeypatch.setenv("HEXGATE_KUBE_CONTEXT", "absent")
    with pytest.raises(InputError):
        driver()


def dry_run(files: Any) -> Checked:
    return Kubernetes().dry_run(files)


def test_the_server_is_asked_without_creating_anything(server: FakeKubernetes) -> None:
    files = Kubernetes().render(a_job(run_id=RUN))
    assert dry_run(files).findings == ()
    assert server.jobs == {}
    assert [seen.query["fieldValidation"] for seen in server.seen] == [["Strict"]]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (put("metadata", "name", value="Quick"), "$.metadata.name"),
        (put("spec", "completionMode", value="Index"), "$.spec.completionMode"),
        (
            put("spec", "template", "spec", "restartPolicy", value="OnFailure"),
            "$.spec.template.spec.restartPolicy",
        ),
    ],
)
def test_what_the_server_refuses_is_told_with_its_path(
    server: FakeKubernetes, change: Any, path: str
) -> None:
    files = changed(Kubernetes().render(a_job(run_id=RUN))[FILE], FILE, change)
    assert [finding.path for finding in dry_run(files).findings] == [f"{FILE}: {path}"]


def test_a_server_that_cannot_be_asked_has_found_nothing_right(
    server: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Kubernetes().render(a_job(run_id=RUN))
    server.fail_next(*[Fault.SERVER_ERROR] * 5)
    checked = dry_run(files)
    assert (checked.layer, checked.findings) == (Layer.SERVER, ())
    assert checked.skipped is not None


def kubectl(*argv: str, text: str = "") -> str:
    ended = subprocess.run(
        [needs.program("kubectl"), *argv],
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture
def _new_kubectl() -> None:
    """One that knows every field of the file: an older ``kubectl set`` drops the others in silence."""
    version = json.loads(kubectl("version", "--client", "-o", "json"))["clientVersion"]
    if int(version["minor"].rstrip("+")) < 31:
        pytest.skip(f"kubectl {version['gitVersion']} does not know every field of the file")


@pytest.mark.infra
@pytest.mark.usefixtures("_new_kubectl")
def test_kubectl_carries_the_file_as_it_is(server: FakeKubernetes, results: Path, tmp_path: Path) -> None:
    """The way of the README: the file goes to kubectl, and the run is collected by its name."""
    file = tmp_path / FILE
    file.write_text(Kubernetes().render(a_job(shards=2))[FILE], encoding="utf-8")
    changed_file = kubectl("set", "env", "--local", "-f", str(file), f"HEXGATE_RUN_ID={RUN}", "-o", "yaml")
    unvalidated = ["create", "--validate=false", "-f", "-"]
    assert "created (server dry run)" in kubectl(*unvalidated, "--dry-run=server", text=changed_file)
    assert server.jobs == {}
    job = kubectl(*unvalidated, "-o", "name", text=changed_file).strip()
    kubectl("wait", "--for=condition=complete", "--timeout=100s", job)
    pods = f"job-name={job.removeprefix('job.batch/')}"
    assert "published" in kubectl("logs", "--selector", pods, "--tail=-1")
    collected = collect_run(
        open_store(str(results)), Expected(RUN, ("shard-0-of-2", "shard-1-of-2")), tmp_path / "collected"
    )
    assert collected.whole
    kubectl("delete", job)
    assert server.jobs == {}


@pytest.mark.infra
def test_without_a_run_the_job_is_its_own(server: FakeKubernetes, results: Path, tmp_path: Path) -> None:
    text = Kubernetes().render(a_job(shards=2))[FILE]
    job = kubectl("create", "--validate=false", "-f", "-", "-o", "name", text=text).strip()
    assert job.startswith("job.batch/quick-")
    kubectl("wait", "--for=condition=complete", "--timeout=100s", job)
    (run,) = results.iterdir()
    assert sorted(part.name for part in run.glob("shard-*")) == ["shard-0-of-2", "shard-1-of-2"]


@pytest.mark.infra
@pytest.mark.usefixtures("_new_kubectl")
def test_what_kubectl_makes_of_the_file_passes_every_layer(server: FakeKubernetes, tmp_path: Path) -> None:
    needs.module("kubernetes_validate")
    file = tmp_path / FILE
    file.write_text(Kubernetes().render(a_job(shards=2))[FILE], encoding="utf-8")
    image = "registry.example.com/hexgate:0.2.0"
    text = kubectl("set", "image", "--local", "-f", str(file), f"hexgate={image}", "-o", "yaml")
    problems = [finding.problem for finding in Kubernetes().native_findings({FILE: text})]
    assert len(problems) == 1
    assert image in problems[0]
    given = [f"HEXGATE_IMAGE={image}", f"HEXGATE_RUN_ID={RUN}"]
    text = kubectl("set", "env", "--local", "-f", "-", *given, "-o", "yaml", text=text)
    files = {FILE: text}
    assert Kubernetes().check(files).findings == ()
    assert Kubernetes().native_findings(files) == []
    assert dry_run(files).findings == ()
    assert {"HEXGATE_RUN_ID", "HEXGATE_RUN_KEY"} <= {entry["name"] for entry in _container(text)["env"]}


def _container(text: str) -> dict[str, Any]:
    container: dict[str, Any] = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"][0]
    return container


@pytest.mark.infra
def test_kubectl_sees_what_became_of_a_job(server: FakeKubernetes) -> None:
    server.life = Life.FAILS
    text = changed(Kubernetes().render(a_job(run_id=RUN))[FILE], FILE, drop("metadata", "annotations"))[FILE]
    create = ["create", "--validate=false", "-f", "-", "-o", "name"]
    job = kubectl(*create, text=text).strip()
    with pytest.raises(AssertionError, match="AlreadyExists"):
        kubectl(*create, text=text)
    kubectl("wait", "--for=condition=failed", "--timeout=100s", job)
