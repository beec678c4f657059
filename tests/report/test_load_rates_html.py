"""The page of a search or a sweep."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hexgate.report.load_rates_html import render_rates_html

FIGURES = (
    "rps",
    "output_tokens_per_s",
    "ttft_p50_ms",
    "ttft_p99_ms",
    "tpot_p50_ms",
    "p50_ms",
    "p99_ms",
    "error_ratio",
)
SLO = [
    {"measure": "ttft_ms", "statistic": "p99", "comparator": "<=", "limit": 400.0},
    {"measure": "error_ratio", "statistic": None, "comparator": "<=", "limit": 0.01},
]


def step(rate: float, kept: str | None, *, slow: bool = False, value: float | None = 50.0) -> dict[str, Any]:
    why = "10 of 10 replies within 400 ms; at least 299 replies are needed to show it"
    return {
        "folder": f"search/01-{rate:g}",
        "rate_rps": rate,
        "seconds": 2.0,
        "status": "invalid" if slow else "complete",
        "judged": [] if kept is None else [{"term": "ttft_ms.p99<=400", "kept": kept, "why": why, "n": 10}],
        "client_reasons": ["this client did not keep up. <b> Next: nothing."] if slow else [],
        "figures": dict.fromkeys(FIGURES, value),
    }


def search(*steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    head = {"run_id": "r", "target": "http://127.0.0.1:1/<v1>", "confidence": 0.95, "slo": SLO}
    return head | {"ended": "found", "rate_rps": 20.0, "probes": list(steps)} | changes


def sweep(*steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    head = {"run_id": "r", "target": "demo:", "confidence": 0.95, "slo": None}
    return head | {"ended": "complete", "served_rps": 75.5, "points": list(steps), "probes": []} | changes


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_search_shows_every_load_in_order_of_rate_its_limit_and_why(lang: Any) -> None:
    page = render_rates_html(
        search(step(40, "missed"), step(20, "met"), step(10, "undecided"), step(80, None, slow=True)),
        lang=lang,
    )
    assert re.findall(r"<code>(search/[^<]+)</code>", page) == [
        f"search/01-{rate}" for rate in (10, 20, 40, 80)
    ]
    for words in ("达到", "未达到", "无法判定", "客户端未能跟上", "10 个回复中有 10 个在 400 毫秒以内"):
        assert words in page
    assert page.count('class="c-limit"') == 1, "the limit is of TTFT alone"
    assert page.count("<svg") == 3, "the brand and two charts"
    assert "<b>" not in page
    assert "<v1>" not in page
    assert f'data-lang="{lang}"' in page


def test_the_line_leaves_out_loads_whose_client_did_not_keep_up() -> None:
    page = render_rates_html(search(step(10, "met"), step(20, "met"), step(30, None, slow=True)), lang="en")
    for line in re.findall(r'd="M([^"]+)" class="c-line k0"', page):
        assert line.count("L") == 1
    alone = render_rates_html(search(step(10, "met"), step(30, None, slow=True)), lang="en")
    assert "c-line k0" not in alone


def test_a_sweep_without_an_slo_says_what_was_served_at_most() -> None:
    page = render_rates_html(sweep(step(5, None), step(10, None)), lang="en")
    assert "Served at most: 75.5\u00a0requests/s" in page
    assert ">Measured<" in page
    assert 'class="c-limit"' not in page


@pytest.mark.parametrize(
    "document", [search(rate_rps=None, ended="stopped"), sweep(ended="stopped", served_rps=None)]
)
def test_nothing_measured_is_a_page_without_charts(document: dict[str, Any]) -> None:
    page = render_rates_html(document, lang="en")
    assert page.count("<svg") == 1
    assert "It was stopped before its end." in page


def test_what_was_not_measured_is_no_number() -> None:
    page = render_rates_html(sweep(step(5, None, value=None)), lang="en")
    assert page.count("<svg") == 1
    assert "TTFT P99" not in page
    assert "nan" not in page.lower().replace("noopener", "")
