from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from hexgate.contract.schema import schema_mistakes
from hexgate.errors import ExitCode
from hexgate.gate.judge import judge
from hexgate.gate.reason_codes import ReasonCode as Code
from hexgate.gate.verdict import GateVerdict, Verdict
from support.artifacts import interval
from support.gate import NOW, RULES, loaded, policy, put, put_all

TODAY = NOW.date().isoformat()


def waiver(**keys: Any) -> dict[str, Any]:
    return {"rule": "accuracy_f1.f1", "owner": "li", "reason": "known", "expires": TODAY} | keys


def said_of(folder: Path, *rules: Any, now: datetime = NOW, **keys: Any) -> GateVerdict:
    said = judge(policy(*rules, waivers=[waiver(**keys)]), loaded(folder), now=now)
    assert schema_mistakes("verdict", said.to_json()) == []
    return said


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    folder = put_all(tmp_path)
    put(folder, "accuracy_f1", f1=0.5, intervals={"f1": interval(0.45, 0.55)})
    return folder


def test_a_waiver_keeps_a_verdict_from_blocking_and_changes_nothing_else(failing: Path) -> None:
    said = said_of(failing)

    assert said.verdict is Verdict.PASS
    assert said.rules[0].verdict is Verdict.FAIL
    assert said.rules[0].waived_by is not None
    assert said.rules[0].reasons[-1].code is Code.WAIVED
    assert said.to_json()["rules"][0]["waived"]["owner"] == "li"


def test_a_waiver_holds_to_the_end_of_its_last_day(failing: Path) -> None:
    last = datetime(NOW.year, NOW.month, NOW.day, 23, 59, 59, tzinfo=timezone.utc)

    assert said_of(failing, now=last).verdict is Verdict.PASS
    after = said_of(failing, now=last + timedelta(seconds=1))
    assert (after.verdict, after.exit_code) == (Verdict.FAIL, ExitCode.FAILED)
    assert Code.WAIVER_EXPIRED in {note.code for note in after.notes}


def test_absent_and_unsound_evidence_has_to_be_named(failing: Path) -> None:
    (failing / "accuracy_f1.json").unlink()

    said = said_of(failing)
    assert said.verdict is Verdict.MISSING
    assert Code.WAIVER_OTHER_VERDICT in {note.code for note in said.notes}
    assert said_of(failing, verdicts=["MISSING"]).verdict is Verdict.PASS


def test_a_gate_whose_every_rule_is_waived_for_want_of_evidence_does_not_pass(failing: Path) -> None:
    (failing / "accuracy_f1.json").unlink()

    said = said_of(failing, RULES[0], verdicts=["MISSING"])

    assert (said.verdict, said.exit_code) == (Verdict.INVALID, ExitCode.EVIDENCE)
    assert [problem.code for problem in said.problems] == [Code.NOTHING_JUDGED]


def test_a_waiver_that_is_not_needed_is_told_of(tmp_path: Path) -> None:
    said = said_of(put_all(tmp_path))

    assert said.verdict is Verdict.PASS
    assert said.rules[0].waived_by is None
    assert Code.WAIVER_UNUSED in {note.code for note in said.notes}


def test_a_waiver_does_not_excuse_a_broken_set(failing: Path) -> None:
    (failing / "x.json").write_text('{"schema": "hexgate/accuracy_f1/1.0"', encoding="utf-8")

    assert said_of(failing, verdicts=["INVALID", "FAIL"]).verdict is Verdict.INVALID
