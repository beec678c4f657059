"""What a server said of itself while it was under load, over time: the series that have a common word."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from hexgate.indicators.load_folder import LoadFolder
from hexgate.indicators.load_series import mean_in_bins
from hexgate.meters.server_words import KNOWN, ServerWord, meaning_of

__all__ = ["server_series"]

_EVIDENCE = "server_metrics"
_LEAST_STEP_S = 2.0
"""A server is asked once a second: a bin holds two answers, so that none is empty by chance."""
_CHARTS = (
    ("requests", None, (ServerWord.RUNNING, ServerWord.WAITING)),
    ("kv_cache", "ratio", (ServerWord.KV_CACHE,)),
    ("tokens", "1/s", (ServerWord.PROMPT_TOKENS, ServerWord.GENERATION_TOKENS)),
    ("preemptions", "1/s", (ServerWord.PREEMPTIONS,)),
)


def server_series(load: LoadFolder, step_s: float, bins: int) -> list[dict[str, Any]]:
    """Momentary values as the mean of each bin, totals as how fast they grew; empty where no server was asked.

    Of one metric with several label sets, such as of several engines, values are added up; shares are averaged.

    Args:
        load: the load.
        step_s: length of a bin, at least.
        bins: how many of them there are from the start of the load to its end.
    """
    if _EVIDENCE not in load.evidence.names or load.started_ns is None:
        return []
    group = max(math.ceil(_LEAST_STEP_S / step_s), 1)
    step, count = step_s * group, math.ceil(bins / group)
    lines = mean_in_bins(_values(load, load.started_ns), step, count)
    found = []
    for name, unit, words in _CHARTS:
        own = {line: values for line, values in lines.items() if KNOWN[line.partition(" ")[0]].word in words}
        if own:
            found.append({"name": name, "unit": unit, "step_s": step, "lines": own})
    return found


def _values(load: LoadFolder, started_ns: int) -> Iterator[tuple[float, dict[str, float]]]:
    """The value of each metric in each answer, by its name and, beyond the first, its endpoint."""
    answers: dict[str, tuple[int, list[float]]] = {}
    totals: dict[str, tuple[int, float]] = {}
    for row in _known_rows(load):
        meaning = meaning_of(row["name"], row["labels"])
        if meaning is None:
            continue
        t_ns, value = int(row["t_ns"]), float(row["value"])
        line = row["name"] + (f" {row['endpoint']}" if row["endpoint"] else "")
        if meaning.counter:
            series = f"{line} {json.dumps(row['labels'], sort_keys=True)}"
            before = totals.get(series)
            totals[series] = t_ns, value
            # A total that fell was begun again, by a server that was: it says nothing of this span.
            if before is None or value < before[1] or t_ns <= before[0]:
                continue
            value = (value - before[1]) * 1e9 / (t_ns - before[0])
        at_ns, parts = answers.get(line, (t_ns, []))
        if at_ns != t_ns:
            yield (at_ns - started_ns) / 1e9, {line: _together(line, parts)}
            parts = []
        answers[line] = t_ns, [*parts, value]
    for line, (at_ns, parts) in answers.items():
        yield (at_ns - started_ns) / 1e9, {line: _together(line, parts)}


def _together(line: str, parts: list[float]) -> float:
    total = math.fsum(parts)
    is_share = KNOWN[line.partition(" ")[0]].word is ServerWord.KV_CACHE
    return total / len(parts) if is_share else total


def _known_rows(load: LoadFolder) -> Iterator[Mapping[str, Any]]:
    # A server may say hundreds of things a second, of which few are drawn: only those are parsed.
    with load.evidence.path(_EVIDENCE).open("rb") as file:
        for line in file:
            _, _, rest = line.partition(b'"name":"')
            if rest.partition(b'"')[0].decode("utf-8", "replace") in KNOWN:
                yield json.loads(line)
