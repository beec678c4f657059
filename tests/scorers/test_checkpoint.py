"""What makes a directory a checkpoint, and what its digest is over. Nothing is loaded here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from hexgate.errors import InputError
from hexgate.scorers.checkpoint import read_checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"model_type": "bart"}', encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    return tmp_path


def digest(folder: Path) -> str:
    return read_checkpoint(folder, model_types=("bart",)).digest


def test_the_digest_is_over_names_and_contents(folder: Path) -> None:
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    whole = json.dumps(files, sort_keys=True, separators=(",", ":")).encode()
    assert digest(folder) == hashlib.sha256(whole).hexdigest()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "merges.txt"])
def test_what_decides_a_score_changes_it(folder: Path, name: str) -> None:
    before = digest(folder)
    with (folder / name).open("ab") as file:
        file.write(b" ")
    assert digest(folder) != before


@pytest.mark.parametrize("name", ["README.md", "optimizer.pt", "training_args.bin", "pytorch_model.bin"])
def test_what_decides_none_does_not(folder: Path, name: str) -> None:
    before = digest(folder)
    (folder / name).write_bytes(b"x")
    assert digest(folder) == before


def test_weights_of_torch_will_do(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert not read_checkpoint(folder, model_types=("bart",)).safetensors


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "no checkpoint"),
        ("{", "config.json is not JSON"),
        ("[]", "config.json is not an object"),
        ("{}", "got None; expected bart"),
        ('{"model_type": "mbart"}', "got 'mbart'; expected bart"),
    ],
)
def test_a_config_that_will_not_do(folder: Path, config: str | None, message: str) -> None:
    (folder / "config.json").unlink()
    if config is not None:
        (folder / "config.json").write_text(config, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        digest(folder)
    assert message in str(caught.value)


def test_no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text("{}", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"no tokenizer; expected tokenizer\.json, or vocab\.json and merges\.txt"
    ):
        digest(folder)
    (folder / "merges.txt").write_text("", encoding="utf-8")
    assert digest(folder)


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="no weights"):
        digest(folder)
