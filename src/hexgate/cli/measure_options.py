"""The flags that several commands share because they measure: each is written once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any

import click

from hexgate.cli.language import text
from hexgate.cli.number import Finite, Whole, number

__all__ = [
    "API_KEY_ENV",
    "CONFIDENCE",
    "DIALECT",
    "HOST_CLASS",
    "LIMIT",
    "PROVIDER",
    "QUIET",
    "SEED",
    "TIMEOUT_S",
    "Flag",
    "data_flag",
    "field_flag",
    "model_name_flag",
    "parameter_of",
    "type_of",
]

Flag = Callable[[Callable[..., Any]], Callable[..., Any]]
"""A decorator that gives a command one option."""

LIMIT: Flag = click.option(
    "--limit",
    type=Whole(min=1),
    default=None,
    help=text("Use only the first N items; the artifact says so.", "只用前 N 条；结果里会注明。"),
)
SEED: Flag = click.option(
    "--seed",
    type=Whole(min=0),
    default=0,
    show_default=True,
    help=text("Seed of everything random.", "随机种子。"),
)
CONFIDENCE: Flag = click.option(
    "--confidence",
    type=Finite(0.5, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help=text("Level of every interval.", "区间的置信水平。"),
)
API_KEY_ENV: Flag = click.option(
    "--api-key-env",
    default=None,
    help=text("Name of the environment variable that holds the API key.", "存放 API 密钥的环境变量名。"),
)
TIMEOUT_S: Flag = click.option(
    "--timeout-s",
    type=Finite(min=0, min_open=True),
    default=300.0,
    show_default=True,
    help=text("Longest wait for one reply, seconds.", "单个回复最长等待秒数。"),
)
DIALECT: Flag = click.option(
    "--dialect",
    default=None,
    help=text(
        "API of the endpoint, where the URL does not tell; template:FILE for one that a file describes.",
        "服务的 API 类型（从地址看不出时）；template:文件 表示由该文件描述的 API。",
    ),
)
PROVIDER: Flag = click.option(
    "--provider",
    default=None,
    help=text(
        "What a model file runs on: cpu, cuda, tensorrt, … Refused where it is not available. [cpu]",
        "模型文件的运行后端：cpu、cuda、tensorrt 等；不可用时拒绝。[cpu]",
    ),
)
HOST_CLASS: Flag = click.option(
    "--host-class",
    default=None,
    help=text("Your word for machines that may be compared.", "可互相比较的机器类别名。"),
)
QUIET: Flag = click.option("--quiet", is_flag=True, help=text("No progress, no table.", "不显示进度和表格。"))


def data_flag(*aliases: str) -> Flag:
    """The data that is measured on."""
    return click.option(
        "--data",
        *aliases,
        default=None,
        help=text(
            "Data: JSON, JSON Lines or CSV; demo: for the embedded set.",
            "数据：JSON、JSON Lines 或 CSV；demo: 为内置数据。",
        ),
    )


def model_name_flag(*flags: str) -> Flag:
    """The model that an endpoint is asked for, as `model_name`."""
    return click.option(
        *flags,
        "model_name",
        default=None,
        help=text("Model id to ask an endpoint for.", "向服务请求的模型名。"),
    )


def field_flag(options: type[Any], name: str, flag: str | None = None, *, default: bool = True) -> Flag:
    """One field of an indicator's options as a flag of another command, under its parameter `name`.

    Args:
        options: the dataclass.
        name: the field.
        flag: the flag, where it is not the field's name with hyphens.
        default: whether the field's default holds in that command too, so that its help shows it.
    """
    one = next(each for each in fields(options) if each.name == name)
    shown = f" [{one.default}]" if default and one.default is not None else ""
    return click.option(
        flag or f"--{name.replace('_', '-')}",
        name,
        type=type_of(one),
        default=None,
        help=text(one.metadata["help"], one.metadata["zh"]) + shown,
    )


def parameter_of(one: Field[Any]) -> str:
    """The name of an option's command-line parameter, which follows its flag."""
    flag: str = one.metadata["flag"] or f"--{one.name}"
    return flag.removeprefix("--").replace("-", "_")


def type_of(one: Field[Any]) -> click.ParamType[Any]:
    """The type of an option's command-line parameter: its bounds and choices are those of the field."""
    meta, annotation = one.metadata, str(one.type)
    if meta["choices"] is not None:
        return click.Choice(meta["choices"])
    if "float" in annotation or "int" in annotation:
        return number(whole="int" in annotation, least=meta["least"], above=meta["above"])
    return click.STRING
