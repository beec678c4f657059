"""The side of the tests: runs them against a program that lives in another process. Runs inside the sandbox only.

The tests' verdict is reached here, where the program cannot look: it has neither this process's memory nor its
descriptors, and what it returns arrives as plain values. The verdict carries a word that only this process was told.
"""

from __future__ import annotations

import ast
import builtins
import errno
import json
import os
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from hexgate.scorers.code_cases import Unfit, names_of, run_cases
from hexgate.scorers.code_values import MUTABLE, decode, encode
from hexgate.scorers.sandbox_kernel import DUMPABLE, prctl

__all__ = ["Held", "main", "verdict_on"]

_LONGEST = 16 << 20
_TEXT = 500
_WAIT_S = 2.0
_CHECK = "check"
_REFUSED = {
    errno.EACCES,
    errno.EAGAIN,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EMFILE,
    errno.ENETUNREACH,
    errno.ENOSPC,
    errno.EPERM,
    errno.EROFS,
}
"""What the system says to a program that goes beyond the sandbox."""
_ENDINGS = {"SystemExit", "KeyboardInterrupt", "GeneratorExit"}
_UNREADABLE = (KeyError, TypeError, ValueError, IndexError, AttributeError, ImportError, RecursionError)


class _InProgram(Exception):
    """Cause of an exception that came from the program, not from the tests."""


class _Over(BaseException):
    """The program can be asked no more; not an Exception, so that no test goes on as if nothing were."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason


class Held:
    """Stands in the tests for an object of the program: a function, a class or an instance."""

    __hash__ = object.__hash__

    def __init__(self, program: _Program, number: int) -> None:
        self._program = program
        self._number = number

    def __call__(self, *given: object, **named: object) -> Any:  # noqa: D102
        return self._program.ask("call", self, *given, **named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._program.ask("get", self, name)

    def __bool__(self) -> bool:
        return self._program.ask("bool", self) is True

    def __contains__(self, part: object) -> bool:
        return self._program.ask("contains", self, part) is True

    def __eq__(self, other: object) -> bool:
        # Two objects of the program may be compared by the program; with a value of the tests it could lie.
        if not isinstance(other, Held):
            raise TypeError("the program returned an object where the tests expect a plain value")
        return self._program.ask("equal", self, other) is True

    def __getitem__(self, place: object) -> Any:
        return self._program.ask("item", self, place)

    def __iter__(self) -> Any:
        return iter(self._parts())

    def __len__(self) -> int:
        length = self._program.ask("len", self)
        if not isinstance(length, int):
            raise TypeError("a length is a whole number")
        return length

    def __next__(self) -> Any:
        return self._program.ask("next", self)

    def __str__(self) -> str:
        return str(self._program.ask("text", self))

    def _parts(self) -> Any:
        there = self._program.ask("iter", self)
        while True:
            try:
                part = self._program.ask("next", there)
            except StopIteration:
                return
            yield part


class _Program:
    """The program, as the tests reach it."""

    def __init__(self, text: str, entry_point: str | None) -> None:
        self.calls = 0
        """How often it was asked for something."""
        self.over: _Over | None = None
        """Why it can be asked no more."""
        self._entry_point = entry_point
        self._errors: dict[str, type[BaseException]] = {}
        asked, ask = os.pipe()
        answer, answered = os.pipe()
        for descriptor in (asked, answered):
            os.set_inheritable(descriptor, True)
        # The same interpreter with the same options.
        script = str(Path(sys.argv[0]).with_name("program.py"))
        command = [*sys.orig_argv[: -len(sys.argv)], script, str(asked), str(answered)]
        self._pid = os.posix_spawn(command[0], command, os.environ)
        os.close(asked)
        os.close(answered)
        self._asks, self._answers = os.fdopen(ask, "wb"), os.fdopen(answer, "rb")
        self._loaded = self._exchange({"program": text, "entry_point": entry_point})

    def names(self, own: dict[str, Any]) -> dict[str, Any]:
        """What the tests find under the names that the program defines.

        Args:
            own: names that are the task's; an exception that the program raises under one of them is of that kind.
        """
        for name, kind in own.items():
            if isinstance(kind, type) and issubclass(kind, Exception):
                self._errors[name] = kind
        try:
            return {
                name: self._named(said)
                for name, said in self._loaded["names"].items()
                # Names of Python itself are the tests' own, whatever the program says: but for the one they are about.
                if name == self._entry_point or not (name.startswith("__") or hasattr(builtins, name))
            }
        except _UNREADABLE:
            raise self._unreadable() from None

    def ask(self, operation: str, *given: object, **named: object) -> Any:
        """Have the program do something, and take over what it changed in lists, dicts and sets of the tests."""
        self.calls += 1
        answer = self._exchange(
            {
                "do": operation,
                "given": [encode(part, _number_of) for part in given],
                "named": {name: encode(part, _number_of) for name, part in named.items()},
            }
        )
        try:
            for place, after in answer["changed"]:
                _change(given[place], decode(after, self._held))
            return decode(answer["value"], self._held)
        except _UNREADABLE:
            raise self._unreadable() from None

    def _named(self, said: dict[str, Any]) -> Any:
        if "error" in said:
            return self._error(said["error"])
        if "module" in said:
            # What the program imports the tests may use.
            return import_module(said["module"]) if said["module"] in sys.stdlib_module_names else None
        if "held" in said:
            return self._held(said["held"])
        return decode(said["value"], self._held)

    def _held(self, number: int) -> Held:
        return Held(self, number)

    def _exchange(self, message: dict[str, Any]) -> dict[str, Any]:
        if self.over is not None:
            raise self.over
        try:
            self._asks.write(json.dumps(message).encode() + b"\n")
            self._asks.flush()
            line = self._answers.readline(_LONGEST)
        except BrokenPipeError:
            line = b""
        if not line:
            raise self._ended()
        try:
            answer: dict[str, Any] = json.loads(line)
            raised = answer.get("raised")
        except _UNREADABLE:
            raise self._unreadable() from None
        if raised is not None:
            self._raise(raised)
        return answer

    def _raise(self, raised: dict[str, Any]) -> NoReturn:
        """Raise here what was raised there, as the nearest kind of exception that is known here."""
        try:
            names = [str(name) for name in raised["names"]]
            first, text, number = names[0], str(raised["text"])[:_TEXT], raised["number"]
            given = None if raised["args"] is None else decode(raised["args"], _none_held)
        except _UNREADABLE:
            raise self._unreadable() from None
        if first in _ENDINGS:
            raise self._end("crashed", f"the program ended itself with {first}")
        for name in names:
            kind = self._errors.get(name) or getattr(builtins, name, None)
            if isinstance(kind, type) and issubclass(kind, Exception):
                error = _made(kind, given, text, number)
                if error is not None:
                    raise error from _InProgram(f"{first}: {text}")
        raise self._end("crashed", f"the program raised {first}: {text}")

    def _error(self, names: list[str]) -> type[BaseException]:
        """A kind of exception with the name and the ancestors of one of the program's."""
        kind: type[BaseException] = Exception
        for name in reversed(names):
            known = getattr(builtins, name, None)
            if isinstance(known, type) and issubclass(known, BaseException):
                kind = known
            elif name != "object":
                kind = self._errors.setdefault(name, type(name, (kind,), {}))
        return kind

    def _end(self, outcome: str, reason: str) -> _Over:
        if self.over is None:
            self.over = _Over(outcome, reason)
        return self.over

    def _unreadable(self) -> _Over:
        return self._end("crashed", "the program sent something unreadable")

    def _ended(self) -> _Over:
        """Why the program answers no more."""
        deadline_s = time.monotonic() + _WAIT_S
        while True:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() >= deadline_s:
                return self._end("crashed", "the program closed its line to the tests")
            time.sleep(0.01)
        code = os.waitstatus_to_exitcode(status)
        if code == -signal.SIGXCPU:
            return self._end("timeout", "the program used up its CPU time")
        how = f"was ended by signal {-code}" if code < 0 else f"ended itself with exit code {code}"
        return self._end("crashed", f"the program {how} before the tests were over")


def verdict_on(task: dict[str, Any]) -> dict[str, str | None]:
    """Run a task's tests on a program.

    Args:
        task: ``program`` and ``tests``, texts; ``prefix``, the text that the program continues, empty where there is
            none: what it defines, but for the entry point, the tests take from it and not from the program, which may
            define it anew; ``entry_point``, the function that the tests are about, or None.

    Returns:
        ``outcome`` (passed, failed, timeout, memory, crashed, refused, or unfit where the tests themselves cannot be
        run) and ``reason``, None for passed.
    """
    tests, prefix, entry_point = task["tests"], task["prefix"], task["entry_point"]
    try:
        tree = ast.parse(tests)
        code = compile(tree, "tests", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as why:
        return _verdict("unfit", f"the tests do not compile: {why}")
    program: _Program | None = None
    try:
        own = names_of(prefix)
        program = _Program(task["program"], entry_point)
        names = program.names(own)
        candidate = names.get(entry_point) if entry_point is not None else None
        if entry_point is not None and not isinstance(candidate, Held):
            return _verdict("failed", f"the program defines no {entry_point}")
        # In place, because what the beginning defines looks for the entry point there.
        own |= {name: value for name, value in names.items() if name == entry_point or name not in own}
        names = own
        exec(code, names)  # noqa: S102 - this is what the sandbox is for
        run_cases(tree, names)
        if entry_point is not None and _defines_check(tree):
            names[_CHECK](candidate)
    except BaseException as why:  # noqa: BLE001 - whatever it is, the tests have not passed
        return _failure(why, tests, loaded=program is not None)
    if program.over is not None:
        return _verdict(program.over.outcome, program.over.reason)
    if program.calls == 0:
        return _verdict("unfit", "the tests never call the program")
    return _verdict("passed", None)


def _verdict(outcome: str, reason: str | None) -> dict[str, str | None]:
    return {"outcome": outcome, "reason": None if reason is None else reason[:_TEXT]}


def _failure(  # noqa: PLR0911 - one return an outcome
    why: BaseException, tests: str, *, loaded: bool
) -> dict[str, str | None]:
    if isinstance(why, _Over):
        return _verdict(why.outcome, why.reason)
    if isinstance(why, Unfit):
        return _verdict("unfit", str(why))
    if isinstance(why, SystemExit):
        return _verdict("unfit", "the tests end themselves")
    theirs = isinstance(why.__cause__, _InProgram)
    if isinstance(why, MemoryError):
        return _verdict("memory", "the program asked for more memory than it may have")
    if theirs and isinstance(why, OSError) and why.errno in _REFUSED:
        return _verdict("refused", f"the program tried what the sandbox does not allow: {why.__cause__}")
    if not loaded:
        return _verdict("crashed", f"the program cannot be loaded: {why.__cause__ or repr(why)}")
    said = f"the program raised {why.__cause__}" if theirs else f"{type(why).__name__}: {why}".rstrip(": ")
    return _verdict("failed", f"{_place(why, tests)}{said}")


def _place(why: BaseException, tests: str) -> str:
    """The line of the tests at which they ended."""
    numbers = [frame.lineno for frame in traceback.extract_tb(why.__traceback__) if frame.filename == "tests"]
    if not numbers or numbers[-1] is None:
        return ""
    return f"line {numbers[-1]} of the tests, {tests.splitlines()[numbers[-1] - 1].strip()[:200]}: "


def _made(kind: type[Exception], given: object, text: str, number: object) -> Exception | None:
    """An exception of the arguments that it had, where it says the same by them; None where its kind asks for more."""
    ways = [given] if isinstance(given, tuple) else []
    ways.append((number, text) if issubclass(kind, OSError) and isinstance(number, int) else (text,))
    for way in ways:
        try:
            error = kind(*way)
            if way is ways[-1] or str(error)[:_TEXT] == text:
                return error
        except Exception:  # noqa: BLE001, PERF203, S112 - the tests' own kind may fail at anything
            continue
    if getattr(builtins, kind.__name__, None) is kind:
        return None
    # One whose own beginning takes something else is made without it.
    error = kind.__new__(kind)
    error.args = ways[0]
    return error


def _none_held(number: int) -> object:
    raise ValueError(f"an exception cannot hold the program's object {number}")


def _defines_check(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == _CHECK for node in tree.body)


def _number_of(value: object) -> int:
    if isinstance(value, Held):
        return int(vars(value)["_number"])
    raise Unfit(f"the tests hand the program a {type(value).__name__}, which cannot leave their process")


def _change(value: object, after: Any) -> None:
    """Give a list, dict or set the content that it has after a call."""
    if len({type(value), type(after)}) > 1 or not isinstance(value, MUTABLE):
        raise TypeError("a value of another kind")
    value.clear()
    if isinstance(value, (list, bytearray)):
        value.extend(after)
    else:
        value.update(after)


def main() -> None:
    """Read a task from standard input, and write the verdict with the task's word to standard output."""
    prctl(DUMPABLE, 0)
    # Only signals that end this process may come from the program: none that raises something in the tests.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    task = json.load(sys.stdin)
    word = task.pop("word")
    # What tests and program print goes to standard error, and neither reads anything.
    report = os.dup(1)
    os.dup2(2, 1)
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.write(report, json.dumps({**verdict_on(task), "word": word}).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
