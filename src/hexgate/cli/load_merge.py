"""`hexgate load merge`: the shards of a load as one load."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hexgate.cli.language import text
from hexgate.cli.load_options import Leaving
from hexgate.cli.load_told import conclude_load
from hexgate.cli.measure_options import QUIET
from hexgate.indicators.load_merge import merge_shards
from hexgate.indicators.runner import start_run

__all__ = ["merge_command"]


@click.command(
    "merge",
    no_args_is_help=True,
    help=text(
        "Merge the shards in DIR, or in the folders of its parts, into the two artifacts of their load, its tables "
        "and its report. A shard that is missing makes them partial.",
        "把 DIR（或其各部分子目录）中的分片合并成该负载的两项结果、表格和报告。缺少分片时结果为不完整。",
    ),
)
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help=text("Folder of the artifacts.", "存放结果的目录。"),
)
@QUIET
def merge_command(folders: tuple[Path, ...], out: Path, quiet: bool) -> int:
    """Merge, and return the exit code."""
    return conclude_load(merge_shards(folders, out, start_run(sys.argv)), out, Leaving(quiet=quiet))
