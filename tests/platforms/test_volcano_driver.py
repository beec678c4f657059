"""Jobs on a fake veMLP, through Volcano Engine's own SDK: whole lives, and everything that can go wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError, PlatformFailed
from hexgate.gate.verdict import Verdict
from hexgate.platforms.base import Driver, JobState
from hexgate.platforms.handles import Address
from hexgate.platforms.spec import JobSpec
from hexgate.platforms.volcano import Volcano
from hexgate.platforms.wait import wait_for
from support import needs
from support.command import Ended
from support.fake_vemlp import FakeVeMlp
from support.lifecycle import POLL_S, carry, carry_load, demo_spec, follow
from support.vendor_server import Fault, Life

# The SDK signs with a function of the standard library that Python 3.12 warns of.
pytestmark = [
    pytest.mark.vendor,
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"
BLOCK = {"region": "cn-beijing", "queue_id": "q-20260101000000-abcde", "flavor": "ml.g3i.xlarge"}
RUN = "20261120T101112Z-0123abcd"
Serving = Callable[..., Any]


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serving:
    """A fake veMLP, and an environment that leads the SDK to it."""
    needs.module("volcenginesdkmlplatform20240701")
    for name in ("HTTP_PROXY", "http_proxy", "VOLC_SESSIONTOKEN", "VOLC_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VOLC_ACCESSKEY", "AK-of-a-test")
    monkeypatch.setenv("VOLC_SECRETKEY", "secret-of-a-test")
    paths = {"/models": DIGITS, "/data": DIGITS, "/output": tmp_path / "bucket" / "runs"}

    @contextmanager
    def serve(*lives: Life) -> Iterator[FakeVeMlp]:
        with FakeVeMlp(tmp_path / "pods", paths, *lives) as server:
            monkeypatch.setenv("HEXGATE_VEMLP_ENDPOINT", f"http://{server.address}")
            yield server

    return serve


def job(**keys: Any) -> JobSpec:
    argv = ["hexgate", "run", "--indicator", "accuracy_f1", "--model", "/models/model.onnx"]
    argv += ["--data", "/data/val.jsonl", "--quiet", "--out", "{out}/accuracy_f1.json"]
    mounts = [
        {"name": "model", "uri": "tos://example-bucket/models", "path": "/models"},
        {"name": "data", "uri": "tos://example-bucket/data", "path": "/data"},
    ]
    given = {"argv": argv, "mounts": mounts, "platform": {"volcano": BLOCK}} | keys
    return demo_spec("tos://example-bucket/runs", output_path="/output", **given)


def driver(spec: JobSpec | None = None) -> Driver:
    return Volcano().driver(spec or job())


def test_a_job_from_submit_to_verdict(serving: Serving, tmp_path: Path) -> None:
    with serving() as server:
        server.fail_next(Fault.THROTTLED, Fault.SERVER_ERROR, Fault.CUT)
        server.fail_next(
            *[Fault.THROTTLED, Fault.CUT, Fault.UNAVAILABLE],
            when=lambda seen: seen.query["Action"] == ["GetJob"],
        )
        store = tmp_path / "bucket" / "runs"
        carried = carry("volcano", driver(), job(), tmp_path, store_uri=store.as_uri())
        assert not server.faults
    assert carried.status.state is JobState.SUCCEEDED
    assert carried.collected.whole
    assert carried.verdict.verdict is Verdict.PASS
    assert list(server.jobs) == [carried.handle.native_id]


def test_a_job_knows_its_own_id(serving: Serving, tmp_path: Path) -> None:
    spec = job().with_run_id(RUN)
    with serving() as server:
        native_id = driver(spec).submit(spec)
        work = server.jobs[native_id].work
        work.line = work.line.partition("exec ")[0] + 'echo "$HEXGATE_JOB_ID"'
        work.start()
        assert work.finish() == 0
        assert work.printed(0) == [native_id]


def test_a_load_of_two_shards_from_submit_to_verdict(
    serving: Serving, call: Callable[..., Ended], tmp_path: Path
) -> None:
    # A model in the job's own process: two loads on a server beside them leave a small machine no room to measure.
    with serving():
        argv = ["hexgate", "load", "demo:", "--mode", "scores", "--rate", "20", "--duration", "3"]
        argv += ["--warmup", "4", "--quiet", "--out", "{out}"]
        measured = ["latency_p99", "throughput_rps"]
        spec = job(
            indicator=measured, argv=argv, shards=2, platform={"volcano": BLOCK | {"framework": "pytorch"}}
        )
        store = tmp_path / "bucket" / "runs"
        carried = carry_load("volcano", driver(spec), spec, tmp_path, store_uri=store.as_uri(), call=call)
    assert carried.status.state is JobState.SUCCEEDED
    assert [part.name for part in carried.collected.parts] == ["shard-0-of-2", "shard-1-of-2"]
    assert carried.collected.whole
    assert carried.verdict.verdict is Verdict.PASS


def test_a_job_that_fails_is_failed_and_says_why(serving: Serving, tmp_path: Path) -> None:
    with serving(Life.FAILS):
        _, status = follow("volcano", driver(), job(), tmp_path)
    assert status.state is JobState.FAILED
    assert status.reason == "a worker failed"


@pytest.mark.parametrize(("life", "native"), [(Life.LOST, "lost"), (Life.STRANGE, "Hibernating")])
def test_what_is_lost_or_unknown_is_no_success(
    serving: Serving, tmp_path: Path, life: Life, native: str
) -> None:
    with serving(life), pytest.raises(PlatformFailed, match=native):
        follow("volcano", driver(), job(), tmp_path)


def test_a_job_that_the_platform_tried_again_is_followed_to_its_new_id(
    serving: Serving, tmp_path: Path
) -> None:
    spec = job(retries={"max": 1}).with_run_id(RUN)
    with serving(Life.FAILS) as server:
        carrier = driver(spec)
        first = carrier.submit(spec)
        second = server.retry(first)
        status = wait_for(carrier, Address("volcano", first), timeout_s=300, poll_s=POLL_S)
        assert status.state is JobState.SUCCEEDED
        assert carrier.find(RUN) == first
        with pytest.raises(PlatformFailed, match=f"volc ml_task logs --task {second} --instance worker_0"):
            list(carrier.logs(first))


def test_a_circle_of_attempts_ends(serving: Serving) -> None:
    spec = job().with_run_id(RUN)
    with serving() as server:
        first = driver(spec).submit(spec)
        second = server.retry(first)
        server.retried[second] = first
        with pytest.raises(PlatformFailed, match="no last attempt"):
            driver(spec).status(first)


def test_every_state_that_the_sdk_allows_is_known() -> None:
    needs.module("volcenginesdkmlplatform20240701")
    import inspect
    import re

    from volcenginesdkmlplatform20240701 import ListJobsRequest

    from hexgate.platforms.volcano_driver import STATES

    listed = re.search(r"allowed_values = (\[[^]]*\])", inspect.getsource(ListJobsRequest.state.fset))
    assert listed is not None
    assert set(re.findall(r'"(\w+)"', listed[1])) == STATES.keys()


def test_submitting_again_gives_the_same_job(serving: Serving) -> None:
    spec = job().with_run_id(RUN)
    with serving():
        first = driver(spec).submit(spec)
        assert driver(spec).find(RUN) == first
        assert driver(spec).find("20261120T101112Z-ffffffff") is None


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
        follow("volcano", carrier, job(), tmp_path)
        carrier.cancel(list(server.jobs)[1])
        stops = [seen.json for seen in server.seen if seen.query["Action"] == ["StopJob"]]
        assert stops == [{"Id": native_id}]


def test_secrets_are_sent_as_private_variables_and_stand_nowhere_else(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = job(secret_env=["TOS_SECRET_KEY"]).with_run_id(RUN)
    with serving() as server:
        monkeypatch.delenv("TOS_SECRET_KEY", raising=False)
        with pytest.raises(InputError, match="TOS_SECRET_KEY"):
            driver(spec).submit(spec)
        monkeypatch.setenv("TOS_SECRET_KEY", "very-secret")
        native_id = driver(spec).submit(spec)
        sent = server.jobs[native_id].body["RuntimeConfig"]["Envs"]
    assert {"Name": "TOS_SECRET_KEY", "Value": "very-secret", "IsPrivate": True} in sent
    assert not any("very-secret" in text for text in Volcano().render(spec).values())


def test_a_queue_by_name_is_for_the_volc_program_only(serving: Serving) -> None:
    block = {"region": "cn-beijing", "queue_name": "gate", "flavor": "ml.g3i.xlarge"}
    spec = job(platform={"volcano": block}).with_run_id(RUN)
    with serving(), pytest.raises(InputError, match="volc program"):
        driver(spec).submit(spec)


def test_a_dry_run_starts_nothing(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLC_REGION", "cn-beijing")
    with serving() as server:
        assert Volcano().dry_run(Volcano().render(job())).findings == ()
        wrong = job(platform={"volcano": BLOCK | {"queue_id": "q-none"}})
        refused = Volcano().dry_run(Volcano().render(wrong))
        assert refused.skipped is None
        assert "InvalidParameter.Queue" in refused.findings[0].problem
        for broken in ('{"Names": "x"}', "{"):
            assert Volcano().dry_run({"create_job.json": broken}).skipped is not None
        assert not server.jobs
        assert all(seen.json["DryRun"] is True for seen in server.seen)


def test_a_refusal_is_not_tried_again_and_names_no_secret(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOLC_ACCESSKEY", "GONE")
    with serving() as server, pytest.raises(PlatformFailed, match=r"InvalidAccessKey\.NotFound") as caught:
        driver().status("t-1")
    assert len(server.seen) == 1
    assert "GONE" not in str(caught.value)
    assert "secret-of-a-test" not in str(caught.value)


def test_our_retries_and_the_sdk_s_do_not_multiply(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hexgate.stores.retry._LONGEST_WAIT_S", 0.01)
    with serving() as server:
        server.fail_next(*[Fault.UNAVAILABLE] * 5)
        with pytest.raises(PlatformFailed, match="503 ServiceUnavailableTemporarily"):
            driver().status("t-1")
    assert len(server.seen) == 5


def test_the_temporary_token_goes_along(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLC_SESSIONTOKEN", "token-of-a-test")
    with serving() as server:
        driver().status("t-1")
    assert server.seen[0].headers["x-security-token"] == "token-of-a-test"


def test_the_sdk_s_own_variables_are_taken_too(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOLC_ACCESSKEY")
    monkeypatch.setenv("VOLCENGINE_ACCESS_KEY", "AK-of-the-sdk")
    monkeypatch.setenv("VOLCENGINE_SECRET_KEY", "secret-of-the-sdk")
    with serving() as server:
        driver().status("t-1")
    assert "Credential=AK-of-the-sdk/" in server.seen[0].headers["authorization"]


def test_without_credentials_it_says_which(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("VOLC_ACCESSKEY")
    for name in ("VOLCENGINE_ACCESS_KEY", "VOLCENGINE_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VOLCENGINE_ECS_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with serving(), pytest.raises(InputError, match="VOLC_ACCESSKEY"):
        driver()


def test_without_a_region_it_says_so(serving: Serving) -> None:
    with serving(), pytest.raises(InputError, match="VOLC_REGION"):
        Volcano().driver()


def test_a_dry_run_asks_where_the_spec_says(serving: Serving) -> None:
    with serving():
        native = Volcano().render(job())
        assert Volcano().dry_run(native, job()).findings == ()
        with pytest.raises(InputError, match="VOLC_REGION"):
            Volcano().dry_run(native)
