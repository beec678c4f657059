"""accuracy_f1 against scikit-learn, and what becomes of replies that name no label, and of failures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score, precision_recall_fscore_support

from hexgate.contract.artifact import Artifact
from hexgate.errors import EvidenceError, InputError, TargetFailed
from hexgate.targets.registry import OpenOptions
from support.measuring import DIGITS, HELD_OUT, check, measured, rows
from support.scripted import ScriptedServer


def test_the_scores_are_scikit_learns(of_digits: Callable[[str], Artifact]) -> None:
    artifact = of_digits("accuracy_f1")
    answered = rows(artifact, "samples")
    truth = [row["label"] for row in answered]
    given = [row["prediction"] for row in answered]
    classes = artifact.data["method"]["labels"]

    expected = precision_recall_fscore_support(truth, given, labels=classes, average="macro", zero_division=0)
    got = [artifact.data[key] for key in ("precision", "recall", "f1")]
    np.testing.assert_allclose(got, expected[:3], rtol=0, atol=1e-12)
    table = precision_recall_fscore_support(truth, given, labels=classes, average=None, zero_division=0)
    for place, row in enumerate(artifact.data["per_class"]):
        assert row["label"] == classes[place]
        got = [row["precision"], row["recall"], row["f1"], row["support"]]
        np.testing.assert_allclose(got, [column[place] for column in table], rtol=0, atol=1e-12)
    # The evidence holds the scores, too: the prediction is the greatest of them.
    assert all(classes[int(np.argmax(row["scores"]))] == row["prediction"] for row in answered)
    assert artifact.data["samples"] == 719


@pytest.mark.parametrize("averaging", ["micro", "macro", "weighted", "binary"])
def test_every_averaging_is_scikit_learns(averaging: str, tmp_path: Path) -> None:
    positive = "8" if averaging == "binary" else None
    measured(
        "accuracy_f1", str(DIGITS), tmp_path, data=str(HELD_OUT), averaging=averaging, positive_label=positive
    )
    artifact = check(tmp_path / "accuracy_f1.json")
    answered = rows(artifact, "samples")
    truth, given = ([row[key] for row in answered] for key in ("label", "prediction"))
    if averaging == "binary":
        expected = f1_score([label == "8" for label in truth], [label == "8" for label in given])
    else:
        expected = f1_score(truth, given, average=averaging)
    assert artifact.data["f1"] == pytest.approx(expected, abs=1e-12)


def test_the_intervals_agree_with_scipy_and_with_a_bootstrap_of_ones_own(
    of_digits: Callable[[str], Artifact],
) -> None:
    artifact = of_digits("accuracy_f1")
    answered = rows(artifact, "samples")
    exact = binomtest(artifact.data["correct"], 719).proportion_ci(0.95, "exact")
    got = artifact.data["intervals"]["exact_match"]
    assert [got["low"], got["high"]] == pytest.approx([exact.low, exact.high], abs=1e-9)

    truth, given = (np.array([int(row[key]) for row in answered]) for key in ("label", "prediction"))
    random = np.random.default_rng(7)
    drawn = []
    for _ in range(600):
        pick = random.integers(0, len(truth), len(truth))
        drawn.append(f1_score(truth[pick], given[pick], average="macro"))
    low, high = np.quantile(drawn, [0.025, 0.975])
    interval = artifact.data["intervals"]["f1"]
    # Two bootstraps of the same items: each end within a fifth of the width of the other's.
    assert interval["low"] == pytest.approx(low, abs=0.2 * (high - low))
    assert interval["high"] == pytest.approx(high, abs=0.2 * (high - low))
    assert interval["low"] <= interval["lower_bound"] < artifact.data["f1"] < interval["upper_bound"]
    assert interval["n"] == 719


def test_a_reply_that_names_no_label_is_counted_as_that(
    scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    replies = {
        "t0": "positive", "t1": "Label: negative.", "t2": "who knows", "t3": "", "t4": "negative",
        "t5": "not positive", "t6": "positive or negative", "t7": "POSITIVE", "t8": 500, "t9": None,
    }  # fmt: skip
    labels = ["positive", "negative", "positive", "negative", "positive", "negative", "negative", "positive"]
    data = tmp_path / "texts.jsonl"
    data.write_text(
        "".join(
            json.dumps({"id": f"t{n}", "text": f"text t{n}", "label": (labels * 2)[n]}) + "\n"
            for n in range(10)
        ),
        "utf-8",
    )

    def chat(prompt: str) -> str | int | None:
        return replies[next(key for key in replies if f"text {key}" in prompt)]  # type: ignore[return-value]

    done = measured("accuracy_f1", scripted(chat=chat).v1, tmp_path, data=str(data))

    assert done.error is None
    artifact = check(tmp_path / "accuracy_f1.json")
    found = artifact.data
    by_id = {row["id"]: row for row in rows(artifact, "samples")}
    assert {key: row["prediction"] for key, row in by_id.items()} == {
        "t0": "positive", "t1": "negative", "t2": None, "t3": None, "t4": "negative",
        "t5": None, "t6": None, "t7": "positive", "t8": None, "t9": None,
    }  # fmt: skip
    # A failure is neither a right nor a wrong answer: it is outside of every score.
    assert found["counts"] == {"requested": 10, "succeeded": 8, "errored": 2, "skipped": 0}
    assert by_id["t8"]["error"].startswith("http_500")
    assert by_id["t9"]["error"].startswith("connection")
    assert found["samples"] == 8
    assert found["unparsed"] == 4
    assert found["unparsed_ratio"] == 0.5
    assert found["correct"] == 3
    assert found["method"]["unparsed"]
    assert "{text}" in found["method"]["template"]
    answered = [row for row in by_id.values() if row["error"] is None]
    classes = found["method"]["labels"]
    whole = f1_score(
        [row["label"] for row in answered],
        [row["prediction"] or "none" for row in answered],
        labels=classes,
        average="macro",
    )
    parsed = [row for row in answered if row["prediction"] is not None]
    among = f1_score(
        [row["label"] for row in parsed],
        [row["prediction"] for row in parsed],
        labels=classes,
        average="macro",
    )
    assert found["f1"] == pytest.approx(whole, abs=1e-12)
    assert found["f1_parsed"] == pytest.approx(among, abs=1e-12)
    assert found["f1"] < found["f1_parsed"]


def test_without_a_single_answer_there_is_no_score(
    scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    data = tmp_path / "texts.jsonl"
    data.write_text('{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n', "utf-8")

    done = measured("accuracy_f1", scripted(chat=lambda _: 503).v1, tmp_path, data=str(data))

    assert isinstance(done.error, EvidenceError)
    found = check(tmp_path / "accuracy_f1.json").data
    assert found["status"] == "invalid"
    assert found["invalid_reasons"] == ["no item got an answer"]
    assert found["f1"] is None
    assert found["missing"]["f1"] == "no item got an answer"
    assert found["counts"] == {"requested": 2, "succeeded": 0, "errored": 2, "skipped": 0}


def test_an_endpoint_that_stops_answering_ends_the_measurement(
    scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    data = tmp_path / "texts.jsonl"
    data.write_text(
        "".join(json.dumps({"text": f"n{n}", "label": "xy"[n % 2]}) + "\n" for n in range(60)), "utf-8"
    )
    server = scripted()
    server.chat = lambda _: "x" if server.asked <= 12 else 500

    done = measured("accuracy_f1", server.v1, tmp_path, data=str(data))

    assert isinstance(done.error, TargetFailed)
    found = check(tmp_path / "accuracy_f1.json").data
    assert found["status"] == "partial"
    assert found["counts"] == {"requested": 60, "succeeded": 12, "errored": 20, "skipped": 28}
    assert server.asked == 32


def test_a_model_without_a_card_has_the_numbers_of_its_scores_as_labels(tmp_path: Path) -> None:
    model = tmp_path / "bare.onnx"
    shutil.copy(DIGITS, model)
    # Five items show a few of the ten classes; the label set is the model's all the same.
    measured("accuracy_f1", str(model), tmp_path, data=str(HELD_OUT), limit=5)
    assert check(tmp_path / "accuracy_f1.json").data["method"]["labels"] == [
        str(digit) for digit in range(10)
    ]

    measured("robustness_adv", str(model), tmp_path, data=str(HELD_OUT), limit=5)
    found = check(tmp_path / "robustness_adv.json").data
    assert found["n_correct"] == 5
    assert found["method"]["labels"] == [str(digit) for digit in range(10)]


def test_labels_that_the_model_does_not_name_need_its_names(tmp_path: Path) -> None:
    model = tmp_path / "bare.onnx"
    shutil.copy(DIGITS, model)
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    data = tmp_path / "named.jsonl"
    items = [json.loads(line) for line in HELD_OUT.read_text("utf-8").splitlines()[:12]]
    data.write_text(
        "".join(json.dumps(item | {"label": names[int(item["label"])]}) + "\n" for item in items), "utf-8"
    )
    for name in ("accuracy_f1", "robustness_adv"):
        with pytest.raises(InputError, match="label"):
            measured(name, str(model), tmp_path, data=str(data))

    opening = OpenOptions(labels=tuple(names))
    measured("accuracy_f1", str(model), tmp_path, data=str(data), opening=opening)
    assert check(tmp_path / "accuracy_f1.json").data["correct"] >= 11


@pytest.mark.parametrize("name", ["accuracy_f1", "latency_p99", "robustness_adv"])
def test_an_endpoint_that_states_nothing_of_itself_takes_its_shape_from_the_data(
    name: str, scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    weights = np.random.default_rng(0).normal(size=(64, 10))
    server = scripted(predict=lambda inputs: (np.array(inputs) @ weights).tolist())

    done = measured(name, f"{server.origin}/predict", tmp_path, data=str(HELD_OUT), limit=4)

    assert done.error is None
    check(tmp_path / f"{name}.json")


@pytest.mark.parametrize("zero_division", ["zero", "one", "exclude"])
def test_credit_for_classes_that_never_occur_certifies_nothing(zero_division: str, tmp_path: Path) -> None:
    lines = HELD_OUT.read_text("utf-8").splitlines()
    data = tmp_path / "sevens.jsonl"
    data.write_text("\n".join(line for line in lines if json.loads(line)["label"] == "7") + "\n", "utf-8")
    measured("accuracy_f1", str(DIGITS), tmp_path, data=str(data), zero_division=zero_division)
    found = check(tmp_path / "accuracy_f1.json").data
    doubted = set(found["cannot_certify"])
    assert doubted == ({"precision", "recall", "f1", "f1_parsed"} if zero_division == "one" else set())


@pytest.mark.parametrize("averaging", ["macro", "weighted", "micro"])
def test_zero_division_one_that_raised_nothing_certifies(averaging: str, tmp_path: Path) -> None:
    measured(
        "accuracy_f1", str(DIGITS), tmp_path, data=str(HELD_OUT), averaging=averaging, zero_division="one"
    )
    assert check(tmp_path / "accuracy_f1.json").data["cannot_certify"] == {}
