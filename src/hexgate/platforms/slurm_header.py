"""The #SBATCH lines of a batch script, read as strictly as sbatch should read them.

sbatch has no check without a cluster, and takes some mistakes in silence: a line behind the first command, or one that
begins with ``# SBATCH``, is a comment to it. The table of options is ours, from its manual page (22.05 to 24.11).
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

__all__ = ["PYXIS", "Option", "read_header"]

_FLAGS = """
contiguous exclusive get-user-env hold ignore-pbs kill-on-invalid-dep mcs-label no-kill no-requeue
overcommit oversubscribe parsable quiet reboot requeue spread-job test-only use-min-nodes verbose wait
"""
_VALUES = """
account acctg-freq array batch bb bbf begin chdir cluster-constraint clusters comment constraint container
container-id core-spec cores-per-socket cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot dependency
distribution error exclude export export-file extra extra-node-info gid gpu-bind gpu-freq gpus gpus-per-node
gpus-per-socket gpus-per-task gres gres-flags hint input job-name licenses mail-type mail-user mem mem-bind
mem-per-cpu mem-per-gpu mincpus network nice nodefile nodelist nodes ntasks ntasks-per-core ntasks-per-gpu
ntasks-per-node ntasks-per-socket open-mode output partition power prefer priority profile propagate qos
reservation resv-ports segment signal sockets-per-node stepmgr switches thread-spec threads-per-core time
time-min tmp tres-bind tres-per-task uid wckey wrap
"""
_OPTIONAL = {"exclusive", "get-user-env", "mcs-label", "nice", "no-kill", "propagate", "resv-ports"}
_TAKES = dict.fromkeys(_FLAGS.split(), False) | dict.fromkeys(_VALUES.split(), True)
_LETTERS = """
A=account a=array b=begin B=extra-node-info C=constraint c=cpus-per-task D=chdir d=dependency e=error
F=nodefile G=gpus H=hold i=input J=job-name k=no-kill L=licenses M=clusters m=distribution N=nodes n=ntasks
O=overcommit o=output p=partition Q=quiet q=qos S=core-spec s=oversubscribe t=time v=verbose W=wait
w=nodelist x=exclude
"""
_SHORT = dict(pair.split("=", 1) for pair in _LETTERS.split())

PYXIS = re.compile(
    r"(no-)?container-(image|mounts|workdir|name|save|mount-home|remap-root|entrypoint(-log)?|writable|readonly|env|unshare)"
)
"""Options that pyxis adds; no part of sbatch itself."""

_ALMOST = re.compile(r"^\s*#\s*SBATCH|^\s*##+\s*SBATCH", re.IGNORECASE)


@dataclass(frozen=True)
class Option:
    """One option of the header."""

    line: int
    """Its line, from 1."""
    name: str
    """Its long name, without dashes."""
    value: str | None
    """Its value; None for a flag."""


def read_header(text: str) -> tuple[list[Option], list[tuple[int, str]]]:
    """The options of a script, and what is wrong with how they are written: line and problem."""
    options: list[Option] = []
    problems: list[tuple[int, str]] = []
    lines = text.splitlines()
    if not lines or not lines[0].startswith("#!"):
        problems.append((1, "no #! line: sbatch refuses a script without one"))
    commands = False
    for number, line in enumerate(lines, 1):
        if not line.startswith("#SBATCH"):
            if _ALMOST.match(line):
                problems.append(
                    (
                        number,
                        f"{line.strip()!r} is a comment to sbatch, expected '#SBATCH ' at the line's start",
                    )
                )
            commands = commands or bool(line.strip().partition("#")[0])
            continue
        if commands:
            problems.append((number, "behind the first command, where sbatch takes it for a comment"))
            continue
        found, problem = _words(number, line)
        options += found
        problems += [(number, problem)] if problem else []
    seen: dict[str, int] = {}
    for option in options:
        if option.name in seen:
            problems.append(
                (
                    option.line,
                    f"--{option.name} stands in line {seen[option.name]} already: the last one wins",
                )
            )
        seen[option.name] = option.line
    return options, problems


def _words(number: int, line: str) -> tuple[list[Option], str | None]:
    """The options of one line, up to the first that is none."""
    found: list[Option] = []
    if not line.startswith("#SBATCH "):
        return found, "expected a space behind #SBATCH"
    try:
        words = shlex.split(line.removeprefix("#SBATCH "), comments=True)
    except ValueError as error:
        return found, f"cannot be split into words ({error})"
    while words:
        name, equals, value = _named(words.pop(0))
        problem = None
        if PYXIS.fullmatch(name):
            pass
        elif name not in _TAKES:
            problem = f"{name!r} is no option of sbatch"
        elif equals and not _TAKES[name] and name not in _OPTIONAL:
            problem = f"--{name} takes no value, got {value!r}"
        elif not equals and _TAKES[name] and name not in _OPTIONAL:
            if words:
                equals, value = "=", words.pop(0)
            else:
                problem = f"--{name} without its value"
        if problem is not None:
            return found, problem
        found.append(Option(number, name, value if equals else None))
    return found, None


def _named(word: str) -> tuple[str, str, str]:
    """Long name, ``=`` if a value stands in the same word, and that value; a word that is no option stays as it is."""
    if word.startswith("--"):
        return word[2:].partition("=")
    if word.startswith("-") and word[1:2] in _SHORT:
        return _SHORT[word[1]], "=" if word[2:] else "", word[2:]
    return word, "", ""
