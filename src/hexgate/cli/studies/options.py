"""What the subcommands that read a study share: its folder, and the file of it that is newer."""

from __future__ import annotations

from pathlib import Path

import click

from hexgate.cli.language import text
from hexgate.cli.measure_options import Flag

__all__ = ["FOLDER", "SPEC"]

FOLDER: Flag = click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
SPEC: Flag = click.option(
    "--spec",
    type=click.Path(path_type=Path, dir_okay=False),
    help=text(
        "The study's file, where its blocks quality, judge or rating are newer than those it began with.",
        "研究描述文件；quality、judge 或 rating 在研究开始后有改动时给出。",
    ),
)
