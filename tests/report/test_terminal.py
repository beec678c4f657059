from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

from hexgate.report.terminal import render_conclusion, render_table

Json = dict[str, Any]


def shown(verdict: Json, artifacts: Sequence[Json], lang: str = "en", width: int = 120) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=False)
    console.print(render_table(verdict, artifacts, lang=lang))  # type: ignore[arg-type]
    return out.getvalue()


def test_six_lines_with_value_interval_limit_and_verdict(verdict: Json, artifacts: list[Json]) -> None:
    lines = shown(verdict, artifacts).splitlines()
    assert len(lines) == 7
    assert lines[1].split() == ["Accuracy", "F1", "0.973", "0.961", "to", "0.985", ">=", "0.75", "Pass"]
    assert lines[5].split()[-1] == "Inconclusive"


def test_an_old_console_can_show_it(verdict: Json, artifacts: list[Json]) -> None:
    shown(verdict, artifacts).encode("ascii")


def test_chinese(verdict: Json, artifacts: list[Json]) -> None:
    text = shown(verdict, artifacts, "zh")
    assert "证据不足以判定" in text
    assert "每请求" in text


def test_nothing_measured_is_said_in_words(verdict: Json) -> None:
    for rule in verdict["rules"]:
        rule |= {"value": None, "interval": None, "verdict": "MISSING"}
    lines = shown(verdict, []).splitlines()
    assert len(lines) == 7
    assert all("not measured" in line and "Evidence missing" in line for line in lines[1:])


def test_what_no_rule_blocks_is_shown_with_what_its_rule_does(verdict: Json, artifacts: list[Json]) -> None:
    verdict["rules"][5]["tier"] = "track"
    verdict["rules"] = verdict["rules"][:4] + verdict["rules"][5:6]
    lines = shown(verdict, artifacts).splitlines()
    assert lines[6].rstrip().endswith("Pass (tracks)")
    assert lines[5].rstrip().endswith("Not judged")
    assert "0.0012" in lines[5], "a value without a rule is still shown"


@pytest.mark.parametrize("width", [40, 80])
def test_markup_in_names_is_text_at_any_width(verdict: Json, artifacts: list[Json], width: int) -> None:
    verdict["rules"][0] |= {"indicator": "[bold red]evil[/]\x1b[2J", "measure": "[link=x]y[/link]"}
    text = shown(verdict, artifacts, width=width)
    assert "\x1b" not in text
    assert "[bold" in text


def test_a_requirement_that_is_met_hides_no_verdict_of_a_rule(verdict: Json, artifacts: list[Json]) -> None:
    verdict["rules"][5] |= {"tier": "track", "verdict": "INVALID"}
    verdict["requirements"] = [{"indicator": "power_efficiency", "verdict": "PASS", "reasons": []}]
    assert shown(verdict, artifacts).splitlines()[6].rstrip().endswith("Evidence invalid (tracks)")


def test_the_conclusion_is_in_words(verdict: Json, artifacts: list[Json]) -> None:
    said = render_conclusion(verdict, artifacts, lang="en").plain.splitlines()
    assert said[0].startswith("Inconclusive: ")
    assert len(said) >= 2
    assert "证据不足以判定" in render_conclusion(verdict, artifacts, lang="zh").plain
