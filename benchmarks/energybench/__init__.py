"""The benchmarks of the meters: `python benchmarks/energy.py --help`."""
