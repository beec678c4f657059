"""`hexgate recompute`: every figure of a folder of artifacts, computed again from its evidence."""

from __future__ import annotations

from pathlib import Path

import click

from hexgate.cli.console import show_error
from hexgate.cli.language import text
from hexgate.contract.artifact import artifact_files, read_artifact
from hexgate.errors import EvidenceError, ExitCode
from hexgate.indicators.recompute import recompute

__all__ = ["command"]


@click.command("recompute")
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
def command(folders: tuple[Path, ...]) -> int:
    """Compute every figure again, and return 0 where all agree, else 4."""
    judged = 0
    faults = 0
    for path in [path for folder in folders for path in _files(folder)]:
        if path.name in {"verdict.json", "statistics.json"}:
            continue
        judged += 1
        try:
            done = recompute(read_artifact(path))
        except EvidenceError as error:
            show_error(error)
            faults += 1
            continue
        faults += bool(done.differences)
        word = text("differs", "不一致") if done.differences else text("agrees", "一致")
        click.echo(f"{path}: {word}, {done.compared} {text('values', '个值')}")
        for difference in done.differences:
            click.echo(f"  {difference}")
    if judged == 0:
        raise EvidenceError(
            "there is no artifact to compute again",
            where=", ".join(map(str, folders)),
            hint="give the folder that a run wrote its artifacts into",
        )
    return ExitCode.EVIDENCE if faults else ExitCode.OK


def _files(folder: Path) -> list[Path]:
    return [folder] if folder.is_file() else artifact_files(folder)


command.help = text(
    "Recompute every figure of the artifacts in DIR from their evidence, and compare to the last bit.",
    "从证据重新计算 DIR 中每个结果的每个数字，并逐位核对。",
)
