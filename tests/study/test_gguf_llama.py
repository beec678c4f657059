"""Studies over `gguf:` with a real llama.cpp (the extra's), each with a tiny random model that the test writes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import pytest

from hexgate.errors import ExitCode, TargetFailed
from hexgate.study.edge.gguf_file import read_gguf
from hexgate.study.reading import Reading, read_study
from hexgate.study.runner import Carrying
from support import needs
from support.gguf_headers import write_header
from support.powered import powered
from support.studies import write_study
from support.study_running import carried_out
from support.tiny_llms import write_gguf

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("default")]

PATIENCE_S = 120.0


@pytest.fixture(autouse=True)
def _the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("xllamacpp", "gguf"):
        needs.module(name, group="heavy")
    # The extra is what is tested, also where a llama-server is on the path.
    monkeypatch.delenv("HEXGATE_LLAMA_SERVER", raising=False)
    monkeypatch.setattr("hexgate.study.edge.llama_process._PROGRAM", "no-such-llama-server")


def study(folder: Path, *names: str, **changes: Any) -> Path:
    (folder / "models").mkdir(parents=True)
    for name in names:
        write_gguf(folder / "models" / name)
    models = [{"target": "gguf:models/*.gguf", "options": {"n_ctx": 512, "threads": 1}}]
    return write_study(folder, **{"models": models, "clean": "unload", "timeout_s": 60, **changes})


def read(path: Path, out: Path, carrying: Carrying | None = None) -> Reading:
    outcome = carried_out(path, out, carrying)
    assert outcome.stopped is None
    assert outcome.failed == 0
    return read_study(out)


def test_our_reader_and_the_library_agree(tmp_path: Path) -> None:
    path = tmp_path / "tiny-F32.gguf"
    write_gguf(path)
    from gguf import GGUFReader

    theirs = GGUFReader(str(path))
    ours = read_gguf(path)
    assert ours.parameters == sum(int(tensor.n_elements) for tensor in theirs.tensors)
    assert (ours.architecture, ours.context_length, ours.quantization) == ("llama", 2048, "F32")
    assert ours.size_bytes == path.stat().st_size


def test_a_whole_study_of_two_files_with_energy(tmp_path: Path) -> None:
    path = study(
        tmp_path,
        *("one-F32.gguf", "two-F32.gguf"),
        idle_s=0.5,
        quiet={"before_s": 0.3, "after_s": 0.5},
        meters=["rapl"],
        power_hz=50,
        resources_hz=20,
        warmup=1,
        loads=[{"name": "usual"}],
        request={"max_tokens": 256},
    )
    before = set(psutil.Process().children(recursive=True))
    with powered(tmp_path, rest_w=30.0, work_w=30.0) as machine:
        found = read(path, tmp_path / "out", Carrying(rapl_root=machine.root))
    assert set(psutil.Process().children(recursive=True)) <= before
    assert {record["model"] for record in found.records} == {"one-F32", "two-F32"}
    for record in found.records:
        header = read_gguf(tmp_path / "models" / f"{record['model']}.gguf")
        metadata, counts = record["metadata"], record["api_metrics"]
        assert metadata["server"] == "llama.cpp"
        assert f"xllamacpp {version('xllamacpp')}" in metadata["server_version"]
        assert (metadata["quantization"], metadata["parameters"]) == ("F32", float(header.parameters or 0))
        assert (metadata["loaded_num_ctx"], metadata["context_length"]) == (512, 2048)
        assert metadata["digest"].startswith("sha256:")
        assert metadata["preload_seconds"] > 0
        assert record["generated_text"]
        assert 0 < counts["eval_count"] <= record["max_tokens"]
        assert counts["prompt_eval_count"] > 0
        # llama.cpp's own clock, and a prompt that it read anew.
        assert counts["eval_duration_ns"] > 0
        assert counts["prompt_eval_duration_ns"] > 0
        assert counts["prompt_eval_cached_count"] == 0
        assert record["prompt_state"] == "cold"
        assert record["stamps"]["sent_ns"] < record["stamps"]["first_token_ns"] <= record["stamps"]["end_ns"]
        # A machine that is busy with something else may leave a run without, and then says why.
        assert (record["energy"]["gross_j"] is None) == ("energy.gross_j" in record["missing"])
        assert record["missing"].keys() >= {"metadata.size_vram_bytes"}
    visits = list(found.visits.values())
    assert len(visits) == 4
    assert all(visit["unloaded_before"] for visit in visits)
    assert any(record["energy"]["uncertainty_j"] for record in found.records)
    # What the server's processes used is seen, although they did not live when the recorder began.
    assert any(record["system_metrics"]["server_mem_peak_mb"] for record in found.records)


def test_the_model_can_be_loaded_anew_before_each_run(tmp_path: Path) -> None:
    found = read(study(tmp_path, "tiny.gguf", cold="unload", runs=1), tmp_path / "out")
    assert {record["prompt_state"] for record in found.records} == {"cold"}
    assert len(found.records) == 4


def test_the_same_seed_says_the_same(tmp_path: Path) -> None:
    path = study(
        tmp_path, "tiny.gguf", cold="none", request={"max_tokens": 16, "temperature": 1.0, "seed": 7}
    )
    found = read(path, tmp_path / "out")
    texts: dict[tuple[str, str], set[str]] = {}
    for record in found.records:
        texts.setdefault((record["load"], record["item"]), set()).add(record["generated_text"])
    assert all(len(said) == 1 for said in texts.values())


def test_a_file_that_llama_cpp_cannot_load_ends_the_study_with_its_words(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    write_header(tmp_path / "models" / "empty.gguf")
    path = write_study(tmp_path, models=[{"target": "gguf:models/empty.gguf"}])
    with pytest.raises(TargetFailed, match="before it had loaded the model"):
        carried_out(path, tmp_path / "out")


@pytest.mark.parametrize(
    ("how", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, ExitCode.INTERRUPTED)]
)
def test_killed_and_resumed_no_model_stays_loaded(tmp_path: Path, how: signal.Signals, code: int) -> None:
    path = study(tmp_path, "tiny.gguf", runs=6)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "hexgate", "study", "run", str(path), "--out", str(out), "--quiet"]
    process = subprocess.Popen(command)
    runs, deadline = out / "runs.jsonl", time.monotonic() + PATIENCE_S
    while not runs.exists() or runs.read_bytes().count(b"\n") < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    below = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(how)
    assert process.wait(PATIENCE_S) == code
    psutil.wait_procs(below, timeout=30)
    assert not [one for one in below if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    assert subprocess.run(command, check=False).returncode == ExitCode.OK
    reading = read_study(out)
    assert reading.left == ()
    assert len({record["run_id"] for record in reading.records}) == len(reading.records) == 24
