"""What the flags of `hexgate load` ask for together: contradictions are refused before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hexgate.cli.load_options import Aims, load_options
from hexgate.errors import InputError
from hexgate.indicators.load_run import LoadOptions
from support.command import Ended

Call = Callable[..., Ended]
SLO = "ttft_ms.p99<=500"


def options(aims: Aims | None = None, **given: Any) -> LoadOptions:
    return load_options(given, aims or Aims())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rate_rps": 1.0, "stages": "1:1"}, "--rate and --stages exclude each other"),
        ({"ramp": "1..2:1", "stages": "1:1"}, "--stages and --ramp exclude each other"),
        ({"replay": Path("t"), "concurrency": 2}, "--concurrency and --replay exclude each other"),
        ({"requests": 1, "duration_s": 1.0}, "--duration and --requests exclude each other"),
        ({"stages": "1:1", "requests": 5}, "--stages says itself how long it lasts"),
        ({"ramp": "1..2:1", "duration_s": 5.0}, "--ramp says itself how long it lasts"),
        ({"stages": "fast"}, "stage 1 is not one"),
        ({"ramp": "1:2"}, "not a ramp"),
        ({"arrival": "poisson"}, "--arrival needs --rate, --stages or --ramp"),
        ({"arrival": "poisson", "replay": Path("t")}, "--arrival needs --rate, --stages or --ramp"),
        ({"rate_rps": 1.0, "burstiness": 0.5}, "need each other"),
        ({"rate_rps": 1.0, "arrival": "gamma"}, "need each other"),
        ({"time_scale": 2.0}, "--time-scale needs --replay"),
        ({"think_s": 1.0}, "--think-s needs --turns"),
        ({"max_in_flight": 5}, "--max-in-flight is for a load by the clock"),
        ({"concurrency": 5, "max_in_flight": 5}, "--max-in-flight is for a load by the clock"),
        ({"slo": "fast"}, "not a term of an SLO"),
        ({"slo": "ttft_ms.p99<500"}, "< is not read: write <="),
        ({"server_metrics": ("ftp://here",)}, "no address of server metrics"),
    ],
)
def test_contradictions(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        options(**given)
    assert said in str(refused.value)
    assert refused.value.hint or refused.value.expected


@pytest.mark.parametrize(
    ("aims", "given", "said"),
    [
        (Aims(search=True, sweep=5), {"slo": SLO}, "--search and --sweep exclude each other"),
        (Aims(search=True), {}, "--search needs --slo"),
        (Aims(search=True), {"slo": "ttft_ms<=5"}, "--search needs a term that a load as a whole keeps"),
        (Aims(search=True), {"slo": SLO, "concurrency": 2}, "--search sends at rates of its own"),
        (Aims(sweep=5), {"requests": 2}, "--sweep sends at rates of its own"),
        (Aims(sweep=5), {"stages": "1:1"}, "--sweep sends at rates of its own"),
    ],
)
def test_contradictions_of_several_rates(aims: Aims, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        options(aims, **given)
    assert said in str(refused.value)


def test_what_holds_where_nothing_is_said() -> None:
    assert options() == LoadOptions(duration_s=10.0)
    assert options(requests=5).duration_s is None
    assert options(stages="5:1").duration_s is None
    assert options(replay=Path("t")).duration_s is None
    assert options(replay=Path("t"), duration_s=3.0).duration_s == 3.0
    assert options(load_warmup=3).warmup == 3
    assert options(Aims(search=True), slo=SLO).duration_s == 120.0
    assert options(Aims(sweep=3)).duration_s == 30.0
    assert options(Aims(sweep=3), arrival="constant").arrival == "constant"


@pytest.mark.parametrize(
    "flags",
    [
        ("--search",),
        ("--rate", "5", "--stages", "1:1"),
        ("--dialect-of", "wrk"),
        ("--sweep", "1"),
        ("--sweep", "3", "--plan-only"),
        ("--sweep", "3", "--shard", "0/2"),
        ("--max-error-ratio", "2"),
        ("--workers", "0"),
        ("--replay", "no-such-file.jsonl"),
        ("--extra-body", "{"),
        ("--slo", "ttft_ms.p99<=500"),
        ("--tokenizer", "no-such-tokenizer.json"),
    ],
)
def test_nothing_is_written_of_what_is_refused(flags: tuple[str, ...], call: Call, tmp_path: Path) -> None:
    ended = call("load", "demo:", *flags, "--out", tmp_path / "out")
    assert ended.code == 2
    assert ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("flag", "said"), [("--rate", "'abc' is not a number"), ("--requests", "'abc' is not a whole number")]
)
def test_a_word_where_a_number_is_due(flag: str, said: str, call: Call, tmp_path: Path) -> None:
    ended = call("load", "demo:", flag, "abc", "--out", tmp_path)
    assert (ended.code, said in ended.err) == (2, True), ended.err


def test_a_tokenizer_that_cannot_be_read_is_found_out_before_the_target_is_opened(
    call: Call, tmp_path: Path
) -> None:
    # Nobody listens there.
    flags = ("--tokenizer", tmp_path / "none.json", "--out", tmp_path / "out")
    ended = call("load", "http://127.0.0.1:9/v1", *flags)
    assert ended.code == 2, ended.err
    assert "--tokenizer" in ended.err
    assert not (tmp_path / "out").exists()


def test_a_model_file_that_is_not_there(call: Call, tmp_path: Path) -> None:
    ended = call("load", "nope.onnx", "--out", tmp_path)
    assert ended.code == 2
    assert "no such model file" in ended.err
    assert "--model" not in ended.err


def test_the_help_has_every_flag_in_a_group_in_both_languages(
    call: Call, process: Callable[..., Any]
) -> None:
    english = call("load", "--help").out
    for head in (
        "The load:",
        "The requests:",
        "The target:",
        "What is to be kept:",
        "What it leaves:",
        "Shards:",
    ):
        assert head in english
    for flag in (
        "--rate",
        "--stages",
        "--replay",
        "--slo",
        "--search",
        "--sweep",
        "--input-tokens",
        "--dialect-of",
    ):
        assert f"  {flag}" in english
    assert "Options:" not in english
    chinese = process("-m", "hexgate", "load", "--help", "--lang", "zh").stdout
    assert "按其他工具的定义" in chinese
