"""What a rating's label says: which facts, in which words, and what stands where one is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hexgate.errors import InputError
from hexgate.metrics.rating import letter_of
from hexgate.metrics.rating_parts import SCHEME
from hexgate.report.numbers import is_number, number
from hexgate.report.text import Lang, clean

__all__ = ["FACTS", "LETTERS", "Fact", "checked", "label_facts", "said", "words"]

LETTERS = "ABCDEFG"


@dataclass(frozen=True)
class Fact:
    """One line of the label."""

    key: str
    """Its key in the facts."""
    en: str
    """Its name in English."""
    zh: str
    """Its name in Chinese."""
    unit: str = ""
    """Unit of a number."""

    def name(self, lang: Lang) -> str:
        """Its name."""
        return self.zh if lang == "zh" else self.en


FACTS: Mapping[str, tuple[Fact, ...]] = {
    "energy": (
        Fact("joules_per_request", "Per request", "每次请求", "J"),
        Fact("joules_per_output_token", "Per output token", "每个输出词元", "J"),
        Fact("joules_per_accepted", "Per accepted answer", "每个被接受的回答", "J"),
    ),
    "quality": (
        Fact("acceptance", "Accepted answers", "被接受的回答"),
        Fact("quality", "Mean quality", "平均质量"),
        Fact("judge", "Judged by", "评判者"),
        Fact("judge_version", "Rubric", "评分标准"),
        Fact("floor", "Floor", "下限"),
    ),
    "conditions": (
        Fact("device", "Device", "设备"),
        Fact("scope", "Metered", "计量范围"),
        Fact("power_mode", "Power mode", "功率模式"),
        Fact("precision", "Precision", "精度"),
        Fact("server", "Server", "服务程序"),
        Fact("server_version", "Server version", "服务程序版本"),
        Fact("context", "Context", "上下文长度"),
        Fact("load", "Load", "负载"),
        Fact("cache", "Prompts", "提示词缓存"),
        Fact("thinking", "Thinking", "思考模式"),
        Fact("energy", "Energy", "能耗口径"),
    ),
    "origin": (
        Fact("reference", "Reference model", "参照模型"),
        Fact("reference_joules", "Its energy per accepted answer", "其每个被接受回答的能耗", "J"),
        Fact("suite", "Suite", "题集"),
        Fact("scheme", "Scheme", "评级方案"),
        Fact("date", "Date", "日期"),
        Fact("evidence", "Evidence", "证据"),
    ),
}
"""The facts of a label by group, in the order in which they are printed."""

_GROUPS: Mapping[str, tuple[str, str]] = {
    "energy": ("Energy", "能耗"),
    "quality": ("Quality", "质量"),
    "conditions": ("Measured on", "测量条件"),
    "origin": ("Where it comes from", "来源"),
}

_WORDS: Mapping[str, tuple[str, str]] = {
    **_GROUPS,
    "title": ("Energy for answers", "回答能效"),
    "index": ("Escalation index EEI", "升级能耗指数 EEI"),
    "interval": ("{level} interval {low} to {high}", "{level} 置信区间 {low} 至 {high}"),
    "range": ("interval spans {low} to {high}", "区间跨越 {low} 至 {high} 级"),
    "not_rated": ("Not rated", "未评级"),
    "absent": ("not stated", "未说明"),
    "none": ("none: {why}", "无:{why}"),
    "equal": ("1 = as much as the reference", "1 = 与参照模型相同"),
    "own": (
        "A rating of this suite on this device. No official energy label.",
        "仅针对本题集和本设备的评级,不是官方能效标识。",
    ),
}


_VALUES_ZH: Mapping[str, str] = {
    "board": "整板",
    "module": "模组",
    "node": "整机",
    "wall": "电源插座",
    "package": "CPU 封装",
    "dram": "内存",
    "psys": "平台",
    "host": "整机",
    "none": "无",
    "sequential": "逐个请求",
    "parallel": "与其他模型同时",
    "cold": "冷(未缓存)",
    "warm": "热(已缓存)",
    "gross": "总能耗",
    "net": "净能耗(扣除空闲)",
    "on": "开",
    "off": "关",
}
_TRANSLATED = frozenset({"scope", "load", "cache", "thinking", "energy"})


def words(name: str, lang: Lang, **parts: str) -> str:
    """A phrase of the label."""
    return _WORDS[name][lang == "zh"].format(**parts)


def said(fact: Fact, facts: Mapping[str, Any], lang: Lang) -> str:
    """The value of a fact as it is printed. One that is missing says so, with its reason where there is one."""
    value = facts.get(fact.key)
    if isinstance(value, Mapping):
        value = value.get(lang)
    if value is None or value == "":
        reason = _reason(facts.get("reasons"), fact.key, lang)
        return reason or words("absent", lang)
    if is_number(value):
        interval = facts.get(f"{fact.key}_interval")
        shown = f"{number(value)} {fact.unit}".rstrip()
        if isinstance(interval, (list, tuple)) and all(is_number(end) for end in interval):
            low, high = (number(end, spread=(interval[1] - interval[0]) / 2) for end in interval)
            shown += f" ({low} – {high})"
        return shown
    shown = clean(value, 200)
    if lang == "en" or fact.key not in _TRANSLATED:
        return shown
    return " + ".join(_VALUES_ZH.get(part, part) for part in shown.split(" + "))


def label_facts(rating: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a label, from a rating's JSON object and what only the study knows.

    Args:
        rating: as `hexgate.metrics.rating_parts.Rating.to_json` gives it.
        about: the rest by key of `FACTS`, with ``model``; it does not replace what the rating says.
    """
    basis, reference = rating["basis"], rating["reference"] or {}
    facts: dict[str, Any] = dict(about) | {
        key: basis[key] for key in ("device", "scope", "suite", "load", "cache", "energy")
    }
    facts |= {
        "letter": rating["letter"],
        "letters": rating["letters"],
        "scheme": rating["scheme"],
        "reference": reference.get("name", about.get("reference")),
        "reference_joules": reference.get("joules_per_accepted"),
        "floor": _floor(rating["floor"]),
        "refusals": [{"en": one["en"], "zh": one["zh"]} for one in rating["refusals"]],
    }
    reasons: dict[str, Any] = {}
    names = ("joules_per_request", "joules_per_output_token", "joules_per_accepted", "acceptance", "quality")
    for name in (*names, "index"):
        found = rating[name] or {"value": None, "interval": None, "reason": None}
        facts[name] = found["value"]
        interval = found["interval"]
        if interval is not None and interval["low"] is not None and interval["high"] is not None:
            facts[f"{name}_interval"] = [interval["low"], interval["high"]]
            facts["level"] = interval["level"]
        if found["reason"] is not None:
            reasons[name] = found["reason"]
    return facts | {"reasons": reasons | dict(about.get("reasons") or {})}


def checked(facts: Mapping[str, Any]) -> None:
    """Go on only with facts that say what they rate, and either a letter with its index or why there is none.

    The letter is that of the upper end of the index's interval.

    Raises:
        InputError: otherwise, or if the classes are those of another scheme than the one that is drawn.
    """
    if not facts.get("model"):
        raise InputError("a label names its model", where="model")
    letter = facts.get("letter")
    if letter is None:
        if not facts.get("refusals"):
            raise InputError("a label without a letter says why", where="refusals")
        return
    if not (isinstance(letter, str) and len(letter) == 1 and letter in LETTERS):
        raise InputError("no such class", where="letter", got=repr(letter), expected="A to G")
    scheme = facts.get("scheme")
    if scheme != SCHEME.version:
        raise InputError(
            "the label draws the classes of another scheme",
            where="scheme",
            got=repr(scheme),
            expected=SCHEME.version,
        )
    interval = facts.get("index_interval")
    ends = interval if isinstance(interval, (list, tuple)) else ()
    if not (is_number(facts.get("index")) and len(ends) == 2 and all(is_number(end) for end in ends)):
        raise InputError("a letter without its index and interval", where="index")
    rightly = letter_of(ends[1])
    if letter != rightly:
        raise InputError(
            "the letter is not that of the interval's upper end", where="letter", got=letter, expected=rightly
        )


def _reason(reasons: Any, key: str, lang: Lang) -> str | None:
    found = reasons.get(key) if isinstance(reasons, Mapping) else None
    if isinstance(found, Mapping):
        found = found.get(lang)
    return None if found is None else words("none", lang, why=clean(found, 160))


def _floor(floor: Mapping[str, Any]) -> dict[str, str]:
    en, zh = [], []
    if floor["acceptance"] is not None:
        en.append(f"accepted at least {number(floor['acceptance'])}")
        zh.append(f"接受率不低于 {number(floor['acceptance'])}")
    if floor["quality"] is not None:
        en.append(f"quality at least {number(floor['quality'])}")
        zh.append(f"质量不低于 {number(floor['quality'])}")
    return {"en": ", ".join(en), "zh": ",".join(zh)}
