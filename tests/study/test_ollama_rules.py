"""Every rule of Ollama's fields, through whole studies over HTTP; the exchanges are written after its documentation.

Sources: https://github.com/ollama/ollama/blob/main/docs/api.md and the server's own code. `RULES` lists each rule with
the tests that would fail without it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import EvidenceError, TargetFailed
from hexgate.study import servers
from hexgate.study.reading import Reading, read_study
from support.routed_server import Reply
from support.studies import LAST, ScriptedOllama, lines, said, write_study
from support.study_running import carried_out, table, unexplained

HERE = "test_ollama_rules.py"
RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "what is zero is left out: absent is null with a reason, never 0",
        (
            f"{HERE}::test_what_is_left_out_is_null_in_record_and_table",
            "test_asking.py::test_what_the_server_leaves_out_is_unknown_and_not_zero",
            "test_record.py::test_what_ollama_leaves_out_is_null_and_so_is_what_is_made_of_it",
        ),
    ),
    (
        "durations are nanoseconds, and kept as stated",
        (
            f"{HERE}::test_durations_are_kept_as_stated_and_the_latency_is_by_our_clock",
            "test_record.py::test_each_figure_is_its_definition",
        ),
    ),
    (
        "load_duration holds the wait for the model, and is not zero for a loaded one: it tells nothing of a prompt",
        (f"{HERE}::test_load_duration_says_nothing_of_how_the_prompt_was_read",),
    ),
    (
        "load and prompt_eval together are not the time to the first token",
        (f"{HERE}::test_the_time_to_the_first_token_is_by_the_stream",),
    ),
    (
        "loading has no durations in its reply: it is timed from outside",
        (f"{HERE}::test_loading_is_timed_from_outside",),
    ),
    (
        "runs are asked by /api/chat; /api/generate, which tokenises twice, only loads and lets go",
        (f"{HERE}::test_runs_are_asked_by_chat_alone",),
    ),
    (
        "prompt_eval_count holds cached tokens, prompt_eval_duration does not; older releases leave the count out",
        (
            f"{HERE}::test_a_count_of_the_prompt_by_the_age_of_the_server",
            "test_asking.py::test_a_count_of_cached_tokens_is_taken_up",
            "test_record.py::test_a_rate_of_reading_needs_the_number_of_tokens_that_were_read",
            "test_record.py::test_more_cached_tokens_than_the_prompt_has_are_no_figure",
        ),
    ),
    (
        "the cache of prompts has no switch: a nonce in front, or loading anew",
        (
            "test_runner.py::test_each_run_is_asked_alike_but_for_its_nonce",
            "test_runner.py::test_warm_prompts_are_sent_as_they_are",
            "test_runner.py::test_cold_by_unloading_loads_before_each_run",
            "test_record.py::test_a_prompt_is_cold_warm_or_unknown",
        ),
    ),
    (
        "eval_count holds thinking, which is not counted apart; think is stated, or left to the model",
        (
            f"{HERE}::test_thinking_is_in_the_count_and_apart_in_the_text",
            "test_runner.py::test_thinking_and_the_answer_are_kept_apart",
            "test_servers.py::test_think_is_left_unsaid_where_the_study_says_default",
        ),
    ),
    (
        "a model that cannot do what is asked is refused with the server's words",
        (f"{HERE}::test_a_failure_is_a_result_with_the_server_s_words",),
    ),
    (
        "other runner options load the model anew: loading and runs say the same ones",
        ("test_servers.py::test_a_model_is_loaded_with_the_options_of_the_runs",),
    ),
    (
        "the context length depends on the machine where it is not asked for: both are kept",
        (f"{HERE}::test_context_asked_for_and_context_loaded",),
    ),
    (
        "num_predict is the cap, and done_reason says whether it was reached; older releases do not say",
        (
            f"{HERE}::test_why_a_reply_ended",
            "test_asking.py::test_a_reply_that_was_cut_says_so",
        ),
    ),
    (
        "keep_alive outlasts a pause and is never for ever; 0 lets go, and /api/ps tells when the model is gone",
        (
            f"{HERE}::test_a_model_is_kept_for_a_while_and_not_for_ever",
            f"{HERE}::test_a_model_that_never_goes_stops_the_study",
            f"{HERE}::test_a_model_without_a_tag_is_found_under_its_latest",
            "test_servers.py::test_a_model_is_let_go_and_waited_for",
            "test_servers.py::test_where_loaded_models_are_not_listed_the_reason_is_told",
            "test_runner.py::test_a_visit_is_clean_state_loading_warm_up_runs_and_clean_state",
        ),
    ),
    (
        "size and size_vram tell how much of the model lies on the CPU",
        (f"{HERE}::test_a_part_of_the_model_on_the_cpu_is_in_the_record",),
    ),
    (
        "an error inside a stream, or a stream without its end, fails the run; what came is kept beside it",
        (
            f"{HERE}::test_a_failure_is_a_result_with_the_server_s_words",
            "test_asking.py::test_every_failure_has_its_class",
        ),
    ),
    (
        "a model that is not there: refused before anything is measured, a failed run later",
        (
            f"{HERE}::test_a_failure_is_a_result_with_the_server_s_words",
            "test_servers.py::test_a_model_that_is_not_there_is_refused",
        ),
    ),
    (
        "another digest, quantization or version is another model: refused",
        (
            f"{HERE}::test_another_version_of_the_server_is_refused",
            "test_runner.py::test_a_model_that_changes_in_the_middle_is_refused_and_goes_on_when_it_is_back",
            "test_runner.py::test_a_fact_that_is_not_stated_any_more_is_no_change",
        ),
    ),
    (
        "releases state more or less: a whole study over each, every null with its reason",
        (f"{HERE}::test_a_study_over_each_age_of_the_server",),
    ),
    (
        "chunks end anywhere, also inside a character",
        (f"{HERE}::test_chunks_that_end_inside_a_character",),
    ),
)


def without(*names: str) -> dict[str, Any]:
    """The last line of a reply without these fields."""
    return {name: value for name, value in LAST.items() if name not in names}


def studied(folder: Path, ollama: ScriptedOllama, **changes: Any) -> Reading:
    """A study of four runs over it, read back."""
    models = [{"name": "tiny", "target": ollama.target}]
    path = write_study(folder, **{"models": models, "runs": 1, "cold": "none", **changes})
    outcome = carried_out(path, folder / "out")
    assert outcome.stopped is None
    return read_study(folder / "out")


def replied(folder: Path, chat: Callable[[dict[str, Any]], Reply], **changes: Any) -> dict[str, Any]:
    """The record of the first run of a study whose every run has this reply."""
    with ScriptedOllama(chat) as ollama:
        return dict(studied(folder, ollama, **changes).records[0])


def test_what_is_left_out_is_null_in_record_and_table(tmp_path: Path) -> None:
    bare = {"model": "tiny:1b", "message": {"role": "assistant", "content": ""}, "done": True}
    record = replied(tmp_path, lambda _: said("It", " is", last=bare | {"done_reason": "stop"}))
    assert (record["status"], record["generated_text"]) == ("ok", "It is")
    assert set(record["api_metrics"].values()) == {None}
    for name in ("eval_count", "eval_duration_ns", "load_duration_ns", "total_duration_ns"):
        assert "leaves out what is zero" in record["missing"][f"api_metrics.{name}"]
    assert record["throughput_tokens_per_sec"] is record["api_first_token_seconds"] is None
    assert record["latency_seconds"] > 0
    row = table(tmp_path / "out")[0]
    for name in ("eval_count", "eval_duration_ns", "load_duration_ns", "throughput_tokens_per_sec"):
        assert row[name] == ""


def test_durations_are_kept_as_stated_and_the_latency_is_by_our_clock(tmp_path: Path) -> None:
    # The whole may be longer than its parts: the wait for a slot is in it alone.
    record = replied(tmp_path, lambda _: said("It", " is", last=LAST | {"total_duration": 9_000_000_000}))
    api, stamps = record["api_metrics"], record["stamps"]
    assert api["total_duration_ns"] == 9_000_000_000
    assert api["eval_duration_ns"] == LAST["eval_duration"]
    assert api["prompt_eval_duration_ns"] == LAST["prompt_eval_duration"]
    assert record["throughput_tokens_per_sec"] == pytest.approx(4 / 0.4)
    assert record["latency_seconds"] == (stamps["end_ns"] - stamps["sent_ns"]) / 1e9


@pytest.mark.parametrize("load_ns", [35_000_000, 20_000_000_000])
def test_load_duration_says_nothing_of_how_the_prompt_was_read(tmp_path: Path, load_ns: int) -> None:
    record = replied(tmp_path, lambda _: said("Yes", last=LAST | {"load_duration": load_ns}))
    assert record["api_metrics"]["load_duration_ns"] == load_ns
    assert record["prompt_state"] is None
    assert "does not say what its cache spared it" in record["missing"]["prompt_state"]


def test_the_time_to_the_first_token_is_by_the_stream(tmp_path: Path) -> None:
    record = replied(tmp_path, lambda _: said("Yes", " it is"))
    stamps = record["stamps"]
    assert record["api_first_token_seconds"] == pytest.approx(0.04 + 0.06)
    assert record["first_token_seconds"] == (stamps["first_token_ns"] - stamps["sent_ns"]) / 1e9


def test_loading_is_timed_from_outside(tmp_path: Path) -> None:
    with ScriptedOllama() as ollama:
        reading = studied(tmp_path, ollama)
    [visit] = reading.visits.values()
    assert visit["preload_seconds"] > 0
    assert {record["metadata"]["preload_seconds"] for record in reading.records} == {visit["preload_seconds"]}


def test_runs_are_asked_by_chat_alone(tmp_path: Path) -> None:
    with ScriptedOllama() as ollama:
        studied(tmp_path, ollama, clean="unload", warmup=1)
        generated = ollama.server.bodies("POST /api/generate")
        chats = ollama.server.bodies("POST /api/chat")
    assert len(chats) == 5
    assert len(generated) == 3
    assert not any(body.get("prompt") for body in generated)


@pytest.mark.parametrize(
    ("last", "count", "cached", "state", "rate"),
    [
        (LAST | {"prompt_eval_cached_count": 18}, 20, 18, "warm", 2 / 0.06),
        (LAST | {"prompt_eval_cached_count": 1}, 20, 1, "cold", 19 / 0.06),
        (LAST, 20, None, None, None),
        (without("prompt_eval_count"), None, None, None, None),
        (without("prompt_eval_count", "prompt_eval_duration"), None, None, None, None),
    ],
)
def test_a_count_of_the_prompt_by_the_age_of_the_server(
    tmp_path: Path,
    last: Mapping[str, Any],
    count: int | None,
    cached: int | None,
    state: str | None,
    rate: float | None,
) -> None:
    record = replied(tmp_path, lambda _: said("Yes", last=last))
    api = record["api_metrics"]
    assert (api["prompt_eval_count"], api["prompt_eval_cached_count"]) == (count, cached)
    assert record["prompt_state"] == state
    assert record["prompt_tokens_per_sec"] == (None if rate is None else pytest.approx(rate))
    assert unexplained(record) == set()


@pytest.mark.parametrize(("think", "sent"), [(True, True), (False, False), ("default", None)])
def test_thinking_is_in_the_count_and_apart_in_the_text(
    tmp_path: Path, think: bool | str, sent: bool | None
) -> None:
    last = LAST | {"eval_count": 3}
    with ScriptedOllama(lambda _: said("42", thinking=("six", " seven"), last=last)) as ollama:
        reading = studied(tmp_path, ollama, request={"max_tokens": 16, "think": think})
        bodies = ollama.server.bodies("POST /api/chat")
    assert {body.get("think") for body in bodies} == {sent}
    record = reading.records[0]
    assert record["metadata"]["think"] is sent
    assert (record["thinking_text"], record["generated_text"]) == ("six seven", "42")
    assert record["api_metrics"]["eval_count"] == 3
    assert record["throughput_tokens_per_sec"] == pytest.approx(3 / 0.4)
    assert record["api_metrics"]["thinking_count"] is None
    assert "not apart" in record["missing"]["api_metrics.thinking_count"]
    assert unexplained(record) == set()


HALF = said("half")[:-1]


@pytest.mark.parametrize(
    ("reply", "kind", "words", "partial"),
    [
        ([*HALF, *lines({"error": "llama runner process has terminated"})], "server", "terminated", "half"),
        (HALF, "truncated", "", "half"),
        (lines({"error": "model requires more system memory"}), "server", "more system memory", None),
        (404, "http_404", "status 404", None),
        (400, "http_400", "status 400", None),
        (503, "http_503", "status 503", None),
    ],
)
def test_a_failure_is_a_result_with_the_server_s_words(
    tmp_path: Path, reply: Reply, kind: str, words: str, partial: str | None
) -> None:
    def chat(body: dict[str, Any]) -> Reply:
        return reply if "train" in body["messages"][-1]["content"].lower() else said("Yes")

    with ScriptedOllama(chat) as ollama:
        reading = studied(tmp_path, ollama)
    status = {(record["item"], record["status"]) for record in reading.records}
    assert status == {("a", "ok"), ("b", "failed")}
    failed = next(record for record in reading.records if record["item"] == "b")
    assert failed["error"]["kind"] == kind
    assert words in failed["error"]["detail"]
    assert failed["error"]["partial_text"] == partial
    assert failed["generated_text"] is failed["latency_seconds"] is None
    assert set(failed["api_metrics"].values()) == {None}
    assert unexplained(failed) == set()
    row = next(row for row in table(tmp_path / "out") if row["item"] == "b")
    assert (row["status"], row["error_kind"], row["eval_count"]) == ("failed", kind, "")


@pytest.mark.parametrize(
    ("asked", "loaded", "num_ctx"),
    [(2048, 2048, 2048), (None, 32_768, 32_768), (2048, 8192, 2048), (2048, None, 2048)],
)
def test_context_asked_for_and_context_loaded(
    tmp_path: Path, asked: int | None, loaded: int | None, num_ctx: int
) -> None:
    request = {"max_tokens": 16} | ({} if asked is None else {"num_ctx": asked})
    with ScriptedOllama() as ollama:
        ollama.loaded_entry.pop("context_length")
        if loaded is not None:
            ollama.loaded_entry["context_length"] = loaded
        reading = studied(tmp_path, ollama, request=request)
        bodies = ollama.server.bodies("POST /api/chat") + ollama.server.bodies("POST /api/generate")
    assert {body["options"].get("num_ctx") for body in bodies} == {asked}
    record = reading.records[0]
    assert record["metadata"]["num_ctx"] == num_ctx
    assert record["metadata"]["loaded_num_ctx"] == loaded
    assert record["metadata"]["context_length"] == 131_072
    if loaded is None:
        assert "2048 was asked for" in record["missing"]["metadata.loaded_num_ctx"]


@pytest.mark.parametrize(
    ("last", "reason", "truncated"),
    [
        (LAST, "stop", False),
        (LAST | {"done_reason": "length"}, "length", True),
        (without("done_reason"), None, None),
    ],
)
def test_why_a_reply_ended(
    tmp_path: Path, last: Mapping[str, Any], reason: str | None, truncated: bool | None
) -> None:
    with ScriptedOllama(lambda _: said('"done_reason"', last=last)) as ollama:
        reading = studied(tmp_path, ollama)
        bodies = ollama.server.bodies("POST /api/chat")
    assert {body["options"]["num_predict"] for body in bodies} == {8, 16}
    record = reading.records[0]
    assert (record["finish_reason"], record["truncated"]) == (reason, truncated)
    assert unexplained(record) == set()
    if reason is None:
        assert "does not say why the reply ended" in record["missing"]["truncated"]
        assert table(tmp_path / "out")[0]["truncated"] == ""


def test_a_model_is_kept_for_a_while_and_not_for_ever(tmp_path: Path) -> None:
    with ScriptedOllama() as ollama:
        studied(tmp_path, ollama, clean="unload")
        loads = ollama.server.bodies("POST /api/generate")
        chats = ollama.server.bodies("POST /api/chat")
    assert [body["keep_alive"] for body in loads] == [0, chats[0]["keep_alive"], 0]
    assert {body["keep_alive"] for body in chats} == {"30m"}


def test_a_model_that_never_goes_stops_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_GONE_WITHIN_S", 0.05)
    with ScriptedOllama() as ollama:
        ollama.loaded = True
        ollama.looks_until_gone = 10**9
        models = [{"name": "tiny", "target": ollama.target}]
        path = write_study(tmp_path, models=models, clean="unload")
        with pytest.raises(TargetFailed, match="was not gone"):
            carried_out(path, tmp_path / "out")
        assert ollama.server.bodies("POST /api/chat") == []


def test_a_model_without_a_tag_is_found_under_its_latest(tmp_path: Path) -> None:
    gone: list[bool] = []
    entry = {"name": "tiny:latest", "model": "tiny:latest", "digest": "sha256:cd", "size": 8, "size_vram": 8}

    def loaded(_: dict[str, Any]) -> Reply:
        gone.append(len(gone) >= 2)
        return {"models": [] if gone[-1] else [entry]}

    with ScriptedOllama() as ollama:
        ollama.server.routes["GET /api/tags"] = lambda _: {"models": [entry]}
        ollama.server.routes["GET /api/ps"] = loaded
        target = ollama.target.replace("tiny:1b", "tiny")
        reading = studied(tmp_path, ollama, models=[{"target": target}], clean="unload")
    # Twice it was still there, and it was waited for.
    assert gone[:3] == [False, False, True]
    assert {record["model"] for record in reading.records} == {"tiny"}
    assert reading.records[0]["metadata"]["served_model"] == "tiny:latest"
    assert reading.records[0]["metadata"]["digest"] == "sha256:cd"


@pytest.mark.parametrize(
    ("vram", "ratio"), [(4_000_000_000, 1.0), (3_000_000_000, 0.75), (0, 0.0), (None, None)]
)
def test_a_part_of_the_model_on_the_cpu_is_in_the_record(
    tmp_path: Path, vram: int | None, ratio: float | None
) -> None:
    with ScriptedOllama() as ollama:
        del ollama.loaded_entry["size_vram"]
        if vram is not None:
            ollama.loaded_entry["size_vram"] = vram
        reading = studied(tmp_path, ollama)
    record = reading.records[0]
    assert record["metadata"]["size_vram_bytes"] == vram
    assert record["metadata"]["offload_ratio"] == ratio
    assert ("metadata.offload_ratio" in record["missing"]) is (ratio is None)
    assert table(tmp_path / "out")[0]["offload_ratio"] == ("" if ratio is None else repr(ratio))


def test_another_version_of_the_server_is_refused(tmp_path: Path) -> None:
    with ScriptedOllama() as ollama:
        models = [{"name": "tiny", "target": ollama.target}]
        versions = iter(["0.12.3", "0.13.0"])
        ollama.server.routes["GET /api/version"] = lambda _: {"version": next(versions)}
        outcome = carried_out(write_study(tmp_path, models=models, runs=2), tmp_path / "out")
    assert isinstance(outcome.stopped, EvidenceError)
    assert "server_version 0.13.0, before 0.12.3" in str(outcome.stopped.got)
    reading = read_study(tmp_path / "out")
    assert {record["metadata"]["ollama_version"] for record in reading.records} == {"0.12.3"}
    assert (len(reading.records), len(reading.left)) == (4, 4)


AGES: dict[str, tuple[tuple[str, ...], Mapping[str, Any], Mapping[str, Any]]] = {
    "early": (
        ("GET /api/ps", "GET /api/version"),
        {"details": {"family": "llama", "parameter_size": "7B", "quantization_level": "Q4_0"}},
        without("done_reason", "prompt_eval_count"),
    ),
    "middle": (
        (),
        {
            "details": {"family": "llama", "parameter_size": "7B", "quantization_level": "Q4_0"},
            "model_info": {"general.architecture": "llama", "llama.context_length": 4096},
        },
        LAST,
    ),
    "late": (
        (),
        {
            "details": {"family": "llama", "parameter_size": "7B", "quantization_level": "Q4_0"},
            "model_info": {"general.architecture": "llama", "general.parameter_count": 7_000_000_001},
            "capabilities": ["completion", "thinking"],
        },
        LAST | {"prompt_eval_cached_count": 0},
    ),
}
"""Releases: the routes they lack, what /api/show says, and the last line of a reply."""


@pytest.mark.parametrize("age", AGES)
def test_a_study_over_each_age_of_the_server(tmp_path: Path, age: str) -> None:
    lacking, shown, last = AGES[age]
    with ScriptedOllama(lambda _: said("Yes", last=last)) as ollama:
        for route in lacking:
            del ollama.server.routes[route]
        ollama.server.routes["POST /api/show"] = lambda _: dict(shown)
        reading = studied(tmp_path, ollama, cold="nonce", clean="unload", warmup=1)
    assert len(reading.records) == 4
    for record in reading.records:
        assert record["status"] == "ok"
        assert record["metadata"]["quantization"] == "Q4_0"
        assert unexplained(record) == set()
        absent = {f"metadata.{name}" for name, value in record["metadata"].items() if value is None}
        absent -= {"metadata.top_p", "metadata.seed"}
        assert absent <= set(record["missing"])
    parameters = {"early": 7e9, "middle": 7e9, "late": 7_000_000_001}[age]
    assert reading.records[0]["metadata"]["parameters"] == parameters
    states = {"early": "cold_by_nonce", "middle": "cold_by_nonce", "late": "cold"}
    assert {record["prompt_state"] for record in reading.records} == {states[age]}
    [visit] = reading.visits.values()
    assert visit["unloaded_before"] is (age != "early")
    assert ("unloaded_before" in visit["missing"]) is (age == "early")


@pytest.mark.parametrize("length", [1, 2, 7])
def test_chunks_that_end_inside_a_character(tmp_path: Path, length: int) -> None:
    data = b"".join(said("北京", "很大", "。"))
    chunks = [data[place : place + length] for place in range(0, len(data), length)]
    record = replied(tmp_path, lambda _: chunks)
    assert record["generated_text"] == "北京很大。"
    assert record["token_events"] == 3
    assert record["api_metrics"]["eval_count"] == 4


def test_each_rule_has_its_tests() -> None:
    folder = Path(__file__).parent
    known = {
        f"{path.name}::{node.name}"
        for path in folder.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    named = {test for _, tests in RULES for test in tests}
    assert named <= known
    own = {test for test in known if test.startswith(f"{HERE}::test_")} - named
    assert own == {f"{HERE}::test_each_rule_has_its_tests"}
