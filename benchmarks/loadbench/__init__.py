"""The benchmarks of the load engine: `python benchmarks/load.py --help`."""
