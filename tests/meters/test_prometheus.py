from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.meters.prometheus import Endpoint, NotPrometheus
from hexgate.meters.server_words import KNOWN, PREFIXES, ServerWord, meaning_of
from support.metrics_server import SYNTHETIC

WORDS = {
    "vllm": {
        ServerWord.RUNNING: 3,
        ServerWord.WAITING: 2,
        ServerWord.KV_CACHE: 0.25,
        ServerWord.PREEMPTIONS: 1,
        ServerWord.PROMPT_TOKENS: 1000,
        ServerWord.GENERATION_TOKENS: 500,
    },
    "sglang": {
        ServerWord.RUNNING: 161,
        ServerWord.WAITING: 2826,
        ServerWord.KV_CACHE: 0.28,
        ServerWord.PREEMPTIONS: 4,
        ServerWord.PROMPT_TOKENS: 8_128_902,
        ServerWord.GENERATION_TOKENS: 7_557_572,
    },
    "tgi": {
        ServerWord.RUNNING: 8,
        ServerWord.WAITING: 5,
        ServerWord.PROMPT_TOKENS: 512,
        ServerWord.GENERATION_TOKENS: 256,
    },
    "llamacpp": {
        ServerWord.RUNNING: 1,
        ServerWord.WAITING: 0,
        ServerWord.KV_CACHE: 0.125,
        ServerWord.PROMPT_TOKENS: 120,
        ServerWord.GENERATION_TOKENS: 640,
    },
    "triton": {ServerWord.RUNNING: 6, ServerWord.WAITING: 2, ServerWord.KV_CACHE: 0.5},
}


@pytest.mark.parametrize("server", SYNTHETIC)
def test_each_server_s_series_get_their_common_words(server: str) -> None:
    found = {}
    for series, value in Endpoint().read(SYNTHETIC[server]):
        if meaning := meaning_of(series.name, series.labels):
            assert meaning.word not in found
            found[meaning.word] = value
    assert found == WORDS[server]


def test_every_word_of_the_table_is_of_a_known_server() -> None:
    assert all(name.startswith(PREFIXES) for name in KNOWN)


def _read(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {(series.name, tuple(series.labels.items())): value for series, value in Endpoint().read(text)}


def test_the_format_s_own_corners() -> None:
    text = "\n".join(
        [
            "# a comment",
            "",
            " \t",
            r'a_total{path="C:\\DIR\\",error="Cannot find\nfile: \"x\""} 1.458255915e9',
            'b{empty="",} 2 1395066363000',
            "c  3",
            'd{ x = "y" , z="}{" } 4e-1',
            'f{x="#no comment"} -5',
            "",
        ]
    )
    assert _read(text) == {
        ("a_total", (("path", "C:\\DIR\\"), ("error", 'Cannot find\nfile: "x"'))): 1458255915.0,
        ("b", (("empty", ""),)): 2.0,
        ("c", ()): 3.0,
        ("d", (("x", "y"), ("z", "}{"))): 0.4,
        ("f", (("x", "#no comment"),)): -5.0,
    }


@pytest.mark.parametrize(
    "line",
    [
        "<html>",
        "a",
        "a b",
        "a{b} 1",
        'a{b="c} 1',
        'a{b="c" d="e"} 1',
        "1a 2",
        "a 1_0",
        "a 1 2 3",
        "a " + "1" * 5000,
        "{} 1",
    ],
)
def test_line_that_is_not_in_the_format_is_said(line: str) -> None:
    with pytest.raises(NotPrometheus, match="line 2"):
        Endpoint().read(f"fine 1\n{line}\n")


def test_text_that_breaks_off_is_refused() -> None:
    """The number may have been longer."""
    with pytest.raises(NotPrometheus, match="breaks off"):
        Endpoint().read("a 1\nb 10")


def test_value_that_is_not_finite_is_no_value() -> None:
    assert _read("a NaN\nb +Inf\nc -Inf\nd 1\n") == {("d", ()): 1.0}


def test_other_series_of_a_known_server_are_passed_over() -> None:
    endpoint = Endpoint()
    names = {series.name for series, _ in endpoint.read(SYNTHETIC["vllm"])}
    assert "python_gc_objects_collected_total" not in names
    assert "process_resident_memory_bytes" in names
    assert endpoint.left_out == 0
    assert endpoint.types["vllm:time_to_first_token_seconds"] == "histogram"
    assert endpoint.types["vllm:num_preemptions_total"] == "counter"
    assert "python_gc_objects_collected_total" not in endpoint.types


def test_series_of_an_unknown_server_are_all_kept() -> None:
    assert len(_read("my_server_queue 3\nmy_server_total 4\n")) == 2


def test_series_beyond_the_cap_are_told_and_what_has_a_common_word_goes_first() -> None:
    buckets = "".join(f'vllm:x_bucket{{le="{limit}"}} 1\n' for limit in range(30))
    text = buckets + "vllm:other 1\n" + "vllm:num_requests_running 9\n"
    endpoint = Endpoint(most=10)
    names = [series.name for series, _ in endpoint.read(text)]
    assert {"vllm:num_requests_running", "vllm:other"} < set(names)
    assert names.count("vllm:x_bucket") == 8
    assert (endpoint.kept, endpoint.left_out, endpoint.left_out_names) == (10, 22, ["vllm:x_bucket"])
    # What was kept stays kept, and nothing else is let in.
    assert [series.name for series, _ in endpoint.read("vllm:late 1\n" + text)].count("vllm:late") == 0
    assert endpoint.kept == 10


def test_names_without_end_take_no_memory() -> None:
    endpoint = Endpoint()
    for turn in range(20):
        endpoint.read("".join(f"series_{turn}_{each} 1\n" for each in range(1000)))
    assert endpoint.kept == len(endpoint._kept) == 500
    assert endpoint.left_out == 1000
    assert len(endpoint.left_out_names) == 20
    assert len(endpoint.types) <= 1000


def test_values_are_new_each_time() -> None:
    endpoint = Endpoint()
    assert [value for _, value in endpoint.read('a{b="c"} 1\n')] == [1.0]
    assert [value for _, value in endpoint.read('a{b="c"} 2\n')] == [2.0]
    with pytest.raises(NotPrometheus, match="no number"):
        endpoint.read('a{b="c"} two\n')


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = Endpoint().read(text)
    except NotPrometheus:
        return
    assert all(math.isfinite(value) for _, value in found)


@given(
    st.dictionaries(
        st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True), st.text(max_size=20), max_size=4
    ),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_labels_and_values_come_back_as_they_were_written(labels: dict[str, str], value: float) -> None:
    escaped = {
        name: text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
        for name, text in labels.items()
    }
    block = ",".join(f'{name}="{text}"' for name, text in escaped.items())
    assert [(dict(series.labels), at) for series, at in Endpoint().read(f"m{{{block}}} {value!r}\n")] == [
        (labels, value)
    ]
