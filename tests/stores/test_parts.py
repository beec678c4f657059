from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexgate.contract.canonical import canonical_bytes, sha256_bytes
from hexgate.contract.schema import schema_mistakes
from hexgate.errors import EvidenceError, StoreFailed
from hexgate.stores.base import Entry
from hexgate.stores.file import FileStore
from hexgate.stores.keys import ARRIVING
from hexgate.stores.parts import MANIFEST, Attempt, PartHead, attempts, fetch, publish

RUN = "20261120T101500Z-0a1b2c3d"
ATTEMPT = "20261120T103000Z-00000001"
HEAD = PartHead(
    run_id=RUN,
    part="main",
    shard=None,
    exit_code=0,
    spec_sha256="a" * 64,
    image="registry.example.com/hexgate:0.1.0@sha256:" + "b" * 64,
    platform="local",
    platform_job_id="7",
    started_at="2026-11-20T10:15:00Z",
    ended_at="2026-11-20T10:30:00Z",
)


class Watched(FileStore):
    """A folder store that counts its downloads, and fails when told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.got: list[str] = []
        self.fails_at = -1
        self.put_keys: list[str] = []

    def get(self, key: str, path: Path) -> None:
        if len(self.got) == self.fails_at:
            raise StoreFailed("the store does not answer", where=key)
        self.got.append(key)
        super().get(key, path)

    def put(self, key: str, path: Path) -> None:
        self.put_keys.append(key)
        super().put(key, path)

    def put_bytes(self, key: str, data: bytes) -> None:
        self.put_keys.append(key)
        super().put_bytes(key, data)


@pytest.fixture
def store(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    (folder / "evidence").mkdir(parents=True)
    (folder / "accuracy_f1.json").write_bytes(b'{"f1": 0.9}')
    (folder / "evidence" / "rows.jsonl").write_bytes(b"1\n2\n")
    (folder / "empty").write_bytes(b"")
    return folder


def only(store: FileStore) -> Attempt:
    (found,) = attempts(store, RUN)["main"]
    return found


def held(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def planted(store: FileStore, manifest: Any, files: dict[str, bytes] | None = None) -> Attempt:
    """An attempt that lies in the store as given."""
    data = manifest if isinstance(manifest, bytes) else canonical_bytes(manifest)
    store.put_bytes(f"{RUN}/main/{ATTEMPT}/{MANIFEST}", data)
    for path, content in (files or {}).items():
        store.put_bytes(f"{RUN}/main/{ATTEMPT}/{path}", content)
    return only(store)


def manifest(**files: bytes) -> dict[str, Any]:
    listed = [
        {"path": path, "bytes": len(data), "sha256": sha256_bytes(data)}
        for path, data in sorted(files.items())
    ]
    return {"schema": "hexgate.part/v1"} | vars(HEAD) | {"attempt": ATTEMPT, "files": listed}


def test_a_part_is_published_files_first_and_fetched_whole(
    store: Watched, folder: Path, tmp_path: Path
) -> None:
    said = publish(store, folder, replace(HEAD, part="shard-1-of-4", shard=(1, 4)))
    base = f"{RUN}/shard-1-of-4/{said['attempt']}"
    assert store.put_keys == [
        f"{base}/accuracy_f1.json",
        f"{base}/empty",
        f"{base}/evidence/rows.jsonl",
        f"{base}/{MANIFEST}",
    ]
    assert schema_mistakes("part", said) == []
    assert said["shard"] == {"index": 1, "count": 4}
    (found,) = attempts(store, RUN)["shard-1-of-4"]
    assert found.manifest == said
    assert found.fault is None
    assert sorted(found.keys) == sorted(store.put_keys)
    assert fetch(store, found, tmp_path / "dest") == []
    assert held(tmp_path / "dest") == held(folder)


NAMES = st.text("ab1_- .名", min_size=1, max_size=6).filter(lambda name: name.strip(".") and ".." not in name)


@settings(deadline=None)
@given(
    st.dictionaries(st.lists(NAMES, min_size=1, max_size=2).map("/".join), st.binary(max_size=50), max_size=5)
)
def test_whatever_a_command_leaves_comes_back_the_same(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        (root / "out").mkdir()
        for path, data in files.items():
            file = root / "out" / path
            if file.exists() or any(parent.is_file() for parent in file.parents):
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        store = FileStore(root / "store")
        said = publish(store, root / "out", HEAD)
        assert [file["path"] for file in said["files"]] == sorted(held(root / "out"))
        assert fetch(store, only(store), root / "dest") == []
        assert (held(root / "dest") if said["files"] else {}) == held(root / "out")


def test_every_attempt_has_an_id_of_its_own(store: Watched, folder: Path) -> None:
    first, second = publish(store, folder, HEAD), publish(store, folder, replace(HEAD, exit_code=137))
    found = attempts(store, RUN)
    assert [one.attempt for one in found["main"]] == sorted([first["attempt"], second["attempt"]])
    assert len({one.attempt for one in found["main"]}) == 2


def test_a_run_without_any_part_is_empty_and_other_runs_are_not_looked_at(
    store: Watched, folder: Path
) -> None:
    publish(store, folder, HEAD)
    store.put_bytes(f"{RUN}/.ready/main-{ATTEMPT}", b"")
    store.put_bytes(f"{RUN}/main/notes.txt", b"")
    store.put_bytes(f"{RUN}/main/latest/{MANIFEST}", b"")
    assert attempts(store, "20261120T101500Z-ffffffff") == {}
    assert list(attempts(store, RUN)) == ["main"]
    assert len(attempts(store, RUN)["main"]) == 1


def test_a_part_without_its_manifest_does_not_exist(store: Watched, folder: Path, tmp_path: Path) -> None:
    said = publish(store, folder, HEAD)
    (store.root / RUN / "main" / said["attempt"] / MANIFEST).unlink()
    found = only(store)
    assert found.manifest is None
    assert found.fault is not None
    assert "no manifest.json" in found.fault
    assert fetch(store, found, tmp_path / "dest") == [found.fault]
    assert store.got == []


def test_a_store_that_fails_half_way_leaves_no_part(store: Watched, folder: Path) -> None:
    (store.root / RUN).mkdir(parents=True)
    (store.root / RUN / "main").write_bytes(b"")
    with pytest.raises(StoreFailed):
        publish(store, folder, HEAD)
    assert attempts(store, RUN) == {}


def test_a_fetch_that_was_cut_off_goes_on_where_it_was(store: Watched, folder: Path, tmp_path: Path) -> None:
    publish(store, folder, HEAD)
    dest = tmp_path / "dest"
    store.fails_at = 2
    with pytest.raises(StoreFailed):
        fetch(store, only(store), dest)
    (dest / f"{ARRIVING}0123456789abcdef").write_bytes(b"half")
    store.fails_at = -1
    assert fetch(store, only(store), dest) == []
    assert len(store.got) == len(set(store.got)) == 3
    assert held(dest) == held(folder)
    assert fetch(store, only(store), dest) == []
    assert len(store.got) == 3
    (dest / "accuracy_f1.json").write_bytes(b"changed")
    assert fetch(store, only(store), dest) == []
    assert held(dest) == held(folder)


@pytest.mark.parametrize(
    ("change", "difference"),
    [(b'{"f1": 1.0}', "sha256"), (b"", "0 bytes, expected 11"), (b'{"f1": 0.9}\n', "12 bytes, expected 11")],
)
def test_a_file_that_is_not_what_the_manifest_says_is_a_fault_and_not_kept(
    store: Watched, folder: Path, tmp_path: Path, change: bytes, difference: str
) -> None:
    said = publish(store, folder, HEAD)
    (store.root / RUN / "main" / said["attempt"] / "accuracy_f1.json").write_bytes(change)
    (fault,) = fetch(store, only(store), tmp_path / "dest")
    assert fault.startswith("'accuracy_f1.json' is not what the manifest says")
    assert difference in fault
    assert set(held(tmp_path / "dest")) == {"empty", "evidence/rows.jsonl"}


def test_a_missing_and_an_extra_file_are_faults(store: Watched, folder: Path, tmp_path: Path) -> None:
    said = publish(store, folder, HEAD)
    base = f"{RUN}/main/{said['attempt']}"
    (store.root / base / "empty").unlink()
    store.put_bytes(f"{base}/evidence/more.jsonl", b"3\n")
    assert fetch(store, only(store), tmp_path / "dest") == [
        "'evidence/more.jsonl' lies in the store, but the manifest does not name it",
        "'empty' is missing in the store",
    ]


def test_a_folder_that_holds_something_else_is_a_fault(store: Watched, folder: Path, tmp_path: Path) -> None:
    publish(store, folder, HEAD)
    (tmp_path / "dest" / "evidence").mkdir(parents=True)
    (tmp_path / "dest" / "evidence" / "old.jsonl").write_bytes(b"")
    assert fetch(store, only(store), tmp_path / "dest") == [
        "'evidence/old.jsonl' was in the folder before, and is not of this part"
    ]
    assert (tmp_path / "dest" / "evidence" / "old.jsonl").exists()


TRAVERSALS = ["../a", "a/../../b", "/etc/a", "a/./b", "a//b", "a/", ".", "a\\..\\b", "a\nb", "a/..b"]


@pytest.mark.parametrize("path", TRAVERSALS)
def test_a_manifest_that_climbs_out_is_refused(store: Watched, tmp_path: Path, path: str) -> None:
    found = planted(store, manifest(**{path: b"x"}))
    assert found.manifest is None
    assert found.fault is not None
    assert fetch(store, found, tmp_path / "deep" / "dest") == [found.fault]
    assert [item.name for item in tmp_path.iterdir()] == ["store"]


def twice() -> dict[str, Any]:
    value = manifest(a=b"x")
    value["files"] *= 2
    return value


BAD = {
    "not JSON": (b'{"schema": ', "not strict JSON"),
    "torn": (canonical_bytes(manifest(a=b"x"))[:-9], "not strict JSON"),
    "empty": (b"", "not strict JSON"),
    "a list": (b"[]", "expected object"),
    "two equal keys": (b'{"a": 1, "a": 2}', "stands twice"),
    "another version": (manifest() | {"schema": "hexgate.part/v2"}, "hexgate.part/v1"),
    "an unknown key": (manifest() | {"pass": True}, "unknown key 'pass'"),
    "another run": (manifest() | {"run_id": "20261120T101500Z-ffffffff"}, "$.run_id"),
    "another part": (manifest() | {"part": "toxicity"}, "$.part"),
    "another attempt": (manifest() | {"attempt": "20261120T101500Z-ffffffff"}, "$.attempt"),
    "a file twice": (twice(), "'a' stands twice"),
    "a file in a file": (manifest(**{"a": b"x", "a/b/c": b"y"}), "'a/b/c' lies in a file"),
    "itself": (manifest(**{MANIFEST: b"x"}), "is the manifest itself"),
}


@pytest.mark.parametrize(("data", "why"), BAD.values(), ids=BAD.keys())
def test_a_manifest_that_cannot_be_right_is_a_fault(
    store: Watched, tmp_path: Path, data: Any, why: str
) -> None:
    found = planted(store, data, {"a": b"x"})
    assert found.manifest is None
    assert found.fault is not None
    assert why in found.fault
    assert "\n" not in found.fault
    assert fetch(store, found, tmp_path / "dest") == [found.fault]


@settings(deadline=None)
@given(
    st.binary(max_size=40)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_no_manifest_makes_it_stumble(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        found = planted(FileStore(Path(place)), data)
        assert found.manifest is None
        assert found.fault is not None


def test_a_huge_manifest_is_not_read(store: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    class Huge(Watched):
        def list(self, prefix: str = "") -> Iterator[Entry]:
            yield Entry(f"{RUN}/main/{ATTEMPT}/{MANIFEST}", 1 << 40)

        def get_bytes(self, key: str) -> bytes | None:
            raise AssertionError(key)

    assert "are read" in str(only(Huge(store.root)).fault)


def refuse(folder: Path, store: Watched) -> str:
    with pytest.raises(EvidenceError) as failed:
        publish(store, folder, HEAD)
    assert store.put_keys == []
    return str(failed.value)


def test_links_out_of_the_folder_are_refused_before_anything_goes_up(
    store: Watched, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "evidence" / "all").symlink_to(folder)
    (folder / "broken").symlink_to(folder / "nothing")
    (folder / "round").symlink_to("round")
    os.mkfifo(folder / "pipe")
    (folder / MANIFEST).write_bytes(b"{}")
    (folder / "a..b").write_bytes(b"")
    (folder / os.fsdecode(b"a\xff")).write_bytes(b"")
    said = refuse(folder, store)
    for mistake in (
        "'out' is a symbolic link to the outside",
        "'evidence/all' is a symbolic link to a folder",
        "'broken' is no regular file",
        "'round' is no regular file",
        "'pipe' is no regular file",
        "'manifest.json' is the name of the part's own manifest",
        "'a..b' cannot be a key of a store",
        "'a\\udcff' cannot be a key of a store",
    ):
        assert mistake in said
    assert said.count("\n") == 8


def test_a_link_to_a_file_of_the_folder_is_carried_as_that_file(
    store: Watched, folder: Path, tmp_path: Path
) -> None:
    (folder / "latest.json").symlink_to("accuracy_f1.json")
    publish(store, folder, HEAD)
    assert fetch(store, only(store), tmp_path / "dest") == []
    assert held(tmp_path / "dest")["latest.json"] == b'{"f1": 0.9}'
    assert not (tmp_path / "dest" / "latest.json").is_symlink()


def test_a_head_that_breaks_the_schema_is_refused(store: Watched, folder: Path) -> None:
    with pytest.raises(EvidenceError, match=r"\$\.exit_code"):
        publish(store, folder, replace(HEAD, exit_code=-9))
    with pytest.raises(EvidenceError, match=r"\$\.run_id"):
        publish(store, folder, replace(HEAD, run_id="run 7"))
    assert store.put_keys == []


def test_a_folder_that_is_not_there_is_refused(store: Watched, tmp_path: Path) -> None:
    assert "cannot be read" in refuse(tmp_path / "none", store)


def test_a_child_may_name_a_file_as_downloads_are_named(store: Watched, folder: Path, tmp_path: Path) -> None:
    (folder / f"{ARRIVING}x").write_bytes(b"kept")
    publish(store, folder, HEAD)
    assert fetch(store, only(store), tmp_path / "dest") == []
    assert held(tmp_path / "dest") == held(folder)


@pytest.mark.parametrize(
    "path",
    [
        *("C:/Windows/x", "C:evil.json", "x:stream", "a/c:/b"),
        *("con", "NUL", "nul.txt", "a/Aux .json", "lpt9.log", "com\u00b9", "CONIN$", "a/prn/b"),
        *("a\u202egpj.json", "a\u2066b", "a\u200fb", "a\x7fb", "a\x85b"),
    ],
)
def test_names_that_another_system_reads_otherwise_are_in_no_manifest(path: str, tmp_path: Path) -> None:
    manifest = {"schema": "hexgate.part/v1"} | vars(HEAD) | {"attempt": ATTEMPT}
    manifest |= {"files": [{"path": path, "bytes": 1, "sha256": "a" * 64}]}
    assert len(schema_mistakes("part", manifest)) == 1
    store = FileStore(tmp_path / "store")
    store.put_bytes(f"{RUN}/main/{ATTEMPT}/{MANIFEST}", canonical_bytes(manifest))
    (attempt,) = attempts(store, RUN)["main"]
    assert attempt.manifest is None
    with pytest.raises(EvidenceError, match="cannot be a key of a store"):
        publish(store, _below(tmp_path / "left", path), HEAD)


def _below(folder: Path, path: str) -> Path:
    (folder / path).parent.mkdir(parents=True)
    (folder / path).write_bytes(b"x")
    return folder


@pytest.mark.parametrize(
    "path", ["console.json", "a/null.txt", "com10", "auxiliary/x", "名字.json", "a con.txt"]
)
def test_names_that_only_look_like_those_are_taken(path: str, tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    manifest = publish(store, _below(tmp_path / "left", path), HEAD)
    assert [file["path"] for file in manifest["files"]] == [path]
