"""The files that stand beside the artifacts of a load, by name, and what is done with those of an earlier one."""

from __future__ import annotations

from pathlib import Path

from hexgate.errors import InputError
from hexgate.load.work_folder import clear_left

__all__ = ["LOAD_STEM", "REPORT", "SEARCH", "STATISTICS", "SWEEP", "TABLES", "remove_left"]

LOAD_STEM = "load"
"""What the names of a load's evidence begin with; both artifacts name the same files."""
STATISTICS = "statistics.json"
"""Every figure of a load."""
TABLES = ("requests.csv", "requests.parquet", "resources.csv", STATISTICS)
"""What a load leaves for other programs."""
REPORT = "report.html"
"""What it leaves for people."""
SEARCH = "search.json"
"""The document of a search, in the folder of its loads."""
SWEEP = "sweep.json"
"""The document of a sweep, likewise."""


def remove_left(folder: Path, stem: str = LOAD_STEM) -> Path | None:
    """Remove these files, and no others: a load that begins here may end without its own, and theirs would pass for it.

    Args:
        folder: of the artifacts.
        stem: what the names of the evidence begin with; a shard has one of its own.

    Returns:
        The folder in which a load that was killed had been at work, removed as well; None where there was none.

    Raises:
        InputError: if one cannot be removed, or another load is at work here.
    """
    killed = clear_left(folder, stem)
    path = folder
    try:
        for path in (folder / name for name in (*TABLES, REPORT, SEARCH, SWEEP)):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"what an earlier load left cannot be removed ({error.strerror})",
            where=str(path),
            hint="give another --out",
        ) from None
    return killed
