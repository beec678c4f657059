"""`hexgate study package`: what is in it, what must not be, and that what is unpacked elsewhere is the same study."""

from __future__ import annotations

import csv
import hashlib
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import ExitCode, InputError
from hexgate.study.design import make_plan
from hexgate.study.edge.package import pack_study
from hexgate.study.items import read_cells
from hexgate.study.spec_file import read_spec
from support.command import Ended
from support.gguf_headers import write_header
from support.studies import ITEMS, write_study

KEY = "s3cret-0123456789"


def study(folder: Path, **changes: Any) -> Path:
    for name in ("a", "b"):
        write_header(folder / "models" / f"{name}.gguf")
    models = [
        {"target": "gguf:models/*.gguf", "options": {"n_ctx": 512}},
        {"name": "served", "target": "http://127.0.0.1:9/v1", "model": "m", "api_key_env": "SOME_KEY"},
    ]
    (folder / "写作").mkdir(parents=True)
    items = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in ITEMS)
    (folder / "写作" / "items.jsonl").write_text(items, encoding="utf-8")
    tasks = [{"name": "talk", "items": "items.jsonl"}, {"name": "写作", "items": "写作/items.jsonl"}]
    return write_study(folder, models=models, tasks=tasks, **changes)


def unpacked(package: Path, folder: Path) -> Path:
    with tarfile.open(package) as archive:
        for member in archive.getmembers():
            assert member.isfile()
            assert not member.name.startswith(("/", ".."))
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
        for member in archive.getmembers():
            path = folder / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            content = archive.extractfile(member)
            assert content is not None
            path.write_bytes(content.read())
            path.chmod(member.mode)
    [found] = folder.iterdir()
    return found


def test_what_is_unpacked_elsewhere_is_the_same_study(tmp_path: Path) -> None:
    path = study(tmp_path / "here")
    packed = pack_study(path, tmp_path / "package.tar.gz", models=True, wheel=None)
    there = unpacked(packed.path, tmp_path / "there")
    assert there.name == packed.folder == "small-package"
    (tmp_path / "here").rename(tmp_path / "gone")
    spec, old = read_spec(there / "study.yaml"), read_spec(tmp_path / "gone" / "study.yaml")
    assert [model.name for model in spec.models] == ["a", "b", "served"]
    assert [model.options for model in spec.models] == [model.options for model in old.models]
    assert [model.target for model in spec.models[:2]] == ["gguf:models/a.gguf", "gguf:models/b.gguf"]
    assert read_cells(spec) == read_cells(old)
    assert make_plan(spec, read_cells(spec)).sha256() == make_plan(old, read_cells(old)).sha256()
    # Of two files with one name neither is lost.
    assert {task.items for task in spec.tasks} == {"items/items.jsonl", "items/items-2.jsonl"}
    assert packed.left_out == ()
    assert (there / "run_benchmark.sh").stat().st_mode & 0o777 == 0o755
    assert "SOME_KEY" in (there / "README.md").read_text("utf-8")
    assert "full talk" in (there / "README.zh-CN.md").read_text("utf-8")


def test_its_digests_are_those_of_every_file(tmp_path: Path) -> None:
    packed = pack_study(study(tmp_path), tmp_path / "package.tar.gz", models=True, wheel=None)
    there = unpacked(packed.path, tmp_path / "there")
    rows = csv.reader((there / "SHA256SUMS").read_text("utf-8").splitlines(), delimiter=" ")
    sums = {row[2]: row[0] for row in rows}
    files = {path.relative_to(there).as_posix(): path for path in there.rglob("*") if path.is_file()}
    assert sums.keys() == files.keys() - {"SHA256SUMS"}
    assert set(packed.names) == files.keys()
    for name, digest in sums.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest, name


def test_the_same_study_gives_the_same_bytes(tmp_path: Path) -> None:
    first = pack_study(study(tmp_path / "one"), tmp_path / "1.tar.gz", models=True, wheel=None)
    second = pack_study(study(tmp_path / "two"), tmp_path / "2.tar.gz", models=True, wheel=None)
    assert first.path.read_bytes() == second.path.read_bytes()


def test_models_stay_out_unless_they_are_wanted(tmp_path: Path) -> None:
    packed = pack_study(study(tmp_path), tmp_path / "package.tar.gz", models=False, wheel=None)
    assert packed.left_out == ("models/a.gguf", "models/b.gguf")
    assert not any(name.startswith("models/") for name in packed.names)
    there = unpacked(packed.path, tmp_path / "there")
    assert "- models/a.gguf" in (there / "README.md").read_text("utf-8")
    # Results are read where no model is; that one is missing is told when it is to be loaded.
    assert len(read_spec(there / "study.yaml").models) == 3


def test_files_that_measures_and_the_rating_name_go_along_and_folders_do_not(tmp_path: Path) -> None:
    (tmp_path / "bart").mkdir()
    (tmp_path / "frozen.json").write_text("{}", encoding="utf-8")
    quality = [{"measure": "bartscore", "options": {"checkpoint": "bart"}}]
    path = study(
        tmp_path,
        quality=quality,
        rating={
            "reference": "frozen.json",
            "floor": {"acceptance": 0.5},
            "accepted": [{"measure": "bartscore", "least": -3}],
        },
    )
    packed = pack_study(path, tmp_path / "package.tar.gz", models=True, wheel=None)
    assert packed.left_out == ("files/bart",)
    assert "files/frozen.json" in packed.names
    block = json.loads(
        (unpacked(packed.path, tmp_path / "there") / "study.yaml").read_text("utf-8").partition("\n")[2]
    )
    assert block["rating"]["reference"] == "files/frozen.json"


def test_a_wheel_goes_along_and_is_what_is_installed(tmp_path: Path) -> None:
    wheel = tmp_path / "hexgate-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"PK")
    packed = pack_study(study(tmp_path), tmp_path / "package.tar.gz", models=True, wheel=wheel)
    there = unpacked(packed.path, tmp_path / "there")
    assert (there / "requirements.txt").read_text("utf-8") == f"./wheels/{wheel.name}[excel]\n"
    with pytest.raises(InputError, match="not a wheel of hexgate"):
        pack_study(study(tmp_path / "other"), tmp_path / "p.tar.gz", models=True, wheel=tmp_path / "x.whl")


@pytest.mark.parametrize(
    ("where", "text", "said"),
    [
        ("items", f"my key is {KEY}", "the key in SOME_KEY"),
        ("items", "sk-abcdefghijklmnopqrstuvwxyz", "looks like a key"),
        ("study", "sk-abcdefghijklmnopqrstuvwxyz", "looks like a key"),
        ("study", "/etc/hostname", "a path of this machine"),
    ],
)
def test_nothing_secret_and_no_path_of_this_machine_goes_along(
    tmp_path: Path, where: str, text: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    path = study(tmp_path, request={"options": {"note": text}} if where == "study" else {})
    if where == "items":
        with (tmp_path / "items.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"id": "c", "prompt": text, "short": text}) + "\n")
    with pytest.raises(InputError) as caught:
        pack_study(path, tmp_path / "package.tar.gz", models=False, wheel=None)
    assert said in caught.value.what
    assert KEY not in str(caught.value)
    assert not (tmp_path / "package.tar.gz").exists()


def test_two_models_with_one_file_name_are_refused(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        write_header(tmp_path / folder / "m.gguf")
    models = [{"name": name, "target": f"gguf:{name}/m.gguf"} for name in ("x", "y")]
    with pytest.raises(InputError, match="one file name"):
        pack_study(write_study(tmp_path, models=models), tmp_path / "p.tar.gz", models=True, wheel=None)


def test_the_command_says_what_to_do_next(tmp_path: Path, call: Callable[..., Ended]) -> None:
    path, out = study(tmp_path), tmp_path / "p" / "package.tar.gz"
    ended = call("study", "package", path, "--out", out)
    assert ended.code == ExitCode.OK, ended.err
    assert ended.out.strip() == str(out)
    assert "not packed: models/a.gguf" in ended.err
    assert "small-package/run_benchmark.sh check" in ended.err
    (tmp_path / "file").write_text("", encoding="utf-8")
    refused = call("study", "package", path, "--out", tmp_path / "file" / "package.tar.gz")
    assert refused.code == ExitCode.INPUT
    assert "cannot be written" in refused.err
    assert [one.name for one in out.parent.iterdir()] == ["package.tar.gz"]
