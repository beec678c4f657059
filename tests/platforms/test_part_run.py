"""The part runner as a real process: what it publishes, however its command ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hexgate.contract.provenance import current_run_id
from hexgate.errors import InputError
from hexgate.platforms.part_run import part_job
from hexgate.stores.file import FileStore
from hexgate.stores.parts import Attempt, attempts

posix = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
RUN = "20261121T021951Z-0a1b2c3d"
PART = [sys.executable, "-m", "hexgate", "platforms", "run", "--output"]
PATIENCE_S = 60.0
LEAVE = "import sys, pathlib; pathlib.Path(sys.argv[1], 'left.txt').write_text('x')"
# Leaves a file, says so, and waits to be told to stop.
STAY = f"{LEAVE}; print('there', flush=True); import time; time.sleep(600)"
POLITE = (
    "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(130)); "
    "signal.signal(signal.SIGINT, lambda *_: sys.exit(130)); "
) + STAY


def environment(**more: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("HEXGATE_")}
    return own | {"HEXGATE_LANG": "en", "HEXGATE_RUN_ID": RUN} | more


def begin(
    output: Path,
    program: str,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    part: Sequence[str] = (),
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PART, str(output), *part, "--", sys.executable, "-c", program, "{out}", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=dict(environment() if env is None else env),
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, err = process.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in err
    return process.returncode, err


def run(output: Path, program: str, *arguments: str, **keys: Any) -> tuple[int, str]:
    return end(begin(output, program, *arguments, **keys))


def only(output: Path, run_id: str = RUN) -> tuple[Attempt, dict[str, Any]]:
    """The one attempt in a store, and its manifest."""
    found = [one for tries in attempts(FileStore(output), run_id).values() for one in tries]
    assert len(found) == 1
    assert found[0].manifest is not None
    return found[0], found[0].manifest


def paths(manifest: Mapping[str, Any]) -> list[str]:
    return [file["path"] for file in manifest["files"]]


def kept(err: str) -> Path:
    found = re.search(r"kept in (.+)", err)
    assert found
    return Path(found[1])


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 70])
def test_the_command_is_published_with_its_exit_code(tmp_path: Path, code: int) -> None:
    env = environment(
        HEXGATE_SPEC_SHA256="5" * 64, HEXGATE_IMAGE="x/y:1", HEXGATE_PLATFORM="local", HEXGATE_JOB_ID="job-1"
    )
    ended, _ = run(tmp_path / "store", f"{LEAVE}; sys.exit({code})", env=env)

    attempt, manifest = only(tmp_path / "store")
    assert ended == code
    assert attempt.part == "main"
    assert paths(manifest) == ["left.txt"]
    wanted = {
        "exit_code": code,
        "shard": None,
        "spec_sha256": "5" * 64,
        "image": "x/y:1",
        "platform": "local",
        "platform_job_id": "job-1",
    }
    assert {name: manifest[name] for name in wanted} == wanted


def test_the_command_knows_its_run_and_hexgate_is_the_one_that_runs(tmp_path: Path) -> None:
    command = [
        "hexgate",
        "run",
        "--indicator",
        "accuracy_f1",
        "--model",
        "demo:",
        "--data",
        "demo:",
        "--quiet",
    ]
    process = subprocess.run(
        [*PART, str(tmp_path / "store"), "--", *command, "--out", "{out}/accuracy_f1.json"],
        env=environment(PATH="/nowhere"),
        capture_output=True,
        check=False,
    )

    assert process.returncode == 0, process.stderr
    attempt, _ = only(tmp_path / "store")
    key = next(key for key in attempt.keys if key.endswith("/accuracy_f1.json"))
    assert json.loads((tmp_path / "store" / key).read_text("utf-8"))["run_id"] == RUN


def test_the_scratch_goes_once_its_content_is_published(tmp_path: Path) -> None:
    says = f"{LEAVE}; pathlib.Path(sys.argv[2]).write_text(sys.argv[1])"
    run(tmp_path / "store", says, str(tmp_path / "where"))

    scratch = Path((tmp_path / "where").read_text("utf-8"))
    assert scratch.is_absolute()
    assert not scratch.exists()


def test_a_run_of_its_own_is_made_and_named(tmp_path: Path) -> None:
    env = environment()
    del env["HEXGATE_RUN_ID"]

    _, err = run(tmp_path / "store", LEAVE, env=env)

    found = re.search(r"run ([0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}), part main", err)
    assert found
    only(tmp_path / "store", found[1])


@posix
@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_stop_goes_on_to_the_command_and_what_it_left_is_published(tmp_path: Path, how: str) -> None:
    process = begin(tmp_path / "store", POLITE)
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"

    process.send_signal(signal.Signals[how])

    assert end(process)[0] == 130
    _, manifest = only(tmp_path / "store")
    assert manifest["exit_code"] == 130
    assert paths(manifest) == ["left.txt"]


@posix
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_what_a_killed_command_left_is_published(tmp_path: Path, how: signal.Signals) -> None:
    code, _ = run(tmp_path / "store", f"{LEAVE}; import os; os.kill(os.getpid(), {int(how)})")

    _, manifest = only(tmp_path / "store")
    assert code == manifest["exit_code"] == 128 + how
    assert paths(manifest) == ["left.txt"]


@posix
def test_a_runner_that_is_killed_leaves_no_part(tmp_path: Path) -> None:
    process = begin(tmp_path / "store", STAY.replace("600", "0.5"))
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    end(process)

    assert attempts(FileStore(tmp_path / "store"), RUN) == {}


def test_a_command_that_cannot_be_run_is_published_as_that(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PART, str(tmp_path / "store"), "no-such-program", "{out}"],
        env=environment(),
        capture_output=True,
        check=False,
    )

    _, manifest = only(tmp_path / "store")
    assert done.returncode == manifest["exit_code"] == 127
    assert paths(manifest) == []


def test_what_cannot_be_published_is_kept_here(tmp_path: Path) -> None:
    spoils = f"{LEAVE}; (pathlib.Path(sys.argv[2]) / 'main').write_text('in the way')"

    env = environment(TMPDIR=str(tmp_path))
    code, err = run(tmp_path / "store", spoils, str(tmp_path / "store" / RUN), env=env)

    assert code == 5
    assert (kept(err) / "left.txt").read_text("utf-8") == "x"


@posix
@pytest.mark.parametrize(("code", "published"), [(0, 70), (4, 70), (130, 70), (2, 2), (137, 137)])
def test_the_plain_files_beside_an_odd_one_are_published(tmp_path: Path, code: int, published: int) -> None:
    odd = (
        "out = pathlib.Path(sys.argv[1]); (out / 'link').symlink_to('/etc/hostname'); "
        "(out / 'manifest.json').write_text('{}'); (out / 'inner').symlink_to('manifest.json'); "
        "(out / 'b\\udcff').write_text('x'); (out / 'below').mkdir(); (out / 'below' / 'y').write_text('y')"
    )
    env = environment(TMPDIR=str(tmp_path))
    ended, err = run(tmp_path / "store", f"{LEAVE}; {odd}; sys.exit({code})", env=env)

    _, manifest = only(tmp_path / "store")
    assert ended == manifest["exit_code"] == published
    assert paths(manifest) == ["below/y", "left.txt"]
    assert err.count("kept as") == 4
    (aside,) = tmp_path.glob("hexgate-odd-*")
    assert len(list(aside.iterdir())) == 4


def test_a_job_of_one_shard_is_none_of_several(tmp_path: Path) -> None:
    says = (
        "import os, sys, pathlib; pathlib.Path(sys.argv[1], 'told').write_text(' '.join(sorted(os.environ)))"
    )
    env = environment(
        HEXGATE_SHARD="0/1",
        HEXGATE_START_AT="2026-01-31T12:00:00Z",
        HEXGATE_CLOCK_BOUND_S="1",
        HEXGATE_SHARDS="1",
    )

    code, _ = run(tmp_path / "store", says, env=env)

    assert code == 0
    attempt, _ = only(tmp_path / "store")
    names = (tmp_path / "store" / next(key for key in attempt.keys if key.endswith("told"))).read_text(
        "utf-8"
    )
    assert not {"HEXGATE_SHARD", "HEXGATE_START_AT", "HEXGATE_CLOCK_BOUND_S"} & set(names.split())
    assert "HEXGATE_RUN_ID" in names


def test_a_graver_exit_code_is_not_hidden_by_a_failed_upload(tmp_path: Path) -> None:
    spoils = f"{LEAVE}; (pathlib.Path(sys.argv[2]) / 'main').write_text('in the way'); sys.exit(130)"

    env = environment(TMPDIR=str(tmp_path))
    code, err = run(tmp_path / "store", spoils, str(tmp_path / "store" / RUN), env=env)

    assert code == 130
    assert kept(err).is_dir()


def test_a_store_that_takes_nothing_is_known_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file", encoding="utf-8")

    code, err = run(tmp_path / "store", LEAVE)

    assert code == 5
    assert "the command ended" not in err


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"HEXGATE_RUN_ID": "yesterday"}, "HEXGATE_RUN_ID"),
        ({"HEXGATE_SPEC_SHA256": "short"}, "spec_sha256"),
        ({"HEXGATE_SHARD": "2/2"}, "no such shard"),
    ],
)
def test_an_environment_that_fits_nowhere_is_refused(
    tmp_path: Path, given: dict[str, str], what: str
) -> None:
    code, err = run(tmp_path / "store", LEAVE, env=environment(**given))

    assert code == 2
    assert what in err
    assert not (tmp_path / "store").exists()


def test_a_part_of_a_bad_name_is_refused(tmp_path: Path) -> None:
    code, err = run(tmp_path / "store", LEAVE, part=["--part", "../x"])

    assert code == 2
    assert "part" in err


def test_a_command_without_a_place_for_its_results_is_refused() -> None:
    with pytest.raises(InputError, match=r"\{out\}"):
        part_job(["true"], "/output", {})


@pytest.mark.parametrize(("part", "env"), [("toxicity", {}), (None, {"HEXGATE_SHARD": "0/2"})])
def test_one_of_several_parts_needs_a_run_in_common(part: str | None, env: dict[str, str]) -> None:
    with pytest.raises(InputError, match="which run it belongs to"):
        part_job(["x", "{out}"], "/output", env, part=part)

    shared = env | {"HEXGATE_RUN_KEY": "array-job-4711"}
    first = part_job(["x", "{out}"], "/output", shared, part=part)
    again = part_job(["x", "{out}"], "/output", shared, part=part)
    other = part_job(["x", "{out}"], "/output", shared | {"HEXGATE_RUN_KEY": "array-job-4712"}, part=part)
    assert first.run_id == again.run_id != other.run_id
    assert re.fullmatch(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}", first.run_id)


def test_artifacts_take_the_run_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEXGATE_RUN_ID", RUN)
    assert current_run_id() == RUN
    monkeypatch.setenv("HEXGATE_RUN_ID", "20261121T021951Z-0a1b2c3d\n")
    with pytest.raises(InputError):
        current_run_id()
    monkeypatch.delenv("HEXGATE_RUN_ID")
    assert current_run_id() != current_run_id()


SHOW = (
    "import os, sys, pathlib; pathlib.Path(sys.argv[1], 'told.txt')"
    ".write_text(' '.join(os.environ['HEXGATE_' + name] for name in ('SHARD', 'START_AT', 'CLOCK_BOUND_S')))"
)


def _told(store: Path, part: str) -> str:
    found = attempts(FileStore(store), RUN)[part]
    return (store / next(key for key in found[0].keys if key.endswith("told.txt"))).read_text("utf-8")


def test_shards_get_one_start(tmp_path: Path) -> None:
    store = tmp_path / "store"
    envs = [environment(HEXGATE_SHARD=f"{index}/2") for index in range(2)]
    started = [begin(store, SHOW, env=env, part=["--start-lead-s", "4"]) for env in envs]
    assert [end(process)[0] for process in started] == [0, 0]

    told = [_told(store, f"shard-{index}-of-2").split() for index in range(2)]
    assert [shard for shard, _, _ in told] == ["0/2", "1/2"]
    assert told[0][1] == told[1][1]
    assert float(told[0][2]) == 0
    assert 0 < float(told[1][2]) < 10
    assert only_shards(store) == {"shard-0-of-2": (0, 2), "shard-1-of-2": (1, 2)}


def only_shards(store: Path) -> dict[str, tuple[int, int]]:
    """What each part says of its shard."""
    found = {part: tries[0].manifest for part, tries in attempts(FileStore(store), RUN).items()}
    return {
        part: (manifest["shard"]["index"], manifest["shard"]["count"])
        for part, manifest in found.items()
        if manifest is not None
    }


def test_a_late_attempt_does_not_join_and_runs_nothing(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    passed = b'{"absent":[],"at":"2026-01-31T12:00:00.000000Z","lead_s":10}'
    store.put_bytes(f"{RUN}/.start/20260131T115952Z-00000000", passed)

    code, err = run(store.root, SHOW, env=environment(HEXGATE_SHARD="1/2"))

    assert code == 5
    assert "has passed" in err
    assert attempts(store, RUN) == {}


@posix
def test_a_stop_while_shards_wait_for_each_other_ends_at_once(tmp_path: Path) -> None:
    store = tmp_path / "store"
    process = begin(store, SHOW, env=environment(HEXGATE_SHARD="1/2"))
    _until(lambda: any((store / RUN / ".ready").glob("1-*")) if store.is_dir() else False)

    process.send_signal(signal.SIGTERM)

    code, err = end(process)
    assert code == 130
    assert "before the command began" in err


def _until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)
