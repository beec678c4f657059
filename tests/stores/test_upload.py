"""Models in a store, under a name made of their content."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexgate.errors import InputError, StoreFailed
from hexgate.stores.registry import open_store
from hexgate.stores.upload import upload


def files(folder: Path, **contents: bytes) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def test_the_same_files_lie_at_the_same_place_and_others_elsewhere(tmp_path: Path, call) -> None:
    model = files(tmp_path / "a", model=b"weights", card=b"{}")
    store = tmp_path / "store"
    first = call("platforms", "upload", *model, store)
    assert first.code == 0, first.err
    address = first.out.strip()
    assert address.startswith(store.as_uri())
    held = Path(address.removeprefix("file://"))
    assert (held / "model").read_bytes() == b"weights"
    again = call("platforms", "upload", *reversed(files(tmp_path / "b", model=b"weights", card=b"{}")), store)
    assert again.out == first.out
    other = call("platforms", "upload", *files(tmp_path / "c", model=b"Weights", card=b"{}"), store)
    assert other.out != first.out


def test_what_was_cut_off_is_not_taken_for_the_model(tmp_path: Path) -> None:
    (model,) = files(tmp_path / "a", model=b"weights")
    store = open_store(str(tmp_path / "store"))
    folder = upload(store, [model])
    (tmp_path / "store" / folder / "uploaded.json").unlink()
    (tmp_path / "store" / folder / "model").write_bytes(b"wei")
    with pytest.raises(StoreFailed):
        upload(store, [model])


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    twice = files(tmp_path / "a", model=b"1") + files(tmp_path / "b", model=b"2")
    with pytest.raises(InputError, match="one name"):
        upload(store, twice)
    with pytest.raises(InputError, match="one name"):
        upload(store, files(tmp_path / "a", **{"uploaded.json": b"{}"}))


@pytest.mark.parametrize("store", ["nowhere://x", "s3://key:sentinel@bucket"])
def test_what_is_no_store_is_refused(tmp_path: Path, call, store: str) -> None:
    (model,) = files(tmp_path, model=b"weights")
    ended = call("platforms", "upload", model, store)
    assert ended.code == 2
    assert "sentinel" not in ended.err
