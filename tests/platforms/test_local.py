"""The platform local: jobs that really run, from submit to verdict, and every way they can end."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from hexgate.contract.collected import PartState
from hexgate.errors import InputError, PlatformFailed
from hexgate.gate.verdict import Verdict
from hexgate.platforms.base import JobState
from hexgate.platforms.collect import collect_run, expectation
from hexgate.platforms.local import Local
from hexgate.platforms.local_driver import LocalDriver
from hexgate.platforms.local_folder import local_folder
from hexgate.platforms.local_job import STARTED
from hexgate.platforms.spec import JobSpec
from hexgate.platforms.submit import submit_job
from hexgate.platforms.wait import wait_for
from hexgate.stores.registry import open_store
from support.lifecycle import POLL_S, carry, demo_spec, follow

PATIENCE_S = 60.0
NOBODY = "20261121T000000Z-00000000"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith("HEXGATE_") and not name.startswith("HEXGATE_REQUIRE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HEXGATE_LOCAL_DIR", str(tmp_path / "jobs"))
    return tmp_path


def python(program: str, *, here: Path, **keys: Any) -> JobSpec:
    """A job that runs a line of Python, with its folder as the first argument."""
    whole = f"import sys, os, time, pathlib; out = pathlib.Path(sys.argv[1]); {program}"
    step = ["{indicator}"] if keys.get("fan_out") else []
    given = {"argv": [sys.executable, "-c", whole, "{out}", *step]} | keys
    return demo_spec((here / "store").as_uri(), **given)


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def keeper(here: Path, run_id: str) -> psutil.Process:
    return psutil.Process(json.loads((here / "jobs" / run_id / STARTED).read_text("utf-8"))["pid"])


def test_a_job_from_submit_to_verdict(here: Path) -> None:
    spec = demo_spec((here / "store").as_uri())

    carried = carry("local", Local().driver(spec), spec, here)

    assert carried.status.state is JobState.SUCCEEDED
    assert carried.collected.whole
    assert carried.verdict.verdict is Verdict.PASS
    artifact = json.loads((carried.folder / "main" / "accuracy_f1.json").read_text("utf-8"))
    assert artifact["run_id"] == carried.handle.run_id
    assert artifact["provenance"]["platform_job_id"] == carried.handle.native_id
    # No container ran, whatever the spec names.
    assert artifact["environment"]["container_image"] is None


def test_two_shards_start_together_and_are_collected(here: Path) -> None:
    program = "(out / 'start').write_text(os.environ['HEXGATE_SHARD'] + os.environ['HEXGATE_START_AT'])"
    spec = python(program, here=here, shards=2)
    handle, status = follow("local", Local().driver(spec), spec, here)

    collected = collect_run(open_store(spec.output.uri), expectation(handle), here / "got")

    assert status.state is JobState.SUCCEEDED
    assert [part.name for part in collected.parts] == ["shard-0-of-2", "shard-1-of-2"]
    assert collected.whole
    told = [(here / "got" / part.name / "start").read_text("utf-8") for part in collected.parts]
    assert [text[:3] for text in told] == ["0/2", "1/2"]
    assert told[0][3:] == told[1][3:]


def test_the_steps_of_a_job_go_on_after_one_that_fails(here: Path) -> None:
    program = "(out / 'x').touch(); sys.exit(4 if sys.argv[2] == 'accuracy_f1' else 0)"
    spec = python(program, here=here, fan_out=True, indicator=["accuracy_f1", "toxicity"])
    handle, status = follow("local", Local().driver(spec), spec, here)

    collected = collect_run(open_store(spec.output.uri), expectation(handle), here / "got")

    assert status.state is JobState.FAILED
    assert status.reason == "accuracy_f1 ended with exit code 4"
    assert [(part.name, part.exit_code) for part in collected.parts] == [("accuracy_f1", 4), ("toxicity", 0)]


def test_what_it_prints_is_kept_by_part(here: Path) -> None:
    spec = python(
        "print('grüße', sys.argv[2])", here=here, fan_out=True, indicator=["accuracy_f1", "toxicity"]
    )
    spec = replace(spec, env={"PYTHONIOENCODING": "utf-8"})
    driver = Local().driver(spec)
    handle, _ = follow("local", driver, spec, here)

    lines = list(driver.logs(handle.run_id))

    assert "accuracy_f1: grüße accuracy_f1" in lines
    assert "toxicity: grüße toxicity" in lines


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
def test_a_cancelled_job_publishes_what_it_has(here: Path) -> None:
    stop = "import signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit(130)); (out / 'x').touch()"
    spec = python(f"{stop}; print('there', flush=True); time.sleep(600)", here=here)
    driver = Local().driver(spec)
    handle = submit_job(spec, "local", driver, here / "handle.json")
    assert handle.address is not None
    until(lambda: "there" in list(driver.logs(handle.run_id)))
    assert driver.status(handle.run_id).state is JobState.RUNNING

    driver.cancel(handle.run_id)

    assert wait_for(driver, handle.address, poll_s=POLL_S).state is JobState.CANCELLED
    part = collect_run(open_store(spec.output.uri), expectation(handle), here / "got").parts[0]
    assert (part.state, part.exit_code) == (PartState.FOUND, 130)
    driver.cancel(handle.run_id)
    assert driver.status(handle.run_id).state is JobState.CANCELLED


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
def test_a_job_whose_time_is_over_is_ended(here: Path) -> None:
    spec = replace(python("(out / 'x').touch(); time.sleep(600)", here=here), timeout_s=1)

    _, status = follow("local", Local().driver(spec), spec, here)

    assert (status.state, status.native) == (JobState.FAILED, "timed out")


def test_a_job_that_vanished_is_lost_and_no_success(here: Path) -> None:
    spec = python("print(os.getppid(), flush=True); time.sleep(600)", here=here)
    driver = Local().driver(spec)
    handle = submit_job(spec, "local", driver, here / "handle.json")
    assert handle.address is not None
    process = keeper(here, handle.run_id)
    until(lambda: len(process.children(recursive=True)) > 1)
    below = process.children(recursive=True)

    process.kill()
    for one in below:
        one.kill()

    until(lambda: driver.status(handle.run_id).native == "lost")
    passed = itertools.count(step=20.0)
    with pytest.raises(PlatformFailed, match="given up"):
        wait_for(driver, handle.address, poll_s=POLL_S, clock=lambda: next(passed))


def test_a_job_that_nobody_submitted_is_lost() -> None:
    driver = Local().driver()

    for native_id in (NOBODY, "../../etc", ""):
        assert driver.status(native_id).state is JobState.UNKNOWN
        assert driver.find(native_id) is None
        with pytest.raises(PlatformFailed):
            list(driver.logs(native_id))
        with pytest.raises(PlatformFailed):
            driver.cancel(native_id)


def test_a_number_that_another_process_got_is_not_the_job(here: Path) -> None:
    place = here / "jobs" / NOBODY
    place.mkdir(parents=True)
    (place / STARTED).write_text(json.dumps({"pid": os.getpid(), "created_at_s": 1.0}), encoding="utf-8")

    assert Local().driver().status(NOBODY).native == "lost"


def test_a_job_that_has_begun_is_not_begun_again(here: Path) -> None:
    spec = python("(out / 'x').touch()", here=here).with_run_id()
    driver = Local().driver(spec)

    assert driver.submit(spec) == driver.submit(spec) == spec.run_id

    assert spec.run_id is not None
    until(lambda: driver.status(spec.run_id or "").state.ended)
    assert len(list((here / "store" / spec.run_id / "main").iterdir())) == 1


def test_a_job_of_another_spec_is_never_written_over(here: Path) -> None:
    first = python("time.sleep(600)", here=here).with_run_id(NOBODY)
    driver = Local().driver(first)
    driver.submit(first)
    job = (here / "jobs" / NOBODY / "job.json").read_bytes()
    other = python("time.sleep(601)", here=here).with_run_id(NOBODY)

    with pytest.raises(PlatformFailed, match="another spec"):
        driver.submit(other)
    with pytest.raises(InputError, match="another spec"):
        submit_job(other, "local", driver, here / "handle.json")

    assert (here / "jobs" / NOBODY / "job.json").read_bytes() == job
    driver.cancel(NOBODY)
    until(lambda: driver.status(NOBODY).state.ended)


def test_a_submission_that_was_cut_off_is_made_good(here: Path) -> None:
    spec = python("(out / 'x').touch()", here=here).with_run_id(NOBODY)
    driver = Local().driver(spec)
    (here / "jobs" / NOBODY).mkdir(parents=True)
    (here / "jobs" / NOBODY / "job.json").write_text('{"schema', encoding="utf-8")

    driver.submit(spec)

    until(lambda: driver.status(NOBODY).state.ended)
    assert driver.status(NOBODY).state is JobState.SUCCEEDED


END = {"cancelled": False, "timed_out": False, "parts": {"main": 0}}


@pytest.mark.parametrize(
    "ended",
    [
        {},
        [],
        END | {"parts": {}},
        END | {"parts": []},
        END | {"parts": {"main": None}},
        END | {"parts": {"other": 0}},
        END | {"cancelled": None},
    ],
)
def test_a_record_of_an_end_that_is_none_is_no_success(here: Path, ended: object) -> None:
    spec = python("(out / 'x').touch()", here=here).with_run_id(NOBODY)
    place = here / "jobs" / NOBODY
    place.mkdir(parents=True)
    (place / "job.json").write_text(Local().render(spec)["job.json"], encoding="utf-8")
    (place / STARTED).write_text("[]", encoding="utf-8")
    assert Local().driver().status(NOBODY).native == "lost"
    (place / "ended.json").write_text(json.dumps(END), encoding="utf-8")
    assert Local().driver().status(NOBODY).state is JobState.SUCCEEDED

    (place / "ended.json").write_text(json.dumps(ended), encoding="utf-8")

    assert Local().driver().status(NOBODY).state is JobState.UNKNOWN


def test_a_folder_that_cannot_be_written_fails_the_submission(here: Path) -> None:
    (here / "jobs").write_text("a file", encoding="utf-8")
    spec = demo_spec((here / "store").as_uri())

    with pytest.raises(PlatformFailed, match="cannot be written"):
        LocalDriver(here / "jobs", lambda _: "{}").submit(spec)


def test_a_job_that_does_not_start_says_why(here: Path) -> None:
    spec = demo_spec((here / "store").as_uri()).with_run_id(NOBODY)
    (here / "jobs" / NOBODY / STARTED).mkdir(parents=True)
    (here / "jobs" / NOBODY / STARTED).rmdir()

    driver = LocalDriver(here / "jobs", lambda _: "not json")
    driver.submit(spec)

    until(lambda: driver.status(NOBODY).native == "lost")


def test_a_secret_that_the_environment_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = demo_spec("file:out", secret_env=["API_KEY", "OTHER_KEY"])
    monkeypatch.setenv("API_KEY", "sesame")

    with pytest.raises(InputError, match="lacks") as refused:
        Local().driver(spec)
    assert refused.value.got == "OTHER_KEY"
    monkeypatch.setenv("OTHER_KEY", "tahini")
    Local().driver(spec)
    assert "sesame" not in Local().render(spec)["job.json"]


def test_mounts_become_folders_in_the_command() -> None:
    mounts = [
        {"name": "model", "uri": "file:///srv/models", "path": "/models"},
        {"name": "data", "uri": "file:my data", "path": "/data"},
    ]
    with_mounts = demo_spec(
        "file:///srv/data/out",
        argv=[
            "hexgate",
            "run",
            "--model=/models/m.onnx",
            "/models",
            "/data/x",
            "/models2",
            "x/models",
            "{out}",
        ],
        mounts=[mounts[0], mounts[1] | {"uri": "file:my%20data"}],
    )

    process = json.loads(Local().render(with_mounts)["job.json"])["processes"][0]

    assert process["argv"] == [
        *["hexgate", "platforms", "run", "--output", "/srv/data/out", "--", "hexgate", "run"],
        *["--model=/srv/models/m.onnx", "/srv/models", "my data/x", "/models2", "x/models", "{out}"],
    ]


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("file:///a/b", "/a/b"),
        ("file:a/b", "a/b"),
        ("file://localhost/a", "/a"),
        ("file://host/a", None),
        ("s3://b/a", None),
        ("file:///a%20b", "/a b"),
    ],
)
def test_a_folder_of_this_machine(uri: str, folder: str | None) -> None:
    assert local_folder(uri) == (None if folder is None else Path(folder))
