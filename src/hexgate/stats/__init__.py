"""Pure statistics: intervals, bootstrap, paired tests, histograms, sample-size planning.

Each function states its question, its assumption and its source, and is tested against an independent
reference. Nothing here reads a file, knows an indicator, or changes with an optional package.
"""
