"""A study's file is read whole, and every mistake in it is named by the path of its key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError
from hexgate.resources import shipped
from hexgate.study.items import read_cells
from hexgate.study.spec import Clean, Cold, Quiet
from hexgate.study.spec_file import read_spec
from support.studies import write_study

MODEL = {"name": "m", "target": "http://127.0.0.1:9/v1", "model": "m"}
TASK = {"name": "talk", "items": "items.jsonl"}


def test_what_is_not_said_has_the_documented_defaults(tmp_path: Path) -> None:
    left_out = dict.fromkeys(
        ("request", "runs", "warmup", "idle_s", "quiet", "clean", "timeout_s", "seed"), ...
    )
    spec = read_spec(write_study(tmp_path, **left_out))
    assert (spec.runs, spec.warmup, spec.idle_s, spec.seed) == (5, 3, 10.0, 0)
    assert spec.quiet == Quiet(0.3, 0.7)
    assert (spec.clean, spec.cold) == (Clean.UNLOAD, Cold.NONCE)
    assert (spec.resources_hz, spec.power_hz, spec.parallel, spec.timeout_s) == (5.0, None, 1, 300.0)
    assert (spec.request.temperature, spec.request.think, spec.request.num_ctx) == (0.0, False, None)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("off", None),
        ("false", None),
        ("on", Quiet()),
        ("{before_s: 1.5}", Quiet(1.5, 0.7)),
    ],
)
def test_quiet_is_on_off_or_two_times(tmp_path: Path, written: str, read: Quiet | None) -> None:
    path = write_study(tmp_path, quiet=...)
    block = json.loads(path.read_text("utf-8"))
    path.write_text(
        "\n".join([*(f"{key}: {json.dumps(value)}" for key, value in block.items()), f"quiet: {written}\n"]),
        encoding="utf-8",
    )
    assert read_spec(path).quiet == read


@pytest.mark.parametrize(
    ("changes", "where", "said"),
    [
        ({"version": 2}, "version", "2"),
        ({"name": ...}, "name", "missing"),
        ({"warm_up": 3}, "warm_up", "did you mean warmup?"),
        ({"models": []}, "models", "a list"),
        (
            {"models": [{**MODEL, "quantisation": "Q4"}]},
            "models[0].quantisation",
            "did you mean quantization?",
        ),
        ({"models": [MODEL, MODEL]}, "models[1].name", "stands twice"),
        ({"models": [{"target": "http://127.0.0.1:9/v1"}]}, "models[0].name", "no name"),
        ({"models": [{**MODEL, "target": "ftp://x/v1"}]}, "models[0].target", ""),
        ({"models": [{**MODEL, "target": "http://127.0.0.1:9/predict"}]}, "models[0].target", "cannot ask"),
        (
            {"models": [{**MODEL, "target": "http://me:secret@127.0.0.1:9/v1"}]},
            "models[0].target",
            "api_key_env",
        ),
        ({"request": {"max_tokens": 0}}, "request.max_tokens", "from 1"),
        ({"request": {"temperature": True}}, "request.temperature", "a number"),
        ({"request": {"think": "maybe"}}, "request.think", "default"),
        ({"tasks": [{**TASK, "where": {"kind": 1.5}}]}, "tasks[0].where.kind", "1.5"),
        ({"cold": "nonces"}, "cold", "did you mean nonce?"),
        ({"quiet": {"before_s": 0}}, "quiet.before_s", "above 0"),
        ({"quiet": {"after": 1}}, "quiet.after", "did you mean after_s?"),
        ({"meters": ["nvlm"]}, "meters", "nvml"),
        ({"budget": {"max_hours": -1}}, "budget.max_hours", "above 0"),
        ({"runs": 1.5}, "runs", "a whole number"),
    ],
)
def test_a_mistake_is_named_by_its_path(
    tmp_path: Path, changes: dict[str, Any], where: str, said: str
) -> None:
    path = write_study(tmp_path, **changes)
    with pytest.raises(InputError) as raised:
        read_spec(path)
    assert raised.value.where == f"{path}: {where}"
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\nversion: 1\n", "line 2, column 1"),
        ("a: &x 1\nb: *x\n", "anchors and aliases"),
        ("seed: .nan\n", "not a finite number"),
        ('name: "\\ud83d\\ude00"\n', "a text holds half a character"),
        ("- 1\n", "not a mapping"),
        ("a: [\n", "YAML"),
    ],
)
def test_what_is_no_plain_data_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_spec(path)


def test_ollama_names_its_model_in_the_target(tmp_path: Path) -> None:
    spec = read_spec(write_study(tmp_path, models=[{"target": "ollama://127.0.0.1:11434/llama3.2:3b"}]))
    assert spec.models[0].name == "llama3.2:3b"


def test_a_budget_may_change_and_a_prompt_may_not(tmp_path: Path) -> None:
    spec = read_spec(write_study(tmp_path / "a"))
    richer = read_spec(write_study(tmp_path / "b", budget={"max_hours": 9}, parallel=2))
    hotter = read_spec(write_study(tmp_path / "c", request={"max_tokens": 16, "temperature": 0.5}))
    assert spec.sha256() == richer.sha256()
    assert spec.sha256() != hotter.sha256()


class TestItems:
    """What is asked, from rows."""

    def test_a_load_names_its_prompt_and_its_length(self, tmp_path: Path) -> None:
        cells = read_cells(read_spec(write_study(tmp_path)))
        found = {(cell.load, cell.item): (cell.prompt, cell.max_tokens) for cell in cells}
        assert found == {
            ("usual", "a"): ("Tell me about a garden.", 16),
            ("usual", "b"): ("Tell me about a train.", 16),
            ("short", "a"): ("Garden?", 8),
            ("short", "b"): ("Train?", 8),
        }
        assert cells[0].references == ("It is green.",)
        assert cells[1].references == ("It runs.", "On rails.")
        assert cells[0].fields == {"kind": "x"}

    def test_a_load_may_pick_its_rows(self, tmp_path: Path) -> None:
        items = [{"id": "q1", "level": level, "prompt": f"ask {level}"} for level in ("L0", "L1")]
        loads = [{"name": level, "where": {"level": level}} for level in ("L0", "L1")]
        cells = read_cells(read_spec(write_study(tmp_path, items=items, loads=loads)))
        assert [(cell.load, cell.item, cell.prompt) for cell in cells] == [
            ("L0", "q1", "ask L0"),
            ("L1", "q1", "ask L1"),
        ]

    @pytest.mark.parametrize(
        ("items", "said"),
        [
            ([{"id": "a", "prompt": "x"}], "has no prompt 'short'"),
            ([{"id": "a", "prompt": "x", "short": "y"}] * 2, "stands already at line 1"),
            ([{"id": "a", "prompt": "x", "short": "y", "reference": 3}], "neither a text nor a list"),
        ],
    )
    def test_mistakes_of_rows_are_told_with_their_lines(
        self, tmp_path: Path, items: list[dict[str, Any]], said: str
    ) -> None:
        with pytest.raises(InputError, match=said):
            read_cells(read_spec(write_study(tmp_path, items=items)))

    def test_a_task_without_items_at_a_load_is_refused(self, tmp_path: Path) -> None:
        path = write_study(tmp_path, tasks=[{**TASK, "where": {"kind": "z"}}])
        with pytest.raises(InputError, match="the task talk has no item at the load usual"):
            read_cells(read_spec(path))

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        path = write_study(tmp_path, tasks=[{**TASK, "items": "none.jsonl"}])
        with pytest.raises(InputError, match="there is no such file of items"):
            read_cells(read_spec(path))


def test_the_example_is_the_matrix_of_the_efficiency_study() -> None:
    spec = read_spec(shipped("examples/studies/efficiency.yaml"))
    cells = read_cells(spec)
    assert [task.name for task in spec.tasks] == ["knowledge_qa", "summary", "code", "creative"]
    assert [load.name for load in spec.loads] == ["short", "medium", "long"]
    assert spec.runs == 5
    assert {(cell.task, cell.load) for cell in cells} == {
        (task.name, load.name) for task in spec.tasks for load in spec.loads
    }
    # Of fewer questions no model is rated, and the policy beside it passes none.
    assert len({(cell.task, cell.item) for cell in cells}) >= 10
    lengths: dict[str, list[int]] = {load.name: [] for load in spec.loads}
    for cell in cells:
        lengths[cell.load].append(len(cell.prompt))
    assert max(lengths["short"]) < min(lengths["medium"])
    assert max(lengths["medium"]) < min(lengths["long"])
    for cell in cells:
        assert bool(cell.references) == (cell.task != "creative")
