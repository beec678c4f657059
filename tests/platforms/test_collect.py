"""The table: whatever is wrong with a run, collect says so, keeps what came, and the gate never passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hexgate.contract.collected import (
    COLLECTED,
    Collected,
    PartState,
    expectation_mistakes,
    read_collected,
)
from hexgate.contract.schema import schema_mistakes
from hexgate.errors import EvidenceError, InputError, StoreFailed
from hexgate.gate.evidence import load_evidence
from hexgate.gate.judge import judge
from hexgate.gate.reason_codes import ReasonCode as Code
from hexgate.gate.reasons import render
from hexgate.gate.verdict import GateVerdict, Verdict
from hexgate.platforms.collect import Expected, collect_run
from hexgate.stores.base import Entry
from hexgate.stores.file import FileStore
from support.artifacts import RUN_ID
from support.gate import INDICATORS, NOW, policy
from support.parts import IMAGE, SPEC, place_of, publish_part, rewrite

State = PartState
STEPS = Expected(RUN_ID, INDICATORS, spec_sha256=SPEC, image=IMAGE, shards=1)
MAIN = replace(STEPS, parts=("main",))
UNTOLD = Expected(RUN_ID, INDICATORS)
SHARDS = Expected(RUN_ID, ("shard-0-of-2", "shard-1-of-2"), spec_sha256=SPEC, image=IMAGE, shards=2)


def collect(root: Path, expected: Expected = MAIN) -> Collected:
    root.mkdir(exist_ok=True)
    return collect_run(FileStore(root), expected, root.parent / "here")


def judged(folder: Path) -> GateVerdict:
    return judge(policy(), load_evidence([folder]), now=NOW)


def steps(root: Path, **keys: str) -> None:
    for name in INDICATORS:
        publish_part(root, name, indicators=[name], **keys)


def without(root: Path, gone: str) -> None:
    for name in INDICATORS:
        if name != gone:
            publish_part(root, name, indicators=[name])


def _no_manifest(root: Path) -> None:
    (place_of(root, publish_part(root)) / "manifest.json").unlink()


def _two_ends(root: Path) -> None:
    publish_part(root)
    publish_part(root, extra={"note.txt": "another"}, exit_code=3)


def _cut_manifest(root: Path) -> None:
    path = place_of(root, publish_part(root)) / "manifest.json"
    path.write_bytes(path.read_bytes()[:-20])


def _changed_file(root: Path) -> None:
    path = place_of(root, publish_part(root)) / "toxicity.json"
    path.write_bytes(path.read_bytes().replace(b"digits", b"DIGITS"))


def _file_gone(root: Path) -> None:
    (place_of(root, publish_part(root)) / "toxicity.replies.jsonl").unlink()


def _stranger(root: Path) -> None:
    (place_of(root, publish_part(root)) / "more.json").write_text("{}", encoding="utf-8")


def _other_run(root: Path) -> None:
    rewrite(root, publish_part(root), run_id="20261120T000000Z-ffffffff")


def _uninvited(root: Path) -> None:
    publish_part(root)
    publish_part(root, "toxicity", indicators=["toxicity"])


def _steps_of_two_specs(root: Path) -> None:
    without(root, "toxicity")
    publish_part(root, "toxicity", indicators=["toxicity"], spec_sha256="6" * 64)


def _steps_of_two_images(root: Path) -> None:
    without(root, "toxicity")
    publish_part(root, "toxicity", indicators=["toxicity"], image="registry.example.com/hexgate:0.0.9")


def _shard_of_three(root: Path) -> None:
    publish_part(root, "shard-0-of-2", shard=(0, 2), indicators=[], extra={"x": "0"})
    publish_part(root, "shard-1-of-2", shard=(1, 3), indicators=[], extra={"x": "1"})


# (name, how the store is, what is expected, the first part that is not found, its state, verdict, reason)
FAULTS: list[tuple[str, Callable[[Path], object], Expected, str, State, Verdict, Code]] = [
    ("nothing", lambda _: None, MAIN, "main", State.MISSING, Verdict.MISSING, Code.PART_MISSING),
    (
        "one step missing",
        lambda root: without(root, "toxicity"),
        STEPS,
        "toxicity",
        State.MISSING,
        Verdict.MISSING,
        Code.PART_MISSING,
    ),
    ("no manifest", _no_manifest, MAIN, "main", State.UNFINISHED, Verdict.MISSING, Code.PART_UNFINISHED),
    (
        "late",
        publish_part,
        replace(MAIN, until="2026-11-21T02:29:50Z"),
        "main",
        State.LATE,
        Verdict.INVALID,
        Code.PART_LATE,
    ),
    ("two ends", _two_ends, MAIN, "main", State.DUPLICATE, Verdict.INVALID, Code.PART_DUPLICATE),
    *(
        (
            f"ended with {code}",
            lambda root, code=code: publish_part(root, exit_code=code),
            MAIN,
            "main",
            State.FAILED,
            Verdict.INVALID,
            Code.PART_FAILED,
        )
        for code in (1, 2, 70, 137)
    ),
    ("manifest cut", _cut_manifest, MAIN, "main", State.UNREADABLE, Verdict.INVALID, Code.PART_UNREADABLE),
    ("file changed", _changed_file, MAIN, "main", State.UNREADABLE, Verdict.INVALID, Code.PART_UNREADABLE),
    (
        "no file",
        lambda root: publish_part(root, indicators=[]),
        MAIN,
        "main",
        State.FAILED,
        Verdict.INVALID,
        Code.PART_FAILED,
    ),
    ("file gone", _file_gone, MAIN, "main", State.UNREADABLE, Verdict.INVALID, Code.PART_UNREADABLE),
    ("file not named", _stranger, MAIN, "main", State.UNREADABLE, Verdict.INVALID, Code.PART_UNREADABLE),
    ("of another run", _other_run, MAIN, "main", State.MIXED, Verdict.INVALID, Code.PART_MIXED),
    (
        "of another spec",
        lambda root: publish_part(root, spec_sha256="6" * 64),
        MAIN,
        "main",
        State.MIXED,
        Verdict.INVALID,
        Code.PART_MIXED,
    ),
    (
        "of no spec",
        lambda root: publish_part(root, spec_sha256=None),
        MAIN,
        "main",
        State.MIXED,
        Verdict.INVALID,
        Code.PART_MIXED,
    ),
    (
        "of another image",
        lambda root: publish_part(root, image="registry.example.com/hexgate:0.0.9"),
        MAIN,
        "main",
        State.MIXED,
        Verdict.INVALID,
        Code.PART_MIXED,
    ),
    ("not invited", _uninvited, MAIN, "toxicity", State.MIXED, Verdict.INVALID, Code.PART_MIXED),
    ("two specs", _steps_of_two_specs, UNTOLD, "accuracy_f1", State.MIXED, Verdict.INVALID, Code.PART_MIXED),
    (
        "two images",
        _steps_of_two_images,
        UNTOLD,
        "accuracy_f1",
        State.MIXED,
        Verdict.INVALID,
        Code.PART_MIXED,
    ),
    (
        "two platforms",
        lambda root: (without(root, "toxicity"), publish_part(root, "toxicity", platform="azure")),
        STEPS,
        "accuracy_f1",
        State.MIXED,
        Verdict.INVALID,
        Code.PART_MIXED,
    ),
    (
        "shard of three",
        _shard_of_three,
        SHARDS,
        "shard-1-of-2",
        State.MIXED,
        Verdict.INVALID,
        Code.PART_MIXED,
    ),
]


@pytest.mark.parametrize(
    ("made", "expected", "part", "state", "verdict", "reason"),
    [case[1:] for case in FAULTS],
    ids=[case[0] for case in FAULTS],
)
def test_no_faulty_run_is_whole_or_passes(
    tmp_path: Path,
    made: Callable[[Path], object],
    expected: Expected,
    part: str,
    state: State,
    verdict: Verdict,
    reason: Code,
) -> None:
    made(tmp_path / "store")

    collected = collect(tmp_path / "store", expected)

    faulty = [one for one in collected.parts if one.state is not State.FOUND]
    assert not collected.whole
    assert (faulty[0].name, faulty[0].state) == (part, state)
    assert faulty[0].detail
    said = judged(tmp_path / "here")
    assert said.verdict is verdict
    assert said.exit_code == 4
    assert reason in {problem.code for problem in said.problems}
    for problem in said.problems:
        assert render(problem, "en")
        assert render(problem, "zh")
    assert schema_mistakes("verdict", said.to_json()) == []
    assert_out_of_the_way(tmp_path / "here", collected)


def assert_out_of_the_way(here: Path, collected: Collected) -> None:
    """What is not found lies where neither the gate nor `load merge` looks, even if its folder is named directly."""
    assert read_collected(here / COLLECTED) == collected
    for one in collected.parts:
        if one.state is not State.FOUND:
            assert not (here / one.name).exists()
            assert one.folder in {None, f".refused/{one.name}"}
            for folder in (here / one.name, here / str(one.folder)):
                assert judged(folder).verdict in {Verdict.INVALID, Verdict.MISSING}
                assert load_evidence([folder]).exhibits == ()


def test_a_whole_run_passes(tmp_path: Path) -> None:
    publish_part(tmp_path / "store")

    collected = collect(tmp_path / "store")

    assert collected.whole
    assert read_collected(tmp_path / "here" / COLLECTED) == collected
    assert schema_mistakes("collected", collected.to_json()) == []
    said = judged(tmp_path / "here")
    assert said.verdict is Verdict.PASS
    assert said.notes == judged(tmp_path / "left" / "main-0").notes


def test_the_steps_of_a_run_are_judged_as_one(tmp_path: Path) -> None:
    steps(tmp_path / "store")

    assert collect(tmp_path / "store", STEPS).whole
    assert judged(tmp_path / "here").verdict is Verdict.PASS


@pytest.mark.parametrize("code", [5, 130, 137, 143])
def test_a_later_attempt_takes_the_place_of_one_that_broke_down(tmp_path: Path, code: int) -> None:
    publish_part(tmp_path / "store", exit_code=code, extra={"note.txt": "first"})
    second = publish_part(tmp_path / "store")

    collected = collect(tmp_path / "store")

    assert collected.whole
    assert collected.parts[0].attempt == second["attempt"]


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4])
def test_a_measurement_that_ended_is_never_replaced(tmp_path: Path, code: int) -> None:
    """Else one could measure until it pleases."""
    publish_part(tmp_path / "store", exit_code=code, extra={"note.txt": "first"})
    publish_part(tmp_path / "store")

    assert collect(tmp_path / "store").parts[0].state is State.DUPLICATE


def test_the_same_files_twice_are_one_result(tmp_path: Path) -> None:
    publish_part(tmp_path / "store")
    publish_part(tmp_path / "store")

    assert collect(tmp_path / "store").whole


def test_an_attempt_without_a_manifest_does_not_count_beside_one_with(tmp_path: Path) -> None:
    _no_manifest(tmp_path / "store")
    publish_part(tmp_path / "store")

    assert collect(tmp_path / "store").whole


@pytest.mark.parametrize(
    ("exit_code", "state"), [(0, State.FOUND), (4, State.FOUND), (5, State.FOUND), (137, State.FAILED)]
)
def test_the_only_attempt_comes_here_however_it_ended(tmp_path: Path, exit_code: int, state: State) -> None:
    publish_part(tmp_path / "store", exit_code=exit_code)

    collected = collect(tmp_path / "store")

    (part,) = collected.parts
    assert part.state is state
    assert part.exit_code == exit_code
    assert part.folder == ("main" if state is State.FOUND else ".refused/main")
    assert part.files


def test_what_came_is_kept_whatever_is_wrong_with_it(tmp_path: Path) -> None:
    _changed_file(tmp_path / "store")
    collect(tmp_path / "store")

    assert (tmp_path / "here" / ".refused" / "main" / "accuracy_f1.json").is_file()
    assert not (tmp_path / "here" / ".refused" / "main" / "toxicity.json").exists()
    assert not (tmp_path / "here" / "main").exists()


def test_a_part_that_is_whole_later_lies_in_its_place(tmp_path: Path) -> None:
    here = tmp_path / "here"
    publish_part(tmp_path / "store")
    collect(tmp_path / "store", replace(MAIN, until="2026-11-21T02:29:50Z"))
    before = {path.name: path.stat().st_ino for path in (here / ".refused" / "main").iterdir()}

    assert collect(tmp_path / "store").whole

    assert {path.name: path.stat().st_ino for path in (here / "main").iterdir()} == before
    assert not (here / ".refused" / "main").exists()
    assert judged(here).verdict is Verdict.PASS


def test_a_part_that_is_found_no_more_leaves_its_place(tmp_path: Path) -> None:
    here = tmp_path / "here"
    publish_part(tmp_path / "store")
    collect(tmp_path / "store")
    (here / ".refused" / "main").mkdir(parents=True)

    late = collect(tmp_path / "store", replace(MAIN, until="2026-11-21T02:29:50Z"))

    assert_out_of_the_way(here, late)
    assert (here / ".refused" / "main" / "toxicity.json").is_file()
    assert (here / ".refused" / "main.1").is_dir()


def test_a_manifest_that_was_cut_off_gives_way_to_a_later_one(tmp_path: Path) -> None:
    _cut_manifest(tmp_path / "store")
    publish_part(tmp_path / "store")

    assert collect(tmp_path / "store").whole


def test_a_manifest_that_is_json_and_none_gives_way_to_nothing(tmp_path: Path) -> None:
    rewrite(tmp_path / "store", publish_part(tmp_path / "store"), exit_code=-1)
    publish_part(tmp_path / "store")

    assert collect(tmp_path / "store").parts[0].state is State.UNREADABLE


class Failing(FileStore):
    """Fails after some downloads, as a store that is cut off."""

    left = 3

    def get(self, key: str, path: Path) -> None:
        self.left -= 1
        if self.left < 0:
            raise StoreFailed("the connection is cut")
        super().get(key, path)


def test_a_collection_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    publish_part(tmp_path / "store")
    store = Failing(tmp_path / "store")
    here = tmp_path / "here"
    with pytest.raises(StoreFailed):
        collect_run(store, MAIN, here)
    assert not (here / COLLECTED).exists()
    before = {path: path.stat().st_mtime_ns for path in here.rglob("*") if path.is_file()}

    store.left = 1000
    collected = collect_run(store, MAIN, here)

    assert collected.whole
    assert len(before) == 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert store.left == 1000 - (len(collected.parts[0].files) - 3)


def test_a_new_attempt_takes_the_place_of_what_was_collected_of_an_old_one(tmp_path: Path) -> None:
    publish_part(tmp_path / "store", exit_code=137, extra={"note.txt": "first"})
    collect(tmp_path / "store")
    publish_part(tmp_path / "store")

    assert collect(tmp_path / "store").whole
    assert not (tmp_path / "here" / "main" / "note.txt").exists()
    assert judged(tmp_path / "here").verdict is Verdict.PASS


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    publish_part(tmp_path / "store")
    collect(tmp_path / "store")

    with pytest.raises(InputError, match="another run"):
        collect(tmp_path / "store", replace(MAIN, run_id="20261122T000000Z-ffffffff"))


def test_files_that_lie_in_the_way_are_named(tmp_path: Path) -> None:
    publish_part(tmp_path / "store")
    (tmp_path / "here" / "main").mkdir(parents=True)
    (tmp_path / "here" / "main" / "old.json").write_text("{}", encoding="utf-8")

    part = collect(tmp_path / "store").parts[0]

    assert part.state is State.UNREADABLE
    assert "old.json" in str(part.detail)
    assert part.folder == ".refused/main"
    assert collect(tmp_path / "store").parts[0] == part
    (tmp_path / "here" / ".refused" / "main" / "old.json").unlink()
    assert collect(tmp_path / "store").whole


def test_a_store_that_does_not_answer_is_no_missing_part(tmp_path: Path) -> None:
    class Silent(FileStore):
        def list(self, prefix: str = "") -> list[Entry]:  # type: ignore[override]
            raise StoreFailed("no answer")

    with pytest.raises(StoreFailed):
        collect_run(Silent(tmp_path), MAIN, tmp_path / "here")
    assert not (tmp_path / "here" / COLLECTED).exists()


@pytest.mark.parametrize(
    "change",
    [
        {"parts": []},
        {"expected": ["main", "toxicity"]},
        {"expected": ["toxicity"]},
        {"run_id": "yesterday"},
        {"schema": "hexgate.collected/v2"},
    ],
)
def test_a_record_that_does_not_add_up_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    publish_part(tmp_path / "store")
    collect(tmp_path / "store")
    path = tmp_path / "here" / COLLECTED
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), encoding="utf-8")

    with pytest.raises(EvidenceError):
        read_collected(path)
    assert judged(tmp_path / "here").verdict is Verdict.INVALID


@pytest.mark.parametrize(
    "change",
    [
        {"exit_code": 1},
        {"exit_code": 137},
        {"exit_code": None},
        {"files": []},
        {"attempt": None},
        {"folder": None},
        {"folder": ".refused/main"},
        {"state": "late", "folder": "main"},
        {"state": "late", "folder": ".refused/main"},
        {"state": "missing"},
    ],
)
def test_a_part_that_contradicts_itself_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    publish_part(tmp_path / "store")
    collect(tmp_path / "store")
    path = tmp_path / "here" / COLLECTED
    value = json.loads(path.read_text("utf-8"))
    value["parts"][0] |= change
    path.write_text(json.dumps(value), encoding="utf-8")

    with pytest.raises(EvidenceError):
        read_collected(path)
    assert judged(tmp_path / "here").verdict is Verdict.INVALID


@pytest.mark.parametrize(
    ("names", "right"),
    [
        (["main"], True),
        (["accuracy_f1", "toxicity"], True),
        (["shard-0-of-2", "shard-1-of-2"], True),
        (["shard-1-of-2", "shard-0-of-2"], True),
        (["shard-0-of-2"], False),
        (["shard-0-of-2", "shard-1-of-3"], False),
        (["shard-0-of-1", "main"], False),
        (["shard-0-of-99999999999999999999"], False),
    ],
)
def test_shards_are_all_expected_or_none(names: list[str], *, right: bool) -> None:
    assert (expectation_mistakes(names) == []) is right
