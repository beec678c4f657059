"""`hexgate study report`: the page of a study, one file that opens offline."""

from __future__ import annotations

from pathlib import Path

import click

from hexgate.cli.language import language, text
from hexgate.cli.outputs import write_text
from hexgate.cli.studies.options import FOLDER, SPEC
from hexgate.errors import InputError
from hexgate.study.reading import read_study

__all__ = ["command"]


@click.command(
    "report",
    help=text(
        "Write the study in FOLDER as one HTML page that opens offline: quality against energy with the Pareto front, "
        "by task, load, size and quantisation, profiles, distributions, the judge, and a table that sorts and filters. "
        "Also while the study runs. The exit code says only whether the page was written.",
        "把 FOLDER 中的研究写成一个可离线打开的 HTML 页面：质量与能耗及帕累托前沿，按任务、负载、规模与量化的比较，"
        "模型画像，分布，评判，以及可排序和筛选的表格。研究运行中也可使用。退出码只表示页面是否写出。",
    ),
)
@FOLDER
@SPEC
@click.option(
    "--out",
    metavar="FILE.html",
    type=click.Path(path_type=Path, dir_okay=False),
    help=text("The page.", "页面文件。"),
)
def command(folder: Path, spec: Path | None, out: Path | None) -> int:
    """Write the page."""
    if out is None:
        raise InputError("--out is missing", hint="name a file for the page, such as --out report.html")
    reading = read_study(folder, spec)
    # The templates and NumPy are loaded for a page alone.
    from hexgate.report.studies.page import study_page

    write_text(out, lambda: study_page(reading, language()))
    return 0
