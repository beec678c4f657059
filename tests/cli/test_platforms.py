"""`hexgate platforms` as a person or a CI step calls it: outputs, exit codes, and what is left on the disk."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest

from hexgate.cli import main
from hexgate.contract.provenance import utc_now
from hexgate.platforms import PLATFORMS
from support.artifacts import RUN_ID
from support.command import Ended
from support.gate import INDICATORS
from support.lifecycle import demo_spec
from support.parts import publish_part


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def hexgate(*arguments: str, **env: str) -> Ended:
    own = {name: value for name, value in os.environ.items() if not name.startswith("HEXGATE_")}
    out, err = StringIO(), StringIO()
    given = {**own, "HEXGATE_LANG": "en", "COLUMNS": "120", **env}
    with (
        patch.dict(os.environ, given, clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main(list(arguments))
    assert isinstance(ended.value.code, int)
    return Ended(int(ended.value.code), out.getvalue(), err.getvalue())


def platforms(*arguments: str, **env: str) -> Ended:
    return hexgate("platforms", *arguments, **env)


def job(here: Path, program: str = "(out / 'x').touch()", **keys: object) -> str:
    whole = f"import sys, time, pathlib; out = pathlib.Path(sys.argv[1]); {program}"
    spec = demo_spec("file:store", **{"argv": [sys.executable, "-c", whole, "{out}"]} | keys).to_json()
    (here / "job.json").write_text(json.dumps(spec), encoding="utf-8")
    return "job.json"


def submitted(here: Path, *more: str, program: str = "(out / 'x').touch()") -> Ended:
    return platforms("submit", job(here, program), "--platform", "local", "--poll-s", "0.05", *more)


def test_the_list_names_every_platform() -> None:
    assert [line.split()[0] for line in platforms("list").out.splitlines()] == list(PLATFORMS)
    assert "阿里云" in platforms("list", HEXGATE_LANG="zh").out


def test_a_command_that_is_not_there_is_refused() -> None:
    done = platforms("colect")

    assert done.code == 2
    assert "did you mean collect?" in done.err


def test_a_spec_is_rendered_to_files_or_to_standard_output(here: Path) -> None:
    printed = platforms("render", job(here), "--platform", "local")
    written = platforms("render", "job.json", "--platform", "local", "--out", "native")

    assert (printed.code, written.code) == (0, 0)
    assert (here / "native" / "job.json").read_text("utf-8") == printed.out
    assert "HEXGATE_RUN_ID" not in printed.out


def test_validation_shows_the_layers_apart(here: Path) -> None:
    done = platforms("validate", job(here), "--platform", "local")

    assert done.code == 0
    assert [line.split()[:2] for line in done.out.splitlines()] == [
        ["spec", "ok"],
        ["vendor", "ok"],
        ["rules", "ok"],
        ["server", "not"],
    ]


def test_validation_with_mistakes_ends_with_2(here: Path) -> None:
    done = platforms("validate", job(here, retries={"max": 3}), "--platform", "local", "--json")

    assert done.code == 2
    layers = {layer["layer"]: layer for layer in json.loads(done.out)["layers"]}
    assert layers["rules"]["state"] == "mistakes"
    assert layers["rules"]["mistakes"][0]["path"] == "job.json: $.retries.max"
    assert layers["vendor"]["state"] == layers["server"]["state"] == "not_looked"


def test_a_native_file_is_validated_as_it_was_changed(here: Path) -> None:
    platforms("render", job(here), "--platform", "local", "--out", "native")
    assert platforms("validate", "native/job.json", "--platform", "local").code == 0
    path = here / "native" / "job.json"
    path.write_text(path.read_text("utf-8").replace('"timeout_s"', '"timeout"'), encoding="utf-8")

    done = platforms("validate", "native/job.json", "--platform", "local")

    assert done.code == 2
    assert "'timeout_s' is missing" in done.out


def test_a_job_from_submit_to_collected_in_one_command(here: Path) -> None:
    done = submitted(here, "--wait", "--collect", "got")

    assert done.code == 0, done.err
    address = done.out.strip()
    assert address.startswith("hexgate://local/")
    assert json.loads((here / "got" / "collected.json").read_text("utf-8"))["parts"][0]["state"] == "found"
    assert "next: hexgate gate got --policy FILE" in done.err
    status = platforms("status", address, "--json")
    assert status.code == 0
    assert json.loads(status.out)["state"] == "succeeded"
    assert json.loads(status.out)["run_id"] == address.rpartition("/")[2]


def test_a_job_that_fails_ends_with_5_and_is_collected_all_the_same(here: Path) -> None:
    done = submitted(here, "--wait", "--collect", "got", program="(out / 'x').touch(); sys.exit(4)")

    assert done.code == 5
    assert "main ended with exit code 4" in done.err
    assert (here / "got" / "main" / "x").is_file()
    assert platforms("status", done.out.strip()).code == 5


def test_a_job_that_leaves_no_part_is_no_success(here: Path) -> None:
    done = submitted(here, "--wait", "--collect", "got")
    shutil.rmtree(here / "store")
    (here / "store").mkdir()

    again = platforms("collect", done.out.strip(), "--out", "got2")

    assert again.code == 4
    assert "0 of 1 parts" in again.err
    assert hexgate("gate", "got2", "--policy", str(_policy(here))).code == 4


def test_a_wait_that_is_over_leaves_the_job_alone(here: Path) -> None:
    done = submitted(here, "--wait", "--timeout-s", "0.2", program="time.sleep(600)")
    address = done.out.strip()

    assert done.code == 5
    assert f"hexgate platforms status {address} --wait" in done.err
    assert platforms("status", address).out == "running\n"
    assert platforms("cancel", address).code == 0
    ended = platforms("status", address, "--wait", "--poll-s", "0.05")
    assert ended.code == 5
    assert "cancelled" in ended.out


def test_logs_go_to_standard_output(here: Path) -> None:
    done = submitted(here, "--wait", "--handle", "handle.json", program="print('measured well')")

    assert "measured well" in platforms("logs", "handle.json").out
    assert done.code == 0


def test_the_run_can_be_named_or_new(here: Path) -> None:
    first = submitted(here, "--run-id", RUN_ID, "--wait")
    second = submitted(here, "--run-id", "new", "--wait")
    third = submitted(here, "--run-id", "yesterday")

    assert first.out == f"hexgate://local/{RUN_ID}\n"
    assert second.out != first.out
    assert third.code == 2


def test_a_dry_run_submits_nothing(here: Path) -> None:
    done = submitted(here, "--dry-run")

    assert (done.code, done.out) == (0, "")
    assert "server  ok" in done.err
    assert not (here / ".hexgate").exists()


def test_a_spec_with_mistakes_is_not_submitted(here: Path) -> None:
    done = platforms("submit", job(here, retries={"max": 1}), "--platform", "local")

    assert done.code == 2
    assert "$.retries.max" in done.err
    assert not (here / ".hexgate").exists()


COLLECT = ["collect", "--from", "store", "--run-id", RUN_ID, "--out", "got"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "nothing.json"],
        ["status", "hexgate://moon/1"],
        ["collect", "--out", "got"],
        ["collect", "--from", "store", "--run-id", "x", "--expect", "main", "--out", "got"],
        ["collect", "--from", "store", "--run-id", RUN_ID, "--expect", "Main", "--out", "got"],
        ["collect", "hexgate://local/x", "--out", "got"],
        ["collect", "hexgate://local/x", "--run-id", RUN_ID, "--out", "got"],
        ["submit", "job.json", "--platform", "local", "--collect", "got"],
        ["submit", "nothing.yaml", "--platform", "local"],
        ["validate", "job.json", "job.json", "--platform", "local"],
        ["run", "--output", "store", "--", "true"],
        ["run", "--output", "store", "--ready-timeout-s", "1e300", "--", "true", "{out}"],
        ["run", "--output", "store", "--start-lead-s", "1e300", "--", "true", "{out}"],
        [*COLLECT, "--expect", "main", "--until", "0001-01-01T00:00:00+23:00"],
        [*COLLECT, "--expect", "main", "--until", "9999-12-31T23:59:59-23:00"],
        [*COLLECT, "--expect", "shard-0-of-2"],
    ],
)
def test_bad_calls_end_with_2(here: Path, arguments: list[str]) -> None:
    job(here)

    assert platforms(*arguments).code == 2


def test_a_lost_job_ends_with_5(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hexgate.platforms.wait.LONGEST_UNKNOWN_S", 0.1)
    done = platforms("status", f"hexgate://local/{RUN_ID}", "--wait", "--poll-s", "0.01")

    assert done.code == 5
    assert "given up" in done.err
    assert platforms("status", f"hexgate://local/{RUN_ID}").code == 5


def test_a_run_is_collected_without_a_handle(here: Path) -> None:
    for name in INDICATORS:
        publish_part(here / "store", name, indicators=[name])
    call = ["collect", "--from", "store", "--run-id", RUN_ID, "--out", "got", "--expect"]

    assert platforms(*call, ",".join(INDICATORS)).code == 0
    assert platforms(*call, "accuracy_f1").code == 4
    late = platforms(*call, ",".join(INDICATORS), "--until", "2026-11-21T04:29:50+02:00")
    assert late.code == 4
    assert "ended at 2026-11-21T02:29:51Z, after 2026-11-21T02:29:50Z" in late.err
    assert platforms(*call, ",".join(INDICATORS), "--until", "tomorrow").code == 2


def test_shards_say_how_they_are_merged(here: Path) -> None:
    for index in range(2):
        publish_part(
            here / "store", f"shard-{index}-of-2", shard=(index, 2), indicators=[], extra={"left": str(index)}
        )
    expect = "shard-0-of-2,shard-1-of-2"

    done = platforms("collect", "--from", "store", "--run-id", RUN_ID, "--out", "got", "--expect", expect)

    assert done.code == 0
    assert "next: hexgate load merge got --out got-merged\n" in done.err
    assert "next: hexgate gate got got-merged --policy FILE\n" in done.err


def test_a_load_of_one_shard_leaves_its_artifacts(here: Path) -> None:
    argv = ["hexgate", "load", "demo:", "--duration", "1", "--out", "{out}"]
    spec = demo_spec("file:store", argv=argv, indicator=["latency_p99", "throughput_rps"])
    (here / "job.json").write_text(json.dumps(spec.to_json()), encoding="utf-8")
    call = ["submit", "job.json", "--platform", "local", "--wait", "--poll-s", "0.05", "--collect", "got"]

    assert platforms(*call).code == 0

    left = {path.name for path in (here / "got" / "main").glob("*.json")}
    assert {"latency_p99.json", "throughput_rps.json"} <= left


def test_a_load_of_two_shards_is_merged_and_judged_with_its_parts(here: Path) -> None:
    argv = ["hexgate", "load", "demo:", "--duration", "1", "--out", "{out}"]
    spec = demo_spec("file:store", argv=argv, shards=2, indicator=["latency_p99", "throughput_rps"])
    (here / "job.json").write_text(json.dumps(spec.to_json()), encoding="utf-8")
    call = ["submit", "job.json", "--platform", "local", "--wait", "--poll-s", "0.05", "--collect", "got"]
    assert platforms(*call).code == 0
    assert hexgate("load", "merge", "got", "--out", "merged", "--quiet").code == 0
    rule = {"indicator": "latency_p99", "measure": "p99_ms", "at_most": 60_000, "mode": "point"}
    judge = ["gate", "got", "merged", "--policy", str(_policy(here, rule))]
    assert hexgate(*judge).code == 0

    record = here / "got" / "collected.json"
    value = json.loads(record.read_text("utf-8"))
    moved = {"state": "duplicate", "detail": "two attempts ended", "folder": ".refused/shard-1-of-2"}
    value["parts"][1] |= moved
    record.write_text(json.dumps(value), encoding="utf-8")

    again = hexgate(*judge)
    assert again.code == 4
    assert "the part shard-1-of-2 is there more than once" in again.err


F1_RULE = {"indicator": "accuracy_f1", "measure": "f1", "at_least": 0.75}


def _policy(here: Path, rule: Mapping[str, object] = F1_RULE) -> Path:
    path = here / "policy.yaml"
    value = {"version": 1, "name": "t", "rules": [dict(rule)], "evidence": {"recompute": False}}
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_the_gate_reads_what_was_collected(here: Path) -> None:
    today = {"created_at": utc_now()}
    publish_part(here / "store", "accuracy_f1", indicators=["accuracy_f1"], artifacts=today)
    call = ["collect", "--from", "store", "--run-id", RUN_ID, "--expect", "accuracy_f1", "--out", "got"]
    assert platforms(*call).code == 0
    judge = ["gate", "got", "--policy", str(_policy(here)), "--json", "got/verdict.json"]
    assert hexgate(*judge).code == 0
    assert hexgate(*judge).code == 0

    (here / "got" / "accuracy_f1" / "accuracy_f1.json").unlink()

    again = hexgate(*judge)
    assert again.code == 4
    assert "'accuracy_f1.json' is gone" in again.err
    problems = json.loads((here / "got" / "verdict.json").read_text("utf-8"))["problems"]
    assert [problem["code"] for problem in problems] == ["part_changed"]
