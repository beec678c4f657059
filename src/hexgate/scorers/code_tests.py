"""Is a program right? Its tests say so, in a sandbox; and pass@k over several samples of each task.

A program passes only if the tests' own process, which the program cannot reach, came to their end and said so with a
word that nobody else was told. Where the machine has no sandbox there is no outcome, and nothing is run.
"""

from __future__ import annotations

import json
import platform
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from hexgate.datasets.faults import RowFault
from hexgate.errors import TargetFailed
from hexgate.metrics.passk import PassAtK, mean_pass_at_k
from hexgate.scorers.code_reply import program_in
from hexgate.scorers.code_tasks import TEST_KEYS, CodeTask, CodeTasks, read_tasks, task_from
from hexgate.scorers.quality import Item, Quality
from hexgate.scorers.sandbox import Ended, Ending, Limits, Sandbox, Unavailable, open_language

__all__ = ["CodeQuality", "CodeResult", "Outcome", "check_program", "check_reply", "open_scorer", "pass_at_k"]

_DEFINITION = "code_tests/2"
_OUTPUT = 2000
_MODULES = ("code_cases", "code_judge", "code_program", "code_values", "sandbox_kernel")
_START = "from hexgate.scorers.{module} import main\n\nmain()\n"


class Outcome(str, Enum):
    """What became of a program. Only the first is a pass."""

    PASSED = "passed"
    """Every test held."""
    FAILED = "failed"
    """A test did not hold, or the program raised an exception in one."""
    TIMEOUT = "timeout"
    """It used up its time."""
    MEMORY = "memory"
    """It asked for more memory than it may have."""
    CRASHED = "crashed"
    """It could not be loaded, ended before its tests did, or wrote more than it may."""
    REFUSED = "refused"
    """It tried what the sandbox does not allow: the network, a file outside, one process more."""
    NO_CODE = "no_code"
    """The reply holds no program."""


@dataclass(frozen=True)
class CodeResult:
    """What the tests say of one reply."""

    task: str
    """The task's id."""
    outcome: Outcome | None
    """What became of it; None where it could not be run, which is neither a pass nor a failure."""
    reason: str | None
    """Why it did not pass, or was not run; None for a pass."""
    program: str | None
    """What was taken from the reply and run; None where there was nothing."""
    output: str = ""
    """What it printed, up to 2,000 characters."""
    wall_s: float | None = None
    """Seconds that it took with its tests; None where it was not run."""
    cpu_s: float | None = None
    """CPU seconds of the same."""


def check_reply(task: CodeTask, reply: str, sandbox: Sandbox) -> CodeResult:
    """Take the program from a reply and run the task's tests on it.

    Raises:
        InputError: for a language that has no sandbox.
    """
    sandbox = replace(sandbox, language=task.language)
    fences = open_language(task.language).fences
    names = () if task.entry_point is None else (task.entry_point,)
    found = program_in(reply, fences, continues=bool(task.prefix), names=names)
    if found.program is None:
        state = sandbox.available()
        if isinstance(state, Unavailable):
            return _not_run(task, state, None)
        return CodeResult(task.id, Outcome.NO_CODE, found.reason, None)
    # A bare continuation goes on where the prefix ends; what stands in a block begins a line of its own.
    joint = "" if found.program == reply or not task.prefix else "\n"
    return check_program(task, f"{task.prefix}{joint}{found.program}", sandbox)


def check_program(task: CodeTask, program: str, sandbox: Sandbox) -> CodeResult:
    """Run a task's tests on a program.

    Raises:
        InputError: for a language that has no sandbox.
    """
    sandbox = replace(sandbox, language=task.language)
    state = sandbox.available()
    if isinstance(state, Unavailable):
        return _not_run(task, state, program)
    word = secrets.token_hex(16)
    given = {
        "program": program,
        "prefix": task.prefix,
        "tests": task.tests,
        "entry_point": task.entry_point,
        "word": word,
    }
    try:
        ended = sandbox.run(_files(), ("judge.py",), json.dumps(given).encode())
    except TargetFailed as why:
        return CodeResult(task.id, None, f"it could not be run: {why}", program)
    outcome, reason = _outcome(ended, word)
    return CodeResult(
        task=task.id,
        outcome=outcome,
        reason=reason,
        program=program,
        output=ended.stderr.decode("utf-8", errors="replace")[:_OUTPUT],
        wall_s=ended.wall_s,
        cpu_s=ended.cpu_s,
    )


def pass_at_k(results: Sequence[CodeResult], k: int) -> PassAtK:
    """The mean over tasks of the probability that one of k samples passes (`hexgate.metrics.passk`).

    A sample that could not be run is no failure: with one of them there is no value.

    Raises:
        ValueError: for k below 1.
    """
    counts: dict[str, tuple[int, int]] = {}
    not_run = [result for result in results if result.outcome is None]
    if not_run:
        return PassAtK(
            None, f"{len(not_run)} of {len(results)} samples could not be run: {not_run[0].reason}"
        )
    for result in results:
        samples, right = counts.get(result.task, (0, 0))
        counts[result.task] = (samples + 1, right + (result.outcome is Outcome.PASSED))
    return mean_pass_at_k(list(counts.values()), k)


@dataclass(frozen=True)
class CodeQuality:
    """A `QualityScorer`: 1 for a reply whose program passes its task's tests, else 0."""

    tasks: CodeTasks | None
    """The tasks, with their tests; None where each item brings its own."""
    sandbox: Sandbox
    """Where programs run."""
    name: str = "code_tests"
    """Name in the registry."""
    higher_is_better: bool = True
    """More passes are better."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Definition, digest of the tasks, limits and interpreter."""
        return {
            "definition": _DEFINITION,
            "tasks_sha256": self.tasks.sha256 if self.tasks else None,
            "limits": vars(self.sandbox.limits),
            "python": platform.python_version(),
        }

    def score(self, items: Sequence[Item]) -> list[Quality]:
        """Measure items, one result each, in their order.

        The tests are those in the item's `meta` (``tests``, ``test`` or ``test_list``, with ``entry_point``); else
        those of the task that has the item's id, or its prompt in English or Chinese.
        """
        return [self._quality(item) for item in items]

    def _quality(self, item: Item) -> Quality:
        try:
            task = self._task(item)
        except RowFault as why:
            return Quality(None, str(why))
        result = check_reply(task, item.reply, self.sandbox)
        if result.outcome is None:
            return Quality(None, result.reason or "it was not run")
        parts = {
            "task": result.task,
            "outcome": result.outcome.value,
            "reason": result.reason,
            "program": result.program,
            "output": result.output,
        }
        return Quality(float(result.outcome is Outcome.PASSED), None, parts)

    def _task(self, item: Item) -> CodeTask:
        if any(item.meta.get(key) for key in TEST_KEYS):
            return task_from(item.id, {**item.meta, "text": None, "prompt": item.prompt})
        for task in self.tasks.tasks if self.tasks else ():
            if item.id == task.id or item.prompt in {task.prompt, task.prompt_zh}:
                return task
        raise RowFault("it has no tests, and no task has its id or its prompt")


def open_scorer(tasks: str = "", wall_s: int = 10, memory_mib: int = 512) -> CodeQuality:
    """The measure for a study.

    Args:
        tasks: a file that `read_tasks` reads; empty where each item brings its own tests.
        wall_s: seconds that a program and its tests may take.
        memory_mib: memory that they may take, in units of 2**20 bytes.

    Raises:
        DataError: if the file is not such a set.
        InputError: for a limit that lets no program run.
    """
    limits = Limits(wall_s=float(wall_s), cpu_s=wall_s, memory_bytes=memory_mib << 20)
    read = read_tasks(tasks) if tasks else None
    return CodeQuality(read, Sandbox(limits))


def _not_run(task: CodeTask, state: Unavailable, program: str | None) -> CodeResult:
    return CodeResult(
        task.id, None, f"programs cannot be run safely here: {state.reason}; {state.remedy}", program
    )


def _outcome(ended: Ended, word: str) -> tuple[Outcome | None, str | None]:
    """What the judge said, if it was the judge who said it and it came to its end."""
    if ended.how is Ending.TIMEOUT:
        return Outcome.TIMEOUT, ended.reason
    if ended.how is Ending.MEMORY:
        return Outcome.MEMORY, ended.reason
    if ended.how is Ending.OUTPUT:
        return Outcome.CRASHED, ended.reason
    try:
        said: Any = json.loads(ended.stdout)
    except ValueError:
        said = {}
    if ended.exit_code != 0 or not isinstance(said, dict) or said.get("word") != word:
        return Outcome.CRASHED, f"its tests were stopped before their end: {ended.reason}"
    if said["outcome"] == "unfit":
        return None, f"its tests cannot be used: {said['reason']}"
    return Outcome(said["outcome"]), said["reason"]


def _files() -> dict[str, str]:
    """What the sandbox needs to run tests: two starting points and, of hexgate, five modules."""
    folder = Path(__file__).parent
    files = {
        f"hexgate/scorers/{module}.py": (folder / f"{module}.py").read_text("utf-8") for module in _MODULES
    }
    return {
        **files,
        "hexgate/__init__.py": "",
        "hexgate/scorers/__init__.py": "",
        "judge.py": _START.format(module="code_judge"),
        "program.py": _START.format(module="code_program"),
    }
