"""Submitting once: a driver that counts, and the real command killed at every step on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hexgate.errors import InputError, PlatformFailed
from hexgate.platforms.base import JobState, Status
from hexgate.platforms.handles import (
    Address,
    HandleState,
    address_of,
    find_handle,
    new_handle,
    read_handle,
    save_handle,
)
from hexgate.platforms.spec import JobSpec
from hexgate.platforms.submit import submit_job
from support.lifecycle import demo_spec

RUN = "20261121T021951Z-0a1b2c3d"


class Counting:
    """A platform that counts its jobs, and can fail to answer about them."""

    def __init__(self) -> None:
        self.jobs: dict[str, str] = {}
        self.state = JobState.RUNNING
        self.answers = True
        self.file: Path | None = None
        self.kept: list[HandleState] = []

    def find(self, run_id: str) -> str | None:
        return self.jobs.get(run_id)

    def submit(self, spec: JobSpec) -> str:
        assert spec.run_id is not None
        if self.file is not None:
            self.kept.append(read_handle(self.file).state)
        self.jobs[spec.run_id] = f"job-{len(self.jobs)}"
        if not self.answers:
            raise PlatformFailed("the connection is cut")
        return self.jobs[spec.run_id]

    def status(self, native_id: str) -> Status:
        return Status(self.state, "")

    def logs(self, native_id: str) -> Iterator[str]:
        return iter(())

    def cancel(self, native_id: str) -> None: ...


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    return demo_spec((tmp_path / "store").as_uri())


def test_the_handle_is_there_before_the_platform_is_asked(spec: JobSpec, here: Path) -> None:
    driver = Counting()
    driver.file = here / "handle.json"

    handle = submit_job(spec, "local", driver, driver.file)

    assert driver.kept == [HandleState.SUBMITTING]
    assert handle == read_handle(driver.file)
    assert handle.state is HandleState.SUBMITTED
    assert handle.spec_sha256 == spec.sha256
    assert str(handle.address) == "hexgate://local/job-0"


def test_the_same_call_again_gives_the_same_job(spec: JobSpec) -> None:
    driver = Counting()
    first = submit_job(spec, "local", driver)

    assert submit_job(spec, "local", driver) == first
    assert len(driver.jobs) == 1


def test_an_answer_that_got_lost_is_found_again(spec: JobSpec) -> None:
    driver = Counting()
    driver.answers = False
    with pytest.raises(PlatformFailed):
        submit_job(spec, "local", driver)
    driver.answers = True

    handle = submit_job(spec, "local", driver)

    assert handle.native_id == "job-0"
    assert len(driver.jobs) == 1


def test_a_handle_that_got_lost_is_made_good_by_the_run(spec: JobSpec, here: Path) -> None:
    driver = Counting()
    first = submit_job(spec.with_run_id(RUN), "local", driver, here / "one.json")

    assert submit_job(spec.with_run_id(RUN), "local", driver, here / "two.json").native_id == first.native_id
    assert len(driver.jobs) == 1


@pytest.mark.parametrize("awaited", [False, True])
def test_a_run_that_ended_is_not_the_run_of_today(spec: JobSpec, *, awaited: bool) -> None:
    """Else a job that is submitted again, with another model behind the same name, gives back an old result."""
    driver, said = Counting(), list[str]()
    first = submit_job(spec, "local", driver, awaited=awaited)
    driver.state = JobState.SUCCEEDED

    second = submit_job(spec, "local", driver, awaited=awaited, say=said.append)

    assert second.run_id != first.run_id
    assert len(driver.jobs) == 2
    assert f"run {first.run_id} of the same spec has ended" in said[0]
    assert f"hexgate platforms collect {Path('.hexgate') / 'runs' / first.run_id}.json" in said[0]
    assert submit_job(spec.with_run_id(first.run_id), "local", driver) == first


def test_a_run_that_ended_before_its_answer_was_kept_is_over_too(spec: JobSpec) -> None:
    driver = Counting()
    driver.answers = False
    with pytest.raises(PlatformFailed):
        submit_job(spec, "local", driver)
    driver.answers, driver.state = True, JobState.FAILED

    submit_job(spec, "local", driver)

    assert len(driver.jobs) == 2


def test_a_platform_that_does_not_say_whether_a_run_ended_gets_no_other(spec: JobSpec) -> None:
    class Silent(Counting):
        def status(self, native_id: str) -> Status:
            raise PlatformFailed("no answer")

    driver = Silent()
    submit_job(spec, "local", driver)

    with pytest.raises(PlatformFailed):
        submit_job(spec, "local", driver)
    assert len(driver.jobs) == 1


def test_a_handle_of_a_run_that_ended_is_kept(spec: JobSpec, here: Path) -> None:
    driver, path = Counting(), here / "handle.json"
    first = submit_job(spec, "local", driver, path)
    driver.state = JobState.SUCCEEDED

    with pytest.raises(InputError, match="has ended"):
        submit_job(spec, "local", driver, path)
    assert submit_job(spec.with_run_id(first.run_id), "local", driver, path) == first


def test_a_handle_that_cannot_be_read_may_be_of_a_job_that_goes_on(spec: JobSpec, here: Path) -> None:
    driver = Counting()
    first = submit_job(spec, "local", driver)
    path = here / ".hexgate" / "runs" / f"{first.run_id}.json"
    path.write_bytes(path.read_bytes()[:40])

    with pytest.raises(InputError, match="nobody knows") as refused:
        submit_job(spec, "local", driver)

    assert path.name in str(refused.value)
    assert len(driver.jobs) == 1


def test_a_run_of_another_spec_on_the_platform_is_refused(spec: JobSpec, here: Path) -> None:
    class Telling(Counting):
        def spec_sha256(self, native_id: str) -> str | None:
            return "6" * 64

    driver = Telling()
    submit_job(spec.with_run_id(RUN), "local", driver, here / "one" / "handle.json")

    with pytest.raises(InputError, match="another spec"):
        submit_job(spec.with_run_id(RUN), "local", driver, here / "two" / "handle.json")


def test_a_run_is_locked_wherever_its_handle_lies(spec: JobSpec, here: Path) -> None:
    driver = Counting()
    both = threading.Barrier(2, timeout=0.5)

    class Racing(Counting):
        def find(self, run_id: str) -> str | None:
            found = driver.jobs.get(run_id)
            with suppress(threading.BrokenBarrierError):
                both.wait()
            return found

        def submit(self, spec: JobSpec) -> str:
            return driver.submit(spec)

    def submit(name: str) -> None:
        submit_job(spec.with_run_id(RUN), "local", Racing(), here / name / "handle.json")

    threads = [threading.Thread(target=submit, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert both.broken
    handles = [read_handle(here / name / "handle.json").native_id for name in ("one", "two")]
    assert handles == ["job-0", "job-0"]


def test_a_run_whose_end_was_told_is_over(spec: JobSpec, here: Path) -> None:
    driver = Counting()
    first = submit_job(spec, "local", driver, awaited=True)
    path = here / ".hexgate" / "runs" / f"{first.run_id}.json"
    text = path.read_text("utf-8")
    path.write_text(text.replace('"submitted"', '"ended"'), encoding="utf-8")

    assert submit_job(spec, "local", driver).run_id != first.run_id


def test_another_spec_or_platform_is_another_run(spec: JobSpec, here: Path) -> None:
    driver = Counting()
    submit_job(spec, "local", driver)
    submit_job(spec, "azure", driver)
    submit_job(demo_spec((here / "store").as_uri(), timeout_s=601), "local", driver)

    assert len(driver.jobs) == 3


def test_a_handle_of_another_job_is_left_alone(spec: JobSpec, here: Path) -> None:
    submit_job(spec, "local", Counting(), here / "handle.json")
    before = (here / "handle.json").read_bytes()

    with pytest.raises(InputError, match="another job"):
        submit_job(spec, "azure", Counting(), here / "handle.json")
    with pytest.raises(InputError, match="another job"):
        submit_job(spec.with_run_id(RUN), "local", Counting(), here / "handle.json")
    assert (here / "handle.json").read_bytes() == before


@pytest.mark.parametrize(
    "text", ["hexgate://", "hexgate://local", "hexgate://local/", "hexgate://moon/x", "https://local/x"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        address_of(text)


def test_a_native_id_may_hold_slashes() -> None:
    assert address_of("hexgate://azure/ws/jobs/a") == Address("azure", "ws/jobs/a")


@pytest.mark.parametrize("text", ["", "{}", '{"schema": "hexgate.handle/v1"}', "[1]"])
def test_what_is_no_handle_is_refused(here: Path, text: str) -> None:
    (here / "handle.json").write_text(text, encoding="utf-8")

    with pytest.raises(InputError, match="not a handle"):
        read_handle(here / "handle.json")


def test_a_job_is_named_by_its_file_or_its_address(spec: JobSpec, here: Path) -> None:
    handle = submit_job(spec, "local", Counting())
    path = Path(".hexgate") / "runs" / f"{handle.run_id}.json"

    assert find_handle(str(path)) == find_handle("hexgate://local/job-0") == (handle.address, handle, path)
    assert find_handle("hexgate://local/job-9") == (Address("local", "job-9"), None, None)


def test_a_job_that_has_no_address_yet_says_what_to_do(spec: JobSpec, here: Path) -> None:
    handle = new_handle(spec.with_run_id(RUN), "local", now="2026-11-21T02:19:51Z", awaited=False)
    save_handle(here / "handle.json", handle)

    with pytest.raises(InputError, match="give the same submit again"):
        find_handle(str(here / "handle.json"))


KILL = """
import os, signal, sys
import hexgate.platforms.local_driver as local_driver, hexgate.platforms.submit as submit
whole = {module}.{name}
left = {left}
def dies(*given, **keys):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    done = whole(*given, **keys)
    if left < 1 and {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
{module}.{name} = dies
from hexgate.cli import main
main(sys.argv[1:])
"""

STEPS = {
    # name: (module, function, calls that live, whether to die behind the last of them)
    "before the handle is saved": ("submit", "save_handle", 0, False),
    "behind the handle": ("submit", "save_handle", 1, True),
    "before the job's processes are started": ("local_driver.subprocess", "run", 0, False),
    "behind the start, before the answer is kept": ("submit", "save_handle", 1, False),
    "behind the kept answer": ("submit", "save_handle", 2, True),
}


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
@pytest.mark.parametrize("step", list(STEPS))
def test_a_command_that_is_killed_and_given_again_makes_one_job(here: Path, step: str) -> None:
    (here / "job.yaml").write_text(
        "{schema: hexgate.job/v1, name: quick, indicator: accuracy_f1, image: {ref: x}, timeout_s: 60,\n"
        f"argv: [{sys.executable}, job.py, '{{out}}'],\n"
        "output: {uri: 'file:store'}}\n",
        encoding="utf-8",
    )
    # It goes on until the second command has found it: a run that has ended is not taken up.
    (here / "job.py").write_text(
        "import pathlib, sys, time\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.02)\n"
        "pathlib.Path(sys.argv[1], 'x').touch()\n",
        encoding="utf-8",
    )
    command = ["platforms", "submit", "job.yaml", "--platform", "local", "--wait", "--poll-s", "0.05"]
    command += ["--collect", "got"]
    module, name, left, after = STEPS[step]
    dying = KILL.format(module=module, name=name, left=left, after=after)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEXGATE_")}

    killed = subprocess.run([sys.executable, "-c", dying, *command], env=environment, check=False)
    again = subprocess.Popen(
        [sys.executable, "-m", "hexgate", *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert again.stdout is not None
    address = again.stdout.readline()
    (here / "go").touch()
    _, err = again.communicate(timeout=60)

    assert killed.returncode == -signal.SIGKILL
    assert again.returncode == 0, err
    assert len(list((here / ".hexgate" / "local").iterdir())) == 1
    assert len(list((here / "store").iterdir())) == 1
    assert len(list((here / "store").glob("*/main/*"))) == 1
    assert address.startswith("hexgate://local/")
