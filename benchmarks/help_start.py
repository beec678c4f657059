"""How long `hexgate --help` takes, against the least that any click program needs: `import click`.

    python benchmarks/help_start.py [RUNS]

Prints the medians of interleaved runs, and their ratio; exits 1 where the ratio is above the limit of 1.5.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

LIMIT = 1.5
OURS = [sys.executable, "-m", "hexgate", "--help"]
FLOOR = [sys.executable, "-c", "import click"]


def seconds(command: list[str]) -> float:
    """Wall-clock time of one whole process."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> int:
    """Measure both in turn, so that a machine whose speed drifts treats them alike."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 31
    for command in (OURS, FLOOR):
        seconds(command)
    pairs = [(seconds(OURS), seconds(FLOOR)) for _ in range(runs)]
    ours, floor = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"hexgate --help   {ours * 1e3:7.1f} ms, median of {runs}")
    print(f"import click     {floor * 1e3:7.1f} ms, median of {runs}")
    print(f"ratio            {ratio:7.2f}, limit {LIMIT}")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
