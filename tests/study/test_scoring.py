"""Runs of a finished study marked by measures: once each, under one identity, kept through every end."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError, Interrupted, MissingExtra
from hexgate.scorers import sandbox
from hexgate.scorers.quality import Item, open_quality
from hexgate.scorers.sandbox import Unavailable
from hexgate.study.lines import lock_folder
from hexgate.study.quality.scoring import Scored, Scoring, score_study
from hexgate.study.reading import read_study
from support.finished import FAILED, RUNS, Finished, finished_study
from support.sandboxes import a_sandbox

F1 = {"measure": "token_f1"}


class Watching:
    """Remembers what it was told; may raise once so many runs are marked."""

    def __init__(self, *, stop_at: int | None = None) -> None:
        self.begun: list[tuple[str, int, int]] = []
        self.count = 0
        self._stop_at = stop_at

    def begin(self, measure: str, due: int, done: int) -> None:
        self.begun.append((measure, due, done))

    def marked(self, count: int) -> None:
        self.count += count
        if self._stop_at is not None and self.count >= self._stop_at:
            raise KeyboardInterrupt


@pytest.fixture
def done(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished_study(tmp_path_factory.getbasetemp()).copy(tmp_path / "done")


def score(study: Finished, *quality: dict[str, Any], stop_at: int | None = None, **scoring: Any) -> Scored:
    spec = study.spec_with(quality=list(quality)) if quality else None
    return score_study(study.out, Watching(stop_at=stop_at), Scoring(**scoring), spec)


def marks(study: Finished, measure: str) -> dict[tuple[str, str, int], dict[str, Any] | None]:
    """The mark of each run, by model, item and run."""
    return {
        (record["model"], record["item"], record["run"]): record["quality"].get(measure)
        for record in read_study(study.out).records
    }


def values(study: Finished, measure: str, item: str) -> list[float | None]:
    found = marks(study, measure)
    return [
        mark["value"] for (_, name, _), mark in sorted(found.items()) if name == item and mark is not None
    ]


def test_each_run_has_its_mark_in_the_ledger_the_records_and_the_table(done: Finished) -> None:
    scored = score(done, {**F1, "tasks": ["talk"]}, {"measure": "repetition", "options": {"n": 1}})
    assert (scored.given, scored.unable, scored.stopped, scored.left) == (16 + RUNS, {}, None, 0)
    assert values(done, "token_f1", "garden") == [1.0] * 4
    assert values(done, "token_f1", "train") == [pytest.approx(2 / 3)] * 4
    assert values(done, "token_f1", "silent") == [0.0] * 4
    assert values(done, "token_f1", "twice") == []
    assert values(done, "repetition", "silent") == [None] * 4
    for record in read_study(done.out).records:
        if record["item"] == "broken":
            assert record["quality"]["token_f1"] == {"value": None, "reason": FAILED, "parts": {}}
            assert record["missing"]["quality.token_f1.value"] == FAILED
    with done.table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["quality_token_f1"] for row in rows) == {
        "1.0": 4,
        "0.6666666666666666": 4,
        "0.0": 4,
        "": 8,
    }
    for row in rows:
        raw = json.loads((done.out / row["raw_file"]).read_text("utf-8"))
        assert ("token_f1" in raw["quality"]) == (raw["task"] == "talk")
    one = next(tally for tally in scored.tallies if (tally.measure, tally.model) == ("token_f1", "alpha"))
    assert (one.mean, one.count, one.missing, one.unmarked) == (pytest.approx(5 / 9), 6, {FAILED: 2}, 0)


def test_nothing_is_marked_twice_unless_it_is_asked_for(done: Finished) -> None:
    score(done, F1)
    before = done.rows()
    again = score(done, F1)
    assert (again.given, done.rows()) == (0, before)
    assert score(done, F1, again=True).given == RUNS
    assert len(done.rows()) == len(before) + RUNS


def test_with_other_options_all_are_marked_anew_and_the_old_marks_count_no_more(done: Finished) -> None:
    score(done, {"measure": "repetition", "options": {"n": 1}})
    assert values(done, "repetition", "garden") == [0.0] * 4
    score(done, {"measure": "repetition", "options": {"n": 4}}, tasks=("code",))
    assert values(done, "repetition", "garden") == []
    assert len(values(done, "repetition", "twice")) == 4
    assert score(done, {"measure": "repetition", "options": {"n": 4}}).given == RUNS - 4
    assert values(done, "repetition", "garden") == [None] * 4


def test_a_field_of_references_is_named(done: Finished) -> None:
    contains = {"measure": "contains", "tasks": "talk", "references": "answers"}
    score(done, contains)
    found = marks(done, "contains")
    reasons = {item: mark["reason"] for (_, item, _), mark in found.items() if mark is not None}
    assert values(done, "contains", "garden") == [1.0] * 4
    assert reasons["train"] == "its answers is neither a text nor a list of texts"
    assert reasons["silent"] == "no references"
    # Held against another field, it is another measure.
    assert score(done, {**contains, "references": "reference"}).given == 16
    assert values(done, "contains", "train") == [1.0] * 4
    with pytest.raises(InputError, match=r"no item has this field.*did you mean answers\?"):
        score(done, {**contains, "references": "answer"})


def test_a_measure_that_the_study_does_not_name_is_taken_without_options(done: Finished) -> None:
    assert score(done, measures=("distinct",), tasks=("code",)).given == 4
    assert score(done, F1, measures=("token_f1", "token_f1")).given == RUNS


@pytest.mark.parametrize(
    ("quality", "scoring", "said"),
    [
        ([], {}, "the study names no measure of quality"),
        ([F1], {"tasks": ("talks",)}, "did you mean talk?"),
        ([{**F1, "tasks": ["talk"]}], {"tasks": ("code",)}, "none of the measures is for these tasks"),
        ([], {"measures": ("bart_score",)}, "did you mean 'bartscore'?"),
        ([], {"measures": ("judge",)}, "hexgate study judge"),
        ([F1, {"measure": "distinct", "options": {"m": 2}}], {}, "distinct has no option 'm'"),
        ([F1, {"measure": "bartscore", "options": {"checkpoint": "none"}}], {}, "no checkpoint"),
    ],
)
def test_a_mistake_is_told_before_anything_is_marked(
    done: Finished, quality: list[dict[str, Any]], scoring: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError) as caught:
        score(done, *quality, **scoring)
    assert said in str(caught.value)
    assert done.rows() == []


def test_a_folder_without_a_study_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "none"):
        with pytest.raises(InputError, match="the folder holds no study"):
            score_study(folder, Watching(), Scoring(("distinct",)))
    assert list((tmp_path / "empty").iterdir()) == []
    assert not (tmp_path / "none").exists()


def test_while_the_study_runs_nothing_is_marked(done: Finished) -> None:
    with (
        closing(lock_folder(done.out)),
        pytest.raises(InputError, match="another process is at work in this folder"),
    ):
        score(done, F1)
    assert score(done, F1).given == RUNS


def test_the_file_of_another_study_is_refused(done: Finished) -> None:
    with pytest.raises(InputError, match="another study than the folder holds"):
        score_study(done.out, Watching(), Scoring(("distinct",)), done.spec_with(seed=8))


def test_a_missing_package_leaves_the_others_done(done: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    scored = score(done, {"measure": "rouge"}, F1)
    assert isinstance(scored.unable["rouge"], MissingExtra)
    assert scored.given == RUNS
    assert {row["measure"] for row in done.rows()} == {"token_f1"}
    assert [tally.unmarked for tally in scored.tallies if tally.measure == "rouge"] == [10, 10]


def test_without_a_sandbox_no_program_has_a_mark(done: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_probed", lambda _: Unavailable("no user namespaces", "allow them"))
    scored = score(done, {"measure": "code_tests", "tasks": ["code"]}, F1)
    assert list(scored.unable) == ["code_tests"]
    assert "programs cannot be run safely here" in str(scored.unable["code_tests"])
    assert set(values(done, "code_tests", "twice")) == set()
    assert values(done, "token_f1", "garden") == [1.0] * 4


def test_programs_are_run_with_the_tests_of_their_items(done: Finished) -> None:
    a_sandbox()
    score(done, {"measure": "code_tests"})
    found = marks(done, "code_tests")
    mark = found["alpha", "twice", 1]
    assert mark is not None
    assert (mark["value"], mark["parts"]["outcome"]) == (1.0, "passed")
    assert values(done, "code_tests", "twice") == [1.0] * 4
    talk = found["alpha", "garden", 1]
    assert talk is not None
    assert (talk["value"], talk["reason"]) == (None, "it has no tests, and no task has its id or its prompt")


def test_tests_in_a_file_are_found_by_the_items_id(done: Finished) -> None:
    a_sandbox()
    task = {"id": "garden", "prompt": "Another prompt.", "tests": "assert True"}
    (done.folder / "tasks.jsonl").write_text(json.dumps(task), encoding="utf-8")
    score(done, {"measure": "code_tests", "tasks": "talk", "options": {"tasks": "tasks.jsonl"}})
    mark = marks(done, "code_tests")["beta", "garden", 2]
    assert mark is not None
    assert (mark["value"], mark["parts"]["task"], mark["parts"]["outcome"]) == (0.0, "garden", "no_code")
    assert values(done, "code_tests", "train") == [None] * 4


def test_an_interrupt_keeps_what_is_marked_and_the_next_call_goes_on(done: Finished, tmp_path: Path) -> None:
    straight = done.copy(tmp_path / "straight")
    score(straight, F1, {"measure": "distinct"})
    stopped = score(done, F1, {"measure": "distinct"}, stop_at=7)
    assert isinstance(stopped.stopped, Interrupted)
    assert stopped.given == 7
    with done.table.open(encoding="utf-8", newline="") as file:
        assert "quality_token_f1" in next(csv.reader(file))
    assert score(done, F1, {"measure": "distinct"}).given == 2 * RUNS - 7
    assert done.table.read_bytes() == straight.table.read_bytes()


def half(study: Finished, keep: Callable[[dict[str, Any]], bool]) -> bytes:
    """Leave only some runs in the study, as if the others were still to be made. Returns what stood there."""
    path = study.out / "runs.jsonl"
    whole = path.read_bytes()
    lines = [line for line in whole.splitlines(keepends=True) if keep(json.loads(line))]
    path.write_bytes(b"".join(lines))
    return whole


@pytest.mark.parametrize("stop_at", [None, 1])
def test_marks_that_depend_on_other_replies_are_given_again_when_these_come(
    done: Finished, tmp_path: Path, stop_at: int | None
) -> None:
    straight = done.copy(tmp_path / "straight")
    score(straight, {"measure": "self_bleu"})
    whole = half(done, lambda row: row["run"] == 1)
    first = score(done, {"measure": "self_bleu"})
    assert (first.given, first.left) == (RUNS // 2, RUNS // 2)
    assert values(done, "self_bleu", "garden") == [None, None]
    (done.out / "runs.jsonl").write_bytes(whole)
    if stop_at is not None:
        score(done, {"measure": "self_bleu"}, stop_at=stop_at)
    score(done, {"measure": "self_bleu"})
    assert marks(done, "self_bleu") == marks(straight, "self_bleu")
    # The replies of the other model are none of the others that a reply is held against.
    alone = open_quality("self_bleu").score([Item("1", "p", f"It runs {n} times.") for n in (1, 2)])
    times = [record["generated_text"] for record in read_study(done.out).records if record["item"] == "train"]
    assert len(set(times)) == 4
    same = open_quality("self_bleu").score([Item("1", "p", "It is green.")] * 2)
    assert values(done, "self_bleu", "garden") == [pytest.approx(one.value) for one in (*same, *same)]
    assert values(done, "self_bleu", "train") == [pytest.approx(one.value) for one in (*alone, *alone)]


PROGRAM = """
import sys, time
from pathlib import Path
from hexgate.study.quality.scoring import Scoring, score_study

class Watching:
    count = 0
    def begin(self, measure, due, done):
        pass
    def marked(self, count):
        self.count += count
        if self.count == int(sys.argv[2]):
            print("here", flush=True)
            time.sleep(600)

score_study(Path(sys.argv[1]), Watching(), Scoring(("token_f1", "repetition")))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("count", [1, 20, 33])
def test_after_a_kill_the_rest_is_marked_and_nothing_twice(
    done: Finished, tmp_path: Path, count: int
) -> None:
    straight = done.copy(tmp_path / "straight")
    score(straight, measures=("token_f1", "repetition"))
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(done.out), str(count)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "here\n"
    child.kill()
    child.communicate()
    # A mark that the kill cut in the middle of its line.
    with (done.out / "quality.jsonl").open("ab") as file:
        file.write(b'{"event":"mark","measure":"rep')
    rest = score(done, measures=("token_f1", "repetition"))
    assert rest.given == 2 * RUNS - count
    given = Counter((row["run_id"], row["measure"]) for row in done.rows() if row["event"] == "mark")
    assert len(given) == 2 * RUNS
    assert set(given.values()) == {1}
    assert done.table.read_bytes() == straight.table.read_bytes()
