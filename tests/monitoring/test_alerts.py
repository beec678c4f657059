"""The alert rules, in the tools that will run them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from support.needs import program
from support.prometheus import ask, firing, prometheus, pushgateway, until

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "ci/alerts.yaml"
DASHBOARD = ROOT / "ci/grafana-dashboard.json"
POLICY = """
version: 1
name: release
rules:
  - {indicator: latency_p99, measure: p99_ms, at_most: 300}
  - {indicator: toxicity, measure: toxic_ratio, at_most: 0.5, accept_uncertified: made up for a test}
evidence: {recompute: false, require_evidence_files: false, max_age_hours: 876000}
"""


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.mark.infra
def test_the_rules_are_rules() -> None:
    done = promtool("check", "rules", ALERTS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.infra
def test_the_rules_fire_and_keep_still_as_they_should() -> None:
    done = promtool("test", "rules", Path(__file__).with_name("alerts_test.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_firing() -> None:
    rules = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"][0]["rules"]
    cases = yaml.safe_load(Path(__file__).with_name("alerts_test.yaml").read_text("utf-8"))["tests"]
    fired = {
        check["alertname"] for case in cases for check in case["alert_rule_test"] if check.get("exp_alerts")
    }
    assert fired == {rule["alert"] for rule in rules}


@pytest.mark.infra
def test_a_bad_result_that_is_pushed_fires_and_a_good_one_ends_it(tmp_path: Path, call, put_set) -> None:
    put_set(tmp_path / "bad", p99_ms=900.0, toxic=300)
    put_set(tmp_path / "good", p99_ms=200.0, toxic=0)
    (tmp_path / "policy.yaml").write_text(POLICY, encoding="utf-8")
    with pushgateway() as gateway:
        scraped = gateway.removeprefix("http://")
        with prometheus(tmp_path / "prometheus", scraped, rules=ALERTS) as server:
            for name, code in (("bad", 1), ("good", 0)):
                folder = tmp_path / name
                verdict = folder / "verdict.json"
                judged = call("gate", folder, "--policy", tmp_path / "policy.yaml", "--json", verdict)
                assert judged.code == code, judged.err
                pushed = call("report", folder, "--pushgateway", gateway, "--group", "model=digits")
                assert pushed.code == 0, pushed.err
                wanted = {"HexgateLatencyOverLimit", "HexgateToxicity", "HexgateVerdictNotPass"}
                wanted = wanted if name == "bad" else set()
                until(
                    lambda wanted=wanted: {alert for alert, _ in firing(server)} == wanted,
                    f"{name}: {wanted}",
                )
            (value,) = ask(server, 'hexgate_measure{indicator="latency_p99",measure="p99_ms"}')
            assert float(value["value"][1]) == 200.0
            assert value["metric"]["model"] == "digits"


def test_the_dashboard_asks_only_for_metrics_that_there_are(tmp_path: Path, call, put_set) -> None:
    put_set(tmp_path, p99_ms=200.0, toxic=0)
    (tmp_path / "policy.yaml").write_text(POLICY, encoding="utf-8")
    judged = call("gate", tmp_path, "--policy", tmp_path / "policy.yaml", "--json", tmp_path / "verdict.json")
    assert judged.code == 0, judged.err
    assert call("report", tmp_path, "--prometheus", tmp_path / "x.prom").code == 0
    known = {line.split("{")[0] for line in (tmp_path / "x.prom").read_text("utf-8").splitlines()}
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(asked) >= 6
    for expression in asked:
        names = {word for word in _words(expression) if word.startswith("hexgate_")}
        assert names, expression
        assert all(name in known or name.startswith("hexgate_load_") for name in names), expression


def _words(expression: str) -> list[str]:
    return "".join(each if each.isalnum() or each == "_" else " " for each in expression).split()
