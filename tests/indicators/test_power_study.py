"""power_efficiency of a study: figures that were computed by hand, and null or a doubt where a run lacks something."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any, ClassVar

import pytest

from hexgate.contract.evidence import EvidenceReader, EvidenceWriter
from hexgate.contract.schema import load_schema
from hexgate.indicators.base import Figures
from hexgate.indicators.power_efficiency import PowerEfficiency
from hexgate.meters.base import Domain, Kind, Scope, Unit
from hexgate.stats.bootstrap import cluster_bootstrap
from hexgate.stats.interval import Family

SENSOR = 0.05
PACKAGE = Domain(
    "rapl:package-0", "rapl", "package-0", "package-0", Scope.PACKAGE, Kind.COUNTER, Unit.JOULE,
    systematic_ratio=SENSOR,
)  # fmt: skip
METHOD: dict[str, Any] = {
    "source": "study", "seed": 0, "confidence": 0.95, "resamples": 2000, "cold": "nonce", "accepted": None,
}  # fmt: skip
NO_METER = "no power meter can be read"
JOULES = (("a", 2.0), ("a", 4.0), ("b", 6.0), ("b", 6.0), ("c", 3.0), ("c", 3.0))
"""Two runs of each of three questions: 24 J."""


def run(item: str, gross_j: float | None = 4.0, **changes: Any) -> dict[str, Any]:
    """A row of evidence: gross energy, one joule of it idle, 2 tokens in half a second."""
    net_j = None if gross_j is None else gross_j - 1.0
    energy: dict[str, Any] = {
        "basis": "not_measured" if gross_j is None else "measured",
        "gross_j": gross_j,
        # The sensor's 5 % and 0.1 J of the edges.
        "uncertainty_j": None if gross_j is None else math.hypot(SENSOR * gross_j, 0.1),
        "net_j": net_j,
        "net_uncertainty_j": None if net_j is None else 0.2,
        "idle_power_w": None if net_j is None else 2.0,
        "idle_drift_ratio": None if net_j is None else 0.01,
        "edges": None if gross_j is None else "quiet",
        "degraded": [],
        "domains": [] if gross_j is None else [{"id": PACKAGE.id, "energy_j": gross_j, "reasons": []}],
    }
    missing = {"energy.gross_j": NO_METER, "energy.net_j": NO_METER} if gross_j is None else {}
    row: dict[str, Any] = {
        "task": "talk", "load": "usual", "item": item, "status": "ok", "visit": "0001_m_1", "latency_seconds": 0.5,
        "output_tokens": 2, "truncated": False, "prompt_state": "cold_by_nonce", "degraded": [], "energy": energy,
        "missing": missing, "quality": {},
    }  # fmt: skip
    row["energy"] |= changes.pop("energy", {})
    return row | changes


def failed(item: str, gross_j: float | None = 10.0, **changes: Any) -> dict[str, Any]:
    return (
        run(item, gross_j, status="failed", latency_seconds=None, output_tokens=None, truncated=None)
        | changes
    )


def left(item: str) -> dict[str, Any]:
    return {"task": "talk", "load": "usual", "item": item, "status": "left"}


def visit(name: str = "0001_m_1", **configuration: Any) -> dict[str, Any]:
    stated = {"served_model": "m", "digest": "sha256:ab", "quantization": "Q4_K_M", "server_version": "1"}
    return {
        "visit": name,
        "configuration": stated | configuration,
        "environment": {"host_class": "bench"},
        "domains": [PACKAGE.to_json()],
    }


@pytest.fixture
def figures(tmp_path: Path) -> Callable[..., Figures]:
    def make(
        rows: Sequence[dict[str, Any]],
        *,
        visits: Sequence[dict[str, Any]] | None = None,
        no_rule: str = "no rule",
        **method: Any,
    ) -> Figures:
        evidence = EvidenceWriter(tmp_path, "power_efficiency")
        evidence.document("study", {"study": {"name": "small"}, "model": "m", "no_rule": no_rule})
        for name, kept in (("study_runs", rows), ("study_visits", visits or [visit()])):
            writer = evidence.rows(name)
            for row in kept:
                writer.write(row)
        files = evidence.finish()
        reader = EvidenceReader(tmp_path, {name: file.to_json() for name, file in files.items()})
        found = PowerEfficiency().figures(METHOD | method, reader)
        assert set(found.values) == set(load_schema("power_efficiency")["x-own"])
        null = {name for name, value in found.values.items() if value is None}
        assert null - {"meter", "scope"} == set(found.missing)
        return found

    return make


def six() -> list[dict[str, Any]]:
    return [run(item, joules) for item, joules in JOULES]


class TestFigures:
    def test_by_hand(self, figures: Callable[..., Figures]) -> None:
        found = figures(six())
        values = found.values
        assert values["measurement"] == "measured"
        assert (values["meter"], values["scope"]) == ("rapl", "package")
        assert values["energy_j"] == 24.0
        assert values["energy_per_request_j"] == 4.0
        assert values["energy_per_token_j"] == 2.0
        assert values["requests_per_joule"] == 0.25
        assert values["net_energy_j"] == 18.0
        assert values["net_energy_per_request_j"] == 3.0
        assert values["idle_drift_ratio"] == 0.01
        assert values["duration_s"] == 3.0
        assert (values["requests"], values["output_tokens"]) == (6, 12)
        assert values["truncated_ratio"] == 0.0
        # The sensor's errors add up, 1.2 J; those of the edges do not: 0.1 J sqrt(6).
        assert values["energy_uncertainty_j"] == pytest.approx(math.hypot(1.2, 0.1 * math.sqrt(6)), rel=1e-12)
        assert vars(found.counts) == {"requested": 6, "succeeded": 6, "errored": 0, "skipped": 0}
        assert found.cannot_certify == {}
        assert found.invalid_reasons == ()
        assert values["study"] == {
            "name": "small", "model": "m", "configuration": visit()["configuration"], "planned": 6, "attempted": 6,
            "measured": 6, "measured_net": 6, "degraded": 0, "questions": 3, "prompt_states": {"cold_by_nonce": 6},
            "edges": {"quiet": 6}, "sensor_ratio": 0.05,
        }  # fmt: skip
        assert values["domains"][0]["energy_j"] == 24.0
        assert values["domains"][0]["validity"] == "ok"

    def test_a_meter_that_states_no_error_certifies_no_energy(self, figures: Callable[..., Figures]) -> None:
        silent = visit() | {"domains": [{**PACKAGE.to_json(), "systematic_ratio": None}]}
        unknown = {"uncertainty_j": None, "net_uncertainty_j": None}
        found = figures([run(item, joules, energy=unknown) for item, joules in JOULES], visits=[silent])
        why = "the meter's own error is not stated"
        assert found.values["energy_j"] == 24.0
        assert found.values["study"]["sensor_ratio"] is None
        assert found.missing["energy_uncertainty_j"] == why
        measures = ("energy_j", "energy_per_request_j", "energy_per_token_j", "net_energy_per_request_j")
        assert [found.cannot_certify[name] for name in measures] == [why] * 4
        assert "accepted" not in found.cannot_certify
        for name in ("energy_per_request_j", "net_energy_per_request_j"):
            assert found.intervals[name].method.endswith("standard uncertainty, which is not stated")

    def test_what_a_study_has_not_is_null_with_a_reason(self, figures: Callable[..., Figures]) -> None:
        found = figures(six())
        for name in ("mean_power_w", "max_power_w", "idle_power_w", "cpu_seconds", "uncertainty"):
            assert found.values[name] is None
            assert found.missing[name]

    def test_the_interval_is_one_of_questions_and_of_the_sensor(
        self, figures: Callable[..., Figures]
    ) -> None:
        found = figures([run(f"q{place}", 1.0 + place % 4) for place in range(12)])
        interval = found.intervals["energy_per_request_j"]
        spread = cluster_bootstrap(
            [1.0 + place % 4 for place in range(12)], [1.0] * 12, list(range(12)), what="joules per request"
        )
        assert (interval.family, interval.n, interval.level) == (Family.CLUSTER_BOOTSTRAP, 12, 0.95)
        assert spread.upper_bound is not None
        assert spread.high is not None
        point = 2.5
        one_sided, two_sided = (NormalDist().inv_cdf(share) * SENSOR * point for share in (0.95, 0.975))
        assert interval.upper_bound == pytest.approx(
            point + math.hypot(spread.upper_bound - point, one_sided)
        )
        assert interval.high == pytest.approx(point + math.hypot(spread.high - point, two_sided))
        assert "sensor" in interval.method

    def test_repeats_of_a_question_are_no_further_questions(self, figures: Callable[..., Figures]) -> None:
        rows = [run(f"q{place}", 1.0 + place % 4) for place in range(12)]
        once, often = figures(rows), figures(rows * 5)
        assert often.counts.succeeded == 60
        for name in ("energy_per_request_j", "energy_per_token_j", "net_energy_per_request_j"):
            assert often.intervals[name].n == 12
            assert often.intervals[name].upper_bound == pytest.approx(once.intervals[name].upper_bound)

    def test_the_same_item_of_two_tasks_is_two_questions(self, figures: Callable[..., Figures]) -> None:
        found = figures([*six(), *(run(item, joules, task="code") for item, joules in JOULES)])
        assert found.intervals["energy_per_request_j"].n == 6

    def test_truncated_answers(self, figures: Callable[..., Figures]) -> None:
        found = figures([*six(), run("d", truncated=True), run("e", truncated=True)])
        assert found.values["truncated_ratio"] == 0.25
        assert found.intervals["truncated_ratio"].family is Family.BINOMIAL
        unknown = figures([*six(), run("d", truncated=None)])
        assert unknown.values["truncated_ratio"] is None


class TestLacking:
    def test_no_meter_is_no_number(self, figures: Callable[..., Figures]) -> None:
        found = figures([run(item, None) for item in "abc"])
        assert found.values["measurement"] == "not_measured"
        assert found.values["meter"] is found.values["scope"] is None
        for name in ("energy_j", "energy_per_request_j", "net_energy_j", "requests_per_joule"):
            assert found.values[name] is None
            assert found.missing[name] in {
                f"3 of 3 runs have no {kind} energy ({NO_METER})" for kind in ("gross", "net")
            }
        assert found.values["duration_s"] == 1.5
        assert "energy_per_request_j" not in found.intervals

    def test_a_part_is_never_summed_as_if_it_were_all(self, figures: Callable[..., Figures]) -> None:
        rows = [run(f"q{place}", 2.0) for place in range(19)] + [run("r", None)]
        found = figures(rows)
        assert found.values["energy_j"] is None
        assert found.missing["energy_j"].startswith("1 of 20 runs have no gross energy")
        assert found.values["energy_per_request_j"] == 2.0
        assert found.cannot_certify["energy_per_request_j"].startswith("1 of 20 runs")
        assert found.cannot_certify["net_energy_per_request_j"].startswith("1 of 20 runs have no net energy")
        assert found.values["domains"][0]["energy_j"] is None
        assert found.values["study"]["measured"] == 19

    def test_with_more_than_a_twentieth_missing_there_is_no_ratio_either(
        self, figures: Callable[..., Figures]
    ) -> None:
        rows = [run(f"q{place}", 2.0) for place in range(18)] + [run("r", None), run("s", None)]
        found = figures(rows)
        assert found.values["energy_per_request_j"] is None
        assert found.missing["energy_per_request_j"].startswith("2 of 20 runs have no gross energy")
        assert found.intervals.keys() == {"truncated_ratio"}

    def test_net_alone_may_be_missing(self, figures: Callable[..., Figures]) -> None:
        drifted = {"net_j": None, "net_uncertainty_j": None, "idle_drift_ratio": None}
        why = {"energy.net_j": "idle before and after differ too much"}
        found = figures([run(item, joules, energy=drifted, missing=why) for item, joules in JOULES])
        assert found.values["energy_per_request_j"] == 4.0
        assert found.values["net_energy_per_request_j"] is None
        assert "differ too much" in found.missing["net_energy_per_request_j"]
        assert found.values["idle_drift_ratio"] is None

    def test_answers_without_a_count_of_tokens(self, figures: Callable[..., Figures]) -> None:
        found = figures([*six(), run("d", output_tokens=None)])
        assert found.values["output_tokens"] is found.values["energy_per_token_j"] is None
        assert found.missing["energy_per_token_j"] == "1 of 7 answers have no count of tokens"
        assert found.values["energy_per_request_j"] == 4.0

    def test_energies_of_nothing_are_no_figure(self, figures: Callable[..., Figures]) -> None:
        found = figures([run(item, 0.0) for item in "abc"])
        assert found.values["requests_per_joule"] is None
        assert "more than zero" in found.missing["energy_per_request_j"]


class TestWorth:
    """What may fail a rule, and passes none."""

    def test_degraded_runs(self, figures: Callable[..., Figures]) -> None:
        found = figures(
            [
                *six(),
                run("d", energy={"degraded": ["a gap"]}),
                run("e", degraded=["2 of 3 warm-up requests failed"]),
            ]
        )
        why = found.cannot_certify["energy_per_request_j"]
        assert why == "2 of 8 runs are degraded (a gap; 2 of 3 warm-up requests failed)"
        assert set(found.cannot_certify) == {
            "energy_j", "energy_uncertainty_j", "energy_per_request_j", "energy_per_token_j", "requests_per_joule",
            "net_energy_j", "net_energy_per_request_j",
        }  # fmt: skip
        assert found.values["study"]["degraded"] == 2

    def test_warm_prompts_where_cold_ones_are_asked_for(self, figures: Callable[..., Figures]) -> None:
        rows = [*six(), run("d", prompt_state="warm")]
        assert "1 of 7 prompts came" in figures(rows).cannot_certify["energy_per_token_j"]
        assert figures(rows, cold="none").cannot_certify == {}

    def test_an_estimate_is_called_one(self, figures: Callable[..., Figures]) -> None:
        found = figures([run(item, joules, energy={"basis": "estimated"}) for item, joules in JOULES])
        assert found.values["measurement"] == "estimated"
        assert found.cannot_certify["energy_per_request_j"] == "estimated, not measured"

    def test_an_energy_below_zero_is_a_sign_of_runs_that_were_too_short(
        self, figures: Callable[..., Figures]
    ) -> None:
        found = figures([*six(), run("d", -0.5)])
        assert found.values["energy_j"] == 23.5
        assert found.cannot_certify["energy_j"].startswith("1 of 7 runs have an energy below zero")
        assert "requests_per_joule" not in found.intervals

    def test_a_net_energy_below_zero_is_shown_and_certifies_nothing(
        self, figures: Callable[..., Figures]
    ) -> None:
        found = figures([run(f"q{place}", 0.1 + place / 100) for place in range(12)])
        assert found.values["net_energy_per_request_j"] < 0
        assert "the idle was not one" in found.cannot_certify["net_energy_per_request_j"]
        interval = found.intervals["net_energy_per_request_j"]
        assert interval.lower_bound is not None
        assert interval.lower_bound < found.values["net_energy_per_request_j"]
        assert "energy_per_request_j" not in found.cannot_certify


class TestInvalid:
    def test_a_study_that_is_not_over(self, figures: Callable[..., Figures]) -> None:
        found = figures([*six(), left("d"), left("e")])
        assert found.invalid_reasons == ("2 of 8 runs of the model are left",)
        assert vars(found.counts) == {"requested": 8, "succeeded": 6, "errored": 0, "skipped": 2}

    def test_nothing_succeeded(self, figures: Callable[..., Figures]) -> None:
        found = figures([failed("a"), failed("b")])
        assert found.invalid_reasons == ("no run succeeded",)
        assert found.values["energy_per_request_j"] is found.values["duration_s"] is None
        assert found.counts.errored == 2

    @pytest.mark.parametrize("name", ["served_model", "digest", "quantization", "server_version"])
    def test_visits_of_another_model(self, figures: Callable[..., Figures], name: str) -> None:
        found = figures(six(), visits=[visit(), visit("0002_m_2", **{name: "other"})])
        assert [reason.partition(" ")[0] for reason in found.invalid_reasons] == [name]

    def test_what_a_visit_does_not_state_is_no_change(self, figures: Callable[..., Figures]) -> None:
        assert figures(six(), visits=[visit(), visit("0002_m_2", digest=None)]).invalid_reasons == ()

    def test_visits_on_another_machine_or_with_other_meters(self, figures: Callable[..., Figures]) -> None:
        other = visit("0002_m_2") | {"environment": {"host_class": "laptop"}}
        assert "host_class is bench" in figures(six(), visits=[visit(), other]).invalid_reasons[0]
        dram = visit("0002_m_2")
        dram["domains"] = [*dram["domains"], PACKAGE.to_json() | {"id": "rapl:dram-0", "scope": "dram"}]
        assert "the set of meters" in figures(six(), visits=[visit(), dram]).invalid_reasons[0]
        blind = visit("0002_m_2") | {"domains": []}
        assert figures(six(), visits=[visit(), blind]).invalid_reasons == ()


class TestAcceptance:
    RULES: ClassVar[dict[str, Any]] = {
        "talk": [{"measure": "exact_match", "least": 1.0, "identity_sha256": None}]
    }

    @staticmethod
    def mark(value: float | None, measure: str = "exact_match") -> dict[str, Any]:
        return {measure: {"value": value, "reason": None if value is not None else "no reference"}}

    def test_without_a_rule_nobody_knows(self, figures: Callable[..., Figures]) -> None:
        found = figures(six(), no_rule="the study has no block rating")
        for name in ("accepted", "accepted_ratio", "energy_per_accepted_j", "accepted_per_joule"):
            assert found.values[name] is None
            assert found.missing[name] == "the study has no block rating"

    def test_by_hand_with_a_failure_whose_energy_counts(self, figures: Callable[..., Figures]) -> None:
        marks = (1.0, 1.0, 1.0, 0.0, 1.0, 0.0)
        rows = [run(item, j, quality=self.mark(m)) for (item, j), m in zip(JOULES, marks, strict=True)]
        found = figures([*rows, failed("d", 8.0), failed("e", 8.0)], accepted=self.RULES)
        assert found.values["accepted"] == 4
        assert found.values["accepted_ratio"] == 0.5
        # 24 J of the answers and 16 J of the failures for 4 accepted answers.
        assert found.values["energy_per_accepted_j"] == 10.0
        assert found.values["accepted_per_joule"] == 0.1
        assert found.values["energy_j"] == 24.0
        assert found.intervals["accepted_ratio"].n == 5
        assert found.intervals["energy_per_accepted_j"].n == 5

    def test_the_energy_of_every_one_is_needed(self, figures: Callable[..., Figures]) -> None:
        rows = [run(item, j, quality=self.mark(1.0)) for item, j in JOULES]
        found = figures([*rows, failed("d", None)], accepted=self.RULES)
        assert found.values["accepted_ratio"] == 6 / 7
        assert found.values["energy_per_accepted_j"] is None
        assert found.missing["energy_per_accepted_j"].startswith("1 of 7 runs have no gross energy")

    def test_nothing_accepted_has_no_price(self, figures: Callable[..., Figures]) -> None:
        found = figures([run(item, j, quality=self.mark(0.0)) for item, j in JOULES], accepted=self.RULES)
        assert found.values["accepted"] == 0
        assert found.missing["energy_per_accepted_j"] == "no answer was accepted"
        assert found.values["accepted_per_joule"] == 0.0

    def test_an_answer_without_a_mark_is_not_accepted_and_many_are_unknown(
        self, figures: Callable[..., Figures]
    ) -> None:
        rows = [run(f"q{place}", quality=self.mark(1.0)) for place in range(99)]
        found = figures([*rows, run("r", quality=self.mark(None))], accepted=self.RULES)
        assert found.values["accepted_ratio"] == 0.99
        found = figures([*rows, run("r", quality=self.mark(None)), run("s")], accepted=self.RULES)
        assert found.values["accepted_ratio"] is None
        assert found.missing["accepted"] == "2 of 101 answers have no mark (exact_match: no reference)"

    def test_all_measures_of_a_task_have_to_accept_and_a_task_without_a_rule_is_left_out(
        self, figures: Callable[..., Figures]
    ) -> None:
        rules = {"talk": [*self.RULES["talk"], {"measure": "judge", "least": 7.0, "identity_sha256": None}]}
        rows = [
            run("a", quality=self.mark(1.0) | self.mark(8.0, "judge")),
            run("b", quality=self.mark(1.0) | self.mark(6.5, "judge")),
            run("c", quality=self.mark(0.0) | self.mark(None, "judge")),
            run("d", task="code"),
        ]
        found = figures(rows, accepted=rules)
        assert found.values["accepted"] == 1
        assert found.values["accepted_ratio"] == pytest.approx(1 / 3)
        assert found.values["energy_per_accepted_j"] == 12.0
        assert figures(rows, accepted={"other": rules["talk"]}).values["accepted"] is None
