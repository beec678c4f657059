"""The side of the program: loads it, and does with it what the tests ask. Runs inside the sandbox only.

Nothing here is a defence. The program shares this process and may change all of it; whatever it does then, the tests
see plain values, as if its functions had returned them.
"""

from __future__ import annotations

import builtins
import contextlib
import json
import operator
import os
import sys
import types
from collections.abc import Callable
from typing import Any

from hexgate.scorers.code_values import MUTABLE, decode, encode, plain

__all__ = ["main", "serve"]

_TEXT = 500
_OPERATIONS: dict[str, Callable[..., object]] = {
    "bool": bool,
    "call": lambda of, *given, **named: of(*given, **named),
    "contains": operator.contains,
    "equal": operator.eq,
    "get": getattr,
    "item": operator.getitem,
    "iter": iter,
    "len": len,
    "next": next,
    "text": str,
}


def main() -> None:
    """Serve on the two descriptors that the command line names."""
    read_from, write_to = map(int, sys.argv[1:])
    sys.argv[:] = ["program"]
    serve(read_from, write_to)


def serve(read_from: int, write_to: int) -> None:
    """Load the program that the first line holds, then do what each further line asks.

    Args:
        read_from: descriptor of a pipe of JSON Lines.
        write_to: descriptor of a pipe for one line of answer each.
    """
    asked, answers = os.fdopen(read_from, "rb"), os.fdopen(write_to, "wb")
    program = _Program()
    for number, line in enumerate(asked):
        try:
            task = json.loads(line)
            answer = program.load(task) if number == 0 else program.do(task)
            text = json.dumps(answer)
        except BaseException as why:  # noqa: BLE001 - whatever it is, the tests are told
            text = json.dumps({"raised": _raised(why)})
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        answers.write(text.encode() + b"\n")
        answers.flush()


class _Program:
    """The loaded program, and what of it the tests hold by numbers."""

    def __init__(self) -> None:
        self._held: list[object] = []
        self._numbers: dict[int, int] = {}

    def load(self, task: dict[str, Any]) -> dict[str, Any]:
        """Run the program's text, and say what names it has."""
        module = types.ModuleType("program")
        sys.modules["program"] = module
        code = compile(task["program"], "program", "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102 - this is what the sandbox is for
        return {
            "names": {
                name: self._described(value)
                for name, value in list(vars(module).items())
                # A name that Python has already is the tests' own, but for the one that they are about.
                if not name.startswith("__") and (name == task["entry_point"] or not hasattr(builtins, name))
            }
        }

    def do(self, task: dict[str, Any]) -> dict[str, Any]:
        """Do one thing that the tests ask."""
        given = [decode(part, self._held.__getitem__) for part in task["given"]]
        named = {name: decode(part, self._held.__getitem__) for name, part in task["named"].items()}
        value = _OPERATIONS[task["do"]](*given, **named)
        changed = [
            [place, after]
            for place, part in enumerate(given)
            if isinstance(part, MUTABLE) and (after := encode(part, self._hold)) != task["given"][place]
        ]
        return {"value": encode(value, self._hold), "changed": changed}

    def _described(self, value: object) -> dict[str, Any]:
        if isinstance(value, types.ModuleType):
            return {"module": value.__name__}
        if isinstance(value, type) and issubclass(value, BaseException):
            return {"error": [kind.__name__ for kind in value.__mro__], "held": self._hold(value)}
        return {"value": encode(value, self._hold)} if plain(value) else {"held": self._hold(value)}

    def _hold(self, value: object) -> int:
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self._held)
            self._held.append(value)
        return self._numbers[id(value)]


def _raised(why: BaseException) -> dict[str, Any]:
    try:
        text = str(why)[:_TEXT]
    except Exception:  # noqa: BLE001 - a program's own exception may fail at anything
        text = ""
    number = getattr(why, "errno", None)
    return {
        "names": [kind.__name__ for kind in type(why).__mro__],
        "text": text,
        "number": number if isinstance(number, int) else None,
        "args": _arguments(why),
    }


def _arguments(why: BaseException) -> Any:
    """The arguments of an exception; None where they are no plain values, or long."""
    try:
        found = encode(why.args, _never)
        return found if len(json.dumps(found)) <= _TEXT else None
    except Exception:  # noqa: BLE001 - as above
        return None


def _never(part: object) -> int:
    raise TypeError(type(part).__name__)


if __name__ == "__main__":
    main()
