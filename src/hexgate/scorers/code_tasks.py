"""Tasks of programming with their tests, read from JSON, JSON Lines or CSV in three forms.

The forms are hexgate's own, that of HumanEval (Chen et al. 2021, arXiv:2107.03374) and that of MBPP (Austin et al.
2021, arXiv:2108.07732); none of their tasks is part of hexgate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hexgate.datasets.faults import RowFault
from hexgate.datasets.rows import check_text, iter_objects, pick, read_rows, row_id
from hexgate.scorers.sandbox_view import LANGUAGES

__all__ = ["TEST_KEYS", "CodeTask", "CodeTasks", "read_tasks", "task_from"]

_ID_KEYS = ("id", "task_id")
_PROMPT_KEYS = ("prompt", "text")
TEST_KEYS = ("tests", "test", "test_list")
"""Where the tests of a row stand: one of these."""


@dataclass(frozen=True)
class CodeTask:
    """One task and its tests."""

    id: str
    """Names it among its like."""
    prompt: str
    """What the model is asked."""
    tests: str
    """A text of the language, which ends without an exception if the program is right. Where it defines ``check`` and
    there is an entry point, ``check`` is called with that function."""
    entry_point: str | None = None
    """The function that the tests are about; None where they name all that they need."""
    prompt_zh: str | None = None
    """The prompt in Chinese; None where there is none."""
    prefix: str = ""
    """The beginning of a program that the model is to continue, which is put before what it answers."""
    reference: str | None = None
    """A program that is right; None where there is none."""
    language: str = "python"
    """A name of `hexgate.scorers.sandbox_view.LANGUAGES`."""


@dataclass(frozen=True)
class CodeTasks:
    """The tasks of a file."""

    path: Path
    """The file."""
    sha256: str
    """Its digest, in hex."""
    tasks: tuple[CodeTask, ...]
    """The tasks, in its order."""


def read_tasks(path: str | Path) -> CodeTasks:
    """Read the tasks of a file.

    A row has an ``id`` (or ``task_id``), a ``prompt`` (or ``text``), and ``tests`` (a text or a list of lines). Its
    ``entry_point`` names the function. A row with ``test`` is in the form of HumanEval: its prompt is also the
    beginning of the program. A row with ``test_list`` is in that of MBPP: ``test_setup_code`` and ``test_imports`` are
    put before its tests.

    Raises:
        DataError: if the file is not such a set, naming all mistakes at once.
    """
    rows = read_rows(Path(path), limit=None)
    tasks: dict[str, CodeTask] = {}
    places: dict[str, str] = {}
    for row, fields in iter_objects(rows):
        try:
            task = task_from(row_id(row, fields, _ID_KEYS), fields)
        except RowFault as fault:
            rows.faults.add(row.where, str(fault))
            continue
        if task.id in places:
            rows.faults.add(row.where, f"the id {task.id!r} stands already at {places[task.id]}")
        places.setdefault(task.id, row.where)
        tasks[task.id] = task
    rows.faults.raise_if_any("code tasks")
    return CodeTasks(rows.path, rows.sha256, tuple(tasks.values()))


def task_from(name: str, fields: Mapping[str, Any]) -> CodeTask:
    """The task of one row.

    Args:
        name: its id.
        fields: the row, as `read_tasks` understands it.

    Raises:
        RowFault: if the row is no task.
    """
    form, tests = pick(fields, TEST_KEYS)
    prompt = _text(fields, pick(fields, _PROMPT_KEYS)[0] or "prompt")
    if prompt is None:
        raise RowFault("has no prompt (prompt or text)")
    lines = tests if isinstance(tests, list) else [tests]
    if not lines or not all(isinstance(line, str) and line.strip() for line in lines):
        raise RowFault("has no tests (tests, test or test_list: a text or a list of texts)")
    before = [_text(fields, "test_setup_code") or "", *_lines(fields.get("test_imports"))]
    entry_point = _text(fields, "entry_point")
    if entry_point is not None and not entry_point.isidentifier():
        raise RowFault(f"its entry point {entry_point!r} is no name")
    language = _text(fields, "code_language") or "python"
    if language not in LANGUAGES:
        raise RowFault(
            f"there is no sandbox for its code_language {language!r}, only for {', '.join(LANGUAGES)}"
        )
    return CodeTask(
        id=name,
        prompt=prompt,
        tests=check_text("test", "\n".join(line for line in (*before, *lines) if line.strip()) + "\n"),
        entry_point=entry_point,
        prompt_zh=_text(fields, "prompt_zh"),
        prefix=prompt if form == "test" else _text(fields, "prefix") or "",
        reference=_text(fields, "reference"),
        language=language,
    )


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise RowFault(f"its {name} is {type(value).__name__}, expected a text")
    return check_text(name, value)


def _lines(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        raise RowFault("its test_imports is no list of texts")
    return value
