"""`hexgate platforms upload`: put a model where a job will find it."""

from __future__ import annotations

from pathlib import Path

import click

from hexgate.cli.language import text
from hexgate.stores.registry import open_store
from hexgate.stores.upload import upload

__all__ = ["upload_command"]


@click.command(
    "upload",
    help=text(
        "Put FILE... into STORE under their digest and print the folder's address, for $.mounts of a job spec. What is "
        "there already is not sent again.",
        "把 FILE 按其摘要存入 STORE，并打印所在目录的地址，供作业描述的 $.mounts 使用。已存在的不会重传。",
    ),
)
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
)
@click.argument("store")
def upload_command(files: tuple[Path, ...], store: str) -> int:
    """Upload, and print the address."""
    folder = upload(open_store(store), files)
    address = store if ":" in store else Path(store).resolve().as_uri()
    click.echo(f"{address.rstrip('/')}/{folder}")
    return 0
