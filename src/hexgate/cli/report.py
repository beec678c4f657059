"""`hexgate report`: a verdict that was taken, and its artifacts, in another form; nothing is judged again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from hexgate.cli.language import language, text
from hexgate.cli.outputs import write_text
from hexgate.cli.sound import judged_soundly, refusals
from hexgate.contract.canonical import NotStrictJson, parse_strict
from hexgate.contract.schema import schema_mistakes
from hexgate.errors import EvidenceError, InputError
from hexgate.gate.evidence import Exhibit, load_evidence
from hexgate.stores.secret import secret

__all__ = ["command"]

_FILE = click.Path(path_type=Path, dir_okay=False)


def _label(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for value in values:
        name, equals, content = value.partition("=")
        if not equals or not name.isidentifier() or name.startswith("__") or name == "job":
            raise InputError(
                "not a label", where="--group", got=value, expected="NAME=VALUE, such as model=digits"
            )
        found[name] = content
    return found


@click.command(
    "report",
    help=text(
        "Show the verdict that was taken on the artifacts in DIR... as HTML, Markdown, JUnit or metrics. Nothing is "
        "judged again; the exit code says only whether it was written.",
        "把对 DIR 中结果已作出的结论输出为 HTML、Markdown、JUnit 或监控指标。不重新判定；退出码只表示是否写出。",
    ),
)
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--verdict",
    "verdict_file",
    type=_FILE,
    default=None,
    help=text(
        "The verdict (--json of hexgate gate). Default: verdict.json in the first DIR, or above it.",
        "结论文件（hexgate gate 的 --json）。默认为第一个 DIR 或其上级目录中的 verdict.json。",
    ),
)
@click.option("--html", type=_FILE, default=None, help=text("Write an HTML report.", "写 HTML 报告。"))
@click.option("--markdown", type=_FILE, default=None, help=text("Write Markdown.", "写 Markdown。"))
@click.option("--junit", type=_FILE, default=None, help=text("Write JUnit XML.", "写 JUnit XML。"))
@click.option(
    "--prometheus",
    type=_FILE,
    default=None,
    help=text("Write metrics for a textfile collector (.prom).", "写 Prometheus 指标文件（.prom）。"),
)
@click.option(
    "--pushgateway",
    metavar="URL",
    default=None,
    help=text("Push the metrics to a Pushgateway.", "把指标推送到 Pushgateway。"),
)
@click.option(
    "--pushgateway-token-env",
    default=None,
    help=text("Environment variable with its bearer token.", "存放其令牌的环境变量名。"),
)
@click.option(
    "--job", default="hexgate", show_default=True, help=text("Label job of the push.", "推送的 job 标签。")
)
@click.option(
    "--group",
    multiple=True,
    callback=_label,
    metavar="NAME=VALUE",
    help=text("A further label that groups the push; repeatable.", "推送分组的其他标签，可重复。"),
)
def command(
    folders: tuple[Path, ...],
    verdict_file: Path | None,
    html: Path | None,
    markdown: Path | None,
    junit: Path | None,
    prometheus: Path | None,
    pushgateway: str | None,
    pushgateway_token_env: str | None,
    job: str,
    group: dict[str, str],
) -> int:
    """Write the forms that are asked for."""
    if not any((html, markdown, junit, prometheus, pushgateway)):
        raise InputError(
            "nothing to write", expected="--html, --markdown, --junit, --prometheus or --pushgateway"
        )
    path = verdict_file or _beside(folders[0])
    if path is None and (html or markdown or junit):
        raise InputError(
            "there is no verdict to show",
            where=str(folders[0]),
            hint="judge first: hexgate gate DIR --json verdict.json",
        )
    verdict = None if path is None else _read(path)
    if path is None:
        click.echo(
            text("note: no verdict found, only figures are written", "注意：没有结论文件，只写数值"), err=True
        )
    exhibits = _exhibits(folders, verdict, path)
    artifacts = [exhibit.data for exhibit in exhibits]
    lang = language()
    if verdict is not None:
        from hexgate.report.html import render_html
        from hexgate.report.junit import render_junit
        from hexgate.report.markdown import render_markdown

        write_text(html, lambda: render_html(verdict, artifacts, lang=lang))
        write_text(markdown, lambda: render_markdown(verdict, artifacts, lang=lang))
        write_text(junit, lambda: render_junit(verdict))
    if prometheus or pushgateway:
        from hexgate.report.prometheus import render_prometheus

        refused = refusals(exhibits, verdict)
        for why in refused.values():
            click.echo(f"{text('no figures exported', '不导出数值')}: {why}", err=True)
        metrics = render_prometheus(verdict, artifacts, refused)
        write_text(prometheus, lambda: metrics)
        if pushgateway:
            from hexgate.stores.pushgateway import push

            push(pushgateway, metrics, job=job, grouping=group, token=_token(pushgateway_token_env))
            click.echo(text(f"pushed to {pushgateway}", f"已推送到 {pushgateway}"), err=True)
    return 0


def _beside(folder: Path) -> Path | None:
    return next(
        (path for path in (folder / "verdict.json", folder.parent / "verdict.json") if path.is_file()), None
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        value = parse_strict(path.read_bytes())
    except OSError as error:
        raise InputError(f"the verdict cannot be read ({error.strerror})", where=str(path)) from None
    except NotStrictJson as error:
        raise EvidenceError(f"not a verdict: {error}", where=str(path)) from None
    mistakes = schema_mistakes("verdict", value)
    if mistakes:
        raise EvidenceError(
            f"not a verdict of this version: {mistakes[0]}",
            where=str(path),
            hint="judge again with hexgate gate",
        )
    found: dict[str, Any] = value
    return found


def _exhibits(folders: tuple[Path, ...], verdict: dict[str, Any] | None, path: Path | None) -> list[Exhibit]:
    """The artifacts that keep their contract. Those that the verdict was taken on must be among them."""
    evidence = load_evidence(folders)
    for fault in (*evidence.folder_faults, *(each.problem for each in evidence.unreadable)):
        click.echo(f"{text('left out', '未采用')}: {fault}", err=True)
    sound = judged_soundly(verdict)
    kept = []
    for exhibit in evidence.exhibits:
        changed = next((fault.problem for fault in exhibit.faults if not fault.absent), None)
        if changed is not None and exhibit.artifact_id in sound:
            # It changed after it was judged, so that it is not what was judged.
            click.echo(f"{text('left out', '未采用')}: {changed}", err=True)
        else:
            kept.append(exhibit)
    there = {exhibit.artifact_id for exhibit in kept}
    judged = {rule["artifact_id"] for rule in (verdict or {}).get("rules", ()) if rule["artifact_id"]}
    if not judged <= there:
        raise EvidenceError(
            "the verdict was taken on other artifacts than those in DIR",
            where=str(path),
            hint="give the folders that were judged, or judge again",
        )
    return kept


def _token(variable: str | None) -> str | None:
    if variable is None:
        return None
    value = secret(os.environ, variable)
    if value is None:
        raise InputError(
            "the environment variable with the token is empty", where="--pushgateway-token-env", got=variable
        )
    return value
