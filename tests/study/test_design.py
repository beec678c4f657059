"""The plan has every run once, in blocks, in an order that only the seed decides."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest

from hexgate.study.design import Plan, make_plan, run_id
from hexgate.study.estimate import estimate
from hexgate.study.items import read_cells
from hexgate.study.spec import Spec
from hexgate.study.spec_file import read_spec
from support.studies import write_study

MODELS = [{"name": name, "target": "http://127.0.0.1:9/v1", "model": name} for name in ("m1", "m2", "m3")]


def planned(folder: Path, **changes: object) -> tuple[Spec, Plan]:
    spec = read_spec(write_study(folder, **{"models": MODELS, "runs": 4, **changes}))
    return spec, make_plan(spec, read_cells(spec))


def test_each_block_has_each_cell_of_each_model_once(tmp_path: Path) -> None:
    _, plan = planned(tmp_path)
    assert len(plan.runs) == 4 * 3 * 4
    assert len({run.run_id for run in plan.runs}) == len(plan.runs)
    assert [run.order for run in plan.runs] == list(range(len(plan.runs)))
    for block in range(1, 5):
        cells = Counter((run.model, run.cell.load, run.cell.item) for run in plan.runs if run.block == block)
        assert set(cells.values()) == {1}
        assert len(cells) == 12


def test_a_model_is_loaded_once_a_block(tmp_path: Path) -> None:
    _, plan = planned(tmp_path)
    visits = [key for key, _ in groupby(plan.runs, key=lambda run: (run.block, run.model))]
    assert len(visits) == len(set(visits)) == 12
    assert [(visit.block, visit.model) for visit in plan.visits()] == visits


def test_blocks_differ_in_their_order(tmp_path: Path) -> None:
    _, plan = planned(tmp_path)
    models = {
        tuple(model for model, _ in groupby(run.model for run in plan.runs if run.block == b))
        for b in range(1, 5)
    }
    cells = {tuple((run.cell.load, run.cell.item) for run in visit.runs) for visit in plan.visits()}
    assert len(models) > 1
    assert len(cells) > 1


def test_the_seed_alone_decides_the_order(tmp_path: Path) -> None:
    _, one = planned(tmp_path / "a")
    _, same = planned(tmp_path / "b")
    _, other = planned(tmp_path / "c", seed=8)
    assert one.sha256() == same.sha256()
    assert [run.run_id for run in one.runs] != [run.run_id for run in other.runs]
    assert {run.run_id for run in one.runs} == {run.run_id for run in other.runs}


def test_a_plan_is_the_same_to_the_byte_in_every_process(tmp_path: Path) -> None:
    _, plan = planned(tmp_path)
    script = (
        "import sys; from pathlib import Path\n"
        "from hexgate.study.design import make_plan\n"
        "from hexgate.study.items import read_cells\n"
        "from hexgate.study.spec_file import read_spec\n"
        "spec = read_spec(Path(sys.argv[1])); print(make_plan(spec, read_cells(spec)).sha256())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "study.yaml")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert digests == {plan.sha256()}


def test_a_run_is_named_by_what_it_is() -> None:
    assert run_id("m", "talk", "short", "a", 1) == run_id("m", "talk", "short", "a", 1)
    assert run_id("m", "talk", "short", "a", 1) != run_id("m", "talk", "short", "a", 2)
    assert run_id("m", "a", "b", "c", 1) != run_id("m", "ab", "", "c", 1)


class TestEstimate:
    """What is told before the start."""

    def test_it_is_the_sum_of_what_it_states(self, tmp_path: Path) -> None:
        spec, plan = planned(
            tmp_path,
            expect={"tokens_per_s": 4, "load_s": 5, "power_w": 100},
            idle_s=10,
            quiet={"before_s": 1, "after_s": 2},
        )
        found = estimate(spec, plan, plan.runs)
        tokens = sum(run.cell.max_tokens for run in plan.runs)
        seconds = tokens / 4 + 3 * len(plan.runs) + 12 * (5 + 20)
        assert found["runs"] == 48
        assert found["visits"] == 12
        assert found["hours"] == pytest.approx(seconds / 3600)
        assert found["energy_kj"] == pytest.approx(100 * seconds / 1000)
        assert found["over_budget"] == []

    def test_without_a_power_the_energy_is_null_with_a_reason(self, tmp_path: Path) -> None:
        spec, plan = planned(tmp_path)
        found = estimate(spec, plan, plan.runs)
        assert found["energy_kj"] is None
        assert "expect.power_w" in found["missing"]["energy_kj"]

    def test_it_says_which_budget_it_exceeds(self, tmp_path: Path) -> None:
        spec, plan = planned(tmp_path, budget={"max_hours": 0.001, "max_energy_kj": 1})
        over = estimate(spec, plan, plan.runs)["over_budget"]
        assert len(over) == 1
        assert over[0].startswith("hours: ")
