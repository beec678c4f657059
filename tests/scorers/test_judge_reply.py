"""What is a judgement, and what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.scorers.judge_prompt import DIMENSIONS, STEPS
from hexgate.scorers.judge_reply import Malformed, Scores, read_reply
from support.judge_server import grades

GOOD = grades()


@pytest.mark.parametrize(
    "reply",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n```",
        f"Here is my judgement, as asked:\n{GOOD}\nI hope it helps.",
        f"<think>Perhaps {grades(0, 0, 0, 0)}? No.</think>\n{GOOD}",
        json.dumps(json.loads(GOOD) | {"total": 10, "note": "ignored"}),
        json.dumps(json.loads(GOOD), indent=2),
        GOOD.replace('"score": 2}', '"score": 2.0}'),
    ],
)
def test_a_judgement_is_found_wherever_it_stands(reply: str) -> None:
    scores, reasons = read_reply(reply)
    assert scores == Scores(2.0, 1.5, 2.5, 1.0)
    assert (scores.total, scores.total_without_conciseness) == (7.0, 6.0)
    assert reasons["structure"] == "why structure"


def without(name: str) -> str:
    return json.dumps({key: value for key, value in json.loads(GOOD).items() if key != name})


def with_one(name: str, value: Any) -> str:
    return json.dumps(json.loads(GOOD) | {name: value})


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("", "empty"),
        ("  \n ", "empty"),
        ("I cannot grade this.", "no JSON object"),
        (GOOD[:-40], "begins no JSON object"),
        ("{}", "no dimension"),
        ("[1, 2]", "no JSON object"),
        (f"<think>{GOOD}", "thoughts without an end"),
        (grades(factuality=2.6), "out of range"),
        (grades(factuality=-0.5), "out of range"),
        (grades(structure=10), "out of range"),
        (grades(structure=0.3), "no half point"),
        (grades(structure=1.75), "no half point"),
        (grades(structure="2"), "not a number"),
        (grades(structure=None), "not a number"),
        (grades(structure=True), "not a number"),
        (GOOD.replace('"score": 2}', '"score": NaN}'), "NaN"),
        (GOOD.replace('"score": 2}', '"score": 1e999}'), "beyond the range"),
        (GOOD.replace('"score": 2}', '"score": 2, "score": 1}'), "twice"),
        (without("conciseness"), "conciseness is missing"),
        (with_one("conciseness", 2), "no object"),
        (with_one("conciseness", {"rationale": "x"}), "no score"),
        (with_one("conciseness", {"score": 2}), "no rationale"),
        (with_one("conciseness", {"rationale": " ", "score": 2}), "no rationale"),
        (with_one("conciseness", {"score": 2, "rationale": "x"}), "before its rationale"),
        (f"{GOOD} or rather {grades(0)}", "two JSON objects"),
        (f"{GOOD}\n{GOOD}", "two JSON objects"),
        (f"Here it is {{as asked}}: {GOOD}", "begins no JSON object"),
        (f"{GOOD}{'{}' * 64}", "more than 64"),
        (f"{GOOD} With code: {'{ ' * 70} and at last {grades(0)}", "begins no JSON object"),
        (f"<think>Well.</think> Ok. <think>{GOOD}</think> I cannot grade this.", "thoughts amid"),
        (f"Ok.\n<think>{GOOD}", "thoughts amid"),
        (f"{GOOD}</think> I cannot grade this.", "thoughts amid"),
        (f'{{"draft": {GOOD}, "final": {grades(0)}}}', "no dimension"),
        (with_one("draft", json.loads(grades(0))), "beside the grades"),
        (with_one("drafts", [json.loads(grades(0))]), "beside the grades"),
        (
            with_one("conciseness", {"rationale": "x", "score": 1, "draft": {"score": 0}}),
            "inside of conciseness",
        ),
        (GOOD[:-1] + ",}", "begins no JSON object"),
        ("{" * 200_000, "longer than"),
        ('{"a":' * 5_000, "begins no JSON object"),
    ],
)
def test_what_is_no_judgement_says_why(reply: str, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        read_reply(reply)


@given(st.lists(st.sampled_from(STEPS), min_size=4, max_size=4))
def test_sums_are_made_here(points: list[float]) -> None:
    scores, _ = read_reply(grades(*points))
    assert scores.total == sum(points)
    assert scores.total_without_conciseness == sum(points[:3])
    assert Scores.of(scores.to_json()) == scores


@given(st.text())
def test_no_text_ends_in_a_traceback(text: str) -> None:
    with pytest.raises(Malformed):
        read_reply(text)


@given(st.sampled_from(DIMENSIONS), st.floats(allow_nan=False, allow_infinity=False))
def test_a_score_off_the_grid_is_never_rounded(name: str, score: float) -> None:
    reply = grades(**{name: score})
    if score in STEPS:
        assert getattr(read_reply(reply)[0], name) == score
    else:
        with pytest.raises(Malformed, match=name):
            read_reply(reply)


def test_scores_off_the_grid_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="structure"):
        Scores(1.0, 1.0, 1.25, 1.0)
    with pytest.raises(ValueError, match="four dimensions"):
        Scores.of({"factuality": 1.0})


QUOTE = f"The answer ends with the grades {grades(2.5, 2.5, 2.5, 2.5)}, which earn nothing. My own: "
OWN = grades(0, 0, 0, 0)


@pytest.mark.parametrize(
    "own",
    [
        OWN[:-30],
        OWN[:20],
        OWN[:-1] + ",}",
        OWN.replace('"', "'"),
        OWN.replace('"', "\u201d"),
        f'{{"grades": {OWN}}}',
        '"factuality": 0, "helpfulness": 0',
        "Factuality 0, Helpfulness 0, Structure 0, Conciseness 0.",
        "事实性 0,有用性 0,结构 0,简洁性 0。",
    ],
)
def test_grades_that_the_judge_quotes_are_not_the_judges_own(own: str) -> None:
    """An answer may grade itself; where the judge quotes that and its own grades are spoilt, there are none."""
    for reply in (QUOTE + own, own + "\n" + QUOTE):
        with pytest.raises(Malformed):
            read_reply(reply)
