"""Meters: power and resource domains read in the background, and the figures computed from their traces.

`recorder` writes the two files of one measurement, `windows` makes energies of the one, `summary` makes
resource figures of the other. A new meter is one module and one line in `base.METERS`.
"""
