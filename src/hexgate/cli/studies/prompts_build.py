"""`hexgate study prompts build`: the five levels of questions, by a template or by a model."""

from __future__ import annotations

import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from hexgate.cli.console import Display, error_words
from hexgate.cli.language import text
from hexgate.cli.number import Finite, Whole
from hexgate.cli.studies.prompts_told import show_files
from hexgate.datasets.tokenizer import Tokenizer
from hexgate.errors import ExitCode, InputError
from hexgate.study.lines import lock_folder
from hexgate.study.prompts.levels import RISING, Leveled, write_prompts
from hexgate.study.prompts.model import DEFINITION, Making, Missing, make_levels
from hexgate.study.prompts.padding import Padding
from hexgate.study.prompts.questions import Question, Questions, read_questions
from hexgate.study.prompts.template import Template, read_template
from hexgate.targets.options import MOST_TIMEOUT_S, OpenOptions
from hexgate.targets.registry import open_target

__all__ = ["command"]

_OF_A_MODEL = ("model", "api_key_env", "timeout_s", "attempts", "max_tokens")


@click.command(
    "build",
    help=text(
        "Build the five levels of QUESTIONS (JSON Lines in the form of MT-Bench, of which the first turn is asked) and "
        "write DIR/<category>_prompts_hierarchical.csv. By a template, the same bytes each time: the one that ships "
        "with hexgate, or FILE. Or by the model at URL: replies are checked and kept in DIR/prompts.jsonl, the same "
        "command goes on after an end of any kind, and a level that the model does not give is listed and never made "
        "up. Exit codes: 0 all questions; 2 usage or input; 4 levels are missing; 5 the model does not answer; "
        "130 interrupted.",
        "由 QUESTIONS（MT-Bench 格式的 JSON Lines，取第一轮）生成五级提示词，写入 DIR/<类别>_prompts_hierarchical.csv。"
        "用模板生成时每次结果逐字节相同：内置模板或 FILE。用 URL 处的模型生成时，回复经过检查并保存在 "
        "DIR/prompts.jsonl，"
        "无论因何中断，再次执行同一命令即继续；模型没有给出的级别会列出，绝不编造。"
        "退出码：0 全部题目；2 用法或输入有误；4 有级别缺失；5 模型没有应答；130 被中断。",
    ),
)
@click.argument("questions", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help=text("Folder of the CSV files.", "CSV 文件所在目录。"),
)
@click.option(
    "--template",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help=text("By a template: FILE, or the built-in one.", "用模板生成：FILE 或内置模板。"),
)
@click.option(
    "--target",
    metavar="URL",
    help=text("By a model: http://host:port/v1 or ollama://host:port/NAME.", "用模型生成：模型的服务地址。"),
)
@click.option("--model", help=text("Its id at the server.", "模型在服务端的名称。"))
@click.option(
    "--api-key-env",
    metavar="VAR",
    help=text("Environment variable with the key.", "存放密钥的环境变量。"),
)
@click.option(
    "--timeout-s",
    type=Finite(min=0, min_open=True, max=MOST_TIMEOUT_S),
    help=text("Longest wait for a reply; 300 where not given.", "等待一次回复的最长时间，缺省 300 秒。"),
)
@click.option(
    "--attempts",
    type=Whole(1, 100),
    help=text(
        "Replies before a level is missing; 3 where not given.", "一个级别最多尝试的回复次数，缺省 3。"
    ),
)
@click.option(
    "--max-tokens",
    type=Whole(1, 1_000_000),
    help=text("Most tokens of a reply; 2048 where not given.", "一次回复最多的 token 数，缺省 2048。"),
)
@click.option(
    "--padding-tokens",
    type=Whole(1, 100_000),
    default=150,
    show_default=True,
    help=text(
        "Least tokens that level P has more. Without --tokenizer each word, mark and Chinese character is one.",
        "P 级至少多出的 token 数；没有 --tokenizer 时每个单词、标点、汉字各算一个。",
    ),
)
@click.option(
    "--pad",
    type=click.Choice(["L3", "L0"]),
    default="L3",
    show_default=True,
    help=text("The level that P is made of.", "P 级在哪一级的基础上填充。"),
)
@click.option(
    "--tokenizer",
    type=click.Path(path_type=Path),
    help=text("A tokenizer.json that counts the padding.", "用于统计填充长度的 tokenizer.json。"),
)
@click.option("--quiet", is_flag=True, help=text("Say only what is wrong.", "只输出错误。"))
def command(
    questions: Path,
    out: Path,
    template: str | None,
    target: str | None,
    padding_tokens: int,
    pad: str,
    tokenizer: Path | None,
    quiet: bool,
    **of_a_model: Any,
) -> int:
    """Build the levels of questions."""
    _refuse_both(template, target, of_a_model)
    asked = read_questions(questions)
    words = read_template(Path(template) if template else None)
    padding = Padding(padding_tokens, pad, None if tokenizer is None else Tokenizer.read(tokenizer))
    how: dict[str, Any] = {
        "questions": {"file": questions.name, "sha256": asked.sha256, "count": len(asked.questions)},
        "template": {"file": words.path.name, "sha256": words.sha256},
        "padding": padding.to_json(),
    }
    if target is None:
        rows = [
            Leveled(one.id, one.category, words.levels(one, padding), one.fields) for one in asked.questions
        ]
        _write(out, rows, {"made_by": "template", **how}, quiet=quiet)
        return ExitCode.OK
    return _by_model(asked, target, words, padding, out, how, quiet=quiet, **of_a_model)


def _by_model(
    asked: Questions,
    target: str,
    words: Template,
    padding: Padding,
    out: Path,
    how: dict[str, Any],
    *,
    quiet: bool,
    model: str | None,
    api_key_env: str | None,
    timeout_s: float | None,
    attempts: int | None,
    max_tokens: int | None,
) -> int:
    # What a scheduler sends ends it as Ctrl-C does: what is made is kept.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    making = Making(attempts=attempts or Making.attempts, max_tokens=max_tokens or Making.max_tokens)
    options = OpenOptions(model_name=model, api_key_env=api_key_env, timeout_s=timeout_s or 300.0)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = lock_folder(out)
    except OSError as error:
        raise InputError(f"the prompts cannot be written ({error.strerror})", where=str(out)) from None
    with (
        lock,
        closing(open_target(target, options=options)) as opened,
        Display("prompts", quiet=quiet) as display,
    ):
        display.start(text("levels", "级别"), len(asked.questions) * (len(RISING) - 1))
        try:
            made = make_levels(asked.questions, opened, words, padding, out, making, _Watching(display))
        except OSError as error:
            raise InputError(
                f"the prompts cannot be written ({error.strerror})",
                where=str(out),
                hint="make room and run the same command again",
            ) from None
    lacking = [
        {
            "category": one.question.category,
            "question_id": one.question.id,
            "level": one.level,
            "reason": one.reason,
        }
        for one in made.missing
    ]
    how |= {
        "made_by": "model",
        "definition": DEFINITION,
        "target": opened.uri,
        "model": opened.subject.served_model or opened.subject.name,
        "attempts": making.attempts,
        "missing": lacking,
    }
    _write(out, list(made.rows), how, quiet=quiet)
    if not made.missing:
        return ExitCode.OK
    count = len(made.missing)
    click.echo(
        text(
            f"{count} of {len(asked.questions)} questions lack a level and are in no file; the same command asks again",
            f"{len(asked.questions)} 道题中有 {count} 道缺少级别，未写入文件；再次执行同一命令会重新请求",
        ),
        err=True,
    )
    return ExitCode.EVIDENCE


class _Watching:
    """What a person sees."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def made(self, question: Question, level: str) -> None:  # noqa: ARG002
        """One more."""
        self._display.advance()

    def lacking(self, missing: Missing) -> None:
        """Say which question, and why."""
        named = f"{missing.question.category} {missing.question.id} {missing.level}"
        self._display.note(f"{named}: {error_words(missing.reason)}")


def _refuse_both(template: str | None, target: str | None, of_a_model: dict[str, Any]) -> None:
    if template is not None and target is not None:
        raise InputError("--template and --target exclude each other", hint="give one of them")
    if target is None:
        for name in _OF_A_MODEL:
            if of_a_model[name] is not None:
                flag = "--" + name.replace("_", "-")
                raise InputError(f"{flag} needs --target", hint=f"add --target, or take {flag} out")


def _write(out: Path, rows: list[Leveled], how: dict[str, Any], *, quiet: bool) -> None:
    written = write_prompts(out, rows, how)
    if not quiet:
        show_files(out, written, rows)
