"""Jobs on a fake PAI-DLC, through Alibaba's own SDK: whole lives, and everything that can go wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError, PlatformFailed
from hexgate.gate.verdict import Verdict
from hexgate.platforms.bailian import Bailian
from hexgate.platforms.base import Driver, JobState
from hexgate.platforms.spec import JobSpec
from support import needs
from support.command import Ended
from support.fake_pai_dlc import FakePaiDlc
from support.lifecycle import carry, carry_load, demo_spec, follow
from support.vendor_server import Fault, Life

pytestmark = pytest.mark.vendor

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"
BLOCK = {"workspace_id": "100001", "region": "cn-hangzhou", "ecs_spec": "ecs.g7.xlarge"}
RUN = "20261120T101112Z-0123abcd"
Serving = Callable[..., Any]


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serving:
    """A fake PAI-DLC, and an environment that leads the SDK to it."""
    needs.module("alibabacloud_pai_dlc20201203")
    for name in ("HTTP_PROXY", "http_proxy", "ALIBABA_CLOUD_SECURITY_TOKEN", "ALIBABA_CLOUD_REGION_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "AKID-of-a-test")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret-of-a-test")
    paths = {"/models": DIGITS, "/data": DIGITS, "/output": tmp_path / "bucket" / "runs"}

    @contextmanager
    def serve(*lives: Life) -> Iterator[FakePaiDlc]:
        with FakePaiDlc(tmp_path / "pods", paths, *lives) as server:
            monkeypatch.setenv("HEXGATE_PAI_DLC_ENDPOINT", f"http://{server.address}")
            yield server

    return serve


def job(**keys: Any) -> JobSpec:
    argv = ["hexgate", "run", "--indicator", "accuracy_f1", "--model", "/models/model.onnx"]
    argv += ["--data", "/data/val.jsonl", "--quiet", "--out", "{out}/accuracy_f1.json"]
    mounts = [
        {"name": "model", "uri": "oss://example-bucket/models", "path": "/models"},
        {"name": "data", "uri": "oss://example-bucket/data", "path": "/data"},
    ]
    given = {"argv": argv, "mounts": mounts, "platform": {"bailian": BLOCK}} | keys
    return demo_spec("oss://example-bucket/runs", output_path="/output", **given)


def driver(spec: JobSpec | None = None) -> Driver:
    return Bailian().driver(spec or job())


def test_a_job_from_submit_to_verdict(serving: Serving, tmp_path: Path) -> None:
    with serving() as server:
        server.fail_next(Fault.THROTTLED, Fault.SERVER_ERROR, Fault.CUT)
        server.fail_next(
            *[Fault.THROTTLED, Fault.CUT, Fault.UNAVAILABLE], when=lambda seen: "/dlc" in seen.path
        )
        store = tmp_path / "bucket" / "runs"
        carried = carry("bailian", driver(), job(), tmp_path, store_uri=store.as_uri())
        assert not server.faults
        lines = list(driver().logs(carried.handle.native_id or ""))
    assert carried.status.state is JobState.SUCCEEDED
    assert carried.collected.whole
    assert carried.verdict.verdict is Verdict.PASS
    assert len(server.jobs) == 1
    assert not any(line.startswith("dlc") for line in lines)


def test_a_load_of_two_shards_from_submit_to_verdict(
    serving: Serving, call: Callable[..., Ended], tmp_path: Path
) -> None:
    # A model in the job's own process: two loads on a server beside them leave a small machine no room to measure.
    with serving():
        argv = ["hexgate", "load", "demo:", "--mode", "scores", "--rate", "20", "--duration", "3"]
        argv += ["--warmup", "4", "--quiet", "--out", "{out}"]
        measured = ["latency_p99", "throughput_rps"]
        spec = job(indicator=measured, argv=argv, shards=2, platform={"bailian": BLOCK})
        store = tmp_path / "bucket" / "runs"
        carried = carry_load("bailian", driver(spec), spec, tmp_path, store_uri=store.as_uri(), call=call)
    assert carried.status.state is JobState.SUCCEEDED
    assert [part.name for part in carried.collected.parts] == ["shard-0-of-2", "shard-1-of-2"]
    assert carried.collected.whole
    assert carried.verdict.verdict is Verdict.PASS


def test_a_job_that_fails_is_failed_and_says_why(serving: Serving, tmp_path: Path) -> None:
    with serving(Life.FAILS):
        _, status = follow("bailian", driver(), job(), tmp_path)
    assert status.state is JobState.FAILED
    assert status.reason == "JobFailed: a worker failed"


def test_a_command_that_fails_is_a_failed_job(serving: Serving, tmp_path: Path) -> None:
    broken = job(argv=["hexgate", "run", "--indicator", "nothing", "--out", "{out}"])
    with serving():
        _, status = follow("bailian", driver(), broken, tmp_path)
    assert status.state is JobState.FAILED


@pytest.mark.parametrize(("life", "native"), [(Life.LOST, "lost"), (Life.STRANGE, "Hibernating")])
def test_what_is_lost_or_unknown_is_no_success(
    serving: Serving, tmp_path: Path, life: Life, native: str
) -> None:
    with serving(life), pytest.raises(PlatformFailed, match=native):
        follow("bailian", driver(), job(), tmp_path)


def test_every_state_that_the_sdk_documents_is_known() -> None:
    needs.module("alibabacloud_pai_dlc20201203")
    import inspect
    import re

    from alibabacloud_pai_dlc20201203.models import GetJobResponseBody

    from hexgate.platforms.bailian_driver import STATES

    source = inspect.getsource(GetJobResponseBody.__init__)
    listed = source[source.index("The running status of the job") : source.index("self.status =")]
    assert set(re.findall(r"# - (\w+)", listed)) == STATES.keys()


def test_submitting_again_gives_the_same_job(serving: Serving) -> None:
    spec = job().with_run_id(RUN)
    with serving() as server:
        first = driver(spec).submit(spec)
        assert driver(spec).find(RUN) == first
        assert driver(spec).find("20261120T101112Z-ffffffff") is None
        other = job(platform={"bailian": BLOCK | {"workspace_id": "2"}}).with_run_id(RUN)
        assert driver(other).find(RUN) is None
    listing = next(seen for seen in server.seen if seen.method == "GET")
    assert listing.query["StartTime"] == ["2026-11-19T10:11:12Z"]


def test_an_answer_that_is_lost_makes_no_second_job(serving: Serving) -> None:
    spec = job().with_run_id(RUN)
    with serving() as server:
        server.lost_answers = 1
        server.fail_next(Fault.CUT)
        native_id = driver(spec).submit(spec)
        assert list(server.jobs) == [native_id]


def test_a_job_is_cancelled_and_one_that_has_ended_stays(serving: Serving, tmp_path: Path) -> None:
    spec = job().with_run_id(RUN)
    with serving(Life.STUCK, Life.FAILS) as server:
        carrier = driver(spec)
        native_id = carrier.submit(spec)
        carrier.cancel(native_id)
        assert carrier.status(native_id).state is JobState.CANCELLED
        _, status = follow("bailian", carrier, job(), tmp_path)
        assert status.state is JobState.FAILED
        ended = list(server.jobs)[1]
        carrier.cancel(ended)
        assert [seen.path for seen in server.seen if seen.path.endswith("/stop")] == [
            f"/api/v1/jobs/{native_id}/stop"
        ]


def test_two_workers_run_the_command_each_with_its_rank(serving: Serving) -> None:
    spec = job(shards=2).with_run_id(RUN)
    with serving() as server:
        carrier = driver(spec)
        native_id = carrier.submit(spec)
        work = server.jobs[native_id].work
        work.line = 'echo "$RANK of $WORLD_SIZE and $HEXGATE_SHARDS"'
        work.start()
        assert work.finish() == 0
        assert list(carrier.logs(native_id)) == [
            f"{native_id}-worker-0: 0 of 2 and 2",
            f"{native_id}-worker-1: 1 of 2 and 2",
        ]


def test_a_refusal_is_not_tried_again_and_names_no_secret(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "GONE")
    with serving() as server, pytest.raises(PlatformFailed, match=r"InvalidAccessKeyId\.NotFound") as caught:
        driver().status("dlc1")
    assert len(server.seen) == 1
    assert "GONE" not in str(caught.value)
    assert "secret-of-a-test" not in str(caught.value)


def test_a_platform_that_never_answers_ends_the_call(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hexgate.stores.retry._LONGEST_WAIT_S", 0.01)
    with serving() as server:
        server.fail_next(*[Fault.UNAVAILABLE] * 5)
        with pytest.raises(PlatformFailed, match="503 ServiceUnavailable"):
            driver().status("dlc1")
    assert len(server.seen) == 5


def test_a_gateway_that_answers_no_json_is_asked_again(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakePaiDlc, "fault_body", lambda *_: b"<html>bad gateway</html>")
    with serving() as server:
        server.fail_next(Fault.UNAVAILABLE)
        assert driver().status("dlc1").native == "lost"


def test_the_temporary_token_goes_along(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_SECURITY_TOKEN", "token-of-a-test")
    with serving() as server:
        driver().status("dlc1")
    assert server.seen[0].headers["x-acs-security-token"] == "token-of-a-test"


def test_without_credentials_it_says_which(
    serving: Serving,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from alibabacloud_credentials.utils import auth_util

    monkeypatch.delenv("ALIBABA_CLOUD_ACCESS_KEY_ID")
    monkeypatch.setattr(auth_util, "environment_access_key_id", None)
    monkeypatch.setattr(auth_util, "environment_ecs_metadata_disabled", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with serving(), pytest.raises(InputError, match="ALIBABA_CLOUD_ACCESS_KEY_ID"):
        driver()
    assert not caplog.records


def test_without_a_region_it_says_so(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving():
        monkeypatch.delenv("HEXGATE_PAI_DLC_ENDPOINT")
        with pytest.raises(InputError, match="ALIBABA_CLOUD_REGION_ID"):
            Bailian().driver()
        monkeypatch.setenv("ALIBABA_CLOUD_REGION_ID", "cn-hangzhou")
        Bailian().driver()


@pytest.mark.parametrize(
    "address", ["http://pai-dlc.example.com", "https://u:p@example.com", "ftp://x", "https://x/y"]
)
def test_an_endpoint_that_would_carry_tokens_in_the_clear_is_refused(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    with serving():
        monkeypatch.setenv("HEXGATE_PAI_DLC_ENDPOINT", address)
        with pytest.raises(InputError, match="HEXGATE_PAI_DLC_ENDPOINT"):
            driver()
