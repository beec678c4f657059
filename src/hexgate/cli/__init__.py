"""The command line. Commands are imported when they are called, so that `--help` is quick."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from hexgate import __version__
from hexgate.cli.language import language, set_language, text
from hexgate.cli.lazy import LazyGroup
from hexgate.errors import ExitCode, HexgateError

__all__ = ["door", "main"]

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": (
        "The six indicators on the embedded default, the gate and the report.",
        "在内置模型上测六项指标、过门禁、出报告。",
    ),
    "run": ("Measure one indicator, or all six.", "测量一项或全部六项指标。"),
    "load": ("One load on a target, or a shard of it; merge its shards.", "对目标施加负载，可分片并合并。"),
    "gate": ("Merge artifacts and judge them by a policy.", "合并测量结果，按策略判定。"),
    "report": (
        "A verdict that was taken, as HTML, Markdown, JUnit or metrics.",
        "把已作出的结论输出为 HTML、Markdown、JUnit 或监控指标。",
    ),
    "study": (
        "Studies of models, tasks and loads: runs with energy, kept as they are made.",
        "研究：对模型、任务与负载逐次运行并记录能耗。",
    ),
    "platforms": (
        "Jobs on platforms: render, validate, submit, follow, collect.",
        "平台作业：生成、校验、提交、跟踪、收集。",
    ),
    "plan": ("How much evidence each rule of a policy needs.", "策略中每条规则需要多少证据。"),
    "recompute": ("Recompute every figure from its evidence.", "从证据重新计算每个数字并核对。"),
    "meter": (
        "Energy, power, CPU, memory, disk and GPU of any command.",
        "任何命令的能量、功率、CPU、内存、磁盘与 GPU。",
    ),
    "serve": ("Serve the embedded reference models over HTTP.", "以 HTTP 提供内置参考模型。"),
    "doctor": ("What this machine can measure, and what is missing.", "这台机器能测什么，还缺什么。"),
}


_OBJECTS_PER_COLLECTION = 50_000
"""Python looks for garbage after every 700 new objects (gc.set_threshold). Importing makes many, and none is garbage:
that was a tenth of the time to the first request of a load."""


def _group() -> click.Group:
    exit_codes = text(
        "Exit codes: 0 done or passed; 1 the gate failed; 2 usage, policy or input; 3 inconclusive; 4 evidence "
        "missing or invalid; 5 the target or platform failed; 70 a fault of hexgate; 130 interrupted. "
        "--lang en|zh may stand anywhere.",
        "退出码：0 完成或通过；1 门禁不通过；2 用法、策略或输入有误；3 证据不足以判定；4 证据缺失或无效；"
        "5 被测目标或平台失败；70 hexgate 自身故障；130 被中断。任何位置都可加 --lang en|zh。",
    )
    group = LazyGroup(
        COMMANDS,
        "hexgate.cli.{}:command".format,
        "hexgate",
        help=text(
            "A release gate for AI models: six indicators, one gate.", "AI 模型的发布门禁：六项指标，一道门。"
        ),
        epilog=exit_codes,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    return click.version_option(__version__, prog_name="hexgate")(group)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its documented code. No error of a user ends in a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    if os.getpid() == 1:
        # The first process of a container gets no SIGTERM that it does not handle.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = _run_to_exit_code(given)
    except BrokenPipeError:
        # Whoever read our output has gone; a second complaint while Python exits would be noise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.READER_GONE
    sys.exit(code)


def door(indicator: str) -> NoReturn:
    """The script of one indicator: `hexgate run --indicator NAME` with that script's name."""
    main(["run", "--indicator", indicator, *sys.argv[1:]])


def _run_to_exit_code(arguments: list[str]) -> int:
    stdout = sys.stdout
    try:
        rest = set_language(arguments)
        if language() == "zh":
            from hexgate.cli.click_zh import speak_chinese

            speak_chinese()
        result = _group().main(args=rest, prog_name="hexgate", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo(text("interrupted", "已中断"), err=True)
        return ExitCode.INTERRUPTED
    except HexgateError as error:
        from hexgate.cli.console import show_error

        show_error(error)
        return error.exit_code
    except SystemExit:
        # Click itself ends with 1 when the pipe is closed, which would say that the gate failed. It then has put
        # another standard output in place of the closed one.
        if sys.stdout is not stdout:
            raise BrokenPipeError from None
        raise
    except BrokenPipeError:
        raise
    except Exception as error:
        if os.environ.get("HEXGATE_DEBUG"):
            raise
        click.echo(
            text(
                f"fault in hexgate: {type(error).__name__}: {error}\n  next: set HEXGATE_DEBUG=1 to see where, "
                "and report it",
                f"hexgate 自身故障：{type(error).__name__}: {error}\n  下一步：设 HEXGATE_DEBUG=1 "
                "查看位置，并反馈给我们",
            ),
            err=True,
        )
        return ExitCode.INTERNAL
    return int(result) if isinstance(result, int) else ExitCode.OK
