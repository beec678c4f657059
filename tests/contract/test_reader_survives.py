"""Whatever bytes stand where an artifact should: they are accepted, or refused with one clear error."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hexgate.contract.artifact import read_artifact
from hexgate.contract.consistency import artifact_id_of
from hexgate.errors import EvidenceError
from hexgate.indicators import INDICATORS
from support.artifacts import artifact, content, written

MANY = settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

hostile = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([-1, -0.0, 1e308, 2**63, 1e-320, "", "0.9", "NaN", [], {}, [[]], {"a": {}}, "x" * 5000]),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)


def read_or_refuse(path: Path) -> bool:
    """Whether it was accepted; anything but an `EvidenceError` that names the file fails the test."""
    try:
        read_artifact(path)
    except EvidenceError as error:
        said = str(error)
        assert str(path) in said
        assert "$" in said
        assert said.count("\n") <= 25
        return False
    return True


def paths_of(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [here] if here else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += paths_of(inner, (*here, key))
    return found


def change(data: Any, path: tuple[Any, ...], action: str, value: Any) -> None:
    *way, last = path
    for key in way:
        data = data[key]
    if action == "delete":
        del data[last]
    elif action == "add" and isinstance(data, dict):
        data[f"{last}_too"] = value
    else:
        data[last] = value


@given(
    indicator=st.sampled_from(sorted(INDICATORS)),
    edits=st.lists(
        st.tuples(st.integers(0, 10_000), st.sampled_from(["set", "delete", "add"]), hostile),
        min_size=1,
        max_size=3,
    ),
    with_new_id=st.booleans(),
)
@MANY
def test_any_change_of_the_values(
    tmp_path: Path, indicator: str, edits: list[tuple[int, str, Any]], with_new_id: bool
) -> None:
    data = json.loads(json.dumps(artifact(indicator)))
    data["artifact_id"] = artifact_id_of(data)
    before = json.dumps(data)
    for place, action, value in edits:
        places = paths_of(data)
        # A copy: a later edit may go into what this one put in, and the value is used again.
        change(data, places[place % len(places)], action, deepcopy(value))
    if with_new_id and "artifact_id" in data:
        data["artifact_id"] = artifact_id_of(data)
    path = tmp_path / "mutated.json"
    path.write_text(json.dumps(data), encoding="utf-8")

    accepted = read_or_refuse(path)

    # Without a new id, an artifact that says anything else than it did is never accepted.
    if accepted and not with_new_id:
        assert json.loads(before) == data


@given(data=st.data())
@MANY
def test_any_change_of_the_bytes(tmp_path: Path, data: st.DataObject) -> None:
    path = written(tmp_path)
    good = path.read_bytes()
    action = data.draw(st.sampled_from(["truncate", "flip", "insert", "repeat"]))
    at = data.draw(st.integers(0, len(good) - 1))
    piece = data.draw(st.binary(min_size=1, max_size=8))
    bad = {
        "truncate": good[:at],
        "flip": good[:at] + piece + good[at + len(piece) :],
        "insert": good[:at] + piece + good[at:],
        "repeat": good + good[at:],
    }[action]
    path.write_bytes(bad)

    if read_or_refuse(path):
        assert content(path) == json.loads(good)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"", "line 1"),
        (b"null", "JSON object"),
        (b"[]", "JSON object"),
        (b"{}", "$.schema"),
        (b'{"schema": 1}', "$.schema"),
        (b'{"schema": "hexgate/accuracy_f1/99999999999999999999.1"}', "another major version"),
        (b'{"schema": "hexgate/accuracy/1.0"}', "not an artifact"),
        (b"\xff\xfe{\x00}\x00", "UTF-8"),
        ('{"名": "值"}'.encode("gbk"), "UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"[" * 100_000, "nested deeper"),
        (b'{"a":' * 100_000, "nested deeper"),
        (b'{"f1": NaN}', "NaN"),
        (b'{"f1": -Infinity}', "Infinity"),
        (b'{"f1": 1e999}', "beyond the range"),
        (b'{"f1": ' + b"9" * 5000 + b"}", "64 bits"),
        (b'{"f1": 0.1, "f1": 0.9}', "twice"),
        (b'{"f1": 0.1} {"f1": 0.9}', "Extra data"),
        (b'{"f1": "\xed\xa0\x80"}', "UTF-8"),
        (b"\x00" * 64, "line 1"),
        (b'{"f1": "\\ud800"}', "surrogate"),
        (b'{"\\uDFFF": 1}', "surrogate"),
    ],
)
def test_bytes_that_are_no_artifact(tmp_path: Path, bad: bytes, said: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(bad)
    with pytest.raises(EvidenceError) as raised:
        read_artifact(path)
    assert said in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_folder_and_nothing_at_all(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.json"):
        with pytest.raises(EvidenceError, match="cannot be read"):
            read_artifact(path)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e400", "nan", "null"])
@pytest.mark.parametrize("key", ["f1", "precision", "samples", "exact_match"])
def test_a_number_that_is_none_is_refused(tmp_path: Path, key: str, token: str) -> None:
    path = written(tmp_path)
    data = content(path)
    text = path.read_text("utf-8").replace(f'"{key}": {json.dumps(data[key])}', f'"{key}": {token}')
    path.write_text(text, encoding="utf-8")
    assert not read_or_refuse(path)
