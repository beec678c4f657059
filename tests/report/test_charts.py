from __future__ import annotations

import math
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from hexgate.report import charts
from hexgate.report.svg import Drawing, Mark, log_scale, nice_ticks, place, scale
from hexgate.report.text import Both, same
from hexgate.report.verdict_charts import hexagon, interval_bar
from hexgate.report.view import Scale

NUMBERS = st.floats(min_value=-1e9, max_value=1e9)


def parsed(svg: Markup) -> ET.Element:
    """The SVG as a tree: every chart is well-formed, says what it is, and has no bad coordinate."""
    root = ET.fromstring(str(svg))  # noqa: S314 our own output
    assert root.get("role") == "img"
    assert root.findtext("title")
    for element in root.iter():
        for key, value in element.attrib.items():
            if key in {"x", "y", "x1", "x2", "y1", "y2", "width", "height", "cx", "cy", "r", "d"}:
                assert "nan" not in value
                assert "inf" not in value
                assert "e" not in value
    return root


def bars(root: ET.Element, style: str = "c-bar") -> list[ET.Element]:
    return [each for each in root.iter("rect") if each.get("class") == style]


def test_a_histogram_has_a_bar_for_every_bin_that_holds_something() -> None:
    marks = [Mark(2.0, "p50 2 ms"), Mark(3.5, "p99 3.5 ms"), Mark(300.0, "limit 300 ms", "c-limit")]
    root = parsed(charts.latency_histogram([1, 2, 3, 4], [5, 0, 7, 2], marks, "en"))
    assert len(bars(root)) == 2
    assert len(bars(root, "c-bar c-open")) == 1
    words = [each.text for each in root.iter("text")]
    assert "limit 300 ms →" in words, "a limit far away is named at the edge, not drawn to scale"
    assert "14 requests" in str(root.findtext("desc"))


def test_a_limit_within_reach_is_a_line() -> None:
    root = parsed(charts.latency_histogram([1, 2, 3], [5, 3], [Mark(3.4, "limit", "c-limit")], "en"))
    assert [each for each in root.iter("line") if each.get("class") == "c-limit"]


@given(
    st.lists(st.floats(0, 1e6), min_size=0, max_size=300, unique=True).map(sorted),
    st.data(),
    st.sampled_from([-1, 0]),
)
def test_any_histogram_is_drawn(edges: list[float], data: st.DataObject, fewer: int) -> None:
    size = max(len(edges) + fewer, 0)
    counts = data.draw(st.lists(st.integers(0, 10**6), min_size=size, max_size=size))
    svg = charts.latency_histogram(edges, counts, [Mark(5.0, "p99 5 ms")], "zh")
    if not sum(counts):
        assert svg == ""
    else:
        shown = bars(parsed(svg)) + bars(parsed(svg), "c-bar c-open")
        assert 1 <= len(shown) <= 82


def test_many_windows_are_taken_together_and_none_is_dropped() -> None:
    windows = [{"start_s": float(k), "end_s": k + 1.0, "rps": 10.0 if k % 2 else 20.0} for k in range(1000)]
    root = parsed(
        charts.window_columns(windows, [Mark(15.0, "mean 15"), Mark(15.1, "limit 15.1", "c-limit")], "en")
    )
    assert len(bars(root)) == 77
    heights = {each.get("height") for each in bars(root)[:-1]}
    assert len(heights) <= 2, "taken together, alternating windows are all about the mean"


def test_marks_that_would_overlap_are_moved_apart() -> None:
    placed = place(
        [Mark(1.0, "p50 1 ms"), Mark(1.001, "p99 1 ms"), Mark(9.0, "limit 9")], scale(0, 10, 0, 400), 0, 400
    )
    assert [each.row for each in placed] == [0, 1, 0]


@given(st.lists(NUMBERS, min_size=1, max_size=20), NUMBERS, NUMBERS)
def test_labels_in_one_row_never_overlap(values: list[float], low: float, high: float) -> None:
    marks = [Mark(value, f"label {index}") for index, value in enumerate(values)]
    placed = place(marks, scale(low, high, 0, 400), 0, 400)
    for row in {each.row for each in placed}:
        lefts = sorted(each.left for each in placed if each.row == row)
        assert all(b - a >= 6.9 * 7 for a, b in pairwise(lefts))


def test_shares_are_drawn_for_twenty_at_most_and_it_says_so() -> None:
    many = [charts.Bar(f"class {k}", k / 40 if k else None, f"{k}") for k in range(40)]
    root = parsed(charts.ratio_bars(many, "chart_classes", "en"))
    assert len(bars(root, "c-track")) == 20
    assert len(bars(root)) == 19
    assert "the 20 lowest of 40" in [each.text for each in root.iter("text")]
    assert charts.ratio_bars([], "chart_toxic", "en") == ""


def test_an_attack_that_improves_f1_is_drawn_too() -> None:
    parsed(charts.attack_bars(0.5, 0.6, (-0.1, -0.2, 0.0), 0.1, "zh"))
    parsed(charts.attack_bars(0.0, 0.0, (0.0, None, None), None, "en"))


def test_power_keeps_its_peak() -> None:
    times = [k / 10 for k in range(5000)]
    watts = [20.0] * 5000
    watts[777] = 95.5
    root = parsed(charts.power_curve(times, watts, [Mark(20.0, "mean 20 W")], "en"))
    assert "95.5 W" in str(root.findtext("desc"))
    assert charts.power_curve([1.0], [2.0], [], "en") == ""


def test_meters_are_on_scales_of_their_own() -> None:
    rows = [charts.Meter("cpu_ratio", 0.5, 1.0, 1.0, "0.5 / 1"), charts.Meter("zero", 0.0, 0.0, 0.0, "0 / 0")]
    assert len(bars(parsed(charts.meters(rows, "en")))) == 2
    assert charts.meters([], "en") == ""


@given(NUMBERS, st.none() | st.floats(0, 1e6), st.none() | st.floats(0, 1e6), NUMBERS, st.booleans())
def test_a_dot_is_on_the_side_of_the_limit_that_its_value_is_on(
    value: float, below: float | None, above: float | None, limit: float, passes_above: bool
) -> None:
    low = None if below is None else value - below
    high = None if above is None else value + above
    root = parsed(interval_bar(Scale(value, low, high, limit, passes_above), "pass", "ratio"))
    dot = float(next(root.iter("circle")).get("cx", ""))
    line = next(float(each.get("x1", "")) for each in root.iter("line") if each.get("class") == "c-limit")
    assert (dot >= line) if value >= limit else (dot <= line)


def test_the_hexagon_has_six_fields_that_also_say_their_verdict() -> None:
    styles = ["pass", "accepted", "fail", "inconclusive", "missing", "unjudged"]
    words = [Both(f"w{k}", f"词{k}") for k in range(6)]
    root = parsed(hexagon(styles, [same(f"i{k}") for k in range(6)], words, "zh"))
    assert [each.findtext("title") for each in root.iter("path")] == [f"i{k}：词{k}" for k in range(6)]
    assert [str(each.get("class")).split("v-")[1] for each in root.iter("path")] == styles


def test_the_bound_that_was_judged_is_a_tick_of_its_own() -> None:
    with_bound = Scale(5.0, 4.0, 6.0, 7.0, passes_above=False, bound=5.8)
    ticks = list(parsed(interval_bar(with_bound, "pass", "ms")).iter("line"))
    (bound,) = [float(each.get("x1", "")) for each in ticks if each.get("class") == "c-bound"]
    caps = sorted(float(each.get("x1", "")) for each in ticks if "c-cap" in str(each.get("class")))
    assert caps[0] < bound < caps[1]


def test_hostile_words_stay_words() -> None:
    attack = '"><script>alert(1)</script>'
    drawing = Drawing(10, 10, attack, attack)
    drawing.text(0, 0, attack)
    drawing.rect(0, 0, 1, 1, "c-bar", hint=attack)
    root = ET.fromstring(str(drawing.finish()))  # noqa: S314 our own output
    assert not list(root.iter("script"))
    assert root.findtext("text") == attack
    parsed(charts.ratio_bars([charts.Bar(attack, 0.5, attack)], "chart_toxic", "en"))


@given(NUMBERS, NUMBERS)
def test_ticks_are_round_and_few(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert 1 <= len(ticks) <= 12
    if high > low and high - low > 1e-6 * max(abs(low), abs(high)):
        room = (high - low) * 1e-6
        assert all(low - room <= tick <= high + room for tick in ticks)


def test_scales() -> None:
    assert scale(0, 10, 100, 200)(5) == 150
    assert scale(3, 3, 100, 200)(3) == 150
    assert log_scale(1, 100, 0, 10)(10) == pytest.approx(5)
    assert nice_ticks(0, math.inf) == [0]
