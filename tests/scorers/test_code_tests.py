from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest

from hexgate.errors import DataError, InputError
from hexgate.resources import shipped
from hexgate.scorers import sandbox as sandbox_module
from hexgate.scorers.code_tasks import CodeTask, read_tasks
from hexgate.scorers.code_tests import CodeResult, Outcome, check_program, check_reply, open_scorer, pass_at_k
from hexgate.scorers.quality import Item, open_quality
from hexgate.scorers.sandbox import Sandbox, Unavailable
from support.sandboxes import a_sandbox

STUB = 'def unshift(text):\n    """Undo it."""\n'
PREFIX = (
    "class Empty(Exception):\n    pass\n\n"
    "def encode(text):\n    return ''.join(chr(ord(c) + 1) for c in text)\n\n"
    "def agrees(text):\n    return unshift(encode(text)) == text\n\n" + STUB
)
ADD = CodeTask("add", "Write add(a, b).", "def check(candidate):\n    assert candidate(1, 2) == 3\n", "add")
TASKS = read_tasks(shipped("examples/studies/code_tasks.jsonl"))


def checked(program, tests=ADD.tests, entry_point="add", **limits):
    task = replace(ADD, tests=textwrap.dedent(tests), entry_point=entry_point)
    return check_program(task, textwrap.dedent(program), a_sandbox(**limits))


def passed(program, tests, entry_point=None):
    result = checked(program, tests, entry_point)
    assert result.outcome is Outcome.PASSED, result.reason


# Programs that are right.


def test_a_right_program_passes():
    result = checked("def add(a, b):\n    print('adding')\n    return a + b\n")
    assert (result.task, result.outcome, result.reason) == ("add", Outcome.PASSED, None)
    assert result.output == "adding\n"
    assert result.wall_s > 0
    assert result.cpu_s > 0


def test_what_the_tests_may_do_with_a_program():
    passed(
        """
        import math
        LIMIT = 7
        class Empty(ValueError):
            pass
        class Stack:
            def __init__(self, *parts): self.parts = list(parts)
            def push(self, part): self.parts.append(part)
            def pop(self):
                if not self.parts: raise Empty('nothing left')
                return self.parts.pop()
            def __len__(self): return len(self.parts)
            def __getitem__(self, at): return self.parts[at]
            def __contains__(self, part): return part in self.parts
            def __eq__(self, other): return self.parts == other.parts
            def __str__(self): return 'stack'
        def total(stacks): return sum(len(stack) for stack in stacks)
        def numbers(n):
            for i in range(n): yield i
        def change(items, table, seen, raw):
            items.sort(); table['k'] = [1]; seen.add(3); raw.extend(b'!')
        def missing(): return {}['key']
        def kinds(): return (1, 2.5, 'x', b'y', None, True, {1: (2,)}, {3}, frozenset({4}), 1j, range(3), 10**30)
        """,
        """
        assert LIMIT == 7 and math.isclose(LIMIT, 7)
        stack = Stack(1)
        stack.push(2)
        assert len(stack) == 2 and stack[0] == 1 and 2 in stack and 9 not in stack and stack
        assert stack.parts == [1, 2] and str(stack) == 'stack' and stack == Stack(1, 2) and stack != Stack()
        assert total([stack, Stack(1, 2, 3)]) == 5
        assert [stack.pop(), stack.pop()] == [2, 1]
        try:
            stack.pop()
        except Empty as why:
            assert str(why) == 'nothing left' and isinstance(why, ValueError)
        else:
            raise AssertionError('no exception')
        assert list(numbers(3)) == [0, 1, 2] and sum(numbers(4)) == 6
        steps = numbers(1)
        assert next(steps) == 0 and next(steps, None) is None
        items, table, seen, raw = [3, 1], {}, {1}, bytearray(b'a')
        assert change(items, table, seen=seen, raw=raw) is None
        assert items == [1, 3] and table == {'k': [1]}
        try:
            missing()
        except KeyError:
            pass
        assert not hasattr(stack, 'nothing')
        assert kinds() == (1, 2.5, 'x', b'y', None, True, {1: (2,)}, {3}, frozenset({4}), 1j, range(3), 10**30)
        """,
    )


def test_a_program_that_hides_the_names_of_python_hides_them_from_itself_alone():
    passed(
        "def sum(values): return 42\ndef all(values): return True\n",
        "assert sum([1]) == 42\ntotal = [all([False])]\nassert total == [False]",
        "sum",
    )


@pytest.mark.parametrize("task", TASKS.tasks, ids=lambda task: task.id)
def test_our_own_tasks_can_be_solved_and_cannot_be_passed_by_nothing(task):
    assert task.prompt_zh
    assert task.reference
    reply = f"Here it is:\n\n```python\n{task.reference}```\n"
    result = check_reply(task, reply, a_sandbox())
    assert result.outcome is Outcome.PASSED, result.reason
    assert result.program == task.reference
    nothing = f"class {task.entry_point}:\n    def __new__(cls, *given, **named): return None\n"
    assert check_program(task, nothing, a_sandbox()).outcome is Outcome.FAILED


def test_there_are_ten_of_them():
    assert len({task.id for task in TASKS.tasks}) == 10


def test_a_continuation_goes_on_where_the_prompt_ended():
    prefix = 'from math import sqrt\n\ndef root(x):\n    """The root."""\n'
    task = CodeTask(
        "r", prefix, "def check(candidate):\n    assert candidate(9) == 3\n", "root", prefix=prefix
    )
    for reply in (
        "    return sqrt(x)\n",
        "```python\n    return sqrt(x)\n```",
        "```python\ndef root(x):\n    return sqrt(x)\n```",
    ):
        assert check_reply(task, reply, a_sandbox()).outcome is Outcome.PASSED, reply


@pytest.mark.parametrize(
    ("program", "seen"),
    [
        ("class Far(Exception): pass\ndef add(a, b): raise Far(a, [b])", "(1, [2])"),
        ("def add(a, b): return {}['a']", "('a',)"),
        ("def add(a, b): return b'\\xff'.decode()", "('utf-8', b'\\xff', 0, 1, 'invalid start byte')"),
        ("def add(a, b): raise ValueError(add)", "None"),
        ("def add(a, b): raise ValueError('x' * 9000)", "None"),
        (
            "class Told(Exception):\n    def __str__(self): return 'told'\ndef add(a, b): raise Told(a)",
            "('told',)",
        ),
    ],
    ids=["two", "a key", "five that it asks for", "an object", "long", "a text of its own"],
)
def test_an_exception_keeps_its_arguments(program, seen):
    tests = f"""
        try: add(1, 2)
        except Exception as why: got = why
        wanted = {seen}
        assert wanted is None or got.args == wanted, got.args
        assert wanted is not None or len(got.args) == 1 and isinstance(got.args[0], str), got.args
    """
    passed(program, tests, "add")


@pytest.mark.parametrize(
    ("given", "raised"),
    [
        ("amount", "Funds(1.0)"),
        ("amount, of", "Funds(1.0, 2)"),
    ],
)
def test_an_exception_of_the_task_that_takes_something_else_is_still_that_exception(given, raised):
    prefix = (
        f"class Funds(Exception):\n    def __init__(self, {given}):\n"
        "        super().__init__(f'{amount:.2f}')\n\ndef pay():\n"
    )
    tests = (
        "def check(candidate):\n    try: candidate()\n    except Funds as why: assert why.args == ('1.00',)\n"
        "    else: raise AssertionError('no exception')\n"
    )
    task = CodeTask("pay", prefix, tests, "pay", prefix=prefix)
    result = check_program(task, f"{prefix}    raise {raised}\n", a_sandbox())
    assert result.outcome is Outcome.PASSED, result.reason


def test_an_exception_that_cannot_be_made_again_is_one_of_its_ancestors():
    program = """
        def add(a, b):
            error = ExceptionGroup("x", [ValueError()])
            error.args = ("x", [])
            raise error
    """
    tests = """
        try: add(1, 2)
        except ValueError: raise AssertionError("the judge's own")
        except Exception: pass
    """
    if sys.version_info >= (3, 11):
        passed(program, tests, "add")


SHIFT = CodeTask(
    "shift",
    PREFIX,
    "def check(candidate):\n    for text in ('abc', 'xyz'):\n        assert candidate(encode(text)) == text\n"
    "    assert agrees('abc')\n    try:\n        candidate('')\n    except Empty as why:\n"
    "        assert str(why) == 'none'\n    else:\n        raise AssertionError('no exception')\n",
    "unshift",
    prefix=PREFIX,
)


@pytest.mark.parametrize(
    "head", ["", "def unshift(text):\n"], ids=["a whole beginning", "a head without a body"]
)
def test_what_the_beginning_defines_the_tests_take_from_it(head):
    body = (
        "    if not text:\n        raise Empty('none')\n    return ''.join(chr(ord(c) - 1) for c in text)\n"
    )
    prefix = PREFIX.removesuffix(STUB) + head if head else PREFIX
    task = replace(SHIFT, prefix=prefix)
    result = check_reply(task, body, a_sandbox())
    assert result.outcome is Outcome.PASSED, result.reason
    cheat = (
        "class Empty(Exception): pass\ndef encode(text): return text\ndef agrees(text): return True\n"
        "def unshift(text):\n    if not text: raise Empty('none')\n    return text\n"
    )
    result = check_program(task, f"{PREFIX}\n{cheat}", a_sandbox())
    assert (result.outcome, "candidate(encode(text)) == text" in result.reason) == (Outcome.FAILED, True)


def test_a_beginning_that_cannot_be_run_is_the_tasks_fault():
    result = check_reply(
        replace(SHIFT, prefix="import nothing_like_it\n"), "def unshift(t): pass\n", a_sandbox()
    )
    assert result.outcome is None
    assert "ModuleNotFoundError" in result.reason


# Programs that are wrong.


@pytest.mark.parametrize(
    ("program", "outcome", "reason"),
    [
        ("def add(a, b): return 4", Outcome.FAILED, "line 2 of the tests, assert candidate(1, 2) == 3"),
        ("def add(a, b): raise ValueError('no')", Outcome.FAILED, "the program raised ValueError: no"),
        ("def add(a): return a", Outcome.FAILED, "TypeError"),
        ("def other(): pass", Outcome.FAILED, "defines no add"),
        ("add = 3", Outcome.FAILED, "defines no add"),
        ("def add(a, b) return", Outcome.CRASHED, "cannot be loaded: SyntaxError"),
        ("import nothing_like_it", Outcome.CRASHED, "ModuleNotFoundError"),
        ("1 / 0", Outcome.CRASHED, "ZeroDivisionError"),
        ("def add(a, b): return add(a, b)", Outcome.FAILED, "RecursionError"),
        ("def add(a, b):\n    while True: pass", Outcome.TIMEOUT, "time"),
        ("while True: pass", Outcome.TIMEOUT, "time"),
        ("import time\ndef add(a, b): time.sleep(3600)", Outcome.TIMEOUT, "used up its time"),
        ("def add(a, b): return bytearray(1 << 40)", Outcome.MEMORY, "memory"),
        ("held = []\nwhile True: held.append(bytearray(1 << 20))", Outcome.MEMORY, "memory"),
        ("import os\nos.abort()", Outcome.CRASHED, f"signal {int(signal.SIGABRT)}"),
        ("import sys\nsys.exit(0)", Outcome.CRASHED, "ended itself with SystemExit"),
        ("import sys\ndef add(a, b): sys.exit(0)", Outcome.CRASHED, "SystemExit"),
        ("import os\nos._exit(0)", Outcome.CRASHED, "exit code 0 before"),
        ("import os\ndef add(a, b): os._exit(0)", Outcome.CRASHED, "exit code 0 before"),
        ("def add(a, b): raise KeyboardInterrupt", Outcome.CRASHED, "KeyboardInterrupt"),
        ("while True: print('x' * 1000)", Outcome.CRASHED, "wrote more"),
        ("import socket\ndef add(a, b): socket.socket()", Outcome.REFUSED, "PermissionError"),
        ("def add(a, b): open('/given/judge.py', 'w')", Outcome.REFUSED, "does not allow"),
        ("import os, signal\ndef add(a, b):\n    while True: os.fork() or signal.pause()",
         Outcome.REFUSED, "BlockingIOError"),
        ("import os\nfor fd in range(3, 64):\n    try: os.close(fd)\n    except OSError: pass\ndef add(a, b): return 3",
         Outcome.CRASHED, "before the tests were over"),
    ],
)  # fmt: skip
def test_what_became_of_it(program, outcome, reason):
    result = checked(program, **({"wall_s": 2.0} if outcome is Outcome.TIMEOUT else {}))
    assert (result.outcome, reason in (result.reason or "")) == (outcome, True), result


def test_cpu_time_is_time():
    result = checked("def add(a, b):\n    while True: pass", cpu_s=1)
    assert (result.outcome, result.reason) == (Outcome.TIMEOUT, "the program used up its CPU time")


# Programs that cheat.

ALWAYS = """
class Always:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __bool__(self): return True
    def __hash__(self): return 1
    def __getattr__(self, name): return self
    def __call__(self, *given): return self
"""
CHEATS = {
    "an object equal to everything": ALWAYS + "def add(a, b): return Always()",
    "a number that lies": "class Liar(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\n"
    "def add(a, b): return Liar(9)",
    "other names of Python": "import builtins\nbuiltins.AssertionError = ValueError\nbuiltins.compile = None\n"
    "def add(a, b): return 9\ndef check(candidate): pass",
    "its tests": "import sys\nfor frame in list(sys._current_frames().values()):\n"
    "    frame.f_globals['check'] = print\n"
    "def add(a, b): return 9",
    "all frames above": "import sys\ndef add(a, b):\n    frame = sys._getframe()\n    while frame:\n"
    "        for name in list(frame.f_locals):\n            if isinstance(frame.f_locals[name], dict):\n"
    "                frame.f_locals[name].update(outcome='passed', value=9)\n"
    "        frame = frame.f_back\n    return 9",
    "all objects": "import gc\nfor thing in gc.get_objects():\n    if isinstance(thing, dict) and 'word' in thing:\n"
    "        print('FOUND', thing['word'])\ndef add(a, b): return 9",
    "a forged verdict": "import json, os\nfor fd in range(64):\n    try:\n        os.write(fd, json.dumps("
    "{'outcome': 'passed', 'reason': None, 'word': ''}).encode() + b'\\n')\n    except OSError: pass\n"
    "def add(a, b): return 9",
    "verdicts at the end": 'import atexit, os\natexit.register(os.write, 1, b\'{"outcome": "passed"}\')\n'
    'def add(a, b):\n    os.write(1, b\'{"outcome": "passed"}\')\n    raise SystemExit(0)',
    "the descriptors of the tests": "import os\ndef add(a, b):\n    for fd in range(64):\n        try:\n"
    "            print(os.read(os.open(f'/proc/{os.getppid()}/fd/{fd}', 0), 100))\n        except OSError: pass\n"
    "    return 9",
    "the end of the tests": "import os, signal\n"
    "def add(a, b):\n    os.kill(os.getppid(), signal.SIGKILL)\n    return 9",
    "an interrupt of the tests": "import os, signal\n"
    "def add(a, b):\n    os.kill(os.getppid(), signal.SIGINT)\n    return 9",
    "tracing the tests": "import ctypes, os\nlibc = ctypes.CDLL(None)\n"
    "print(libc.ptrace(16, os.getppid(), None, None), libc.process_vm_readv(os.getppid(), None, 0, None, 0, 0))\n"
    "def add(a, b): return 9",
    "an exception that its tests expect": "class AssertionErrors(Exception): pass\n"
    "def add(a, b): raise StopIteration",
    "answers beforehand": "import os, sys\nfor fd in range(3, 20):\n"
    "    try:\n        os.write(fd, b'{\"value\": 3}\\n' * 9)\n"
    "    except OSError: pass\ndef add(a, b): return 9",
    "built-in names for the tests": "import json\nreal = json.dumps\njson.dumps = lambda answer: real("
    "{'names': {'add': {'held': 1}, '__builtins__': {'value': {'dict': []}}, 'check': {'value': 1}, "
    "'AssertionError': {'error': ['AssertionError', 'BaseException']}}}) if 'names' in answer else real(answer)\n"
    "def add(a, b): return 9",
    "something else than values": 'import json\njson.dumps = lambda answer: \'{"value": {"object": 3}}\'\n'
    "def add(a, b): return 9",
    "no JSON at all": "import json\njson.dumps = lambda answer: '[' * 100000\ndef add(a, b): return 9",
    "files for the tests": "open('/tmp/json.py', 'w').write('raise SystemExit(0)')\n"
    "open('/tmp/ast.py', 'w').write('raise SystemExit(0)')\ndef add(a, b): return 9",
}


@pytest.mark.parametrize("program", CHEATS.values(), ids=CHEATS.keys())
def test_no_cheat_passes(program):
    result = checked(program)
    assert result.outcome in {Outcome.FAILED, Outcome.CRASHED}, result
    assert "FOUND" not in result.output


def test_tests_that_catch_everything_do_not_pass_a_program_that_has_ended():
    result = checked(
        "import os\ndef add(a, b): os._exit(0)",
        "for _ in range(3):\n    try:\n        add(1, 2)\n    except:\n        pass",
    )
    assert result.outcome is Outcome.CRASHED


# Tests that cannot be used.


@pytest.mark.parametrize(
    ("tests", "reason"),
    [
        ("assert add(1, 2) ==", "do not compile"),
        ("assert 1 == 1", "never call"),
        ("assert add(lambda: 1, 2) == 3", "a function, which cannot leave"),
        ("import sys\nassert add(1, 2) == 3\nsys.exit(0)", "end themselves"),
        ("import doctest\nassert add(1, 2) == 3\ndoctest.testmod()", "doctest"),
        (
            "from unittest import TestCase\ndef run():\n    class T(TestCase):\n        x = add(1, 2)\nrun()",
            "top level",
        ),
        (
            "from unittest import *\nclass T(TestCase):\n    def test(self):\n        self.skipTest('not today')",
            "not today",
        ),
        (
            "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): add(lambda: 1, 2)",
            "cannot leave",
        ),
    ],
)
def test_tests_that_decide_nothing_are_neither_a_pass_nor_a_failure(tests, reason):
    result = checked("def add(a, b): return a + b", tests)
    assert result.outcome is None
    assert reason in result.reason


CASES = """
import unittest
class T(unittest.TestCase):
    def setUp(self): self.three = 3
    def test_one(self): self.assertEqual(add(1, 2), self.three)
    def test_two(self):
        for number in range(3):
            with self.subTest(number=number): self.assertEqual(add(number, 0), number)
"""


@pytest.mark.parametrize(
    "runner",
    [
        "",
        "unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(T))\n",
        "unittest.main(exit=False)\n",
        "if __name__ == '__main__':\n    unittest.main()\n",
    ],
)
@pytest.mark.parametrize(
    ("program", "outcome"),
    [
        ("def add(a, b): return a + b", Outcome.PASSED),
        ("def add(a, b): return 3", Outcome.FAILED),
        ("def add(a, b): return 0", Outcome.FAILED),
        ("import os\ndef add(a, b): os._exit(0)", Outcome.CRASHED),
    ],
)
def test_cases_of_unittest_decide_whoever_runs_them(program, outcome, runner):
    result = checked(program, CASES + runner)
    assert result.outcome is outcome, result


def test_a_name_of_doctest_is_a_name_like_any_other():
    passed("def add(a, b): return a + b", "testfile = 'x'\nassert add(testfile, 'y') == 'xy'")


def test_what_tests_print_is_output():
    result = checked("def add(a, b): return 3", "print('from the tests', flush=True)\nassert add(1, 2) == 3")
    assert (result.outcome, result.output) == (Outcome.PASSED, "from the tests\n")


# Replies and samples.


def test_a_reply_without_a_program():
    result = check_reply(ADD, "I am sorry.", a_sandbox())
    assert (result.outcome, result.program) == (Outcome.NO_CODE, None)
    assert "no code block" in result.reason


def test_pass_at_k_of_samples():
    def results(task, *outcomes):
        return [CodeResult(task, outcome, None, "") for outcome in outcomes]

    right, wrong = Outcome.PASSED, Outcome.FAILED
    both = results("a", right, wrong, wrong, Outcome.TIMEOUT) + results(
        "b", right, right, Outcome.NO_CODE, wrong
    )
    assert pass_at_k(both, 1).value == pytest.approx((1 / 4 + 2 / 4) / 2)
    assert pass_at_k(both, 2).value == pytest.approx(((1 - 3 / 6) + (1 - 1 / 6)) / 2)
    assert pass_at_k(both, 5).value is None
    assert "could not be run" in pass_at_k([*both, CodeResult("a", None, "no sandbox", "")], 1).reason


# The measure.


def test_the_measure_of_quality(tmp_path):
    a_sandbox()
    scorer = open_quality("code_tests", {"tasks": str(TASKS.path), "wall_s": 5})
    runs = TASKS.tasks[0]
    fence = f"```python\n{runs.reference}```"
    items = [
        Item("x", runs.prompt, fence),
        Item("runs", "", fence),
        Item("x", runs.prompt_zh, "no idea"),
        Item(
            "own",
            "p",
            "```python\ndef f(): return 1\n```",
            meta={"tests": "assert f() == 1", "entry_point": "f"},
        ),
        Item("x", "another prompt", fence),
        Item("own", "p", fence, meta={"tests": "assert f() == 1", "entry_point": "no name"}),
    ]
    scores = scorer.score(items)
    assert [score.value for score in scores] == [1.0, 1.0, 0.0, 1.0, None, None]
    assert scores[0].parts["outcome"] == "passed"
    assert scores[0].parts["program"] == runs.reference
    assert scores[2].parts["outcome"] == "no_code"
    assert "no task" in scores[4].reason
    assert "is no name" in scores[5].reason
    json.dumps([dict(score.parts) for score in scores])
    assert json.loads(json.dumps(scorer.identity)) == dict(scorer.identity)
    assert scorer.identity["tasks_sha256"] == TASKS.sha256
    assert open_scorer().identity["tasks_sha256"] is None


def test_what_the_measure_refuses(tmp_path):
    with pytest.raises(InputError, match="limit"):
        open_quality("code_tests", {"wall_s": 0})
    with pytest.raises(DataError):
        open_quality("code_tests", {"tasks": str(tmp_path / "none.jsonl")})


def test_without_a_sandbox_there_is_no_value_and_the_reason_is_told(monkeypatch):
    state = Unavailable("this machine has none", "use another")
    monkeypatch.setattr(sandbox_module, "_probed", lambda _: state)

    def run(*given, **named):
        raise AssertionError("something was run")

    monkeypatch.setattr(subprocess, "run", run)
    for reply in ("```python\ndef add(a, b): return 3\n```", "no code"):
        result = check_reply(ADD, reply, Sandbox())
        assert result.outcome is None
        assert "this machine has none; use another" in result.reason
    (score,) = open_scorer().score([Item("x", "p", "no code", meta={"tests": "assert f()"})])
    assert score.value is None
    assert "this machine has none" in score.reason


def test_the_program_runs_in_the_sandbox_and_nowhere_else():
    result = checked("import os, sys\nprint(os.getuid(), os.getcwd(), os.getpid() < 9, sys.flags.no_site)\n"
                     "def add(a, b): return a + b")  # fmt: skip
    assert result.outcome is Outcome.PASSED
    assert result.output == "1000 /tmp True 1\n"
    assert os.getpid() > 9 or sys.platform != "linux"
