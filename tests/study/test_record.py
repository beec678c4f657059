"""The record of a run: each figure by its definition, and null with a reason where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hexgate.study.asking import Asked, Failed, Stamps
from hexgate.study.design import Run
from hexgate.study.items import Cell
from hexgate.study.record import full_record, prompt_state, run_record
from hexgate.study.results import COLUMNS, result_row
from hexgate.study.spec import Cold
from hexgate.wire.base import Usage

CELL = Cell("talk", "short", "a", "Garden?", None, ("It is green.",), 16)
RUN = Run("0123456789abcdef", 3, 2, "tiny:1b", CELL)
STAMPS = Stamps(
    sent_ns=1_000_000_000,
    headers_ns=1_100_000_000,
    first_event_ns=1_200_000_000,
    first_token_ns=1_300_000_000,
    first_answer_ns=1_500_000_000,
    last_token_ns=2_300_000_000,
    end_ns=2_400_000_000,
)
USAGE = Usage(
    prompt_tokens=20,
    output_tokens=40,
    load_ns=50_000_000,
    prompt_ns=200_000_000,
    output_ns=800_000_000,
    total_ns=1_300_000_000,
)
HEAD: dict[str, Any] = {
    "tool": "hexgate 0",
    "spec": {
        "request": {"num_ctx": 2048, "temperature": 0.0, "top_p": None, "seed": 0, "think": False},
        "cold": "nonce",
    },
}


def asked(usage: Usage = USAGE, *, stamps: Stamps = STAMPS, failure: Failed | None = None) -> Asked:
    return Asked(
        stamps=stamps,
        text="It is green.",
        thinking="",
        finish_reason="stop",
        token_events=4,
        usage=usage,
        failure=failure,
    )


def record(
    one: Asked, *, server: str = "ollama", cold: Cold = Cold.NONCE, uncertainty_j: float | None = 1.5
) -> dict[str, Any]:
    return run_record(
        RUN,
        one,
        study="small",
        attempt=1,
        visit="0001_tiny",
        started_at="2026-01-31T12:00:00Z",
        server=server,
        cold=cold,
        nonce="abc",
        occupied_seconds=2.0,
        system=({"cpu_percent_avg": 12.5, "gpu_util_avg": None}, {"gpu_util_avg": "there is no GPU"}),
        energy={
            "basis": "measured",
            "gross_j": 30.0,
            "uncertainty_j": uncertainty_j,
            "domains": [],
            "degraded": [],
        },
        energy_reason=None,
    )


def test_each_figure_is_its_definition() -> None:
    found = record(asked())
    assert found["latency_seconds"] == pytest.approx(1.4)
    assert found["first_token_seconds"] == pytest.approx(0.3)
    assert found["first_answer_seconds"] == pytest.approx(0.5)
    assert found["output_seconds"] == pytest.approx(1.0)
    assert found["throughput_tokens_per_sec"] == pytest.approx(40 / 0.8)
    assert found["api_first_token_seconds"] == pytest.approx(0.25)
    assert found["api_metrics"]["eval_duration_ns"] == 800_000_000
    assert found["missing"]["system_metrics.gpu_util_avg"] == "there is no GPU"


def test_a_rate_of_reading_needs_the_number_of_tokens_that_were_read() -> None:
    unknown = record(asked())
    assert unknown["prompt_tokens_per_sec"] is None
    assert "cache" in unknown["missing"]["prompt_tokens_per_sec"]
    known = record(asked(USAGE._replace(cached_tokens=10)))
    assert known["prompt_tokens_per_sec"] == pytest.approx(10 / 0.2)
    warm = record(asked(USAGE._replace(cached_tokens=20)))
    assert warm["prompt_tokens_per_sec"] is None
    unloaded = record(asked(), cold=Cold.UNLOAD)
    assert unloaded["prompt_tokens_per_sec"] == pytest.approx(20 / 0.2)


def test_a_prompt_of_which_nobody_tells_how_it_was_read_has_no_state_but_a_reason() -> None:
    found = record(asked(), cold=Cold.NONE)
    assert found["prompt_state"] is None
    assert "does not say what its cache spared it" in found["missing"]["prompt_state"]


@pytest.mark.parametrize("cold", Cold)
def test_more_cached_tokens_than_the_prompt_has_are_no_figure(cold: Cold) -> None:
    found = record(asked(USAGE._replace(cached_tokens=21)), cold=cold)
    assert found["api_metrics"]["prompt_eval_cached_count"] is None
    assert found["prompt_state"] is found["prompt_tokens_per_sec"] is None
    for name in ("api_metrics.prompt_eval_cached_count", "prompt_state", "prompt_tokens_per_sec"):
        assert "more tokens from its cache than the prompt has" in found["missing"][name]


@pytest.mark.parametrize(
    "one",
    [
        replace(asked(), token_events=1),
        asked(stamps=replace(STAMPS, last_token_ns=STAMPS.first_token_ns)),
    ],
)
def test_text_that_came_in_one_piece_took_no_time_that_was_seen(one: Asked) -> None:
    found = record(one)
    assert found["output_seconds"] is None
    assert "in one piece" in found["missing"]["output_seconds"]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'=1"),
        ("a=1", "a=1"),
    ],
)
def test_no_text_of_the_table_is_a_formula(text: str, cell: str) -> None:
    one = {**record(asked()), "item": text, "output_seconds": -1.5}
    full = full_record(one, HEAD, {"configuration": {"server": "ollama", "num_ctx": 512}, "end": None})
    row = result_row(full, "data/raw/x.json")
    assert row["item"] == cell
    assert row["output_seconds"] == "-1.5"
    assert row["loaded_num_ctx"] == "512"


def test_what_ollama_leaves_out_is_null_and_so_is_what_is_made_of_it() -> None:
    found = record(asked(USAGE._replace(load_ns=None, output_ns=None)))
    assert found["api_first_token_seconds"] is None
    assert found["throughput_tokens_per_sec"] is None
    for name in ("api_metrics.load_duration_ns", "throughput_tokens_per_sec", "api_first_token_seconds"):
        assert "leaves out what is zero" in found["missing"][name]
    assert "counts thinking into eval_count" in found["missing"]["api_metrics.thinking_count"]


def test_an_api_without_durations_says_so() -> None:
    found = record(asked(Usage(prompt_tokens=3, output_tokens=4)), server="openai")
    assert found["throughput_tokens_per_sec"] is None
    assert found["missing"]["api_metrics.eval_duration_ns"] == "the API has no such figure"


@pytest.mark.parametrize(
    ("cached", "cold", "state"),
    [
        (0, Cold.NONE, "cold"),
        (2, Cold.NONCE, "cold"),
        (3, Cold.NONCE, "warm"),
        (19, Cold.NONE, "warm"),
        (None, Cold.NONCE, "cold_by_nonce"),
        (None, Cold.UNLOAD, "cold"),
        (None, Cold.NONE, None),
        (21, Cold.NONCE, None),
        (21, Cold.UNLOAD, None),
    ],
)
def test_a_prompt_is_cold_warm_or_unknown(cached: int | None, cold: Cold, state: str | None) -> None:
    assert prompt_state(USAGE._replace(cached_tokens=cached), cold) == state


def test_a_failed_run_has_reasons_and_no_figures() -> None:
    stamps = Stamps(sent_ns=1, end_ns=5)
    found = record(asked(stamps=stamps, failure=Failed("timeout", "no whole reply within 2 s")))
    assert found["status"] == "failed"
    assert found["error"] == {
        "kind": "timeout",
        "detail": "no whole reply within 2 s",
        "http_status": None,
        "partial_text": "It is green.",
    }
    for name in ("generated_text", "latency_seconds", "first_token_seconds", "throughput_tokens_per_sec"):
        assert found[name] is None
    assert set(found["api_metrics"].values()) == {None}
    assert found["missing"]["latency_seconds"] == "the run failed"


def test_every_null_figure_has_a_reason() -> None:
    visit = {"configuration": {"server": "ollama", "missing": {}}, "environment": {}, "end": None}
    for one in (
        record(asked()),
        record(asked(Usage())),
        record(asked(Usage()), server="openai", cold=Cold.NONE),
        record(asked(stamps=Stamps(sent_ns=1, end_ns=5))),
        record(asked(failure=Failed("http_500", "no"))),
    ):
        full = full_record(one, HEAD, visit)
        figures = {name for name, value in full.items() if value is None}
        figures |= {f"api_metrics.{name}" for name, value in full["api_metrics"].items() if value is None}
        figures |= {
            f"system_metrics.{name}" for name, value in full["system_metrics"].items() if value is None
        }
        said = figures - {
            "error",
            "system",
            "nonce",
            "thinking_text",
            "generated_text",
            "truncated",
            "finish_reason",
        }
        assert said <= full["missing"].keys()


def test_the_raw_record_knows_what_its_visit_knows() -> None:
    visit = {
        "configuration": {
            "server": "ollama",
            "server_version": "0.12.3",
            "quantization": "Q4_K_M",
            "num_ctx": 2048,
            "missing": {"digest": "not listed"},
        },
        "environment": {"host_class": "box", "accelerators": ["GPU A", "GPU B"], "driver": "570"},
        "preload_seconds": 1.5,
        "end": {"net": {f"{RUN.run_id}/1": {"net_j": 12.0, "idle_power_w": 9.0}}},
    }
    full = full_record(record(asked()), HEAD, visit)
    assert full["energy"]["gross_j"] == 30.0
    assert full["energy"]["net_j"] == 12.0
    assert full["metadata"]["ollama_version"] == "0.12.3"
    assert full["metadata"]["gpu"] == "GPU A, GPU B"
    assert full["missing"]["metadata.digest"] == "not listed"
    assert "energy.net_j" not in full["missing"]


def test_what_an_api_cannot_be_told_is_not_said_to_have_been_told() -> None:
    visit = {
        "configuration": {"server": "openai", "num_ctx": None, "missing": {"num_ctx": "not said"}},
        "end": None,
    }
    full = full_record(record(asked(), server="openai"), HEAD, visit)
    assert full["metadata"]["num_ctx"] is full["metadata"]["think"] is None
    assert full["missing"]["metadata.num_ctx"] == full["missing"]["metadata.loaded_num_ctx"] == "not said"
    assert "metadata.think" in full["missing"]


def test_net_energy_waits_for_the_end_of_the_visit() -> None:
    full = full_record(record(asked()), HEAD, {"end": None})
    assert full["energy"]["net_j"] is None
    assert "has not come to its end" in full["missing"]["energy.net_j"]


def test_an_energy_of_a_meter_that_states_no_error_says_so() -> None:
    end = {"net": {f"{RUN.run_id}/1": {"net_j": 12.0, "net_uncertainty_j": None}}}
    full = full_record(record(asked(), uncertainty_j=None), HEAD, {"end": end})
    assert (full["energy"]["gross_j"], full["energy"]["net_j"]) == (30.0, 12.0)
    for name in ("energy.uncertainty_j", "energy.net_uncertainty_j"):
        assert full["missing"][name] == "the meter's own error is not stated"
    assert "energy.uncertainty_j" not in full_record(record(asked()), HEAD, {"end": end})["missing"]


def test_a_row_of_the_table_has_every_column_and_no_line_break() -> None:
    one = record(asked(failure=Failed("server", "first line\nsecond")))
    visit = {"configuration": {"server": "ollama"}, "end": None}
    row = result_row(full_record(one, HEAD, visit), "data/raw/x.json")
    assert tuple(row) == COLUMNS
    assert row["error_detail"] == "first line second"
    assert row["latency_seconds"] == ""
    assert row["think"] == "false"
    assert row["energy_gross_j"] == "30.0"
    assert not any("\n" in cell for cell in row.values())


def test_columns_are_documented() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "studies.md").read_text("utf-8")
    assert [name for name in COLUMNS if f"`{name}`" not in page] == []
