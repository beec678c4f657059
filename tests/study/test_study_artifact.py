"""`hexgate study artifact`: a study's energies judged by the gate, computed again, compared, and refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hexgate.cli.studies.artifact_zh import STUDY_ARTIFACT_ERRORS
from hexgate.contract.canonical import sha256_file
from hexgate.errors import ExitCode
from hexgate.gate.policy import read_policy
from hexgate.reference.endpoint import start_server
from hexgate.study.ledger import VISITS
from hexgate.study.quality.marks import JUDGE, MarkLedger, Measure
from hexgate.study.reading import read_study
from support.command import Ended
from support.measuring import check, rows
from support.studied import QUESTIONS, edit, joules_of, studied
from support.studies import RunningCounter, write_study
from support.twins import check_twin

Call = Callable[..., Ended]
ROOT = Path(__file__).resolve().parents[2]
NAME = "power_efficiency.json"


def policy(path: Path, *rules: Mapping[str, Any], **evidence: Any) -> Path:
    """A policy of rules on power_efficiency; JSON is YAML."""
    value = {
        "version": 1,
        "name": "energy",
        "rules": [{"indicator": "power_efficiency", **rule} for rule in rules],
        "evidence": evidence,
    }
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def at_most(limit: float, measure: str = "energy_per_request_j", **more: Any) -> dict[str, Any]:
    return {"measure": measure, "at_most": limit, **more}


@pytest.fixture
def made(tmp_path: Path, call: Call) -> Path:
    """The folder of the artifact of a whole study."""
    folder = studied(tmp_path / "study")
    assert call("study", "artifact", folder, "--out", tmp_path / "made").code == ExitCode.OK
    return tmp_path / "made"


class TestArtifact:
    def test_it_keeps_the_contract_and_computes_again(self, tmp_path: Path, made: Path) -> None:
        artifact = check(made / NAME)
        data = artifact.data
        assert data["status"] == "complete"
        assert data["energy_j"] == 2 * sum(4.0 + place / 2 for place in range(8))
        assert data["energy_per_request_j"] == 5.75
        assert data["net_energy_per_request_j"] == 4.75
        assert data["energy_per_token_j"] == 5.75 / 4
        assert data["counts"] == {"requested": 16, "succeeded": 16, "errored": 0, "skipped": 0}
        assert data["intervals"]["energy_per_request_j"]["n"] == 8
        assert data["cannot_certify"] == {}
        assert len(rows(artifact, "study_runs")) == 16
        assert not any("prompt" in row or "generated_text" in row for row in rows(artifact, "study_runs"))

    def test_it_says_which_model_where_and_when(self, tmp_path: Path, made: Path) -> None:
        data = check(made / NAME).data
        reading = read_study(tmp_path / "study" / "out")
        first = next(iter(reading.visits.values()))
        assert data["subject"]["name"] == data["subject"]["served_model"] == "tiny:1b"
        assert data["subject"]["revision"] == "sha256:ab12"
        assert data["study"]["model"] == "tiny"
        assert data["study"]["configuration"]["quantization"] == "Q4_K_M"
        assert data["study"]["configuration"]["server"] == "ollama"
        assert data["environment"] == first["environment"]
        assert data["created_at"] == max(visit["end"]["ended_at"] for visit in reading.visits.values())
        assert data["run_id"].startswith(reading.head["started_at"].replace("-", "").replace(":", ""))
        assert data["provenance"]["plan_sha256"] == reading.head["plan_sha256"]
        digest = sha256_file(reading.folder / "study.json")
        assert data["provenance"]["parents"] == [f"sha256:{digest}"]
        kept = json.loads((made / "power_efficiency.study.evidence.json").read_text("utf-8"))
        assert kept["study_sha256"] == digest
        assert kept["study"] == reading.head

    def test_the_same_study_gives_the_same_bytes(self, tmp_path: Path, made: Path, call: Call) -> None:
        before = {path.name: path.read_bytes() for path in made.iterdir()}
        assert call("study", "artifact", tmp_path / "study" / "out", "--out", made).code == ExitCode.OK
        assert {path.name: path.read_bytes() for path in made.iterdir()} == before

    def test_by_default_it_lies_in_the_folder_of_the_study(self, tmp_path: Path, call: Call) -> None:
        folder = studied(tmp_path, models=["a:1", "b"])
        ended = call("study", "artifact", folder, "--model", "a:1")
        assert ended.code == ExitCode.OK
        assert "16 of 16 runs succeeded, 0 failed; 16 have an energy, 5.75 J a request" in ended.err
        assert check(folder / "artifacts" / "a-1" / NAME).data["study"]["model"] == "a:1"
        without = call("study", "artifact", folder)
        assert without.code == ExitCode.INPUT
        assert "a:1, b" in without.err

    def test_a_task_or_a_load_alone(self, tmp_path: Path, call: Call) -> None:
        tasks = [{"name": name, "items": "items.jsonl"} for name in ("talk", "code")]
        folder = studied(
            tmp_path, tasks=tasks, loads=[{"name": "usual"}, {"name": "short", "max_tokens": 8}], runs=1
        )
        whole = call("study", "artifact", folder, "--out", tmp_path / "whole")
        part = call(
            "study", "artifact", folder, "--out", tmp_path / "part", "--task", "code", "--load", "short"
        )
        assert whole.code == part.code == ExitCode.OK
        all_of_it, of_it = (check(tmp_path / name / NAME).data for name in ("whole", "part"))
        assert (all_of_it["requests"], of_it["requests"]) == (32, 8)
        assert (all_of_it["dataset"]["used"], of_it["dataset"]["used"]) == (16, 8)
        assert of_it["dataset"]["items"] == 16
        assert of_it["dataset"]["sha256"] != all_of_it["dataset"]["sha256"]
        assert (of_it["method"]["tasks"], of_it["method"]["loads"]) == (["code"], ["short"])
        for flag in ("--task", "--load"):
            ended = call("study", "artifact", folder, flag, "none")
            assert ended.code == ExitCode.INPUT
            assert f"no such {flag[2:]}" in ended.err

    def test_the_level_of_the_intervals_may_be_asked_for(self, tmp_path: Path, call: Call) -> None:
        folder = studied(tmp_path, runs=1)
        assert (
            call("study", "artifact", folder, "--confidence", "0.9", "--out", tmp_path / "o").code
            == ExitCode.OK
        )
        data = check(tmp_path / "o" / NAME).data
        assert {interval["level"] for interval in data["intervals"].values()} == {0.9}


class TestGate:
    def test_a_limit_that_is_kept_passes_and_one_that_is_not_blocks(
        self, tmp_path: Path, made: Path, call: Call
    ) -> None:
        kept = policy(
            tmp_path / "kept.yaml",
            at_most(8.0),
            at_most(7.0, "net_energy_per_request_j"),
            at_most(2.5, "energy_per_token_j"),
            at_most(0.4, "truncated_ratio"),
            {"measure": "requests_per_joule", "at_least": 0.1},
            {"measure": "energy_j", "at_most": 100, "mode": "point"},
        )
        ended = call("gate", made, "--policy", kept, "--json", tmp_path / "verdict.json", "--self-test")
        assert ended.code == ExitCode.OK, ended.err
        broken = policy(tmp_path / "broken.yaml", at_most(3.0))
        assert call("gate", made, "--policy", broken).code == ExitCode.FAILED
        close = policy(tmp_path / "close.yaml", at_most(5.8))
        assert call("gate", made, "--policy", close).code == ExitCode.INCONCLUSIVE

    def test_the_report_shows_it(self, tmp_path: Path, made: Path, call: Call) -> None:
        rules = policy(tmp_path / "p.yaml", at_most(8.0))
        report, markdown = tmp_path / "report.html", tmp_path / "summary.md"
        for language in ("en", "zh"):
            ended = call(
                "--lang",
                language,
                "gate",
                made,
                "--policy",
                rules,
                "--report",
                report,
                "--markdown",
                markdown,
            )
            assert ended.code == ExitCode.OK, ended.err
            assert "5.75" in report.read_text("utf-8")

    def test_recompute_agrees(self, made: Path, call: Call) -> None:
        ended = call("recompute", made)
        assert ended.code == ExitCode.OK
        assert "agrees" in ended.out

    def test_evidence_that_was_changed_is_refused(self, tmp_path: Path, made: Path, call: Call) -> None:
        edit(made / "power_efficiency.study_runs.jsonl", lambda row: row["energy"].update(gross_j=0.1))
        rules = policy(tmp_path / "p.yaml", at_most(8.0))
        ended = call("gate", made, "--policy", rules)
        assert ended.code == ExitCode.EVIDENCE
        assert call("recompute", made).code == ExitCode.EVIDENCE

    def test_evidence_and_digest_that_were_changed_are_refused(
        self, tmp_path: Path, made: Path, call: Call
    ) -> None:
        from support.measuring import forge_rows

        artifact = check(made / NAME)
        altered = rows(artifact, "study_runs")
        for row in altered:
            row["energy"]["gross_j"] /= 10
        forge_rows(artifact, "study_runs", altered)
        ended = call("gate", made, "--policy", policy(tmp_path / "p.yaml", at_most(8.0)))
        assert ended.code == ExitCode.EVIDENCE
        differing = call("recompute", made)
        assert differing.code == ExitCode.EVIDENCE
        assert "$.energy_j" in differing.out

    def test_an_artifact_that_names_less_evidence_is_refused(
        self, tmp_path: Path, made: Path, call: Call
    ) -> None:
        from support.measuring import forge

        artifact = check(made / NAME)
        less = {name: one for name, one in artifact.data["evidence"].items() if name != "study_visits"}
        forge(artifact, evidence=less)
        rules = policy(tmp_path / "p.yaml", at_most(8.0), recompute=False)
        ended = call("gate", made, "--policy", rules)
        assert ended.code == ExitCode.EVIDENCE
        assert "study_visits" in ended.err

    def test_the_committed_policy_judges_it(self, made: Path, call: Call) -> None:
        path = ROOT / "examples" / "studies" / "policy.yaml"
        assert {rule.indicator for rule in read_policy(path).rules} == {"power_efficiency"}
        assert call("gate", made, "--policy", path).code in {
            ExitCode.OK,
            ExitCode.FAILED,
            ExitCode.INCONCLUSIVE,
        }


class TestNotGoodEnough:
    def test_a_study_that_is_not_over_cannot_pass(self, tmp_path: Path, call: Call) -> None:
        folder = studied(tmp_path, limit=12)
        ended = call("study", "artifact", folder, "--out", tmp_path / "made")
        assert ended.code == ExitCode.EVIDENCE
        assert "the study is not over" in ended.err
        data = check(tmp_path / "made" / NAME).data
        assert data["status"] == "partial"
        assert "4 of 16 runs of the model are left" in data["invalid_reasons"]
        assert data["counts"]["skipped"] == 4
        rules = policy(tmp_path / "p.yaml", at_most(100.0))
        assert call("gate", tmp_path / "made", "--policy", rules).code == ExitCode.EVIDENCE

    def test_energies_that_are_missing_cannot_pass(self, tmp_path: Path, call: Call) -> None:
        folder = studied(tmp_path, joules=lambda row: None if row["item"] == "q0" else 5.0)
        assert call("study", "artifact", folder, "--out", tmp_path / "made").code == ExitCode.OK
        data = check(tmp_path / "made" / NAME).data
        assert data["energy_per_request_j"] is None
        assert data["missing"]["energy_per_request_j"].startswith(
            "2 of 16 runs have no gross energy (no power meter"
        )
        rules = policy(tmp_path / "p.yaml", at_most(100.0))
        assert call("gate", tmp_path / "made", "--policy", rules).code == ExitCode.EVIDENCE

    def test_degraded_runs_pass_by_name_alone(self, tmp_path: Path, call: Call) -> None:
        folder = studied(tmp_path)
        edit(folder / "runs.jsonl", lambda row: row["energy"].update(degraded=["the edges abut"]))
        assert call("study", "artifact", folder, "--out", tmp_path / "made").code == ExitCode.OK
        strict = policy(tmp_path / "p.yaml", at_most(100.0))
        assert call("gate", tmp_path / "made", "--policy", strict).code == ExitCode.INCONCLUSIVE
        lenient = policy(tmp_path / "q.yaml", at_most(100.0, accept_uncertified="only a trial"))
        assert call("gate", tmp_path / "made", "--policy", lenient).code == ExitCode.OK

    def test_failed_runs_are_over_the_error_budget(self, tmp_path: Path, call: Call) -> None:
        folder = studied(tmp_path)

        def fail(row: dict[str, Any]) -> None:
            if row["item"] == "q0":
                row.update(status="failed", error={"kind": "http_500", "detail": "", "http_status": 500})
                row.update(latency_seconds=None, truncated=None)

        edit(folder / "runs.jsonl", fail)
        assert call("study", "artifact", folder, "--out", tmp_path / "made").code == ExitCode.OK
        data = check(tmp_path / "made" / NAME).data
        assert (data["counts"]["succeeded"], data["counts"]["errored"]) == (14, 2)
        assert data["energy_j"] == 2 * sum(4.0 + place / 2 for place in range(1, 8))
        strict = policy(tmp_path / "p.yaml", at_most(100.0))
        assert call("gate", tmp_path / "made", "--policy", strict).code == ExitCode.EVIDENCE

    @pytest.mark.parametrize("name", ["digest", "quantization", "server_version"])
    def test_a_model_that_changed_has_no_artifact(self, tmp_path: Path, call: Call, name: str) -> None:
        folder = studied(tmp_path)
        seen = 0

        def change(row: dict[str, Any]) -> None:
            nonlocal seen
            if row["event"] == "begin":
                seen += 1
                row["configuration"][name] = f"number {seen}"

        edit(folder / VISITS, change)
        ended = call("study", "artifact", folder, "--out", tmp_path / "made")
        assert ended.code == ExitCode.EVIDENCE
        assert f"{name} is number 1 in one visit and number 2 in another" in ended.err
        assert not (tmp_path / "made").exists()

    def test_a_study_without_a_run(self, tmp_path: Path, call: Call) -> None:
        folder = studied(tmp_path)
        (folder / "runs.jsonl").write_bytes(b"")
        ended = call("study", "artifact", folder)
        assert ended.code == ExitCode.EVIDENCE
        assert "no run of the model is over" in ended.err

    def test_a_folder_that_is_no_study(self, tmp_path: Path, call: Call) -> None:
        assert call("study", "artifact", tmp_path).code == ExitCode.INPUT
        assert call("study", "artifact", tmp_path / "none").code == ExitCode.INPUT

    def test_a_ledger_that_somebody_else_wrote(self, tmp_path: Path, call: Call) -> None:
        folder = studied(tmp_path)
        edit(folder / "runs.jsonl", lambda row: row["energy"].update(uncertainty_j="much"))
        ended = call("study", "artifact", folder, "--out", tmp_path / "made")
        assert ended.code == ExitCode.EVIDENCE
        assert "Traceback" not in ended.err
        assert check(tmp_path / "made" / NAME).data["status"] == "failed"


class TestAcceptance:
    RATING: ClassVar[Mapping[str, Any]] = {
        "accepted": [{"measure": JUDGE, "least": 7}],
        "floor": {"acceptance": 0.5},
    }

    def test_marks_and_a_rule_give_the_price_of_an_accepted_answer(self, tmp_path: Path, call: Call) -> None:
        folder = studied(tmp_path, rating=self.RATING)
        reading = read_study(folder)
        with MarkLedger(folder) as ledger:
            ledger.begin(Measure(JUDGE, {"model": "judge"}, higher_is_better=True))
            for record in reading.records:
                total = 6.0 if record["item"] == "q7" else 8.0
                ledger.mark(record, JUDGE, total, None, {})
        assert call("study", "artifact", folder, "--out", tmp_path / "made").code == ExitCode.OK
        data = check(tmp_path / "made" / NAME).data
        assert data["accepted"] == 14
        assert data["accepted_ratio"] == 14 / 16
        assert data["energy_per_accepted_j"] == pytest.approx(92.0 / 14)
        assert data["method"]["accepted"]["talk"][0]["measure"] == JUDGE
        rules = policy(
            tmp_path / "p.yaml",
            at_most(20.0, "energy_per_accepted_j"),
            {"measure": "accepted_ratio", "at_least": 0.3},
        )
        assert call("gate", tmp_path / "made", "--policy", rules).code == ExitCode.OK
        value = json.loads((tmp_path / "study.yaml").read_text("utf-8"))
        value["rating"] = {**self.RATING, "accepted": [{"measure": JUDGE, "least": 9}]}
        stricter = tmp_path / "later.yaml"
        stricter.write_text(json.dumps(value), encoding="utf-8")
        again = call("study", "artifact", folder, "--spec", stricter, "--out", tmp_path / "stricter")
        assert again.code == ExitCode.OK, again.err
        data = check(tmp_path / "stricter" / NAME).data
        assert data["accepted"] == 0
        assert data["missing"]["energy_per_accepted_j"] == "no answer was accepted"

    def test_without_marks_it_is_null_and_says_so(self, tmp_path: Path, call: Call) -> None:
        folder = studied(tmp_path, rating=self.RATING)
        assert call("study", "artifact", folder, "--out", tmp_path / "made").code == ExitCode.OK
        data = check(tmp_path / "made" / NAME).data
        assert data["accepted"] is None
        assert data["missing"]["accepted"] == "16 of 16 answers have no mark (judge: it was not measured)"
        assert data["energy_per_request_j"] == 5.75


class TestBaseline:
    @staticmethod
    def against(call: Call, folder: Path, name: str, rule: Mapping[str, Any]) -> Ended:
        rules = policy(folder / "b.yaml", rule)
        return call("gate", folder / name, "--policy", rules, "--baseline", folder / "old")

    def test_a_candidate_that_needs_more_is_found_by_question(self, tmp_path: Path, call: Call) -> None:
        grown = {"old": (1.0, 0.0), "alike": (1.0, 0.01), "worse": (1.4, 0.01)}
        for name, (factor, step) in grown.items():

            def joules(row: Mapping[str, Any], factor: float = factor, step: float = step) -> float:
                return joules_of(row) * (factor + step * (int(row["item"][1:]) % 4))

            folder = studied(tmp_path / name / "s", joules=joules)
            assert call("study", "artifact", folder, "--out", tmp_path / name).code == ExitCode.OK
        for measure in ("energy_per_request_j", "energy_per_token_j"):
            rule = {"measure": measure, "baseline": {"max_loss_ratio": 0.2}}
            alike = self.against(call, tmp_path, "alike", rule)
            assert alike.code == ExitCode.OK, alike.err
            assert self.against(call, tmp_path, "worse", rule).code == ExitCode.FAILED
        # Net energies are not paired: each interval at its worst end, which takes a wider limit.
        rule = {"measure": "net_energy_per_request_j", "baseline": {"max_loss_ratio": 0.2}}
        assert self.against(call, tmp_path, "alike", rule).code == ExitCode.INCONCLUSIVE
        rule = {"measure": "energy_per_request_j", "baseline": {"max_loss": 1.5}}
        assert self.against(call, tmp_path, "alike", rule).code == ExitCode.OK

    def test_a_study_is_no_worse_than_itself(self, tmp_path: Path, made: Path, call: Call) -> None:
        rules = policy(
            tmp_path / "b.yaml", {"measure": "energy_per_request_j", "baseline": {"max_loss_ratio": 0.8}}
        )
        assert call("gate", made, "--policy", rules, "--baseline", made).code == ExitCode.OK

    def test_other_questions_or_requests_are_not_compared(self, tmp_path: Path, call: Call) -> None:
        others = tuple({**one, "prompt": one["prompt"] + " Briefly."} for one in QUESTIONS)
        for name, changes in (
            ("old", {}),
            ("asked", {"items": others}),
            ("uncooled", {"cold": "none"}),
        ):
            folder = studied(tmp_path / name / "s", **changes)
            assert call("study", "artifact", folder, "--out", tmp_path / name).code == ExitCode.OK
        rule = {"measure": "energy_per_request_j", "baseline": {"max_loss_ratio": 0.8}}
        for name, what in (("asked", "dataset.sha256"), ("uncooled", "method.cold")):
            ended = self.against(call, tmp_path, name, rule)
            assert ended.code == ExitCode.EVIDENCE
            assert what in ended.err


@pytest.mark.parametrize(("english", "chinese"), STUDY_ARTIFACT_ERRORS)
def test_every_refusal_has_its_chinese(english: str, chinese: str) -> None:
    check_twin(english, chinese)


def test_a_refusal_is_told_in_chinese(
    tmp_path: Path, process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    folder = studied(tmp_path)
    ended = process("-m", "hexgate", "--lang", "zh", "study", "artifact", folder, "--model", "none")
    assert ended.returncode == ExitCode.INPUT
    assert "研究中没有这个模型" in ended.stderr
    told = process("-m", "hexgate", "--lang", "zh", "study", "artifact", folder)
    assert told.returncode == ExitCode.OK
    assert "16 次运行中成功 16 次" in told.stderr


def counted(folder: Path, process: Callable[..., subprocess.CompletedProcess[str]]) -> Path:
    """The artifact's folder of a study of the reference endpoint, by processes, beside a counter of 40 W."""
    out, made = folder / "out", folder / "made"
    with (
        start_server(token_delay_ms=50) as server,
        RunningCounter(folder / "powercap", 40.0) as counter,
    ):
        path = write_study(
            folder,
            items=QUESTIONS[:4],
            models=[{"name": "reference", "target": f"{server.url}/v1"}],
            loads=[{"name": "usual"}],
            runs=1,
            meters=["rapl"],
            power_hz=10,
        )
        ran = process(
            "-m", "hexgate", "study", "run", path, "--out", out, HEXGATE_RAPL_ROOT=str(counter.root)
        )
    assert ran.returncode == ExitCode.OK, ran.stderr
    told = process("-m", "hexgate", "study", "artifact", out, "--out", made)
    assert told.returncode == ExitCode.OK, told.stderr
    return made


def test_from_a_counter_to_a_verdict_by_processes_alone(
    tmp_path: Path, process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """The counter is synthetic: 40 W, whatever is asked."""
    for attempt in range(3):
        made = counted(tmp_path / str(attempt), process)
        data = check(made / NAME).data
        # On a machine that is too busy a run may be without a reading: then once more.
        if data["study"]["measured"] == 4:
            break
    assert data["measurement"] == "measured"
    assert (data["meter"], data["scope"]) == ("rapl", "package")
    assert data["study"]["measured"] == data["requests"] == 4
    assert data["energy_j"] == pytest.approx(40.0 * data["duration_s"], rel=0.5)
    assert data["net_energy_j"] is None
    assert "idle was not measured" in data["missing"]["net_energy_j"]
    trial = {"accept_uncertified": "the counter is synthetic"}
    kept = policy(tmp_path / "kept.yaml", at_most(10_000.0, **trial))
    broken = policy(tmp_path / "broken.yaml", at_most(1e-6))
    assert process("-m", "hexgate", "gate", made, "--policy", kept).returncode == ExitCode.OK
    assert process("-m", "hexgate", "gate", made, "--policy", broken).returncode == ExitCode.FAILED
    assert process("-m", "hexgate", "recompute", made).returncode == ExitCode.OK
    edit(made / "power_efficiency.study_runs.jsonl", lambda row: row.update(output_tokens=1))
    assert process("-m", "hexgate", "gate", made, "--policy", kept).returncode == ExitCode.EVIDENCE
