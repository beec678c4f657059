"""The blocks `quality` and `judge` of a study's file: which measures mark its runs, and which model judges them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hexgate.errors import HexgateError, InputError
from hexgate.scorers.quality import QUALITY
from hexgate.study.keys import Keys

if TYPE_CHECKING:
    from hexgate.scorers.judge_spec import JudgeSpec

__all__ = ["JudgedBy", "QualitySpec", "read_judge", "read_quality"]

_PATHS = {"bartscore": "checkpoint", "bertscore": "checkpoint", "code_tests": "tasks"}
"""The option of a measure that is a path."""
_COUNTS = ("repeats", "concurrency", "max_tokens", "attempts", "tries")
_ABOVE_0 = ("rpm", "timeout_s", "budget")
_PRICES = ("input_per_million", "output_per_million")
_MOST_PRICE = 1e9


@dataclass(frozen=True)
class QualitySpec:
    """One measure of quality, and the runs that it marks."""

    measure: str
    """One of `hexgate.scorers.quality.QUALITY`."""
    tasks: tuple[str, ...] = ()
    """The tasks whose runs it marks; none for all."""
    references: str | None = None
    """The field of an item that holds its references; None for the one that its task names."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the measure is opened with."""

    def covers(self, task: str) -> bool:
        """Whether it marks the runs of a task."""
        return not self.tasks or task in self.tasks

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> QualitySpec:
        """The measure that a study's head keeps.

        Raises:
            KeyError, TypeError: if it is no such block.
        """
        return cls(**{**block, "tasks": tuple(block["tasks"])})


@dataclass(frozen=True)
class JudgedBy:
    """A language model that judges the replies. Its key is in no field."""

    target: str
    """URL of an OpenAI-compatible server, such as ``http://127.0.0.1:8000/v1``."""
    model: str
    """The model's id at that server."""
    api_key_env: str | None = None
    """Environment variable with the key."""
    tasks: tuple[str, ...] = ()
    """The tasks whose runs it judges; none for all."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of `hexgate.scorers.judge_spec.JudgeSpec`, as far as they are stated; prices as a mapping."""

    def covers(self, task: str) -> bool:
        """Whether it judges the runs of a task."""
        return not self.tasks or task in self.tasks

    def judge_spec(self) -> JudgeSpec:
        """What the judge is asked with.

        Raises:
            InputError: if a field cannot be used.
        """
        # Most commands on a study ask no judge, and do without what asking takes.
        from hexgate.scorers.judge_books import Prices
        from hexgate.scorers.judge_spec import JudgeSpec

        prices = self.settings.get("prices")
        settings = {**self.settings, "prices": None if prices is None else Prices(**prices)}
        return JudgeSpec(self.target, self.model, key_env=self.api_key_env, **settings)

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> JudgedBy:
        """The judge that a study's head keeps.

        Raises:
            KeyError, TypeError: if it is no such block.
        """
        return cls(**{**block, "tasks": tuple(block["tasks"])})


def read_quality(keys: Keys, tasks: Sequence[str], folder: Path) -> tuple[QualitySpec, ...]:
    """The measures of a study's file; none where the block is absent.

    Args:
        keys: those of the whole file.
        tasks: names of the study's tasks.
        folder: what paths in options are relative to.

    Raises:
        InputError: at the first mistake, with the path of its key.
    """
    value = keys.raw("quality")
    if value is None:
        return ()
    if not isinstance(value, list):
        keys.refuse("quality", "quality is not a list", got=repr(value)[:80], expected="a list of measures")
    found: list[QualitySpec] = []
    for place, one in enumerate(value):
        inner = keys.inner(f"quality[{place}]", one)
        measure = _measure(inner)
        if any(other.measure == measure for other in found):
            inner.refuse(
                "measure",
                f"the measure {measure} stands twice",
                got=repr(measure),
                expected="each measure once",
                hint="a run has one mark of a measure: name all of its tasks in one entry",
            )
        found.append(
            QualitySpec(
                measure=measure,
                tasks=_tasks(inner, tasks),
                references=inner.text_or_none("references"),
                options=_with_path(measure, inner.plain("options"), folder),
            )
        )
        inner.end()
    return tuple(found)


def read_judge(keys: Keys, tasks: Sequence[str]) -> JudgedBy | None:
    """The judge of a study's file; None where the block is absent.

    Args:
        keys: those of the whole file.
        tasks: names of the study's tasks.

    Raises:
        InputError: at the first mistake, with the path of its key, or of the block where `JudgeSpec` refuses it.
    """
    value = keys.raw("judge")
    if value is None:
        return None
    inner = keys.inner("judge", value)
    found = JudgedBy(
        target=inner.text("target"),
        model=inner.text("model"),
        api_key_env=inner.text_or_none("api_key_env"),
        tasks=_tasks(inner, tasks),
        settings=_settings(inner),
    )
    inner.end()
    try:
        found.judge_spec()
    except HexgateError as error:
        raise InputError(
            error.what, where=keys.where("judge"), got=error.got, expected=error.expected, hint=error.hint
        ) from None
    return found


def _measure(keys: Keys) -> str:
    name = keys.text("measure")
    if name not in QUALITY:
        close = get_close_matches(name, QUALITY, n=1)
        keys.refuse(
            "measure",
            "there is no such measure of quality",
            got=repr(name),
            expected="one of " + ", ".join(QUALITY),
            hint=f"did you mean {close[0]}?" if close else None,
        )
    return name


def _tasks(keys: Keys, known: Sequence[str]) -> tuple[str, ...]:
    names = keys.texts("tasks")
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            keys.refuse(
                "tasks",
                "the study has no such task",
                got=repr(name),
                expected="one of " + ", ".join(known),
                hint=f"did you mean {close[0]}?" if close else None,
            )
    return names


def _with_path(measure: str, options: dict[str, Any], folder: Path) -> dict[str, Any]:
    path = options.get(_PATHS.get(measure, ""))
    return {**options, _PATHS[measure]: str(folder / path)} if path and isinstance(path, str) else options


def _settings(keys: Keys) -> dict[str, Any]:
    stated: dict[str, Any] = {
        "language": keys.text_or_none("language"),
        "rubric_version": keys.text_or_none("rubric_version"),
        "temperature": keys.number_or_none("temperature", most=100.0),
        "seed": keys.whole_or_none("seed", least=0),
        **{name: keys.whole_or_none(name, least=1) for name in _COUNTS},
        "repeat_share": keys.number_or_none("repeat_share", most=1.0),
        **{name: keys.number_or_none(name, above=True) for name in _ABOVE_0},
        "most_wait_s": keys.number_or_none("most_wait_s"),
        "prices": _prices(keys),
        "options": keys.plain("options") or None,
    }
    return {name: value for name, value in stated.items() if value is not None}


def _prices(keys: Keys) -> dict[str, Any] | None:
    value = keys.raw("prices")
    if value is None:
        return None
    inner = keys.inner("prices", value)
    found: dict[str, Any] = {name: inner.number_or_none(name, most=_MOST_PRICE) for name in _PRICES}
    for name, price in found.items():
        if price is None:
            inner.refuse(name, f"{name} is missing", got="nothing", expected="the price of a million tokens")
    currency = inner.text_or_none("currency")
    inner.end()
    return found if currency is None else {**found, "currency": currency}
