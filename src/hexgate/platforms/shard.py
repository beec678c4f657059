"""Which shard of a job this process is: by the variables of every platform, held against each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hexgate.errors import InputError

__all__ = ["ShardPlace", "find_shard"]

_OURS = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")
_NUMBER = re.compile(r"[0-9]{1,9}")
_COUNT = "HEXGATE_SHARDS"


@dataclass(frozen=True)
class ShardPlace:
    """One shard of several."""

    index: int
    """From 0."""
    count: int
    """How many there are, at least 2."""

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @property
    def part(self) -> str:
        """The name of its part."""
        return f"shard-{self.index}-of-{self.count}"


@dataclass(frozen=True)
class _Source:
    """Where a platform says which shard a process is."""

    index: str
    count: str | None
    counts_the_run: bool = True
    """Whether the count is that of the run; else of what was started now, such as one task of an array again."""


_SOURCES = (
    _Source("JOB_COMPLETION_INDEX", None),
    _Source("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", counts_the_run=False),
    _Source("RANK", "WORLD_SIZE"),
    _Source("MLP_ROLE_INDEX", "MLP_WORKER_NUM"),
)
"""Kubernetes Indexed Jobs, Slurm arrays, PAI-DLC (whose WORLD_SIZE counts nodes), veMLP."""


def find_shard(environ: Mapping[str, str]) -> ShardPlace | None:
    """Which shard this is; None in a job that has only one.

    ``HEXGATE_SHARD=<i>/<n>`` decides where it is set, else whatever variables of platforms are there. The count is
    ``HEXGATE_SHARDS``, or the platform's own.

    Raises:
        InputError: if a variable is no number, two of them contradict each other, the count is not known, or the index
            lies beyond it.
    """
    total = _number(environ, _COUNT)
    own = environ.get("HEXGATE_SHARD")
    if own:
        found = _OURS.fullmatch(own.strip())
        if found is None:
            raise InputError("not a shard", where="HEXGATE_SHARD", got=repr(own), expected="<i>/<n> from 0")
        said = {"HEXGATE_SHARD": int(found[1])}
        counts = {"HEXGATE_SHARD": int(found[2])}
    else:
        said, counts = _said_by_platforms(environ, total)
    if total is not None:
        counts[_COUNT] = total
    index, count = _agreed(said, "index"), _agreed(counts, "count")
    if count == 0:
        raise InputError("there is no shard at all", got=_listed(counts), expected="at least 1")
    if count is None:
        count = 1
        if index:
            raise InputError(
                "the number of shards is not known",
                where=_COUNT,
                expected="a number, as every rendered job sets it",
                got=_listed(said),
            )
    if index is None:
        if count > 1:
            raise InputError(
                f"nothing says which of {count} shards this is",
                where="HEXGATE_SHARD",
                expected=f"<i>/{count}, or a variable of a platform: {', '.join(one.index for one in _SOURCES)}",
            )
        return None
    if index >= count:
        raise InputError(
            "there is no such shard", got=_listed(said), expected=f"0 to {count - 1}, by {_listed(counts)}"
        )
    return ShardPlace(index, count) if count > 1 else None


def _said_by_platforms(
    environ: Mapping[str, str], total: int | None
) -> tuple[dict[str, int], dict[str, int]]:
    said: dict[str, int] = {}
    counts: dict[str, int] = {}
    for source in _SOURCES:
        index = _number(environ, source.index)
        if index is None:
            continue
        said[source.index] = index
        count = None if source.count is None else _number(environ, source.count)
        if source.count is not None and count is not None and (source.counts_the_run or total is None):
            counts[source.count] = count
    return said, counts


def _number(environ: Mapping[str, str], name: str) -> int | None:
    value = environ.get(name, "").strip()
    if not value:
        return None
    if not _NUMBER.fullmatch(value):
        raise InputError("not a number of a shard", where=name, got=repr(value), expected="a whole number")
    return int(value)


def _agreed(said: Mapping[str, int], what: str) -> int | None:
    if len(set(said.values())) > 1:
        raise InputError(
            f"the variables contradict each other about the {what} of this shard",
            got=_listed(said),
            hint="set HEXGATE_SHARD=<i>/<n> to decide",
        )
    return next(iter(said.values()), None)


def _listed(said: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={value}" for name, value in said.items())
