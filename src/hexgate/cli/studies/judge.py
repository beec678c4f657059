"""`hexgate study judge`: the replies of a study judged by a language model."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import click

from hexgate.cli.console import Display, show_error
from hexgate.cli.language import text
from hexgate.cli.number import Finite, Whole
from hexgate.cli.studies.options import FOLDER, SPEC
from hexgate.cli.studies.tallies import measures_without_value, show_left, show_tallies
from hexgate.errors import ExitCode
from hexgate.study.quality.judging import JudgedStudy, Judging, judge_study

__all__ = ["command"]


@click.command(
    "judge",
    help=text(
        "Have the replies of the study in FOLDER judged by the model of its block `judge`, or by another. The marks "
        "lie in quality.jsonl, in the raw records and in results.csv; the bill and the judge's noise in judge.json. "
        "Nothing is asked twice: started again it goes on. Judge when all runs are over, and with nothing on the "
        "measured device. Exit codes: 0 every reply has its scores; 2 the judge, the key or the folder; 4 some replies "
        "have none, or the budget is used up; 5 the judge failed (run the same command again); 130 interrupted.",
        "由研究 judge 一节所指的模型（或另一个模型）评判 FOLDER 中的回答。"
        "分数写入 quality.jsonl、原始记录与 results.csv；费用与评判噪声写入 judge.json。不会重复提问：再次执行即继续。"
        "请在所有运行完成后执行，且不要占用被测设备。"
        "退出码：0 每个回答都有分数；2 评判模型、密钥或目录有误；4 有回答没有分数，或预算用尽；"
        "5 评判模型失败（再次执行同一命令）；130 被中断。",
    ),
)
@FOLDER
@SPEC
@click.option(
    "--target",
    metavar="URL",
    help=text(
        "Another judge than the study's: an OpenAI-compatible server. Of the block judge only the tasks count then.",
        "改用另一评判服务（OpenAI 兼容）；此时 judge 一节只有 tasks 有效。",
    ),
)
@click.option("--model", metavar="NAME", help=text("That judge's model.", "该服务上的模型。"))
@click.option(
    "--api-key-env",
    metavar="VAR",
    help=text("Environment variable with the judge's key.", "存放密钥的环境变量。"),
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="NAME",
    help=text("Only runs of this task; may be repeated.", "只评该任务的运行，可重复给出。"),
)
@click.option(
    "--budget",
    type=Finite(min=0.0, min_open=True),
    help=text(
        "Most that all calls may cost, those of earlier commands included; needs prices.",
        "全部调用（含此前命令）的费用上限；需要价格。",
    ),
)
@click.option(
    "--prices",
    nargs=2,
    type=Finite(min=0.0),
    metavar="IN OUT",
    help=text("Prices of a million tokens of prompt and of reply.", "每百万 token 的价格：提示词与回复。"),
)
@click.option(
    "--rpm",
    type=Finite(min=0.0, min_open=True),
    help=text("Most requests a minute.", "每分钟最多请求数。"),
)
@click.option("--concurrency", type=Whole(1, 1024), help=text("Calls at a time.", "同时进行的调用数。"))
@click.option("--quiet", is_flag=True, help=text("Say only what is wrong.", "只输出错误。"))
def command(
    folder: Path,
    spec: Path | None,
    target: str | None,
    model: str | None,
    api_key_env: str | None,
    tasks: tuple[str, ...],
    budget: float | None,
    prices: tuple[float, float] | None,
    rpm: float | None,
    concurrency: int | None,
    quiet: bool,
) -> int:
    """Have the replies of a study judged."""
    # What a scheduler sends ends it as Ctrl-C does: what is judged is kept.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    stated: dict[str, Any] = {"budget": budget, "rpm": rpm, "concurrency": concurrency}
    if prices is not None:
        stated["prices"] = dict(zip(("input_per_million", "output_per_million"), prices, strict=True))
    settings = {name: value for name, value in stated.items() if value is not None}
    with Display(text("judge", "评判"), quiet=quiet) as display:
        judged = judge_study(
            folder, _Watching(display).settled, Judging(tasks, target, model, api_key_env, settings), spec
        )
    return _conclude(judged, quiet=quiet)


class _Watching:
    """What a person sees of it."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._done: int | None = None

    def settled(self, done: int, planned: int) -> None:
        """So many of the judgements are settled."""
        if self._done is None:
            self._display.start(text(f"{planned} judgements", f"{planned} 次评判"), planned)
        self._display.advance(done - (self._done or 0))
        self._done = done


def _conclude(judged: JudgedStudy, *, quiet: bool) -> int:
    if not quiet:
        if judged.tallies:
            show_tallies(judged.tallies)
        else:
            click.echo(
                text(
                    "this judge has given no score: the marks of the one before count",
                    "该评判模型没有给出任何分数：此前评判模型的分数仍然有效",
                ),
                err=True,
            )
        show_left(judged.left)
        click.echo(_bill(judged), err=True)
        click.echo(str(judged.results), err=True)
    if judged.stopped is not None:
        show_error(judged.stopped)
        return judged.stopped.exit_code
    if measures_without_value(judged.tallies):
        click.echo(text("no reply has a score", "没有任何回答有分数"), err=True)
        return ExitCode.EVIDENCE
    return ExitCode.EVIDENCE if judged.without else ExitCode.OK


def _bill(judged: JudgedStudy) -> str:
    bill, noise = judged.report.bill, judged.report.noise["total"]
    said = text(
        f"{bill.calls} calls, {bill.prompt_tokens} tokens in, {bill.output_tokens} tokens out",
        f"{bill.calls} 次调用，输入 {bill.prompt_tokens} token，输出 {bill.output_tokens} token",
    )
    if bill.cost is not None:
        said += text(
            f"; cost {bill.cost:.4g} {bill.currency}, at most {bill.cost_at_most:.4g}",
            f"；费用 {bill.cost:.4g} {bill.currency}，至多 {bill.cost_at_most:.4g}",
        )
    if noise.sd is not None:
        said += text(
            f"; noise of the total {noise.sd:.3g} (standard deviation over {noise.answers} answers)",
            f"；总分噪声 {noise.sd:.3g}（{noise.answers} 个回答的标准差）",
        )
    return said
