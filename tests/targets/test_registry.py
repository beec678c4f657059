from __future__ import annotations

import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hexgate.errors import InputError, TargetUnusable
from hexgate.reference import digits_model
from hexgate.targets.kind import Kind, kind_of
from hexgate.targets.options import OpenOptions
from hexgate.targets.registry import OPENERS, open_target

KINDS = [
    ("demo:", Kind.DEMO),
    ("http://h/v1", Kind.ENDPOINT),
    ("HTTPS://h/v1", Kind.ENDPOINT),
    ("ollama://h/m", Kind.ENDPOINT),
    (str(digits_model()), Kind.ONNX),
]


@pytest.mark.parametrize(("uri", "kind"), KINDS)
def test_kinds(uri: str, kind: Kind) -> None:
    assert kind_of(uri) is kind


def test_every_kind_has_an_opener() -> None:
    assert set(OPENERS) == set(Kind)


WRONG = [
    ("", "no model was named"),
    ("htp://h/v1", "did you mean http://?"),
    ("olama://h/m", "did you mean ollama://?"),
    ("s3://bucket/m.onnx", "unknown scheme s3://"),
    ("file:///m.onnx", "give /m.onnx"),
    ("dmeo:", "did you mean demo:?"),
    ("127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
    ("localhost:9101", "an address needs its scheme: http://localhost:9101"),
    ("none.onnx", "no such model file"),
]


@pytest.mark.parametrize(("uri", "message"), WRONG)
def test_wrong_uris(uri: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        open_target(uri)
    assert message in str(caught.value)


def test_a_file_with_a_similar_name() -> None:
    with pytest.raises(InputError, match=r"did you mean .*model\.onnx"):
        open_target(str(digits_model().with_name("modle.onnx")))


def archive(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, b"")
    return path


def test_what_is_not_there_yet(tmp_path: Path) -> None:
    config = tmp_path / "hf" / "config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    gguf = tmp_path / "m.gguf"
    gguf.write_bytes(b"GGUF\x03\0\0\0rest")
    unnamed = tmp_path / "blob"
    unnamed.write_bytes(b"GGUF\x03\0\0\0rest")
    cases = [
        (
            archive(tmp_path / "s.pt", "s/constants.pkl", "s/data.pkl"),
            "a TorchScript file",
            "export it to ONNX",
        ),
        (
            archive(tmp_path / "e.pt2", "e/archive_format", "e/models/model.json"),
            "an exported program",
            "ONNX",
        ),
        (config.parent, "(LlamaForCausalLM)", "OpenAI-compatible endpoint"),
        (gguf, "GGUF file (version 3)", "Ollama"),
        (unnamed, "GGUF file (version 3)", "Ollama"),
    ]
    for path, what, way_round in cases:
        with pytest.raises(TargetUnusable, match="this version cannot run yet") as caught:
            open_target(str(path))
        assert what in str(caught.value)
        assert way_round in str(caught.value)
    config.write_text(json.dumps({"architectures": ["BertForSequenceClassification"]}))
    with pytest.raises(TargetUnusable, match="export it to ONNX"):
        open_target(str(config.parent))


def test_files_that_are_not_what_they_seem(tmp_path: Path) -> None:
    (tmp_path / "void").mkdir()
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.onnx").write_bytes(b"x")
    hf = tmp_path / "hf"
    hf.mkdir()
    (hf / "config.json").write_text("{")
    contents = {
        "empty.onnx": (b"", "is empty"),
        "lfs.onnx": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        "m.gguf": (b"ONNX....", "not GGUF"),
        "m.pkl": (b"\x80\x04", "a pickle is never opened"),
        "old.pt": (pickle.dumps([1]), "a pickled checkpoint"),
        "text.pt": (b"hello", "not what PyTorch writes"),
        "m.tflite": (b"hello", "not a model file that is understood"),
        "noext": (b"hello", "no suffix"),
    }
    for name, (content, message) in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError) as caught:
            open_target(str(tmp_path / name))
        assert message in str(caught.value), name
    for path, message in [
        (archive(tmp_path / "c.pt", "c/data.pkl", "c/data/0"), "a pickled checkpoint"),
        (archive(tmp_path / "z.pt", "readme"), "not what PyTorch writes"),
        (tmp_path / "void", "the folder is empty"),
        (tmp_path / "files", "a.onnx"),
        (hf, "cannot be read"),
    ]:
        with pytest.raises(InputError) as caught:
            open_target(str(path))
        assert message in str(caught.value)


BAD_OPTIONS: list[dict[str, object]] = [
    {"batch": 0},
    {"timeout_s": 0},
    {"timeout_s": float("nan")},
    {"timeout_s": 1e300},
    {"model_name": "\udcff"},
    {"threads": 0},
    {"labels": ("a", "a")},
    {"labels": ()},
    {"input_range": (1.0, 1.0)},
]


@pytest.mark.parametrize("fields", BAD_OPTIONS)
def test_options_that_nothing_could_use(fields: dict[str, object]) -> None:
    with pytest.raises(InputError):
        OpenOptions(**fields)  # type: ignore[arg-type]


def test_the_registry_imports_nothing_heavy() -> None:
    code = (
        "import sys, hexgate.targets.registry, hexgate.targets.kind; "
        "print([m for m in ('numpy', 'onnxruntime', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
