"""The charts of a study, drawn of known values."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from hexgate.report.studies.charts import Spot, plane, said
from hexgate.report.studies.dots import MOST_ROWS, Place, dots
from hexgate.report.studies.shapes import MOST_TICKS, Profile, Stack, Strip, profiles, stacks, strips
from hexgate.report.text import Both, same

TITLE = Both("title", "标题")
AXES = (Both("x", "横"), Both("y", "纵"))


def numbers(drawn: str) -> list[float]:
    places = re.findall(r' (?:x|y|x1|y1|x2|y2|cx|cy)="([^"]+)"', drawn)
    places += [part for path in re.findall(r' d="([^"]+)"', drawn) for part in re.findall(r"-?[\d.]+", path)]
    return [float(place) for place in places]


def inside(drawn: str) -> None:
    width, height = map(float, re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawn)[0])
    assert all(0 <= value <= max(width, height) for value in numbers(drawn))


@pytest.mark.parametrize(
    "values",
    [
        [(1.0, 1.0)],
        [(0.0, 0.0), (0.0, 0.0)],
        [(1e-6, -3.2), (1e6, -3.1)],
        [(5.0, 7.0), (5.0, 7.0), (5.1, 7.0)],
        [(-4.0, 1e12), (3.0, 2e12)],
    ],
)
@pytest.mark.parametrize("joined", [False, True])
def test_dots_of_any_values_lie_on_the_chart(values: list[tuple[float, float]], joined: bool) -> None:
    spots = [
        Spot(x, y, place, f"name {place}", f"hint {place}", (x, x), (y - 0.1 * abs(y), y + 0.1 * abs(y)))
        for place, (x, y) in enumerate(values)
    ]
    drawn = str(
        plane(TITLE, AXES, spots, [spot.label for spot in spots], "en", front=sorted(values), joined=joined)
    )
    inside(drawn)
    assert drawn.count('class="s-dot') == 2 * len(values)


def test_a_front_is_a_staircase_and_a_ring_is_off_it() -> None:
    spots = [
        Spot(1.0, 1.0, 0, "a", "a"),
        Spot(2.0, 3.0, 1, "b", "b"),
        Spot(3.0, 2.0, 2, "c", "c", hollow=True),
    ]
    drawn = str(plane(TITLE, AXES, spots, (), "en", front=[(1.0, 1.0), (2.0, 3.0)]))
    assert drawn.count('class="s-ring') == 1
    (path,) = re.findall(r'd="M([^"]+)" class="s-front"', drawn)
    points = [tuple(map(float, part.split())) for part in path.split("L")]
    assert all(here[0] == next_[0] or here[1] == next_[1] for here, next_ in pairwise(points))
    assert len(points) == 5


def test_nothing_has_no_chart() -> None:
    assert plane(TITLE, AXES, [], (), "en") == ""
    assert strips(TITLE, same("s"), [Strip("a", [], 0)], "en") == ""
    assert profiles(TITLE, [same("a"), same("b")], [Profile("m", [1.0, 1.0], 0)], "en") == ""
    assert stacks(TITLE, same("s"), [same("a")], [], 10.0, "en") == ""
    assert dots(TITLE, same("s"), [("a", [])], (), "en") == ""


@pytest.mark.parametrize("count", [1, 2, MOST_TICKS, MOST_TICKS + 1, 5000])
def test_a_strip_has_a_tick_for_a_run_up_to_a_bound(count: int) -> None:
    values = [float(place + 1) for place in range(count)]
    drawn = str(strips(TITLE, same("s"), [Strip("a", values, 0)], "en"))
    inside(drawn)
    (path,) = re.findall(r'd="([^"]+)" class="s-tick', drawn)
    assert path.count("M") == min(count, MOST_TICKS)
    assert f"n = {count}" in drawn
    assert len(drawn) < 12_000


def test_a_gap_of_a_profile_is_not_closed() -> None:
    axes = [same(name) for name in "abcd"]
    whole = str(profiles(TITLE, axes, [Profile("m", [1.0, 0.5, 0.0, 0.25], 0)], "en"))
    assert whole.count('class="s-shape') == 1
    gap = str(profiles(TITLE, axes, [Profile("m", [1.0, None, 0.5, 0.25], 0)], "en"))
    assert "s-shape" not in gap
    assert gap.count('class="s-join') == 2
    assert "b –" in gap
    inside(whole)
    inside(gap)


def test_bars_are_as_long_as_their_parts() -> None:
    parts = [same("a"), same("b")]
    drawn = str(stacks(TITLE, same("s"), parts, [Stack("m", [2.0, 3.0], "5")], 10.0, "en"))
    widths = [float(width) for width in re.findall(r'width="([\d.]+)" height="11"', drawn)]
    assert widths[1] / widths[0] == pytest.approx(1.5, rel=0.01)
    inside(drawn)


def test_rows_of_dots_end_somewhere() -> None:
    rows = [(f"row {place}", [Place(1.0 + place, (0.5, 20.0), 0, "h")]) for place in range(MOST_ROWS + 4)]
    drawn = str(dots(TITLE, same("s"), rows, ["m"], "zh"))
    inside(drawn)
    assert f"row {MOST_ROWS - 1}" in drawn
    assert f"row {MOST_ROWS}<" not in drawn


def test_a_value_is_said_with_its_interval() -> None:
    assert said(0.123456, None) == "0.1235"
    assert said(10.04, (9.5, 10.5)) == "10.04 (9.50 – 10.50)"
