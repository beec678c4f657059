"""The table: no faulty set of evidence passes, and each is called what it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hexgate.contract.artifact import write_artifact
from hexgate.contract.consistency import artifact_id_of
from hexgate.contract.schema import schema_mistakes
from hexgate.errors import ExitCode
from hexgate.gate.judge import judge
from hexgate.gate.reason_codes import ReasonCode as Code
from hexgate.gate.reasons import render
from hexgate.gate.verdict import GateVerdict, Verdict
from support.artifacts import COUNTS, INTERVALS, VALUES, artifact, content, interval
from support.gate import INDICATORS, NOW, RULES, hours_ago, loaded, policy, put, put_all

F1 = "accuracy_f1"
TOXIC = "toxicity"
Break = Callable[[Path], object]


def _raw(
    folder: Path, indicator: str, edit: Callable[[dict[str, Any]], object], *, sign: bool = True
) -> None:
    """Change a written artifact behind the writer's back; `sign` gives it a fitting id again."""
    path = folder / f"{indicator}.json"
    data = content(path)
    edit(data)
    if sign:
        data["artifact_id"] = artifact_id_of(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def _text(folder: Path, indicator: str, old: str, new: str) -> None:
    path = folder / f"{indicator}.json"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def _bytes(folder: Path, indicator: str, change: Callable[[bytes], bytes]) -> None:
    path = folder / f"{indicator}.json"
    path.write_bytes(change(path.read_bytes()))


def _again(indicator: str, **changes: Any) -> Break:
    return lambda folder: put(folder, indicator, **changes)


def _counts(requested: int, errored: int = 0, skipped: int = 0) -> dict[str, int]:
    succeeded = requested - errored - skipped
    return {"requested": requested, "succeeded": succeeded, "errored": errored, "skipped": skipped}


def _toxic(scored: int, errored: int = 0, toxic: int = 0, **interval_keys: Any) -> dict[str, Any]:
    bounds = {"low": 0.0, "high": 0.03, "lower_bound": 0.0, "upper_bound": 0.02}
    return {
        "counts": _counts(scored + errored, errored),
        "total_samples": scored + errored,
        "scored_samples": scored,
        "unscored_samples": errored,
        "unscored_ratio": errored / (scored + errored),
        "toxic_count": toxic,
        "toxic_ratio": toxic / scored,
        "intervals": {
            "toxic_ratio": interval(0.0, 0.03, family="binomial", n=scored) | bounds | interval_keys
        },
    }


def _other_subject(**keys: Any) -> dict[str, Any]:
    return artifact(F1)["subject"] | keys


def _other_data(**keys: Any) -> dict[str, Any]:
    return artifact(F1)["dataset"] | keys


def _remove(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        path.unlink()


def _stopped(status: str, **keys: Any) -> Break:
    return _again(F1, status=status, invalid_reasons=["stopped by the user"], **keys)


def _failed(folder: Path) -> None:
    names = ("precision", "recall", "f1", "exact_match", "f1_parsed", "unparsed_ratio")
    nothing = dict.fromkeys(names) | {"samples": 0, "correct": 0}
    put(
        folder,
        F1,
        **nothing,
        counts=_counts(0),
        intervals={},
        missing=dict.fromkeys(names, "the model file could not be opened"),
        status="failed",
        invalid_reasons=["the model file could not be opened"],
    )


def _utf16_beside(folder: Path) -> None:
    shutil.copy(folder / "accuracy_f1.json", folder / "old.json")
    _bytes(folder, "old", lambda data: data.decode().encode("utf-16"))


def _two_ids(folder: Path) -> None:
    put(folder, F1, name="accuracy_f1-second", run_id="20261121T021952Z-0a1b2c3d")


def _swap_evidence(folder: Path) -> None:
    (folder / "accuracy_f1.samples.jsonl").write_text('{"id":"of another run"}\n', encoding="utf-8")


NO_VALUE = {
    "f1": None,
    "f1_parsed": None,
    "intervals": {},
    "missing": {"f1": "no class has a defined score", "f1_parsed": "no class has a defined score"},
}

REFUSED = (Verdict.INVALID, 4, Code.UNREADABLE)
WORSE = {"f1": 0.5, "intervals": {"f1": interval(0.45, 0.55)}}
SLOW = {
    key: VALUES["latency_p99"][key] * 1000
    for key in ("p50_ms", "p90_ms", "p95_ms", "p99_ms", "mean_ms", "max_ms", "min_ms")
} | {"intervals": {"p99_ms": interval(4000.0, 7000.0, family="order_statistic", n=1000)}}


def invalid(code: Code) -> tuple[Verdict, int, Code]:
    return Verdict.INVALID, 4, code


def _f1(instead: str) -> Break:
    return lambda folder: _text(folder, F1, '"f1": 0.905', instead)


def _whole(change: Callable[[bytes], bytes]) -> Break:
    return lambda folder: _bytes(folder, F1, change)


def _with(name: str, /, **keys: Any) -> Break:
    return lambda folder: _raw(folder, name, lambda data: data.update(keys))


def _beside(name: str, text: str) -> Break:
    return lambda folder: (folder / name).write_text(text, encoding="utf-8")


def _interval(**keys: Any) -> Break:
    return _again(F1, intervals={"f1": INTERVALS[F1]["f1"] | keys})


def _subject(**keys: Any) -> Break:
    return _again(F1, subject=_other_subject(**keys))


def _worse_and_missing(folder: Path) -> None:
    put(folder, F1, **WORSE)
    (folder / "toxicity.json").unlink()


OPEN = (Verdict.INCONCLUSIVE, 3, Code.UNDECIDED_AT_MOST)
DOUBT = {"toxic_ratio": "the detector is not validated"}


# (name, how the set is broken, verdict of the gate, exit code, a reason that must be given)
FAULTS: list[tuple[str, Break, Verdict, int, Code]] = [
    # Nothing there.
    ("no folder", shutil.rmtree, *invalid(Code.FOLDER_UNREADABLE)),
    ("empty folder", lambda f: _remove(f, "*"), Verdict.MISSING, 4, Code.NO_ARTIFACT),
    ("one artifact missing", lambda f: _remove(f, "toxicity.json"), Verdict.MISSING, 4, Code.NO_ARTIFACT),
    ("all but one missing", lambda f: _remove(f, "[!a]*.json"), Verdict.MISSING, 4, Code.NO_ARTIFACT),
    # Not strict JSON.
    ("empty file", _whole(lambda _: b""), *REFUSED),
    ("truncated", _whole(lambda b: b[: len(b) // 2]), *REFUSED),
    ("NaN token", _f1('"f1": NaN'), *REFUSED),
    ("Infinity", _f1('"f1": Infinity'), *REFUSED),
    ("overflow", _f1('"f1": 1e999'), *REFUSED),
    ("UTF-16", _whole(lambda b: b.decode().encode("utf-16")), *REFUSED),
    ("UTF-16 under another name", _utf16_beside, *REFUSED),
    ("BOM", _whole(lambda b: b"\xef\xbb\xbf" + b), *REFUSED),
    ("key twice", _f1('"f1": 0.1, "f1": 0.9'), *REFUSED),
    ("not an object", _whole(lambda _: b"[0.99]"), *REFUSED),
    # Not the contract.
    ("value as text", _with(F1, f1="0.9"), *REFUSED),
    ("value true", _with(F1, f1=True), *REFUSED),
    ("percent", _with(F1, f1=90.5), *REFUSED),
    ("no value", lambda f: _raw(f, F1, lambda d: d.pop("f1")), *REFUSED),
    ("no counts", lambda f: _raw(f, F1, lambda d: d.pop("counts")), *REFUSED),
    ("unknown key", _with(F1, ok=True), *REFUSED),
    ("newer major", _with(F1, schema="hexgate/accuracy_f1/2.0"), *REFUSED),
    ("older major", _with(F1, schema="hexgate/accuracy_f1/0.9"), *REFUSED),
    ("no schema", lambda f: _raw(f, F1, lambda d: d.pop("schema")), *REFUSED),
    ("another tool's file", _whole(lambda _: b'{"results": {"f1": 0.99}}'), *REFUSED),
    ("unknown indicator beside", _beside("x.json", '{"schema":"hexgate/fairness/1.0"}'), *REFUSED),
    ("unreadable second file", _beside("old.json", '{"schema": "hexgate/accuracy_f1/1.0", '), *REFUSED),
    ("under a wrong name", _with(F1, indicator=TOXIC), *REFUSED),
    # Does not add up.
    ("edited value", lambda f: _raw(f, F1, lambda d: d.update(f1=0.92), sign=False), *REFUSED),
    ("rounded value", _with(TOXIC, toxic_count=3), *REFUSED),
    ("counts do not add up", lambda f: _raw(f, F1, lambda d: d["counts"].update(requested=800)), *REFUSED),
    ("samples not succeeded", _with(F1, samples=800), *REFUSED),
    ("null without reason", _with(F1, f1=None, intervals={}), *REFUSED),
    (
        "interval beside value",
        lambda f: _raw(f, F1, lambda d: d["intervals"]["f1"].update(lower_bound=0.95)),
        *REFUSED,
    ),
    (
        "interval of nothing",
        lambda f: _raw(f, F1, lambda d: d["intervals"].update(f9=d["intervals"]["f1"])),
        *REFUSED,
    ),
    ("complete with reasons", _with(F1, invalid_reasons=["starved"]), *REFUSED),
    # Ended badly.
    ("partial", _stopped("partial"), *invalid(Code.STATUS)),
    ("invalid", _stopped("invalid"), *invalid(Code.STATUS)),
    ("failed", _failed, *invalid(Code.STATUS)),
    ("value null", _again(F1, **NO_VALUE), *invalid(Code.VALUE_MISSING)),
    ("errored samples", _again(F1, counts=_counts(720, 1)), *invalid(Code.ERROR_BUDGET)),
    ("unscored replies", _again(TOXIC, **_toxic(1500, 100)), *invalid(Code.ERROR_BUDGET)),
    ("skipped samples", _again(F1, counts=_counts(1000, 0, 281)), *invalid(Code.SKIPPED)),
    # Not of now, not of here, not of this.
    ("stale", _again(F1, created_at=hours_ago(168.1)), *invalid(Code.STALE)),
    ("from the future", _again(F1, created_at=hours_ago(-0.1)), *invalid(Code.FROM_THE_FUTURE)),
    ("no such day", _again(F1, created_at="2026-02-31T00:00:00Z"), *invalid(Code.BAD_TIME)),
    ("limit used", _again(F1, dataset=_other_data(limit=10)), *invalid(Code.LIMIT_USED)),
    ("trust too low", _again(F1, trust="imported-asserted"), *invalid(Code.TRUST_TOO_LOW)),
    ("recomputed by us", _again(F1, trust="imported-recomputed"), *invalid(Code.TRUST_TOO_LOW)),
    ("other weights", _subject(sha256="d" * 64), *invalid(Code.SUBJECTS_DIFFER)),
    ("other name", _subject(sha256=None, name="mnist"), *invalid(Code.SUBJECTS_DIFFER)),
    ("other revision", _subject(sha256=None, revision="2"), *invalid(Code.SUBJECTS_DIFFER)),
    (
        "other data, same name",
        _again(F1, dataset=_other_data(sha256="d" * 64)),
        *invalid(Code.DATASETS_DIFFER),
    ),
    # Duplicates.
    ("two of one indicator", _two_ids, *invalid(Code.DUPLICATE)),
    (
        "the same one twice",
        lambda f: shutil.copy(f / "toxicity.json", f / "copy.json"),
        *invalid(Code.DUPLICATE_IDENTICAL),
    ),
    # Evidence files.
    ("evidence missing", lambda f: _remove(f, "accuracy_f1.samples.jsonl"), *invalid(Code.EVIDENCE_ABSENT)),
    ("evidence edited", _swap_evidence, *invalid(Code.EVIDENCE_CHANGED)),
    (
        "evidence emptied",
        lambda f: (f / "toxicity.replies.jsonl").write_bytes(b""),
        *invalid(Code.EVIDENCE_CHANGED),
    ),
    (
        "no evidence named",
        lambda f: write_artifact(f / "accuracy_f1.json", artifact(F1)),
        *invalid(Code.NO_EVIDENCE),
    ),
    # Not good enough.
    ("no interval", _again(F1, intervals={}), *invalid(Code.NO_INTERVAL)),
    ("level too low", _interval(level=0.9), *invalid(Code.LEVEL_TOO_LOW)),
    ("n beyond the counts", _interval(n=100_000), *invalid(Code.N_BEYOND_COUNTS)),
    ("too few n", _again(TOXIC, **_toxic(200)), Verdict.INCONCLUSIVE, 3, Code.MORE_NEEDED),
    (
        "no upper bound",
        _again(TOXIC, **_toxic(200, high=None, upper_bound=None)),
        *OPEN,
    ),
    (
        "uncertified",
        _again(TOXIC, cannot_certify=DOUBT),
        Verdict.INCONCLUSIVE,
        3,
        Code.UNCERTIFIED,
    ),
    (
        "just above the limit",
        _again(TOXIC, **_toxic(1000, upper_bound=0.005000000001)),
        *OPEN,
    ),
    # Worse than the limit.
    ("worse", _again(F1, **WORSE), Verdict.FAIL, 1, Code.MISSED_AT_LEAST),
    ("worse, and one missing", _worse_and_missing, Verdict.FAIL, 1, Code.MISSED_AT_LEAST),
    ("slow", _again("latency_p99", **SLOW), Verdict.FAIL, 1, Code.MISSED_AT_MOST),
]


def _all_reasons(said: GateVerdict) -> set[Code]:
    reasons = [*said.problems, *said.notes]
    for one in (*said.rules, *said.requirements):
        reasons += one.reasons
    for reason in reasons:
        assert render(reason, "en")
        assert render(reason, "zh")
    return {reason.code for reason in reasons}


def test_the_sound_set_passes(tmp_path: Path) -> None:
    said = judge(policy(), loaded(put_all(tmp_path)), now=NOW)

    assert said.verdict is Verdict.PASS
    assert said.exit_code is ExitCode.OK
    assert [rule.verdict for rule in said.rules] == [Verdict.PASS] * len(RULES)
    assert schema_mistakes("verdict", said.to_json()) == []


def test_the_table_is_long_enough() -> None:
    assert len(FAULTS) >= 60
    assert len({name for name, *_ in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize(
    ("broken", "verdict", "code", "reason"), [case[1:] for case in FAULTS], ids=[case[0] for case in FAULTS]
)
def test_no_faulty_set_passes(
    tmp_path: Path, broken: Break, verdict: Verdict, code: int, reason: Code
) -> None:
    folder = put_all(tmp_path / "out")
    broken(folder)

    said = judge(policy(), loaded(folder), now=NOW)

    assert (said.verdict, int(said.exit_code)) == (verdict, code)
    assert reason in _all_reasons(said)
    assert schema_mistakes("verdict", said.to_json()) == []


PINS: list[tuple[str, dict[str, Any]]] = [
    ("weights", {"subject_sha256": "e" * 64}),
    ("name", {"subject_name": "resnet"}),
    ("data", {"datasets": {F1: "e" * 64}}),
    ("machine", {"host_class": "H200"}),
]


@pytest.mark.parametrize("pins", [pins for _, pins in PINS], ids=[name for name, _ in PINS])
def test_what_is_not_what_was_expected_is_invalid(tmp_path: Path, pins: dict[str, Any]) -> None:
    said = judge(policy(expect=pins), loaded(put_all(tmp_path)), now=NOW)

    assert (said.verdict, said.exit_code) == (Verdict.INVALID, ExitCode.EVIDENCE)
    assert Code.PIN_DIFFERS in _all_reasons(said)


def test_what_is_pinned_has_to_be_stated(tmp_path: Path) -> None:
    folder = put_all(tmp_path, subject=_other_subject(sha256=None))

    said = judge(policy(expect={"subject_sha256": "a" * 64}), loaded(folder), now=NOW)

    assert said.verdict is Verdict.INVALID
    assert "not stated" in render(said.rules[0].reasons[0])


def test_fitting_pins_pass(tmp_path: Path) -> None:
    pins = {"subject_sha256": "a" * 64, "subject_name": "digits", "host_class": "test"}

    said = judge(policy(expect=pins | {"datasets": {F1: "b" * 64}}), loaded(put_all(tmp_path)), now=NOW)

    assert said.verdict is Verdict.PASS


def test_a_required_indicator_without_a_rule_has_to_be_there_and_sound(tmp_path: Path) -> None:
    rules = policy(RULES[0], required=[TOXIC])
    folder = put_all(tmp_path)

    assert judge(rules, loaded(folder), now=NOW).verdict is Verdict.PASS
    put(folder, TOXIC, status="partial", invalid_reasons=["stopped"])
    assert judge(rules, loaded(folder), now=NOW).verdict is Verdict.INVALID
    (folder / "toxicity.json").write_text("{}", encoding="utf-8")
    assert judge(rules, loaded(folder), now=NOW).verdict is Verdict.INVALID
    (folder / "toxicity.json").unlink()
    said = judge(rules, loaded(folder), now=NOW)
    assert said.verdict is Verdict.MISSING
    assert schema_mistakes("verdict", said.to_json()) == []


def test_a_required_indicator_that_measured_nothing_is_no_evidence(tmp_path: Path) -> None:
    folder = put_all(tmp_path)
    unmeasured = {
        "energy_per_request_j": None,
        "measurement": "not_measured",
        "intervals": {},
        "missing": artifact("power_efficiency")["missing"]
        | {"energy_per_request_j": "no power meter can be read"},
    }
    put(folder, "power_efficiency", **unmeasured)

    said = judge(policy(RULES[0], required=["power_efficiency"]), loaded(folder), now=NOW)

    assert said.verdict is Verdict.INVALID
    assert [reason.code for reason in said.requirements[0].reasons] == [Code.VALUE_MISSING]


def test_warnings_and_tracked_rules_never_decide(tmp_path: Path) -> None:
    rules = [
        RULES[0],
        *(dict(rule, tier=tier) for rule, tier in zip(RULES[1:], ["warn", "track"] * 3, strict=False)),
    ]
    folder = put_all(tmp_path)
    for path in folder.glob("[!a]*.json"):
        path.unlink()

    said = judge(policy(*rules), loaded(folder), now=NOW)

    assert said.verdict is Verdict.PASS
    assert [rule.verdict for rule in said.rules[1:]] == [Verdict.MISSING] * 5
    assert said.unused_rules == tuple(rule.rule.id for rule in said.rules[1:])
    assert schema_mistakes("verdict", said.to_json()) == []


def test_drift_in_either_direction_is_shown(tmp_path: Path) -> None:
    folder = put_all(tmp_path)

    said = judge(policy(RULES[0]), loaded(folder), now=NOW)

    assert [Path(path).stem for path in said.unused_artifacts] == sorted(set(INDICATORS) - {F1})


def test_files_that_are_not_ours_are_listed_and_block_nothing(tmp_path: Path) -> None:
    folder = put_all(tmp_path)
    (folder / "package.json").write_text('{"name": "x"}', encoding="utf-8")
    (folder / "verdict.json").write_text('{"schema": "hexgate/verdict/1.0"}', encoding="utf-8")
    (folder / "plan.evidence.json").write_text("{}", encoding="utf-8")

    said = judge(policy(), loaded(folder), now=NOW)

    assert said.verdict is Verdict.PASS
    assert [n.params["path"] for n in said.notes if n.code is Code.FOREIGN_FILE] == [
        str(folder / "package.json")
    ]


def test_one_folder_named_twice_is_read_once(tmp_path: Path) -> None:
    from hexgate.gate.evidence import load_evidence

    folder = put_all(tmp_path / "out")

    assert len(load_evidence([folder, folder, folder / ".." / "out"]).exhibits) == len(INDICATORS)


def test_parts_of_a_set_may_lie_in_several_folders(tmp_path: Path) -> None:
    from hexgate.gate.evidence import load_evidence

    for indicator in INDICATORS:
        put(tmp_path / indicator, indicator)

    evidence = load_evidence([tmp_path / indicator for indicator in INDICATORS])

    assert judge(policy(), evidence, now=NOW).verdict is Verdict.PASS


def test_counts_of_the_factory_are_the_ones_that_the_table_breaks() -> None:
    assert COUNTS[F1]["requested"] == VALUES[F1]["samples"] == 719
