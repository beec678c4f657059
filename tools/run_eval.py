"""The front door: `python tools/run_eval.py --indicator NAME|all --model URI --data PATH --out PATH`."""

import sys

try:
    from hexgate.cli import main
except ModuleNotFoundError as error:
    sys.stderr.write(
        f"{error.name} is not installed for this Python: run `make demo`, then use .venv/bin/python\n"
    )
    sys.exit(2)

if __name__ == "__main__":
    main(["run", *sys.argv[1:]])
