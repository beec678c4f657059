"""``gguf:`` in a study's file: which models it means; and llama.cpp as a process of the study's."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from hexgate.errors import InputError, MissingExtra, TargetFailed
from hexgate.study.design import make_plan
from hexgate.study.edge.gguf_target import Loading, gguf_files
from hexgate.study.edge.llama_process import llama_command
from hexgate.study.items import read_cells
from hexgate.study.opening import endpoint_of, is_here, open_model
from hexgate.study.runner import Carrying, carry_out
from hexgate.study.spec import Spec
from hexgate.study.spec_file import read_spec
from support.gguf_headers import write_header
from support.studies import write_study
from support.study_running import Watching


def spec_of(folder: Path, *models: dict[str, Any], **changes: Any) -> Spec:
    return read_spec(write_study(folder, models=list(models), **changes))


def test_wildcards_become_one_model_a_file_named_by_it(tmp_path: Path) -> None:
    for name in ("b-Q6_K", "a-Q4_0", "big-00001-of-00002", "big-00002-of-00002"):
        write_header(tmp_path / "models" / f"{name}.gguf")
    spec = spec_of(tmp_path, {"target": "gguf:models/*.gguf", "options": {"n_ctx": 2048, "min_p": 0.1}})
    assert [model.name for model in spec.models] == ["a-Q4_0", "b-Q6_K", "big"]
    assert spec.models[2].target == "gguf:models/big-00001-of-00002.gguf"
    assert {tuple(sorted(model.options.items())) for model in spec.models} == {
        (("min_p", 0.1), ("n_ctx", 2048), ("n_gpu_layers", -1))
    }
    assert [path.name for path in gguf_files(tmp_path / "models" / "big-00001-of-00002.gguf")] == [
        "big-00001-of-00002.gguf",
        "big-00002-of-00002.gguf",
    ]
    assert gguf_files(tmp_path / "one.gguf") == (tmp_path / "one.gguf",)


def test_a_study_with_paths_from_its_folder_is_the_same_study_elsewhere(tmp_path: Path) -> None:
    digests = []
    for folder in (tmp_path / "here", tmp_path / "there [1]"):
        write_header(folder / "models" / "a.gguf")
        digests.append(spec_of(folder, {"target": "gguf:models/*.gguf"}).sha256())
    assert len(set(digests)) == 1


def test_one_file_may_have_a_name_of_its_own_and_odd_signs_in_its_path(tmp_path: Path) -> None:
    write_header(tmp_path / "模型 [1].gguf")
    spec = spec_of(tmp_path, {"name": "小模型", "target": "gguf:模型 [1].gguf"})
    assert (spec.models[0].name, spec.models[0].target) == ("小模型", "gguf:模型 [1].gguf")
    absolute = spec_of(tmp_path, {"target": f"gguf:{tmp_path / '模型 [1].gguf'}"})
    assert absolute.models[0].name == "模型 [1]"


def test_the_context_is_the_models_own_else_that_of_the_requests_else_4096(tmp_path: Path) -> None:
    write_header(tmp_path / "a.gguf")
    model = {"target": "gguf:a.gguf"}
    assert spec_of(tmp_path, model, request={}).models[0].options == {"n_ctx": 4096, "n_gpu_layers": -1}
    assert spec_of(tmp_path, model, request={"num_ctx": 1024}).models[0].options["n_ctx"] == 1024
    own = {**model, "options": {"n_ctx": 512, "threads": 3, "seed": 4}}
    options = spec_of(tmp_path, own, request={"num_ctx": 1024}).models[0].options
    assert Loading.of(options) == (Loading(n_ctx=512, n_gpu_layers=-1, threads=3), {"seed": 4})


@pytest.mark.parametrize(
    ("model", "where", "said"),
    [
        ({"target": "gguf:none-?.gguf"}, "models[0].target", "no such GGUF file"),
        ({"target": "gguf:"}, "models[0].target", "no such GGUF file"),
        ({"target": "gguf:none/*.gguf"}, "models[0].target", "no such GGUF file"),
        ({"target": "gguf:*.gguf", "name": "one"}, "models[0].name", "several files"),
        ({"target": "gguf:a.gguf", "model": "a"}, "models[0].model", "has no model"),
        ({"target": "gguf:a.gguf", "here": False}, "models[0].here", "has no here"),
        ({"target": "gguf:a.gguf", "options": {"n_ctx": "4096"}}, "models[0].options.n_ctx", "out of range"),
        ({"target": "gguf:a.gguf", "options": {"n_gpu_layers": -2}}, "options.n_gpu_layers", "out of range"),
        ({"target": "gguf:a.gguf", "options": {"threads": 0}}, "models[0].options.threads", "out of range"),
    ],
)
def test_mistakes_are_told_with_their_path(
    tmp_path: Path, model: dict[str, Any], where: str, said: str
) -> None:
    write_header(tmp_path / "a.gguf")
    write_header(tmp_path / "b.gguf")
    with pytest.raises(InputError) as caught:
        spec_of(tmp_path, model)
    assert where in str(caught.value.where)
    assert said in caught.value.what


def test_files_share_one_endpoint_which_is_here(tmp_path: Path) -> None:
    write_header(tmp_path / "a.gguf")
    write_header(tmp_path / "b.gguf")
    models = spec_of(tmp_path, {"target": "gguf:*.gguf"}).models
    assert len({endpoint_of(model) for model in models}) == 1
    assert all(is_here(model) for model in models)


def test_the_program_that_is_named_comes_first_then_the_path_then_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("own-server", "llama-server"):
        (tmp_path / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    model = tmp_path / "a.gguf"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HEXGATE_LLAMA_SERVER", str(tmp_path / "own-server"))
    command = llama_command(model, 4000, Loading(threads=2))
    assert command[0] == str(tmp_path / "own-server")
    assert command[command.index("--ctx-size") + 1] == "4096"
    assert command[command.index("--threads") + 1] == "2"
    # Every layer: what -1 means differs between versions of llama.cpp.
    assert command[command.index("--n-gpu-layers") + 1] == "999"
    monkeypatch.delenv("HEXGATE_LLAMA_SERVER")
    command = llama_command(model, 4000, Loading(n_gpu_layers=0))
    assert command[0] == str(tmp_path / "llama-server")
    assert command[command.index("--n-gpu-layers") + 1] == "0"
    assert "--threads" not in command
    monkeypatch.setenv("HEXGATE_LLAMA_SERVER", "no-such-program")
    with pytest.raises(InputError, match="no such program"):
        llama_command(model, 4000, Loading())
    monkeypatch.delenv("HEXGATE_LLAMA_SERVER")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr("hexgate.study.edge.llama_process.find_spec", lambda _: None)
    with pytest.raises(MissingExtra) as caught:
        llama_command(model, 4000, Loading())
    assert "llama" in str(caught.value.hint)


_PRETENDED = """#!{python}
# Stands for llama-server: its command line and the paths of its API that a study asks. It computes nothing.
import json, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
began = time.monotonic()
open({log!r}, "a").write(" ".join(sys.argv[1:]) + "\\n")
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def say(self, body, status=200, kind="application/json"):
        self.send_response(status); self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def do_GET(self):
        if self.path == "/health":
            return self.say(b"{{}}", 200 if time.monotonic() - began > 0.2 else 503)
        if self.path == "/props":
            fields = {{"default_generation_settings": {{"n_ctx": int(flags["--ctx-size"])}}, "build_info": "b1"}}
            return self.say(json.dumps({{**fields, "model_path": flags["--model"]}}).encode())
        entry = {{"id": flags["--model"], "meta": {{"n_params": 7, "n_ctx_train": 7, "size": 1024}}}}
        self.say(json.dumps({{"data": [entry]}}).encode())
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert asked["cache_prompt"] is False and "n_ctx" not in asked and asked["min_p"] == 0.1
        timings = {{"prompt_n": 9, "prompt_ms": 3.0, "cache_n": 0, "predicted_n": 2, "predicted_ms": 4.0}}
        said = [{{"index": 0, "delta": {{"content": one}}, "finish_reason": None}} for one in ("a", "b")]
        pieces = [{{"choices": [one]}} for one in said]
        pieces.append({{"choices": [{{"index": 0, "delta": {{}}, "finish_reason": "stop"}}], "timings": timings}})
        body = "".join("data: " + json.dumps(one) + "\\n\\n" for one in pieces) + "data: [DONE]\\n\\n"
        self.say(body.encode(), kind="text/event-stream")
ThreadingHTTPServer(("127.0.0.1", int(flags["--port"])), Handler).serve_forever()
"""


def pretend(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str | None = None) -> Path:
    """A program in the place of llama-server; the file that gets its command lines."""
    program, log = folder / "llama-server", folder / "calls"
    program.write_text(text or _PRETENDED.format(python=sys.executable, log=str(log)), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("HEXGATE_LLAMA_SERVER", str(program))
    return log


@pytest.mark.skipif(os.name == "nt", reason="a program by its first line")
def test_each_visit_has_a_process_of_its_own_which_is_gone_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = pretend(tmp_path, monkeypatch)
    write_header(tmp_path / "models" / "a.gguf")
    model = {"target": "gguf:models/a.gguf", "options": {"n_ctx": 512, "min_p": 0.1}}
    spec = spec_of(tmp_path, model, clean="unload", resources_hz=20)
    plan = make_plan(spec, read_cells(spec))
    before = set(psutil.Process().children(recursive=True))
    outcome = carry_out(spec, plan, tmp_path / "out", Carrying(), Watching())
    assert outcome.stopped is None
    assert (outcome.failed, outcome.done) == (0, len(plan.runs))
    calls = log.read_text("utf-8").splitlines()
    assert len(calls) == spec.runs
    assert all("--ctx-size 512" in call for call in calls)
    assert set(psutil.Process().children(recursive=True)) <= before
    record = json.loads(sorted((tmp_path / "out" / "data" / "raw").rglob("*.json"))[0].read_text("utf-8"))
    metadata = record["metadata"]
    assert metadata["server"] == "llama.cpp"
    assert metadata["served_model"] == "a.gguf"
    # What the file says, and not what the server made up.
    assert (metadata["parameters"], metadata["context_length"]) == (256.0, 2048)
    assert (metadata["quantization"], metadata["family"]) == ("Q6_K", "llama")
    assert metadata["digest"].startswith("sha256:")
    assert metadata["loaded_num_ctx"] == 512
    assert metadata["server_version"] == "b1"
    assert metadata["preload_seconds"] > 0.2
    assert record["generated_text"] == "ab"
    assert record["throughput_tokens_per_sec"] == pytest.approx(500.0)
    assert record["prompt_state"] == "cold"


@pytest.mark.skipif(os.name == "nt", reason="a program by its first line")
def test_a_server_that_ends_while_it_loads_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, monkeypatch, "#!/bin/sh\necho 'out of memory' >&2\nexit 3\n")
    write_header(tmp_path / "a.gguf")
    spec = spec_of(tmp_path, {"target": "gguf:a.gguf"})
    with pytest.raises(TargetFailed) as caught:
        carry_out(spec, make_plan(spec, read_cells(spec)), tmp_path / "out", Carrying(), Watching())
    assert "ended 3" in caught.value.what
    assert "out of memory" in caught.value.what


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
def test_the_model_goes_when_the_study_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, monkeypatch)
    write_header(tmp_path / "a.gguf")
    spec = spec_of(tmp_path, {"target": "gguf:a.gguf"})
    opened = open_model(spec.models[0], spec)
    assert opened.process is not None
    try:
        opened.server.preload()
        keeper = psutil.Process(opened.process.pid)
        [server] = keeper.children()
        # What a killed study leaves behind: the end of a pipe.
        stdin = opened.process._keeper.stdin
        assert stdin is not None
        stdin.close()
        deadline = time.monotonic() + 120
        while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "llama.cpp is still there"
            time.sleep(0.02)
    finally:
        opened.close()


def test_a_broken_file_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(tmp_path, monkeypatch)
    (tmp_path / "a.gguf").write_bytes(b"GGUF\x03")
    spec = spec_of(tmp_path, {"target": "gguf:a.gguf"})
    with pytest.raises(InputError, match="cut off"):
        carry_out(spec, make_plan(spec, read_cells(spec)), tmp_path / "out", Carrying(), Watching())
    assert (tmp_path / "out" / "runs.jsonl").read_bytes() == b""
