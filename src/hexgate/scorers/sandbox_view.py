"""What a program in a sandbox can see of the system: an interpreter, its library and the system's libraries.

Nothing else is there: no home folders, no /proc, no /sys, no /etc but the loader's cache, no other programs.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["FOLDER", "GIVEN", "LANGUAGES", "Language", "View", "python", "view_of"]

FOLDER = "/tmp"  # noqa: S108 - a folder of the sandbox's own, not the machine's
"""The one folder that the program can write to; it is empty at first and gone at the end."""
GIVEN = "/given"
"""Where the files lie that the caller hands in, read-only."""

_LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64")
_LOADER = ("/etc/ld.so.cache",)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")


@dataclass(frozen=True)
class View:
    """The read-only part of what a program sees; every path is the same inside and outside."""

    folders: tuple[str, ...]
    """Folders, with all that they hold; none lies in another."""
    files: tuple[str, ...]
    """Single files."""
    links: tuple[tuple[str, str], ...]
    """Symbolic links and what they say."""
    masked: tuple[str, ...]
    """Folders within `folders` that look empty: installed packages."""
    devices: tuple[str, ...] = _DEVICES
    """Devices."""

    def tree(self) -> dict[str, list[str]]:
        """What the folders above all that have entries for, sorted: nothing else may be found in them."""
        found: dict[str, set[str]] = {}
        shown = [*self.folders, *self.files, *self.devices, *(link for link, _ in self.links), FOLDER, GIVEN]
        for path in map(Path, shown):
            below = path
            for above in path.parents:
                found.setdefault(str(above), set()).add(below.name)
                below = above
        # What lies above is a folder of ours only where it is not one of the system's.
        return {
            above: sorted(names)
            for above, names in found.items()
            if not any(Path(above).is_relative_to(folder) for folder in self.folders)
        }


@dataclass(frozen=True)
class Language:
    """How programs of a language are run."""

    name: str
    """Name in the registry."""
    fences: tuple[str, ...]
    """What stands behind the opening of a fenced code block of this language, in lower case."""
    command: tuple[str, ...]
    """The interpreter and its options; the program's file follows."""
    view: View
    """What it needs to see."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """All of the environment."""


def python() -> Language:
    """The interpreter that runs hexgate, outside its virtual environment, with the standard library alone.

    `-I` would be right but that it ignores PYTHONHASHSEED as well; the environment is ours, so `-s` is enough.
    """
    named: str | None = getattr(sys, "_base_executable", None)
    interpreter = Path(named or sys.executable).resolve()
    prefix = interpreter.parent.parent
    library = [prefix / "lib", prefix / "lib64", Path(sysconfig.get_path("stdlib"))]
    return Language(
        name="python",
        fences=("python", "python3", "py", "py3"),
        command=(str(interpreter), "-s", "-S", "-B"),
        view=view_of(library, [interpreter]),
        environment={
            "HOME": FOLDER,
            "LANG": "C.UTF-8",
            "PYTHONHASHSEED": "0",
            "PYTHONUTF8": "1",
            "TMPDIR": FOLDER,
            "TZ": "UTC",
        },
    )


LANGUAGES: dict[str, Callable[[], Language]] = {"python": python}
"""Languages by name."""


def view_of(library: Iterable[Path], programs: Iterable[Path]) -> View:
    """The view for an interpreter: the system's libraries, its own, and its program; packages are masked."""
    links = [(path, str(Path(path).readlink())) for path in _LIBRARIES if Path(path).is_symlink()]
    linked = {path for path, _ in links}
    wanted = [path for path in _LIBRARIES if path not in linked and Path(path).is_dir()]
    wanted += [str(path) for path in library if path.is_dir() and str(path) not in linked]
    folders = _outermost(wanted)
    masked = [
        str(packages)
        for folder in folders
        for pattern in ("site-packages", "dist-packages", "python3*/site-packages", "python3*/dist-packages")
        for packages in Path(folder).glob(pattern)
        if packages.is_dir() and not packages.is_symlink()
    ]
    files = [*(path for path in _LOADER if Path(path).is_file()), *map(str, programs)]
    return View(
        folders=tuple(folders),
        files=tuple(path for path in files if not any(Path(path).is_relative_to(f) for f in folders)),
        links=tuple(links),
        masked=tuple(sorted(set(masked))),
        devices=tuple(path for path in _DEVICES if Path(path).exists()),
    )


def _outermost(paths: Iterable[str]) -> list[str]:
    """The folders without those that lie in another of them."""
    kept: list[str] = []
    for path in sorted(set(paths), key=lambda path: (len(Path(path).parts), path)):
        if not any(Path(path).is_relative_to(other) for other in kept):
            kept.append(path)
    return kept
