from __future__ import annotations

import hashlib
import json

import pytest

from hexgate.errors import DataError
from hexgate.scorers.code_tasks import CodeTask, read_tasks

OWN = {"id": "a", "prompt": "Write f.", "prompt_zh": "写 f。", "entry_point": "f", "tests": "assert f() == 1",
       "reference": "def f(): return 1"}  # fmt: skip
HUMANEVAL = {
    "task_id": "Own/0",
    "prompt": 'def f():\n    """One."""\n',
    "entry_point": "f",
    "canonical_solution": "    return 1\n",
    "test": "def check(candidate):\n    assert candidate() == 1\n",
}
MBPP = {
    "task_id": 7,
    "text": "Write f.",
    "code": "def f(): return 1",
    "test_setup_code": "n = 1",
    "test_imports": ["import math"],
    "test_list": ["assert f() == n", "assert math.isclose(f(), 1)"],
}


def written(tmp_path, *rows):
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_three_forms(tmp_path):
    path = written(tmp_path, OWN, HUMANEVAL, MBPP)
    read = read_tasks(path)
    assert read.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read.tasks == (
        CodeTask("a", "Write f.", "assert f() == 1\n", "f", "写 f。", reference="def f(): return 1"),
        CodeTask("Own/0", HUMANEVAL["prompt"], HUMANEVAL["test"] + "\n", "f", prefix=HUMANEVAL["prompt"]),
        CodeTask("7", "Write f.", "n = 1\nimport math\nassert f() == n\nassert math.isclose(f(), 1)\n"),
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompt": None}, "no prompt"),
        ({"prompt": 3}, "its prompt is int"),
        ({"tests": None}, "no tests"),
        ({"tests": []}, "no tests"),
        ({"tests": ["assert f()", 3]}, "no tests"),
        ({"test_list": ["assert f()"]}, "both 'tests' and 'test_list'"),
        ({"entry_point": "f()"}, "is no name"),
        ({"test_imports": "import math"}, "test_imports is no list"),
        ({"code_language": "cobol"}, "no sandbox for its code_language"),
        ({"id": ["a"]}, "the id is list"),
        ({"tests": "\ud800"}, "surrogate"),
    ],
)
def test_mistakes_are_named_with_their_places(tmp_path, change, said):
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps(OWN) + "\n" + json.dumps({**OWN, "id": "b", **change}) + "\n")
    with pytest.raises(DataError) as caught:
        read_tasks(path)
    assert "line 2" in str(caught.value)
    assert said in str(caught.value)


def test_an_id_stands_once(tmp_path):
    with pytest.raises(DataError, match="stands already at line 1"):
        read_tasks(written(tmp_path, OWN, OWN))
