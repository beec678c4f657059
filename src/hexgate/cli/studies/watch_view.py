"""A study as `hexgate study watch` shows it: read again when its files have changed, and not more often than is fit."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hexgate.contract.provenance import utc_now
from hexgate.errors import HexgateError
from hexgate.report.text import Lang
from hexgate.study.ledger import HEAD, RUNS, VISITS
from hexgate.study.quality.marks import QUALITY_FILE
from hexgate.study.rating.rated import Rated, rate_study
from hexgate.study.rating.reference import reference_file
from hexgate.study.reading import Reading, read_study
from hexgate.study.status import status_of

__all__ = ["LiveStudy"]

_EVERY_S = 2.0
_SHARE = 4.0
"""So many times as long as reading and drawing took it then rests: the measured machine has other work."""


class LiveStudy:
    """What there is to show of a study that may be running. Threads may share it.

    Args:
        folder: the study's folder.
        spec_file: the study's file, where its block rating has changed since it began.
        every_s: it is not read again within so many seconds.
    """

    def __init__(self, folder: Path, spec_file: Path | None = None, *, every_s: float = _EVERY_S) -> None:
        self._folder = folder
        self._spec_file = spec_file
        self._every_s = every_s
        self._guard = threading.Lock()
        self._reading: Reading | None = None
        self._failed: HexgateError | None = None
        self._seen: dict[Path, tuple[int, int] | None] = {}
        self._as_of = ""
        self._rest_until = 0.0
        self._cost_s = 0.0
        self._pages: dict[Lang, str] = {}
        self._labels: dict[tuple[str, Lang], str] = {}
        self._rated: tuple[Rated, ...] | None = None

    def status(self) -> dict[str, Any]:
        """How far it has come, when that was so, and when its ledger had last grown by then.

        Raises:
            HexgateError: if the folder cannot be read.
        """
        with self._guard:
            reading = self._look()
            grew = _time_of(self._seen.get(self._folder / RUNS))
            return {**status_of(reading), "as_of": self._as_of, "ledger_grew_at": grew}

    def page(self, lang: Lang) -> str:
        """The report on what there is so far, as one HTML document.

        Raises:
            HexgateError: if the folder cannot be read.
        """
        from hexgate.report.studies.page import study_page

        with self._guard:
            reading = self._look()
            if lang not in self._pages:
                began = time.monotonic()
                self._pages[lang] = study_page(reading, lang, live=bool(reading.left))
                self._rest(began)
            return self._pages[lang]

    def label(self, stem: str, lang: Lang) -> str | None:
        """The label of a model, by its name as a part of names of files; None where there is no such model.

        Raises:
            HexgateError: if the folder cannot be read, or the study does not say how its models are rated.
        """
        from hexgate.report.studies.label import label_of

        with self._guard:
            reading = self._look()
            if self._rated is None:
                began = time.monotonic()
                self._rated = rate_study(reading)
                self._rest(began)
            one = next((each for each in self._rated if stem in {each.stem, each.model}), None)
            if one is None:
                return None
            key = (one.stem, lang)
            if key not in self._labels:
                self._labels[key] = label_of(one, lang)
            return self._labels[key]

    def _look(self) -> Reading:
        """The study as it is now, or as it was a moment ago."""
        began = time.monotonic()
        if began < self._rest_until:
            if self._failed is not None:
                raise self._failed
            if self._reading is not None:
                return self._reading
        self._as_of = utc_now()
        seen = {path: _mark_of(path) for path in self._files()}
        if self._reading is None or self._failed is not None or seen != self._seen:
            self._pages, self._labels, self._rated = {}, {}, None
            self._cost_s, self._failed = 0.0, None
            try:
                self._reading = read_study(self._folder, self._spec_file)
            except HexgateError as error:
                self._failed = error
                raise
            finally:
                self._rest(began)
            # Which file is the reference is known by now; it is read later than this.
            self._seen = {path: seen[path] if path in seen else _mark_of(path) for path in self._files()}
        return self._reading

    def _rest(self, began: float) -> None:
        now = time.monotonic()
        self._cost_s += now - began
        self._rest_until = now + max(self._every_s, _SHARE * self._cost_s)

    def _files(self) -> list[Path]:
        files = [self._folder / name for name in (HEAD, RUNS, VISITS, QUALITY_FILE)]
        if self._spec_file is not None:
            files.append(self._spec_file)
        if self._reading is not None and (frozen := reference_file(self._reading.spec)) is not None:
            files.append(frozen)
        return files


def _time_of(mark: tuple[int, int] | None) -> str | None:
    """When a file was last written, UTC."""
    if mark is None:
        return None
    return datetime.fromtimestamp(mark[1] / 1e9, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _mark_of(path: Path) -> tuple[int, int] | None:
    """What changes when a file does; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
