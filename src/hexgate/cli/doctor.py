"""`hexgate doctor`: what this machine can measure, what is missing for the rest, and the remedy."""

from __future__ import annotations

import click

from hexgate.cli.language import text
from hexgate.contract.provenance import environment
from hexgate.errors import ExitCode
from hexgate.meters.base import Domain, Unavailable
from hexgate.meters.inventory import inventory
from hexgate.targets.registry import OpenOptions, open_target

__all__ = ["command"]


@click.command(
    "doctor",
    help=text(
        "Say what this machine can measure, what is missing for the rest, and the remedy.",
        "说明这台机器能测什么、还缺什么、如何补上。",
    ),
)
def command() -> int:
    """Print the findings on standard output; 0 where the embedded default can be measured."""
    for name, value in environment().items():
        if value not in (None, [], {}):
            shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
            click.echo(f"{name:16} {', '.join(shown) if isinstance(shown, list) else shown}")
    click.echo()
    _models()
    _meters()
    _line(
        text("not yet", "尚不支持"),
        text(".pt files, Hugging Face directories, .gguf files", ".pt 文件、Hugging Face 目录、.gguf 文件"),
        text(
            "export to ONNX, or serve the model behind an OpenAI-compatible endpoint",
            "请导出为 ONNX，或以兼容 OpenAI 的接口提供服务",
        ),
    )
    return ExitCode.OK


def _models() -> None:
    target = open_target("demo:", options=OpenOptions())
    try:
        can = [
            name
            for name, part in (("scores", target.predictor), ("text", target.generator))
            if part is not None
        ]
    finally:
        target.close()
    _line(text("ready", "可用"), text("the embedded default (demo:)", "内置模型（demo:）"), ", ".join(can))


def _meters() -> None:
    energy = False
    for found in inventory():
        if isinstance(found, Domain):
            _line(
                text("ready", "可用"),
                f"{found.id} ({found.source})",
                f"{found.kind.value}, {found.unit.value}",
            )
            energy |= found.source != "host"
        else:
            _lack(found)
    if not energy:
        click.echo(
            text(
                "No energy can be measured here. power_efficiency will be null with that reason; "
                "--watts-per-core W gives an estimate that is labelled as one and passes no rule by itself.",
                "这里无法测量能耗。power_efficiency 将为 null 并写明原因；--watts-per-core W "
                "可给出标明为估计的数值，它自身不能使任何规则通过。",
            )
        )


def _lack(lack: Unavailable) -> None:
    _line(text("missing", "缺少"), f"{lack.meter}: {lack.what}", lack.reason)
    if lack.remedy:
        click.echo(f"{'':10}{text('remedy', '办法')}: {lack.remedy}")


def _line(state: str, what: str, detail: str) -> None:
    click.echo(f"{state:9} {what}: {detail}")
