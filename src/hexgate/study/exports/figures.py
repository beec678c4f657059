"""The figures of a run that exports show: name, unit, where the record has them, and why one is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hexgate.study.quality.marks import JUDGE
from hexgate.study.reading import Reading

__all__ = [
    "COMPLETION_TOKENS",
    "DIMENSIONS",
    "ENERGY",
    "ENERGY_FIGURES",
    "LATENCY",
    "LATENCY_FIGURES",
    "PROMPT_TOKENS",
    "RUN_FIGURES",
    "SCORE",
    "SCORE_FIGURES",
    "TOKEN_FIGURES",
    "Figure",
    "quality_figures",
    "rationale",
    "reasons",
]

DIMENSIONS = ("factuality", "helpfulness", "structure", "conciseness")
"""What the judge scores, 0 to 2.5 each."""
_NOT_RUN = "the run has not been made"
_FAILED = "the run failed"
_NO_MARK = "no mark was given"
_NO_REASON = "the record gives no reason"


@dataclass(frozen=True)
class Figure:
    """One figure of a run."""

    name: str
    """What its column is called; the unit is in it, but for counts and scores."""
    unit: str
    """Its unit."""
    path: tuple[str, ...]
    """Where a full record has it."""
    english: str
    """What it is."""
    chinese: str
    """The same in Chinese."""
    factor: float = 1.0
    """By what the record's value is multiplied to be in `unit`."""
    digits: int = 3
    """How many decimals a spreadsheet shows; the cell holds them all."""
    why: str = ""
    """Under what the record's ``missing`` has the reason, where that is not `path`."""

    def of(self, record: Mapping[str, Any] | None) -> float | int | None:
        """Its value in a run; None where the run is not over, has failed, or has none."""
        value: Any = record if record is not None and record["status"] == "ok" else None
        for key in self.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return None
        return value if self.factor == 1.0 else value * self.factor

    def reason(self, record: Mapping[str, Any] | None) -> str | None:
        """Why a run has no value; None where it has one."""
        if record is None:
            return _NOT_RUN
        if self.of(record) is not None:
            return None
        if record["status"] != "ok":
            return _FAILED
        keys = [self.why] if self.why else []
        keys += [".".join(self.path[:length]) for length in range(len(self.path), 0, -1)]
        found = next((record["missing"][key] for key in keys if key in record["missing"]), None)
        if found is None:
            return _NO_MARK if self.path[0] == "quality" else _NO_REASON
        return str(found)


LATENCY = Figure(
    "latency_ms",
    "ms",
    ("latency_seconds",),
    "from the send to the end of the reply",
    "从发送到回复结束的时间",
    factor=1000.0,
    digits=1,
)
ENERGY = Figure(
    "energy_j",
    "J",
    ("energy", "net_j"),
    "energy of the run above idle, the model loaded (net)",
    "减去待机（模型已加载）后的能耗（净值）",
)
PROMPT_TOKENS = Figure(
    "prompt_tokens",
    "tokens",
    ("api_metrics", "prompt_eval_count"),
    "tokens of the prompt as the server counts them, cached ones included",
    "提示词的词元数（服务端计数，含缓存）",
    digits=1,
)
COMPLETION_TOKENS = Figure(
    "completion_tokens",
    "tokens",
    ("api_metrics", "eval_count"),
    "tokens of the reply as the server counts them, thinking included",
    "回复的词元数（服务端计数，含思考）",
    digits=1,
)
LATENCY_FIGURES = (
    LATENCY,
    Figure(
        "first_token_ms",
        "ms",
        ("first_token_seconds",),
        "from the send to the first text, of thinking or answer",
        "从发送到首段文本（思考或回答）的时间",
        factor=1000.0,
        digits=1,
    ),
    Figure(
        "first_answer_ms",
        "ms",
        ("first_answer_seconds",),
        "from the send to the first text of the answer",
        "从发送到回答的首段文本的时间",
        factor=1000.0,
        digits=1,
    ),
    Figure(
        "output_ms",
        "ms",
        ("output_seconds",),
        "from the first text to the last",
        "从首段文本到末段文本的时间",
        factor=1000.0,
        digits=1,
    ),
    Figure(
        "throughput_tokens_per_s",
        "tokens/s",
        ("throughput_tokens_per_sec",),
        "output tokens a second, by the server's own clock",
        "每秒输出词元数（服务端计时）",
        digits=2,
    ),
)
"""Times of a run, the one that stands for it first."""
ENERGY_FIGURES = (
    ENERGY,
    Figure(
        "energy_uncertainty_j",
        "J",
        ("energy", "net_uncertainty_j"),
        "standard uncertainty of energy_j",
        "energy_j 的标准不确定度",
        why="energy.net_j",
    ),
    Figure(
        "energy_gross_j",
        "J",
        ("energy", "gross_j"),
        "energy of the run with idle in it (gross)",
        "含待机的能耗（总值）",
    ),
    Figure(
        "energy_gross_uncertainty_j",
        "J",
        ("energy", "uncertainty_j"),
        "standard uncertainty of energy_gross_j",
        "energy_gross_j 的标准不确定度",
        why="energy.gross_j",
    ),
    Figure(
        "mean_power_w",
        "W",
        ("energy", "mean_power_w"),
        "mean power from the send to the end",
        "从发送到结束的平均功率",
        why="energy.gross_j",
    ),
    Figure(
        "idle_power_w",
        "W",
        ("energy", "idle_power_w"),
        "idle power that was taken off",
        "所减去的待机功率",
        why="energy.net_j",
    ),
    Figure(
        "idle_drift_ratio",
        "0 to 1",
        ("energy", "idle_drift_ratio"),
        "how far idle before and after the visit differ",
        "本轮前后待机功率的相差程度",
        why="energy.net_j",
    ),
)
"""Energy of a run, the figure that stands for it first."""
TOKEN_FIGURES = (
    COMPLETION_TOKENS,
    PROMPT_TOKENS,
    Figure(
        "prompt_cached_tokens",
        "tokens",
        ("api_metrics", "prompt_eval_cached_count"),
        "tokens of the prompt that the server took from its cache",
        "提示词中取自缓存的词元数",
        digits=1,
    ),
    Figure(
        "thinking_tokens",
        "tokens",
        ("api_metrics", "thinking_count"),
        "tokens of thinking, where the server counts them apart",
        "思考的词元数（服务端单独计数时）",
        digits=1,
    ),
)
"""Tokens of a run, the figure that stands for it first."""
RUN_FIGURES = (PROMPT_TOKENS, COMPLETION_TOKENS, *LATENCY_FIGURES, *ENERGY_FIGURES)
"""What every table of responses has of a run."""
SCORE = Figure(
    "total_score",
    "0 to 10",
    ("quality", JUDGE, "value"),
    "the judge's four scores added up, by hexgate and not by the judge",
    "评审四项得分之和（由 hexgate 求和）",
    digits=2,
)
_ASKS = {
    "factuality": ("is what the answer states true?", "准确性：回答所述是否属实"),
    "helpfulness": ("does the answer do what was asked?", "有用性：回答是否完成了要求"),
    "structure": ("can the answer be followed?", "结构性：回答是否条理清楚"),
    "conciseness": ("does every part of the answer serve the question?", "简洁性：回答的每部分是否切题"),
}
SCORE_FIGURES = (
    *(
        Figure(
            name,
            "0 to 2.5",
            ("quality", JUDGE, "parts", name),
            *_ASKS[name],
            digits=2,
            why=f"quality.{JUDGE}.value",
        )
        for name in DIMENSIONS
    ),
    SCORE,
    Figure(
        "total_without_conciseness",
        "0 to 7.5",
        ("quality", JUDGE, "parts", "total_without_conciseness"),
        "the same without conciseness, which goes with length, and length with energy",
        "不含简洁性的总分（简洁性与长度相关，长度又与能耗相关）",
        digits=2,
        why=f"quality.{JUDGE}.value",
    ),
)
"""What the judge says of a run."""


def quality_figures(reading: Reading) -> tuple[Figure, ...]:
    """Every measure of quality that has marked the study, with its numeric parts, under the names of results.csv."""
    parts: dict[str, set[str]] = {measure: set() for measure in reading.marks.measures}
    for record in reading.records:
        for measure, mark in record["quality"].items():
            parts.setdefault(measure, set()).update(
                part
                for part, value in mark["parts"].items()
                if isinstance(value, (int, float)) and not isinstance(value, bool)
            )
    found: list[Figure] = []
    for measure in sorted(parts):
        why = f"quality.{measure}.value"
        english, chinese = f"the measure of quality {measure}", f"质量度量 {measure}"
        found.append(
            Figure(f"quality_{measure}", "", ("quality", measure, "value"), english, chinese, why=why)
        )
        found += [
            Figure(
                f"quality_{measure}_{part}",
                "",
                ("quality", measure, "parts", part),
                f"{english}: its part {part}",
                f"{chinese}的 {part} 部分",
                why=why,
            )
            for part in sorted(parts[measure])
        ]
    return tuple(found)


def reasons(figures: Sequence[Figure], record: Mapping[str, Any] | None) -> str | None:
    """Why figures of a run are missing, those with one reason together; None where none is."""
    found: dict[str, list[str]] = {}
    for figure in figures:
        why = figure.reason(record)
        if why is not None:
            found.setdefault(why, []).append(figure.name)
    return "; ".join(f"{', '.join(names)}: {why}" for why, names in found.items()) or None


def rationale(record: Mapping[str, Any] | None, dimension: str) -> str | None:
    """Why the judge gave a run its score of a dimension; None where it said nothing."""
    mark = None if record is None else record["quality"].get(JUDGE)
    said = {} if mark is None else mark["parts"].get("rationales") or {}
    return str(said[dimension]) if said.get(dimension) else None
