"""One rule for every view: what is shown of a figure that was judged, was not, is estimated, or is not there."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from hexgate.gate.reason_codes import ReasonCode
from hexgate.gate.reasons import Reason
from hexgate.report.caveats import caveats
from hexgate.report.html import render_html
from hexgate.report.markdown import render_markdown
from hexgate.report.measured import measured_table
from hexgate.report.reading import see
from hexgate.report.shown import n_of, shown
from hexgate.report.terminal import render_conclusion, render_table
from hexgate.report.text import Both

Json = dict[str, Any]


def printed(table: Any, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(table)
    return out.getvalue()


@pytest.fixture
def partial(verdict: Json, artifacts: list[Json]) -> tuple[Json, list[Json]]:
    """The throughput run was stopped: its artifact is there, and no rule was held against it."""
    artifacts[2] |= {"status": "partial", "invalid_reasons": ["the run was stopped"]}
    verdict["verdict"] = "INVALID"
    verdict["rules"][2] |= {"verdict": "INVALID", "value": None, "interval": None, "n": None}
    return verdict, artifacts


@pytest.fixture
def accepted(verdict: Json, artifacts: list[Json]) -> tuple[Json, list[Json]]:
    """Toxicity passes, by a detector that cannot certify; the policy accepts that."""
    said = {"measure": "toxicity.toxic_ratio", "why": "a word list", "accepted": "until spring"}
    verdict["verdict"] = "PASS"
    verdict["rules"][4] |= {"verdict": "PASS", "more_needed": None}
    verdict["rules"][4]["reasons"] = [Reason(ReasonCode.UNCERTIFIED_ACCEPTED, said).to_json()]
    return verdict, artifacts


def test_what_is_there_but_not_judged_is_shown_everywhere_and_called_so(
    partial: tuple[Json, list[Json]],
) -> None:
    view = see(*partial)
    figure = view.rules[2].shown
    assert figure == view.indicators[2].headline
    assert figure.value.en.endswith("req/s")
    assert not figure.judged
    assert [note.en for note in figure.notes] == ["not judged", "partial"]
    assert view.rules[2].scale is None, "what was not judged is not drawn against the limit"
    table = printed(render_table(*partial, lang="en"))
    page = render_html(*partial, lang="en")
    markdown = render_markdown(*partial, lang="en")
    number = figure.value.en.split("\u202f")[0]
    for shown_text in (table, page, markdown):
        assert number in shown_text
        assert "not judged" in shown_text
        assert "not measured" not in shown_text.replace("is not measured here", "")


def test_not_measured_is_said_only_of_null_and_its_reason_stands_below(
    verdict: Json, artifacts: list[Json]
) -> None:
    artifacts[5] |= {"energy_per_request_j": None, "missing": {"energy_per_request_j": "no meter"}}
    verdict["rules"][5] |= {"verdict": "INVALID", "value": None, "interval": None}
    for table in (
        render_table(verdict, artifacts, lang="en"),
        measured_table(artifacts, lang="en"),
    ):
        *rows, below = printed(table).rstrip().splitlines()
        assert sum("not measured" in row for row in rows) == 1
        assert below.strip() == "Energy: not measured: no meter"


def test_an_estimate_is_called_one_beside_its_number(verdict: Json, artifacts: list[Json]) -> None:
    artifacts[5] |= {"measurement": "estimated"}
    assert [note.en for note in see(verdict, artifacts).rules[6].shown.notes] == ["estimated"]
    assert "estimated" in printed(render_table(verdict, artifacts, lang="en"))
    assert "estimated" in printed(measured_table(artifacts, lang="en"))
    assert "J/req (estimated) |" in render_markdown(verdict, artifacts, lang="en")
    assert shown(artifacts[5], "requests", judged=True).notes == ()


def test_a_pass_on_what_cannot_certify_never_looks_plain(accepted: tuple[Json, list[Json]]) -> None:
    view = see(*accepted)
    words = Both("Pass (accepted uncertified)", "通过（接受未经证明的证据）")
    assert view.rules[5].word == view.indicators[4].standing == view.word == words
    assert view.style == view.indicators[4].style == "accepted"
    assert view.indicators[0].style == "pass"
    assert view.decided.en == "All 6 blocking rules pass, 1 of them on evidence that cannot certify."
    assert render_conclusion(*accepted, lang="zh").plain.startswith(f"{words.zh}：")
    assert render_markdown(*accepted, lang="en").startswith("## ☑️ Pass \\(accepted uncertified\\): ")
    page = render_html(*accepted, lang="en")
    assert page.count("c-sector v-accepted") == 2, "one hexagon in each language"
    assert '<div class="hero v-accepted">' in page


def test_that_a_file_is_there_is_no_pass(verdict: Json, artifacts: list[Json]) -> None:
    met = Reason(ReasonCode.REQUIREMENT_MET, {"indicator": "power_efficiency"}).to_json()
    del verdict["rules"][5]
    verdict["rules"][4]["verdict"] = "PASS"
    verdict |= {"verdict": "PASS"}
    verdict["requirements"] = [{"indicator": "power_efficiency", "verdict": "PASS", "reasons": [met]}]
    artifacts[5] |= {"energy_per_request_j": None}
    view = see(verdict, artifacts)
    assert view.requirements[0].word == view.indicators[5].standing == Both("present", "在")
    assert view.requirements[0].style == view.indicators[5].style == "unjudged"
    assert view.requirements[0].told[0].en == (
        "its artifact is there and complete; no Energy per request was measured"
    )
    assert view.decided.en == (
        "All 5 blocking rules pass. The one required artifact that no blocking rule judges is there."
    )
    assert not [each for each in caveats(view) if "no blocking rule judges it" in each.en]
    assert "| present |" in render_markdown(verdict, artifacts, lang="en")


def test_windows_are_not_read_as_requests(verdict: Json, artifacts: list[Json]) -> None:
    rule = see(verdict, artifacts).rules[2]
    assert rule.shown.n == Both("20 windows", "20 个窗口")
    assert "20 windows" in rule.told[0].en
    assert "n = " not in rule.told[0].zh
    assert n_of({"family": "bootstrap", "n": 12000}) == Both("12\u202f000", "12\u202f000")


def test_under_its_rule_a_reason_does_not_repeat_its_name(verdict: Json, artifacts: list[Json]) -> None:
    rule = see(verdict, artifacts).rules[0]
    assert rule.reasons[0].en.startswith("accuracy_f1.f1: ")
    assert rule.told[0].en.startswith("the lower bound ")
    assert rule.told[0].zh.startswith("下界")


def test_rules_stand_in_the_order_of_the_six_and_paths_are_near(verdict: Json, artifacts: list[Json]) -> None:
    verdict["rules"].reverse()
    verdict["folders"] = ["/somewhere/deep/out"]
    verdict["problems"] = [{"code": "x", "params": {}, "text": "/somewhere/deep/out/a.json: no"}]
    view = see(verdict, artifacts)
    assert [rule.id for rule in view.rules[3:5]] == ["robustness_adv.success_rate", "robustness_adv.f1_drop"]
    assert view.rules[0].indicator == "accuracy_f1"
    assert view.problems[0].en == "out/a.json: no"


def test_equal_reasons_are_one_caveat(verdict: Json, artifacts: list[Json]) -> None:
    artifacts[5]["cannot_certify"] = dict.fromkeys(
        ("energy_j", "mean_power_w"), "estimated, not measured (x)"
    )
    for artifact in artifacts:
        artifact["provenance"]["git_dirty"] = True
    found = [each.en for each in caveats(see(verdict, artifacts))]
    assert sum("estimated, not measured" in each for each in found) == 1
    assert sum("uncommitted" in each for each in found) == 1
    artifacts[0]["provenance"]["git_dirty"] = False
    assert "Latency, Throughput" in next(
        each.en for each in caveats(see(verdict, artifacts)) if "uncommitted" in each.en
    )


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_nothing_is_cut_at_eighty_columns(verdict: Json, artifacts: list[Json], lang: Any) -> None:
    shown_table = printed(render_table(verdict, artifacts, lang=lang))
    assert "…" not in shown_table
    for indicator in see(verdict, artifacts).indicators:
        ends = indicator.headline.interval
        assert ends is not None
        between = {"en": " to ", "zh": " 至 "}[lang]
        assert ends.replace("\u202f–\u202f", between).replace("\u202f", " ") in shown_table
    assert max(map(len, shown_table.splitlines())) <= 80


def test_few_samples_are_no_chart(artifacts: list[Json], verdict: Json) -> None:
    for artifact in artifacts:
        for level in artifact["resources"].values():
            if isinstance(level, dict) and "samples" in level:
                level["samples"] = 3
    page = render_html(verdict, artifacts, lang="en")
    assert "3 samples are too short to say much" in page
    assert "Mean and maximum of what the host did" not in page
    assert "0.1499 mean, 0.1602 at most, of 23.28 GiB" in page


@pytest.mark.parametrize(
    ("n", "method", "said"),
    [
        (20, "batch means of r, Student's t over 20 windows", "20 windows"),
        (
            6,
            "batch means of r, Student's t over 20 windows, counted as 6.1 for their lag-1 autocorrelation of 0.5",
            "6 windows (of 20, neighbours being alike)",
        ),
        (6, "of another version", "6 windows"),
    ],
)
def test_fewer_windows_than_were_asked_for_say_why(n: int, method: str, said: str) -> None:
    found = n_of({"n": n, "family": "batch_means", "method": method})
    assert found is not None
    assert found.en == said
