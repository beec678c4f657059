"""What `hexgate load` says in Chinese: its own refusals, and the words of click around them."""

from __future__ import annotations

import re

import pytest

from hexgate.cli.click_zh import speak_chinese
from hexgate.cli.errors_zh import ERRORS, error_in_chinese
from hexgate.cli.meter_zh import METER_ERRORS
from hexgate.cli.quality_zh import QUALITY_ERRORS
from hexgate.cli.studies.zh import STUDY_ERRORS
from support.twins import check_twin, without_twin


@pytest.mark.parametrize(
    "name",
    [
        "hexgate.cli.load",
        "hexgate.cli.load_options",
        "hexgate.load.measures.slo",
        "hexgate.load.plans.pacers",
        "hexgate.load.plans.plan",
        "hexgate.load.plans.trace",
        "hexgate.load.plans.trace_lengths",
        "hexgate.load.start",
        "hexgate.load.plans.shard",
        "hexgate.load.work_folder",
        "hexgate.cli.meter",
        "hexgate.cli.meter_flags",
        "hexgate.meters.imported",
        "hexgate.meters.imported_clock",
        "hexgate.meters.imported_rows",
    ],
)
def test_every_refusal_of_a_load_has_a_twin(name: str) -> None:
    assert without_twin(name) == []


@pytest.mark.parametrize(("english", "twin"), [*ERRORS, *METER_ERRORS, *QUALITY_ERRORS, *STUDY_ERRORS])
def test_a_twin_names_no_gap_that_its_message_lacks(english: str, twin: str) -> None:
    check_twin(english, twin)


@pytest.mark.parametrize("status", [0, 400, 401, 403, 404, 422, 429])
def test_what_to_check_has_a_twin(status: int) -> None:
    from hexgate.indicators import load_unanswered

    hint = load_unanswered._CHECKS.get(status, "look at the server's log")
    assert not re.search(
        r"[a-z]{3} [a-z]{3}", error_in_chinese(f"{hint}; every reply is kept in load.replies.jsonl")
    )


def test_reasons_that_are_joined_are_told_one_by_one() -> None:
    joined = (
        "in 7 of 8 seconds worker 0 used 0.9 of a core or more while up to 12 bytes lay unread in a socket; 0.1 of the "
        "seconds is the most; give the client more cores and workers, or ask for a lower rate; no request succeeded; "
        "what nobody knows; and this"
    )
    shown = error_in_chinese(joined)
    assert shown.endswith("；没有请求成功；what nobody knows；and this")
    assert error_in_chinese("what nobody knows; and this") == "what nobody knows; and this"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rate", "x"], ["用法：", "查看帮助", "错误：", "取值无效"]),
        (["--bogus"], ["没有选项"]),
        (["--rate", "5", "--concurrency", "2"], ["不能同时使用", "只给其中一个"]),
        (["--rate", "5", "--slo", "foo<=3"], ["没有 'foo' 这个量", "以下之一"]),
        (["--ramp", "1:2"], ["不是斜坡"]),
    ],
)
def test_the_command_refuses_in_chinese(
    arguments: list[str],
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import gettext

    from hexgate.cli import main

    monkeypatch.setenv("HEXGATE_LANG", "en")
    monkeypatch.setattr(gettext, "dgettext", gettext.dgettext)
    monkeypatch.setattr(gettext, "dngettext", gettext.dngettext)
    with pytest.raises(SystemExit) as ended:
        main(["--lang", "zh", "load", "demo:", *arguments])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    for word in words:
        assert word in said


def test_words_of_others_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    import gettext

    monkeypatch.setattr(gettext, "dgettext", gettext.dgettext)
    monkeypatch.setattr(gettext, "dngettext", gettext.dngettext)
    speak_chinese()
    assert gettext.gettext("Usage:") == "用法："
    assert gettext.gettext("what click never says") == "what click never says"
    assert gettext.ngettext("one thing", "several things", 2) == "several things"
