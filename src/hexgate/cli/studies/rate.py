"""`hexgate study rate`: a letter for each model of a study, or why it has none; labels, and a reference for others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from hexgate.cli.console import columns, padded
from hexgate.cli.language import text
from hexgate.cli.outputs import write_text
from hexgate.cli.studies.options import FOLDER, SPEC
from hexgate.contract.artifact import file_bytes
from hexgate.errors import ExitCode, InputError
from hexgate.metrics.rating_parts import Estimate, Reason
from hexgate.report.numbers import number, span
from hexgate.report.studies.label import label_of
from hexgate.report.text import Lang, clean
from hexgate.study.rating.documents import ratings_document, reference_document
from hexgate.study.rating.rated import Rated, freeze_model, rate_study
from hexgate.study.reading import Reading, read_study

__all__ = ["command"]

_LANGS: tuple[Lang, ...] = ("en", "zh")
_NONE = "-"
_MOST_NAME = 40


@click.command(
    "rate",
    help=text(
        "Rate the models of the study in FOLDER by its block rating: a quality floor first, then the energy that an "
        "accepted answer takes against a reference. Prints a table, and leaves ratings.json and a label of each model "
        "in the folder of --out. Exit codes: 0 every model is rated; 2 the block rating or its reference; 4 a model "
        "is not rated, and why is told.",
        "按研究描述中的 rating 一节为 FOLDER 中的模型评级：先看质量下限，再看每个被接受回答的能耗与参照模型之比。"
        "输出表格，并在 --out 目录写入 ratings.json 与各模型的标签。"
        "退出码：0 全部已评级；2 rating 一节或参照模型有误；4 有模型未评级（会说明原因）。",
    ),
)
@FOLDER
@SPEC
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help=text("Folder of ratings.json and labels.", "结果与标签的目录。"),
)
@click.option(
    "--freeze",
    type=click.Path(path_type=Path),
    help=text(
        "Write the model of --model to this file, as the reference of other studies.",
        "把 --model 的模型写入此文件，作为其他研究的参照模型。",
    ),
)
@click.option("--model", help=text("The model that --freeze writes.", "由 --freeze 写出的模型。"))
def command(folder: Path, spec: Path | None, out: Path | None, freeze: Path | None, model: str | None) -> int:
    """Rate a study's models."""
    if (freeze is None) != (model is None):
        raise InputError(
            "--freeze and --model belong together",
            hint="name the file of the reference and its model, or neither",
        )
    if out is None and freeze is None:
        raise InputError("--out is missing", hint="name a folder for the ratings, or freeze a reference")
    reading = read_study(folder, spec)
    if freeze is not None and model is not None:
        document = reference_document(reading, freeze_model(reading, model))
        write_text(freeze, lambda: _json(document))
    if out is None:
        return ExitCode.OK
    rated = rate_study(reading)
    _write(reading, rated, out)
    for line in _table(rated):
        click.echo(line)
    for one in rated:
        if one.refusals:
            click.echo(_why(one))
    return ExitCode.OK if all(one.letter is not None for one in rated) else ExitCode.EVIDENCE


def _write(reading: Reading, rated: Sequence[Rated], out: Path) -> None:
    labels: dict[str, dict[str, str]] = {
        one.model: {lang: f"label_{one.stem}.{lang}.svg" for lang in _LANGS} for one in rated
    }
    for one in rated:
        for lang in _LANGS:
            write_text(out / labels[one.model][lang], _drawn(one, lang))
    document = ratings_document(reading, rated, labels)
    write_text(out / "ratings.json", lambda: _json(document))


def _drawn(one: Rated, lang: Lang) -> Callable[[], str]:
    return lambda: label_of(one, lang)


def _json(document: dict[str, Any]) -> str:
    return file_bytes(document).decode()


def _table(rated: Sequence[Rated]) -> list[str]:
    """One row a model, columns as wide as they need, front of the Pareto set marked."""
    head = (
        text("model", "模型"),
        text("class", "等级"),
        "EEI",
        text("J/accepted", "J/被接受回答"),
        text("accepted/J", "被接受回答/J"),
        text("accepted", "接受率"),
        text("quality", "质量"),
        text("front", "前沿"),
    )
    rows = [head, *(_row(one) for one in rated)]
    widths = [max(columns(row[place]) for row in rows) for place in range(len(head))]
    lines = [
        "  ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    note = text(
        "class of the upper end of the EEI's interval; * on the Pareto front of energy and acceptance",
        "等级取 EEI 区间上端；* 位于能耗与接受率的帕累托前沿",
    )
    return [*lines, note]


def _row(one: Rated) -> tuple[str, ...]:
    rating = one.rating
    figures: tuple[Estimate | None, ...] = (None,) * 5
    if rating is not None:
        figures = (
            rating.index,
            rating.joules_per_accepted,
            rating.accepted_per_joule,
            rating.acceptance,
            rating.quality,
        )
    mark = "*" if one.on_front else "" if one.on_front is False else _NONE
    return (_name(one), one.letter or text("none", "无"), *map(_figure, figures), mark)


def _name(one: Rated) -> str:
    """The name on one line, with nothing in it that a terminal would carry out."""
    return " ".join(clean(one.model, _MOST_NAME).split())


def _figure(found: Estimate | None) -> str:
    if found is None or found.value is None:
        return _NONE
    interval = found.interval
    if interval is None or interval.low is None or interval.high is None:
        return number(found.value)
    spread = (interval.high - interval.low) / 2
    shown = number(found.value, spread=spread if spread > 0 else None)
    return f"{shown} ({span(interval.low, interval.high)})"


def _why(one: Rated) -> str:
    reasons: Sequence[Reason] = one.refusals
    said = "; ".join(reason.en for reason in reasons)
    said_zh = "；".join(reason.zh for reason in reasons)
    said, said_zh = (" ".join(clean(each, 1000).split()) for each in (said, said_zh))
    return text(f"{_name(one)} is not rated: {said}", f"{_name(one)} 未评级：{said_zh}")
