"""`hexgate gate`: merge artifacts, judge them by a policy, and leave the verdict for people and machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import click

from hexgate.cli.console import console, show_error
from hexgate.cli.language import language, text
from hexgate.cli.outputs import write_text
from hexgate.cli.sound import computed_again, refusals
from hexgate.errors import EvidenceError, ExitCode, HexgateError, InputError
from hexgate.gate.evidence import EvidenceSet, load_evidence
from hexgate.gate.judge import judge
from hexgate.gate.pairing import samples_needed
from hexgate.gate.policy import Policy, read_policy
from hexgate.gate.selftest import self_test
from hexgate.gate.verdict import GateVerdict
from hexgate.report.html import render_html
from hexgate.report.junit import render_junit
from hexgate.report.markdown import render_markdown
from hexgate.report.terminal import render_conclusion, render_table

__all__ = ["Outputs", "command", "conclude"]


@dataclass(frozen=True)
class Outputs:
    """Where the verdict goes; None for a form that is not wanted."""

    report: Path | None = None
    """Self-contained HTML."""
    markdown: Path | None = None
    """Markdown, for a pull request's comment or a job's summary."""
    junit: Path | None = None
    """JUnit XML."""
    verdict: Path | None = None
    """JSON, by schemas/verdict.schema.json."""


def conclude(
    folders: Sequence[Path], policy_file: Path, outputs: Outputs, *, baseline: Path | None = None
) -> GateVerdict:
    """Judge, show the verdict on standard error, and write it in every form that is wanted.

    Raises:
        PolicyError: if the policy has mistakes, all of them named.
        InputError: if an output cannot be written.
    """
    return _concluded(_Case.read(folders, policy_file, baseline), outputs)


def _concluded(case: _Case, outputs: Outputs) -> GateVerdict:
    verdict = judge(case.policy, case.evidence, now=datetime.now(timezone.utc), baseline=case.baseline)
    data = verdict.to_json()
    artifacts = [exhibit.data for exhibit in case.evidence.exhibits]
    lang = language()
    write_text(
        outputs.verdict, lambda: json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    )
    write_text(outputs.markdown, lambda: render_markdown(data, artifacts, lang=lang))
    write_text(outputs.junit, lambda: render_junit(data))
    write_text(outputs.report, lambda: render_html(data, artifacts, lang=lang))
    console().print(render_table(data, artifacts, lang=lang))
    console().print(render_conclusion(data, artifacts, lang=lang), soft_wrap=True)
    return verdict


@dataclass(frozen=True)
class _Case:
    """What is judged, read from the disk."""

    policy: Policy
    evidence: EvidenceSet
    baseline: EvidenceSet | None

    @classmethod
    def read(cls, folders: Sequence[Path], policy_file: Path, baseline: Path | None) -> _Case:
        policy = read_policy(policy_file)
        if baseline is not None and not baseline.is_dir():
            raise InputError("there is no such folder", where=f"--baseline {baseline}")
        if baseline is not None and not any(rule.comparator.needs_baseline for rule in policy.rules):
            click.echo(
                text(
                    "note: no rule compares with the baseline, so it is not used",
                    "注意：没有规则与基线比较，基线未被使用",
                ),
                err=True,
            )
        rows = samples_needed(policy) if baseline is not None else ()
        found = load_evidence(folders, samples_of=rows)
        against = load_evidence([baseline], samples_of=rows) if baseline is not None else None
        if policy.evidence.recompute:
            found = _computed_again(found)
            against = _computed_again(against) if against is not None else None
        return cls(policy, found, against)


def _computed_again(evidence: EvidenceSet) -> EvidenceSet:
    return replace(evidence, exhibits=tuple(map(computed_again, evidence.exhibits)))


_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(
    "gate",
    help=text(
        "Merge the artifacts in DIR... and judge them by a policy. The exit code is the verdict.",
        "合并 DIR 中的结果并按策略判定。退出码即结论。",
    ),
)
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--policy", type=_FILE, required=True, help=text("Policy, YAML.", "策略文件（YAML）。"))
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    default=None,
    help=text("Folder of artifacts to compare with.", "用于对比的基线结果目录。"),
)
@click.option("--report", type=_FILE, default=None, help=text("Write an HTML report.", "写 HTML 报告。"))
@click.option("--markdown", type=_FILE, default=None, help=text("Write Markdown.", "写 Markdown。"))
@click.option("--junit", type=_FILE, default=None, help=text("Write JUnit XML.", "写 JUnit XML。"))
@click.option(
    "--json", "verdict", type=_FILE, default=None, help=text("Write the verdict as JSON.", "写 JSON 结论。")
)
@click.option(
    "--mlflow",
    metavar="URI",
    default=None,
    help=text(
        "Log measures, verdict and files to this MLflow tracking server.",
        "把数值、结论和文件记入 MLflow 服务。",
    ),
)
@click.option(
    "--mlflow-experiment",
    default="hexgate",
    show_default=True,
    help=text("Experiment to log into.", "记入的实验名。"),
)
@click.option(
    "--self-test",
    is_flag=True,
    help=text(
        "Also break a copy of the evidence for each rule, and check that the gate turns red.",
        "另外逐条破坏证据的副本，检查门禁确实会变红。",
    ),
)
def command(
    folders: tuple[Path, ...],
    policy: Path,
    baseline: Path | None,
    report: Path | None,
    markdown: Path | None,
    junit: Path | None,
    verdict: Path | None,
    mlflow: str | None,
    mlflow_experiment: str,
    *,
    self_test: bool,
) -> int:
    """Judge, and return the verdict's exit code."""
    outputs = Outputs(report, markdown, junit, verdict)
    if mlflow is not None:
        from hexgate.stores.mlflow import checked_server

        checked_server(mlflow)
    case = _Case.read(folders, policy, baseline)
    judged = _concluded(case, outputs)
    if self_test:
        _self_test(case)
    code: int = judged.exit_code
    if mlflow is not None:
        code = _logged(mlflow, mlflow_experiment, judged, case.evidence, outputs)
    return code


def _logged(uri: str, experiment: str, judged: GateVerdict, evidence: EvidenceSet, outputs: Outputs) -> int:
    """Log to MLflow. What goes wrong there does not hide a verdict that blocks."""
    from hexgate.stores.mlflow import log_verdict

    data = judged.to_json()
    reports = [path for path in (outputs.report, outputs.markdown, outputs.junit, outputs.verdict) if path]
    artifacts = [(Path(exhibit.path).name, exhibit.data) for exhibit in evidence.exhibits]
    try:
        run = log_verdict(
            uri, experiment, data, artifacts, reports, refused=refusals(evidence.exhibits, data)
        )
    except HexgateError as error:
        if judged.exit_code == ExitCode.OK:
            raise
        show_error(error)
        return judged.exit_code
    click.echo(text(f"logged to MLflow as run {run}", f"已记入 MLflow，运行 {run}"), err=True)
    return judged.exit_code


def _self_test(case: _Case) -> None:
    lines = self_test(case.policy, case.evidence, now=datetime.now(timezone.utc), baseline=case.baseline)
    for line in lines:
        click.echo(
            f"{'ok   ' if line.held else 'FAULT'} {line.rule}: {line.mutation} -> {line.got.value}", err=True
        )
    if not all(line.held for line in lines):
        raise EvidenceError("the gate did not turn red for every rule", hint="report this with the policy")
