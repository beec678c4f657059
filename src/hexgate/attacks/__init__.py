"""Attacks on a predictor's input: how far scores move when an input moves by at most eps.

Every attack is one module with one function of the protocol `hexgate.attacks.base.Attack`, and one line in
the registry `hexgate.attacks.base.ATTACKS`. Attacks need numpy and the two protocols `Predictor` and
`GradientSource`, nothing else.
"""
