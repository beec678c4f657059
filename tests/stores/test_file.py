from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexgate.errors import InputError, StoreFailed
from hexgate.stores.base import Entry
from hexgate.stores.file import FileStore
from hexgate.stores.keys import ARRIVING, arriving, is_key

NAMES = st.text("abAB01._- 名+%", min_size=1, max_size=8).filter(lambda name: name not in {".", ".."})
KEYS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


def fits(keys: list[str]) -> bool:
    """No key lies in another one, as in a file."""
    return not any(other.startswith(f"{key}/") for key in keys for other in keys)


@settings(deadline=None)
@given(
    st.dictionaries(KEYS, st.binary(max_size=64), max_size=6).filter(lambda files: fits(list(files))), KEYS
)
def test_what_was_put_is_listed_in_order_and_comes_back(files: dict[str, bytes], prefix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store = FileStore(root / "store")
        (root / "store").mkdir()
        for number, (key, data) in enumerate(files.items()):
            if number % 2:
                store.put_bytes(key, data)
            else:
                (root / "file").write_bytes(data)
                store.put(key, root / "file")
        listed = [Entry(key, len(files[key])) for key in sorted(files)]
        assert list(store.list()) == listed
        assert list(store.list(prefix)) == [entry for entry in listed if entry.key.startswith(prefix)]
        for key, data in files.items():
            assert store.get_bytes(key) == data
            store.get(key, root / "back" / "again")
            assert (root / "back" / "again").read_bytes() == data
        assert [path.name for path in (root / "back").glob("*")] in ([], ["again"])


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put_bytes("r/a", b"one")
    with pytest.raises(StoreFailed, match=r"r/a: there is such a key already.*new run id"):
        store.put_bytes("r/a", b"two")
    with pytest.raises(StoreFailed, match="there is such a key already"):
        store.put_bytes("r", b"two")
    with pytest.raises(StoreFailed, match="cannot make the folder of a file"):
        store.put_bytes("r/a/b", b"two")
    assert store.get_bytes("r/a") == b"one"


def test_what_is_not_there_is_none_or_said(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "none")
    assert store.get_bytes("a") is None
    with pytest.raises(StoreFailed, match=r"the store cannot be read \(No such file"):
        store.get("a", tmp_path / "b")
    with pytest.raises(StoreFailed, match="there is no such folder"):
        list(store.list())
    store.put_bytes("a", b"")
    assert store.get_bytes("a/b") is None
    assert list(store.list("x/")) == []
    assert list(store.list("a/")) == []
    with pytest.raises(StoreFailed, match="Is a directory"):
        FileStore(tmp_path).get_bytes("none")
    with pytest.raises(StoreFailed, match="the file cannot be read"):
        store.put("c", tmp_path / "nothing")
    assert store.get_bytes("c") is None


def test_a_mount_that_does_not_keep_what_it_was_given_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hexgate.stores.file.sha256_file", lambda _: "0" * 64)
    with pytest.raises(StoreFailed, match="reads back as something else"):
        FileStore(tmp_path).put_bytes("a", b"one")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        ".",
        "a\\b",
        "a\nb",
        "a\0",
        "\ud800",
        "x" * 1025,
    ],
)
def test_what_climbs_or_cannot_be_a_name_is_no_key(tmp_path: Path, key: str) -> None:
    store = FileStore(tmp_path / "store")
    assert not is_key(key)
    with pytest.raises(StoreFailed, match="not a key"):
        store.put_bytes(key, b"")
    with pytest.raises(StoreFailed, match="not a key"):
        store.get_bytes(key)
    with pytest.raises(StoreFailed, match="not a key"):
        store.get(key, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@settings(deadline=None)
@given(st.text())
def test_a_key_is_a_path_that_stays_below_its_folder(key: str) -> None:
    root = Path("/folder")
    if is_key(key):
        assert os.path.normpath(root / key) == str(root / key)
        assert (root / key).is_relative_to(root)
        assert root / key != root


def test_only_regular_files_are_listed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"x")
    store = FileStore(tmp_path / "store")
    store.put_bytes("r/a", b"one")
    (tmp_path / "store" / "r" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "store" / "r" / "loop").symlink_to(tmp_path / "store")
    os.mkfifo(tmp_path / "store" / "r" / "pipe")
    assert list(store.list()) == [Entry("r/a", 3)]


def test_a_name_that_is_not_utf8_is_listed_with_its_bytes_and_is_no_key(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"a\xff")).write_bytes(b"x")
    assert list(FileStore(tmp_path).list()) == [Entry("a\\xff", 1)]
    assert not is_key("a\\xff")


def test_a_download_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def cut_off() -> None:
        with arriving(tmp_path / "deep" / "a") as file:
            file.write(b"half")
            assert [path.name.startswith(ARRIVING) for path in (tmp_path / "deep").iterdir()] == [True]
            raise KeyError

    with pytest.raises(KeyError):
        cut_off()
    assert list((tmp_path / "deep").iterdir()) == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="cannot be written"), arriving(tmp_path / "file" / "a"):
        pass
    (tmp_path / "deep" / "a").mkdir()
    with pytest.raises(InputError, match="cannot be written"), arriving(tmp_path / "deep" / "a"):
        pass
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a"]
