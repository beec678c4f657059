"""Every kind of verdict of the real gate, through every renderer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from hexgate.contract.schema import schema_mistakes
from hexgate.gate.evidence import load_evidence
from hexgate.gate.judge import judge
from hexgate.report.html import MOST_BYTES, render_html
from hexgate.report.junit import render_junit
from hexgate.report.markdown import render_markdown
from hexgate.report.strings import EN, ZH
from hexgate.report.terminal import render_table
from support.artifacts import interval
from support.gate import NOW, policy, put, put_all

Json = dict[str, Any]


def passing(folder: Path) -> Any:
    put_all(folder)
    return policy()


def failing(folder: Path) -> Any:
    put_all(folder)
    return policy({"indicator": "accuracy_f1", "measure": "f1", "at_least": 0.99})


def undecided(folder: Path) -> Any:
    put_all(folder)
    put(folder, "accuracy_f1", intervals={"f1": interval(0.7, 0.95, n=40)})
    return policy()


def unsound(folder: Path) -> Any:
    put_all(folder)
    put(folder, "accuracy_f1", status="invalid", invalid_reasons=["the client starved <b>"])
    (folder / "broken.json").write_text("{", encoding="utf-8")
    return policy(required=["toxicity"])


def absent(folder: Path) -> Any:
    put_all(folder)
    (folder / "toxicity.json").unlink()
    rule = {
        "indicator": "toxicity",
        "measure": "toxic_ratio",
        "at_most": 0.005,
        "tier": "warn",
        "why": "because",
    }
    return policy({"indicator": "accuracy_f1", "measure": "f1", "at_least": 0.5}, rule, required=["toxicity"])


def waived(folder: Path) -> Any:
    rules = failing(folder)
    waiver = {"rule": "accuracy_f1.f1", "owner": "a@b", "reason": "soon", "expires": "2030-01-31"}
    return policy(
        {"indicator": "accuracy_f1", "measure": "f1", "at_least": rules.rules[0].limit},
        {"indicator": "latency_p99", "measure": "p99_ms", "at_most": 300},
        waivers=[waiver],
    )


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (passing, "PASS"),
        (failing, "FAIL"),
        (undecided, "INCONCLUSIVE"),
        (unsound, "INVALID"),
        (absent, "MISSING"),
        (waived, "PASS"),
    ],
)
def test_every_renderer_takes_what_the_gate_says(
    tmp_path: Path, make: Callable[[Path], Any], word: str
) -> None:
    rules = make(tmp_path)
    evidence = load_evidence([tmp_path])
    verdict: Json = judge(rules, evidence, now=NOW).to_json()
    assert schema_mistakes("verdict", verdict) == []
    assert verdict["verdict"] == word
    artifacts = [dict(each.data) for each in evidence.exhibits]
    page = render_html(verdict, artifacts, lang="en")
    assert len(page.encode()) < MOST_BYTES
    heading = page[page.index("<h1>") : page.index("</h1>")]
    assert EN[word] in heading
    assert ZH[word] in heading
    assert "<b>" not in page
    assert render_markdown(verdict, artifacts, lang="zh").splitlines()[0].split("：")[0].endswith(ZH[word])
    suite = ET.fromstring(render_junit(verdict).encode())[0]  # noqa: S314 our own output
    red = int(suite.get("failures", "")) + int(suite.get("errors", ""))
    assert (red == 0) == (verdict["exit_code"] == 0)
    assert render_table(verdict, artifacts, lang="en").row_count == 6
