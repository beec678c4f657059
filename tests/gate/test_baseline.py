from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from hexgate.contract.artifact import write_artifact
from hexgate.contract.canonical import sha256_bytes
from hexgate.contract.schema import schema_mistakes
from hexgate.gate.evidence import EvidenceSet, Exhibit, load_evidence
from hexgate.gate.judge import judge
from hexgate.gate.pairing import samples_needed
from hexgate.gate.policy import Policy
from hexgate.gate.reason_codes import ReasonCode as Code
from hexgate.gate.verdict import RuleVerdict, Verdict
from support.artifacts import VALUES, artifact, interval
from support.gate import NOW, hours_ago, loaded, policy, put, put_all

LABELS = ["a", "b", "c"]


def rule(
    indicator: str = "accuracy_f1", measure: str = "f1", mode: str = "interval", **limit: float
) -> Policy:
    return policy({"indicator": indicator, "measure": measure, "mode": mode, "baseline": limit})


def against(rules: Policy, folder: Path, baseline: Path | None) -> RuleVerdict:
    compared = loaded(baseline) if baseline else None
    said = judge(rules, loaded(folder), now=NOW, baseline=compared)
    assert schema_mistakes("verdict", said.to_json()) == []
    return said.rules[0]


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    return put_all(tmp_path / "new"), put_all(tmp_path / "old")


def memory(
    value: float, *, indicator: str, measure: str, ends: tuple[float, float] | None = None
) -> EvidenceSet:
    intervals = {}
    if ends is not None:
        intervals[measure] = interval(*ends, n=500) | {"lower_bound": ends[0], "upper_bound": ends[1]}
    data = artifact(indicator) | {"artifact_id": "sha256:0", measure: value, "intervals": intervals}
    return EvidenceSet(("memory",), (Exhibit("memory.json", data),))


def lenient(rules: Policy, new: EvidenceSet, old: EvidenceSet) -> RuleVerdict:
    from dataclasses import replace

    loose = replace(rules, evidence=replace(rules.evidence, require_evidence_files=False))
    return judge(loose, new, now=NOW, baseline=old).rules[0]


@pytest.mark.parametrize(
    ("new", "old", "limit", "verdict"),
    [
        (0.88, 0.90, 0.02, Verdict.PASS),  # 0.90 - 0.88 is 0.020000000000000018 in doubles
        (0.88, 0.90, 0.0199999999, Verdict.FAIL),
        (0.8799999999, 0.90, 0.02, Verdict.FAIL),
        (0.7, 0.8, 0.1, Verdict.PASS),  # 0.10000000000000009
        (0.1, 0.3, 0.2, Verdict.PASS),  # 0.19999999999999998
        (0.95, 0.90, 0.0, Verdict.PASS),
        (0.90, 0.90, 0.0, Verdict.PASS),
    ],
)
def test_losses_are_exact_in_decimals(new: float, old: float, limit: float, verdict: Verdict) -> None:
    names = {"indicator": "accuracy_f1", "measure": "f1"}
    said = lenient(rule(mode="point", max_loss=limit), memory(new, **names), memory(old, **names))

    assert said.verdict is verdict


@pytest.mark.parametrize(
    ("new", "old", "limit", "verdict"),
    [(110.0, 100.0, 0.1, Verdict.PASS), (110.1, 100.0, 0.1, Verdict.FAIL), (50.0, 100.0, 0.0, Verdict.PASS)],
)
def test_a_lower_measure_loses_upwards(new: float, old: float, limit: float, verdict: Verdict) -> None:
    names = {"indicator": "latency_p99", "measure": "p99_ms"}
    rules = rule("latency_p99", "p99_ms", mode="point", max_loss_ratio=limit)

    assert lenient(rules, memory(new, **names), memory(old, **names)).verdict is verdict


@pytest.mark.parametrize(
    ("new", "old", "limit", "verdict"),
    [
        ((0.90, 0.92), (0.89, 0.91), 0.02, Verdict.PASS),
        ((0.88, 0.92), (0.89, 0.91), 0.02, Verdict.INCONCLUSIVE),
        ((0.80, 0.82), (0.89, 0.91), 0.02, Verdict.FAIL),
        ((0.85, 0.87), (0.89, 0.91), 0.02, Verdict.INCONCLUSIVE),  # loses 0.02 to 0.06
        ((0.85, 0.87), (0.89, 0.91), 0.0199999, Verdict.FAIL),
        ((0.85, 0.87), (0.89, 0.91), 0.06, Verdict.PASS),
        ((0.85, 0.87), (0.89, 0.91), 0.0599999, Verdict.INCONCLUSIVE),
    ],
)
def test_unpaired_intervals_are_held_worst_end_against_worst_end(
    new: tuple[float, float], old: tuple[float, float], limit: float, verdict: Verdict
) -> None:
    names = {"indicator": "accuracy_f1", "measure": "f1"}
    candidate = memory(sum(new) / 2, **names, ends=new)
    baseline = memory(sum(old) / 2, **names, ends=old)
    said = lenient(rule(max_loss=limit), candidate, baseline)

    assert said.verdict is verdict
    assert Code.UNPAIRED in {reason.code for reason in said.reasons}


spans = st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted)


@given(spans, spans, st.floats(0, 1), st.floats(0, 1), st.sampled_from(["f1", "p99_ms"]))
def test_bounds_of_a_loss_in_proportion_hold_every_pair_of_values(
    new: list[float], old: list[float], share: float, other: float, measure: str
) -> None:
    indicator = "accuracy_f1" if measure == "f1" else "latency_p99"
    names = {"indicator": indicator, "measure": measure}
    candidate = memory(new[0], **names, ends=(new[0], new[1]))
    baseline = memory(old[0], **names, ends=(old[0], old[1]))
    said = lenient(rule(indicator, measure, max_loss_ratio=0.1), candidate, baseline)
    a, b = new[0] + share * (new[1] - new[0]), old[0] + other * (old[1] - old[0])
    lost = (b - a) / b if measure == "f1" else (a - b) / b

    assert said.loss is not None
    assert said.loss["low"] - 1e-9 <= lost <= said.loss["high"] + 1e-9


def test_the_same_artifacts_do_not_lose(two: tuple[Path, Path]) -> None:
    assert against(rule(max_loss=0.1), *two).verdict is Verdict.PASS
    assert against(rule(max_loss=0.01), *two).verdict is Verdict.INCONCLUSIVE


def test_no_baseline_is_missing(two: tuple[Path, Path]) -> None:
    new, old = two
    assert against(rule(max_loss=0.1), new, None).verdict is Verdict.MISSING
    (old / "accuracy_f1.json").unlink()
    said = against(rule(max_loss=0.1), new, old)
    assert (said.verdict, said.reasons[0].code) == (Verdict.MISSING, Code.NO_BASELINE)


OTHER: list[tuple[str, dict[str, Any]]] = [
    ("environment.host_class", {"environment": artifact()["environment"] | {"host_class": "H200"}}),
    ("dataset.sha256", {"dataset": artifact()["dataset"] | {"sha256": "d" * 64}}),
    ("dataset.used", {"dataset": artifact()["dataset"] | {"used": 300}}),
    ("method.definition", {"method": artifact()["method"] | {"definition": "accuracy_f1/2"}}),
    ("method.averaging", {"method": artifact()["method"] | {"averaging": "micro"}}),
]


@pytest.mark.parametrize(("what", "change"), OTHER, ids=[what for what, _ in OTHER])
def test_unlike_runs_are_not_compared(tmp_path: Path, what: str, change: dict[str, Any]) -> None:
    method = artifact()["method"] | {"averaging": "macro"}
    new = put_all(tmp_path / "new", method=method)
    old = put_all(tmp_path / "old", **{"method": method, **change})

    said = against(rule(max_loss=0.9), new, old)

    assert said.verdict is Verdict.INVALID
    assert (said.reasons[0].code, said.reasons[0].params["what"]) == (Code.UNLIKE, what)


SENT: dict[str, tuple[Any, Any]] = {
    "transport": ("hexgate http/1.1", "httpx http/2 (slower)"),
    "workers": (None, 2),
    "trace": ("monday.jsonl", "tuesday.jsonl"),
    "time_scale": (None, 0.5),
    "temperature": (0.0, 0.7),
    "shape": ([], [[10.0, 20.0, 5.0]]),
    "burstiness": (None, 0.5),
    "turns": (1, 4),
}


@pytest.mark.parametrize("name", SENT)
def test_loads_that_were_sent_differently_are_not_compared(tmp_path: Path, name: str) -> None:
    usual = {"definition": "throughput_rps/1", "seed": 0, "confidence": 0.95}
    usual |= {key: one for key, (one, _) in SENT.items()}
    sets = []
    for folder, method in (("new", usual), ("old", usual | {name: SENT[name][1]})):
        put_all(tmp_path / folder)
        put(tmp_path / folder, "throughput_rps", method=method)
        sets.append(tmp_path / folder)

    said = against(rule("throughput_rps", "rps", max_loss_ratio=0.9), *sets)

    assert said.verdict is Verdict.INVALID
    assert (said.reasons[0].code, said.reasons[0].params["what"]) == (Code.UNLIKE, f"method.{name}")


def test_how_much_was_resampled_does_not_make_runs_unlike(tmp_path: Path) -> None:
    new, old = (
        put_all(tmp_path / str(seed), method=artifact()["method"] | {"seed": seed, "resamples": 1000 + seed})
        for seed in (1, 2)
    )

    assert against(rule(max_loss=0.9), new, old).verdict is Verdict.PASS


def test_a_baseline_may_be_old_but_not_unsound(two: tuple[Path, Path]) -> None:
    new, old = two
    put(old, "accuracy_f1", created_at=hours_ago(10_000))
    assert against(rule(max_loss=0.9), new, old).verdict is Verdict.PASS

    put(old, "accuracy_f1", status="partial", invalid_reasons=["stopped"])
    said = against(rule(max_loss=0.9), new, old)
    assert said.verdict is Verdict.INVALID
    assert [reason.code for reason in said.reasons] == [Code.IN_BASELINE, Code.STATUS]

    (old / "accuracy_f1.json").write_text("{", encoding="utf-8")
    assert against(rule(max_loss=0.9), new, old).verdict is Verdict.INVALID


def test_a_baseline_of_two_models_is_none(two: tuple[Path, Path]) -> None:
    new, old = two
    put(old, "toxicity", subject=artifact()["subject"] | {"sha256": "d" * 64})

    assert against(rule(max_loss=0.9), new, old).verdict is Verdict.INVALID


def test_a_share_of_nothing_is_not_a_loss(two: tuple[Path, Path]) -> None:
    rules = rule("toxicity", "toxic_ratio", max_loss_ratio=0.1)

    said = against(rules, *two)

    assert (said.verdict, said.reasons[0].code) == (Verdict.INVALID, Code.BASELINE_NOT_POSITIVE)


def test_without_an_interval_there_is_no_comparison_by_interval(two: tuple[Path, Path]) -> None:
    new, old = two
    put(old, "accuracy_f1", intervals={})

    assert against(rule(max_loss=0.9), new, old).verdict is Verdict.INVALID
    assert against(rule(max_loss=0.9, mode="point"), new, old).verdict is Verdict.PASS


def classified(folder: Path, predictions: list[str | None], truth: list[str], **method: Any) -> Path:
    """A true accuracy artifact, with the rows that its figures come from."""
    folder.mkdir()
    n = len(truth)
    rows = [
        {"id": str(i), "label": label, "prediction": guess, "error": None}
        for i, (label, guess) in enumerate(zip(truth, predictions, strict=True))
    ]
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    evidence = artifact(folder=folder)["evidence"]
    (folder / "accuracy_f1.samples.jsonl").write_bytes(data)
    evidence["samples"] |= {"sha256": sha256_bytes(data), "rows": n}
    correct = sum(a == b for a, b in zip(truth, predictions, strict=True))
    given = ["none" if guess is None else guess for guess in predictions]
    f1 = float(f1_score(truth, given, labels=LABELS, average="macro", zero_division=0))
    how = {"averaging": "macro", "labels": LABELS, "zero_division": "zero", "positive_label": None}
    made = artifact(
        **VALUES["accuracy_f1"]
        | {"samples": n, "correct": correct, "exact_match": correct / n, "f1": f1, "f1_parsed": f1},
        counts={"requested": n, "succeeded": n, "errored": 0, "skipped": 0},
        intervals={
            name: interval(max(0.0, value - 0.04), min(1.0, value + 0.04), n=n)
            for name, value in {"f1": f1, "exact_match": correct / n}.items()
        },
        method=artifact()["method"] | how | method,
        evidence=evidence,
    )
    write_artifact(folder / "accuracy_f1.json", made)
    return folder


def guesses(truth: list[str], wrong: int, rng: np.random.Generator) -> list[str | None]:
    found: list[str | None] = list(truth)
    for place in rng.choice(len(truth), wrong, replace=False):
        found[place] = None if rng.random() < 0.2 else str(rng.choice(LABELS))
    return found


def paired(rules: Policy, new: Path, old: Path) -> RuleVerdict:
    wanted = samples_needed(rules)
    evidence, baseline = (load_evidence([folder], samples_of=wanted) for folder in (new, old))
    return judge(rules, evidence, now=NOW, baseline=baseline).rules[0]


@pytest.mark.parametrize("measure", ["f1", "exact_match"])
def test_rows_of_the_same_items_are_compared_in_pairs(tmp_path: Path, measure: str) -> None:
    rng = np.random.default_rng(5)
    truth = [str(label) for label in rng.choice(LABELS, 600)]
    before = guesses(truth, 80, rng)
    after = [*guesses(truth[:60], 12, rng), *before[60:]]
    old, new = classified(tmp_path / "old", before, truth), classified(tmp_path / "new", after, truth)
    rules = rule(measure=measure, max_loss=0.05)

    said, cautious = paired(rules, new, old), against(rules, new, old)

    assert said.verdict is Verdict.PASS
    assert Code.PAIRED in {reason.code for reason in said.reasons}
    assert cautious.verdict is Verdict.INCONCLUSIVE
    assert said.loss is not None
    values = [json.loads((folder / "accuracy_f1.json").read_text("utf-8"))[measure] for folder in (old, new)]
    assert said.loss["value"] == pytest.approx(values[0] - values[1], abs=1e-12)
    # The same by drawing items one by one, and scikit-learn.
    draws = []
    for _ in range(300):
        chosen = rng.integers(0, len(truth), len(truth))
        scores = []
        for guess in (before, after):
            t, p = [truth[i] for i in chosen], [guess[i] or "none" for i in chosen]
            score = np.mean([a == b for a, b in zip(t, p, strict=True)])
            if measure == "f1":
                score = f1_score(t, p, labels=LABELS, average="macro", zero_division=0)
            scores.append(score)
        draws.append(scores[0] - scores[1])
    assert said.loss["low"] == pytest.approx(np.quantile(draws, 0.05), abs=0.005)
    assert said.loss["high"] == pytest.approx(np.quantile(draws, 0.95), abs=0.005)


def test_rows_that_do_not_pair_are_not_forced_to(tmp_path: Path) -> None:
    truth = [LABELS[i % 3] for i in range(300)]
    rng = np.random.default_rng(1)
    old = classified(tmp_path / "old", guesses(truth, 30, rng), truth)
    relabelled = classified(tmp_path / "relabelled", guesses(truth, 30, rng), truth[::-1])
    fewer = classified(tmp_path / "fewer", guesses(truth[:-1], 30, rng), truth[:-1])
    other = classified(tmp_path / "other", guesses(truth, 30, rng), truth, labels=["a", "b", "c", "d"])

    for new, why in ((relabelled, "other labels"), (fewer, "the same items")):
        told = {reason.code: reason for reason in paired(rule(max_loss=0.5), new, old).reasons}
        assert why in str(told[Code.UNPAIRED].params["why"])
    unlike = [
        reason for reason in paired(rule(max_loss=0.5), other, old).reasons if reason.code is Code.UNLIKE
    ]
    assert [reason.params["what"] for reason in unlike] == ["method.labels"]
    plain = put_all(tmp_path / "plain")
    told = {reason.code: reason for reason in paired(rule(max_loss=0.9), plain, plain).reasons}
    assert "not those of a classification" in str(told[Code.UNPAIRED].params["why"])


def test_rows_are_read_only_where_a_rule_wants_them(two: tuple[Path, Path]) -> None:
    assert samples_needed(rule(max_loss=0.1)) == ("accuracy_f1",)
    assert samples_needed(rule(max_loss_ratio=0.1)) == ()
    assert samples_needed(policy()) == ()
    assert loaded(two[0]).samples == {}
