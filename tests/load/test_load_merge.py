"""Merging the documents of shards: exact, whole or said not to be, and never of what does not belong together."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hexgate.contract.canonical import sha256_file
from hexgate.contract.collected import Collected, Part, PartState, write_collected
from hexgate.contract.evidence import EvidenceWriter
from hexgate.contract.load_shard import ShardDocument, read_shard
from hexgate.contract.observed import observed_state
from hexgate.contract.schema import load_schema
from hexgate.errors import EvidenceError
from hexgate.indicators.recompute import recompute
from support.command import Ended
from support.load_shards import altered, shards_of, whole_load, with_evidence
from support.measuring import array, check, forge, rows

Call = Callable[..., Ended]
LOADS: dict[str, dict[str, Any]] = {
    "open": {"rate_rps": 300.0, "requests": 200},
    "closed": {"duration_s": 0.5},
    "text": {"rate_rps": 300.0, "requests": 100, "mode": "text"},
}
ARTIFACTS = ("latency_p99", "throughput_rps")


def key_figures(path: Path) -> dict[str, Any]:
    data = json.loads(path.read_bytes())
    own = load_schema(data["indicator"])["x-own"]
    return {
        key: data[key]
        for key in (*own, "counts", "intervals", "missing", "cannot_certify", "run_id", "dataset")
    }


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: whole_load(tmp_path_factory.mktemp(name), **options) for name, options in LOADS.items()}


@pytest.fixture(params=LOADS)
def whole(request: pytest.FixtureRequest, wholes: dict[str, Path]) -> Path:
    return wholes[request.param]


@pytest.fixture
def shards(wholes: dict[str, Path], tmp_path: Path) -> list[ShardDocument]:
    return shards_of(wholes["open"], 3, tmp_path / "shards")


@pytest.mark.parametrize("count", [1, 2, 4])
def test_merged_figures_are_those_of_the_whole_bit_for_bit(
    whole: Path, count: int, call: Call, tmp_path: Path
) -> None:
    documents = shards_of(whole, count, tmp_path / "shards")
    merged = tmp_path / "merged"
    # In any order, and from one folder above them or from each.
    given = [one.path.parent for one in reversed(documents)] if count == 2 else [tmp_path / "shards"]
    ended = call("load", "merge", *given, "--out", merged)
    for name in ARTIFACTS:
        assert key_figures(merged / f"{name}.json") == key_figures(whole / f"{name}.json")
        one, other = check(merged / f"{name}.json"), check(whole / f"{name}.json")
        assert array(one, "requests").tobytes() == array(other, "requests").tobytes()
        assert array(one, "plan").tobytes() == array(other, "plan").tobytes()
        assert one.data["trust"] == "native"
        assert one.data["provenance"]["parents"] == [document.data["shard_id"] for document in documents]
        assert one.data["method"] == other.data["method"] | {
            "shards": count,
            "clock": "all shards ran on one machine and began to count within 0.000000 s of each other",
        }
        assert one.data["environment"] == other.data["environment"]
        assert set(one.data["resources"]) == {"missing"}
        names = set(one.data["evidence"])
        assert ("replies" in names) == ("replies" in other.data["evidence"])
        if "replies" in names:
            assert sorted(map(repr, rows(one, "replies"))) == sorted(map(repr, rows(other, "replies")))
        assert {f"resources_{index}" for index in range(count)} < names
        assert not {name for name in names if "power" in name}
        run = one.evidence().document("run")
        assert [each["index"] for each in run["shards"]] == list(range(count))
        # The machine of this test may be too busy for a client to keep up: then both say so.
        assert one.data["status"] == other.data["status"] or count > 1
    assert ended.code == (0 if one.data["status"] == "complete" else 4)


def test_a_missing_shard_makes_both_partial_and_names_it(
    shards: list[ShardDocument], call: Call, tmp_path: Path
) -> None:
    shutil.rmtree(shards[1].path.parent)
    merged = tmp_path / "merged"
    ended = call("load", "merge", tmp_path / "shards", "--out", merged)
    assert ended.code == 4
    assert "1 did not come whole (1/3)" in ended.err
    for name in ARTIFACTS:
        data = check(merged / f"{name}.json").data
        assert data["status"] == "partial"
        assert any("shard 1/3 is missing" in reason for reason in data["invalid_reasons"])
        counts = data["counts"]
        assert counts["requested"] == 200
        # Rows 0 to 208 by threes; 9 are warm-up.
        assert counts["skipped"] == 67
        assert counts["succeeded"] + counts["errored"] == 133


@pytest.mark.parametrize("status", ["failed", "partial"])
def test_a_shard_that_did_not_come_whole(
    shards: list[ShardDocument], status: str, call: Call, tmp_path: Path
) -> None:
    altered(shards[2], status=status, reasons=["the target died"])
    ended = call("load", "merge", tmp_path / "shards", "--out", tmp_path / "merged")
    assert ended.code == 4
    data = check(tmp_path / "merged" / "latency_p99.json").data
    assert data["status"] == "partial"
    assert any(f"shard 2/3 {'failed' if status == 'failed' else 'is partial'}: the target died" in reason
               for reason in data["invalid_reasons"])  # fmt: skip
    assert data["counts"]["skipped"] == (66 if status == "failed" else 0)


def test_all_failed(shards: list[ShardDocument], call: Call, tmp_path: Path) -> None:
    for one in shards:
        altered(one, status="failed", reasons=["no room"], evidence={})
    ended = call("load", "merge", tmp_path / "shards", "--out", tmp_path / "merged")
    assert ended.code == 4
    assert "no shard measured anything: shard 0/3 failed: no room; shard 1/3" in ended.err
    assert check(tmp_path / "merged" / "throughput_rps.json").data["status"] == "failed"


def test_a_shard_that_is_there_twice(shards: list[ShardDocument], call: Call, tmp_path: Path) -> None:
    again = tmp_path / "shards" / "again"
    shutil.copytree(shards[1].path.parent, again)
    ended = call("load", "merge", tmp_path / "shards", "--out", tmp_path / "merged")
    assert ended.code == 4
    assert "shard 1/3 is there twice" in ended.err
    assert str(again / shards[1].path.name) in ended.err
    assert str(shards[1].path) in ended.err
    assert check(tmp_path / "merged" / "latency_p99.json").data["status"] == "failed"
    # One folder that is named twice is one folder.
    shutil.rmtree(again)
    given = [one.path.parent for one in shards]
    assert "twice" not in call("load", "merge", *given, given[0], "--out", tmp_path / "merged").err


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"run_id": "20260101T000000Z-00000000"}, "run_id (2"),
        ({"plan_digest": "0" * 64}, "plan_digest"),
        ({"subject": {"name": "another"}}, "subject.name (hexgate-demo and another)"),
        ({"dataset": {"items": 3}}, "dataset.items"),
        ({"methods": {"latency_p99": {"timeout_s": 7}}}, "methods.latency_p99.timeout_s (None and 7)"),
        ({"methods": {"latency_p99": {"seed": 7}}}, "methods.latency_p99.seed (0 and 7)"),
        ({"methods": {"latency_p99": {"definition": "latency_p99/2"}}}, "methods.latency_p99.definition"),
        ({"shard": {"index": 2, "count": 4}}, "shard count (3 and 4)"),
    ],
    ids=["run", "plan", "subject", "dataset", "timeout", "seed", "definition", "count"],
)
def test_shards_of_different_loads(
    shards: list[ShardDocument], changes: dict[str, Any], named: str, call: Call, tmp_path: Path
) -> None:
    data = shards[2].data
    key, value = next(iter(changes.items()))
    if key == "methods":
        name, inner = next(iter(value.items()))
        value = data["methods"] | {name: data["methods"][name] | inner}
    elif isinstance(value, dict):
        value = data[key] | value
    other = altered(shards[2], **{key: value})
    ended = call("load", "merge", tmp_path / "shards", "--out", tmp_path / "merged")
    assert ended.code == 4
    assert "two shards are not of one load" in ended.err
    assert named in ended.err
    assert str(other.path) in ended.err
    assert str(shards[0].path) in ended.err


@pytest.mark.parametrize("name", ["requests", "plan", "resources", "meters", "run"])
def test_evidence_that_was_changed(
    shards: list[ShardDocument], name: str, call: Call, tmp_path: Path
) -> None:
    path = shards[0].path.parent / shards[0].data["evidence"][name]["path"]
    path.write_bytes(path.read_bytes() + b" ")
    ended = call("load", "merge", tmp_path / "shards", "--out", tmp_path / "merged")
    assert ended.code == 4
    assert "is not the file that the artifact was made from" in ended.err
    assert check(tmp_path / "merged" / "latency_p99.json").data["status"] == "failed"


def test_hosts_of_different_classes(shards: list[ShardDocument], call: Call, tmp_path: Path) -> None:
    altered(
        shards[1], environment=shards[1].data["environment"] | {"host_class": "zz", "cores": 99, "cpu": None}
    )
    assert call("load", "merge", tmp_path / "shards", "--out", tmp_path / "merged").code == 4
    data = check(tmp_path / "merged" / "latency_p99.json").data
    mine = shards[0].data["environment"]["host_class"]
    assert data["status"] == "invalid"
    assert f"the shards ran on hosts of different classes: {mine}, zz" in data["invalid_reasons"]
    assert data["environment"]["host_class"] == f"{mine}, zz"
    assert data["environment"]["cores"] is None


def test_a_starved_shard_makes_the_load_invalid_and_is_named(call: Call, tmp_path: Path) -> None:
    documents = shards_of(
        whole_load(tmp_path / "whole", rate_rps=20.0, requests=40, warmup=0), 2, tmp_path / "shards"
    )
    records = documents[1].evidence().array("requests")
    for stamp in ("issued_ns", "sent_ns", "end_ns"):
        records[stamp] += 400_000_000
    with_evidence(documents[1], "requests", records)
    assert call("load", "merge", tmp_path / "shards", "--out", tmp_path / "merged").code == 4
    for name in ARTIFACTS:
        data = check(tmp_path / "merged" / f"{name}.json").data
        assert data["status"] == "invalid"
        late = [reason for reason in data["invalid_reasons"] if "Requests were begun up to" in reason]
        assert any(reason.startswith("shard 1/2: ") for reason in late)


def test_a_late_shard_of_a_closed_loop(wholes: dict[str, Path], call: Call, tmp_path: Path) -> None:
    documents = shards_of(wholes["closed"], 2, tmp_path / "shards")
    run = documents[0].evidence().document("run")
    with_evidence(documents[0], "run", run | {"late_ns": 200_000_000})
    assert call("load", "merge", tmp_path / "shards", "--out", tmp_path / "merged").code == 4
    data = check(tmp_path / "merged" / "throughput_rps.json").data
    assert any("shard 0/2 began 0.2 s after the common start" in reason for reason in data["invalid_reasons"])


def test_shards_of_different_starts(shards: list[ShardDocument], call: Call, tmp_path: Path) -> None:
    run = shards[1].evidence().document("run")
    with_evidence(shards[1], "run", run | {"start_at": "2026-01-01T00:00:00Z"})
    ended = call("load", "merge", tmp_path / "shards", "--out", tmp_path / "merged")
    assert ended.code == 4
    assert "they count from 2026-01-01T00:00:00Z and None" in ended.err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("run", {}),
        ("run", {"plan_digest": 3}),
        ("plan_head", {"kind": "open_loop"}),
        ("requests", np.zeros(3)),
        ("plan", np.zeros((2, 2))),
    ],
)
def test_evidence_that_no_shard_wrote(
    shards: list[ShardDocument], name: str, value: Any, call: Call, tmp_path: Path
) -> None:
    with_evidence(shards[1], name, value)
    ended = call("load", "merge", tmp_path / "shards", "--out", tmp_path / "merged")
    assert ended.code == 4, ended.err
    assert check(tmp_path / "merged" / "latency_p99.json").data["status"] == "failed"


@pytest.mark.parametrize("shard", [{"index": 5}, {"count": 0}, {"count": 1000, "index": 0}, {"run": 3}])
def test_a_merged_run_that_was_made_up(
    shards: list[ShardDocument], shard: dict[str, Any], call: Call, tmp_path: Path
) -> None:
    merged = tmp_path / "merged"
    call("load", "merge", tmp_path / "shards", "--out", merged)
    latency = check(merged / "latency_p99.json")
    run = latency.evidence().document("run")
    run["shards"][0] |= shard
    writer = EvidenceWriter(merged, "load")
    writer.document("run", run)
    entry = {"run": writer.finish()["run"].to_json()}
    forged = forge(latency, evidence=latency.data["evidence"] | entry)
    with pytest.raises(EvidenceError):
        recompute(forged)


def test_a_plan_that_is_not_the_one_that_is_stated(
    shards: list[ShardDocument], call: Call, tmp_path: Path
) -> None:
    for one in shards:
        altered(one, plan_digest="0" * 64)
    ended = call("load", "merge", tmp_path / "shards", "--out", tmp_path / "merged")
    assert ended.code == 4
    assert "the plan is not the one that the shard states" in ended.err


def collected(folder: Path, documents: list[ShardDocument], **states: PartState) -> Path:
    """What `hexgate platforms collect` leaves."""
    parts = []
    for document in documents:
        name = f"shard-{document.index}-of-{document.count}"
        state = states.get(f"part_{document.index}", PartState.FOUND)
        place = name if state is PartState.FOUND else f".refused/{name}"
        shutil.copytree(document.path.parent, folder / place)
        files = tuple(
            {"path": path.name, "bytes": path.stat().st_size, "sha256": sha256_file(path)}
            for path in sorted((folder / place).iterdir())
        )
        detail = None if state is PartState.FOUND else "the job was lost"
        parts.append(Part(name, state, detail, "20260101T000000Z-00000000", place, 0, files))
    write_collected(
        folder,
        Collected(
            run_id=documents[0].data["run_id"],
            source="file:///store",
            expected=tuple(part.name for part in parts),
            until="2026-01-01T00:00:00Z",
            collected_at="2026-01-01T00:00:00Z",
            parts=tuple(parts),
        ),
    )
    return folder


def test_a_collected_run(shards: list[ShardDocument], call: Call, tmp_path: Path) -> None:
    folder = collected(tmp_path / "collected", shards)
    call("load", "merge", folder, "--out", folder / "merged")
    assert check(folder / "merged" / "latency_p99.json").data["counts"]["skipped"] == 0


def test_a_part_that_was_not_found_is_not_merged_though_it_lies_there(
    shards: list[ShardDocument], call: Call, tmp_path: Path
) -> None:
    folder = collected(tmp_path / "collected", shards, part_2=PartState.LATE)
    assert call("load", "merge", folder, "--out", tmp_path / "merged").code == 4
    data = check(tmp_path / "merged" / "latency_p99.json").data
    assert "shard 2/3 is missing (the job was lost)" in data["invalid_reasons"]
    assert data["counts"]["skipped"] == 66


def test_part_folders_that_are_named_directly(
    shards: list[ShardDocument], call: Call, tmp_path: Path
) -> None:
    folder = collected(tmp_path / "collected", shards, part_2=PartState.LATE)
    given = [folder / f"shard-{index}-of-3" for index in range(3)]
    given[0] = given[1] / ".." / given[0].name
    given[2] = folder / ".refused" / given[2].name
    assert call("load", "merge", *given, "--out", tmp_path / "merged").code == 4
    data = check(tmp_path / "merged" / "latency_p99.json").data
    assert "shard 2/3 is missing (the job was lost)" in data["invalid_reasons"]
    assert data["counts"]["skipped"] == 66


@pytest.mark.parametrize("direct", [False, True])
def test_a_part_that_was_changed_after_it_was_collected(
    shards: list[ShardDocument], direct: bool, call: Call, tmp_path: Path
) -> None:
    folder = collected(tmp_path / "collected", shards)
    altered(read_shard(folder / "shard-1-of-3" / shards[1].path.name), created_at="2030-01-01T00:00:00Z")
    given = [folder / f"shard-{index}-of-3" for index in range(3)] if direct else [folder]
    assert call("load", "merge", *given, "--out", tmp_path / "merged").code == 4
    reasons = check(tmp_path / "merged" / "latency_p99.json").data["invalid_reasons"]
    assert any(
        reason.startswith("shard 1/3 is missing (it is not what was collected: ") for reason in reasons
    )


@pytest.mark.parametrize("place", [".refused/other", ".refused", "shard-2-of-3"])
def test_what_a_collected_run_does_not_count(
    shards: list[ShardDocument], place: str, call: Call, tmp_path: Path
) -> None:
    folder = collected(tmp_path / "collected", shards, part_2=PartState.LATE)
    kept = folder / ".refused" / "shard-2-of-3"
    if place != ".refused":
        kept.rename(folder / place)
    given = [*(folder / f"shard-{index}-of-3" for index in range(2)), folder / place]
    assert call("load", "merge", *given, "--out", tmp_path / "merged").code == 4
    data = check(tmp_path / "merged" / "latency_p99.json").data
    assert any(reason.startswith("shard 2/3 is missing") for reason in data["invalid_reasons"])


@pytest.mark.skipif(os.name == "nt", reason="links as POSIX has them")
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_to_what_was_collected(
    shards: list[ShardDocument], dangling: bool, call: Call, tmp_path: Path
) -> None:
    folder = collected(tmp_path / "collected", shards)
    (folder / "collected.json").rename(tmp_path / "elsewhere.json")
    (folder / "collected.json").symlink_to("nowhere" if dangling else tmp_path / "elsewhere.json")
    for given in (folder, folder / "shard-0-of-3"):
        ended = call("load", "merge", given, "--out", tmp_path / "merged")
        assert ended.code == 4
        assert "collected.json" in ended.err
        assert "a link" in ended.err


def elsewhere(documents: list[ShardDocument], *bounds: float | None) -> None:
    """Let each shard have run on a host of its own, told so of the clocks."""
    for one, bound in zip(documents, bounds, strict=True):
        run = one.evidence().document("run")
        with_evidence(one, "run", run | {"host": f"host-{one.index}", "clock_bound_s": bound})


def judged(merged: Path, call: Call, **rule: Any) -> Ended:
    policy = {"version": 1, "name": "test", "rules": [rule]}
    path = merged.parent / "policy.yaml"
    path.write_text(json.dumps(policy), encoding="utf-8")
    return call("gate", merged, "--policy", path)


@pytest.mark.parametrize("bounds", [(None, None), (0.001, None), (-1.0, 0.001)])
def test_clocks_that_nobody_held_against_each_other_certify_nothing(
    wholes: dict[str, Path], bounds: tuple[float | None, ...], call: Call, tmp_path: Path
) -> None:
    documents = shards_of(wholes["closed"], 2, tmp_path / "shards")
    elsewhere(documents, *bounds)
    merged = tmp_path / "merged"
    call("load", "merge", tmp_path / "shards", "--out", merged)
    for name, passes, fails in (
        ("latency_p99", {"measure": "p99_ms", "at_most": 1e6}, {"measure": "p99_ms", "at_most": 1e-6}),
        ("throughput_rps", {"measure": "rps", "at_least": 1e-6}, {"measure": "rps", "at_least": 1e9}),
    ):
        artifact = check(merged / f"{name}.json")
        assert "not held against each other" in artifact.data["cannot_certify"][passes["measure"]]
        assert "not held against each other" in artifact.data["method"]["clock"]
        assert not recompute(artifact).differences
        if artifact.data["status"] == "complete":
            assert judged(merged, call, indicator=name, **passes).code == 3
            assert judged(merged, call, indicator=name, **fails).code == 1


def test_clocks_with_a_bound(wholes: dict[str, Path], call: Call, tmp_path: Path) -> None:
    documents = shards_of(wholes["closed"], 2, tmp_path / "shards")
    elsewhere(documents, 0.001, 0.02)
    call("load", "merge", tmp_path / "shards", "--out", tmp_path / "merged")
    for name in ARTIFACTS:
        data = check(tmp_path / "merged" / f"{name}.json").data
        assert data["cannot_certify"] == {}
        assert data["method"]["clock"] == "the shards' clocks differ by at most 0.021000 s"
        assert not any("clocks" in reason for reason in data["invalid_reasons"])
    if data["status"] == "complete":
        rule = {"indicator": "latency_p99", "measure": "p99_ms", "at_most": 1e6}
        assert judged(tmp_path / "merged", call, **rule).code in {0, 3}


@pytest.mark.parametrize("same_machine", [False, True])
def test_clocks_that_are_too_far_apart(
    wholes: dict[str, Path], same_machine: bool, call: Call, tmp_path: Path
) -> None:
    documents = shards_of(wholes["closed"], 2, tmp_path / "shards")
    if same_machine:
        run = documents[1].evidence().document("run")
        behind = {"started_ns": run["started_ns"] + 10_000_000_000, "clock_bound_s": 0.0}
        with_evidence(documents[1], "run", run | behind)
    else:
        elsewhere(documents, 10.0, 0.0)
    ended = call("load", "merge", tmp_path / "shards", "--out", tmp_path / "merged")
    assert ended.code == 4
    for name in ARTIFACTS:
        artifact = check(tmp_path / "merged" / f"{name}.json")
        assert artifact.data["status"] == "invalid"
        assert any(
            reason.startswith("the shards' clocks may differ by 10 s")
            for reason in artifact.data["invalid_reasons"]
        )
        assert not recompute(artifact).differences


def test_merging_makes_nothing_newer(shards: list[ShardDocument], call: Call, tmp_path: Path) -> None:
    altered(shards[1], created_at="2020-01-01T00:00:00Z")
    for name in ("first", "again"):
        merged = tmp_path / name / "merged"
        call("load", "merge", tmp_path / "shards", "--out", merged)
        for one in ARTIFACTS:
            assert check(merged / f"{one}.json").data["created_at"] == "2020-01-01T00:00:00Z"
        ended = judged(merged, call, indicator="latency_p99", measure="p50_ms", at_most=1e6)
        assert ended.code == 4
        # A load whose client was starved on this machine is refused for that first.
        if check(merged / "latency_p99.json").data["status"] == "complete":
            assert "2020-01-01T00:00:00Z" in ended.out + ended.err


def test_what_was_observed_stays_with_its_shard(
    shards: list[ShardDocument], call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "observed.jsonl"
    record.write_text('{"kind": "host", "at": 1, "governor": {"mine": 2}, "power_mode": null}\n', "utf-8")
    seen = observed_state(0, {"HEXGATE_OBSERVED": str(record)})
    altered(shards[1], environment=shards[1].data["environment"] | {"observed": seen})
    monkeypatch.setenv("HEXGATE_OBSERVED", str(tmp_path / "of-the-merging-machine"))
    call("load", "merge", tmp_path / "shards", "--out", tmp_path / "merged")
    for name in ARTIFACTS:
        artifact = check(tmp_path / "merged" / f"{name}.json")
        assert "observed" not in artifact.data["environment"]
        told = artifact.evidence().document("run")["shards"]
        assert [one["observed"] for one in told] == [None, seen, None]


def test_nothing_to_merge(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = call("load", "merge", tmp_path / "empty", "--out", tmp_path / "merged")
    assert ended.code == 4
    assert "there is no shard of a load" in ended.err
    assert call("load", "merge", tmp_path / "nowhere", "--out", tmp_path / "merged").code == 4
    assert check(tmp_path / "merged" / "latency_p99.json").data["status"] == "failed"


def test_merging_into_a_folder_with_a_shard(shards: list[ShardDocument], call: Call) -> None:
    ended = call("load", "merge", shards[0].path.parent, "--out", shards[0].path.parent)
    assert ended.code == 2
    assert "a shard lies in --out" in ended.err


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b'{"schema": "hexgate/load_shard/1.0"}',
        b'{"schema": "hexgate/load_shard/2.0"}',
    ],
)
def test_what_is_no_document(shards: list[ShardDocument], text: bytes) -> None:
    shards[0].path.write_bytes(text)
    with pytest.raises(EvidenceError) as refused:
        read_shard(shards[0].path)
    assert str(shards[0].path) in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("status", "invalid"),
        ("reasons", ["but it is complete"]),
        ("shard", {"index": 3, "count": 3}),
        ("shard", {"index": -1, "count": 3}),
        ("run_id", "mine"),
        ("plan_digest", "x"),
        ("more", 1),
    ],
)
def test_a_document_is_strict(shards: list[ShardDocument], key: str, value: Any) -> None:
    data = json.loads(shards[0].path.read_bytes()) | {key: value}
    shards[0].path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(EvidenceError):
        read_shard(shards[0].path)
    with pytest.raises(EvidenceError, match=r"\$"):
        altered(shards[0]) and read_shard(shards[0].path)


def test_a_document_that_was_edited(shards: list[ShardDocument]) -> None:
    data = json.loads(shards[0].path.read_bytes())
    data["counts"]["succeeded"] += 1
    shards[0].path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(EvidenceError, match="changed after it was written"):
        read_shard(shards[0].path)
