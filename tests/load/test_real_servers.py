"""Loads on real servers of language models, each with a tiny random model: `transformers serve` and llama.cpp."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hexgate.load.records import Outcome
from support import llm_servers
from support.command import Ended
from support.load_running import LeftByCommand, undisturbed

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("default")]

Call = Callable[..., Ended]
TOKENS = 8


@pytest.fixture(scope="module")
def transformers_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with llm_servers.transformers_serve(tmp_path_factory.mktemp("transformers")) as served:
        yield served


@pytest.fixture(scope="module")
def llama_cpp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with llm_servers.llama_cpp(tmp_path_factory.mktemp("llama.cpp")) as served:
        yield served


def as_told(ended: Ended, left: LeftByCommand) -> list[dict[str, Any]]:
    """The artifacts: complete, or invalid where a server that computes on every core has left the client too little."""
    assert ended.code in {0, 4}, ended.err
    assert ended.code == 0 or "kept waiting for a processor" in ended.err, ended.err
    return left.assert_told("invalid" if ended.code else "complete")


@pytest.mark.parametrize(("server", "rate_rps"), [("transformers_serve", "8"), ("llama_cpp", "16")])
def test_a_load_with_streams(
    server: str, rate_rps: str, request: pytest.FixtureRequest, call: Call, tmp_path: Path
) -> None:
    url, model = request.getfixturevalue(server)

    def load(out: Path) -> Ended:
        return call(
            *("load", url, "--model", model, "--prompts", "demo:", "--rate", rate_rps, "--requests", "8"),
            *("--warmup", "2", "--max-tokens", str(TOKENS), "--out", out),
        )

    ended, left = undisturbed(load, tmp_path)
    latency, rate = as_told(ended, left)
    rows = left.rows
    timed = rows[~rows["warmup"]]
    assert left.outcomes == {Outcome.OK: 10}
    # By the server's own count, of prompts and of replies.
    assert (timed["output_tokens"] == TOKENS).all()
    assert (timed["prompt_tokens"] > 0).all()
    assert rate["counts"]["succeeded"] == 8
    assert rate["output_tokens_per_s"] > 0.0
    assert (timed["sent_ns"] < timed["first_token_ns"]).all()
    assert (timed["first_token_ns"] <= timed["last_token_ns"]).all()
    assert 0.0 < latency["ttft_p50_ms"] < latency["p99_ms"]
    assert latency["tpot_p50_ms"] > 0.0
    assert len(left.replies) == 10
    assert all(reply["text"] and reply["error"] is None for reply in left.replies)


def test_conversations_with_llama_cpp(llama_cpp: tuple[str, str], call: Call, tmp_path: Path) -> None:
    """What was said before goes along: the second prompt is longer by it."""
    url, model = llama_cpp
    data = tmp_path / "talks.jsonl"
    talks = [{"id": f"t{talk}", "turns": [f"hello {talk}", "and then"]} for talk in range(6)]
    data.write_text("".join(json.dumps(talk) + "\n" for talk in talks), encoding="utf-8")

    def load(out: Path) -> Ended:
        return call(
            *("load", url, "--model", model, "--data", data, "--rate", "16", "--requests", "6"),
            *("--warmup", "0", "--max-tokens", str(TOKENS), "--turns", "2", "--out", out),
        )

    ended, left = undisturbed(load, tmp_path)
    as_told(ended, left)
    turns = left.rows.reshape(6, 2)
    assert (turns["outcome"] == Outcome.OK).all()
    assert (turns["prompt_tokens"][:, 1] > turns["prompt_tokens"][:, 0] + TOKENS).all()
    assert (turns["cached_tokens"] >= 0).all()


def test_lengths_by_the_counts_of_llama_cpp(llama_cpp: tuple[str, str], call: Call, tmp_path: Path) -> None:
    url, model = llama_cpp

    def load(out: Path) -> Ended:
        return call(
            *("load", url, "--model", model, "--input-tokens", "300", "--rate", "16", "--requests", "8"),
            *("--warmup", "0", "--max-tokens", str(TOKENS), "--out", out),
        )

    ended, left = undisturbed(load, tmp_path)
    as_told(ended, left)
    assert left.outcomes == {Outcome.OK: 8}
    prompts = left.rows["prompt_tokens"]
    assert (abs(prompts - 300) <= 30).all(), prompts
