"""What measures of quality say of a study's models, as a table on standard output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import click

from hexgate.cli.console import columns, error_words, padded
from hexgate.cli.language import text
from hexgate.study.quality.marking import Tally

__all__ = ["measures_without_value", "show_left", "show_tallies"]


def show_tallies(tallies: Sequence[Tally]) -> None:
    """One line a measure and model: mean, number of values, and what has none, with the reasons."""
    head = (
        text("measure", "度量"),
        text("model", "模型"),
        text("mean", "均值"),
        text("n", "数量"),
        text("without a value", "无值"),
    )
    rows = [head, *(_row(tally) for tally in tallies)]
    widths = [max(columns(row[place]) for row in rows) for place in range(len(head) - 1)]
    for row in rows:
        cells = [padded(cell, width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[-1]]))


def measures_without_value(tallies: Sequence[Tally]) -> list[str]:
    """Measures that have a value of no run of any model, which is no success, whatever the reasons are.

    One whose tasks have no run yet lacks nothing, as long as others have some.
    """
    counts, runs = Counter[str](), Counter[str]()
    for tally in tallies:
        counts[tally.measure] += tally.count
        runs[tally.measure] += tally.count + tally.unmarked + sum(tally.missing.values())
    return [
        measure
        for measure, count in counts.items()
        if not count and (runs[measure] or not any(runs.values()))
    ]


def show_left(left: int) -> None:
    """Say that the study is not over, where it is not."""
    if left:
        click.echo(
            text(
                f"{left} runs of the plan are not over; run the same command again when they are",
                f"计划中还有 {left} 次运行未完成；完成后再次执行同一命令",
            ),
            err=True,
        )


def _row(tally: Tally) -> tuple[str, ...]:
    without = [f"{count} x {error_words(reason)}" for reason, count in sorted(tally.missing.items())]
    if tally.unmarked:
        without.append(text(f"{tally.unmarked} not marked", f"{tally.unmarked} 未评"))
    mean = "-" if tally.mean is None else f"{tally.mean:.4g}"
    return tally.measure, tally.model, mean, str(tally.count), "; ".join(without) or "0"
