"""`hexgate study rate`: the table, the files, the exit codes, and names that would do harm."""

from __future__ import annotations

import json
import os
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hexgate.cli.studies.rating_zh import STUDY_RATING_ERRORS
from hexgate.contract.schema import schema_mistakes
from hexgate.errors import ExitCode
from hexgate.study.design import Run, Visit, make_plan
from hexgate.study.items import read_cells
from hexgate.study.ledger import RUNS
from hexgate.study.lines import read_lines
from hexgate.study.runner import Carrying, carry_out
from hexgate.study.spec_file import read_spec
from support.command import Ended
from support.rated_studies import RATING, made_study, rated_spec, usual
from support.studies import RunningCounter, ScriptedOllama, said, write_study
from support.twins import check_twin, without_twin

Call = Callable[..., Ended]


def energy_missing(model: str, number: int) -> Mapping[str, Any]:
    return {"energy_j": None} if model == "small" and number < 1 else usual(model, number)


def test_every_model_rated_ends_with_0_and_leaves_labels_in_both_languages(
    tmp_path: Path, call: Call
) -> None:
    folder, out = made_study(tmp_path), tmp_path / "ratings"
    ended = call("study", "rate", folder, "--out", out)
    assert ended.code == ExitCode.OK, ended.err
    head, *rows = ended.out.splitlines()
    assert head.split()[:3] == ["model", "class", "EEI"]
    assert rows[0].split()[:3] == ["big", "F", "1.000"]
    assert rows[1].split()[:3] == ["small", "C", "0.500"]
    assert rows[1].endswith("*")
    assert sorted(path.name for path in out.iterdir()) == [
        "label_big.en.svg",
        "label_big.zh.svg",
        "label_small.en.svg",
        "label_small.zh.svg",
        "ratings.json",
    ]
    found = json.loads((out / "ratings.json").read_text("utf-8"))
    assert schema_mistakes("study_ratings", found) == []
    assert [one["letter"] for one in found["models"]] == ["F", "C"]
    for lang, word in (("en", "Board X, 30 W"), ("zh", "整板")):
        svg = (out / found["models"][1]["labels"][lang]).read_text("utf-8")
        ET.fromstring(svg)  # noqa: S314 - our own
        assert word in svg
        assert "Q4_K_M" in svg


def test_a_model_that_is_not_rated_ends_with_4_and_its_reason(tmp_path: Path, call: Call) -> None:
    folder, out = made_study(tmp_path, energy_missing), tmp_path / "ratings"
    ended = call("study", "rate", folder, "--out", out)
    assert ended.code == ExitCode.EVIDENCE
    assert "small is not rated: the energy of 1 of 40 requests was not measured" in ended.out
    assert "Not rated" in (out / "label_small.en.svg").read_text("utf-8")
    assert "未评级" in (out / "label_small.zh.svg").read_text("utf-8")


def test_without_a_block_it_says_what_to_write(tmp_path: Path, call: Call) -> None:
    folder = made_study(tmp_path, rating=None)
    ended = call("study", "rate", folder, "--out", tmp_path / "ratings")
    assert ended.code == ExitCode.INPUT
    assert "rating: {reference: MODEL, floor: {acceptance: 0.7}}" in ended.err
    assert not (tmp_path / "ratings").exists()
    path = rated_spec(tmp_path)
    assert call("study", "rate", folder, "--spec", path, "--out", tmp_path / "ratings").code == ExitCode.OK


def test_a_file_of_another_study_is_refused(tmp_path: Path, call: Call) -> None:
    folder = made_study(tmp_path / "a")
    path = rated_spec(tmp_path / "b", seed=8)
    ended = call("study", "rate", folder, "--spec", path, "--out", tmp_path / "ratings")
    assert ended.code == ExitCode.INPUT
    assert "another study" in ended.err


def test_a_frozen_model_is_the_reference_of_another_study(tmp_path: Path, call: Call) -> None:
    first = made_study(tmp_path / "first")
    frozen = tmp_path / "big.json"
    assert call("study", "rate", first, "--freeze", frozen, "--model", "big").code == ExitCode.OK
    assert schema_mistakes("study_reference", json.loads(frozen.read_text("utf-8"))) == []
    rating = {**RATING, "reference": str(frozen)}
    second = made_study(tmp_path / "second", models=("small",), rating=rating)
    ended = call("study", "rate", second, "--out", tmp_path / "ratings")
    assert ended.code == ExitCode.OK, ended.out
    assert "C" in ended.out.splitlines()[1].split()


def test_what_cannot_be_frozen_writes_nothing(tmp_path: Path, call: Call) -> None:
    folder = made_study(tmp_path, energy_missing)
    frozen = tmp_path / "frozen.json"
    ended = call("study", "rate", folder, "--freeze", frozen, "--model", "small")
    assert ended.code == ExitCode.INPUT
    assert "not rated itself" in ended.err
    assert not frozen.exists()


@pytest.mark.parametrize(
    ("further", "what"),
    [
        ([], "--out is missing"),
        (["--model", "big"], "belong together"),
        (["--freeze", "x"], "belong together"),
    ],
)
def test_flags_that_do_not_fit_are_refused(tmp_path: Path, call: Call, further: list[str], what: str) -> None:
    ended = call("study", "rate", tmp_path, *further)
    assert ended.code == ExitCode.INPUT
    assert what in ended.err


def test_a_folder_without_a_study_is_refused(tmp_path: Path, call: Call) -> None:
    ended = call("study", "rate", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert ended.code == ExitCode.INPUT
    assert "holds no study" in ended.err
    assert not (tmp_path / "out").exists()


def test_names_that_would_do_harm_do_none(tmp_path: Path, call: Call) -> None:
    names = ("big", "../../<script>alert(1)</script>", "\u001b[31mred\nnext", "=1+1", "模型")
    folder, out = made_study(tmp_path, models=names), tmp_path / "ratings"
    ended = call("study", "rate", folder, "--out", out)
    assert ended.code == ExitCode.OK, ended.err
    assert "\u001b" not in ended.out
    assert len(ended.out.splitlines()) == len(names) + 2
    labels = sorted(out.glob("label_*.svg"))
    assert len(labels) == 2 * len(names)
    assert {path.parent for path in tmp_path.rglob("*.svg")} == {out}
    for path in labels:
        svg = path.read_text("utf-8")
        ET.fromstring(svg)  # noqa: S314 - our own
        assert "<script" not in svg


def test_table_and_reasons_are_there_in_chinese(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made_study(tmp_path, energy_missing)
    monkeypatch.setenv("HEXGATE_LANG", "zh")
    ended = call("study", "rate", folder, "--out", tmp_path / "ratings")
    assert ended.code == ExitCode.EVIDENCE
    assert "等级" in ended.out
    assert "small 未评级：" in ended.out
    refused = call("study", "rate", made_study(tmp_path / "b", rating=None), "--out", tmp_path / "out")
    assert "研究没有说明如何为模型评级" in refused.err


class Silent:
    """Nobody watches."""

    def begin(self, left: Sequence[Run], done: int) -> None: ...
    def visit(self, visit: Visit) -> None: ...
    def ran(self, record: Mapping[str, Any], left_s: float) -> None: ...
    def note(self, text: str) -> None: ...


@pytest.mark.skipif(os.name == "nt", reason="a powercap tree as Linux has it")
def test_a_study_that_was_carried_out_scored_and_rated(tmp_path: Path, call: Call) -> None:
    """Two servers of which one takes four times as long, a counter that runs, and both commands."""

    def after(seconds: float) -> Callable[[Mapping[str, Any]], list[bytes]]:
        def answer(_: Mapping[str, Any]) -> list[bytes]:
            time.sleep(seconds)
            return said("It", " is", " green", ".")

        return answer

    items = [{"id": f"q{n}", "prompt": f"Question {n}?", "reference": "It is green."} for n in range(12)]
    with (
        ScriptedOllama(after(0.2)) as slow,
        ScriptedOllama(after(0.05)) as quick,
        RunningCounter(tmp_path / "powercap", 40.0) as counter,
    ):
        path = write_study(
            tmp_path,
            items=items,
            models=[{"name": "slow", "target": slow.target}, {"name": "quick", "target": quick.target}],
            loads=[{"name": "usual"}],
            runs=1,
            meters=["rapl"],
            power_hz=100,
            quality=[{"measure": "exact_match"}],
            rating={
                "accepted": [{"measure": "exact_match", "least": 1}],
                "reference": "slow",
                "floor": {"acceptance": 0.5},
            },
        )
        spec = read_spec(path)
        plan = make_plan(spec, read_cells(spec))
        folder = tmp_path / "out"
        outcome = carry_out(spec, plan, folder, Carrying(rapl_root=counter.root), Silent())
    assert (outcome.done, outcome.failed) == (24, 0)
    unmarked = call("study", "rate", folder, "--out", tmp_path / "early")
    assert unmarked.code == ExitCode.EVIDENCE
    assert "0 of 12 answers were checked" in unmarked.out
    assert call("study", "score", folder).code == ExitCode.OK
    ended = call("study", "rate", folder, "--out", tmp_path / "ratings")
    found = json.loads((tmp_path / "ratings" / "ratings.json").read_text("utf-8"))
    assert schema_mistakes("study_ratings", found) == []
    joules: dict[str, list[float | None]] = {"slow": [], "quick": []}
    for row in read_lines(folder / RUNS):
        joules[row["model"]].append(row["energy"]["gross_j"])
    if lacking := {model: each.count(None) for model, each in joules.items() if None in each}:
        # On a busy machine the sensor is not read in time, and then there is no letter.
        assert ended.code == ExitCode.EVIDENCE
        for model, count in lacking.items():
            assert f"{model} is not rated: the energy of {count} of 12 requests was not measured" in ended.out
        return
    assert ended.code == ExitCode.OK, ended.out + ended.err
    ratings = {one["model"]: one["rating"] for one in found["models"]}
    basis = ratings["slow"]["basis"]
    assert (basis["scope"], basis["cache"], basis["load"]) == ("package", "cold", "sequential")
    total = {model: sum(one or 0.0 for one in each) for model, each in joules.items()}
    assert ratings["slow"]["joules_per_accepted"]["value"] == pytest.approx(total["slow"] / 12)
    assert ratings["slow"]["index"]["value"] == pytest.approx(1.0)
    assert ratings["quick"]["index"]["value"] == pytest.approx(total["quick"] / total["slow"])
    assert ratings["quick"]["letter"] < ratings["slow"]["letter"]


@pytest.mark.parametrize(("english", "twin"), STUDY_RATING_ERRORS)
def test_a_twin_names_no_gap_that_its_sentence_lacks(english: str, twin: str) -> None:
    check_twin(english, twin)


@pytest.mark.parametrize(
    "name",
    [
        "hexgate.cli.studies.rate",
        "hexgate.cli.studies.watch",
        "hexgate.study.rating.rated",
        "hexgate.study.rating.reference",
        "hexgate.study.rating.spec",
        "hexgate.study.rating.suite",
    ],
)
def test_every_sentence_of_a_refusal_has_a_twin(name: str) -> None:
    assert without_twin(name) == []
