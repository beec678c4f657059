"""The display of a load: what it says of two looks at the counters, and where it says nothing."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from hexgate.cli import load_display
from hexgate.cli.load_display import LoadDisplay, display_lines
from hexgate.load.live import BOUNDS_S, Live, Seen

NOTHING = (0,) * (len(BOUNDS_S) + 1)


def counted(*places: int) -> tuple[int, ...]:
    """Buckets with one count at each of these places."""
    return tuple(places.count(place) for place in range(len(NOTHING)))


@pytest.fixture
def before() -> Seen:
    return Seen(
        phase="running",
        elapsed_s=10.0,
        outcomes=(1990, 0, 0, 0, 0, 0),
        due=2000,
        issued=2000,
        asked_rps=200.0,
        lag_max_s=0.0004,
        buckets=NOTHING,
        latency_sum_s=0.0,
        ttft_buckets=NOTHING,
        bytes=1_000_000,
        cpu_s=1.0,
        workers=2,
        planned=12_000,
    )


@pytest.fixture
def now(before: Seen) -> Seen:
    return replace(
        before,
        elapsed_s=12.0,
        outcomes=(2370, 6, 4, 0, 0, 0),
        due=2400,
        issued=2400,
        buckets=counted(*[4] * 19, 8),
        latency_sum_s=0.8,
        ttft_buckets=counted(3, 3, 3, 9),
        ttft_sum_s=0.1,
        events=400,
        sampled=10,
        bytes=5_000_000,
        loop_lag_max_s=0.0012,
        cpu_s=1.6,
    )


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEXGATE_LANG", "en")


def test_the_lines_say_what_happened_between_two_looks(before: Seen, now: Seen) -> None:
    said = dict(display_lines(before, now))
    assert said == {
        "running": "[=====                   ]  20 %  12 s  2380 of 12\u202f000 requests",
        "rate": "200/s of 200 asked",
        "finished": "195/s",
        "in flight": "20",
        "TTFT": "mean 25 ms, p50 <= 0.2 ms, p95 <= 0.8 ms",
        "latency": "mean 40 ms, p50 <= 0.25 ms, p95 <= 0.25 ms",
        # 380 replies in 2 s, of which each of those read had 40 events.
        "output": "about 7600 tokens/s, 2 MB/s",
        "failures": "10 (0.42 %): errors 6, time-outs 4",
        "this client": "at most 0.4 ms late, loop lag 1.2 ms, 0.3 cores by 2 workers",
    }


def test_the_chinese_lines_say_the_same(before: Seen, now: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    english = display_lines(before, now)
    monkeypatch.setenv("HEXGATE_LANG", "zh")
    chinese = display_lines(before, now)
    assert len(chinese) == len(english)
    assert dict(chinese)["失败"] == "10 (0.42 %)：错误 6，超时 4"
    assert dict(chinese)["运行"].endswith("12 s  2380 / 12\u202f000 个请求")


def test_nothing_is_said_of_what_nobody_counted(before: Seen) -> None:
    said = dict(display_lines(before, before))
    assert said["TTFT"] == said["latency"] == "-"
    assert said["rate"] == "- of 200 asked"
    assert said["output"] == "-"
    assert said["failures"] == "0"


def test_the_warm_up_is_told_apart(before: Seen, now: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    warm = replace(now, outcomes=(9, 0, 0, 0, 0, 0), issued=12, due=12, warmup=50)
    assert display_lines(before, warm)[0] == ("warm-up", "9 of 50 requests  12 s")
    assert display_lines(before, replace(warm, issued=50))[0][0] == "running"
    assert display_lines(before, replace(warm, phase="draining"))[0][0] == "draining"
    monkeypatch.setenv("HEXGATE_LANG", "zh")
    assert display_lines(before, warm)[0] == ("预热", "9 / 50 个请求  12 s")


def test_while_it_drains_the_longest_wait_is_said(before: Seen, now: Seen) -> None:
    draining = replace(now, phase="draining", planned=None)
    assert dict(display_lines(before, draining, drain_s=60.0))["draining"] == (
        "12 s (waits at most 60 s)  2380 requests"
    )
    assert dict(display_lines(before, draining))["draining"] == "12 s  2380 requests"


def test_without_a_number_of_requests_there_is_no_bar(now: Seen, before: Seen) -> None:
    assert dict(display_lines(before, replace(now, planned=None)))["running"] == "12 s  2380 requests"


def test_once_nothing_more_is_sent_no_rate_is_asked(now: Seen, before: Seen) -> None:
    assert dict(display_lines(before, replace(now, phase="draining", asked_rps=0.0)))["rate"] == "200/s sent"


def test_a_closed_loop_asks_for_no_rate_and_is_never_late(before: Seen, now: Seen) -> None:
    closed = {"asked_rps": None, "lag_max_s": None}
    said = dict(display_lines(replace(before, **closed), replace(now, **closed)))
    assert said["rate"] == "200/s sent"
    assert "late" not in said["this client"]


def test_requests_that_are_due_and_not_taken_up_are_named(before: Seen, now: Seen) -> None:
    said = dict(display_lines(before, replace(now, due=2450)))
    assert said["rate"] == "200/s of 200 asked, 50 behind"


def test_while_replies_are_read_the_progress_is_theirs(before: Seen, now: Seen) -> None:
    said = dict(display_lines(before, replace(now, phase="reading", replies_read=700)))
    assert said["reading replies"] == "700 of 2380 replies"


def test_a_latency_beyond_all_buckets_is_more_than_the_last(before: Seen, now: Seen) -> None:
    beyond = replace(now, buckets=counted(len(BOUNDS_S)), latency_sum_s=400.0)
    assert dict(display_lines(before, beyond))["latency"].startswith("mean 400")
    assert dict(display_lines(before, beyond))["latency"].endswith("p95 > 315\u202f000 ms")


class _Counters(Live):
    def __init__(self, looks: list[Seen]) -> None:
        super().__init__()
        self._looks = looks

    def seen(self) -> Seen:
        return self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]


def test_a_terminal_shows_the_lines(before: Seen, now: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(load_display, "console", lambda: Console(file=shown, force_terminal=True, width=120))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with LoadDisplay(_Counters([before, now])) as display:
        display.start("200 requests/s, 60 s", 12_000)
        display.advance(3)
        display._screen.refresh()  # type: ignore[union-attr]
    assert "load: 200 requests/s, 60 s" in shown.getvalue()
    assert "200/s of 200 asked" in shown.getvalue()


def test_without_a_terminal_a_stage_is_a_line_and_nothing_is_drawn(
    before: Seen, capsys: pytest.CaptureFixture[str]
) -> None:
    with LoadDisplay(_Counters([before])) as display:
        display.start("200 requests/s, 60 s", None)
        display.advance(7)
        display.note("a note")
    assert capsys.readouterr().err == "load: 200 requests/s, 60 s\nload: a note\n"


def test_quiet_says_nothing(before: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    with LoadDisplay(_Counters([before]), quiet=True) as display:
        display.start("200 requests/s, 60 s", None)
        display.note("a note")
    assert capsys.readouterr().err == ""
