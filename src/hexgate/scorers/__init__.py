"""Scorers of replies: detectors that give a text a score, or say why they cannot.

Every detector is one module and one line in the registry `hexgate.scorers.base.DETECTORS`.
"""
