"""A load in a few lines: what failed is said before any figure, and nothing is said that was not measured."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from hexgate.indicators.load_statistics import load_statistics
from hexgate.report.load_html import render_load_html
from hexgate.report.load_summary import failed_line, summary_table
from hexgate.report.text import Lang
from support.load_folders import folder_of, plan_of


def counted(**outcomes: int) -> dict[str, Any]:
    names = ("ok", "error", "timeout", "truncated", "unfinished", "not_sent")
    reasons = [
        {
            "outcome": "not_sent",
            "reason": "",
            "count": 99,
            "examples": [{"index": 0, "error": "not_sent: x"}],
        },
        {
            "outcome": "timeout",
            "reason": "timeout: no whole reply within # s",
            "count": outcomes.get("timeout", 0),
            "examples": [{"index": 1, "error": "timeout: no whole reply within 2 s"}],
        },
    ]
    return {
        "outcomes": dict.fromkeys(names, 0) | outcomes,
        "failures": {"reasons": reasons[: 1 + ("timeout" in outcomes)], "others": 0},
    }


def test_what_failed_is_said_with_the_commonest_reason() -> None:
    line = failed_line(counted(ok=6, timeout=48))
    assert line is not None
    assert line.en == (
        "failed 48 of 54 (88.89 %): time-outs 48; times are of the 6 that succeeded; "
        "most often: timeout: no whole reply within 2 s"
    )
    assert line.zh == (
        "失败 48 / 54（88.89%）：超时 48；时间只含成功的 6 个；最常见：超时（timeout）：2 秒内没有完整回复"
    )
    line = failed_line(counted(error=3, truncated=2))
    assert line is not None
    assert line.en == "failed 5 of 5 (100 %): errors 3, cut short 2; there are no times, as none succeeded"


def test_one_failure_of_many_is_never_rounded_away() -> None:
    assert failed_line(counted(ok=10, not_sent=7)) is None
    line = failed_line(counted(ok=1, error=999_999))
    assert line is not None
    assert "(99.9999 %)" in line.en


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_table_fits_a_terminal(lang: Lang, tmp_path: Any) -> None:
    statistics = load_statistics(folder_of(tmp_path, plan_of(400), failing=0.1))
    out = io.StringIO()
    Console(file=out, width=80, color_system=None).print(summary_table(statistics, lang=lang))
    lines = out.getvalue().splitlines()
    assert 6 <= len(lines) <= 11
    assert all(len(line) <= 80 for line in lines)
    if lang == "en":
        assert out.getvalue().isascii()
        assert lines[0].split() == ["Milliseconds", "Mean", "P50", "P90", "P99"]
        names = ["TTFT, from due", "TPOT", "End to end, from due", "End to end, from send", "Timed requests"]
        assert [name for name in names if not any(line.startswith(name) for line in lines)] == []
        assert not any(line.startswith("TTFA") for line in lines)
        (tokens,) = (line for line in lines if line.startswith("Tokens/s"))
        mean = statistics["rates"]["total_tokens_per_s"]["mean"]
        assert mean > statistics["rates"]["output_tokens_per_s"]["mean"]
        assert "total (prompts and output)" in tokens


def test_an_answer_that_begins_later_has_a_row(tmp_path: Any) -> None:
    statistics = load_statistics(folder_of(tmp_path, plan_of(100)))
    first = statistics["times"]["ttfa_due_ms"]
    statistics["times"]["ttfa_due_ms"] = first | {"percentiles": dict.fromkeys(first["percentiles"], 1000.0)}
    out = io.StringIO()
    Console(file=out, width=80, color_system=None).print(summary_table(statistics, lang="en"))
    assert "TTFA, from due" in out.getvalue()


def test_the_report_says_it_too(tmp_path: Any) -> None:
    other = tmp_path / "other"
    other.mkdir()
    statistics = load_statistics(folder_of(tmp_path, plan_of(200), failing=0.2))
    line = failed_line(statistics)
    assert line is not None
    page = render_load_html(statistics, [], {}, lang="en")
    assert '<p class="decided bad">' in page
    assert line.en.partition(";")[0] in page
    assert '<li class="bad">' in page
    whole = load_statistics(folder_of(other, plan_of(200), failing=0.0))
    assert 'class="bad"' not in (page := render_load_html(whole, [], {}, lang="en"))
    assert "decided bad" not in page.partition("<body>")[2]
