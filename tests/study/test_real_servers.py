"""One study over two real servers, from its runs to its report: llama.cpp's own server, and `transformers serve`.

The models are tiny and random; what is looked at is whether each record says what the server says, and no more. Energy
is that of a synthetic powercap tree.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from hexgate.study.reading import Reading, read_study
from hexgate.study.runner import Carrying
from support import llm_servers, needs
from support.judge_server import JudgeServer, grades
from support.powered import Powered, powered
from support.studies import write_study
from support.study_running import carried_out, commanded, plan_of, table, unexplained

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("default")]

FILE = "tiny-F32.gguf"
WATTS = 40.0
ITEMS = (
    {"id": "garden", "task": "talk", "prompt": "Tell me about a garden.", "short": "Garden?"},
    {"id": "capital", "task": "facts", "prompt": "Name the capital of France.", "short": "Capital?"},
)
REFERENCES = {"garden": "It is green.", "capital": "Paris"}


@pytest.fixture(scope="module")
def llama_cpp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    folder = tmp_path_factory.mktemp("llama.cpp")
    with llm_servers.llama_cpp(folder, FILE) as (url, model):
        yield url, model, folder / FILE


@pytest.fixture(scope="module")
def transformers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with llm_servers.transformers_serve(tmp_path_factory.mktemp("transformers")) as served:
        yield served


@pytest.fixture(scope="module")
def studied(
    tmp_path_factory: pytest.TempPathFactory,
    llama_cpp: tuple[str, str, Path],
    transformers: tuple[str, str],
) -> Iterator[tuple[Path, Powered]]:
    """The folder of the study that was carried out, and the machine that drew the power."""
    folder = tmp_path_factory.mktemp("study")
    path = write_study(
        folder,
        items=[{**item, "reference": REFERENCES[item["id"]]} for item in ITEMS],
        models=[
            {"name": "llama", "target": llama_cpp[0], "model": llama_cpp[1]},
            {
                "name": "transformers",
                "target": transformers[0],
                "model": transformers[1],
                "quantization": "F32",
                "context_length": 2048,
            },
        ],
        tasks=[{"name": name, "items": "items.jsonl", "where": {"task": name}} for name in ("talk", "facts")],
        loads=[{"name": "long"}, {"name": "short", "prompt": "short", "max_tokens": 8}],
        request={"max_tokens": 24, "seed": 7},
        runs=2,
        warmup=1,
        idle_s=0.5,
        quiet={"before_s": 0.3, "after_s": 0.5},
        meters=["rapl"],
        power_hz=50,
        timeout_s=120,
        quality=[{"measure": "token_f1"}, {"measure": "distinct", "options": {"n": 1}}],
    )
    with powered(folder, rest_w=WATTS, work_w=WATTS) as machine:
        outcome = carried_out(path, folder / "out", Carrying(rapl_root=machine.root))
        assert outcome.stopped is None
        assert (outcome.done, outcome.failed) == (16, 0)
        yield folder / "out", machine


def asked_again(record: Mapping[str, Any], url: str, model: str, **more: Any) -> dict[str, Any]:
    """The server's own whole reply to the request of a run."""
    fields = {
        "model": model,
        "messages": [{"role": "user", "content": f"[{record['nonce']}]\n{record['prompt']}"}],
        "max_tokens": record["max_tokens"],
        "temperature": 0.0,
        "seed": 7,
        **more,
    }
    answer = httpx.post(f"{url}/chat/completions", json=fields, timeout=120.0)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def of(reading: Reading, model: str) -> list[Mapping[str, Any]]:
    return [record for record in reading.records if record["model"] == model]


def test_every_run_is_there_once_with_every_null_explained(studied: tuple[Path, Powered]) -> None:
    out, _ = studied
    reading = read_study(out)
    assert reading.left == ()
    plan = plan_of(out.parent / "study.yaml")
    assert [record["run_id"] for record in reading.records] == [run.run_id for run in plan.runs]
    assert len({(r["model"], r["task"], r["load"], r["run"]) for r in reading.records}) == 16
    assert [row["run_id"] for row in table(out)] == [run.run_id for run in plan.runs]
    for record in reading.records:
        assert record["status"] == "ok"
        assert record["degraded"] == []
        assert unexplained(record) == set()
        raw = json.loads(reading.layout.raw(record["run_id"]).read_bytes())
        assert raw == json.loads(json.dumps(record))
        assert reading.layout.text(record["run_id"]).read_text("utf-8") == record["generated_text"]


@pytest.mark.parametrize("model", ["llama", "transformers"])
def test_texts_and_tokens_are_those_of_the_server(
    studied: tuple[Path, Powered], llama_cpp: tuple[str, str, Path], transformers: tuple[str, str], model: str
) -> None:
    url, served, more = (
        (llama_cpp[0], llama_cpp[1], {"cache_prompt": False}) if model == "llama" else (*transformers, {})
    )
    for record in of(read_study(studied[0]), model):
        own = asked_again(record, url, served, **more)
        api = record["api_metrics"]
        assert record["generated_text"] == own["choices"][0]["message"]["content"] != ""
        assert api["eval_count"] == own["usage"]["completion_tokens"] == record["max_tokens"]
        assert api["prompt_eval_count"] == own["usage"]["prompt_tokens"] > 0
        assert (record["finish_reason"], record["truncated"]) == ("length", True)
        assert 1 <= record["token_events"] <= api["eval_count"]
        assert 0 < record["first_token_seconds"] <= record["latency_seconds"]
        assert record["first_token_seconds"] == record["first_answer_seconds"]
        assert record["thinking_text"] is None


def test_llama_cpp_states_its_times_and_what_its_cache_spared(studied: tuple[Path, Powered]) -> None:
    for record in of(read_study(studied[0]), "llama"):
        api, missing = record["api_metrics"], record["missing"]
        assert api["prompt_eval_cached_count"] == 0
        assert record["prompt_state"] == "cold"
        assert api["eval_duration_ns"] > 0
        assert api["prompt_eval_duration_ns"] > 0
        assert record["throughput_tokens_per_sec"] == pytest.approx(
            api["eval_count"] / api["eval_duration_ns"] * 1e9
        )
        assert record["prompt_tokens_per_sec"] == pytest.approx(
            api["prompt_eval_count"] / api["prompt_eval_duration_ns"] * 1e9
        )
        assert api["load_duration_ns"] is api["total_duration_ns"] is None
        assert missing["api_metrics.load_duration_ns"] == "the API has no such figure"
        assert record["api_first_token_seconds"] is None
        assert api["eval_duration_ns"] <= record["latency_seconds"] * 1e9


def test_transformers_states_counts_and_no_times(studied: tuple[Path, Powered]) -> None:
    for record in of(read_study(studied[0]), "transformers"):
        api, missing = record["api_metrics"], record["missing"]
        for name in ("eval_duration_ns", "prompt_eval_duration_ns", "load_duration_ns", "total_duration_ns"):
            assert api[name] is None
            assert missing[f"api_metrics.{name}"] == "the API has no such figure"
        assert record["throughput_tokens_per_sec"] is record["prompt_tokens_per_sec"] is None
        assert "no such figure" in missing["throughput_tokens_per_sec"]
        assert api["prompt_eval_cached_count"] is None
        assert record["prompt_state"] == "cold_by_nonce"


def test_facts_of_the_models_are_the_servers_and_what_is_declared_says_so(
    studied: tuple[Path, Powered], llama_cpp: tuple[str, str, Path], transformers: tuple[str, str]
) -> None:
    from gguf import GGUFReader

    reading = read_study(studied[0])
    url, _, path = llama_cpp
    props = httpx.get(f"{url.removesuffix('/v1')}/props").json()
    for record in of(reading, "llama"):
        known, missing = record["metadata"], record["missing"]
        assert known["server"] == "llama.cpp"
        assert known["served_model"] == FILE
        assert known["server_version"] == props["build_info"]
        assert known["loaded_num_ctx"] == known["num_ctx"] == props["default_generation_settings"]["n_ctx"]
        assert known["quantization"] == "F32"
        assert known["parameters"] == sum(tensor.n_elements for tensor in GGUFReader(path).tensors)
        assert known["context_length"] == 2048
        assert known["declared"] == []
        assert known["digest"] is known["family"] is None
        assert "does not tell" in missing["metadata.digest"]
        assert known["ollama_version"] is known["think"] is None
    for record in of(reading, "transformers"):
        known = record["metadata"]
        assert known["server"] == "openai"
        assert known["served_model"] == transformers[1]
        assert (known["quantization"], known["context_length"]) == ("F32", 2048)
        assert known["declared"] == ["context_length", "quantization"]
        assert known["parameters"] is None
        assert "can be declared" in record["missing"]["metadata.parameters"]


def longest_pause_s(machine: Powered, start_ns: int, end_ns: int) -> float:
    """How long the counter stood still at most, from a second before a span to a second after it."""
    times = [int(line.split()[0]) for line in machine.log.read_text("ascii").splitlines()[:-1]]
    near = [one for one in times if start_ns - 1_000_000_000 <= one <= end_ns + 1_000_000_000]
    return max(later - sooner for sooner, later in pairwise(near)) / 1e9


def test_energy_is_what_the_machine_drew(studied: tuple[Path, Powered]) -> None:
    out, machine = studied
    measured = 0
    for record in read_study(out).records:
        energy, stamps = record["energy"], record["stamps"]
        assert (energy["net_j"] is None) is ("energy.net_j" in record["missing"])
        if energy["gross_j"] is None:
            assert record["missing"]["energy.gross_j"]
            continue
        measured += 1
        assert energy["basis"] == "measured"
        assert [domain["id"] for domain in energy["domains"]] == ["rapl:package-0"]
        span = stamps["sent_ns"], stamps["end_ns"]
        # What the writer of the counter owes while it is kept waiting for a processor, the meter cannot see.
        owed_j = 2 * WATTS * longest_pause_s(machine, *span)
        error_j = abs(energy["gross_j"] - machine.truth_j(*span))
        assert error_j <= 4 * energy["uncertainty_j"] + owed_j
    assert measured > 0


def test_a_prompt_that_was_asked_before_is_warm_by_the_server_s_own_count(
    tmp_path: Path, llama_cpp: tuple[str, str, Path]
) -> None:
    prompt = "Tell me everything that you know about gardens, trees and the people who look after them. " * 4
    path = write_study(
        tmp_path,
        items=[{"id": "a", "prompt": prompt}],
        models=[{"name": "llama", "target": llama_cpp[0], "model": llama_cpp[1]}],
        loads=[{"name": "usual"}],
        runs=2,
        cold="none",
    )
    assert carried_out(path, tmp_path / "out").failed == 0
    first, second = read_study(tmp_path / "out").records
    assert (first["prompt_state"], second["prompt_state"]) == ("cold", "warm")
    api = second["api_metrics"]
    assert 0 < api["prompt_eval_cached_count"] < api["prompt_eval_count"]
    assert first["api_metrics"]["prompt_eval_count"] == api["prompt_eval_count"]
    fresh = api["prompt_eval_count"] - api["prompt_eval_cached_count"]
    assert second["prompt_tokens_per_sec"] == pytest.approx(fresh / api["prompt_eval_duration_ns"] * 1e9)


def test_the_study_is_scored_judged_exported_checked_and_reported(
    studied: tuple[Path, Powered], tmp_path: Path
) -> None:
    needs.module("openpyxl", group="heavy")
    out, _ = studied
    commanded("study", "score", out, "--quiet")
    with JudgeServer(lambda _: grades(2, 1.5, 2.5, 1)) as server:
        commanded("study", "judge", out, "--target", server.v1, "--model", "judge", "--quiet")
    for record in read_study(out).records:
        quality = record["quality"]
        assert quality["judge"]["value"] == 7.0
        assert 0 <= quality["token_f1"]["value"] <= 1
        assert 0 < quality["distinct"]["value"] <= 1
        assert record["missing"].keys() & {"quality", "quality.judge.value"} == set()
    exported = tmp_path / "exported"
    commanded("study", "export", out, "--out", exported)
    assert len(list(exported.glob("*.xlsx"))) == 5
    with (exported / "all_responses.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["run_id"]: row for row in csv.DictReader(file)}
    for record in read_study(out).records:
        assert rows[record["run_id"]]["response"] == record["generated_text"]
    # Every reply of these models is cut at its most tokens, and net energy is a matter of how busy the machine was.
    commanded("study", "check", out, "--without", "truncated,energy")
    page = tmp_path / "report.html"
    commanded("study", "report", out, "--out", page)
    text = page.read_text("utf-8")
    assert all(name in text for name in ("llama", "transformers", "F32", "talk", "facts"))
