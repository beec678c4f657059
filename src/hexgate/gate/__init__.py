"""The gate: a policy and a set of artifacts go in, one verdict with its reasons comes out.

`policy` reads the rules and `evidence` the artifacts: only these two touch the disk. `judge` is pure.
It knows artifacts and verdicts, never how anything was measured.
"""
