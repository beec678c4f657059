"""`hexgate doctor`: what this machine can measure, what is missing for the rest, and the remedy."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from hexgate.cli.console import error_words, padded
from hexgate.cli.doctor_quality import found as measures_of_quality
from hexgate.cli.language import text
from hexgate.contract.provenance import environment
from hexgate.errors import ExitCode
from hexgate.meters.base import METERS, Domain, Unavailable
from hexgate.meters.inventory import inventory
from hexgate.targets.registry import OpenOptions, open_target

__all__ = ["command"]

_COVERS: Mapping[str, tuple[str, str]] = {
    "nvml": (
        "NVIDIA GPU boards with their memory; no CPU, fan or power supply",
        "NVIDIA GPU 板卡及其显存；不含 CPU、风扇和电源",
    ),
    "rapl": (
        "CPU packages, and their memory where the chip counts it; all programs together",
        "CPU 封装，以及芯片有计数时的内存；所有程序合计",
    ),
    "jetson": (
        "the supply rails of a Jetson, and its total where the board is known",
        "Jetson 的各路供电；已知板型时给出合计",
    ),
    "host": (
        "CPU, memory, disk, and the use of GPUs; no energy",
        "CPU、内存、磁盘与 GPU 使用率；没有能量",
    ),
}
"""What each meter covers, in English and Chinese."""
_OTHERS: tuple[tuple[str, tuple[str, str], tuple[str, str]], ...] = (
    (
        "imported",
        (
            "what your own meter covers, such as a plug at the wall",
            "你自己的电表所覆盖的，例如墙上的智能插座",
        ),
        ("hexgate meter --import FILE -- CMD", "hexgate meter --import 文件 -- 命令"),
    ),
    (
        "estimate",
        ("the CPU alone, by declared watts: no measurement", "仅 CPU，按声明的瓦数推算：不是测量值"),
        ("--watts-per-core W; it passes no rule by itself", "--watts-per-core W；它自身不能使任何规则通过"),
    ),
)
"""What can be measured anywhere: its name, what it covers, and how it is asked for."""


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
    _heading(text("Models", "模型"))
    _models()
    _line(
        text("not yet", "尚不支持"),
        text("files", "文件"),
        text(
            ".pt, .gguf, Hugging Face directories: export to ONNX, or serve behind an OpenAI-compatible endpoint; "
            "a study runs GGUF files",
            ".pt、.gguf 与 Hugging Face 目录：请导出为 ONNX，或以兼容 OpenAI 的接口提供服务；研究可运行 GGUF 文件",
        ),
    )
    _heading(text("Meters", "电表"))
    _meters()
    _heading(text("Quality of texts", "文本质量"))
    for one in measures_of_quality():
        _line(_state(ready=one.ready), one.name, one.what)
        for detail in one.below:
            _below(detail)
    _heading(text("Try", "试一试"))
    click.echo("  hexgate meter -- python3 -c 'sum(range(10**8))'")
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
    parts = ", ".join(can)
    _line(_state(ready=True), "demo:", text(f"the embedded default: {parts}", f"内置模型：{parts}"))


def _meters() -> None:
    root = os.environ.get("HEXGATE_RAPL_ROOT")
    found = inventory(rapl_root=Path(root) if root else None)
    domains = [one for one in found if isinstance(one, Domain)]
    lacks = [one for one in found if isinstance(one, Unavailable)]
    for name in METERS:
        own = [domain for domain in domains if domain.source == name]
        lacking = [lack for lack in lacks if lack.meter == name]
        # The host lacks single series, which the meters that they come from explain.
        _meter(name, own, [] if name == "host" and own else lacking)
    for name, covers, how in _OTHERS:
        _line(_state(ready=True), name, text(*covers))
        _below(text(*how))
    if all(domain.source == "host" for domain in domains):
        click.echo()
        click.echo(
            text(
                "No energy can be measured here: figures of energy will be null with that reason.",
                "这里无法测量能量：能量数值将为 null 并写明原因。",
            )
        )


def _meter(name: str, domains: Sequence[Domain], lacks: Sequence[Unavailable]) -> None:
    covers = text(*_COVERS[name]) if name in _COVERS else ""
    _line(_state(ready=bool(domains)), name, covers)
    if name == "host":
        _below(text(f"{len(domains)} series", f"{len(domains)} 个序列"))
    else:
        for domain in domains:
            _below(f"{domain.id}: {_kind(domain)}")
    for lack in lacks:
        _below(f"{lack.what}: {error_words(lack.reason)}" if domains else error_words(lack.reason))
        if lack.remedy:
            _below(text(f"remedy: {lack.remedy}", f"办法：{error_words(lack.remedy)}"))


def _kind(domain: Domain) -> str:
    kinds = {
        "counter": text("counts joules", "累计焦耳"),
        "gauge": text("shows watts", "显示瓦数"),
    }
    averaged = text(f", averaged over {domain.averaging_s:g} s", f"，取 {domain.averaging_s:g} 秒平均")
    return f"{domain.label}, {kinds[domain.kind.value]}{averaged if domain.averaging_s else ''}"


def _state(*, ready: bool) -> str:
    return text("ready", "可用") if ready else text("missing", "缺少")


def _heading(words: str) -> None:
    click.echo(f"\n{words}")


def _line(state: str, what: str, detail: str) -> None:
    click.echo(f"{padded(state, 9)} {padded(what, 9)} {detail}")


def _below(detail: str) -> None:
    click.echo(f"{'':20}{detail}")
