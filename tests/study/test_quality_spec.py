"""The blocks `quality` and `judge` of a study's file: what they say, what is refused; and no run is another by them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError
from hexgate.resources import shipped
from hexgate.scorers.quality import Item, open_quality
from hexgate.study.items import read_cells
from hexgate.study.quality.spec import JudgedBy, QualitySpec
from hexgate.study.spec import Spec
from hexgate.study.spec_file import read_spec
from support.sandboxes import a_sandbox
from support.studies import write_study

JUDGE = {"target": "http://127.0.0.1:9/v1", "model": "judge-1"}


def read(folder: Path, **blocks: Any) -> Spec:
    return read_spec(write_study(folder, **blocks))


def test_a_study_needs_neither(tmp_path: Path) -> None:
    spec = read(tmp_path)
    assert (spec.quality, spec.judge) == ((), None)
    assert read(tmp_path, quality=[], judge=None) == spec


def test_a_measure_has_tasks_references_and_options(tmp_path: Path) -> None:
    first = {"measure": "token_f1", "tasks": "talk", "references": "answers", "options": {"variant": "squad"}}
    spec = read(tmp_path, quality=[first, {"measure": "repetition"}])
    assert spec.quality == (
        QualitySpec("token_f1", ("talk",), "answers", {"variant": "squad"}),
        QualitySpec("repetition"),
    )
    assert [one.covers("code") for one in spec.quality] == [False, True]


@pytest.mark.parametrize(
    ("measure", "option"), [("bartscore", "checkpoint"), ("bertscore", "checkpoint"), ("code_tests", "tasks")]
)
def test_a_path_is_relative_to_the_studys_file(tmp_path: Path, measure: str, option: str) -> None:
    spec = read(tmp_path, quality=[{"measure": measure, "options": {option: "there", "wall_s": 3}}])
    assert spec.quality[0].options == {option: str(tmp_path / "there"), "wall_s": 3}
    spec = read(tmp_path, quality=[{"measure": measure, "options": {option: str(tmp_path)}}])
    assert spec.quality[0].options == {option: str(tmp_path)}
    assert read(tmp_path, quality=[{"measure": measure, "options": {option: ""}}]).quality[0].options == {
        option: ""
    }


def test_a_judge_has_the_fields_of_the_judge(tmp_path: Path) -> None:
    settings = {
        "language": "zh",
        "temperature": 0.5,
        "seed": 3,
        "repeats": 2,
        "repeat_share": 0.25,
        "rpm": 30.0,
        "concurrency": 2,
        "max_tokens": 300,
        "timeout_s": 20.0,
        "attempts": 2,
        "tries": 4,
        "most_wait_s": 9.0,
        "prices": {"input_per_million": 1.0, "output_per_million": 2.0, "currency": "CNY"},
        "budget": 4.0,
        "options": {"top_k": 1},
    }
    block = {**JUDGE, "api_key_env": "JUDGE_KEY", "tasks": ["talk"], **settings}
    judge = read(tmp_path, judge=block).judge
    assert judge == JudgedBy(JUDGE["target"], "judge-1", "JUDGE_KEY", ("talk",), settings)
    asked = judge.judge_spec()
    assert (asked.endpoint, asked.model, asked.key_env) == (JUDGE["target"], "judge-1", "JUDGE_KEY")
    assert asked.prices is not None
    assert (asked.prices.output_per_million, asked.prices.currency) == (2.0, "CNY")
    plain = {name: value for name, value in settings.items() if name != "prices"}
    assert {name: getattr(asked, name) for name in plain} == plain


def test_the_blocks_stand_in_the_head_and_change_no_digest(tmp_path: Path) -> None:
    plain = read(tmp_path)
    prices = {"input_per_million": 1.0, "output_per_million": 2.0}
    spec = read(
        tmp_path,
        quality=[{"measure": "distinct", "tasks": ["talk"], "options": {"n": 3}}],
        judge={**JUDGE, "prices": prices, "budget": 1.5, "tasks": "talk"},
    )
    assert spec.sha256() == plain.sha256()
    head = json.loads(json.dumps(spec.to_json()))
    again = Spec.from_json(head)
    assert (again.quality, again.judge) == (spec.quality, spec.judge)
    del head["quality"], head["judge"]
    older = Spec.from_json(head)
    assert (older.quality, older.judge) == ((), None)


@pytest.mark.parametrize(
    ("blocks", "place", "said"),
    [
        ({"quality": {}}, "quality", "not a list"),
        ({"quality": ["token_f1"]}, "quality[0]", "not a mapping"),
        ({"quality": [{}]}, "quality[0].measure", "measure is missing"),
        ({"quality": [{"measure": "token_f2"}]}, "quality[0].measure", "did you mean token_f1?"),
        ({"quality": [{"measure": "distinct", "task": "talk"}]}, "quality[0].task", "did you mean tasks?"),
        ({"quality": [{"measure": "distinct", "tasks": "talks"}]}, "quality[0].tasks", "did you mean talk?"),
        ({"quality": [{"measure": "distinct", "tasks": 3}]}, "quality[0].tasks", "not a list of texts"),
        ({"quality": [{"measure": "distinct", "options": 3}]}, "quality[0].options", "not a mapping"),
        ({"quality": [{"measure": "distinct"}] * 2}, "quality[1].measure", "distinct stands twice"),
        ({"judge": []}, "judge", "not a mapping"),
        ({"judge": {"model": "x"}}, "judge.target", "target is missing"),
        ({"judge": {"target": JUDGE["target"]}}, "judge.model", "model is missing"),
        ({"judge": {**JUDGE, "target": "ollama://127.0.0.1/x"}}, "judge", "asked over HTTP"),
        ({"judge": {**JUDGE, "target": "http://a:b@127.0.0.1/v1"}}, "judge", "credentials"),
        ({"judge": {**JUDGE, "api_key": "sk-secret"}}, "judge.api_key", "did you mean api_key_env?"),
        (
            {"judge": {**JUDGE, "api_key_env": "sk-secret"}},
            "judge",
            "not the name of an environment variable",
        ),
        ({"judge": {**JUDGE, "repeats": 0}}, "judge.repeats", "out of range"),
        ({"judge": {**JUDGE, "repeat_share": 2}}, "judge.repeat_share", "out of range"),
        ({"judge": {**JUDGE, "language": "fr"}}, "judge", "no such language"),
        ({"judge": {**JUDGE, "rubric_version": "other/1"}}, "judge", "no such rubric"),
        ({"judge": {**JUDGE, "budget": 2}}, "judge", "a budget needs prices"),
        ({"judge": {**JUDGE, "prices": 2}}, "judge.prices", "not a mapping"),
        (
            {"judge": {**JUDGE, "prices": {"input_per_million": 1}}},
            "judge.prices.output_per_million",
            "is missing",
        ),
        ({"judge": {**JUDGE, "options": {"stream": True}}}, "judge", "not streamed"),
        ({"judge": {**JUDGE, "tasks": ["write"]}}, "judge.tasks", "no such task"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    tmp_path: Path, blocks: dict[str, Any], place: str, said: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, **blocks)
    assert (caught.value.where or "").endswith(f": {place}")
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_example_names_measures_that_need_no_further_package() -> None:
    spec = read_spec(shipped("examples/studies/efficiency.yaml"))
    assert {one.measure for one in spec.quality} == {
        "token_f1",
        "contains",
        "code_tests",
        "distinct",
        "repetition",
    }
    assert spec.judge is None


def test_the_programs_of_the_example_pass_their_tests() -> None:
    a_sandbox()
    spec = read_spec(shipped("examples/studies/efficiency.yaml"))
    cells = [cell for cell in read_cells(spec) if cell.task == "code"]
    measure = open_quality("code_tests")
    right = [Item(cell.item, cell.prompt, cell.references[0], meta=cell.fields) for cell in cells]
    wrong = [Item(cell.item, cell.prompt, "def other():\n    pass", meta=cell.fields) for cell in cells]
    assert {cell.load for cell in cells} == {"short", "medium", "long"}
    assert [one.value for one in measure.score(right)] == [1.0] * len(cells)
    assert [one.value for one in measure.score(wrong)] == [0.0] * len(cells)


def test_reading_a_study_loads_no_measure_and_no_judge() -> None:
    heavy = ["hexgate.scorers.text_quality", "hexgate.scorers.judge", "hexgate.scorers.code_tests"]
    code = (
        "import sys, hexgate.study.spec_file, hexgate.study.runner; "
        "import hexgate.study.quality.scoring, hexgate.study.quality.judging; "
        f"sys.exit(any(name in sys.modules for name in {heavy}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
