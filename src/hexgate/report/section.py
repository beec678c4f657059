"""What a report says of one artifact: figures, what is missing and why, charts, and where it comes from."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from hexgate.contract.schema import Better, measures
from hexgate.report import charts
from hexgate.report.measure_words import KEY_FIGURES, label, meaning
from hexgate.report.numbers import amount, is_number, number, number_of, spread_of
from hexgate.report.shown import interval_of, is_estimated, n_of
from hexgate.report.strings import text
from hexgate.report.svg import Mark
from hexgate.report.text import Both, Lang, clean, same
from hexgate.report.view import IndicatorView, RuleView

__all__ = ["Figure", "Row", "Section", "block", "section"]

_MOST_ROWS = 60
_BLOCKS = ("method", "dataset", "detector", "environment", "provenance")
_GIB = 2**30
_RSS, _TOTAL = "process_rss_bytes", "memory_total_bytes"
_ENOUGH_SAMPLES = 5

Drawer = Callable[[Lang], Markup]


@dataclass(frozen=True)
class Figure:
    """One measured value."""

    measure: str
    """Its key in the artifact."""
    label: Both
    """What it is called."""
    value: Both
    """The value with its unit."""
    estimated: bool
    """Whether it is an estimate from declared watts."""
    interval: str | None
    """Its interval."""
    n: Both | None
    """What the interval rests on."""
    meaning: Both
    """What it is."""
    better: Both | None
    """Which way it is better, where there is one."""


@dataclass(frozen=True)
class Row:
    """One line of a block of facts."""

    key: str
    """Its key, dotted where it lies deeper."""
    value: str | Both
    """Its value."""


@dataclass(frozen=True)
class Section:
    """All that is shown of one artifact."""

    artifact: Mapping[str, Any]
    """The artifact."""
    key_figures: tuple[Figure, ...]
    """The few that are shown large."""
    figures: tuple[Figure, ...]
    """All measured ones, in the order of the schema."""
    missing: tuple[tuple[Both, list[tuple[str, Both]]], ...]
    """What is null: the reason, and the measures it explains."""
    charts: tuple[tuple[Both, Drawer], ...]
    """Its charts: what each shows, and who draws it."""
    resources: Drawer | None
    """The chart of what the host did, where it was sampled often enough."""
    too_short: Both | None
    """That it was not, where it was sampled at all."""
    moved: tuple[Row, ...]
    """How far its counters moved, and what could not be sampled."""
    blocks: tuple[tuple[Both, tuple[Row, ...]], ...]
    """Method, dataset, environment and so on."""


def section(indicator: IndicatorView, artifact: Mapping[str, Any]) -> Section:
    """Make the section of one artifact; its numbers keep to their side of the limits of the indicator's rules."""
    figures = tuple(
        _figure(indicator, artifact, measure)
        for measure in measures(indicator.name)
        if is_number(artifact.get(measure))
    )
    few = _too_few(artifact["resources"])
    by_name = {figure.measure: figure for figure in figures}
    return Section(
        artifact=artifact,
        key_figures=tuple(by_name[name] for name in KEY_FIGURES[indicator.name] if name in by_name),
        figures=figures,
        missing=_missing(indicator.name, artifact),
        charts=tuple(_charts(indicator, artifact)),
        resources=_resources(artifact) if few is None else None,
        too_short=None if few is None else text("too_short", samples=few),
        moved=_moved(artifact["resources"]),
        blocks=tuple((text(name), rows) for name in _BLOCKS if (rows := block(artifact.get(name)))),
    )


def block(value: Any, most: int = _MOST_ROWS) -> tuple[Row, ...]:
    """A JSON object as lines of text; what is too much says so."""
    lines = list(_lines("", value)) if isinstance(value, Mapping) else []
    rest = len(lines) - most
    return tuple(lines[:most]) + ((Row("…", f"+{rest}"),) if rest > 0 else ())


def _lines(prefix: str, value: Mapping[Any, Any]) -> Iterable[Row]:
    for key, entry in value.items():
        name = clean(f"{prefix}{key}", 80)
        if isinstance(entry, Mapping) and entry and prefix.count(".") < 3:
            yield from _lines(f"{name}.", entry)
        else:
            yield Row(
                name,
                clean(shlex.join(map(str, entry)), 400)
                if name == "command" and isinstance(entry, list)
                else _scalar(entry),
            )


def _scalar(value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and is_number(value):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        shown = ", ".join(_scalar(entry) for entry in value[:24])
        return clean(f"{shown}, … (+{len(value) - 24})" if len(value) > 24 else shown or "—", 400)
    return clean(str(value), 400)


def _limits(rules: Iterable[RuleView], measure: str) -> tuple[float, ...]:
    return tuple(limit for rule in rules if rule.measure == measure for limit in rule.against)


def _figure(indicator: IndicatorView, artifact: Mapping[str, Any], measure: str) -> Figure:
    contract = measures(indicator.name)[measure]
    against = _limits(indicator.rules, measure)
    interval = artifact["intervals"].get(measure)
    return Figure(
        measure=measure,
        label=label(indicator.name, measure),
        value=amount(artifact[measure], contract.unit, spread=spread_of(interval), against=against),
        estimated=is_estimated(artifact, measure),
        interval=interval_of(interval, against=against),
        n=n_of(interval),
        meaning=meaning(indicator.name, measure),
        better=None if contract.better is Better.NEITHER else text(f"better_{contract.better.value}"),
    )


def _missing(indicator: str, artifact: Mapping[str, Any]) -> tuple[tuple[Both, list[tuple[str, Both]]], ...]:
    groups: dict[str, list[tuple[str, Both]]] = {}
    for measure, reason in artifact["missing"].items():
        entry = (clean(measure, 60), label(indicator, measure))
        groups.setdefault(clean(reason, 400), []).append(entry)
    return tuple((same(reason), entries) for reason, entries in groups.items())


def _marks(
    indicator: IndicatorView, artifact: Mapping[str, Any], named: Mapping[str, Both], limited: str, unit: str
) -> Callable[[Lang], list[Mark]]:
    def of(lang: Lang) -> list[Mark]:
        limits = _limits(indicator.rules, limited)
        found = [
            Mark(float(value), f"{words[lang]} {number(value, against=limits)}{unit}")
            for measure, words in named.items()
            if (value := number_of(artifact.get(measure))) is not None
        ]
        word = text("mark_limit")[lang]
        return found + [
            Mark(limit, f"{word} {number(limit, against=(limit,))}{unit}", "c-limit")
            for limit in dict.fromkeys(limits)
        ]

    return of


def _charts(indicator: IndicatorView, artifact: Mapping[str, Any]) -> Iterable[tuple[Both, Drawer]]:
    maker = {
        "accuracy_f1": _accuracy,
        "latency_p99": _latency,
        "throughput_rps": _throughput,
        "robustness_adv": _robustness,
        "toxicity": _toxicity,
        "power_efficiency": _power,
    }[indicator.name]
    drawn = maker(indicator, artifact)
    # A chart without data is no chart: the section then says in words what is missing.
    return [(text(name), draw) for name, draw in drawn if draw("en")]


def _accuracy(_: IndicatorView, artifact: Mapping[str, Any]) -> list[tuple[str, Drawer]]:
    classes = sorted(
        artifact["per_class"], key=lambda each: (each["f1"] is not None, each["f1"] or 0, each["label"])
    )
    bars = [
        charts.Bar(
            clean(each["label"], 40),
            number_of(each["f1"]),
            f"{'—' if each['f1'] is None else number(each['f1'])}  n={number(each['support'])}",
        )
        for each in classes
    ]
    return [("chart_classes", lambda lang: charts.ratio_bars(bars, "chart_classes", lang))]


def _latency(indicator: IndicatorView, artifact: Mapping[str, Any]) -> list[tuple[str, Drawer]]:
    histogram = artifact["histogram"]
    if histogram is None:
        return []
    marks = _marks(indicator, artifact, {"p50_ms": same("p50"), "p99_ms": same("p99")}, "p99_ms", " ms")
    edges, counts = histogram["edges_ms"], histogram["counts"]
    return [("chart_latency", lambda lang: charts.latency_histogram(edges, counts, marks(lang), lang))]


def _throughput(indicator: IndicatorView, artifact: Mapping[str, Any]) -> list[tuple[str, Drawer]]:
    marks = _marks(indicator, artifact, {"rps": text("mark_mean")}, "rps", "")
    return [("chart_windows", lambda lang: charts.window_columns(artifact["windows"], marks(lang), lang))]


def _robustness(indicator: IndicatorView, artifact: Mapping[str, Any]) -> list[tuple[str, Drawer]]:
    before, after, drop = (number_of(artifact[name]) for name in ("f1_clean", "f1_adv", "f1_drop"))
    if before is None or after is None or drop is None:
        return []
    interval = artifact["intervals"].get("f1_drop") or {}
    ends = (float(drop), number_of(interval.get("low")), number_of(interval.get("high")))
    limit = next(iter(_limits(indicator.rules, "f1_drop")), None)
    return [("chart_attack", lambda lang: charts.attack_bars(before, after, ends, limit, lang))]


def _toxicity(indicator: IndicatorView, artifact: Mapping[str, Any]) -> list[tuple[str, Drawer]]:
    def bars(lang: Lang) -> list[charts.Bar]:
        found = []
        for group in artifact["groups"]:
            name = " · ".join(clean(part, 30) for part in (group["lang"], group["group"]) if part) or "—"
            toxic, scored, unscored = group["toxic"], group["scored"], group["unscored"]
            note = text("of", count=number(toxic), total=number(scored))[lang]
            if unscored:
                note += text("comma")[lang] + text("unscored", count=number(unscored))[lang]
            found.append(charts.Bar(name, toxic / scored if scored else None, note))
        return sorted(found, key=lambda bar: -(bar.share or 0))

    marks = _marks(indicator, artifact, {}, "toxic_ratio", "")
    return [
        (
            "chart_toxic",
            lambda lang: charts.ratio_bars(bars(lang), "chart_toxic", lang, marks=marks(lang)),
        )
    ]


def _power(indicator: IndicatorView, artifact: Mapping[str, Any]) -> list[tuple[str, Drawer]]:
    series = artifact["power_series"]
    if series is None:
        return []
    named = {"mean_power_w": text("mark_mean"), "idle_power_w": text("mark_idle")}
    marks = _marks(indicator, artifact, named, "mean_power_w", " W")
    return [
        ("chart_power", lambda lang: charts.power_curve(series["t_s"], series["power_w"], marks(lang), lang))
    ]


def _resources(artifact: Mapping[str, Any]) -> Drawer | None:
    levels = _levels(artifact["resources"])
    # Memory against its total is a number: bars of it all look alike.
    rows = [_meter(name, levels) for name in levels if "_total_" not in name and name != _RSS]
    return (lambda lang: charts.meters(rows, lang)) if rows else None


def _too_few(resources: Mapping[str, Any]) -> int | None:
    samples = [number_of(level.get("samples")) for level in _levels(resources).values()]
    most = max((int(each) for each in samples if each is not None), default=_ENOUGH_SAMPLES)
    return most if most < _ENOUGH_SAMPLES else None


def _levels(resources: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for name, entry in resources.items():
        several = entry if isinstance(entry, list) else [entry]
        for index, level in enumerate(several):
            if isinstance(level, Mapping) and is_number(level.get("mean")) and is_number(level.get("max")):
                found[clean(f"{name}.{index}" if several is entry else name, 60)] = level
    return found


def _moved(resources: Mapping[str, Any]) -> tuple[Row, ...]:
    # The levels are in the chart; counters, and what could not be sampled, are left.
    counters = {
        name: _short(entry)
        for name, entry in resources.items()
        if isinstance(entry, Mapping) and "mean" not in entry
    }
    return _memory(_levels(resources)) + block(counters)


def _memory(levels: Mapping[str, Mapping[str, Any]]) -> tuple[Row, ...]:
    if _RSS not in levels or _TOTAL not in levels:
        return ()
    sizes = {"mean": levels[_RSS]["mean"], "most": levels[_RSS]["max"], "total": levels[_TOTAL]["max"]}
    words = text("rss_of_total", **{key: number(float(size) / _GIB) for key, size in sizes.items()})
    return (Row(_RSS, words),)


def _short(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: number(value) if is_number(value) else value for key, value in entry.items()}


def _meter(name: str, levels: Mapping[str, Mapping[str, Any]]) -> charts.Meter:
    mean, most = float(levels[name]["mean"]), float(levels[name]["max"])
    whole = levels.get(name.replace("_used_", "_total_"), {}).get("max", most)
    full = max(most, 1.0) if "_ratio" in name else max(most, float(whole))
    if "_bytes" in name:
        note = f"{number(mean / _GIB)} / {number(most / _GIB)} GiB"
    else:
        note = f"{number(mean)} / {number(most)}"
    return charts.Meter(name, mean, most, full, note)
