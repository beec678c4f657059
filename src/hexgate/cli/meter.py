"""`hexgate meter`: energy, power, CPU, memory, disk and GPU of any command, as `time` tells its time."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from hexgate.cli.console import columns, padded, show_error
from hexgate.cli.language import language, text
from hexgate.cli.meter_document import checked_bytes, document_of, keep, new_document, read_kept
from hexgate.cli.meter_flags import import_flags, import_options
from hexgate.cli.meter_record import Asked, Recording, check, record, with_import
from hexgate.cli.number import Finite
from hexgate.contract.artifact import write_atomically
from hexgate.contract.canonical import canonical_bytes
from hexgate.contract.provenance import current_run_id
from hexgate.errors import EvidenceError, ExitCode, HexgateError, InputError
from hexgate.meters.held import Refused
from hexgate.meters.imported import ImportOptions, check_head
from hexgate.meters.measure import power_lines
from hexgate.report.meter_rows import rows

__all__ = ["command"]

Json = dict[str, Any]
_T = TypeVar("_T")

_MOST_HZ = 1000.0
_NOT_FIGURES = frozenset({"recorded", "files", "environment"})
_WIDEST_LABEL = 24


@click.command(
    "meter",
    context_settings={"allow_interspersed_args": False},
    help=text(
        "Measure energy, power, CPU, memory, disk and GPU of a command. Its input, output and exit code are its own; "
        "the figures follow on standard error.",
        "测量一条命令的能量、功率、CPU、内存、磁盘与 GPU。其输入、输出和退出码保持原样；数值随后写到标准错误。",
    ),
    epilog=text(
        "Exit codes: those of CMD, 128+N where signal N ended it; 126 where it cannot be executed, 127 where it is not "
        "found; 2 usage; 4 with --recompute, where the figures are not those that were kept. Put -- before CMD.",
        "退出码：即 CMD 的退出码；被信号 N 终止时为 128+N；无法执行时为 126，找不到时为 127；用法有误为 2；"
        "--recompute 得出的数值与保留的不同时为 4。请在 CMD 前写 --。",
    ),
)
@click.option(
    "--domains",
    metavar="LIST",
    default=None,
    help=text(
        "Meters or single domains, separated by commas, such as nvml,rapl:package-0. [all that there are]",
        "电表或单个测量域，逗号分隔，如 nvml,rapl:package-0。[全部]",
    ),
)
@click.option(
    "--idle",
    "idle_s",
    type=Finite(min=0),
    default=0.0,
    show_default=True,
    help=text(
        "Seconds of rest to measure before and after CMD, for its net energy.",
        "在 CMD 前后各测量多少秒静息，以得出净能量。",
    ),
)
@click.option(
    "--hz",
    type=Finite(0, _MOST_HZ, min_open=True),
    default=None,
    help=text(
        "Readings of power a second: without it 10, and 50 where a GPU's counter is read.",
        "每秒读取功率的次数；缺省为 10，读取 GPU 计数器时为 50。",
    ),
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help=text("Write all figures as JSON.", "把全部数值写成 JSON。"),
)
@click.option(
    "--html",
    "html_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help=text("Write one offline page, with power over time.", "写出一个离线页面，含功率随时间变化。"),
)
@click.option(
    "--keep",
    "kept",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help=text(
        "Keep the traces and a document in this folder, for --recompute.",
        "把轨迹与文档保留在此目录，供 --recompute 使用。",
    ),
)
@click.option(
    "--recompute",
    "again",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help=text(
        "Compute the figures of a kept folder again, without a command; with --import, with another meter's file.",
        "重新计算保留目录中的数值，不需要命令；可加 --import 并入另一个电表的文件。",
    ),
)
@click.option(
    "--watts-per-core",
    type=Finite(min=0, min_open=True),
    default=None,
    help=text(
        "Also estimate energy by this declared power of a busy core. An estimate is no measurement.",
        "另按此声明的每忙核功率估算能量。估计不是测量。",
    ),
)
@click.option(
    "--rapl-root",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    envvar="HEXGATE_RAPL_ROOT",
    show_envvar=True,
    help=text(
        "Root of the powercap tree, where it is not the kernel's own.",
        "powercap 目录树的根（若非内核自身的）。",
    ),
)
@import_flags
@click.argument("words", metavar="-- CMD [ARGS]…", nargs=-1, type=click.UNPROCESSED)
def command(
    domains: str | None,
    idle_s: float,
    hz: float | None,
    json_path: Path | None,
    html_path: Path | None,
    kept: Path | None,
    again: Path | None,
    watts_per_core: float | None,
    rapl_root: Path | None,
    imported: Path | None,
    words: tuple[str, ...],
    **flags: Any,
) -> int:
    """Run the command, print its figures, and return its exit code."""
    options = import_options(imported, flags)
    _ready(json_path, html_path)
    if again is not None:
        _refuse_beside_recompute(words, domains=domains, keep=kept, watts_per_core=watts_per_core)
        return _recompute(again, imported, options, json_path, html_path)
    if not words:
        raise click.UsageError(
            text("name a command: hexgate meter -- CMD", "请给出命令：hexgate meter -- CMD")
        )
    if imported is not None:
        check_head(imported, options)
    asked = Asked(
        command=words,
        domains=_names(domains),
        idle_s=idle_s,
        hz=hz,
        rapl_root=rapl_root,
        watts_per_core=watts_per_core,
        imported=imported,
        options=options,
    )
    run_id = current_run_id()
    try:
        check(asked)
        with _folder(kept) as folder:
            recording, ended = record(asked, folder)
            document = new_document(recording, words, ended, run_id)
            if kept is not None:
                document = _kept(document, recording, folder)
    except Refused as refused:
        show_error(refused)
        return refused.shell_code
    # The files first: who reads standard error may have gone.
    _write(document, recording, json_path, html_path)
    _told(lambda: _show(document))
    return int(document["exit_code"])


def _names(listed: str | None) -> tuple[str, ...]:
    names = () if listed is None else tuple(name.strip() for name in listed.split(","))
    if not all(names):
        raise InputError("a domain has no name", where="--domains", got=repr(listed))
    return names


def _ready(*paths: Path | None) -> None:
    """Make the folders of files that are to be written, so that a long command does not end in vain."""
    for path in paths:
        if path is None:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"the folder of the file cannot be made ({error.strerror})", where=str(path)
            ) from None
        if not os.access(path.parent, os.W_OK):
            raise InputError("it cannot be written here", where=str(path))


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """Where the rows are written: the folder that is kept, or one that is gone afterwards."""
    if kept is None:
        with tempfile.TemporaryDirectory(prefix="hexgate-meter-") as name:
            yield Path(name)
        return
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder cannot be made ({error.strerror})", where=str(kept)) from None
    yield kept


def _refuse_beside_recompute(words: tuple[str, ...], **given: Any) -> None:
    if words:
        raise InputError("--recompute takes no command", hint="a kept folder has its command already")
    for name, value in given.items():
        if value is not None:
            flag = f"--{name.replace('_', '-')}"
            raise InputError(f"{flag} has no meaning with --recompute", hint="take it out")


def _recompute(
    folder: Path,
    imported: Path | None,
    options: ImportOptions,
    json_path: Path | None,
    html_path: Path | None,
) -> int:
    """Compute the figures of a kept folder again.

    Raises:
        EvidenceError: if the folder is not whole, or the figures are not those that it holds.
    """
    kept, recording = read_kept(folder)
    if imported is not None:
        recording = with_import(recording, imported, options)
    document = document_of(recording, kept)
    _write(document, recording, json_path, html_path)
    _show(document)
    if imported is not None:
        return ExitCode.INPUT if "imported" in document["missing"] else ExitCode.OK
    changed = [
        name
        for name in document.keys() - _NOT_FIGURES
        if canonical_bytes(document[name]) != canonical_bytes(kept[name])
    ]
    if changed:
        raise EvidenceError(
            "the figures are not those that were kept",
            where=str(folder),
            got=", ".join(sorted(changed)),
            hint="the files or the document were changed, or hexgate was",
        )
    return ExitCode.OK


def _show(document: Json) -> None:
    """The lines for a person, their values one below the other."""
    lang = language()
    labels = [(f"{'  ' * row.is_part}{row.label[lang]}", row.value[lang]) for row in rows(document)]
    # The name of a GPU is long, and pushes its own value alone.
    widths = [columns(label) for label, _ in labels]
    width = max(each for each in widths if each <= _WIDEST_LABEL)
    for label, value in labels:
        click.echo(f"{padded(label, width)}  {value}", err=True)


def _kept(document: Json, recording: Recording, folder: Path) -> Json:
    """The document as it was kept; as it was where the disk does not take it, which is said."""
    kept = _tried(folder, lambda: keep(document, recording, folder))
    return document if kept is None else kept


def _write(document: Json, recording: Recording, json_path: Path | None, html_path: Path | None) -> None:
    """Write what was asked for. The command has ended: what goes wrong now is said, and its exit code stays."""
    if json_path is not None:
        path = json_path
        _tried(path, lambda: _put(path, checked_bytes(document)))
    if html_path is not None:
        from hexgate.report.meter_html import render_meter_html

        page_path = html_path
        _tried(
            page_path,
            lambda: _put(
                page_path,
                render_meter_html(document, power_lines(recording.recorded), lang=language()).encode("utf-8"),
            ),
        )


def _put(path: Path, data: bytes) -> Path:
    write_atomically(path, data)
    _told(lambda: click.echo(f"{text('wrote', '已写入')} {path}", err=True))
    return path


def _tried(where: Path, act: Callable[[], _T]) -> _T | None:
    try:
        return act()
    except OSError as error:
        fault: HexgateError = InputError(f"it cannot be written ({error.strerror})", where=str(where))
    except HexgateError as error:
        fault = error
    _told(lambda: show_error(fault))
    return None


def _told(tell: Callable[[], None]) -> None:
    """Say something of a command that has ended: where nobody hears it, its exit code stays its own all the same."""
    try:
        tell()
    except OSError:
        # What Python holds back, and what is still said, would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
