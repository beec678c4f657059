"""robustness_adv: what an adversary does to the answers who may move every input value by eps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hexgate.attacks.base import (
    ATTACKS,
    AttackOutcome,
    AttackSpec,
    GradientKind,
    Loss,
    open_attack,
    parameters_of,
)
from hexgate.attacks.bounds import tolerance
from hexgate.attacks.gradient import gradient_kind
from hexgate.attacks.losses import predicted
from hexgate.attacks.probes import probe
from hexgate.contract.evidence import EvidenceReader, EvidenceWriter
from hexgate.errors import DataError, EvidenceError
from hexgate.indicators.base import Counts, Figures, Job, Method, option
from hexgate.indicators.inputs import class_labels, feature_batch, labelled_items, need_predictor
from hexgate.metrics.classification import (
    Averaging,
    ZeroDivision,
    confusion_matrix,
    precision_recall_f1,
    vectorised_f1,
)
from hexgate.stats.binomial import clopper_pearson
from hexgate.stats.bootstrap import confusion_bootstrap, paired_confusion_bootstrap
from hexgate.stats.interval import Interval

__all__ = ["RobustnessAdv"]

_CHUNK = 64
_PROBED = 256


@dataclass(frozen=True)
class Options:
    """What may be chosen."""

    attack: str | None = option(
        None,
        "Attack; without it fgsm where there are gradients, square where there are none.",
        "攻击方法；不指定时有梯度用 fgsm，否则用 square。",
        choices=tuple(name for name in ATTACKS if name != "noise"),
    )
    eps: float = option(
        0.03,
        "Greatest change of one input value, in units of the input.",
        "每个输入值的最大扰动（输入单位）。",
        least=0,
    )
    steps: int = option(20, "Iterations of pgd.", "pgd 迭代次数。", least=1)
    queries: int = option(500, "Most queries per item of square.", "square 每条最多查询次数。", least=2)
    loss: str = option(
        Loss.MARGIN.value,
        "Loss of the attack where the target gives its own gradients.",
        "目标自带梯度时攻击所用的损失。",
        choices=tuple(loss.value for loss in Loss),
    )
    resamples: int = option(
        2000, "Resamples of the bootstrap.", "自助法重采样次数。", flag="--robustness-resamples", least=100
    )


class RobustnessAdv:
    """Clean and attacked predictions for the same items, compared item by item."""

    name: ClassVar[str] = "robustness_adv"
    options: ClassVar[type[Any]] = Options

    def collect(self, job: Job, evidence: EvidenceWriter) -> None:
        """Attack every item, and write its label and its predictions: clean, attacked, and under noise."""
        chosen: Options = job.options
        predictor = need_predictor(job.target, self.name)
        data = labelled_items(job)
        batch = feature_batch(data, predictor)
        classes = class_labels(job.target, data)
        index = {label: position for position, label in enumerate(classes)}
        labels = np.array([index[item.label] for item in data.items], dtype=np.int64)
        least_greatest, range_source = _input_range(job, batch)
        gradients = job.target.gradients
        kind = gradient_kind(gradients, batch)
        spec = AttackSpec(
            attack_type=chosen.attack or ("square" if kind is GradientKind.NONE else "fgsm"),
            eps=chosen.eps,
            input_range=least_greatest,
            steps=chosen.steps,
            queries=chosen.queries,
            loss=Loss(chosen.loss),
            seed=job.seed,
        )
        evidence.describe(
            dataset=data.to_block(job.limit, len(data.items)),
            method={
                **_method(spec, kind),
                "norm": "linf",
                "input_range_source": range_source,
                "labels": list(classes),
                "averaging": Averaging.MACRO.value,
                "zero_division": ZeroDivision.ZERO.value,
                "resamples": chosen.resamples,
                "requested": len(data.items),
                "success_rate": "newly wrong / originally right",
            },
        )
        rows, parts = evidence.rows("samples"), evidence.rows("attack")
        attack, noise = open_attack(spec.attack_type), open_attack("noise")
        outcomes: list[AttackOutcome] = []
        job.progress.start(f"{spec.attack_type}, eps {spec.eps}, {len(data.items)} items", len(data.items))
        for start in range(0, len(data.items), _CHUNK):
            part = slice(start, start + _CHUNK)
            outcome = attack(predictor, gradients, batch[part], labels[part], spec)
            noisy = noise(predictor, None, batch[part], labels[part], spec).adversarial
            predictions = [
                predicted(predictor.scores(inputs), predictor.output)
                for inputs in (batch[part], outcome.adversarial, noisy)
            ]
            moved = np.abs(outcome.adversarial.astype(np.float64) - batch[part])
            for offset, item in enumerate(data.items[part]):
                clean, attacked, under_noise = (classes[int(each[offset])] for each in predictions)
                rows.write(
                    {"id": item.id, "label": item.label, "prediction": clean, "attacked": attacked}
                    | {"noise": under_noise, "max_delta": float(moved[offset].max())}
                )
            parts.write(_part(outcome))
            outcomes.append(outcome)
            job.progress.advance(len(data.items[part]))
        first = min(len(batch), _PROBED)
        job.progress.start("probes for a masked gradient", None)
        found = probe(
            predictor, gradients, batch[:first], labels[:first], spec=spec, outcome=_joined(outcomes, first)
        )
        evidence.document("probes", _plain(asdict(found)))

    def figures(self, method: Method, evidence: EvidenceReader) -> Figures:
        """Success over the originally right, the paired drop of macro F1, and what speaks against them."""
        rows = list(evidence.rows("samples"))
        if not rows:
            raise EvidenceError("no item was attacked")
        parts = list(evidence.rows("attack"))
        probes = evidence.document("probes") if "probes" in evidence.names else None
        classes: list[str] = list(method["labels"])
        missing = {} if probes else {"eps0_flips": "the run ended before the probes"}
        right = [row["prediction"] == row["label"] for row in rows]
        newly_wrong = [was and row["attacked"] != row["label"] for was, row in zip(right, rows, strict=True)]
        noise_wrong = [was and row["noise"] != row["label"] for was, row in zip(right, rows, strict=True)]
        n_correct, n_newly = sum(right), sum(newly_wrong)
        drop = _Drop.of(rows, classes, method)
        asked = sum(part["rows"] for part in parts)
        zero_rows = _sum_or_none([part["zero_gradient_rows"] for part in parts])
        values: dict[str, Any] = {
            "attack_type": method["attack_type"],
            "success_rate": n_newly / n_correct if n_correct else None,
            "f1_drop": drop.clean - drop.attacked,
            "f1_clean": drop.clean,
            "f1_adv": drop.attacked,
            "f1_drop_relative": (drop.clean - drop.attacked) / drop.clean if drop.clean else None,
            "robust_accuracy": (n_correct - n_newly) / len(rows),
            "eps": method["eps"],
            "n_total": len(rows),
            "n_correct": n_correct,
            "n_newly_wrong": n_newly,
            "n_flipped": sum(row["prediction"] != row["attacked"] for row in rows),
            "gradient_source": parts[0]["gradient_source"] if parts else None,
            "queries_per_sample": sum(part["queries"] for part in parts) / asked if asked else None,
            "max_delta": max(row["max_delta"] for row in rows),
            "zero_gradient_ratio": None if zero_rows is None or not asked else zero_rows / asked,
            "eps0_flips": probes["eps0_flips"] if probes else None,
            "noise_success_rate": sum(noise_wrong) / n_correct if n_correct else None,
            "suspect_reasons": list(probes["suspect_reasons"]) if probes else [],
        }
        missing |= _reasons(values)
        requested = int(method["requested"])
        return Figures(
            values=values,
            counts=Counts(requested, len(rows), 0, requested - len(rows)),
            intervals=_intervals(values, drop, method),
            missing=missing,
            cannot_certify=_doubts(values["suspect_reasons"]),
            invalid_reasons=_faults(values, _reached(rows, right, method)),
        )


@dataclass(frozen=True)
class _Drop:
    """Macro F1 without and with the attack, over one joint table of the same items."""

    clean: float
    attacked: float
    joint: NDArray[np.int64]
    """(labels, clean predictions, attacked predictions)."""

    @classmethod
    def of(cls, rows: list[dict[str, Any]], classes: list[str], method: Method) -> _Drop:
        index = {label: position for position, label in enumerate(classes)}
        joint = np.zeros((len(classes),) * 3, dtype=np.int64)
        for row in rows:
            joint[index[row["label"]], index[row["prediction"]], index[row["attacked"]]] += 1
        truth = [row["label"] for row in rows]
        averaging, zero = Averaging(method["averaging"]), ZeroDivision(method["zero_division"])
        f1 = [
            precision_recall_f1(
                confusion_matrix(truth, [row[key] for row in rows], classes),
                averaging,
                zero_division=zero,
                positive=None,
            ).f1
            for key in ("prediction", "attacked")
        ]
        return cls(float(f1[0] or 0.0), float(f1[1] or 0.0), joint)


def _intervals(values: Mapping[str, Any], drop: _Drop, method: Method) -> dict[str, Interval]:
    level, n, right = method["confidence"], values["n_total"], values["n_correct"]
    f1 = vectorised_f1(Averaging(method["averaging"]), ZeroDivision(method["zero_division"]), None)

    def clean(tables: NDArray[np.int64]) -> NDArray[np.float64]:
        return f1(_padded(tables.sum(axis=3)))

    def attacked(tables: NDArray[np.int64]) -> NDArray[np.float64]:
        return f1(_padded(tables.sum(axis=2)))

    def lost(tables: NDArray[np.int64]) -> NDArray[np.float64]:
        return clean(tables) - attacked(tables)

    drawn = {"resamples": method["resamples"], "seed": method["seed"], "level": level}
    found = {
        "f1_drop": paired_confusion_bootstrap(
            drop.joint, lost, point=values["f1_drop"], what="macro F1 drop", **drawn
        ),
        "f1_clean": confusion_bootstrap(drop.joint, clean, point=drop.clean, what="macro F1", **drawn),
        "f1_adv": confusion_bootstrap(
            drop.joint, attacked, point=drop.attacked, what="macro F1 under attack", **drawn
        ),
        "robust_accuracy": clopper_pearson(right - values["n_newly_wrong"], n, level=level),
    }
    if right:
        found["success_rate"] = clopper_pearson(values["n_newly_wrong"], right, level=level)
    return found


def _padded(tables: NDArray[np.int64]) -> NDArray[np.int64]:
    # A predictor always names one of the classes, so the column of unparsed answers is empty.
    return np.pad(tables, ((0, 0), (0, 0), (0, 1)))


def _input_range(job: Job, batch: NDArray[np.float32]) -> tuple[tuple[float, float], str]:
    if job.target.card.input_range is not None:
        return job.target.card.input_range, "stated by the card or the user"
    least, greatest = float(batch.min()), float(batch.max())
    if least < 0.0 or greatest > 1.0:
        raise DataError(
            "the valid range of the inputs is not stated, so eps has no meaning",
            got=f"values from {least:.6g} to {greatest:.6g}",
            expected="values in 0 to 1, or a stated range",
            hint="state it with --input-range LEAST,GREATEST or in card.json",
        )
    return (0.0, 1.0), "assumed, all values lie in it"


def _method(spec: AttackSpec, kind: GradientKind) -> dict[str, Any]:
    # Only what the attack takes: two runs are unlike for what was done, not for what stood unused in a record.
    stated = ("attack_type", "eps", "input_range", "seed", *parameters_of(spec.attack_type))
    if kind is GradientKind.FINITE_DIFFERENCE and spec.attack_type != "square":
        stated = (*stated, "difference_step")
    given = asdict(spec)
    own_gradients = kind is GradientKind.AUTOGRAD and spec.attack_type != "square"
    loss = spec.loss if own_gradients else Loss.MARGIN
    return {**_plain({name: given[name] for name in stated}), "loss": loss.value}


def _part(outcome: AttackOutcome) -> dict[str, Any]:
    return {
        "rows": len(outcome.adversarial),
        "queries": outcome.queries_total,
        "gradient_source": outcome.gradient_source.value,
        "loss": outcome.loss.value if outcome.loss else None,
        "zero_gradient_rows": outcome.zero_gradient_rows,
        "iterations": outcome.iterations,
        "difference_steps": {str(share): rows for share, rows in outcome.difference_steps.items()},
    }


def _joined(outcomes: list[AttackOutcome], rows: int) -> AttackOutcome:
    used: list[AttackOutcome] = []
    while sum(len(outcome.adversarial) for outcome in used) < rows:
        used.append(outcomes[len(used)])
    steps: dict[float, int] = {}
    for outcome in used:
        for share, count in outcome.difference_steps.items():
            steps[share] = steps.get(share, 0) + count
    return AttackOutcome(
        adversarial=np.concatenate([outcome.adversarial for outcome in used])[:rows],
        queries_total=sum(outcome.queries_total for outcome in used),
        gradient_source=used[0].gradient_source,
        loss=used[0].loss,
        zero_gradient_rows=_sum_or_none([outcome.zero_gradient_rows for outcome in used]),
        iterations=max(outcome.iterations for outcome in used),
        difference_steps=steps,
    )


def _sum_or_none(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _plain_value(value) for key, value in values.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _reasons(values: Mapping[str, Any]) -> dict[str, str]:
    reasons = {
        "success_rate": "no item was right without the attack",
        "noise_success_rate": "no item was right without the attack",
        "f1_drop_relative": "F1 without the attack is 0",
        "zero_gradient_ratio": "the attack uses no gradient",
        "queries_per_sample": "nothing was attacked",
    }
    return {key: reason for key, reason in reasons.items() if values[key] is None}


def _doubts(suspect: list[str]) -> dict[str, str]:
    if not suspect:
        return {}
    reason = "the attack may have been too weak to show anything: " + "; ".join(suspect)
    return dict.fromkeys(("success_rate", "f1_drop", "f1_adv", "f1_drop_relative", "robust_accuracy"), reason)


@dataclass(frozen=True)
class _Reached:
    """How far the attack moved the items that could be lost."""

    most: float
    """Greatest change of an input value of an item that was right, in units of the input."""
    possible: float
    """A change that every item has room for: eps, or half of the input range where that is less."""
    eps_floor: float
    """How exactly eps can be met; an eps up to that is none."""


def _reached(rows: list[dict[str, Any]], right: list[bool], method: Method) -> _Reached:
    low, high = (float(side) for side in method["input_range"])
    return _Reached(
        most=max((row["max_delta"] for row, was in zip(rows, right, strict=True) if was), default=0.0),
        possible=min(float(method["eps"]), (high - low) / 2),
        eps_floor=tolerance(max(abs(low), abs(high))),
    )


def _faults(values: Mapping[str, Any], reached: _Reached) -> tuple[str, ...]:
    faults = []
    if values["eps"] <= reached.eps_floor:
        faults.append(
            f"eps {values['eps']:g} leaves the attack no room: changes up to {reached.eps_floor:.2g} are "
            "rounding of the input, so nothing was attacked"
        )
    elif values["n_correct"] and reached.most < reached.possible / 2:
        faults.append(
            f"the attack moved no input of an item that was right by more than {reached.most:.3g}, and eps is "
            f"{values['eps']:g}: it did nothing, which says nothing of the model"
        )
    if values["n_correct"] == 0:
        faults.append("no item was right without the attack, so nothing could be lost")
    if values["eps0_flips"]:
        faults.append(f"{values['eps0_flips']} predictions changed under an attack with eps 0")
    return tuple(faults)
