"""toxicity: a rate that was planted is the rate that is found, and what has no score is never harmless."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy.stats import binomtest

from hexgate.errors import DataError, EvidenceError, TargetFailed, TargetUnusable
from hexgate.indicators.recompute import recompute
from support.measuring import HELD_OUT, check, forge, measured, rows
from support.scripted import ScriptedServer


def prompts(folder: Path, count: int) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text(
        "".join(
            json.dumps({"id": f"p{n}", "prompt": f"prompt {n} end", "lang": "en", "group": "ab"[n % 2]})
            + "\n"
            for n in range(count)
        ),
        "utf-8",
    )
    return path


def number(prompt: str) -> int:
    return int(prompt.split()[1])


def test_a_planted_rate_is_found_exactly(scripted: Callable[..., ScriptedServer], tmp_path: Path) -> None:
    server = scripted(chat=lambda prompt: "you idiot" if number(prompt) % 10 == 3 else "have a nice day")

    done = measured("toxicity", server.v1, tmp_path, data=str(prompts(tmp_path, 120)))

    assert done.error is None
    artifact = check(tmp_path / "toxicity.json")
    found = artifact.data
    assert found["toxic_count"] == 12
    assert found["toxic_ratio"] == 0.1
    assert found["total_samples"] == found["scored_samples"] == 120
    exact = binomtest(12, 120).proportion_ci(0.95, "exact")
    interval = found["intervals"]["toxic_ratio"]
    assert [interval["low"], interval["high"]] == pytest.approx([exact.low, exact.high], abs=1e-9)
    # Every reply stands beside its own prompt, in the order of the file, however many were asked at once.
    answered = rows(artifact, "replies")
    assert [row["id"] for row in answered] == [f"p{n}" for n in range(120)]
    assert all((row["reply"] == "you idiot") == (number(row["prompt"]) % 10 == 3) for row in answered)
    assert found["groups"] == [
        {"lang": "en", "group": "a", "scored": 60, "toxic": 0, "unscored": 0},
        {"lang": "en", "group": "b", "scored": 60, "toxic": 12, "unscored": 0},
    ]
    # A word list that nobody validated may fail a model, and certifies none.
    assert found["detector"]["validated"] is False
    assert found["cannot_certify"]["toxic_ratio"]


@pytest.mark.parametrize("parallel", [1, 3])
def test_what_has_no_score_is_counted_apart(
    parallel: int, scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    replies = {0: "", 1: 500, 2: "  \n", 3: None, 4: "12345", 5: "you idiot", 6: "all is well"}

    def chat(prompt: str) -> str | int | None:
        return replies.get(number(prompt), "a fine day")  # type: ignore[return-value]

    done = measured(
        "toxicity", scripted(chat=chat).v1, tmp_path, data=str(prompts(tmp_path, 10)), parallel=parallel
    )

    assert done.error is None
    artifact = check(tmp_path / "toxicity.json")
    found = artifact.data
    assert found["total_samples"] == 10
    assert found["scored_samples"] == 5
    assert found["unscored_samples"] == 5
    assert found["empty_replies"] == 2
    assert found["failed_replies"] == 2
    assert found["toxic_ratio"] == 1 / 5
    assert found["unscored_ratio"] == 0.5
    assert found["counts"] == {"requested": 10, "succeeded": 5, "errored": 5, "skipped": 0}
    by_id = {row["id"]: row for row in rows(artifact, "replies")}
    assert all(by_id[f"p{n}"]["score"] is None for n in range(5))
    assert by_id["p1"]["reply"] is None
    assert by_id["p1"]["error"].startswith("http_500")
    assert "empty" in by_id["p0"]["unscored"]


def test_when_nothing_has_a_score_there_is_no_ratio(
    scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    done = measured("toxicity", scripted(chat=lambda _: "").v1, tmp_path, data=str(prompts(tmp_path, 5)))
    assert isinstance(done.error, EvidenceError)
    found = check(tmp_path / "toxicity.json").data
    assert found["status"] == "invalid"
    assert found["toxic_ratio"] is None
    assert found["missing"]["toxic_ratio"] == "no reply could be scored"


@pytest.mark.parametrize("parallel", [1, 4])
def test_an_endpoint_that_dies_half_way_leaves_what_it_said(
    parallel: int, scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    server = scripted()

    def chat(_: str) -> str:
        if server.asked >= 30:
            server.die()
        return "fine"

    server.chat = chat
    done = measured("toxicity", server.v1, tmp_path, data=str(prompts(tmp_path, 100)), parallel=parallel)

    assert isinstance(done.error, TargetFailed)
    found = check(tmp_path / "toxicity.json").data
    assert found["status"] == "partial"
    assert found["toxic_count"] == 0
    assert 20 <= found["counts"]["succeeded"] < 40
    assert found["counts"]["errored"] >= 20
    assert found["counts"]["skipped"] == 100 - found["total_samples"]


def test_labelled_items_for_the_classifier_leave_the_prompts_to_the_card(tmp_path: Path) -> None:
    measured("toxicity", "demo:", tmp_path, data=str(HELD_OUT), limit=5)
    found = check(tmp_path / "toxicity.json").data
    assert found["dataset"]["name"] == "prompts.jsonl"
    assert found["dataset"]["limit"] == 5


@pytest.mark.parametrize("content", [None, "", "{not json\n", '{"id": 1}\n'])
def test_data_that_cannot_be_read_are_never_replaced_by_others(content: str | None, tmp_path: Path) -> None:
    data = tmp_path / "mine.jsonl"
    if content is not None:
        data.write_text(content, "utf-8")
    with pytest.raises(DataError, match=r"mine\.jsonl"):
        measured("toxicity", "demo:", tmp_path, data=str(data))
    assert check(tmp_path / "toxicity.json").data["status"] == "failed"


def test_a_target_that_writes_nothing_cannot_be_measured(
    scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    server = scripted(predict=lambda inputs: [[0.0, 1.0]] * len(inputs))
    with pytest.raises(TargetUnusable, match="writes none"):
        measured("toxicity", f"{server.origin}/predict", tmp_path)


def framed(folder: Path, rows_of: list[tuple[str, str | None]]) -> Path:
    path = folder / "framed.jsonl"
    lines = [
        json.dumps({"id": f"p{n}", "prompt": text, "lang": "en", "group": "a", "frame": frame}) + "\n"
        for n, (text, frame) in enumerate(rows_of)
    ]
    path.write_text("".join(lines), "utf-8")
    return path


def test_the_same_prompt_many_times_is_one_observation(
    scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    data = framed(tmp_path, [("prompt 1 end", None)] * 700)
    measured("toxicity", scripted(chat=lambda _: "a fine day").v1, tmp_path, data=str(data))
    found = check(tmp_path / "toxicity.json").data
    assert found["scored_samples"] == 700
    interval = found["intervals"]["toxic_ratio"]
    assert interval["n"] == 1
    assert interval["upper_bound"] == pytest.approx(0.95)


def test_toxic_replies_that_come_by_the_frame_widen_the_interval(
    scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    data = framed(tmp_path, [(f"prompt {n} end", f"f{n // 10}") for n in range(200)])
    server = scripted(chat=lambda prompt: "you idiot" if number(prompt) < 20 else "a fine day")
    measured("toxicity", server.v1, tmp_path, data=str(data))
    found = check(tmp_path / "toxicity.json").data
    interval = found["intervals"]["toxic_ratio"]
    assert found["toxic_ratio"] == 0.1
    assert interval["n"] == 20
    assert interval["high"] == pytest.approx(binomtest(2, 20).proportion_ci(0.95, "exact").high, abs=1e-9)
    assert "20 frames" in interval["method"]
    assert "cannot be estimated" in found["intervals"]["unscored_ratio"]["method"]


def test_the_demonstration_has_every_reply_scored_and_a_bound_below_its_limit(tmp_path: Path) -> None:
    measured("toxicity", "demo:", tmp_path, data="demo:", max_tokens=64)
    found = check(tmp_path / "toxicity.json").data
    assert (found["unscored_samples"], found["toxic_count"]) == (0, 0)
    interval = found["intervals"]["toxic_ratio"]
    assert interval["n"] == 1728
    assert interval["upper_bound"] < 0.005
    assert "216 frames" in interval["method"]


def test_replies_in_a_language_that_is_not_covered_are_no_clean_ones(
    scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    server = scripted(chat=lambda _: "Ferme la bouche, espèce de concombre")
    done = measured("toxicity", server.v1, tmp_path, data=str(prompts(tmp_path, 30)))
    assert isinstance(done.error, EvidenceError)
    found = check(tmp_path / "toxicity.json").data
    assert found["status"] == "invalid"
    assert found["toxic_ratio"] is None
    assert found["unscored_samples"] == 30


@pytest.mark.parametrize("also_the_card", [False, True])
def test_an_edited_threshold_is_refused(
    also_the_card: bool, scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    measured("toxicity", scripted(chat=lambda _: "you idiot").v1, tmp_path, data=str(prompts(tmp_path, 4)))
    artifact = check(tmp_path / "toxicity.json")
    method = {**artifact.data["method"], "threshold": 0.99}
    if also_the_card:
        method["detector"] = {**method["detector"], "threshold": 0.99}
    with pytest.raises(EvidenceError, match="threshold"):
        recompute(forge(artifact, method=method))


@pytest.mark.parametrize("validated", [False, True])
def test_a_detector_that_is_edited_to_certify_does_not(
    validated: bool, scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    measured("toxicity", scripted(chat=lambda _: "a fine day").v1, tmp_path, data=str(prompts(tmp_path, 4)))
    artifact = check(tmp_path / "toxicity.json")
    detector = {**artifact.data["detector"], "validated": validated}
    method = {**artifact.data["method"], "certifies": True, "why_not": None, "detector": detector}
    again = recompute(forge(artifact, method=method, detector=detector, cannot_certify={}))
    assert any(line.startswith("$.cannot_certify") for line in again.differences)
    assert validated == any(line.startswith("$.detector.validated") for line in again.differences)
