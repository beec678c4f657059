"""Levels written by a model over HTTP: only what keeps the question and grows counts; nothing is asked for twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import EvidenceError, Interrupted, TargetFailed, TargetUnusable
from hexgate.study.prompts.check import check_prompts
from hexgate.study.prompts.model import LEDGER_FILE, Made, Making, Missing, fault_of, make_levels
from hexgate.study.prompts.orders import ORDERS, order
from hexgate.study.prompts.padding import Padding
from hexgate.study.prompts.questions import Question
from hexgate.study.prompts.template import read_template
from hexgate.targets.registry import OpenOptions, open_target
from support.scripted import ScriptedServer

QUESTIONS = (
    Question("1", "math", "What is 2 + 2?", "en", {"lang": "en", "reference": "4"}),
    Question("2", "写作", "写一句话。", "zh", {"lang": "zh"}),
)


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    servers: list[ScriptedServer] = []

    def start(**parts: Any) -> ScriptedServer:
        servers.append(ScriptedServer(**parts))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


class Told:
    def __init__(self) -> None:
        self.levels: list[tuple[str, str]] = []
        self.missing: list[Missing] = []

    def made(self, question: Question, level: str) -> None:
        self.levels.append((question.id, level))

    def lacking(self, missing: Missing) -> None:
        self.missing.append(missing)


def inner_of(asked: str) -> str:
    found = re.search(r"<prompt>\n(.*)\n</prompt>", asked, re.DOTALL)
    assert found is not None
    return found[1]


def grown(asked: str) -> str:
    return f"Certainly.\n<prompt>\nAs an expert: {inner_of(asked)}\n</prompt>"


def make(
    server: ScriptedServer,
    folder: Path,
    *,
    questions: Sequence[Question] = QUESTIONS,
    told: Told | None = None,
    padding: Padding | None = None,
    **making: Any,
) -> Made:
    settings = Making(**{"wait": lambda _: None, **making})
    with closing(open_target(server.v1, options=OpenOptions(timeout_s=20))) as target:
        return make_levels(
            questions, target, read_template(None), padding or Padding(), folder, settings, told or Told()
        )


def ledger(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / LEDGER_FILE).read_text("utf-8").splitlines()]


def test_each_level_is_asked_for_as_the_one_before_with_more(
    tmp_path: Path, scripted: Callable[..., ScriptedServer]
) -> None:
    server = scripted(chat=grown)
    told = Told()
    made = make(server, tmp_path, told=told)
    assert made.missing == ()
    assert made.asked == server.asked == 6
    assert told.levels == [(id_, level) for id_ in "12" for level in ("L1", "L2", "L3")]
    first, second = made.rows
    assert first.levels["L0"] == "What is 2 + 2?"
    assert first.levels["L2"] == "As an expert: As an expert: What is 2 + 2?"
    assert first.levels["P"].endswith(f"\n\n{first.levels['L3']}")
    assert second.levels["P"].startswith("世界上")
    assert first.fields == {"lang": "en", "reference": "4"}
    assert check_prompts(made.rows).not_rising == ()
    body = server.bodies[1]
    assert body["messages"][-1]["content"] == order("L2", "en", first.levels["L1"])
    assert body["temperature"] == 0
    assert ORDERS["zh"]["L1"] in server.bodies[3]["messages"][-1]["content"]
    assert [(row["question_id"], row["level"], row["attempts"]) for row in ledger(tmp_path)][:2] == [
        ("1", "L1", 1),
        ("1", "L2", 1),
    ]


def test_what_the_ledger_holds_is_not_asked_for_again(
    tmp_path: Path, scripted: Callable[..., ScriptedServer]
) -> None:
    server = scripted(chat=grown)
    first = make(server, tmp_path)
    again = make(server, tmp_path)
    assert again.rows == first.rows
    assert again.asked == 0
    assert server.asked == 6
    changed = Question("1", "math", "What is 3 + 3?", "en")
    assert make(server, tmp_path, questions=[changed, QUESTIONS[1]]).asked == 3
    # Another rule asks anew, and takes nothing of what is kept.
    assert make(server, tmp_path, max_tokens=99).asked == 6


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("As an expert: What is 2 + 2?", "between <prompt> and </prompt>"),
        ("<prompt>What is 2 + 2? Say why.</prompt> or <prompt>What is 2 + 2? Be quick.</prompt>", "between"),
        ("<prompt></prompt>", "it is empty"),
        ("<prompt>As an expert: what is two and two? Show each step.</prompt>", "word for word"),
        ("<prompt>What is 2 + 2?</prompt>", "it has 14 characters, the level before has 14"),
        ("", "between"),
    ],
)
def test_a_bad_reply_is_asked_for_again_and_then_missing(
    tmp_path: Path, scripted: Callable[..., ScriptedServer], reply: str, reason: str
) -> None:
    server = scripted(chat=lambda asked: reply if "2 + 2" in asked else grown(asked))
    told = Told()
    made = make(server, tmp_path, told=told)
    assert [row.question_id for row in made.rows] == ["2"]
    assert made.missing == tuple(told.missing)
    assert [(one.question.id, one.level) for one in made.missing] == [("1", "L1")]
    assert reason in made.missing[0].reason
    assert server.asked == 3 + 3
    assert [body["temperature"] for body in server.bodies[:3]] == [0, 0.7, 0.7]
    assert len({body["seed"] for body in server.bodies[:3]}) == 3
    kept = ledger(tmp_path)[0]
    assert (kept["text"], kept["attempts"], kept["reply"]) == (None, 3, reply)
    # The same call asks again for what is missing, and for nothing else.
    server.chat = grown
    rest = make(server, tmp_path)
    assert rest.missing == ()
    assert rest.asked == 3


def test_a_good_reply_after_a_bad_one_counts(tmp_path: Path, scripted: Callable[..., ScriptedServer]) -> None:
    replies = ["no", 400]
    server = scripted(chat=lambda asked: replies.pop(0) if replies else grown(asked))
    made = make(server, tmp_path)
    assert made.missing == ()
    assert ledger(tmp_path)[0]["attempts"] == 3


def test_thoughts_before_the_prompt_are_no_part_of_it(
    tmp_path: Path, scripted: Callable[..., ScriptedServer]
) -> None:
    server = scripted(chat=lambda asked: f"<think>Maybe <prompt>this</prompt>?</think>\n{grown(asked)}")
    assert make(server, tmp_path).missing == ()


def test_failures_that_pass_are_waited_out(tmp_path: Path, scripted: Callable[..., ScriptedServer]) -> None:
    failures: list[Any] = [503, None, 429]
    waited: list[float] = []
    server = scripted(chat=lambda asked: failures.pop(0) if failures else grown(asked))
    made = make(server, tmp_path, wait=waited.append)
    assert made.missing == ()
    assert [row["attempts"] for row in ledger(tmp_path)] == [1] * 6
    assert len(waited) == 3
    assert 0.5 <= waited[0] <= 1.0 <= waited[1] <= 2.0 <= waited[2] <= 4.0


@pytest.mark.parametrize(("status", "asked", "words"), [(401, 1, "refuses"), (500, 6, "6 calls in a row")])
def test_a_server_that_will_not_answer_ends_it_and_what_was_made_is_kept(
    tmp_path: Path, scripted: Callable[..., ScriptedServer], status: int, asked: int, words: str
) -> None:
    server = scripted(chat=lambda said: grown(said) if server.asked <= 2 else status)
    with pytest.raises(TargetFailed, match=words):
        make(server, tmp_path)
    assert server.asked == 2 + asked
    assert [row["level"] for row in ledger(tmp_path)] == ["L1", "L2"]
    server.chat = grown
    made = make(server, tmp_path)
    assert made.asked == 4
    assert made.missing == ()


def test_an_interrupt_keeps_what_was_made(tmp_path: Path, scripted: Callable[..., ScriptedServer]) -> None:
    def stop(_: float) -> None:
        raise KeyboardInterrupt

    server = scripted(chat=lambda said: grown(said) if server.asked <= 4 else 503)
    with pytest.raises(Interrupted, match="run the same command again"):
        make(server, tmp_path, wait=stop)
    assert len(ledger(tmp_path)) == 4


def test_a_line_that_was_cut_is_dropped_and_one_of_others_refused(
    tmp_path: Path, scripted: Callable[..., ScriptedServer]
) -> None:
    server = scripted(chat=grown)
    make(server, tmp_path)
    path = tmp_path / LEDGER_FILE
    path.write_bytes(path.read_bytes()[:-20])
    assert make(server, tmp_path).asked == 1
    path.write_bytes(b'{"other": 1}\n' + path.read_bytes())
    with pytest.raises(EvidenceError, match="none of ours"):
        make(server, tmp_path)


def test_level_p_may_be_made_of_the_question(tmp_path: Path, scripted: Callable[..., ScriptedServer]) -> None:
    made = make(scripted(chat=grown), tmp_path, padding=Padding(30, "L0"))
    assert made.rows[0].levels["P"].endswith("\n\nWhat is 2 + 2?")


def test_a_target_without_text_is_refused(tmp_path: Path) -> None:
    with closing(open_target("demo:")) as target, pytest.raises(TargetUnusable, match="gives no text"):
        make_levels(
            QUESTIONS, _without_text(target), read_template(None), Padding(), tmp_path, Making(), Told()
        )


def _without_text(target: Any) -> Any:
    from dataclasses import replace

    return replace(target, generator=None)


def test_spaces_and_line_breaks_of_the_question_may_differ() -> None:
    assert fault_of("Well:\n  What  is\n2 + 2?", "What is 2 + 2?", "What is 2 + 2?") is None
    assert fault_of("What is 2+2? And why, exactly?", "What is 2 + 2?", "What is 2 + 2?") is not None
    assert fault_of("What is 2 + 2?\0 And why?", "What is 2 + 2?", "x") == "it holds a null character"
