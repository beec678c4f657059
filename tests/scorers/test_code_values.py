from __future__ import annotations

import json
import math
from collections import Counter, OrderedDict, namedtuple
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.scorers.code_values import decode, encode, plain

SIMPLE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**62, max_value=2**70)
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary()
    | st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 9))
)
KEYS = st.recursive(SIMPLE, lambda inner: st.tuples(inner) | st.frozensets(inner, max_size=3), max_leaves=4)
VALUES = st.recursive(
    SIMPLE | st.sets(KEYS, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.tuples(inner, inner)
        | st.binary().map(bytearray)
    ),
    max_leaves=12,
)


def never(value):
    raise AssertionError(value)


def there_and_back(value):
    return decode(json.loads(json.dumps(encode(value, never))), never)


def kinds(value):
    """A value with the kinds of all its parts, so that 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return dict, [(kinds(key), kinds(part)) for key, part in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [kinds(part) for part in value]
    return type(value), value


@given(VALUES)
def test_plain_values_arrive_as_they_were(value):
    assert kinds(there_and_back(value)) == kinds(value)
    assert plain(value)


@pytest.mark.parametrize("value", [math.inf, -math.inf, -0.0, -(2**63), "\ud800", {(): {1: b"\0"}}])
def test_odd_ones_do_too(value):
    assert (
        repr(there_and_back(value)) == repr(value)
        if not isinstance(value, int)
        else there_and_back(value) == value
    )
    assert math.isnan(there_and_back(math.nan))


def test_a_number_of_more_digits_than_python_writes_does_too():
    assert there_and_back(10**5000) == 10**5000


def test_of_a_subclass_the_plain_value_arrives():
    class Colour(IntEnum):
        RED = 3

    class Liar(list):
        def __eq__(self, other):
            return True

        __hash__ = None

    point = namedtuple("point", "x y")
    assert kinds(there_and_back([Colour.RED, point(1, 2), Counter("aa"), OrderedDict(b=1)])) == kinds(
        [3, (1, 2), {"a": 2}, {"b": 1}]
    )
    assert there_and_back(Liar([1])) != [2]


def test_what_cannot_travel_is_held():
    held = []

    def hold(value):
        held.append(value)
        return len(held) - 1

    mark = object()
    assert encode([mark, len], hold) == [{"held": 0}, {"held": 1}]
    assert decode({"tuple": [{"held": 1}, {"held": 0}]}, held.__getitem__) == (len, mark)
    assert not plain([mark])
    loop = []
    loop.append(loop)
    assert not plain(loop)
    with pytest.raises(RecursionError):
        encode(loop, never)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"tuple": [], "set": []},
        {"object": 1},
        {"tuple": "ab"},
        {"set": [[1]]},
        {"int": 7},
        {"int": "x"},
        {"dict": [[1]]},
        {"dict": [[[1], 2]]},
        {"dict": 3},
        {"bytes": "0"},
        {"bytes": None},
        {"complex": ["x", 1]},
        {"range": [1, 2, 0]},
        {"held": True},
        {"held": "0"},
        {"held": [0]},
    ],
)
def test_what_is_no_value_is_refused(data):
    with pytest.raises((ValueError, TypeError)):
        decode(data, never)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["tuple", "set", "frozenset", "dict", "int", "bytes", "complex", "range", "held", "x"]
            ),
            inner,
            max_size=2,
        )
    ),
    max_leaves=8,
)
PLAIN = (
    type(None),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    bytearray,
    list,
    tuple,
    dict,
    set,
    frozenset,
    range,
)


@given(JSON)
def test_whatever_is_sent_only_plain_values_come_of_it(data):
    try:
        value = decode(data, lambda number: number)
    except (ValueError, TypeError, OverflowError):
        return
    assert type(value) in PLAIN
