"""A mistake of the user: one clear error on standard error, the documented exit code, no traceback, no output."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hexgate.contract.artifact import artifact_files, read_artifact
from hexgate.errors import ExitCode
from support.command import Ended
from support.measuring import DIGITS, HELD_OUT

Call = Callable[..., Ended]

FIRST = HELD_OUT.read_text("utf-8").splitlines()[0]
ITEM = json.loads(FIRST)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that are not what they should be."""
    folder = tmp_path_factory.mktemp("place")

    def put(name: str, content: str | bytes, encoding: str = "utf-8") -> None:
        data = content if isinstance(content, bytes) else content.encode(encoding)
        (folder / name).write_bytes(data)

    put("text.onnx", "this is no model")
    put("cut.onnx", DIGITS.read_bytes()[:500])
    put("empty.onnx", "")
    put("lfs.onnx", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    put("model.pt", b"PK\x03\x04....")
    put("model.gguf", b"GGUF\x03\x00\x00\x00....")
    put("model.pkl", b"\x80\x04.")
    put("model.bin", b"\x00\x01")
    (folder / "folder").mkdir()
    (folder / "folder.json").mkdir()
    (folder / "hf").mkdir()
    put("hf/config.json", "{}")
    (folder / "bare").mkdir()
    shutil.copy(DIGITS, folder / "bare" / "model.onnx")
    put("empty.jsonl", "")
    put("blank.jsonl", "\n\n")
    put("broken.jsonl", "{not json\n")
    put("broken.json", "[1, 2")
    put("data.xml", "<a/>")
    put("twice.jsonl", f"{FIRST}\n{FIRST}\n")
    put("nan.jsonl", FIRST.replace("0.25", "NaN", 1))
    put("infinite.jsonl", FIRST.replace("0.25", "1e999", 1))
    put("gbk.jsonl", '{"id": "a", "text": "你好世界", "label": "正"}\n', "gb18030")
    put("foreign.jsonl", json.dumps(ITEM | {"label": "cat"}))
    put("short.jsonl", json.dumps(ITEM | {"input": [0, 1]}))
    put("ragged.jsonl", f"{FIRST}\n{json.dumps(ITEM | {'id': 'b', 'input': [0, 1]})}\n")
    put("unlabelled.jsonl", json.dumps({"id": "1", "input": ITEM["input"]}))
    put("wide.jsonl", json.dumps(ITEM | {"input": [16 * value for value in ITEM["input"]]}))
    put("ragged.csv", "id,label,a,b\n1,0,0.5\n")
    put("book.xlsx", b"PK\x03\x04....")
    put("broken-card.json", '{"labels": "x", "colour": 3}')
    put("file", "")
    return folder


def dead_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


BASE = {
    "--indicator": "accuracy_f1",
    "--model": str(DIGITS),
    "--data": str(HELD_OUT),
    "--out": "{tmp}/x.json",
}
DEAD = "http://127.0.0.1:{port}"
# (what is wrong, flags that differ from BASE (None takes one out), exit code, words that must be there)
CASES: list[tuple[str, dict[str, str | None], int, tuple[str, ...]]] = [
    ("no such model", {"--model": "nosuch.onnx"}, 2, ("no such model file", "nosuch.onnx", "check the path")),
    ("misspelt model", {"--model": "{place}/bare/modle.onnx"}, 2, ("did you mean", "model.onnx")),
    ("text as a model", {"--model": "{place}/text.onnx"}, 2, ("not an ONNX file",)),
    ("a model cut short", {"--model": "{place}/cut.onnx"}, 2, ("cut.onnx",)),
    ("an empty model", {"--model": "{place}/empty.onnx"}, 2, ("empty",)),
    ("a pointer to a model", {"--model": "{place}/lfs.onnx"}, 2, ("Git LFS", "git lfs pull")),
    ("a folder as a model", {"--model": "{place}/folder"}, 2, ("folder is empty", "expected")),
    (".pt", {"--model": "{place}/model.pt"}, 2, ("PyTorch",)),
    (".gguf", {"--model": "{place}/model.gguf"}, 2, ("GGUF", "llama-server")),
    ("a Hugging Face folder", {"--model": "{place}/hf"}, 2, ("Hugging Face", "endpoint")),
    ("a pickle", {"--model": "{place}/model.pkl"}, 2, ("never opened", "ONNX")),
    ("an unknown suffix", {"--model": "{place}/model.bin"}, 2, (".bin", "expected")),
    ("a URL without a host", {"--model": "http://"}, 2, ("no host",)),
    ("a port too great", {"--model": "http://127.0.0.1:99999/predict"}, 2, ("not a URL",)),
    ("an unknown scheme", {"--model": "htp://x/y"}, 2, ("unknown scheme", "http://")),
    ("a URL without an API", {"--model": DEAD}, 2, ("which API", "/v1")),
    ("nobody at /predict", {"--model": f"{DEAD}/predict"}, 5, ("refused", "is the server running")),
    ("nobody at /v1", {"--model": f"{DEAD}/v1"}, 5, ("refused",)),
    ("nobody at KServe", {"--model": f"{DEAD}/v2/models/m"}, 5, ("refused",)),
    ("nobody at Ollama", {"--model": "ollama://127.0.0.1:{port}/m"}, 5, ("refused",)),
    ("an unknown dialect", {"--model": f"{DEAD}/x", "--dialect": "grpc"}, 2, ("no such dialect", "openai-chat")),
    ("a key that is not set", {"--model": f"{DEAD}/x", "--api-key-env": "NO_SUCH_KEY"}, 2, ("NO_SUCH_KEY",)),
    ("no such data", {"--data": "nosuch.jsonl"}, 2, ("No such file", "nosuch.jsonl", "--data")),
    ("no data", {"--data": None}, 2, ("no data was named", "--data FILE")),
    ("empty data", {"--data": "{place}/empty.jsonl"}, 2, ("empty",)),
    ("blank data", {"--data": "{place}/blank.jsonl"}, 2, ("no rows",)),
    ("broken lines", {"--data": "{place}/broken.jsonl"}, 2, ("line 1", "not JSON")),
    ("broken JSON", {"--data": "{place}/broken.json"}, 2, ("line 1", "not JSON")),
    ("an unknown format", {"--data": "{place}/data.xml"}, 2, (".xml", ".jsonl")),
    ("a folder as data", {"--data": "{place}/folder"}, 2, ("is a folder",)),
    ("a spreadsheet", {"--data": "{place}/book.xlsx"}, 2, ("CSV",)),
    ("a row of CSV cut short", {"--data": "{place}/ragged.csv"}, 2, ("line 2",)),
    ("one id twice", {"--data": "{place}/twice.jsonl"}, 2, ("digit-1121", "line 2", "line 1")),
    ("NaN in the data", {"--data": "{place}/nan.jsonl"}, 2, ("nan", "finite")),
    ("infinity in the data", {"--data": "{place}/infinite.jsonl"}, 2, ("inf", "finite")),
    ("GBK data", {"--data": "{place}/gbk.jsonl"}, 2, ("UTF-8", "GB18030", "iconv")),
    ("an unknown label", {"--data": "{place}/foreign.jsonl"}, 2, ("'cat'", "--labels")),
    ("too few features", {"--data": "{place}/short.jsonl"}, 2, ("[2]", "[64]")),
    ("features of two lengths", {"--data": "{place}/ragged.jsonl"}, 2, ("line 2", "64")),
    ("no label", {"--data": "{place}/unlabelled.jsonl"}, 2, ("has no label",)),
    ("prompts that are not there", {"--indicator": "toxicity", "--data": "nosuch.jsonl"}, 2, ("nosuch.jsonl",)),
    (
        "inputs outside of the range",
        {"--indicator": "robustness_adv", "--data": "{place}/wide.jsonl"},
        2,
        ("from 0 to 16", "from 0 to 1"),
    ),
    (
        "inputs in no stated range",
        {"--indicator": "robustness_adv", "--model": "{place}/bare/model.onnx", "--data": "{place}/wide.jsonl"},
        2,
        ("--input-range",),
    ),
    (
        "text of a classifier",
        {"--indicator": "toxicity", "--model": "{place}/bare/model.onnx"},
        2,
        ("writes none", "OpenAI"),
    ),
    (
        "a mode that is not there",
        {"--indicator": "latency_p99", "--model": "{place}/bare/model.onnx", "--mode": "text"},
        2,
        ("--mode scores",),
    ),
    ("no binary class", {"--averaging": "binary"}, 2, ("--positive-label", "expected")),
    ("a foreign binary class", {"--averaging": "binary", "--positive-label": "cat"}, 2, ("'cat'",)),
    ("a binary class for macro", {"--positive-label": "1"}, 2, ("--averaging binary",)),
    ("an unknown indicator", {"--indicator": "accuracy"}, 2, ("accuracy_f1", "toxicity")),
    ("an unknown averaging", {"--averaging": "mean"}, 2, ("macro",)),
    ("a flag of another indicator", {"--eps": "0.1"}, 2, ("--eps", "accuracy_f1")),
    ("an unknown flag", {"--modell": "x"}, 2, ("--model",)),
    ("no model", {"--model": None}, 2, ("--model",)),
    ("no place", {"--out": None}, 2, ("--out",)),
    ("limit 0", {"--limit": "0"}, 2, ("--limit",)),
    ("a limit that is no number", {"--limit": "many"}, 2, ("--limit", "many")),
    ("confidence above 1", {"--confidence": "1.5"}, 2, ("--confidence",)),
    ("confidence NaN", {"--confidence": "nan"}, 2, ("--confidence", "finite")),
    ("a time-out of 0", {"--timeout-s": "0"}, 2, ("--timeout-s",)),
    ("no resamples", {"--f1-resamples": "0"}, 2, ("--f1-resamples",)),
    ("eps below 0", {"--indicator": "robustness_adv", "--eps": "-1"}, 2, ("--eps",)),
    ("eps NaN", {"--indicator": "robustness_adv", "--eps": "nan"}, 2, ("--eps", "finite")),
    ("an unknown attack", {"--indicator": "robustness_adv", "--attack": "magic"}, 2, ("fgsm",)),
    ("no steps", {"--indicator": "robustness_adv", "--attack": "pgd", "--steps": "0"}, 2, ("--steps",)),
    ("no requests", {"--indicator": "latency_p99", "--requests": "0"}, 2, ("--requests",)),
    ("a limit of NaN ms", {"--indicator": "latency_p99", "--limit-ms": "nan"}, 2, ("--limit-ms",)),
    ("no duration", {"--indicator": "throughput_rps", "--duration-s": "0"}, 2, ("--duration-s",)),
    ("a duration without end", {"--indicator": "throughput_rps", "--duration-s": "inf"}, 2, ("--duration-s",)),
    ("a rate below 0", {"--indicator": "throughput_rps", "--rate-rps": "-3"}, 2, ("--rate-rps",)),
    ("nobody in flight", {"--indicator": "throughput_rps", "--concurrency": "0"}, 2, ("--concurrency",)),
    ("too few windows", {"--indicator": "throughput_rps", "--windows": "2"}, 2, ("--windows", "10")),
    ("watts below 0", {"--indicator": "power_efficiency", "--watts-per-core": "-5"}, 2, ("--watts-per-core",)),
    ("idle below 0", {"--indicator": "power_efficiency", "--idle-s": "-1"}, 2, ("--idle-s",)),
    ("a detector to come", {"--indicator": "toxicity", "--model": "demo:", "--data": None, "--detector": "hf"}, 2,
     ("does not exist yet", "lexicon")),
    ("labels that do not fit", {"--labels": "a,b"}, 2, ("2 labels", "10 classes")),
    ("labels twice", {"--labels": "a,a,b,c,d,e,f,g,h,i"}, 2, ("labels",)),
    ("a range upside down", {"--input-range": "1,0"}, 2, ("--input-range", "LEAST,GREATEST")),
    ("a range without end", {"--input-range": "0,inf"}, 2, ("--input-range",)),
    ("no such card", {"--card": "nosuch.json"}, 2, ("nosuch.json",)),
    ("a broken card", {"--card": "{place}/broken-card.json"}, 2, ("$.labels", "$.colour")),
    ("a folder named as a file", {"--out": "{place}/folder.json"}, 2, ("--out is a folder",)),
    ("a place that cannot be", {"--out": "{place}/file/x.json"}, 2, ("cannot be written", "--out")),
    ("a file for all six", {"--indicator": "all", "--out": "{tmp}/all.json"}, 2, ("a folder",)),
    ("a file where a folder should be", {"--indicator": "all", "--out": "{place}/file"}, 2, ("--out is a file",)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "code", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_mistake_gives_one_clear_error(
    changes: dict[str, str | None], code: int, words: tuple[str, ...], call: Call, place: Path, tmp_path: Path
) -> None:
    port = dead_port()
    flags = {key: value for key, value in (BASE | changes).items() if value is not None}
    given = [
        part if key == part else part.format(tmp=tmp_path, place=place, port=port)
        for key, value in flags.items()
        for part in (key, value)
    ]

    ended = call("run", *given)

    assert ended.code == code, ended.err
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert "fault in hexgate" not in ended.err
    assert ended.err.lower().count("error:") == 1
    missing = [word for word in words if word not in ended.err]
    assert not missing, ended.err
    # Whatever lies there now does not look like a measurement.
    for path in artifact_files(tmp_path):
        assert read_artifact(path).data["status"] == "failed"
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnu"], ("no command", "run")),
        (["run", "--lang", "fr"], ("--lang", "en or zh")),
        (["run", "--lang"], ("--lang",)),
        (["recompute"], ("DIR",)),
        (["recompute", "nosuch"], ("nosuch",)),
        (["serve", "--port", "99999"], ("--port",)),
        (["serve", "--token-delay-ms", "nan"], ("--token-delay-ms",)),
        (["plan", "--policy", "nosuch.yaml"], ("nosuch.yaml",)),
        (["doctor", "--verbose"], ("--verbose",)),
    ],
)
def test_a_mistake_in_another_command(arguments: list[str], words: tuple[str, ...], call: Call) -> None:
    ended = call(*arguments)
    assert ended.code == (4 if arguments[:2] == ["recompute", "nosuch"] else 2)
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert all(word in ended.err for word in words), ended.err


def test_an_older_artifact_does_not_survive_a_run_that_could_not_begin(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "accuracy_f1.json"
    flags = ["--indicator", "accuracy_f1", "--data", HELD_OUT, "--limit", "5", "--out", out]
    assert call("run", *flags, "--model", DIGITS).code == 0
    assert json.loads(out.read_bytes())["status"] == "complete"

    assert call("run", *flags, "--model", f"http://user:secret@127.0.0.1:{dead_port()}/predict").code == 5

    left = json.loads(out.read_bytes())
    assert left["status"] == "failed"
    assert "refused" in left["invalid_reasons"][0]
    assert left["f1"] is None
    assert "secret" not in out.read_text("utf-8")


def test_a_port_that_is_taken_is_said(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = call("serve", "--port", str(server.getsockname()[1]))
    assert ended.code == 2
    assert "--port" in ended.err


@pytest.mark.parametrize("arguments", [["--help"], ["platforms", "list"], ["platforms", "nothing"]])
def test_a_closed_pipe_is_not_the_exit_code_of_a_failed_gate(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        code = "from hexgate.cli import main; main()"
        ended = subprocess.run(
            [sys.executable, "-c", code, *arguments], stdout=writing, stderr=writing, check=False
        )
    finally:
        os.close(writing)
    assert ended.returncode == ExitCode.READER_GONE


@pytest.mark.parametrize("name", ["score", "judge", "check", "export", "report", "rate", "watch", "artifact"])
def test_a_file_is_no_folder_of_a_study(name: str, call: Call, place: Path) -> None:
    out = ["--out", place / "exported"] if name == "export" else []
    ended = call("study", name, place / "broken.json", *out)
    assert ended.code == ExitCode.INPUT
    assert "is a file" in ended.err
    ended = call("study", name, place, "--spec", place / "folder", *out)
    assert ended.code == ExitCode.INPUT
    assert "is a directory" in ended.err
