from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.errors import PolicyError
from hexgate.gate.policy import Comparator, Mode, Tier, Trust, read_policy

GOOD = """\
version: 1
name: release
confidence: 0.9
evidence: {max_age_hours: 24, min_trust: imported-recomputed, allow_limit: true}
required: [toxicity]
rules:
  - {indicator: accuracy_f1, measure: f1, at_least: 0.75, min_n: 100, why: the task needs it}
  - id: speed
    indicator: latency_p99
    measure: p99_ms
    at_most: 3e2
    tier: warn
  - {id: no-worse, indicator: accuracy_f1, measure: f1, baseline: {max_loss: 0.02}, mode: point}
waivers:
  - {rule: speed, owner: li, reason: new runtime, expires: 2026-12-31}
"""

BAD = """\
version: 2
nam: release
confidence: 95
evidence: {max_age_hours: -1, min_trust: mine, colour: red}
required: [acuracy_f1]
expect: {datasets: {toxcity: abc}}
rules:
  - {indicator: accuracy_f1, measure: f2, at_least: 0.75}
  - {indicator: latency, measure: p99_ms, at_most: 300}
  - {indicator: toxicity, measure: toxic_ratio, at_least: 0.005}
  - {indicator: toxicity, measure: toxic_ratio, at_most: 0.5 %}
  - {indicator: robustness_adv, measure: f1_drop, at_most: 10}
  - {indicator: accuracy_f1, measure: f1}
  - {indicator: accuracy_f1, measure: recall, at_least: .nan}
  - {indicator: accuracy_f1, measure: precision, at_least: 0.5, baseline: {max_loss: 0.1, max_loss_ratio: 0.1}}
  - {indicator: accuracy_f1, measure: exact_match, at_least: 0, mode: guess, tier: maybe}
  - {indicator: accuracy_f1, measure: samples, baseline: {max_loss: 1}}
  - {indicator: latency_p99, measure: p50_ms, at_most: 1, at_most: 2}
waivers:
  - {rule: toxicity.toxicratio, owner: li, reason: "", expires: 2026-02-31, verdicts: [PASS]}
"""


def refused(tmp_path: Path, text: str | bytes) -> list[str]:
    path = tmp_path / "policy.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(PolicyError) as caught:
        read_policy(path)
    assert caught.value.exit_code == 2
    assert str(path) in str(caught.value)
    return caught.value.mistakes


def test_a_policy_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(GOOD, encoding="utf-8")

    policy = read_policy(path)

    assert [rule.id for rule in policy.rules] == ["accuracy_f1.f1", "speed", "no-worse"]
    assert [rule.limit for rule in policy.rules] == [0.75, 300.0, 0.02]
    assert policy.rules[1].tier is Tier.WARN
    assert policy.rules[2].comparator is Comparator.MAX_LOSS
    assert policy.rules[2].mode is Mode.POINT
    assert policy.rules[0].min_n == 100
    assert policy.evidence.min_trust is Trust.RECOMPUTED
    assert policy.evidence.max_error_ratio == 0.0
    assert policy.required == ("toxicity",)
    assert policy.waivers[0].verdicts == ("FAIL", "INCONCLUSIVE")
    assert len(policy.sha256) == 64


@pytest.mark.parametrize("path", ["ci/policy.yaml", "examples/demo-policy.yaml"])
def test_the_policies_that_ship_hold_the_thresholds_that_were_agreed(path: str) -> None:
    policy = read_policy(Path(path))
    limits = {rule.name: (rule.comparator.value, rule.limit, rule.tier.value) for rule in policy.rules}

    assert limits["accuracy_f1.f1"] == ("at_least", 0.75, "block")
    assert limits["latency_p99.p99_ms"] == ("at_most", 300, "block")
    assert limits["toxicity.toxic_ratio"] == ("at_most", 0.005, "block")
    assert limits["robustness_adv.f1_drop"] == ("at_most", 0.1, "block")
    assert limits["power_efficiency.energy_per_request_j"] == ("at_most", 5, "track")
    assert {rule.indicator for rule in policy.rules} >= {"throughput_rps", "power_efficiency"}
    assert "50" in Path(path).read_text("utf-8")


def test_required_is_what_blocks_where_the_file_does_not_say() -> None:
    assert read_policy(Path("examples/demo-policy.yaml")).required == (
        "accuracy_f1",
        "latency_p99",
        "toxicity",
        "robustness_adv",
        "throughput_rps",
    )


def test_the_release_policy_blocks_on_the_five_limits_of_the_source() -> None:
    rules = {
        rule.id: rule.limit for rule in read_policy(Path("ci/policy.yaml")).rules if rule.tier is Tier.BLOCK
    }
    assert rules == {
        "accuracy_f1.f1": 0.75,
        "latency_p99.p99_ms": 300,
        "toxicity.toxic_ratio": 0.005,
        "robustness_adv.f1_drop": 0.1,
        "throughput_rps.rps": 50,
    }


def test_all_mistakes_of_a_file_are_told_at_once_with_their_paths(tmp_path: Path) -> None:
    told = "\n".join(refused(tmp_path, BAD))

    for expected in (
        "line 18, column 59: the key 'at_most' stands twice",
        "$.version: got 2",
        "unknown key 'nam'",
        "'name' is missing",
        "$.confidence: ",
        "$.evidence.max_age_hours: ",
        '$.evidence.min_trust: got "mine"',
        "unknown key 'colour'",
        "$.required[0]: no indicator has the name 'acuracy_f1'; did you mean accuracy_f1?",
        "$.expect.datasets: no indicator has the name 'toxcity'; did you mean toxicity?",
        "$.expect.datasets.toxcity: ",
        "$.rules[0].measure: no measure of accuracy_f1 has the name 'f2'; did you mean f1?",
        "$.rules[1].indicator: no indicator has the name 'latency'; did you mean latency_p99?",
        "$.rules[2].at_least: toxicity.toxic_ratio is better when it is lower; use at_most",
        '$.rules[3].at_most: got "0.5 %", expected number',
        "$.rules[4].at_most: got 10, but the measure is always -1 to 1",
        "$.rules[5]: got none of them, expected exactly one of",
        "$.rules[6].at_least: got nan, expected a finite number",
        "$.rules[7]: got at_least and baseline, expected exactly one of",
        "$.rules[8].mode: ",
        "$.rules[8].tier: ",
        "$.rules[8].at_least: no value breaks the limit 0",
        "$.rules[9].baseline: accuracy_f1.samples is neither better high nor low",
        "$.rules: 2 rules have the id toxicity.toxic_ratio",
        "$.waivers[0].rule: no rule has the name 'toxicity.toxicratio'; did you mean toxicity.toxic_ratio?",
        "$.waivers[0].expires: got '2026-02-31', expected a day",
        "$.waivers[0].verdicts[0]: ",
        "$.waivers[0].reason: ",
    ):
        assert expected in told, told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("at_least: 0.75", "at_least: 0.75, at_least: 0.5"), "the key 'at_least' stands twice"),
        (("name: release", "name: no"), None),
        (("min_n: 100", "min_n: 010"), "got \"010\", expected integer"),
        (("min_n: 100", "min_n: 1:40"), "got \"1:40\", expected integer"),
        (("at_least: 0.75", "at_least: .inf"), "got inf, expected a finite number"),
        (("at_least: 0.75", f"at_least: 1{'0' * 400}"), "beyond 64 bits"),
        (("name: release", "name: &a release"), None),
        (("name: release", "name: !!python/object:os.system {}"), "could not determine a constructor"),
        (("version: 1", "version: 1\n1: 2"), "a key that is not a string"),
        (("version: 1", "version: 1\n<<: {name: x}"), "unknown key '<<'"),
        (("version: 1", "version: 1\n? [a, b]\n: 2"), "a key that is not a string"),
        (("version: 1", "version: *a"), "anchors and aliases are not part of a policy"),
        (("version: 1", "version: {"), "line "),
        (("version: 1", "version: 1\n---\nversion: 1"), "but found another document"),
        (("tier: warn", "tier: warn\n    maximum: 1"), "unknown key 'maximum'"),
        (("min_n: 100", "tier: track"), "no rule blocks"),
        (("version: 1", "version: true"), "got true, expected 1"),
        (
            ("waivers:", "waivers:\n  - {rule: speed, owner: li, reason: x, expires: 2026-12-31}"),
            "2 waivers are of the rule speed",
        ),
    ],
)  # fmt: skip
def test_yaml_has_no_surprises(tmp_path: Path, change: tuple[str, str], told: str | None) -> None:
    text = GOOD.replace("mode: point", "mode: point, tier: track").replace(*change, 1)
    if told is None:
        path = tmp_path / "policy.yaml"
        path.write_text(text, encoding="utf-8")
        assert read_policy(path).name in {"no", "release"}
        return
    assert told in "\n".join(refused(tmp_path, text))


def test_other_things_than_a_policy_are_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, "")
    assert refused(tmp_path, "- 1")
    assert "not UTF-8" in refused(tmp_path, GOOD.encode("utf-16"))[0]
    assert "expected at most" in refused(tmp_path, b"#" * 2_000_000)[0]
    assert refused(tmp_path, "[" * 20_000)
    assert "special characters" in refused(tmp_path, "name: \x00")[0]
    with pytest.raises(PolicyError, match="cannot be read"):
        read_policy(tmp_path / "none.yaml")


@given(st.text(max_size=200))
def test_whatever_a_file_holds_is_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("policy") / "p.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(PolicyError):
        read_policy(path)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["rules", "waivers", "expect", "indicator", "measure", "at_most", "baseline", "x"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_a_file_means_is_refused_without_a_traceback(value: object) -> None:
    from hexgate.gate.policy import policy_of

    with pytest.raises(PolicyError):
        policy_of(value, sha256="0" * 64, where="p.yaml", mistakes=[])
