"""A judge's settings, its prices and its pace."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest

from hexgate.errors import InputError
from hexgate.scorers.judge_books import Books, Prices
from hexgate.scorers.judge_pace import Pace, back_off_s, retry_after_s
from hexgate.scorers.judge_spec import JudgeSpec

URL = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint": "nonsense"},
        {"endpoint": "ollama://127.0.0.1/m"},
        {"endpoint": "http://user:word@127.0.0.1/v1"},
        {"endpoint": URL + "?key=1"},
        {"model": " "},
        {"key_env": "sk-abc123"},
        {"key_env": "abcdef0123456789"},
        {"language": "fr"},
        {"rubric_version": "hexgate-judge/0"},
        {"repeats": 0},
        {"repeat_share": 1.5},
        {"rpm": 0.0},
        {"concurrency": 0},
        {"max_tokens": 0},
        {"timeout_s": 0.0},
        {"budget": 5.0},
        {"budget": float("nan"), "prices": Prices(1, 1)},
        {"options": {"x": float("nan")}},
        {"options": {"stream": True}},
    ],
)
def test_a_judge_that_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError) as refused:
        JudgeSpec(**({"endpoint": URL, "model": "m"} | wrong))
    # What was given for the name of a variable may be the key itself, and what stands in a URL a password.
    for secret in ("sk-abc123", "abcdef0123456789", "word@"):
        assert secret not in str(refused.value)


def test_who_judges_does_not_depend_on_pace_and_prices() -> None:
    plain = JudgeSpec(URL, "m")
    paced = JudgeSpec(URL + "/", "m", rpm=3, concurrency=1, prices=Prices(1, 2), budget=3.0)
    assert plain.identity() == paced.identity()
    assert JudgeSpec(URL, "m", temperature=0.5).identity() != plain.identity()


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "secret-key")
    spec = JudgeSpec(URL, "m", key_env="JUDGE_KEY")
    assert spec.key() == "secret-key"
    assert "secret-key" not in repr(spec)
    monkeypatch.delenv("JUDGE_KEY")
    with pytest.raises(InputError, match="JUDGE_KEY is not set"):
        spec.key()


def test_prices_are_by_the_million() -> None:
    prices = Prices(2.5, 10.0)
    assert prices.cost(1_000_000, 100_000) == pytest.approx(3.5)
    assert prices.at_most(2_000_000, 0) == pytest.approx(5.0)
    with pytest.raises(InputError):
        Prices(-1.0, 0.0)


def test_a_budget_waits_for_calls_under_way_before_it_says_no() -> None:
    books = Books(10.0, spent=1.0)
    assert books.reserve(8.0)
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(books.reserve(8.0)))
    waiting.start()
    books.settle(8.0, 1.0)
    waiting.join(timeout=30)
    assert answers == [True]
    books.settle(8.0, 8.0)
    assert not books.reserve(0.1)
    assert Books(None, spent=5.0).reserve(1e9)


def test_turns_are_as_far_apart_as_the_limit_says() -> None:
    stop = threading.Event()
    pace = Pace(1e-3, stop)
    assert pace.take()
    late = threading.Timer(0.05, stop.set)
    late.start()
    assert not pace.take()
    late.join()


def test_a_pause_holds_everybody() -> None:
    stop = threading.Event()
    pace = Pace(None, stop)
    assert pace.take()
    pace.pause(3600)
    late = threading.Timer(0.05, stop.set)
    late.start()
    assert not pace.take()
    late.join()


def test_a_pause_grows_and_has_an_end() -> None:
    for failures, longest in ((1, 1.0), (2, 2.0), (5, 16.0), (7, 60.0), (500, 60.0)):
        waits = [back_off_s(failures) for _ in range(200)]
        assert longest / 2 <= min(waits) <= max(waits) <= longest
        assert len(set(waits)) > 100


def test_retry_after_is_seconds_or_a_date() -> None:
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    assert retry_after_s("7") == 7.0
    assert 3500 < (retry_after_s(format_datetime(later, usegmt=True)) or 0) <= 3600
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    for none in (None, "", "soon", "-1", "1.5", "٣"):
        assert retry_after_s(none) is None


def test_no_more_turns_a_minute_than_allowed() -> None:
    pace = Pace(1200, threading.Event())
    began_s = time.monotonic()
    assert all(pace.take() for _ in range(5))
    assert time.monotonic() - began_s >= 4 * 60 / 1200
