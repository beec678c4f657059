"""Shapes: what they parse from, and that the cumulative rate and its inverse are those of the rate."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate

from hexgate.errors import InputError
from hexgate.load.plans.pacers import (
    Segment,
    Shape,
    checked,
    cumulative,
    expected,
    inverse,
    length_s,
    parse_ramp,
    parse_stages,
    rate_at,
    warmup_rps,
)

RATES = st.one_of(st.just(0.0), st.floats(0.01, 1e6))
SHAPES = st.lists(
    st.one_of(
        st.builds(lambda rate, seconds: Segment(rate, rate, seconds), RATES, st.floats(0.1, 1e4)),
        st.builds(Segment, RATES, RATES, st.floats(0.1, 1e4)),
    ),
    min_size=1,
    max_size=6,
).map(tuple)


def test_stages() -> None:
    assert parse_stages("10:30, 100:60,0:5,0.5:2.5") == (
        Segment(10, 10, 30),
        Segment(100, 100, 60),
        Segment(0, 0, 5),
        Segment(0.5, 0.5, 2.5),
    )
    assert parse_stages("10..500:60,500:30") == (Segment(10, 500, 60), Segment(500, 500, 30))


def test_a_ramp() -> None:
    assert parse_ramp("10..500:120") == (Segment(10, 500, 120),)
    assert parse_ramp(" 5.5 .. 0 : 2 ") == (Segment(5.5, 0, 2),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "stage 1 is not one"),
        ("10:30,", "stage 2 is not one"),
        ("10", "stage 1 is not one"),
        (".5:30", "stage 1 is not one"),
        ("10:30:5", "stage 1 is not one"),
        ("-1:30", "stage 1 is not one"),
        ("1e3:30", "stage 1 is not one"),
        ("nan:30", "stage 1 is not one"),
        ("１0:30", "stage 1 is not one"),
        ("10:0", "length of a stage"),
        ("10:1000000", "length of a stage"),
        ("10000000:1", "rate is out of range"),
        ("0:5,0:6", "every stage is a pause"),
        ("1:900000,1:900000", "last too long"),
        (",".join(["1:1"] * 1001), "too many stages"),
    ],
)
def test_what_is_no_stages(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_stages(text)


@pytest.mark.parametrize("text", ["", "10:30", "10..:30", "10...20:30", "10..20", "10..20:30,5:1", "0..0:9"])
def test_what_is_no_ramp(text: str) -> None:
    with pytest.raises(InputError):
        parse_ramp(text)


def test_a_shape_of_nothing_is_refused() -> None:
    with pytest.raises(InputError):
        checked(())


def test_the_inverse_of_a_ramp_is_exact() -> None:
    ramp = parse_ramp("10..500:120")
    arrivals = np.array([0.0, 1.0, 1234.5, 30_599.0, 30_600.0])
    assert expected(ramp) == 30_600
    # The root by a bisection in exact fractions.
    for y, got in zip(arrivals.tolist(), inverse(ramp, arrivals).tolist(), strict=True):
        low, high = Fraction(0), Fraction(120)
        for _ in range(80):
            middle = (low + high) / 2
            below = 10 * middle + Fraction(490, 240) * middle * middle < Fraction(y)
            low, high = (middle, high) if below else (low, middle)
        assert got == pytest.approx(float(low), rel=4e-16, abs=1e-20)


def test_a_ramp_from_zero_and_one_to_zero() -> None:
    up, down = parse_ramp("0..100:10"), parse_ramp("100..0:10")
    arrivals = np.linspace(0.0, 500.0, 11)
    assert inverse(up, arrivals) == pytest.approx(np.sqrt(arrivals / 5.0))
    assert inverse(down, arrivals) == pytest.approx(10.0 - np.sqrt((500.0 - arrivals) / 5.0))


def test_an_arrival_on_the_edge_of_a_pause_comes_after_it() -> None:
    # 0.1 * 3 is a little more than 0.3 in binary, and 0.7 * 0.1 a little less than 0.07.
    for rate in (0.1, 0.7, 10.0):
        shape = parse_stages(f"{rate}:{3 / rate},0:5,{rate}:{3 / rate}")
        assert inverse(shape, np.array([3.0]))[0] == pytest.approx(3 / rate + 5.0)
        assert inverse(shape, np.array([2.0]))[0] == pytest.approx(2 / rate)


@given(SHAPES, st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_cumulative_and_inverse_go_back_and_forth(shape: Shape, seed: int) -> None:
    assume(expected(shape) > 0.0)
    total = expected(shape)
    arrivals = np.sort(np.random.default_rng(seed).random(50)) * total
    at = inverse(shape, arrivals)
    assert (np.diff(at) >= 0.0).all()
    assert ((at >= 0.0) & (at <= length_s(shape))).all()
    # An instant is known to the spacing of doubles there, and so is what has arrived by it.
    slack = 2 * max(max(part.from_rps, part.to_rps) for part in shape) * float(np.spacing(length_s(shape)))
    assert cumulative(shape, at) == pytest.approx(arrivals, rel=1e-9, abs=1e-6 + slack)
    assert cumulative(shape, np.array([-1.0, 0.0])).tolist() == [0.0, 0.0]
    ends = cumulative(shape, np.array([length_s(shape), length_s(shape) + 9.0]))
    assert ends == pytest.approx([total, total], rel=1e-12, abs=1e-8 + slack)


def test_the_cumulative_rate_is_the_integral_of_the_rate() -> None:
    shape = parse_stages("10:3,10..50:4,0:2,50..5:3")
    for end in (1.0, 3.0, 5.5, 8.0, 10.5, 12.0):
        area, _ = integrate.quad(lambda t: rate_at(shape, t), 0.0, end, points=[3.0, 7.0, 9.0], limit=200)
        assert cumulative(shape, np.array([end]))[0] == pytest.approx(area, rel=1e-8)


def test_the_rate_at_an_instant() -> None:
    shape = parse_stages("10:3,10..50:4,0:2")
    assert [rate_at(shape, t) for t in (-0.1, 0.0, 2.9, 5.0, 7.0, 9.0, 20.0)] == [0, 10, 10, 30, 0, 0, 0]


@pytest.mark.parametrize(
    ("text", "rate"), [("10:3,50:4", 10.0), ("0:3,50:4", 50.0), ("10..50:4", 10.0), ("0..50:4", 25.0)]
)
def test_the_rate_of_a_warm_up(text: str, rate: float) -> None:
    assert warmup_rps(parse_stages(text)) == rate
