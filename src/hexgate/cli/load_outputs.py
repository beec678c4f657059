"""What a load leaves beside its artifacts: tables for other programs, and a report for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from hexgate.contract.artifact import file_bytes, write_atomically
from hexgate.errors import EvidenceError, InputError
from hexgate.indicators.load_beside import REPORT, STATISTICS, TABLES
from hexgate.indicators.load_examples import sampled_replies
from hexgate.indicators.load_exports import (
    write_requests_csv,
    write_requests_parquet,
    write_resources_csv,
)
from hexgate.indicators.load_folder import read_load_folder
from hexgate.indicators.load_statistics import load_statistics, statistics_mistakes

__all__ = ["folder_statistics", "write_exports", "write_load_report", "write_rates_report"]


def write_exports(folder: Path, *, parquet: bool = False) -> list[Path]:
    """Write what a load measured for other programs, however it ended, beside its artifacts.

    ``requests.csv`` (and ``requests.parquet``) has a row for every request, ``resources.csv`` one for every sample
    of resources, where there are any, and ``statistics.json`` every figure.

    Args:
        folder: the folder of the artifacts.
        parquet: whether to write Parquet too.

    Returns:
        What was written.

    Raises:
        EvidenceError: if there is no artifact of a load, or one of its files is not what was written.
        InputError: if the disk does not take it.
        MissingExtra: if Parquet is asked for and pyarrow is not installed; all else is written before.
    """
    load = read_load_folder(folder)
    written = [write_requests_csv(load, folder / "requests.csv")]
    resources = write_resources_csv(load, folder / "resources.csv")
    written += [] if resources is None else [resources]
    written.append(_write(folder / STATISTICS, file_bytes(_statistics(folder, load.ids))))
    if parquet:
        written.append(write_requests_parquet(load, folder / "requests.parquet"))
    return written


def write_rates_report(document: Path, lang: Literal["en", "zh"] = "en") -> Path:
    """Write the page of a search or a sweep beside its document, ``report.html``.

    Args:
        document: what `run_search` or `run_sweep` left.
        lang: the language that it opens in; the other one is a button away.

    Returns:
        The file.

    Raises:
        InputError: if the disk does not take it.
    """
    from hexgate.report.load_rates_html import render_rates_html

    page = render_rates_html(json.loads(document.read_bytes()), lang=lang)
    return _write(document.parent / REPORT, page.encode("utf-8"))


def write_load_report(folder: Path, out: Path | None = None, lang: Literal["en", "zh"] = "en") -> Path:
    """Write the HTML report of a load, however it ended: one file that loads nothing from outside.

    Args:
        folder: the folder of the artifacts.
        out: the file; None for ``report.html`` in the folder.
        lang: the language that it opens in; the other one is a button away.

    Returns:
        The file.

    Raises:
        EvidenceError: if there is no artifact of a load, or one of its files is not what was written.
        InputError: if the disk does not take it.
    """
    from hexgate.report.load_html import render_load_html

    load = read_load_folder(folder)
    files = {name: name for name in TABLES if (folder / name).is_file()}
    replies = load.artifact["evidence"].get("replies")
    if replies is not None:
        files["replies.jsonl"] = str(replies["path"])
    page = render_load_html(_statistics(folder, load.ids), sampled_replies(load), files, lang=lang)
    return _write(out or folder / REPORT, page.encode("utf-8"))


def folder_statistics(folder: Path) -> Mapping[str, Any]:
    """Every figure of the load in a folder, ``hexgate/load_statistics/1.x``.

    Raises:
        EvidenceError: if there is no artifact of a load, or one of its files is not what was written.
    """
    return _statistics(folder, read_load_folder(folder).ids)


@lru_cache(maxsize=1)
def _statistics(folder: Path, ids: tuple[str, ...]) -> Mapping[str, Any]:  # noqa: ARG001
    """The statistics of the artifacts with these ids: computed once, though two files are made of them."""
    found = load_statistics(read_load_folder(folder))
    mistakes = statistics_mistakes(found)
    if mistakes:
        raise EvidenceError(
            f"the statistics break their own contract, which is a fault of hexgate: {mistakes[0]}",
            where=str(folder),
            hint="the evidence is kept; please report this with it",
        )
    return found


def _write(path: Path, data: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
    except OSError as error:
        raise InputError(
            f"it cannot be written ({error.strerror})",
            where=str(path),
            hint="make room, or give another folder",
        ) from None
    return path
