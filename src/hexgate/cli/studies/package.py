"""`hexgate study package`: a study as one file to copy to the device that it is to run on."""

from __future__ import annotations

from pathlib import Path

import click

from hexgate.cli.language import text
from hexgate.errors import ExitCode
from hexgate.study.edge.package import SCRIPT, pack_study

__all__ = ["command"]


@click.command(
    "package",
    help=text(
        "Pack the study that SPEC describes into one file for another device: spec, items, a script from the check of "
        f"the device to the report ({SCRIPT}), a README and digests. Nothing secret and no path of this machine goes "
        "along. Exit codes: 0 written; 2 the study, or something in it that must not be packed.",
        "将 SPEC 描述的研究打包为一个文件，供其他设备运行：研究描述、题目、从设备检查到报告的脚本"
        f"（{SCRIPT}）、说明与摘要。不含密钥，也不含本机路径。退出码：0 已写出；2 研究描述有误，或含有不可打包的内容。",
    ),
)
@click.argument("spec", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help=text("The package, such as package.tar.gz.", "打包文件，如 package.tar.gz。"),
)
@click.option("--models", is_flag=True, help=text("Pack the GGUF files too.", "同时打包 GGUF 模型文件。"))
@click.option(
    "--wheel",
    type=click.Path(path_type=Path, dir_okay=False),
    help=text("A wheel of hexgate to pack.", "要一同打包的 hexgate wheel 文件。"),
)
def command(spec: Path, out: Path, models: bool, wheel: Path | None) -> int:
    """Pack a study."""
    packed = pack_study(spec, out, models=models, wheel=wheel)
    for name in packed.left_out:
        click.echo(text(f"not packed: {name}", f"未打包：{name}"), err=True)
    size = f"{packed.size_bytes / 1e6:.3g} MB"
    click.echo(
        text(
            f"{len(packed.names)} files, {size}; on the device: tar -xzf {out.name}, then "
            f"bash {packed.folder}/{SCRIPT} check",
            f"{len(packed.names)} 个文件，{size}；在设备上：tar -xzf {out.name}，然后 "
            f"bash {packed.folder}/{SCRIPT} check",
        ),
        err=True,
    )
    click.echo(str(out))
    return ExitCode.OK
