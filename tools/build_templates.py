"""Make the job templates in ``platforms/job_templates/`` from ``platforms/specs/`` and the parts of programs.

python tools/build_templates.py            write the files
python tools/build_templates.py --check    exit 1 if a committed file is not what it is made from
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hexgate.platforms import platform
from hexgate.platforms.docker_node_files import joined
from hexgate.platforms.spec import read_spec

ROOT = Path(__file__).resolve().parents[1]
SPECS = ROOT / "platforms" / "specs"
TEMPLATES = ROOT / "platforms" / "job_templates"
PLACES = {
    "azure": ("azure", "azure"),
    "azure-pipeline": ("azure", "azure"),
    "bailian": ("bailian", "bailian"),
    "volcano": ("volcano", "volcano"),
    "kubernetes": ("kubernetes", "dgx"),
    "slurm": ("slurm", "dgx"),
    "dgx": ("dgx", "dgx"),
    "jetson": ("jetson", "jetson"),
}
"""Each spec's platform, and the folder of what it renders to."""
WITHOUT_TEMPLATE = {"local"}
"""Submitted by hexgate alone: no other tool reads its native file."""
BENCHMARK = TEMPLATES / "jetson" / "run_benchmark.sh"
"""One study on a device: it has no spec, for it runs no job in a container."""
_HEAD = """\
#!/usr/bin/env bash
# One study on this device, from the check of the environment to the report. Made for a Jetson; runs on any Linux.
# 在本设备上完成一项研究，从环境检查到报告。为 Jetson 而写，任何 Linux 均可运行。
#
#     bash run_benchmark.sh                 a menu / 菜单
#     bash run_benchmark.sh check           what this device is, has and lacks / 检查设备
#     bash run_benchmark.sh full writing    one category / 单个类别
#     bash run_benchmark.sh full all        everything / 全部
#     bash run_benchmark.sh --help
set -uo pipefail

"""


def specs() -> list[str]:
    """The names of the specs that have templates.

    Raises:
        SystemExit: if there is a spec that nobody says where to put.
    """
    found = sorted(path.stem for path in SPECS.glob("*.yaml"))
    lost = set(found) - PLACES.keys() - WITHOUT_TEMPLATE
    if lost:
        raise SystemExit(f"no place for {', '.join(sorted(lost))}; add it to PLACES in {__file__}")
    return [name for name in found if name in PLACES]


def templates(spec: str) -> dict[Path, str]:
    """What one spec renders to, by path."""
    name, folder = PLACES[spec]
    files = platform(name).render(read_spec(SPECS / f"{spec}.yaml"))
    return {TEMPLATES / folder / file: text for file, text in files.items()}


def benchmark() -> str:
    """The text of run_benchmark.sh."""
    return _HEAD + joined(BENCHMARK.name, "shell", "power_mode", "benchmark")


def stale(path: Path, text: str) -> bool:
    """Whether a file is not what it is made from, or a program that cannot be run."""
    if not path.is_file() or path.read_text("utf-8") != text:
        return True
    return os.name == "posix" and bool(path.stat().st_mode & 0o111) != (path.suffix == ".sh")


def main(arguments: list[str]) -> int:
    """Write all templates, or check them."""
    made: dict[Path, str] = {BENCHMARK: benchmark()}
    for spec in specs():
        for path, text in templates(spec).items():
            if path in made:
                raise SystemExit(f"two specs render to {path.relative_to(ROOT)}")
            made[path] = text
    old = [path for path, text in made.items() if stale(path, text)]
    if "--check" in arguments:
        for path in old:
            sys.stderr.write(
                f"{path.relative_to(ROOT)} is not what it is made from; run python tools/build_templates.py\n"
            )
        return 1 if old else 0
    for path in old:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made[path], encoding="utf-8")
        path.chmod(0o755 if path.suffix == ".sh" else 0o644)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
