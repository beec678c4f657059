"""The workbook that compares models and levels: means with intervals, and the best level per cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hexgate.study.exports.comparison import Estimate, LevelValue, by_model_and_level, level_values, mean_of
from hexgate.study.exports.figures import (
    COMPLETION_TOKENS,
    ENERGY,
    LATENCY,
    PROMPT_TOKENS,
    SCORE_FIGURES,
    Figure,
    quality_figures,
)
from hexgate.study.exports.places import Place
from hexgate.study.exports.workbook_file import Cell, Column, Sheet
from hexgate.study.exports.workbook_parts import (
    ABOUT,
    REASON_WORDS,
    WIDE,
    Explained,
    about,
    by_model,
    explained,
    headed,
)
from hexgate.study.quality.marks import JUDGE
from hexgate.study.reading import Reading

__all__ = ["comparison_sheets"]

_COMPARISON, _BEST = "comparison", "best level per cost"
_Key = tuple[str, str]
"""Model and level."""
_LONG = (
    Column("level"),
    Column("figure", width=26),
    Column("unit"),
    Column("n"),
    Column("missing"),
    Column("mean", 4),
    Column("low 95 %", 4),
    Column("high 95 %", 4),
    Column("questions"),
    Column("reason", width=WIDE),
)
_WORDS: tuple[Explained, ...] = (
    ("n", "runs", "runs that have a value", "有数值的运行次数"),
    (
        "missing",
        "runs",
        "planned runs that have none; they are in no mean",
        "没有数值的运行次数（不计入均值）",
    ),
    ("mean", "", "mean over the runs that have a value", "有数值的运行的均值"),
    (
        "low 95 %, high 95 %",
        "",
        "95 % interval of the mean: bootstrap over questions, 2000 resamples, seed 0; repeats of one go together",
        "均值的 95 % 区间：按题目自助抽样 2000 次（种子 0），同一题目的重复视为一组",
    ),
    ("questions", "", "different questions that the interval rests on", "区间所依据的不同题目数"),
    (
        "score per joule",
        "points/J",
        "sum of the scores divided by the sum of the net energy, over runs that have both",
        "得分之和除以净能耗之和（只计两者都有的运行）",
    ),
    ("score per second", "points/s", "the same with latency", "得分之和除以延迟之和"),
    (
        "change against the first level",
        "",
        "mean over questions of the paired difference; 95 % interval by Student's t",
        "与首个级别逐题配对之差的均值；95 % 区间按学生 t 分布",
    ),
    (
        "best",
        "",
        "the highest of the model over the questions that have score and cost at every level",
        "在各级别都有得分与代价的题目上，该模型中最高",
    ),
    (
        "not told apart",
        "",
        "the 95 % interval of the difference from the best, paired by question, holds 0",
        "与最高者逐题配对之差的 95 % 区间包含 0，无法区分",
    ),
    (
        "not compared",
        "",
        "there is no question with score and cost at every level, no other level, or a cost not told from zero",
        "没有在各级别都有得分与代价的题目，没有其他级别，或代价与零无法区分",
    ),
)


def comparison_sheets(reading: Reading, found: Sequence[Place]) -> list[Sheet]:
    """The sheets: models by levels, the best level per cost, and for each model every figure with its interval.

    Args:
        reading: the study.
        found: its places.
    """
    others = [one for one in quality_figures(reading) if one.path[1] != JUDGE]
    figures = [*SCORE_FIGURES, *others, LATENCY, ENERGY, PROMPT_TOKENS, COMPLETION_TOKENS]
    groups = by_model_and_level(found)
    means = {key: [mean_of(figure, own) for figure in figures] for key, own in groups.items()}
    values = {(one.model, one.level): one for one in level_values(found)}
    return [
        about(reading, "model_comparison", [*explained(figures), *_WORDS, REASON_WORDS]),
        _wide(figures, groups, means, values),
        _best(list(values.values())),
        *(
            Sheet(name, _LONG, _long(figures, own, means, values), frozen=2)
            for name, own in by_model(reading, found, [ABOUT, _COMPARISON, _BEST])
        ),
    ]


def _wide(
    figures: Sequence[Figure],
    groups: Mapping[_Key, Sequence[Place]],
    means: Mapping[_Key, Sequence[Estimate]],
    values: Mapping[_Key, LevelValue],
) -> Sheet:
    """One row a model and level, one column a figure."""
    columns = [
        Column("model", width=22),
        Column("level"),
        Column("runs planned"),
        Column("runs ok"),
        *(Column(headed(figure, "mean"), figure.digits) for figure in figures),
        Column("score per joule [points/J]", 4),
        Column("reason", width=WIDE),
    ]
    rows: list[list[Cell]] = []
    for key, own in groups.items():
        rows.append(
            [
                *key,
                len(own),
                sum(place.ok for place in own),
                *(one.value for one in means[key]),
                values[key].per_joule.value,
                _told(
                    [(figure.name, one.why_missing) for figure, one in zip(figures, means[key], strict=True)]
                ),
            ]
        )
    return Sheet(_COMPARISON, columns, rows, frozen=2)


def _long(
    figures: Sequence[Figure],
    own: Sequence[Place],
    means: Mapping[_Key, Sequence[Estimate]],
    values: Mapping[_Key, LevelValue],
) -> list[list[Cell]]:
    """One row a level and figure of a model; all levels together come last."""
    rows: list[list[Cell]] = []
    keys = list(by_model_and_level(own))
    for key in keys:
        level = key[1]
        rows += [_row(level, one.name, one.unit, mean) for one, mean in zip(figures, means[key], strict=True)]
        rows.append(_row(level, "score_per_joule", "points/J", values[key].per_joule))
        rows.append(_row(level, "score_per_second", "points/s", values[key].per_second))
    if len(keys) > 1:
        rows += [_row("all", one.name, one.unit, mean_of(one, own)) for one in figures]
    return rows


def _row(level: str, name: str, unit: str, one: Estimate) -> list[Cell]:
    return [level, name, unit, one.n, one.missing, one.value, one.low, one.high, one.questions, one.reason]


def _best(values: Sequence[LevelValue]) -> Sheet:
    """What each level gives for what it costs."""
    columns = [
        Column("model", width=22),
        Column("level"),
        Column("n with score and energy"),
        Column("score [points]", 2),
        Column("energy net [J]"),
        Column("latency [ms]", 1),
        *_spans("score per joule [points/J]", 4),
        Column("best per joule", width=16),
        *_spans("score per second [points/s]", 4),
        Column("best per second", width=16),
        *_spans("score change against the first level [points]", 2),
        *_spans("energy change [J]", 3),
        *_spans("latency change [ms]", 1),
        Column("reason", width=WIDE),
    ]
    rows: list[list[Cell]] = []
    for one in values:
        changes = (one.score_change, one.energy_change_j, one.latency_change_ms)
        rows.append(
            [
                one.model,
                one.level,
                one.per_joule.n,
                one.score.value,
                one.energy_j.value,
                one.latency_ms.value,
                *_span(one.per_joule),
                one.best_per_joule,
                *_span(one.per_second),
                one.best_per_second,
                *(cell for each in changes for cell in _span(each)),
                _reason(one),
            ]
        )
    return Sheet(_BEST, columns, rows, frozen=2)


def _reason(one: LevelValue) -> str | None:
    parts = (
        ("score per joule", one.per_joule),
        ("score per second", one.per_second),
        ("score change", one.score_change),
        ("energy change", one.energy_change_j),
        ("latency change", one.latency_change_ms),
    )
    whys = [(name, each.why_missing) for name, each in parts if each is not None]
    whys += [(name, each.why_no_interval) for name, each in parts if each is not None]
    if one.score_change is None:
        whys.append(("changes", "this is the level that the others are compared with"))
    return _told(whys)


def _told(whys: Sequence[tuple[str, str | None]]) -> str | None:
    """Names with why they lack something, those with one reason together; None where nothing is lacking."""
    found: dict[str, list[str]] = {}
    for name, why in whys:
        if why is not None:
            found.setdefault(why, []).append(name)
    return "; ".join(f"{', '.join(names)}: {why}" for why, names in found.items()) or None


def _spans(title: str, digits: int) -> list[Column]:
    return [
        Column(title, digits),
        Column(f"low 95 %: {title}", digits),
        Column(f"high 95 %: {title}", digits),
    ]


def _span(one: Estimate | None) -> list[Cell]:
    return [None, None, None] if one is None else [one.value, one.low, one.high]
