"""The indicator latency_p99 alone: `python scripts/bench/latency_profiler.py --model URI --data PATH --out PATH`."""

import sys

try:
    from hexgate.cli import door
except ModuleNotFoundError as error:
    sys.stderr.write(
        f"{error.name} is not installed for this Python: run `make demo`, then use .venv/bin/python\n"
    )
    sys.exit(2)

if __name__ == "__main__":
    door("latency_p99")
