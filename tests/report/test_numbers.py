from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.report.numbers import amount, number, number_of, parse, span, spread_of, unit_name

FINITE = st.floats(allow_nan=False, allow_infinity=False)
MODEST = st.floats(min_value=-1e6, max_value=1e6)
SPREAD = st.none() | st.floats(min_value=0, max_value=1e12)


def _side(a: Decimal, b: Decimal) -> int:
    return (a > b) - (a < b)


@given(FINITE, SPREAD, st.lists(FINITE, max_size=3))
def test_a_number_never_reads_as_on_another_side_of_a_limit(
    value: float, spread: float | None, limits: list[float]
) -> None:
    seen = parse(number(value, spread=spread, against=limits))
    for limit in [0.0, *limits]:
        assert _side(seen, Decimal(repr(limit))) == _side(Decimal(repr(value)), Decimal(repr(limit)))


@given(st.floats(min_value=1e-6, max_value=1e6), st.integers(-6, 6), SPREAD)
def test_nor_where_the_two_all_but_touch(limit: float, steps: int, spread: float | None) -> None:
    value = limit
    for _ in range(abs(steps)):
        value = math.nextafter(value, math.inf if steps > 0 else -math.inf)
    shown, edge = parse(number(value, spread=spread, against=[limit])), parse(number(limit, against=[limit]))
    assert _side(shown, edge) == _side(Decimal(repr(value)), Decimal(repr(limit)))


@given(FINITE, FINITE)
def test_a_limit_is_written_exactly(limit: float, other: float) -> None:
    assert parse(number(limit, against=[limit, other])) == Decimal(repr(limit))


@given(MODEST.filter(lambda value: abs(value) > 1e-5))
def test_four_digits_are_kept_without_a_spread(value: float) -> None:
    assert float(parse(number(value))) == pytest.approx(value, rel=6e-4)


@given(st.integers(-(10**9) + 1, 10**9 - 1))
def test_counts_are_not_rounded(count: int) -> None:
    assert parse(number(count)) == count


def test_the_case_of_the_brief() -> None:
    assert number(0.0051, spread=0.01, against=[0.005]) == "0.0051"
    assert number(0.005, spread=0.01, against=[0.005]) == "0.005"
    assert number(0.0049999, spread=0.01, against=[0.005]) == "0.0049999"
    assert number(0.0049999, spread=0.01) == "0.005"


@pytest.mark.parametrize(
    ("value", "spread", "shown"),
    [
        (0.97292, 0.0121, "0.973"),
        (0.9, None, "0.9"),
        (0.9, 0.01, "0.900"),
        (12.0, None, "12"),
        (4.7046, 0.31, "4.70"),
        (123456.7, 250.0, "123\u202f457"),
        (0.0000309, None, "0.0000309"),
        (1.5e-9, None, "1.5\u202f×\u202f10⁻⁹"),
        (2.5e12, None, "2.5\u202f×\u202f10¹²"),
        (-3.25, None, "\u22123.25"),
        (-0.0, None, "0"),
        (0.0004, 0.02, "0.0004"),
        (719, None, "719"),
        (10**12, None, "1\u202f×\u202f10¹²"),
        (5e-324, 1.0, "5\u202f×\u202f10⁻³²⁴"),
    ],
)
def test_rounding_follows_the_uncertainty(value: float, spread: float | None, shown: str) -> None:
    assert number(value, spread=spread) == shown


@pytest.mark.parametrize("value", [math.nan, math.inf, True, None, "1"])
def test_what_is_not_a_number_is_never_written_as_one(value: object) -> None:
    assert number_of(value) is None
    with pytest.raises(ValueError, match="not a finite number"):
        number(value)  # type: ignore[arg-type]


def test_units_in_both_languages() -> None:
    assert amount(4.7, "ms").en == amount(4.7, "ms").zh == "4.7\u202fms"
    assert amount(4.7, "ratio").en == "4.7"
    assert amount(4.7, "J/request")["zh"] == "4.7\u202fJ/请求"
    assert unit_name("furlong").en == "furlong"


def test_intervals_with_one_end_or_none() -> None:
    assert span(0.961, 0.985) == "0.961\u202f–\u202f0.985"
    assert span(None, 0.0041) == "≤\u202f0.0041"
    assert span(0.2, None) == "≥\u202f0.2"
    assert span(None, None) is None
    assert span(0.5, 0.5) == "0.5\u202f–\u202f0.5"


@given(MODEST, MODEST, MODEST)
def test_the_ends_of_an_interval_keep_to_their_side_too(low: float, high: float, limit: float) -> None:
    low, high = sorted((low, high))
    least, greatest = span(low, high, against=[limit]).split("\u202f–\u202f")
    assert _side(parse(least), Decimal(repr(limit))) == _side(Decimal(repr(low)), Decimal(repr(limit)))
    assert _side(parse(greatest), Decimal(repr(limit))) == _side(Decimal(repr(high)), Decimal(repr(limit)))


def test_a_spread_needs_two_ends_that_differ() -> None:
    assert spread_of({"low": 1.0, "high": 3.0}) == 1.0
    for interval in (
        None,
        {"low": None, "high": 1.0},
        {"low": 1.0, "high": 1.0},
        {"low": -1e308, "high": 1e308},
    ):
        assert spread_of(interval) is None
