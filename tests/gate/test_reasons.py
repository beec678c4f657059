from __future__ import annotations

import re
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.gate.reason_codes import ReasonCode
from hexgate.gate.reasons import Reason, render
from hexgate.gate.words_en import ENGLISH
from hexgate.gate.words_zh import CHINESE


def named(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def test_both_languages_have_a_sentence_for_every_reason() -> None:
    assert set(ENGLISH) == set(CHINESE) == set(ReasonCode)


@pytest.mark.parametrize("code", list(ReasonCode))
def test_both_languages_name_the_same_facts(code: ReasonCode) -> None:
    assert named(ENGLISH[code]) == named(CHINESE[code])
    assert not ENGLISH[code].endswith((".", "!"))
    assert "!" not in ENGLISH[code]
    assert "！" not in CHINESE[code]
    if (
        any(letter.isalpha() for letter in "".join(ENGLISH[code].split("}")))
        and code is not ReasonCode.UNREADABLE
    ):
        assert any("\u4e00" <= letter <= "\u9fff" for letter in CHINESE[code])


@pytest.mark.parametrize("code", list(ReasonCode))
def test_every_sentence_can_be_said(code: ReasonCode) -> None:
    params = {
        name: 0.25 if name in {"confidence", "level", "chance"} else "x" for name in named(ENGLISH[code])
    }
    reason = Reason(code, params)

    assert "{" not in render(reason, "en") + render(reason, "zh")
    assert reason.to_json()["text"] == render(reason)


def test_numbers_that_differ_do_not_look_alike() -> None:
    reason = Reason(
        ReasonCode.POINT_MISSED,
        {
            "measure": "toxicity.toxic_ratio",
            "value": 0.0050000004,
            "limit": 0.005,
            "unit": "ratio",
            "n": 12000,
        },
    )

    assert "0.0050000004" in render(reason)
    assert "limit 0.005 " in render(reason)
    assert "n = 12\u202f000" in render(reason)


def test_units_are_said_where_there_are_any() -> None:
    params = {"measure": "latency_p99.p99_ms", "value": 312.5, "limit": 300, "unit": "ms", "n": 1000}

    assert "measured 312.5 ms, which breaks the limit 300 ms" in render(
        Reason(ReasonCode.POINT_MISSED, params)
    )


def test_numbers_are_written_as_in_the_report() -> None:
    params = {
        "measure": "throughput_rps.rps",
        "bound": 36904.44,
        "value": 37441.3,
        "limit": 50,
        "unit": "rps",
        "n": 20,
        "confidence": 0.95,
    }
    reason = Reason(ReasonCode.MET_AT_LEAST, params)

    assert "the lower bound 36\u202f904 req/s keeps the limit of at least 50 req/s" in render(reason)
    assert "e+" not in render(reason)
    assert "单侧置信度 95%）" in render(reason, "zh")
    assert "37\u202f441 请求/s" in render(reason, "zh")


@given(st.floats(1e-9, 1e14), st.floats(1e-9, 1e14))
def test_two_numbers_never_look_alike(value: float, limit: float) -> None:
    said = render(
        Reason(ReasonCode.POINT_MISSED, {"measure": "m", "value": value, "limit": limit, "unit": "", "n": 1})
    )
    shown, kept = re.findall(r"measured ([^ ,]+), which breaks the limit ([^ ,]+) ", said)[0]
    assert (shown == kept) == (value == limit)


def test_another_language_is_refused() -> None:
    with pytest.raises(KeyError):
        render(Reason(ReasonCode.MORE_UNKNOWN), "fr")
