"""Prometheus' text format 0.0.4, read from one endpoint again and again: which series are kept, and their values.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hexgate.meters.server_words import KNOWN, PREFIXES

__all__ = ["MOST_SERIES", "Endpoint", "NotPrometheus", "Series"]

MOST_SERIES = 500
"""How many series of an endpoint are kept."""
_MOST_LINE = 4096
_MOST_NAMED = 20
_KEPT = (*PREFIXES, "process_")
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_LINE = re.compile(rf"({_NAME})[ \t]*(\{{(?:[^\"}}]|{_QUOTED})*\}})?[ \t]+([^ \t]+)(?:[ \t]+-?[0-9]+)?[ \t]*")
_LABEL = re.compile(rf"[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*({_QUOTED})[ \t]*(?:,|$)")
_ESCAPED = re.compile(r"\\(.)")
_ESCAPES = {"\\": "\\", '"': '"', "n": "\n"}
_TYPE = re.compile(rf"#[ \t]+TYPE[ \t]+({_NAME})[ \t]+(counter|gauge|histogram|summary|untyped)[ \t]*")


class NotPrometheus(Exception):
    """A text that is not in the format; says where."""


@dataclass(frozen=True)
class Series:
    """One series."""

    name: str
    """Its name."""
    labels: Mapping[str, str]
    """Its labels."""

    @property
    def is_bucket(self) -> bool:
        """Whether it counts the values of a histogram up to a limit."""
        return self.name.endswith("_bucket") and "le" in self.labels


@dataclass
class Endpoint:
    """The series of one endpoint that are kept: at most `MOST_SERIES`, for good once they were seen.

    They are those of the known servers and of the process (``process_``), or, where there is none of a known server,
    all. Where there are more, those that have a common word go first, then whatever is no bucket of a histogram.
    """

    most: int = MOST_SERIES
    """How many are kept."""
    left_out: int = 0
    """How many were left out of the text that had most."""
    left_out_names: list[str] = field(default_factory=list)
    """The names of the first of them."""
    types: dict[str, str] = field(default_factory=dict)
    """What the endpoint says of each metric that is kept: counter, gauge, histogram."""
    _kept: dict[str, Series] = field(default_factory=dict)
    _is_known: bool = False

    @property
    def kept(self) -> int:
        """How many series are kept so far."""
        return len(self._kept)

    def read(self, text: str) -> list[tuple[Series, float]]:
        """The values of the series that are kept; one that is not finite is no value, and left out.

        Raises:
            NotPrometheus: if a line of those that concern us is not in the format, or the last line has no end.
        """
        if text and not text.endswith("\n"):
            raise NotPrometheus("the text breaks off in its last line")
        lines = text.split("\n")
        self._is_known = self._is_known or any(line.startswith(PREFIXES) for line in lines)
        found: dict[str, tuple[Series, float]] = {}
        new: dict[str, tuple[Series, float]] = {}
        for number, line in enumerate(lines, start=1):
            if line.startswith("#") or not line.strip(" \t"):
                continue
            if self._is_known and not line.startswith(_KEPT):
                continue
            # What stands before the value is the same every second: it is taken apart once.
            head, _, value = line.rpartition(" ")
            if (series := self._kept.get(head)) is not None:
                found[head] = series, _number(value, number)
            else:
                head, series, at = _taken_apart(line, number)
                (found if head in self._kept else new)[head] = series, at
        if admitted := self._admitted(new):
            found |= admitted
            self._learn_types(lines)
        return [(series, value) for series, value in found.values() if math.isfinite(value)]

    def _admitted(self, new: Mapping[str, tuple[Series, float]]) -> dict[str, tuple[Series, float]]:
        ranked = sorted(new.items(), key=lambda entry: _rank(entry[1][0]))
        room = max(0, self.most - len(self._kept))
        self._kept |= {head: series for head, (series, _) in ranked[:room]}
        self.left_out = max(self.left_out, len(ranked) - room)
        for _, (series, _) in ranked[room:]:
            if len(self.left_out_names) < _MOST_NAMED and series.name not in self.left_out_names:
                self.left_out_names.append(series.name)
        return dict(ranked[:room])

    def _learn_types(self, lines: list[str]) -> None:
        names = {series.name for series in self._kept.values()}
        names |= {re.sub("_(bucket|sum|count)$", "", name) for name in names}
        for line in lines:
            if line.startswith("#") and (stated := _TYPE.fullmatch(line)) and stated[1] in names:
                self.types[stated[1]] = stated[2]


def _rank(series: Series) -> int:
    if series.name in KNOWN:
        return 0
    return 2 if series.is_bucket else 1


def _taken_apart(line: str, number: int) -> tuple[str, Series, float]:
    match = _LINE.fullmatch(line) if len(line) <= _MOST_LINE else None
    if match is None:
        raise NotPrometheus(f"line {number} is not in Prometheus' text format")
    name, block, value = match.groups()
    labels: dict[str, str] = {}
    at, end = (0, 0) if block is None else (1, len(block) - 1)
    while at < end:
        label = _LABEL.match(block, at, end)
        if label is None:
            raise NotPrometheus(f"line {number} has labels that are not in Prometheus' text format")
        labels[label[1]] = _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[0]), label[2][1:-1])
        at = label.end()
    return f"{name}{block or ''}", Series(name, labels), _number(value, number)


def _number(text: str, line: int) -> float:
    try:
        if "_" not in text:
            return float(text)
    except ValueError:
        pass
    raise NotPrometheus(f"line {line} has a value that is no number")
