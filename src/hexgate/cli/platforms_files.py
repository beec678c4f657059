"""`hexgate platforms list`, `render` and `validate`: everything about a job before it is submitted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click

from hexgate.cli.language import text
from hexgate.cli.outputs import write_text
from hexgate.errors import ExitCode, InputError, JobSpecError
from hexgate.platforms import PLATFORMS, platform
from hexgate.platforms.spec import read_spec
from hexgate.platforms.validate import Report, check_native, check_spec, is_spec, read_files

__all__ = [
    "list_command",
    "platform_option",
    "render_command",
    "set_option",
    "show_layers",
    "validate_command",
]

_ABOUT: Mapping[str, tuple[str, str]] = {
    "local": ("processes of this machine", "本机进程"),
    "azure": ("Azure Machine Learning, extra azure", "Azure 机器学习，需 azure 扩展"),
    "bailian": ("Alibaba Cloud PAI-DLC, extra alibaba", "阿里云 PAI-DLC，需 alibaba 扩展"),
    "volcano": (
        "Volcano Engine machine learning platform, extra volcano",
        "火山引擎机器学习平台，需 volcano 扩展",
    ),
    "kubernetes": ("a Kubernetes cluster, extra kubernetes", "Kubernetes 集群，需 kubernetes 扩展"),
    "slurm": ("a Slurm cluster with pyxis; sbatch on this machine", "带 pyxis 的 Slurm 集群；本机需 sbatch"),
    "dgx": ("a DGX or other NVIDIA node; Docker on this machine", "DGX 或其他 NVIDIA 节点；本机需 Docker"),
    "jetson": ("a Jetson; Docker on this machine", "Jetson；本机需 Docker"),
}

platform_option = click.option(
    "--platform",
    "name",
    type=click.Choice(list(PLATFORMS)),
    required=True,
    help=text("The platform.", "平台。"),
)

set_option = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="PATH=VALUE",
    help=text(
        "Change a value of the spec, such as mounts.model.uri=oss://bucket/m; repeatable.",
        "修改描述中的一个值，如 mounts.model.uri=oss://bucket/m；可重复。",
    ),
)


@click.command("list", help=text("The platforms, and what each needs.", "列出平台及其所需。"))
def list_command() -> int:
    """One line a platform, on standard output."""
    width = max(map(len, PLATFORMS))
    for name in PLATFORMS:
        click.echo(f"{name:<{width}}  {text(*_ABOUT[name])}")
    return ExitCode.OK


@click.command(
    "render",
    help=text(
        "Write the native files of SPEC, ready for the platform's own tool.",
        "把 SPEC 生成为原生文件，可直接用平台自己的工具提交。",
    ),
)
@click.argument("spec", type=click.Path(path_type=Path, dir_okay=False))
@platform_option
@set_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help=text("Folder for the files; without it they are printed.", "输出目录；不给则打印。"),
)
def render_command(spec: Path, name: str, changes: tuple[str, ...], out: Path | None) -> int:
    """Render, to a folder or to standard output."""
    chosen = platform(name)
    job = read_spec(spec, changes)
    if job.fan_out and not chosen.fans_out:
        raise JobSpecError(str(spec), [f"$.fan_out: {name} has no steps, expected false"])
    files = chosen.render(job)
    for file, content in files.items():
        if out is None:
            if len(files) > 1:
                click.echo(f"# {file}", err=True)
            click.echo(content, nl=False)
        else:
            write_text(out / file, partial(str, content))
            if file.endswith(".sh"):
                (out / file).chmod(0o755)
    return ExitCode.OK


@click.command(
    "validate",
    help=text(
        "Check a job spec, or native files as you changed them, in four layers. Exit code 2 with mistakes.",
        "分四层校验作业描述，或你改过的原生文件。有错时退出码为 2。",
    ),
)
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False)
)
@platform_option
@click.option(
    "--dry-run",
    is_flag=True,
    help=text("Also ask the platform itself.", "同时询问平台本身（不启动任何作业）。"),
)
@click.option(
    "--json", "as_json", is_flag=True, help=text("Print the layers as JSON.", "以 JSON 打印各层结果。")
)
def validate_command(files: tuple[Path, ...], name: str, *, dry_run: bool, as_json: bool) -> int:
    """Check, and show what each layer found."""
    texts = read_files(files)
    specs = [file for file, content in texts.items() if is_spec(content)]
    if specs and len(texts) > 1:
        raise InputError("a job spec is checked alone", got=", ".join(texts), hint="name one file")
    chosen = platform(name)
    if specs:
        report = check_spec(specs[0], texts[specs[0]], chosen, ask_server=dry_run)
    else:
        report = check_native(texts, chosen, ask_server=dry_run)
    if as_json:
        value = {"platform": name, "files": list(texts), "layers": report.to_json()}
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        show_layers(report, err=False)
    return ExitCode.INPUT if report.mistakes else ExitCode.OK


def show_layers(report: Report, *, err: bool) -> None:
    """One line a layer, and below it a line for each mistake."""
    for layer in report.layers:
        if layer.findings:
            count = len(layer.findings)
            said = text(f"{count} mistake{'s' if count > 1 else ''}", f"{count} 处错误")
        elif layer.skipped is not None:
            said = text(f"not looked at: {layer.skipped}", f"未检查：{layer.skipped}")
        else:
            said = text("ok", "通过")
        click.echo(f"{layer.layer.value:<7} {said}", err=err)
        for one in layer.findings:
            click.echo(f"  {one.path}: {one.problem}", err=err)
