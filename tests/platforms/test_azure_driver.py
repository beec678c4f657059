"""Jobs on Azure ML by azure-ai-ml itself, against a fake workspace on loopback that really runs their commands."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError, MissingExtra, PlatformFailed
from hexgate.gate.verdict import Verdict
from hexgate.platforms import azure_driver
from hexgate.platforms.azure import Azure
from hexgate.platforms.azure_check import quiet
from hexgate.platforms.azure_driver import STATES, AzureDriver
from hexgate.platforms.base import JobState, Layer
from hexgate.platforms.spec import JobSpec
from support import needs
from support.lifecycle import carry, demo_spec, follow
from support.vendor_server import Fault, Life, Seen

pytestmark = pytest.mark.vendor

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "digits"
OUTPUT = "azureml://datastores/evaluations/paths/hexgate/"
MOUNTS = [
    {"name": "model", "uri": "azureml://datastores/models/paths/release/", "path": "/models"},
    {"name": "data", "uri": "azureml://datastores/data/paths/validation/", "path": "/data"},
]
MEASURE = ["--model", "/models/model.onnx", "--data", "/data/val.jsonl"]
SHORT = """
case "$0" in
  throughput_rps) set -- "$@" --duration-s 2 ;;
  power_efficiency) set -- "$@" --power-duration-s 2 --idle-s 1 --watts-per-core 10 ;;
  latency_p99) set -- "$@" --requests 150 ;;
esac
exec hexgate run --indicator "$0" "$@"
"""
STEP = ["/bin/sh", "-c", SHORT, "{indicator}", *MEASURE, "--out", "{out}/{indicator}.json"]
F1 = {"indicator": "accuracy_f1", "measure": "f1", "at_least": 0.75}
TOXIC = {
    "indicator": "toxicity",
    "measure": "toxic_ratio",
    "at_most": 0.005,
    "accept_uncertified": "the replies are known",
}


@contextmanager
def workspace(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    needs.module("azure.ai.ml")
    from support.fake_azure import FakeAzure

    # What is waited for is the same, and not so long.
    monkeypatch.setitem(azure_driver._RETRIES, "retry_backoff_factor", 0.01)
    places = {MOUNTS[0]["uri"]: DIGITS, MOUNTS[1]["uri"]: DIGITS, OUTPUT: folder / "store"}
    with FakeAzure(folder, places) as server:
        server.enter(monkeypatch)
        yield server


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with workspace(tmp_path, monkeypatch) as server:
        yield server


def job(folder: Path, **keys: Any) -> JobSpec:
    platform = {"azure": {"compute": "gate-cluster", "output_path": OUTPUT}}
    return demo_spec((folder / "store").as_uri(), output_path="/output", platform=platform, **keys)


def driver(spec: JobSpec | None = None) -> AzureDriver:
    made = Azure().driver(spec)
    assert isinstance(made, AzureDriver)
    return made


def of_jobs(seen: Seen) -> bool:
    return "/jobs/" in seen.path


def test_a_command_job_from_submit_to_verdict(azure: Any, tmp_path: Path) -> None:
    spec = job(
        tmp_path,
        mounts=MOUNTS,
        argv=["hexgate", "run", "--indicator", "accuracy_f1", *MEASURE, "--out", "{out}/accuracy_f1.json"],
    )

    carried = carry("azure", driver(spec), spec, tmp_path)

    assert carried.status.state is JobState.SUCCEEDED
    assert carried.collected.whole
    assert carried.verdict.verdict is Verdict.PASS
    (manifest,) = (tmp_path / "store").glob("*/main/*/manifest.json")
    assert json.loads(manifest.read_text())["platform_job_id"] == carried.handle.native_id
    (body,) = [made.body for made in azure.jobs.values()]
    assert body["identity"] == {"identityType": "Managed"}
    assert body["tags"] == {"hexgate_run": carried.handle.run_id}
    assert body["limits"]["timeout"] == "PT10M"


def test_a_pipeline_of_six_steps_from_submit_to_verdict(azure: Any, tmp_path: Path) -> None:
    spec = job(tmp_path, indicator="all", fan_out=True, mounts=MOUNTS, argv=STEP)

    carried = carry("azure", driver(spec), spec, tmp_path, rules=(F1, TOXIC))

    assert carried.status.state is JobState.SUCCEEDED
    assert carried.collected.whole
    found = {path.stem for path in carried.folder.glob("*/*.json") if path.stem == path.parent.name}
    assert found == set(spec.indicators)
    assert carried.verdict.verdict is Verdict.PASS


def test_a_step_that_fails_stops_no_other_and_is_not_passed_over(azure: Any, tmp_path: Path) -> None:
    spec = job(
        tmp_path,
        indicator=["toxicity", "accuracy_f1"],
        fan_out=True,
        mounts=MOUNTS,
        argv=[*STEP[:2], f'[ "$0" != toxicity ] || exit 9; {STEP[2]}', *STEP[3:]],
    )

    carried = carry("azure", driver(spec), spec, tmp_path, rules=(F1, TOXIC))

    assert carried.status.native == "Completed"
    assert (carried.folder / "accuracy_f1" / "accuracy_f1.json").is_file()
    assert carried.verdict.verdict is Verdict.INVALID


def test_the_instances_of_a_sharded_job_each_leave_their_shard(azure: Any, tmp_path: Path) -> None:
    spec = job(
        tmp_path,
        shards=2,
        argv=["/bin/sh", "-c", 'echo "$HEXGATE_SHARD" > "$0"/shard.txt', "{out}"],
    )

    carried = carry("azure", driver(spec), spec, tmp_path)

    assert carried.collected.whole
    shards = sorted(path.read_text().strip() for path in carried.folder.rglob("shard.txt"))
    assert shards == ["0/2", "1/2"]


def test_a_file_without_a_run_gives_one_run_to_all_its_steps(azure: Any, tmp_path: Path) -> None:
    spec = job(
        tmp_path,
        indicator=["toxicity", "accuracy_f1"],
        fan_out=True,
        argv=["/bin/sh", "-c", 'echo 1 > "$0"/{indicator}.txt', "{out}"],
    )
    carrier = driver()
    with quiet():
        from azure.ai.ml import load_job

        made = load_job(io.StringIO(Azure().render(spec)["pipeline.yml"]))
        name = carrier.client.jobs.create_or_update(made).name
    while not carrier.status(name).state.ended:
        pass

    found = sorted((tmp_path / "store").glob("*/*/*/manifest.json"))

    assert [path.parts[-3] for path in found] == ["accuracy_f1", "toxicity"]
    assert len({path.parts[-4] for path in found}) == 1
    assert {json.loads(path.read_text())["platform_job_id"] for path in found} == {
        f"{name}.accuracy_f1",
        f"{name}.toxicity",
    }


def test_what_passes_is_tried_again(azure: Any, tmp_path: Path) -> None:
    spec = job(tmp_path).with_run_id()
    carrier = driver(spec)
    azure.throttled = 2
    assert carrier.find(str(spec.run_id)) is None

    azure.life = Life.STUCK
    azure.fail_next(
        Fault.SERVER_ERROR,
        Fault.CUT,
        Fault.UNAVAILABLE,
        when=lambda seen: seen.method == "PUT" and of_jobs(seen),
    )
    name = carrier.submit(spec)
    azure.fail_next(Fault.CUT, Fault.SERVER_ERROR, when=of_jobs)
    assert carrier.status(name).state is JobState.PENDING
    azure.fail_next(Fault.SERVER_ERROR, Fault.UNAVAILABLE, when=lambda seen: seen.path.endswith("/cancel"))
    carrier.cancel(name)

    assert carrier.status(name).state is JobState.CANCELLED
    assert not azure.faults
    assert len(azure.jobs) == 1


def test_what_does_not_pass_is_given_up_and_names_no_secret(azure: Any, tmp_path: Path) -> None:
    carrier = driver()
    azure.fail_next(*[Fault.SERVER_ERROR] * 9, when=of_jobs)

    with pytest.raises(PlatformFailed, match="HTTP 500 SERVER_ERROR") as failed:
        carrier.status("hexgate-x")

    assert "eyJ" not in str(failed.value)
    assert len([seen for seen in azure.seen if of_jobs(seen)]) == 5


def test_a_lost_answer_makes_no_second_job(azure: Any, tmp_path: Path) -> None:
    spec = job(tmp_path).with_run_id()
    carrier = driver(spec)
    azure.life = Life.STUCK
    azure.lose_answers = 1

    name = carrier.submit(spec)

    puts = [seen for seen in azure.seen if seen.method == "PUT" and of_jobs(seen)]
    assert len(puts) == 2
    assert list(azure.jobs) == [name]
    assert carrier.submit(spec) == name
    assert driver().find(str(spec.run_id)) == name


@pytest.mark.parametrize(
    ("life", "state", "native"),
    [
        (Life.FAILS, JobState.FAILED, "Failed"),
        (Life.LOST, JobState.UNKNOWN, "lost"),
        (Life.STRANGE, JobState.UNKNOWN, "Hibernating"),
    ],
)
def test_the_end_of_a_job(azure: Any, tmp_path: Path, life: Life, state: JobState, native: str) -> None:
    spec = job(tmp_path).with_run_id()
    carrier = driver(spec)
    azure.life = life
    name = carrier.submit(spec)

    seen = [carrier.status(name) for _ in range(6)]

    assert seen[0].state is JobState.PENDING
    assert (seen[-1].state, seen[-1].native) == (state, native)


@pytest.mark.parametrize("life", [Life.LOST, Life.STRANGE])
def test_what_is_not_known_is_given_up_and_is_no_success(azure: Any, tmp_path: Path, life: Life) -> None:
    spec = job(tmp_path).with_run_id()
    azure.life = life

    with pytest.raises(PlatformFailed):
        follow("azure", driver(spec), spec, tmp_path)


def test_one_that_has_ended_stays_as_it_is(azure: Any, tmp_path: Path) -> None:
    spec = job(tmp_path).with_run_id()
    carrier = driver(spec)
    azure.life = Life.FAILS
    name = carrier.submit(spec)
    while not carrier.status(name).state.ended:
        pass

    carrier.cancel(name)

    assert carrier.status(name).state is JobState.FAILED


def test_a_job_that_is_not_there_cannot_be_cancelled(azure: Any) -> None:
    with pytest.raises(PlatformFailed, match="HTTP 404 JobNotFound"):
        driver().cancel("hexgate-x")


def test_every_state_that_the_sdk_names_is_known_or_left_unknown_on_purpose() -> None:
    needs.module("azure.ai.ml")
    with quiet():
        from azure.ai.ml._restclient.arm_ml_service.models import JobStatus

    named = {str(state.value) for state in JobStatus}

    assert named - set(STATES) == {"Paused", "Unknown"}
    assert {name for name, state in STATES.items() if state is JobState.SUCCEEDED} == {"Completed"}


def test_the_logs_of_a_job_and_of_the_steps_of_a_pipeline(azure: Any, tmp_path: Path) -> None:
    echo = ["/bin/sh", "-c", 'echo "measured $0"']
    single = job(tmp_path, argv=[*echo, "all of it", "{out}"]).with_run_id("20260102T030405Z-0a1b2c3d")
    steps = job(
        tmp_path, indicator=["toxicity", "accuracy_f1"], fan_out=True, argv=[*echo, "{indicator}", "{out}"]
    ).with_run_id("20260102T030405Z-0a1b2c3e")
    carrier = driver()
    for spec in (single, steps):
        name = carrier.submit(spec)
        while not carrier.status(name).state.ended:
            pass

    assert "measured all of it" in list(carrier.logs("hexgate-20260102t030405z-0a1b2c3d"))
    shown = list(carrier.logs("hexgate-20260102t030405z-0a1b2c3e"))
    assert "toxicity: measured toxicity" in shown
    assert "accuracy_f1: measured accuracy_f1" in shown


def test_where_logs_fail_the_command_that_shows_them_is_named_and_no_signature(
    azure: Any, tmp_path: Path
) -> None:
    from support.fake_azure import SIGNATURE

    spec = job(tmp_path).with_run_id()
    carrier = driver()
    azure.life = Life.STUCK
    name = carrier.submit(spec)
    azure.fail_next(*[Fault.CUT] * 20, when=lambda seen: seen.path.startswith("/blob"))

    with pytest.raises(PlatformFailed, match=f"az ml job stream -n {name}") as failed:
        list(carrier.logs(name))

    assert SIGNATURE not in str(failed.value)


def test_whoever_is_not_allowed_is_told_which_role_is_needed(
    azure: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from support.vendor_server import Reply

    carrier = driver()
    monkeypatch.setattr(azure, "_get_job", lambda *_: Reply(403, {"error": {"code": "AuthorizationFailed"}}))

    with pytest.raises(PlatformFailed, match="AzureML Data Scientist"):
        carrier.status("hexgate-x")


def test_whoever_is_nobody_is_told_how_to_sign_in(
    azure: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "another")
    monkeypatch.setenv("PATH", "")

    with pytest.raises(PlatformFailed, match="az login"):
        driver().status("hexgate-x")
    assert not [record for record in caplog.records if record.name.startswith("azure.identity")]


def test_without_a_workspace_every_missing_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", "0a1b2c3d-0000-4000-8000-000000000001")
    monkeypatch.delenv("AZURE_RESOURCE_GROUP", raising=False)
    monkeypatch.delenv("AZURE_ML_WORKSPACE", raising=False)

    with pytest.raises(InputError, match="no AZURE_RESOURCE_GROUP, no AZURE_ML_WORKSPACE"):
        Azure().driver()


def test_without_the_sdk_the_extra_is_named(azure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.ai.ml", None)

    with pytest.raises(MissingExtra, match=r"\.\[azure\]"):
        Azure().driver()


def test_the_workspace_checks_a_pipeline_without_starting_it(azure: Any, tmp_path: Path) -> None:
    files = Azure().render(
        job(tmp_path, indicator="all", fan_out=True, argv=["hexgate", "run", "{indicator}", "{out}"])
    )

    right = Azure().dry_run(files)
    wrong = Azure().dry_run(
        {"pipeline.yml": files["pipeline.yml"].replace("azureml:gate-cluster", "azureml:nope")}
    )

    assert (right.layer, right.findings, right.skipped) == (Layer.SERVER, (), None)
    assert wrong.findings
    assert not azure.jobs


def test_a_command_job_cannot_be_checked_by_the_workspace(azure: Any, tmp_path: Path) -> None:
    checked = Azure().dry_run(Azure().render(job(tmp_path)))

    assert checked.skipped == "Azure ML checks only pipeline jobs without starting them"
