"""accuracy_f1: how often the model is right, over an explicit set of labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hexgate.contract.evidence import EvidenceReader, EvidenceWriter
from hexgate.errors import EvidenceError, InputError, TargetFailed
from hexgate.indicators.base import Counts, Figures, Job, Method, option
from hexgate.indicators.inputs import class_labels, labelled_items
from hexgate.metrics.classification import (
    Averaging,
    Score,
    Scores,
    ZeroDivision,
    confusion_matrix,
    per_class,
    precision_recall_f1,
    vectorised,
)
from hexgate.stats.binomial import clopper_pearson
from hexgate.stats.bootstrap import confusion_bootstrap
from hexgate.stats.interval import Interval
from hexgate.targets.base import GenerateOptions
from hexgate.targets.labelling import labeller_for

__all__ = ["AccuracyF1"]

_LOST_AFTER = 20


@dataclass(frozen=True)
class Options:
    """What may be chosen."""

    averaging: str = option(
        Averaging.MACRO.value,
        "How the scores of the classes become one.",
        "各类别得分的平均方式。",
        choices=tuple(one.value for one in Averaging),
    )
    positive_label: str | None = option(
        None, "The class that counts, for binary averaging.", "binary 平均时的正类。"
    )
    zero_division: str = option(
        ZeroDivision.ZERO.value,
        "Score of a class whose denominator is zero.",
        "分母为零的类别如何计分。",
        choices=tuple(one.value for one in ZeroDivision),
    )
    resamples: int = option(
        2000, "Resamples of the bootstrap.", "自助法重采样次数。", flag="--f1-resamples", least=100
    )
    label_tokens: int = option(
        32, "Most tokens of a reply from which a label is read.", "读取标签的回复的最大 token 数。", least=1
    )


class AccuracyF1:
    """Labels against predictions; an unparseable reply is counted as what it is."""

    name: ClassVar[str] = "accuracy_f1"
    options: ClassVar[type[Any]] = Options

    def collect(self, job: Job, evidence: EvidenceWriter) -> None:
        """Have every item labelled, and write label and prediction."""
        chosen: Options = job.options
        data = labelled_items(job)
        classes = class_labels(job.target, data)
        positive = _positive(chosen, classes)
        labeller = labeller_for(
            job.target,
            data.items,
            labels=classes,
            options=GenerateOptions(max_tokens=chosen.label_tokens, seed=job.seed),
        )
        evidence.describe(
            dataset=data.to_block(job.limit, len(data.items)),
            method={
                "averaging": chosen.averaging,
                "zero_division": chosen.zero_division,
                "positive_label": positive,
                "labels": list(classes),
                "unparsed": "a miss of the true label, and a prediction of none",
                "template": labeller.template,
                "label_tokens": chosen.label_tokens,
                "resamples": chosen.resamples,
                "requested": len(data.items),
            },
        )
        rows = evidence.rows("samples")
        lost = 0
        job.progress.start(f"{len(data.items)} items", len(data.items))
        for item, answer in zip(data.items, labeller.label(data.items), strict=True):
            row: dict[str, Any] = {"id": item.id, "label": item.label, "prediction": answer.label}
            if answer.reply is not None:
                row["reply"] = answer.reply
            if answer.scores is not None:
                row["scores"] = list(answer.scores)
            rows.write(row | {"error": answer.error})
            job.progress.advance()
            lost = lost + 1 if answer.error else 0
            if lost >= _LOST_AFTER:
                raise TargetFailed(
                    f"{lost} items in a row got no answer", where=job.target.subject.uri, got=answer.error
                )

    def figures(self, method: Method, evidence: EvidenceReader) -> Figures:
        """Precision, recall and F1 of the answered items, each with its interval."""
        rows = list(evidence.rows("samples"))
        if not rows:
            raise EvidenceError("no item was labelled")
        requested = int(method["requested"])
        answered = [row for row in rows if row["error"] is None]
        counts = Counts(requested, len(answered), len(rows) - len(answered), requested - len(rows))
        if not answered:
            return _nothing(counts)
        classes: list[str] = list(method["labels"])
        averaging, zero = Averaging(method["averaging"]), ZeroDivision(method["zero_division"])
        positive = None if method["positive_label"] is None else classes.index(method["positive_label"])
        confusion = _confusion(answered, classes)
        parsed = [row for row in answered if row["prediction"] is not None]
        scores = precision_recall_f1(confusion, averaging, zero_division=zero, positive=positive)
        of_parsed = precision_recall_f1(
            _confusion(parsed, classes), averaging, zero_division=zero, positive=positive
        )
        correct = sum(row["label"] == row["prediction"] for row in answered)
        unparsed = len(answered) - len(parsed)
        values: dict[str, Any] = {
            "precision": scores.precision,
            "recall": scores.recall,
            "f1": scores.f1,
            "exact_match": correct / len(answered),
            "f1_parsed": of_parsed.f1 if parsed else None,
            "samples": len(answered),
            "correct": correct,
            "unparsed": unparsed,
            "unparsed_ratio": unparsed / len(answered),
            "per_class": [asdict(one) for one in per_class(confusion, classes, zero)],
        }
        undefined = "no class has a defined score under zero_division exclude"
        missing = {name: undefined for name in ("precision", "recall", "f1") if values[name] is None}
        if values["f1_parsed"] is None:
            missing["f1_parsed"] = undefined if parsed else "no reply named a label"
        return Figures(
            values=values,
            counts=counts,
            intervals=_intervals(values, confusion, averaging, zero, positive, method),
            missing=missing,
            cannot_certify=_credited(confusion, parsed, classes, averaging, zero, positive),
        )


def _confusion(rows: list[dict[str, Any]], classes: list[str]) -> NDArray[np.int64]:
    return confusion_matrix([row["label"] for row in rows], [row["prediction"] for row in rows], classes)


def _credited(
    confusion: NDArray[np.int64],
    parsed: list[dict[str, Any]],
    classes: list[str],
    averaging: Averaging,
    zero: ZeroDivision,
    positive: int | None,
) -> dict[str, str]:
    """The scores that a zero denominator has raised: credit for classes that the data says nothing of."""
    if zero is not ZeroDivision.ONE:
        return {}

    def both(table: NDArray[np.int64]) -> list[Scores]:
        return [
            precision_recall_f1(table, averaging, zero_division=way, positive=positive)
            for way in (ZeroDivision.ONE, ZeroDivision.ZERO)
        ]

    one, none = both(confusion)
    raised = [score.value for score in Score if getattr(one, score.value) != getattr(none, score.value)]
    one, none = both(_confusion(parsed, classes))
    if parsed and one.f1 != none.f1:
        raised.append("f1_parsed")
    reason = "zero_division one counts classes that the items never show or the model never names as right"
    return dict.fromkeys(raised, reason)


def _intervals(
    values: Mapping[str, Any],
    confusion: NDArray[np.int64],
    averaging: Averaging,
    zero: ZeroDivision,
    positive: int | None,
    method: Method,
) -> dict[str, Interval]:
    level = method["confidence"]
    found = {
        score.value: confusion_bootstrap(
            confusion,
            vectorised(score, averaging, zero, positive),
            resamples=method["resamples"],
            seed=method["seed"],
            level=level,
            point=values[score.value],
            what=f"{averaging.value} {score.value}",
        )
        for score in Score
        if values[score.value] is not None
    }
    n = values["samples"]
    found["exact_match"] = clopper_pearson(values["correct"], n, level=level)
    found["unparsed_ratio"] = clopper_pearson(values["unparsed"], n, level=level)
    return found


def _nothing(counts: Counts) -> Figures:
    reason = "no item got an answer"
    ratios = ("precision", "recall", "f1", "exact_match", "f1_parsed", "unparsed_ratio")
    nothing = {"samples": 0, "correct": 0, "unparsed": 0, "per_class": []}
    return Figures(
        values=dict.fromkeys(ratios) | nothing,
        counts=counts,
        missing=dict.fromkeys(ratios, reason),
        invalid_reasons=(reason,),
    )


def _positive(chosen: Options, classes: tuple[str, ...]) -> str | None:
    if chosen.averaging != Averaging.BINARY.value:
        if chosen.positive_label is not None:
            raise InputError(
                "--positive-label belongs to binary averaging", hint="add --averaging binary, or leave it out"
            )
        return None
    positive = chosen.positive_label or (classes[1] if len(classes) == 2 else None)
    if positive not in classes:
        raise InputError(
            "binary averaging needs the label that counts",
            where="--positive-label",
            got=repr(chosen.positive_label),
            expected=f"one of {', '.join(classes[:12])}",
        )
    return positive
