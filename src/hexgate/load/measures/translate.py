"""The figures of a load by the definitions of another tool, so that old figures can be reconciled with ours. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexgate.errors import InputError
from hexgate.load.measures.dialects_of import TOOLS, Measure, Percentile, Said, Tool, output_tokens
from hexgate.load.records import Outcome, Records
from hexgate.stats.distribution import Distribution, distributions
from hexgate.stats.percentile import rank_of

__all__ = ["SHARES", "Rate", "Translated", "Translation", "translate"]

SHARES = (0.5, 0.9, 0.95, 0.99)
"""The percentiles that a translation has."""


@dataclass(frozen=True)
class Translated:
    """One figure of requests."""

    measure: Measure
    """What it is."""
    n: int
    """How many requests have it."""
    mean: float | None
    """Milliseconds, as all that follows; None where no request has it."""
    std: float | None
    """Population standard deviation."""
    least: float | None
    """The least."""
    greatest: float | None
    """The greatest."""
    percentiles: tuple[float, ...]
    """Those of `SHARES`; none where no request has it."""
    missing: Said | None
    """Why there is no figure; None where there is one."""


@dataclass(frozen=True)
class Rate:
    """One figure of the run."""

    name: str
    """What it is called."""
    value: float | None
    """The figure; None where it cannot be had."""
    unit: str
    """Its unit; empty for a count."""
    why: Said
    """What it is divided by or made of; where there is no figure, why."""


@dataclass(frozen=True)
class Translation:
    """A run by the definitions of a tool."""

    tool: Tool
    """The tool."""
    requests: tuple[Translated, ...]
    """Its figures of requests, in its order."""
    rates: tuple[Rate, ...]
    """Its figures of the run."""


def translate(records: Records, name: str) -> Translation:
    """Compute a tool's figures from the records of a run: of the timed requests that got a whole reply.

    What a record does not have is said with its reason, and never made up. Percentiles are exact, in passes over the
    records, by the tool's own rule.

    Args:
        records: the run's records.
        name: a key of `TOOLS`.

    Raises:
        InputError: if there is no such tool.
    """
    if name not in TOOLS:
        raise InputError("no definitions of that tool are known", got=name, expected=", ".join(TOOLS))
    tool = TOOLS[name]
    known = [(measure.name, measure.values) for measure in tool.measures if measure.values is not None]

    def chunks() -> Iterator[dict[str, NDArray[np.float64]]]:
        for rows in records.chunks():
            whole = rows[~rows["warmup"] & (rows["outcome"] == Outcome.OK)]
            tokens = output_tokens(whole, tool.tokens)
            all_values = {name: values(whole, tokens) for name, values in known}
            yield {name: values[~np.isnan(values)] for name, values in all_values.items()}

    found = distributions(chunks, [name for name, _ in known])
    return Translation(
        tool,
        tuple(_translated(measure, found.get(measure.name), tool.percentile) for measure in tool.measures),
        _rates(records, tool),
    )


def _translated(measure: Measure, found: Distribution | None, method: Percentile) -> Translated:
    if found is None or not found.count:
        lacking = ("no whole reply has what it takes", "没有完整回复含有所需的时刻或计数")
        why = measure.note if measure.values is None and measure.note else lacking
        return Translated(measure, 0, None, None, None, None, (), why)
    return Translated(
        measure,
        found.count,
        found.mean,
        found.std,
        found.minimum,
        found.maximum,
        _percentiles(found, method),
        None,
    )


def _percentiles(found: Distribution, method: Percentile) -> tuple[float, ...]:
    n = found.count
    if method is Percentile.NEAREST:
        return tuple(found.ranks(rank_of(n, share) for share in SHARES))
    places = [share * (n - 1) for share in SHARES]
    low = found.ranks(math.floor(place) + 1 for place in places)
    if method is Percentile.LOWER:
        return tuple(low)
    high = found.ranks(min(math.floor(place) + 2, n) for place in places)
    return tuple(
        under + (over - under) * (place - math.floor(place))
        for under, over, place in zip(low, high, places, strict=True)
    )


def _rates(records: Records, tool: Tool) -> tuple[Rate, ...]:
    whole = 0
    prompt = output = 0.0
    counted = prompted = 0
    first_ns, last_ns = math.inf, -math.inf
    for rows in records.chunks():
        timed = rows[~rows["warmup"]]
        sent, ended = timed["sent_ns"][timed["sent_ns"] >= 0], timed["end_ns"][timed["end_ns"] >= 0]
        first_ns = min(first_ns, int(sent.min(initial=np.iinfo(np.int64).max)))
        last_ns = max(last_ns, int(ended.max(initial=-1)))
        ok = timed[timed["outcome"] == Outcome.OK]
        tokens = output_tokens(ok, tool.tokens)
        whole += len(ok)
        counted += int((~np.isnan(tokens)).sum())
        output += float(np.nansum(tokens))
        prompted += int((ok["prompt_tokens"] >= 0).sum())
        prompt += float(ok["prompt_tokens"][ok["prompt_tokens"] >= 0].sum())
    seconds = (last_ns - first_ns) / 1e9 if tool.duration and whole and last_ns > first_ns else None
    replies = ("of whole replies", "完整回复")
    uncounted = ("some whole replies have no count", "部分完整回复没有计数")
    of_tokens = replies if counted == whole and whole else uncounted
    of_prompts = replies if prompted == whole and whole else uncounted
    over = tool.duration or (
        "the tool weights its rates by time; records do not have that",
        "该工具按时间加权，记录中没有",
    )
    tokens_s = output if of_tokens is replies else None
    total = output + prompt if of_tokens is replies and of_prompts is replies else None
    return (
        Rate("requests", float(whole), "", replies),
        Rate("output tokens", tokens_s, "", of_tokens),
        Rate("prompt tokens", prompt if of_prompts is replies else None, "", of_prompts),
        Rate("duration", seconds, "s", over),
        Rate("request throughput", _per(float(whole), seconds), "/s", over),
        Rate("output token throughput", _per(tokens_s, seconds), "/s", over),
        Rate("total token throughput", _per(total, seconds), "/s", over),
    )


def _per(amount: float | None, seconds: float | None) -> float | None:
    return None if amount is None or not seconds else amount / seconds
