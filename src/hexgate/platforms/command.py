"""What a rendered job runs: our part runner around the spec's argv, and the environment that it reads."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence

from hexgate.platforms.spec import JobSpec

__all__ = ["job_environment", "part_argv", "runnable", "shell_line"]


def part_argv(spec: JobSpec, *, output: str | None = None, indicator: str | None = None) -> list[str]:
    """The whole command of a job, or of one step of it.

    Args:
        spec: the job.
        output: where its part goes, as the job sees it; None for the spec's own.
        indicator: the indicator of a step that fans out, which is then the part's name too.
    """
    argv = [argument.replace("{indicator}", indicator or "{indicator}") for argument in spec.argv]
    part = [] if indicator is None else ["--part", indicator]
    return ["hexgate", "platforms", "run", "--output", output or spec.output.inside, *part, "--", *argv]


def job_environment(spec: JobSpec, platform: str) -> dict[str, str]:
    """The environment of a job: what the spec gives, and what the part runner and artifacts need to know.

    Platforms add what only they know: ``HEXGATE_JOB_ID`` (the native id) where a job can learn it, and
    ``HEXGATE_SHARD`` (``<i>/<n>``, from 0) where their own variables do not say it (`hexgate.platforms.shard`).
    """
    ours: Mapping[str, str | None] = {
        "HEXGATE_PLATFORM": platform,
        "HEXGATE_RUN_ID": spec.run_id,
        "HEXGATE_SPEC_SHA256": spec.sha256,
        "HEXGATE_IMAGE": spec.image.pinned,
        "HEXGATE_SHARDS": str(spec.shards) if spec.shards > 1 else None,
    }
    return dict(spec.env) | {name: value for name, value in ours.items() if value is not None}


def shell_line(argv: list[str]) -> str:
    """The command as one shell line, for platforms that take no list. Quoted once, here."""
    return shlex.join(argv)


def runnable(argv: Sequence[str]) -> list[str]:
    """The command as this machine runs it: `hexgate` is the one that runs here, wherever the path would lead."""
    return [sys.executable, "-m", "hexgate", *argv[1:]] if argv[0] == "hexgate" else list(argv)
