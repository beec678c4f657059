from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hexgate.datasets.conversations import Conversation, conversations
from hexgate.datasets.prompts import read_prompts
from hexgate.errors import DataError, InputError

MT_BENCH = Path(__file__).parents[3] / "shared/data/mt_bench/question.jsonl"
USER, ASSISTANT = {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}


def file_of(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "talks.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_turns_and_messages_give_the_same(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "And "}, {"type": "text", "text": "then?"}]
    path = file_of(
        tmp_path,
        {"id": "a", "turns": ["Why?", "And then?", "Sure?"]},
        {
            "id": "b",
            "messages": [
                {"role": "system", "content": "Be short."},
                USER,
                ASSISTANT,
                {"role": "user", "content": parts},
                {"role": "assistant", "content": None},
            ],
        },
        {"id": "c", "prompt": "Alone"},
    )
    prompts = read_prompts(path, messages=True)
    assert conversations(prompts.prompts, 2, where="x") == (
        [
            Conversation("a", None, ("Why?", "And then?")),
            Conversation("b", "Be short.", ("Why?", "And then?")),
        ],
        1,
    )
    assert len(conversations(prompts.prompts, 1, where="x")[0]) == 3


def test_none_left_and_none_asked(tmp_path: Path) -> None:
    prompts = read_prompts(file_of(tmp_path, {"turns": ["a", "b"]}))
    with pytest.raises(InputError, match="no conversation has 3 turns; got 2 in the longest"):
        conversations(prompts.prompts, 3, where="x")
    with pytest.raises(InputError, match="at least one turn"):
        conversations(prompts.prompts, 0, where="x")


SHAREGPT = [
    {
        "id": "k_0",
        "conversations": [
            {"from": "system", "value": "Be short."},
            {"from": "human", "value": "Why?"},
            {"from": "gpt", "value": "So."},
            {"from": "human", "value": " "},
            {"from": "user", "value": "And then?"},
        ],
    },
    {"id": "k_0", "conversations": [{"from": "gpt", "value": "Go on."}, {"from": "human", "value": "No."}]},
    {"id": "k_1", "conversations": [{"from": "gpt", "value": "Alone."}]},
    {"id": "k_2", "conversations": []},
]


def test_sharegpt(tmp_path: Path) -> None:
    path = tmp_path / "ShareGPT.json"
    path.write_text(json.dumps(SHAREGPT), "utf-8")
    for messages in (True, False):
        found = read_prompts(path, messages=messages)
        assert found.prompts_total == 4
        assert [(one.id, one.system, one.turns) for one in found.prompts] == [
            ("0", "Be short.", ("Why?", "And then?")),
            ("1", None, ("No.",)),
        ]
    assert conversations(found.prompts, 2, where="x") == (
        [Conversation("0", "Be short.", ("Why?", "And then?"))],
        1,
    )
    path.write_text(json.dumps(SHAREGPT[2:]), "utf-8")
    with pytest.raises(DataError, match="no human says anything"):
        read_prompts(path)
    path.write_text(json.dumps([{"conversations": [{"role": "user", "content": "Why?"}]}]), "utf-8")
    with pytest.raises(DataError, match="not a list of messages with 'from' and 'value'"):
        read_prompts(path)


BAD = {
    "no list": ("hello", "is not a list"),
    "no user": ([{"role": "system", "content": "a"}], "no message of a user"),
    "empty": ([], "no message of a user"),
    "role": ([USER, {"role": "tool", "content": "a"}], r"messages\[1\] has not the role"),
    "string": (["hello"], r"messages\[0\] has not the role"),
    "no text": ([{"role": "user", "content": 3}], "has no text"),
    "image": ([{"role": "user", "content": [{"type": "image_url"}]}], "has no text"),
    "late system": ([USER, {"role": "system", "content": "a"}], "does not come first"),
    "surrogate": ([{"role": "user", "content": "\ud800"}], "surrogate"),
    "system surrogate": ([{"role": "system", "content": "\ud800"}, USER], "surrogate"),
}


@pytest.mark.parametrize("name", BAD)
def test_messages_that_are_none_are_named(tmp_path: Path, name: str) -> None:
    messages, said = BAD[name]
    with pytest.raises(DataError, match=said):
        read_prompts(file_of(tmp_path, {"messages": messages}), messages=True)


def test_whoever_does_not_send_a_system_message_takes_no_messages(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no prompt"):
        read_prompts(file_of(tmp_path, {"messages": [USER]}))


@pytest.mark.skipif(not MT_BENCH.exists(), reason="the questions of MT-Bench are not here")
def test_the_questions_of_mt_bench_have_two_turns() -> None:
    found, left_out = conversations(read_prompts(MT_BENCH, messages=True).prompts, 2, where="x")
    assert (len(found), left_out) == (80, 0)
    assert found[0].id == "81"
    assert found[0].turns[1].startswith("Rewrite your previous response.")
