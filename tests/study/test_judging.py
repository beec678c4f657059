"""Replies of a finished study judged over real HTTP: once each, blind, and kept through every end."""

from __future__ import annotations

import ast
import csv
import inspect
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hexgate.cli.errors_zh import error_in_chinese
from hexgate.errors import EvidenceError, InputError, TargetFailed
from hexgate.scorers import judge_pace, judge_reply
from hexgate.study.quality.judging import JudgedStudy, Judging, judge_study
from hexgate.study.reading import read_study
from support.finished import FAILED, Finished, finished_study
from support.judge_server import Asked, JudgeServer, Says, grades

HAN = re.compile("[\u4e00-\u9fff]")
UNLIKE = 6
"""Replies that differ, silent and failed ones left out: one of the garden, four of the train, one program."""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_pace, "_BASE_S", 0.001)


@pytest.fixture
def done(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished_study(tmp_path_factory.getbasetemp()).copy(tmp_path / "done")


def good(asked: Asked) -> str:
    """Grades that depend on the answer alone."""
    return grades(2.5 if "green" in asked.answer else 1, 1.5, 2, 0.5)


def judged(study: Finished, server: JudgeServer, *, tasks: tuple[str, ...] = (), **block: Any) -> JudgedStudy:
    stated = {"target": server.v1, "model": "judge-1", "repeat_share": 0.0, "concurrency": 1, **block}
    return judge_study(study.out, None, Judging(tasks), study.spec_with(judge=stated))


def marks(study: Finished) -> dict[tuple[str, str, int], dict[str, Any]]:
    """The mark of each run that has one, by model, item and run."""
    return {
        (record["model"], record["item"], record["run"]): record["quality"]["judge"]
        for record in read_study(study.out).records
        if "judge" in record["quality"]
    }


def test_each_reply_has_its_scores_in_the_records_and_the_table(done: Finished) -> None:
    seen: list[tuple[int, int]] = []
    with JudgeServer(good) as server:
        spec = done.spec_with(judge={"target": server.v1, "model": "judge-1", "repeat_share": 1.0})
        found = judge_study(done.out, lambda count, of: seen.append((count, of)), Judging(), spec)
        assert len(server.asked) == 3 * UNLIKE
    assert seen == [(count, 3 * UNLIKE) for count in range(1, 3 * UNLIKE + 1)]
    assert (found.stopped, found.without, found.left) == (None, 0, 0)
    given = marks(done)
    assert len(given) == 20
    dimensions = {"factuality": 2.5, "helpfulness": 1.5, "structure": 2.0, "conciseness": 0.5}
    mark = given["alpha", "garden", 1]
    assert (mark["value"], mark["reason"]) == (6.5, None)
    assert {name: mark["parts"][name] for name in dimensions} == dimensions
    assert mark["parts"]["total_without_conciseness"] == 6.0
    assert mark["parts"]["rationales"] == {name: f"why {name}" for name in dimensions}
    assert mark["parts"]["repeats"] == [dimensions] * 3
    assert mark["parts"]["language"] == "en"
    assert given["beta", "silent", 2] == {
        "value": None,
        "reason": "empty answer",
        "parts": {"language": "en"},
    }
    assert given["beta", "broken", 1] == {"value": None, "reason": FAILED, "parts": {}}
    with done.table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["quality_judge"] for row in rows) == {"6.5": 4, "5.0": 8, "": 8}
    assert {row["quality_judge_conciseness"] for row in rows} == {"0.5", ""}
    assert [(tally.model, tally.mean, tally.count) for tally in found.tallies] == [
        (name, pytest.approx(5.5), 6) for name in ("alpha", "beta")
    ]


def test_its_file_has_bill_and_noise_and_no_text(done: Finished) -> None:
    prices = {"input_per_million": 1.0, "output_per_million": 10.0}
    with JudgeServer(good) as server:
        judged(done, server, repeat_share=1.0, prices=prices)
    found = json.loads((done.out / "judge.json").read_text("utf-8"))
    assert (found["schema"], found["study"], found["stopped"]) == ("hexgate/study-judge/1", "small", None)
    assert (found["judge"]["model"], found["rubric"]["version"]) == ("judge-1", "hexgate-judge/1")
    assert (found["bill"]["calls"], found["bill"]["cost"]) == (18, pytest.approx(18 * 0.002))
    assert found["noise"]["total"] == {"sd": 0.0, "answers": 12}
    assert found["missing"] == {"empty answer": 4}
    assert "why" not in json.dumps(found)
    assert "garden" not in json.dumps(found)


def test_the_judge_is_blind_and_is_sent_nothing_of_failed_and_silent_runs(done: Finished) -> None:
    with JudgeServer(good) as server:
        judged(done, server)
    sent = [asked.body["messages"][-1]["content"] for asked in server.asked]
    assert not any(word in text for text in sent for word in ("alpha", "beta", "usual", "tiny"))
    assert not any("Break down." in text or "Say nothing." in text for text in sent)
    assert sum("On rails." in text for text in sent) == 4


def test_nothing_is_asked_or_marked_twice(done: Finished) -> None:
    with JudgeServer(good) as server:
        judged(done, server)
        asked, rows, table = len(server.asked), done.rows(), done.table.read_bytes()
        judged(done, server)
    assert asked == UNLIKE
    assert len(server.asked) == asked
    assert (done.rows(), done.table.read_bytes()) == (rows, table)


def test_only_the_tasks_that_are_named_are_judged(done: Finished) -> None:
    with JudgeServer(good) as server:
        judged(done, server, tasks=("code",))
        assert {item for _, item, _ in marks(done)} == {"twice"}
        assert len(server.asked) == 1
        found = judge_study(
            done.out,
            None,
            Judging(),
            done.spec_with(judge={"target": server.v1, "model": "judge-1", "tasks": "talk", "repeats": 1}),
        )
    assert len(marks(done)) == 20
    assert [tally.count for tally in found.tallies] == [4, 4]


def test_a_judge_that_fails_on_the_way_keeps_what_it_said_and_goes_on_later(
    done: Finished, tmp_path: Path
) -> None:
    straight = done.copy(tmp_path / "straight")
    broken = True
    calls: list[Asked] = []

    def script(asked: Asked) -> Says:
        calls.append(asked)
        return Says("no", status=401) if broken and len(calls) > 3 else Says(good(asked))

    with JudgeServer(script) as server:
        first = judged(done, server)
        assert isinstance(first.stopped, TargetFailed)
        assert first.without > 0
        before = marks(done)
        # Settled are the three that were judged, and what is never sent.
        assert len({mark["value"] for mark in before.values()} - {None}) >= 1
        assert sum(mark["value"] is None for mark in before.values()) == 8
        assert len(before) < 20
        assert json.loads((done.out / "judge.json").read_text("utf-8"))["stopped"] == first.stopped.what
        broken = False
        rest = judged(done, server)
        assert (rest.stopped, rest.without) == (None, 0)
        judged(straight, server)
    assert marks(done) == marks(straight)
    assert done.table.read_bytes() == straight.table.read_bytes()
    assert Counter(row["run_id"] for row in done.rows() if row["event"] == "mark").most_common(1)[0][1] == 1


def test_a_reply_that_cannot_be_read_is_no_score(done: Finished) -> None:
    with JudgeServer(lambda asked: "I like it." if "green" in asked.answer else good(asked)) as server:
        found = judged(done, server, attempts=2)
    mark = marks(done)["alpha", "garden", 1]
    assert (mark["value"], mark["reason"]) == (None, "no reply that can be read in 2: no JSON object")
    assert (found.without, found.stopped) == (4, None)
    assert found.tallies[0].mean == pytest.approx(5.0)


def test_a_budget_ends_it_and_more_lets_it_go_on(done: Finished) -> None:
    # A call costs 0.0011 by the server's counts; before it is sent it may cost one for each byte and token.
    prices = {"input_per_million": 1.0, "output_per_million": 1.0}
    with JudgeServer(good) as server:
        short = judged(done, server, prices=prices, budget=0.009)
        assert isinstance(short.stopped, EvidenceError)
        assert 0 < len(server.asked) < UNLIKE
        assert short.without > 0
        more = judged(done, server, prices=prices, budget=1.0)
    assert (more.stopped, more.without) == (None, 0)
    assert len(server.asked) == UNLIKE


def test_a_judge_that_gives_no_score_takes_none_away(done: Finished) -> None:
    with JudgeServer(good) as server:
        judged(done, server)
    before, file = marks(done), (done.out / "judge.json").read_bytes()
    with JudgeServer(lambda _: Says(None, status=401)) as server:
        silent = judged(done, server, model="judge-2")
    assert isinstance(silent.stopped, TargetFailed)
    assert silent.tallies == ()
    assert marks(done) == before
    assert (done.out / "judge.json").read_bytes() == file


def test_another_judge_begins_anew_and_never_gets_the_key_of_the_first(
    done: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRST_KEY", "sk-first")
    with JudgeServer(good) as server, JudgeServer(lambda _: grades(0, 0, 0, 0)) as other:
        judged(done, server, api_key_env="FIRST_KEY")
        assert {asked.headers.get("authorization") for asked in server.asked} == {"Bearer sk-first"}
        spec = done.spec_with(
            judge={"target": server.v1, "model": "judge-1", "api_key_env": "FIRST_KEY", "tasks": "talk"}
        )
        judging = Judging(target=other.v1, model="judge-2", settings={"concurrency": 1})
        judge_study(done.out, None, judging, spec)
        assert {asked.headers.get("authorization") for asked in other.asked} == {None}
        given = marks(done)
        assert {item for _, item, _ in given} == {"garden", "train", "silent", "broken"}
        assert given["alpha", "garden", 1]["value"] == 0.0
        # Back at the first one its ledger has everything.
        count = len(server.asked)
        judged(done, server, api_key_env="FIRST_KEY")
        assert len(server.asked) == count
    assert marks(done)["alpha", "garden", 1]["value"] == 6.5
    assert "sk-first" not in "".join(
        path.read_text("utf-8") for path in done.out.rglob("*") if path.suffix in {".jsonl", ".json", ".csv"}
    )


@pytest.mark.parametrize(
    ("judging", "said"),
    [
        (Judging(), "the study names no judge"),
        (Judging(target="http://127.0.0.1:9/v1"), "--target needs --model"),
        (Judging(model="judge-1"), "--model needs --target"),
        (Judging(("talks",), "http://127.0.0.1:9/v1", "m"), "did you mean talk?"),
        (Judging((), "ollama://127.0.0.1/m", "m"), "asked over HTTP"),
        (Judging((), "http://127.0.0.1:9/v1", "m", "NO_SUCH_KEY"), "NO_SUCH_KEY is not set"),
        (Judging((), "http://127.0.0.1:9/v1", "m", settings={"budget": 1.0}), "a budget needs prices"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(done: Finished, judging: Judging, said: str) -> None:
    with pytest.raises(InputError) as caught:
        judge_study(done.out, None, judging)
    assert said in str(caught.value)
    assert marks(done) == {}


def test_every_reason_why_a_reply_cannot_be_read_has_a_twin() -> None:
    found = set()
    for node in ast.walk(ast.parse(inspect.getsource(judge_reply))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Malformed":
            for text in _texts(node.args[0]):
                found.add(f"no reply that can be read in 3: {text}")
    assert len(found) > 15
    assert sorted(one for one in found if re.search("[a-z]{4} [a-z]{2}", error_in_chinese(one))) == []
    for one in ("empty answer", "no question", "not judged yet", "the budget is used up"):
        assert HAN.search(error_in_chinese(one))


def _texts(part: ast.expr) -> list[str]:
    if isinstance(part, ast.IfExp):
        return [*_texts(part.body), *_texts(part.orelse)]
    if isinstance(part, ast.JoinedStr):
        return ["".join(str(one.value) if isinstance(one, ast.Constant) else "7" for one in part.values)]
    assert isinstance(part, ast.Constant)
    return [str(part.value)]
