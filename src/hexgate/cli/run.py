"""`hexgate run`: measure one indicator, or all six, and leave an artifact for each."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any

import click

from hexgate.cli.console import Display, console, show_error
from hexgate.cli.language import language, text
from hexgate.cli.measure_options import (
    API_KEY_ENV,
    CONFIDENCE,
    DIALECT,
    HOST_CLASS,
    LIMIT,
    PROVIDER,
    QUIET,
    SEED,
    TIMEOUT_S,
    data_flag,
    model_name_flag,
    parameter_of,
    type_of,
)
from hexgate.cli.opening import open_saying
from hexgate.errors import ExitCode, HexgateError, InputError, Interrupted
from hexgate.indicators import INDICATORS, indicator
from hexgate.indicators.base import Job
from hexgate.indicators.runner import Measured, Run, measure, start_run, unmeasured
from hexgate.report.measured import measured_table
from hexgate.targets.base import Target
from hexgate.targets.registry import OpenOptions

__all__ = [
    "Request",
    "command",
    "gravest_code",
    "measure_all",
    "open_and_say",
    "show_measured",
]

# When several measurements end differently, the exit code is the one that a person must act on first.
_GRAVEST = (
    ExitCode.INTERRUPTED,
    ExitCode.TARGET,
    ExitCode.INPUT,
    ExitCode.EVIDENCE,
    ExitCode.OK,
)


@dataclass(frozen=True)
class Request:
    """What a call of `run` asks for, whichever indicators it names."""

    data: str | None
    """Path of the data, ``demo:``, or None."""
    limit: int | None
    """Use only the first so many items."""
    seed: int
    """Seed of everything random."""
    confidence: float
    """Level of the intervals."""
    given: dict[str, Any]
    """Options of indicators that were given, by the names of their flags."""
    quiet: bool = False
    """Whether to show neither progress nor a table."""
    table: bool = True
    """Whether to end with a table of what was measured."""


def open_and_say(uri: str, opening: OpenOptions, request: Request, outs: dict[str, Path], run: Run) -> Target:
    """Open the target, with every place of an artifact saying that it is not measured, or why it cannot be.

    Raises:
        HexgateError: as `open_saying` does.
    """

    def say(reason: HexgateError) -> None:
        for name, out in outs.items():
            unmeasured(name, uri, reason, out, run, seed=request.seed, confidence=request.confidence)

    return open_saying(uri, opening, say)


def measure_all(
    names: Iterable[str], target: Target, request: Request, outs: dict[str, Path], run: Run
) -> int:
    """Measure indicators one after the other, and go on where one cannot be measured.

    Returns:
        The gravest exit code among them.
    """
    codes = []
    measured: list[Measured] = []
    for name in names:
        try:
            measured.append(_measure(name, target, request, outs[name], run))
            error = measured[-1].error
        except HexgateError as raised:
            error = raised
        if error is not None:
            show_error(error)
        codes.append(ExitCode.OK if error is None else error.exit_code)
        if isinstance(error, Interrupted):
            break
    if request.table and not request.quiet:
        show_measured(measured)
    return next(code for code in _GRAVEST if code in codes)


def show_measured(measured: Sequence[Measured]) -> None:
    """What was measured as a table, and where the artifacts are."""
    if measured:
        console().print(measured_table([one.artifact.data for one in measured], lang=language()))
        for one in measured:
            click.echo(f"{one.artifact.path}", err=True)


def gravest_code(measured: Sequence[Measured]) -> int:
    """The gravest exit code among what was measured in one go."""
    codes = {ExitCode.OK, *(one.error.exit_code for one in measured if one.error is not None)}
    return next(code for code in _GRAVEST if code in codes)


def _measure(name: str, target: Target, request: Request, out: Path, run: Run) -> Measured:
    chosen = indicator(name).options
    parameters = {one.name: parameter_of(one) for one in fields(chosen)}
    options = chosen(
        **{own: request.given[given] for own, given in parameters.items() if given in request.given}
    )
    with Display(name, quiet=request.quiet) as display:
        job = Job(
            target=target,
            data=request.data,
            options=options,
            limit=request.limit,
            seed=request.seed,
            confidence=request.confidence,
            progress=display,
        )
        return measure(name, job, out, run)


def _outs(names: list[str], out: Path) -> dict[str, Path]:
    if len(names) == 1 and out.suffix == ".json":
        if out.is_dir():
            raise InputError("--out is a folder", where=str(out), expected="a file for one indicator")
        return {names[0]: out}
    if out.exists() and not out.is_dir():
        raise InputError("--out is a file", where=str(out), expected="a folder for several artifacts")
    if out.suffix == ".json":
        raise InputError("--out names a file", where=str(out), expected="a folder for --indicator all")
    return {name: out / f"{name}.json" for name in names}


def _range(value: str | None) -> tuple[float, float] | None:
    if value is None:
        return None
    try:
        least, greatest = (float(part) for part in value.split(","))
    except ValueError:
        least = greatest = 0.0
    if not (least < greatest and math.isfinite(least) and math.isfinite(greatest)):
        raise InputError(
            "not a range", where="--input-range", got=value, expected="LEAST,GREATEST such as 0,1"
        )
    return least, greatest


def _indicator_flags() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of all indicators as flags; a flag that several share goes to each that is measured."""
    seen: dict[str, tuple[Field[Any], list[str]]] = {}
    for name in INDICATORS:
        for one in fields(indicator(name).options):
            seen.setdefault(parameter_of(one), (one, []))[1].append(name)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for parameter, (one, users) in reversed(seen.items()):
            meta = one.metadata
            default = f" [{one.default}]" if one.default is not None else ""
            function = click.option(
                f"--{parameter.replace('_', '-')}",
                parameter,
                type=type_of(one),
                default=None,
                help=f"{text(meta['help'], meta['zh'])} [{', '.join(users)}]{default}",
            )(function)
        return function

    return decorate


@click.command("run", help=text("Measure one indicator, or all six.", "测量一项或全部六项指标。"))
@click.option(
    "--indicator",
    "name",
    type=click.Choice([*INDICATORS, "all"]),
    required=True,
    help=text("What to measure.", "测哪一项。"),
)
@click.option(
    "--model",
    required=True,
    help=text(
        "Model: a .onnx file, an http(s) URL, ollama://host:port/NAME, or demo:.",
        "模型：.onnx 文件、http(s) 地址、ollama://主机:端口/名字，或 demo:。",
    ),
)
@data_flag()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help=text("Artifact file for one indicator, folder for all.", "单项为文件，全部为目录。"),
)
@click.option(
    "--output-json",
    is_flag=True,
    help=text("Print the artifact, and nothing else, on standard output.", "标准输出只打印结果 JSON。"),
)
@LIMIT
@SEED
@CONFIDENCE
@model_name_flag("--model-name")
@API_KEY_ENV
@TIMEOUT_S
@DIALECT
@PROVIDER
@click.option(
    "--card",
    type=click.Path(path_type=Path),
    default=None,
    help=text(
        "Model card, where it is not card.json beside the model.", "模型卡（默认为模型旁的 card.json）。"
    ),
)
@click.option(
    "--labels",
    default=None,
    help=text(
        "Class names in the order of the scores, separated by commas.", "类别名，按输出顺序，逗号分隔。"
    ),
)
@click.option(
    "--input-range",
    default=None,
    help=text("Least and greatest valid input, such as 0,1.", "输入的合法范围，如 0,1。"),
)
@HOST_CLASS
@QUIET
@_indicator_flags()
def command(
    name: str,
    model: str,
    data: str | None,
    out: Path,
    output_json: bool,
    limit: int | None,
    seed: int,
    confidence: float,
    model_name: str | None,
    api_key_env: str | None,
    timeout_s: float,
    dialect: str | None,
    provider: str | None,
    card: Path | None,
    labels: str | None,
    input_range: str | None,
    host_class: str | None,
    quiet: bool,
    **indicator_options: Any,
) -> int:
    """Measure, and return the exit code."""
    names = list(INDICATORS) if name == "all" else [name]
    outs = _outs(names, out)
    if output_json and len(names) > 1:
        raise InputError(
            "--output-json prints one artifact", got="--indicator all", hint="name one indicator"
        )
    given = {key: value for key, value in indicator_options.items() if value is not None}
    _refuse_foreign(given, names)
    opening = OpenOptions(
        model_name=model_name,
        api_key_env=api_key_env,
        timeout_s=timeout_s,
        dialect=dialect,
        provider=provider,
        card=card,
        labels=tuple(part.strip() for part in labels.split(",")) if labels else None,
        input_range=_range(input_range),
    )
    request = Request(data, limit, seed, confidence, given, quiet=quiet or output_json)
    run = start_run(sys.argv, host_class=host_class)
    target = open_and_say(model, opening, request, outs, run)
    try:
        code = measure_all(names, target, request, outs, run)
    finally:
        target.close()
    if output_json and outs[names[0]].is_file():
        # Bytes: an artifact is UTF-8, whatever the encoding of this terminal.
        click.echo(outs[names[0]].read_bytes(), nl=False)
    return code


def _refuse_foreign(given: dict[str, Any], names: list[str]) -> None:
    known = {parameter_of(one) for name in names for one in fields(indicator(name).options)}
    foreign = sorted(set(given) - known)
    if foreign:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in foreign)
        raise InputError(f"{flags} does not belong to {', '.join(names)}", hint="see hexgate run --help")
